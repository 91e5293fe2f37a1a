//! A choice without a branch.

/// One of two numbers. Not a branch, as `if` would be for numbers: for conditions that no processor foresees.
#[inline(always)]
pub(crate) fn pick(first: bool, a: f64, b: f64) -> f64 {
    f64::from_bits(if first { a.to_bits() } else { b.to_bits() })
}
