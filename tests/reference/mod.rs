//! A slow, plain second engine: what the fast one is held against (semantics 10.3).
//!
//! It reads the market's raw panels, the funding tape and the plan, and shares no code with the engine: its own
//! decimals, its own account, its own order of events. One bar after the other, one symbol after the other, plain
//! loops over plain structs; the numbers in the comments are sections of the semantics, and of decision 7 where they
//! say so. Read `engine` next to 1.5, `decisions` next to contract 4 and 2.10, `orders` and `intrabar` next to 2.1–2.13
//! and decision 7, `brackets` and `trails` next to 2.6 and 2.7, `prices` next to 2.2–2.8, `account` next to 4.2–4.4,
//! `funding` next to 3.3 and 3.4, `margin`, `liquidation` and `tiers` next to 4.5–4.8, `isolated` next to decision 8.
//!
//! Where the semantics leave a choice, the choice made here is marked `Choice:`.
#![allow(dead_code, reason = "every test binary that takes this module in uses its own part of it")]

pub(crate) mod account;
mod booking;
mod brackets;
pub(crate) mod chart;
pub(crate) mod decimal;
mod decisions;
pub(crate) mod draws;
mod engine;
mod funding;
mod intrabar;
mod isolated;
mod liquidation;
mod margin;
mod orders;
pub(crate) mod prices;
pub(crate) mod tiers;
mod trails;

use barloom::config::plan::EnginePlan;
use barloom::engine::api::{
    Attached, AttachedLevels, FillFlags, FillReason, Liquidity, OrderIntent, OrderKind, OrderStatus, Regime,
    Side,
};
use barloom::market::Market;
use std::ops::Range;

/// Levels of the four rules of one symbol at one close (contract 4), and what an entry would carry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefSignal {
    pub(crate) long_entry: bool,
    pub(crate) long_exit: bool,
    pub(crate) short_entry: bool,
    pub(crate) short_exit: bool,
    pub(crate) long_levels: AttachedLevels,
    pub(crate) short_levels: AttachedLevels,
}

impl Default for RefSignal {
    fn default() -> Self {
        let none = AttachedLevels::Prices(Attached {
            stop_loss_px: f64::NAN,
            take_profit_px: f64::NAN,
            ..Attached::NONE
        });
        Self {
            long_entry: false,
            long_exit: false,
            short_entry: false,
            short_exit: false,
            long_levels: none,
            short_levels: none,
        }
    }
}

/// `[bar of the market's grid][symbol]`; empty: no signals.
pub(crate) type RefSignals = Vec<Vec<RefSignal>>;

/// What a run is made of.
pub(crate) struct RefInput<'a> {
    pub(crate) market: &'a Market,
    /// Bars of the market's grid to trade on; earlier ones are known but not traded.
    pub(crate) run: Range<usize>,
    pub(crate) plan: &'a EnginePlan,
    pub(crate) signals: &'a RefSignals,
    /// `[bar of the market's grid][symbol]`, known at the close of the bar; empty: regimes are off.
    pub(crate) regimes: &'a [Vec<Regime>],
    /// Sorted by `(bar, order_id)`.
    pub(crate) intents: &'a [OrderIntent],
}

/// One execution.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RefFill {
    pub(crate) bar: usize,
    pub(crate) symbol: usize,
    pub(crate) order_id: u32,
    pub(crate) side: Side,
    pub(crate) qty: f64,
    pub(crate) price: f64,
    pub(crate) base_px: f64,
    pub(crate) liquidity: Liquidity,
    pub(crate) fee_usdt: f64,
    pub(crate) slippage_bps: f64,
    pub(crate) participation: f64,
    pub(crate) reason: FillReason,
    pub(crate) flags: FillFlags,
    pub(crate) regime: Option<Regime>,
    pub(crate) realized_usdt: f64,
    pub(crate) position_after: f64,
    pub(crate) avg_entry_after: f64,
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RefOrderEnd {
    pub(crate) order_id: u32,
    pub(crate) bar: usize,
    pub(crate) end_bar: usize,
    pub(crate) symbol: usize,
    pub(crate) side: Side,
    pub(crate) kind: OrderKind,
    /// Limit or trigger as rounded; `NaN` for a market order.
    pub(crate) price: f64,
    /// As asked; `NaN` when it was refused before it was sized.
    pub(crate) qty: f64,
    pub(crate) status: OrderStatus,
    /// Empty when filled.
    pub(crate) reason: &'static str,
}

/// One settlement of funding on a position.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RefFunding {
    pub(crate) bar: usize,
    pub(crate) symbol: usize,
    /// Index on the market's tape; `u32::MAX`: a settlement that the records lack.
    pub(crate) record: usize,
    pub(crate) cash_usdt: f64,
}

/// What the insurance fund paid in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RefInsurance {
    pub(crate) bar: usize,
    /// Symbol whose liquidation came last.
    pub(crate) symbol: usize,
    pub(crate) amount_usdt: f64,
    /// Whether the account ended with it.
    pub(crate) ruins: bool,
}

/// Everything that happened; the curves have one value per bar of the run, at its close.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RefResult {
    pub(crate) fills: Vec<RefFill>,
    pub(crate) equity: Vec<f64>,
    pub(crate) wallet: Vec<f64>,
    pub(crate) unrealized: Vec<f64>,
    pub(crate) gross: Vec<f64>,
    pub(crate) net: Vec<f64>,
    /// ΣIM and ΣMM; empty where margin is off.
    pub(crate) initial_margin: Vec<f64>,
    pub(crate) maintenance_margin: Vec<f64>,
    /// The largest margin ratio of a position; empty where they are not isolated.
    pub(crate) isolated_ratio: Vec<f64>,
    pub(crate) funding: Vec<RefFunding>,
    pub(crate) insurance: Vec<RefInsurance>,
    /// In the order in which they ended.
    pub(crate) orders: Vec<RefOrderEnd>,
}

/// Runs the account over `input.run`.
pub(crate) fn run(input: &RefInput<'_>) -> RefResult {
    engine::Engine::new(input).run()
}
