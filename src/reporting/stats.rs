//! Statistics of return series and equity curves (semantics 9.1–9.5): pure functions, `None` where undefined.
//!
//! Sums run in index order and powers come from `libm`, so a value depends on its inputs alone. They know nothing of
//! days, bars or accounts: the caller picks the series and its periods per year.

use super::sum::compensated;

/// Milliseconds of a UTC day.
pub const DAY_MS: i64 = 86_400_000;
/// Periods per year of daily returns, and days of a year.
pub const DAYS_PER_YEAR: f64 = 365.0;

/// Simple returns of an equity curve: `r_k = E_k / E_{k−1} − 1`.
pub fn simple_returns(equity: &[f64]) -> Vec<f64> {
    equity.windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect()
}

/// Arithmetic mean; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| compensated(values.iter().copied()) / values.len() as f64)
}

fn central_moment(values: &[f64], mean: f64, power: u32) -> f64 {
    let terms = values.iter().map(|x| {
        let d = x - mean;
        match power {
            2 => d * d,
            3 => d * d * d,
            _ => (d * d) * (d * d),
        }
    });
    compensated(terms) / values.len() as f64
}

/// Sample standard deviation (divisor `n − 1`), two passes; `None` for fewer than two values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let n = values.len() as f64;
    Some((central_moment(values, mean(values)?, 2) * n / (n - 1.0)).sqrt())
}

/// Whether a deviation is rounding noise: `s ≤ 1e-12·max(1e-12, max|r|)` (semantics 9.5).
pub fn is_zero_variance(deviation: f64, max_abs: f64) -> bool {
    deviation <= 1e-12 * max_abs.max(1e-12)
}

fn max_abs(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, x| x.abs().max(most))
}

/// Deviation where it is not zero.
fn real_deviation(values: &[f64]) -> Option<f64> {
    standard_deviation(values).filter(|&s| !is_zero_variance(s, max_abs(values)))
}

/// Annualised volatility: `s·√ppy`.
pub fn volatility(returns: &[f64], periods_per_year: f64) -> Option<f64> {
    Some(standard_deviation(returns)? * periods_per_year.sqrt())
}

/// Sharpe ratio of one period, not annualised: `(r̄ − rf)/s`; what PSR and DSR take.
pub fn sharpe_per_period(returns: &[f64], risk_free: f64) -> Option<f64> {
    Some((mean(returns)? - risk_free) / real_deviation(returns)?)
}

/// Annualised Sharpe ratio: `(r̄ − rf)/s·√ppy`, `rf` per period.
pub fn sharpe(returns: &[f64], risk_free: f64, periods_per_year: f64) -> Option<f64> {
    Some(sharpe_per_period(returns, risk_free)? * periods_per_year.sqrt())
}

/// Annualised Sortino ratio: `(r̄ − mar)/√(mean(min(0, r − mar)²))·√ppy` over all `n`; `None` without a downside.
pub fn sortino(returns: &[f64], minimum_acceptable: f64, periods_per_year: f64) -> Option<f64> {
    real_deviation(returns)?;
    let squares = returns.iter().map(|r| {
        let short = (r - minimum_acceptable).min(0.0);
        short * short
    });
    let downside = (compensated(squares) / returns.len() as f64).sqrt();
    (downside > 0.0).then_some((mean(returns)? - minimum_acceptable) / downside * periods_per_year.sqrt())
}

/// Compound annual growth: `(E_T/E_0)^{1/years} − 1`; `None` below one day, −1 when nothing is left.
pub fn cagr(first: f64, last: f64, years: f64) -> Option<f64> {
    if last <= 0.0 {
        return Some(-1.0);
    }
    if years * DAYS_PER_YEAR < 1.0 {
        return None;
    }
    Some(libm::pow(last / first, 1.0 / years) - 1.0).filter(|growth| growth.is_finite())
}

/// Calmar ratio: `CAGR/|maxDD|`; `None` without a drawdown.
pub fn calmar(cagr: f64, max_drawdown: f64) -> Option<f64> {
    (max_drawdown < 0.0).then_some(cagr / -max_drawdown)
}

/// Drawdown of every point: `E/peak − 1`, the first point being the first peak; −1 from the first `E ≤ 0` on.
pub fn drawdowns(equity: &[f64]) -> Vec<f64> {
    let (mut peak, mut ruined) = (f64::NEG_INFINITY, false);
    let step = |&e: &f64| {
        ruined |= e <= 0.0;
        peak = peak.max(e);
        if ruined { -1.0 } else { e / peak - 1.0 }
    };
    equity.iter().map(step).collect()
}

/// Largest drawdown, as a negative fraction (0: never under water).
pub fn max_drawdown(equity: &[f64]) -> Option<f64> {
    (!equity.is_empty()).then(|| drawdowns(equity).into_iter().fold(0.0, f64::min))
}

/// The longest stay below a peak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Underwater {
    /// Consecutive points below the peak.
    pub points: usize,
    /// Periods from the peak to the point that reaches it again, or to the end.
    pub periods: usize,
}

/// Longest stay under water; one that is open at the end counts.
pub fn longest_underwater(equity: &[f64]) -> Underwater {
    let mut longest = Underwater::default();
    let (mut peak, mut peak_at) = (f64::NEG_INFINITY, 0);
    for (i, &e) in equity.iter().enumerate() {
        if e < peak {
            longest.points = longest.points.max(i - peak_at);
            longest.periods = longest.periods.max(i - peak_at);
        } else {
            if i - peak_at > 1 {
                longest.periods = longest.periods.max(i - peak_at);
            }
            (peak, peak_at) = (e, i);
        }
    }
    longest
}

/// Ulcer index in percent: `√mean((100·dd)²)`, divisor = number of points. Source: Martin 1987.
pub fn ulcer_index(equity: &[f64]) -> Option<f64> {
    let squares: Vec<f64> = drawdowns(equity).into_iter().map(|dd| (100.0 * dd) * (100.0 * dd)).collect();
    mean(&squares).map(f64::sqrt)
}

/// A copy in ascending order, for the quantile functions.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// Type-7 quantile of ascending values: linear between the order statistics around `(n − 1)·p`.
///
/// Source: Hyndman & Fan 1996; the default of NumPy and R.
pub fn quantile(ascending: &[f64], p: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let at = last as f64 * p.clamp(0.0, 1.0);
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    Some(ascending[below] + (at - below as f64) * (ascending[above] - ascending[below]))
}

/// Value at risk as a positive loss: minus the type-7 `alpha` quantile.
pub fn value_at_risk(ascending: &[f64], alpha: f64) -> Option<f64> {
    quantile(ascending, alpha).map(|q| -q)
}

/// Expected shortfall as a positive loss, with a fractional tail (semantics 5.2):
/// `[Σ_{k≤m} ℓ_(k) + (αn − m)·ℓ_(m+1)]/(αn)`, `m = ⌊αn⌋`; the worst loss when `αn < 1`.
///
/// Source: Acerbi & Tasche 2002.
pub fn expected_shortfall(ascending: &[f64], alpha: f64) -> Option<f64> {
    let worst = -*ascending.first()?;
    let tail = alpha * ascending.len() as f64;
    if tail < 1.0 {
        return Some(worst);
    }
    let whole = (tail.floor() as usize).min(ascending.len());
    let rest = ascending.get(whole).map_or(0.0, |r| (tail - whole as f64) * -r);
    Some((compensated(ascending[..whole].iter().map(|r| -r)) + rest) / tail)
}

/// Skewness `g1 = m3/m2^{3/2}` (population moments).
pub fn skewness(values: &[f64]) -> Option<f64> {
    real_deviation(values)?;
    let mean = mean(values)?;
    let m2 = central_moment(values, mean, 2);
    Some(central_moment(values, mean, 3) / (m2 * m2.sqrt()))
}

/// Raw kurtosis `g2 = m4/m2²` (population moments; 3 for a normal).
pub fn kurtosis(values: &[f64]) -> Option<f64> {
    real_deviation(values)?;
    let mean = mean(values)?;
    let m2 = central_moment(values, mean, 2);
    Some(central_moment(values, mean, 4) / (m2 * m2))
}

/// Tail ratio `|q95|/|q05|`; `None` when the lower quantile is 0.
pub fn tail_ratio(ascending: &[f64]) -> Option<f64> {
    let (low, high) = (quantile(ascending, 0.05)?.abs(), quantile(ascending, 0.95)?.abs());
    (low > 0.0).then_some(high / low)
}

/// Omega ratio `Σ(r − θ)⁺/Σ(θ − r)⁺`; `None` without a downside. Source: Keating & Shadwick 2002.
pub fn omega(returns: &[f64], threshold: f64) -> Option<f64> {
    let gains = compensated(returns.iter().map(|r| (r - threshold).max(0.0)));
    let losses = compensated(returns.iter().map(|r| (threshold - r).max(0.0)));
    (losses > 0.0).then_some(gains / losses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underwater_counts_from_the_peak_to_its_recovery() {
        assert_eq!(longest_underwater(&[1.0, 1.0, 1.0]), Underwater { points: 0, periods: 0 });
        assert_eq!(longest_underwater(&[1.0, 0.9, 0.8, 1.0]), Underwater { points: 2, periods: 3 });
        assert_eq!(longest_underwater(&[1.0, 2.0, 1.5, 1.5]), Underwater { points: 2, periods: 2 });
        assert_eq!(longest_underwater(&[]), Underwater::default());
    }

    #[test]
    fn quantile_is_type_7() {
        let values = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(quantile(&values, 0.5), Some(2.5));
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&values, 1.0), Some(4.0));
        assert_eq!(quantile(&values, 0.1), Some(1.3));
        assert_eq!(quantile(&[7.0], 0.3), Some(7.0));
        assert_eq!(quantile(&[], 0.3), None);
    }

    #[test]
    fn shortfall_takes_a_fraction_of_the_next_loss() {
        let ascending = [-4.0, -3.0, -2.0, -1.0];
        assert_eq!(expected_shortfall(&ascending, 0.25), Some(4.0));
        assert_eq!(expected_shortfall(&ascending, 0.375), Some((4.0 + 0.5 * 3.0) / 1.5));
        assert_eq!(expected_shortfall(&ascending, 0.1), Some(4.0));
        assert_eq!(expected_shortfall(&ascending, 1.0), Some(2.5));
    }

    #[test]
    fn undefined_is_none_and_never_zero_or_infinite() {
        let constant = [0.01; 30];
        assert_eq!(sharpe(&constant, 0.0, 365.0), None);
        assert_eq!(sortino(&constant, 0.0, 365.0), None);
        assert_eq!(skewness(&constant), None);
        assert_eq!(kurtosis(&constant), None);
        assert_eq!(omega(&constant, 0.0), None);
        assert_eq!(sortino(&[0.01, 0.02], 0.0, 365.0), None);
        assert_eq!(calmar(0.1, 0.0), None);
        assert_eq!(tail_ratio(&[0.0, 0.0]), None);
        assert_eq!(cagr(100.0, 110.0, 0.001), None);
        assert_eq!(cagr(100.0, 0.0, 0.001), Some(-1.0));
        assert_eq!(cagr(1.0, 1e300, 1.0 / 365.0), None);
    }
}
