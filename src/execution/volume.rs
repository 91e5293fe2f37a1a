//! The volume that participation refers to (semantics 2.8): trailing mean of the last up to 96 present bars.
//!
//! Shared by all trials of a worker; 8 B per symbol-bar are written per tile, and only when a trial's slippage
//! depends on volume.

use crate::market::{Market, Tile};

/// Present bars in the trailing mean.
const TRAILING_BARS: usize = 96;

/// Trailing mean volume, tile by tile.
#[derive(Debug, Clone, Default)]
pub struct TrailingVolume {
    ring: Vec<f64>,
    seen: Vec<u32>,
    mean: Vec<f64>,
    rows: Vec<f64>,
}

impl TrailingVolume {
    /// Loads a tile. The row of bar `j` in the result is the mean through bar `j−1`: what was known when an order
    /// that executes in `j` was decided. `NaN` before a symbol's first bar.
    pub fn load(&mut self, tile: &Tile<'_>) -> &[f64] {
        let lanes = tile.lanes;
        if tile.bar0 == 0 {
            self.ring = vec![0.0; lanes * TRAILING_BARS];
            self.seen = vec![0; lanes];
            self.mean = vec![f64::NAN; lanes];
        }
        self.rows.resize(tile.rows * lanes, f64::NAN);
        for row in 0..tile.rows {
            self.rows[row * lanes..][..lanes].copy_from_slice(&self.mean);
            let volume = tile.row(tile.volume, row);
            for (lane, &volume) in
                volume.iter().enumerate().take(tile.symbols).filter(|(_, volume)| !volume.is_nan())
            {
                let ring = &mut self.ring[lane * TRAILING_BARS..][..TRAILING_BARS];
                let seen = self.seen[lane] as usize;
                ring[seen % TRAILING_BARS] = volume;
                self.seen[lane] += 1;
                let count = (seen + 1).min(TRAILING_BARS);
                self.mean[lane] = window_sum(ring) / count as f64;
            }
        }
        &self.rows[..tile.rows * lanes]
    }
}

/// Mean volume of the last up to 96 present bars through `bar`; 0 before a symbol's first bar.
pub fn trailing_mean_at(market: &Market, symbol: usize, bar: usize) -> f64 {
    let (panels, lane) = (&market.panels, market.lane_of[symbol]);
    let volumes = (0..=bar).rev().map(|bar| panels.volume[(market.first_row + bar) * panels.lanes + lane]);
    let (mut sum, mut count) = (0.0, 0.0);
    for volume in volumes.filter(|volume| !volume.is_nan()).take(TRAILING_BARS) {
        sum += volume;
        count += 1.0;
    }
    if count == 0.0 { 0.0 } else { sum / count }
}

/// Sum of a ring whose unused slots are 0; eight accumulators, one fixed tree, nothing ever subtracted.
fn window_sum(ring: &[f64]) -> f64 {
    barloom_kernels::sum::row_sum(ring)
}
