//! The market as columns: the time grid, the lanes, the panels of bars, the funding tape, contracts and brackets.
//!
//! It must not know where the columns came from (files, memory, a notebook) nor who trades on them.
//! Read next: [`panel`] for the layout, [`tile`] for how a piece of it reaches the bar loop.

mod contract;
mod funding;
mod grid;
mod panel;
pub mod stamp;
mod tile;

pub use contract::{Bracket, BracketTable, Contract, StepGrid};
pub use funding::{FundingRecord, FundingTape};
pub use grid::TimeGrid;
pub use panel::{Column, LANE_CHUNK, MarketPanels, lane_stride, mask_words};
pub use tile::{TILE_BARS, Tile, TileBuffer};

/// A symbol: its name, its contract and its margin brackets.
#[derive(Debug, Clone, PartialEq)]
pub struct Symbol {
    /// Exchange name, e.g. `BTCUSDT`.
    pub name: String,
    /// Trading rules and listing interval.
    pub contract: Contract,
    /// Maintenance-margin brackets, oldest table first; empty when no file gives them.
    pub brackets: Vec<BracketTable>,
    /// First bar of the grid with data, `None` for a symbol without bars.
    pub first_bar: Option<usize>,
    /// Last bar of the grid with data.
    pub last_bar: Option<usize>,
}

impl Symbol {
    /// The brackets in force at `time_ms` (UTC epoch ms): the latest table that holds from then or before. Before the
    /// first dated table that one holds; `None`: no file gives any, see [`BracketTable::fallback`].
    pub fn brackets_at(&self, time_ms: i64) -> Option<&BracketTable> {
        let holds = |table: &BracketTable| table.valid_from_ms.is_none_or(|from_ms| from_ms <= time_ms);
        let later = self.brackets.partition_point(holds);
        self.brackets.get(later.saturating_sub(1))
    }
}

/// A whole market: symbols in ascending name order, one lane each, over one time grid.
///
/// `panels` may hold more lanes than `symbols`: `lane_of[i]` is the panel lane of symbol `i`, so that a run over a
/// few symbols of a large store copies nothing but its tiles.
#[derive(Debug, Clone)]
pub struct Market {
    /// Regular grid of open times; a window of the store's.
    pub grid: TimeGrid,
    /// Symbols in ascending name order; index = symbol id.
    pub symbols: Vec<Symbol>,
    /// Panel lane of each symbol.
    pub lane_of: Vec<usize>,
    /// Bar columns `[bar][lane]` of the store, all of its bars.
    pub panels: MarketPanels,
    /// Panel row of bar 0 of `grid`.
    pub first_row: usize,
    /// Funding records of the selected symbols, in bar order; bars count from `grid`.
    pub funding: FundingTape,
    /// Digest of the contents of the selected panels' sources (hex SHA-256), for manifests and trial ids.
    pub content_digest: String,
    /// Fallbacks that were taken while loading, for the manifest.
    pub warnings: Vec<String>,
}

impl Market {
    /// Lanes of a row of this market's tiles: symbols rounded up to the SIMD width.
    pub fn lanes(&self) -> usize {
        lane_stride(self.symbols.len())
    }
    /// `u64` words of a row mask.
    pub fn words(&self) -> usize {
        mask_words(self.symbols.len())
    }
    /// Id of a symbol by name.
    pub fn symbol_id(&self, name: &str) -> Option<usize> {
        self.symbols.binary_search_by(|s| s.name.as_str().cmp(name)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dated_brackets_hold_from_their_date_on() {
        let table = |valid_from_ms| BracketTable { valid_from_ms, ..BracketTable::fallback(5.0) };
        let symbol = |dates: &[Option<i64>]| Symbol {
            name: "X".to_owned(),
            contract: Contract::default(),
            brackets: dates.iter().map(|&date| table(date)).collect(),
            first_bar: None,
            last_bar: None,
        };
        let at = |symbol: &Symbol, ms| symbol.brackets_at(ms).map(|table| table.valid_from_ms);
        assert_eq!(at(&symbol(&[]), 7), None);
        let dated = symbol(&[Some(10), Some(20)]);
        let found = [9, 10, 19, 20, 99].map(|ms| at(&dated, ms).unwrap().unwrap());
        assert_eq!(found, [10, 10, 10, 20, 20]);
        let since_ever = symbol(&[None, Some(20)]);
        assert_eq!([19, 20].map(|ms| at(&since_ever, ms).unwrap()), [None, Some(20)]);
    }
}
