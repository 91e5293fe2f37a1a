//! From a price to the books: one fill, its fee, its record, and the levels it leaves behind.

use super::account::{Account, Bar};
use crate::config::plan::VolumeRef;
use crate::events::{Fill, FillFlags, FillReason, Liquidity, NO_ORDER, NO_TAG, Recorder, Side};
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
    pub(super) priced: Priced,
    pub(super) liquidity: Liquidity,
    pub(super) reason: FillReason,
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
    #[inline]
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
        let fixed = model.b_bps == 0.0;
        let (bps, participation) = if fixed {
            (self.fixed_slippage.bps, f64::NAN)
        } else {
            let taken = self.consumed[lane.index];
            let taken = if taken.bar as usize == bar.bar { taken.qty } else { 0.0 };
            slippage_bps(model, taken + qty, self.volume_ref(bar, lane), model.regime_mult_normal)
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
    /// Books a fill and hands it to the recorder.
    ///
    /// A position that became flat or changed sides loses its levels; attaching new ones is the caller's.
    #[inline]
    pub(super) fn book_fill<R: Recorder>(&mut self, bar: &Bar<'_>, execution: Execution, recorder: &mut R) {
        let Execution { lane, side, steps, qty, base_px, priced, liquidity, reason, origin } = execution;
        let grid = bar.venue.rules[lane.symbol].step;
        let rate = match liquidity {
            Liquidity::Maker => self.plan.maker_fee_frac,
            Liquidity::Taker => self.plan.taker_fee_frac,
        };
        let fee = qty * priced.price_px * rate;
        let s = side.sign();
        let steps_before = self.book.steps[lane.index];
        let steps_after = steps_before + s * steps;
        let qty_after = if steps_before == 0.0 { s * qty } else { grid.value(steps_after) };
        let booked = self.book.book_fill(lane, s * steps, s * qty, qty_after, priced.price_px, fee);
        if steps_before * steps_after <= 0.0 {
            self.levels.clear(lane);
        }
        if let Some(taken) = self.consumed.get_mut(lane.index) {
            let earlier = if taken.bar as usize == bar.bar { taken.qty } else { 0.0 };
            (taken.bar, taken.qty) = (bar.bar as u32, earlier + qty);
        }
        recorder.fill(&Fill {
            bar: bar.bar as u32,
            symbol: lane.symbol as u32,
            order_id: origin.order_id,
            side,
            qty,
            price: priced.price_px,
            base_px,
            liquidity,
            fee_usdt: fee,
            slippage_bps: priced.slippage_bps,
            participation: priced.participation,
            reason,
            flags: FillFlags::default(),
            regime: None,
            realized_usdt: booked.realized_usdt,
            position_before: booked.position_before,
            position_after: booked.position_after,
            avg_entry_before: booked.avg_entry_before,
            avg_entry_after: booked.avg_entry_after,
            tag: origin.tag,
        });
    }
    /// Closes a whole position at a taker price.
    #[inline]
    pub(super) fn close_taker<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        base_px: f64,
        impact: Impact,
        reason: FillReason,
        recorder: &mut R,
    ) {
        let (side, steps) = self.closing(lane);
        let qty = self.book.qty[lane.index].abs();
        let priced = self.price_taker(bar, lane, side, base_px, qty, impact);
        let liquidity = Liquidity::Taker;
        let execution =
            Execution { lane, side, steps, qty, base_px, priced, liquidity, reason, origin: Origin::ENGINE };
        self.book_fill(bar, execution, recorder);
    }
    /// Side and steps that close a position.
    #[inline]
    pub(super) fn closing(&self, lane: Lane) -> (Side, f64) {
        let steps = self.book.steps[lane.index];
        (if steps > 0.0 { Side::Sell } else { Side::Buy }, steps.abs())
    }
}
