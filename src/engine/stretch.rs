//! Stretches of bars in which nothing can happen but fills of level signals, the stops they bring and funding: first where
//! they are, mostly in mask words alone, then what they come to, one after the other, then the marks of all bars.
//!
//! The slow twin is [`Account::plain_bar`], bar by bar, which takes over wherever a bar has more in it. Three loops that
//! do one thing each are several times as fast as one that does all: no sum of a bar waits for the fill before it, and
//! nothing depends on how many fills a bar has.

mod scratch;

use std::ops::Range;

use barloom_kernels::account::{RowChanges, mark_changing_rows};
use barloom_kernels::bits::count_bits;
use barloom_kernels::fills::Acts;
use barloom_kernels::simd::LANE_CHUNK;

use super::account::{Account, TileFeed, Venue, for_each_bit};
use super::next_open::Told;
use crate::events::{FillFlags, FillReason, FundingPayment, NO_ORDER, NO_TAG, Recorder, Side};
use crate::execution::pricing::{rounded_price, through_px};
use crate::execution::quotes::Quotes;
use crate::execution::rules::SymbolRules;
use crate::execution::stop_quotes::StopQuotes;
use crate::market::Tile;
use crate::portfolio::Lane;
use crate::risk::{Balances, sizing_equity_usdt};
pub use scratch::Scratch;
use scratch::{Changed, StopMet};

/// Bars that a stretch has at most, so that its buffers do not grow with the tile.
const MOST_ROWS: usize = 256;

/// The bars that a stretch is in, and what is known of them.
struct Bars<'t> {
    venue: &'t Venue<'t>,
    feed: &'t TileFeed<'t>,
    quotes: &'t Quotes,
    /// Where an order of the quoted size may be decided, and where it fills whole.
    masks: (&'t [u64], &'t [u64]),
    /// What entries bring.
    stops: Option<&'t StopQuotes>,
    /// First bar of the marks.
    first: usize,
}

impl Bars<'_> {
    /// An exit or an entry of a symbol in each row; with stops one before it and one after it.
    fn most_events(&self) -> usize {
        let of_symbol = if self.stops.is_some() { 3 } else { 1 };
        self.feed.tile.rows.min(MOST_ROWS) * self.feed.tile.symbols * of_symbol
    }
}

/// Numbers of the orders of a stretch: by symbol at the close that decides them.
struct OrderIds<'a> {
    scratch: &'a Scratch,
    words: usize,
    /// The first order that the open of this row ends has the next id.
    next_row: usize,
    next_id: u32,
}

impl OrderIds<'_> {
    fn orders(&self, row: usize) -> &[u64] {
        &self.scratch.filled[row * self.words..(row + 1) * self.words]
    }
    fn go_to(&mut self, row: usize) {
        for row in self.next_row..row {
            self.next_id += self.orders(row).iter().map(|bits| bits.count_ones()).sum::<u32>();
        }
        self.next_row = self.next_row.max(row);
    }
    fn of(&mut self, row: usize, lane: Lane) -> u32 {
        self.go_to(row);
        let orders = self.orders(row);
        let lower: u32 = orders[..lane.word].iter().map(|bits| bits.count_ones()).sum();
        self.next_id + lower + (orders[lane.word] & (lane.bit - 1)).count_ones()
    }
}

impl Account {
    /// Steps through as many of these bars as have nothing in them but fills of level signals and stops; gives back the
    /// first that has more. `bars` end before the next bar in which anything is due; `first` is the first of the marks.
    pub(super) fn stretch<R: Recorder>(
        &mut self,
        venue: &Venue<'_>,
        feed: &TileFeed<'_>,
        scratch: &mut Scratch,
        bars: Range<usize>,
        first: usize,
        recorder: &mut R,
    ) -> usize {
        let tile = feed.tile;
        let Some((quotes, masks)) = feed.quotes.and_then(|quotes| Some((quotes, quotes.masks()?))) else {
            return bars.start;
        };
        let is_known = match feed.stops {
            None => feed.signals.values.is_none() && !self.levels.any(),
            Some(_) => self.levels.are_stops(),
        };
        let windows = self.plan.funding.enabled && self.plan.funding.window_ms.is_some();
        let last = Balances { equity_usdt: self.last_equity_usdt, wallet_usdt: self.book.wallet.value() };
        let sizes = sizing_equity_usdt(&self.plan, last) > 0.0;
        // In a universe of a few symbols nearly all bars are quiet, and marking those in one go is faster still.
        let narrow = tile.lanes <= LANE_CHUNK;
        if bars.is_empty() || narrow || !is_known || windows || !sizes {
            return bars.start;
        }
        let known = Bars { venue, feed, quotes, masks, stops: feed.stops, first };
        let (start, at) = (bars.start - tile.bar0, bars.start - first);
        // Funding that asks what the open brings is for single bars.
        let until = if self.pays_held_before() { bars.end } else { bars.end.min(self.next_funding_bar()) };
        let mut end = until.clamp(bars.start, bars.start + MOST_ROWS) - tile.bar0;
        loop {
            end = scratch.find_fills(self, &known, start..end);
            if end == start {
                return bars.start;
            }
            scratch.remember(self);
            self.settle_rows(&known, scratch, start..end);
            self.mark_fills(&known, scratch, start..end);
            // Where equity is gone nothing opens any more: the bar that finds out decides for itself.
            let sizes = |row: &usize| {
                let at = row - start + at;
                let (equity_usdt, wallet_usdt) = (self.marks.equity[at], self.marks.wallet[at]);
                sizing_equity_usdt(&self.plan, Balances { equity_usdt, wallet_usdt }) > 0.0
            };
            let Some(row) = (start..end).find(|row| !sizes(row)) else { break };
            scratch.restore(self);
            end = row;
        }
        match feed.stops {
            None => self.tell_fills::<R, false>(&known, scratch, start..end, recorder),
            Some(_) => self.tell_fills::<R, true>(&known, scratch, start..end, recorder),
        }
        if feed.stops.is_some() {
            let stops = &scratch.stops;
            let held = &scratch.held[(end - 1) * tile.words..end * tile.words];
            self.levels.replace_stops(held, &stops.px, &stops.below, &stops.above);
        }
        self.next_open.clear();
        self.wait_for_next_open(&known, scratch, end);
        let at = at + end - start - 1;
        (self.last_equity_usdt, self.last_gross_usdt) = (self.marks.equity[at], self.marks.gross[at]);
        self.traded_usdt = 0.0;
        tile.bar0 + end
    }
    /// Books the funding and the fills of rows.
    fn settle_rows(&mut self, bars: &Bars<'_>, scratch: &mut Scratch, rows: Range<usize>) {
        scratch.make_room(bars.most_events());
        scratch.paid.clear();
        if bars.stops.is_some() {
            scratch.stops_met.clear();
            scratch.stop_px.clear();
            scratch.stop_px.extend_from_slice(&self.levels.stop_loss_px);
        }
        let (bar0, mut row, mut settled) = (bars.feed.tile.bar0, rows.start, 0);
        while row < rows.end {
            self.pay_held(bar0 + row, &mut scratch.paid);
            let until = self.next_funding_bar().saturating_sub(bar0).min(rows.end);
            let events = settled..scratch.events_before(until);
            settled = events.end;
            match bars.stops {
                None => self.settle_fills::<false>(bars, scratch, events.clone()),
                Some(_) => self.settle_fills::<true>(bars, scratch, events.clone()),
            }
            let at = bar0 + row - bars.first;
            for (wallet, &end) in self.marks.wallet[at..].iter_mut().zip(&scratch.ends[row..until]) {
                *wallet = scratch.changed.wallet[end as usize];
            }
            row = until;
        }
    }
    /// Pays the funding of a bar on what is held before its open; the slow twin is [`Account::settle_funding`].
    fn pay_held(&mut self, bar: usize, paid: &mut Vec<FundingPayment>) {
        let Self { schedule, funding_at, book, .. } = self;
        let due =
            schedule.tape[*funding_at..].iter().take_while(|due| due.record.bar as usize == bar).count();
        let (due, mut made) = (&schedule.tape[*funding_at..*funding_at + due], paid.len());
        *funding_at += due.len();
        paid.resize(made + due.len(), FundingPayment::NONE);
        for due in due {
            let qty = book.qty[due.record.symbol as usize];
            let payment = due.payment(bar, qty);
            // What is flat pays 0, which changes no sum: a branch on it is never foreseen.
            book.book_cash(payment.cash_usdt);
            paid[made] = payment;
            made += usize::from(qty != 0.0);
        }
        paid.truncate(made);
    }
    /// Books some of the fills, one after the other.
    ///
    /// `STOPS`: there may be stops among them, which cost what they cost only here.
    #[inline(never)]
    fn settle_fills<const STOPS: bool>(
        &mut self,
        bars: &Bars<'_>,
        scratch: &mut Scratch,
        events: Range<usize>,
    ) {
        let (tile, quotes) = (bars.feed.tile, bars.quotes);
        let Changed { lane: lanes, qty, entry, wallet } = &mut scratch.changed;
        wallet[events.start] = self.book.wallet.value();
        let after = lanes[events.clone()]
            .iter_mut()
            .zip(&mut qty[events.clone()])
            .zip(&mut entry[events.clone()])
            .zip(&mut wallet[events.start + 1..]);
        let events = scratch.events[events.clone()].iter().zip(&mut scratch.settled[events]);
        for ((&event, settled), (((lane_of, qty), entry), wallet)) in events.zip(after) {
            let lane = Lane::of(event.symbol());
            let at = event.row() * tile.lanes + lane.symbol;
            let rules = &bars.venue.rules[lane.symbol];
            let side = if event.buys() { Side::Buy } else { Side::Sell };
            let stop_px = if STOPS { scratch.stop_px[lane.symbol] } else { f64::NAN };
            let (opening, price_px);
            if let Some(gapped) = event.stops().filter(|_| STOPS) {
                let met = self.meet_stop(tile, at, rules, side, stop_px, gapped);
                scratch.stops_met.push(met);
                (opening, price_px) = ((0.0, 0.0), met.price_px);
            } else {
                opening = if event.opens() { quotes.size_before(at) } else { (0.0, 0.0) };
                price_px = quotes.price_px(side, at);
                self.began_bar[lane.symbol] = (tile.bar0 + event.row()) as u32;
                if let Some(stops) = bars.stops.filter(|_| STOPS) {
                    scratch.stop_px[lane.symbol] = stops.by_fill()[usize::from(!event.buys())][at];
                }
            }
            let fill = self.book_market(rules, lane, side, opening, price_px);
            *lane_of = lane.symbol as u32;
            (*qty, *entry) = (fill.booked.position_after, fill.booked.avg_entry_after);
            *wallet = self.book.wallet.value();
            *settled = fill;
        }
    }
    /// Prices of a stop that a bar meets, passed by its open or inside; the slow twin is [`Account::close_by_level`].
    #[inline(always)]
    fn meet_stop(
        &self,
        tile: &Tile<'_>,
        at: usize,
        rules: &SymbolRules,
        side: Side,
        stop_px: f64,
        gapped: bool,
    ) -> StopMet {
        let execution = &self.plan.execution;
        let base_px = match gapped {
            true => tile.open[at],
            false => through_px(side, stop_px, tile.high[at], tile.low[at], execution.stop_overshoot),
        };
        let slipped = base_px * self.fixed_slippage.stop_factor[usize::from(side == Side::Buy)];
        let price_px = rounded_price(rules, side, slipped, execution.round_to_tick, None);
        StopMet { stop_px, base_px, price_px }
    }
    /// Marks the closes of rows into the mark buffers.
    fn mark_fills(&mut self, bars: &Bars<'_>, scratch: &mut Scratch, rows: Range<usize>) {
        let tile = bars.feed.tile;
        let Scratch { qty, entry, changed, ends, held, .. } = scratch;
        let ends = &ends[rows.clone()];
        let made = ends[ends.len() - 1] as usize;
        let changes = RowChanges {
            ends,
            lane: &changed.lane[..made],
            qty: &changed.qty[..made],
            entry: &changed.entry[..made],
        };
        let at = tile.bar0 + rows.start - bars.first;
        let at = at..at + rows.len();
        let marks = &mut self.marks;
        let (unrealized, gross, net) =
            (&mut marks.unrealized[at.clone()], &mut marks.gross[at.clone()], &mut marks.net[at.clone()]);
        let panel = &tile.mark[rows.start * tile.lanes..rows.end * tile.lanes];
        mark_changing_rows(qty, entry, panel, &changes, unrealized, gross, net);
        let wallet = &marks.wallet[at.clone()];
        for ((equity, wallet), unrealized) in marks.equity[at.clone()].iter_mut().zip(wallet).zip(unrealized)
        {
            *equity = wallet + *unrealized;
        }
        let words = tile.words;
        count_bits(&held[rows.start * words..rows.end * words], words, &mut marks.positions[at]);
    }
    /// Tells a recorder of the funding and the fills of rows, and counts their orders.
    #[inline(never)]
    fn tell_fills<R: Recorder, const STOPS: bool>(
        &mut self,
        bars: &Bars<'_>,
        scratch: &Scratch,
        rows: Range<usize>,
        recorder: &mut R,
    ) {
        let tile = bars.feed.tile;
        let mut ids =
            OrderIds { scratch, words: tile.words, next_row: rows.start + 1, next_id: self.orders.next_id() };
        let events = &scratch.events[..scratch.events_before(rows.end)];
        let mut stops_met = scratch.stops_met.iter();
        let mut paid = scratch.paid.iter().peekable();
        for (event, &settled) in events.iter().zip(&scratch.settled) {
            let (row, lane) = (event.row(), Lane::of(event.symbol()));
            while let Some(payment) = paid.next_if(|payment| payment.bar as usize <= tile.bar0 + row) {
                recorder.funding(payment);
            }
            let told = match event.stops().filter(|_| STOPS) {
                Some(gapped) => {
                    let met = *stops_met.next().expect("one for each stop");
                    self.told_of_stop(met, gapped, event.stops_entry())
                }
                None => {
                    let order_id = match R::READS_ORDER_IDS {
                        false => NO_ORDER,
                        true if row == rows.start => self.next_open.order_id(lane.symbol),
                        true => ids.of(row, lane),
                    };
                    let base_px = tile.open[row * tile.lanes + lane.symbol];
                    self.told_of_order(order_id, event.opens(), base_px)
                }
            };
            recorder.fill(&settled.fill(tile.bar0 + row, lane, told));
        }
        paid.for_each(|payment| recorder.funding(payment));
        if R::READS_ORDER_IDS {
            ids.go_to(rows.end);
            self.orders.set_next_id(ids.next_id);
        }
        self.next_open.count_filled(events.len());
    }
    /// What the fill of a stop says of itself.
    #[inline(always)]
    fn told_of_stop(&self, met: StopMet, gapped: bool, entered: bool) -> Told {
        let reason = match (entered, gapped) {
            (true, _) => FillReason::StopLossEntryBar,
            (false, true) => FillReason::StopLossGap,
            (false, false) => FillReason::StopLoss,
        };
        let flags = FillFlags::default()
            .with(FillFlags::GAPPED, gapped)
            .with(FillFlags::STOP_RUN, !gapped)
            .with(FillFlags::ENTRY_AND_EXIT, entered);
        let StopMet { base_px, stop_px: trigger_px, .. } = met;
        let (order_id, tag, slippage_bps) = (NO_ORDER, NO_TAG, self.fixed_slippage.stop_bps);
        Told { order_id, tag, base_px, trigger_px, reason, flags, slippage_bps }
    }
    /// What the last close of a stretch decided waits for the open after it.
    fn wait_for_next_open(&mut self, bars: &Bars<'_>, scratch: &Scratch, end: usize) {
        for (word, state) in scratch.words[0].iter().enumerate() {
            let Acts { exit, enter_long, enter_short, .. } = state.waiting;
            for_each_bit(exit | enter_long | enter_short, |bit| {
                let lane = Lane::of_bit(word, bit);
                let at = end * bars.feed.tile.lanes + lane.symbol;
                let buys = (enter_long | (exit & state.held.short)) & lane.bit != 0;
                let side = if buys { Side::Buy } else { Side::Sell };
                let opens = exit & lane.bit == 0;
                let opening = opens.then(|| bars.quotes.size_before(at));
                let stops = bars.stops.filter(|_| opens);
                let stop_px = stops.map_or(f64::NAN, |stops| stops.by_fill()[usize::from(!buys)][at]);
                let order_id = self.orders.take_id();
                self.next_open.put(lane, side, order_id, opening, stop_px);
            });
        }
    }
}
