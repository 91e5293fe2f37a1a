//! Funding as the account settles it: at the open, before or after the fills there (semantics 3.3).

use super::account::{Account, Bar};
use crate::config::plan::FundingBoundary;
use crate::events::{FundingPayment, Recorder};

impl Account {
    /// Settles the records of this open on what was held before it, or remembers them until after its fills.
    ///
    /// A symbol delisted at `D` pays no funding at `D` or after.
    #[inline]
    pub(super) fn settle_funding<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        let records = &bar.venue.market.funding.records;
        while let Some(record) = records.get(self.funding_at).filter(|record| record.bar as usize == bar.bar)
        {
            let delisted_ms = bar.venue.market.symbols[record.symbol as usize].contract.delisted_ms;
            if self.plan.funding.enabled && delisted_ms.is_none_or(|delisted| record.time_ms < delisted) {
                let qty = self.book.qty[record.symbol as usize];
                let cash = -qty * record.mark_px * record.rate_frac;
                match self.plan.funding.boundary {
                    FundingBoundary::HeldBefore if qty == 0.0 => {}
                    FundingBoundary::HeldBefore => self.pay_funding(bar, self.funding_at, cash, recorder),
                    FundingBoundary::IncludeOpenFills | FundingBoundary::Pessimistic => {
                        self.late_funding.push((self.funding_at, cash));
                    }
                }
            }
            self.funding_at += 1;
        }
    }
    /// Settles what waited for the fills of the open.
    #[inline]
    pub(super) fn settle_late_funding<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        for at in 0..self.late_funding.len() {
            let (record_at, before) = self.late_funding[at];
            let record = &bar.venue.market.funding.records[record_at];
            let after = -self.book.qty[record.symbol as usize] * record.mark_px * record.rate_frac;
            let cash = match self.plan.funding.boundary {
                FundingBoundary::Pessimistic => before.min(after),
                _ => after,
            };
            if cash != 0.0 {
                self.pay_funding(bar, record_at, cash, recorder);
            }
        }
        self.late_funding.clear();
    }
    fn pay_funding<R: Recorder>(&mut self, bar: &Bar<'_>, at: usize, cash_usdt: f64, recorder: &mut R) {
        self.book.book_cash(cash_usdt);
        let symbol = bar.venue.market.funding.records[at].symbol;
        recorder.funding(&FundingPayment { bar: bar.bar as u32, symbol, record: at as u32, cash_usdt });
    }
}
