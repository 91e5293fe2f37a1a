//! Fills: from a base price to a changed account (semantics 2.2, 2.8, 2.10, 3.1, 4.2–4.4).

use barloom::engine::api::{FillFlags, FillReason, Liquidity, NO_ORDER, Regime, Side};

use super::RefFill;
use super::chart::Bar;
use super::decimal::Decimal;
use super::engine::Engine;
use super::prices::{Slip, regime_mult, slippage, slipped};

/// A fill on its way from a base price to a price.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) symbol: usize,
    pub(super) order_id: u32,
    pub(super) side: Side,
    pub(super) steps: i128,
    pub(super) base_px: f64,
    pub(super) reason: FillReason,
    pub(super) liquidity: Liquidity,
    /// 2.5: slippage of a marketable limit is capped at its price.
    pub(super) limit_px: Option<f64>,
    pub(super) flags: FillFlags,
}

/// Maker fills and settlements.
const NO_SLIP: Slip = Slip { bps: 0.0, participation: f64::NAN };

impl Engine<'_> {
    /// A maker fill at its base; a taker fill by `base → slippage → adverse rounding` (2.2).
    pub(super) fn trade(&mut self, bar: usize, prices: Option<&Bar>, terms: &Terms) {
        if terms.liquidity == Liquidity::Maker {
            return self.book(bar, terms, terms.base_px, NO_SLIP);
        }
        let slip = self.slip_of(bar, prices, terms);
        let mut px = slipped(terms.side, terms.base_px, slip.bps);
        if let (true, Some(bar)) = (self.plan.execution.clamp_to_bar, prices) {
            px = px.max(bar.low).min(bar.high);
        }
        px = self.rounded(terms.symbol, terms.side, px);
        if let Some(limit_px) = terms.limit_px {
            px = if terms.side == Side::Sell { px.max(limit_px) } else { px.min(limit_px) };
        }
        self.book(bar, terms, px, slip);
    }

    /// 2.8, by participation.
    fn slip_of(&self, bar: usize, prices: Option<&Bar>, terms: &Terms) -> Slip {
        let symbol = terms.symbol;
        if terms.reason == FillReason::Liquidation {
            // 4.7: the largest slippage there is
            return Slip { bps: self.plan.slippage.max_bps, participation: f64::NAN };
        }
        let qty = self.step(symbol).value(self.consumed_steps[symbol] + terms.steps);
        let exec_volume = prices.map_or(0.0, |bar| bar.volume);
        let trailing_volume =
            bar.checked_sub(1).and_then(|through| self.chart.trailing_volume(symbol, through));
        let mult = regime_mult(&self.plan.slippage, self.regime_before(symbol, bar));
        let volatility = bar.checked_sub(1).and_then(|through| self.volatility(symbol, through));
        let mut slip = slippage(&self.plan.slippage, qty, exec_volume, trailing_volume, volatility, mult);
        // 2.4 is the rule of every stop-market order. Choice: a stop-limit order is none, and neither is what a
        // triggered stop leaves over.
        let is_stop = matches!(
            terms.reason,
            FillReason::StopLoss
                | FillReason::StopLossGap
                | FillReason::StopLossEntryBar
                | FillReason::Trail
                | FillReason::StopEntry
                | FillReason::StopEntryGap
        );
        if is_stop {
            slip.bps *= self.plan.slippage.stop_mult; // Choice: after the clamp of 2.8
        }
        slip
    }

    /// 2.8, `vol_scaled`: the volatility known at the close of a bar.
    pub(super) fn volatility(&self, symbol: usize, bar: usize) -> Option<f64> {
        let scale = self.plan.slippage.vol_scale?;
        self.chart.volatility(symbol, bar, scale.window_bars as usize)
    }

    /// 7.3: the regime that holds at the close of a bar; `None` where regimes are off.
    pub(super) fn regime_at(&self, symbol: usize, bar: usize) -> Option<Regime> {
        if !self.plan.liquidity.enabled {
            return None;
        }
        self.input.regimes.get(bar).map(|row| row[symbol])
    }
    /// The one that drives the fills of a bar: of the bar before.
    fn regime_before(&self, symbol: usize, bar: usize) -> Option<Regime> {
        self.regime_at(symbol, bar.checked_sub(1)?)
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
        let position = &self.positions[symbol];
        let side = position.exit_side();
        let base_px = self.chart.last_close(symbol, close_bar).expect("a position has a close");
        let px = self.rounded(symbol, side, base_px * (1.0 + side.sign() * haircut_frac));
        let terms = Terms {
            symbol,
            order_id: NO_ORDER,
            side,
            steps: position.steps.abs(),
            // A settlement has no slippage: the haircut is inside its price, and so inside its base.
            base_px: px,
            liquidity: Liquidity::Taker,
            limit_px: None,
            reason,
            flags: FillFlags::default(),
        };
        self.book(bar, &terms, px, NO_SLIP);
    }

    /// 3.1: rates of the last row of the dated table that is in force at the open of the bar.
    fn fee_fracs(&self, bar: usize) -> (f64, f64) {
        let opens_ms = self.input.market.grid.open_ms(bar);
        let row = self.plan.fee_table.iter().rev().find(|row| row.from_ms <= opens_ms);
        row.map_or((self.plan.maker_fee_frac, self.plan.taker_fee_frac), |row| {
            (row.maker_frac, row.taker_frac)
        })
    }
    pub(super) fn maker_fee_frac(&self, bar: usize) -> f64 {
        self.fee_fracs(bar).0
    }
    pub(super) fn taker_fee_frac(&self, bar: usize) -> f64 {
        self.fee_fracs(bar).1
    }
    fn fee_frac(&self, bar: usize, terms: &Terms) -> f64 {
        match (terms.reason, terms.liquidity) {
            (FillReason::Liquidation, _) => self.liquidation_fee_frac(terms.symbol),
            (_, Liquidity::Maker) => self.maker_fee_frac(bar),
            (_, Liquidity::Taker) => self.taker_fee_frac(bar),
        }
    }

    /// 3.1, 4.2–4.4: fee, position, both forms of the account.
    fn book(&mut self, bar: usize, terms: &Terms, px: f64, slip: Slip) {
        let step = self.step(terms.symbol);
        let qty = step.value(terms.steps);
        let fee_usdt = qty * px * self.fee_frac(bar, terms);
        let dq = match terms.side {
            Side::Buy => terms.steps,
            Side::Sell => -terms.steps,
        };
        let regime = self.regime_before(terms.symbol, bar);
        let position = &mut self.positions[terms.symbol];
        let steps_before = position.steps;
        let before = steps_before.signum();
        let closes = before == -dq.signum();
        let flags = terms
            .flags
            .with(FillFlags::ENTRY_AND_EXIT, closes && position.opened_bar == bar)
            .with(FillFlags::THIN, regime == Some(Regime::Thin))
            .with(FillFlags::VACUUM, regime == Some(Regime::Vacuum));
        let realized_usdt = position.book(dq, px, &step);
        if position.steps.signum() != before {
            position.begin_episode(bar, px);
        }
        if self.is_intrabar {
            position.changed_intrabar = Some(bar);
        }
        self.money.realized += realized_usdt;
        if terms.reason == FillReason::Liquidation {
            self.money.liquidation_fees += fee_usdt;
        } else {
            self.money.fees += fee_usdt;
        }
        self.money.bought += terms.side.sign() * qty * px;
        self.consumed_steps[terms.symbol] += terms.steps;
        self.out.fills.push(RefFill {
            bar,
            symbol: terms.symbol,
            order_id: terms.order_id,
            side: terms.side,
            qty,
            price: px,
            base_px: terms.base_px,
            liquidity: terms.liquidity,
            fee_usdt,
            slippage_bps: slip.bps,
            participation: slip.participation,
            reason: terms.reason,
            flags,
            regime,
            realized_usdt,
            position_after: step.value(position.steps),
            avg_entry_after: position.avg_entry_px,
        });
        self.move_stake(bar, terms, steps_before, px, realized_usdt);
    }

    /// 2.10: `qty·price < min_notional`, exactly.
    pub(super) fn is_below_min_notional(&self, symbol: usize, steps: i128, price: f64) -> bool {
        let notional = Decimal::of(self.step(symbol).value(steps)).times(Decimal::of(price));
        notional.compare(Decimal::of(self.contract(symbol).min_notional_usdt)).is_lt()
    }
}
