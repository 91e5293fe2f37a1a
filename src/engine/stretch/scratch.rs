//! What a stretch of bars is computed in: buffers, and the walk that finds its fills.

use std::ops::Range;

use barloom_kernels::buffer::AlignedBuffer;
use barloom_kernels::elementwise::and_mask;
use barloom_kernels::fills::{
    AT_ONCE, Event, FillRows, Held, StopBars, Stops, UsualBars, Word, find_fills, find_fills_and_stops,
};

use super::Bars;
use crate::engine::account::{Account, MarkBuffers};
use crate::engine::next_open::Settled;
use crate::events::FundingPayment;
use crate::execution::levels::Levels;
use crate::execution::rules::SLACK;
use crate::portfolio::Book;

/// Buffers of a worker: its accounts use them in turn, and none finds anything in them.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Marks of the bars of a tile.
    pub(in crate::engine) marks: MarkBuffers,
    /// Per mask word: what is held and what was decided, before and after the bar in hand.
    pub(super) words: [Vec<Word>; 2],
    /// `[row][word]`: the orders that the open of a row ends.
    pub(super) filled: Vec<u64>,
    /// `[row][word]`: positions at the close of a row.
    pub(super) held: Vec<u64>,
    pub(super) events: Vec<Event>,
    /// Events up to the end of each row.
    pub(super) ends: Vec<u32>,
    /// What the events came to.
    pub(super) settled: Vec<Settled>,
    /// Stops of positions, as the fills come.
    pub(super) stop_px: Vec<f64>,
    /// Those that were met, in the order of their events.
    pub(super) stops_met: Vec<StopMet>,
    pub(super) changed: Changed,
    /// Funding that was paid, before the fills of its bar.
    pub(super) paid: Vec<FundingPayment>,
    /// The account before, for a stretch that turns out too long.
    before: Option<Before>,
    /// Positions as the marks see them.
    pub(super) qty: AlignedBuffer,
    pub(super) entry: AlignedBuffer,
    pub(super) stops: StopState,
    /// Bars as usual where entries bring stops: decisions, fills.
    usual: [Vec<u64>; 2],
}

/// A stop that a bar met: where it stood, and its prices before slippage and after.
#[derive(Debug, Clone, Copy)]
pub(super) struct StopMet {
    pub(super) stop_px: f64,
    pub(super) base_px: f64,
    pub(super) price_px: f64,
}

/// What the fills leave behind, by event.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) lane: Vec<u32>,
    pub(super) qty: Vec<f64>,
    pub(super) entry: Vec<f64>,
    /// The wallet before the first event, and after each.
    pub(super) wallet: Vec<f64>,
}

#[derive(Debug)]
struct Before {
    book: Book,
    began_bar: Vec<u32>,
    funding_at: usize,
}

/// Stops as the walk sees them.
#[derive(Debug, Default)]
pub(super) struct StopState {
    pub(super) px: AlignedBuffer,
    pub(super) below: AlignedBuffer,
    pub(super) above: AlignedBuffer,
    met: Vec<[u64; 2]>,
}

impl StopState {
    fn load(&mut self, levels: &Levels, words: usize) -> Stops<'_> {
        let Self { px, below, above, met } = self;
        let (low, high) = levels.triggers();
        for (state, of_levels) in
            [(&mut *px, &levels.stop_loss_px[..]), (&mut *below, low), (&mut *above, high)]
        {
            state.resize(of_levels.len());
            state.copy_from_slice(of_levels);
        }
        met.resize(words, [0; 2]);
        Stops { px, below, above, met }
    }
}

impl Scratch {
    /// Finds the fills of rows, from what waits for the first of them on; the row that is more than fills, or the end.
    pub(super) fn find_fills(&mut self, account: &Account, bars: &Bars<'_>, rows: Range<usize>) -> usize {
        let tile = bars.feed.tile;
        let words = tile.words;
        let [now, spare] = &mut self.words;
        now.resize(words, Word::default());
        spare.resize(words, Word::default());
        for (word, now) in now.iter_mut().enumerate() {
            let held = Held { long: account.book.held_long[word], short: account.book.held_short[word] };
            *now = Word::new(held, account.next_open.waiting(word));
        }
        self.filled.resize(tile.rows * words, 0);
        self.held.resize(tile.rows * words, 0);
        self.ends.resize(tile.rows, 0);
        // Never shorter: accounts with and without stops take turns.
        let events = self.events.len().max(bars.most_events() + AT_ONCE);
        self.events.resize(events, Event::default());
        let mut out = FillRows {
            events: &mut self.events,
            ends: &mut self.ends,
            filled: &mut self.filled,
            held: &mut self.held,
        };
        let (signals, (opens, fills)) = (bars.feed.signals.masks(), bars.masks);
        let Some(stops) = bars.stops else {
            let usual = UsualBars { closes: tile.tradable, fills, opens };
            return find_fills(rows, &signals, &usual, now, spare, &mut out);
        };
        let valid = stops.valid_by_fill();
        let span = rows.start * words..rows.end * words;
        for ((usual, masks), valid) in self.usual.iter_mut().zip([opens, fills]).zip([&valid[words..], valid])
        {
            usual.resize(tile.rows * words, 0);
            and_mask(&masks[span.clone()], &valid[span.clone()], &mut usual[span.clone()]);
        }
        let [opens, fills] = &self.usual;
        let usual = UsualBars { closes: tile.tradable, fills, opens };
        let ([long_px, short_px], [long_touched, short_touched]) = (stops.by_fill(), stops.touched_by_fill());
        let (lanes, open, high, low) = (tile.lanes, tile.open, tile.high, tile.low);
        let [long_touched_next, short_touched_next] = stops.touched_after_fill();
        let stop_bars = StopBars {
            lanes,
            open,
            high,
            low,
            long_px,
            short_px,
            long_touched,
            short_touched,
            long_touched_next,
            short_touched_next,
            slack: SLACK,
        };
        let mut state = self.stops.load(&account.levels, words);
        find_fills_and_stops(rows, &signals, &usual, &stop_bars, now, spare, &mut state, &mut out)
    }
    /// Number of events before a row that is not the first.
    pub(super) fn events_before(&self, row: usize) -> usize {
        self.ends[row - 1] as usize
    }
    /// Makes room for the fills of a stretch. After the first one nothing is allocated.
    pub(super) fn make_room(&mut self, events: usize) {
        if self.settled.len() < events {
            self.settled.resize(events, Settled::NONE);
            self.stops_met.reserve(events);
            self.paid.reserve(events);
            self.changed.lane.resize(events, 0);
            self.changed.qty.resize(events, 0.0);
            self.changed.entry.resize(events, 0.0);
            self.changed.wallet.resize(events + 1, 0.0);
        }
    }
    /// Remembers an account as it is.
    pub(super) fn remember(&mut self, account: &Account) {
        let before = self.before.get_or_insert_with(|| Before {
            book: account.book.clone(),
            began_bar: account.began_bar.clone(),
            funding_at: 0,
        });
        before.funding_at = account.funding_at;
        before.book.copy_from(&account.book);
        before.began_bar.copy_from_slice(&account.began_bar);
        self.qty.resize(account.book.qty.len());
        self.entry.resize(account.book.qty.len());
        self.qty.copy_from_slice(&account.book.qty);
        self.entry.copy_from_slice(&account.book.avg_entry_px);
    }
    /// Puts an account back to what was remembered.
    pub(super) fn restore(&self, account: &mut Account) {
        let before = self.before.as_ref().expect("remembered at the start of a stretch");
        account.book.copy_from(&before.book);
        account.began_bar.copy_from_slice(&before.began_bar);
        account.funding_at = before.funding_at;
    }
}
