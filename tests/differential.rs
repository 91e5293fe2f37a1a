//! The engine against the reference engine on random markets (semantics 10.3), and against itself over tile sizes.
//!
//! Fills must be the same in every field and in the same order; money to 1e-9. A failure prints the first event that
//! differs, with what came before it, and the line that makes the case again.

mod common;
mod reference;
mod soak;

use barloom::data::{Bar, LoadOptions, MemorySymbol, market_from_memory, open_market};
use barloom::engine::api::{FillFlags, FillReason, OrderStatus};
use barloom::market::Market;
use barloom::reporting::{RunRecorder, TrialStats, check_invariants};
use common::engine_run::{Notes, run_case};
use common::random_market::{Dice, RandomCase, Scope};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use reference::{RefFill, RefFunding, RefInsurance, RefOrderEnd, RefResult, run};
use soak::{Line, soak};
use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

fn engine_result(case: &RandomCase, tile_rows: usize) -> RefResult {
    run_case(case, tile_rows, Notes::default()).0
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
    // A liquidation price is money over quantity: the last digit of a wallet over a tiny quantity is many of a price.
    let of_money = match expected.reason {
        FillReason::Liquidation => 1e-13 * capital / expected.qty,
        _ => 0.0,
    };
    let is_near_px = |found: f64, expected: f64| (found - expected).abs() <= 1e-12 * expected + of_money;
    let same_price = if on_grid {
        found.price.to_bits() == expected.price.to_bits()
    } else {
        is_near_px(found.price, expected.price)
    };
    same_price
        && (found.bar, found.symbol, found.order_id) == (expected.bar, expected.symbol, expected.order_id)
        && (found.side, found.reason, found.liquidity) == (expected.side, expected.reason, expected.liquidity)
        && (told(found.flags), found.regime) == (told(expected.flags), expected.regime)
        && (found.qty, found.position_after) == (expected.qty, expected.position_after)
        && is_near_px(found.base_px, expected.base_px)
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
    (found.bar, found.symbol, found.ruins) == (expected.bar, expected.symbol, expected.ruins)
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
    compare_curves("maintenance margin", case, &found.maintenance_margin, &expected.maintenance_margin)?;
    // What is left of a margin may be next to nothing: its reciprocal is what two sums agree on.
    let reciprocal = |ratios: &[f64]| ratios.iter().map(|ratio| 1.0 / ratio).collect::<Vec<_>>();
    let [found, expected] = [&found, &expected].map(|result| reciprocal(&result.isolated_ratio));
    compare_curves("reciprocal of the largest margin ratio", case, &found, &expected)
}

/// Cases of CI, always the same, so that a check says something about the change and not about the draw.
const CI_CASES: u64 = 10_000;
const CI_SEED: u64 = 20_260_101;

/// What differs between the two engines in a case.
fn difference(line: &Line) -> Option<String> {
    let case = line.case();
    compare(&case, engine_result(&case, line.tile_rows), run(&case.input())).err()
}

/// `SOAK_CASES` of new seeds, or of `SOAK_SEED`, in place of those of CI: `just soak`.
#[test]
fn random_cases_agree() {
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let cases = given("SOAK_CASES");
    let new_seed = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let seed = given("SOAK_SEED").unwrap_or_else(|| cases.map_or(CI_SEED, |_| new_seed()));
    if let Err((line, difference)) = soak(seed, cases.unwrap_or(CI_CASES), cases.is_some(), &difference) {
        panic!("{difference}\n\nonce it is understood, a line for tests/differential_cases.csv:\n{line}");
    }
}

/// Cases that once differed. One more may be given in `DIFFERENTIAL_CASE` in the form of a line; if it differs, its orders
/// and fills are told too.
#[test]
fn cases_that_once_differed_agree() {
    let known = include_str!("differential_cases.csv").lines().skip(1).map(str::to_owned);
    let given = std::env::var("DIFFERENTIAL_CASE").ok();
    for text in known.chain(given.clone()) {
        let line: Line = text.parse().unwrap();
        let case = line.case();
        let (found, expected) = (engine_result(&case, line.tile_rows), run(&case.input()));
        let shown = (given.as_deref() == Some(&text)).then(|| {
            format!(
                "\nintents: {:#?}\nfills: {:#?}\nengine: {:#?}\nreference: {:#?}",
                case.intents, found.fills, found.orders, expected.orders
            )
        });
        if let Err(difference) = compare(&case, found, expected) {
            panic!("{text}: {difference}{}", shown.unwrap_or_default());
        }
    }
}

/// A window of a market as a market of its own.
fn window(market: &Market, first: usize, bars: usize) -> Market {
    let (panels, grid) = (&market.panels, market.grid);
    let symbols = market.symbols.iter().enumerate().map(|(id, symbol)| {
        let at = |bar: usize| (market.first_row + bar) * panels.lanes + market.lane_of[id];
        let present = (first..first + bars).filter(|&bar| !panels.close[at(bar)].is_nan());
        let bar_of = |bar: usize| Bar {
            ts_ms: grid.open_ms(bar),
            open: panels.open[at(bar)],
            high: panels.high[at(bar)],
            low: panels.low[at(bar)],
            close: panels.close[at(bar)],
            volume: panels.volume[at(bar)],
            quote_volume: None,
            mark: None,
        };
        let records = market.funding.records.iter().filter(|record| {
            record.symbol as usize == id && (first + 1..first + bars).contains(&(record.bar as usize))
        });
        MemorySymbol {
            name: symbol.name.clone(),
            contract: symbol.contract.clone(),
            brackets: symbol.brackets.clone(),
            bars: present.map(bar_of).collect(),
            funding: records.map(|record| (record.time_ms, record.rate_frac, Some(record.mark_px))).collect(),
        }
    });
    let listed = symbols.filter(|symbol| !symbol.bars.is_empty()).collect();
    market_from_memory(grid.step_ms, listed).expect("real data are valid")
}

/// The same on real bars, where there are any beside the project.
#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn windows_of_real_bars_agree() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/long");
    if !dir.is_dir() {
        eprintln!("skipped: no real market data beside the project (../shared/data/long)");
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let options = LoadOptions { store_dir: Some(store.path().into()), ..LoadOptions::default() };
    let market = open_market(&dir, &[], &options, &mut |_| ()).unwrap();
    for number in 0..60_usize {
        let first = number * 797 % (market.grid.bars - 250);
        let scope = Scope::ALL[number % Scope::ALL.len()];
        let case = RandomCase::over(window(&market, first, 250), scope, Dice::new(number as u64));
        if let Err(difference) = compare(&case, engine_result(&case, 64), run(&case.input())) {
            panic!("{scope:?} from bar {first}: {difference}");
        }
    }
}

/// Every position for itself. Without counting what the cases bring about, nothing would show that they bring it about.
#[test]
fn isolated_margin_does_what_the_reference_does() {
    let is_soak = std::env::var_os("SOAK").is_some();
    let first = if is_soak { RandomState::new().build_hasher().finish() } else { 20_260_101 };
    let [mut liquidations, mut beside_others, mut debts, mut ruins, mut trims, mut cut] = [0; 6];
    for number in 0..if is_soak { 1_000 } else { 300 } {
        let seed = first.wrapping_add(number);
        let mut dice = Dice::new(!seed);
        let (symbols, bars) = (dice.whole(1..21), dice.whole(20..301));
        let tile_rows = dice.pick(&[1, 7, 64, 256]);
        let case = RandomCase::within(Scope::Isolated, seed, symbols, bars);
        let found = engine_result(&case, tile_rows);
        let liquidated = |fill: &&RefFill| fill.reason == FillReason::Liquidation;
        liquidations += found.fills.iter().filter(liquidated).count();
        let goes_on = |fill: &RefFill| {
            let mut later = found.fills.iter().filter(|later| later.bar > fill.bar);
            later.any(|later| later.symbol != fill.symbol)
        };
        beside_others += found.fills.iter().filter(liquidated).filter(|fill| goes_on(fill)).count();
        debts += found.insurance.iter().filter(|payment| !payment.ruins).count();
        ruins += found.insurance.iter().filter(|payment| payment.ruins).count();
        trims += found.fills.iter().filter(|fill| fill.reason == FillReason::MarginTrim).count();
        cut += found.orders.iter().filter(|end| end.reason == "margin").count();
        if let Err(difference) = compare(&case, found, run(&case.input())) {
            panic!("{seed},{symbols},{bars},{tile_rows},isolated: {difference}");
        }
    }
    if !is_soak {
        let found = [liquidations, beside_others, debts, ruins, trims, cut];
        let enough = [debts + 100, 500, 300, 1, 300, 3_000];
        assert!(
            found.iter().zip(&enough).all(|(found, enough)| found >= enough),
            "{found:?}, not {enough:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(CI_SEED),
        ..ProptestConfig::default()
    })]

    #[test]
    fn tile_sizes_do_not_show(
        scope in prop::sample::select(&Scope::ALL[..]),
        seed: u64,
        symbols in 1_usize..=10,
        bars in 20_usize..=150,
    ) {
        let case = RandomCase::within(scope, seed, symbols, bars);
        let whole = format!("{:?}", engine_result(&case, 256));
        for tile_rows in [1, 7, 64] {
            prop_assert_eq!(&format!("{:?}", engine_result(&case, tile_rows)), &whole, "tiles of {}", tile_rows);
        }
    }

    /// Semantics 4.9, by the checker of reporting, whatever is traded.
    #[test]
    fn recorded_runs_keep_the_invariants(
        scope in prop::sample::select(vec![Scope::WithMargin, Scope::WithOptions, Scope::Isolated]),
        seed: u64,
        symbols in 1_usize..=20,
        bars in 20_usize..=300,
    ) {
        let case = RandomCase::within(scope, seed, symbols, bars);
        let capital = case.plan.initial_capital_usdt;
        let recorder = RunRecorder::new(symbols, case.market.grid, case.run.clone(), capital);
        let recorder = run_case(&case, 64, recorder);
        let found = check_invariants(&recorder, &case.market, case.plan.use_mark);
        prop_assert!(found.is_empty(), "{found:#?}\n plan: {:#?}", case.plan);
        // A sweep asks for less, and marks in one go whatever may be.
        let alone = run_case(&case, 64, TrialStats::new(symbols, case.market.grid, case.run.clone(), capital));
        prop_assert_eq!(format!("{:?}", alone.finish()), format!("{:?}", recorder.metrics()));
    }
}
