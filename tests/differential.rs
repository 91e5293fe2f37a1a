//! The engine against the reference engine on random markets (semantics 10.3), and against itself over tile sizes.
//!
//! Fills must be the same in every field and in the same order; money to 1e-9. A failure prints the seed, the market's
//! size and the first event that differs, with what came before it.

mod common;
mod reference;

use barloom::engine::api::{
    AttachedLevels, FillFlags, OrderIntent, OrderStatus, PointValues, Recorder, Side, SignalTile,
};
use barloom::engine::{RunOptions, run_account};
use barloom::market::{Market, Tile};
use barloom::reporting::{RunRecorder, check_invariants};
use barloom::signals::SignalSource;
use common::engine_run::Notes;
use common::random_market::{RandomCase, Scope};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use reference::{RefFill, RefFunding, RefInsurance, RefOrderEnd, RefResult, RefSignal, RefSignals, run};
use std::fmt::Debug;

/// The signals of a case as masks over the whole grid, from which every tile takes its rows.
struct Masks<'a> {
    words: usize,
    long_entry: Vec<u64>,
    long_exit: Vec<u64>,
    short_entry: Vec<u64>,
    short_exit: Vec<u64>,
    levels: Levels<'a>,
    intents: &'a [OrderIntent],
}

struct Levels<'a>(&'a RefSignals);

impl PointValues for Levels<'_> {
    fn attached_levels(&self, tile: &Tile<'_>, row: usize, symbol: usize, side: Side) -> AttachedLevels {
        let signal = &self.0[tile.bar0 + row][symbol];
        if side == Side::Buy { signal.long_levels } else { signal.short_levels }
    }
}

impl<'a> Masks<'a> {
    fn of(case: &'a RandomCase) -> Self {
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
            levels: Levels(&case.signals),
            intents: &case.intents,
        }
    }
    fn rows(&self, bars: std::ops::Range<usize>) -> SignalTile<'_> {
        let (first, end) = (bars.start, bars.end);
        let from = self.intents.partition_point(|i| (i.bar as usize) < first);
        let to = self.intents.partition_point(|i| (i.bar as usize) < end);
        let intents = &self.intents[from..to];
        if self.levels.0.is_empty() {
            return SignalTile { intents, ..SignalTile::default() };
        }
        let rows = first * self.words..end * self.words;
        SignalTile {
            long_entry: Some(&self.long_entry[rows.clone()]),
            long_exit: Some(&self.long_exit[rows.clone()]),
            short_entry: Some(&self.short_entry[rows.clone()]),
            short_exit: Some(&self.short_exit[rows]),
            values: Some(&self.levels),
            intents,
            never_trails: false,
        }
    }
}

/// The only place that calls the engine.
fn run_engine<R: Recorder>(case: &RandomCase, tile_rows: usize, mut recorder: R) -> R {
    let mut source = Source { masks: Masks::of(case), current: None };
    let options = RunOptions { tile_bars: tile_rows, on_tile: &mut |_| true };
    run_account(&case.market, case.run.clone(), &case.plan, &mut source, &mut recorder, options)
        .expect("not interrupted");
    recorder
}

fn engine_result(case: &RandomCase, tile_rows: usize) -> RefResult {
    run_engine(case, tile_rows, Notes::default()).0
}

/// The masks as the engine's signal source: it remembers which bars were stepped last.
struct Source<'a> {
    masks: Masks<'a>,
    current: Option<std::ops::Range<usize>>,
}

impl SignalSource for Source<'_> {
    fn step(&mut self, _market: &Market, tile: &Tile<'_>) {
        self.current = Some(tile.bar0..tile.bar0 + tile.rows);
    }
    fn trial(&self, _trial: usize) -> SignalTile<'_> {
        self.masks.rows(self.current.clone().expect("stepped before it is asked"))
    }
}

/// Relative to the larger of the value, the capital and 1.
fn is_near(found: f64, expected: f64, scale: f64) -> bool {
    found == expected || (found.is_nan() && expected.is_nan()) || {
        (found - expected).abs() <= 1e-9 * expected.abs().max(scale)
    }
}

/// The flags that the reference sets too.
fn told(flags: FillFlags) -> u16 {
    flags.0 & !FillFlags::STALE_MARK.0
}

fn same_fill(case: &RandomCase, found: &RefFill, expected: &RefFill) -> bool {
    let capital = case.plan.initial_capital_usdt.max(1.0);
    // On a tick grid prices are equal bit for bit. Without one nothing rounds away the last digit of the price chain.
    let on_grid =
        case.market.symbols[expected.symbol].contract.tick.is_some() && case.plan.execution.round_to_tick;
    let same_price = if on_grid {
        found.price.to_bits() == expected.price.to_bits()
    } else {
        (found.price - expected.price).abs() <= 1e-12 * expected.price
    };
    same_price
        && (found.bar, found.symbol, found.order_id) == (expected.bar, expected.symbol, expected.order_id)
        && (found.side, found.reason, found.liquidity) == (expected.side, expected.reason, expected.liquidity)
        && (told(found.flags), found.regime) == (told(expected.flags), expected.regime)
        && (found.qty, found.position_after) == (expected.qty, expected.position_after)
        && (found.base_px - expected.base_px).abs() <= 1e-12 * expected.base_px
        && is_near(found.slippage_bps, expected.slippage_bps, 1.0)
        && is_near(found.participation, expected.participation, 1e-9)
        && is_near(found.avg_entry_after, expected.avg_entry_after, 0.0)
        && is_near(found.fee_usdt, expected.fee_usdt, capital)
        && is_near(found.realized_usdt, expected.realized_usdt, capital)
}

fn same_funding(case: &RandomCase, found: &RefFunding, expected: &RefFunding) -> bool {
    (found.bar, found.symbol, found.record) == (expected.bar, expected.symbol, expected.record)
        && is_near(found.cash_usdt, expected.cash_usdt, case.plan.initial_capital_usdt.max(1.0))
}

fn same_insurance(case: &RandomCase, found: &RefInsurance, expected: &RefInsurance) -> bool {
    (found.bar, found.symbol) == (expected.bar, expected.symbol)
        && is_near(found.amount_usdt, expected.amount_usdt, case.plan.initial_capital_usdt.max(1.0))
}

/// The contract names the codes of rejections and cancellations; what other ends are called is free.
fn same_end(_: &RandomCase, found: &RefOrderEnd, expected: &RefOrderEnd) -> bool {
    let has_code = matches!(expected.status, OrderStatus::Rejected | OrderStatus::Cancelled);
    (found.order_id, found.bar, found.end_bar) == (expected.order_id, expected.bar, expected.end_bar)
        && (found.symbol, found.side, found.status) == (expected.symbol, expected.side, expected.status)
        && (!has_code || found.reason == expected.reason)
}

/// The first event that differs, after the two before it.
fn compare_events<T: Debug>(
    what: &str,
    case: &RandomCase,
    found: &[T],
    expected: &[T],
    same: fn(&RandomCase, &T, &T) -> bool,
) -> Result<(), String> {
    let at = found.iter().zip(expected).position(|(found, expected)| !same(case, found, expected));
    let at = at.or((found.len() != expected.len()).then_some(found.len().min(expected.len())));
    let Some(at) = at else { return Ok(()) };
    let before = &expected[at.saturating_sub(2)..at];
    Err(format!(
        "{what} {at} of {} (reference: {})\n before: {before:#?}\n engine: {:#?}\n reference: {:#?}\n plan: {:#?}",
        found.len(),
        expected.len(),
        found.get(at),
        expected.get(at),
        case.plan,
    ))
}

fn compare_curves(what: &str, case: &RandomCase, found: &[f64], expected: &[f64]) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("{what}: {} bars, expected {}", found.len(), expected.len()));
    }
    let scale = case.plan.initial_capital_usdt.max(1.0);
    match found.iter().zip(expected).position(|(&found, &expected)| !is_near(found, expected, scale)) {
        None => Ok(()),
        Some(bar) => {
            let at = case.run.start + bar;
            Err(format!("{what} at bar {at}: {}, reference {}", found[bar], expected[bar]))
        }
    }
}

fn compare(case: &RandomCase, mut found: RefResult, mut expected: RefResult) -> Result<(), String> {
    compare_events("fill", case, &found.fills, &expected.fills, same_fill)?;
    compare_events("insurance", case, &found.insurance, &expected.insurance, same_insurance)?;
    compare_events("funding", case, &found.funding, &expected.funding, same_funding)?;
    found.orders.sort_by_key(|end| end.order_id);
    expected.orders.sort_by_key(|end| end.order_id);
    compare_events("order end", case, &found.orders, &expected.orders, same_end)?;
    compare_curves("wallet", case, &found.wallet, &expected.wallet)?;
    compare_curves("unrealized", case, &found.unrealized, &expected.unrealized)?;
    compare_curves("gross", case, &found.gross, &expected.gross)?;
    compare_curves("net", case, &found.net, &expected.net)?;
    compare_curves("equity", case, &found.equity, &expected.equity)?;
    compare_curves("initial margin", case, &found.initial_margin, &expected.initial_margin)?;
    compare_curves("maintenance margin", case, &found.maintenance_margin, &expected.maintenance_margin)
}

/// The same cases on every run, so that a check says something about the change and not about the draw. The soak
/// (`SOAK=1`) draws anew each time; in some 10⁴ cases it meets a price that lies on the very edge of the tick grid's
/// tolerance of 1e-9 ticks, where exact and f64 arithmetic may round to different sides.
fn config() -> ProptestConfig {
    let rng_seed =
        if std::env::var_os("SOAK").is_some() { RngSeed::Random } else { RngSeed::Fixed(20_260_101) };
    ProptestConfig { cases: 300, failure_persistence: None, rng_seed, ..ProptestConfig::default() }
}

/// Cases that once differed: seed, symbols, bars, rows of a tile, scope. One more may be given in `DIFFERENTIAL_CASE`
/// in the same form; if it differs, its orders and fills are told too.
#[test]
fn cases_that_once_differed_agree() {
    let known = include_str!("differential_cases.csv").lines().skip(1).map(str::to_owned);
    let given = std::env::var("DIFFERENTIAL_CASE").ok();
    for line in known.chain(given.clone()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [seed, symbols, bars, tile_rows, scope] = fields[..] else { panic!("{line}: five fields") };
        let scope = match scope {
            "market_orders" => Scope::MarketOrders,
            "all_orders" => Scope::AllOrders,
            "with_funding" => Scope::WithFunding,
            "with_margin" => Scope::WithMargin,
            "with_regimes" => Scope::WithRegimes,
            other => panic!("{other} is no scope"),
        };
        let case =
            RandomCase::within(scope, seed.parse().unwrap(), symbols.parse().unwrap(), bars.parse().unwrap());
        let (found, expected) = (engine_result(&case, tile_rows.parse().unwrap()), run(&case.input()));
        let shown = (given.as_deref() == Some(&line)).then(|| {
            format!(
                "\nintents: {:#?}\nfills: {:#?}\nengine: {:#?}\nreference: {:#?}",
                case.intents, found.fills, found.orders, expected.orders
            )
        });
        if let Err(difference) = compare(&case, found, expected) {
            panic!("{line}: {difference}{}", shown.unwrap_or_default());
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_engine_does_what_the_reference_does(
        seed: u64,
        symbols in 1_usize..=20,
        bars in 20_usize..=300,
        tile_rows in prop::sample::select(vec![1_usize, 7, 64, 256]),
    ) {
        let case = RandomCase::new(seed, symbols, bars);
        let expected = run(&case.input());
        if let Err(difference) = compare(&case, engine_result(&case, tile_rows), expected) {
            return Err(TestCaseError::fail(difference));
        }
    }

    #[test]
    fn orders_of_every_type_do_what_the_reference_does(
        scope in prop::sample::select(vec![
            Scope::AllOrders,
            Scope::WithFunding,
            Scope::WithMargin,
            Scope::WithRegimes,
        ]),
        seed: u64,
        symbols in 1_usize..=20,
        bars in 20_usize..=300,
        tile_rows in prop::sample::select(vec![1_usize, 7, 64, 256]),
    ) {
        let case = RandomCase::within(scope, seed, symbols, bars);
        let expected = run(&case.input());
        if let Err(difference) = compare(&case, engine_result(&case, tile_rows), expected) {
            return Err(TestCaseError::fail(difference));
        }
    }

    #[test]
    fn tile_sizes_do_not_show(seed: u64, symbols in 1_usize..=20, bars in 20_usize..=300) {
        let case = RandomCase::new(seed, symbols, bars);
        let whole = format!("{:?}", engine_result(&case, 256));
        for tile_rows in [1, 7, 64] {
            prop_assert_eq!(&format!("{:?}", engine_result(&case, tile_rows)), &whole, "tiles of {}", tile_rows);
        }
    }

    /// Semantics 4.9, by the checker of reporting, whatever is traded.
    #[test]
    fn recorded_runs_keep_the_invariants(seed: u64, symbols in 1_usize..=20, bars in 20_usize..=300) {
        let case = RandomCase::within(Scope::WithMargin, seed, symbols, bars);
        let capital = case.plan.initial_capital_usdt;
        let recorder = RunRecorder::new(symbols, case.market.grid, case.run.clone(), capital);
        let recorder = run_engine(&case, 64, recorder);
        let found = check_invariants(&recorder, &case.market, case.plan.use_mark);
        prop_assert!(found.is_empty(), "{found:#?}\n plan: {:#?}", case.plan);
    }
}
