//! One bar of an account: marking a row of positions, and finding the lanes whose levels a bar touches.

use crate::simd::{LANE_CHUNK, Simd, SimdBase, at_level, dispatch, f64x8, level, prelude::*};
use crate::sum::tree;

/// What a row of positions is worth at its marks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RowMarks {
    /// Σ q·(M − entry).
    pub unrealized: f64,
    /// Σ |q|·M.
    pub gross: f64,
    /// Σ q·M.
    pub net: f64,
}

/// Marks a row of positions.
///
/// Formula: `U = Σ q(M−p̄)`, `gross = Σ|q|M`, `net = Σ qM`, each summed by [`crate::sum::tree`]. Shape: one row of
/// lanes, a whole number of chunks. Units: base units and USDT per unit in, USDT out. Warm-up: none. NaN: marks must be
/// numbers (0 before a symbol's first bar). Source: the value of a linear contract.
///
/// ```
/// use barloom_kernels::account::mark_row;
/// let (mut qty, mut entry, mut mark) = ([0.0; 8], [0.0; 8], [0.0; 8]);
/// (qty[1], entry[1], mark[1]) = (-2.0, 100.0, 90.0);
/// let row = mark_row(&qty, &entry, &mark);
/// assert_eq!((row.unrealized, row.gross, row.net), (20.0, 180.0, -180.0));
/// ```
///
/// # Panics
/// When the rows differ in length or are not whole chunks.
pub fn mark_row(qty: &[f64], entry: &[f64], mark: &[f64]) -> RowMarks {
    assert_eq!(qty.len() % LANE_CHUNK, 0, "a row is a whole number of lane chunks");
    assert!(entry.len() == qty.len() && mark.len() == qty.len(), "rows of one length");
    dispatch!(level(), simd => mark_row_simd(simd, qty, entry, mark))
}

/// Marks the same positions at several rows of marks: `mark_row` for each, in one call.
///
/// Formula: that of [`mark_row`], with the same bits. Shape: `qty` and `entry` one row of lanes, `marks` `[row][lane]`;
/// one value per row in each output. `symbols` is the number of lanes in use: lanes beyond must be flat, and with one
/// symbol nothing is added up. Units: base units and USDT per unit in, USDT out. Warm-up: none. NaN: marks must be
/// numbers. Source: the value of a linear contract.
///
/// ```
/// use barloom_kernels::account::{mark_row, mark_rows};
/// let (mut qty, mut entry, mut marks) = ([0.0; 8], [0.0; 8], [0.0; 16]);
/// (qty[0], entry[0], marks[0], marks[8]) = (2.0, 100.0, 90.0, 110.0);
/// let (mut unrealized, mut gross, mut net) = ([0.0; 2], [0.0; 2], [0.0; 2]);
/// mark_rows(&qty, &entry, &marks, 1, &mut unrealized, &mut gross, &mut net);
/// assert_eq!((unrealized, gross, net), ([-20.0, 20.0], [180.0, 220.0], [180.0, 220.0]));
/// assert_eq!(mark_row(&qty, &entry, &marks[8..]).unrealized, 20.0);
/// ```
///
/// # Panics
/// When the shapes do not fit.
pub fn mark_rows(
    qty: &[f64],
    entry: &[f64],
    marks: &[f64],
    symbols: usize,
    unrealized: &mut [f64],
    gross: &mut [f64],
    net: &mut [f64],
) {
    let lanes = qty.len();
    assert_eq!(lanes % LANE_CHUNK, 0, "a row is a whole number of lane chunks");
    assert!(entry.len() == lanes && marks.len() == lanes * unrealized.len(), "rows of one length");
    assert!(gross.len() == unrealized.len() && net.len() == unrealized.len(), "one value per row");
    let out = unrealized.iter_mut().zip(gross).zip(net);
    if symbols == 1 {
        // Adding the zeros of the other lanes only turns -0 into 0.
        let (qty, entry) = (qty[0], entry[0]);
        for (row, ((unrealized, gross), net)) in marks.chunks_exact(lanes).zip(out) {
            let value = qty * row[0];
            *unrealized = qty * (row[0] - entry) + 0.0;
            *net = value + 0.0;
            *gross = value.abs();
        }
        return;
    }
    dispatch!(level(), simd => {
        for (row, ((unrealized, gross), net)) in marks.chunks_exact(lanes).zip(out) {
            let sums = mark_row_simd(simd, qty, entry, row);
            (*unrealized, *gross, *net) = (sums.unrealized, sums.gross, sums.net);
        }
    });
}

#[inline(always)]
fn mark_row_simd<S: Simd>(simd: S, qty: &[f64], entry: &[f64], mark: &[f64]) -> RowMarks {
    let zero = f64x8::splat(simd, 0.0);
    let (mut unrealized, mut gross, mut net) = (zero, zero, zero);
    let rows =
        qty.chunks_exact(LANE_CHUNK).zip(entry.chunks_exact(LANE_CHUNK)).zip(mark.chunks_exact(LANE_CHUNK));
    for ((qty, entry), mark) in rows {
        let qty = f64x8::from_slice(simd, qty);
        let entry = f64x8::from_slice(simd, entry);
        let mark = f64x8::from_slice(simd, mark);
        unrealized += qty * (mark - entry);
        let value = qty * mark;
        net += value;
        gross += value.abs();
    }
    RowMarks { unrealized: tree(&unrealized.into()), gross: tree(&gross.into()), net: tree(&net.into()) }
}

/// Changes of positions, row by row: what [`mark_changing_rows`] applies before it marks a row.
#[derive(Debug, Clone, Copy)]
pub struct RowChanges<'a> {
    /// Changes made before the end of each row, counted from the first row on.
    pub ends: &'a [u32],
    /// Lane of each change.
    pub lane: &'a [u32],
    /// Its position from then on.
    pub qty: &'a [f64],
    /// Its average entry from then on.
    pub entry: &'a [f64],
}

/// Marks rows between which positions change.
///
/// Formula: that of [`mark_row`], with the same bits, after the changes of the row. Shape: `qty` and `entry` one row of
/// lanes, left as they are after the last row; `marks` `[row][lane]`; one value per row in each output. Units: base units
/// and USDT per unit in, USDT out. Warm-up: none. NaN: marks must be numbers. Source: the value of a linear contract.
///
/// A lane is changed by a vector that covers its chunk, and not alone: a vector that reads what was just written in parts
/// waits for it.
///
/// ```
/// use barloom_kernels::account::{RowChanges, mark_changing_rows};
/// let (mut qty, mut entry, marks) = ([0.0; 8], [0.0; 8], [90.0; 16]);
/// let changes = RowChanges { ends: &[0, 1], lane: &[3], qty: &[2.0], entry: &[100.0] };
/// let (mut unrealized, mut gross, mut net) = ([0.0; 2], [0.0; 2], [0.0; 2]);
/// mark_changing_rows(&mut qty, &mut entry, &marks, &changes, &mut unrealized, &mut gross, &mut net);
/// assert_eq!((unrealized, gross, net), ([0.0, -20.0], [0.0, 180.0], [0.0, 180.0]));
/// assert_eq!((qty[3], entry[3]), (2.0, 100.0));
/// ```
///
/// # Panics
/// When the shapes do not fit, or a lane is beyond the row.
pub fn mark_changing_rows(
    qty: &mut [f64],
    entry: &mut [f64],
    marks: &[f64],
    changes: &RowChanges<'_>,
    unrealized: &mut [f64],
    gross: &mut [f64],
    net: &mut [f64],
) {
    let (lanes, rows) = (qty.len(), changes.ends.len());
    assert_eq!(lanes % LANE_CHUNK, 0, "a row is a whole number of lane chunks");
    assert!(entry.len() == lanes && marks.len() == lanes * rows, "rows of one length");
    assert!(unrealized.len() == rows && gross.len() == rows && net.len() == rows, "one value per row");
    let made = changes.lane.len();
    assert!(changes.qty.len() == made && changes.entry.len() == made, "one value per change");
    at_level!(simd => mark_changing_rows_simd(simd, qty, entry, marks, changes, unrealized, gross, net));
}

/// Changes of a row that are applied at once.
const CHANGES_AT_ONCE: usize = 2;

#[expect(clippy::too_many_arguments, reason = "the columns of the kernel above")]
#[inline(always)]
fn mark_changing_rows_simd<S: Simd>(
    simd: S,
    qty: &mut [f64],
    entry: &mut [f64],
    marks: &[f64],
    changes: &RowChanges<'_>,
    unrealized: &mut [f64],
    gross: &mut [f64],
    net: &mut [f64],
) {
    let lanes = qty.len();
    let (qty, entry) = (qty.as_chunks_mut::<LANE_CHUNK>().0, entry.as_chunks_mut::<LANE_CHUNK>().0);
    let out = unrealized.iter_mut().zip(gross).zip(net);
    let mut done = 0;
    for ((mark, &end), ((unrealized, gross), net)) in marks.chunks_exact(lanes).zip(changes.ends).zip(out) {
        let end = end as usize;
        if let Some(last) = changes.lane.len().checked_sub(1) {
            // Whether or not there are so many: a branch on their number is never foreseen.
            for change in done..done + CHANGES_AT_ONCE {
                apply_change(simd, qty, entry, changes, change.min(last), change < end);
            }
            for change in done + CHANGES_AT_ONCE..end {
                apply_change(simd, qty, entry, changes, change, true);
            }
        }
        done = end;
        let sums = mark_row_simd(simd, qty.as_flattened(), entry.as_flattened(), mark);
        (*unrealized, *gross, *net) = (sums.unrealized, sums.gross, sums.net);
    }
}

/// Sets the lane of a change, if it is made.
#[inline(always)]
fn apply_change<S: Simd>(
    simd: S,
    qty: &mut [[f64; LANE_CHUNK]],
    entry: &mut [[f64; LANE_CHUNK]],
    changes: &RowChanges<'_>,
    change: usize,
    is_made: bool,
) {
    let numbers: [f64; LANE_CHUNK] = std::array::from_fn(|i| i as f64);
    let lane = changes.lane[change] as usize;
    let (chunk, at) = (lane / LANE_CHUNK, if is_made { lane % LANE_CHUNK } else { LANE_CHUNK });
    let is_lane = f64x8::load_array_ref(simd, &numbers).simd_eq(f64x8::splat(simd, at as f64));
    for (row, value) in [(&mut qty[chunk], changes.qty[change]), (&mut entry[chunk], changes.entry[change])] {
        let kept = f64x8::load_array_ref(simd, row);
        is_lane.select(f64x8::splat(simd, value), kept).store_array(row);
    }
}

/// Marks of rows: the first price that is there, or the mark of the row before.
///
/// Formula: `M[t] = first[t]`, else `second[t]`, else `M[t−1]`. Shape: panels `[row][lane]`; `carry` one row, the marks
/// before the first row, left as they are after the last. Units: price. Warm-up: the `carry` given. NaN: missing. Source:
/// definition.
///
/// ```
/// use barloom_kernels::account::carry_marks;
/// let (mut carry, mut marks) = ([7.0; 8], [0.0; 16]);
/// let first: Vec<f64> = [f64::NAN, 9.0].iter().flat_map(|&px| [px; 8]).collect();
/// carry_marks(&first, None, &mut carry, &mut marks);
/// assert_eq!((marks[0], marks[8], carry[0]), (7.0, 9.0, 9.0));
/// ```
///
/// # Panics
/// When the shapes do not fit.
pub fn carry_marks(first: &[f64], second: Option<&[f64]>, carry: &mut [f64], marks: &mut [f64]) {
    let lanes = carry.len();
    assert!(lanes.is_multiple_of(LANE_CHUNK) && lanes > 0, "a row is a whole number of lane chunks");
    assert!(first.len() == marks.len() && marks.len().is_multiple_of(lanes), "panels of one shape");
    let second = second.unwrap_or(first);
    assert_eq!(second.len(), first.len(), "panels of one shape");
    at_level!(simd => {
        let rows = first.chunks_exact(lanes).zip(second.chunks_exact(lanes)).zip(marks.chunks_exact_mut(lanes));
        for ((first, second), marks) in rows {
            for at in (0..lanes).step_by(LANE_CHUNK) {
                let load = |row: &[f64]| f64x8::from_slice(simd, &row[at..at + LANE_CHUNK]);
                let (first, second) = (load(first), load(second));
                let kept = second.simd_eq(second).select(second, load(carry));
                let mark = first.simd_eq(first).select(first, kept);
                mark.store_slice(&mut marks[at..at + LANE_CHUNK]);
                mark.store_slice(&mut carry[at..at + LANE_CHUNK]);
            }
        }
    });
}

/// Bits of the lanes whose bar touches a level.
///
/// Formula: `low <= low_trigger or high >= high_trigger`; a trigger that is not set is an infinity. Shape: rows of lanes
/// in, one `u64` word per 64 lanes out. Units: price. Warm-up: none. NaN: a missing bar touches nothing. Source:
/// definition.
///
/// ```
/// use barloom_kernels::account::touched;
/// let (low, high) = ([9.0; 8], [11.0; 8]);
/// let (mut below, mut above) = ([f64::NEG_INFINITY; 8], [f64::INFINITY; 8]);
/// below[2] = 9.5;
/// above[5] = 11.0;
/// let mut bits = [0u64];
/// touched(&low, &high, &below, &above, &mut bits);
/// assert_eq!(bits[0], 0b10_0100);
/// ```
///
/// # Panics
/// When the rows differ in length, are not whole chunks, or the words are too few.
pub fn touched(low: &[f64], high: &[f64], low_trigger: &[f64], high_trigger: &[f64], bits: &mut [u64]) {
    assert_eq!(low.len() % LANE_CHUNK, 0, "a row is a whole number of lane chunks");
    assert!(high.len() == low.len() && low_trigger.len() == low.len() && high_trigger.len() == low.len());
    assert!(bits.len() * 64 >= low.len(), "one word per 64 lanes");
    dispatch!(level(), simd => touched_simd(simd, low, high, low_trigger, high_trigger, bits));
}

#[inline(always)]
fn touched_simd<S: Simd>(simd: S, low: &[f64], high: &[f64], below: &[f64], above: &[f64], bits: &mut [u64]) {
    bits.fill(0);
    for chunk in 0..low.len() / LANE_CHUNK {
        let at = chunk * LANE_CHUNK..(chunk + 1) * LANE_CHUNK;
        let reached_low =
            f64x8::from_slice(simd, &low[at.clone()]).simd_le(f64x8::from_slice(simd, &below[at.clone()]));
        let reached_high =
            f64x8::from_slice(simd, &high[at.clone()]).simd_ge(f64x8::from_slice(simd, &above[at]));
        let hit = (reached_low | reached_high).to_bitmask();
        bits[chunk * LANE_CHUNK / 64] |= hit << (chunk * LANE_CHUNK % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_equal_the_naive_sum_in_the_fixed_order(values in proptest::collection::vec((-1e3..1e3f64, 1.0..1e3f64, 1.0..1e3f64), 24)) {
            let qty: Vec<f64> = values.iter().map(|v| v.0).collect();
            let entry: Vec<f64> = values.iter().map(|v| v.1).collect();
            let mark: Vec<f64> = values.iter().map(|v| v.2).collect();
            let naive = |f: &dyn Fn(usize) -> f64| {
                let mut acc = [0.0; 8];
                for i in 0..24 { acc[i % 8] += f(i); }
                tree(&acc)
            };
            let row = mark_row(&qty, &entry, &mark);
            prop_assert_eq!(row.unrealized, naive(&|i| qty[i] * (mark[i] - entry[i])));
            prop_assert_eq!(row.gross, naive(&|i| (qty[i] * mark[i]).abs()));
            prop_assert_eq!(row.net, naive(&|i| qty[i] * mark[i]));
        }

        #[test]
        fn rows_equal_one_row_at_a_time(
            qty in proptest::collection::vec(prop_oneof![Just(0.0), -1e3..1e3f64], 16),
            marks in proptest::collection::vec(1.0..1e3f64, 16 * 5),
            one in proptest::bool::ANY,
        ) {
            let symbols = if one { 1 } else { 16 };
            let mut qty = qty;
            if one { qty[1..].fill(0.0); }
            let entry: Vec<f64> = qty.iter().map(|q| if *q == 0.0 { 0.0 } else { 77.7 }).collect();
            let mut out = [[0.0; 5]; 3];
            let [unrealized, gross, net] = &mut out;
            mark_rows(&qty, &entry, &marks, symbols, unrealized, gross, net);
            for (row, marks) in marks.chunks_exact(16).enumerate() {
                let naive = mark_row(&qty, &entry, marks);
                prop_assert_eq!(out[0][row].to_bits(), naive.unrealized.to_bits());
                prop_assert_eq!(out[1][row].to_bits(), naive.gross.to_bits());
                prop_assert_eq!(out[2][row].to_bits(), naive.net.to_bits());
            }
        }

        #[test]
        fn changing_rows_equal_scalar_changes_and_one_row_at_a_time(
            changes in proptest::collection::vec((0usize..6, 0u32..24, prop_oneof![Just(0.0), -9.0..9.0f64]), 0..40),
            marks in proptest::collection::vec(1.0..1e3f64, 24 * 6),
        ) {
            let mut changes = changes;
            changes.sort_by_key(|change| change.0);
            let ends: Vec<u32> =
                (0..6).map(|row| changes.iter().filter(|change| change.0 <= row).count() as u32).collect();
            let lane: Vec<u32> = changes.iter().map(|change| change.1).collect();
            let new_qty: Vec<f64> = changes.iter().map(|change| change.2).collect();
            let new_entry: Vec<f64> = new_qty.iter().map(|qty| qty * 77.0).collect();
            let made = RowChanges { ends: &ends, lane: &lane, qty: &new_qty, entry: &new_entry };
            let (mut qty, mut entry, mut out) = ([1.5; 24], [40.0; 24], [[0.0; 6]; 3]);
            let [unrealized, gross, net] = &mut out;
            mark_changing_rows(&mut qty, &mut entry, &marks, &made, unrealized, gross, net);
            let (mut naive_qty, mut naive_entry) = ([1.5; 24], [40.0; 24]);
            for (row, marks) in marks.chunks_exact(24).enumerate() {
                for &(_, lane, qty) in changes.iter().filter(|change| change.0 == row) {
                    (naive_qty[lane as usize], naive_entry[lane as usize]) = (qty, qty * 77.0);
                }
                let naive = mark_row(&naive_qty, &naive_entry, marks);
                let found = [out[0][row], out[1][row], out[2][row]].map(f64::to_bits);
                prop_assert_eq!(found, [naive.unrealized, naive.gross, naive.net].map(f64::to_bits));
            }
            prop_assert_eq!((qty, entry), (naive_qty, naive_entry));
        }

        #[test]
        fn carried_marks_equal_the_naive_ones(
            prices in proptest::collection::vec(
                (prop_oneof![Just(f64::NAN), 1.0..9.0f64], prop_oneof![Just(f64::NAN), 1.0..9.0f64]),
                16 * 6,
            ),
            both in proptest::bool::ANY,
        ) {
            let first: Vec<f64> = prices.iter().map(|price| price.0).collect();
            let second: Vec<f64> = prices.iter().map(|price| price.1).collect();
            let (mut carry, mut marks) = ([0.5; 16], [0.0; 16 * 6]);
            carry_marks(&first, both.then_some(&second), &mut carry, &mut marks);
            let mut last = [0.5; 16];
            for at in 0..marks.len() {
                let price = if first[at].is_nan() && both { second[at] } else { first[at] };
                last[at % 16] = if price.is_nan() { last[at % 16] } else { price };
                prop_assert_eq!(marks[at], last[at % 16]);
            }
            prop_assert_eq!(carry, last);
        }

        #[test]
        fn touched_equals_the_naive_test(values in proptest::collection::vec((0u8..5, 0u8..5, 0u8..5, 0u8..5), 72)) {
            let price = |code: u8| if code == 4 { f64::NAN } else { f64::from(code) };
            let low: Vec<f64> = values.iter().map(|v| price(v.0)).collect();
            let high: Vec<f64> = values.iter().map(|v| price(v.1)).collect();
            let below: Vec<f64> = values.iter().map(|v| price(v.2)).collect();
            let above: Vec<f64> = values.iter().map(|v| price(v.3)).collect();
            let mut bits = [0u64; 2];
            touched(&low, &high, &below, &above, &mut bits);
            for i in 0..72 {
                let naive = low[i] <= below[i] || high[i] >= above[i];
                prop_assert_eq!(bits[i / 64] >> (i % 64) & 1 == 1, naive);
            }
        }
    }
}
