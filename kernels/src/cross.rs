//! Crossings of two series, as bit masks.

use crate::elementwise::check_mask;
use crate::simd::{LANE_CHUNK, Simd, at_level, f64x8, prelude::*};

/// State of [`cross_over`] and [`cross_under`]: the order at the last bar where both had a value.
pub fn cross_state_len(lanes: usize) -> usize {
    lanes
}

/// Lanes where `a` crosses above `b`.
///
/// Formula: `a > b` now and `a <= b` at the previous present bar. Shape: panels `[row][lane]` in, mask `[row][word]`
/// out. Units: those of the inputs. Warm-up: false at the first present bar. NaN: false, and the bar does not count.
/// Source: definition.
///
/// ```
/// use barloom_kernels::cross::{cross_over, cross_state_len};
/// let a: Vec<f64> = [1.0, 2.0, 3.0].iter().flat_map(|&x| [x; 8]).collect();
/// let mut state = vec![0.0; cross_state_len(8)];
/// let mut mask = [0; 3];
/// cross_over(&a, &[2.0; 24], 8, 1, &mut state, &mut mask);
/// assert_eq!(mask, [0, 0, 0xff]);
/// ```
pub fn cross_over(a: &[f64], b: &[f64], lanes: usize, words: usize, state: &mut [f64], out: &mut [u64]) {
    assert_eq!(a.len(), b.len(), "inputs are of one length");
    assert_eq!(state.len(), cross_state_len(lanes), "state is one value per lane");
    check_mask(a.len(), lanes, words, out.len());
    at_level!(simd => cross(simd, a, b, lanes, words, state, out));
}

/// Lanes where `a` crosses below `b`: [`cross_over`] with the inputs exchanged.
///
/// Formula: `a < b` now and `a >= b` at the previous present bar. Shape: panels `[row][lane]` in, mask `[row][word]`
/// out. Units: those of the inputs. Warm-up: false at the first present bar. NaN: false, and the bar does not count.
/// Source: definition. State: [`cross_state_len`].
///
/// ```
/// use barloom_kernels::cross::{cross_state_len, cross_under};
/// let a: Vec<f64> = [3.0, 2.0, 1.0].iter().flat_map(|&x| [x; 8]).collect();
/// let mut state = vec![0.0; cross_state_len(8)];
/// let mut mask = [0; 3];
/// cross_under(&a, &[2.0; 24], 8, 1, &mut state, &mut mask);
/// assert_eq!(mask, [0, 0, 0xff]);
/// ```
pub fn cross_under(a: &[f64], b: &[f64], lanes: usize, words: usize, state: &mut [f64], out: &mut [u64]) {
    cross_over(b, a, lanes, words, state, out);
}

/// Lanes where `a` crosses above a number.
///
/// Formula: `a > b` now and `a <= b` at the previous present bar. Shape: panel `[row][lane]` in, mask `[row][word]` out.
/// Units: those of the input. Warm-up: false at the first present bar. NaN: false, and the bar does not count. Source:
/// definition, as [`cross_over`]. State: [`cross_state_len`].
///
/// ```
/// use barloom_kernels::cross::{cross_over_const, cross_state_len};
/// let a: Vec<f64> = [1.0, 2.0, 3.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut mask) = (vec![0.0; cross_state_len(8)], [0; 3]);
/// cross_over_const(&a, 2.0, 8, 1, &mut state, &mut mask);
/// assert_eq!(mask, [0, 0, 0xff]);
/// ```
pub fn cross_over_const(a: &[f64], b: f64, lanes: usize, words: usize, state: &mut [f64], out: &mut [u64]) {
    assert_eq!(state.len(), cross_state_len(lanes), "state is one value per lane");
    check_mask(a.len(), lanes, words, out.len());
    at_level!(simd => cross_rows(simd, lanes, words, state, out, #[inline(always)] |at| {
        (f64x8::from_slice(simd, &a[at..at + LANE_CHUNK]), f64x8::splat(simd, b))
    }));
}

/// Lanes where `a` crosses below a number.
///
/// Formula: `a < b` now and `a >= b` at the previous present bar. Shape: panel `[row][lane]` in, mask `[row][word]` out.
/// Units: those of the input. Warm-up: false at the first present bar. NaN: false, and the bar does not count. Source:
/// definition, as [`cross_under`]. State: [`cross_state_len`].
///
/// ```
/// use barloom_kernels::cross::{cross_state_len, cross_under_const};
/// let a: Vec<f64> = [3.0, 2.0, 1.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut mask) = (vec![0.0; cross_state_len(8)], [0; 3]);
/// cross_under_const(&a, 2.0, 8, 1, &mut state, &mut mask);
/// assert_eq!(mask, [0, 0, 0xff]);
/// ```
pub fn cross_under_const(a: &[f64], b: f64, lanes: usize, words: usize, state: &mut [f64], out: &mut [u64]) {
    assert_eq!(state.len(), cross_state_len(lanes), "state is one value per lane");
    check_mask(a.len(), lanes, words, out.len());
    at_level!(simd => cross_rows(simd, lanes, words, state, out, #[inline(always)] |at| {
        (f64x8::splat(simd, b), f64x8::from_slice(simd, &a[at..at + LANE_CHUNK]))
    }));
}

#[inline(always)]
fn cross<S: Simd>(
    simd: S,
    a: &[f64],
    b: &[f64],
    lanes: usize,
    words: usize,
    state: &mut [f64],
    out: &mut [u64],
) {
    cross_rows(
        simd,
        lanes,
        words,
        state,
        out,
        #[inline(always)]
        |at| {
            let a = f64x8::from_slice(simd, &a[at..at + LANE_CHUNK]);
            (a, f64x8::from_slice(simd, &b[at..at + LANE_CHUNK]))
        },
    );
}

/// `state`: 1 where `a <= b` held at the previous present bar.
#[inline(always)]
fn cross_rows<S: Simd>(
    simd: S,
    lanes: usize,
    words: usize,
    state: &mut [f64],
    out: &mut [u64],
    f: impl Fn(usize) -> (f64x8<S>, f64x8<S>),
) {
    let (zero, one) = (f64x8::splat(simd, 0.0), f64x8::splat(simd, 1.0));
    out.fill(0);
    for (chunk, state) in state.as_chunks_mut::<LANE_CHUNK>().0.iter_mut().enumerate() {
        let lane = chunk * LANE_CHUNK;
        let mut below = f64x8::load_array_ref(simd, state);
        for (row, out) in out.chunks_exact_mut(words).enumerate() {
            let (a, b) = f(row * lanes + lane);
            let (over, not_over) = (a.simd_gt(b), a.simd_le(b));
            out[lane / 64] |= (over & below.simd_eq(one)).to_bitmask() << (lane % 64);
            below = over.select(zero, not_over.select(one, below));
        }
        below.store_array(state);
    }
}
