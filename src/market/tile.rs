//! A tile: a few hundred bars of all selected symbols, hot in the cache and shared by all trials of a worker.
//!
//! What flows: 5 price columns of the store (40 B per symbol-bar) come in once per tile; a mark column (8 B) and
//! three bit masks are derived from them. Where every lane of the store is in use, the price columns are borrowed
//! from the mapped file and only the derived ones are written.

use barloom_kernels::account::carry_marks;
use barloom_kernels::buffer::AlignedBuffer;
use barloom_kernels::elementwise::{gt_mask_const, valid_mask};

use super::{LANE_CHUNK, Market};

/// Bars per tile where nothing else is asked for: with the trials of a worker, their signals and quotes, what a tile needs
/// stays in a second-level cache. No result depends on it.
pub const TILE_BARS: usize = 192;

/// Columns of a tile that are made, not borrowed; owned by a worker and reused for every tile.
///
/// Tiles must be loaded in bar order: the last mark of a symbol is carried from tile to tile.
#[derive(Debug, Clone, Default)]
pub struct TileBuffer {
    copied: [Vec<f64>; 9],
    mark: AlignedBuffer,
    carry: Vec<f64>,
    present: Vec<u64>,
    tradable: Vec<u64>,
    next_bar: usize,
}

/// Bars `[bar0, bar0 + rows)` of a market. Panels are `[row][lane]`, masks `[row][word]` with bit = symbol id.
#[derive(Debug, Clone, Copy)]
pub struct Tile<'a> {
    /// First bar, counted on the market's grid.
    pub bar0: usize,
    /// Number of bars.
    pub rows: usize,
    /// Lanes per row.
    pub lanes: usize,
    /// Words per row mask.
    pub words: usize,
    /// Number of symbols (lanes beyond are padding).
    pub symbols: usize,
    /// Open, `NaN` where the bar is missing.
    pub open: &'a [f64],
    /// High.
    pub high: &'a [f64],
    /// Low.
    pub low: &'a [f64],
    /// Close.
    pub close: &'a [f64],
    /// Volume, base units.
    pub volume: &'a [f64],
    /// Quote volume, where the market has it.
    pub quote_volume: Option<&'a [f64]>,
    /// Mark-price closes as the sources give them, `NaN` where missing.
    pub mark_close: Option<&'a [f64]>,
    /// Given liquidity regimes as codes, where the market has them; `NaN` where there is none.
    pub regime: Option<&'a [f64]>,
    /// Given usual volumes, base units, where the market has them; `NaN` where there is none.
    pub baseline_volume: Option<&'a [f64]>,
    /// Price positions are marked at (semantics 1.4): mark or close, carried over gaps, 0 before the first bar.
    pub mark: &'a [f64],
    /// Bit set: the symbol has this bar.
    pub present: &'a [u64],
    /// Bit set: the symbol has this bar and its volume is positive.
    pub tradable: &'a [u64],
}

impl Tile<'_> {
    /// Row of a panel column.
    #[inline]
    pub fn row<'b>(&self, column: &'b [f64], row: usize) -> &'b [f64] {
        &column[row * self.lanes..][..self.lanes]
    }
    /// Whether bit `symbol` of row `row` is set in a mask.
    #[inline]
    pub fn bit(&self, mask: &[u64], row: usize, symbol: usize) -> bool {
        mask[row * self.words + symbol / 64] >> (symbol % 64) & 1 != 0
    }
}

impl TileBuffer {
    /// Loads `rows` bars from `bar0` on. `use_mark`: mark at the mark column where there is one, else at the close.
    ///
    /// # Panics
    /// When tiles are not loaded in bar order from bar 0, or reach beyond the grid.
    pub fn load<'a>(&'a mut self, market: &'a Market, bar0: usize, rows: usize, use_mark: bool) -> Tile<'a> {
        assert!(bar0 + rows <= market.grid.bars, "tile beyond the grid");
        if bar0 == 0 {
            self.next_bar = 0;
            self.carry.clear();
        }
        assert_eq!(bar0, self.next_bar, "tiles are loaded in bar order");
        self.next_bar = bar0 + rows;
        let (lanes, words) = (market.lanes(), market.words());
        self.carry.resize(lanes, 0.0);
        let panels = &market.panels;
        let identity = panels.lanes == lanes && market.lane_of.iter().enumerate().all(|(i, &lane)| i == lane);
        let sources = [
            Some(&panels.open),
            Some(&panels.high),
            Some(&panels.low),
            Some(&panels.close),
            Some(&panels.volume),
            panels.quote_volume.as_ref(),
            panels.mark.as_ref(),
            panels.regime.as_ref(),
            panels.baseline_volume.as_ref(),
        ];
        let first = (market.first_row + bar0) * panels.lanes;
        if !identity {
            for (buffer, source) in self.copied.iter_mut().zip(sources) {
                let Some(source) = source else { continue };
                gather_lanes(
                    &source[first..][..rows * panels.lanes],
                    panels.lanes,
                    &market.lane_of,
                    lanes,
                    buffer,
                );
            }
        }
        let column = |i: usize| -> Option<&[f64]> {
            let source = sources[i]?;
            Some(if identity { &source[first..][..rows * lanes] } else { &self.copied[i][..rows * lanes] })
        };
        let (close, volume, mark_close) = (column(3).unwrap(), column(4).unwrap(), column(6));
        if identity {
            // Opens are read here and there, at fills; read in order once, they are in the cache by then.
            std::hint::black_box(
                column(0).unwrap().iter().step_by(LANE_CHUNK).fold(0.0, |sum, open| sum + open),
            );
        }
        self.mark.resize(rows * lanes);
        self.present.resize(rows * words, 0);
        self.tradable.resize(rows * words, 0);
        let marks = if use_mark { mark_close } else { None };
        match marks {
            None => carry_marks(close, None, &mut self.carry, &mut self.mark),
            Some(marks) => carry_marks(marks, Some(close), &mut self.carry, &mut self.mark),
        }
        valid_mask(close, lanes, words, &mut self.present);
        gt_mask_const(volume, 0.0, lanes, words, &mut self.tradable);
        for (tradable, present) in self.tradable.iter_mut().zip(&self.present) {
            *tradable &= present;
        }
        Tile {
            bar0,
            rows,
            lanes,
            words,
            symbols: market.symbols.len(),
            open: column(0).unwrap(),
            high: column(1).unwrap(),
            low: column(2).unwrap(),
            close,
            volume,
            quote_volume: column(5),
            mark_close,
            regime: column(7),
            baseline_volume: column(8),
            mark: &self.mark,
            present: &self.present,
            tradable: &self.tradable,
        }
    }
}

fn gather_lanes(source: &[f64], source_lanes: usize, lane_of: &[usize], lanes: usize, out: &mut Vec<f64>) {
    let rows = source.len() / source_lanes;
    out.resize(rows * lanes, f64::NAN);
    for (from, to) in source.chunks_exact(source_lanes).zip(out.chunks_exact_mut(lanes)) {
        for (slot, &lane) in to.iter_mut().zip(lane_of) {
            *slot = from[lane];
        }
        to[lane_of.len()..].fill(f64::NAN);
    }
}
