//! What happens to symbols as such: delistings, and series that fall silent (semantics 1.7).
//!
//! A run must not know whether a silent series will speak again (semantics 10.5), so a symbol without a known delisting
//! is settled at its `delist_after_missing`-th consecutive missing bar, whatever follows.

use std::ops::Range;

use crate::config::plan::ExecutionPlan;
use crate::market::Market;

/// A symbol's positions are settled at the close of `bar`, because its series has been silent for long enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SeriesEnd {
    pub(super) bar: usize,
    pub(super) symbol: usize,
    pub(super) last_close_px: f64,
}

/// A run of missing bars after a symbol's first bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Silence {
    symbol: usize,
    first: usize,
    bars: usize,
}

/// Listing facts of a market in bars, shared by all accounts.
#[derive(Debug)]
pub(super) struct Listings {
    silences: Vec<Silence>,
    /// First bar that opens at or after the delisting; `usize::MAX`: none on this grid.
    pub(super) delisted_from: Vec<usize>,
    /// First bar from which only reductions are allowed.
    pub(super) reduce_only_from: Vec<usize>,
    /// First bar from which anything is only reduced; `usize::MAX`: none.
    pub(super) first_reduce_only: usize,
    /// Delistings on this grid, by bar and symbol.
    pub(super) delistings: Vec<(usize, usize)>,
    /// `(reduce_only_from, delisted_from)` of the symbols that have either on this grid, in order.
    pub(super) closing: Vec<(usize, usize)>,
}

/// Openings are refused from this long before a delisting on.
const REDUCE_ONLY_BEFORE_DELISTING_MS: i64 = 30 * 60_000;

impl Listings {
    pub(super) fn new(market: &Market) -> Self {
        let grid = market.grid;
        let bar_from =
            |ms: i64| if ms < grid.open_ms(grid.bars) { grid.first_bar_from(ms) } else { usize::MAX };
        let delisted = |symbol: usize| market.symbols[symbol].contract.delisted_ms;
        let symbols = 0..market.symbols.len();
        let delisted_from: Vec<usize> =
            symbols.clone().map(|symbol| delisted(symbol).map_or(usize::MAX, bar_from)).collect();
        let reduce_only_from: Vec<usize> = symbols
            .clone()
            .map(|symbol| {
                delisted(symbol).map_or(usize::MAX, |ms| bar_from(ms - REDUCE_ONLY_BEFORE_DELISTING_MS))
            })
            .collect();
        let mut delistings: Vec<(usize, usize)> =
            symbols.filter(|&s| delisted_from[s] != usize::MAX).map(|s| (delisted_from[s], s)).collect();
        delistings.sort_unstable();
        let mut closing: Vec<(usize, usize)> =
            reduce_only_from.iter().copied().zip(delisted_from.iter().copied()).collect();
        closing.retain(|&(from, _)| from != usize::MAX);
        closing.sort_unstable();
        let first_reduce_only = reduce_only_from.iter().copied().min().unwrap_or(usize::MAX);
        let silences = silences(market);
        Self { silences, delisted_from, reduce_only_from, first_reduce_only, delistings, closing }
    }
    /// Settlements of silent series in a run, by bar and symbol.
    pub(super) fn series_ends(
        &self,
        market: &Market,
        run: &Range<usize>,
        plan: &ExecutionPlan,
    ) -> Vec<SeriesEnd> {
        let after = plan.delist_after_missing_bars.max(1) as usize;
        let mut ends: Vec<SeriesEnd> = self
            .silences
            .iter()
            .filter(|silence| silence.bars >= after && run.contains(&(silence.first + after - 1)))
            .map(|silence| SeriesEnd {
                bar: silence.first + after - 1,
                symbol: silence.symbol,
                last_close_px: last_close_before(market, silence.symbol, silence.first),
            })
            .collect();
        ends.sort_by_key(|end| (end.bar, end.symbol));
        ends
    }
}

/// Silences of all symbols without a known delisting. Reads one column once.
fn silences(market: &Market) -> Vec<Silence> {
    let panels = &market.panels;
    let mut found = Vec::new();
    // Bars missing so far; `None` before the first bar.
    let mut missing: Vec<Option<usize>> = vec![None; market.symbols.len()];
    for bar in 0..market.grid.bars {
        let row = &panels.close[(market.first_row + bar) * panels.lanes..][..panels.lanes];
        for (symbol, (missing, &lane)) in missing.iter_mut().zip(&market.lane_of).enumerate() {
            if row[lane].is_nan() {
                *missing = missing.map(|bars| bars + 1);
            } else if *missing != Some(0) {
                if let Some(bars) = *missing {
                    found.push(Silence { symbol, first: bar - bars, bars });
                }
                *missing = Some(0);
            }
        }
    }
    for (symbol, missing) in missing.into_iter().enumerate() {
        if let Some(bars) = missing.filter(|&bars| bars > 0) {
            found.push(Silence { symbol, first: market.grid.bars - bars, bars });
        }
    }
    found.retain(|silence| market.symbols[silence.symbol].contract.delisted_ms.is_none());
    found
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
