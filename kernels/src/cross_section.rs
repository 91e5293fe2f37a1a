//! One bar across lanes: rank, mean, z-score. Stateless; missing lanes are left out and stay NaN.
//!
//! Sums have the fixed shape of [`crate::sum`], with 0 in missing lanes.

use crate::simd::LANE_CHUNK;
use crate::sum::tree;

fn check(x: &[f64], lanes: usize, out: &[f64]) {
    assert!(lanes > 0 && lanes.is_multiple_of(LANE_CHUNK), "lanes are a whole number of chunks of 8");
    assert!(x.len().is_multiple_of(lanes), "a panel is a whole number of rows");
    assert_eq!(x.len(), out.len(), "outputs are as long as inputs");
}

/// Present lanes and the sum of `f` over them.
#[inline(always)]
fn sum_present(row: &[f64], f: impl Fn(f64) -> f64) -> (f64, f64) {
    let (mut count, mut sums) = (0.0, [0.0; LANE_CHUNK]);
    for chunk in row.as_chunks::<LANE_CHUNK>().0 {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            let present = !x.is_nan();
            count += f64::from(u8::from(present));
            *sum += if present { f(x) } else { 0.0 };
        }
    }
    (count, tree(&sums))
}

/// Mean of the lanes that have a value, in every one of them.
///
/// Formula: fixed-tree sum over count. Shape: `[row][lane]` in and out. Units: those of the input. Warm-up: none. NaN:
/// left out, NaN out. Source: definition.
///
/// ```
/// let mut out = [0.0; 8];
/// barloom_kernels::cross_section::mean_xs(&[1.0, 3.0, f64::NAN, 2.0, 2.0, 2.0, 2.0, 2.0], 8, &mut out);
/// assert_eq!(out[0], 2.0);
/// assert!(out[2].is_nan());
/// ```
pub fn mean_xs(x: &[f64], lanes: usize, out: &mut [f64]) {
    check(x, lanes, out);
    for (row, out) in x.chunks_exact(lanes).zip(out.chunks_exact_mut(lanes)) {
        let (count, sum) = sum_present(row, |x| x);
        for (&x, out) in row.iter().zip(out) {
            *out = if x.is_nan() { f64::NAN } else { sum / count };
        }
    }
}

/// Z-score among the lanes that have a value.
///
/// Formula: `(x - mean)/stddev`, ddof 0, two passes; 0 when all are equal. Shape: `[row][lane]` in and out. Units:
/// standard deviations. Warm-up: none. NaN: left out, NaN out. Source: definition.
///
/// ```
/// let mut out = [0.0; 8];
/// barloom_kernels::cross_section::zscore_xs(&[1.0, 3.0, f64::NAN, 1.0, 3.0, 1.0, 3.0, f64::NAN], 8, &mut out);
/// assert_eq!(out[..2], [-1.0, 1.0]);
/// ```
pub fn zscore_xs(x: &[f64], lanes: usize, out: &mut [f64]) {
    check(x, lanes, out);
    for (row, out) in x.chunks_exact(lanes).zip(out.chunks_exact_mut(lanes)) {
        // About the first present value, so that equal values deviate by exactly 0.
        let origin = row.iter().copied().find(|x| !x.is_nan()).unwrap_or(0.0);
        let (count, sum) = sum_present(row, |x| x - origin);
        let mean = sum / count;
        let (_, squares) = sum_present(row, |x| (x - origin - mean) * (x - origin - mean));
        let deviation = (squares / count).sqrt();
        for (&x, out) in row.iter().zip(out) {
            *out = if x.is_nan() {
                f64::NAN
            } else if deviation == 0.0 {
                0.0
            } else {
                (x - origin - mean) / deviation
            };
        }
    }
}

/// Rank among the lanes that have a value, as a fraction.
///
/// Formula: mean rank of equal values (from 1, ascending) over their number; the largest has 1. Shape: `[row][lane]` in
/// and out. Units: above 0 to 1. Warm-up: none. NaN: left out, NaN out. Source: pandas
/// `rank(axis=1, pct=True)`. Time: lanes² comparisons per bar.
///
/// ```
/// let mut out = [0.0; 8];
/// barloom_kernels::cross_section::rank_xs(&[5.0, 1.0, 5.0, 0.0, f64::NAN, f64::NAN, f64::NAN, f64::NAN], 8, &mut out);
/// assert_eq!(out[..4], [0.875, 0.5, 0.875, 0.25]);
/// ```
pub fn rank_xs(x: &[f64], lanes: usize, out: &mut [f64]) {
    check(x, lanes, out);
    for (row, out) in x.chunks_exact(lanes).zip(out.chunks_exact_mut(lanes)) {
        let count = row.iter().filter(|x| !x.is_nan()).count() as f64;
        for (&x, out) in row.iter().zip(out) {
            if x.is_nan() {
                *out = f64::NAN;
                continue;
            }
            let (mut below, mut equal) = (0_u32, 0_u32);
            for &other in row {
                below += u32::from(other < x);
                equal += u32::from(other == x);
            }
            *out = (f64::from(below) + 0.5 * (f64::from(equal) + 1.0)) / count;
        }
    }
}
