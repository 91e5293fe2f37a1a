//! What is known to happen to symbols before the run starts: delistings and series that end (semantics 1.7).

use std::ops::Range;

use crate::config::plan::ExecutionPlan;
use crate::market::Market;

/// When in its bar a settlement happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SettlementKind {
    /// Known delisting: in the open phase, before funding.
    Delist,
    /// The series ended without one: at the close, with a haircut.
    SeriesEnd,
}

/// A symbol's positions are settled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Settlement {
    pub(super) bar: usize,
    pub(super) kind: SettlementKind,
    pub(super) symbol: usize,
    /// Last close known at that time; `NaN` where there was none.
    pub(super) last_close_px: f64,
}

/// Openings are refused from this long before a delisting on.
const REDUCE_ONLY_BEFORE_DELISTING_MS: i64 = 30 * 60_000;

/// Settlements of a run in event order, and the bar from which openings are refused, per symbol.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    pub(super) settlements: Vec<Settlement>,
    pub(super) no_openings_from_bar: Vec<usize>,
}

impl Calendar {
    pub(super) fn new(market: &Market, run: &Range<usize>, plan: &ExecutionPlan) -> Self {
        let grid = market.grid;
        let mut settlements = Vec::new();
        let mut no_openings_from_bar = Vec::with_capacity(market.symbols.len());
        for (symbol, info) in market.symbols.iter().enumerate() {
            let mut no_openings = usize::MAX;
            let mut settled = None;
            if let Some(delisted_ms) = info.contract.delisted_ms {
                let reduce_only_ms = delisted_ms - REDUCE_ONLY_BEFORE_DELISTING_MS;
                if reduce_only_ms < grid.open_ms(grid.bars) {
                    no_openings = grid.first_bar_from(reduce_only_ms);
                }
                if delisted_ms < grid.open_ms(grid.bars) {
                    settled = Some((grid.first_bar_from(delisted_ms), SettlementKind::Delist));
                }
            } else if let Some(last_bar) = info.last_bar {
                let bar = last_bar + plan.delist_after_missing_bars as usize;
                settled = Some((bar, SettlementKind::SeriesEnd));
            }
            if let Some((bar, kind)) = settled {
                let before = if kind == SettlementKind::Delist { bar } else { grid.bars };
                if run.contains(&bar) {
                    let last_close_px = last_close_before(market, symbol, before);
                    settlements.push(Settlement { bar, kind, symbol, last_close_px });
                }
                if kind == SettlementKind::SeriesEnd {
                    no_openings = bar + 1;
                }
            }
            no_openings_from_bar.push(no_openings);
        }
        settlements.sort_by_key(|s| (s.bar, s.kind, s.symbol));
        Self { settlements, no_openings_from_bar }
    }
}

/// Close of the last present bar before `bar`; `NaN` where there is none.
pub(super) fn last_close_before(market: &Market, symbol: usize, bar: usize) -> f64 {
    let panels = &market.panels;
    let lane = market.lane_of[symbol];
    let newest = market.symbols[symbol].last_bar.map_or(0, |last| (last + 1).min(bar));
    (0..newest)
        .rev()
        .map(|bar| panels.close[(market.first_row + bar) * panels.lanes + lane])
        .find(|close| !close.is_nan())
        .unwrap_or(f64::NAN)
}
