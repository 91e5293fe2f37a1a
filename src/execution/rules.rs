//! Trading rules of a symbol as the engine reads them: rounding and admission (semantics 2.10).

use crate::events::{OrderKind, Side};
use crate::market::{Contract, StepGrid};

/// Relative difference of two prices beyond which no tolerance of the tick grid can make them equal.
pub const SLACK: f64 = 1e-8;

/// Rounding, minimums and maximums of one symbol.
#[derive(Debug, Clone, Copy)]
pub struct SymbolRules {
    /// Price grid, where the contract has one.
    pub tick: Option<StepGrid>,
    /// Quantity grid.
    pub step: StepGrid,
    min_qty: f64,
    max_market_qty: f64,
    max_limit_qty: f64,
    min_notional_usdt: f64,
}

/// Relative rounding of a product of a quantity and a price: 50,000 at 0.018 is 900, and in f64 a digit less.
const NOTIONAL_ROUNDING: f64 = 4.0 * f64::EPSILON;
/// Most slices an order is split into; what would need more is a slip of the pen.
const MOST_SLICES: f64 = 1000.0;

impl SymbolRules {
    /// Rules of a contract.
    pub fn new(contract: &Contract) -> Self {
        Self {
            tick: contract.tick,
            step: contract.step,
            min_qty: contract.min_qty,
            max_market_qty: contract.max_qty.min(contract.market_max_qty),
            max_limit_qty: contract.max_qty,
            min_notional_usdt: contract.min_notional_usdt * (1.0 - NOTIONAL_ROUNDING),
        }
    }
    /// Largest quantity of a type. Stops execute as market orders.
    fn max_qty(&self, kind: OrderKind) -> f64 {
        match kind {
            OrderKind::Market | OrderKind::Stop => self.max_market_qty,
            OrderKind::Limit | OrderKind::StopLimit => self.max_limit_qty,
        }
    }
    /// Smallest and largest quantity and smallest notional of an opening market order.
    pub fn market_bounds(&self) -> [f64; 3] {
        [self.min_qty, self.max_market_qty, self.min_notional_usdt]
    }
    /// Steps of a slice of an order that is split; infinite where the type has no largest quantity, or one below a step,
    /// which nothing can be split by.
    pub fn slice_steps(&self, kind: OrderKind) -> f64 {
        let steps = self.step.steps_floor(self.max_qty(kind));
        if steps >= 1.0 { steps } else { f64::INFINITY }
    }
    /// Why an order of `qty` would not be admitted for its size; `splits`: one above the largest quantity is split.
    #[inline]
    pub fn quantity_rejection(&self, qty: f64, kind: OrderKind, splits: bool) -> Option<&'static str> {
        let largest = self.max_qty(kind);
        if qty <= 0.0 || qty < self.min_qty {
            Some("min_qty")
        } else if qty > largest
            && !(splits && qty <= MOST_SLICES * largest && self.slice_steps(kind).is_finite())
        {
            Some("max_qty")
        } else {
            None
        }
    }
    /// Why an opening leg of `qty` would not be admitted at `price_px`.
    #[inline]
    pub fn opening_rejection(
        &self,
        qty: f64,
        price_px: f64,
        kind: OrderKind,
        splits: bool,
    ) -> Option<&'static str> {
        self.quantity_rejection(qty, kind, splits)
            .or_else(|| (!self.meets_min_notional(qty, price_px)).then_some("min_notional"))
    }
    /// Whether an opening leg at `price_px` meets the minimum notional (checked at the decision and at the fill).
    #[inline]
    pub fn meets_min_notional(&self, qty: f64, price_px: f64) -> bool {
        qty * price_px >= self.min_notional_usdt
    }
    /// A fill price, rounded against the trader: buys up, sells down.
    #[inline]
    pub fn round_fill(&self, price_px: f64, side: Side) -> f64 {
        match self.tick {
            None => price_px,
            // Down is up mirrored; written so, the side is no branch.
            Some(tick) => tick.value(side.sign() * tick.steps_ceil(side.sign() * price_px)),
        }
    }
    /// A stop trigger: buys up, sells down.
    pub fn round_stop(&self, price_px: f64, side: Side) -> f64 {
        self.round_fill(price_px, side)
    }
    /// A limit price, never more aggressive than asked: buys down, sells up.
    pub fn round_limit(&self, price_px: f64, side: Side) -> f64 {
        self.round_fill(price_px, side.opposite())
    }
    /// Whether a price has come to a level from below (`s` = +1) or from above (−1), in whole ticks.
    #[inline]
    pub fn has_come_to(&self, s: f64, price_px: f64, level_px: f64) -> bool {
        match self.tick {
            None => s * (price_px - level_px) >= 0.0,
            Some(tick) => tick.steps_floor(s * price_px) >= tick.steps_ceil(s * level_px),
        }
    }
    /// Whether a price is at or beyond a level, going up for `s` = +1 and down for −1; compared in whole ticks, which only
    /// prices next to the level ask for.
    #[inline]
    pub fn at_or_beyond(&self, s: f64, price_px: f64, level_px: f64) -> bool {
        let beyond = s * (price_px - level_px);
        if beyond.abs() > level_px.abs() * SLACK {
            beyond > 0.0
        } else {
            s * (self.in_ticks(price_px) - self.in_ticks(level_px)) >= 0.0
        }
    }
    /// Whether a price reaches a resting limit order at `limit_px` (semantics 2.5); `touches`: touching is enough.
    #[inline]
    pub fn limit_reached(&self, side: Side, limit_px: f64, price_px: f64, touches: bool) -> bool {
        let beyond = side.sign() * (self.in_ticks(limit_px) - self.in_ticks(price_px));
        if touches {
            beyond >= 0.0
        } else if self.tick.is_some() {
            beyond >= 1.0
        } else {
            beyond > 0.0
        }
    }
    /// A price in whole ticks where there is a grid, else as it is; only for comparing.
    #[inline]
    pub fn in_ticks(&self, price_px: f64) -> f64 {
        self.tick.map_or(price_px, |tick| tick.in_steps(price_px))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notional_of_just_the_minimum_meets_it() {
        let rules = SymbolRules::new(&Contract { min_notional_usdt: 900.0, ..Contract::default() });
        let in_f64 = 50_000.0 * 0.018;
        assert!(in_f64 < 900.0 && rules.meets_min_notional(50_000.0, 0.018));
        assert!(!rules.meets_min_notional(49_999.999_999, 0.018));
    }

    #[test]
    fn a_limit_is_never_more_aggressive_than_asked() {
        let rules = SymbolRules::new(&Contract { tick: Some(StepGrid::new(0.1)), ..Contract::default() });
        assert_eq!(rules.round_limit(100.07, Side::Buy), 100.0);
        assert_eq!(rules.round_limit(100.03, Side::Sell), 100.1);
        assert_eq!(rules.round_fill(100.01, Side::Buy), 100.1);
        assert_eq!(rules.round_stop(100.09, Side::Sell), 100.0);
    }
}
