//! Tables `[execution]`, `[slippage_costs]` and `[funding]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choices::{
    CapAppliesTo, EntryBeyondStop, FundingBoundarySpec, TrailMode, TrailSource, TriggerSource,
};
use super::{FundingMissing, LimitRuleSpec};
use crate::config::plan::{BracketPolicy, EndOfRun, Sequencing, SlippageShape, TakeProfitKind, VolumeRef};

/// `[execution]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExecutionSpec {
    /// Order of events in a bar.
    #[schemars(extend("x-semantics" = "1.5"))]
    pub sequencing: Sequencing,
    /// Life of entries that come from rules and tables.
    #[schemars(extend("minimum" = 1, "x-unit" = "bars", "x-semantics" = "2.9"))]
    pub entry_ttl_bars: u32,
    /// Largest share of a bar's volume that entries take; 0: off.
    #[schemars(extend("minimum" = 0.0, "maximum" = 1.0, "x-unit" = "fraction", "x-semantics" = "2.9"))]
    pub participation_cap: f64,
    /// Orders under the participation cap.
    #[schemars(extend("x-semantics" = "2.9"))]
    pub cap_applies_to: CapAppliesTo,
    /// How far a stop fills from its trigger towards the bar's extreme.
    #[schemars(extend("minimum" = 0.0, "maximum" = 1.0, "x-unit" = "fraction", "x-semantics" = "2.4"))]
    pub stop_overshoot: f64,
    /// Stop loss and take profit both reachable in one bar.
    #[schemars(extend("x-semantics" = "2.6"))]
    pub bracket_policy: BracketPolicy,
    /// An entry that opens beyond its own stop loss.
    #[schemars(extend("x-semantics" = "2.12"))]
    pub entry_beyond_stop: EntryBeyondStop,
    /// When a trailing stop moves.
    #[schemars(extend("x-semantics" = "2.7"))]
    pub trail_mode: TrailMode,
    /// Price that a trailing stop follows.
    #[schemars(extend("x-semantics" = "2.7"))]
    pub trail_source: TrailSource,
    /// Price that triggers stops.
    #[schemars(extend("x-semantics" = "2.4", "x-accepted-now" = ["last"], "x-not-yet" = "the mark-price trigger is"))]
    pub trigger_source: TriggerSource,
    /// When a resting limit order fills: `through`, `touch` or `touch_prob:p`.
    #[schemars(with = "String", extend("pattern" = "^(through|touch|touch_prob:[0-9.eE+-]+)$", "x-semantics" = "2.5"))]
    pub limit_rule: LimitRuleSpec,
    /// Take profits as limit or market orders.
    #[schemars(extend("x-semantics" = "2.6"))]
    pub tp_kind: TakeProfitKind,
    /// Clamp fill prices into the bar's range.
    #[schemars(extend("x-semantics" = "2.2"))]
    pub clamp_to_bar: bool,
    /// Round fill prices to the tick, adversely.
    #[schemars(extend("x-semantics" = "2.10"))]
    pub round_to_tick: bool,
    /// Orders above the largest quantity of their type fill in slices of at most that, instead of being rejected; above
    /// 1000 times that they are.
    #[schemars(extend("x-semantics" = "2.10"))]
    pub split_large: bool,
    /// Cancel a waiting order once price moved this far from its reference; 0: off.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "fraction", "x-semantics" = "2.9"))]
    pub stale_move: f64,
    /// Positions still open at the end.
    #[schemars(extend("x-semantics" = "1.8"))]
    pub end_of_run: EndOfRun,
    /// Haircut of a series that ends without a known delisting.
    #[schemars(extend("minimum" = 0.0, "exclusiveMaximum" = 10000.0, "x-unit" = "bps", "x-semantics" = "1.7"))]
    pub delist_haircut_bps: f64,
    /// Missing bars in a row after which such a series is settled.
    #[schemars(extend("minimum" = 1, "x-unit" = "bars", "x-semantics" = "1.7"))]
    pub delist_after_missing_bars: u32,
}

impl Default for ExecutionSpec {
    fn default() -> Self {
        Self {
            sequencing: Sequencing::Phased,
            entry_ttl_bars: 1,
            participation_cap: 0.05,
            cap_applies_to: CapAppliesTo::Entries,
            stop_overshoot: 0.0,
            bracket_policy: BracketPolicy::Pessimistic,
            entry_beyond_stop: EntryBeyondStop::FillAndStop,
            trail_mode: TrailMode::NextBar,
            trail_source: TrailSource::Extreme,
            trigger_source: TriggerSource::Last,
            limit_rule: LimitRuleSpec::Through,
            tp_kind: TakeProfitKind::Limit,
            clamp_to_bar: false,
            round_to_tick: true,
            split_large: false,
            stale_move: 0.0,
            end_of_run: EndOfRun::Mark,
            delist_haircut_bps: 50.0,
            delist_after_missing_bars: 96,
        }
    }
}

/// `[slippage_costs]`: `clamp((a + b·f(participation))·regime, min, max)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlippageCostsSpec {
    /// Shape of slippage over participation.
    #[schemars(extend("x-semantics" = "2.8"))]
    pub shape: SlippageShape,
    /// Constant part.
    #[schemars(extend("minimum" = 0.0, "exclusiveMaximum" = 10000.0, "x-unit" = "bps", "x-semantics" = "2.8"))]
    pub a_bps: f64,
    /// Coefficient of participation; 0: no volume is read. With `vol_scaled` it stands until a volatility is known.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "bps", "x-semantics" = "2.8"))]
    pub b_bps: f64,
    /// Least slippage.
    #[schemars(extend("minimum" = 0.0, "exclusiveMaximum" = 10000.0, "x-unit" = "bps", "x-semantics" = "2.8"))]
    pub min_bps: f64,
    /// Most slippage.
    #[schemars(extend("minimum" = 0.0, "exclusiveMaximum" = 10000.0, "x-unit" = "bps", "x-semantics" = "2.8"))]
    pub max_bps: f64,
    /// In the place of `b_bps`: `vol_y` times the volatility of bars, so that slippage is Y·σ·f(participation).
    #[schemars(extend("x-semantics" = "2.8"))]
    pub vol_scaled: bool,
    /// `Y` of `vol_scaled`.
    #[schemars(extend("minimum" = 0.0, "maximum" = 1000.0, "x-unit" = "factor", "x-semantics" = "2.8"))]
    pub vol_y: f64,
    /// Present bars through the decision's whose returns, close over close, make the volatility of `vol_scaled`: their
    /// root mean square.
    #[schemars(extend("minimum" = 1, "maximum" = 10000, "x-unit" = "bars", "x-semantics" = "2.8"))]
    pub vol_window_bars: u32,
    /// Factor on the slippage of stops.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "factor", "x-semantics" = "2.4"))]
    pub stop_slippage_mult: f64,
    /// Volume that participation refers to.
    #[schemars(extend("x-semantics" = "2.8"))]
    pub volume_ref: VolumeRef,
    /// Factor in NORMAL bars.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "factor", "x-semantics" = "2.8"))]
    pub regime_mult_normal: f64,
    /// Factor in THIN bars; unused while `liquidity_regimes.enabled` is false.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "factor", "x-semantics" = "2.8"))]
    pub regime_mult_thin: f64,
    /// Factor in VACUUM bars; unused while `liquidity_regimes.enabled` is false.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "factor", "x-semantics" = "2.8"))]
    pub regime_mult_vacuum: f64,
}

impl Default for SlippageCostsSpec {
    fn default() -> Self {
        Self {
            shape: SlippageShape::Sqrt,
            a_bps: 1.0,
            b_bps: 30.0,
            min_bps: 0.5,
            max_bps: 200.0,
            vol_scaled: false,
            vol_y: 1.0,
            vol_window_bars: 96,
            stop_slippage_mult: 1.0,
            volume_ref: VolumeRef::MinExecTrailing,
            regime_mult_normal: 1.0,
            regime_mult_thin: 2.0,
            regime_mult_vacuum: 4.0,
        }
    }
}

/// `[funding]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FundingSpec {
    /// Settle funding.
    #[schemars(extend("x-semantics" = "3.3"))]
    pub enabled: bool,
    /// A settlement without a record: `none`, `last_rate` or `constant:r`.
    #[schemars(with = "String", extend("pattern" = "^(none|last_rate|constant:[0-9.eE+-]+)$", "x-semantics" = "3.3"))]
    pub missing: FundingMissing,
    /// Who pays when a fill happens at the settlement.
    #[schemars(extend("x-semantics" = "3.3"))]
    pub boundary: FundingBoundarySpec,
    /// No entries around a settlement.
    #[schemars(extend("x-semantics" = "3.4"))]
    pub window_blocks_entries: bool,
    /// Window before a settlement; negative: off.
    #[schemars(extend("minimum" = -1, "maximum" = 1440, "x-unit" = "minutes", "x-semantics" = "3.4"))]
    pub window_pre_minutes: i32,
    /// Window after a settlement.
    #[schemars(extend("minimum" = 0, "maximum" = 1440, "x-unit" = "minutes", "x-semantics" = "3.4"))]
    pub window_post_minutes: i32,
    /// Close before a settlement that costs more than this; 0: off.
    #[schemars(extend("minimum" = 0.0, "x-unit" = "bps", "x-semantics" = "3.4"))]
    pub close_before_bps: f64,
}

impl Default for FundingSpec {
    fn default() -> Self {
        Self {
            enabled: true,
            missing: FundingMissing::None,
            boundary: FundingBoundarySpec::HeldBefore,
            window_blocks_entries: true,
            window_pre_minutes: 15,
            window_post_minutes: 0,
            close_before_bps: 0.0,
        }
    }
}
