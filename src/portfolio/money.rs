//! A compensated sum for money.

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
