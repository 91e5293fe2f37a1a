//! Order statistics of the last `n` values: percent rank, percentile, median.
//!
//! Percent rank counts over the ring. Percentiles keep, per lane, the window in ascending order beside the ring: the
//! value that leaves is found by bisection and taken out, the new one put in.

use crate::simd::{LANE_CHUNK, Simd, f64x8, prelude::*};
use crate::stream::window::Delay;
use crate::stream::{Bar, Kernel, Layout, Ring, Slot, run, state_len};

/// What values equal to the current one count for in a percent rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ties {
    /// Nothing: the share strictly below.
    Below,
    /// One half each.
    Mean,
}

/// The ring holds the `n` values before this one.
#[derive(Debug, Clone, Copy)]
struct PercentRank {
    n: usize,
    ties: Ties,
}

impl PercentRank {
    fn new(n: usize, ties: Ties) -> Self {
        assert!(n > 0, "a window is at least one bar");
        Self { n, ties }
    }
}

impl Layout for PercentRank {
    fn warm_bars(&self) -> usize {
        self.n + 1
    }
    fn block_bars(&self) -> usize {
        self.n
    }
    fn ring_slots(&self) -> usize {
        self.n
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        visit(Ring { start: 0, len: self.n, width: 1 });
    }
}

/// Adds up what the values of a ring count for, in any order: halves up to `n` are exact.
#[inline(always)]
fn total<S: Simd>(simd: S, past: &[Slot], counts: impl Fn(f64x8<S>) -> f64x8<S>) -> f64x8<S> {
    let mut totals = [f64x8::splat(simd, 0.0); 4];
    let (fours, rest) = past.as_chunks::<4>();
    for four in fours {
        for (total, past) in totals.iter_mut().zip(four) {
            *total += counts(f64x8::load_array_ref(simd, past));
        }
    }
    for past in rest {
        totals[0] += counts(f64x8::load_array_ref(simd, past));
    }
    (totals[0] + totals[1]) + (totals[2] + totals[3])
}

impl<S: Simd> Kernel<S, 1, 1, 0> for PercentRank {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        [x]: [f64x8<S>; 1],
        _: &mut [f64x8<S>; 0],
    ) -> [f64x8<S>; 1] {
        let (zero, half, one) = (bar.splat(0.0), bar.splat(0.5), bar.splat(1.0));
        let past = &bar.ring[..self.n];
        let below = match self.ties {
            Ties::Below => total(
                bar.simd,
                past,
                #[inline(always)]
                |past| past.simd_lt(x).select(one, zero),
            ),
            Ties::Mean => total(
                bar.simd,
                past,
                #[inline(always)]
                |past| past.simd_lt(x).select(one, past.simd_eq(x).select(half, zero)),
            ),
        };
        bar.put::<HOT>(bar.block_bar, x);
        [bar.starting_at::<HOT>(self.n + 1, below * 100.0 / bar.splat(self.n as f64))]
    }
}

/// State of [`percentrank`].
pub fn percentrank_state_len(lanes: usize, n: usize) -> usize {
    state_len(PercentRank::new(n, Ties::Below), 0, lanes)
}

/// Percent rank of a value among those before it.
///
/// Formula: 100 times the share of the `n` previous values strictly below `x`, equals counting by `ties`. Shape:
/// `[row][lane]` in and out. Units: 0 to 100. Warm-up: first value at index `n`. NaN: missing bar. Source: definition.
/// Time: `n` comparisons per bar, eight lanes at once.
///
/// ```
/// use barloom_kernels::rolling::{percentrank, percentrank_state_len, Ties};
/// let x: Vec<f64> = [1.0, 3.0, 2.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; percentrank_state_len(8, 2)], vec![0.0; x.len()]);
/// percentrank(&x, 8, 2, Ties::Below, &mut state, &mut out);
/// assert_eq!(out[16], 50.0);
/// ```
pub fn percentrank(x: &[f64], lanes: usize, n: usize, ties: Ties, state: &mut [f64], out: &mut [f64]) {
    run!(PercentRank::new(n, ties), [x], lanes, state, [out]);
}

/// How a percentile falls between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PercentileKind {
    /// It does not: the value of rank `⌈p n/100⌉`, at least 1.
    NearestRank,
    /// Linear between neighbours at `p/100 (n-1)` (type 7, the default of numpy).
    Linear,
}

#[derive(Debug, Clone, Copy)]
struct Percentile {
    history: Delay,
    n: usize,
    /// Index in ascending order, and the share of the next value.
    index: usize,
    next_share: f64,
}

impl Percentile {
    fn new(n: usize, percent: f64, kind: PercentileKind) -> Self {
        assert!((0.0..=100.0).contains(&percent), "a percentile is 0 to 100");
        let history = Delay::new(n, 0);
        let (index, next_share) = match kind {
            PercentileKind::NearestRank => (((percent * n as f64 / 100.0).ceil() as usize).max(1) - 1, 0.0),
            PercentileKind::Linear => {
                let at = percent * (n - 1) as f64 / 100.0;
                (at as usize, at.fract())
            }
        };
        Self { history, n, index, next_share }
    }

    #[inline(always)]
    fn lane_value(&self, ascending: &[f64]) -> f64 {
        let low = ascending[self.index];
        if self.next_share == 0.0 {
            return low;
        }
        low + (ascending[self.index + 1] - low) * self.next_share
    }
}

impl Layout for Percentile {
    fn warm_bars(&self) -> usize {
        self.n
    }
    fn ring_slots(&self) -> usize {
        self.history.slots() + self.n
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        visit(self.history.ring());
    }
}

impl<S: Simd> Kernel<S, 1, 1, 0> for Percentile {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        [x]: [f64x8<S>; 1],
        _: &mut [f64x8<S>; 0],
    ) -> [f64x8<S>; 1] {
        let leaving = self.history.push::<S, HOT>(bar, x);
        let (count, present) = (bar.count.to_array(), bar.present.to_bitmask());
        let sorted = &mut bar.ring[self.history.slots()..];
        let values = step_sorted(self, sorted, present, count, leaving.to_array(), x.to_array());
        [f64x8::load_array(bar.simd, values)]
    }
}

/// Moves each present lane's sorted window by one bar; `sorted` holds `n` contiguous values per lane.
#[inline(never)]
fn step_sorted(
    kernel: &Percentile,
    sorted: &mut [Slot],
    present: u64,
    count: Slot,
    leaving: Slot,
    entering: Slot,
) -> Slot {
    let mut values = [f64::NAN; LANE_CHUNK];
    for (lane, window) in sorted.as_flattened_mut().chunks_exact_mut(kernel.n).enumerate() {
        if present >> lane & 1 == 0 {
            continue;
        }
        let (x, bars) = (entering[lane], count[lane] as usize);
        if bars > kernel.n {
            replace(window, leaving[lane], x);
        } else {
            insert(window, bars - 1, x);
        }
        if bars >= kernel.n {
            values[lane] = kernel.lane_value(window);
        }
    }
    values
}

/// Puts a value among the first `held` of a window, which ascend.
pub(crate) fn insert(window: &mut [f64], held: usize, x: f64) {
    let at = window[..held].partition_point(|&y| y < x);
    window.copy_within(at..held, at + 1);
    window[at] = x;
}

/// Takes one value out of an ascending window and puts another in.
pub(crate) fn replace(window: &mut [f64], leaving: f64, entering: f64) {
    let out = window.partition_point(|&y| y < leaving);
    if entering > leaving {
        let into = window.partition_point(|&y| y < entering) - 1;
        window.copy_within(out + 1..into + 1, out);
        window[into] = entering;
    } else {
        let into = window.partition_point(|&y| y < entering);
        window.copy_within(into..out, into + 1);
        window[into] = entering;
    }
}

/// State of [`percentile`] and [`median`].
pub fn percentile_state_len(lanes: usize, n: usize) -> usize {
    state_len(Percentile::new(n, 50.0, PercentileKind::Linear), 0, lanes)
}

/// Rolling percentile.
///
/// Formula: nearest rank `⌈p n/100⌉` of the last `n` values, or type-7 linear. Shape: `[row][lane]` in and out. Units:
/// those of the input; `percent` is 0 to 100. Warm-up: first value at index `n-1`. NaN: missing bar. Source: Hyndman
/// and Fan 1996.
///
/// ```
/// use barloom_kernels::rolling::{percentile, percentile_state_len, PercentileKind};
/// let x: Vec<f64> = [4.0, 1.0, 2.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; percentile_state_len(8, 3)], vec![0.0; x.len()]);
/// percentile(&x, 8, 3, 25.0, PercentileKind::NearestRank, &mut state, &mut out);
/// assert_eq!(out[16], 1.0);
/// ```
pub fn percentile(
    x: &[f64],
    lanes: usize,
    n: usize,
    percent: f64,
    kind: PercentileKind,
    state: &mut [f64],
    out: &mut [f64],
) {
    run!(Percentile::new(n, percent, kind), [x], lanes, state, [out]);
}

/// Rolling median.
///
/// Formula: the middle of the last `n` values, the mean of the two middle ones when `n` is even. Shape: `[row][lane]` in
/// and out. Units: those of the input. Warm-up: first value at index `n-1`. NaN: missing bar. Source: definition. State:
/// [`percentile_state_len`].
///
/// ```
/// use barloom_kernels::rolling::{median, percentile_state_len};
/// let x: Vec<f64> = [4.0, 1.0, 2.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; percentile_state_len(8, 3)], vec![0.0; x.len()]);
/// median(&x, 8, 3, &mut state, &mut out);
/// assert_eq!(out[16], 2.0);
/// ```
pub fn median(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    percentile(x, lanes, n, 50.0, PercentileKind::Linear, state, out);
}
