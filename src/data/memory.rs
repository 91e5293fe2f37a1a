//! A market from rows in memory: for tests, notebooks and other programs. The same checks as for files.

use sha2::{Digest, Sha256};

use super::bars::{BarColumns, BarRules, BarSink};
use super::brackets::{verify, verify_dates};
use super::build::{Built, BuiltSymbol, symbol_digest};
use super::funding::{FundingSink, settle};
use super::liquidity::LiquidityColumns;
use super::notes::Notes;
use super::stamp::Stamp;
use super::store::{Content, hex};
use super::table::{MAX_VALUES, Row};
use super::{LoadOptions, OnBadRow, TsKind};
use crate::error::{BadInput, Error, Result};
use crate::market::{BracketTable, Contract, Market};

/// One bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// Open time, UTC epoch ms.
    pub ts_ms: i64,
    /// Open price, USDT per unit.
    pub open: f64,
    /// High price.
    pub high: f64,
    /// Low price.
    pub low: f64,
    /// Close price.
    pub close: f64,
    /// Volume, base units.
    pub volume: f64,
    /// Quote volume, USDT.
    pub quote_volume: Option<f64>,
    /// Close of the mark-price kline.
    pub mark: Option<f64>,
}

/// A symbol with everything that files would give, but for its own liquidity regimes.
#[derive(Debug, Clone, PartialEq)]
pub struct MemorySymbol {
    /// Exchange name.
    pub name: String,
    /// Trading rules.
    pub contract: Contract,
    /// Margin brackets; empty: the fallback of contract section 2.
    pub brackets: Vec<BracketTable>,
    /// Bars in time order; missing ones are simply absent.
    pub bars: Vec<Bar>,
    /// Funding records in time order: UTC epoch ms, rate as a fraction, mark price.
    pub funding: Vec<(i64, f64, Option<f64>)>,
}

/// Aligns symbols on one grid, checked like files.
///
/// # Errors
/// Bad input that names symbol, column and row (from 0): everything a bar or funding file may get wrong, a symbol
/// without bars, a name given twice.
pub fn market_from_memory(bar_ms: i64, symbols: Vec<MemorySymbol>) -> Result<Market> {
    if bar_ms <= 0 {
        return Err(BadInput::expected("a length above 0").key("bar_ms").found(bar_ms.to_string()).into());
    }
    if symbols.is_empty() {
        return Err(BadInput::expected("at least one symbol").key("symbols").found("none").into());
    }
    let mut symbols = symbols;
    symbols.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = symbols.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(BadInput::expected("each symbol once")
            .key(&pair[0].name)
            .found("two of that name")
            .into());
    }
    let options = LoadOptions { bar_ms, ..LoadOptions::default() };
    let built: Vec<BuiltSymbol> =
        symbols.into_iter().map(|symbol| check(symbol, &options)).collect::<Result<_>>()?;
    let lanes: Vec<usize> = (0..built.len()).collect();
    let built = Built { symbols: built, failed: Vec::new(), sources: Vec::new(), read_ns: 0 };
    Ok(Content::join(built, &options)?.into_market(&lanes))
}

fn check(symbol: MemorySymbol, options: &LoadOptions) -> Result<BuiltSymbol> {
    let MemorySymbol { name, contract, mut brackets, bars, funding } = symbol;
    brackets.sort_by_key(|table| table.valid_from_ms);
    let rules = BarRules { step_ms: options.bar_ms, ts_kind: TsKind::Open, on_bad_row: OnBadRow::Error };
    let mut sink = BarSink::new(rules);
    sink.reserve(bars.len());
    for (row, bar) in bars.iter().enumerate() {
        let mut values = [f64::NAN; MAX_VALUES];
        values.copy_from_slice(&[
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
            bar.quote_volume.unwrap_or(f64::NAN),
            bar.mark.unwrap_or(f64::NAN),
        ]);
        let stamp = stamp_of(&name, row, bar.ts_ms)?;
        sink.push(&Row { stamp, values }).map_err(|fault| fault.in_memory(&name, row as u64))?;
    }
    let mut columns = sink.columns;
    if columns.ts_ms.is_empty() {
        return Err(BadInput::expected("at least one bar").key(name).found("none").into());
    }
    for column in &mut columns.values[5..] {
        if column.iter().all(|value| value.is_nan()) {
            *column = Vec::new();
        }
    }
    for table in &brackets {
        verify(&name, table).map_err(Error::BadInput)?;
    }
    verify_dates(&name, &brackets).map_err(Error::BadInput)?;
    let mut records = FundingSink::default();
    for (row, &(time_ms, rate, mark)) in funding.iter().enumerate() {
        let mut values = [f64::NAN; MAX_VALUES];
        values[0] = rate;
        values[1] = mark.unwrap_or(f64::NAN);
        let stamp = stamp_of(&name, row, time_ms)?;
        records.push(&Row { stamp, values }).map_err(|fault| fault.in_memory(&name, row as u64))?;
    }
    let settled = settle(&records.rows, &columns, options.bar_ms, contract.delisted_ms);
    let notes = Notes {
        no_brackets: brackets.is_empty(),
        funding_quarantined: records.quarantined,
        funding_inside_bar: settled.inside_bar,
        funding_ignored: settled.ignored,
        ..Notes::default()
    };
    let digests = [
        ("bars", digest_of_bars(&columns)),
        (
            "funding",
            digest_of(funding.iter().flat_map(|&(time_ms, rate, mark)| {
                [time_ms as u64, rate.to_bits(), mark.unwrap_or(f64::NAN).to_bits()]
            })),
        ),
        ("contract", hex(&Sha256::digest(format!("{contract:?}")))),
    ];
    let digest = symbol_digest(digests.iter().map(|(role, digest)| (*role, digest.as_str())), &brackets);
    let liquidity = LiquidityColumns::default();
    Ok(BuiltSymbol { name, contract, brackets, bars: columns, funding: settled, liquidity, notes, digest })
}

fn stamp_of(name: &str, row: usize, ms: i64) -> Result<Stamp> {
    let us = ms.checked_mul(1000).ok_or_else(|| -> Error {
        BadInput::expected("epoch ms").row(row as u64).key(format!("{name} ts")).found(ms.to_string()).into()
    })?;
    Ok(Stamp { us, naive: false })
}

fn digest_of_bars(columns: &BarColumns) -> String {
    let lengths = columns.values.iter().map(|column| column.len() as u64);
    let values = columns.values.iter().flatten().map(|value| value.to_bits());
    digest_of(lengths.chain(columns.ts_ms.iter().map(|&ts_ms| ts_ms as u64)).chain(values))
}

fn digest_of(words: impl Iterator<Item = u64>) -> String {
    let mut sha = Sha256::new();
    for word in words {
        sha.update(word.to_le_bytes());
    }
    hex(&sha.finalize())
}
