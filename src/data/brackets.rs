//! `brackets.json`: maintenance-margin brackets by symbol, verified (semantics 4.6).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::fault::FILE_FIX;
use super::stamp;
use crate::error::{BadInput, Error, Result};
use crate::market::{Bracket, BracketTable};

/// Published `cum` may be rounded to cents.
const CUM_TOLERANCE_USDT: f64 = 0.01;

/// The tables of each symbol by time, or what is wrong with them.
pub(crate) type BracketsBySymbol = BTreeMap<String, Verified<Vec<BracketTable>>>;
/// A value, or the fault that is kept for whoever asks for the symbol.
pub(crate) type Verified<T> = std::result::Result<T, Box<BadInput>>;

/// Reads a bracket file. A fault inside a symbol's entry is that symbol's; anything else is the file's.
pub(crate) fn parse_brackets(path: &Path, bytes: &[u8]) -> Result<BracketsBySymbol> {
    let expected = "a list of {symbol, brackets: […]}";
    let bad = |found: String| -> Error {
        BadInput::expected(expected).file(path).found(found).fix("correct or remove the file").into()
    };
    let value: Value = serde_json::from_slice(bytes).map_err(|err| bad(err.to_string()))?;
    let Some(entries) = value.as_array() else { return Err(bad("no list".to_owned())) };
    let mut by_symbol = BracketsBySymbol::new();
    for (index, entry) in entries.iter().enumerate() {
        let Some(symbol) = entry.get("symbol").and_then(Value::as_str) else {
            return Err(bad(format!("entry {index} without a `symbol`")));
        };
        let table = parse_table(entry, symbol).and_then(|table| {
            verify(symbol, &table)?;
            Ok(table)
        });
        let known = by_symbol.entry(symbol.to_owned()).or_insert_with(|| Ok(Vec::new()));
        match (known, table) {
            (Ok(tables), Ok(table)) => tables.push(table),
            (known @ Ok(_), Err(fault)) => *known = Err((*fault).file(path).fix(FILE_FIX).into()),
            (Err(_), _) => {}
        }
    }
    for (symbol, tables) in &mut by_symbol {
        if let Ok(list) = tables {
            list.sort_by_key(|table| table.valid_from_ms);
            if let Err(fault) = verify_dates(symbol, list) {
                *tables = Err((*fault).file(path).fix(FILE_FIX).into());
            }
        }
    }
    Ok(by_symbol)
}

fn parse_table(entry: &Value, symbol: &str) -> Verified<BracketTable> {
    let valid_from_ms = match entry.get("valid_from") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let time = match value {
                Value::String(text) => stamp::parse_ms(text),
                other => other.as_i64().and_then(stamp::from_epoch).map(|us| us.div_euclid(1000)),
            };
            Some(time.ok_or_else(|| {
                BadInput::expected(stamp::EXPECTED)
                    .key(format!("{symbol} valid_from"))
                    .found(value.to_string())
            })?)
        }
    };
    let Some(list) = entry.get("brackets").and_then(Value::as_array) else {
        return Err(BadInput::expected("a list").key(format!("{symbol} brackets")).found("none").into());
    };
    let mut brackets = Vec::with_capacity(list.len());
    for (index, item) in list.iter().enumerate() {
        let number = |key: &str| -> Verified<f64> {
            let value = match item.get(key) {
                Some(Value::String(text)) => text.trim().parse().ok(),
                Some(other) => other.as_f64(),
                None => None,
            };
            value.filter(|number: &f64| number.is_finite()).ok_or_else(|| {
                let found = item.get(key).map_or_else(|| "nothing".to_owned(), Value::to_string);
                BadInput::expected("a number").key(name(symbol, index, key)).found(found).into()
            })
        };
        brackets.push(Bracket {
            floor_usdt: number("notionalFloor")?,
            cap_usdt: number("notionalCap")?,
            maintenance_frac: number("maintMarginRatio")?,
            cum_usdt: number("cum")?,
            initial_leverage: number("initialLeverage")?,
        });
    }
    Ok(BracketTable { valid_from_ms, brackets })
}

fn name(symbol: &str, index: usize, key: &str) -> String {
    format!("{symbol} bracket {} {key}", index + 1)
}

/// Checks that of the tables of a symbol, oldest first, no two hold from the same time.
pub(crate) fn verify_dates(symbol: &str, tables: &[BracketTable]) -> Verified<()> {
    if tables.windows(2).all(|pair| pair[0].valid_from_ms < pair[1].valid_from_ms) {
        return Ok(());
    }
    Err(BadInput::expected("one table for each `valid_from`")
        .key(format!("{symbol} valid_from"))
        .found("two tables for the same time")
        .into())
}

/// Checks that brackets join without gaps, that rates do not fall nor leverages rise, and that `cum_k = cum_{k-1} + floor_k·(m_k − m_{k-1})`.
pub(crate) fn verify(symbol: &str, table: &BracketTable) -> Verified<()> {
    if table.brackets.is_empty() {
        return Err(BadInput::expected("at least one bracket")
            .key(format!("{symbol} brackets"))
            .found("an empty list")
            .into());
    }
    let (mut floor, mut rate, mut cum, mut leverage) = (0.0, 0.0, 0.0, f64::INFINITY);
    for (index, bracket) in table.brackets.iter().enumerate() {
        let bad = |key: &str, found: f64, expected: String| {
            let name = name(symbol, index, key);
            Err(BadInput::expected(expected).key(name).found(found.to_string()).into())
        };
        let before =
            if index == 0 { "where the first bracket starts" } else { "the cap of the bracket before" };
        if bracket.floor_usdt != floor {
            return bad("notionalFloor", bracket.floor_usdt, format!("{floor}, {before}"));
        }
        if bracket.cap_usdt.is_nan() || bracket.cap_usdt <= floor {
            return bad("notionalCap", bracket.cap_usdt, format!("more than its floor {floor}"));
        }
        let m = bracket.maintenance_frac;
        if !(m >= rate && m > 0.0 && m < 1.0) {
            return bad("maintMarginRatio", m, format!("a fraction below 1, not less than {rate}"));
        }
        cum += floor * (m - rate);
        let tolerance = CUM_TOLERANCE_USDT.max(1e-9 * cum);
        if (bracket.cum_usdt - cum).abs() > tolerance || bracket.cum_usdt.is_nan() {
            let expected = format!("{cum}, the cum before + floor × (rate − the rate before)");
            return bad("cum", bracket.cum_usdt, expected);
        }
        if !(bracket.initial_leverage >= 1.0 && bracket.initial_leverage.is_finite()) {
            return bad("initialLeverage", bracket.initial_leverage, "1 or more".to_owned());
        }
        if bracket.initial_leverage > leverage {
            let expected = format!("at most {leverage}, the leverage of the bracket before");
            return bad("initialLeverage", bracket.initial_leverage, expected);
        }
        (floor, rate, leverage) = (bracket.cap_usdt, m, bracket.initial_leverage);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(second: &str) -> String {
        format!(
            r#"[{{"symbol":"X","brackets":[
            {{"notionalFloor":0,"notionalCap":50000,"maintMarginRatio":0.004,"cum":0,"initialLeverage":125}},
            {second},
            {{"notionalFloor":250000,"notionalCap":1000000,"maintMarginRatio":0.01,"cum":1300,"initialLeverage":50}}
            ]}}]"#
        )
    }

    #[test]
    fn published_brackets_are_verified() {
        let parse = |text: &str| parse_brackets(Path::new("brackets.json"), text.as_bytes()).unwrap();
        let good = r#"{"notionalFloor":50000,"notionalCap":250000,"maintMarginRatio":0.005,"cum":"50.0",
                       "initialLeverage":100}"#;
        let tables = parse(&json(good));
        assert_eq!(tables["X"].as_ref().unwrap()[0].brackets[2].cum_usdt, 1300.0);
        for (from, to, message) in [
            (r#""cum":"50.0""#, r#""cum":60"#, "`X bracket 2 cum`: found 60; expected 50"),
            ("50000,", "50001,", "`X bracket 2 notionalFloor`: found 50001; expected 50000"),
            ("250000,", "240000,", "`X bracket 3 notionalFloor`: found 250000; expected 240000"),
            ("0.005", "0.003", "`X bracket 2 maintMarginRatio`"),
            (r#""initialLeverage":100"#, r#""initialLeverage":0"#, "`X bracket 2 initialLeverage`"),
            (
                r#""initialLeverage":100"#,
                r#""initialLeverage":126"#,
                "`X bracket 2 initialLeverage`: found 126; expected at most 125",
            ),
            (
                r#""initialLeverage":100"#,
                r#""initialLeverage":49"#,
                "`X bracket 3 initialLeverage`: found 50; expected at most 49",
            ),
            (r#""cum":"50.0","#, "", "`X bracket 2 cum`: found nothing"),
        ] {
            let fault = parse(&json(&good.replace(from, to)))["X"].clone().unwrap_err().to_string();
            assert!(fault.contains(message) && fault.contains("brackets.json"), "{fault}");
        }
    }

    #[test]
    fn tables_are_sorted_by_time_and_the_rest_is_the_files_fault() {
        let one = |from: &str| {
            format!(
                r#"{{"symbol":"X","valid_from":{from},"brackets":[{{"notionalFloor":0,"notionalCap":5,
                "maintMarginRatio":0.01,"cum":0,"initialLeverage":5}}]}}"#
            )
        };
        let (early, late) = (one(r#""2021-06-01""#), one("1654041600000"));
        let parse = |text: String| parse_brackets(Path::new("brackets.json"), text.as_bytes());
        let tables = parse(format!("[{late},{early}]")).unwrap()["X"].clone().unwrap();
        assert_eq!(tables[0].valid_from_ms, Some(1_622_505_600_000));
        assert!(parse(format!("[{late},{late}]")).unwrap()["X"].is_err());
        assert!(parse("{}".to_owned()).unwrap_err().to_string().contains("found no list"));
        assert!(parse("[{}]".to_owned()).unwrap_err().to_string().contains("entry 0 without a `symbol`"));
    }
}
