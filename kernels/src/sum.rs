//! Sums across lanes, with one fixed shape.
//!
//! Lane `i` goes to accumulator `i mod 8`, in ascending order of `i`; the eight accumulators are then added as a tree:
//! `((a0+a4)+(a2+a6)) + ((a1+a5)+(a3+a7))`. Every build, CPU and lane layout adds in this order.

use crate::simd::{LANE_CHUNK, SimdBase, at_level, f64x8};

/// Adds eight accumulators in the fixed order.
///
/// Formula: `((a0+a4)+(a2+a6)) + ((a1+a5)+(a3+a7))`. Shape: eight numbers in, one out. Units: those of the input.
/// Warm-up: none. NaN: NaN if any is. Source: definition.
///
/// ```
/// assert_eq!(barloom_kernels::sum::tree(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]), 36.0);
/// ```
#[inline(always)]
pub fn tree(a: &[f64; LANE_CHUNK]) -> f64 {
    ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
}

/// Sum of a row of lanes.
///
/// Formula: lane `i` to accumulator `i mod 8`, then [`tree`]. Shape: one row of lanes in, one number out. Units: those of
/// the input. Warm-up: none. NaN: NaN if any is. Source: definition.
///
/// ```
/// assert_eq!(barloom_kernels::sum::row_sum(&[0.5; 16]), 8.0);
/// ```
///
/// # Panics
/// When the row is not a whole number of chunks.
pub fn row_sum(row: &[f64]) -> f64 {
    assert_eq!(row.len() % LANE_CHUNK, 0, "a row is a whole number of lane chunks");
    let mut acc = [0.0; LANE_CHUNK];
    for chunk in row.chunks_exact(LANE_CHUNK) {
        for (a, &x) in acc.iter_mut().zip(chunk) {
            *a += x;
        }
    }
    tree(&acc)
}
/// Adds amounts to sums that keep their rounding errors beside them.
///
/// Formula: Knuth's two-sum, `t = s + a`, `e += (s − (t − (t − s))) + (a − (t − s))`. Shape: columns of one length, a whole
/// number of chunks. Units: those of the amounts. Warm-up: none. NaN: spreads. Source: Knuth, The Art of Computer
/// Programming, vol. 2, 4.2.2.
///
/// ```
/// let (mut sums, mut errors) = ([1e16; 8], [0.0; 8]);
/// barloom_kernels::sum::add_compensated(&mut sums, &mut errors, &[1.0; 8]);
/// barloom_kernels::sum::add_compensated(&mut sums, &mut errors, &[-1e16; 8]);
/// assert_eq!(sums[0] + errors[0], 1.0);
/// ```
///
/// # Panics
/// When the columns differ in length or are not whole chunks.
pub fn add_compensated(sums: &mut [f64], errors: &mut [f64], amounts: &[f64]) {
    assert_eq!(sums.len() % LANE_CHUNK, 0, "a column is a whole number of lane chunks");
    assert!(errors.len() == sums.len() && amounts.len() == sums.len(), "columns of one length");
    at_level!(simd => {
        let columns = sums.as_chunks_mut::<LANE_CHUNK>().0.iter_mut().zip(errors.as_chunks_mut::<LANE_CHUNK>().0);
        for ((sum, error), amount) in columns.zip(amounts.as_chunks::<LANE_CHUNK>().0) {
            let (before, amount) = (f64x8::load_array_ref(simd, sum), f64x8::load_array_ref(simd, amount));
            let total = before + amount;
            let part = total - before;
            let lost = (before - (total - part)) + (amount - part);
            (f64x8::load_array_ref(simd, error) + lost).store_array(error);
            total.store_array(sum);
        }
    });
}
