//! What a user can get wrong in a data directory, and the one line that says so.

use std::path::Path;

use barloom::data::{
    Bar, BuildProgress, LoadOptions, MemorySymbol, OnBadRow, TsKind, market_from_memory, open_market,
};
use barloom::market::{Bracket, BracketTable, Contract, Market};

const HEADER: &str = "ts,open,high,low,close,volume\n";
const GOOD: [&str; 3] = [
    "2021-06-01 00:00:00+00:00,10,12,9,11,5\n",
    "2021-06-01 00:15:00+00:00,11,13,10,12,6\n",
    "2021-06-01 00:30:00+00:00,12,14,11,13,0\n",
];

fn open(dir: &Path, symbols: &[&str], options: &LoadOptions) -> barloom::Result<Market> {
    let symbols: Vec<String> = symbols.iter().map(|&name| name.to_owned()).collect();
    open_market(dir, &symbols, options, &mut |_: BuildProgress| {})
}

/// A directory of the given files, next to a good symbol `GOODUSDT`.
fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("GOODUSDT_15m.csv"), HEADER.to_owned() + &GOOD.concat()).unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// Asserts that opening fails with one line that holds every part.
fn fails(files: &[(&str, &str)], parts: &[&str]) {
    let dir = dir(files);
    let message = open(dir.path(), &[], &LoadOptions::default()).unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "`{part}` is missing in: {message}");
    }
    assert!(!message.contains('\n'), "{message}");
}

/// A bad second row (line 3) of `BADUSDT`.
fn bad_row(row: &str, parts: &[&str]) {
    let text = format!("{HEADER}{}{row}\n{}", GOOD[0], GOOD[2]);
    let name = "BADUSDT_15m.csv";
    let ways = ["correct the row", "--on-bad-row drop", "universe.symbols"];
    let parts: Vec<&str> = [name, ", row 3, "].iter().chain(&ways).chain(parts).copied().collect();
    fails(&[(name, &text)], &parts);

    let dir = dir(&[(name, &text)]);
    let market = open(dir.path(), &["GOODUSDT"], &LoadOptions::default()).unwrap();
    assert_eq!(market.symbols.len(), 1, "a fault in a symbol nobody asked for stops nothing");
    let drop = LoadOptions { on_bad_row: OnBadRow::Drop, ..LoadOptions::default() };
    for _ in 0..2 {
        let market = open(dir.path(), &[], &drop).unwrap();
        assert!(market.warnings.contains(&"bad bars dropped: BADUSDT 1".to_owned()), "{:?}", market.warnings);
        assert_eq!(market.grid.bars, 3);
        let lane = market.lane_of[market.symbol_id("BADUSDT").unwrap()];
        let close = |bar: usize| market.panels.close[bar * market.panels.lanes + lane];
        assert_eq!((close(0), close(2)), (11.0, 13.0));
        assert!(close(1).is_nan());
    }
    assert!(open(dir.path(), &[], &LoadOptions::default()).is_err(), "a store of dropped rows is not reused");
}

#[test]
fn bad_rows_of_bars() {
    let at = "2021-06-01 00:15:00+00:00";
    bad_row(
        "2021-06-01 00:16:00+00:00,11,13,10,12,6",
        &["`ts`: found 2021-06-01 00:16:00+00:00", "15m grid"],
    );
    bad_row("2021-06-01 00:00:00+00:00,11,13,10,12,6", &["`ts`", "a second time", "each stamp once"]);
    bad_row(
        "2021-05-31 23:45:00+00:00,11,13,10,12,6",
        &["`ts`", "after 2021-06-01 00:00:00+00:00", "ascending"],
    );
    bad_row("1622506500,11,13,10,12,6", &["`ts`: found `1622506500`", "epoch ms or µs"]);
    bad_row(",11,13,10,12,6", &["`ts`: found nothing"]);
    bad_row(&format!("{at},11,13,10,,6"), &["`close`: found nothing or NaN", "a price above 0"]);
    bad_row(&format!("{at},11,13,10,nan,6"), &["`close`: found nothing or NaN"]);
    bad_row(&format!("{at},11,13,ten,12,6"), &["`low`: found `ten`", "a number"]);
    bad_row(&format!("{at},11,inf,10,12,6"), &["`high`: found inf"]);
    bad_row(&format!("{at},0,13,0,12,6"), &["`open`: found 0", "a price above 0"]);
    bad_row(&format!("{at},11,13,10,12,-1"), &["`volume`: found -1", "0 or more"]);
    bad_row(&format!("{at},11,9,10,12,6"), &["`high`: found high 9 below low 10"]);
    bad_row(&format!("{at},14,13,10,12,6"), &["`open`: found open 14 outside low 10 and high 13"]);
    bad_row(&format!("{at},11,13,10,9,6"), &["`close`: found close 9 outside"]);
    bad_row(&format!("{at},11,13,10,12"), &["found 5 fields", "6 fields, as in the header"]);
}

#[test]
fn row_numbers_survive_blank_lines_and_windows_line_ends() {
    let text =
        format!("{HEADER}{}\n\n{}", GOOD[0], "2021-06-01 00:20:00+00:00,1,1,1,1,1\n").replace('\n', "\r\n");
    fails(&[("BADUSDT_15m.csv", &text)], &["row 5, `ts`"]);
}

#[test]
fn bad_optional_columns() {
    let with = |row: &str| {
        format!("ts,open,high,low,close,volume,quote_volume,mark\n2021-06-01 00:00:00Z,10,12,9,11,5,{row}\n")
    };
    fails(&[("BADUSDT_15m.csv", &with("-5,11"))], &["BADUSDT_15m.csv, row 2, `quote_volume`: found -5"]);
    fails(&[("BADUSDT_15m.csv", &with("5,0"))], &["row 2, `mark`: found 0", "a price above 0"]);
    fails(&[("BADUSDT_15m.csv", &with("5,x"))], &["row 2, `mark`: found `x`"]);
    let dir = dir(&[("BADUSDT_15m.csv", &with("55,"))]);
    let market = open(dir.path(), &["BADUSDT"], &LoadOptions::default()).unwrap();
    assert_eq!(market.panels.quote_volume.unwrap()[0], 55.0, "lanes ascend with names");
    assert!(market.panels.mark.is_none(), "an empty column is no column");
}

#[test]
fn bad_files() {
    let short = "ts,open,high,low,close\n2021-06-01 00:00:00Z,10,12,9,11\n";
    fails(&[("BADUSDT_15m.csv", short)], &["BADUSDT_15m.csv, row 1, `volume`", "a column `volume`"]);
    let twice = "ts,open,high,low,close,volume,OPEN\n";
    fails(&[("BADUSDT_15m.csv", twice)], &["row 1, `open`", "one column `open`"]);
    fails(&[("BADUSDT_15m.csv", GOOD[0])], &["row 1, `ts`", "barloom import"]);
    fails(&[("BADUSDT_15m.csv", "")], &["BADUSDT_15m.csv", "an empty file", "universe.symbols"]);
    fails(&[("BADUSDT_15m.csv", HEADER)], &["BADUSDT_15m.csv", "no rows", "at least one bar"]);
    fails(&[("BADUSDT_15m.parquet", "PAR1 no")], &["BADUSDT_15m.parquet", "a complete Parquet file"]);
    fails(&[("BADUSDT_15m.parquet", "")], &["BADUSDT_15m.parquet", "a complete Parquet file"]);
    fails(&[("GOODUSDT_15m.parquet", "")], &["GOODUSDT_15m.csv", "also GOODUSDT_15m.parquet", "remove one"]);
    let drop = LoadOptions { on_bad_row: OnBadRow::Drop, ..LoadOptions::default() };
    let dir = dir(&[("BADUSDT_15m.csv", &format!("{HEADER}x,1,1,1,1,1\n"))]);
    let message = open(dir.path(), &[], &drop).unwrap_err().to_string();
    assert!(message.contains("no good row (1 dropped)"), "{message}");
}

#[test]
fn bad_directories_and_names() {
    let empty = tempfile::tempdir().unwrap();
    let message = |dir: &Path, symbols: &[&str], bar_ms: i64| {
        let options = LoadOptions { bar_ms, ..LoadOptions::default() };
        open(dir, symbols, &options).unwrap_err().to_string()
    };
    assert!(message(empty.path(), &[], 900_000).contains("{SYMBOL}_15m.csv"));
    assert!(message(&empty.path().join("none"), &[], 900_000).contains("check the path"));
    let dir = dir(&[]);
    assert!(message(dir.path(), &[], 3_600_000).contains("bars of 15m only"));
    assert!(message(dir.path(), &[], 7).contains("general.bar"));
    let unknown = message(dir.path(), &["GOODUSD"], 900_000);
    assert!(
        unknown.contains("`universe.symbols`") && unknown.contains("did you mean `GOODUSDT`?"),
        "{unknown}"
    );
}

#[test]
fn bad_funding_contracts_and_brackets() {
    let funding =
        |rows: &str| format!("ts,funding_rate,mark_price\n2021-06-01 00:00:00Z,0.0001,10\n{rows}\n");
    let name = "GOODUSDT_funding.csv";
    let twice = funding("2021-06-01 00:00:00.005+00:00,0.0001,10");
    fails(&[(name, &twice)], &[name, "row 3, `ts`", "a second time", "--on-bad-row drop"]);
    fails(&[(name, &funding("2021-06-01 08:00:00Z,,10"))], &[name, "row 3, `funding_rate`: found nothing"]);
    fails(&[(name, &funding("2021-06-01 08:00:00Z,0.1,-1"))], &[name, "row 3, `mark_price`: found -1"]);
    fails(&[(name, "ts,rate\n")], &[name, "row 1, `funding_rate`", "a column `funding_rate`"]);
    let name = "GOODUSDT_contract.json";
    fails(&[(name, r#"{"tick_size":"x"}"#)], &[name, "`tick_size`: found \"x\"", "universe.symbols"]);
    let brackets = r#"[{"symbol":"GOODUSDT","brackets":[
        {"notionalFloor":0,"notionalCap":100,"maintMarginRatio":0.01,"cum":0,"initialLeverage":20},
        {"notionalFloor":100,"notionalCap":200,"maintMarginRatio":0.02,"cum":9,"initialLeverage":10}]}]"#;
    fails(&[("brackets.json", brackets)], &["brackets.json, `GOODUSDT bracket 2 cum`: found 9; expected 1"]);
    let other = brackets.replace("GOODUSDT", "OTHERUSDT");
    assert!(open(dir(&[("brackets.json", &other)]).path(), &[], &LoadOptions::default()).is_ok());
}

#[test]
fn fallbacks_and_ignored_files_are_warnings_that_name_the_symbols() {
    let dir = dir(&[
        ("AUSDT_15m.csv", "ts,open,high,low,close,volume,trades\n2021-06-01 00:00:00,10,12,9,11,5,7\n"),
        ("AUSDT_contract.json", r#"{"tick_size":0.1,"step_size":1,"min_qty":1,"max_qty":9}"#),
        ("AUSDT_funding.csv", "ts,funding_rate,interval_hours\n2021-06-01 00:00:00Z,0.0001,8\n"),
        ("AUSDT_liquidity.csv", "ts,regime\n"),
        ("LOST_funding.csv", "nonsense"),
    ]);
    let expected = [
        "no contract file: GOODUSDT (no tick, step 1e-8, no minimums or maximums)",
        "no margin brackets: AUSDT, GOODUSDT (2.5 % maintenance, leverage `margin.max_leverage`)",
        "no funding file: GOODUSDT (no funding is paid)",
        "stamps without an offset were taken as UTC: AUSDT",
        "contract without `min_notional`, which means no such rule (step: 1e-8): AUSDT",
        "bar column `trades` is not known and is ignored: AUSDT",
    ];
    for _ in 0..2 {
        assert_eq!(open(dir.path(), &[], &LoadOptions::default()).unwrap().warnings, expected);
    }
    let alone = open(dir.path(), &["GOODUSDT"], &LoadOptions::default()).unwrap();
    assert!(alone.warnings.iter().all(|line| !line.contains("AUSDT")), "{:?}", alone.warnings);
}

/// A changing interval and a change of brackets, as they were known at the time; the second call reads the store.
#[test]
fn intervals_and_dated_brackets_reach_the_market() {
    let rates = "0.0001\n2021-06-01 00:15:00.004+00:00,0.0002\n2021-06-01 00:20:00+00:00,0.0003\n";
    let table = |from: &str, rate: f64| {
        format!(
            r#"{{"symbol":"GOODUSDT","valid_from":"{from}","brackets":[{{"notionalFloor":0,"notionalCap":5,
            "maintMarginRatio":{rate},"cum":0,"initialLeverage":5}}]}}"#
        )
    };
    let brackets =
        format!("[{},{}]", table("2021-06-01 00:30:00Z", 0.02), table("2021-06-01 00:15:00Z", 0.01));
    let given = "ts,funding_rate,interval_hours\n2021-06-01 00:00:00Z,0.1,4\n2021-06-01 00:15:00Z,0.1,\n";
    let dir = dir(&[
        ("GOODUSDT_funding.csv", &format!("ts,funding_rate\n2021-06-01 00:00:00+00:00,{rates}")),
        ("BUSDT_15m.csv", &format!("{HEADER}{}", GOOD.concat())),
        ("BUSDT_funding.csv", given),
        ("brackets.json", &brackets),
    ]);
    for _ in 0..2 {
        let market = open(dir.path(), &[], &LoadOptions::default()).unwrap();
        let intervals = |symbol: u32| -> Vec<(u32, i64)> {
            let records = market.funding.records.iter().filter(|record| record.symbol == symbol);
            records.map(|record| (record.bar, record.interval_ms / 60_000)).collect()
        };
        assert_eq!(intervals(0), [(0, 240), (1, 15)]);
        assert_eq!(intervals(1), [(0, 0), (1, 15), (2, 5)]);
        let good = &market.symbols[1];
        let rate = |bar: usize| {
            good.brackets_at(market.grid.open_ms(bar)).map(|table| table.brackets[0].maintenance_frac)
        };
        assert_eq!([0, 1, 2].map(rate), [Some(0.01), Some(0.01), Some(0.02)]);
        assert_eq!(market.symbols[0].brackets_at(0), None);
        for line in [
            "margin brackets begin after the first bar: GOODUSDT (the first table holds before)",
            "funding times inside a bar, settled at the next open: GOODUSDT 1",
        ] {
            assert!(market.warnings.iter().any(|warning| warning == line), "{:?}", market.warnings);
        }
    }
}

#[test]
fn columns_in_any_order_quoted_and_close_stamps() {
    let text = "\"Volume\",\"close\",low,high,open,ts\r\n5,11,9,12,10,\"2021-06-01 00:14:59.999+00:00\"\r\n\
                6,12,10,13,11,1622507400000\r\n";
    let dir = dir(&[("AUSDT_15m.csv", text)]);
    let options = LoadOptions { ts_kind: TsKind::Close, ..LoadOptions::default() };
    let market = open(dir.path(), &["AUSDT"], &options).unwrap();
    assert_eq!((market.grid.start_ms, market.grid.bars), (1_622_505_600_000, 2));
    let lanes = market.panels.lanes;
    let first_two = |column: &[f64]| (column[0], column[lanes]);
    let rows = market.first_row * lanes;
    assert_eq!(first_two(&market.panels.open[rows..]), (10.0, 11.0));
    assert_eq!(first_two(&market.panels.volume[rows..]), (5.0, 6.0));
}

fn memory(name: &str, bars: Vec<Bar>) -> MemorySymbol {
    MemorySymbol {
        name: name.to_owned(),
        contract: Contract::default(),
        brackets: Vec::new(),
        bars,
        funding: Vec::new(),
    }
}

#[test]
fn memory_is_checked_like_files() {
    let bar = |ts_ms: i64, low: f64| Bar {
        ts_ms,
        open: 10.0,
        high: 12.0,
        low,
        close: 11.0,
        volume: 1.0,
        quote_volume: None,
        mark: None,
    };
    let message = |symbols: Vec<MemorySymbol>| market_from_memory(60_000, symbols).unwrap_err().to_string();
    let off_grid = message(vec![memory("A", vec![bar(0, 9.0), bar(60_001, 9.0)])]);
    assert!(off_grid.contains("row 1, `A ts`") && off_grid.contains("1m grid"), "{off_grid}");
    assert!(message(vec![memory("A", vec![bar(0, 13.0)])]).contains("row 0, `A high`"));
    assert!(message(vec![memory("A", vec![])]).contains("at least one bar"));
    assert!(message(vec![]).contains("at least one symbol"));
    let twice = vec![memory("A", vec![bar(0, 9.0)]), memory("A", vec![bar(0, 9.0)])];
    assert!(message(twice).contains("each symbol once"));
    assert!(message(vec![memory("A", vec![bar(i64::MAX, 9.0)])]).contains("epoch ms"));
    let far = vec![memory("A", vec![bar(0, 9.0), bar(6_000_000_000_000_000, 9.0)])];
    assert!(message(far).contains("stray stamps"));
    let mut funding = memory("A", vec![bar(0, 9.0)]);
    funding.funding = vec![(0, f64::NAN, None)];
    assert!(message(vec![funding]).contains("row 0, `A funding_rate`"));
    let mut brackets = memory("A", vec![bar(0, 9.0)]);
    let bracket = Bracket {
        floor_usdt: 1.0,
        cap_usdt: 2.0,
        maintenance_frac: 0.1,
        cum_usdt: 0.0,
        initial_leverage: 5.0,
    };
    brackets.brackets = vec![BracketTable { valid_from_ms: None, brackets: vec![bracket] }];
    let mut twice = brackets.clone();
    twice.brackets = vec![BracketTable::fallback(5.0), BracketTable::fallback(6.0)];
    assert!(message(vec![twice]).contains("`A valid_from`: found two tables for the same time"));
    assert!(message(vec![brackets]).contains("`A bracket 1 notionalFloor`"));
}
