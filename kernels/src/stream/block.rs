//! Windows over the last `n` present bars by blocks: what the block that goes on has added up so far, joined with what
//! is left of the one before.
//!
//! Rows fall into blocks of `n`. A bar at position `k` of its block has a window of the block's first `k + 1` bars, added
//! up as they come, and of the last `n - k - 1` bars of the block before, whose sums over every such end were made in
//! one backward pass when it was complete. That is two additions and a share of the pass for a bar, whatever `n`;
//! nothing is subtracted, so what has left a window leaves no trace. A value depends on the bars of its window and, in its
//! last bits, on where the blocks fall.
//!
//! Squares are taken of distances from an anchor, the block's first bar: it is in every window the block's sums are part
//! of, so they are as large as the window is wide, whatever its level, and 0 when it is flat.

use super::fold::{Largest, Smallest};
use super::{Bar, Ring, Slot};
use crate::simd::{Simd, f64x8, prelude::*};

/// What a block adds up: `X` values of a bar, `V` sums.
pub(crate) trait Addends<S: Simd, const X: usize, const V: usize> {
    /// The sum of no bars.
    const NOTHING: f64 = 0.0;

    /// What a bar adds, given the values of the block's first bar.
    fn of(x: [f64x8<S>; X], anchor: [f64x8<S>; X]) -> [f64x8<S>; V];

    /// Both together.
    #[inline(always)]
    fn join(a: [f64x8<S>; V], b: [f64x8<S>; V]) -> [f64x8<S>; V] {
        let mut sum = a;
        for (sum, b) in sum.iter_mut().zip(b) {
            *sum += b;
        }
        sum
    }
}

/// A window over `n` bars, in rings of values and of the sums of the block before; the sums so far are registers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocks<const X: usize, const V: usize> {
    n: usize,
    base: usize,
}

impl<const X: usize, const V: usize> Blocks<X, V> {
    pub(crate) fn new(n: usize, base: usize) -> Self {
        assert!(n > 0, "a window is at least one bar");
        Self { n, base }
    }

    pub(crate) fn slots(&self) -> usize {
        (X + V) * self.n
    }

    /// The values; a lane that joins makes its sums anew.
    pub(crate) fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        visit(Ring { start: self.base, len: self.n, width: X });
    }

    /// Values by position in the block, and sums of what is left of the block before after that position.
    #[inline(always)]
    fn parts<'a, S: Simd>(&self, bar: &'a mut Bar<'_, S>) -> (&'a mut [[Slot; X]], &'a mut [[Slot; V]]) {
        let (values, rest) = bar.ring[self.base..self.base + self.slots()].split_at_mut(X * self.n);
        (values.as_chunks_mut().0, rest.as_chunks_mut().0)
    }

    /// Takes this bar's values, returns the sums over the last `n` bars; while there are fewer, values of 0 stand for
    /// those before the first. The kernel's `block_bars` are `n`.
    #[inline(always)]
    pub(crate) fn push<S: Simd, F: Addends<S, X, V>, const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        sums: &mut [f64x8<S>; V],
        x: [f64x8<S>; X],
    ) -> [f64x8<S>; V] {
        let (simd, present, at) = (bar.simd, bar.present, bar.block_bar);
        if !HOT && at > 0 && bar.joining.any_true() {
            self.rejoin::<S, F>(bar, sums);
        }
        let (values, left) = self.parts(bar);
        for (slot, &x) in values[at].iter_mut().zip(&x) {
            let x = if HOT { x } else { present.select(x, f64x8::load_array_ref(simd, slot)) };
            x.store_array(slot);
        }
        if at == 0 {
            *sums = F::of(x, x);
            let mut sum = [f64x8::splat(simd, F::NOTHING); V];
            store(&mut left[self.n - 1], sum);
            for later in (1..self.n).rev() {
                sum = F::join(F::of(load(simd, &values[later]), x), sum);
                store(&mut left[later - 1], sum);
            }
        } else {
            *sums = F::join(*sums, F::of(x, load(simd, &values[0])));
        }
        F::join(load(simd, &left[at]), *sums)
    }

    /// Makes the sums of lanes anew that list or come back, from their values, which are in step with the block.
    #[inline(always)]
    fn rejoin<S: Simd, F: Addends<S, X, V>>(&self, bar: &mut Bar<'_, S>, sums: &mut [f64x8<S>; V]) {
        let (simd, joining, at) = (bar.simd, bar.joining, bar.block_bar);
        let (values, left) = self.parts(bar);
        let anchor = load(simd, &values[0]);
        let mut sum = F::of(anchor, anchor);
        for earlier in &values[1..at] {
            sum = F::join(sum, F::of(load(simd, earlier), anchor));
        }
        for (sums, sum) in sums.iter_mut().zip(sum) {
            *sums = joining.select(sum, *sums);
        }
        let mut sum = [f64x8::splat(simd, F::NOTHING); V];
        for later in (at..self.n).rev() {
            for (slot, &sum) in left[later].iter_mut().zip(&sum) {
                joining.select(sum, f64x8::load_array_ref(simd, slot)).store_array(slot);
            }
            sum = F::join(F::of(load(simd, &values[later]), anchor), sum);
        }
    }
}

#[inline(always)]
fn load<S: Simd, const W: usize>(simd: S, slots: &[Slot; W]) -> [f64x8<S>; W] {
    let mut x = [f64x8::splat(simd, 0.0); W];
    for (x, slot) in x.iter_mut().zip(slots) {
        *x = f64x8::load_array_ref(simd, slot);
    }
    x
}

#[inline(always)]
fn store<S: Simd, const W: usize>(slots: &mut [Slot; W], x: [f64x8<S>; W]) {
    for (slot, x) in slots.iter_mut().zip(x) {
        x.store_array(slot);
    }
}

/// Each value for itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values;

impl<S: Simd, const V: usize> Addends<S, V, V> for Values {
    #[inline(always)]
    fn of(x: [f64x8<S>; V], _: [f64x8<S>; V]) -> [f64x8<S>; V] {
        x
    }
}

impl<S: Simd> Addends<S, 1, 1> for Largest {
    const NOTHING: f64 = f64::NEG_INFINITY;

    #[inline(always)]
    fn of(x: [f64x8<S>; 1], _: [f64x8<S>; 1]) -> [f64x8<S>; 1] {
        x
    }

    #[inline(always)]
    fn join([older]: [f64x8<S>; 1], [newer]: [f64x8<S>; 1]) -> [f64x8<S>; 1] {
        [older.simd_gt(newer).select(older, newer)]
    }
}

impl<S: Simd> Addends<S, 1, 1> for Smallest {
    const NOTHING: f64 = f64::INFINITY;

    #[inline(always)]
    fn of(x: [f64x8<S>; 1], _: [f64x8<S>; 1]) -> [f64x8<S>; 1] {
        x
    }

    #[inline(always)]
    fn join([older]: [f64x8<S>; 1], [newer]: [f64x8<S>; 1]) -> [f64x8<S>; 1] {
        [older.simd_lt(newer).select(older, newer)]
    }
}

/// Distances from the anchor and their squares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Distances;

impl<S: Simd> Addends<S, 1, 2> for Distances {
    #[inline(always)]
    fn of([x]: [f64x8<S>; 1], [anchor]: [f64x8<S>; 1]) -> [f64x8<S>; 2] {
        let distance = x - anchor;
        [distance, distance * distance]
    }
}

/// Mean and variance (ddof 0) of the last `n` bars.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeanAndVariance {
    blocks: Blocks<1, 2>,
}

impl MeanAndVariance {
    pub(crate) fn new(n: usize, base: usize) -> Self {
        Self { blocks: Blocks::new(n, base) }
    }

    pub(crate) fn bars(&self) -> usize {
        self.blocks.n
    }

    pub(crate) fn slots(&self) -> usize {
        self.blocks.slots()
    }

    pub(crate) fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        self.blocks.rings(visit);
    }

    /// Takes this bar's value, returns mean and variance of the last `n`.
    #[inline(always)]
    pub(crate) fn push<S: Simd, const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        sums: &mut [f64x8<S>; 2],
        x: f64x8<S>,
    ) -> [f64x8<S>; 2] {
        let [distances, squares] = self.blocks.push::<S, Distances, HOT>(bar, sums, [x]);
        let per_bar = 1.0 / self.blocks.n as f64;
        let anchor = bar.slot(self.blocks.base);
        let (mean, square) = (distances * per_bar, squares * per_bar);
        let variance = square - mean * mean;
        let zero = bar.splat(0.0);
        [anchor + mean, variance.simd_gt(zero).select(variance, zero)]
    }
}
