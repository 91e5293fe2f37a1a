//! Arithmetic, comparisons and masks, value by value and without state.
//!
//! Panels in, panels out. A result is a finite number or NaN: what has no finite value (`1/0`, `log(0)`, overflow) is
//! missing, so that it cannot lodge in a recurrence downstream.
//!
//! A mask is `[row][word]`, bit = lane, at least `lanes / 64` words (rounded up) per row; unused bits are 0. A condition
//! is false where a value it reads is NaN. Negation needs to know that too: take [`valid_mask`] of every value read,
//! [`and_mask`] them, and use [`not_mask`], which is `valid & !x`.

use crate::simd::{LANE_CHUNK, Simd, at_level, f64x8, mask64x8, prelude::*};

/// NaN wherever `x` is not a finite number.
#[inline(always)]
fn finite<S: Simd>(simd: S, x: f64x8<S>) -> f64x8<S> {
    x.abs().simd_lt(f64x8::splat(simd, f64::INFINITY)).select(x, f64x8::splat(simd, f64::NAN))
}

#[inline(always)]
fn map<S: Simd>(simd: S, a: &[f64], out: &mut [f64], f: impl Fn(f64x8<S>) -> f64x8<S>) {
    for (a, out) in a.as_chunks::<LANE_CHUNK>().0.iter().zip(out.as_chunks_mut::<LANE_CHUNK>().0) {
        finite(simd, f(f64x8::load_array_ref(simd, a))).store_array(out);
    }
}

#[inline(always)]
fn zip_map<S: Simd>(
    simd: S,
    a: &[f64],
    b: &[f64],
    out: &mut [f64],
    f: impl Fn(f64x8<S>, f64x8<S>) -> f64x8<S>,
) {
    let inputs = a.as_chunks::<LANE_CHUNK>().0.iter().zip(b.as_chunks::<LANE_CHUNK>().0);
    for ((a, b), out) in inputs.zip(out.as_chunks_mut::<LANE_CHUNK>().0) {
        finite(simd, f(f64x8::load_array_ref(simd, a), f64x8::load_array_ref(simd, b))).store_array(out);
    }
}

fn check(len: usize, others: &[usize]) {
    assert!(len.is_multiple_of(LANE_CHUNK), "a panel is a whole number of lane chunks");
    assert!(others.iter().all(|&other| other == len), "panels are of one length");
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident = |$simd:ident, $x:ident| $result:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(a: &[f64], out: &mut [f64]) {
            check(a.len(), &[out.len()]);
            at_level!($simd => map($simd, a, out, #[inline(always)] |$x| $result));
        }
    )*};
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident, $name_const:ident = |$x:ident, $y:ident| $result:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(a: &[f64], b: &[f64], out: &mut [f64]) {
            check(a.len(), &[b.len(), out.len()]);
            at_level!(simd => zip_map(simd, a, b, out, #[inline(always)] |$x, $y| $result));
        }

        #[doc = concat!("[`", stringify!($name), "`] with one number as the second operand.")]
        pub fn $name_const(a: &[f64], b: f64, out: &mut [f64]) {
            check(a.len(), &[out.len()]);
            at_level!(simd => {
                let $y = f64x8::splat(simd, b);
                map(simd, a, out, #[inline(always)] |$x| $result)
            });
        }
    )*};
}

unary! {
    /// `-a`.
    neg = |_simd, x| -x;
    /// `|a|`.
    abs = |_simd, x| x.abs();
    /// Square root; NaN for a negative number.
    ///
    /// ```
    /// let mut out = [0.0; 8];
    /// barloom_kernels::elementwise::sqrt(&[4.0, -1.0, 0.0, 2.25, 9.0, 16.0, 1.0, f64::NAN], &mut out);
    /// assert_eq!(out[..1], [2.0]);
    /// assert!(out[1].is_nan() && out[7].is_nan());
    /// ```
    sqrt = |_simd, x| x.sqrt();
    /// -1, 0 or 1.
    sign = |simd, x| {
        let zero = f64x8::splat(simd, 0.0);
        let sign = x.simd_gt(zero).select(f64x8::splat(simd, 1.0), x.simd_lt(zero).select(f64x8::splat(simd, -1.0), zero));
        x.simd_eq(x).select(sign, x)
    };
}

binary! {
    /// `a + b`.
    add, add_const = |x, y| x + y;
    /// `a - b`.
    sub, sub_const = |x, y| x - y;
    /// `a * b`.
    mul, mul_const = |x, y| x * y;
    /// `a / b`; NaN for a division by 0.
    ///
    /// ```
    /// let mut out = [0.0; 8];
    /// barloom_kernels::elementwise::div(&[1.0; 8], &[2.0, 0.0, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0], &mut out);
    /// assert_eq!(out[0], 0.5);
    /// assert!(out[1].is_nan());
    /// ```
    div, div_const = |x, y| x / y;
    /// The smaller of `a` and `b`; NaN where either is.
    min, min_const = |x, y| x.simd_eq(x).select(x.simd_lt(y).select(x, y), x);
    /// The larger of `a` and `b`; NaN where either is.
    max, max_const = |x, y| x.simd_eq(x).select(x.simd_gt(y).select(x, y), x);
}

/// `number - a`, the mirror of [`sub_const`].
pub fn const_sub(number: f64, a: &[f64], out: &mut [f64]) {
    check(a.len(), &[out.len()]);
    at_level!(simd => map(simd, a, out, #[inline(always)] |x| f64x8::splat(simd, number) - x));
}

/// `number / a`, the mirror of [`div_const`].
pub fn const_div(number: f64, a: &[f64], out: &mut [f64]) {
    check(a.len(), &[out.len()]);
    at_level!(simd => map(simd, a, out, #[inline(always)] |x| f64x8::splat(simd, number) / x));
}

/// Typical price `(high + low + close) / 3`.
///
/// ```
/// let mut out = [0.0; 8];
/// barloom_kernels::elementwise::hlc3(&[102.0; 8], &[99.0; 8], &[101.0; 8], &mut out);
/// assert_eq!(out[0], 302.0 / 3.0);
/// ```
pub fn hlc3(high: &[f64], low: &[f64], close: &[f64], out: &mut [f64]) {
    check(high.len(), &[low.len(), close.len(), out.len()]);
    add(high, low, out);
    at_level!(simd => hlc3_rest(simd, close, out));
}

#[inline(always)]
fn hlc3_rest<S: Simd>(simd: S, close: &[f64], out: &mut [f64]) {
    for (close, out) in close.as_chunks::<LANE_CHUNK>().0.iter().zip(out.as_chunks_mut::<LANE_CHUNK>().0) {
        let sum = f64x8::load_array_ref(simd, out) + f64x8::load_array_ref(simd, close);
        finite(simd, sum / f64x8::splat(simd, 3.0)).store_array(out);
    }
}

/// Natural logarithm; NaN for 0 and below. The one place that calls the platform's `ln`.
pub fn log(a: &[f64], out: &mut [f64]) {
    check(a.len(), &[out.len()]);
    for (&a, out) in a.iter().zip(out) {
        *out = ln(a);
    }
}

/// Natural logarithm, NaN where it is not a finite number.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    let y = x.ln();
    if y.is_finite() { y } else { f64::NAN }
}

/// `e` to the power of `a`; NaN on overflow. The one place that calls the platform's `exp`.
pub fn exp(a: &[f64], out: &mut [f64]) {
    check(a.len(), &[out.len()]);
    for (&a, out) in a.iter().zip(out) {
        let y = a.exp();
        *out = if y.is_finite() { y } else { f64::NAN };
    }
}

/// Checks a panel against a mask; returns the rows.
pub(crate) fn check_mask(panel_len: usize, lanes: usize, words: usize, mask_len: usize) -> usize {
    assert!(lanes > 0 && lanes.is_multiple_of(LANE_CHUNK), "lanes are a whole number of chunks of 8");
    assert!(panel_len.is_multiple_of(lanes), "a panel is a whole number of rows");
    assert!(words * 64 >= lanes, "a row of words has a bit for every lane");
    let rows = panel_len / lanes;
    assert_eq!(mask_len, rows * words, "a mask has one row of words per bar");
    rows
}

/// Builds a mask from chunks: `f(at)` gives the condition of the eight values from `at` on.
#[inline(always)]
fn build<S: Simd>(lanes: usize, words: usize, out: &mut [u64], f: impl Fn(usize) -> mask64x8<S>) {
    for (row, out) in out.chunks_exact_mut(words).enumerate() {
        for (word, out) in out.iter_mut().enumerate() {
            let mut bits = 0;
            let from = word * 64;
            let mut lane = from;
            while lane < lanes.min(from + 64) {
                bits |= f(row * lanes + lane).to_bitmask() << (lane - from);
                lane += LANE_CHUNK;
            }
            *out = bits;
        }
    }
}

#[inline(always)]
fn load<S: Simd>(simd: S, panel: &[f64], at: usize) -> f64x8<S> {
    f64x8::from_slice(simd, &panel[at..at + LANE_CHUNK])
}

macro_rules! compare {
    ($($(#[$doc:meta])* $name:ident, $name_const:ident = |$x:ident, $y:ident| $result:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(a: &[f64], b: &[f64], lanes: usize, words: usize, out: &mut [u64]) {
            assert_eq!(a.len(), b.len(), "panels are of one length");
            check_mask(a.len(), lanes, words, out.len());
            at_level!(simd => build(lanes, words, out, #[inline(always)] |at| {
                let ($x, $y) = (load(simd, a, at), load(simd, b, at));
                $result
            }));
        }

        #[doc = concat!("[`", stringify!($name), "`] with one number as the second operand.")]
        pub fn $name_const(a: &[f64], b: f64, lanes: usize, words: usize, out: &mut [u64]) {
            check_mask(a.len(), lanes, words, out.len());
            at_level!(simd => build(lanes, words, out, #[inline(always)] |at| {
                let ($x, $y) = (load(simd, a, at), f64x8::splat(simd, b));
                $result
            }));
        }
    )*};
}

compare! {
    /// Lanes where `a < b`.
    ///
    /// ```
    /// let a = [1.0, 2.0, 3.0, f64::NAN, 0.0, 0.0, 0.0, 0.0];
    /// let mut mask = [0];
    /// barloom_kernels::elementwise::lt_mask(&a, &[2.0; 8], 8, 1, &mut mask);
    /// assert_eq!(mask, [0b1111_0001]);
    /// ```
    lt_mask, lt_mask_const = |x, y| x.simd_lt(y);
    /// Lanes where `a <= b`.
    le_mask, le_mask_const = |x, y| x.simd_le(y);
    /// Lanes where `a > b`.
    gt_mask, gt_mask_const = |x, y| x.simd_gt(y);
    /// Lanes where `a >= b`.
    ge_mask, ge_mask_const = |x, y| x.simd_ge(y);
    /// Lanes where `a == b`.
    eq_mask, eq_mask_const = |x, y| x.simd_eq(y);
    /// Lanes where both are numbers and `a != b`.
    ne_mask, ne_mask_const = |x, y| x.simd_lt(y) | x.simd_gt(y);
}

/// Lanes where `a` has a value.
pub fn valid_mask(a: &[f64], lanes: usize, words: usize, out: &mut [u64]) {
    eq_mask(a, a, lanes, words, out);
}

/// Bits set in both.
pub fn and_mask(a: &[u64], b: &[u64], out: &mut [u64]) {
    assert!(a.len() == b.len() && a.len() == out.len(), "masks are of one length");
    for ((&a, &b), out) in a.iter().zip(b).zip(out) {
        *out = a & b;
    }
}

/// Bits set in either.
pub fn or_mask(a: &[u64], b: &[u64], out: &mut [u64]) {
    assert!(a.len() == b.len() && a.len() == out.len(), "masks are of one length");
    for ((&a, &b), out) in a.iter().zip(b).zip(out) {
        *out = a | b;
    }
}

/// Bits not set in `a`, among those of `valid`: false stays false where a value is missing.
///
/// ```
/// let mut out = [0];
/// barloom_kernels::elementwise::not_mask(&[0b0011], &[0b0111], &mut out);
/// assert_eq!(out, [0b0100]);
/// ```
pub fn not_mask(a: &[u64], valid: &[u64], out: &mut [u64]) {
    assert!(a.len() == valid.len() && a.len() == out.len(), "masks are of one length");
    for ((&a, &valid), out) in a.iter().zip(valid).zip(out) {
        *out = valid & !a;
    }
}

/// `a` where the bit is set, `b` elsewhere. A condition that could not be read is false: blank the result with
/// [`keep`] where that should be NaN instead.
///
/// ```
/// let mut out = [0.0; 8];
/// barloom_kernels::elementwise::select(&[0b1], &[1.0; 8], &[2.0; 8], 8, 1, &mut out);
/// assert_eq!(out[..2], [1.0, 2.0]);
/// ```
pub fn select(mask: &[u64], a: &[f64], b: &[f64], lanes: usize, words: usize, out: &mut [f64]) {
    assert!(a.len() == b.len() && a.len() == out.len(), "panels are of one length");
    check_mask(a.len(), lanes, words, mask.len());
    at_level!(simd => select_rows(simd, mask, lanes, words, out, #[inline(always)] |at| (load(simd, a, at), load(simd, b, at))));
}

/// `a` where the bit is set, NaN elsewhere.
pub fn keep(mask: &[u64], a: &[f64], lanes: usize, words: usize, out: &mut [f64]) {
    assert_eq!(a.len(), out.len(), "panels are of one length");
    check_mask(a.len(), lanes, words, mask.len());
    at_level!(simd => select_rows(simd, mask, lanes, words, out, #[inline(always)] |at| (load(simd, a, at), f64x8::splat(simd, f64::NAN))));
}

#[inline(always)]
fn select_rows<S: Simd>(
    simd: S,
    mask: &[u64],
    lanes: usize,
    words: usize,
    out: &mut [f64],
    f: impl Fn(usize) -> (f64x8<S>, f64x8<S>),
) {
    for (row, mask) in mask.chunks_exact(words).enumerate() {
        let mut lane = 0;
        while lane < lanes {
            let at = row * lanes + lane;
            let bits = mask64x8::from_bitmask(simd, mask[lane / 64] >> (lane % 64) & 0xff);
            let (a, b) = f(at);
            bits.select(a, b).store_slice(&mut out[at..at + LANE_CHUNK]);
            lane += LANE_CHUNK;
        }
    }
}

/// A mask as numbers: 1 where the bit is set, else 0.
pub fn mask_to_number(mask: &[u64], lanes: usize, words: usize, out: &mut [f64]) {
    check_mask(out.len(), lanes, words, mask.len());
    at_level!(simd => select_rows(simd, mask, lanes, words, out, #[inline(always)] |_| (f64x8::splat(simd, 1.0), f64x8::splat(simd, 0.0))));
}
