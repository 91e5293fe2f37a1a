//! Exact decimals: tick and step grids without a floating-point division (semantics 2.10).
//!
//! Every f64 stands for the decimal a reader sees, i.e. its shortest text that reads back as the same number: `0.1`
//! is one tenth. Whole numbers in `i128` do the rest; a value that does not fit stops the test.

use std::cmp::Ordering;

/// `digits · 10^-scale`, exactly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// The decimal that is the shortest text of a finite f64.
    pub(crate) fn of(value: f64) -> Self {
        assert!(value.is_finite(), "{value} is no decimal");
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').expect("an exponent");
        let exponent: i32 = exponent.parse().expect("a whole exponent");
        let places = mantissa.split_once('.').map_or(0, |(_, places)| places.len() as i32);
        let digits: i128 = mantissa.replace('.', "").parse().expect("digits");
        let scale = places - exponent;
        if scale >= 0 {
            Self { digits, scale: scale as u32 }
        } else {
            Self { digits: digits * 10_i128.pow(scale.unsigned_abs()), scale: 0 }
        }
    }
    fn digits_at(self, scale: u32) -> i128 {
        let shift = 10_i128.checked_pow(scale - self.scale).expect("a decimal that fits");
        self.digits.checked_mul(shift).expect("a decimal that fits")
    }
    /// The nearest f64.
    pub(crate) fn to_f64(self) -> f64 {
        format!("{}e-{}", self.digits, self.scale).parse().expect("a number")
    }
    /// The exact product.
    pub(crate) fn times(self, other: Self) -> Self {
        let digits = self.digits.checked_mul(other.digits).expect("a decimal that fits");
        Self { digits, scale: self.scale + other.scale }
    }
    /// The exact sum.
    pub(crate) fn plus(self, other: Self) -> Self {
        let scale = self.scale.max(other.scale);
        Self { digits: self.digits_at(scale) + other.digits_at(scale), scale }
    }
    /// The exact comparison.
    pub(crate) fn compare(self, other: Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        self.digits_at(scale).cmp(&other.digits_at(scale))
    }
}

/// Whole multiples of a tick or a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    size: Decimal,
}

impl Grid {
    pub(crate) fn of(size: f64) -> Self {
        assert!(size > 0.0);
        Self { size: Decimal::of(size) }
    }
    /// The value of `k` steps: the f64 nearest to the exact decimal.
    pub(crate) fn value(&self, k: i128) -> f64 {
        Decimal { digits: k * self.size.digits, scale: self.size.scale }.to_f64()
    }
    /// 2.10: `k = p/tick`; the nearest whole `k` where `|k − round(k)| ≤ max(1e-9, 8·2⁻⁵²·|k|)`, else the two whole
    /// numbers around it.
    fn below_and_above(&self, value: f64) -> (i128, i128) {
        let value = Decimal::of(value);
        let scale = value.scale.max(self.size.scale);
        let (value, size) = (value.digits_at(scale), self.size.digits_at(scale));
        let (floor, rest) = (value.div_euclid(size), value.rem_euclid(size));
        let tolerance = f64::max(1e-9, 8.0 * 2.0_f64.powi(-52) * floor.abs() as f64);
        let is_near = |gap: i128| gap as f64 / size as f64 <= tolerance;
        if is_near(rest) {
            (floor, floor)
        } else if is_near(size - rest) {
            (floor + 1, floor + 1)
        } else {
            (floor, floor + 1)
        }
    }
    /// Steps of `value`, down unless it is on the grid.
    pub(crate) fn floor(&self, value: f64) -> i128 {
        self.below_and_above(value).0
    }
    /// Steps of `value`, up unless it is on the grid.
    pub(crate) fn ceil(&self, value: f64) -> i128 {
        self.below_and_above(value).1
    }
    /// Steps of `value`, toward zero unless it is on the grid.
    pub(crate) fn toward_zero(&self, value: f64) -> i128 {
        if value >= 0.0 { self.floor(value) } else { self.ceil(value) }
    }
}
