//! What is made of a bar and the one `n` present bars before it: history, difference, rate of change.
//!
//! The bar before lies in a ring whose places are given up when they are taken again. Where no lane lists, misses a bar or
//! comes back it also lies `n` rows up in the input; reading it there spares the ring, and rows are then one straight
//! loop over memory.

use core::marker::PhantomData;

use super::{
    Bar, COUNT_SLOT, HEADER_SLOTS, Kernel, Layout, NEVER_HOT, ROWS_SLOT, Ring, Slot, add_bars, drive,
    hot_lanes, state_len,
};
use crate::simd::{LANE_CHUNK, Simd, f64x8, mask64x8, prelude::*};

/// What is made of the two.
pub(crate) trait OfPast<S: Simd>: Copy {
    /// From this bar's value and the past one.
    fn of(simd: S, x: f64x8<S>, past: f64x8<S>) -> f64x8<S>;
}

/// An indicator of a bar and the one `n` present bars before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past<F> {
    n: usize,
    made: PhantomData<F>,
}

impl<F: Copy> Past<F> {
    pub(crate) fn new(n: usize) -> Self {
        assert!(n > 0, "a delay is at least one bar");
        Self { n, made: PhantomData }
    }
}

impl<F: Copy> Layout for Past<F> {
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

impl<S: Simd, F: OfPast<S>> Kernel<S, 1, 1, 0> for Past<F> {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        [x]: [f64x8<S>; 1],
        _: &mut [f64x8<S>; 0],
    ) -> [f64x8<S>; 1] {
        let past = bar.slot(bar.block_bar);
        bar.put::<HOT>(bar.block_bar, x);
        [bar.starting_at::<HOT>(self.n + 1, F::of(bar.simd, x, past))]
    }
}

/// `f64` slots of state.
pub(crate) fn past_state_len(n: usize, lanes: usize) -> usize {
    state_len(Past::<()>::new(n), 0, lanes)
}

/// Runs such an indicator over rows, as [`drive`] does and with the same bits.
#[inline(always)]
pub(crate) fn drive_past<S: Simd, F: OfPast<S>>(
    simd: S,
    kernel: Past<F>,
    x: &[f64],
    lanes: usize,
    state: &mut [f64],
    out: &mut [f64],
) {
    let head = (kernel.n * lanes).min(x.len());
    let before = if head < x.len() { bars_seen(simd, kernel, state, lanes) } else { None };
    drive::<S, _, 1, 1, 0>(simd, kernel, [&x[..head]], lanes, state, [&mut out[..head]]);
    let mut done = head;
    // A bar in every lane ever listed, in each of these rows: `n` bars ago is `n` rows ago from here on.
    let in_step = before.zip(bars_seen(simd, kernel, state, lanes)).is_some_and(|(before, after)| {
        after.bars == before.bars + kernel.n as f64 * before.listed && after.listed == before.listed
    });
    if in_step {
        let rows =
            straight_rows::<S, F>(simd, kernel.n, &x[head - kernel.n * lanes..], lanes, &mut out[head..]);
        done += rows * lanes;
        settle(simd, kernel.n, &x[..done], rows, lanes, state);
    }
    drive::<S, _, 1, 1, 0>(simd, kernel, [&x[done..]], lanes, state, [&mut out[done..]]);
}

/// Of all lanes together.
struct Seen {
    bars: f64,
    listed: f64,
}

/// What all lanes have seen, if none is warming up or missing.
#[inline(always)]
fn bars_seen<S: Simd, K: Layout>(simd: S, kernel: K, state: &[f64], lanes: usize) -> Option<Seen> {
    let mut seen = Seen { bars: 0.0, listed: 0.0 };
    for chunk in state.as_chunks::<LANE_CHUNK>().0.chunks_exact(state.len() / lanes) {
        let hot = hot_lanes(simd, kernel, chunk);
        if hot == NEVER_HOT {
            return None;
        }
        seen.listed += f64::from(hot.count_ones());
        // A lane never listed has 0.
        seen.bars += chunk[COUNT_SLOT].iter().sum::<f64>();
    }
    Some(seen)
}

/// Rows of `x` from the `n`-th on, as long as the lanes that have a value are those of `n` rows before; returns how many.
#[inline(always)]
fn straight_rows<S: Simd, F: OfPast<S>>(
    simd: S,
    n: usize,
    x: &[f64],
    lanes: usize,
    out: &mut [f64],
) -> usize {
    let missing = f64x8::splat(simd, f64::NAN);
    let rows = x[n * lanes..].chunks_exact(lanes).zip(x.chunks_exact(lanes));
    for (row, ((x, past), out)) in rows.zip(out.chunks_exact_mut(lanes)).enumerate() {
        let mut moved = mask64x8::splat(simd, false);
        let chunks = x.as_chunks::<LANE_CHUNK>().0.iter().zip(past.as_chunks::<LANE_CHUNK>().0);
        for ((x, past), out) in chunks.zip(out.as_chunks_mut().0) {
            let (x, past) = (f64x8::load_array_ref(simd, x), f64x8::load_array_ref(simd, past));
            let present = x.simd_eq(x);
            moved |= present ^ past.simd_eq(past);
            present.select(F::of(simd, x, past), missing).store_array(out);
        }
        if moved.any_true() {
            return row;
        }
    }
    out.len() / lanes
}

/// Brings the state up to date with the last `rows` rows of `x`.
#[inline(always)]
fn settle<S: Simd>(simd: S, n: usize, x: &[f64], rows: usize, lanes: usize, state: &mut [f64]) {
    let x: &[Slot] = x.as_chunks().0;
    let (width, chunk_len) = (lanes / LANE_CHUNK, state.len() / lanes);
    for (column, chunk) in state.as_chunks_mut::<LANE_CHUNK>().0.chunks_exact_mut(chunk_len).enumerate() {
        let past_rows = chunk[ROWS_SLOT][0] as usize;
        for back in 1..=rows.min(n) {
            chunk[HEADER_SLOTS + (past_rows + rows - back) % n] = x[x.len() - back * width + column];
        }
        chunk[ROWS_SLOT][0] += rows as f64;
        add_bars(simd, chunk, rows);
    }
}
