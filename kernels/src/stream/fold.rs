//! What windows fold: sums, weighted sums, extremes, moments and co-moments.
//!
//! Moments join by their means and squared deviations (Chan, Golub and LeVeque 1979), never as `E[x²]-E[x]²`, and a flat
//! stretch has deviation exactly 0.

use super::window::Fold;
use crate::simd::{Simd, f64x8, prelude::*};

/// Sums, each vector for itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sum;

impl<S: Simd, const V: usize> Fold<S, V> for Sum {
    #[inline(always)]
    fn join(_: S, older: [f64x8<S>; V], newer: [f64x8<S>; V], _: f64, _: f64) -> [f64x8<S>; V] {
        let mut sum = older;
        for (sum, newer) in sum.iter_mut().zip(newer) {
            *sum += newer;
        }
        sum
    }

    #[inline(always)]
    fn join_equal(simd: S, older: [f64x8<S>; V], newer: [f64x8<S>; V], _: f64) -> [f64x8<S>; V] {
        Self::join(simd, older, newer, 0.0, 0.0)
    }
}

/// A stretch as its sum and its sum weighted 1 (oldest) to its length (newest).
#[derive(Debug, Clone, Copy)]
pub(crate) struct WeightedSum;

impl<S: Simd> Fold<S, 2> for WeightedSum {
    #[inline(always)]
    fn join(_: S, older: [f64x8<S>; 2], newer: [f64x8<S>; 2], older_bars: f64, _: f64) -> [f64x8<S>; 2] {
        [older[0] + newer[0], older[1] + (newer[1] + newer[0] * older_bars)]
    }

    #[inline(always)]
    fn join_equal(simd: S, older: [f64x8<S>; 2], newer: [f64x8<S>; 2], bars: f64) -> [f64x8<S>; 2] {
        Self::join(simd, older, newer, bars, bars)
    }
}

/// The largest value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Largest;

impl<S: Simd> Fold<S, 1> for Largest {
    #[inline(always)]
    fn join(_: S, [older]: [f64x8<S>; 1], [newer]: [f64x8<S>; 1], _: f64, _: f64) -> [f64x8<S>; 1] {
        [older.simd_gt(newer).select(older, newer)]
    }

    #[inline(always)]
    fn join_equal(simd: S, older: [f64x8<S>; 1], newer: [f64x8<S>; 1], _: f64) -> [f64x8<S>; 1] {
        Self::join(simd, older, newer, 0.0, 0.0)
    }
}

/// The smallest value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Smallest;

impl<S: Simd> Fold<S, 1> for Smallest {
    #[inline(always)]
    fn join(_: S, [older]: [f64x8<S>; 1], [newer]: [f64x8<S>; 1], _: f64, _: f64) -> [f64x8<S>; 1] {
        [older.simd_lt(newer).select(older, newer)]
    }

    #[inline(always)]
    fn join_equal(simd: S, older: [f64x8<S>; 1], newer: [f64x8<S>; 1], _: f64) -> [f64x8<S>; 1] {
        Self::join(simd, older, newer, 0.0, 0.0)
    }
}

/// Mean and sum of squared deviations from it.
///
/// Stretches of a power of two of bars hold the sum instead of the mean, and the squares as often as they have bars:
/// halves join without a weight, and what is settled later is a power of two, which rounds nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments;

impl<S: Simd> Fold<S, 2> for Moments {
    const OF_ONE_BAR: usize = 1;

    #[inline(always)]
    fn settle([sum, squares]: [f64x8<S>; 2], per_bar: f64) -> [f64x8<S>; 2] {
        [sum * per_bar, squares * per_bar]
    }

    #[inline(always)]
    fn join(
        _: S,
        older: [f64x8<S>; 2],
        newer: [f64x8<S>; 2],
        older_bars: f64,
        newer_bars: f64,
    ) -> [f64x8<S>; 2] {
        let newer_share = newer_bars / (older_bars + newer_bars);
        let step = newer[0] - older[0];
        let deviation = step * step * (older_bars * newer_share);
        [older[0] + step * newer_share, (older[1] + newer[1]) + deviation]
    }

    #[inline(always)]
    fn join_equal(_: S, older: [f64x8<S>; 2], newer: [f64x8<S>; 2], _: f64) -> [f64x8<S>; 2] {
        let step = newer[0] - older[0];
        [older[0] + newer[0], (older[1] + newer[1]) * 2.0 + step * step]
    }
}

/// Means of x and y, squared deviations of x and y, product of deviations; sums for means as in [`Moments`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct CoMoments;

impl<S: Simd> Fold<S, 5> for CoMoments {
    const OF_ONE_BAR: usize = 2;

    #[inline(always)]
    fn settle([x, y, xx, yy, xy]: [f64x8<S>; 5], per_bar: f64) -> [f64x8<S>; 5] {
        [x * per_bar, y * per_bar, xx * per_bar, yy * per_bar, xy * per_bar]
    }

    #[inline(always)]
    fn join(
        _: S,
        older: [f64x8<S>; 5],
        newer: [f64x8<S>; 5],
        older_bars: f64,
        newer_bars: f64,
    ) -> [f64x8<S>; 5] {
        let newer_share = newer_bars / (older_bars + newer_bars);
        let (step_x, step_y) = (newer[0] - older[0], newer[1] - older[1]);
        let weight = older_bars * newer_share;
        [
            older[0] + step_x * newer_share,
            older[1] + step_y * newer_share,
            (older[2] + newer[2]) + step_x * step_x * weight,
            (older[3] + newer[3]) + step_y * step_y * weight,
            (older[4] + newer[4]) + step_x * step_y * weight,
        ]
    }

    #[inline(always)]
    fn join_equal(_: S, older: [f64x8<S>; 5], newer: [f64x8<S>; 5], _: f64) -> [f64x8<S>; 5] {
        let (step_x, step_y) = (newer[0] - older[0], newer[1] - older[1]);
        [
            older[0] + newer[0],
            older[1] + newer[1],
            (older[2] + newer[2]) * 2.0 + step_x * step_x,
            (older[3] + newer[3]) * 2.0 + step_y * step_y,
            (older[4] + newer[4]) * 2.0 + step_x * step_y,
        ]
    }
}
