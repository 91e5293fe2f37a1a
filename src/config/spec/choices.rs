//! Closed choices of the config, named in the file in snake_case. Those that the plan shares are in
//! [`crate::config::plan`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `general.bar`: length of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum BarLength {
    /// One minute.
    #[serde(rename = "1m")]
    M1,
    /// Five minutes.
    #[serde(rename = "5m")]
    M5,
    /// Fifteen minutes.
    #[serde(rename = "15m")]
    M15,
    /// One hour.
    #[serde(rename = "1h")]
    H1,
    /// Four hours.
    #[serde(rename = "4h")]
    H4,
    /// One day, UTC.
    #[serde(rename = "1d")]
    D1,
}

impl BarLength {
    /// Every length, shortest first.
    pub const ALL: [Self; 6] = [Self::M1, Self::M5, Self::M15, Self::H1, Self::H4, Self::D1];

    /// Length in milliseconds.
    pub fn step_ms(self) -> i64 {
        match self {
            Self::M1 => 60_000,
            Self::M5 => 300_000,
            Self::M15 => 900_000,
            Self::H1 => 3_600_000,
            Self::H4 => 14_400_000,
            Self::D1 => 86_400_000,
        }
    }
    /// Name in configs and file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::M1 => "1m",
            Self::M5 => "5m",
            Self::M15 => "15m",
            Self::H1 => "1h",
            Self::H4 => "4h",
            Self::D1 => "1d",
        }
    }
}

/// `general.oracle_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OracleMode {
    /// Long from each symbol's first present bar.
    AlwaysLong,
    /// Short from each symbol's first present bar.
    AlwaysShort,
    /// Never trades.
    Flat,
    /// A seeded draw of long, short or flat every 96 present bars.
    Random,
}

/// `general.mark_source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkSource {
    /// The mark-price close, the contract's close where there is none.
    Mark,
    /// The contract's close.
    Last,
}

/// `universe.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UniverseMode {
    /// Every selected symbol, all the time.
    Static,
    /// The most traded symbols, point in time.
    Ranked,
}

/// `universe.on_removal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnRemoval {
    /// Positions stay until their own exit.
    Hold,
    /// Positions are closed.
    Close,
}

/// `signals.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// `general.oracle_mode` decides.
    Oracle,
    /// A table of orders.
    Orders,
    /// A table of signals.
    Table,
    /// Rule expressions.
    Rules,
}

/// `execution.cap_applies_to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CapAppliesTo {
    /// Entries only.
    Entries,
    /// Exits and stops too.
    All,
}

/// `execution.trail_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrailMode {
    /// The level of a bar's close is in force from the next bar.
    NextBar,
    /// The favourable extreme of the bar ratchets first.
    FavourableFirst,
}

/// `execution.trail_source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrailSource {
    /// The bar's high (long) or low (short).
    Extreme,
    /// The bar's close.
    Close,
}

/// `execution.trigger_source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerSource {
    /// The contract's own prices.
    Last,
    /// The mark price.
    Mark,
}

/// `execution.entry_beyond_stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryBeyondStop {
    /// Fill, then stop out at the open.
    FillAndStop,
    /// No fill.
    Reject,
}

/// `funding.boundary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FundingBoundarySpec {
    /// Positions held just before the settlement pay.
    HeldBefore,
    /// Positions opened at the settlement pay too.
    IncludeOpenFills,
    /// Charged when it costs, ignored when it pays.
    Pessimistic,
}

/// `margin.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarginMode {
    /// One wallet stands behind every position.
    Cross,
    /// Each position has its own margin.
    Isolated,
}

/// `margin.liq_check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LiqCheck {
    /// At open marks, inside the bar, at the close.
    OpenIntrabarClose,
    /// At the close only.
    Close,
}

/// `margin.liq_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LiqMode {
    /// Whole positions, largest maintenance margin first.
    LargestMm,
    /// Every position.
    All,
    /// Every position by the same share.
    ProRata,
}

/// `margin.trim_order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrimOrder {
    /// Every position by the same share.
    ProRata,
    /// Largest maintenance margin first.
    LargestMm,
    /// Largest loss first.
    LargestLoss,
    /// Lowest score first.
    LowestScore,
}

/// `margin.on_margin_short`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnMarginShort {
    /// The opening shrinks to what the margin allows.
    Scale,
    /// No opening.
    Reject,
}

/// `sizing.method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SizingMethod {
    /// `sizing.notional` at the decision's close.
    FixedNotional,
    /// `sizing.fraction` of the sizing equity.
    FixedFraction,
    /// `sizing.risk_per_trade` lost at the stop.
    FixedRisk,
    /// Notional by the symbol's volatility.
    VolTarget,
    /// The signal's weight × sizing equity.
    SignalWeight,
}

/// `risk.es_horizon_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EsHorizonMode {
    /// One-bar ES times the root of the horizon.
    Sqrt,
    /// Overlapping returns of the horizon.
    Overlap,
}

/// `risk.es_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EsMethod {
    /// Historical simulation of the current book.
    Historical,
    /// Normal distribution.
    Normal,
    /// Student distribution, 4 degrees of freedom.
    Student,
    /// Normal, with an exponentially weighted covariance.
    Ewma,
}

/// `risk.beta_excess`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BetaExcess {
    /// Contributors are trimmed pro rata.
    Trim,
    /// The excess is hedged with the benchmark.
    HedgeBenchmark,
    /// No opening that adds to it.
    Block,
}

/// `risk.halt_action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HaltAction {
    /// Positions stay.
    Hold,
    /// Positions are closed.
    Flatten,
}

/// `risk.allocation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Allocation {
    /// Simultaneous openings shrink by one factor.
    Scale,
    /// Best score first.
    Priority,
}

/// `liquidity_regimes.profile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProfileSpec {
    /// Median of the last observations of the slot.
    Median,
    /// Running mean of the slot, moved by `profile_eta` of the way to each observation.
    Ewma,
}

/// `output.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputFormat {
    /// Comma-separated text.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC file.
    Arrow,
}

/// `output.lot_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LotMethod {
    /// By average entry, as the account is kept.
    Average,
    /// By lots, the oldest first.
    Fifo,
}

/// `output.tables`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputTable {
    /// Account marks, one row per bar.
    Equity,
    /// Executions.
    Fills,
    /// Closed position episodes.
    Trades,
    /// Wallet changes.
    Ledger,
    /// Every order and its end.
    Orders,
    /// Membership over time.
    Universe,
}
