//! The list of metrics: names, units and directions in one place, and their values for one account.
//!
//! Names and their order are public API (contract 5). How a value is computed is in [`super::trial`] and
//! [`super::stats`].

/// What a metric's number is, for whoever prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricUnit {
    /// A fraction: 0.05 is five percent.
    Fraction,
    /// A number in percent already.
    Percent,
    /// A plain ratio.
    Ratio,
    /// A whole number.
    Count,
    /// USDT.
    Usdt,
    /// Days.
    Days,
    /// Bars.
    Bars,
}

/// Which way is better, for rankings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Larger values rank first.
    Higher,
    /// Smaller values rank first.
    Lower,
}

macro_rules! metrics {
    ($($variant:ident $name:literal $unit:ident $better:ident $doc:literal;)+) => {
        /// Every metric, in the order of the files.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Metric {
            $(#[doc = $doc] $variant,)+
        }
        /// Names of the metrics, in order; index = `Metric as usize`.
        pub const METRIC_NAMES: &[&str] = &[$($name),+];
        const ALL: &[Metric] = &[$(Metric::$variant),+];

        impl Metric {
            /// Unit of the value.
            pub fn unit(self) -> MetricUnit {
                match self { $(Self::$variant => MetricUnit::$unit,)+ }
            }
            /// Direction of rankings.
            pub fn better(self) -> Better {
                match self { $(Self::$variant => Better::$better,)+ }
            }
        }
    };
}

metrics! {
    TotalReturn "total_return" Fraction Higher "`E_T/E_0 − 1`; −1 after ruin.";
    Cagr "cagr" Fraction Higher "Compound annual growth; null below one day.";
    Volatility "volatility" Fraction Lower "Annualised deviation of daily returns.";
    Sharpe "sharpe" Ratio Higher "Annualised Sharpe ratio of daily returns.";
    Sortino "sortino" Ratio Higher "Annualised Sortino ratio of daily returns.";
    Calmar "calmar" Ratio Higher "CAGR over the largest drawdown.";
    MaxDrawdown "max_drawdown" Fraction Higher "Largest drawdown of bar equity, negative.";
    MaxDrawdownDurationDays "max_drawdown_duration_days" Days Lower "Longest time from a peak to its recovery.";
    ValueAtRisk "value_at_risk" Fraction Lower "5 % value at risk of daily returns, a positive loss.";
    ExpectedShortfall "expected_shortfall" Fraction Lower "5 % expected shortfall of daily returns.";
    Skew "skew" Ratio Higher "Skewness of daily returns.";
    Kurtosis "kurtosis" Ratio Lower "Raw kurtosis of daily returns.";
    TailRatio "tail_ratio" Ratio Higher "95 % over 5 % quantile of daily returns, absolute.";
    Omega "omega" Ratio Higher "Omega ratio of daily returns at 0.";
    UlcerIndex "ulcer_index" Percent Lower "Root mean square drawdown of bar equity, percent.";
    Psr "psr" Fraction Higher "Probability that the true Sharpe ratio is above 0.";
    Trades "trades" Count Higher "Closed position episodes.";
    WinRate "win_rate" Fraction Higher "Winning share of closed episodes.";
    ProfitFactor "profit_factor" Ratio Higher "Gross profit over gross loss.";
    Expectancy "expectancy" Usdt Higher "Mean net PnL of an episode.";
    AvgWin "avg_win" Usdt Higher "Mean net PnL of winners.";
    AvgLoss "avg_loss" Usdt Higher "Mean net PnL of losers, negative.";
    PayoffRatio "payoff_ratio" Ratio Higher "Average win over average loss.";
    AvgBarsHeld "avg_bars_held" Bars Lower "Mean bars from entry to exit.";
    ExposureTime "exposure_time" Fraction Lower "Share of bars with any position.";
    Turnover "turnover" Ratio Lower "Fill notional over mean equity, per year, both sides.";
    GrossExposureMean "gross_exposure_mean" Ratio Lower "Mean of Σ|notional| over equity.";
    TotalFees "total_fees" Usdt Lower "Maker and taker fees.";
    TotalFunding "total_funding" Usdt Higher "Funding, signed change of the wallet.";
    TotalSlippageCost "total_slippage_cost" Usdt Lower "Σ|price − base price|·quantity.";
    TotalLiquidationFees "total_liquidation_fees" Usdt Lower "Liquidation clearance fees, apart from `total_fees`.";
    Fills "fills" Count Higher "Fills.";
    FinalEquity "final_equity" Usdt Higher "Equity at the last mark; 0 after ruin.";
    Wins "wins" Count Higher "Episodes with a net profit.";
    Losses "losses" Count Lower "Episodes with a net loss.";
    GrossProfit "gross_profit" Usdt Higher "Sum of the winners' net PnL.";
    GrossLoss "gross_loss" Usdt Higher "Sum of the losers' net PnL, negative.";
    TotalRealizedPnl "total_realized_pnl" Usdt Higher "Realised PnL before fees and funding.";
    TotalMakerFees "total_maker_fees" Usdt Lower "Maker fees.";
    TotalTakerFees "total_taker_fees" Usdt Lower "Taker fees.";
    NetExposureMean "net_exposure_mean" Ratio Higher "Mean of Σ notional (signed) over equity.";
    BestDay "best_day" Fraction Higher "Largest daily return.";
    WorstDay "worst_day" Fraction Higher "Smallest daily return.";
    MinTrackRecordDays "min_track_record_days" Days Lower "Days that make the Sharpe ratio significant at 95 %.";
    VolatilityBars "volatility_bars" Fraction Lower "Annualised deviation of bar returns.";
    SharpeBars "sharpe_bars" Ratio Higher "Annualised Sharpe ratio of bar returns.";
    SortinoBars "sortino_bars" Ratio Higher "Annualised Sortino ratio of bar returns.";
    Days "days" Count Higher "Daily returns behind the headline ratios.";
    Bars "bars" Count Higher "Bars until the end, or until ruin.";
    Liquidations "liquidations" Count Lower "Fills that a liquidation made.";
    TotalInsurance "total_insurance" Usdt Lower "What the insurance fund paid in.";
    TotalOvershootCost "total_overshoot_cost" Usdt Lower "Σ|base price − trigger|·quantity of stops and liquidations inside a bar; none where it opened beyond the trigger.";
    GrossPnl "gross_pnl" Usdt Higher "Profit at trigger prices, before every cost.";
    NetPnl "net_pnl" Usdt Higher "What is left of `gross_pnl` after all costs, funding and insurance.";
}

impl Metric {
    /// All metrics in order.
    pub fn all() -> &'static [Self] {
        ALL
    }
    /// Name in the files.
    pub fn name(self) -> &'static str {
        METRIC_NAMES[self as usize]
    }
    /// Metric of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        metric_index(name).map(|i| ALL[i])
    }
}

/// Position of a name in [`METRIC_NAMES`].
pub fn metric_index(name: &str) -> Option<usize> {
    METRIC_NAMES.iter().position(|n| *n == name)
}

/// The metrics of one account; a value that is not defined is absent.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// `NaN`: undefined.
    values: [f64; ALL.len()],
}

impl PartialEq for Metrics {
    /// Equal where defined, undefined in the same places.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { values: [f64::NAN; ALL.len()] }
    }
}

impl Metrics {
    /// Value of a metric, where defined.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        Some(self.values[metric as usize]).filter(|v| v.is_finite())
    }
    /// Value by position in [`METRIC_NAMES`].
    pub fn at(&self, index: usize) -> Option<f64> {
        self.values.get(index).copied().filter(|v| v.is_finite())
    }
    /// Sets a value. Negative zero becomes zero, so that files do not show `-0`.
    pub fn set(&mut self, metric: Metric, value: impl Into<Option<f64>>) {
        self.values[metric as usize] = value.into().map_or(f64::NAN, |v| v + 0.0);
    }
    /// Name and value of every metric, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> + '_ {
        ALL.iter().map(|&metric| (metric.name(), self.get(metric)))
    }
    /// The contents of `metrics.json`: every name, `null` where undefined, counts as whole numbers.
    pub fn to_json(&self) -> serde_json::Value {
        let member = |&metric: &Metric| {
            let value = match (self.get(metric), metric.unit()) {
                (None, _) => serde_json::Value::Null,
                (Some(count), MetricUnit::Count) => (count as u64).into(),
                (Some(value), _) => value.into(),
            };
            (metric.name().to_owned(), value)
        };
        serde_json::Value::Object(ALL.iter().map(member).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_find_their_metric() {
        for (i, name) in METRIC_NAMES.iter().enumerate() {
            assert_eq!(metric_index(name), Some(i));
            assert_eq!(Metric::from_name(name).map(Metric::name), Some(*name));
        }
        assert_eq!(metric_index("sharp"), None);
    }

    #[test]
    fn json_has_null_for_undefined_and_integers_for_counts() {
        let mut metrics = Metrics::default();
        metrics.set(Metric::Trades, 3.0);
        metrics.set(Metric::TotalReturn, -0.0);
        let json = metrics.to_json();
        assert_eq!(json["trades"].to_string(), "3");
        assert_eq!(json["total_return"].to_string(), "0.0");
        assert!(json["sharpe"].is_null());
        assert_eq!(json.as_object().map(|o| o.len()), Some(METRIC_NAMES.len()));
    }
}
