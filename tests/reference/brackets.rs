//! Stops and take profits of positions (semantics 2.4–2.7, 2.12), in the phases of 1.5.

use barloom::config::plan::{BracketPolicy, Sequencing, TakeProfitKind};
use barloom::engine::api::{FillFlags, FillReason, Liquidity, NO_ORDER, Side};

use super::account::Level;
use super::booking::Terms;
use super::chart::Bar;
use super::engine::Engine;
use super::prices::{PriceGrid, StopTouch, high_comes_first, stop_base};

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

/// What happens first, and whether stop and target were both in reach so that the policy decided.
type Reached = (Bracket, bool);

impl Engine<'_> {
    /// 2.6, what happens first to the position in this bar: (a) open beyond the stop, (b) open beyond the take
    /// profit, (c) inside the bar.
    fn bracket(&self, symbol: usize, bar: usize, prices: &Bar) -> Option<Reached> {
        let position = &self.positions[symbol];
        if position.steps == 0 {
            return None;
        }
        let grid = self.price_grid(symbol);
        let exit_side = position.exit_side();
        if position.stop.is_some_and(|stop| grid.reaches_stop(exit_side, prices.open, stop.px)) {
            return Some((Bracket::Stop(StopTouch::Gap { base_px: prices.open }), false));
        }
        let take_profit = position.take_profit;
        if take_profit.is_some_and(|tp| self.take_profit_reached(symbol, exit_side, tp, prices, bar, true)) {
            return Some((Bracket::TakeProfitAtOpen, false));
        }
        let tp_reached =
            take_profit.is_some_and(|tp| self.take_profit_reached(symbol, exit_side, tp, prices, bar, false));
        match (self.stop_inside(symbol, bar, prices), tp_reached) {
            (None, false) => None,
            (None, true) => Some((Bracket::TakeProfitIntrabar, false)),
            (Some(touch), false) => Some((Bracket::Stop(touch), false)),
            (Some(touch), true) => {
                let tp_is_first = match self.plan.execution.bracket_policy {
                    BracketPolicy::Pessimistic => false,
                    BracketPolicy::Adaptive => high_comes_first(prices) == (exit_side == Side::Sell),
                    BracketPolicy::Optimistic => true,
                };
                Some((if tp_is_first { Bracket::TakeProfitIntrabar } else { Bracket::Stop(touch) }, true))
            }
        }
    }

    /// The stop against the adverse extreme of the bar, a gap apart. Under `favourable_first` it is the level that the
    /// bar's own favourable extreme gives.
    fn stop_inside(&self, symbol: usize, bar: usize, prices: &Bar) -> Option<StopTouch> {
        let exit_side = self.positions[symbol].exit_side();
        let stop_px = self.stop_px_inside(symbol, bar, prices)?;
        let extreme_px = prices.worst_for_stop(exit_side);
        let base_px = stop_base(exit_side, stop_px, prices, self.plan.execution.stop_overshoot);
        self.price_grid(symbol)
            .reaches_stop(exit_side, extreme_px, stop_px)
            .then_some(StopTouch::Intrabar { base_px })
    }

    /// Whether the take profit is reached at the open or inside the bar. A market one by touch; a limit one that
    /// arrives at this open is marketable at `O = P` (2.5, arrival); a resting one follows `limit_rule`, also at
    /// `O = P` (2.14). Choice: one that an entry inside a bar set is resting at the next open.
    fn take_profit_reached(
        &self,
        symbol: usize,
        exit_side: Side,
        take_profit: Level,
        prices: &Bar,
        bar: usize,
        at_open: bool,
    ) -> bool {
        let grid: PriceGrid = self.price_grid(symbol);
        let price = if at_open { prices.open } else { prices.best_for_limit(exit_side) };
        let arrives = at_open && take_profit.set_bar == bar;
        if arrives || self.plan.execution.tp_kind == TakeProfitKind::Market {
            return grid.reaches_limit(exit_side, price, take_profit.px);
        }
        // decision 7.7: the number of a take profit
        let number = (1 << 32) + take_profit.set_bar as u64;
        self.resting_limit_fills(symbol, number, exit_side, take_profit.px, price)
    }

    /// Phase 3, first: resting stops that the open has passed. With `stops_first_bar` carried stops see the whole
    /// bar here, before any market order. Choice: where 2.6 puts the take profit first, it stays first.
    pub(super) fn fire_carried_stops(&mut self, bar: usize) {
        let whole_bar = self.plan.execution.sequencing == Sequencing::StopsFirstBar;
        for symbol in self.symbols() {
            let Some(prices) = self.tradable_bar(symbol, bar) else { continue };
            match self.bracket(symbol, bar, &prices) {
                Some(reached @ (Bracket::Stop(_), _)) if whole_bar || reached.0.is_stop_gap() => {
                    self.is_intrabar = !reached.0.is_stop_gap();
                    self.fire(symbol, bar, &prices, reached);
                    self.is_intrabar = false;
                }
                _ => {}
            }
        }
    }

    /// Phase 3, second: take profits that the open has passed.
    pub(super) fn fire_take_profits_at_open(&mut self, bar: usize) {
        for symbol in self.symbols() {
            let Some(prices) = self.tradable_bar(symbol, bar) else { continue };
            if let Some(reached @ (Bracket::TakeProfitAtOpen, _)) = self.bracket(symbol, bar, &prices) {
                self.fire(symbol, bar, &prices, reached);
            }
        }
    }

    /// Phase 4: stop and take profit inside the bar, also of a position opened at this open (2.12).
    pub(super) fn fire_bracket(&mut self, symbol: usize, bar: usize, prices: &Bar) {
        if let Some(reached) = self.bracket(symbol, bar, prices) {
            self.fire(symbol, bar, prices, reached);
        }
    }

    /// The level at which the stop of the position is touched in this bar: liquidation asks.
    pub(super) fn stop_that_fires(&self, symbol: usize, bar: usize, prices: &Bar) -> Option<f64> {
        let exit_side = self.positions[symbol].exit_side();
        let stop_px = self.stop_px_inside(symbol, bar, prices)?;
        let worst_px = prices.worst_for_stop(exit_side);
        self.price_grid(symbol).reaches_stop(exit_side, worst_px, stop_px).then_some(stop_px)
    }
    /// Whether the open has passed the take profit of the position.
    pub(super) fn take_profit_passed(&self, symbol: usize, bar: usize, prices: &Bar) -> bool {
        matches!(self.bracket(symbol, bar, prices), Some((Bracket::TakeProfitAtOpen, _)))
    }

    /// Phase 4, last (decision 7.3): a position that an order opened or increased inside the bar, against its stop
    /// alone. The open lies before the entry, so the base is `S + κ(X−S)` wherever the bar opened.
    pub(super) fn fire_stop_after_entry(&mut self, symbol: usize, bar: usize, prices: &Bar) {
        let position = &self.positions[symbol];
        let exit_side = position.exit_side();
        let Some(stop) = position.stop.filter(|_| position.steps != 0) else { return };
        let extreme_px = prices.worst_for_stop(exit_side);
        if self.price_grid(symbol).reaches_stop(exit_side, extreme_px, stop.px) {
            let base_px = stop_base(exit_side, stop.px, prices, self.plan.execution.stop_overshoot);
            let reason =
                if position.had_stop_loss { FillReason::StopLossEntryBar } else { FillReason::Trail };
            self.exit_by_stop(symbol, bar, prices, base_px, reason, FillFlags::STOP_RUN);
        }
    }

    /// Takes the position out by its stop, as much of it as the cap lets through; the level stays on the rest.
    fn exit_by_stop(
        &mut self,
        symbol: usize,
        bar: usize,
        prices: &Bar,
        base_px: f64,
        reason: FillReason,
        flags: FillFlags,
    ) {
        self.exit(symbol, bar, prices, base_px, reason, flags, Liquidity::Taker, None);
    }

    #[expect(clippy::too_many_arguments, reason = "a fill is what all of these say")]
    fn exit(
        &mut self,
        symbol: usize,
        bar: usize,
        prices: &Bar,
        base_px: f64,
        reason: FillReason,
        flags: FillFlags,
        liquidity: Liquidity,
        limit_px: Option<f64>,
    ) {
        let held = self.positions[symbol].steps.abs();
        let side = self.positions[symbol].exit_side();
        let steps = self.exit_under_cap(symbol, prices, held);
        if steps > 0 {
            let flags = flags.with(FillFlags::VOLUME_CAPPED, steps < held);
            let order_id = NO_ORDER;
            let terms = Terms { symbol, order_id, side, steps, base_px, reason, liquidity, limit_px, flags };
            self.trade(bar, Some(prices), &terms);
        }
    }

    /// Closes the position by its stop or take profit.
    fn fire(&mut self, symbol: usize, bar: usize, prices: &Bar, (bracket, policy_decided): Reached) {
        let position = &self.positions[symbol];
        // Choice: a trail keeps its own reason in the entry bar too.
        let stop_reason = |carried| match (position.had_stop_loss, position.opened_bar == bar) {
            (false, _) => FillReason::Trail,
            (true, true) => FillReason::StopLossEntryBar,
            (true, false) => carried,
        };
        let flags = FillFlags::default().with(FillFlags::STOP_AND_TARGET, policy_decided);
        match bracket {
            Bracket::Stop(StopTouch::Gap { base_px }) => {
                let reason = stop_reason(FillReason::StopLossGap);
                self.exit_by_stop(symbol, bar, prices, base_px, reason, FillFlags::GAPPED);
            }
            Bracket::Stop(StopTouch::Intrabar { base_px }) => {
                let reason = stop_reason(FillReason::StopLoss);
                self.exit_by_stop(
                    symbol,
                    bar,
                    prices,
                    base_px,
                    reason,
                    flags.with(FillFlags::STOP_RUN, true),
                );
            }
            Bracket::TakeProfitAtOpen | Bracket::TakeProfitIntrabar => {
                let side = position.exit_side();
                let level = position.take_profit.expect("a take profit that was reached");
                let at_open = bracket == Bracket::TakeProfitAtOpen;
                let arrives = at_open && level.set_bar == bar;
                let reason = match (at_open, arrives) {
                    (_, true) => FillReason::TakeProfitMarketable,
                    (true, false) => FillReason::TakeProfitOpen,
                    (false, false) => FillReason::TakeProfit,
                };
                let flags = flags.with(FillFlags::GAPPED, at_open);
                let is_limit = self.plan.execution.tp_kind == TakeProfitKind::Limit;
                let (base_px, liquidity) = match (arrives || !is_limit, side) {
                    // 2.6: base = max(O, TP) for sells, min for buys, which is the open where the open has passed it.
                    (true, Side::Sell) => (prices.open.max(level.px), Liquidity::Taker),
                    (true, Side::Buy) => (prices.open.min(level.px), Liquidity::Taker),
                    (false, _) => (level.px, Liquidity::Maker),
                };
                let limit_px = (arrives && is_limit).then_some(level.px);
                self.exit(symbol, bar, prices, base_px, reason, flags, liquidity, limit_px);
            }
        }
    }
}
