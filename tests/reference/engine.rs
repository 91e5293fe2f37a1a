//! The order of events in a bar (semantics 1.5). Stops and take profits of positions are in `brackets`, explicit
//! orders in `orders` and `intrabar`, fills in `booking`.

use barloom::config::plan::{EndOfRun, EnginePlan};
use barloom::engine::api::{FillFlags, FillReason, Liquidity, NO_ORDER, OrderStatus};
use barloom::market::Contract;

use super::account::{Money, Position};
use super::booking::Terms;
use super::chart::{Bar, Chart};
use super::decimal::Grid;
use super::orders::Order;
use super::prices::PriceGrid;
use super::{RefInput, RefResult};

/// 1.7: only reduce-only orders in the last half hour before a known delisting.
const REDUCE_ONLY_BEFORE_DELISTING_MS: i64 = 30 * 60 * 1000;

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
    pub(super) consumed_steps: Vec<i128>,
    /// 2.9: steps that count against the participation cap in each symbol this bar.
    pub(super) capped_steps: Vec<i128>,
    /// Steps held just before the open of this bar.
    pub(super) held_before: Vec<i128>,
    /// 4.7: nothing is left, no further orders.
    pub(super) is_ruined: bool,
    /// Phase 4 of 1.5: what trades now trades after the open instant.
    pub(super) is_intrabar: bool,
    pub(super) out: RefResult,
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
            capped_steps: vec![0; symbols],
            held_before: vec![0; symbols],
            is_ruined: false,
            is_intrabar: false,
            out: RefResult::default(),
        }
    }

    pub(super) fn run(mut self) -> RefResult {
        for bar in self.input.run.clone() {
            // 1.5, phase 1
            self.consumed_steps.fill(0);
            self.capped_steps.fill(0);
            self.settle_funding_before_the_open(bar);
            self.settle_delistings(bar);
            self.refuse_openings_before_delisting(bar);
            // 1.5, phase 2
            self.liquidate_at_open(bar);
            // 1.5, phase 3
            self.fire_carried_stops(bar);
            self.fire_take_profits_at_open(bar);
            self.execute_at_open(bar, true);
            self.execute_at_open(bar, false);
            self.receive_limits(bar);
            self.settle_funding_after_the_open(bar);
            // 1.5, phase 4
            self.is_intrabar = true;
            for symbol in self.symbols() {
                self.trade_inside(symbol, bar);
            }
            self.is_intrabar = false;
            // 1.5, phase 5
            self.update_trails(bar);
            self.expire_orders(bar);
            self.cancel_moved_orders(bar);
            self.settle_ended_series(bar);
            self.liquidate_at_close(bar);
            let equity = self.mark(bar);
            self.decide(bar, equity);
            self.close_before_funding(bar);
            self.trim_margin(bar);
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
    pub(super) fn symbols(&self) -> std::ops::Range<usize> {
        0..self.positions.len()
    }
    fn is_delisted(&self, symbol: usize, bar: usize) -> bool {
        let opens_ms = self.input.market.grid.open_ms(bar);
        self.contract(symbol).delisted_ms.is_some_and(|at_ms| opens_ms >= at_ms)
    }
    pub(super) fn tradable_bar(&self, symbol: usize, bar: usize) -> Option<Bar> {
        self.chart.tradable_bar(symbol, bar).filter(|_| !self.is_delisted(symbol, bar))
    }

    // --- phase 1: calendar (funding: `funding`) ---------------------------------------------------------------

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

    // --- phase 4: inside the bar --------------------------------------------------------------------------------

    /// 1.5, 2.13: liquidation or stop loss, whichever is nearer to the open → take profit → orders → the stop of what
    /// was just opened.
    fn trade_inside(&mut self, symbol: usize, bar: usize) {
        let Some(prices) = self.tradable_bar(symbol, bar) else { return };
        self.liquidate_inside(symbol, bar, &prices);
        self.fire_bracket(symbol, bar, &prices);
        if self.execute_intrabar(symbol, bar, &prices) {
            self.fire_stop_after_entry(symbol, bar, &prices);
        }
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

    /// 2.9, `stale_move`: `|C_j/ref − 1| > stale_move` at the close of a present bar, `ref` being the close of the
    /// decision; reductions stay. Choice: what the lifetime ends, it ends first.
    fn cancel_moved_orders(&mut self, bar: usize) {
        let limit_frac = self.plan.execution.stale_move_frac;
        if limit_frac == 0.0 {
            return;
        }
        for order in std::mem::take(&mut self.orders) {
            let close_px = self.chart.bar(order.symbol, bar).map(|prices| prices.close);
            let ref_px = self.chart.last_close(order.symbol, order.decided_bar);
            let moved = close_px.zip(ref_px).is_some_and(|(c, r)| (c / r - 1.0).abs() > limit_frac);
            if moved && !order.only_reduces() {
                self.end_order(&order, bar, OrderStatus::Cancelled, "stale_move");
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
        if let Some([initial_usdt, maintenance_usdt]) = self.margins_at_close(bar) {
            self.out.initial_margin.push(initial_usdt);
            self.out.maintenance_margin.push(maintenance_usdt);
        }
        self.out.isolated_ratio.extend(self.worst_stake_ratio(bar));
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
            let prices = self.chart.bar(symbol, bar);
            let terms = Terms {
                symbol,
                order_id: NO_ORDER,
                side: self.positions[symbol].exit_side(),
                steps: self.positions[symbol].steps.abs(),
                base_px: self.chart.last_close(symbol, bar).expect("a position has a close"),
                reason: FillReason::EndOfRun,
                liquidity: Liquidity::Taker,
                limit_px: None,
                flags: FillFlags::default(),
            };
            self.trade(bar, prices.as_ref(), &terms);
        }
    }
}
