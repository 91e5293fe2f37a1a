//! The order of events in a bar (semantics 1.5), and how each of them changes the account.

use barloom::config::plan::{BracketPolicy, EndOfRun, EnginePlan, LimitRule, Sequencing, TakeProfitKind};
use barloom::engine::api::{FillReason, Liquidity, NO_ORDER, OrderStatus, Side};
use barloom::market::Contract;

use super::account::{Level, Money, Position};
use super::chart::{Bar, Chart};
use super::decimal::{Decimal, Grid};
use super::prices::{PriceGrid, Slip, StopTouch, high_comes_first, slippage, slipped, stop_touch};
use super::{RefFill, RefFunding, RefInput, RefOrderEnd, RefResult};

/// 1.7: only reduce-only orders in the last half hour before a known delisting.
const REDUCE_ONLY_BEFORE_DELISTING_MS: i64 = 30 * 60 * 1000;

/// How much an order trades once it meets the market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Size {
    /// Closes what stands against it up to this many steps and opens the rest.
    Steps(i128),
    /// Reduce-only (2.11): at most this many steps of what stands against it.
    Reduce(i128),
    /// `close_position`: all that stands against it.
    CloseAll,
    /// An entry from signals (contract 4): all that stands against it, plus a new position of this many steps.
    /// Choice: where the position was stopped out before the flip fills, only the new size is opened.
    Entry(i128),
}

/// A market order that waits.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) id: u32,
    pub(super) decided_bar: usize,
    pub(super) symbol: usize,
    pub(super) side: Side,
    pub(super) size: Size,
    pub(super) asked_qty: f64,
    /// 0: unlimited.
    pub(super) ttl_bars: usize,
    pub(super) stop_loss_px: Option<f64>,
    pub(super) take_profit_px: Option<f64>,
    /// Why its opening leg must not execute (2.11); the closing leg still may.
    pub(super) opening_refused: Option<&'static str>,
}

impl Order {
    /// Reduce-only orders go before entries at the open (1.5, phase 3).
    pub(super) fn only_reduces(&self) -> bool {
        matches!(self.size, Size::Reduce(_) | Size::CloseAll)
    }
}

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

/// A fill about to be booked.
struct Trade {
    symbol: usize,
    order_id: u32,
    side: Side,
    steps: i128,
    px: f64,
    base_px: f64,
    liquidity: Liquidity,
    slip: Slip,
    reason: FillReason,
}

const NO_SLIP: Slip = Slip { bps: 0.0, participation: f64::NAN };

pub(super) struct Engine<'a> {
    pub(super) input: &'a RefInput<'a>,
    pub(super) plan: &'a EnginePlan,
    pub(super) chart: Chart<'a>,
    pub(super) positions: Vec<Position>,
    pub(super) money: Money,
    pub(super) orders: Vec<Order>,
    /// Number of the next order that comes from signals.
    pub(super) next_signal_order: u32,
    /// 2.8: steps this run already took in each symbol this bar.
    consumed_steps: Vec<i128>,
    out: RefResult,
}

impl<'a> Engine<'a> {
    pub(super) fn new(input: &'a RefInput<'a>) -> Self {
        let symbols = input.market.symbols.len();
        assert!(input.run.end <= input.market.grid.bars);
        assert!(
            input.intents.iter().all(|i| input.run.contains(&(i.bar as usize))),
            "intents lie in the run"
        );
        assert!(input.intents.is_sorted_by_key(|i| (i.bar, i.order_id)));
        Self {
            input,
            plan: input.plan,
            chart: Chart { market: input.market },
            positions: vec![Position::default(); symbols],
            money: Money { initial: input.plan.initial_capital_usdt, ..Money::default() },
            orders: Vec::new(),
            next_signal_order: 0,
            consumed_steps: vec![0; symbols],
            out: RefResult::default(),
        }
    }

    pub(super) fn run(mut self) -> RefResult {
        for bar in self.input.run.clone() {
            // 1.5, phase 1
            self.consumed_steps.fill(0);
            self.settle_funding(bar);
            self.settle_delistings(bar);
            self.refuse_openings_before_delisting(bar);
            // 1.5, phase 3
            self.fire_carried_stops(bar);
            self.fire_take_profits_at_open(bar);
            self.execute_market_orders(bar, true);
            self.execute_market_orders(bar, false);
            // 1.5, phase 4
            self.fire_brackets(bar);
            // 1.5, phase 5
            self.expire_orders(bar);
            self.settle_ended_series(bar);
            let equity = self.mark(bar);
            self.decide(bar, equity);
            if bar + 1 == self.input.run.end {
                self.end_run(bar);
            }
            self.push_marks(bar);
        }
        self.out
    }

    // --- the market's rules -----------------------------------------------------------------------------------

    pub(super) fn contract(&self, symbol: usize) -> &'a Contract {
        &self.input.market.symbols[symbol].contract
    }
    pub(super) fn step(&self, symbol: usize) -> Grid {
        Grid::of(self.contract(symbol).step.size)
    }
    pub(super) fn price_grid(&self, symbol: usize) -> PriceGrid {
        PriceGrid { tick: self.contract(symbol).tick.map(|tick| Grid::of(tick.size)) }
    }
    fn symbols(&self) -> std::ops::Range<usize> {
        0..self.positions.len()
    }
    fn is_delisted(&self, symbol: usize, bar: usize) -> bool {
        let opens_ms = self.input.market.grid.open_ms(bar);
        self.contract(symbol).delisted_ms.is_some_and(|at_ms| opens_ms >= at_ms)
    }
    fn tradable_bar(&self, symbol: usize, bar: usize) -> Option<Bar> {
        self.chart.tradable_bar(symbol, bar).filter(|_| !self.is_delisted(symbol, bar))
    }

    // --- phase 1: calendar, funding ---------------------------------------------------------------------------

    /// 3.3: `cash = −q·M·r` on positions held just before; none for a symbol settled by delisting at or before τ.
    fn settle_funding(&mut self, bar: usize) {
        if !self.plan.funding.enabled {
            return;
        }
        for (index, record) in self.input.market.funding.records.iter().enumerate() {
            let symbol = record.symbol as usize;
            let delisted = self.contract(symbol).delisted_ms.is_some_and(|at_ms| record.time_ms >= at_ms);
            let steps = self.positions[symbol].steps;
            if record.bar as usize != bar || delisted || steps == 0 {
                continue;
            }
            let cash_usdt = -self.step(symbol).value(steps) * record.mark_px * record.rate_frac;
            self.money.funding += cash_usdt;
            self.out.funding.push(RefFunding { bar, symbol, record: index, cash_usdt });
        }
    }

    /// 1.7: open positions settle at `D` at the last close, taker fee, no slippage.
    fn settle_delistings(&mut self, bar: usize) {
        for symbol in self.symbols() {
            if self.is_delisted(symbol, bar) && self.positions[symbol].steps != 0 {
                self.settle(symbol, bar, bar - 1, 0.0, FillReason::Delist);
            }
        }
    }

    /// 1.7: from `D − 30 min` on every order only reduces. One with nothing to reduce ends here (`Rejected` in its
    /// first bar, `Cancelled` when it had been waiting); from `D` on there is nothing to trade at all.
    fn refuse_openings_before_delisting(&mut self, bar: usize) {
        let opens_ms = self.input.market.grid.open_ms(bar);
        for mut order in std::mem::take(&mut self.orders) {
            let Some(delisted_ms) = self.contract(order.symbol).delisted_ms else {
                self.orders.push(order);
                continue;
            };
            let only_reduces_now = opens_ms >= delisted_ms - REDUCE_ONLY_BEFORE_DELISTING_MS;
            let refused = only_reduces_now && !order.only_reduces();
            if opens_ms >= delisted_ms || (refused && self.against(&order) == 0) {
                let first_bar = order.decided_bar + 1 == bar;
                let status = if first_bar { OrderStatus::Rejected } else { OrderStatus::Cancelled };
                self.end_order(&order, bar, status, "delisting");
                continue;
            }
            if refused {
                order.opening_refused = Some("delisting");
            }
            self.orders.push(order);
        }
    }

    // --- phases 3 and 4: stops, take-profits, market orders -----------------------------------------------------

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
    fn fire_carried_stops(&mut self, bar: usize) {
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
    fn fire_take_profits_at_open(&mut self, bar: usize) {
        for symbol in self.symbols() {
            let Some(prices) = self.tradable_bar(symbol, bar) else { continue };
            if self.bracket(symbol, bar, &prices) == Some(Bracket::TakeProfitAtOpen) {
                self.fire(symbol, bar, &prices, Bracket::TakeProfitAtOpen);
            }
        }
    }

    /// Phase 4: stops and take profits inside the bar, also of positions opened at this open (2.12).
    fn fire_brackets(&mut self, bar: usize) {
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

    /// Phase 3, third (`exits`) and fourth: market orders at the open, by symbol id, then order id (2.13).
    fn execute_market_orders(&mut self, bar: usize, exits: bool) {
        let (mut due, waiting): (Vec<Order>, Vec<Order>) =
            std::mem::take(&mut self.orders).into_iter().partition(|order| {
                order.only_reduces() == exits && self.tradable_bar(order.symbol, bar).is_some()
            });
        self.orders = waiting;
        due.sort_by_key(|order| (order.symbol, order.id));
        for order in due {
            self.execute(order, bar);
        }
    }

    /// Steps of the position that stand against an order.
    pub(super) fn against(&self, order: &Order) -> i128 {
        self.steps_against(order.symbol, order.side)
    }
    pub(super) fn steps_against(&self, symbol: usize, side: Side) -> i128 {
        let steps = self.positions[symbol].steps;
        match side {
            Side::Buy => (-steps).max(0),
            Side::Sell => steps.max(0),
        }
    }

    /// 2.3, 2.11: one fill at the open with a closing and an opening leg.
    fn execute(&mut self, order: Order, bar: usize) {
        let prices = self.tradable_bar(order.symbol, bar).expect("a tradable bar");
        let against = self.against(&order);
        let (closing, wanted) = match order.size {
            Size::Steps(steps) => (steps.min(against), steps - steps.min(against)),
            Size::Reduce(steps) => (steps.min(against), 0),
            Size::CloseAll => (against, 0),
            Size::Entry(steps) => (against, steps),
        };
        let mut refused = order.opening_refused;
        if refused.is_none() && wanted > 0 && self.is_below_min_notional(order.symbol, wanted, prices.open) {
            refused = Some("min_notional"); // 2.10: re-checked with the base price at the fill
        }
        let opening = if refused.is_some() { 0 } else { wanted };
        if closing + opening == 0 {
            match (order.only_reduces(), refused) {
                (true, _) => self.end_order(&order, bar, OrderStatus::Cancelled, "reduce_only"),
                (false, Some(reason)) => self.end_order(&order, bar, OrderStatus::Rejected, reason),
                (false, None) => unreachable!("an order of no size was not admitted"),
            }
            return;
        }
        let reason = if opening > 0 { FillReason::MarketEntry } else { FillReason::MarketExit };
        let (symbol, side, base_px) = (order.symbol, order.side, prices.open);
        self.take(symbol, bar, Some(&prices), order.id, side, closing + opening, base_px, reason);
        if opening > 0 {
            // 2.12: the latest fill that increases the position sets the levels its order carries.
            let position = &mut self.positions[symbol];
            let level = |px: Option<f64>| px.map(|px| Level { px, set_bar: bar });
            position.stop_loss = level(order.stop_loss_px).or(position.stop_loss);
            position.take_profit = level(order.take_profit_px).or(position.take_profit);
        }
        match refused {
            None => self.end_order(&order, bar, OrderStatus::Filled, ""),
            Some(reason) => self.end_order(&order, bar, OrderStatus::Cancelled, reason),
        }
    }

    // --- fills --------------------------------------------------------------------------------------------------

    /// A taker fill: `base → slippage → adverse rounding` (2.2), slippage by participation (2.8).
    #[expect(clippy::too_many_arguments, reason = "a fill is what all of these say")]
    fn take(
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
    fn settle(&mut self, symbol: usize, bar: usize, close_bar: usize, haircut_frac: f64, reason: FillReason) {
        let steps = self.positions[symbol].steps;
        let side = if steps > 0 { Side::Sell } else { Side::Buy };
        let base_px = self.chart.last_close(symbol, close_bar).expect("a position has a close");
        let px = self.rounded(symbol, side, base_px * (1.0 + side.sign() * haircut_frac));
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
    fn book(&mut self, bar: usize, trade: &Trade) {
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

    // --- phase 5: the close -----------------------------------------------------------------------------------

    /// 2.9: active in bars `t+1 … t+n`; what is left ends at `K_{t+n}`.
    fn expire_orders(&mut self, bar: usize) {
        for order in std::mem::take(&mut self.orders) {
            if order.ttl_bars > 0 && order.decided_bar + order.ttl_bars <= bar {
                self.end_order(&order, bar, OrderStatus::Expired, "ttl");
            } else {
                self.orders.push(order);
            }
        }
    }

    /// 1.7: a series without a known delisting that has been missing for `delist_after_missing_bars` bars. The count
    /// alone decides, not whether bars follow later: nothing here may know the future (10.5).
    fn settle_ended_series(&mut self, bar: usize) {
        let execution = &self.plan.execution;
        for symbol in self.symbols() {
            let missing = self.chart.missing_bars(symbol, bar).unwrap_or(0);
            let ended = missing >= execution.delist_after_missing_bars as usize;
            if ended && self.contract(symbol).delisted_ms.is_none() && self.positions[symbol].steps != 0 {
                self.settle(symbol, bar, bar, execution.delist_haircut_frac, FillReason::SeriesEnd);
            }
        }
    }

    /// 4.3 and 4.4 at `K_bar`: both forms of equity, which must agree.
    fn mark(&self, bar: usize) -> f64 {
        let [unrealized, _, net] = self.exposure(bar);
        let (equity, cash_form) = (self.money.wallet() + unrealized, self.money.cash() + net);
        let tolerance = 1e-9 * self.money.initial.abs().max(1.0) + 1e-12 * self.money.bought.abs();
        assert!(
            (equity - cash_form).abs() <= tolerance,
            "bar {bar}: equity {equity} by the wallet, {cash_form} by the cash"
        );
        equity
    }

    /// `Σ q(M − p̄)`, `Σ |q|M`, `Σ qM`.
    fn exposure(&self, bar: usize) -> [f64; 3] {
        let (mut unrealized, mut gross, mut net) = (0.0, 0.0, 0.0);
        for symbol in self.symbols().filter(|&s| self.positions[s].steps != 0) {
            let position = &self.positions[symbol];
            let q = self.step(symbol).value(position.steps);
            let mark = self.chart.mark(symbol, bar, self.plan.use_mark).expect("a position has a mark");
            unrealized += q * (mark - position.avg_entry_px);
            gross += q.abs() * mark;
            net += q * mark;
        }
        [unrealized, gross, net]
    }

    fn push_marks(&mut self, bar: usize) {
        let [unrealized, gross, net] = self.exposure(bar);
        self.out.equity.push(self.mark(bar));
        self.out.wallet.push(self.money.wallet());
        self.out.unrealized.push(unrealized);
        self.out.gross.push(gross);
        self.out.net.push(net);
    }

    /// 1.8: `close` closes at the last close with taker fee and slippage; orders that still wait stay `Open`.
    fn end_run(&mut self, bar: usize) {
        for order in std::mem::take(&mut self.orders) {
            self.end_order(&order, bar, OrderStatus::Open, "end_of_run");
        }
        if self.plan.execution.end_of_run == EndOfRun::Mark {
            return;
        }
        for symbol in self.symbols().filter(|&s| self.positions[s].steps != 0).collect::<Vec<_>>() {
            let steps = self.positions[symbol].steps;
            let side = if steps > 0 { Side::Sell } else { Side::Buy };
            let base_px = self.chart.last_close(symbol, bar).expect("a position has a close");
            let prices = self.chart.bar(symbol, bar);
            let reason = FillReason::EndOfRun;
            self.take(symbol, bar, prices.as_ref(), NO_ORDER, side, steps.abs(), base_px, reason);
        }
    }

    pub(super) fn end_order(&mut self, order: &Order, bar: usize, status: OrderStatus, reason: &'static str) {
        self.out.orders.push(RefOrderEnd {
            order_id: order.id,
            bar: order.decided_bar,
            end_bar: bar,
            symbol: order.symbol,
            side: order.side,
            qty: order.asked_qty,
            status,
            reason,
        });
    }
}
