//! Stretches of bars in which nothing can happen but fills of level signals: first where they are, in mask words alone,
//! then what they come to, one after the other, then the marks of all bars.
//!
//! The slow twin is [`Account::plain_bar`], bar by bar, which takes over wherever a bar has more in it. Three loops that
//! do one thing each are several times as fast as one that does all: no sum of a bar waits for the fill before it, and
//! nothing depends on how many fills a bar has.

use std::ops::Range;

use barloom_kernels::account::{RowChanges, mark_changing_rows};
use barloom_kernels::bits::count_bits;
use barloom_kernels::buffer::AlignedBuffer;
use barloom_kernels::fills::{AT_ONCE, Acts, Event, FillRows, Held, UsualBars, Word, find_fills};

use super::account::{Account, TileFeed, Venue, for_each_bit};
use super::next_open::Settled;
use crate::events::{NO_TAG, Recorder, Side, SignalTile};
use crate::execution::quotes::Quotes;
use crate::market::Tile;
use crate::portfolio::{Book, Lane};
use crate::risk::{Balances, sizing_equity_usdt};

/// Buffers of a worker: its accounts use them in turn, and none finds anything in them.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Per word: what is held and what was decided, before and after the bar in hand.
    words: [Vec<Word>; 2],
    /// `[row][word]`: the orders that fill in a row.
    filled: Vec<u64>,
    /// `[row][word]`: positions at the end of a row.
    held: Vec<u64>,
    events: Vec<Event>,
    /// Events up to the end of each row.
    ends: Vec<u32>,
    settled: Vec<Settled>,
    changed: Changed,
    /// The account before, for a stretch that turns out too long.
    book: Option<Book>,
    /// Positions as the marks see them.
    qty: AlignedBuffer,
    entry: AlignedBuffer,
}

/// What the fills leave behind, by event.
#[derive(Debug, Default)]
struct Changed {
    lane: Vec<u32>,
    qty: Vec<f64>,
    entry: Vec<f64>,
    /// The wallet before the first event, and after each.
    wallet: Vec<f64>,
}

impl Changed {
    fn make_room(&mut self, events: usize) {
        if self.lane.len() < events {
            self.lane.resize(events, 0);
            self.qty.resize(events, 0.0);
            self.entry.resize(events, 0.0);
            self.wallet.resize(events + 1, 0.0);
        }
    }
}

impl Scratch {
    /// Finds the fills of rows, from what waits for the first of them on; the row that is more than fills, or the end.
    fn find_fills(
        &mut self,
        account: &Account,
        tile: &Tile<'_>,
        signals: &SignalTile<'_>,
        (opens, fills): (&[u64], &[u64]),
        rows: Range<usize>,
    ) -> usize {
        let words = tile.words;
        let [now, spare] = &mut self.words;
        now.resize(words, Word::default());
        spare.resize(words, Word::default());
        for (word, now) in now.iter_mut().enumerate() {
            let held = Held { long: account.book.held_long[word], short: account.book.held_short[word] };
            *now = Word { held, waiting: account.next_open.waiting(word) };
        }
        self.filled.resize(tile.rows * words, 0);
        self.held.resize(tile.rows * words, 0);
        self.ends.resize(tile.rows, 0);
        self.events.resize(tile.rows * tile.lanes + AT_ONCE, Event::default());
        let usual = UsualBars { closes: tile.tradable, fills, opens };
        let mut out = FillRows {
            events: &mut self.events,
            ends: &mut self.ends,
            filled: &mut self.filled,
            held: &mut self.held,
        };
        find_fills(rows, &signals.masks(), &usual, now, spare, &mut out)
    }
    /// Number of events before a row that is not the first.
    fn events_before(&self, row: usize) -> usize {
        self.ends[row - 1] as usize
    }
}

impl Account {
    /// Books the fills of rows, one after the other.
    fn settle_fills(
        &mut self,
        venue: &Venue<'_>,
        tile: &Tile<'_>,
        quotes: &Quotes,
        scratch: &mut Scratch,
        rows: Range<usize>,
    ) {
        let count = scratch.events_before(rows.end);
        let room = tile.rows * tile.symbols;
        if scratch.settled.len() < room {
            scratch.settled.resize(room, Settled::NONE);
        }
        scratch.changed.make_room(room);
        let Changed { lane: lanes, qty, entry, wallet } = &mut scratch.changed;
        wallet[0] = self.book.wallet.value();
        let after =
            lanes[..count].iter_mut().zip(&mut qty[..count]).zip(&mut entry[..count]).zip(&mut wallet[1..]);
        let events = scratch.events[..count].iter().zip(&mut scratch.settled[..count]);
        for ((event, settled), (((lane_of, qty), entry), wallet)) in events.zip(after) {
            let lane = Lane::of(event.symbol());
            let side = if event.buys() { Side::Buy } else { Side::Sell };
            let at = event.row() * tile.lanes + lane.symbol;
            let opening = if event.opens() { quotes.size_before(at) } else { (0.0, 0.0) };
            let price_px = quotes.price_px(side, at);
            let fill = self.book_market(&venue.rules[lane.symbol], lane, side, opening, price_px);
            *lane_of = lane.symbol as u32;
            (*qty, *entry) = (fill.booked.position_after, fill.booked.avg_entry_after);
            *wallet = self.book.wallet.value();
            *settled = fill;
        }
    }
    /// Marks the closes of rows into the mark buffers from `at` on.
    fn mark_fills(&mut self, tile: &Tile<'_>, scratch: &mut Scratch, rows: Range<usize>, at: usize) {
        let Scratch { qty, entry, changed, ends, held, book, .. } = scratch;
        let before = book.as_ref().expect("copied at the start of a stretch");
        qty.resize(tile.lanes);
        entry.resize(tile.lanes);
        qty.copy_from_slice(&before.qty);
        entry.copy_from_slice(&before.avg_entry_px);
        let ends = &ends[rows.clone()];
        let made = ends[ends.len() - 1] as usize;
        let changes = RowChanges {
            ends,
            lane: &changed.lane[..made],
            qty: &changed.qty[..made],
            entry: &changed.entry[..made],
        };
        let at = at..at + rows.len();
        let marks = &mut self.marks;
        let (unrealized, gross, net) =
            (&mut marks.unrealized[at.clone()], &mut marks.gross[at.clone()], &mut marks.net[at.clone()]);
        let panel = &tile.mark[rows.start * tile.lanes..rows.end * tile.lanes];
        mark_changing_rows(qty, entry, panel, &changes, unrealized, gross, net);
        let out = marks.equity[at.clone()].iter_mut().zip(&mut marks.wallet[at.clone()]);
        for ((&end, unrealized), (equity, wallet)) in ends.iter().zip(unrealized).zip(out) {
            *wallet = changed.wallet[end as usize];
            *equity = *wallet + *unrealized;
        }
        let words = tile.words;
        count_bits(&held[rows.start * words..rows.end * words], words, &mut marks.positions[at]);
    }
    /// Tells a recorder of the fills of rows.
    fn tell_fills<R: Recorder>(
        &mut self,
        tile: &Tile<'_>,
        scratch: &Scratch,
        rows: Range<usize>,
        first_id: u32,
        recorder: &mut R,
    ) {
        let words = self.book.words();
        let carried = scratch.ends[rows.start];
        let events = &scratch.events[..scratch.events_before(rows.end)];
        for (event, &fill) in events.iter().zip(&scratch.settled) {
            let (row, lane) = (event.row(), Lane::of(event.symbol()));
            // Orders are numbered by symbol at the close that decides them. Nobody but a test ever asks.
            let order_id = if row == rows.start {
                self.next_open.order_id(lane.symbol)
            } else {
                let decided = &scratch.filled[row * words..(row + 1) * words];
                let lower = decided[..lane.word].iter().map(|bits| bits.count_ones()).sum::<u32>();
                let rank = lower + (decided[lane.word] & (lane.bit - 1)).count_ones();
                first_id + (scratch.ends[row - 1] - carried) + rank
            };
            let base_px = tile.open[row * tile.lanes + lane.symbol];
            let bar = tile.bar0 + row;
            self.began_bar[lane.symbol] = bar as u32;
            recorder.fill(&self.market_fill(bar, lane, order_id, NO_TAG, event.opens(), base_px, fill));
        }
    }
    /// What the last close of a stretch decided waits for the open after it.
    fn wait_for_next_open(&mut self, tile: &Tile<'_>, quotes: &Quotes, scratch: &Scratch, end: usize) {
        for (word, state) in scratch.words[0].iter().enumerate() {
            let Acts { exit, enter_long, enter_short, .. } = state.waiting;
            for_each_bit(exit | enter_long | enter_short, |bit| {
                let lane = Lane::of_bit(word, bit);
                let buys = (enter_long | (exit & state.held.short)) & lane.bit != 0;
                let side = if buys { Side::Buy } else { Side::Sell };
                let opens = exit & lane.bit == 0;
                let opening = opens.then(|| quotes.size_before(end * tile.lanes + lane.symbol));
                let order_id = self.orders.take_id();
                self.next_open.put(lane, side, order_id, opening);
            });
        }
    }
    /// Steps through as many of these bars as have nothing in them but fills of level signals; gives back the first that
    /// has more. `bars` end before the next bar in which anything is due; `first` is the first bar of the marks.
    pub(super) fn stretch<R: Recorder>(
        &mut self,
        venue: &Venue<'_>,
        feed: &TileFeed<'_>,
        scratch: &mut Scratch,
        bars: Range<usize>,
        first: usize,
        recorder: &mut R,
    ) -> usize {
        let TileFeed { tile, quotes, signals, .. } = feed;
        let Some((quotes, masks)) = quotes.and_then(|quotes| Some((quotes, quotes.masks()?))) else {
            return bars.start;
        };
        let windows = self.plan.funding.enabled && self.plan.funding.window_ms.is_some();
        let last = Balances { equity_usdt: self.last_equity_usdt, wallet_usdt: self.book.wallet.value() };
        let sizes = sizing_equity_usdt(&self.plan, last) > 0.0;
        if bars.is_empty() || signals.values.is_some() || self.levels.any() || windows || !sizes {
            return bars.start;
        }
        let start = bars.start - tile.bar0;
        let mut end = bars.end - tile.bar0;
        loop {
            end = scratch.find_fills(self, tile, signals, masks, start..end);
            if end == start {
                return bars.start;
            }
            scratch.book.get_or_insert_with(|| self.book.clone()).copy_from(&self.book);
            self.settle_fills(venue, tile, quotes, scratch, start..end);
            let at = bars.start - first;
            self.mark_fills(tile, scratch, start..end, at);
            // Where equity is gone nothing opens any more: the bar that finds out decides for itself.
            let sizes = |row: &usize| {
                let at = row - start + at;
                let (equity_usdt, wallet_usdt) = (self.marks.equity[at], self.marks.wallet[at]);
                sizing_equity_usdt(&self.plan, Balances { equity_usdt, wallet_usdt }) > 0.0
            };
            match (start..end).find(|row| !sizes(row)) {
                None => break,
                Some(row) => {
                    self.book.copy_from(scratch.book.as_ref().expect("copied above"));
                    end = row;
                }
            }
        }
        let (first_id, words) = (self.orders.next_id(), self.book.words());
        self.tell_fills(tile, scratch, start..end, first_id, recorder);
        let filled = scratch.events_before(end);
        let before = (0..words).map(|word| scratch.filled[start * words + word].count_ones()).sum::<u32>();
        self.orders.skip_ids(filled as u32 - before);
        self.next_open.count_filled(filled);
        self.next_open.clear();
        self.wait_for_next_open(tile, quotes, scratch, end);
        let at = end - start + bars.start - first - 1;
        (self.last_equity_usdt, self.last_gross_usdt) = (self.marks.equity[at], self.marks.gross[at]);
        self.traded_usdt = 0.0;
        tile.bar0 + end
    }
}
