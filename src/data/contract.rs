//! `{SYMBOL}_contract.json`: our own keys, or the exchange's symbol object as it is.

use std::path::Path;

use serde_json::Value;

use super::fault::{FILE_FIX, quote};
use super::stamp;
use crate::error::{BadInput, Error, Result};
use crate::market::{Contract, StepGrid};

/// The exchange's way to say "never delivered".
const NEVER_MS: i64 = 4_133_404_800_000;

/// A contract and the rules its file does not give.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContractFile {
    pub(crate) contract: Contract,
    pub(crate) absent: Vec<&'static str>,
}

/// Reads a contract file of a symbol.
pub(crate) fn parse_contract(path: &Path, bytes: &[u8], symbol: &str) -> Result<ContractFile> {
    let value: Value = serde_json::from_slice(bytes).map_err(|err| -> Error {
        BadInput::expected("a JSON object with contract rules")
            .file(path)
            .found(err.to_string())
            .fix(FILE_FIX)
            .into()
    })?;
    let file = Fields { path, value: &value };
    if !value.is_object() {
        return Err(file.bad("contract", "no JSON object", "a JSON object with contract rules"));
    }
    if let Some(name) = value.get("symbol").and_then(Value::as_str)
        && name != symbol
    {
        return Err(file.bad("symbol", quote(name.as_bytes()), format!("`{symbol}`, as in the file's name")));
    }
    let rules = if file.is_exchange() { file.exchange_rules()? } else { file.own_rules()? };
    rules.into_contract(&file)
}

/// Rules as written; `None` where the file is silent.
#[derive(Default)]
struct Rules {
    tick: Option<f64>,
    step: Option<f64>,
    min_qty: Option<f64>,
    max_qty: Option<f64>,
    market_max_qty: Option<f64>,
    min_notional: Option<f64>,
    max_leverage: Option<f64>,
    liquidation_fee: Option<f64>,
    listed_ms: Option<i64>,
    delisted_ms: Option<i64>,
}

impl Rules {
    fn into_contract(self, file: &Fields<'_>) -> Result<ContractFile> {
        let absent = [
            ("tick_size", self.tick),
            ("step_size", self.step),
            ("min_qty", self.min_qty),
            ("max_qty", self.max_qty),
            ("min_notional", self.min_notional),
        ];
        let absent = absent.iter().filter(|(_, rule)| rule.is_none()).map(|&(key, _)| key).collect();
        if let (Some(listed), Some(delisted)) = (self.listed_ms, self.delisted_ms)
            && delisted <= listed
        {
            let found = stamp::format_ms(delisted);
            return Err(file.bad("delisted_at", found, "a time after the listing"));
        }
        if let Some(fee) = self.liquidation_fee.filter(|&fee| fee > 1.0) {
            let key = if file.is_exchange() { "liquidationFee" } else { "liquidation_fee" };
            return Err(file.bad(key, fee.to_string(), "a fraction from 0 to 1, such as 0.0125"));
        }
        // An exchange writes 0 for "no such rule".
        let given = |rule: Option<f64>| rule.filter(|&value| value > 0.0);
        let default = Contract::default();
        let max_qty = given(self.max_qty).unwrap_or(f64::INFINITY);
        if let Some(min_qty) = self.min_qty.filter(|&min_qty| min_qty > max_qty) {
            let key = if file.is_exchange() { "LOT_SIZE.minQty" } else { "min_qty" };
            return Err(file.bad(
                key,
                min_qty.to_string(),
                format!("at most the largest quantity, {max_qty}"),
            ));
        }
        Ok(ContractFile {
            contract: Contract {
                tick: given(self.tick).map(StepGrid::new),
                step: given(self.step).map_or(default.step, StepGrid::new),
                min_qty: self.min_qty.unwrap_or(0.0),
                max_qty,
                market_max_qty: given(self.market_max_qty).unwrap_or(max_qty),
                min_notional_usdt: self.min_notional.unwrap_or(0.0),
                max_leverage: given(self.max_leverage),
                liquidation_fee_frac: self.liquidation_fee,
                listed_ms: self.listed_ms,
                delisted_ms: self.delisted_ms,
            },
            absent,
        })
    }
}

struct Fields<'a> {
    path: &'a Path,
    value: &'a Value,
}

impl Fields<'_> {
    fn bad(&self, key: &str, found: impl Into<String>, expected: impl Into<String>) -> Error {
        BadInput::expected(expected).file(self.path).key(key).found(found).fix(FILE_FIX).into()
    }

    /// Whether it is the exchange's own symbol object.
    fn is_exchange(&self) -> bool {
        self.value.get("filters").is_some()
    }

    fn own_rules(&self) -> Result<Rules> {
        let number = |key| self.number(self.value, key, key);
        Ok(Rules {
            tick: number("tick_size")?,
            step: number("step_size")?,
            min_qty: number("min_qty")?,
            max_qty: number("max_qty")?,
            market_max_qty: number("market_max_qty")?,
            min_notional: number("min_notional")?,
            max_leverage: number("max_leverage")?,
            liquidation_fee: number("liquidation_fee")?,
            listed_ms: self.time("listed_at")?,
            delisted_ms: self.time("delisted_at")?,
        })
    }

    fn exchange_rules(&self) -> Result<Rules> {
        let Some(filters) = self.value["filters"].as_array() else {
            return Err(self.bad("filters", "no list", "a list of filters"));
        };
        let mut rules = Rules {
            liquidation_fee: self.number(self.value, "liquidationFee", "liquidationFee")?,
            listed_ms: self.time("onboardDate")?,
            delisted_ms: self.time("deliveryDate")?,
            ..Rules::default()
        };
        for filter in filters {
            let number = |kind: &str, key: &str| self.number(filter, key, &format!("{kind}.{key}"));
            match filter.get("filterType").and_then(Value::as_str) {
                Some("PRICE_FILTER") => rules.tick = number("PRICE_FILTER", "tickSize")?,
                Some("LOT_SIZE") => {
                    rules.step = number("LOT_SIZE", "stepSize")?;
                    rules.min_qty = number("LOT_SIZE", "minQty")?;
                    rules.max_qty = number("LOT_SIZE", "maxQty")?;
                }
                Some("MARKET_LOT_SIZE") => rules.market_max_qty = number("MARKET_LOT_SIZE", "maxQty")?,
                Some("MIN_NOTIONAL") => rules.min_notional = number("MIN_NOTIONAL", "notional")?,
                _ => {}
            }
        }
        Ok(rules)
    }

    /// A number, also one written as a string, as exchanges do.
    fn number(&self, object: &Value, key: &str, shown: &str) -> Result<Option<f64>> {
        let value = match object.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(other) => other.as_f64(),
        };
        match value {
            Some(number) if (0.0..f64::INFINITY).contains(&number) => Ok(Some(number)),
            _ => Err(self.bad(shown, object[key].to_string(), "a number, 0 or more")),
        }
    }

    /// A date in the forms of `ts`.
    fn time(&self, key: &str) -> Result<Option<i64>> {
        let time = match self.value.get(key) {
            None | Some(Value::Null) => return Ok(None),
            // The exchange's "unknown" and "never" lie outside of the years a stamp may have.
            Some(Value::Number(number)) if number.as_i64() == Some(0) => return Ok(None),
            Some(Value::Number(number)) if number.as_i64() == Some(NEVER_MS) => return Ok(None),
            Some(Value::Number(number)) => {
                number.as_i64().and_then(stamp::from_epoch).map(|us| us.div_euclid(1000))
            }
            Some(Value::String(text)) => stamp::parse_ms(text),
            Some(_) => None,
        };
        match time {
            Some(ms) => Ok(Some(ms)),
            None => Err(self.bad(key, self.value[key].to_string(), stamp::EXPECTED)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ContractFile> {
        parse_contract(Path::new("X_contract.json"), text.as_bytes(), "X")
    }

    #[test]
    fn own_form() {
        let file = parse(
            r#"{"symbol":"X","tick_size":0.1,"step_size":"0.001","min_qty":0.001,"max_qty":1000,"min_notional":5,
                "liquidation_fee":0.0125,"listed_at":"2021-06-01 00:00:00+00:00","delisted_at":1654041600000}"#,
        )
        .unwrap();
        assert_eq!(file.absent, Vec::<&str>::new());
        assert_eq!(file.contract.tick.unwrap().size, 0.1);
        assert_eq!(file.contract.step.size, 0.001);
        assert_eq!(file.contract.market_max_qty, 1000.0);
        assert_eq!(file.contract.listed_ms, Some(1_622_505_600_000));
        assert_eq!(file.contract.delisted_ms, Some(1_654_041_600_000));
    }

    #[test]
    fn exchange_form() {
        let file = parse(
            r#"{"symbol":"X","deliveryDate":4133404800000,"onboardDate":1569398400000,"liquidationFee":"0.012500",
                "filters":[{"filterType":"PRICE_FILTER","tickSize":"0.10"},
                {"filterType":"LOT_SIZE","minQty":"0.001","maxQty":"1000","stepSize":"0.001"},
                {"filterType":"MARKET_LOT_SIZE","maxQty":"120","minQty":"0.001","stepSize":"0.001"},
                {"filterType":"MIN_NOTIONAL","notional":"100"},{"filterType":"MAX_NUM_ORDERS","limit":200}]}"#,
        )
        .unwrap();
        let contract = file.contract;
        assert_eq!(contract.tick.unwrap().value(3.0), 0.3);
        assert_eq!((contract.max_qty, contract.market_max_qty), (1000.0, 120.0));
        assert_eq!((contract.min_notional_usdt, contract.liquidation_fee_frac), (100.0, Some(0.0125)));
        assert_eq!((contract.listed_ms, contract.delisted_ms), (Some(1_569_398_400_000), None));
    }

    #[test]
    fn absent_and_bad_keys() {
        assert_eq!(parse("{}").unwrap().absent.len(), 5);
        assert_eq!(parse("{}").unwrap().contract, Contract::default());
        for (text, message) in [
            (r#"{"tick_size":"big"}"#, "`tick_size`: found \"big\""),
            (r#"{"max_qty":-1}"#, "`max_qty`: found -1"),
            (r#"{"liquidation_fee":1.25}"#, "`liquidation_fee`: found 1.25; expected a fraction from 0 to 1"),
            (r#"{"min_qty":3,"max_qty":2}"#, "`min_qty`: found 3; expected at most the largest quantity, 2"),
            (r#"{"symbol":"Y"}"#, "`symbol`: found `Y`; expected `X`"),
            (r#"{"listed_at":"yesterday"}"#, "`listed_at`"),
            (r#"{"listed_at":1654041600000,"delisted_at":1622505600000}"#, "`delisted_at`"),
            (r#"{"filters":[{"filterType":"LOT_SIZE","stepSize":"x"}]}"#, "`LOT_SIZE.stepSize`"),
            ("[1]", "a JSON object"),
            ("{", "a JSON object"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(message) && error.contains("X_contract.json"), "{error}");
        }
    }
}
