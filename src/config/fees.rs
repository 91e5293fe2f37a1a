//! Fees as written: a tier of the exchange, a dated table, a discount. They end as the plan's rates and rows.
//!
//! Of the market this file knows only how a stamp is written. Rates of the tiers: semantics 3.1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::judge::display;
use super::plan::FeeRow;
use super::spec::GeneralSpec;
use crate::Result;
use crate::error::BadInput;
use crate::market::stamp;

/// Maker and taker fee of VIP tiers 0 to 9, bps.
const TIERS_BPS: [(f64, f64); 10] = [
    (2.0, 5.0),
    (1.6, 4.0),
    (1.4, 3.5),
    (1.2, 3.2),
    (1.0, 3.0),
    (0.8, 2.7),
    (0.6, 2.5),
    (0.4, 2.2),
    (0.2, 2.0),
    (0.0, 1.7),
];
/// What a fee paid in the exchange's own coin is multiplied by.
const COIN_DISCOUNT: f64 = 0.9;
const FIELDS: [&str; 3] = ["from", "maker_bps", "taker_bps"];
/// What `general.fee_table` takes.
pub(super) const EXPECTED: &str =
    "a list of {from = \"2024-01-01\", maker_bps = 2.0, taker_bps = 5.0}, oldest first";

/// One row of `general.fee_table`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeeRowSpec {
    /// First instant the row holds, UTC, in the forms of `ts`.
    pub from: String,
    /// Fee of maker fills, bps; negative is a rebate.
    pub maker_bps: f64,
    /// Fee of taker fills, bps.
    pub taker_bps: f64,
}

/// Judges `general.fee_table`: every row complete, in range, and later than the one before.
pub(super) fn judge_table(key: &str, value: &Value) -> Result<Value> {
    let bad = |at: String, found: &Value, expected: &str| -> Result<Value> {
        Err(BadInput::expected(expected).key(at).found(display(found)).into())
    };
    let Some(rows) = value.as_array() else { return bad(key.to_owned(), value, EXPECTED) };
    let mut judged = Vec::with_capacity(rows.len());
    let mut last_ms = i64::MIN;
    for (index, row) in rows.iter().enumerate() {
        let at = format!("{key}[{index}]");
        let fields = row.as_object().filter(|fields| {
            fields.len() == FIELDS.len() && FIELDS.iter().all(|field| fields.contains_key(*field))
        });
        let Some(fields) = fields else { return bad(at, row, "{from, maker_bps, taker_bps}, nothing else") };
        let from = match &fields["from"] {
            Value::String(text) => text.clone(),
            number => number.to_string(),
        };
        let Some(from_ms) = stamp::parse_ms(&from) else {
            return bad(format!("{at}.from"), &fields["from"], stamp::EXPECTED);
        };
        if from_ms <= last_ms {
            let expected = format!("a time after {}, that of the row before", stamp::format_ms(last_ms));
            return bad(format!("{at}.from"), &fields["from"], &expected);
        }
        last_ms = from_ms;
        let rate = |field: &str, least: f64| fields[field].as_f64().filter(|x| (least..=1000.0).contains(x));
        let Some(maker_bps) = rate("maker_bps", -100.0) else {
            return bad(format!("{at}.maker_bps"), &fields["maker_bps"], "a number from -100 to 1000 (bps)");
        };
        let Some(taker_bps) = rate("taker_bps", 0.0) else {
            return bad(format!("{at}.taker_bps"), &fields["taker_bps"], "a number from 0 to 1000 (bps)");
        };
        judged.push(json!({ "from": from, "maker_bps": maker_bps, "taker_bps": taker_bps }));
    }
    Ok(Value::Array(judged))
}

impl GeneralSpec {
    /// Maker and taker fee outside the dated table, as fractions: the tier's, else the plain ones.
    pub(super) fn fee_fracs(&self) -> (f64, f64) {
        let tier = usize::try_from(self.fee_tier).ok().and_then(|tier| TIERS_BPS.get(tier));
        let (maker_bps, taker_bps) = tier.copied().unwrap_or((self.maker_fee_bps, self.taker_fee_bps));
        (self.fee_frac(maker_bps), self.fee_frac(taker_bps))
    }

    /// The dated table, whose rows have been judged.
    pub(super) fn fee_rows(&self) -> Vec<FeeRow> {
        let row = |row: &FeeRowSpec| {
            Some(FeeRow {
                from_ms: stamp::parse_ms(&row.from)?,
                maker_frac: self.fee_frac(row.maker_bps),
                taker_frac: self.fee_frac(row.taker_bps),
            })
        };
        self.fee_table.iter().filter_map(row).collect()
    }

    /// The discount is on what is paid; a rebate stays what it is.
    fn fee_frac(&self, bps: f64) -> f64 {
        let factor = if self.bnb_discount && bps > 0.0 { COIN_DISCOUNT } else { 1.0 };
        bps / 1e4 * factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(value: Value) -> Result<Value> {
        judge_table("general.fee_table", &value)
    }

    #[test]
    fn a_bad_row_is_answered_with_its_place() {
        let good = json!({ "from": "2023-01-01", "maker_bps": 2, "taker_bps": 4 });
        let row = |from: &str, maker: f64, taker: f64| json!({ "from": from, "maker_bps": maker, "taker_bps": taker });
        for (second, expected) in [
            (
                row("2023-01-01", 1.0, 1.0),
                "`general.fee_table[1].from`: found \"2023-01-01\"; expected a time after",
            ),
            (
                row("2022-01-01", 1.0, 1.0),
                "expected a time after 2023-01-01 00:00:00+00:00, that of the row before",
            ),
            (row("soon", 1.0, 1.0), "`general.fee_table[1].from`: found \"soon\""),
            (
                row("2024-01-01", -101.0, 1.0),
                "`general.fee_table[1].maker_bps`: found -101.0; expected a number from",
            ),
            (
                row("2024-01-01", 1.0, -1.0),
                "`general.fee_table[1].taker_bps`: found -1.0; expected a number from 0",
            ),
            (row("2024-01-01", f64::NAN, 1.0), "`general.fee_table[1].maker_bps`: found nothing"),
            (json!({ "from": "2024-01-01", "maker_bps": 1 }), "`general.fee_table[1]`: found {"),
            (
                json!({ "from": "2024-01-01", "maker_bps": 1, "taker_bp": 1 }),
                "expected {from, maker_bps, taker_bps}",
            ),
            (json!(7), "`general.fee_table[1]`: found 7"),
        ] {
            let error = judged(json!([good, second])).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}\nis not\n{expected}");
        }
        let error = judged(json!("vip")).unwrap_err().to_string();
        assert!(error.contains("found \"vip\"; expected a list of {from ="), "{error}");
    }

    #[test]
    fn the_table_is_dated_and_the_discount_is_on_what_is_paid() {
        let table = json!([
            { "from": 1_577_836_800_000_i64, "maker_bps": -1, "taker_bps": 4 },
            { "from": "2024-01-01 00:00:00+00:00", "maker_bps": 1.5, "taker_bps": 3 },
        ]);
        let mut general = GeneralSpec {
            fee_table: serde_json::from_value(judged(table).unwrap()).unwrap(),
            ..GeneralSpec::default()
        };
        let rows = |general: &GeneralSpec| -> Vec<(i64, f64, f64)> {
            general.fee_rows().iter().map(|row| (row.from_ms, row.maker_frac, row.taker_frac)).collect()
        };
        let (first_ms, second_ms) = (1_577_836_800_000, 1_704_067_200_000);
        assert_eq!(rows(&general), [(first_ms, -1e-4, 4e-4), (second_ms, 1.5e-4, 3e-4)]);
        assert_eq!(general.fee_fracs(), (2e-4, 5e-4));
        general.fee_tier = 9;
        assert_eq!(general.fee_fracs(), (0.0, 1.7 / 1e4));
        (general.fee_tier, general.bnb_discount) = (0, true);
        assert_eq!(general.fee_fracs(), (2e-4 * 0.9, 5e-4 * 0.9));
        assert_eq!(rows(&general)[0], (first_ms, -1e-4, 4e-4 * 0.9));
    }
}
