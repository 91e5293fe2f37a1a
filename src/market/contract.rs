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
    /// Steps per unit where that is a whole number, else 0.
    pub fn inverse(&self) -> f64 {
        self.inverse
    }
    /// Value of `k` steps.
    #[inline]
    pub fn value(&self, steps: f64) -> f64 {
        if self.inverse > 0.0 { steps / self.inverse } else { steps * self.size }
    }
    #[inline]
    fn steps_raw(&self, value: f64) -> f64 {
        if self.inverse > 0.0 { value * self.inverse } else { divided(value, self.size) }
    }
    /// `value` in steps: a whole number when it is on the grid, that is within `max(1e-9, 8·2⁻⁵²·|k|)` of one
    /// (semantics 2.10), else the fraction. Comparing two of these compares prices "in whole ticks".
    #[inline]
    pub fn in_steps(&self, value: f64) -> f64 {
        let (k, whole, on_grid) = self.nearest(value);
        if on_grid { whole } else { k }
    }
    /// `value` in steps, the nearest whole number of them, and whether it is on the grid.
    #[inline]
    fn nearest(&self, value: f64) -> (f64, f64, bool) {
        let k = self.steps_raw(value);
        let whole = nearest_whole(k);
        let tolerance = (8.0 * f64::EPSILON * k.abs()).max(1e-9);
        (k, whole, (k - whole).abs() <= tolerance)
    }
    /// Steps of `value`, rounded down unless it is on the grid.
    #[inline]
    pub fn steps_floor(&self, value: f64) -> f64 {
        let (k, whole, on_grid) = self.nearest(value);
        // Which way a price lies is a coin toss to the branch predictor: add the comparison instead.
        whole - f64::from(u8::from(!on_grid & (whole > k)))
    }
    /// Steps of `value`, rounded up unless it is on the grid.
    #[inline]
    pub fn steps_ceil(&self, value: f64) -> f64 {
        let (k, whole, on_grid) = self.nearest(value);
        whole + f64::from(u8::from(!on_grid & (whole < k)))
    }
    /// Steps of `value`, toward zero unless it is on the grid.
    #[inline]
    pub fn steps_toward_zero(&self, value: f64) -> f64 {
        if value < 0.0 { self.steps_ceil(value) } else { self.steps_floor(value) }
    }
}

/// Apart, so that the division of rare grids is not computed beside the product of the others.
#[cold]
#[inline(never)]
fn divided(value: f64, by: f64) -> f64 {
    value / by
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

impl BracketTable {
    /// Maintenance rate of a symbol without brackets (contract section 2).
    pub const FALLBACK_MAINTENANCE_FRAC: f64 = 0.025;

    /// The one bracket of a symbol that has none: 2.5 % maintenance whatever the notional, leverage `max_leverage`.
    pub fn fallback(max_leverage: f64) -> Self {
        let whole = Bracket {
            floor_usdt: 0.0,
            cap_usdt: f64::INFINITY,
            maintenance_frac: Self::FALLBACK_MAINTENANCE_FRAC,
            cum_usdt: 0.0,
            initial_leverage: max_leverage,
        };
        Self { valid_from_ms: None, brackets: vec![whole] }
    }

    /// The bracket of a notional: `(floor, cap]`, the first from 0 on, the last without end.
    pub fn bracket_of(&self, notional_usdt: f64) -> &Bracket {
        let index = self.brackets.partition_point(|bracket| bracket.cap_usdt < notional_usdt);
        &self.brackets[index.min(self.brackets.len() - 1)]
    }

    /// `MM = N·m_k − cum_k` of a notional, USDT.
    pub fn maintenance_usdt(&self, notional_usdt: f64) -> f64 {
        let bracket = self.bracket_of(notional_usdt);
        notional_usdt * bracket.maintenance_frac - bracket.cum_usdt
    }

    /// Notional beyond which nothing opens, USDT: the last bracket's cap.
    pub fn cap_usdt(&self) -> f64 {
        self.brackets.last().map_or(f64::INFINITY, |last| last.cap_usdt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published table of semantics 4.6 (EX-10).
    #[test]
    fn maintenance_is_continuous_at_the_edges_and_open_ended_at_the_top() {
        let rows = [
            (0.0, 50e3, 0.004, 0.0, 125.0),
            (50e3, 250e3, 0.005, 50.0, 100.0),
            (250e3, 1e6, 0.01, 1_300.0, 50.0),
            (1e6, 10e6, 0.025, 16_300.0, 20.0),
        ];
        let bracket = |(floor_usdt, cap_usdt, maintenance_frac, cum_usdt, initial_leverage)| Bracket {
            floor_usdt,
            cap_usdt,
            maintenance_frac,
            cum_usdt,
            initial_leverage,
        };
        let table = BracketTable { valid_from_ms: None, brackets: rows.map(bracket).to_vec() };
        for (notional, maintenance, leverage) in [
            (0.0, 0.0, 125.0),
            (50e3, 200.0, 125.0),
            (50_000.01, 200.000_05, 100.0),
            (1e6, 8_700.0, 50.0),
            (20e6, 483_700.0, 20.0),
        ] {
            let found = table.maintenance_usdt(notional);
            assert!((found - maintenance).abs() < 1e-9 * maintenance.max(1.0), "{notional}: {found}");
            assert_eq!(table.bracket_of(notional).initial_leverage, leverage, "{notional}");
        }
        assert_eq!(table.cap_usdt(), 10e6);
        let fallback = BracketTable::fallback(10.0);
        assert_eq!(fallback.maintenance_usdt(4e9), 1e8);
        assert_eq!((fallback.bracket_of(4e9).initial_leverage, fallback.cap_usdt()), (10.0, f64::INFINITY));
    }

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
