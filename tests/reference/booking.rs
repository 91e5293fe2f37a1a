//! Fills: from a base price to a changed account (semantics 2.2, 2.8, 2.10, 3.1, 4.2–4.4).

use barloom::config::plan::TakeProfitKind;
use barloom::engine::api::{FillReason, Liquidity, NO_ORDER, Side};

use super::RefFill;
use super::chart::Bar;
use super::decimal::Decimal;
use super::engine::Engine;
use super::prices::{Slip, slippage, slipped};

/// A fill about to be booked.
pub(super) struct Trade {
    pub(super) symbol: usize,
    pub(super) order_id: u32,
    pub(super) side: Side,
    pub(super) steps: i128,
    pub(super) px: f64,
    pub(super) base_px: f64,
    pub(super) liquidity: Liquidity,
    pub(super) slip: Slip,
    pub(super) reason: FillReason,
}

/// Maker fills and settlements.
pub(super) const NO_SLIP: Slip = Slip { bps: 0.0, participation: f64::NAN };

impl Engine<'_> {
    /// A taker fill: `base → slippage → adverse rounding` (2.2), slippage by participation (2.8).
    #[expect(clippy::too_many_arguments, reason = "a fill is what all of these say")]
    pub(super) fn take(
        &mut self,
        symbol: usize,
        bar: usize,
        prices: Option<&Bar>,
        order_id: u32,
        side: Side,
        steps: i128,
        base_px: f64,
        reason: FillReason,
    ) {
        let qty = self.step(symbol).value(self.consumed_steps[symbol] + steps);
        let exec_volume = prices.map_or(0.0, |bar| bar.volume);
        let trailing_volume =
            bar.checked_sub(1).and_then(|through| self.chart.trailing_volume(symbol, through));
        let mut slip = slippage(&self.plan.slippage, qty, exec_volume, trailing_volume);
        let is_stop =
            matches!(reason, FillReason::StopLoss | FillReason::StopLossGap | FillReason::StopLossEntryBar);
        if is_stop {
            slip.bps *= self.plan.slippage.stop_mult; // Choice: after the clamp of 2.8
        }
        let mut px = slipped(side, base_px, slip.bps);
        if let (true, Some(bar)) = (self.plan.execution.clamp_to_bar, prices) {
            px = px.max(bar.low).min(bar.high);
        }
        px = self.rounded(symbol, side, px);
        let take_profit = self.positions[symbol].take_profit;
        if let (FillReason::TakeProfitMarketable, TakeProfitKind::Limit, Some(level)) =
            (reason, self.plan.execution.tp_kind, take_profit)
        {
            // 2.5: slippage of a marketable limit is capped at its price
            px = if side == Side::Sell { px.max(level.px) } else { px.min(level.px) };
        }
        let liquidity = Liquidity::Taker;
        self.book(bar, &Trade { symbol, order_id, side, steps, px, base_px, liquidity, slip, reason });
    }

    fn rounded(&self, symbol: usize, side: Side, px: f64) -> f64 {
        if self.plan.execution.round_to_tick { self.price_grid(symbol).round_fill(side, px) } else { px }
    }

    /// Bookkeeping settlement of a whole position at the last close through `close_bar`, worsened by `haircut_frac`.
    pub(super) fn settle(
        &mut self,
        symbol: usize,
        bar: usize,
        close_bar: usize,
        haircut_frac: f64,
        reason: FillReason,
    ) {
        let steps = self.positions[symbol].steps;
        let side = if steps > 0 { Side::Sell } else { Side::Buy };
        let base_px = self.chart.last_close(symbol, close_bar).expect("a position has a close");
        let px = self.rounded(symbol, side, base_px * (1.0 + side.sign() * haircut_frac));
        // A settlement has no slippage: the haircut is inside its price, and so inside its base.
        let base_px = px;
        let trade = Trade {
            symbol,
            order_id: NO_ORDER,
            side,
            steps: steps.abs(),
            px,
            base_px,
            liquidity: Liquidity::Taker,
            slip: NO_SLIP,
            reason,
        };
        self.book(bar, &trade);
    }

    /// 3.1, 4.2–4.4: fee, position, both forms of the account; flat or a flip clears the levels (2.12).
    pub(super) fn book(&mut self, bar: usize, trade: &Trade) {
        let step = self.step(trade.symbol);
        let qty = step.value(trade.steps);
        let fee_rate = match trade.liquidity {
            Liquidity::Maker => self.plan.maker_fee_frac,
            Liquidity::Taker => self.plan.taker_fee_frac,
        };
        let fee_usdt = qty * trade.px * fee_rate;
        let dq = match trade.side {
            Side::Buy => trade.steps,
            Side::Sell => -trade.steps,
        };
        let position = &mut self.positions[trade.symbol];
        let before = position.steps.signum();
        let realized_usdt = position.book(dq, trade.px, &step);
        if position.steps.signum() != before {
            position.stop_loss = None;
            position.take_profit = None;
            position.opened_bar = bar;
        }
        self.money.realized += realized_usdt;
        self.money.fees += fee_usdt;
        self.money.bought += trade.side.sign() * qty * trade.px;
        self.consumed_steps[trade.symbol] += trade.steps;
        self.out.fills.push(RefFill {
            bar,
            symbol: trade.symbol,
            order_id: trade.order_id,
            side: trade.side,
            qty,
            price: trade.px,
            base_px: trade.base_px,
            liquidity: trade.liquidity,
            fee_usdt,
            slippage_bps: trade.slip.bps,
            participation: trade.slip.participation,
            reason: trade.reason,
            realized_usdt,
            position_after: step.value(position.steps),
            avg_entry_after: position.avg_entry_px,
        });
    }

    /// 2.10: `qty·price < min_notional`, exactly.
    pub(super) fn is_below_min_notional(&self, symbol: usize, steps: i128, price: f64) -> bool {
        let notional = Decimal::of(self.step(symbol).value(steps)).times(Decimal::of(price));
        notional.compare(Decimal::of(self.contract(symbol).min_notional_usdt)).is_lt()
    }
}
