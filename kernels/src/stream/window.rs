//! Windows over the last `n` present bars: a delay, and folds kept as a tree of pairs. It costs about `2 log2 n` joins per
//! row, is as accurate as pairwise summation, never subtracts, and depends on the bars of the window alone. Sums, moments
//! and extremes have cheaper ones, [`super::block`].

use super::{Bar, Ring, Slot};
use crate::simd::{Simd, f64x8, mask64x8, prelude::*};

/// The value `bars` present bars ago.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delay {
    bars: usize,
    base: usize,
}

impl Delay {
    pub(crate) fn new(bars: usize, base: usize) -> Self {
        assert!(bars > 0, "a delay is at least one bar");
        Self { bars, base }
    }

    pub(crate) fn slots(&self) -> usize {
        self.bars.next_power_of_two()
    }

    pub(crate) fn ring(&self) -> Ring {
        Ring { start: self.base, len: self.slots(), width: 1 }
    }

    /// Takes this bar's value, returns the delayed one (0 while there is none).
    #[inline(always)]
    pub(crate) fn push<S: Simd, const HOT: bool>(&self, bar: &mut Bar<'_, S>, x: f64x8<S>) -> f64x8<S> {
        let delayed = self.back(bar, self.bars);
        self.put::<S, HOT>(bar, x);
        delayed
    }

    /// Takes this bar's value.
    #[inline(always)]
    pub(crate) fn put<S: Simd, const HOT: bool>(&self, bar: &mut Bar<'_, S>, x: f64x8<S>) {
        let mask = self.slots() - 1;
        bar.put::<HOT>(self.base + (bar.pos & mask), x);
    }

    /// The value `bars` ago, `bars` being at most the delay (before this bar's push) or less than it (after).
    #[inline(always)]
    pub(crate) fn back<S: Simd>(&self, bar: &Bar<'_, S>, bars: usize) -> f64x8<S> {
        let mask = self.slots() - 1;
        bar.slot(self.base + (bar.pos.wrapping_sub(bars) & mask))
    }
}

/// How two neighbouring stretches of bars join into one; `V` vectors describe a stretch.
pub(crate) trait Fold<S: Simd, const V: usize> {
    /// Vectors that say something of a single bar; the others are 0.
    const OF_ONE_BAR: usize = V;

    /// A stretch as [`Fold::join`] takes it, from one as [`Fold::join_equal`] makes it; its bars are a power of two,
    /// `per_bar` is one over them, and to multiply by either is exact.
    #[inline(always)]
    fn settle(stretch: [f64x8<S>; V], _per_bar: f64) -> [f64x8<S>; V] {
        stretch
    }

    /// Joins an older stretch with the newer one that follows it.
    fn join(
        simd: S,
        older: [f64x8<S>; V],
        newer: [f64x8<S>; V],
        older_bars: f64,
        newer_bars: f64,
    ) -> [f64x8<S>; V];

    /// Joins two stretches of `bars` each, a power of two.
    fn join_equal(simd: S, older: [f64x8<S>; V], newer: [f64x8<S>; V], bars: f64) -> [f64x8<S>; V];
}

/// The fold of the last `n` values. Level `k` keeps the folds of `2^k` bars in a ring of `2^k` entries, so the entry
/// about to be overwritten is the one `2^k` bars ago.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tree<const V: usize> {
    n: usize,
    top: u32,
    base: usize,
}

impl<const V: usize> Tree<V> {
    pub(crate) fn new(n: usize, base: usize) -> Self {
        assert!(n > 0, "a window is at least one bar");
        Self { n, top: n.ilog2(), base }
    }

    /// Levels with a ring: the top one needs none when `n` is a power of two.
    fn ring_levels(&self) -> u32 {
        self.top + u32::from(!self.n.is_power_of_two())
    }

    pub(crate) fn slots(&self) -> usize {
        V * ((1 << self.ring_levels()) - 1)
    }

    pub(crate) fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        for level in 0..self.ring_levels() {
            let before = (1 << level) - 1;
            visit(Ring { start: self.base + V * before, len: 1 << level, width: V });
        }
    }

    /// Takes this bar's value, returns the fold of the last `n`. Entries of bars before the first are zero.
    #[inline(always)]
    pub(crate) fn push<S: Simd, F: Fold<S, V>, const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; V],
    ) -> [f64x8<S>; V] {
        let (n, simd, present, pos) = (self.n, bar.simd, bar.present, bar.pos);
        if n == 1 {
            return F::settle(x, 1.0);
        }
        // Level by level, the entries of the rings: 1, 2, 4, …; a level begins at as many as it has, less one.
        let entries = bar.ring[self.base..].as_chunks_mut::<V>().0;
        // The first level apart: single bars, of which less is known.
        let mut old = x;
        for (slot, old) in entries[0].iter_mut().zip(&mut old).take(F::OF_ONE_BAR) {
            *old = exchange::<S, HOT>(simd, present, slot, *old);
        }
        let mut window = F::settle(x, 1.0);
        let mut stretch = F::join_equal(simd, old, x, 1.0);
        let (mut bars, mut per_bar) = (2, 0.5);
        while bars <= n / 2 {
            let last = bars - 1;
            let mut old = stretch;
            for (slot, old) in entries[last + (pos & last)].iter_mut().zip(&mut old) {
                *old = exchange::<S, HOT>(simd, present, slot, *old);
            }
            if n & bars != 0 {
                window = self.extend::<S, F>(simd, entries, pos, (bars, per_bar), stretch, window);
            }
            stretch = F::join_equal(simd, old, stretch, bars as f64);
            bars *= 2;
            per_bar *= 0.5;
        }
        if bars == n {
            return F::settle(stretch, per_bar);
        }
        let last = bars - 1;
        for (slot, &new) in entries[last + (pos & last)].iter_mut().zip(&stretch) {
            exchange::<S, HOT>(simd, present, slot, new);
        }
        self.extend::<S, F>(simd, entries, pos, (bars, per_bar), stretch, window)
    }

    /// Extends the newest part of the window by the stretch of `bars` before it.
    #[inline(always)]
    fn extend<S: Simd, F: Fold<S, V>>(
        &self,
        simd: S,
        entries: &[[Slot; V]],
        pos: usize,
        (bars, per_bar): (usize, f64),
        stretch: [f64x8<S>; V],
        window: [f64x8<S>; V],
    ) -> [f64x8<S>; V] {
        let last = bars - 1;
        let newer_bars = self.n & last;
        if newer_bars == 0 {
            return F::settle(stretch, per_bar);
        }
        let mut older = stretch;
        for (slot, older) in entries[last + (pos.wrapping_sub(newer_bars) & last)].iter().zip(&mut older) {
            *older = f64x8::load_array_ref(simd, slot);
        }
        F::join(simd, F::settle(older, per_bar), window, bars as f64, newer_bars as f64)
    }
}

/// Puts a value in a slot, in the lanes that are present, and returns the one that was there.
#[inline(always)]
fn exchange<S: Simd, const HOT: bool>(
    simd: S,
    present: mask64x8<S>,
    slot: &mut Slot,
    new: f64x8<S>,
) -> f64x8<S> {
    let old = f64x8::load_array_ref(simd, slot);
    let new = if HOT { new } else { present.select(new, old) };
    new.store_array(slot);
    old
}
