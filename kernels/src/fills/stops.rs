//! The same walk where every entry brings a stop loss.

use std::ops::Range;

use super::{Acts, FillRows, SignalMasks, StopTest, Turn, UsualBars, Word, walk};
use crate::simd::{LANE_CHUNK, Simd, SimdBase, at_level, f64x8, mask64x8, prelude::*};

/// Bars that stops are tested against, and the stops that entries bring, panels `[row][lane]`.
#[derive(Debug, Clone, Copy)]
pub struct StopBars<'a> {
    /// Lanes per row.
    pub lanes: usize,
    /// Open.
    pub open: &'a [f64],
    /// High.
    pub high: &'a [f64],
    /// Low.
    pub low: &'a [f64],
    /// Stops of long entries by the row of their decision, one row ahead: the first is that of the bar before the tile.
    pub long_px: &'a [f64],
    /// Those of short entries.
    pub short_px: &'a [f64],
    /// Bits `[row][word]` of the long entries whose stop their own first bar may touch; see [`may_touch`].
    pub long_touched: &'a [u64],
    /// Those of the short entries.
    pub short_touched: &'a [u64],
    /// Bits `[row][word]` of the long entries of the row before whose stop this bar may touch.
    pub long_touched_next: &'a [u64],
    /// Those of the short entries.
    pub short_touched_next: &'a [u64],
    /// Relative difference up to which a price and a stop that differ may be the same price.
    pub slack: f64,
}

/// Stops of positions, by lane; what stands in lanes without a position does not matter.
#[derive(Debug)]
pub struct Stops<'a> {
    /// The stop; `NaN`: none.
    pub px: &'a mut [f64],
    /// A low at or below this may touch it: the stop of a long and a hair more, −∞ otherwise.
    pub below: &'a mut [f64],
    /// A high at or above this may touch it: that of a short and a hair less, ∞ otherwise.
    pub above: &'a mut [f64],
    /// Scratch, one per mask word: stops passed at the open, stops met inside the bar.
    pub met: &'a mut [[u64; 2]],
}

/// How a stop meets a bar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meets {
    Not,
    AtOpen,
    Inside,
    /// Prices differ by so little that only a closer look tells.
    Perhaps,
}

/// Finds the fills of rows where every entry brings a stop; otherwise [`find_fills`](super::find_fills).
///
/// Formula: a stop whose price the open has reached fills before anything else, one that the bar reaches inside after what
/// fills at the open; a stop is gone with its position, and that of an entry is tested against the whole bar it fills in.
/// An entry whose own open lies beyond its stop is not as usual. Shape: as for `find_fills`; a row has at most three
/// events of a symbol. Units: prices in USDT per unit, the rest bits. Warm-up: none. NaN: a missing bar
/// reaches nothing. Source: definition.
///
/// ```
/// use barloom_kernels::fills::{
///     AT_ONCE, Event, FillRows, SignalMasks, StopBars, Stops, UsualBars, Word, find_fills_and_stops,
/// };
/// // One symbol goes long at the close of row 0 with a stop at 95, which row 2 reaches.
/// let row = |px: f64| [px; 8];
/// let panel = |rows: [f64; 3]| rows.map(row).concat();
/// let long = [1, 0, 0];
/// let signals = SignalMasks { long_entry: Some(&long), ..SignalMasks::default() };
/// let all = [1; 3];
/// let usual = UsualBars { closes: &all, fills: &all, opens: &all };
/// let bars = StopBars {
///     lanes: 8,
///     open: &panel([100.0; 3]),
///     high: &panel([101.0; 3]),
///     low: &panel([99.0, 99.0, 94.0]),
///     long_px: &[row(95.0); 4].concat(),
///     short_px: &[row(105.0); 4].concat(),
///     long_touched: &[0, 0, 1],
///     short_touched: &[0; 3],
///     long_touched_next: &[0, 0, 1],
///     short_touched_next: &[0; 3],
///     slack: 1e-8,
/// };
/// let (mut px, mut below, mut above) = ([f64::NAN; 8], [f64::NEG_INFINITY; 8], [f64::INFINITY; 8]);
/// let mut stops = Stops { px: &mut px, below: &mut below, above: &mut above, met: &mut [[0; 2]] };
/// let (mut words, mut spare) = ([Word::default()], [Word::default()]);
/// let (mut events, mut ends) = ([Event::default(); 6 + AT_ONCE], [0; 3]);
/// let (mut filled, mut held) = ([0; 3], [0; 3]);
/// let mut out = FillRows { events: &mut events, ends: &mut ends, filled: &mut filled, held: &mut held };
/// let end = find_fills_and_stops(0..3, &signals, &usual, &bars, &mut words, &mut spare, &mut stops, &mut out);
/// assert_eq!((end, ends, held), (3, [0, 1, 2], [0, 1, 0]));
/// assert_eq!((events[0].stops(), events[1].stops()), (None, Some(false)));
/// ```
///
/// # Panics
/// When the shapes do not fit.
#[expect(clippy::too_many_arguments, reason = "a tile, a state and where the results go")]
pub fn find_fills_and_stops(
    rows: Range<usize>,
    signals: &SignalMasks<'_>,
    usual: &UsualBars<'_>,
    bars: &StopBars<'_>,
    words: &mut [Word],
    spare: &mut [Word],
    stops: &mut Stops<'_>,
    out: &mut FillRows<'_>,
) -> usize {
    assert!(bars.lanes.is_multiple_of(LANE_CHUNK), "a row is a whole number of lane chunks");
    assert!(words.len() == spare.len() && words.len() == stops.met.len(), "as many words everywhere");
    assert!(words.len() * 64 >= bars.lanes, "a bit per lane");
    let state = [stops.px.len(), stops.below.len(), stops.above.len()];
    assert!(state.iter().all(|&lanes| lanes == bars.lanes), "a stop per lane");
    at_level!(simd => {
        let mut test = Test { bars, stops };
        match words {
            // Nearly always; in registers.
            [word] => {
                let mut one = [*word];
                let start = rows.start;
                let end = walk(simd, rows, signals, usual, &mut one, &mut [Word::default()], &mut test, out);
                test.set_if_any(simd, start, end, &one);
                *word = one[0];
                end
            }
            words => {
                let start = rows.start;
                let end = walk(simd, rows, signals, usual, words, spare, &mut test, out);
                test.set_if_any(simd, start, end, words);
                end
            }
        }
    })
}

/// Bits `[row][word]` of the lanes whose bar may touch a price: one that a hair makes the difference for counts.
///
/// Formula: longs `low <= px + |px|·slack`, shorts `high >= px − |px|·slack`. Shape: `extreme` (lows for longs, highs for
/// shorts) and `px` `[row][lane]`, `words` words per row out. Units: price. Warm-up: none. NaN: nothing is touched. Source:
/// definition.
///
/// ```
/// use barloom_kernels::fills::may_touch;
/// let mut bits = [0];
/// may_touch(&[9.0; 8], &[8.0, 9.0, 10.0, f64::NAN, 8.0, 8.0, 8.0, 8.0], true, 1e-8, 8, 1, &mut bits);
/// assert_eq!(bits[0], 0b110);
/// ```
///
/// # Panics
/// When the shapes do not fit.
pub fn may_touch(
    extreme: &[f64],
    px: &[f64],
    is_long: bool,
    slack: f64,
    lanes: usize,
    words: usize,
    bits: &mut [u64],
) {
    assert!(
        lanes.is_multiple_of(LANE_CHUNK) && words * 64 >= lanes,
        "a row is whole chunks and has a bit per lane"
    );
    assert!(extreme.len() == px.len() && px.len() * words == bits.len() * lanes, "panels of one shape");
    at_level!(simd => {
        let rows = extreme.chunks_exact(lanes).zip(px.chunks_exact(lanes)).zip(bits.chunks_exact_mut(words));
        for ((extreme, px), bits) in rows {
            bits.fill(0);
            let chunks = extreme.as_chunks::<LANE_CHUNK>().0.iter().zip(px.as_chunks::<LANE_CHUNK>().0);
            for (chunk, (extreme, px)) in chunks.enumerate() {
                let (extreme, px) = (f64x8::load_array_ref(simd, extreme), f64x8::load_array_ref(simd, px));
                let hair = px.abs() * slack;
                let hit = if is_long { extreme.simd_le(px + hair) } else { extreme.simd_ge(px - hair) };
                let at = chunk * LANE_CHUNK;
                bits[at / 64] |= hit.to_bitmask() << (at % 64);
            }
        }
    });
}

struct Test<'a, 'b, 'c> {
    bars: &'a StopBars<'b>,
    stops: &'a mut Stops<'c>,
}

impl Test<'_, '_, '_> {
    /// How a stop at `stop_px` of a long (`s` = 1) or short (−1) position meets a lane of a row.
    #[inline(always)]
    fn meets(&self, at: usize, s: f64, stop_px: f64) -> Meets {
        let StopBars { open, high, low, slack, .. } = *self.bars;
        // Positive: beyond the stop. The same number is the same price.
        let open_beyond = s * (stop_px - open[at]);
        let extreme_beyond = s * (stop_px - if s > 0.0 { low[at] } else { high[at] });
        let hair = stop_px.abs() * slack;
        let is_close = |beyond: f64| beyond != 0.0 && beyond.abs() <= hair;
        if is_close(open_beyond) || is_close(extreme_beyond) {
            Meets::Perhaps
        } else if open_beyond >= 0.0 {
            Meets::AtOpen
        } else if extreme_beyond >= 0.0 {
            Meets::Inside
        } else {
            Meets::Not
        }
    }
    /// Remembers the stops of the last row before `end`, which no later row did.
    #[inline(always)]
    fn set_if_any<S: Simd>(&mut self, simd: S, start: usize, end: usize, words: &[Word]) {
        if end > start {
            for (word, state) in words.iter().enumerate() {
                self.set(simd, end - 1, word, &state.turn);
            }
        }
    }
    /// Remembers the stops that entries of a row bring, each by a vector that covers its chunk: one that reads what was
    /// written in parts waits for it.
    #[inline(always)]
    fn set<S: Simd>(&mut self, simd: S, row: usize, word: usize, turn: &Turn) {
        let mut left = turn.enter_long | turn.enter_short;
        while left != 0 {
            let bit = left & left.wrapping_neg();
            let lane = word * 64 + left.trailing_zeros() as usize;
            let is_long = turn.enter_long & bit != 0;
            let px = self.fresh_px(row, lane, is_long);
            let hair = px.abs() * self.bars.slack;
            self.stops.px[lane] = px;
            let below = if is_long { px + hair } else { f64::NEG_INFINITY };
            let above = if is_long { f64::INFINITY } else { px - hair };
            let is_lane = mask64x8::from_bitmask(simd, 1 << (lane % LANE_CHUNK));
            for (column, value) in [(&mut *self.stops.below, below), (&mut *self.stops.above, above)] {
                let chunk = &mut column.as_chunks_mut::<LANE_CHUNK>().0[lane / LANE_CHUNK];
                let kept = f64x8::load_array_ref(simd, chunk);
                is_lane.select(f64x8::splat(simd, value), kept).store_array(chunk);
            }
            left &= left - 1;
        }
    }
    /// The stop of an entry that fills in a row.
    #[inline(always)]
    fn fresh_px(&self, row: usize, lane: usize, is_long: bool) -> f64 {
        let panel = if is_long { self.bars.long_px } else { self.bars.short_px };
        panel[row * self.bars.lanes + lane]
    }
}

impl<S: Simd> StopTest<S> for Test<'_, '_, '_> {
    #[inline(always)]
    fn test_carried(&mut self, simd: S, row: usize, now: &[Word], closes: &[u64]) -> u64 {
        let lanes = self.bars.lanes;
        let span = row * lanes..(row + 1) * lanes;
        let (low, high) = (&self.bars.low[span.clone()], &self.bars.high[span]);
        let mut unusual = 0;
        let (low, high) = (low.as_chunks::<LANE_CHUNK>().0, high.as_chunks::<LANE_CHUNK>().0);
        for (word, (now, closes)) in now.iter().zip(closes).enumerate() {
            let mut touched = 0;
            let of_word = word * (64 / LANE_CHUNK)..low.len().min((word + 1) * (64 / LANE_CHUNK));
            let below = self.stops.below.as_chunks::<LANE_CHUNK>().0;
            let above = self.stops.above.as_chunks::<LANE_CHUNK>().0;
            let bars = low[of_word.clone()].iter().zip(&high[of_word.clone()]);
            let triggers = below[of_word.clone()].iter().zip(&above[of_word]);
            for (chunk, ((low, high), (below, above))) in bars.zip(triggers).enumerate() {
                let load = |row: &[f64; LANE_CHUNK]| f64x8::load_array_ref(simd, row);
                let hit = load(low).simd_le(load(below)) | load(high).simd_ge(load(above));
                touched |= hit.to_bitmask() << (chunk * LANE_CHUNK);
            }
            // Stops of the row before come to the columns only now: a compare that waits for them takes longer than
            // reading two masks.
            let (turn, at) = (now.turn, row * self.stops.met.len() + word);
            let entered = turn.enter_long | turn.enter_short;
            touched = (touched & !entered)
                | (turn.enter_long & self.bars.long_touched_next[at])
                | (turn.enter_short & self.bars.short_touched_next[at]);
            if entered != 0 {
                self.set(simd, row - 1, word, &turn);
            }
            touched &= closes & (now.held.long | now.held.short);
            let mut met = [0; 2];
            while touched != 0 {
                let bit = touched & touched.wrapping_neg();
                let lane = word * 64 + touched.trailing_zeros() as usize;
                let s = if now.held.long & bit != 0 { 1.0 } else { -1.0 };
                match self.meets(row * lanes + lane, s, self.stops.px[lane]) {
                    Meets::Not => {}
                    Meets::AtOpen => met[0] |= bit,
                    Meets::Inside => met[1] |= bit,
                    Meets::Perhaps => unusual |= bit,
                }
                touched &= touched - 1;
            }
            self.stops.met[word] = met;
        }
        unusual
    }
    #[inline(always)]
    fn met(&self, word: usize) -> (u64, u64) {
        let [at_open, inside] = self.stops.met[word];
        (at_open, inside)
    }
    #[inline(always)]
    fn test_fresh(&self, row: usize, word: usize, entries: &Acts) -> (u64, u64) {
        let (mut inside, mut unusual) = (0, 0);
        let at = row * self.stops.met.len() + word;
        let mut left = (entries.enter_long & self.bars.long_touched[at])
            | (entries.enter_short & self.bars.short_touched[at]);
        while left != 0 {
            let bit = left & left.wrapping_neg();
            let lane = word * 64 + left.trailing_zeros() as usize;
            let is_long = entries.enter_long & bit != 0;
            let s = if is_long { 1.0 } else { -1.0 };
            match self.meets(row * self.bars.lanes + lane, s, self.fresh_px(row, lane, is_long)) {
                Meets::Not => {}
                Meets::Inside => inside |= bit,
                Meets::AtOpen | Meets::Perhaps => unusual |= bit,
            }
            left &= left - 1;
        }
        (inside, unusual)
    }
}
