//! Market orders of level signals, between a close and the next open: a column, not a queue.
//!
//! Nearly every order of a sweep is decided at one close, fills at the next open and is gone. Such orders are three mask
//! words and a lane column here; whatever has to wait, or meets anything but its own fill, becomes a record of
//! [`OrderQueue`](crate::execution::orders::OrderQueue) and goes the long way, which is this one's slow twin
//! ([`super::orders`]): a recorded run takes no other, and both give the same bits.

use barloom_kernels::fills::Acts;

use super::account::{Account, Bar, Venue, for_each_bit};
use crate::config::plan::{CheckInvariants, EnginePlan, EntryBeyondStop, Sequencing};
use crate::events::{
    AttachedLevels, Fill, FillFlags, FillReason, Liquidity, NO_TAG, OrderIntent, OrderKind, Recorder, Side,
    SignalTile,
};
use crate::execution::orders::{PendingOrder, Role};
use crate::execution::pricing::rounded_price;
use crate::execution::rules::SymbolRules;
use crate::portfolio::{Booked, Lane};
use crate::risk::{Balances, sizing_equity_usdt};

/// Orders of the last close, by lane.
#[derive(Debug, Clone)]
pub(super) struct NextOpen {
    exit: Vec<u64>,
    entry: Vec<u64>,
    planned: Vec<Planned>,
    any: bool,
    filled: usize,
}

/// One of them: closes what stands against it, and an entry opens this on top.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Planned {
    opening_steps: f64,
    // The levels stand apart: side by side they are copied as a pair, for which a processor waits if it has just written
    // them one by one.
    stop_loss_px: f64,
    opening_qty: f64,
    take_profit_px: f64,
    order_id: u32,
    tag: u32,
    side: Side,
}

impl Planned {
    /// One that opens nothing.
    fn new(order_id: u32, side: Side) -> Self {
        Self {
            opening_steps: 0.0,
            opening_qty: 0.0,
            stop_loss_px: f64::NAN,
            take_profit_px: f64::NAN,
            order_id,
            tag: NO_TAG,
            side,
        }
    }
}

/// A market order that was booked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    pub(super) side: Side,
    pub(super) qty: f64,
    pub(super) price_px: f64,
    pub(super) fee_usdt: f64,
    pub(super) booked: Booked,
}

impl Settled {
    /// No order: what a buffer holds before its first one.
    pub(super) const NONE: Self =
        Self { side: Side::Buy, qty: 0.0, price_px: 0.0, fee_usdt: 0.0, booked: Booked::NONE };
}

impl Settled {
    /// The fill that a recorder is told of.
    #[inline(always)]
    pub(super) fn fill(self, bar: usize, lane: Lane, told: Told) -> Fill {
        let Self { side, qty, price_px, fee_usdt, booked } = self;
        let Told { order_id, tag, base_px, trigger_px, reason, flags, slippage_bps } = told;
        Fill {
            bar: bar as u32,
            symbol: lane.symbol as u32,
            order_id,
            side,
            qty,
            price: price_px,
            base_px,
            trigger_px,
            liquidity: Liquidity::Taker,
            fee_usdt,
            slippage_bps,
            participation: f64::NAN,
            reason,
            flags,
            regime: None,
            realized_usdt: booked.realized_usdt,
            position_before: booked.position_before,
            position_after: booked.position_after,
            avg_entry_before: booked.avg_entry_before,
            avg_entry_after: booked.avg_entry_after,
            tag,
        }
    }
}

/// What else a fill says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) order_id: u32,
    pub(super) tag: u32,
    /// Price before slippage.
    pub(super) base_px: f64,
    /// The stop it came by; `NaN`: none.
    pub(super) trigger_px: f64,
    pub(super) reason: FillReason,
    pub(super) flags: FillFlags,
    pub(super) slippage_bps: f64,
}

impl NextOpen {
    pub(super) fn new(words: usize, lanes: usize) -> Self {
        let none = vec![0; words];
        let planned = vec![Planned::new(0, Side::Buy); lanes];
        Self { exit: none.clone(), entry: none, planned, any: false, filled: 0 }
    }
    /// The orders of a mask word: exits, and entries to either side.
    pub(super) fn waiting(&self, word: usize) -> Acts {
        let mut waiting = Acts { exit: self.exit[word], ..Acts::default() };
        for_each_bit(self.entry[word], |bit| {
            let lane = Lane::of_bit(word, bit);
            let side = match self.planned[lane.symbol].side {
                Side::Buy => &mut waiting.enter_long,
                Side::Sell => &mut waiting.enter_short,
            };
            *side |= lane.bit;
        });
        waiting
    }
    /// Forgets the orders of all words: they are filled.
    pub(super) fn clear(&mut self) {
        self.exit.fill(0);
        self.entry.fill(0);
        self.any = false;
    }
    /// Puts in an order: an exit, or an entry of so many steps and units, with its stop loss.
    pub(super) fn put(
        &mut self,
        lane: Lane,
        side: Side,
        order_id: u32,
        opening: Option<(f64, f64)>,
        stop_loss_px: f64,
    ) {
        let mut planned = Planned { stop_loss_px, ..Planned::new(order_id, side) };
        if let Some(opening) = opening {
            (planned.opening_steps, planned.opening_qty) = opening;
        }
        let mask = if opening.is_some() { &mut self.entry } else { &mut self.exit };
        mask[lane.word] |= lane.bit;
        self.planned[lane.symbol] = planned;
        self.any = true;
    }
    /// The id of the order of a lane.
    pub(super) fn order_id(&self, symbol: usize) -> u32 {
        self.planned[symbol].order_id
    }
    /// Counts orders that were filled from here.
    pub(super) fn count_filled(&mut self, orders: usize) {
        self.filled += orders;
    }
    /// Orders filled since this was asked last.
    pub(super) fn take_filled(&mut self) -> usize {
        std::mem::take(&mut self.filled)
    }
    /// Whether any order waits here.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.any
    }
}

/// Whether an account's market orders can be settled from columns alone: nothing but their own fill depends on them.
pub(super) fn fills_are_plain(plan: &EnginePlan) -> bool {
    let execution = &plan.execution;
    plan.margin.is_none()
        && plan.regimes().is_none()
        && !plan.slippage.reads_volume()
        && !execution.split_large
        && execution.participation_cap_frac == 0.0
        && plan.max_position_notional_usdt == 0.0
        && !execution.clamp_to_bar
        && execution.sequencing == Sequencing::Phased
        && execution.entry_beyond_stop == EntryBeyondStop::FillAndStop
        && plan.check_invariants != CheckInvariants::EveryBar
}

impl Account {
    /// Whether quotes are of use to accounts of this plan.
    pub fn takes_quotes(plan: &EnginePlan) -> bool {
        fills_are_plain(plan)
    }
    /// First bar from `from` on in which more can happen than fills of level signals, levels of positions and funding.
    pub(super) fn next_event_bar<R: Recorder>(
        &self,
        venue: &Venue<'_>,
        signals: &SignalTile<'_>,
        intents: &[OrderIntent],
        from: usize,
    ) -> usize {
        let settles_rest = self.plan.funding.close_before_frac != 0.0 || self.fees_change();
        if R::WANTS_ORDERS || !self.plain || !signals.never_trails || settles_rest {
            return from;
        }
        let listings = &venue.listings;
        let closing = listings.closing.iter().find(|(_, delisted)| *delisted > from);
        [
            Some(venue.run.end - 1),
            listings.delistings.get(self.delistings_at).map(|&(bar, _)| bar),
            closing.map(|&(reduce_only, _)| reduce_only),
            self.series_ends.get(self.series_ends_at).map(|due| due.bar),
            intents.first().map(|intent| intent.bar as usize),
        ]
        .into_iter()
        .flatten()
        .fold(usize::MAX, usize::min)
        .max(from)
    }
    /// A bar in which nothing is due but funding: what waits for the open fills, levels are met, the close is marked and
    /// decided.
    #[inline]
    pub(super) fn plain_bar<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        signals: &SignalTile<'_>,
        recorder: &mut R,
    ) {
        self.settle_funding(bar, recorder);
        let had_levels = self.levels.any();
        if had_levels {
            self.find_touched(bar);
            self.levels_at_open(bar, recorder);
        }
        self.fill_next_open(bar, recorder);
        self.settle_late_funding(bar, recorder);
        if had_levels || self.levels.any() {
            self.intrabar(bar, recorder);
            self.forget_bar();
        }
        let balances = self.mark(bar);
        self.decide_masks(bar, signals, balances, recorder);
    }
    /// Whether orders decided at this close go to the columns.
    #[inline]
    pub(super) fn plans_for_next_open<R: Recorder>(&self, bar: &Bar<'_>, signals: &SignalTile<'_>) -> bool {
        !R::WANTS_ORDERS && self.plain && signals.never_trails && !bar.is_last
    }
    /// An exit of a level signal.
    #[inline]
    pub(super) fn plan_exit(&mut self, lane: Lane) {
        let (side, _) = self.closing(lane);
        self.next_open.any = true;
        self.next_open.exit[lane.word] |= lane.bit;
        self.next_open.planned[lane.symbol] = Planned::new(self.orders.take_id(), side);
    }
    /// An entry of a level signal: sized and tested as every other.
    #[inline]
    pub(super) fn plan_entry(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        side: Side,
        signals: &SignalTile<'_>,
        balances: Balances,
    ) {
        let mut planned = Planned::new(self.orders.take_id(), side);
        let mut refused = None;
        if let Some(values) = signals.values {
            planned.tag = values.tag(bar.tile, bar.row, lane.symbol);
            match values.attached_levels(bar.tile, bar.row, lane.symbol, side) {
                AttachedLevels::Rejected(reason) => refused = Some(reason),
                AttachedLevels::Prices(levels) => {
                    (planned.stop_loss_px, planned.take_profit_px) =
                        (levels.stop_loss_px, levels.take_profit_px);
                }
            }
        }
        let rules = &bar.venue.rules[lane.symbol];
        let sized = self.admit_instant(bar, lane.symbol).and_then(|()| {
            let close = self.opening_price(bar, lane.symbol)?;
            refused.map_or(Ok(()), Err)?;
            let quoted = bar.quotes.and_then(|q| q.size(bar.row * bar.tile.lanes + lane.symbol));
            let (steps, qty) = match quoted {
                // A missing bar has none, and a notional is 0 where equity is gone.
                Some((steps, qty)) if !steps.is_nan() && sizing_equity_usdt(&self.plan, balances) > 0.0 => {
                    (steps, qty)
                }
                _ => {
                    let steps = self.sized_steps(bar, lane.symbol, close, balances)?;
                    (steps, rules.step.value(steps))
                }
            };
            rules.opening_rejection(qty, close, OrderKind::Market, false).map_or(Ok((steps, qty)), Err)
        });
        match sized {
            Ok((steps, qty)) => {
                (planned.opening_steps, planned.opening_qty) = (steps, qty);
                let next_open = &mut self.next_open;
                next_open.any = true;
                next_open.planned[lane.symbol] = planned;
                next_open.entry[lane.word] |= lane.bit;
            }
            // The closing leg goes on (semantics 2.11).
            Err(reason) if self.steps_against(lane, side) > 0.0 => {
                let order = self.planned_entry(lane, &planned, bar.bar);
                self.orders.push(PendingOrder { opening_refused: reason, ..order });
            }
            Err(_) => {}
        }
    }
    fn planned_entry(&self, lane: Lane, planned: &Planned, decided_bar: usize) -> PendingOrder {
        PendingOrder {
            order_id: planned.order_id,
            decided_bar: decided_bar as u32,
            ttl_bars: self.plan.execution.entry_ttl_bars,
            closes_opposite: true,
            steps: planned.opening_steps,
            stop_loss_px: planned.stop_loss_px,
            take_profit_px: planned.take_profit_px,
            tag: planned.tag,
            ..PendingOrder::blank(lane.symbol, planned.side, Role::Entry)
        }
    }
    /// Makes records of the orders of some lanes, since they meet more than their fill.
    fn queue_planned(&mut self, word: usize, bits: u64, decided_bar: usize) {
        for_each_bit(bits, |bit| {
            let lane = Lane::of_bit(word, bit);
            let planned = self.next_open.planned[lane.symbol];
            let order = if lane.is_in(&self.next_open.exit) {
                let (_, steps) = self.closing(lane);
                PendingOrder {
                    order_id: planned.order_id,
                    decided_bar: decided_bar as u32,
                    closes_opposite: true,
                    steps,
                    tag: planned.tag,
                    ..PendingOrder::blank(lane.symbol, planned.side, Role::Exit)
                }
            } else {
                self.planned_entry(lane, &planned, decided_bar)
            };
            self.orders.push(order);
        });
    }
    /// The orders of the bar before become records, for a bar in which more is due than their fills.
    pub(super) fn queue_next_open(&mut self, bar: &Bar<'_>) {
        if !self.next_open.any {
            return;
        }
        for word in 0..self.book.words() {
            let bits = self.next_open.exit[word] | self.next_open.entry[word];
            self.queue_planned(word, bits, bar.bar - 1);
            (self.next_open.exit[word], self.next_open.entry[word]) = (0, 0);
        }
        self.next_open.any = false;
    }
    /// Phase 3 for these orders, symbol by symbol: exits, then entries and flips. Those without a tradable bar wait.
    #[inline]
    fn fill_next_open<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        if !self.next_open.any {
            return;
        }
        self.next_open.any = false;
        let words = self.book.words();
        let tradable = &bar.tile.tradable[bar.row * words..][..words];
        for exits in [true, false] {
            for (word, tradable) in tradable.iter().enumerate() {
                let waiting = &self.next_open;
                let bits = if exits { waiting.exit[word] } else { waiting.entry[word] };
                for_each_bit(bits & tradable, |bit| {
                    self.fill_planned(bar, Lane::of_bit(word, bit), recorder)
                });
            }
        }
        for (word, tradable) in tradable.iter().enumerate() {
            let waits = (self.next_open.exit[word] | self.next_open.entry[word]) & !tradable;
            if waits != 0 {
                self.queue_planned(word, waits, bar.bar - 1);
            }
            (self.next_open.exit[word], self.next_open.entry[word]) = (0, 0);
        }
        if !self.orders.is_empty() {
            self.expire(bar, recorder);
        }
    }
    /// One of them: closes what stands against it and opens on top what was planned, at the open plus the fixed slippage.
    ///
    /// Inlined, and its parts with it: small structs that go through memory cost more than their arithmetic.
    #[inline(always)]
    fn fill_planned<R: Recorder>(&mut self, bar: &Bar<'_>, lane: Lane, recorder: &mut R) {
        let planned = self.next_open.planned[lane.symbol];
        let side = planned.side;
        let rules = &bar.venue.rules[lane.symbol];
        let base_px = bar.px(bar.tile.open, lane.symbol);
        let opens = planned.opening_steps > 0.0 && rules.meets_min_notional(planned.opening_qty, base_px);
        let opening = if opens { (planned.opening_steps, planned.opening_qty) } else { (0.0, 0.0) };
        if self.steps_against(lane, side) + opening.0 == 0.0 {
            return;
        }
        let price_px = match bar.quotes {
            Some(quotes) => quotes.price_px(side, bar.row * bar.tile.lanes + lane.symbol),
            None => {
                let slipped = base_px * self.fixed_slippage.factor[usize::from(side == Side::Buy)];
                rounded_price(rules, side, slipped, self.plan.execution.round_to_tick, None)
            }
        };
        let settled = self.book_market(rules, lane, side, opening, price_px);
        self.levels.clear(lane);
        self.began_bar[lane.symbol] = bar.bar as u32;
        self.next_open.filled += 1;
        let Planned { order_id, tag, .. } = planned;
        recorder.fill(&settled.fill(
            bar.bar,
            lane,
            Told { tag, ..self.told_of_order(order_id, opens, base_px) },
        ));
        if opens && !(planned.stop_loss_px.is_nan() && planned.take_profit_px.is_nan()) {
            self.attach_planned(bar, lane, &planned);
        }
    }
    /// Books a market order of the open: closes what stands against it, and opens so many steps and units on top.
    #[inline(always)]
    pub(super) fn book_market(
        &mut self,
        rules: &SymbolRules,
        lane: Lane,
        side: Side,
        (opening_steps, opening_qty): (f64, f64),
        price_px: f64,
    ) -> Settled {
        let s = side.sign();
        let steps = self.steps_against(lane, side) + opening_steps;
        let qty = rules.step.value(steps);
        let fee_usdt = qty * price_px * self.plan.taker_fee_frac;
        // What stood against it is gone, so that all of the position is what was opened; flat is +0.
        let qty_after = s * opening_qty + 0.0;
        let booked = self.book.book_fill(lane, s * steps, s * qty, qty_after, price_px, fee_usdt);
        Settled { side, qty, price_px, fee_usdt, booked }
    }
    /// What the fill of a market order says of itself.
    #[inline(always)]
    pub(super) fn told_of_order(&self, order_id: u32, opens: bool, base_px: f64) -> Told {
        let reason = if opens { FillReason::MarketEntry } else { FillReason::MarketExit };
        let slippage_bps = self.fixed_slippage.bps;
        let (tag, trigger_px, flags) = (NO_TAG, f64::NAN, FillFlags::default());
        Told { order_id, tag, base_px, trigger_px, reason, flags, slippage_bps }
    }
    fn attach_planned(&mut self, bar: &Bar<'_>, lane: Lane, planned: &Planned) {
        self.increased[lane.word] |= lane.bit;
        self.opened[lane.word] |= lane.bit;
        self.changed_inside[lane.word] &= !lane.bit;
        if !planned.take_profit_px.is_nan() {
            self.fresh_target[lane.word] |= lane.bit;
        }
        self.attach_rounded(bar, lane, planned.side, planned.stop_loss_px, planned.take_profit_px);
    }
    /// Attaches levels at the prices their orders would stand at.
    pub(super) fn attach_rounded(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        side: Side,
        stop_loss_px: f64,
        take_profit_px: f64,
    ) {
        let (rules, exit_side) = (&bar.venue.rules[lane.symbol], side.opposite());
        // NaN keeps what is there.
        let rounded =
            |level: f64, side: Side| if level.is_nan() { level } else { rules.round_fill(level, side) };
        let stop_loss = rounded(stop_loss_px, exit_side);
        let take_profit = rounded(take_profit_px, side);
        self.levels.attach(lane, side == Side::Buy, stop_loss, take_profit, bar.bar);
    }
}
