//! The price chain of a taker fill: base → slippage → adverse tick rounding (semantics 2.2, 2.8).

use super::rules::SymbolRules;
use crate::config::plan::{Slippage, SlippageShape};
use crate::events::Side;

/// A priced fill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Priced {
    /// Price paid or received, USDT.
    pub price_px: f64,
    /// Slippage applied, bps.
    pub slippage_bps: f64,
    /// Participation π; `NaN` where none was computed.
    pub participation: f64,
}

/// Slippage in bps of a taker fill that takes the bar's consumption to `consumed_qty + qty` (semantics 2.8).
///
/// A volume reference of 0 (forced closes only) gives the maximum. Returns bps and participation. The coefficient of
/// participation is `b_bps`: where it scales with volatility, ask the model [`Slippage::at_volatility`].
///
/// ```
/// use barloom::config::plan::{Slippage, SlippageShape, VolumeRef};
/// use barloom::execution::pricing::slippage_bps;
/// let model = Slippage {
///     shape: SlippageShape::Sqrt, a_bps: 1.0, b_bps: 30.0, min_bps: 0.5, max_bps: 200.0,
///     stop_mult: 1.0, volume_ref: VolumeRef::ExecBar, regime_mult_normal: 1.0, regime_mult_thin: 2.0,
///     regime_mult_vacuum: 4.0, vol_scale: None,
/// };
/// assert_eq!(slippage_bps(&model, 20.0, 2000.0, 1.0), (4.0, 0.01));
/// ```
#[inline]
pub fn slippage_bps(
    model: &Slippage,
    consumed_and_own_qty: f64,
    volume_ref_qty: f64,
    regime_mult: f64,
) -> (f64, f64) {
    if !model.reads_volume() {
        return ((model.a_bps * regime_mult).clamp(model.min_bps, model.max_bps), f64::NAN);
    }
    if volume_ref_qty <= 0.0 || volume_ref_qty.is_nan() {
        return (model.max_bps, f64::NAN);
    }
    let participation = consumed_and_own_qty / volume_ref_qty;
    let shaped = match model.shape {
        SlippageShape::Sqrt => participation.sqrt(),
        SlippageShape::Linear => participation,
        SlippageShape::Square => participation * participation,
    };
    let bps = ((model.a_bps + model.b_bps * shaped) * regime_mult).clamp(model.min_bps, model.max_bps);
    (bps, participation)
}

/// Applies slippage and adverse rounding to a base price. `clamp` is the bar's `(low, high)` where fills are clamped.
#[inline]
pub fn taker_price(
    rules: &SymbolRules,
    side: Side,
    base_px: f64,
    bps: f64,
    round_to_tick: bool,
    clamp: Option<(f64, f64)>,
) -> f64 {
    rounded_price(rules, side, base_px * slippage_factor(side, bps), round_to_tick, clamp)
}

/// What slippage makes of a price of 1: `1 + s·bps/1e4`.
#[inline]
pub fn slippage_factor(side: Side, bps: f64) -> f64 {
    1.0 + side.sign() * bps / 1e4
}

/// Slippage of market orders where no volume is read: known before the first bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FixedSlippage {
    /// Slippage, bps.
    pub bps: f64,
    /// What it makes of a price of 1, for sells and for buys.
    pub factor: [f64; 2],
    /// Slippage of stops, bps.
    pub stop_bps: f64,
    /// What that makes of a price of 1, for sells and for buys.
    pub stop_factor: [f64; 2],
}

impl FixedSlippage {
    /// Of a model that reads no volume.
    pub fn of(model: &Slippage) -> Self {
        let (bps, _) = slippage_bps(model, 0.0, 0.0, model.regime_mult_normal);
        let factor = |bps: f64| [slippage_factor(Side::Sell, bps), slippage_factor(Side::Buy, bps)];
        let stop_bps = bps * model.stop_mult;
        Self { bps, factor: factor(bps), stop_bps, stop_factor: factor(stop_bps) }
    }
}

/// The end of the price chain, after slippage.
#[inline]
pub fn rounded_price(
    rules: &SymbolRules,
    side: Side,
    mut price_px: f64,
    round_to_tick: bool,
    clamp: Option<(f64, f64)>,
) -> f64 {
    if let Some((low, high)) = clamp {
        price_px = price_px.max(low).min(high);
    }
    if round_to_tick { rules.round_fill(price_px, side) } else { price_px }
}

/// How a stop-market order with trigger `stop_px` meets a bar (semantics 2.4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StopHit {
    /// Not reached.
    No,
    /// The bar opened at or beyond the trigger: base is the open.
    Gap {
        /// Base price.
        base_px: f64,
    },
    /// Traded through inside the bar: base is the trigger plus the overshoot toward the bar's extreme.
    Through {
        /// Base price.
        base_px: f64,
    },
}

/// The end of a bar that an order trading to `side` runs to.
#[inline]
fn extreme_toward(side: Side, high: f64, low: f64) -> f64 {
    match side {
        Side::Buy => high,
        Side::Sell => low,
    }
}

/// Base price of a stop that a bar trades through.
#[inline]
pub fn through_px(side: Side, stop_px: f64, high: f64, low: f64, overshoot: f64) -> f64 {
    // A level on the far side of the whole bar, of a position entered inside it, counts as the bar's own edge.
    let from = stop_px.max(low).min(high);
    from + overshoot * (extreme_toward(side, high, low) - from)
}

/// Tests a stop-market order against a bar. Touch triggers; a gap fills at the open, never better than the stop.
#[inline]
pub fn stop_hit(
    rules: &SymbolRules,
    side: Side,
    stop_px: f64,
    open: f64,
    high: f64,
    low: f64,
    overshoot: f64,
) -> StopHit {
    let (s, extreme) = (side.sign(), extreme_toward(side, high, low));
    if rules.at_or_beyond(s, open, stop_px) {
        StopHit::Gap { base_px: open }
    } else if rules.at_or_beyond(s, extreme, stop_px) {
        StopHit::Through { base_px: through_px(side, stop_px, high, low, overshoot) }
    } else {
        StopHit::No
    }
}
