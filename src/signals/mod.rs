//! Room `signals`.

use crate::engine::api::SignalTile;
use crate::market::{Market, Tile};

/// A source of signals for one or more trials over the same market; stepped tile by tile in bar order.
pub trait SignalSource {
    /// Reads the next tile.
    fn step(&mut self, market: &Market, tile: &Tile<'_>);
    /// Signals of a trial over the tile read last.
    fn trial(&self, trial: usize) -> SignalTile<'_>;
}
