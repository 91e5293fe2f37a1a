//! The bar loop of a batch of accounts.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use barloom_kernels::account::mark_rows;

use super::calendar::{Listings, SeriesEnd};
use crate::config::plan::{CheckInvariants, EndOfRun, EnginePlan, FundingMissing, Sequencing, Slippage};
use crate::events::{MarkRows, OrderIntent, Recorder, Side, SignalTile};
use crate::execution::funding::FundingSchedule;
use crate::execution::levels::Levels;
use crate::execution::orders::OrderQueue;
use crate::execution::pricing::{slippage_bps, slippage_factor};
use crate::execution::rules::SymbolRules;
use crate::liquidity::{LiquidityRegimes, Regime};
use crate::market::{BracketTable, Market, Tile};
use crate::portfolio::Book;
use crate::risk::margin::MarginBounds;

/// What all accounts over one market share and none of them changes.
#[derive(Debug)]
pub struct Venue<'m> {
    pub(super) market: &'m Market,
    pub(super) run: Range<usize>,
    pub(super) rules: Vec<SymbolRules>,
    pub(super) listings: Listings,
    pub(super) margin_bounds: MarginBounds,
    /// Funding by policy for missing settlements, made when an account first asks.
    schedules: Mutex<Vec<(FundingMissing, Arc<FundingSchedule>)>>,
}

impl<'m> Venue<'m> {
    /// The venue for a run over bars `run` of a market.
    ///
    /// # Panics
    /// When the run reaches beyond the grid.
    pub fn new(market: &'m Market, run: Range<usize>) -> Self {
        assert!(run.end <= market.grid.bars, "the run reaches beyond the grid");
        let rules = market.symbols.iter().map(|symbol| SymbolRules::new(&symbol.contract)).collect();
        let (listings, margin_bounds) = (Listings::new(market), MarginBounds::new(market));
        Self { market, run, rules, listings, margin_bounds, schedules: Mutex::default() }
    }
    /// The settlements of funding under a policy for missing ones.
    fn schedule(&self, missing: FundingMissing) -> Arc<FundingSchedule> {
        let mut schedules = self.schedules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, schedule)) = schedules.iter().find(|(known, _)| *known == missing) {
            return Arc::clone(schedule);
        }
        let schedule = Arc::new(FundingSchedule::new(self.market, missing));
        schedules.push((missing, Arc::clone(&schedule)));
        schedule
    }
    /// Bars of the run.
    pub fn run(&self) -> Range<usize> {
        self.run.clone()
    }
    /// The market.
    pub fn market(&self) -> &'m Market {
        self.market
    }
}

/// What an account reads of a tile.
#[derive(Clone, Copy)]
pub struct TileFeed<'t> {
    /// The bars.
    pub tile: &'t Tile<'t>,
    /// Rows of [`crate::execution::volume::TrailingVolume`], where [`Account::needs_trailing_volume`].
    pub trailing_volume: Option<&'t [f64]>,
    /// Rows of [`crate::risk::stress::MarketStress`], where [`Account::needs_stress`].
    pub stress: Option<&'t [f64]>,
    /// Regimes of the trial's settings, where it has any.
    pub regimes: Option<&'t LiquidityRegimes>,
    /// The trial's signals.
    pub signals: SignalTile<'t>,
}

/// One bar: the venue and the tile it lies in.
#[derive(Clone, Copy)]
pub(super) struct Bar<'t> {
    pub(super) venue: &'t Venue<'t>,
    pub(super) tile: &'t Tile<'t>,
    pub(super) trailing_volume: Option<&'t [f64]>,
    pub(super) stress: Option<&'t [f64]>,
    /// Codes of the bar before, which drive this bar's fills; none where regimes are off.
    pub(super) regimes_before: Option<&'t [u8]>,
    /// Codes of this bar, which drive decisions.
    pub(super) regimes: Option<&'t [u8]>,
    pub(super) row: usize,
    pub(super) bar: usize,
    /// Place of this bar in the mark buffers.
    pub(super) mark_at: usize,
    /// Last bar of the run: nothing decided here can become active.
    pub(super) is_last: bool,
}

impl Bar<'_> {
    #[inline]
    pub(super) fn px(&self, column: &[f64], symbol: usize) -> f64 {
        column[self.row * self.tile.lanes + symbol]
    }
    #[inline]
    pub(super) fn is_tradable(&self, symbol: usize) -> bool {
        self.tile.bit(self.tile.tradable, self.row, symbol)
    }
    /// Regime of the bar before a fill (semantics 7.3).
    #[inline]
    pub(super) fn regime_before(&self, symbol: usize) -> Option<Regime> {
        self.regimes_before.map(|codes| Regime::from_code(codes[symbol]))
    }
    /// Regime of the bar of a decision.
    #[inline]
    pub(super) fn regime(&self, symbol: usize) -> Option<Regime> {
        self.regimes.map(|codes| Regime::from_code(codes[symbol]))
    }
    pub(super) fn open_ms(&self) -> i64 {
        self.venue.market.grid.open_ms(self.bar)
    }
}

/// One account: its state, what waits, and the scratch of a tile.
#[derive(Debug)]
pub struct Account {
    pub(super) plan: EnginePlan,
    pub(super) book: Book,
    pub(super) orders: OrderQueue,
    pub(super) levels: Levels,
    series_ends: Vec<SeriesEnd>,
    series_ends_at: usize,
    pub(super) delistings_at: usize,
    pub(super) schedule: Arc<FundingSchedule>,
    pub(super) funding_at: usize,
    /// Nothing is left and nothing more happens (semantics 4.7).
    pub(super) ruined: bool,
    /// Brackets of symbols that have none.
    pub(super) fallback_brackets: BracketTable,
    /// Equity and gross notional of the last close, and what was traded since.
    pub(super) last_equity_usdt: f64,
    pub(super) last_gross_usdt: f64,
    pub(super) traded_usdt: f64,
    /// Notional of waiting openings, at least; kept up where there is margin.
    pub(super) waiting_usdt: f64,
    /// Marks of a liquidation.
    pub(super) liquidation_marks: Vec<f64>,
    /// The position that brought it about inside a bar, and its liquidation price.
    pub(super) liquidation_trigger: Option<(usize, f64)>,
    /// Fee row in force; its rates are in the plan.
    fee_at: usize,
    /// What fills took of a bar's volume; empty where slippage does not depend on it.
    pub(super) consumed: Vec<Consumed>,
    /// Steps that count against the participation cap; empty without a cap.
    pub(super) capped: Vec<Consumed>,
    pub(super) fixed_slippage: FixedSlippage,
    // Scratch: rebuilt every bar or tile.
    /// Carried positions whose levels the bar may touch.
    pub(super) touched: Vec<u64>,
    /// Positions that grew at this open.
    pub(super) increased: Vec<u64>,
    /// Positions that began at this open.
    pub(super) opened: Vec<u64>,
    /// Take profits that were set at this open.
    pub(super) fresh_target: Vec<u64>,
    /// Positions that changed inside this bar.
    pub(super) changed_inside: Vec<u64>,
    /// Positions that an order opened or increased inside this bar.
    pub(super) entered_inside: Vec<u64>,
    /// Bar in which each position began.
    pub(super) began_bar: Vec<u32>,
    /// Funding that waits for the fills of the open: its place on the schedule and the position before.
    pub(super) late_funding: Vec<(usize, f64)>,
    pub(super) marks: MarkBuffers,
}

/// Slippage of market orders where no volume is read: known before the first bar.
#[derive(Debug, Clone, Copy)]
pub(super) struct FixedSlippage {
    pub(super) bps: f64,
    /// What it makes of a price of 1, for sells and for buys.
    pub(super) factor: [f64; 2],
}

impl FixedSlippage {
    fn of(model: &Slippage) -> Self {
        let (bps, _) = slippage_bps(model, 0.0, 0.0, model.regime_mult_normal);
        Self { bps, factor: [slippage_factor(Side::Sell, bps), slippage_factor(Side::Buy, bps)] }
    }
}

/// What this account already took of a symbol's volume in a bar (semantics 2.8).
#[derive(Debug, Clone, Copy)]
pub(super) struct Consumed {
    pub(super) bar: u32,
    pub(super) qty: f64,
}

/// Marks of a tile, one value per bar.
#[derive(Debug, Default)]
pub(super) struct MarkBuffers {
    pub(super) wallet: Vec<f64>,
    pub(super) unrealized: Vec<f64>,
    pub(super) equity: Vec<f64>,
    pub(super) gross: Vec<f64>,
    pub(super) net: Vec<f64>,
    pub(super) positions: Vec<u32>,
    /// Empty where nobody asks.
    pub(super) initial_margin: Vec<f64>,
    pub(super) maintenance_margin: Vec<f64>,
}

impl MarkBuffers {
    /// Makes room for `bars` marks. After the first tile nothing is allocated.
    fn resize(&mut self, bars: usize) {
        for column in
            [&mut self.wallet, &mut self.unrealized, &mut self.equity, &mut self.gross, &mut self.net]
        {
            column.resize(bars, 0.0);
        }
        self.positions.resize(bars, 0);
    }
}

impl Account {
    /// An account that has not traded yet.
    pub fn new(venue: &Venue<'_>, plan: &EnginePlan) -> Self {
        let market = venue.market;
        let (symbols, lanes) = (market.symbols.len(), market.lanes());
        let book = Book::new(symbols, lanes, plan.initial_capital_usdt);
        let words = book.words();
        let schedule = venue.schedule(plan.funding.missing);
        let of_bar =
            |wanted: bool| vec![Consumed { bar: u32::MAX, qty: 0.0 }; if wanted { lanes } else { 0 }];
        Self {
            orders: OrderQueue::new(words, symbols.max(16)),
            levels: Levels::new(lanes, words),
            series_ends: venue.listings.series_ends(market, &venue.run, &plan.execution),
            series_ends_at: 0,
            delistings_at: venue.listings.delistings.partition_point(|&(bar, _)| bar < venue.run.start),
            funding_at: schedule.first_from(venue.run.start),
            schedule,
            ruined: false,
            fallback_brackets: BracketTable::fallback(
                plan.margin.as_ref().map_or(1.0, |margin| margin.max_leverage),
            ),
            last_equity_usdt: plan.initial_capital_usdt,
            last_gross_usdt: 0.0,
            traded_usdt: 0.0,
            waiting_usdt: 0.0,
            liquidation_trigger: None,
            liquidation_marks: vec![f64::NAN; if plan.margin.is_some() { symbols } else { 0 }],
            fee_at: 0,
            consumed: of_bar(plan.slippage.b_bps != 0.0),
            capped: of_bar(plan.execution.participation_cap_frac > 0.0),
            fixed_slippage: FixedSlippage::of(&plan.slippage),
            touched: vec![0; words],
            increased: vec![0; words],
            opened: vec![0; words],
            fresh_target: vec![0; words],
            changed_inside: vec![0; words],
            entered_inside: vec![0; words],
            began_bar: vec![0; lanes],
            late_funding: Vec::new(),
            marks: MarkBuffers::default(),
            plan: plan.clone(),
            book,
        }
    }
    /// Whether fills need the trailing volume of [`crate::execution::volume::TrailingVolume`].
    pub fn needs_trailing_volume(plan: &EnginePlan) -> bool {
        plan.slippage.b_bps != 0.0 && plan.slippage.volume_ref != crate::config::plan::VolumeRef::ExecBar
    }
    /// Whether margins are bounded by the market's moves of [`crate::risk::stress::MarketStress`].
    pub fn needs_stress(plan: &EnginePlan) -> bool {
        plan.margin.is_some()
    }
    /// Steps the account through a tile. Tiles come in bar order; bars outside the run are passed over.
    ///
    /// # Panics
    /// When the trailing volume is needed and not given, or an invariant of semantics 4.9 does not hold.
    pub fn step_tile<R: Recorder>(&mut self, venue: &Venue<'_>, feed: &TileFeed<'_>, recorder: &mut R) {
        let TileFeed { tile, trailing_volume, stress, regimes, signals } = feed;
        let (trailing_volume, stress) = (*trailing_volume, *stress);
        assert!(
            trailing_volume.is_some() || !Self::needs_trailing_volume(&self.plan),
            "trailing volume is needed"
        );
        let first = venue.run.start.max(tile.bar0);
        let end = venue.run.end.min(tile.bar0 + tile.rows);
        if first >= end {
            return;
        }
        self.marks.resize(end - first);
        if R::WANTS_ORDERS && self.plan.margin.is_some() {
            self.marks.initial_margin.resize(end - first, 0.0);
            self.marks.maintenance_margin.resize(end - first, 0.0);
            self.marks.initial_margin.fill(0.0);
            self.marks.maintenance_margin.fill(0.0);
        }
        let mut intents = signals.intents;
        let mut number = first;
        while number < end {
            let busy = self.next_busy_bar(venue, tile, signals, intents, number..end);
            self.mark_quiet_bars(tile, number..busy, first);
            number = self.first_unsafe_bar::<R>(venue, tile, stress, number..busy, first);
            if number < end {
                let (row, is_last) = (number - tile.bar0, number + 1 == venue.run.end);
                let bar = Bar {
                    venue,
                    tile,
                    trailing_volume,
                    stress,
                    row,
                    bar: number,
                    mark_at: number - first,
                    is_last,
                    regimes_before: regimes.map(|regimes| regimes.row_before(row)),
                    regimes: regimes.map(|regimes| regimes.row(row)),
                };
                self.open_phase(&bar, recorder);
                self.open_instant(&bar, recorder);
                self.settle_late_funding(&bar, recorder);
                self.intrabar(&bar, recorder);
                self.close_phase(&bar, signals, &mut intents, recorder);
                number += 1;
            }
        }
        let marks = &self.marks;
        recorder.marks(&MarkRows {
            bar0: first,
            wallet_usdt: &marks.wallet,
            unrealized_usdt: &marks.unrealized,
            equity_usdt: &marks.equity,
            gross_usdt: &marks.gross,
            net_usdt: &marks.net,
            positions: &marks.positions,
            initial_margin_usdt: &marks.initial_margin,
            maintenance_margin_usdt: &marks.maintenance_margin,
        });
    }
    /// First bar of `bars` in which anything but marking can happen to this account.
    ///
    /// Bars without waiting orders, attached levels, settlements and decisions change no position, so they are marked
    /// in one go; nearly all bars of a narrow universe are like that.
    #[inline]
    fn next_busy_bar(
        &self,
        venue: &Venue<'_>,
        tile: &Tile<'_>,
        signals: &SignalTile<'_>,
        intents: &[OrderIntent],
        bars: Range<usize>,
    ) -> usize {
        let checks_every_bar = self.plan.check_invariants == CheckInvariants::EveryBar;
        let follows = !signals.never_trails && self.book.open_positions() > 0;
        if !self.orders.is_empty() || self.levels.any() || follows || checks_every_bar {
            return bars.start;
        }
        let mut end = bars.end.min(venue.run.end - 1);
        let due = self.schedule.tape.get(self.funding_at);
        end = due.map_or(end, |due| end.min(due.record.bar as usize));
        end = venue.listings.delistings.get(self.delistings_at).map_or(end, |&(bar, _)| end.min(bar));
        end = self.series_ends.get(self.series_ends_at).map_or(end, |due| end.min(due.bar));
        end = intents.first().map_or(end, |intent| end.min(intent.bar as usize)).max(bars.start);
        let words = self.book.words();
        let rows = bars.start - tile.bar0..end - tile.bar0;
        if words == 1 {
            return bars.start + self.first_act(signals, rows);
        }
        let acts = |row: usize| (0..words).any(|word| self.acts(signals, row * words + word, word).any());
        rows.clone().find(|&row| acts(row)).unwrap_or(rows.end) + tile.bar0
    }
    /// How many of these rows have nothing to be done before the first that has; for one mask word and no waiting
    /// orders. The rule is that of [`Account::acts`].
    #[inline]
    fn first_act(&self, signals: &SignalTile<'_>, rows: Range<usize>) -> usize {
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
        let firsts = [entry, exit(signals.long_exit, held_long), exit(signals.short_exit, held_short)];
        firsts.into_iter().flatten().min().unwrap_or(rows.len())
    }
    /// First of the bars just marked that is not surely without a liquidation and a trim, or the end; the balances of
    /// the last one before it are those that the next is judged by.
    #[inline]
    fn first_unsafe_bar<R: Recorder>(
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
                    stress,
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
    fn mark_quiet_bars(&mut self, tile: &Tile<'_>, bars: Range<usize>, first: usize) {
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
    /// Brings the fees in force at a time into the plan (semantics 3.1).
    #[inline]
    pub(super) fn update_fees(&mut self, now_ms: i64) {
        while let Some(row) = self.plan.fee_table.get(self.fee_at).filter(|row| row.from_ms <= now_ms) {
            (self.plan.maker_fee_frac, self.plan.taker_fee_frac) = (row.maker_frac, row.taker_frac);
            self.fee_at += 1;
        }
    }
    /// Taker fee in force from a time on, as far as the table tells.
    pub(super) fn taker_fee_from(&self, ms: i64) -> f64 {
        let later = self.plan.fee_table[self.fee_at.min(self.plan.fee_table.len())..].iter();
        let row = later.take_while(|row| row.from_ms <= ms).last();
        row.map_or(self.plan.taker_fee_frac, |row| row.taker_frac)
    }
    /// The next symbol whose series is settled at the close of this bar.
    #[inline]
    pub(super) fn next_series_end(&mut self, bar: usize) -> Option<SeriesEnd> {
        let due = *self.series_ends.get(self.series_ends_at).filter(|end| end.bar == bar)?;
        self.series_ends_at += 1;
        Some(due)
    }
    /// The carried positions' stops come before any market order (`stops_first_bar`, for parity with such engines).
    pub(super) fn stops_come_first(&self) -> bool {
        self.plan.execution.sequencing == Sequencing::StopsFirstBar
    }
    pub(super) fn closes_at_end(&self) -> bool {
        self.plan.execution.end_of_run == EndOfRun::Close
    }
    pub(super) fn checks(&self, last_bar_of_run: bool) -> bool {
        match self.plan.check_invariants {
            CheckInvariants::Off => false,
            CheckInvariants::End => last_bar_of_run,
            CheckInvariants::EveryBar => true,
        }
    }
    /// Positions and balances.
    pub fn book(&self) -> &Book {
        &self.book
    }
}

/// Calls `each` with every set bit of a mask, ascending.
#[inline]
pub(super) fn for_each_bit(mut word: u64, mut each: impl FnMut(u32)) {
    while word != 0 {
        each(word.trailing_zeros());
        word &= word - 1;
    }
}
