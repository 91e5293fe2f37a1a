//! The plan as run: one trial's settings after defaults, units and checks. No defaults live here.
//!
//! `_bps` became `_frac` once, closed choices are enums, and whatever this build cannot do was refused before.
//! A closed choice that is the same in the spec and in the plan is one type, with its config names by serde.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::spec::{
    CapAppliesTo, EntryBeyondStop, FundingMissing, LiqCheck, LiqMode, MarginMode, OnMarginShort, TrailMode,
    TrailSource, TrimOrder,
};

/// Everything the engine needs to know about one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct EnginePlan {
    /// Starting wallet, USDT.
    pub initial_capital_usdt: f64,
    /// Maker fee as a fraction of notional; negative is a rebate.
    pub maker_fee_frac: f64,
    /// Taker fee as a fraction of notional.
    pub taker_fee_frac: f64,
    /// Mark at the mark-price close where there is one (`general.mark_source = "mark"`).
    pub use_mark: bool,
    /// How an opening order gets its quantity.
    pub sizing: Sizing,
    /// Equity that sizing refers to.
    pub sizing_equity: SizingEquity,
    /// Slippage of taker fills.
    pub slippage: Slippage,
    /// Fill rules.
    pub execution: ExecutionPlan,
    /// Funding rules.
    pub funding: FundingPlan,
    /// Liquidity regimes and what they do.
    pub liquidity: LiquidityPlan,
    /// No new entry after more than this many consecutive missing bars (semantics 1.6); 0: off.
    pub max_stale_bars: u32,
    /// Initial and maintenance margin, liquidation and guard; `None`: none of them.
    pub margin: Option<MarginPlan>,
    /// Fees by date, oldest first; before the first row and without rows the two rates above.
    pub fee_table: Vec<FeeRow>,
    /// Largest notional of a symbol's position after an opening, USDT; 0: off.
    pub max_position_notional_usdt: f64,
    /// Seed of what is drawn: fills by chance.
    pub seed: u64,
    /// How often the accounting invariants of semantics 4.9 are checked.
    pub check_invariants: CheckInvariants,
}

impl EnginePlan {
    /// Settings of the regimes that fills and decisions read; none where they are off.
    pub fn regimes(&self) -> Option<&RegimePlan> {
        self.liquidity.enabled.then_some(&self.liquidity.regimes)
    }
}

/// `sizing.method`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sizing {
    /// A notional in USDT at the decision's close.
    FixedNotional {
        /// USDT.
        notional_usdt: f64,
    },
    /// A fraction of equity.
    FixedFraction {
        /// Fraction of sizing equity.
        fraction: f64,
    },
}

/// `sizing.sizing_equity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SizingEquity {
    /// Equity at the decision's close.
    Equity,
    /// Wallet balance at the decision's close.
    Wallet,
    /// Initial capital.
    Initial,
}

/// Slippage in basis points as a function of participation (semantics 2.8):
/// `clamp((a + b·f(π))·R, min, max)`. With `b_bps = 0` and no scaling by volatility no volume is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slippage {
    /// `f`.
    pub shape: SlippageShape,
    /// Constant part, bps.
    pub a_bps: f64,
    /// Coefficient of participation, bps.
    pub b_bps: f64,
    /// Volatility in the place of that coefficient, as far as it is known; `None`: `b_bps` alone.
    pub vol_scale: Option<VolScale>,
    /// Lower clamp, bps.
    pub min_bps: f64,
    /// Upper clamp, bps.
    pub max_bps: f64,
    /// Factor on stop fills.
    pub stop_mult: f64,
    /// Which volume participation refers to.
    pub volume_ref: VolumeRef,
    /// `R` of a NORMAL bar.
    pub regime_mult_normal: f64,
    /// `R` of a THIN bar.
    pub regime_mult_thin: f64,
    /// `R` of a VACUUM bar.
    pub regime_mult_vacuum: f64,
}

/// Slippage that scales with the volatility of bars: `b = Y·σ` (semantics 2.8).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VolScale {
    /// `Y`.
    pub y: f64,
    /// Present bars whose returns make `σ`, at least 1.
    pub window_bars: u32,
}

impl Slippage {
    /// Whether slippage depends on participation.
    #[inline]
    pub fn reads_volume(&self) -> bool {
        self.b_bps != 0.0 || self.vol_scale.is_some()
    }
    /// The model at a volatility of bars: `b = Y·σ` in bps; `b_bps` stays where there is no volatility yet (`NaN`).
    #[must_use]
    pub fn at_volatility(&self, volatility_frac: f64) -> Self {
        match self.vol_scale.filter(|_| !volatility_frac.is_nan()) {
            Some(scale) => Self { b_bps: scale.y * volatility_frac * 1e4, ..*self },
            None => *self,
        }
    }
    /// `R` of a regime; of a NORMAL bar where regimes are off.
    #[inline]
    pub fn regime_mult(&self, regime: Option<Regime>) -> f64 {
        match regime {
            None | Some(Regime::Normal) => self.regime_mult_normal,
            Some(Regime::Thin) => self.regime_mult_thin,
            Some(Regime::Vacuum) => self.regime_mult_vacuum,
        }
    }
}

/// `slippage_costs.shape`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SlippageShape {
    /// `√π`.
    Sqrt,
    /// `π`.
    Linear,
    /// `π²`.
    Square,
}

/// `slippage_costs.volume_ref`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VolumeRef {
    /// Volume of the bar in which the fill happens.
    ExecBar,
    /// Mean of the last up to 96 present bars through the decision bar.
    Trailing,
    /// The smaller of the two.
    MinExecTrailing,
}

/// Fill rules.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExecutionPlan {
    /// Order of events in a bar.
    pub sequencing: Sequencing,
    /// Life of entries from rules and tables, in bars (at least 1).
    pub entry_ttl_bars: u32,
    /// Largest share of a bar's volume that entries take; 0: no cap.
    pub participation_cap_frac: f64,
    /// Orders under that cap.
    pub cap_applies_to: CapAppliesTo,
    /// When a trailing stop moves.
    pub trail_mode: TrailMode,
    /// Price that a trailing stop follows.
    pub trail_source: TrailSource,
    /// An entry that opens beyond its own stop loss.
    pub entry_beyond_stop: EntryBeyondStop,
    /// Cancel a waiting order once the close is this far from that of its decision, fraction; 0: off.
    pub stale_move_frac: f64,
    /// κ of semantics 2.4, `0..=1`.
    pub stop_overshoot: f64,
    /// Stop loss and take profit both reachable in one bar.
    pub bracket_policy: BracketPolicy,
    /// When a resting limit order fills.
    pub limit_rule: LimitRule,
    /// Take profits as limit or market orders.
    pub tp_kind: TakeProfitKind,
    /// Clamp fill prices into `[low, high]`.
    pub clamp_to_bar: bool,
    /// Round fill prices to the tick, adversely.
    pub round_to_tick: bool,
    /// Orders above the largest quantity fill in slices of at most that, instead of being refused.
    pub split_large: bool,
    /// What happens to open positions at the end.
    pub end_of_run: EndOfRun,
    /// Haircut of a series that ends without a known delisting, fraction.
    pub delist_haircut_frac: f64,
    /// Consecutive missing bars after which such a series is settled.
    pub delist_after_missing_bars: u32,
}

/// `execution.sequencing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sequencing {
    /// Semantics 1.5.
    Phased,
    /// Stops of carried positions over the whole bar before any market order.
    StopsFirstBar,
}

/// `execution.bracket_policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BracketPolicy {
    /// The stop loss fills.
    Pessimistic,
    /// The path O-H-L-C if `H−O ≤ O−L`, else O-L-H-C.
    Adaptive,
    /// The take profit fills. No config says so: it is the upper bound of `run --bounds`.
    #[serde(skip)]
    Optimistic,
}

/// `execution.limit_rule`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LimitRule {
    /// Price must trade one tick through the limit.
    Through,
    /// Touching the limit is enough.
    Touch,
    /// Trading through fills; touching fills the orders that a draw per order, of this probability, chooses.
    TouchProb(f64),
}

/// `execution.tp_kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TakeProfitKind {
    /// A resting reduce-only limit order.
    Limit,
    /// A market order triggered by touch.
    Market,
}

/// `execution.end_of_run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndOfRun {
    /// Positions stay open and are marked.
    Mark,
    /// Positions are closed at the last close, taker fee and slippage.
    Close,
}

/// Funding rules (semantics 3.3).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FundingPlan {
    /// Whether funding is settled at all.
    pub enabled: bool,
    /// Who pays at the boundary.
    pub boundary: FundingBoundary,
    /// A settlement that the records lack (semantics 3.3).
    pub missing: FundingMissing,
    /// Entries are blocked from this long before a settlement until so long after it, both inclusive, ms.
    pub window_ms: Option<(i64, i64)>,
    /// Close before a settlement whose predicted cost exceeds this and the cost of a round trip, fraction; 0: off.
    pub close_before_frac: f64,
}

/// `funding.boundary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FundingBoundary {
    /// Positions held just before τ.
    HeldBefore,
    /// Positions after the fills at the open of τ.
    IncludeOpenFills,
    /// Whichever of the two costs more; what would be received only by both.
    Pessimistic,
}

/// Margin rules (semantics 4.5–4.8).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarginPlan {
    /// What stands behind a position.
    pub mode: MarginMode,
    /// Leverage of a symbol: the smaller of this and that of its notional's bracket.
    pub max_leverage: f64,
    /// Whether positions are liquidated.
    pub liquidation: bool,
    /// When that is checked.
    pub liq_check: LiqCheck,
    /// What a liquidation closes.
    pub liq_mode: LiqMode,
    /// Clearance fee where the contract has none, fraction of the liquidated notional.
    pub liq_fee_frac: f64,
    /// The guard.
    pub guard: Option<MarginGuard>,
    /// An opening that the margin does not cover.
    pub on_short: OnMarginShort,
}

/// `margin.guard` (semantics 4.8).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarginGuard {
    /// Margin ratio above which nothing opens.
    pub warn: f64,
    /// Margin ratio above which positions are trimmed.
    pub trim: f64,
    /// Margin ratio that trimming aims at.
    pub target: f64,
    /// What is trimmed first.
    pub order: TrimOrder,
}

/// Fees from a date on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeeRow {
    /// First instant they hold, UTC ms.
    pub from_ms: i64,
    /// Maker fee, fraction; negative is a rebate.
    pub maker_frac: f64,
    /// Taker fee, fraction.
    pub taker_frac: f64,
}

/// Liquidity regimes (semantics 7): how they are computed, and what they do to orders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiquidityPlan {
    /// Whether orders and slippage know regimes; rules may read them either way.
    pub enabled: bool,
    /// How ratio and regime come about.
    pub regimes: RegimePlan,
    /// No entry after a VACUUM bar.
    pub vacuum_blocks_entries: bool,
    /// Factor on sizes after a THIN bar.
    pub thin_size_mult: f64,
}

/// How the activity ratio and the regime of a bar are computed. Trials with equal ones share them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegimePlan {
    /// Cycle of the baseline.
    pub seasonality: Seasonality,
    /// What a slot of the cycle remembers.
    pub profile: ActivityProfile,
    /// Observations a slot needs, at least 1 and at most what it remembers.
    pub min_obs: u32,
    /// Bars of the last week that the fallback needs; 0: all of them.
    pub fallback_min_bars: u32,
    /// Bars that the ratio averages, at least 1.
    pub smooth_bars: u32,
    /// Ratio under which a bar is VACUUM.
    pub vacuum_below: f64,
    /// Ratio under which a bar is THIN, not below the other.
    pub thin_below: f64,
    /// Factor on a threshold that must be reached to rise above it again, at least 1.
    pub hysteresis: f64,
    /// Regime of a bar without baseline.
    pub without_baseline: Regime,
}

/// `liquidity_regimes.seasonality`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Seasonality {
    /// A slot for each bar of a week: 672 of 15 minutes.
    TimeOfWeek,
    /// A slot for each bar of a day: 96 of 15 minutes.
    TimeOfDay,
    /// No seasons: the median of the last week of bars.
    None,
}

/// What a slot of the season remembers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ActivityProfile {
    /// The median of its last observations.
    Median {
        /// How many, at least 1.
        observations: u32,
    },
    /// A running mean.
    Ewma {
        /// Share of the way to each observation, above 0 and at most 1.
        eta: f64,
    },
}

/// Liquidity of a bar, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// Next to nothing trades, or nothing is known.
    Vacuum,
    /// Less than usual.
    Thin,
    /// Any other bar.
    Normal,
}

/// `general.check_invariants`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckInvariants {
    /// Never.
    Off,
    /// Once, at the end of the run.
    End,
    /// After every bar.
    EveryBar,
}
