//! Random rules on random markets with gaps and late listings, against the naive evaluator.

use std::cell::Cell;
use std::collections::BTreeMap;

use barloom::engine::api::{Attached, AttachedLevels, Side};
use barloom::market::Market;
use barloom::signals::{RuleTexts, SignalSource, compile, feature_columns, parse_expr, parse_rules};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::market::{Bar, bar, bars_of, for_each_tile, market, masks};
use super::naive::{Bool, Naive, Num, Window};

type Series = Vec<Option<Bar>>;
/// Jump at the open, body, wick, volume, and 0 for a gap.
type Move = (i32, i32, i32, i32, u8);

fn window() -> impl Strategy<Value = Window> {
    prop_oneof![(1..6_usize).prop_map(Window::Bars), Just(Window::Param("p")), Just(Window::Param("q"))]
}

fn number() -> BoxedStrategy<Num> {
    let leaf = prop_oneof![
        6 => prop::sample::select(vec!["open", "high", "low", "close", "volume"]).prop_map(Num::Column),
        2 => prop::sample::select(vec![-1.5, 0.0, 0.25, 2.0, 100.0]).prop_map(Num::Const),
        1 => Just(Num::Param("p")),
        1 => Just(Num::Body),
        1 => Just(Num::Trange),
        1 => window().prop_map(Num::Atr),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        // Functions of a series want a column in their argument: `open` makes sure.
        let series = || {
            inner.clone().prop_map(|a| Box::new(Num::Binary("+", Box::new(a), Box::new(Num::Column("open")))))
        };
        prop_oneof![
            (prop::sample::select(vec!["-", "abs", "sign", "sqrt", "log"]), boxed())
                .prop_map(|(name, a)| Num::Unary(name, a)),
            (prop::sample::select(vec!["+", "-", "*", "min", "max"]), boxed(), boxed())
                .prop_map(|(op, a, b)| Num::Binary(op, a, b)),
            (prop::sample::select(vec!["lag", "diff", "sma", "ema", "ewm", "rsi"]), series(), window())
                .prop_map(|(name, a, n)| Num::Windowed(name, a, n)),
            (comparison(inner.clone()), boxed(), boxed()).prop_map(|(c, a, b)| Num::Where(Box::new(c), a, b)),
        ]
    })
    .boxed()
}

fn comparison(number: impl Strategy<Value = Num> + Clone + 'static) -> BoxedStrategy<Bool> {
    prop_oneof![
        4 => (prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]), number.clone(), number.clone())
            .prop_map(|(op, a, b)| Bool::Compare(op, a, b)),
        1 => (prop::sample::select(vec!["cross_over", "cross_under"]), number.clone(), number)
            .prop_map(|(name, a, b)| Bool::Cross(name, a, b)),
    ]
    .boxed()
}

fn rule() -> BoxedStrategy<Bool> {
    comparison(number())
        .prop_recursive(3, 8, 2, |inner| {
            let boxed = || inner.clone().prop_map(Box::new);
            prop_oneof![
                (boxed(), boxed()).prop_map(|(a, b)| Bool::And(a, b)),
                (boxed(), boxed()).prop_map(|(a, b)| Bool::Or(a, b)),
                boxed().prop_map(Bool::Not),
            ]
        })
        .boxed()
}

/// Bars on a coarse grid of prices, so that equal prices and flat bars occur; symbols start late and have gaps.
fn symbols() -> impl Strategy<Value = Vec<Series>> {
    let bars = 40;
    let one = (0..20_usize, prop::collection::vec((-4..5_i32, -2..3_i32, 0..2_i32, 0..3_i32, 0..8_u8), bars));
    prop::collection::vec(one, 1..11).prop_map(move |symbols| {
        let series = |(listed, moves): (usize, Vec<Move>)| {
            let mut open = 100.0;
            let one = moves.into_iter().enumerate().map(|(index, (jump, body, wick, volume, gap))| {
                open += f64::from(jump) * 0.25;
                let close = open + f64::from(body) * 0.25;
                let bar = bar(open, close, f64::from(wick) * 0.5, f64::from(volume));
                (index >= listed && gap > 0).then_some(bar)
            });
            one.collect::<Series>()
        };
        symbols.into_iter().map(series).collect()
    })
}

fn trials() -> Vec<BTreeMap<String, f64>> {
    [(2.0, 3.0), (3.0, 2.0), (5.0, 5.0)]
        .map(|(p, q)| BTreeMap::from([("p".to_owned(), p), ("q".to_owned(), q)]))
        .to_vec()
}

fn texts(long_entry: &Bool, long_exit: &Bool) -> RuleTexts {
    RuleTexts {
        long_entry: Some(long_entry.text()),
        long_exit: Some(long_exit.text()),
        // The mirror of a rule, so that both directions of its comparisons are wanted.
        short_entry: Some(match long_entry {
            Bool::Compare("<", a, b) => Bool::Compare(">", a.clone(), b.clone()).text(),
            other => Bool::Not(Box::new(other.clone())).text(),
        }),
        params: BTreeMap::from([("p".to_owned(), 1.0), ("q".to_owned(), 1.0)]),
        ..RuleTexts::default()
    }
}

/// Bars at which a rule is true for each symbol, the naive way; `None`: too close to call.
fn expected(rule: &Bool, symbols: &[Series], params: &BTreeMap<String, f64>) -> Vec<Option<Vec<usize>>> {
    let one = |series: &Series| {
        let present: Vec<usize> = (0..series.len()).filter(|&row| series[row].is_some()).collect();
        let naive =
            Naive { bars: series.iter().flatten().copied().collect(), params, unsure: Cell::new(false) };
        let truths = naive.truth(rule);
        let bars = present.into_iter().zip(truths).filter(|(_, t)| t.value && t.valid).map(|(row, _)| row);
        let bars = bars.collect();
        (!naive.unsure.get()).then_some(bars)
    };
    symbols.iter().map(one).collect()
}

#[test]
fn rules_are_what_the_naive_evaluator_says() {
    let (checked, skipped) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: 250, ..Config::default() });
    let result = runner.run(&(rule(), rule(), symbols()), |(entry, exit, symbols)| {
        let market = market(&symbols);
        let rules = parse_rules(&texts(&entry, &exit), None).unwrap();
        let trials = trials();
        let mut program = compile(&rules, &trials, &market).unwrap();
        for (trial, params) in trials.iter().enumerate() {
            let found = masks(&mut program, trial, &market, 17);
            for (rule, mask) in [(&entry, &found[0]), (&exit, &found[1])] {
                for (symbol, bars) in expected(rule, &symbols, params).into_iter().enumerate() {
                    let Some(bars) = bars else {
                        skipped.set(skipped.get() + 1);
                        continue;
                    };
                    checked.set(checked.get() + 1);
                    prop_assert_eq!(
                        bars_of(mask, &market, symbol),
                        bars,
                        "{} with {:?}, symbol {}",
                        rule.text(),
                        params,
                        symbol
                    );
                }
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(skipped.get() * 2 < checked.get(), "{} skipped, {} checked", skipped.get(), checked.get());
}

proptest! {
    #![proptest_config(Config::with_cases(120))]

    #[test]
    fn neither_tiles_nor_blocks_nor_other_trials_show_in_a_bit(
        entry in rule(), exit in rule(), symbols in symbols(), tile_rows in 1..45_usize, block_rows in 1..70_usize,
    ) {
        let market = market(&symbols);
        let rules = parse_rules(&texts(&entry, &exit), None).unwrap();
        let trials = trials();
        let mut together = compile(&rules, &trials, &market).unwrap();
        for trial in 0..trials.len() {
            let mut alone = compile(&rules, &trials[trial..=trial], &market).unwrap();
            alone.set_block_rows(64);
            let whole = masks(&mut alone, 0, &market, 45);
            together.set_block_rows(block_rows);
            prop_assert_eq!(&masks(&mut together, trial, &market, tile_rows), &whole);
        }
    }

    #[test]
    fn features_are_what_the_naive_evaluator_says(expr in number(), symbols in symbols()) {
        // Parameters are for rules: here they are bound to what the text then says.
        let params = BTreeMap::from([("p".to_owned(), 2.0), ("q".to_owned(), 3.0)]);
        let text = without_params(&expr.text());
        let market = market(&symbols);
        let panel = panel(&market, &text, 11);
        for (symbol, series) in symbols.iter().enumerate() {
            let naive = Naive {
                bars: series.iter().flatten().copied().collect(), params: &params, unsure: Cell::new(false),
            };
            let mut values = naive.number(&expr).into_iter();
            if naive.unsure.get() {
                continue;
            }
            for (row, bar) in series.iter().enumerate() {
                let found = panel[row * market.lanes() + symbol];
                let Some(_) = bar else { continue };
                let expected = values.next().unwrap();
                let near = (found - expected).abs() <= 1e-7 * found.abs().max(expected.abs()).max(1.0);
                prop_assert!(
                    near || (found.is_nan() && expected.is_nan()),
                    "{text} of symbol {symbol} at {row}: {found}, naively {expected}"
                );
            }
        }
    }

    #[test]
    fn distances_are_the_feature_of_the_same_text(
        stop in number(), take_profit in number(), trail in number(), symbols in symbols(), tile_rows in 1..45_usize,
    ) {
        let market = market(&symbols);
        let [stop, take_profit, trail] = [&stop, &take_profit, &trail].map(|expr| without_params(&expr.text()));
        let rules = RuleTexts {
            long_entry: Some("close > 0".into()),
            stop_distance: Some(stop.clone()),
            take_profit_distance: Some(take_profit.clone()),
            trail_distance: Some(trail.clone()),
            ..RuleTexts::default()
        };
        let mut program = compile(&parse_rules(&rules, None).unwrap(), &trials_without_params(), &market).unwrap();
        let [stops, profits, trails] = [&stop, &take_profit, &trail].map(|text| panel(&market, text, 45));
        let mut faults = Vec::new();
        for_each_tile(&market, tile_rows, |tile| {
            program.step(&market, tile);
            let values = program.trial(1).values.unwrap();
            for row in 0..tile.rows {
                for symbol in (0..tile.symbols).filter(|&symbol| tile.bit(tile.present, row, symbol)) {
                    let at = (tile.bar0 + row) * market.lanes() + symbol;
                    let close = tile.close[row * tile.lanes + symbol];
                    let (stop, profit, trail_px) = (stops[at], profits[at], trails[at]);
                    for side in [Side::Buy, Side::Sell] {
                        let expected = if stop.is_nan() || stop <= 0.0 {
                            AttachedLevels::Rejected("stop_distance")
                        } else if profit.is_nan() || profit <= 0.0 {
                            AttachedLevels::Rejected("take_profit_distance")
                        } else if trail_px.is_nan() || trail_px <= 0.0 {
                            AttachedLevels::Rejected("trail_distance")
                        } else {
                            let (stop_loss_px, take_profit_px) = match side {
                                Side::Buy => (close - stop, close + profit),
                                Side::Sell => (close + stop, close - profit),
                            };
                            AttachedLevels::Prices(Attached { stop_loss_px, take_profit_px, trail_px, ..Attached::NONE })
                        };
                        let found = values.attached_levels(tile, row, symbol, side);
                        // NaN, for no trail, is not equal to itself.
                        if format!("{found:?}") != format!("{expected:?}") {
                            faults.push(format!("{found:?}, not {expected:?} at {at}"));
                        }
                    }
                }
            }
        });
        prop_assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

fn trials_without_params() -> Vec<BTreeMap<String, f64>> {
    vec![BTreeMap::new(); 2]
}

/// The parameters `p` and `q` as the numbers 2 and 3; no other name is a single letter.
fn without_params(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let characters: Vec<char> = text.chars().collect();
    let alone = |index: usize| {
        let before = index.checked_sub(1).map(|i| characters[i]);
        !before.is_some_and(is_word) && !characters.get(index + 1).copied().is_some_and(is_word)
    };
    let replaced = characters.iter().enumerate().map(|(index, &c)| match c {
        'p' if alone(index) => '2',
        'q' if alone(index) => '3',
        other => other,
    });
    replaced.collect()
}

/// The panel of an expression over a whole market.
fn panel(market: &Market, text: &str, tile_rows: usize) -> Vec<f64> {
    let mut out = Vec::new();
    feature_columns(market, &[parse_expr(text).unwrap()], tile_rows, &mut |_, panels| {
        out.extend_from_slice(panels[0]);
        Ok(())
    })
    .unwrap();
    out
}
