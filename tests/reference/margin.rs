//! Initial margin of openings, liquidation and the soft guard of one cross-margined account (semantics 4.5–4.8;
//! decision 7, 23 and 24). The formulas are in `tiers`.

use barloom::config::plan::{LiqCheck, LiqMode, MarginPlan, OnMarginShort, TrimOrder};
use barloom::engine::api::{FillFlags, FillReason, Liquidity, NO_ORDER, OrderStatus, Side};

use super::RefInsurance;
use super::booking::Terms;
use super::chart::Bar;
use super::engine::Engine;
use super::orders::{Form, Offer, Order, Size};
use super::tiers::{Exposed, Liquidation, Tiers, trim_share};

/// Whose marks: 4.7 looks at the open and at the close of a bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Moment {
    Open,
    Close,
}

/// An opening whose margin is asked for.
struct Opening {
    symbol: usize,
    side: Side,
    /// Steps of the position on its side once the closing leg is through.
    kept: i128,
    price_px: f64,
    fee_frac: f64,
}

impl Engine<'_> {
    /// Clearance fee of a symbol (3.2).
    pub(super) fn liquidation_fee_frac(&self, symbol: usize) -> f64 {
        let fallback = self.plan.margin.map_or(0.0, |margin| margin.liq_fee_frac);
        self.contract(symbol).liquidation_fee_frac.unwrap_or(fallback)
    }

    /// Brackets in force at the open of a bar. Choice: its close belongs to it, new tables come with the next open.
    fn tiers(&self, symbol: usize, bar: usize, margin: &MarginPlan) -> Tiers {
        let opens_ms = self.input.market.grid.open_ms(bar);
        let tables = &self.input.market.symbols[symbol].brackets;
        let in_force =
            tables.iter().rev().find(|t| t.valid_from_ms.is_none_or(|from_ms| from_ms <= opens_ms));
        in_force.map_or_else(|| Tiers::single(margin.max_leverage), |table| Tiers(table.brackets.clone()))
    }
    /// Choice: the contract's own limit binds too.
    fn max_leverage(&self, symbol: usize, margin: &MarginPlan) -> f64 {
        self.contract(symbol).max_leverage.map_or(margin.max_leverage, |own| own.min(margin.max_leverage))
    }

    /// The mark of a symbol. Choice: at the open it is the open of a present bar, since marks are known at closes only.
    fn mark_at(&self, symbol: usize, bar: usize, moment: Moment) -> Option<f64> {
        let use_mark = self.plan.use_mark;
        match (moment, self.chart.bar(symbol, bar), bar.checked_sub(1)) {
            (Moment::Open, Some(prices), _) => Some(prices.open),
            (Moment::Open, None, Some(before)) => self.chart.mark(symbol, before, use_mark),
            (Moment::Open, None, None) => None,
            (Moment::Close, ..) => self.chart.mark(symbol, bar, use_mark),
        }
    }
    /// Marks of all symbols; `NaN` where there was none yet.
    fn marks_at(&self, bar: usize, moment: Moment) -> Vec<f64> {
        self.symbols().map(|symbol| self.mark_at(symbol, bar, moment).unwrap_or(f64::NAN)).collect()
    }
    fn held(&self) -> Vec<usize> {
        self.symbols().filter(|&symbol| self.positions[symbol].steps != 0).collect()
    }
    fn notional_usdt(&self, symbol: usize, marks: &[f64]) -> f64 {
        self.step(symbol).value(self.positions[symbol].steps.abs()) * marks[symbol]
    }
    fn unrealized_usdt(&self, symbol: usize, marks: &[f64]) -> f64 {
        let position = &self.positions[symbol];
        self.step(symbol).value(position.steps) * (marks[symbol] - position.avg_entry_px)
    }
    fn equity_usdt(&self, marks: &[f64]) -> f64 {
        self.money.wallet() + self.held().iter().map(|&s| self.unrealized_usdt(s, marks)).sum::<f64>()
    }
    fn maintenance_of(&self, symbol: usize, bar: usize, marks: &[f64], margin: &MarginPlan) -> f64 {
        self.tiers(symbol, bar, margin).maintenance_usdt(self.notional_usdt(symbol, marks))
    }
    fn maintenance_usdt(&self, bar: usize, marks: &[f64], margin: &MarginPlan) -> f64 {
        self.held().iter().map(|&s| self.maintenance_of(s, bar, marks, margin)).sum()
    }
    /// 4.6: `MR`.
    fn margin_ratio(&self, bar: usize, marks: &[f64], margin: &MarginPlan) -> f64 {
        let equity_usdt = self.equity_usdt(marks);
        match (self.held().is_empty(), equity_usdt > 0.0) {
            (true, _) => 0.0,
            (false, true) => self.maintenance_usdt(bar, marks, margin) / equity_usdt,
            (false, false) => f64::INFINITY,
        }
    }

    /// ΣIM and ΣMM at the close of a bar; nothing where margin is off.
    pub(super) fn margins_at_close(&self, bar: usize) -> Option<[f64; 2]> {
        let margin = self.plan.margin.as_ref()?;
        let marks = self.marks_at(bar, Moment::Close);
        let initial_usdt: f64 = self
            .held()
            .iter()
            .map(|&s| self.initial_usdt(s, bar, self.notional_usdt(s, &marks), margin))
            .sum();
        Some([initial_usdt, self.maintenance_usdt(bar, &marks, margin)])
    }

    // --- 4.5: initial margin of openings ----------------------------------------------------------------------

    fn initial_usdt(&self, symbol: usize, bar: usize, notional_usdt: f64, margin: &MarginPlan) -> f64 {
        self.tiers(symbol, bar, margin).initial_usdt(notional_usdt, self.max_leverage(symbol, margin))
    }

    /// Open-order margin: of the opening legs of waiting orders, at their own price, by the bracket of their own
    /// notional.
    fn reserved_usdt(&self, bar: usize, margin: &MarginPlan) -> f64 {
        let reserved = |order: &Order| {
            let (_, opening) = order.legs(self.against(order));
            let opening = if order.opening_refused.is_some() { 0 } else { opening };
            if opening == 0 {
                return 0.0;
            }
            let px = match order.form {
                Form::Limit { limit_px, .. } | Form::StopLimit { limit_px, .. } => limit_px,
                Form::Market | Form::Stop { .. } => self
                    .chart
                    .last_close(order.symbol, order.decided_bar)
                    .expect("an opening was admitted with a close"),
            };
            let notional_usdt = self.step(order.symbol).value(opening) * px;
            self.initial_usdt(order.symbol, bar, notional_usdt, margin)
        };
        self.orders.iter().map(reserved).sum()
    }

    /// How many of `steps` the margin covers: available ≥ added IM + fee + open loss.
    fn covered_steps(
        &self,
        bar: usize,
        moment: Moment,
        opening: &Opening,
        steps: i128,
        margin: &MarginPlan,
    ) -> i128 {
        let symbol = opening.symbol;
        let marks = self.marks_at(bar, moment);
        let mark_px = marks[symbol];
        let others_usdt: f64 = self
            .held()
            .iter()
            .filter(|&&s| s != symbol)
            .map(|&s| self.initial_usdt(s, bar, self.notional_usdt(s, &marks), margin))
            .sum();
        let free_usdt = self.equity_usdt(&marks) - others_usdt - self.reserved_usdt(bar, margin);
        let step = self.step(symbol);
        let is_covered = |steps: i128| {
            let own_usdt = self.initial_usdt(symbol, bar, step.value(opening.kept + steps) * mark_px, margin);
            let qty = step.value(steps);
            let fee_usdt = qty * opening.price_px * opening.fee_frac;
            let loss_usdt = qty * (opening.side.sign() * (opening.price_px - mark_px)).max(0.0);
            free_usdt - own_usdt >= fee_usdt + loss_usdt
        };
        if is_covered(steps) {
            return steps;
        }
        let (mut fits, mut too_many) = (0, steps);
        while too_many - fits > 1 {
            let middle = (fits + too_many) / 2;
            if is_covered(middle) { fits = middle } else { too_many = middle }
        }
        fits
    }

    fn admit_margin(
        &self,
        bar: usize,
        moment: Moment,
        opening: &Opening,
        steps: i128,
        margin: &MarginPlan,
    ) -> Result<i128, &'static str> {
        let covered = self.covered_steps(bar, moment, opening, steps, margin);
        match margin.on_short {
            OnMarginShort::Reject if covered < steps => Err("margin"),
            _ if covered == 0 => Err("margin"),
            _ => Ok(covered),
        }
    }

    fn kept_steps(&self, symbol: usize, side: Side) -> i128 {
        if self.steps_against(symbol, side) > 0 { 0 } else { self.positions[symbol].steps.abs() }
    }

    /// At `K_bar`: the position limit, the guard, the margin of an opening leg. Choice: the price is the order's own,
    /// the fee that of a taker; a notional is measured at the mark; the guard refuses with `margin`, and refuses new
    /// openings only, not orders that wait; what margin cuts is not held against the minimums again here.
    pub(super) fn admit_margin_at_decision(
        &self,
        bar: usize,
        order: &Order,
        steps: i128,
        close_px: f64,
    ) -> Result<i128, &'static str> {
        let Some(margin) = &self.plan.margin else { return Ok(steps) };
        let symbol = order.symbol;
        let kept = self.kept_steps(symbol, order.side);
        let mark_px = self.mark_at(symbol, bar, Moment::Close).expect("a listed symbol has a mark");
        let notional_usdt = self.step(symbol).value(kept + steps) * mark_px;
        if notional_usdt > self.tiers(symbol, bar, margin).cap_usdt() {
            return Err("position_limit");
        }
        let ratio = self.margin_ratio(bar, &self.marks_at(bar, Moment::Close), margin);
        if margin.guard.is_some_and(|guard| ratio > guard.warn) {
            return Err("margin");
        }
        let price_px = match order.form {
            Form::Limit { limit_px, .. } | Form::StopLimit { limit_px, .. } => limit_px,
            Form::Market | Form::Stop { .. } => close_px,
        };
        let fee_frac = self.taker_fee_frac(bar);
        let opening = Opening { symbol, side: order.side, kept, price_px, fee_frac };
        self.admit_margin(bar, Moment::Close, &opening, steps, margin)
    }

    /// At the fill, with what is held by now at the marks of the open. Choice: the price is the base, before slippage,
    /// which depends on how much fits.
    pub(super) fn admit_margin_at_fill(
        &self,
        order: &Order,
        bar: usize,
        opened: i128,
        offer: &Offer,
    ) -> Result<i128, &'static str> {
        let Some(margin) = &self.plan.margin else { return Ok(opened) };
        let opening = Opening {
            symbol: order.symbol,
            side: order.side,
            kept: self.kept_steps(order.symbol, order.side),
            price_px: offer.base_px,
            fee_frac: match offer.liquidity {
                Liquidity::Maker => self.maker_fee_frac(bar),
                Liquidity::Taker => self.taker_fee_frac(bar),
            },
        };
        self.admit_margin(bar, Moment::Open, &opening, opened, margin)
    }

    // --- 4.7: liquidation -------------------------------------------------------------------------------------

    fn liquidates(&self, intrabar: bool) -> Option<MarginPlan> {
        let margin = self.plan.margin.filter(|margin| margin.liquidation)?;
        (!intrabar || margin.liq_check == LiqCheck::OpenIntrabarClose).then_some(margin)
    }

    /// Phase 2: at the marks of the open.
    pub(super) fn liquidate_at_open(&mut self, bar: usize) {
        if let Some(margin) = self.liquidates(true) {
            self.liquidate_by_ratio(bar, Moment::Open, &margin);
        }
    }
    /// Phase 5: at the marks of the close.
    pub(super) fn liquidate_at_close(&mut self, bar: usize) {
        if let Some(margin) = self.liquidates(false) {
            self.liquidate_by_ratio(bar, Moment::Close, &margin);
        }
    }
    fn liquidate_by_ratio(&mut self, bar: usize, moment: Moment, margin: &MarginPlan) {
        let marks = self.marks_at(bar, moment);
        if self.margin_ratio(bar, &marks, margin) >= 1.0 {
            let flags = FillFlags::default().with(FillFlags::GAPPED, moment == Moment::Open);
            self.liquidate(bar, marks, None, flags, margin);
        }
    }

    /// Phase 4, one symbol: whether the bar's extreme reaches LP, the others at their marks of the open, before a stop
    /// of the position that lies nearer to the open. Choice: a take profit inside the bar comes after it, one that the
    /// open has passed before it.
    pub(super) fn liquidate_inside(&mut self, symbol: usize, bar: usize, prices: &Bar) {
        let Some(margin) = self.liquidates(true) else { return };
        let position = &self.positions[symbol];
        if position.steps == 0 || self.take_profit_passed(symbol, bar, prices) {
            return;
        }
        let mut marks = self.marks_at(bar, Moment::Open);
        let others: Vec<usize> = self.held().into_iter().filter(|&s| s != symbol).collect();
        let exposed = Exposed {
            sign: position.steps.signum() as f64,
            qty: self.step(symbol).value(position.steps.abs()),
            entry_px: position.avg_entry_px,
            wallet_usdt: self.money.wallet(),
            other_maintenance_usdt: others
                .iter()
                .map(|&s| self.maintenance_of(s, bar, &marks, &margin))
                .sum(),
            other_unrealized_usdt: others.iter().map(|&s| self.unrealized_usdt(s, &marks)).sum(),
        };
        let is_long = position.steps > 0;
        let is_beyond = |px: f64, level_px: f64| if is_long { px <= level_px } else { px >= level_px };
        let liquidation_px = match exposed.liquidation(&self.tiers(symbol, bar, &margin)) {
            Liquidation::Never => return,
            Liquidation::At(px) => px,
            Liquidation::Already => prices.open,
        };
        let is_gapped = is_beyond(prices.open, liquidation_px);
        let base_px = if is_gapped { prices.open } else { liquidation_px };
        let is_reached = is_beyond(prices.worst_for_stop(position.exit_side()), liquidation_px);
        let stop_is_first =
            self.stop_that_fires(symbol, bar, prices).is_some_and(|px| is_beyond(base_px, px));
        if is_reached && !stop_is_first {
            marks[symbol] = base_px;
            let flags = FillFlags::default().with(FillFlags::GAPPED, is_gapped);
            self.liquidate(bar, marks, Some(symbol), flags, &margin);
        }
    }

    /// The event: orders go, whole positions are liquidated by descending MM, the one that triggered first, until
    /// `MR < 1`; what then is missing in the wallet the insurance fund pays. Choice: a symbol without a tradable bar
    /// goes too, at its carried mark.
    fn liquidate(
        &mut self,
        bar: usize,
        marks: Vec<f64>,
        triggering: Option<usize>,
        flags: FillFlags,
        margin: &MarginPlan,
    ) {
        for order in std::mem::take(&mut self.orders) {
            self.end_order(&order, bar, OrderStatus::Cancelled, "liquidation");
        }
        let share = match margin.liq_mode {
            LiqMode::LargestMm | LiqMode::All => 1.0,
            LiqMode::ProRata => self.liquidated_share(bar, &marks, margin),
        };
        let mut last = triggering;
        let mut pass = |engine: &mut Self, share: f64, until_sound: bool| {
            for symbol in engine.by_maintenance(bar, &marks, triggering, margin) {
                if until_sound && engine.margin_ratio(bar, &marks, margin) < 1.0 && last != Some(symbol) {
                    break;
                }
                let held = engine.positions[symbol].steps.abs();
                let steps = if share < 1.0 { engine.share_of(symbol, held, share) } else { held };
                engine.liquidate_steps(symbol, bar, steps, marks[symbol], flags);
                last = Some(symbol);
            }
        };
        pass(self, share, margin.liq_mode == LiqMode::LargestMm);
        if margin.liq_mode == LiqMode::ProRata && self.margin_ratio(bar, &marks, margin) >= 1.0 {
            pass(self, 1.0, false);
        }
        if self.held().is_empty() && self.money.wallet() < 0.0 {
            let amount_usdt = -self.money.wallet();
            self.money.insurance += amount_usdt;
            let symbol = last.expect("something was liquidated");
            self.out.insurance.push(RefInsurance { bar, symbol, amount_usdt });
            self.is_ruined = true;
        }
    }

    fn by_maintenance(
        &self,
        bar: usize,
        marks: &[f64],
        triggering: Option<usize>,
        margin: &MarginPlan,
    ) -> Vec<usize> {
        let mut held = self.held();
        let maintenance = |symbol: usize| self.maintenance_of(symbol, bar, marks, margin);
        held.sort_by(|&a, &b| maintenance(b).total_cmp(&maintenance(a)).then(a.cmp(&b)));
        if let Some(at) = held.iter().position(|&symbol| Some(symbol) == triggering) {
            let first = held.remove(at);
            held.insert(0, first);
        }
        held
    }

    fn liquidate_steps(&mut self, symbol: usize, bar: usize, steps: i128, base_px: f64, flags: FillFlags) {
        let terms = Terms {
            symbol,
            order_id: NO_ORDER,
            side: self.positions[symbol].exit_side(),
            steps,
            base_px,
            reason: FillReason::Liquidation,
            liquidity: Liquidity::Taker,
            limit_px: None,
            flags,
        };
        let prices = self.chart.bar(symbol, bar);
        self.trade(bar, prices.as_ref(), &terms);
    }

    /// Steps of a share, up to the step; at least one.
    fn share_of(&self, symbol: usize, held: i128, share: f64) -> i128 {
        let step = self.step(symbol);
        let qty = step.value(held) * share;
        if qty <= step.value(1) { 1 } else { step.ceil(qty).min(held) }
    }

    /// `pro_rata`. Choice: as the guard trims, to `MR = 1`, at the cost of the largest slippage and the largest
    /// clearance fee among the held; where rounding leaves `MR ≥ 1`, everything goes.
    fn liquidated_share(&self, bar: usize, marks: &[f64], margin: &MarginPlan) -> f64 {
        let held = self.held();
        let fee_frac = held.iter().map(|&s| self.liquidation_fee_frac(s)).fold(0.0, f64::max);
        let cost_frac = fee_frac + self.plan.slippage.max_bps / 1e4;
        self.share_to(bar, &held, marks, 1.0, cost_frac, margin)
    }
    fn share_to(
        &self,
        bar: usize,
        held: &[usize],
        marks: &[f64],
        target: f64,
        cost_frac: f64,
        margin: &MarginPlan,
    ) -> f64 {
        let tiers: Vec<Tiers> = held.iter().map(|&s| self.tiers(s, bar, margin)).collect();
        let notionals = held.iter().map(|&s| self.notional_usdt(s, marks));
        let positions: Vec<(f64, &Tiers)> = notionals.zip(&tiers).collect();
        trim_share(&positions, self.equity_usdt(marks), target, cost_frac)
    }

    // --- 4.8: the guard ---------------------------------------------------------------------------------------

    /// At `K_bar`: reduce-only market orders for the next open, for that bar alone. Choice: the cost is the taker fee
    /// and the slippage of a vanishing quantity.
    pub(super) fn trim_margin(&mut self, bar: usize) {
        let Some(margin) = self.plan.margin else { return };
        let Some(guard) = margin.guard else { return };
        let marks = self.marks_at(bar, Moment::Close);
        if bar + 1 == self.input.run.end || self.margin_ratio(bar, &marks, &margin) <= guard.trim {
            return;
        }
        let slippage = &self.plan.slippage;
        let slip_bps =
            (slippage.a_bps * slippage.regime_mult_normal).max(slippage.min_bps).min(slippage.max_bps);
        let cost_frac = self.taker_fee_frac(bar + 1) + slip_bps / 1e4;
        let mut held = self.held();
        let trims: Vec<(usize, i128)> = if guard.order == TrimOrder::ProRata {
            let share = self.share_to(bar, &held, &marks, guard.target, cost_frac, &margin);
            held.iter().map(|&s| (s, self.share_of(s, self.positions[s].steps.abs(), share))).collect()
        } else {
            let rank = |symbol: usize| match guard.order {
                TrimOrder::LargestMm => -self.maintenance_of(symbol, bar, &marks, &margin),
                TrimOrder::LargestLoss => self.unrealized_usdt(symbol, &marks),
                // Choice: nothing here has a score, so the symbol id decides.
                TrimOrder::ProRata | TrimOrder::LowestScore => 0.0,
            };
            held.sort_by(|&a, &b| rank(a).total_cmp(&rank(b)).then(a.cmp(&b)));
            self.trim_in_turn(bar, &held, &marks, guard.target, cost_frac, &margin)
        };
        for (symbol, steps) in trims.into_iter().filter(|&(_, steps)| steps > 0) {
            let side = self.positions[symbol].exit_side();
            self.orders.push(Order {
                ttl_bars: 1,
                own_reason: Some(FillReason::MarginTrim),
                ..Order::market(bar, symbol, side, Size::Reduce(steps))
            });
        }
    }

    /// One position after the other, each as a whole but the last, of which as few steps as will do.
    fn trim_in_turn(
        &self,
        bar: usize,
        held: &[usize],
        marks: &[f64],
        target: f64,
        cost_frac: f64,
        margin: &MarginPlan,
    ) -> Vec<(usize, i128)> {
        let mut maintenance_usdt = self.maintenance_usdt(bar, marks, margin);
        let mut equity_usdt = self.equity_usdt(marks);
        let mut trims = Vec::new();
        for &symbol in held {
            if maintenance_usdt <= target * equity_usdt {
                break;
            }
            let (step, tiers) = (self.step(symbol), self.tiers(symbol, bar, margin));
            let steps = self.positions[symbol].steps.abs();
            let of = |kept: i128| step.value(kept) * marks[symbol];
            let others_usdt = maintenance_usdt - tiers.maintenance_usdt(of(steps));
            let is_enough = |trimmed: i128| {
                others_usdt + tiers.maintenance_usdt(of(steps - trimmed))
                    <= target * (equity_usdt - cost_frac * of(trimmed))
            };
            let (mut too_few, mut enough) = (0, steps);
            while is_enough(steps) && enough - too_few > 1 {
                let middle = (too_few + enough) / 2;
                if is_enough(middle) { enough = middle } else { too_few = middle }
            }
            trims.push((symbol, enough));
            maintenance_usdt = others_usdt + tiers.maintenance_usdt(of(steps - enough));
            equity_usdt -= cost_frac * of(enough);
            if enough < steps {
                break;
            }
        }
        trims
    }
}
