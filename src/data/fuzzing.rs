//! Doors for the fuzzers in `fuzz/`: the readers of small files, from bytes. Compiled for them alone.
//!
//! Each reads, and holds what it read against what the rest of the house relies on. A broken promise is a panic.

use std::path::Path;

use bytes::Bytes;

use super::OnBadRow;
use super::brackets::parse_brackets;
use super::contract::parse_contract;
use super::funding::read_funding;
use super::table::Format;
use crate::error::Result;

/// Reads a contract.
pub fn contract(bytes: &[u8]) -> Result<()> {
    let contract = parse_contract(Path::new("A_contract.json"), bytes, "A")?.contract;
    assert!(contract.step.size > 0.0 && contract.tick.is_none_or(|tick| tick.size > 0.0));
    for value in [contract.step, contract.tick.unwrap_or(contract.step)].map(|grid| grid.steps_floor(1.0)) {
        assert!(!value.is_nan());
    }
    assert!(contract.min_qty <= contract.max_qty && contract.market_max_qty > 0.0);
    assert!(contract.liquidation_fee_frac.is_none_or(|fee| (0.0..=1.0).contains(&fee)));
    assert!(contract.listed_ms.zip(contract.delisted_ms).is_none_or(|(from, to)| from < to));
    Ok(())
}

/// Reads brackets: maintenance margin does not fall, and does not jump where brackets meet.
pub fn brackets(bytes: &[u8]) -> Result<()> {
    for tables in parse_brackets(Path::new("brackets.json"), bytes)?.into_values() {
        let tables = match tables {
            Ok(tables) => tables,
            Err(fault) => {
                let line = fault.to_string();
                assert!(!line.contains(['\n', '\r']), "more than a line: {line:?}");
                continue;
            }
        };
        assert!(tables.windows(2).all(|pair| pair[0].valid_from_ms < pair[1].valid_from_ms));
        for table in tables {
            for pair in table.brackets.windows(2) {
                let edge_usdt = pair[0].cap_usdt;
                let [below, above] =
                    [&pair[0], &pair[1]].map(|b| edge_usdt * b.maintenance_frac - b.cum_usdt);
                // Each `cum` may be off by a cent, or by a billionth of itself.
                let tolerance = 0.03 + 1e-8 * (below.abs() + pair[1].cum_usdt.abs());
                assert!((below - above).abs() <= tolerance, "{below} and {above} at {edge_usdt}");
                assert!(pair[1].maintenance_frac >= pair[0].maintenance_frac);
                assert!(pair[1].initial_leverage <= pair[0].initial_leverage);
            }
            assert!(table.cap_usdt().is_finite());
        }
    }
    Ok(())
}

/// Reads funding records from text.
pub fn funding_csv(bytes: &[u8], drop_bad_rows: bool) -> Result<()> {
    let on_bad_row = if drop_bad_rows { OnBadRow::Drop } else { OnBadRow::Error };
    let bytes = Bytes::copy_from_slice(bytes);
    let (sink, _) = read_funding(Path::new("A_funding.csv"), &bytes, Format::Csv, on_bad_row)?;
    assert!(sink.rows.windows(2).all(|pair| pair[0].time_ms < pair[1].time_ms));
    for row in sink.rows {
        assert!(row.time_ms % 60_000 == 0 && row.rate_frac.is_finite());
        assert!(row.mark_px.is_nan() || (row.mark_px > 0.0 && row.mark_px.is_finite()));
        assert!((0..=86_400_000).contains(&row.interval_ms));
    }
    Ok(())
}
