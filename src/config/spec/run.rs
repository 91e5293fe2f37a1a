//! Tables `[general]`, `[universe]`, `[signals]` and `[output]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choices::{
    BarLength, LotMethod, MarkSource, OnRemoval, OracleMode, OutputFormat, OutputTable, SignalKind,
    UniverseMode,
};
use super::{FeeRowSpec, Refresh};
use crate::config::plan::CheckInvariants;

/// `[general]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GeneralSpec {
    /// Wallet balance at the start.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1e15, "x-unit" = "USDT", "x-semantics" = "4.3"))]
    pub initial_capital: f64,
    /// Fee of maker fills; negative is a rebate.
    #[schemars(extend("minimum" = -100.0, "maximum" = 1000.0, "x-unit" = "bps", "x-semantics" = "3.1"))]
    pub maker_fee_bps: f64,
    /// Fee of taker fills.
    #[schemars(extend("minimum" = 0.0, "maximum" = 1000.0, "x-unit" = "bps", "x-semantics" = "3.1"))]
    pub taker_fee_bps: f64,
    /// VIP tier of the exchange, which sets both fees in place of `maker_fee_bps` and `taker_fee_bps`; -1: those two.
    #[schemars(extend("minimum" = -1, "maximum" = 9, "x-unit" = "tier", "x-semantics" = "3.1"))]
    pub fee_tier: i32,
    /// Fees by date, oldest first: {from, maker_bps, taker_bps}. From its first date on the table holds, whatever
    /// tier and plain fees say; before it they do.
    #[schemars(extend("x-semantics" = "3.1"))]
    pub fee_table: Vec<FeeRowSpec>,
    /// Fees paid in the exchange's coin: × 0.9, whether plain, of a tier or of the table; rebates stay.
    #[schemars(extend("x-semantics" = "3.1"))]
    pub bnb_discount: bool,
    /// Toy signals of `signals.kind = "oracle"`.
    #[schemars(extend("x-semantics" = "10.1"))]
    pub oracle_mode: OracleMode,
    /// Seed of every random draw of a run.
    #[schemars(extend("minimum" = 0, "x-unit" = "seed", "x-semantics" = "0.5"))]
    pub seed: u64,
    /// Length of a bar.
    #[schemars(extend("x-semantics" = "0.1"))]
    pub bar: BarLength,
    /// Price that marks open positions.
    #[schemars(extend("x-semantics" = "1.4"))]
    pub mark_source: MarkSource,
    /// How often the accounting invariants are checked.
    #[schemars(extend("x-semantics" = "10.2"))]
    pub check_invariants: CheckInvariants,
}

impl Default for GeneralSpec {
    fn default() -> Self {
        Self {
            initial_capital: 100_000.0,
            maker_fee_bps: 2.0,
            taker_fee_bps: 5.0,
            fee_tier: -1,
            fee_table: Vec::new(),
            bnb_discount: false,
            oracle_mode: OracleMode::Flat,
            seed: 1,
            bar: BarLength::M15,
            mark_source: MarkSource::Mark,
            check_invariants: CheckInvariants::End,
        }
    }
}

/// `[universe]`; from `size` to `on_removal` the keys belong to the ranked mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UniverseSpec {
    /// Symbols that take part; empty: every symbol in the data.
    #[schemars(extend("x-semantics" = "6"))]
    pub symbols: Vec<String>,
    /// How membership is decided.
    #[schemars(extend("x-semantics" = "6", "x-accepted-now" = ["static"], "x-not-yet" = "the ranked universe is"))]
    pub mode: UniverseMode,
    /// Symbols that are members at a time.
    #[schemars(extend("minimum" = 1, "x-unit" = "symbols", "x-semantics" = "6.2"))]
    pub size: u32,
    /// When members are chosen: `weekly`, `daily` or `bars:n`.
    #[schemars(with = "String", extend("pattern" = "^(weekly|daily|bars:[1-9][0-9]*)$", "x-semantics" = "6.1"))]
    pub refresh: Refresh,
    /// Days of history a member needs.
    #[schemars(extend("minimum" = 0, "x-unit" = "days", "x-semantics" = "6.2"))]
    pub min_history_days: u32,
    /// Symbol that betas refer to.
    #[schemars(extend("x-semantics" = "5.6"))]
    pub benchmark: String,
    /// What happens to the position of a symbol that leaves.
    #[schemars(extend("x-semantics" = "6.3"))]
    pub on_removal: OnRemoval,
    /// No entry after more than this many missing bars in a row; 0: off.
    #[schemars(extend("minimum" = 0, "x-unit" = "bars", "x-semantics" = "1.6"))]
    pub max_stale_bars: u32,
    /// Present bars after such a gap before entries return.
    #[schemars(extend("minimum" = 0, "x-unit" = "bars", "x-semantics" = "1.6", "x-accepted-now" = [0], "x-not-yet" = "waiting after a gap is"))]
    pub rewarm_bars: u32,
}

impl Default for UniverseSpec {
    fn default() -> Self {
        Self {
            symbols: Vec::new(),
            mode: UniverseMode::Static,
            size: 30,
            refresh: Refresh::Weekly,
            min_history_days: 30,
            benchmark: "BTCUSDT".into(),
            on_removal: OnRemoval::Hold,
            max_stale_bars: 8,
            rewarm_bars: 0,
        }
    }
}

/// `[signals]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SignalsSpec {
    /// Where decisions come from.
    #[schemars(extend("x-semantics" = "contract 3"))]
    pub kind: SignalKind,
    /// Table of orders or signals, for `orders` and `table`; relative to the config file.
    #[schemars(extend("x-semantics" = "contract 3"))]
    pub path: String,
    /// Boolean rule: enter long. Empty: never.
    #[schemars(extend("x-semantics" = "contract 4"))]
    pub long_entry: String,
    /// Boolean rule: close a long.
    #[schemars(extend("x-semantics" = "contract 4"))]
    pub long_exit: String,
    /// Boolean rule: enter short. Empty: never.
    #[schemars(extend("x-semantics" = "contract 4"))]
    pub short_entry: String,
    /// Boolean rule: close a short.
    #[schemars(extend("x-semantics" = "contract 4"))]
    pub short_exit: String,
    /// Numeric rule: distance of the stop loss from the decision's close, USDT.
    #[schemars(extend("x-semantics" = "contract 4"))]
    pub stop_distance: String,
    /// Numeric rule: distance of the take profit from the decision's close, USDT.
    #[schemars(extend("x-semantics" = "contract 4"))]
    pub take_profit_distance: String,
    /// Numeric rule: distance of the trailing stop, USDT.
    #[schemars(extend("x-semantics" = "contract 4"))]
    pub trail_distance: String,
    /// Numeric rule: weight of an entry, for `sizing.method = "signal_weight"`.
    #[schemars(extend("x-semantics" = "contract 4"))]
    pub weight: String,
    /// Numeric rule: rank of an entry, for `risk.allocation = "priority"`.
    #[schemars(extend("x-semantics" = "contract 4"))]
    pub score: String,
    /// Parameters of the rules: name = default.
    #[schemars(extend("x-unit" = "as the rule uses it", "x-semantics" = "contract 4"))]
    pub params: BTreeMap<String, f64>,
}

impl Default for SignalsSpec {
    fn default() -> Self {
        Self {
            kind: SignalKind::Oracle,
            path: String::new(),
            long_entry: String::new(),
            long_exit: String::new(),
            short_entry: String::new(),
            short_exit: String::new(),
            stop_distance: String::new(),
            take_profit_distance: String::new(),
            trail_distance: String::new(),
            weight: String::new(),
            score: String::new(),
            params: BTreeMap::new(),
        }
    }
}

/// `[output]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutputSpec {
    /// Format of the tables.
    #[schemars(extend("x-semantics" = "contract 5"))]
    pub format: OutputFormat,
    /// Tables that are written.
    #[schemars(extend("x-semantics" = "contract 5"))]
    pub tables: Vec<OutputTable>,
    /// How `realized_pnl` and `avg_entry_after` of `fills` count. The account, and so ledger, trades and metrics, is kept
    /// by average entry; over a whole trade both realise the same.
    #[schemars(extend("x-semantics" = "4.2"))]
    pub lot_method: LotMethod,
}

impl Default for OutputSpec {
    fn default() -> Self {
        Self {
            format: OutputFormat::Csv,
            tables: vec![
                OutputTable::Equity,
                OutputTable::Fills,
                OutputTable::Trades,
                OutputTable::Ledger,
                OutputTable::Orders,
                OutputTable::Universe,
            ],
            lot_method: LotMethod::Average,
        }
    }
}
