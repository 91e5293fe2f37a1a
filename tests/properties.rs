//! Properties of semantics 10.6 that concern sections 1 to 4: of fills, of orders, of rounding, of margin, of trails.
//!
//! That random order streams keep the invariants of 4.9 is in `differential`.

mod common;
mod reference;

use std::collections::HashMap;

use barloom::engine::api::{
    Attached, Fill, FillReason, FundingPayment, Insurance, MarkRows, NO_ORDER, OrderEnd, OrderIntent,
    OrderKind, Recorder, Side,
};
use barloom::execution::levels::Levels;
use barloom::execution::rules::SymbolRules;
use barloom::market::{BracketTable, Contract, StepGrid};
use barloom::portfolio::Lane;
use barloom::reporting::episodes::EpisodeBook;
use barloom::reporting::{LotMethod, RunRecorder, fills_by};
use barloom::risk::margin::{Exposed, LiquidationPrice};
use common::engine_run::{run_case, run_orders};
use common::random_market::{Dice, RandomCase, Scope};
use common::{SymbolBars, bare_plan, market_from_bars, market_order};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The fills as the engine tells them.
#[derive(Default)]
struct Fills(Vec<Fill>);

impl Recorder for Fills {
    const WANTS_ORDERS: bool = false;
    fn fill(&mut self, fill: &Fill) {
        self.0.push(*fill);
    }
    fn funding(&mut self, _: &FundingPayment) {}
    fn insurance(&mut self, _: &Insurance) {}
    fn order_end(&mut self, _: &OrderEnd) {}
    fn marks(&mut self, _: &MarkRows<'_>) {}
}

/// How far a price may lie beyond a level it was rounded to: the tolerance of the tick grid.
fn slack_px(case: &RandomCase, fill: &Fill) -> f64 {
    let tick = case.market.symbols[fill.symbol as usize].contract.tick;
    1e-12 * fill.price + tick.map_or(0.0, |tick| 1e-8 * tick.size)
}

/// Stops of the positions as their orders attach them (semantics 2.12), followed from fill to fill; `None` where a trail
/// may have moved them.
#[derive(Default)]
struct Stops(HashMap<u32, Option<f64>>);

impl Stops {
    /// Stops are never filled better than their triggers as asked for.
    fn check(
        &mut self,
        case: &RandomCase,
        fill: &Fill,
        order: Option<&OrderIntent>,
    ) -> Result<(), TestCaseError> {
        use FillReason::*;
        let trigger_px = match fill.reason {
            StopEntry | StopEntryGap => order.map(|order| order.price_px),
            StopLoss | StopLossGap | StopLossEntryBar => self.0.get(&fill.symbol).copied().flatten(),
            _ => None,
        };
        let s = fill.side.sign();
        for trigger_px in trigger_px.into_iter().chain([fill.trigger_px]) {
            let is_better = s * (fill.price - trigger_px) < -slack_px(case, fill);
            prop_assert!(!is_better, "{trigger_px}: {fill:#?}");
        }
        let (before, after) = (fill.position_before, fill.position_after);
        if after == 0.0 || before * after <= 0.0 {
            self.0.insert(fill.symbol, Some(f64::NAN));
        }
        if let Some(order) = order.filter(|_| s * after > 0.0) {
            let stop = self.0.entry(fill.symbol).or_insert(Some(f64::NAN));
            if !order.attached.trail_px.is_nan() {
                *stop = None;
            } else if !order.attached.stop_loss_px.is_nan() {
                *stop = stop.map(|_| order.attached.stop_loss_px);
            }
        }
        Ok(())
    }
}

/// Limit orders are never filled worse than they asked for.
fn check_limit(case: &RandomCase, fill: &Fill, order: &OrderIntent) -> Result<(), TestCaseError> {
    let limit_px = match order.kind {
        OrderKind::Market | OrderKind::Stop => return Ok(()),
        OrderKind::Limit => order.price_px,
        OrderKind::StopLimit => order.limit_px,
    };
    prop_assert!(fill.side.sign() * (fill.price - limit_px) <= slack_px(case, fill), "{limit_px}: {fill:#?}");
    Ok(())
}

/// What may only reduce does: no growth, no other side.
fn check_reduction(fill: &Fill, order: Option<&OrderIntent>) -> Result<(), TestCaseError> {
    use FillReason::*;
    let of_the_engine =
        matches!(
            fill.reason,
            StopLoss
                | StopLossGap
                | StopLossEntryBar
                | Trail
                | TakeProfit
                | TakeProfitOpen
                | TakeProfitMarketable
        ) || matches!(fill.reason, Liquidation | MarginTrim | FundingExit | Delist | SeriesEnd | EndOfRun);
    if of_the_engine || order.is_some_and(|order| order.reduce_only || order.close_position) {
        let (before, after) = (fill.position_before, fill.position_after);
        prop_assert!(after.abs() < before.abs() && before * after >= 0.0, "{fill:#?}");
    }
    Ok(())
}

fn config(cases: u32) -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(20_260_102);
    ProptestConfig { cases, failure_persistence: None, rng_seed, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn fills_keep_what_orders_ask_for(seed: u64, symbols in 1_usize..12, bars in 20_usize..300) {
        let case = RandomCase::within(Scope::WithOptions, seed, symbols, bars);
        let orders: HashMap<u32, &OrderIntent> =
            case.intents.iter().map(|intent| (intent.order_id, intent)).collect();
        let mut stops = Stops::default();
        for fill in run_case(&case, 64, Fills::default()).0 {
            let order = if fill.order_id == NO_ORDER { None } else { orders.get(&fill.order_id).copied() };
            stops.check(&case, &fill, order)?;
            check_reduction(&fill, order)?;
            let Some(order) = order else { continue };
            check_limit(&case, &fill, order)?;
            let last_bar = if order.ttl_bars == 0 { u32::MAX } else { order.bar + order.ttl_bars };
            prop_assert!((order.bar + 1..=last_bar).contains(&fill.bar), "{order:#?} {fill:#?}");
            prop_assert_eq!((order.symbol, order.side), (fill.symbol, fill.side));
            if case.plan.execution.split_large {
                let rules = SymbolRules::new(&case.market.symbols[fill.symbol as usize].contract);
                prop_assert!(rules.step.in_steps(fill.qty) <= rules.slice_steps(order.kind), "{fill:#?}");
            }
        }
    }

    /// Semantics 4.2: lots and average entry realise the same over every episode.
    #[test]
    fn lots_realise_the_same_by_episode(seed: u64, symbols in 1_usize..6, bars in 20_usize..200) {
        let case = RandomCase::within(Scope::WithOptions, seed, symbols, bars);
        let capital = case.plan.initial_capital_usdt;
        let recorder = RunRecorder::new(symbols, case.market.grid, case.run.clone(), capital);
        let recorder = run_case(&case, 64, recorder);
        let [booked, by_lots] = [LotMethod::Average, LotMethod::Fifo].map(|method| {
            let mut book = EpisodeBook::new(symbols);
            let fills = fills_by(method, &recorder, &case.market);
            fills.iter().filter_map(|fill| book.fill(fill)).collect::<Vec<_>>()
        });
        prop_assert_eq!(booked.len(), by_lots.len());
        for (booked, by_lots) in booked.iter().zip(&by_lots) {
            let (expected, found) = (booked.episode.realized_usdt, by_lots.episode.realized_usdt);
            prop_assert!((found - expected).abs() <= 1e-9 * capital, "{found}, expected {expected}");
        }
    }

    /// Semantics 4.6, on tables of the published form.
    #[test]
    fn maintenance_margin_is_continuous_and_increases(seed: u64, share in 0.0..1.0_f64) {
        for table in tables(seed) {
            for bracket in table.brackets.iter().filter(|bracket| bracket.cap_usdt.is_finite()) {
                let edge = bracket.cap_usdt;
                let (at, above) = (table.maintenance_usdt(edge), table.maintenance_usdt(edge * (1.0 + 1e-12)));
                prop_assert!((above - at).abs() <= 1e-10 * at, "{edge}: {at}, {above}");
                let inside = bracket.floor_usdt + share * (bracket.cap_usdt - bracket.floor_usdt);
                let more = table.maintenance_usdt(inside * 1.01 + 1.0);
                prop_assert!(more > table.maintenance_usdt(inside), "{inside}");
            }
            prop_assert_eq!(table.maintenance_usdt(0.0), 0.0);
        }
    }

    /// Semantics 4.7: at the liquidation price equity is the maintenance margin, beyond it less, before it more.
    #[test]
    fn the_liquidation_price_solves_its_equation(
        seed: u64,
        is_long: bool,
        notional in 1.0..100_000.0_f64,
        entry_px in 1e-4..1e5_f64,
        leverage in 1.0..50.0_f64,
        other_maintenance in 0.0..0.2_f64,
        other_unrealized in -0.3..0.3_f64,
    ) {
        let side = if is_long { 1.0 } else { -1.0 };
        let wallet_usdt = notional / leverage;
        let position = Exposed {
            qty: side * notional / entry_px,
            entry_px,
            wallet_usdt,
            other_maintenance_usdt: other_maintenance * wallet_usdt,
            other_unrealized_usdt: other_unrealized * wallet_usdt,
        };
        for table in tables(seed) {
            let spare_at = |px: f64| {
                let equity = wallet_usdt + position.other_unrealized_usdt + position.qty * (px - entry_px);
                let maintenance = table.maintenance_usdt(position.qty.abs() * px);
                equity - maintenance - position.other_maintenance_usdt
            };
            match position.liquidation_px(&table) {
                LiquidationPrice::At(px) => {
                    let scale = position.qty.abs() * (px + entry_px) + wallet_usdt;
                    prop_assert!(spare_at(px).abs() <= 1e-9 * scale, "{px}: {}", spare_at(px));
                    prop_assert!(spare_at(px * (1.0 - 1e-6 * side)) < 0.0);
                    prop_assert!(spare_at(px * (1.0 + 1e-6 * side)) > 0.0);
                    prop_assert!(side * (px - position.bankruptcy_px()) > 0.0 || other_maintenance == 0.0);
                }
                // A long that keeps its margin even at 0, and a short that has none even there.
                LiquidationPrice::Never => prop_assert!(is_long && spare_at(0.0) >= -1e-9 * notional),
                LiquidationPrice::Already => prop_assert!(!is_long && spare_at(0.0) <= 1e-9 * notional),
            }
        }
    }

    #[test]
    fn rounding_is_idempotent_and_has_a_side(
        size in prop::sample::select(vec![0.1, 0.05, 0.01, 0.025, 1e-4, 1e-7, 1e-8, 5.0, 0.003, 250.0]),
        steps in 1.0..1e7_f64,
        buys: bool,
    ) {
        let rules = SymbolRules::new(&Contract { tick: Some(StepGrid::new(size)), ..Contract::default() });
        let (px, side) = (steps * size, if buys { Side::Buy } else { Side::Sell });
        let s = side.sign();
        let close = 1e-12 * px + 1e-8 * size;
        for (round, adverse) in
            [(SymbolRules::round_fill as fn(&_, _, _) -> f64, s), (SymbolRules::round_stop, s), (SymbolRules::round_limit, -s)]
        {
            let rounded = round(&rules, px, side);
            prop_assert_eq!(round(&rules, rounded, side).to_bits(), rounded.to_bits());
            prop_assert_eq!(round(&rules, rounded, side.opposite()).to_bits(), rounded.to_bits());
            prop_assert!(adverse * (rounded - px) >= -close && (rounded - px).abs() < size + close, "{rounded}, {px}");
        }
        let step = StepGrid::new(size);
        let whole = step.value(step.steps_toward_zero(s * px));
        prop_assert!(whole.abs() <= px + close && step.value(step.steps_toward_zero(whole)) == whole);
    }

    /// Semantics 2.7: whatever a trail proposes, its stop never loosens.
    #[test]
    fn a_trailing_stop_never_loosens(is_long: bool, proposals in prop::collection::vec(1.0..100.0_f64, 1..50)) {
        let s = if is_long { 1.0 } else { -1.0 };
        let mut levels = Levels::new(8, 1);
        let lane = Lane::of(3);
        levels.begin_episode(lane, 50.0);
        levels.attach_trail(lane, 1.0, f64::NAN);
        let mut tightest = s * f64::NEG_INFINITY;
        for stop_px in proposals {
            levels.ratchet(lane, is_long, stop_px);
            levels.ratchet(lane, is_long, f64::NAN);
            tightest = if is_long { tightest.max(stop_px) } else { tightest.min(stop_px) };
            prop_assert_eq!(levels.stop_loss_px[3], tightest);
        }
    }

    /// Semantics 2.7 by a plain loop in whole ticks: where a trailing stop takes an entry at the open of bar 1 out.
    #[test]
    fn a_trail_follows_the_extreme_of_finished_bars(seed: u64, is_long: bool, distance in 1_i64..200) {
        let mut dice = Dice::new(seed);
        let mut last = 5_000_i64;
        let bars: Vec<[i64; 4]> = (0..60).map(|_| {
            let mut near = |px: i64| px + dice.whole(0..81) as i64 - 40;
            let (open, close) = (near(last), near(last));
            let (one, other) = (near(last), near(last));
            last = close;
            let all = [open, close, one, other];
            [open, *all.iter().max().unwrap(), *all.iter().min().unwrap(), close]
        }).collect();
        let s = if is_long { 1 } else { -1 };
        let mut water = bars[1][0];
        let mut expected = None;
        for (number, &[open, high, low, _]) in bars.iter().enumerate().skip(1) {
            let (best, worst) = if is_long { (high, low) } else { (low, high) };
            let stop = water - s * distance;
            if number > 1 && s * (worst - stop) <= 0 {
                expected = Some((number, if s * (open - stop) <= 0 { open } else { stop }));
                break;
            }
            water = if is_long { water.max(best) } else { water.min(best) };
        }
        let px = |ticks: i64| ticks as f64 / 10.0;
        let contract = Contract { tick: Some(StepGrid::new(0.1)), step: StepGrid::new(1.0), ..Contract::default() };
        let ohlcv = |&[open, high, low, close]: &[i64; 4]| Some([px(open), px(high), px(low), px(close), 1e6]);
        let symbol = SymbolBars { name: "AAA".into(), contract, bars: bars.iter().map(ohlcv).collect() };
        let side = if is_long { Side::Buy } else { Side::Sell };
        let attached = Attached { trail_px: px(distance), ..Attached::NONE };
        let entry = OrderIntent { attached, ..market_order(0, 0, 0, side, 1.0) };
        let result = run_orders(&market_from_bars(&[symbol], &[]), &bare_plan(), &[entry]);
        let exits: Vec<_> = result.fills[1..].iter().map(|fill| (fill.bar, fill.price)).collect();
        prop_assert_eq!(exits, expected.map(|(bar, ticks)| (bar, px(ticks))).into_iter().collect::<Vec<_>>());
    }
}

/// Brackets of a random market.
fn tables(seed: u64) -> Vec<BracketTable> {
    let case = RandomCase::within(Scope::WithMargin, seed, 3, 20);
    let own = case.market.symbols.into_iter().flat_map(|symbol| symbol.brackets);
    own.chain([BracketTable::fallback(10.0)]).collect()
}
