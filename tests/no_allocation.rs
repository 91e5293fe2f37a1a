//! The bar loop asks for no memory: after the first tile, in whose first bars every symbol is traded at once so that
//! queues grow to their size, stepping an account through a tile allocates nothing, whatever it trades and whatever is
//! trimmed or liquidated.
//!
//! A process of its own, since the allocator that counts is the whole process's. Each thread counts for itself.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

mod common;
mod reference;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use barloom::config::plan::*;
use barloom::engine::api::{
    Attached, AttachedLevels, EntryOrder, Fill, FillReason, FundingPayment, Insurance, MarkRows, OrderEnd,
    OrderIntent, OrderKind, PointValues, Recorder, Side, SignalTile,
};
use barloom::engine::{Account, Scratch, TileFeed, Venue};
use barloom::execution::quotes::QuoteSets;
use barloom::execution::stop_quotes::{FROM_TRIALS, StopSets};
use barloom::execution::volatility::VolatilitySets;
use barloom::execution::volume::TrailingVolume;
use barloom::liquidity::RegimeSets;
use barloom::market::{Contract, Market, StepGrid, Tile, TileBuffer};
use barloom::risk::stress::MarketStress;
use common::example_runs::margin_plan;
use common::random_market::Dice;
use common::{Ohlcv, SymbolBars, bare_plan, flat_slippage, market_from_bars, market_order};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting what is asked of it.
struct Counting;

fn count() {
    // A thread that is being taken down has nothing to count in.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes to the system's allocator with the arguments it came with; counting touches a thread local of
// a plain number, which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from `System` with this layout.
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the block came from `System` with this layout.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const BARS: usize = 6_000;
const TILE_BARS: usize = 200;
/// Tiles in which buffers and queues may grow.
const WARM_UP_TILES: usize = 1;
/// Bars in which all symbols are bought, then sold, in turn: as many orders as ever wait have waited once.
const BURST_BARS: usize = 10;

/// Random walks with everything that bars have but gaps.
fn market(symbols: usize) -> Market {
    let mut dice = Dice::new(7);
    let series = |dice: &mut Dice| -> Vec<Option<Ohlcv>> {
        let mut last = 1_000.0_f64;
        (0..BARS)
            .map(|_| {
                let near = |dice: &mut Dice, px: f64| (px * dice.between(0.99, 1.01)).clamp(500.0, 2_000.0);
                let (open, close) = (last, near(dice, last));
                let (up, down) = (dice.between(1.0, 1.005), dice.between(0.995, 1.0));
                last = (close * 10.0).round() / 10.0;
                let tick = |px: f64| (px * 10.0).round() / 10.0;
                let (high, low) = (tick(open.max(last) * up), tick(open.min(last) * down));
                Some([open, high, low, last, 1e4])
            })
            .collect()
    };
    let contract =
        Contract { tick: Some(StepGrid::new(0.1)), step: StepGrid::new(0.001), ..Contract::default() };
    let data: Vec<SymbolBars> = (0..symbols)
        .map(|symbol| SymbolBars {
            name: format!("S{symbol:03}USDT"),
            contract: contract.clone(),
            bars: series(&mut dice),
        })
        .collect();
    let funding: Vec<_> = (0..BARS / 32)
        .flat_map(|record| (0..symbols).map(move |symbol| (record * 32, symbol, 1_000.0, 1e-4)))
        .collect();
    market_from_bars(&data, &funding)
}

/// Stops, targets and trails around the close; entries as market or as limit orders.
struct AroundTheClose {
    limit_frac: f64,
}

impl PointValues for AroundTheClose {
    fn attached_levels(&self, tile: &Tile<'_>, row: usize, symbol: usize, side: Side) -> AttachedLevels {
        let px = tile.row(tile.close, row)[symbol];
        AttachedLevels::Prices(Attached {
            stop_loss_px: px * (1.0 - 0.01 * side.sign()),
            take_profit_px: px * (1.0 + 0.02 * side.sign()),
            trail_px: if symbol.is_multiple_of(2) { px * 0.01 } else { f64::NAN },
            activation_px: f64::NAN,
        })
    }
    fn entry_order(&self, tile: &Tile<'_>, row: usize, symbol: usize, side: Side) -> EntryOrder {
        if self.limit_frac == 0.0 {
            return EntryOrder::Market;
        }
        EntryOrder::Limit(tile.row(tile.close, row)[symbol] * (1.0 - self.limit_frac * side.sign()))
    }
}

/// Counts fills by what they are; wants order ends, or not, as a sweep.
#[derive(Default)]
struct Tally<const ORDERS: bool> {
    fills: usize,
    stops: usize,
    forced: usize,
    ends: usize,
}

impl<const ORDERS: bool> Recorder for Tally<ORDERS> {
    const WANTS_ORDERS: bool = ORDERS;
    fn fill(&mut self, fill: &Fill) {
        use FillReason::*;
        self.fills += 1;
        self.stops += usize::from(matches!(fill.reason, StopLoss | StopLossGap | StopLossEntryBar | Trail));
        self.forced += usize::from(matches!(fill.reason, Liquidation | MarginTrim));
    }
    fn funding(&mut self, _: &FundingPayment) {}
    fn insurance(&mut self, _: &Insurance) {}
    fn order_end(&mut self, _: &OrderEnd) {
        self.ends += 1;
    }
    fn marks(&mut self, _: &MarkRows<'_>) {}
}

/// What a run is fed with.
struct Feed {
    market: Market,
    /// Long entry, long exit, short entry, short exit, each `[bar][word]`.
    masks: [Vec<u64>; 4],
    values: AroundTheClose,
    intents: Vec<OrderIntent>,
}

impl Feed {
    fn of_signals(symbols: usize, limit_frac: f64) -> Self {
        let market = market(symbols);
        let mut dice = Dice::new(8);
        let words = market.words();
        let mut masks = [0.05, 0.02, 0.05, 0.02].map(|chance| {
            let bit = |dice: &mut Dice, bit: usize| u64::from(dice.chance(chance)) << bit;
            let word = |cell: usize, dice: &mut Dice| {
                let bits = (symbols - cell % words * 64).min(64);
                (0..bits).fold(0, |word, at| word | bit(dice, at))
            };
            (0..BARS * words).map(|cell| word(cell, &mut dice)).collect::<Vec<u64>>()
        });
        for cell in 0..BURST_BARS * words {
            let all = u64::MAX >> (64 - (symbols - cell % words * 64).min(64));
            let buys = (cell / words).is_multiple_of(2);
            let bursts = if buys { [all, 0, 0, all] } else { [0, all, all, 0] };
            masks.iter_mut().zip(bursts).for_each(|(mask, burst)| mask[cell] = burst);
        }
        Self { market, masks, values: AroundTheClose { limit_frac }, intents: Vec::new() }
    }
    /// Orders of every type instead of signals, some of which wait.
    fn of_orders(symbols: usize) -> Self {
        let (market, mut dice) = (market(symbols), Dice::new(9));
        let close = |bar: usize, symbol: usize| market.panels.close[bar * market.panels.lanes + symbol];
        let kinds = [OrderKind::Market, OrderKind::Limit, OrderKind::Stop, OrderKind::StopLimit];
        let burst = 40;
        let intents = (0..burst + BARS * 2)
            .map(|id: usize| {
                let (bar, symbol) = (id.saturating_sub(burst) / 2, dice.whole(0..symbols));
                let (kind, side) = (dice.pick(&kinds), dice.pick(&[Side::Buy, Side::Sell]));
                let away = if kind == OrderKind::Limit { -0.005 } else { 0.005 };
                let price_px = close(bar, symbol) * (1.0 + away * side.sign());
                let stop_loss_px = close(bar, symbol) * (1.0 - 0.02 * side.sign());
                OrderIntent {
                    kind,
                    price_px: if kind == OrderKind::Market { f64::NAN } else { price_px },
                    limit_px: if kind == OrderKind::StopLimit { price_px } else { f64::NAN },
                    ttl_bars: 8,
                    attached: Attached { stop_loss_px, ..Attached::NONE },
                    ..market_order(id as u32, bar, symbol, side, 1.0)
                }
            })
            .collect();
        let masks = [const { Vec::new() }; 4];
        Self { market, masks, values: AroundTheClose { limit_frac: 0.0 }, intents }
    }
    fn signals(&self, bars: std::ops::Range<usize>) -> SignalTile<'_> {
        let before = |bar: usize| self.intents.partition_point(|intent| (intent.bar as usize) < bar);
        let intents = &self.intents[before(bars.start)..before(bars.end)];
        if self.masks[0].is_empty() {
            return SignalTile { intents, ..SignalTile::default() };
        }
        let words = self.market.words();
        let [long_entry, long_exit, short_entry, short_exit] =
            [0, 1, 2, 3].map(|mask| Some(&self.masks[mask][bars.start * words..bars.end * words]));
        let values = Some(&self.values as &dyn PointValues);
        SignalTile { long_entry, long_exit, short_entry, short_exit, values, intents, never_trails: false }
    }
}

/// Stops at distances that are at hand for a whole tile, and nothing else.
struct AtHand<'a>(&'a [f64]);

impl PointValues for AtHand<'_> {
    fn attached_levels(&self, tile: &Tile<'_>, row: usize, symbol: usize, side: Side) -> AttachedLevels {
        let at = row * tile.lanes + symbol;
        let stop_loss_px = tile.close[at] - side.sign() * self.0[at];
        AttachedLevels::Prices(Attached { stop_loss_px, ..Attached::NONE })
    }
    fn stop_distances(&self) -> Option<(usize, &[f64])> {
        Some((0, self.0))
    }
}

/// Allocations inside `step_tile`, tile by tile, and what was traded after the warm-up. `at_hand`: what orders and stops
/// come to is made beforehand, and stops are all that entries carry.
fn allocations<const ORDERS: bool>(
    feed: &Feed,
    plan: &EnginePlan,
    at_hand: bool,
) -> (Vec<u64>, Tally<ORDERS>) {
    let venue = Venue::new(&feed.market, 0..BARS);
    let mut account = Account::new(&venue, plan);
    let (mut buffer, mut scratch) = (TileBuffer::default(), Scratch::default());
    let (mut volume, mut stress) = (TrailingVolume::default(), MarketStress::default());
    let mut regimes = RegimeSets::new([plan.regimes()], &feed.market);
    let mut volatility = VolatilitySets::new([Account::volatility_window(plan)]);
    let (mut counts, mut tally) = (Vec::new(), Tally::default());
    let mut quotes = QuoteSets::new([at_hand.then_some(plan)], &feed.market);
    let mut stops = StopSets::new(&feed.market);
    for bar0 in (0..BARS).step_by(TILE_BARS) {
        let tile = buffer.load(&feed.market, bar0, TILE_BARS, plan.use_mark);
        regimes.step(&feed.market, &tile);
        volatility.load(&tile);
        let distances: Vec<f64> = tile.close.iter().map(|close| 0.01 * close).collect();
        let (values, mut signals) = (AtHand(&distances), feed.signals(bar0..bar0 + TILE_BARS));
        quotes.load(&tile, at_hand);
        if at_hand {
            (signals.values, signals.never_trails) = (Some(&values as &dyn PointValues), true);
            stops.load(&tile, [signals.stop_distances().expect("at hand"); FROM_TRIALS].into_iter());
        }
        let feed = TileFeed {
            tile: &tile,
            trailing_volume: Account::needs_trailing_volume(plan).then(|| volume.load(&tile)),
            volatility: volatility.of(0),
            stress: Account::needs_stress(plan).then(|| stress.load(&feed.market, &tile)),
            regimes: regimes.of(0),
            quotes: quotes.of(0),
            stops: stops.of(0),
            signals,
        };
        if bar0 == WARM_UP_TILES * TILE_BARS {
            tally = Tally::default();
        }
        let before = ALLOCATIONS.get();
        account.step_tile(&venue, &feed, &mut scratch, &mut tally);
        counts.push(ALLOCATIONS.get() - before);
    }
    (counts, tally)
}

/// Accounts that the guard trims and that are liquidated, position by position or in part.
#[test]
fn trims_and_liquidations_ask_for_no_memory() {
    let mut plan = plan();
    plan.taker_fee_frac = 0.0;
    plan.slippage = flat_slippage(0.0);
    let feed = Feed::of_signals(24, 0.0);
    let mut forced = 0;
    for (mode, guard, liq_mode) in [
        (MarginMode::Cross, Some(TrimOrder::ProRata), LiqMode::LargestMm),
        (MarginMode::Cross, Some(TrimOrder::LargestLoss), LiqMode::LargestMm),
        (MarginMode::Cross, None, LiqMode::LargestMm),
        (MarginMode::Cross, None, LiqMode::ProRata),
        (MarginMode::Isolated, Some(TrimOrder::ProRata), LiqMode::LargestMm),
        (MarginMode::Isolated, None, LiqMode::LargestMm),
    ] {
        let margin = MarginPlan {
            mode,
            guard: guard.map(|order| MarginGuard { warn: 0.8, trim: 0.85, target: 0.6, order }),
            liq_mode,
            liq_fee_frac: 0.0,
            ..margin_plan(40.0)
        };
        for capital_usdt in [600.0, 800.0, 1_200.0, 3_000.0] {
            (plan.margin, plan.initial_capital_usdt) = (Some(margin), capital_usdt);
            let (counts, tally) = allocations::<false>(&feed, &plan, false);
            let after = &counts[WARM_UP_TILES..];
            assert!(after.iter().all(|&count| count == 0), "{margin:?}: allocations by tile {counts:?}");
            forced += tally.forced;
        }
    }
    assert!(forced > 1_000, "{forced} trims and liquidations");
}

#[track_caller]
fn assert_none_after_warm_up<const ORDERS: bool>(what: &str, feed: &Feed, plan: &EnginePlan) {
    let (counts, tally) = allocations::<ORDERS>(feed, plan, Account::takes_quotes(plan));
    assert!(counts[0] > 0, "{what}: nothing is counted");
    assert!(tally.fills > 1_000 && tally.stops > 100, "{what}: {} fills, {} stops", tally.fills, tally.stops);
    assert_eq!(tally.forced, 0, "{what}");
    assert_eq!(tally.ends > 0, ORDERS, "{what}");
    let after = &counts[WARM_UP_TILES..];
    assert!(after.iter().all(|&count| count == 0), "{what}: allocations by tile {counts:?}");
}

/// Capital that no market of this file exhausts; slippage that reads volumes; checks as in release.
fn plan() -> EnginePlan {
    let mut plan = bare_plan();
    plan.initial_capital_usdt = 1e7;
    plan.taker_fee_frac = 5e-4;
    plan.slippage.b_bps = 30.0;
    plan.slippage.max_bps = 200.0;
    plan.slippage.volume_ref = VolumeRef::MinExecTrailing;
    plan.check_invariants = CheckInvariants::End;
    plan
}

#[test]
fn signals_with_stops_ask_for_no_memory() {
    for symbols in [12, 70] {
        let feed = Feed::of_signals(symbols, 0.0);
        assert_none_after_warm_up::<false>(&format!("{symbols} symbols, a sweep's"), &feed, &plan());
        assert_none_after_warm_up::<true>(&format!("{symbols} symbols, orders told"), &feed, &plan());
    }
}

/// Stretches of bars in three loops, over market orders of one size and their stops.
#[test]
fn stretches_ask_for_no_memory() {
    let mut plan = plan();
    plan.slippage = flat_slippage(2.0);
    assert!(Account::takes_quotes(&plan), "a plan of market orders alone");
    for symbols in [12, 70] {
        let feed = Feed::of_signals(symbols, 0.0);
        assert_none_after_warm_up::<false>(&format!("{symbols} symbols"), &feed, &plan);
    }
}

#[test]
fn margin_funding_rules_and_regimes_ask_for_no_memory() {
    let mut plan = plan();
    plan.margin = Some(MarginPlan {
        guard: Some(MarginGuard { warn: 0.8, trim: 0.9, target: 0.5, order: TrimOrder::ProRata }),
        ..margin_plan(20.0)
    });
    plan.liquidity.enabled = true;
    plan.liquidity.regimes.seasonality = Seasonality::None;
    plan.liquidity.regimes.fallback_min_bars = 4;
    plan.funding.boundary = FundingBoundary::Pessimistic;
    plan.funding.missing = FundingMissing::LastRate;
    plan.slippage.vol_scale = Some(VolScale { y: 1.0, window_bars: 12 });
    let feed = Feed::of_signals(12, 0.0);
    for mode in [MarginMode::Cross, MarginMode::Isolated] {
        plan.margin.as_mut().unwrap().mode = mode;
        assert_none_after_warm_up::<false>(&format!("a sweep's, {mode:?}"), &feed, &plan);
        assert_none_after_warm_up::<true>(&format!("orders told, {mode:?}"), &feed, &plan);
    }
}

#[test]
fn waiting_orders_ask_for_no_memory() {
    let mut plan = plan();
    plan.execution.entry_ttl_bars = 4;
    plan.execution.participation_cap_frac = 0.05;
    assert_none_after_warm_up::<false>("limit entries", &Feed::of_signals(12, 0.003), &plan);
    assert_none_after_warm_up::<true>("orders of every type", &Feed::of_orders(12), &plan);
}
