//! Compensated sums of whole series.

use crate::portfolio::Money;

/// Compensated sum of an iterator, in its order.
///
/// ```
/// assert_eq!(barloom::reporting::sum::compensated([1.0, 1e100, 1.0, -1e100]), 2.0);
/// ```
pub fn compensated(terms: impl IntoIterator<Item = f64>) -> f64 {
    let mut sum = Money::default();
    for term in terms {
        sum.add(term);
    }
    sum.value()
}
