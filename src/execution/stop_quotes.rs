//! Where the stop losses of a tile's entries would stand: made for all bars at once, where several trials share a
//! distance. What an entry carries is otherwise rounded when it fills, to the same bits.

use barloom_kernels::buffer::AlignedBuffer;
use barloom_kernels::elementwise::valid_mask;
use barloom_kernels::fills::may_touch;
use barloom_kernels::grid::stop_prices;

use super::quotes::LaneGrids;
use super::rules::SLACK;
use crate::market::{Market, Tile};

/// Stop losses at one distance over one tile.
#[derive(Debug)]
pub struct StopQuotes {
    /// Number of the distance.
    slot: usize,
    /// Stops of longs and of shorts by the bar of the decision, `[row][lane]`; above the tile's rows the last one of the
    /// tile before.
    px: [AlignedBuffer; 2],
    /// Bits `[row][word]` of those that are numbers, over the same rows.
    valid: Vec<u64>,
    /// Bits `[row][word]` of those that the bar their entry fills in may touch.
    touched: [Vec<u64>; 2],
    /// The same for the bar after it, by the row of that bar.
    touched_next: [Vec<u64>; 2],
    /// The bar after the last one that has any.
    next_bar: usize,
    is_made: bool,
}

impl StopQuotes {
    /// Stops of longs and of shorts by the row of the fill, a row after that of the decision.
    #[inline]
    pub fn by_fill(&self) -> [&[f64]; 2] {
        [&self.px[0], &self.px[1]]
    }
    /// Bits of those that the bar of the fill may touch.
    #[inline]
    pub fn touched_by_fill(&self) -> [&[u64]; 2] {
        [&self.touched[0], &self.touched[1]]
    }
    /// Bits of those that the bar after the fill may touch, by the row of that bar; none in the first row.
    #[inline]
    pub fn touched_after_fill(&self) -> [&[u64]; 2] {
        [&self.touched_next[0], &self.touched_next[1]]
    }
    /// Bits of the symbols that have one, by the row of the fill.
    #[inline]
    pub fn valid_by_fill(&self) -> &[u64] {
        &self.valid
    }
}

/// Trials that share a distance from which on its stops are made for all bars.
pub const FROM_TRIALS: usize = 4;

/// The stop losses of all trials of a worker: a set for each distance that several share.
#[derive(Debug)]
pub struct StopSets {
    sets: Vec<StopQuotes>,
    ticks: LaneGrids,
    asked: Vec<usize>,
}

impl StopSets {
    /// None yet.
    pub fn new(market: &Market) -> Self {
        let ticks = LaneGrids::new(market, |symbol| market.symbols[symbol].contract.tick);
        Self { sets: Vec::new(), ticks, asked: Vec::new() }
    }
    /// Makes the stops of a tile for the distances that enough trials ask for, each with its number.
    pub fn load<'a>(&mut self, tile: &Tile<'_>, asked: impl Iterator<Item = (usize, &'a [f64])>) {
        self.asked.fill(0);
        self.sets.iter_mut().for_each(|set| set.is_made = false);
        for (slot, distance) in asked {
            if self.asked.len() <= slot {
                self.asked.resize(slot + 1, 0);
            }
            self.asked[slot] += 1;
            if self.asked[slot] == FROM_TRIALS {
                self.make(tile, slot, distance);
            }
        }
    }
    fn make(&mut self, tile: &Tile<'_>, slot: usize, distance: &[f64]) {
        let known = self.sets.iter().position(|set| set.slot == slot);
        let at = known.unwrap_or_else(|| {
            let px = [(); 2].map(|()| AlignedBuffer::default());
            let (valid, [touched, touched_next]) = (Vec::new(), [(); 2].map(|()| [Vec::new(), Vec::new()]));
            let (next_bar, is_made) = (usize::MAX, false);
            self.sets.push(StopQuotes { slot, px, valid, touched, touched_next, next_bar, is_made });
            self.sets.len() - 1
        });
        let (lanes, len) = (tile.lanes, tile.rows * tile.lanes);
        let StopQuotes { px, valid, touched, touched_next, next_bar, is_made, .. } = &mut self.sets[at];
        let follows = *next_bar == tile.bar0;
        (*next_bar, *is_made) = (tile.bar0 + tile.rows, true);
        let touched = touched.iter_mut().zip(touched_next);
        for ((px, (touched, next)), is_long) in px.iter_mut().zip(touched).zip([true, false]) {
            px.keep_last_row(lanes, lanes + len, follows);
            let LaneGrids { inverse, size } = &self.ticks;
            let (close, distance) = (&tile.close[..len], &distance[..len]);
            stop_prices(close, distance, is_long, lanes, inverse, size, &mut px[lanes..]);
            let extreme = if is_long { tile.low } else { tile.high };
            touched.resize(tile.rows * tile.words, 0);
            may_touch(&extreme[..len], &px[..len], is_long, SLACK, lanes, tile.words, touched);
            next.resize(tile.rows * tile.words, 0);
            next[..tile.words].fill(0);
            let (extreme, px) = (&extreme[lanes..len], &px[..len - lanes]);
            may_touch(extreme, px, is_long, SLACK, lanes, tile.words, &mut next[tile.words..]);
        }
        valid.resize((tile.rows + 1) * tile.words, 0);
        valid_mask(&px[0], lanes, tile.words, valid);
    }
    /// The stops of a distance over the tile last loaded, if they were made.
    pub fn of(&self, slot: usize) -> Option<&StopQuotes> {
        self.sets.iter().find(|set| set.slot == slot && set.is_made)
    }
}
