//! Panels: `[bar][lane]` columns, time-major and contiguous, lanes padded to the SIMD width.

use arrow_buffer::ScalarBuffer;

/// Lanes per SIMD chunk; every row is a whole number of chunks.
pub const LANE_CHUNK: usize = 8;

/// Row stride for a number of symbols: rounded up to [`LANE_CHUNK`].
pub fn lane_stride(symbols: usize) -> usize {
    symbols.div_ceil(LANE_CHUNK).max(1) * LANE_CHUNK
}

/// `u64` words that hold one bit per symbol.
pub fn mask_words(symbols: usize) -> usize {
    symbols.div_ceil(64).max(1)
}

/// One panel column. Cloning shares the memory, which may be a mapped file.
pub type Column = ScalarBuffer<f64>;

/// The bar columns of a market, each `[bar][lane]` with `lanes` lanes per row. A missing bar is `NaN` in every
/// column that comes with bars.
#[derive(Debug, Clone)]
pub struct MarketPanels {
    /// Lanes per row (a multiple of [`LANE_CHUNK`]); lanes beyond the symbols are `NaN`.
    pub lanes: usize,
    /// Open price, USDT per unit.
    pub open: Column,
    /// High price.
    pub high: Column,
    /// Low price.
    pub low: Column,
    /// Close price.
    pub close: Column,
    /// Volume, base units.
    pub volume: Column,
    /// Quote volume, USDT, where the sources have it.
    pub quote_volume: Option<Column>,
    /// Close of the mark-price kline, where the sources have it.
    pub mark: Option<Column>,
    /// Given liquidity regimes as codes (0 vacuum, 1 thin, 2 normal), where the sources have them; also at missing bars.
    pub regime: Option<Column>,
    /// Given usual volume of a bar, base units, where the sources have it; also at missing bars.
    pub baseline_volume: Option<Column>,
}
