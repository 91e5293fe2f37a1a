//! The operators over panels, as the graph calls them. Indicators are in [`super::indicators`]; nothing else calls the
//! kernels.

use barloom_kernels::elementwise;
use barloom_kernels::simd::{LANE_CHUNK, Simd, dispatch, f64x8, level, mask64x8, prelude::*};

use super::scalar::{BinaryOp, Comparison, UnaryOp};

/// An operand: a block of rows, or one number for all of it.
#[derive(Clone, Copy)]
pub(super) enum Operand<'a> {
    Panel(&'a [f64]),
    Const(f64),
}

pub(super) fn unary(op: UnaryOp, x: &[f64], out: &mut [f64]) {
    match op {
        UnaryOp::Negate => elementwise::neg(x, out),
        UnaryOp::Abs => elementwise::abs(x, out),
        UnaryOp::Sqrt => elementwise::sqrt(x, out),
        UnaryOp::Sign => elementwise::sign(x, out),
        UnaryOp::Log | UnaryOp::Exp => {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = op.apply(x);
            }
        }
    }
}

pub(super) fn binary(op: BinaryOp, a: Operand<'_>, b: Operand<'_>, out: &mut [f64]) {
    match (a, b) {
        (Operand::Panel(a), Operand::Panel(b)) => match op {
            BinaryOp::Add => elementwise::add(a, b, out),
            BinaryOp::Sub => elementwise::sub(a, b, out),
            BinaryOp::Mul => elementwise::mul(a, b, out),
            BinaryOp::Div => elementwise::div(a, b, out),
            BinaryOp::Min => elementwise::min(a, b, out),
            BinaryOp::Max => elementwise::max(a, b, out),
        },
        (Operand::Panel(a), Operand::Const(b)) => match op {
            BinaryOp::Add => elementwise::add_const(a, b, out),
            BinaryOp::Sub => elementwise::sub_const(a, b, out),
            BinaryOp::Mul => elementwise::mul_const(a, b, out),
            BinaryOp::Div => elementwise::div_const(a, b, out),
            BinaryOp::Min => elementwise::min_const(a, b, out),
            BinaryOp::Max => elementwise::max_const(a, b, out),
        },
        // The graph puts the constant of an operator that commutes second.
        (Operand::Const(a), Operand::Panel(b)) => match op {
            BinaryOp::Sub => elementwise::const_sub(a, b, out),
            BinaryOp::Div => elementwise::const_div(a, b, out),
            BinaryOp::Add | BinaryOp::Mul | BinaryOp::Min | BinaryOp::Max => {
                binary(op, Operand::Panel(b), Operand::Const(a), out);
            }
        },
        (Operand::Const(a), Operand::Const(b)) => out.fill(op.apply(a, b)),
    }
}

/// The value at one lane in all lanes that have the bar.
pub(super) fn of_symbol(x: &[f64], close: &[f64], lanes: usize, lane: usize, out: &mut [f64]) {
    let rows = x.chunks_exact(lanes).zip(close.chunks_exact(lanes)).zip(out.chunks_exact_mut(lanes));
    for ((x, close), out) in rows {
        for (out, close) in out.iter_mut().zip(close) {
            *out = if close.is_nan() { f64::NAN } else { x[lane] };
        }
    }
}

pub(super) fn compare(
    comparison: Comparison,
    a: Operand<'_>,
    b: Operand<'_>,
    lanes: usize,
    words: usize,
    out: &mut [u64],
) {
    match (a, b) {
        (Operand::Panel(a), Operand::Panel(b)) => match comparison {
            Comparison::Lt => elementwise::lt_mask(a, b, lanes, words, out),
            Comparison::Le => elementwise::le_mask(a, b, lanes, words, out),
            Comparison::Eq => elementwise::eq_mask(a, b, lanes, words, out),
            Comparison::Ne => elementwise::ne_mask(a, b, lanes, words, out),
        },
        (Operand::Panel(a), Operand::Const(b)) => match comparison {
            Comparison::Lt => elementwise::lt_mask_const(a, b, lanes, words, out),
            Comparison::Le => elementwise::le_mask_const(a, b, lanes, words, out),
            Comparison::Eq => elementwise::eq_mask_const(a, b, lanes, words, out),
            Comparison::Ne => elementwise::ne_mask_const(a, b, lanes, words, out),
        },
        (Operand::Const(a), Operand::Panel(b)) => match comparison {
            Comparison::Lt => elementwise::gt_mask_const(b, a, lanes, words, out),
            Comparison::Le => elementwise::ge_mask_const(b, a, lanes, words, out),
            Comparison::Eq => elementwise::eq_mask_const(b, a, lanes, words, out),
            Comparison::Ne => elementwise::ne_mask_const(b, a, lanes, words, out),
        },
        (Operand::Const(a), Operand::Const(b)) => {
            out.fill(if comparison.apply(a, b) { u64::MAX } else { 0 });
        }
    }
}

/// `a < b` and `b < a` in one pass: the two masks of a crossover system cost one reading of its averages.
pub(super) fn less_and_greater(
    a: &[f64],
    b: &[f64],
    lanes: usize,
    words: usize,
    less: &mut [u64],
    greater: &mut [u64],
) {
    assert!(a.len() == b.len() && a.len().is_multiple_of(lanes), "panels are whole rows of one length");
    assert_eq!(a.len() / lanes * words, less.len(), "a mask has one row of words per bar");
    assert_eq!(less.len(), greater.len(), "masks are of one length");
    dispatch!(level(), simd => less_and_greater_rows(simd, a, b, lanes, words, less, greater));
}

#[inline(always)]
fn less_and_greater_rows<S: Simd>(
    simd: S,
    a: &[f64],
    b: &[f64],
    lanes: usize,
    words: usize,
    less: &mut [u64],
    greater: &mut [u64],
) {
    let rows = a.chunks_exact(lanes).zip(b.chunks_exact(lanes));
    let masks = less.chunks_exact_mut(words).zip(greater.chunks_exact_mut(words));
    for ((a, b), (less, greater)) in rows.zip(masks) {
        let words = a.chunks(64).zip(b.chunks(64)).zip(less.iter_mut().zip(greater));
        for ((a, b), (less, greater)) in words {
            let (mut below, mut above) = (0, 0);
            let chunks = a.as_chunks::<LANE_CHUNK>().0.iter().zip(b.as_chunks::<LANE_CHUNK>().0);
            for (chunk, (a, b)) in chunks.enumerate() {
                let (a, b) = (f64x8::load_array_ref(simd, a), f64x8::load_array_ref(simd, b));
                below |= a.simd_lt(b).to_bitmask() << (chunk * LANE_CHUNK);
                above |= a.simd_gt(b).to_bitmask() << (chunk * LANE_CHUNK);
            }
            (*less, *greater) = (below, above);
        }
    }
}

/// `yes` where `value` is set, `no` where only `valid` is, `NaN` elsewhere.
pub(super) fn choose(
    [value, valid]: [&[u64]; 2],
    yes: &[f64],
    no: &[f64],
    lanes: usize,
    words: usize,
    out: &mut [f64],
) {
    assert!(yes.len() == out.len() && no.len() == out.len(), "panels are of one length");
    dispatch!(level(), simd => choose_rows(simd, [value, valid], yes, no, lanes, words, out));
}

#[inline(always)]
fn choose_rows<S: Simd>(
    simd: S,
    [value, valid]: [&[u64]; 2],
    yes: &[f64],
    no: &[f64],
    lanes: usize,
    words: usize,
    out: &mut [f64],
) {
    let missing = f64x8::splat(simd, f64::NAN);
    let inputs = yes.as_chunks::<LANE_CHUNK>().0.iter().zip(no.as_chunks::<LANE_CHUNK>().0);
    for (index, ((yes, no), out)) in inputs.zip(out.as_chunks_mut::<LANE_CHUNK>().0).enumerate() {
        let (row, lane) = (index * LANE_CHUNK / lanes, index * LANE_CHUNK % lanes);
        let bits = |mask: &[u64]| {
            let word = mask[row * words + lane / 64];
            mask64x8::from_bitmask(simd, word >> (lane % 64) & 0xff)
        };
        let no = bits(valid).select(f64x8::load_array_ref(simd, no), missing);
        bits(value).select(f64x8::load_array_ref(simd, yes), no).store_array(out);
    }
}

pub(super) fn and_words(a: &[u64], b: &[u64], out: &mut [u64]) {
    elementwise::and_mask(a, b, out);
}

pub(super) fn or_words(a: &[u64], b: &[u64], out: &mut [u64]) {
    elementwise::or_mask(a, b, out);
}

/// Every bit the other way round, those of missing and unused lanes too: the graph takes them away where it matters.
pub(super) fn not_words(a: &[u64], out: &mut [u64]) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out = !a;
    }
}

/// State of [`lag`]: the values of the last `bars` present bars, and for more than one where each lane's ring is.
pub(super) fn lag_state_len(lanes: usize, bars: usize) -> usize {
    if bars == 1 { lanes } else { lanes * (bars + 1) }
}

/// Empties the state of [`lag`].
pub(super) fn lag_reset(lanes: usize, state: &mut [f64]) {
    state.fill(f64::NAN);
    if state.len() > lanes {
        state[..lanes].fill(0.0);
    }
}

/// `x` of `bars` present bars ago, a bar being present where its close is.
///
/// Not the kernel of that name, for which a `NaN` in `x` is a missing bar: the lags of two expressions are those of one
/// and the same earlier bar, also where only one of them had a value.
pub(super) fn lag(x: &[f64], close: &[f64], lanes: usize, bars: usize, state: &mut [f64], out: &mut [f64]) {
    let rows = x.chunks_exact(lanes).zip(close.chunks_exact(lanes)).zip(out.chunks_exact_mut(lanes));
    if bars == 1 {
        for ((x, close), out) in rows {
            for (((out, last), &x), close) in out.iter_mut().zip(state.iter_mut()).zip(x).zip(close) {
                *out = if close.is_nan() { f64::NAN } else { *last };
                *last = if close.is_nan() { *last } else { x };
            }
        }
        return;
    }
    let (positions, ring) = state.split_at_mut(lanes);
    for ((x, close), out) in rows {
        for (lane, out) in out.iter_mut().enumerate() {
            if close[lane].is_nan() {
                *out = f64::NAN;
                continue;
            }
            let position = positions[lane] as usize;
            let slot = &mut ring[position * lanes + lane];
            *out = *slot;
            *slot = x[lane];
            positions[lane] = if position + 1 == bars { 0.0 } else { (position + 1) as f64 };
        }
    }
}

/// The bits of the present bar before, each symbol by its own bars; none before its first.
pub(super) fn lag_words(bits: &[u64], present: &[u64], words: usize, state: &mut [u64], out: &mut [u64]) {
    if let [state] = state {
        // Nearly always; in a register.
        let mut last = *state;
        for ((bits, present), out) in bits.iter().zip(present).zip(out) {
            *out = last & present;
            last = (last & !present) | (bits & present);
        }
        *state = last;
        return;
    }
    let rows = bits.chunks_exact(words).zip(present.chunks_exact(words)).zip(out.chunks_exact_mut(words));
    for ((bits, present), out) in rows {
        for (((out, last), bits), present) in out.iter_mut().zip(state.iter_mut()).zip(bits).zip(present) {
            *out = *last & present;
            *last = (*last & !present) | (bits & present);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The values that operators stumble over.
    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            Just(f64::NAN),
            Just(0.0),
            Just(-0.0),
            Just(1.0),
            Just(-1.0),
            Just(f64::MAX),
            Just(f64::MIN_POSITIVE),
            -1e3..1e3f64,
        ]
    }

    fn same(a: f64, b: f64) -> bool {
        a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
    }

    const UNARY: [UnaryOp; 6] =
        [UnaryOp::Negate, UnaryOp::Abs, UnaryOp::Log, UnaryOp::Exp, UnaryOp::Sqrt, UnaryOp::Sign];
    const BINARY: [BinaryOp; 6] =
        [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div, BinaryOp::Min, BinaryOp::Max];
    const COMPARISONS: [Comparison; 4] = [Comparison::Lt, Comparison::Le, Comparison::Eq, Comparison::Ne];

    proptest! {
        #[test]
        fn panels_have_the_bits_of_single_values(
            a in prop::collection::vec(number(), 16),
            b in prop::collection::vec(number(), 16),
            c in number(),
        ) {
            let mut out = vec![0.0; 16];
            for op in UNARY {
                unary(op, &a, &mut out);
                prop_assert!(out.iter().zip(&a).all(|(&out, &a)| same(out, op.apply(a))), "{op:?}");
            }
            for op in BINARY {
                binary(op, Operand::Panel(&a), Operand::Panel(&b), &mut out);
                prop_assert!((0..16).all(|i| same(out[i], op.apply(a[i], b[i]))), "{op:?}");
                binary(op, Operand::Panel(&a), Operand::Const(c), &mut out);
                prop_assert!((0..16).all(|i| same(out[i], op.apply(a[i], c))), "{op:?} const");
            }
            for op in [BinaryOp::Sub, BinaryOp::Div] {
                binary(op, Operand::Const(c), Operand::Panel(&b), &mut out);
                prop_assert!((0..16).all(|i| same(out[i], op.apply(c, b[i]))), "const {op:?}");
            }
        }

        #[test]
        fn masks_have_the_bits_of_single_comparisons(
            a in prop::collection::vec(number(), 2 * 72),
            b in prop::collection::vec(number(), 2 * 72),
            c in number(),
        ) {
            let bit = |mask: &[u64], i: usize| mask[i / 72 * 2 + i % 72 / 64] >> (i % 72 % 64) & 1 != 0;
            let mut out = vec![0; 4];
            for op in COMPARISONS {
                compare(op, Operand::Panel(&a), Operand::Panel(&b), 72, 2, &mut out);
                prop_assert!((0..144).all(|i| bit(&out, i) == op.apply(a[i], b[i])), "{op:?}");
                compare(op, Operand::Panel(&a), Operand::Const(c), 72, 2, &mut out);
                prop_assert!((0..144).all(|i| bit(&out, i) == op.apply(a[i], c)), "{op:?} const");
                compare(op, Operand::Const(c), Operand::Panel(&b), 72, 2, &mut out);
                prop_assert!((0..144).all(|i| bit(&out, i) == op.apply(c, b[i])), "const {op:?}");
            }
            let (mut less, mut greater) = (vec![0; 4], vec![0; 4]);
            less_and_greater(&a, &b, 72, 2, &mut less, &mut greater);
            prop_assert!((0..144).all(|i| bit(&less, i) == (a[i] < b[i]) && bit(&greater, i) == (b[i] < a[i])));
            let mut chosen = vec![0.0; 144];
            choose([&less, &greater], &a, &b, 72, 2, &mut chosen);
            for i in 0..144 {
                let expected = if a[i] < b[i] { a[i] } else if b[i] < a[i] { b[i] } else { f64::NAN };
                prop_assert!(same(chosen[i], expected));
            }
        }
    }

    #[test]
    fn logarithm_and_exponential_are_right_or_missing() {
        let x = [0.5, 2.0, 0.0, -1.0, 1e300, 710.0, f64::NAN, 1.0];
        let mut out = [0.0; 8];
        unary(UnaryOp::Log, &x, &mut out);
        assert!((out[0] + std::f64::consts::LN_2).abs() < 1e-15);
        assert!((out[1] - std::f64::consts::LN_2).abs() < 1e-15);
        assert!(out[2].is_nan() && out[3].is_nan() && out[6].is_nan());
        unary(UnaryOp::Exp, &x, &mut out);
        assert!(out[4].is_nan() && out[5].is_nan() && out[6].is_nan());
        assert!((out[7] - std::f64::consts::E).abs() < 1e-15);
    }
}
