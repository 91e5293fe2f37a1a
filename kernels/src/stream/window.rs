//! Windows over the last `n` present bars: a delay, a plain ring, and folds kept as a tree of pairs.

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

    /// Joins an older stretch with the newer one that follows it.
    fn join(
        simd: S,
        older: [f64x8<S>; V],
        newer: [f64x8<S>; V],
        older_bars: f64,
        newer_bars: f64,
    ) -> [f64x8<S>; V];

    /// Joins two stretches of `bars` each.
    #[inline(always)]
    fn join_equal(simd: S, older: [f64x8<S>; V], newer: [f64x8<S>; V], bars: f64) -> [f64x8<S>; V] {
        Self::join(simd, older, newer, bars, bars)
    }
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
            visit(Ring { start: self.level_start(level), len: 1 << level, width: V });
        }
    }

    #[inline(always)]
    fn level_start(&self, level: u32) -> usize {
        self.base + V * ((1 << level) - 1)
    }

    /// Takes this bar's value, returns the fold of the last `n`. Entries of bars before the first are zero.
    #[inline(always)]
    pub(crate) fn push<S: Simd, F: Fold<S, V>, const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; V],
    ) -> [f64x8<S>; V] {
        if self.n == 1 {
            return x;
        }
        // The first level apart: single bars, of which less is known.
        let mut old = x;
        for (slot, old) in as_entry::<V>(bar.ring, self.base).iter_mut().zip(&mut old).take(F::OF_ONE_BAR) {
            *old = exchange::<S, HOT>(bar.simd, bar.present, slot, *old);
        }
        let mut stretch = F::join_equal(bar.simd, old, x, 1.0);
        let mut window = x;
        for level in 1..self.top {
            let bars = 1_usize << level;
            let old = self.swap::<S, HOT>(bar, level, stretch);
            if self.n & bars != 0 {
                window = self.extend::<S, F>(bar, level, stretch, window);
            }
            stretch = F::join_equal(bar.simd, old, stretch, bars as f64);
        }
        if self.n.is_power_of_two() {
            return stretch;
        }
        self.swap::<S, HOT>(bar, self.top, stretch);
        self.extend::<S, F>(bar, self.top, stretch, window)
    }

    /// Puts this bar's stretch in its ring and returns the one it replaces.
    #[inline(always)]
    fn swap<S: Simd, const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        level: u32,
        stretch: [f64x8<S>; V],
    ) -> [f64x8<S>; V] {
        let at = self.level_start(level) + V * (bar.pos & ((1 << level) - 1));
        let entry = as_entry::<V>(bar.ring, at);
        let mut old = stretch;
        for (slot, old) in entry.iter_mut().zip(&mut old) {
            *old = exchange::<S, HOT>(bar.simd, bar.present, slot, *old);
        }
        old
    }

    /// Extends the newest part of the window by the stretch before it.
    #[inline(always)]
    fn extend<S: Simd, F: Fold<S, V>>(
        &self,
        bar: &mut Bar<'_, S>,
        level: u32,
        stretch: [f64x8<S>; V],
        window: [f64x8<S>; V],
    ) -> [f64x8<S>; V] {
        let mask = (1_usize << level) - 1;
        let newer_bars = self.n & mask;
        if newer_bars == 0 {
            return stretch;
        }
        let at = self.level_start(level) + V * (bar.pos.wrapping_sub(newer_bars) & mask);
        let mut older = stretch;
        for (slot, older) in as_entry::<V>(bar.ring, at).iter().zip(&mut older) {
            *older = f64x8::load_array_ref(bar.simd, slot);
        }
        F::join(bar.simd, older, window, (mask + 1) as f64, newer_bars as f64)
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

#[inline(always)]
fn as_entry<const V: usize>(ring: &mut [Slot], at: usize) -> &mut [Slot; V] {
    (&mut ring[at..at + V]).try_into().expect("an entry has its width")
}
