//! What a file name says: the symbol, the bar length, and which kind of table it is.
//!
//! Known forms: the layout's own (`BTCUSDT_15m`, `BTCUSDT_funding`), exchange archives (`BTCUSDT-15m-2023-01`,
//! `BTCUSDT-fundingRate-2023-01`), pair names (`BTC_USDT_USDT-15m-futures`, `BTC-USDT-15m`) and bare symbols.

use std::path::Path;

use super::layout::bar_length_ms;

/// Kind of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Bars of traded prices.
    Bars,
    /// Bars of the mark price; only their close is kept.
    Mark,
    /// Funding records.
    Funding,
}

/// What a name says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A table; the symbol is absent where the name holds none, the bar length where it is not named.
    Table { symbol: Option<String>, role: Role, bar_ms: Option<i64> },
    /// A file of the layout that is carried over as it is.
    Companion,
    /// A table that the layout has no place for.
    Foreign,
}

/// Reads the name of a file; `folder` is where it lies, which tells mark price klines from traded ones.
pub(super) fn parse_name(file_name: &str, folder: &Path) -> Named {
    let (stem, extension) = file_name.rsplit_once('.').unwrap_or((file_name, ""));
    if file_name == "brackets.json" || stem.ends_with("_contract") && extension == "json" {
        return Named::Companion;
    }
    if stem.ends_with("_liquidity") {
        return Named::Companion;
    }
    let mut role = match folder_kind(folder) {
        Some("markPriceKlines") => Role::Mark,
        Some("indexPriceKlines" | "premiumIndexKlines") => return Named::Foreign,
        _ => Role::Bars,
    };
    let (mut symbol, mut bar_ms, mut said_more) = (Vec::new(), None, false);
    for token in stem.split('-') {
        let (head, tail) = split_suffix(token);
        if symbol.is_empty() && !said_more || !head.is_empty() && head != token {
            symbol.push(head);
        } else if tail.is_none() {
            match token {
                "futures" | "spot" | "klines" | "swap" | "perp" => said_more = true,
                _ if token.bytes().all(|b| b.is_ascii_digit()) => said_more = true,
                _ if !said_more && !token.bytes().any(|b| b.is_ascii_lowercase()) => symbol.push(token),
                _ => return Named::Foreign,
            }
        }
        match tail {
            Some(Suffix::Bar(ms)) => bar_ms = Some(ms),
            Some(Suffix::Role(named)) => role = named,
            None => continue,
        }
        said_more = true;
    }
    let symbol = symbol_name(&symbol.concat(), said_more);
    Named::Table { symbol, role, bar_ms: if role == Role::Funding { None } else { bar_ms } }
}

fn folder_kind(folder: &Path) -> Option<&str> {
    folder
        .components()
        .filter_map(|part| part.as_os_str().to_str())
        .find(|part| matches!(*part, "markPriceKlines" | "indexPriceKlines" | "premiumIndexKlines"))
}

enum Suffix {
    Bar(i64),
    Role(Role),
}

/// `BTCUSDT_15m` into `BTCUSDT` and its suffix; a token that is a suffix alone has an empty head.
fn split_suffix(token: &str) -> (&str, Option<Suffix>) {
    for word in ["funding_rate", "fundingRate", "funding"] {
        if let Some(head) = token.strip_suffix(word) {
            return (head.trim_end_matches('_'), Some(Suffix::Role(Role::Funding)));
        }
    }
    if token == "mark" {
        return ("", Some(Suffix::Role(Role::Mark)));
    }
    let (head, last) = token.rsplit_once('_').unwrap_or(("", token));
    match bar_length_ms(last) {
        Some(ms) => (head, Some(Suffix::Bar(ms))),
        None => (token, None),
    }
}

/// `BTC_USDT_USDT` and `BTC_USDT` are `BTCUSDT`; a delivery date (`_230331`) stays apart.
fn symbol_name(raw: &str, said_more: bool) -> Option<String> {
    // A lower-case word alone is any name (`prices.csv`), with a bar length beside it a symbol.
    if raw.is_empty() || !said_more && raw.bytes().any(|b| b.is_ascii_lowercase()) {
        return None;
    }
    let raw = raw.to_ascii_uppercase();
    let parts: Vec<&str> = raw.split('_').collect();
    let name = match parts[..] {
        [pair, date] if date.len() == 6 && date.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{pair}_{date}")
        }
        [base, quote, settle] if quote == settle => format!("{base}{quote}"),
        _ => parts.concat(),
    };
    let valid = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (valid && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(symbol: &str, role: Role, bar_ms: i64) -> Named {
        let symbol = (!symbol.is_empty()).then(|| symbol.to_owned());
        Named::Table { symbol, role, bar_ms: (bar_ms > 0).then_some(bar_ms) }
    }

    #[test]
    fn names_in_use_are_understood() {
        use Role::{Bars, Funding, Mark};
        let cases = [
            ("BTCUSDT_15m.csv", table("BTCUSDT", Bars, 900_000)),
            ("1000PEPEUSDT-1h-2023-01-05.csv", table("1000PEPEUSDT", Bars, 3_600_000)),
            ("BTCUSDT-15m-2023-01.zip", table("BTCUSDT", Bars, 900_000)),
            ("BTCUSDT-fundingRate-2023-01.zip", table("BTCUSDT", Funding, 0)),
            ("BTCUSDT_funding.parquet", table("BTCUSDT", Funding, 0)),
            ("BTC_USDT_USDT-15m-futures.feather", table("BTCUSDT", Bars, 900_000)),
            ("BTC_USDT_USDT-8h-funding_rate.feather", table("BTCUSDT", Funding, 0)),
            ("BTC_USDT_USDT-8h-mark.feather", table("BTCUSDT", Mark, 28_800_000)),
            ("BTC-USDT-15m.csv", table("BTCUSDT", Bars, 900_000)),
            ("BTCUSDT.csv", table("BTCUSDT", Bars, 0)),
            ("BTCUSDT_230331-1d.csv", table("BTCUSDT_230331", Bars, 86_400_000)),
            ("btcusdt_15m.csv", table("BTCUSDT", Bars, 900_000)),
            ("prices.csv", table("", Bars, 0)),
            ("15m.csv", table("", Bars, 900_000)),
            ("BTCUSDT-aggTrades-2023-01.zip", Named::Foreign),
            ("BTCUSDT_contract.json", Named::Companion),
            ("brackets.json", Named::Companion),
            ("BTCUSDT_liquidity.csv", Named::Companion),
        ];
        for (name, expected) in cases {
            assert_eq!(parse_name(name, Path::new("")), expected, "{name}");
        }
        let name = "BTCUSDT-15m-2023-01.zip";
        assert_eq!(parse_name(name, Path::new("a/markPriceKlines/b")), table("BTCUSDT", Mark, 900_000));
        assert_eq!(parse_name(name, Path::new("indexPriceKlines")), Named::Foreign);
    }
}
