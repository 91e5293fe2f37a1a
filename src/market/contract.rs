//! Contracts: tick and step grids, minimums, listing interval; margin brackets (semantics 2.10, 4.6, 1.7).

/// A decimal grid of prices or quantities: whole multiples of `size`.
///
/// `k` steps are `k / inverse` where `1/size` is a whole number, else `k · size`: both are the correctly rounded
/// decimal, so `3` ticks of `0.1` are `0.3` and not `0.30000000000000004`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepGrid {
    /// Step in price or quantity units.
    pub size: f64,
    /// `1/size` where that is a whole number, else 0.
    inverse: f64,
}

impl StepGrid {
    /// Grid of a positive, finite step.
    pub fn new(size: f64) -> Self {
        assert!(size.is_finite() && size > 0.0, "a grid step is positive and finite, not {size}");
        let inverse = (1.0 / size).round();
        let whole = inverse >= 1.0 && (inverse * size - 1.0).abs() <= 1e-12;
        Self { size, inverse: if whole { inverse } else { 0.0 } }
    }
    /// Value of `k` steps.
    #[inline]
    pub fn value(&self, steps: f64) -> f64 {
        if self.inverse > 0.0 { steps / self.inverse } else { steps * self.size }
    }
    #[inline]
    fn steps_raw(&self, value: f64) -> f64 {
        if self.inverse > 0.0 { value * self.inverse } else { value / self.size }
    }
    /// `value` in steps: a whole number when it is on the grid, that is within `max(1e-9, 8·2⁻⁵²·|k|)` of one
    /// (semantics 2.10), else the fraction. Comparing two of these compares prices "in whole ticks".
    #[inline]
    pub fn in_steps(&self, value: f64) -> f64 {
        let k = self.steps_raw(value);
        let whole = nearest_whole(k);
        let tolerance = (8.0 * f64::EPSILON * k.abs()).max(1e-9);
        if (k - whole).abs() <= tolerance { whole } else { k }
    }
    /// Steps of `value`, rounded down unless it is on the grid.
    #[inline]
    pub fn steps_floor(&self, value: f64) -> f64 {
        let k = self.in_steps(value);
        let whole = nearest_whole(k);
        // Which way a price lies is a coin toss to the branch predictor: add the comparison instead.
        whole - f64::from(u8::from(whole > k))
    }
    /// Steps of `value`, rounded up unless it is on the grid.
    #[inline]
    pub fn steps_ceil(&self, value: f64) -> f64 {
        let k = self.in_steps(value);
        let whole = nearest_whole(k);
        whole + f64::from(u8::from(whole < k))
    }
    /// Steps of `value`, toward zero unless it is on the grid.
    #[inline]
    pub fn steps_toward_zero(&self, value: f64) -> f64 {
        if value < 0.0 { self.steps_ceil(value) } else { self.steps_floor(value) }
    }
}

/// Nearest whole number. Adding and taking away 2⁵² rounds in one addition; `f64::round` is a library call where the
/// build's baseline has no rounding instruction, and this runs for every fill.
#[inline]
fn nearest_whole(k: f64) -> f64 {
    const WHOLE_FROM: f64 = 4_503_599_627_370_496.0;
    if k.abs() >= WHOLE_FROM {
        return k;
    }
    let shift = WHOLE_FROM.copysign(k);
    (k + shift) - shift
}

/// Trading rules of a symbol. `None` or 0 means "no such rule".
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// Price grid; none: prices are not rounded.
    pub tick: Option<StepGrid>,
    /// Quantity grid.
    pub step: StepGrid,
    /// Smallest order quantity.
    pub min_qty: f64,
    /// Largest limit-order quantity (`f64::INFINITY`: none).
    pub max_qty: f64,
    /// Largest market-order quantity (`MARKET_LOT_SIZE`; `f64::INFINITY`: none).
    pub market_max_qty: f64,
    /// Smallest notional of an opening order, USDT.
    pub min_notional_usdt: f64,
    /// Contract's own leverage limit, where given.
    pub max_leverage: Option<f64>,
    /// Liquidation clearance fee as a fraction, where given.
    pub liquidation_fee_frac: Option<f64>,
    /// Listing time, UTC epoch ms.
    pub listed_ms: Option<i64>,
    /// Delisting (settlement) time, UTC epoch ms; none while trading.
    pub delisted_ms: Option<i64>,
}

impl Default for Contract {
    /// What `contract.md` 2 gives a symbol without a contract file: no tick, step 1e-8, no minimums or maximums.
    fn default() -> Self {
        Self {
            tick: None,
            step: StepGrid::new(1e-8),
            min_qty: 0.0,
            max_qty: f64::INFINITY,
            market_max_qty: f64::INFINITY,
            min_notional_usdt: 0.0,
            max_leverage: None,
            liquidation_fee_frac: None,
            listed_ms: None,
            delisted_ms: None,
        }
    }
}

/// One maintenance-margin bracket: notional in `(floor, cap]`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Bracket {
    /// Lower notional bound, USDT, exclusive.
    pub floor_usdt: f64,
    /// Upper notional bound, USDT, inclusive.
    pub cap_usdt: f64,
    /// Maintenance rate `m_k`.
    pub maintenance_frac: f64,
    /// Published `cum_k`, USDT.
    pub cum_usdt: f64,
    /// Largest leverage in this bracket.
    pub initial_leverage: f64,
}

/// Brackets that hold from a time on.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BracketTable {
    /// In force from here (UTC epoch ms; `None`: always).
    pub valid_from_ms: Option<i64>,
    /// Brackets by ascending floor.
    pub brackets: Vec<Bracket>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_tenths_are_three_ticks() {
        let grid = StepGrid::new(0.1);
        assert_eq!(grid.steps_floor(0.3), 3.0);
        assert_eq!(grid.steps_ceil(0.300_000_000_000_000_04), 3.0);
        assert_eq!(grid.value(3.0), 0.3);
        assert_eq!(StepGrid::new(5.0).value(3.0), 15.0);
        assert_eq!(StepGrid::new(0.05).value(7.0), 0.35);
    }

    #[test]
    fn rounding_has_a_side_and_is_idempotent() {
        for (size, raw) in [(0.1, 100.07), (0.01, 5.554_9), (1e-7, 1.234e-5), (5.0, 17.0), (0.003, 1.0)] {
            let grid = StepGrid::new(size);
            let (down, up) = (grid.value(grid.steps_floor(raw)), grid.value(grid.steps_ceil(raw)));
            assert!(
                down <= raw * (1.0 + 1e-12) && raw <= up * (1.0 + 1e-12) && up - down <= size * (1.0 + 1e-9)
            );
            assert_eq!(grid.steps_floor(down), grid.steps_ceil(down), "a value on the grid stays");
            assert_eq!(grid.steps_toward_zero(-raw), -grid.steps_floor(raw));
        }
        assert_eq!(nearest_whole(-2.5), -2.0);
        assert_eq!(nearest_whole(1e300), 1e300);
        assert!(nearest_whole(f64::NAN).is_nan());
    }
}
