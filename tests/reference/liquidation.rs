//! Liquidation and the soft guard before it, of one cross-margined account (semantics 4.7, 4.8).

use barloom::config::plan::{LiqCheck, LiqMode, MarginPlan, TrimOrder};
use barloom::engine::api::{FillFlags, FillReason, Liquidity, NO_ORDER, OrderStatus};

use super::RefInsurance;
use super::booking::Terms;
use super::chart::Bar;
use super::engine::Engine;
use super::isolated::NEAR;
use super::margin::Moment;
use super::orders::{Order, Size};
use super::tiers::{Exposed, Liquidation, Tiers, trim_share};

impl Engine<'_> {
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
        if self.isolated().is_some() {
            return self.liquidate_stakes(bar, moment, margin);
        }
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
        let is_isolated = self.isolated().is_some();
        let in_one_account = || Exposed {
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
        let exposed = if is_isolated { self.exposed_alone(symbol) } else { in_one_account() };
        let is_long = position.steps > 0;
        let near = if is_isolated { NEAR } else { 0.0 };
        let is_beyond = |px: f64, level_px: f64| {
            if is_long { px <= level_px * (1.0 + near) } else { px >= level_px * (1.0 - near) }
        };
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
            let flags = FillFlags::default().with(FillFlags::GAPPED, is_gapped);
            if is_isolated {
                return self.liquidate_stake_inside(symbol, bar, base_px, flags, &margin);
            }
            marks[symbol] = base_px;
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
            self.be_insured(bar, last.expect("something was liquidated"));
        }
    }
    /// The end of an account.
    pub(super) fn be_insured(&mut self, bar: usize, symbol: usize) {
        let amount_usdt = -self.money.wallet();
        self.money.insurance += amount_usdt;
        self.out.insurance.push(RefInsurance { bar, symbol, amount_usdt, ruins: true });
        self.is_ruined = true;
    }

    pub(super) fn by_maintenance(
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

    pub(super) fn liquidate_steps(
        &mut self,
        symbol: usize,
        bar: usize,
        steps: i128,
        base_px: f64,
        flags: FillFlags,
    ) {
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
    pub(super) fn share_of(&self, symbol: usize, held: i128, share: f64) -> i128 {
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
        let is_isolated = self.isolated().is_some();
        let is_sound = !is_isolated && self.margin_ratio(bar, &marks, &margin) <= guard.trim;
        if bar + 1 == self.input.run.end || is_sound {
            return;
        }
        let slippage = &self.plan.slippage;
        let slip_bps =
            (slippage.a_bps * slippage.regime_mult_normal).max(slippage.min_bps).min(slippage.max_bps);
        let cost_frac = self.taker_fee_frac(bar + 1) + slip_bps / 1e4;
        if is_isolated {
            return self.trim_stakes(bar, &marks, &guard, cost_frac, &margin);
        }
        let mut held = self.held();
        let trims: Vec<(usize, i128)> = if guard.order == TrimOrder::ProRata {
            let share = self.share_to(bar, &held, &marks, guard.target, cost_frac, &margin);
            held.iter().map(|&s| (s, self.share_of(s, self.positions[s].steps.abs(), share))).collect()
        } else {
            let rank = |symbol: usize| match guard.order {
                TrimOrder::LargestMm => -self.maintenance_of(symbol, bar, &marks, &margin),
                // decision 7.28: in units of the tolerance, so that a last digit breaks no tie
                TrimOrder::LargestLoss => {
                    (self.unrealized_usdt(symbol, &marks) / self.tolerance_usdt()).round() + 0.0
                }
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
