//! What is wanted at each close: oracle, orders, table and rules become bit masks, a few prices and order intents.
//!
//! It knows the market up to the bar it decides on, and neither account nor execution: what becomes of a signal is the
//! engine's. Every source is a [`SignalSource`], stepped tile by tile in bar order. Read next: [`rules`] for the
//! expression language, `events` for what a signal is.

mod arrow_check;
mod oracle;
mod orders;
mod rows;
pub mod rules;
mod table;

pub use oracle::{Oracle, OracleMode, oracle};
pub use orders::{OrderTable, read_orders};
pub use rules::{
    CacheEntry, Expr, FeatureSink, FunctionDoc, RuleCache, RuleProgram, RuleTexts, Rules, SharedTrials,
    compile, compile_each, eval_constraint, feature_columns, function_list, parse_expr, parse_rules,
};
pub use table::{SignalTable, read_table};

use crate::events::SignalTile;
use crate::market::{Market, Tile};

/// A source of signals for one or more trials over the same market.
///
/// Tiles come in bar order, each bar once; bar 0 starts the source afresh. What a source says about a bar must not
/// depend on later bars, nor on where tiles are cut.
pub trait SignalSource {
    /// Computes the signals of the next tile.
    fn step(&mut self, market: &Market, tile: &Tile<'_>);
    /// Signals of one trial over the tile last stepped.
    fn trial(&self, trial: usize) -> SignalTile<'_>;
}
