//! Exponential smoothing seeded with a mean: the recurrence under EMA, RMA, RSI, ATR, ADX, MACD and Keltner.

use super::Bar;
use crate::simd::{Simd, f64x8, prelude::*};

/// `e += alpha (x - e)`, seeded with the mean of the first `n` inputs; one register.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Smooth {
    /// Present bar (counted from 1) that gives the first input.
    start: f64,
    n: f64,
    alpha: f64,
}

impl Smooth {
    /// Weight `2/(n+1)`.
    pub(crate) fn ema(n: usize, start: usize) -> Self {
        assert!(n > 0, "a period is at least 1");
        Self { start: start as f64, n: n as f64, alpha: 2.0 / (n as f64 + 1.0) }
    }

    /// Wilder's weight `1/n`.
    pub(crate) fn wilder(n: usize, start: usize) -> Self {
        assert!(n > 0, "a period is at least 1");
        Self { start: start as f64, n: n as f64, alpha: 1.0 / n as f64 }
    }

    /// Present bar (counted from 1) that gives the first value.
    pub(crate) fn first_bar(&self) -> usize {
        (self.start + self.n) as usize - 1
    }

    /// Weight of the newest input.
    #[inline(always)]
    pub(crate) fn weight(&self) -> f64 {
        self.alpha
    }

    /// Takes an input, returns the value (NaN until seeded). While seeding, the register holds the sum.
    #[inline(always)]
    pub(crate) fn push<S: Simd, const HOT: bool>(
        &self,
        bar: &Bar<'_, S>,
        e: &mut f64x8<S>,
        x: f64x8<S>,
    ) -> f64x8<S> {
        let run = *e + (x - *e) * self.alpha;
        if HOT {
            *e = run;
            return run;
        }
        let n = bar.splat(self.n);
        let inputs = bar.count - (self.start - 1.0);
        let sum = *e + x;
        let next = inputs.simd_gt(n).select(run, inputs.simd_eq(n).select(sum / n, sum));
        let started = bar.present & inputs.simd_ge(bar.splat(1.0));
        *e = started.select(next, *e);
        inputs.simd_ge(n).select(*e, bar.splat(f64::NAN))
    }
}
