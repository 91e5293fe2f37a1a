//! Tables `[margin]`, `[sizing]`, `[risk]` and `[liquidity_regimes]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choices::{
    Allocation, BetaExcess, EsHorizonMode, EsMethod, HaltAction, LiqCheck, LiqMode, MarginMode,
    OnMarginShort, ProfileSpec, SizingMethod, TrimOrder,
};
use crate::config::plan::{Regime, Seasonality, SizingEquity};

/// `[margin]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MarginSpec {
    /// What stands behind a position: the whole wallet, or a margin of its own (docs/decisions/0008).
    #[schemars(extend("x-semantics" = "4.1"))]
    pub mode: MarginMode,
    /// Leverage of a symbol = min(this, what the bracket of its notional allows).
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1000.0, "x-unit" = "factor", "x-semantics" = "4.5"))]
    pub max_leverage: f64,
    /// Liquidate at maintenance margin.
    #[schemars(extend("x-semantics" = "4.7"))]
    pub liquidation: bool,
    /// When liquidation is checked.
    #[schemars(extend("x-semantics" = "4.7"))]
    pub liq_check: LiqCheck,
    /// What a liquidation closes under `cross`; an isolated position is liquidated alone and whole.
    #[schemars(extend("x-semantics" = "4.7"))]
    pub liq_mode: LiqMode,
    /// Clearance fee where the contract has none.
    #[schemars(extend("minimum" = 0.0, "maximum" = 1.0, "x-unit" = "fraction", "x-semantics" = "3.2"))]
    pub liq_fee_rate: f64,
    /// Block and trim on a high margin ratio.
    #[schemars(extend("x-semantics" = "4.8"))]
    pub guard: bool,
    /// Margin ratio above which nothing opens; of an isolated position: nothing of its symbol.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0, "x-unit" = "fraction", "x-semantics" = "4.8"))]
    pub mr_warn: f64,
    /// Margin ratio above which positions are trimmed.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0, "x-unit" = "fraction", "x-semantics" = "4.8"))]
    pub mr_trim: f64,
    /// Margin ratio that trimming aims at.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0, "x-unit" = "fraction", "x-semantics" = "4.8"))]
    pub mr_target: f64,
    /// What is trimmed first under `cross`; an isolated position is trimmed by its own ratio.
    #[schemars(extend("x-semantics" = "4.8"))]
    pub trim_order: TrimOrder,
    /// An opening that the margin does not cover.
    #[schemars(extend("x-semantics" = "4.5"))]
    pub on_margin_short: OnMarginShort,
}

impl Default for MarginSpec {
    fn default() -> Self {
        Self {
            mode: MarginMode::Cross,
            max_leverage: 10.0,
            liquidation: true,
            liq_check: LiqCheck::OpenIntrabarClose,
            liq_mode: LiqMode::LargestMm,
            liq_fee_rate: 0.0125,
            guard: true,
            mr_warn: 0.8,
            mr_trim: 0.9,
            mr_target: 0.5,
            trim_order: TrimOrder::ProRata,
            on_margin_short: OnMarginShort::Scale,
        }
    }
}

/// `[sizing]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SizingSpec {
    /// How an opening order gets its quantity.
    #[schemars(extend("x-semantics" = "5.8", "x-accepted-now" = ["fixed_notional", "fixed_fraction"], "x-not-yet" = "the other methods are"))]
    pub method: SizingMethod,
    /// For `fixed_notional`: notional at the decision's close.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1e15, "x-unit" = "USDT", "x-semantics" = "5.8"))]
    pub notional: f64,
    /// For `fixed_fraction`: share of the sizing equity.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1000.0, "x-unit" = "fraction", "x-semantics" = "5.8"))]
    pub fraction: f64,
    /// For `fixed_risk`: share of the sizing equity lost at the stop.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0, "x-unit" = "fraction", "x-semantics" = "5.8"))]
    pub risk_per_trade: f64,
    /// For `vol_target`: annualised volatility.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 100.0, "x-unit" = "fraction", "x-semantics" = "5.8"))]
    pub vol_target: f64,
    /// Floor of a symbol's annualised volatility.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 100.0, "x-unit" = "fraction", "x-semantics" = "5.8"))]
    pub min_vol: f64,
    /// Nearest stop that `fixed_risk` sizes.
    #[schemars(extend("minimum" = 0, "x-unit" = "ticks", "x-semantics" = "5.8"))]
    pub min_stop_ticks: u32,
    /// Equity that sizing refers to.
    #[schemars(extend("x-semantics" = "5.8"))]
    pub sizing_equity: SizingEquity,
}

impl Default for SizingSpec {
    fn default() -> Self {
        Self {
            method: SizingMethod::FixedFraction,
            notional: 10_000.0,
            fraction: 0.1,
            risk_per_trade: 0.005,
            vol_target: 0.2,
            min_vol: 0.05,
            min_stop_ticks: 1,
            sizing_equity: SizingEquity::Equity,
        }
    }
}

/// `[risk]`; a cap or limit of 0 is off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RiskSpec {
    /// Shrink openings to the expected-shortfall cap.
    #[schemars(extend("x-semantics" = "5.4", "x-accepted-now" = [false], "x-not-yet" = "the expected-shortfall guard is"))]
    pub es_guard: bool,
    /// Cap of the book's expected shortfall, share of equity.
    #[schemars(extend("exclusiveMinimum" = 0.0, "x-unit" = "fraction", "x-semantics" = "5.4"))]
    pub es_cap_of_equity: f64,
    /// Tail probability.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 1.0, "x-unit" = "fraction", "x-semantics" = "5.2"))]
    pub es_alpha: f64,
    /// Bars of history.
    #[schemars(extend("minimum" = 2, "x-unit" = "bars", "x-semantics" = "5.2"))]
    pub es_window_bars: u32,
    /// Horizon of the shortfall.
    #[schemars(extend("minimum" = 1, "x-unit" = "bars", "x-semantics" = "5.2"))]
    pub es_horizon_bars: u32,
    /// From one bar to the horizon.
    #[schemars(extend("x-semantics" = "5.2"))]
    pub es_horizon_mode: EsHorizonMode,
    /// How the shortfall is estimated.
    #[schemars(extend("x-semantics" = "5.3"))]
    pub es_method: EsMethod,
    /// Keep the book's beta under its cap.
    #[schemars(extend("x-semantics" = "5.6", "x-accepted-now" = [false], "x-not-yet" = "the beta guard is"))]
    pub beta_guard: bool,
    /// Largest absolute beta of the book.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "factor", "x-semantics" = "5.6"))]
    pub beta_cap: f64,
    /// Bars of history of a beta.
    #[schemars(extend("minimum" = 2, "x-unit" = "bars", "x-semantics" = "5.6"))]
    pub beta_window_bars: u32,
    /// A book over the cap.
    #[schemars(extend("x-semantics" = "5.6"))]
    pub beta_excess: BetaExcess,
    /// Loss of the day from which only neutral openings pass; 0: off.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "fraction", "x-semantics" = "5.7", "x-accepted-now" = [0.0], "x-not-yet" = "the daily loss limit is"))]
    pub daily_soft: f64,
    /// Loss of the day that halts; 0: off.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "fraction", "x-semantics" = "5.7", "x-accepted-now" = [0.0], "x-not-yet" = "the daily loss limit is"))]
    pub daily_hard: f64,
    /// Drawdown that ends trading for good; 0: off.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "fraction", "x-semantics" = "5.7", "x-accepted-now" = [0.0], "x-not-yet" = "the kill switch is"))]
    pub kill_drawdown: f64,
    /// Largest notional of a symbol, share of equity; 0: off.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "fraction", "x-semantics" = "5.5", "x-accepted-now" = [0.0], "x-not-yet" = "the weight cap is"))]
    pub max_weight: f64,
    /// Largest gross exposure, share of equity; 0: off.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "fraction", "x-semantics" = "5.5", "x-accepted-now" = [0.0], "x-not-yet" = "the gross cap is"))]
    pub max_gross: f64,
    /// Largest net exposure, share of equity; 0: off.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "fraction", "x-semantics" = "5.5", "x-accepted-now" = [0.0], "x-not-yet" = "the net cap is"))]
    pub max_net: f64,
    /// Most symbols held at once; 0: off.
    #[schemars(extend("minimum" = 0, "x-unit" = "symbols", "x-semantics" = "5.5", "x-accepted-now" = [0], "x-not-yet" = "the position cap is"))]
    pub max_positions: u32,
    /// Largest notional of a symbol's position; 0: off. The last bracket's cap holds besides.
    #[schemars(extend("minimum" = 0.0, "maximum" = 1e15, "x-unit" = "USDT", "x-semantics" = "2.10"))]
    pub max_position_notional: f64,
    /// What a halt does to positions.
    #[schemars(extend("x-semantics" = "5.7"))]
    pub halt_action: HaltAction,
    /// Bars by which a daily state is extended.
    #[schemars(extend("minimum" = 0, "x-unit" = "bars", "x-semantics" = "5.7"))]
    pub cooldown_bars: u32,
    /// Simultaneous openings that do not all fit.
    #[schemars(extend("x-semantics" = "5.1"))]
    pub allocation: Allocation,
}

impl Default for RiskSpec {
    fn default() -> Self {
        Self {
            es_guard: false,
            es_cap_of_equity: 0.05,
            es_alpha: 0.025,
            es_window_bars: 2880,
            es_horizon_bars: 96,
            es_horizon_mode: EsHorizonMode::Sqrt,
            es_method: EsMethod::Historical,
            beta_guard: false,
            beta_cap: 1.0,
            beta_window_bars: 2880,
            beta_excess: BetaExcess::Trim,
            daily_soft: 0.0,
            daily_hard: 0.0,
            kill_drawdown: 0.0,
            max_weight: 0.0,
            max_gross: 0.0,
            max_net: 0.0,
            max_positions: 0,
            max_position_notional: 0.0,
            halt_action: HaltAction::Hold,
            cooldown_bars: 0,
            allocation: Allocation::Scale,
        }
    }
}

/// `[liquidity_regimes]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LiquidityRegimesSpec {
    /// Derive a regime per bar.
    #[schemars(extend("x-semantics" = "7"))]
    pub enabled: bool,
    /// Slots of the baseline; `none`: the median of the last week of bars.
    #[schemars(extend("x-semantics" = "7.1"))]
    pub seasonality: Seasonality,
    /// What a slot makes of its observations.
    #[schemars(extend("x-semantics" = "7.1"))]
    pub profile: ProfileSpec,
    /// Observations that the median takes; 0: 8 for time_of_week, 28 for time_of_day.
    #[schemars(extend("minimum" = 0, "maximum" = 366, "x-unit" = "observations", "x-semantics" = "7.1"))]
    pub profile_obs: u32,
    /// Share of the way that `ewma` moves to each observation.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0, "x-unit" = "fraction", "x-semantics" = "7.1"))]
    pub profile_eta: f64,
    /// Observations a slot needs; with fewer, the median of the last week of bars.
    #[schemars(extend("minimum" = 1, "maximum" = 366, "x-unit" = "observations", "x-semantics" = "7.1"))]
    pub min_obs: u32,
    /// Bars of the last week that this needs; 0: all of them (672 of 15 minutes).
    #[schemars(extend("minimum" = 0, "x-unit" = "bars", "x-semantics" = "7.1"))]
    pub fallback_min_bars: u32,
    /// Regime of a bar that has no baseline.
    #[schemars(extend("x-semantics" = "7.1"))]
    pub regime_without_baseline: Regime,
    /// Activity ratio under which a bar is VACUUM.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "fraction", "x-semantics" = "7.2"))]
    pub vacuum_below: f64,
    /// Activity ratio under which a bar is THIN.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "fraction", "x-semantics" = "7.2"))]
    pub thin_below: f64,
    /// Bars that the ratio averages.
    #[schemars(extend("minimum" = 1, "maximum" = 10_000, "x-unit" = "bars", "x-semantics" = "7.2"))]
    pub smooth_bars: u32,
    /// Factor on a threshold that the ratio must reach to rise above it again; 1: off.
    #[schemars(extend("minimum" = 1.0, "maximum" = 10.0, "x-unit" = "factor", "x-semantics" = "7.2"))]
    pub hysteresis: f64,
    /// No entry after a VACUUM bar.
    #[schemars(extend("x-semantics" = "7.3"))]
    pub vacuum_blocks_entries: bool,
    /// Factor on sizes after a THIN bar.
    #[schemars(extend("minimum" = 0.0, "maximum" = 1.0, "x-unit" = "factor", "x-semantics" = "7.3"))]
    pub thin_size_mult: f64,
}

impl Default for LiquidityRegimesSpec {
    fn default() -> Self {
        Self {
            enabled: true,
            seasonality: Seasonality::TimeOfWeek,
            profile: ProfileSpec::Median,
            profile_obs: 0,
            profile_eta: 0.2,
            min_obs: 3,
            fallback_min_bars: 0,
            regime_without_baseline: Regime::Thin,
            vacuum_below: 0.25,
            thin_below: 0.6,
            smooth_bars: 1,
            hysteresis: 1.0,
            vacuum_blocks_entries: true,
            thin_size_mult: 0.5,
        }
    }
}
