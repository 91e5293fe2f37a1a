//! Signals that need no rule: always long, always short, flat, and seeded coin tosses (contract 3, `oracle`).

use std::ops::Range;

use super::SignalSource;
use crate::events::SignalTile;
use crate::market::{Market, Tile};

/// `general.oracle_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OracleMode {
    /// Long from a symbol's first present bar of the run.
    AlwaysLong,
    /// Short from there.
    AlwaysShort,
    /// Nothing, ever.
    Flat,
    /// At every 96th present bar of a symbol a draw of long, short or flat, held in between.
    Random,
}

/// Present bars of a symbol between two draws.
const DRAW_EVERY_BARS: u64 = 96;

const LONG_ENTRY: usize = 0;
const LONG_EXIT: usize = 1;
const SHORT_ENTRY: usize = 2;
const SHORT_EXIT: usize = 3;

/// Signals of an oracle; the same for every trial.
#[derive(Debug, Clone)]
pub struct Oracle {
    mode: OracleMode,
    run: Range<usize>,
    /// Hash of seed and name, per symbol.
    keys: Vec<u64>,
    /// Present bars of the run so far, per symbol.
    seen_bars: Vec<u64>,
    masks: [Vec<u64>; 4],
    len: usize,
}

/// An oracle for the bars `run` of a market. Every position it opened is closed by an exit at the close of the run's
/// last bar but one (semantics 1.8); nothing is entered there or later.
pub fn oracle(mode: OracleMode, seed: u64, market: &Market, run: Range<usize>) -> Oracle {
    Oracle {
        mode,
        run,
        keys: market.symbols.iter().map(|symbol| symbol_key(seed, &symbol.name)).collect(),
        seen_bars: vec![0; market.symbols.len()],
        masks: Default::default(),
        len: 0,
    }
}

impl Oracle {
    /// The bar at whose close everything is closed: the last but one of the run, if it has two.
    fn exit_bar(&self) -> Option<usize> {
        self.run.end.checked_sub(2).filter(|bar| self.run.contains(bar))
    }

    fn enter(&mut self, tile: &Tile<'_>, open_ms: i64, row: usize, symbol: usize) {
        let nth = self.seen_bars[symbol];
        self.seen_bars[symbol] += 1;
        let masks: &[usize] = match self.mode {
            OracleMode::AlwaysLong if nth == 0 => &[LONG_ENTRY],
            OracleMode::AlwaysShort if nth == 0 => &[SHORT_ENTRY],
            OracleMode::Random if nth.is_multiple_of(DRAW_EVERY_BARS) => {
                match draw(self.keys[symbol], open_ms) {
                    Draw::Long => &[LONG_ENTRY],
                    Draw::Short => &[SHORT_ENTRY],
                    Draw::Flat => &[LONG_EXIT, SHORT_EXIT],
                }
            }
            _ => &[],
        };
        for &mask in masks {
            self.masks[mask][row * tile.words + symbol / 64] |= 1 << (symbol % 64);
        }
    }
}

impl SignalSource for Oracle {
    fn step(&mut self, market: &Market, tile: &Tile<'_>) {
        if tile.bar0 == 0 {
            self.seen_bars.fill(0);
        }
        self.len = tile.rows * tile.words;
        for mask in &mut self.masks {
            mask.resize(self.len.max(mask.len()), 0);
            mask.fill(0);
        }
        let Some(exit_bar) = self.exit_bar().filter(|_| self.mode != OracleMode::Flat) else { return };
        for row in 0..tile.rows {
            let bar = tile.bar0 + row;
            if bar < self.run.start || bar > exit_bar {
                continue;
            }
            if bar == exit_bar {
                for symbol in 0..tile.symbols {
                    for exit in [LONG_EXIT, SHORT_EXIT] {
                        self.masks[exit][row * tile.words + symbol / 64] |= 1 << (symbol % 64);
                    }
                }
                continue;
            }
            let open_ms = market.grid.open_ms(bar);
            for symbol in 0..tile.symbols {
                if tile.bit(tile.present, row, symbol) {
                    self.enter(tile, open_ms, row, symbol);
                }
            }
        }
    }

    fn trial(&self, _trial: usize) -> SignalTile<'_> {
        let mask = |index: usize| Some(&self.masks[index][..self.len]);
        SignalTile {
            long_entry: mask(LONG_ENTRY),
            long_exit: mask(LONG_EXIT),
            short_entry: mask(SHORT_ENTRY),
            short_exit: mask(SHORT_EXIT),
            values: None,
            intents: &[],
            never_trails: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Draw {
    Long,
    Short,
    Flat,
}

/// The draw of a symbol at a bar: a function of seed, name and stamp alone, so neither other symbols nor the start of
/// the data change it.
fn draw(key: u64, open_ms: i64) -> Draw {
    match mix(key ^ open_ms.cast_unsigned()) % 3 {
        0 => Draw::Long,
        1 => Draw::Short,
        _ => Draw::Flat,
    }
}

/// Seed and name as one key: each byte of the name is mixed in after the other.
fn symbol_key(seed: u64, name: &str) -> u64 {
    name.bytes().fold(mix(seed), |key, byte| mix(key ^ u64::from(byte)))
}

/// SplitMix64 (Steele, Lea & Flood 2014): the golden-ratio increment and the finalizer of its output function.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mix_is_splitmix64() {
        // First outputs of the reference generator for seed 0.
        let outputs = [0_u64, 1, 2].map(|n| mix(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        assert_eq!(outputs, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
    }

    #[test]
    fn draws_are_even() {
        let key = symbol_key(1, "BTCUSDT");
        let mut counts = [0; 3];
        for bar in 0..30_000 {
            counts[draw(key, 1_600_000_000_000 + bar * 900_000) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_700..10_300).contains(count)), "{counts:?}");
        assert_ne!(symbol_key(1, "BTCUSDT"), symbol_key(2, "BTCUSDT"));
        assert_ne!(symbol_key(1, "BTCUSDT"), symbol_key(1, "BTCUSDC"));
    }
}
