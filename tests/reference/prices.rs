//! How a price comes about: rounding, triggers, the stop run, slippage (semantics 2.2–2.5, 2.8, 2.10).

use barloom::config::plan::{Slippage, SlippageShape, VolumeRef};
use barloom::engine::api::{Regime, Side};
use std::cmp::Ordering;

use super::chart::Bar;
use super::decimal::{Decimal, Grid};

/// The price grid of a symbol; none: prices are not rounded and compared as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PriceGrid {
    pub(crate) tick: Option<Grid>,
}

impl PriceGrid {
    fn down(&self, price: f64) -> f64 {
        self.tick.map_or(price, |tick| tick.value(tick.floor(price)))
    }
    fn up(&self, price: f64) -> f64 {
        self.tick.map_or(price, |tick| tick.value(tick.ceil(price)))
    }
    /// 2.10: fill prices, buys up, sells down (adverse).
    pub(crate) fn round_fill(&self, side: Side, price: f64) -> f64 {
        match side {
            Side::Buy => self.up(price),
            Side::Sell => self.down(price),
        }
    }
    /// 2.10: stop triggers, buys up, sells down.
    pub(crate) fn round_stop(&self, side: Side, price: f64) -> f64 {
        self.round_fill(side, price)
    }
    /// 2.10: limit prices, buys down, sells up (never more aggressive than asked).
    pub(crate) fn round_limit(&self, side: Side, price: f64) -> f64 {
        match side {
            Side::Buy => self.down(price),
            Side::Sell => self.up(price),
        }
    }
    /// `price ≥ level`, in whole ticks (2.10); `level` is on the grid.
    pub(crate) fn at_or_above(&self, price: f64, level: f64) -> bool {
        self.tick.map_or(price >= level, |tick| tick.floor(price) >= tick.floor(level))
    }
    /// `price ≤ level`, in whole ticks.
    pub(crate) fn at_or_below(&self, price: f64, level: f64) -> bool {
        self.tick.map_or(price <= level, |tick| tick.ceil(price) <= tick.ceil(level))
    }
    /// 2.4: a stop of this side is triggered where the price gets to `price`; touch, inclusive.
    pub(crate) fn reaches_stop(&self, side: Side, price: f64, trigger_px: f64) -> bool {
        match side {
            Side::Buy => self.at_or_above(price, trigger_px),
            Side::Sell => self.at_or_below(price, trigger_px),
        }
    }
    /// 2.5: the price is at a limit of this side, or better than it.
    pub(crate) fn reaches_limit(&self, side: Side, price: f64, limit_px: f64) -> bool {
        match side {
            Side::Buy => self.at_or_below(price, limit_px),
            Side::Sell => self.at_or_above(price, limit_px),
        }
    }
    /// 2.5: one tick through a limit of this side; without a tick: strictly beyond it.
    pub(crate) fn trades_through(&self, side: Side, price: f64, limit_px: f64) -> bool {
        match (side, self.tick) {
            (Side::Buy, Some(tick)) => tick.ceil(price) < tick.ceil(limit_px),
            (Side::Buy, None) => price < limit_px,
            (Side::Sell, Some(tick)) => tick.floor(price) > tick.floor(limit_px),
            (Side::Sell, None) => price > limit_px,
        }
    }
    /// 2.7: `W ≥ p_entry + activation` (long), `≤` (short), in whole ticks; the level may lie between two of them.
    pub(crate) fn has_come_to(&self, is_long: bool, high_water_px: f64, level_px: f64) -> bool {
        match (is_long, self.tick) {
            (true, Some(tick)) => tick.floor(high_water_px) >= tick.ceil(level_px),
            (true, None) => high_water_px >= level_px,
            (false, Some(tick)) => tick.ceil(high_water_px) <= tick.floor(level_px),
            (false, None) => high_water_px <= level_px,
        }
    }
}

/// How a bar reaches a stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum StopTouch {
    /// The open is at or beyond the trigger: base is the open.
    Gap { base_px: f64 },
    /// Touched inside the bar: base is the trigger, moved by κ toward the bar's extreme.
    Intrabar { base_px: f64 },
}

/// 2.4, trigger on the last price. `side` is the side of the stop order.
pub(crate) fn stop_touch(
    grid: &PriceGrid,
    side: Side,
    trigger_px: f64,
    bar: &Bar,
    kappa: f64,
) -> Option<StopTouch> {
    if grid.reaches_stop(side, bar.open, trigger_px) {
        Some(StopTouch::Gap { base_px: bar.open })
    } else if grid.reaches_stop(side, bar.worst_for_stop(side), trigger_px) {
        Some(StopTouch::Intrabar { base_px: stop_base(side, trigger_px, bar, kappa) })
    } else {
        None
    }
}

/// 2.4: `S + κ·(X − S)`. Choice: a level beyond the whole bar on the far side (of a fill in this bar, or of its own
/// favourable extreme) counts as the bar's extreme there, so that the base stays in the bar (4.9, I7).
pub(crate) fn stop_base(side: Side, trigger_px: f64, bar: &Bar, kappa: f64) -> f64 {
    let stop_px = trigger_px.max(bar.low).min(bar.high);
    stop_px + kappa * (bar.worst_for_stop(side) - stop_px)
}

/// 2.6, adaptive: whether the path of the bar is O-H-L-C (`H−O ≤ O−L`), else O-L-H-C.
pub(crate) fn high_comes_first(bar: &Bar) -> bool {
    let open = Decimal::of(bar.open);
    Decimal::of(bar.high).plus(Decimal::of(bar.low)).compare(open.plus(open)) != Ordering::Greater
}

/// Slippage of one taker fill.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slip {
    pub(crate) bps: f64,
    /// `NaN` where no volume was read or it is 0.
    pub(crate) participation: f64,
}

/// 2.8, 7.3: `R` of a regime; without one the bar is NORMAL.
pub(crate) fn regime_mult(plan: &Slippage, regime: Option<Regime>) -> f64 {
    match regime {
        None | Some(Regime::Normal) => plan.regime_mult_normal,
        Some(Regime::Thin) => plan.regime_mult_thin,
        Some(Regime::Vacuum) => plan.regime_mult_vacuum,
    }
}

/// 2.8. `exec_volume` is that of the bar of the fill, `trailing_volume` the mean through the bar before, `volatility` that
/// through the bar before, where slippage scales with it and there is one.
pub(crate) fn slippage(
    plan: &Slippage,
    consumed_and_own_qty: f64,
    exec_volume: f64,
    trailing_volume: Option<f64>,
    volatility: Option<f64>,
    regime_mult: f64,
) -> Slip {
    let clamped = |bps: f64| bps.max(plan.min_bps).min(plan.max_bps);
    if plan.b_bps == 0.0 && plan.vol_scale.is_none() {
        return Slip { bps: clamped(plan.a_bps * regime_mult), participation: f64::NAN };
    }
    let trailing = || trailing_volume.expect("a fill comes after the first present bar");
    let reference = match plan.volume_ref {
        VolumeRef::ExecBar => exec_volume,
        VolumeRef::Trailing => trailing(),
        VolumeRef::MinExecTrailing => exec_volume.min(trailing()),
    };
    if reference == 0.0 {
        return Slip { bps: plan.max_bps, participation: f64::NAN };
    }
    let participation = consumed_and_own_qty / reference;
    let f = match plan.shape {
        SlippageShape::Sqrt => participation.sqrt(),
        SlippageShape::Linear => participation,
        SlippageShape::Square => participation * participation,
    };
    // Choice: the plain coefficient stands while there is no volatility.
    let b_bps = plan.vol_scale.zip(volatility).map_or(plan.b_bps, |(scale, sigma)| scale.y * sigma * 1e4);
    Slip { bps: clamped((plan.a_bps + b_bps * f) * regime_mult), participation }
}

/// 2.2: `base·(1 + s·bps/1e4)`, before rounding.
pub(crate) fn slipped(side: Side, base_px: f64, bps: f64) -> f64 {
    base_px * (1.0 + side.sign() * bps / 1e4)
}
