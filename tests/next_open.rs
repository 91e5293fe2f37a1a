//! The short way of an order against the long one: what a sweep does without order records, and with prices made for
//! all its trials at once, gives the same bits as a recorded run, event by event.

mod common;
mod reference;

use barloom::config::plan::{CheckInvariants, EntryBeyondStop, Sequencing, Sizing};
use barloom::engine::api::{Fill, FundingPayment, Insurance, MarkRows, OrderEnd, Recorder};
use common::engine_run::{run_case_to_the_end, run_case_with};
use common::random_market::{Dice, RandomCase, Scope};
use proptest::prelude::*;
use reference::RefSignal;

/// What happened, as text: `{:?}` of a number reads back to the same bits.
#[derive(Default)]
struct Story<const RECORDED: bool>(Vec<String>);

impl<const RECORDED: bool> Recorder for Story<RECORDED> {
    const WANTS_ORDERS: bool = RECORDED;

    fn fill(&mut self, fill: &Fill) {
        self.0.push(format!("{fill:?}"));
    }
    fn funding(&mut self, payment: &FundingPayment) {
        self.0.push(format!("{payment:?}"));
    }
    fn insurance(&mut self, payment: &Insurance) {
        self.0.push(format!("{payment:?}"));
    }
    fn order_end(&mut self, _: &OrderEnd) {}
    fn marks(&mut self, rows: &MarkRows<'_>) {
        let MarkRows { bar0, wallet_usdt, unrealized_usdt, gross_usdt, net_usdt, positions, .. } = rows;
        for (at, wallet) in wallet_usdt.iter().enumerate() {
            let rest = (unrealized_usdt[at], gross_usdt[at], net_usdt[at], positions[at]);
            self.0.push(format!("{} {wallet:?} {rest:?}", bar0 + at));
        }
    }
}

/// Takes away what would send every order the long way.
fn plain(case: &mut RandomCase) {
    case.plan.margin = None;
    case.plan.liquidity.enabled = false;
    case.plan.check_invariants = CheckInvariants::End;
    case.plan.slippage.b_bps = 0.0;
    case.plan.slippage.vol_scale = None;
    case.plan.execution.split_large = false;
    let execution = &mut case.plan.execution;
    (execution.participation_cap_frac, execution.clamp_to_bar) = (0.0, false);
    execution.sequencing = Sequencing::Phased;
    execution.entry_beyond_stop = EntryBeyondStop::FillAndStop;
}

/// Takes the levels of all entries, so that whole stretches of bars have nothing but fills.
fn without_levels(case: &mut RandomCase) {
    let none = RefSignal::default();
    for signal in case.signals.iter_mut().flatten() {
        (signal.long_levels, signal.short_levels) = (none.long_levels, none.short_levels);
    }
}

/// Stop distances of all entries, `[bar][lane]`: near enough to be met, often whole ticks, and now and then none.
fn stop_distances(case: &RandomCase, seed: u64) -> Vec<f64> {
    let (market, mut dice) = (&case.market, Dice::new(seed));
    let mut distances = vec![f64::NAN; market.grid.bars * market.lanes()];
    for (at, distance) in distances.iter_mut().enumerate() {
        let (bar, symbol) = (at / market.lanes(), at % market.lanes());
        let Some(of_symbol) = market.symbols.get(symbol) else { continue };
        let close =
            market.panels.close[(market.first_row + bar) * market.panels.lanes + market.lane_of[symbol]];
        let share = dice.whole(1..200) as f64 / 1e4;
        *distance = match (dice.whole(0..10), of_symbol.contract.tick) {
            (0, _) => dice.pick(&[0.0, f64::NAN, -1.0]),
            (1..6, Some(tick)) => dice.whole(1..20) as f64 * tick.size,
            _ => close * share,
        };
    }
    distances
}

/// Without this a comparison of the two ways might compare the long one with itself.
#[test]
fn plain_cases_do_take_the_short_way() {
    let filled = |recorded: bool| -> usize {
        (0..100)
            .map(|seed| {
                let mut case = RandomCase::within(Scope::MarketOrders, seed, 5, 100);
                plain(&mut case);
                let mut account = match recorded {
                    true => run_case_to_the_end(&case, 64, Story::<true>::default()).1,
                    false => run_case_to_the_end(&case, 64, Story::<false>::default()).1,
                };
                account.take_filled_orders()
            })
            .sum()
    };
    assert_eq!(filled(true), 0);
    assert!(filled(false) > 500, "{} orders took the short way", filled(false));
}

/// What the two ways tell of a case.
fn stories(case: &RandomCase, tile_rows: usize, distances: &[f64]) -> [Vec<String>; 2] {
    let long_way = run_case_with(case, tile_rows, distances, false, Story::<true>::default()).0.0;
    [run_case_with(case, tile_rows, distances, true, Story::<false>::default()).0.0, long_way]
}

/// The wallet at the last close.
fn wallet(story: &[String]) -> f64 {
    let last = story.last().and_then(|mark| mark.split(' ').nth(1));
    last.expect("a mark at every close").parse().expect("a number")
}

/// A stretch that turns out to be too long is taken back, with the funding it has paid.
#[test]
fn an_account_may_run_out_of_equity_anywhere() {
    let mut ran_out = 0;
    for seed in 0..400 {
        let mut case = RandomCase::within(Scope::MarketOrders, seed, 12, 120);
        plain(&mut case);
        without_levels(&mut case);
        // Fee by fee.
        case.plan.taker_fee_frac = 0.01;
        case.plan.sizing = Sizing::FixedNotional { notional_usdt: 1_000.0 };
        case.plan.initial_capital_usdt = [100.0, 400.0, 1_500.0][seed as usize % 3];
        let distances = if seed % 2 == 0 { stop_distances(&case, seed) } else { Vec::new() };
        let [short_way, long_way] = stories(&case, 256, &distances);
        assert_eq!(short_way, long_way, "seed {seed}");
        ran_out += usize::from(wallet(&long_way) < 0.0);
    }
    assert!(ran_out > 50, "{ran_out} accounts ran out of equity");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sweep_fills_what_a_recorded_run_fills(
        scope in prop::sample::select(&Scope::ALL[..]),
        is_plain in prop::bool::weighted(0.8),
        levels in 0..3,
        seed: u64,
        symbols in 1_usize..=70,
        bars in 20_usize..=120,
        tile_rows in prop::sample::select(vec![1_usize, 7, 64, 256]),
        limit_usdt in prop::sample::select(vec![0.0, 0.0, 0.0, 1_000.0]),
        is_poor in prop::bool::weighted(0.3),
    ) {
        let mut case = RandomCase::within(scope, seed, symbols, bars);
        if is_plain {
            plain(&mut case);
        }
        if levels > 0 {
            without_levels(&mut case);
        }
        let distances = if levels == 2 { stop_distances(&case, seed) } else { Vec::new() };
        case.plan.max_position_notional_usdt = limit_usdt;
        // So little that it may be gone within the run.
        if is_poor {
            case.plan.initial_capital_usdt *= 0.01;
        }
        let [short_way, long_way] = stories(&case, tile_rows, &distances);
        for (found, expected) in short_way.iter().zip(&long_way) {
            prop_assert_eq!(found, expected);
        }
        prop_assert_eq!(short_way.len(), long_way.len());
    }
}
