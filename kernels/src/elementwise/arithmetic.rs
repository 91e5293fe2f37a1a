//! Arithmetic, minimum and maximum, logarithm and exponential.

use crate::simd::{LANE_CHUNK, Simd, at_level, f64x8, prelude::*};

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

        #[doc = concat!("[`", stringify!($name), "`] with one number `b` as the second operand.\n\n\
            Formula: that of [`", stringify!($name), "`]. Shape: panel in and out, value by value. Units: as there. \
            Warm-up: none. NaN: missing in, missing out; all is missing if `b` is NaN. Source: as there.\n\n\
            ```\nuse barloom_kernels::elementwise::{", stringify!($name), ", ", stringify!($name_const), "};\n\
            let (a, mut with_number, mut with_panel) = ([0.5, 1.0, 1.5, 2.0, -0.5, -1.0, -1.5, 7.0], [0.0; 8], [0.0; 8]);\n",
            stringify!($name_const), "(&a, 1.5, &mut with_number);\n",
            stringify!($name), "(&a, &[1.5; 8], &mut with_panel);\n\
            assert_eq!(with_number, with_panel);\n```")]
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
    /// The opposite number.
    ///
    /// Formula: `-a`. Shape: panels in and out, value by value. Units: those of the input. Warm-up: none. NaN: missing
    /// in, missing out; so is a result that is not finite. Source: IEEE 754.
    ///
    /// ```
    /// let mut out = [0.0; 8];
    /// barloom_kernels::elementwise::neg(&[1.5; 8], &mut out);
    /// assert_eq!(out, [-1.5; 8]);
    /// ```
    neg = |_simd, x| -x;
    /// Absolute value.
    ///
    /// Formula: `|a|`. Shape: panels in and out, value by value. Units: those of the input. Warm-up: none. NaN: missing
    /// in, missing out; so is a result that is not finite. Source: IEEE 754.
    ///
    /// ```
    /// let mut out = [0.0; 8];
    /// barloom_kernels::elementwise::abs(&[-1.5; 8], &mut out);
    /// assert_eq!(out, [1.5; 8]);
    /// ```
    abs = |_simd, x| x.abs();
    /// Square root.
    ///
    /// Formula: `√a`. Shape: panels in and out, value by value. Units: the root of those of the input. Warm-up: none.
    /// NaN: missing in, missing out; so is a result that is not finite; a negative number has no root. Source: IEEE 754,
    /// correctly rounded.
    ///
    /// ```
    /// let mut out = [0.0; 8];
    /// barloom_kernels::elementwise::sqrt(&[4.0, -1.0, 0.0, 2.25, 9.0, 16.0, 1.0, f64::NAN], &mut out);
    /// assert_eq!(out[..1], [2.0]);
    /// assert!(out[1].is_nan() && out[7].is_nan());
    /// ```
    sqrt = |_simd, x| x.sqrt();
    /// Sign of a number.
    ///
    /// Formula: -1, 0 or 1. Shape: panels in and out, value by value. Units: none. Warm-up: none. NaN: missing in,
    /// missing out. Source: definition.
    ///
    /// ```
    /// let mut out = [0.0; 8];
    /// barloom_kernels::elementwise::sign(&[-7.0, 0.0, 7.0, f64::NAN, 1.0, 1.0, 1.0, 1.0], &mut out);
    /// assert_eq!(out[..3], [-1.0, 0.0, 1.0]);
    /// assert!(out[3].is_nan());
    /// ```
    sign = |simd, x| {
        let zero = f64x8::splat(simd, 0.0);
        let sign = x.simd_gt(zero).select(f64x8::splat(simd, 1.0), x.simd_lt(zero).select(f64x8::splat(simd, -1.0), zero));
        x.simd_eq(x).select(sign, x)
    };
}

binary! {
    /// Sum of two panels.
    ///
    /// Formula: `a + b`. Shape: panels in and out, value by value. Units: those of both inputs. Warm-up: none. NaN:
    /// missing in, missing out; so is a result that is not finite. Source: IEEE 754.
    ///
    /// ```
    /// let mut out = [0.0; 8];
    /// barloom_kernels::elementwise::add(&[1.0; 8], &[2.0; 8], &mut out);
    /// assert_eq!(out, [3.0; 8]);
    /// ```
    add, add_const = |x, y| x + y;
    /// Difference of two panels.
    ///
    /// Formula: `a - b`. Shape: panels in and out, value by value. Units: those of both inputs. Warm-up: none. NaN:
    /// missing in, missing out; so is a result that is not finite. Source: IEEE 754.
    ///
    /// ```
    /// let mut out = [0.0; 8];
    /// barloom_kernels::elementwise::sub(&[1.0; 8], &[2.0; 8], &mut out);
    /// assert_eq!(out, [-1.0; 8]);
    /// ```
    sub, sub_const = |x, y| x - y;
    /// Product of two panels.
    ///
    /// Formula: `a b`. Shape: panels in and out, value by value. Units: the product of those of the inputs. Warm-up:
    /// none. NaN: missing in, missing out; so is a result that is not finite. Source: IEEE 754.
    ///
    /// ```
    /// let mut out = [0.0; 8];
    /// barloom_kernels::elementwise::mul(&[3.0; 8], &[2.0; 8], &mut out);
    /// assert_eq!(out, [6.0; 8]);
    /// ```
    mul, mul_const = |x, y| x * y;
    /// Quotient of two panels.
    ///
    /// Formula: `a / b`. Shape: panels in and out, value by value. Units: the quotient of those of the inputs. Warm-up:
    /// none. NaN: missing in, missing out; so is a result that is not finite; a division by 0 has no result. Source: IEEE
    /// 754.
    ///
    /// ```
    /// let mut out = [0.0; 8];
    /// barloom_kernels::elementwise::div(&[1.0; 8], &[2.0, 0.0, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0], &mut out);
    /// assert_eq!(out[0], 0.5);
    /// assert!(out[1].is_nan());
    /// ```
    div, div_const = |x, y| x / y;
    /// The smaller of two values.
    ///
    /// Formula: `min(a, b)`. Shape: panels in and out, value by value. Units: those of both inputs. Warm-up: none. NaN:
    /// missing where either is. Source: definition.
    ///
    /// ```
    /// let mut out = [0.0; 8];
    /// barloom_kernels::elementwise::min(&[1.0; 8], &[2.0; 8], &mut out);
    /// assert_eq!(out, [1.0; 8]);
    /// ```
    min, min_const = |x, y| x.simd_eq(x).select(x.simd_lt(y).select(x, y), x);
    /// The larger of two values.
    ///
    /// Formula: `max(a, b)`. Shape: panels in and out, value by value. Units: those of both inputs. Warm-up: none. NaN:
    /// missing where either is. Source: definition.
    ///
    /// ```
    /// let mut out = [0.0; 8];
    /// barloom_kernels::elementwise::max(&[1.0; 8], &[2.0; 8], &mut out);
    /// assert_eq!(out, [2.0; 8]);
    /// ```
    max, max_const = |x, y| x.simd_eq(x).select(x.simd_gt(y).select(x, y), x);
}

/// A number minus a panel, the mirror of [`sub_const`].
///
/// Formula: `number - a`. Shape: panel in and out, value by value. Units: those of the input. Warm-up: none. NaN:
/// missing in, missing out; so is a result that is not finite. Source: IEEE 754.
///
/// ```
/// let mut out = [0.0; 8];
/// barloom_kernels::elementwise::const_sub(5.0, &[2.0; 8], &mut out);
/// assert_eq!(out, [3.0; 8]);
/// ```
pub fn const_sub(number: f64, a: &[f64], out: &mut [f64]) {
    check(a.len(), &[out.len()]);
    at_level!(simd => map(simd, a, out, #[inline(always)] |x| f64x8::splat(simd, number) - x));
}

/// A number divided by a panel, the mirror of [`div_const`].
///
/// Formula: `number / a`. Shape: panel in and out, value by value. Units: those of the number over those of the input.
/// Warm-up: none. NaN: missing in, missing out; so is a result that is not finite; a division by 0 has no result.
/// Source: IEEE 754.
///
/// ```
/// let mut out = [0.0; 8];
/// barloom_kernels::elementwise::const_div(5.0, &[2.0; 8], &mut out);
/// assert_eq!(out, [2.5; 8]);
/// ```
pub fn const_div(number: f64, a: &[f64], out: &mut [f64]) {
    check(a.len(), &[out.len()]);
    at_level!(simd => map(simd, a, out, #[inline(always)] |x| f64x8::splat(simd, number) / x));
}

/// Typical price.
///
/// Formula: `(high + low + close) / 3`, added in this order. Shape: panels in and out, value by value. Units: price.
/// Warm-up: none. NaN: missing where any of the three is. Source: as in TA-Lib 0.8, `TYPPRICE`.
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

/// Natural logarithm.
///
/// Formula: `ln a`. Shape: panels in and out, value by value. Units: none. Warm-up: none. NaN: missing in, missing
/// out; so is a result that is not finite; 0 and below have no logarithm. Source: `libm::log`, the same bits on every
/// machine.
///
/// ```
/// let mut out = [0.0; 8];
/// barloom_kernels::elementwise::log(&[1.0, 0.0, -1.0, 8.0, 1.0, 1.0, 1.0, 1.0], &mut out);
/// assert_eq!(out[0], 0.0);
/// assert!(out[1].is_nan() && out[2].is_nan());
/// assert!((out[3] - 2.0794415416798357).abs() < 1e-15);
/// ```
pub fn log(a: &[f64], out: &mut [f64]) {
    check(a.len(), &[out.len()]);
    for (&a, out) in a.iter().zip(out) {
        *out = ln(a);
    }
}

/// Natural logarithm, NaN where it is not a finite number. Not the platform's, whose last bit depends on the machine.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    let y = libm::log(x);
    if y.is_finite() { y } else { f64::NAN }
}

/// Exponential.
///
/// Formula: `e` to the power of `a`. Shape: panels in and out, value by value. Units: none. Warm-up: none. NaN:
/// missing in, missing out; so is a result that is not finite; what overflows has no result. Source: `libm::exp`, the
/// same bits on every machine.
///
/// ```
/// let mut out = [0.0; 8];
/// barloom_kernels::elementwise::exp(&[0.0, 1e3, -1e3, 1.0, 0.0, 0.0, 0.0, 0.0], &mut out);
/// assert_eq!((out[0], out[2]), (1.0, 0.0));
/// assert!(out[1].is_nan());
/// ```
pub fn exp(a: &[f64], out: &mut [f64]) {
    check(a.len(), &[out.len()]);
    for (&a, out) in a.iter().zip(out) {
        let y = libm::exp(a);
        *out = if y.is_finite() { y } else { f64::NAN };
    }
}
