//! Trailing volatility of bars, which slippage may scale with (semantics 2.8, `slippage_costs.vol_scaled`).
//!
//! `σ = √(Σr²/n)` over the simple returns `r` of the last `n` present bars, each measured from the close of the present
//! bar before it; zero mean, as realised volatility has it (semantics 8.3). No value before `n` returns are there.
//! Shared by all trials of a worker; 8 B per symbol-bar are written per tile and window, and only for trials that ask.

use crate::market::{LANE_CHUNK, Market, Tile};

/// Volatility of one window, tile by tile.
#[derive(Debug, Clone)]
pub struct TrailingVolatility {
    window_bars: usize,
    /// Squared returns by lane; slots beyond the window stay 0.
    ring: Vec<f64>,
    slots: usize,
    /// Returns seen by lane.
    seen: Vec<u32>,
    last_close_px: Vec<f64>,
    volatility_frac: Vec<f64>,
    rows: Vec<f64>,
}

impl TrailingVolatility {
    /// Over a window of bars, at least 1.
    pub fn new(window_bars: u32) -> Self {
        let window_bars = window_bars.max(1) as usize;
        Self {
            window_bars,
            ring: Vec::new(),
            slots: window_bars.next_multiple_of(LANE_CHUNK),
            seen: Vec::new(),
            last_close_px: Vec::new(),
            volatility_frac: Vec::new(),
            rows: Vec::new(),
        }
    }
    /// Computes the next tile. The row of bar `j` in [`rows`](Self::rows) is the value through bar `j−1`: what was known
    /// when an order that executes in `j` was decided. `NaN` while there is none.
    pub fn load(&mut self, tile: &Tile<'_>) {
        let lanes = tile.lanes;
        if tile.bar0 == 0 {
            self.ring = vec![0.0; lanes * self.slots];
            self.seen = vec![0; lanes];
            self.last_close_px = vec![f64::NAN; lanes];
            self.volatility_frac = vec![f64::NAN; lanes];
        }
        self.rows.resize(tile.rows * lanes, f64::NAN);
        for row in 0..tile.rows {
            self.rows[row * lanes..][..lanes].copy_from_slice(&self.volatility_frac);
            let closes = tile.row(tile.close, row).iter().enumerate().take(tile.symbols);
            for (lane, &close) in closes.filter(|(_, close)| !close.is_nan()) {
                let before = std::mem::replace(&mut self.last_close_px[lane], close);
                if !before.is_nan() {
                    self.see(lane, close / before - 1.0);
                }
            }
        }
    }
    fn see(&mut self, lane: usize, change_frac: f64) {
        let ring = &mut self.ring[lane * self.slots..][..self.slots];
        let seen = self.seen[lane] as usize;
        ring[seen % self.window_bars] = change_frac * change_frac;
        self.seen[lane] += 1;
        if seen + 1 >= self.window_bars {
            // One fixed tree over the whole window; nothing is ever subtracted.
            self.volatility_frac[lane] = root_mean(barloom_kernels::sum::row_sum(ring), self.window_bars);
        }
    }
    /// Values `[row][lane]` of the tile last loaded.
    pub fn rows(&self) -> &[f64] {
        &self.rows
    }
}

/// Volatilities for the trials of a worker: those with equal windows share one computation.
#[derive(Debug, Clone)]
pub struct VolatilitySets {
    sets: Vec<TrailingVolatility>,
    set_of: Vec<Option<usize>>,
}

impl VolatilitySets {
    /// One window per trial; `None` for a trial whose slippage does not scale.
    pub fn new(windows: impl IntoIterator<Item = Option<u32>>) -> Self {
        let mut distinct: Vec<u32> = Vec::new();
        let set_of = windows
            .into_iter()
            .map(|window| {
                let window = window?;
                let known = distinct.iter().position(|&other| other == window);
                Some(known.unwrap_or_else(|| {
                    distinct.push(window);
                    distinct.len() - 1
                }))
            })
            .collect();
        Self { sets: distinct.into_iter().map(TrailingVolatility::new).collect(), set_of }
    }
    /// Computes the next tile, once for each distinct window.
    pub fn load(&mut self, tile: &Tile<'_>) {
        for set in &mut self.sets {
            set.load(tile);
        }
    }
    /// Rows of a trial over the tile last loaded.
    pub fn of(&self, trial: usize) -> Option<&[f64]> {
        Some(self.sets[self.set_of[trial]?].rows())
    }
}

/// Volatility through the close of `bar`; `NaN` while there is none.
pub fn volatility_at(market: &Market, symbol: usize, bar: usize, window_bars: u32) -> f64 {
    let (panels, lane) = (&market.panels, market.lane_of[symbol]);
    let closes = (0..=bar).rev().map(|bar| panels.close[(market.first_row + bar) * panels.lanes + lane]);
    let mut closes = closes.filter(|close| !close.is_nan());
    let (window_bars, mut sum) = (window_bars.max(1) as usize, 0.0);
    let Some(mut after) = closes.next() else { return f64::NAN };
    for _ in 0..window_bars {
        let Some(close) = closes.next() else { return f64::NAN };
        let change_frac = after / close - 1.0;
        sum += change_frac * change_frac;
        after = close;
    }
    root_mean(sum, window_bars)
}

fn root_mean(sum_of_squares: f64, count: usize) -> f64 {
    (sum_of_squares / count as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Bar, MemorySymbol, market_from_memory};
    use crate::market::{Contract, TileBuffer};

    /// Two symbols with gaps; the second is listed late.
    fn market() -> Market {
        let bars = |listed: i64, factor: i64| {
            let present = (listed..60).filter(move |t| t * factor % 7 != 3);
            present.map(move |t| {
                let px = 100.0 + (t * factor % 11) as f64;
                let (ts_ms, quote_volume, mark) = (t * 900_000, None, None);
                Bar { ts_ms, open: px, high: px, low: px, close: px, volume: 1.0, quote_volume, mark }
            })
        };
        let symbol = |name: &str, bars: Vec<Bar>| MemorySymbol {
            name: name.to_owned(),
            contract: Contract::default(),
            brackets: Vec::new(),
            bars,
            funding: Vec::new(),
        };
        market_from_memory(
            900_000,
            vec![symbol("A", bars(0, 3).collect()), symbol("B", bars(20, 5).collect())],
        )
        .unwrap()
    }

    #[test]
    fn tiles_of_any_size_say_what_the_market_says_bar_by_bar() {
        let market = market();
        for tile_bars in [1, 7, 60] {
            let mut sets = VolatilitySets::new([Some(9), None, Some(1), Some(9)]);
            let mut buffer = TileBuffer::default();
            for bar0 in (0..60).step_by(tile_bars) {
                let tile = buffer.load(&market, bar0, tile_bars.min(60 - bar0), false);
                sets.load(&tile);
                assert!(sets.of(1).is_none());
                assert_eq!(sets.of(0).map(<[f64]>::as_ptr), sets.of(3).map(<[f64]>::as_ptr));
                for (trial, window) in [(0, 9), (2, 1)] {
                    for row in 0..tile.rows {
                        for symbol in 0..2 {
                            let found = tile.row(sets.of(trial).unwrap(), row)[symbol];
                            let before = (bar0 + row).checked_sub(1);
                            let expected =
                                before.map_or(f64::NAN, |bar| volatility_at(&market, symbol, bar, window));
                            let same = (found - expected).abs() <= 1e-14;
                            assert!(same || (found.is_nan() && expected.is_nan()), "{found} {expected}");
                        }
                    }
                }
            }
        }
        let last = volatility_at(&market, 1, 59, 9);
        assert!(last > 0.0 && volatility_at(&market, 1, 20, 1).is_nan());
    }
}
