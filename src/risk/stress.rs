//! How far any symbol moved in a bar: one number per bar, which tells of nearly every bar that no account with room to
//! spare can have been liquidated in it.

use crate::market::{Market, Tile};

/// Largest relative move of a bar over all symbols, tile by tile; shared by all trials of a worker.
#[derive(Debug, Clone, Default)]
pub struct MarketStress {
    last_mark: Vec<f64>,
    ticks_px: Vec<f64>,
    rows: Vec<f64>,
}

impl MarketStress {
    /// For each row of a tile: the largest ratio, less 1, of any two prices of a symbol among its mark before the bar,
    /// the bar's own prices, its mark after it, and a tick either way.
    pub fn load(&mut self, market: &Market, tile: &Tile<'_>) -> &[f64] {
        if tile.bar0 == 0 {
            self.last_mark = vec![0.0; tile.lanes];
            let tick = |lane: usize| market.symbols.get(lane).and_then(|symbol| symbol.contract.tick);
            self.ticks_px = (0..tile.lanes).map(|lane| tick(lane).map_or(0.0, |tick| tick.size)).collect();
        }
        self.rows.clear();
        for row in 0..tile.rows {
            let [high, low, mark] = [tile.high, tile.low, tile.mark].map(|column| tile.row(column, row));
            let mut largest = 0.0_f64;
            for lane in 0..tile.symbols {
                let (before, after, tick) = (self.last_mark[lane], mark[lane], self.ticks_px[lane]);
                self.last_mark[lane] = after;
                if before <= 0.0 && high[lane].is_nan() {
                    continue;
                }
                // The larger and the smaller of a number and NaN are the number.
                let before = if before > 0.0 { before } else { f64::NAN };
                let top = after.max(high[lane]).max(before) + tick;
                let bottom = after.min(low[lane]).min(before) - tick;
                let ratio = if bottom > 0.0 { top / bottom - 1.0 } else { f64::INFINITY };
                largest = largest.max(ratio);
            }
            self.rows.push(largest);
        }
        &self.rows
    }
}
