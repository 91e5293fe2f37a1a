//! What a store holds, in memory or mapped, and the market that a selection of its symbols makes.

use arrow_buffer::ScalarBuffer;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hex;
use super::read::panel_columns;
use crate::data::align::{align, row_of, union_grid};
use crate::data::build::{Built, BuiltSymbol};
use crate::data::funding::Settlement;
use crate::data::listing::SourceFile;
use crate::data::notes::{Notes, warnings};
use crate::data::{LoadOptions, OnBadRow, TsKind};
use crate::error::Result;
use crate::market::{
    Bracket, BracketTable, Contract, FundingRecord, FundingTape, Market, MarketPanels, StepGrid, Symbol,
    TimeGrid,
};

/// Everything but the columns; written as JSON into the schema of the bar file, compact because every opening reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) start_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) bars: usize,
    pub(crate) ts_kind: TsKind,
    pub(crate) on_bad_row: OnBadRow,
    /// In ascending name order; index = lane.
    pub(crate) symbols: Vec<SymbolMeta>,
    /// Symbols of the directory that have a fault.
    pub(crate) failed: Vec<String>,
    pub(crate) sources: Vec<SourceMeta>,
    /// Clock before the sources were read, epoch ns.
    pub(crate) read_ns: i64,
    /// Name of the file with the settlements; empty when there are none.
    pub(crate) funding_file: String,
    pub(crate) funding_rows: usize,
    /// Checksums (CRC-32) of the panels, in the order of the file.
    pub(crate) panel_checksums: Vec<u32>,
}

/// One symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SymbolMeta {
    pub(crate) name: String,
    pub(crate) first_row: usize,
    pub(crate) last_row: usize,
    contract: ContractMeta,
    /// `[floor, cap, maintenance, cum, leverage]` per bracket.
    brackets: Vec<(Option<i64>, Vec<[f64; 5]>)>,
    pub(crate) notes: Notes,
    pub(crate) digest: String,
}

/// A source file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SourceMeta {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    /// Digest of the contents, hex; empty when the file was never read to the end.
    pub(crate) sha256: String,
}

impl SourceMeta {
    pub(crate) fn new(file: &SourceFile, sha256: &str) -> Self {
        let SourceFile { name, size, mtime_ns } = file.clone();
        Self { name, size, mtime_ns, sha256: sha256.to_owned() }
    }
}

/// A contract without infinities, which JSON does not have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ContractMeta {
    tick: Option<f64>,
    step: f64,
    min_qty: f64,
    max_qty: Option<f64>,
    market_max_qty: Option<f64>,
    min_notional: f64,
    max_leverage: Option<f64>,
    liquidation_fee: Option<f64>,
    listed_ms: Option<i64>,
    delisted_ms: Option<i64>,
}

impl ContractMeta {
    fn of(contract: &Contract) -> Self {
        let finite = |value: f64| value.is_finite().then_some(value);
        Self {
            tick: contract.tick.map(|grid| grid.size),
            step: contract.step.size,
            min_qty: contract.min_qty,
            max_qty: finite(contract.max_qty),
            market_max_qty: finite(contract.market_max_qty),
            min_notional: contract.min_notional_usdt,
            max_leverage: contract.max_leverage,
            liquidation_fee: contract.liquidation_fee_frac,
            listed_ms: contract.listed_ms,
            delisted_ms: contract.delisted_ms,
        }
    }
    fn contract(&self) -> Contract {
        Contract {
            tick: self.tick.map(StepGrid::new),
            step: StepGrid::new(self.step),
            min_qty: self.min_qty,
            max_qty: self.max_qty.unwrap_or(f64::INFINITY),
            market_max_qty: self.market_max_qty.unwrap_or(f64::INFINITY),
            min_notional_usdt: self.min_notional,
            max_leverage: self.max_leverage,
            liquidation_fee_frac: self.liquidation_fee,
            listed_ms: self.listed_ms,
            delisted_ms: self.delisted_ms,
        }
    }
    /// Whether the grids can be built.
    fn is_sound(&self) -> bool {
        let positive = |size: f64| size.is_finite() && size > 0.0;
        positive(self.step) && self.tick.is_none_or(positive)
    }
}

impl Meta {
    /// Whether the numbers hang together: what the JSON of another hand could get wrong.
    pub(crate) fn is_sound(&self) -> bool {
        (1..=1_000_000_000).contains(&self.step_ms)
            && self.start_ms.unsigned_abs() < 1 << 53
            && self.bars > 0
            && u32::try_from(self.bars).is_ok()
            && !self.symbols.is_empty()
            && self.symbols.windows(2).all(|pair| pair[0].name < pair[1].name)
            && self.symbols.iter().all(|symbol| {
                symbol.first_row <= symbol.last_row
                    && symbol.last_row < self.bars
                    && symbol.contract.is_sound()
            })
    }
}

/// Settlements of all symbols as columns, sorted by `(bar, time, lane)`.
#[derive(Debug, Clone)]
pub(crate) struct FundingColumns {
    pub(crate) time_ms: ScalarBuffer<i64>,
    /// Row of the bar in which it settles; may lie behind the last row.
    pub(crate) bar: ScalarBuffer<u32>,
    pub(crate) lane: ScalarBuffer<u32>,
    pub(crate) rate_frac: ScalarBuffer<f64>,
    pub(crate) mark_px: ScalarBuffer<f64>,
    pub(crate) interval_ms: ScalarBuffer<i64>,
}

impl FundingColumns {
    /// Name of the file, by what it holds.
    pub(crate) fn file_name(&self) -> String {
        let mut sha = Sha256::new();
        for column in [
            self.time_ms.inner(),
            self.bar.inner(),
            self.lane.inner(),
            self.rate_frac.inner(),
            self.mark_px.inner(),
            self.interval_ms.inner(),
        ] {
            sha.update(column.as_slice());
        }
        format!("funding_{}.arrow", hex(&sha.finalize()[..8]))
    }
    /// No settlements.
    pub(crate) fn empty() -> Self {
        Self {
            time_ms: ScalarBuffer::from(Vec::new()),
            bar: ScalarBuffer::from(Vec::new()),
            lane: ScalarBuffer::from(Vec::new()),
            rate_frac: ScalarBuffer::from(Vec::new()),
            mark_px: ScalarBuffer::from(Vec::new()),
            interval_ms: ScalarBuffer::from(Vec::new()),
        }
    }

    fn join(symbols: &[BuiltSymbol], grid: &TimeGrid) -> Self {
        let mut records: Vec<(u32, i64, u32, Settlement)> = Vec::new();
        for (lane, symbol) in symbols.iter().enumerate() {
            records.extend(symbol.funding.list.iter().map(|settlement| {
                let bar = u32::try_from(row_of(grid, settlement.open_ms)).unwrap_or(u32::MAX);
                (bar, settlement.time_ms, lane as u32, *settlement)
            }));
        }
        records.sort_by_key(|&(bar, time_ms, lane, _)| (bar, time_ms, lane));
        Self {
            time_ms: records.iter().map(|record| record.1).collect(),
            bar: records.iter().map(|record| record.0).collect(),
            lane: records.iter().map(|record| record.2).collect(),
            rate_frac: records.iter().map(|record| record.3.rate_frac).collect(),
            mark_px: records.iter().map(|record| record.3.mark_px).collect(),
            interval_ms: records.iter().map(|record| record.3.interval_ms).collect(),
        }
    }
}

/// The contents of a store.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) meta: Meta,
    pub(crate) panels: MarketPanels,
    pub(crate) funding: FundingColumns,
}

/// Checksums of panels, in the order of the file.
fn panel_checksums(panels: &MarketPanels) -> Vec<u32> {
    let columns: Vec<_> = panel_columns(panels).collect();
    columns.into_par_iter().map(|(_, panel)| crc32fast::hash(panel.inner().as_slice())).collect()
}

impl Content {
    /// What is not as it was written, if anything; reads everything.
    pub(crate) fn damage(&self) -> Option<String> {
        let (found, written) = (panel_checksums(&self.panels), &self.meta.panel_checksums);
        let mut columns = panel_columns(&self.panels).zip(found.iter().zip(written));
        if found.len() != written.len() {
            return Some("a checksum per column is missing".to_owned());
        }
        if let Some(((name, _), _)) = columns.find(|(_, (found, written))| found != written) {
            return Some(format!("column {name} has changed since it was written"));
        }
        let is_named_so = self.meta.funding_rows == 0 || self.meta.funding_file == self.funding.file_name();
        (!is_named_so).then(|| format!("{} has changed since it was written", self.meta.funding_file))
    }
    /// Joins symbols (in ascending name order) on one grid.
    pub(crate) fn join(built: Built, options: &LoadOptions) -> Result<Box<Self>> {
        let Built { symbols, failed, sources, read_ns } = built;
        let grid = union_grid(symbols.iter().map(|symbol| &symbol.bars), options.bar_ms);
        let columns: Vec<_> = symbols.iter().map(|symbol| &symbol.bars).collect();
        let liquidity: Vec<_> = symbols.iter().map(|symbol| &symbol.liquidity).collect();
        let panels = align(&columns, &liquidity, &grid)?;
        let funding = FundingColumns::join(&symbols, &grid);
        let symbols = symbols
            .into_iter()
            .map(|symbol| SymbolMeta {
                first_row: row_of(&grid, symbol.bars.ts_ms[0]),
                last_row: row_of(&grid, symbol.bars.ts_ms[symbol.bars.ts_ms.len() - 1]),
                contract: ContractMeta::of(&symbol.contract),
                brackets: symbol
                    .brackets
                    .iter()
                    .map(|table| (table.valid_from_ms, table.brackets.iter().map(bracket_row).collect()))
                    .collect(),
                name: symbol.name,
                notes: symbol.notes,
                digest: symbol.digest,
            })
            .collect();
        let meta = Meta {
            start_ms: grid.start_ms,
            step_ms: grid.step_ms,
            bars: grid.bars,
            ts_kind: options.ts_kind,
            on_bad_row: options.on_bad_row,
            symbols,
            failed: failed.into_iter().map(|(name, _)| name).collect(),
            sources,
            read_ns,
            funding_file: String::new(),
            funding_rows: funding.time_ms.len(),
            panel_checksums: panel_checksums(&panels),
        };
        Ok(Box::new(Self { meta, panels, funding }))
    }

    /// Lanes of the named symbols, `None` when one is not in the store.
    pub(crate) fn lanes_of(&self, names: &[String]) -> Option<Vec<usize>> {
        let symbols = &self.meta.symbols;
        names.iter().map(|name| symbols.binary_search_by(|symbol| symbol.name.cmp(name)).ok()).collect()
    }

    /// The market of some lanes, in ascending order: a window from their first to their last present bar.
    pub(crate) fn into_market(self: Box<Self>, lanes: &[usize]) -> Market {
        let meta = &self.meta;
        let chosen = || lanes.iter().map(|&lane| &meta.symbols[lane]);
        let first_row = chosen().map(|symbol| symbol.first_row).min().unwrap_or(0);
        let end_row = chosen().map(|symbol| symbol.last_row + 1).max().unwrap_or(0);
        let grid = TimeGrid {
            start_ms: meta.start_ms + first_row as i64 * meta.step_ms,
            step_ms: meta.step_ms,
            bars: end_row - first_row,
        };
        let mut sha = Sha256::new();
        sha.update(format!("barloom market 1 {} {:?}", meta.step_ms, meta.ts_kind));
        for symbol in chosen() {
            sha.update(format!("\n{} {}", symbol.name, symbol.digest));
        }
        let (funding, beyond) = self.tape(lanes, first_row, grid.bars);
        let mut lines = warnings(chosen().map(|symbol| (symbol.name.as_str(), &symbol.notes)));
        if beyond > 0 {
            lines.push(format!("funding records after the last bar, ignored: {beyond}"));
        }
        let symbols: Vec<Symbol> = chosen().map(|symbol| symbol.symbol(first_row)).collect();
        let is_late = |symbol: &&Symbol| {
            let valid_from_ms = symbol.brackets.first().and_then(|table| table.valid_from_ms);
            symbol.first_bar.zip(valid_from_ms).is_some_and(|(bar, from_ms)| grid.open_ms(bar) < from_ms)
        };
        let late: Vec<&str> = symbols.iter().filter(is_late).map(|symbol| symbol.name.as_str()).collect();
        if !late.is_empty() {
            let names = late.join(", ");
            lines.push(format!(
                "margin brackets begin after the first bar: {names} (the first table holds before)"
            ));
        }
        Market {
            grid,
            symbols,
            lane_of: lanes.to_vec(),
            first_row,
            funding,
            content_digest: hex(&sha.finalize()),
            warnings: lines,
            panels: self.panels,
        }
    }

    /// Settlements of the chosen lanes inside the window, and how many lie behind it.
    fn tape(&self, lanes: &[usize], first_row: usize, bars: usize) -> (FundingTape, usize) {
        let FundingColumns { time_ms, bar, lane, rate_frac, mark_px, interval_ms } = &self.funding;
        let mut ids = vec![u32::MAX; self.meta.symbols.len()];
        for (id, &lane) in lanes.iter().enumerate() {
            ids[lane] = id as u32;
        }
        let mut records = Vec::with_capacity(time_ms.len());
        let mut beyond = 0;
        let columns = time_ms.iter().zip(bar).zip(lane).zip(rate_frac).zip(mark_px).zip(interval_ms);
        for (((((&time_ms, &bar), &lane), &rate_frac), &mark_px), &interval_ms) in columns {
            let symbol = ids[lane as usize];
            if symbol == u32::MAX {
                continue;
            }
            // No record lies before the first bar of its symbol, so none before the window.
            let bar = bar - first_row as u32;
            if (bar as usize) < bars {
                records.push(FundingRecord { bar, symbol, time_ms, rate_frac, mark_px, interval_ms });
            } else {
                beyond += 1;
            }
        }
        // The columns are sorted already, and lanes ascend with symbol ids.
        (FundingTape { records }, beyond)
    }
}

impl SymbolMeta {
    fn symbol(&self, window_row: usize) -> Symbol {
        let table = |(valid_from_ms, rows): &(Option<i64>, Vec<[f64; 5]>)| BracketTable {
            valid_from_ms: *valid_from_ms,
            brackets: rows.iter().map(bracket_of).collect(),
        };
        Symbol {
            name: self.name.clone(),
            contract: self.contract.contract(),
            brackets: self.brackets.iter().map(table).collect(),
            first_bar: Some(self.first_row - window_row),
            last_bar: Some(self.last_row - window_row),
        }
    }
}

fn bracket_row(b: &Bracket) -> [f64; 5] {
    [b.floor_usdt, b.cap_usdt, b.maintenance_frac, b.cum_usdt, b.initial_leverage]
}

fn bracket_of(row: &[f64; 5]) -> Bracket {
    let [floor_usdt, cap_usdt, maintenance_frac, cum_usdt, initial_leverage] = *row;
    Bracket { floor_usdt, cap_usdt, maintenance_frac, cum_usdt, initial_leverage }
}
