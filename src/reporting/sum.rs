//! A compensated sum, for money that is added up over millions of events.

/// Neumaier's compensated sum. The result depends on the terms and their order alone.
///
/// Source: Neumaier 1974, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen".
///
/// ```
/// let mut sum = barloom::reporting::sum::CompensatedSum::default();
/// for term in [1.0, 1e100, 1.0, -1e100] {
///     sum.add(term);
/// }
/// assert_eq!(sum.value(), 2.0);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CompensatedSum {
    sum: f64,
    lost: f64,
}

impl CompensatedSum {
    /// Starts at a value.
    pub fn new(start: f64) -> Self {
        Self { sum: start, lost: 0.0 }
    }
    /// Adds one term.
    #[inline]
    pub fn add(&mut self, term: f64) {
        let total = self.sum + term;
        self.lost +=
            if self.sum.abs() >= term.abs() { (self.sum - total) + term } else { (term - total) + self.sum };
        self.sum = total;
    }
    /// The sum so far.
    #[inline]
    pub fn value(&self) -> f64 {
        self.sum + self.lost
    }
}

/// Compensated sum of an iterator, in its order.
pub fn compensated(terms: impl IntoIterator<Item = f64>) -> f64 {
    let mut sum = CompensatedSum::default();
    for term in terms {
        sum.add(term);
    }
    sum.value()
}
