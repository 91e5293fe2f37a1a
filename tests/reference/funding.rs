//! Funding: who pays, settlements that the records lack, windows, closing before a settlement (semantics 3.3, 3.4).

use barloom::config::plan::{FundingBoundary, FundingMissing};
use barloom::engine::api::{FillReason, NO_ORDER};

use super::RefFunding;
use super::engine::Engine;
use super::orders::{Order, Size};
use super::prices::{regime_mult, slippage};

/// What a payment without a record has for the index of its record.
const NO_RECORD: usize = u32::MAX as usize;

/// One settlement of one symbol.
#[derive(Debug, Clone, Copy)]
struct Settlement {
    symbol: usize,
    /// In whose open phase it settles.
    bar: usize,
    time_ms: i64,
    rate_frac: f64,
    /// `M(τ)` of the record.
    mark_px: Option<f64>,
    record: usize,
}

/// The settlements of a symbol so far, and how far apart its last two records were.
struct Schedule {
    settled: Vec<Settlement>,
    interval_ms: Option<i64>,
}

impl Schedule {
    /// 3.4: `next_τ` = last settled τ + last known interval.
    fn next_ms(&self) -> Option<i64> {
        Some(self.settled.last()?.time_ms + self.interval_ms?)
    }
}

impl Engine<'_> {
    /// All settlements of a symbol through the open of a bar. Choice: one is missing where `next_τ` passes without a
    /// record; the interval is that between the last two records.
    fn schedule(&self, symbol: usize, through_bar: usize) -> Schedule {
        let mut schedule = Schedule { settled: Vec::new(), interval_ms: None };
        let mut last_record: Option<Settlement> = None;
        for (index, record) in self.input.market.funding.records.iter().enumerate() {
            if record.symbol as usize != symbol || record.bar as usize > through_bar {
                continue;
            }
            self.fill_in(&mut schedule, last_record, record.time_ms - 1);
            let settlement = Settlement {
                symbol,
                bar: record.bar as usize,
                time_ms: record.time_ms,
                rate_frac: record.rate_frac,
                mark_px: Some(record.mark_px),
                record: index,
            };
            schedule.settled.push(settlement);
            if let Some(last) = last_record {
                schedule.interval_ms = Some(record.time_ms - last.time_ms).filter(|&ms| ms > 0);
            }
            last_record = Some(settlement);
        }
        self.fill_in(&mut schedule, last_record, self.input.market.grid.open_ms(through_bar));
        schedule
    }

    /// 3.3, `missing_funding`: what the records lack through a time.
    fn fill_in(&self, schedule: &mut Schedule, last_record: Option<Settlement>, through_ms: i64) {
        let Some(last) = last_record else { return };
        let rate_frac = match self.plan.funding.missing {
            FundingMissing::None => return,
            FundingMissing::LastRate => last.rate_frac,
            FundingMissing::Constant(rate_frac) => rate_frac,
        };
        while let Some(time_ms) = schedule.next_ms().filter(|&ms| ms <= through_ms) {
            let (symbol, bar) = (last.symbol, self.input.market.grid.first_bar_from(time_ms));
            schedule.settled.push(Settlement {
                symbol,
                bar,
                time_ms,
                rate_frac,
                mark_px: None,
                record: NO_RECORD,
            });
        }
    }

    /// What settles in a bar, by time, then symbol id; nothing for a symbol that is settled by delisting by then.
    fn due_settlements(&self, bar: usize) -> Vec<Settlement> {
        let mut due = Vec::new();
        for symbol in self.symbols() {
            let delisted_ms = self.contract(symbol).delisted_ms.unwrap_or(i64::MAX);
            let settled = self.schedule(symbol, bar).settled;
            due.extend(settled.into_iter().filter(|s| s.bar == bar && s.time_ms < delisted_ms));
        }
        due.sort_by_key(|settlement| (settlement.time_ms, settlement.symbol));
        due
    }

    /// 3.3: `cash = −q·M·r`; `M(τ)` is the record's, else the open of the bar, else the last close.
    fn cash_usdt(&self, settlement: &Settlement, steps: i128) -> f64 {
        let Settlement { symbol, bar, .. } = *settlement;
        let open_px = || self.chart.bar(symbol, bar).map(|prices| prices.open);
        let mark_px = settlement.mark_px.or_else(open_px).or_else(|| self.chart.last_close(symbol, bar));
        -self.step(symbol).value(steps) * mark_px.unwrap_or(0.0) * settlement.rate_frac
    }

    /// Choice: an account that was ruined at this open pays no more for what it held before.
    fn pay(&mut self, settlement: &Settlement, steps: i128) {
        if steps != 0 && !self.is_ruined {
            let cash_usdt = self.cash_usdt(settlement, steps);
            self.money.funding += cash_usdt;
            let Settlement { bar, symbol, record, .. } = *settlement;
            if self.isolated().is_some() && self.positions[symbol].steps != 0 {
                self.positions[symbol].wallet_usdt += cash_usdt;
            }
            self.out.funding.push(RefFunding { bar, symbol, record, cash_usdt });
        }
    }

    /// Phase 1: positions held just before τ, under `held_before`; otherwise they are remembered.
    pub(super) fn settle_funding_before_the_open(&mut self, bar: usize) {
        self.held_before = self.positions.iter().map(|position| position.steps).collect();
        if self.plan.funding.enabled && self.plan.funding.boundary == FundingBoundary::HeldBefore {
            for settlement in self.due_settlements(bar) {
                self.pay(&settlement, self.held_before[settlement.symbol]);
            }
        }
    }

    /// After the open instant (decision 7.21). Under `pessimistic` the smaller of two amounts, the one after the open
    /// where it is the smaller; both are booked here.
    pub(super) fn settle_funding_after_the_open(&mut self, bar: usize) {
        if !self.plan.funding.enabled || self.plan.funding.boundary == FundingBoundary::HeldBefore {
            return;
        }
        for settlement in self.due_settlements(bar) {
            let before = self.held_before[settlement.symbol];
            let after = self.positions[settlement.symbol].steps;
            let before_counts = self.plan.funding.boundary == FundingBoundary::Pessimistic
                && self.cash_usdt(&settlement, before) <= self.cash_usdt(&settlement, after);
            self.pay(&settlement, if before_counts { before } else { after });
        }
    }

    /// 3.4, decision 7.22: whether an order decided at `K_bar` would first act inside a window. What settles at the
    /// open of the next bar is known at `K_bar`.
    pub(super) fn is_in_funding_window(&self, bar: usize, symbol: usize) -> bool {
        let Some((pre_ms, post_ms)) = self.plan.funding.window_ms.filter(|_| self.plan.funding.enabled)
        else {
            return false;
        };
        let acts_ms = self.input.market.grid.open_ms(bar + 1);
        let schedule = self.schedule(symbol, bar + 1);
        let mut times = schedule.settled.iter().map(|s| s.time_ms).chain(schedule.next_ms());
        times.any(|time_ms| time_ms - pre_ms <= acts_ms && acts_ms <= time_ms + post_ms)
    }

    /// 3.4, close-before-funding at `K_bar`: the next open is the last one before τ, and paying costs more than the
    /// threshold and than a round trip.
    pub(super) fn close_before_funding(&mut self, bar: usize) {
        let threshold_frac = self.plan.funding.close_before_frac;
        if !self.plan.funding.enabled || threshold_frac == 0.0 || bar + 1 == self.input.run.end {
            return;
        }
        let grid = &self.input.market.grid;
        for symbol in self.symbols().filter(|&s| self.positions[s].steps != 0).collect::<Vec<_>>() {
            let schedule = self.schedule(symbol, bar + 1);
            let (Some(next_ms), Some(last)) = (schedule.next_ms(), schedule.settled.last()) else { continue };
            let is_last_open = grid.open_ms(bar + 1) < next_ms && next_ms <= grid.open_ms(bar + 2);
            let cost_frac = self.positions[symbol].steps.signum() as f64 * last.rate_frac;
            let round_trip_frac = self.round_trip_frac(bar, symbol);
            if is_last_open && cost_frac > threshold_frac && cost_frac > round_trip_frac {
                let side = self.positions[symbol].exit_side();
                let order = Order {
                    id: NO_ORDER,
                    ttl_bars: 1,
                    own_reason: Some(FillReason::FundingExit),
                    ..Order::market(bar, symbol, side, Size::CloseAll)
                };
                self.orders.push(order);
            }
        }
    }

    /// Choice: twice the taker fee in force at the next open and the slippage of the whole position against the
    /// trailing volume.
    fn round_trip_frac(&self, bar: usize, symbol: usize) -> f64 {
        let qty = self.step(symbol).value(self.positions[symbol].steps.abs());
        let volume = self.chart.trailing_volume(symbol, bar).expect("a position has bars");
        let mult = regime_mult(&self.plan.slippage, self.regime_at(symbol, bar));
        let sigma = self.volatility(symbol, bar);
        let slip = slippage(&self.plan.slippage, qty, volume, Some(volume), sigma, mult);
        2.0 * (self.taker_fee_frac(bar + 1) + slip.bps / 1e4)
    }
}
