//! Where orders of level signals are decided and where they fill, in mask words alone: no price is looked at.
//!
//! Bit = symbol. A signal is a level: it asks for a position at every close at which it is true, and what it asks for is
//! decided only where it is not held yet.

use std::ops::Range;

use crate::simd::{Simd, at_level};

mod stops;

pub use stops::{StopBars, Stops, find_fills_and_stops, may_touch};

/// Symbols of a mask word that have a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// A long one.
    pub long: u64,
    /// A short one.
    pub short: u64,
}

/// Signals of one mask word at one close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signals {
    /// Long entry is true.
    pub long_entry: u64,
    /// Long exit is true.
    pub long_exit: u64,
    /// Short entry is true.
    pub short_entry: u64,
    /// Short exit is true.
    pub short_exit: u64,
}

/// Symbols of a mask word for which something is decided or waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Acts {
    /// The position is closed.
    pub exit: u64,
    /// A long position is opened, and a short one closed.
    pub enter_long: u64,
    /// A short position is opened, and a long one closed.
    pub enter_short: u64,
    /// A waiting entry is cancelled.
    pub withdrawn: u64,
}

impl Acts {
    /// What signals ask for, given what is held and what waits of the same kind.
    ///
    /// Both entries true: neither acts. A flip closes by itself; otherwise an exit of the held side stands for itself. A
    /// waiting entry is cancelled by a signal on the other side, and suppresses another on its own.
    ///
    /// ```
    /// use barloom_kernels::fills::{Acts, Held, Signals};
    /// let signals = Signals { long_entry: 0b011, short_exit: 0b110, ..Signals::default() };
    /// let held = Held { long: 0b001, short: 0b110 };
    /// let acts = Acts::of(signals, held, Acts::default());
    /// assert_eq!((acts.enter_long, acts.exit), (0b010, 0b100));
    /// ```
    #[inline(always)]
    pub fn of(signals: Signals, held: Held, waiting: Self) -> Self {
        let Signals { long_entry, long_exit, short_entry, short_exit } = signals;
        let (long, short) = (long_entry & !short_entry, short_entry & !long_entry);
        let enter_long = long & !held.long & !waiting.enter_long;
        let enter_short = short & !held.short & !waiting.enter_short;
        let exit = (long_exit & held.long & !enter_short) | (short_exit & held.short & !enter_long);
        Self {
            exit: exit & !waiting.exit,
            enter_long,
            enter_short,
            withdrawn: (waiting.enter_long & short) | (waiting.enter_short & long),
        }
    }
    /// Symbols that have an order: an exit or an entry.
    #[inline(always)]
    pub fn orders(self) -> u64 {
        self.exit | self.enter_long | self.enter_short
    }
}

/// Symbols of a mask word between two bars: what is held, and the orders of the close before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Word {
    /// Positions.
    pub held: Held,
    /// Orders that wait for the next open.
    pub waiting: Acts,
    /// The bar that led here.
    turn: Turn,
}

impl Word {
    /// Positions, and orders that wait for the next open.
    pub fn new(held: Held, waiting: Acts) -> Self {
        Self { held, waiting, turn: Turn::default() }
    }
}

/// Signals of a tile, masks `[row][word]`; none: never true.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignalMasks<'a> {
    /// Long entry.
    pub long_entry: Option<&'a [u64]>,
    /// Long exit.
    pub long_exit: Option<&'a [u64]>,
    /// Short entry.
    pub short_entry: Option<&'a [u64]>,
    /// Short exit.
    pub short_exit: Option<&'a [u64]>,
}

impl SignalMasks<'_> {
    /// Word `at` of all of them.
    #[inline(always)]
    pub fn word(&self, at: usize) -> Signals {
        let read = |mask: Option<&[u64]>| mask.map_or(0, |mask| mask[at]);
        Signals {
            long_entry: read(self.long_entry),
            long_exit: read(self.long_exit),
            short_entry: read(self.short_entry),
            short_exit: read(self.short_exit),
        }
    }
}

/// Where bars are as usual, masks `[row][word]`. Where a bit is missing, a fill or a decision needs a closer look.
#[derive(Debug, Clone, Copy)]
pub struct UsualBars<'a> {
    /// A position may be closed at the open.
    pub closes: &'a [u64],
    /// An entry decided at the close before fills whole at the open.
    pub fills: &'a [u64],
    /// An entry may be decided at the close.
    pub opens: &'a [u64],
}

/// A fill: its row, its symbol, whether it buys, whether it opens a position, and by what stop it comes, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Event(u64);

impl Event {
    const OPENS: u64 = 1;
    const BUYS: u64 = 2;
    const GAPPED: u64 = 4;
    const STOPPED: u64 = 8;
    const ENTERED_BIT: u32 = 4;
    const SYMBOL_BIT: u32 = 5;

    /// Row of the tile at whose open it is.
    #[inline(always)]
    pub fn row(self) -> usize {
        (self.0 >> 32) as usize
    }
    /// Symbol id.
    #[inline(always)]
    pub fn symbol(self) -> usize {
        (self.0 as u32 >> Self::SYMBOL_BIT) as usize
    }
    /// Whether it buys.
    #[inline(always)]
    pub fn buys(self) -> bool {
        self.0 & Self::BUYS != 0
    }
    /// Whether it opens a position, beside closing one.
    #[inline(always)]
    pub fn opens(self) -> bool {
        self.0 & Self::OPENS != 0
    }
    /// Whether a stop closes a position that this very bar opened.
    #[inline(always)]
    pub fn stops_entry(self) -> bool {
        self.0 >> Self::ENTERED_BIT & 1 != 0
    }
    /// Whether a stop closes the position: `Some(true)` where the open has passed it, `Some(false)` inside the bar.
    #[inline(always)]
    pub fn stops(self) -> Option<bool> {
        (self.0 & (Self::GAPPED | Self::STOPPED) != 0).then_some(self.0 & Self::GAPPED != 0)
    }
}

/// What [`find_fills`] writes.
#[derive(Debug)]
pub struct FillRows<'a> {
    /// Fills in order; room for the most there can be in all rows, and [`AT_ONCE`] more.
    pub events: &'a mut [Event],
    /// Events up to the end of each row of the tile.
    pub ends: &'a mut [u32],
    /// `[row][word]`: symbols with an order that the open ends.
    pub filled: &'a mut [u64],
    /// `[row][word]`: symbols with a position at the close.
    pub held: &'a mut [u64],
}

/// Events written at once, whether or not there are so many: a branch on their number is never foreseen.
pub const AT_ONCE: usize = 4;

/// Finds the fills of rows of a tile; gives back the first row that is not as usual, or the end.
///
/// Formula: at the open of a row what waits fills, exits before entries, each by ascending symbol; at its close
/// [`Acts::of`] decides. A row that is not as usual in any symbol it concerns is left alone, and `words` are as before it.
/// Shape: `words` one per mask word, masks and outputs for the whole tile. Units: bits. Warm-up: none. NaN: none. Source:
/// definition.
///
/// ```
/// use barloom_kernels::fills::{AT_ONCE, Event, FillRows, SignalMasks, UsualBars, Word, find_fills};
/// // Two symbols: the first goes long at the close of row 0, the second short at that of row 1.
/// let (long, short) = ([0b01, 0b01, 0b01], [0b00, 0b10, 0b10]);
/// let signals = SignalMasks { long_entry: Some(&long), short_entry: Some(&short), ..SignalMasks::default() };
/// let all = [0b11; 3];
/// let usual = UsualBars { closes: &all, fills: &all, opens: &all };
/// let (mut words, mut spare) = ([Word::default()], [Word::default()]);
/// let (mut events, mut ends) = ([Event::default(); 6 + AT_ONCE], [0; 3]);
/// let (mut filled, mut held) = ([0; 3], [0; 3]);
/// let mut out = FillRows { events: &mut events, ends: &mut ends, filled: &mut filled, held: &mut held };
/// assert_eq!(find_fills(0..3, &signals, &usual, &mut words, &mut spare, &mut out), 3);
/// assert_eq!((ends, held), ([0, 1, 2], [0b00, 0b01, 0b11]));
/// assert_eq!((events[1].row(), events[1].symbol(), events[1].buys()), (2, 1, false));
/// ```
///
/// # Panics
/// When the shapes do not fit.
pub fn find_fills(
    rows: Range<usize>,
    signals: &SignalMasks<'_>,
    usual: &UsualBars<'_>,
    words: &mut [Word],
    spare: &mut [Word],
    out: &mut FillRows<'_>,
) -> usize {
    assert_eq!(words.len(), spare.len(), "as many spare words");
    at_level!(simd => match words {
        // Nearly always; in registers.
        [word] => {
            let mut one = [*word];
            let end = walk(simd, rows, signals, usual, &mut one, &mut [Word::default()], &mut NoStops, out);
            *word = one[0];
            end
        }
        words => walk(simd, rows, signals, usual, words, spare, &mut NoStops, out),
    })
}

/// What stops positions have, as the walk over the bars asks for it.
trait StopTest<S: Simd> {
    /// Tests the carried stops of a row, also those that entries of the row before brought. Bits: lanes that are not as
    /// usual.
    fn test_carried(&mut self, simd: S, row: usize, now: &[Word], closes: &[u64]) -> u64;
    /// Carried stops of a word that the open has passed, and those that are met inside the bar.
    fn met(&self, word: usize) -> (u64, u64);
    /// Tests the stops that entries of a word bring: those that are met inside the bar, and lanes that are not as usual.
    fn test_fresh(&self, row: usize, word: usize, entries: &Acts) -> (u64, u64);
}

/// Positions without stops.
struct NoStops;

impl<S: Simd> StopTest<S> for NoStops {
    #[inline(always)]
    fn test_carried(&mut self, _: S, _: usize, _: &[Word], _: &[u64]) -> u64 {
        0
    }
    #[inline(always)]
    fn met(&self, _: usize) -> (u64, u64) {
        (0, 0)
    }
    #[inline(always)]
    fn test_fresh(&self, _: usize, _: usize, _: &Acts) -> (u64, u64) {
        (0, 0)
    }
}

/// A word in one bar: what is held after the open, what stops closed, and what comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Turn {
    enter_long: u64,
    enter_short: u64,
    exit: u64,
    opened: Held,
    gapped: u64,
    stopped: u64,
    closed: Held,
}

impl Turn {
    /// The open of a word, and its stops.
    #[inline(always)]
    fn of(now: &Word, (gapped, inside): (u64, u64), fresh: u64) -> Self {
        let Word { held, waiting: Acts { exit, enter_long, enter_short, .. }, .. } = *now;
        // Where a stop was first, nothing is left to close.
        let exit = exit & !gapped;
        let opened = Held {
            long: (held.long & !(gapped | exit | enter_short)) | enter_long,
            short: (held.short & !(gapped | exit | enter_long)) | enter_short,
        };
        let stopped = (inside & !(gapped | exit | enter_long | enter_short)) | fresh;
        let closed = Held { long: opened.long & !stopped, short: opened.short & !stopped };
        Self { enter_long, enter_short, exit, opened, gapped, stopped, closed }
    }
}

#[expect(clippy::too_many_arguments, reason = "the columns of the kernels above")]
#[inline(always)]
fn walk<S: Simd, T: StopTest<S>>(
    simd: S,
    rows: Range<usize>,
    signals: &SignalMasks<'_>,
    usual: &UsualBars<'_>,
    now: &mut [Word],
    next: &mut [Word],
    stops: &mut T,
    out: &mut FillRows<'_>,
) -> usize {
    let words = now.len();
    let mut len = 0;
    for row in rows.clone() {
        let mut unusual = stops.test_carried(simd, row, now, &usual.closes[row * words..(row + 1) * words]);
        for (word, (now, next)) in now.iter().zip(next.iter_mut()).enumerate() {
            let (at, entries) = (row * words + word, now.waiting.enter_long | now.waiting.enter_short);
            let (fresh, odd) = stops.test_fresh(row, word, &now.waiting);
            let turn = Turn::of(now, stops.met(word), fresh);
            let held = turn.closed;
            let waiting = Acts::of(signals.word(at), held, Acts::default());
            unusual |= odd
                | (now.waiting.exit & !usual.closes[at])
                | (entries & !usual.fills[at])
                | ((waiting.enter_long | waiting.enter_short) & !usual.opens[at]);
            *next = Word { held, waiting, turn };
        }
        if unusual != 0 {
            return row;
        }
        let like = |word: usize| ((row as u64) << 32) + ((word as u64) << (6 + Event::SYMBOL_BIT));
        for (word, (now, next)) in now.iter().zip(next.iter()).enumerate() {
            let gapped = next.turn.gapped;
            if gapped != 0 {
                len = add_events(out.events, len, gapped, like(word) | Event::GAPPED, now.held.short, 0);
            }
        }
        for (word, (now, next)) in now.iter().zip(next.iter()).enumerate() {
            let exit = next.turn.exit;
            if exit != 0 {
                len = add_events(out.events, len, exit, like(word), now.held.short, 0);
            }
        }
        for (word, (now, next)) in now.iter().zip(next.iter()).enumerate() {
            let (at, Acts { enter_long, enter_short, .. }) = (row * words + word, now.waiting);
            out.filled[at] = now.waiting.orders();
            out.held[at] = next.held.long | next.held.short;
            len = add_events(
                out.events,
                len,
                enter_long | enter_short,
                like(word) | Event::OPENS,
                enter_long,
                0,
            );
        }
        for (word, (now, next)) in now.iter_mut().zip(next.iter()).enumerate() {
            let Turn { stopped, opened, .. } = next.turn;
            if stopped != 0 {
                let entered = now.waiting.enter_long | now.waiting.enter_short;
                let like = like(word) | Event::STOPPED;
                len = add_events(out.events, len, stopped, like, opened.short, entered);
            }
            *now = *next;
        }
        out.ends[row] = len as u32;
    }
    rows.end
}

/// Adds an event for each bit at `len`, like one of symbol 0; gives back the new length.
#[inline(always)]
fn add_events(
    events: &mut [Event],
    mut len: usize,
    mut bits: u64,
    like: u64,
    buys: u64,
    entered: u64,
) -> usize {
    loop {
        let slots = &mut events[len..len + AT_ONCE];
        let mut more = 0;
        for slot in slots {
            let bit = u64::from(bits.trailing_zeros() & 63);
            *slot = Event(
                like + (bit << Event::SYMBOL_BIT)
                    + ((buys >> bit & 1) << 1)
                    + ((entered >> bit & 1) << Event::ENTERED_BIT),
            );
            more += usize::from(bits != 0);
            bits &= bits.wrapping_sub(1);
        }
        len += more;
        if bits == 0 {
            return len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROWS: usize = 12;

    fn bit(mask: &[u64], words: usize, row: usize, symbol: usize) -> bool {
        mask[row * words + symbol / 64] >> (symbol % 64) & 1 != 0
    }

    /// Symbol by symbol and bar by bar: positions −1, 0, 1 and orders as words.
    fn naive(
        words: usize,
        masks: &[Vec<u64>],
        usual: &[Vec<u64>],
        held: &mut [i32],
        waiting: &mut [Option<i32>],
    ) -> (usize, Vec<(usize, usize, bool, bool)>) {
        let mut fills = Vec::new();
        for row in 0..ROWS {
            let (held_before, waiting_before) = (held.to_vec(), waiting.to_vec());
            let (mut exits, mut entries, mut is_usual) = (Vec::new(), Vec::new(), true);
            for symbol in 0..held.len() {
                let of = |mask: &[u64]| bit(mask, words, row, symbol);
                match waiting[symbol].take() {
                    None => {}
                    Some(0) => {
                        is_usual &= of(&usual[0]);
                        exits.push((row, symbol, held[symbol] < 0, false));
                        held[symbol] = 0;
                    }
                    Some(side) => {
                        is_usual &= of(&usual[1]);
                        entries.push((row, symbol, side > 0, true));
                        held[symbol] = side;
                    }
                }
                let [long, long_exit, short, short_exit] = [0, 1, 2, 3].map(|mask| of(&masks[mask]));
                if long && !short && held[symbol] != 1 {
                    waiting[symbol] = Some(1);
                } else if short && !long && held[symbol] != -1 {
                    waiting[symbol] = Some(-1);
                } else if (held[symbol] == 1 && long_exit) || (held[symbol] == -1 && short_exit) {
                    waiting[symbol] = Some(0);
                }
                is_usual &= !matches!(waiting[symbol], Some(-1 | 1)) || of(&usual[2]);
            }
            if !is_usual {
                held.copy_from_slice(&held_before);
                waiting.copy_from_slice(&waiting_before);
                return (row, fills);
            }
            fills.extend(exits.into_iter().chain(entries));
        }
        (ROWS, fills)
    }

    proptest! {
        #[test]
        fn fills_are_those_of_one_symbol_after_the_other(
            symbols in prop::sample::select(vec![1_usize, 5, 64, 90, 150]),
            seed in any::<u64>(),
            rare in 1_u32..5,
            odd in 0_u32..9,
        ) {
            let words = symbols.div_ceil(64);
            let mut state = seed | 1;
            let mut draw = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state
            };
            let mut mask = |ands: u32| -> Vec<u64> {
                (0..ROWS * words).map(|at| {
                    let all = (0..ands).fold(u64::MAX, |bits, _| bits & draw());
                    let last = at % words == words - 1 && !symbols.is_multiple_of(64);
                    if last { all & ((1 << (symbols % 64)) - 1) } else { all }
                }).collect()
            };
            let masks: Vec<Vec<u64>> = (0..4).map(|_| mask(rare)).collect();
            // Odd bars are rare: those in which many draws agree.
            let usual: Vec<Vec<u64>> = (0..3).map(|_| mask(4 + odd).iter().map(|bits| !bits).collect()).collect();
            let (mut held, mut waiting) = (vec![0; symbols], vec![None; symbols]);
            let (end, fills) = naive(words, &masks, &usual, &mut held, &mut waiting);

            let signals = SignalMasks {
                long_entry: Some(&masks[0]),
                long_exit: Some(&masks[1]),
                short_entry: Some(&masks[2]),
                short_exit: Some(&masks[3]),
            };
            let bars = UsualBars { closes: &usual[0], fills: &usual[1], opens: &usual[2] };
            let mut state = vec![Word::default(); words];
            let mut events = vec![Event::default(); ROWS * symbols + AT_ONCE];
            let (mut ends, mut filled, mut after) = ([0; ROWS], vec![0; ROWS * words], vec![0; ROWS * words]);
            let mut out =
                FillRows { events: &mut events, ends: &mut ends, filled: &mut filled, held: &mut after };
            let found = find_fills(0..ROWS, &signals, &bars, &mut state, &mut vec![Word::default(); words], &mut out);
            prop_assert_eq!(found, end);
            let count = if end == 0 { 0 } else { ends[end - 1] as usize };
            let events: Vec<_> =
                events[..count].iter().map(|e| (e.row(), e.symbol(), e.buys(), e.opens())).collect();
            prop_assert_eq!(&events, &fills);
            for (row, &ended) in ends[..end].iter().enumerate() {
                let in_row = fills.iter().filter(|fill| fill.0 <= row).count();
                prop_assert_eq!(ended as usize, in_row);
                for symbol in 0..symbols {
                    let here = fills.iter().any(|fill| fill.0 == row && fill.1 == symbol);
                    prop_assert_eq!(bit(&filled, words, row, symbol), here);
                }
            }
            for symbol in 0..symbols {
                let (word, at) = (&state[symbol / 64], symbol % 64);
                let is = |mask: u64| mask >> at & 1 != 0;
                prop_assert_eq!((is(word.held.long), is(word.held.short)), (held[symbol] == 1, held[symbol] == -1));
                let order = (is(word.waiting.exit), is(word.waiting.enter_long), is(word.waiting.enter_short));
                let expected = waiting[symbol];
                prop_assert_eq!(order, (expected == Some(0), expected == Some(1), expected == Some(-1)));
                if end > 0 {
                    prop_assert_eq!(bit(&after, words, end - 1, symbol), held[symbol] != 0);
                }
            }
        }
    }
}
