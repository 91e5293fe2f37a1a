//! When funding settles: records, settlements that the records lack, and what is known of the next one (semantics 3.3,
//! 3.4).

use crate::config::plan::FundingMissing;
use crate::events::FundingPayment;
use crate::market::{FundingRecord, Market};

/// Index of a payment that has no record on the market's tape.
pub const NO_RECORD: u32 = u32::MAX;

/// One settlement: a record, or one that is missing and was filled in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settlement {
    /// What settles.
    pub record: FundingRecord,
    /// Index on the market's tape, or [`NO_RECORD`].
    pub index: u32,
    /// Time to the next settlement as far as it was known by then, ms; 0: unknown.
    pub interval_ms: i64,
}

/// All settlements of a market under one policy for missing ones; none where funding is off.
#[derive(Debug, Default)]
pub struct FundingSchedule {
    /// Those that are paid, in bar order, then by time and symbol: a symbol pays none from its delisting on.
    pub tape: Vec<Settlement>,
    /// All by symbol, also those that nobody pays.
    by_symbol: Vec<Vec<Settlement>>,
}

impl FundingSchedule {
    /// The settlements of a market.
    pub fn new(market: &Market, missing: FundingMissing) -> Self {
        let mut by_symbol: Vec<Vec<Settlement>> = vec![Vec::new(); market.symbols.len()];
        let mut last_record: Vec<Option<FundingRecord>> = vec![None; market.symbols.len()];
        for (index, &record) in market.funding.records.iter().enumerate() {
            let symbol = record.symbol as usize;
            let (settled, last) = (&mut by_symbol[symbol], &mut last_record[symbol]);
            fill_in(market, missing, settled, *last, record.time_ms - 1);
            let since = last.map_or(0, |last| record.time_ms - last.time_ms);
            let interval_ms = if record.interval_ms > 0 { record.interval_ms } else { since };
            settled.push(Settlement { record, index: index as u32, interval_ms });
            *last = Some(record);
        }
        let end_ms = market.grid.open_ms(market.grid.bars) - 1;
        for (settled, last) in by_symbol.iter_mut().zip(last_record) {
            fill_in(market, missing, settled, last, end_ms);
        }
        let delisted_ms = |symbol: u32| market.symbols[symbol as usize].contract.delisted_ms;
        let is_paid =
            |s: &&Settlement| delisted_ms(s.record.symbol).is_none_or(|delisted| s.record.time_ms < delisted);
        let mut tape: Vec<Settlement> = by_symbol.iter().flatten().filter(is_paid).copied().collect();
        tape.sort_by_key(|s| (s.record.bar, s.record.time_ms, s.record.symbol));
        Self { tape, by_symbol }
    }
    /// Index of the first settlement at or after `bar`.
    pub fn first_from(&self, bar: usize) -> usize {
        self.tape.partition_point(|s| (s.record.bar as usize) < bar)
    }
    /// The last settlement of a symbol that is known at the close of `bar`, which the next open is.
    pub fn last_known(&self, symbol: usize, bar: usize) -> Option<&Settlement> {
        let settled = &self.by_symbol[symbol];
        settled[..settled.partition_point(|s| s.record.bar as usize <= bar + 1)].last()
    }
}

impl Settlement {
    /// What a position pays at the open of a bar (semantics 3.3).
    #[inline]
    pub fn payment(&self, bar: usize, qty: f64) -> FundingPayment {
        let FundingRecord { symbol, mark_px, rate_frac, .. } = self.record;
        let cash_usdt = -qty * mark_px * rate_frac;
        FundingPayment { bar: bar as u32, symbol, record: self.index, cash_usdt }
    }
    /// When the next one is due, as known after this one.
    pub fn next_ms(&self) -> Option<i64> {
        (self.interval_ms > 0).then(|| self.record.time_ms + self.interval_ms)
    }
    /// Whether an opening that acts at `acts_ms` lies in the window around this settlement or the next.
    pub fn blocks(&self, acts_ms: i64, (before_ms, after_ms): (i64, i64)) -> bool {
        let within = |time_ms: i64| time_ms - before_ms <= acts_ms && acts_ms <= time_ms + after_ms;
        within(self.record.time_ms) || self.next_ms().is_some_and(within)
    }
}

/// Adds the settlements that records lack through a time.
fn fill_in(
    market: &Market,
    missing: FundingMissing,
    settled: &mut Vec<Settlement>,
    last_record: Option<FundingRecord>,
    through_ms: i64,
) {
    let Some(last_record) = last_record else { return };
    let rate_frac = match missing {
        FundingMissing::None => return,
        FundingMissing::LastRate => last_record.rate_frac,
        FundingMissing::Constant(rate_frac) => rate_frac,
    };
    while let Some(last) = settled.last().copied()
        && let Some(time_ms) = last.next_ms().filter(|&ms| ms <= through_ms)
    {
        let bar = market.grid.first_bar_from(time_ms);
        if bar >= market.grid.bars {
            return;
        }
        let mark_px = mark_at_open(market, last_record.symbol as usize, bar);
        let record = FundingRecord { bar: bar as u32, time_ms, rate_frac, mark_px, ..last_record };
        settled.push(Settlement { record, index: NO_RECORD, ..last });
    }
}

/// Open of a bar, else the last close before it; 0 where there is neither.
fn mark_at_open(market: &Market, symbol: usize, bar: usize) -> f64 {
    let (panels, lane) = (&market.panels, market.lane_of[symbol]);
    let at = |bar: usize| (market.first_row + bar) * panels.lanes + lane;
    let open = panels.open[at(bar)];
    if !open.is_nan() {
        return open;
    }
    (0..bar).rev().map(|bar| panels.close[at(bar)]).find(|close| !close.is_nan()).unwrap_or(0.0)
}
