//! Initial and maintenance margin (semantics 4.5–4.8).

use super::engine::Engine;
use super::orders::{Offer, Order};

impl Engine<'_> {
    /// Clearance fee of a symbol (3.2).
    pub(super) fn liquidation_fee_frac(&self, symbol: usize) -> f64 {
        let fallback = self.plan.margin.map_or(0.0, |margin| margin.liq_fee_frac);
        self.contract(symbol).liquidation_fee_frac.unwrap_or(fallback)
    }

    pub(super) fn admit_margin_at_fill(
        &self,
        _order: &Order,
        _bar: usize,
        _closed: i128,
        opened: i128,
        _offer: &Offer,
    ) -> Result<i128, &'static str> {
        Ok(opened)
    }
}
