//! Comparisons, logic of masks, and choosing by a mask.

use crate::simd::{LANE_CHUNK, Simd, at_level, f64x8, mask64x8, prelude::*};

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

        #[doc = concat!("[`", stringify!($name), "`] with one number `b` as the second operand.\n\n\
            Formula: that of [`", stringify!($name), "`]. Shape: panel `[row][lane]` in, mask `[row][word]` out. Units: \
            as there. Warm-up: none. NaN: false where `a` is missing, and everywhere if `b` is NaN. Source: as there.\n\n\
            ```\nuse barloom_kernels::elementwise::{", stringify!($name), ", ", stringify!($name_const), "};\n\
            let (a, mut with_number, mut with_panel) = ([0.5, 1.0, 1.5, 2.0, -0.5, f64::NAN, 1.5, 7.0], [0], [0]);\n",
            stringify!($name_const), "(&a, 1.5, 8, 1, &mut with_number);\n",
            stringify!($name), "(&a, &[1.5; 8], 8, 1, &mut with_panel);\n\
            assert_eq!(with_number, with_panel);\n```")]
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
    /// Formula: `a < b`. Shape: panels `[row][lane]` in, mask `[row][word]` out. Units: none; both inputs have the same.
    /// Warm-up: none. NaN: false where either is missing. Source: definition.
    ///
    /// ```
    /// let a = [1.0, 2.0, 3.0, f64::NAN, 0.0, 0.0, 0.0, 0.0];
    /// let mut mask = [0];
    /// barloom_kernels::elementwise::lt_mask(&a, &[2.0; 8], 8, 1, &mut mask);
    /// assert_eq!(mask, [0b1111_0001]);
    /// ```
    lt_mask, lt_mask_const = |x, y| x.simd_lt(y);
    /// Lanes where `a <= b`.
    ///
    /// Formula: `a <= b`. Shape: panels `[row][lane]` in, mask `[row][word]` out. Units: none; both inputs have the same.
    /// Warm-up: none. NaN: false where either is missing. Source: definition.
    ///
    /// ```
    /// let a = [1.0, 2.0, 3.0, f64::NAN, 0.0, 0.0, 0.0, 0.0];
    /// let mut mask = [0];
    /// barloom_kernels::elementwise::le_mask(&a, &[2.0; 8], 8, 1, &mut mask);
    /// assert_eq!(mask, [0b1111_0011]);
    /// ```
    le_mask, le_mask_const = |x, y| x.simd_le(y);
    /// Lanes where `a > b`.
    ///
    /// Formula: `a > b`. Shape: panels `[row][lane]` in, mask `[row][word]` out. Units: none; both inputs have the same.
    /// Warm-up: none. NaN: false where either is missing. Source: definition.
    ///
    /// ```
    /// let a = [1.0, 2.0, 3.0, f64::NAN, 0.0, 0.0, 0.0, 0.0];
    /// let mut mask = [0];
    /// barloom_kernels::elementwise::gt_mask(&a, &[2.0; 8], 8, 1, &mut mask);
    /// assert_eq!(mask, [0b0100]);
    /// ```
    gt_mask, gt_mask_const = |x, y| x.simd_gt(y);
    /// Lanes where `a >= b`.
    ///
    /// Formula: `a >= b`. Shape: panels `[row][lane]` in, mask `[row][word]` out. Units: none; both inputs have the same.
    /// Warm-up: none. NaN: false where either is missing. Source: definition.
    ///
    /// ```
    /// let a = [1.0, 2.0, 3.0, f64::NAN, 0.0, 0.0, 0.0, 0.0];
    /// let mut mask = [0];
    /// barloom_kernels::elementwise::ge_mask(&a, &[2.0; 8], 8, 1, &mut mask);
    /// assert_eq!(mask, [0b0110]);
    /// ```
    ge_mask, ge_mask_const = |x, y| x.simd_ge(y);
    /// Lanes where `a == b`.
    ///
    /// Formula: `a == b`. Shape: panels `[row][lane]` in, mask `[row][word]` out. Units: none; both inputs have the same.
    /// Warm-up: none. NaN: false where either is missing. Source: definition.
    ///
    /// ```
    /// let a = [1.0, 2.0, 3.0, f64::NAN, 0.0, 0.0, 0.0, 0.0];
    /// let mut mask = [0];
    /// barloom_kernels::elementwise::eq_mask(&a, &[2.0; 8], 8, 1, &mut mask);
    /// assert_eq!(mask, [0b0010]);
    /// ```
    eq_mask, eq_mask_const = |x, y| x.simd_eq(y);
    /// Lanes where both are numbers and `a != b`.
    ///
    /// Formula: `a != b`. Shape: panels `[row][lane]` in, mask `[row][word]` out. Units: none; both inputs have the same.
    /// Warm-up: none. NaN: false where either is missing. Source: definition.
    ///
    /// ```
    /// let a = [1.0, 2.0, 3.0, f64::NAN, 0.0, 0.0, 0.0, 0.0];
    /// let mut mask = [0];
    /// barloom_kernels::elementwise::ne_mask(&a, &[2.0; 8], 8, 1, &mut mask);
    /// assert_eq!(mask, [0b1111_0101]);
    /// ```
    ne_mask, ne_mask_const = |x, y| x.simd_lt(y) | x.simd_gt(y);
}

/// Lanes where `a` has a value.
///
/// Formula: `a == a`. Shape: panel `[row][lane]` in, mask `[row][word]` out. Units: any. Warm-up: none. NaN: false
/// where missing: this is how negation learns of it. Source: definition.
///
/// ```
/// let a = [1.0, f64::NAN, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
/// let mut mask = [0];
/// barloom_kernels::elementwise::valid_mask(&a, 8, 1, &mut mask);
/// assert_eq!(mask, [0b1111_1101]);
/// ```
pub fn valid_mask(a: &[f64], lanes: usize, words: usize, out: &mut [u64]) {
    eq_mask(a, a, lanes, words, out);
}

/// Bits set in both masks.
///
/// Formula: `a & b`. Shape: masks of one shape in and out. Units: none. Warm-up: none. NaN: a missing value is
/// already false in a mask. Source: definition.
///
/// ```
/// let mut out = [0];
/// barloom_kernels::elementwise::and_mask(&[0b0011], &[0b0101], &mut out);
/// assert_eq!(out, [0b0001]);
/// ```
pub fn and_mask(a: &[u64], b: &[u64], out: &mut [u64]) {
    assert!(a.len() == b.len() && a.len() == out.len(), "masks are of one length");
    for ((&a, &b), out) in a.iter().zip(b).zip(out) {
        *out = a & b;
    }
}

/// Bits set in either mask.
///
/// Formula: `a | b`. Shape: masks of one shape in and out. Units: none. Warm-up: none. NaN: a missing value is
/// already false in a mask. Source: definition.
///
/// ```
/// let mut out = [0];
/// barloom_kernels::elementwise::or_mask(&[0b0011], &[0b0101], &mut out);
/// assert_eq!(out, [0b0111]);
/// ```
pub fn or_mask(a: &[u64], b: &[u64], out: &mut [u64]) {
    assert!(a.len() == b.len() && a.len() == out.len(), "masks are of one length");
    for ((&a, &b), out) in a.iter().zip(b).zip(out) {
        *out = a | b;
    }
}

/// Bits not set in `a`, among those of `valid`.
///
/// Formula: `valid & !a`. Shape: masks of one shape in and out. Units: none. Warm-up: none. NaN: false stays false
/// where a value is missing, if `valid` is the [`valid_mask`] of what `a` was made of. Source: definition.
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

/// `a` where the bit is set, `b` elsewhere.
///
/// Formula: `mask ? a : b`. Shape: mask `[row][word]` and panels `[row][lane]` in, panel out. Units: those of both
/// panels. Warm-up: none. NaN: as in the panel chosen; a condition that could not be read is false, so blank the
/// result with [`keep`] where that should be NaN instead. Source: definition.
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
///
/// Formula: `mask ? a : NaN`. Shape: mask `[row][word]` and panel `[row][lane]` in, panel out. Units: those of the
/// input. Warm-up: none. NaN: as in `a`, and wherever the bit is not set. Source: definition.
///
/// ```
/// let mut out = [0.0; 8];
/// barloom_kernels::elementwise::keep(&[0b1], &[1.0; 8], 8, 1, &mut out);
/// assert!(out[0] == 1.0 && out[1].is_nan());
/// ```
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

/// A mask as numbers.
///
/// Formula: 1 where the bit is set, else 0. Shape: mask `[row][word]` in, panel `[row][lane]` out. Units: none.
/// Warm-up: none. NaN: none out. Source: definition.
///
/// ```
/// let mut out = [7.0; 8];
/// barloom_kernels::elementwise::mask_to_number(&[0b10], 8, 1, &mut out);
/// assert_eq!(out[..3], [0.0, 1.0, 0.0]);
/// ```
pub fn mask_to_number(mask: &[u64], lanes: usize, words: usize, out: &mut [f64]) {
    check_mask(out.len(), lanes, words, mask.len());
    at_level!(simd => select_rows(simd, mask, lanes, words, out, #[inline(always)] |_| (f64x8::splat(simd, 1.0), f64x8::splat(simd, 0.0))));
}
