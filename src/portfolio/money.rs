//! A compensated sum for money.

use barloom_kernels::sum::add_compensated;

/// Neumaier's sum: the rounding error of every addition is kept beside the total (semantics 0.4).
///
/// ```
/// use barloom::portfolio::Money;
/// let mut wallet = Money::new(1e16);
/// for _ in 0..10 {
///     wallet.add(1.0);
/// }
/// wallet.add(-1e16);
/// assert_eq!(wallet.value(), 10.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Money {
    sum: f64,
    error: f64,
}

impl Money {
    /// A sum that starts at `value`.
    pub fn new(value: f64) -> Self {
        Self { sum: value, error: 0.0 }
    }
    /// Adds an amount.
    #[inline]
    pub fn add(&mut self, amount: f64) {
        // Knuth's two-sum: exact for any order of magnitudes, without a branch.
        let total = self.sum + amount;
        let part = total - self.sum;
        self.error += (self.sum - (total - part)) + (amount - part);
        self.sum = total;
    }
    /// The total.
    #[inline]
    pub fn value(&self) -> f64 {
        self.sum + self.error
    }
}

/// Sums kept side by side for amounts that come together: `N` of them per event, eight events at a time.
///
/// Each sum is eight compensated ones that the events take in turn, so that adding is a straight loop over all of them
/// and still gives the same bits however the events are cut into batches.
///
/// ```
/// use barloom::portfolio::MoneyColumns;
/// let mut fees_and_notional = MoneyColumns::<2>::default();
/// for _ in 0..10 {
///     fees_and_notional.add([0.1, 200.0]);
/// }
/// assert_eq!(fees_and_notional.value(0), 1.0);
/// assert_eq!(fees_and_notional.value(1), 2000.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MoneyColumns<const N: usize> {
    sums: [[f64; EVENTS]; N],
    errors: [[f64; EVENTS]; N],
    /// The last few events, not added yet.
    waiting: [[f64; EVENTS]; N],
    events_waiting: usize,
}

/// Events that are added at once.
const EVENTS: usize = 8;

impl<const N: usize> Default for MoneyColumns<N> {
    fn default() -> Self {
        let zero = [[0.0; EVENTS]; N];
        Self { sums: zero, errors: zero, waiting: zero, events_waiting: 0 }
    }
}

impl<const N: usize> MoneyColumns<N> {
    /// Adds the amounts of one event.
    #[inline]
    pub fn add(&mut self, amounts: [f64; N]) {
        let at = self.events_waiting % EVENTS;
        for (column, amount) in self.waiting.iter_mut().zip(amounts) {
            column[at] = amount;
        }
        self.events_waiting = at + 1;
        if self.events_waiting == EVENTS {
            self.add_waiting();
        }
    }
    fn add_waiting(&mut self) {
        self.events_waiting = 0;
        let (sums, errors) = (self.sums.as_flattened_mut(), self.errors.as_flattened_mut());
        add_compensated(sums, errors, self.waiting.as_flattened());
    }
    /// The total of a column.
    pub fn value(&self, column: usize) -> f64 {
        let mut total = Money::default();
        let parts = self.sums[column].iter().chain(&self.errors[column]);
        for &amount in parts.chain(&self.waiting[column][..self.events_waiting]) {
            total.add(amount);
        }
        total.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_give_the_sum_that_one_by_one_gives(
            events in proptest::collection::vec((-1e12..1e12f64, -1.0..1.0f64), 0..40),
        ) {
            let mut columns = MoneyColumns::<2>::default();
            let mut naive = [Money::default(); 2];
            for &(large, small) in &events {
                columns.add([large, small]);
                naive[0].add(large);
                naive[1].add(small);
            }
            for (column, naive) in naive.iter().enumerate() {
                let scale = events.iter().fold(1e-300, |sum: f64, event| sum + [event.0, event.1][column].abs());
                prop_assert!((columns.value(column) - naive.value()).abs() <= 1e-15 * scale);
            }
        }
    }
}
