//! The engine on orders and on random cases, reporting in the reference's words.

use std::ops::Range;

use barloom::config::plan::EnginePlan;
use barloom::engine::api::{
    Attached, AttachedLevels, Fill, FundingPayment, Insurance, MarkRows, OrderEnd, OrderIntent, PointValues,
    Recorder, Side, SignalTile,
};
use barloom::engine::{Account, RunOptions, run_account};
use barloom::market::{Market, Tile};
use barloom::signals::SignalSource;

use super::random_market::RandomCase;
use crate::reference::{RefFill, RefFunding, RefInsurance, RefOrderEnd, RefResult, RefSignal, RefSignals};

/// Writes down what the engine reports, in the reference's words.
#[derive(Default)]
pub(crate) struct Notes(pub(crate) RefResult);

impl Recorder for Notes {
    const WANTS_ORDERS: bool = true;

    fn fill(&mut self, fill: &Fill) {
        self.0.fills.push(RefFill {
            bar: fill.bar as usize,
            symbol: fill.symbol as usize,
            order_id: fill.order_id,
            side: fill.side,
            qty: fill.qty,
            price: fill.price,
            base_px: fill.base_px,
            liquidity: fill.liquidity,
            fee_usdt: fill.fee_usdt,
            slippage_bps: fill.slippage_bps,
            participation: fill.participation,
            reason: fill.reason,
            flags: fill.flags,
            regime: fill.regime,
            realized_usdt: fill.realized_usdt,
            position_after: fill.position_after,
            avg_entry_after: fill.avg_entry_after,
        });
    }
    fn funding(&mut self, payment: &FundingPayment) {
        self.0.funding.push(RefFunding {
            bar: payment.bar as usize,
            symbol: payment.symbol as usize,
            record: payment.record as usize,
            cash_usdt: payment.cash_usdt,
        });
    }
    fn insurance(&mut self, payment: &Insurance) {
        self.0.insurance.push(RefInsurance {
            bar: payment.bar as usize,
            symbol: payment.symbol as usize,
            amount_usdt: payment.amount_usdt,
            ruins: payment.ruins,
        });
    }
    fn order_end(&mut self, end: &OrderEnd) {
        self.0.orders.push(RefOrderEnd {
            order_id: end.order_id,
            bar: end.bar as usize,
            end_bar: end.end_bar as usize,
            symbol: end.symbol as usize,
            side: end.side,
            kind: end.kind,
            price: end.price_px,
            qty: end.qty,
            status: end.status,
            reason: end.reason,
        });
    }
    fn marks(&mut self, rows: &MarkRows<'_>) {
        self.0.equity.extend(rows.equity_usdt);
        self.0.wallet.extend(rows.wallet_usdt);
        self.0.unrealized.extend(rows.unrealized_usdt);
        self.0.gross.extend(rows.gross_usdt);
        self.0.net.extend(rows.net_usdt);
        self.0.initial_margin.extend(rows.initial_margin_usdt);
        self.0.maintenance_margin.extend(rows.maintenance_margin_usdt);
        self.0.isolated_ratio.extend(rows.isolated_ratio);
    }
}

/// Orders as they stand, sorted by `(bar, order_id)`.
struct Script<'a> {
    intents: &'a [OrderIntent],
    bars: Range<usize>,
}

impl SignalSource for Script<'_> {
    fn step(&mut self, _market: &Market, tile: &Tile<'_>) {
        self.bars = tile.bar0..tile.bar0 + tile.rows;
    }
    fn trial(&self, _trial: usize) -> SignalTile<'_> {
        let before = |bar: usize| self.intents.partition_point(|intent| (intent.bar as usize) < bar);
        let intents = &self.intents[before(self.bars.start)..before(self.bars.end)];
        SignalTile { intents, ..SignalTile::default() }
    }
}

/// Runs orders over a whole market, in tiles that are too short to hide a seam.
pub(crate) fn run_orders(market: &Market, plan: &EnginePlan, intents: &[OrderIntent]) -> RefResult {
    let mut source = Script { intents, bars: 0..0 };
    let mut notes = Notes::default();
    let options = RunOptions { tile_bars: 3, quotes: false, on_tile: &mut |_| true };
    run_account(market, 0..market.grid.bars, plan, &mut source, &mut notes, options)
        .expect("nobody interrupts it");
    notes.0
}

/// The signals of a case as masks over the whole grid, from which every tile takes its rows.
struct Masks<'a> {
    words: usize,
    long_entry: Vec<u64>,
    long_exit: Vec<u64>,
    short_entry: Vec<u64>,
    short_exit: Vec<u64>,
    levels: Levels<'a>,
    intents: &'a [OrderIntent],
    never_trails: bool,
    has_levels: bool,
}

struct Levels<'a> {
    signals: &'a RefSignals,
    /// Stop distances `[bar][lane]` in place of the signals' levels; empty: none.
    distances: &'a [f64],
    lanes: usize,
    /// Bars of the tile.
    bars: Range<usize>,
}

impl PointValues for Levels<'_> {
    fn attached_levels(&self, tile: &Tile<'_>, row: usize, symbol: usize, side: Side) -> AttachedLevels {
        let bar = tile.bar0 + row;
        if self.distances.is_empty() {
            let signal = &self.signals[bar][symbol];
            return if side == Side::Buy { signal.long_levels } else { signal.short_levels };
        }
        let distance = self.distances[bar * self.lanes + symbol];
        if distance > 0.0 {
            let stop_loss_px = tile.close[row * tile.lanes + symbol] - side.sign() * distance;
            AttachedLevels::Prices(Attached { stop_loss_px, ..Attached::NONE })
        } else {
            AttachedLevels::Rejected("stop_distance")
        }
    }
    fn stop_distances(&self) -> Option<(usize, &[f64])> {
        let panel = (self.bars.start * self.lanes, self.bars.end * self.lanes);
        (!self.distances.is_empty()).then(|| (3, &self.distances[panel.0..panel.1]))
    }
}

impl<'a> Masks<'a> {
    fn of(case: &'a RandomCase, distances: &'a [f64]) -> Self {
        let words = case.market.words();
        let mask = |is_set: fn(&RefSignal) -> bool| {
            let mut mask = vec![0_u64; case.signals.len() * words];
            for (bar, row) in case.signals.iter().enumerate() {
                for (symbol, signal) in row.iter().enumerate() {
                    mask[bar * words + symbol / 64] |= u64::from(is_set(signal)) << (symbol % 64);
                }
            }
            mask
        };
        Self {
            words,
            long_entry: mask(|s| s.long_entry),
            long_exit: mask(|s| s.long_exit),
            short_entry: mask(|s| s.short_entry),
            short_exit: mask(|s| s.short_exit),
            levels: Levels { signals: &case.signals, distances, lanes: case.market.lanes(), bars: 0..0 },
            intents: &case.intents,
            never_trails: !trails(case),
            has_levels: !distances.is_empty()
                || !case
                    .signals
                    .iter()
                    .flatten()
                    .all(|s| [s.long_levels, s.short_levels].iter().all(is_none)),
        }
    }
    fn rows(&self, bars: Range<usize>) -> SignalTile<'_> {
        let (first, end) = (bars.start, bars.end);
        let from = self.intents.partition_point(|i| (i.bar as usize) < first);
        let to = self.intents.partition_point(|i| (i.bar as usize) < end);
        let intents = &self.intents[from..to];
        if self.levels.signals.is_empty() {
            return SignalTile { intents, never_trails: self.never_trails, ..SignalTile::default() };
        }
        let rows = first * self.words..end * self.words;
        SignalTile {
            long_entry: Some(&self.long_entry[rows.clone()]),
            long_exit: Some(&self.long_exit[rows.clone()]),
            short_entry: Some(&self.short_entry[rows.clone()]),
            short_exit: Some(&self.short_exit[rows]),
            values: self.has_levels.then_some(&self.levels as &dyn PointValues),
            intents,
            never_trails: self.never_trails,
        }
    }
}

/// Whether anything in a case carries a trailing stop.
fn trails(case: &RandomCase) -> bool {
    let of_signal = |levels: &AttachedLevels| match levels {
        AttachedLevels::Prices(levels) => !levels.trail_px.is_nan(),
        AttachedLevels::Rejected(_) => false,
    };
    let mut signals = case.signals.iter().flatten();
    signals.any(|signal| of_signal(&signal.long_levels) || of_signal(&signal.short_levels))
        || case.intents.iter().any(|intent| !intent.attached.trail_px.is_nan())
}

/// Whether an entry carries nothing.
fn is_none(levels: &AttachedLevels) -> bool {
    match levels {
        AttachedLevels::Rejected(_) => false,
        AttachedLevels::Prices(levels) => {
            [levels.stop_loss_px, levels.take_profit_px, levels.trail_px].iter().all(|px| px.is_nan())
        }
    }
}

/// The masks as the engine's signal source: it remembers which bars were stepped last.
struct Source<'a> {
    masks: Masks<'a>,
}

impl SignalSource for Source<'_> {
    fn step(&mut self, _market: &Market, tile: &Tile<'_>) {
        self.masks.levels.bars = tile.bar0..tile.bar0 + tile.rows;
    }
    fn trial(&self, _trial: usize) -> SignalTile<'_> {
        self.masks.rows(self.masks.levels.bars.clone())
    }
}

/// Runs a random case in tiles of so many bars.
pub(crate) fn run_case<R: Recorder>(case: &RandomCase, tile_rows: usize, recorder: R) -> R {
    run_case_to_the_end(case, tile_rows, recorder).0
}

/// The same, with the account it ends with.
pub(crate) fn run_case_to_the_end<R: Recorder>(
    case: &RandomCase,
    tile_rows: usize,
    recorder: R,
) -> (R, Account) {
    run_case_with(case, tile_rows, &[], false, recorder)
}

/// The same, where entries carry stops at these distances `[bar][lane]` (empty: what the case has), and with the prices
/// of orders and stops made beforehand, as sweeps do.
pub(crate) fn run_case_with<R: Recorder>(
    case: &RandomCase,
    tile_rows: usize,
    distances: &[f64],
    quotes: bool,
    mut recorder: R,
) -> (R, Account) {
    let mut source = Source { masks: Masks::of(case, distances) };
    let options = RunOptions { tile_bars: tile_rows, quotes, on_tile: &mut |_| true };
    let account =
        run_account(&case.market, case.run.clone(), &case.plan, &mut source, &mut recorder, options)
            .expect("not interrupted");
    (recorder, account)
}
