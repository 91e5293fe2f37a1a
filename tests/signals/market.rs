//! Small markets built by hand.

use barloom::market::{
    Contract, FundingTape, Market, MarketPanels, Symbol, Tile, TileBuffer, TimeGrid, lane_stride,
};
use barloom::signals::SignalSource;

/// 2023-01-01 00:00 UTC.
pub(crate) const START_MS: i64 = 1_672_531_200_000;
pub(crate) const STEP_MS: i64 = 900_000;

/// One bar: open, high, low, close, volume.
pub(crate) type Bar = [f64; 5];

/// A bar with its body at `open` and `close` and wicks of `wick`.
pub(crate) fn bar(open: f64, close: f64, wick: f64, volume: f64) -> Bar {
    [open, open.max(close) + wick, open.min(close) - wick, close, volume]
}

/// A market of symbols `S00, S01, …` with these bars, `None` where missing.
pub(crate) fn market(symbols: &[Vec<Option<Bar>>]) -> Market {
    let bars = symbols.iter().map(Vec::len).max().unwrap_or(0);
    let lanes = lane_stride(symbols.len());
    let column = |field: usize| {
        let mut panel = vec![f64::NAN; bars * lanes];
        for (symbol, series) in symbols.iter().enumerate() {
            for (row, bar) in series.iter().enumerate() {
                panel[row * lanes + symbol] = bar.map_or(f64::NAN, |bar| bar[field]);
            }
        }
        panel.into()
    };
    let described = symbols.iter().enumerate().map(|(index, series)| Symbol {
        name: format!("S{index:02}"),
        contract: Contract::default(),
        brackets: Vec::new(),
        first_bar: series.iter().position(Option::is_some),
        last_bar: series.iter().rposition(Option::is_some),
    });
    Market {
        grid: TimeGrid { start_ms: START_MS, step_ms: STEP_MS, bars },
        symbols: described.collect(),
        lane_of: (0..symbols.len()).collect(),
        panels: MarketPanels {
            lanes,
            open: column(0),
            high: column(1),
            low: column(2),
            close: column(3),
            volume: column(4),
            quote_volume: None,
            mark: None,
            regime: None,
            baseline_volume: None,
        },
        first_row: 0,
        funding: FundingTape::default(),
        content_digest: String::new(),
        warnings: Vec::new(),
    }
}

/// A market of one symbol with these closes; `NaN` is a missing bar.
pub(crate) fn closes(closes: &[f64]) -> Market {
    market(&[closes.iter().map(|&close| (!close.is_nan()).then(|| bar(close, close, 0.0, 1.0))).collect()])
}

/// Walks a market in tiles of `tile_rows`.
pub(crate) fn for_each_tile(market: &Market, tile_rows: usize, mut visit: impl FnMut(&Tile<'_>)) {
    let mut buffer = TileBuffer::default();
    let mut first = 0;
    while first < market.grid.bars {
        let rows = tile_rows.min(market.grid.bars - first);
        visit(&buffer.load(market, first, rows, false));
        first += rows;
    }
}

/// The four masks of a trial over a whole market, `[row][word]`, in the order long entry, long exit, short entry,
/// short exit.
pub(crate) fn masks(
    source: &mut dyn SignalSource,
    trial: usize,
    market: &Market,
    tile_rows: usize,
) -> [Vec<u64>; 4] {
    let mut out: [Vec<u64>; 4] = Default::default();
    for_each_tile(market, tile_rows, |tile| {
        source.step(market, tile);
        let signals = source.trial(trial);
        let masks = [signals.long_entry, signals.long_exit, signals.short_entry, signals.short_exit];
        for (out, mask) in out.iter_mut().zip(masks) {
            match mask {
                Some(mask) => {
                    assert_eq!(mask.len(), tile.rows * tile.words);
                    out.extend_from_slice(mask);
                }
                None => out.resize(out.len() + tile.rows * tile.words, 0),
            }
        }
    });
    out
}

/// Bars at which the bit of `symbol` is set.
pub(crate) fn bars_of(mask: &[u64], market: &Market, symbol: usize) -> Vec<usize> {
    let words = market.words();
    (0..market.grid.bars).filter(|row| mask[row * words + symbol / 64] >> (symbol % 64) & 1 != 0).collect()
}
