//! Bars in which nothing but marking happens: how many there are, and marking them in one go.
//!
//! Nearly all bars of a narrow universe are like that. What makes a bar busy must be found here, or it will not happen.

use std::ops::Range;

use barloom_kernels::account::mark_rows;
use barloom_kernels::fills::Acts;

use super::account::{Account, Bar, Venue};
use crate::config::plan::CheckInvariants;
use crate::events::{OrderIntent, Recorder, SignalTile};
use crate::market::Tile;

impl Account {
    /// First bar of `bars` in which anything but marking can happen to this account.
    ///
    /// Bars without waiting orders, attached levels, settlements and decisions change no position, so they are marked
    /// in one go; nearly all bars of a narrow universe are like that.
    #[inline]
    pub(super) fn next_busy_bar(
        &self,
        venue: &Venue<'_>,
        tile: &Tile<'_>,
        signals: &SignalTile<'_>,
        intents: &[OrderIntent],
        bars: Range<usize>,
    ) -> usize {
        let checks_every_bar = self.plan.check_invariants == CheckInvariants::EveryBar;
        let follows = !signals.never_trails && self.book.open_positions() > 0;
        if !self.orders.is_empty() || self.next_open.any() || self.levels.any() || follows || checks_every_bar
        {
            return bars.start;
        }
        let mut end = bars.end.min(venue.run.end - 1);
        end = end.min(self.next_funding_bar());
        end = venue.listings.delistings.get(self.delistings_at).map_or(end, |&(bar, _)| end.min(bar));
        end = self.series_ends.get(self.series_ends_at).map_or(end, |due| end.min(due.bar));
        end = intents.first().map_or(end, |intent| end.min(intent.bar as usize)).max(bars.start);
        let words = self.book.words();
        let rows = bars.start - tile.bar0..end - tile.bar0;
        if words == 1 {
            return bars.start + self.first_act(signals, rows);
        }
        let acts = |row: usize| {
            (0..words).any(|word| self.acts(signals, row * words + word, word) != Acts::default())
        };
        rows.clone().find(|&row| acts(row)).unwrap_or(rows.end) + tile.bar0
    }
    /// How many of these rows have nothing to be done before the first that has; for one mask word and no waiting
    /// orders. The rule is that of [`Account::acts`].
    #[inline]
    pub(super) fn first_act(&self, signals: &SignalTile<'_>, rows: Range<usize>) -> usize {
        fn cut(mask: Option<&[u64]>, rows: Range<usize>) -> &[u64] {
            mask.map_or(&[], |mask| &mask[rows])
        }
        let (held_long, held_short) = (self.book.held_long[0], self.book.held_short[0]);
        let (long, short) = (cut(signals.long_entry, rows.clone()), cut(signals.short_entry, rows.clone()));
        let entry = if short.is_empty() {
            long.iter().position(|long| long & !held_long != 0)
        } else if long.is_empty() {
            short.iter().position(|short| short & !held_short != 0)
        } else {
            let acts = |(long, short): (&u64, &u64)| {
                (long & !short & !held_long) | (short & !long & !held_short) != 0
            };
            long.iter().zip(short).position(acts)
        };
        let exit = |mask: Option<&[u64]>, held: u64| {
            if held == 0 { None } else { cut(mask, rows.clone()).iter().position(|exit| exit & held != 0) }
        };
        let none = rows.len();
        let long_exit = exit(signals.long_exit, held_long).unwrap_or(none);
        let short_exit = exit(signals.short_exit, held_short).unwrap_or(none);
        entry.unwrap_or(none).min(long_exit).min(short_exit)
    }
    /// First of the bars just marked that is not surely without a liquidation and a trim, or the end; the balances of
    /// the last one before it are those that the next is judged by.
    #[inline]
    pub(super) fn first_unsafe_bar<R: Recorder>(
        &mut self,
        venue: &Venue<'_>,
        tile: &Tile<'_>,
        stress: Option<&[f64]>,
        bars: Range<usize>,
        first: usize,
    ) -> usize {
        let watches = self.plan.margin.is_some() && self.book.open_positions() > 0;
        for number in bars.clone() {
            if watches {
                let (row, is_last) = (number - tile.bar0, number + 1 == venue.run.end);
                let bar = Bar {
                    venue,
                    tile,
                    trailing_volume: None,
                    volatility: None,
                    stress,
                    quotes: None,
                    regimes_before: None,
                    regimes: None,
                    row,
                    bar: number,
                    mark_at: number - first,
                    is_last,
                };
                if R::WANTS_ORDERS || !self.is_safe(&bar) || !self.is_untrimmed(&bar) {
                    return number;
                }
            }
            self.last_equity_usdt = self.marks.equity[number - first];
            self.last_gross_usdt = self.marks.gross[number - first];
        }
        bars.end
    }
    /// Marks bars in which positions do not change.
    #[inline]
    pub(super) fn mark_quiet_bars(&mut self, tile: &Tile<'_>, bars: Range<usize>, first: usize) {
        if bars.is_empty() {
            return;
        }
        let at = bars.start - first..bars.end - first;
        let rows = bars.start - tile.bar0..bars.end - tile.bar0;
        let marks = &mut self.marks;
        let (book, wallet) = (&self.book, self.book.wallet.value());
        let (unrealized, gross) = (&mut marks.unrealized[at.clone()], &mut marks.gross[at.clone()]);
        let net = &mut marks.net[at.clone()];
        if book.open_positions() == 0 {
            unrealized.fill(0.0);
            gross.fill(0.0);
            net.fill(0.0);
        } else {
            let rows = &tile.mark[rows.start * tile.lanes..rows.end * tile.lanes];
            mark_rows(&book.qty, &book.avg_entry_px, rows, tile.symbols, unrealized, gross, net);
        }
        for (equity, unrealized) in marks.equity[at.clone()].iter_mut().zip(unrealized) {
            *equity = wallet + *unrealized;
        }
        marks.wallet[at.clone()].fill(wallet);
        marks.positions[at].fill(book.open_positions());
    }
}
