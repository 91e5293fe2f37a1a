//! Stop losses and take profits of positions (semantics 2.4–2.6, 2.12), in the phases of 1.5.

use barloom::config::plan::{BracketPolicy, LimitRule, Sequencing, TakeProfitKind};
use barloom::engine::api::{FillReason, Liquidity, NO_ORDER, Side};

use super::account::Level;
use super::booking::{NO_SLIP, Trade};
use super::chart::Bar;
use super::engine::Engine;
use super::prices::{PriceGrid, StopTouch, high_comes_first, stop_touch};

/// What the protective orders of a position do in a bar (2.6).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bracket {
    Stop(StopTouch),
    TakeProfitAtOpen,
    TakeProfitIntrabar,
}

impl Bracket {
    fn is_stop_gap(self) -> bool {
        matches!(self, Self::Stop(StopTouch::Gap { .. }))
    }
}

impl Engine<'_> {
    /// 2.6, what happens first to the position in this bar: (a) open beyond the stop, (b) open beyond the take
    /// profit, (c) inside the bar.
    fn bracket(&self, symbol: usize, bar: usize, prices: &Bar) -> Option<Bracket> {
        let position = &self.positions[symbol];
        if position.steps == 0 {
            return None;
        }
        let grid = self.price_grid(symbol);
        let exit_side = if position.steps > 0 { Side::Sell } else { Side::Buy };
        let stop = position.stop_loss.and_then(|level| {
            stop_touch(&grid, exit_side, level.px, prices, self.plan.execution.stop_overshoot)
        });
        if let Some(StopTouch::Gap { .. }) = stop {
            return stop.map(Bracket::Stop);
        }
        let take_profit = position.take_profit;
        if take_profit
            .is_some_and(|tp| self.take_profit_reached(&grid, exit_side, tp, prices.open, bar, true))
        {
            return Some(Bracket::TakeProfitAtOpen);
        }
        let favourable_px = if exit_side == Side::Sell { prices.high } else { prices.low };
        let tp_reached = take_profit
            .is_some_and(|tp| self.take_profit_reached(&grid, exit_side, tp, favourable_px, bar, false));
        match (stop, tp_reached) {
            (None, false) => None,
            (None, true) => Some(Bracket::TakeProfitIntrabar),
            (Some(touch), false) => Some(Bracket::Stop(touch)),
            (Some(touch), true) => {
                let tp_is_first = match self.plan.execution.bracket_policy {
                    BracketPolicy::Pessimistic => false,
                    BracketPolicy::Adaptive => high_comes_first(prices) == (exit_side == Side::Sell),
                };
                Some(if tp_is_first { Bracket::TakeProfitIntrabar } else { Bracket::Stop(touch) })
            }
        }
    }

    /// Whether `price` reaches the take profit. A market one by touch; a limit one that arrives at this open is
    /// marketable at `O = P` (2.5, arrival); a resting one follows `limit_rule`, also at `O = P` (2.14).
    fn take_profit_reached(
        &self,
        grid: &PriceGrid,
        exit_side: Side,
        take_profit: Level,
        price: f64,
        bar: usize,
        at_open: bool,
    ) -> bool {
        let arrives = at_open && take_profit.set_bar == bar;
        let by_touch = arrives
            || self.plan.execution.tp_kind == TakeProfitKind::Market
            || self.plan.execution.limit_rule == LimitRule::Touch;
        match (exit_side, by_touch) {
            (Side::Sell, true) => grid.at_or_above(price, take_profit.px),
            (Side::Sell, false) => grid.through_above(price, take_profit.px),
            (Side::Buy, true) => grid.at_or_below(price, take_profit.px),
            (Side::Buy, false) => grid.through_below(price, take_profit.px),
        }
    }

    /// Phase 3, first: resting stops that the open has passed. With `stops_first_bar` carried stops see the whole
    /// bar here, before any market order. Choice: where 2.6 puts the take profit first, it stays first.
    pub(super) fn fire_carried_stops(&mut self, bar: usize) {
        let whole_bar = self.plan.execution.sequencing == Sequencing::StopsFirstBar;
        for symbol in self.symbols() {
            let Some(prices) = self.tradable_bar(symbol, bar) else { continue };
            match self.bracket(symbol, bar, &prices) {
                Some(bracket @ Bracket::Stop(_)) if whole_bar || bracket.is_stop_gap() => {
                    self.fire(symbol, bar, &prices, bracket);
                }
                _ => {}
            }
        }
    }

    /// Phase 3, second: take profits that the open has passed.
    pub(super) fn fire_take_profits_at_open(&mut self, bar: usize) {
        for symbol in self.symbols() {
            let Some(prices) = self.tradable_bar(symbol, bar) else { continue };
            if self.bracket(symbol, bar, &prices) == Some(Bracket::TakeProfitAtOpen) {
                self.fire(symbol, bar, &prices, Bracket::TakeProfitAtOpen);
            }
        }
    }

    /// Phase 4: stops and take profits inside the bar, also of positions opened at this open (2.12).
    pub(super) fn fire_brackets(&mut self, bar: usize) {
        for symbol in self.symbols() {
            let Some(prices) = self.tradable_bar(symbol, bar) else { continue };
            if let Some(bracket) = self.bracket(symbol, bar, &prices) {
                self.fire(symbol, bar, &prices, bracket);
            }
        }
    }

    /// Closes the position by its stop loss or take profit.
    fn fire(&mut self, symbol: usize, bar: usize, prices: &Bar, bracket: Bracket) {
        let position = &self.positions[symbol];
        let steps = position.steps.abs();
        let side = if position.steps > 0 { Side::Sell } else { Side::Buy };
        let opened_now = position.opened_bar == bar;
        let take_profit = position.take_profit;
        let stop_reason = |carried| if opened_now { FillReason::StopLossEntryBar } else { carried };
        match bracket {
            Bracket::Stop(StopTouch::Gap { base_px }) => {
                let reason = stop_reason(FillReason::StopLossGap);
                self.take(symbol, bar, Some(prices), NO_ORDER, side, steps, base_px, reason);
            }
            Bracket::Stop(StopTouch::Intrabar { base_px }) => {
                let reason = stop_reason(FillReason::StopLoss);
                self.take(symbol, bar, Some(prices), NO_ORDER, side, steps, base_px, reason);
            }
            Bracket::TakeProfitAtOpen | Bracket::TakeProfitIntrabar => {
                let level = take_profit.expect("a take profit that was reached");
                let at_open = bracket == Bracket::TakeProfitAtOpen;
                let arrives = at_open && level.set_bar == bar;
                let reason = match (at_open, arrives) {
                    (_, true) => FillReason::TakeProfitMarketable,
                    (true, false) => FillReason::TakeProfitOpen,
                    (false, false) => FillReason::TakeProfit,
                };
                if arrives || self.plan.execution.tp_kind == TakeProfitKind::Market {
                    // 2.6: base = max(O, TP) for sells, min for buys, which is the open where the open has passed it.
                    let base_px = if at_open { prices.open } else { level.px };
                    self.take(symbol, bar, Some(prices), NO_ORDER, side, steps, base_px, reason);
                } else {
                    // 2.5: a resting order is hit at its own price, maker, no slippage.
                    let trade = Trade {
                        symbol,
                        order_id: NO_ORDER,
                        side,
                        steps,
                        px: level.px,
                        base_px: level.px,
                        liquidity: Liquidity::Maker,
                        slip: NO_SLIP,
                        reason,
                    };
                    self.book(bar, &trade);
                }
            }
        }
    }
}
