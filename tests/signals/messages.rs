//! What a wrong expression is answered with.

use std::collections::BTreeMap;
use std::path::Path;

use barloom::signals::{
    RuleTexts, compile, eval_constraint, feature_columns, function_list, parse_expr, parse_rules,
};

use super::market::closes;

fn params() -> BTreeMap<String, f64> {
    BTreeMap::from([("fast".to_owned(), 12.0), ("slow".to_owned(), 26.0)])
}

fn rule_error(text: &str) -> String {
    let texts = RuleTexts { long_entry: Some(text.into()), params: params(), ..RuleTexts::default() };
    match parse_rules(&texts, Some(Path::new("run.toml"))) {
        Ok(_) => format!("'{text}' was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_wrong_rule_is_answered_with_its_column_and_the_way_out() {
    for (text, expected) in [
        (
            "close > emaa(close, 3)",
            "found unknown name `emaa` at column 9 of 'close > »emaa(close, 3)'; expected the name of a function; \
             did you mean `ema`?",
        ),
        (
            "clse > 1",
            "unknown name `clse` at column 1 of '»clse > 1'; expected a column, a parameter or a function; did you mean `close`?",
        ),
        (
            "ema(close, fst) > 1",
            "unknown name `fst` at column 12 of 'ema(close, »fst) > 1'; expected a column, a parameter or a function; did you mean `fast`?",
        ),
        ("ema > 1", "function `ema` at column 1 of '»ema > 1'; expected its arguments in parentheses"),
        ("ema(close) > 1", "`ema` with 1 argument at column 1 of '»ema(close) > 1'; expected ema(x, n)"),
        ("trange(3) > 1", "`trange` with 1 argument at column 1 of '»trange(3) > 1'; expected trange()"),
        ("close", "a number at column 1 of '»close'; expected a boolean; compare it, e.g. `x > 0`"),
        ("close and 1 < 2", "a number at column 1 of '»close and 1 < 2'; expected a boolean"),
        ("not close", "a number at column 5 of 'not »close'; expected a boolean"),
        ("(close > 1) + 1 > 2", "a boolean at column 1 of '»(close > 1) + 1 > 2'; expected a number"),
        (
            "1 < close < 2",
            "`<` at column 11 of '1 < close »< 2'; expected one comparison at a time; write `a < b and b < c` for `a < b < c`",
        ),
        (
            "sma(5, 3) > 1",
            "a constant number at column 5 of 'sma(»5, 3) > 1'; expected a number that comes from columns in sma(x, n)",
        ),
        (
            "sma(close, open) > 1",
            "a number at column 12 of 'sma(close, »open) > 1'; expected a whole number or a parameter in sma(x, n)",
        ),
        (
            "where(close, 1, 2) > 1",
            "a number at column 7 of 'where(»close, 1, 2) > 1'; expected a boolean in where(c, a, b)",
        ),
        (
            "close > ",
            "the end of the expression at column 9 of 'close > »'; expected a number, a column, a parameter or a function",
        ),
        (
            "",
            "the end of the expression at column 1 of '»'; expected a number, a column, a parameter or a function",
        ),
        (
            "(close > 1",
            "the end of the expression at column 11 of '(close > 1»'; expected `)` or an operator",
        ),
        (
            "close > 1)",
            "`)` at column 10 of 'close > 1»)'; expected an operator or the end of the expression",
        ),
        ("ema(close 3) > 1", "`3` at column 11 of 'ema(close »3) > 1'; expected `,` or `)`"),
        (
            "close = 1",
            "`=` at column 7 of 'close »= 1'; expected an operator or the end of the expression; write `==` to compare",
        ),
        (
            "close > 1 && open > 1",
            "`&` at column 11 of 'close > 1 »&& open > 1'; expected a number, a name or an operator; write `and`",
        ),
        (
            "close > 1.2.3",
            "`1.2.3` at column 9 of 'close > »1.2.3'; expected a number such as 20, 0.5 or 1e-4, or a name that begins with a letter",
        ),
        ("close > 20x", "`20x` at column 9 of 'close > »20x'; expected a number such as"),
        ("close > ü", "`ü` at column 9 of 'close > »ü'; expected a number, a name or an operator"),
        (
            "of(S00, close) > 1",
            "unknown name `S00` at column 4 of 'of(»S00, close) > 1'; expected a column, a parameter or a function",
        ),
        (
            "of(close, open) > 1",
            "a number at column 4 of 'of(»close, open) > 1'; expected a text in quotes in of(symbol, x)",
        ),
        (
            "tf(\"1h\", 5) > 1",
            "a constant number at column 10 of 'tf(\"1h\", »5) > 1'; expected a number or a boolean that comes from columns",
        ),
        (
            "tf(\"7m\", close) > 1",
            "`7m` at column 4 of 'tf(»\"7m\", close) > 1'; expected a bar length such as \"30m\", \"1h\", \"4h\", \"1d\" or \"1w\"",
        ),
        (
            "tf(\"1h\", ema(tf(\"4h\", close), 3)) > 1",
            "`tf` inside `tf` at column 14 of 'tf(\"1h\", ema(»tf(\"4h\", close), 3)) > 1'; expected one bar length at a time",
        ),
        (
            "ema(close, m = 3) > 1",
            "unknown argument `m` at column 12 of 'ema(close, »m = 3) > 1'; expected ema(x, n)",
        ),
        ("ema(close, n = 3, n = 4) > 1", "argument `n` twice at column 19"),
        ("ema(x = close, 3) > 1", "an argument without a name after one with at column 16"),
        ("macd(close, fast = 3, signal = 4) > 1", "`macd` without `slow` at column 1"),
        ("\"close\" > 1", "a text at column 1 of '»\"close\" > 1'; expected a number"),
        (
            "close > \"S00",
            "a text that does not end at column 9 of 'close > »\"S00'; expected a closing quote",
        ),
    ] {
        let error = rule_error(text);
        assert!(error.starts_with("run.toml, `signals.long_entry`: found "), "{error}");
        assert!(error.contains(expected), "{error}\nis not\n{expected}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn depth_is_limited_and_not_the_stack() {
    for text in [
        format!("{}close{} > 1", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{}close > 1", "-".repeat(100_000)),
        format!("{}close > 1", "not ".repeat(100_000)),
        format!("close{} > 1", " + close".repeat(100_000)),
        format!("{}close{} > 1", "abs(".repeat(100_000), ")".repeat(100_000)),
    ] {
        let error = rule_error(&text);
        assert!(error.contains("expected at most 200 levels; split it or shorten it"), "{error}");
        assert!(error.len() < 300, "{error}");
    }
    assert!(parse_expr(&format!("{}close{}", "(".repeat(150), ")".repeat(150))).is_ok());
}

#[test]
fn windows_are_whole_numbers_once_bound() {
    let market = closes(&[1.0, 2.0]);
    for (value, text, expected) in [
        (
            2.5,
            "ema(close, fast) > 1",
            "found window fast = 2.5 at column 12 of 'ema(close, »fast) > 1'; expected a whole number of bars, at least 1",
        ),
        (0.0, "ema(close, fast) > 1", "found window fast = 0 at column 12"),
        (-3.0, "ema(close, 2 * fast) > 1", "found window 2 * fast = -6 at column 12"),
        (1.0, "lag(close, 0) > 1", "found window 0 at column 12 of 'lag(close, »0) > 1'"),
        (1.0, "lag(close, 1 / 0) > 1", "found window 1 / 0 = NaN at column 12"),
        (1.0, "lag(close, 1e300) > 1", "expected a whole number of bars, at least 1"),
    ] {
        let texts = RuleTexts { long_entry: Some(text.into()), params: params(), ..RuleTexts::default() };
        let rules = parse_rules(&texts, None).unwrap();
        let trial = BTreeMap::from([("fast".to_owned(), value)]);
        let error = compile(&rules, &[trial], &market).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nis not\n{expected}");
    }
}

#[test]
fn columns_the_market_lacks_are_named() {
    let market = closes(&[1.0, 2.0]);
    for column in ["mark", "quote_volume"] {
        let texts = RuleTexts { long_entry: Some(format!("{column} > 1")), ..RuleTexts::default() };
        let rules = parse_rules(&texts, None).unwrap();
        let error = compile(&rules, &[BTreeMap::new()], &market).map(|_| ()).unwrap_err().to_string();
        let expected = format!(
            "found column `{column}` at column 1 of '»{column} > 1'; expected a column this data has"
        );
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn parameters_are_finite_and_have_names_of_their_own() {
    let with = |name: &str, value: f64| {
        let texts = RuleTexts {
            long_entry: Some("close > 1".into()),
            params: BTreeMap::from([(name.to_owned(), value)]),
            ..RuleTexts::default()
        };
        parse_rules(&texts, None).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(with("fast_2", 1.0), Ok(()));
    for (name, value, expected) in [
        ("fast", f64::NAN, "`signals.params.fast`: found NaN; expected a finite number"),
        (
            "close",
            1.0,
            "`signals.params.close`: found the name of a column; expected a name of letters, digits and `_` that is not taken; rename the parameter",
        ),
        ("ema", 1.0, "found the name of a function"),
        ("tf", 1.0, "found the name of a function"),
        ("and", 1.0, "found a name that is none"),
        ("2fast", 1.0, "found a name that is none"),
        ("risk.es_cap", 1.0, "found a name that is none"),
        ("", 1.0, "found a name that is none"),
    ] {
        let error = with(name, value).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let texts =
        RuleTexts { long_entry: Some("close > fast".into()), params: params(), ..RuleTexts::default() };
    let trial = BTreeMap::from([("fsat".to_owned(), 1.0)]);
    let rules = parse_rules(&texts, None).unwrap();
    assert_eq!(rules.params(), &params());
    let error = compile(&rules, &[trial], &closes(&[1.0])).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("`fsat`: found a value for an unknown parameter"), "{error}");
    assert!(error.ends_with("did you mean `fast`?"), "{error}");
}

#[test]
fn rules_that_are_not_there_yet_are_refused() {
    let entry = || RuleTexts { long_entry: Some("close > 1".into()), ..RuleTexts::default() };
    for texts in [
        RuleTexts { weight: Some("1".into()), ..entry() },
        RuleTexts { score: Some("volume".into()), ..entry() },
    ] {
        let error = parse_rules(&texts, None).unwrap_err().to_string();
        assert!(error.ends_with("this rule is not there yet; leave it out"), "{error}");
    }
    let trail = RuleTexts { trail_distance: Some("close > 1".into()), ..entry() };
    let error = parse_rules(&trail, None).unwrap_err().to_string();
    assert!(error.contains("`signals.trail_distance`: found a boolean at column 1"), "{error}");
    let error = parse_rules(&RuleTexts::default(), None).unwrap_err().to_string();
    assert!(
        error.contains("found rules that never enter; expected `long_entry` or `short_entry`"),
        "{error}"
    );
    let number = RuleTexts { stop_distance: Some("close > 1".into()), ..entry() };
    let error = parse_rules(&number, None).unwrap_err().to_string();
    assert!(error.contains("`signals.stop_distance`: found a boolean at column 1"), "{error}");
}

#[test]
fn operators_bind_as_written_in_the_contract() {
    let names = BTreeMap::from([("a".to_owned(), 2.0), ("risk.es_cap".to_owned(), 0.05)]);
    for (text, expected) in [
        ("1 + 2 * 3 == 7", true),
        ("(1 + 2) * 3 == 9", true),
        ("8 / 4 / 2 == 1", true),
        ("8 - 4 - 2 == 2", true),
        ("-2 * -3 == 6 and - -2 == 2", true),
        ("2 - -2 == 4", true),
        ("not 1 > 2 and 2 < 3", true),
        ("not (1 < 2 or 3 < 2)", false),
        ("1 < 2 or 3 < 2 and 5 < 4", true),
        ("(1 < 2 or 3 < 2) and 5 < 4", false),
        ("min(a, 3) == 2 and max(a, 3) == 3 and abs(-a) == a", true),
        ("sqrt(4) == a and exp(0) == 1 and log(1) == 0 and sign(-7) == -1", true),
        ("where(a > 1, 10, 20) == 10", true),
        ("a * risk.es_cap <= 0.1", true),
        ("a != 2", false),
        (".5 + 1e-1 >= 6e-1", true),
        ("1 / 0 > 0", false),
        ("not 1 / 0 > 0", false),
        ("1 > 0 or 1 / 0 > 0", false),
    ] {
        let expr = parse_expr(text).unwrap();
        assert_eq!(eval_constraint(&expr, &names).unwrap(), expected, "{text}");
    }
    for (text, expected) in [
        ("a + 1", "a constant number at column 1 of '»a + 1'; expected a boolean"),
        ("a < close", "column `close` at column 5 of 'a < »close'; expected swept names and numbers only"),
        ("a < trange()", "`trange` at column 5"),
        ("a < b", "unknown name `b` at column 5 of 'a < »b'; expected a swept name; did you mean `a`?"),
    ] {
        let error = eval_constraint(&parse_expr(text).unwrap(), &names).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn features_know_no_parameters() {
    let expr = parse_expr("sma(close, fast)").unwrap();
    let error = feature_columns(&closes(&[1.0]), &[expr], 8, &mut |_, _| Ok(())).unwrap_err().to_string();
    assert!(error.starts_with("`expression`: found unknown name `fast` at column 12"), "{error}");
}

#[test]
fn other_symbols_and_bars_are_those_of_the_data() {
    let market = closes(&[1.0; 30]);
    let error = |text: &str| {
        let expr = parse_expr(text).unwrap();
        feature_columns(&market, &[expr], 8, &mut |_, _| Ok(())).unwrap_err().to_string()
    };
    let found = error("of('S01', close)");
    assert!(
        found.contains("symbol `S01` at column 4 of 'of(»'S01', close)'; expected a symbol of this"),
        "{found}"
    );
    assert!(found.ends_with("did you mean `S00`?"), "{found}");
    let found = error("tf('5m', close)");
    assert!(found.contains("bars of 5m at column 4"), "{found}");
    assert!(found.contains("whole multiples of the data's"), "{found}");
}

#[test]
fn every_listed_function_can_be_called_as_it_is_signed() {
    let market = closes(&[1.0; 30]);
    for function in function_list() {
        let (name, arguments) = function.signature.split_once('(').unwrap();
        assert_eq!(name, function.name);
        let arguments = arguments.trim_end_matches(')').split(", ").filter(|argument| !argument.is_empty());
        let call: Vec<&str> = arguments
            .map(|argument| match argument.split(' ').next().unwrap() {
                "n" | "fast" | "slow" | "signal" | "fk" | "sk" | "sd" | "l" | "r" | "m" => "3",
                "k" | "p" => "1.5",
                "c" => "close > 1",
                "symbol" => "'S00'",
                "bar" => "'1h'",
                _ => "close",
            })
            .collect();
        let text = format!("{name}({})", call.join(", "));
        let expr = parse_expr(&text).unwrap();
        feature_columns(&market, &[expr], 8, &mut |_, _| Ok(())).unwrap_or_else(|error| panic!("{error}"));
    }
}
