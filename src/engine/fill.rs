//! From a price to the books: one fill, its fee, its record, and the levels it leaves behind.

use super::account::{Account, Bar};
use super::isolated::MarginMove;
use crate::config::plan::{CapAppliesTo, VolumeRef};
use crate::events::{Fill, FillFlags, FillReason, Liquidity, NO_ORDER, NO_TAG, Recorder, Regime, Side};
use crate::execution::pricing::{Priced, rounded_price, slippage_bps, slippage_factor};
use crate::portfolio::Lane;

/// Who asked for a fill.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) order_id: u32,
    pub(super) tag: u32,
}

impl Origin {
    /// The engine itself: levels, settlements.
    pub(super) const ENGINE: Self = Self { order_id: NO_ORDER, tag: NO_TAG };
}

/// An execution that has its price and waits to be booked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Execution {
    pub(super) lane: Lane,
    pub(super) side: Side,
    /// Positive.
    pub(super) steps: f64,
    /// The same in base units.
    pub(super) qty: f64,
    pub(super) base_px: f64,
    /// Trigger of a stop, liquidation price; `NaN`: none.
    pub(super) trigger_px: f64,
    pub(super) priced: Priced,
    pub(super) liquidity: Liquidity,
    pub(super) reason: FillReason,
    pub(super) flags: FillFlags,
    pub(super) origin: Origin,
}

/// Which slippage a taker fill pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Impact {
    /// Market orders.
    Market,
    /// Stops: the multiplier of stop fills applies.
    Stop,
}

impl Account {
    /// Price of a taker fill of `qty` at `base_px` in this bar.
    #[inline(always)]
    pub(super) fn price_taker(
        &self,
        bar: &Bar<'_>,
        lane: Lane,
        side: Side,
        base_px: f64,
        qty: f64,
        impact: Impact,
    ) -> Priced {
        let model = &self.plan.slippage;
        let regime = bar.regime_before(lane.symbol);
        let fixed = !model.reads_volume() && regime.is_none();
        let (bps, participation) = if fixed {
            (self.fixed_slippage.bps, f64::NAN)
        } else {
            let taken = self.consumed.get(lane.symbol).filter(|taken| taken.bar as usize == bar.bar);
            let taken = taken.map_or(0.0, |taken| taken.qty);
            let (volume_ref, mult) = (self.volume_ref(bar, lane), model.regime_mult(regime));
            match bar.volatility {
                None => slippage_bps(model, taken + qty, volume_ref, mult),
                Some(rows) => {
                    let model = model.at_volatility(bar.px(rows, lane.symbol));
                    slippage_bps(&model, taken + qty, volume_ref, mult)
                }
            }
        };
        let (bps, factor) = match impact {
            Impact::Market if fixed => (bps, self.fixed_slippage.factor[usize::from(side == Side::Buy)]),
            Impact::Market => (bps, slippage_factor(side, bps)),
            Impact::Stop => (bps * model.stop_mult, slippage_factor(side, bps * model.stop_mult)),
        };
        let (execution, tile) = (&self.plan.execution, bar.tile);
        let clamp =
            execution.clamp_to_bar.then(|| (bar.px(tile.low, lane.symbol), bar.px(tile.high, lane.symbol)));
        let rules = &bar.venue.rules[lane.symbol];
        let price_px = rounded_price(rules, side, base_px * factor, execution.round_to_tick, clamp);
        Priced { price_px, slippage_bps: bps, participation }
    }
    fn volume_ref(&self, bar: &Bar<'_>, lane: Lane) -> f64 {
        if !self.plan.slippage.reads_volume() {
            return f64::NAN;
        }
        let here = bar.px(bar.tile.volume, lane.symbol);
        let here = if here.is_nan() { 0.0 } else { here };
        let trailing = || {
            let rows = bar.trailing_volume.unwrap_or_default();
            let mean = bar.px(rows, lane.symbol);
            if mean.is_nan() { 0.0 } else { mean }
        };
        match self.plan.slippage.volume_ref {
            VolumeRef::ExecBar => here,
            VolumeRef::Trailing => trailing(),
            VolumeRef::MinExecTrailing => here.min(trailing()),
        }
    }
    /// [`book_fill_at`](Self::book_fill_at) the fee in force.
    pub(super) fn book_fill<R: Recorder>(&mut self, bar: &Bar<'_>, execution: Execution, recorder: &mut R) {
        let rate = self.fee_frac(execution.liquidity);
        self.book_fill_at(bar, execution, rate, recorder);
    }
    /// The fee in force.
    #[inline]
    pub(super) fn fee_frac(&self, liquidity: Liquidity) -> f64 {
        match liquidity {
            Liquidity::Maker => self.plan.maker_fee_frac,
            Liquidity::Taker => self.plan.taker_fee_frac,
        }
    }
    /// Books a fill at a fee and hands it to the recorder.
    ///
    /// A position that became flat or changed sides loses its levels; attaching new ones is the caller's. Inlined where
    /// there are many fills, for the structs between them cost more than their arithmetic when they go through memory.
    #[inline(always)]
    pub(super) fn book_fill_at<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        execution: Execution,
        rate: f64,
        recorder: &mut R,
    ) {
        let Execution {
            lane,
            side,
            steps,
            qty,
            base_px,
            trigger_px,
            priced,
            liquidity,
            reason,
            flags,
            origin,
        } = execution;
        let grid = bar.venue.rules[lane.symbol].step;
        let fee = qty * priced.price_px * rate;
        let s = side.sign();
        let steps_before = self.book.steps[lane.symbol];
        let steps_after = steps_before + s * steps;
        let qty_after = if steps_before == 0.0 { s * qty } else { grid.value(steps_after) };
        let booked = self.book.book_fill(lane, s * steps, s * qty, qty_after, priced.price_px, fee);
        if self.is_isolated() {
            let price_px = priced.price_px;
            self.move_margin(bar, lane, MarginMove { side, qty, price_px, reason, steps_before, booked });
        }
        let same_bar =
            steps_before != 0.0 && s * steps_before < 0.0 && self.began_bar[lane.symbol] == bar.bar as u32;
        if steps_before * steps_after <= 0.0 {
            self.levels.clear(lane);
            self.began_bar[lane.symbol] = bar.bar as u32;
        }
        // Only an ordinary taker fill lies as near to the bar's prices as the bound of margins supposes; after any other
        // margins are computed in full until the close.
        let is_ordinary = liquidity == Liquidity::Taker
            && !matches!(reason, FillReason::Liquidation | FillReason::Delist | FillReason::SeriesEnd);
        self.traded_usdt += if is_ordinary { qty * priced.price_px } else { f64::INFINITY };
        if let Some(taken) = self.consumed.get_mut(lane.symbol) {
            let earlier = if taken.bar as usize == bar.bar { taken.qty } else { 0.0 };
            (taken.bar, taken.qty) = (bar.bar as u32, earlier + qty);
        }
        let regime = bar.regime_before(lane.symbol);
        recorder.fill(&Fill {
            bar: bar.bar as u32,
            symbol: lane.symbol as u32,
            order_id: origin.order_id,
            side,
            qty,
            price: priced.price_px,
            base_px,
            trigger_px,
            liquidity,
            fee_usdt: fee,
            slippage_bps: priced.slippage_bps,
            participation: priced.participation,
            reason,
            flags: flags
                .with(FillFlags::ENTRY_AND_EXIT, same_bar)
                .with(FillFlags::THIN, regime == Some(Regime::Thin))
                .with(FillFlags::VACUUM, regime == Some(Regime::Vacuum)),
            regime,
            realized_usdt: booked.realized_usdt,
            position_before: booked.position_before,
            position_after: booked.position_after,
            avg_entry_before: booked.avg_entry_before,
            avg_entry_after: booked.avg_entry_after,
            tag: origin.tag,
        });
    }
    /// [`close_taker`](Self::close_taker) where it is rare.
    pub(super) fn close_taker_apart<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        close: TakerClose,
        recorder: &mut R,
    ) {
        self.close_taker(bar, lane, close, recorder);
    }
    /// Closes a whole position at a taker price, or as much of it as `cap` leaves.
    #[inline(always)]
    pub(super) fn close_taker<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        close: TakerClose,
        recorder: &mut R,
    ) {
        let TakerClose { base_px, trigger_px, impact, reason, flags, bound_px, capped } = close;
        let Some((side, steps, qty, flags)) = self.closing_leg(bar, lane, capped, flags) else { return };
        let mut priced = self.price_taker(bar, lane, side, base_px, qty, impact);
        if !bound_px.is_nan() {
            priced.price_px = bounded(priced.price_px, side, bound_px);
        }
        let (liquidity, origin) = (Liquidity::Taker, Origin::ENGINE);
        let execution = Execution {
            lane,
            side,
            steps,
            qty,
            base_px,
            trigger_px,
            priced,
            liquidity,
            reason,
            flags,
            origin,
        };
        self.book_fill_at(bar, execution, self.fee_frac(liquidity), recorder);
    }
    /// Side, steps and quantity that close a position, cut by the participation cap where that covers exits.
    pub(super) fn closing_leg(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        capped: bool,
        flags: FillFlags,
    ) -> Option<(Side, f64, f64, FillFlags)> {
        let (side, steps) = self.closing(lane);
        if !(capped && self.cap_covers_exits()) {
            return Some((side, steps, self.book.qty[lane.symbol].abs(), flags));
        }
        let left = steps.min(self.cap_left(bar, lane));
        if left <= 0.0 {
            return None;
        }
        self.count_against_cap(bar, lane, left);
        let qty = bar.venue.rules[lane.symbol].step.value(left);
        Some((side, left, qty, flags.with(FillFlags::VOLUME_CAPPED, left < steps)))
    }
    /// Whether exits count against the participation cap and are cut by it.
    #[inline]
    pub(super) fn cap_covers_exits(&self) -> bool {
        !self.capped.is_empty() && self.plan.execution.cap_applies_to == CapAppliesTo::All
    }
    /// Whole steps that the participation cap leaves in this bar (semantics 2.9); infinite without a cap.
    #[inline]
    pub(super) fn cap_left(&self, bar: &Bar<'_>, lane: Lane) -> f64 {
        let Some(taken) = self.capped.get(lane.symbol) else { return f64::INFINITY };
        let taken = if taken.bar as usize == bar.bar { taken.qty } else { 0.0 };
        let volume = bar.px(bar.tile.volume, lane.symbol);
        let cap = self.plan.execution.participation_cap_frac * if volume.is_nan() { 0.0 } else { volume };
        bar.venue.rules[lane.symbol].step.steps_floor(cap) - taken
    }
    #[inline]
    pub(super) fn count_against_cap(&mut self, bar: &Bar<'_>, lane: Lane, steps: f64) {
        if let Some(taken) = self.capped.get_mut(lane.symbol) {
            let earlier = if taken.bar as usize == bar.bar { taken.qty } else { 0.0 };
            (taken.bar, taken.qty) = (bar.bar as u32, earlier + steps);
        }
    }
    /// Side and steps that close a position.
    #[inline]
    pub(super) fn closing(&self, lane: Lane) -> (Side, f64) {
        let steps = self.book.steps[lane.symbol];
        (if steps > 0.0 { Side::Sell } else { Side::Buy }, steps.abs())
    }
}

/// How a position is closed as taker.
#[derive(Debug, Clone, Copy)]
pub(super) struct TakerClose {
    pub(super) base_px: f64,
    /// Trigger of a stop; `NaN`: none.
    pub(super) trigger_px: f64,
    pub(super) impact: Impact,
    pub(super) reason: FillReason,
    pub(super) flags: FillFlags,
    /// The price is not beyond this; `NaN`: no bound.
    pub(super) bound_px: f64,
    /// Whether the participation cap may cut it.
    pub(super) capped: bool,
}

/// A price that is not beyond a limit.
#[inline]
pub(super) fn bounded(price_px: f64, side: Side, limit_px: f64) -> f64 {
    match side {
        Side::Buy => price_px.min(limit_px),
        Side::Sell => price_px.max(limit_px),
    }
}
