//! The bar loop of a batch of accounts.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::calendar::{Listings, SeriesEnd};
use super::next_open::{NextOpen, fills_are_plain};
use super::stretch::Scratch;
use crate::config::plan::{CheckInvariants, EndOfRun, EnginePlan, FundingMissing, MarginMode, Sequencing};
use crate::events::{MarkRows, Recorder, SignalTile};
use crate::execution::funding::FundingSchedule;
use crate::execution::levels::Levels;
use crate::execution::orders::OrderQueue;
use crate::execution::pricing::FixedSlippage;
use crate::execution::quotes::Quotes;
use crate::execution::rules::SymbolRules;
use crate::execution::stop_quotes::StopQuotes;
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
    /// Rows of [`crate::execution::volatility::TrailingVolatility`] over [`Account::volatility_window`], where there is one.
    pub volatility: Option<&'t [f64]>,
    /// Rows of [`crate::risk::stress::MarketStress`], where [`Account::needs_stress`].
    pub stress: Option<&'t [f64]>,
    /// Regimes of the trial's settings, where it has any.
    pub regimes: Option<&'t LiquidityRegimes>,
    /// Prices and sizes of the trial's market orders, where they were made; without them it makes its own.
    pub quotes: Option<&'t Quotes>,
    /// The stop losses that its entries carry, where they were made.
    pub stops: Option<&'t StopQuotes>,
    /// The trial's signals.
    pub signals: SignalTile<'t>,
}

/// One bar: the venue and the tile it lies in.
#[derive(Clone, Copy)]
pub(super) struct Bar<'t> {
    pub(super) venue: &'t Venue<'t>,
    pub(super) tile: &'t Tile<'t>,
    pub(super) trailing_volume: Option<&'t [f64]>,
    pub(super) volatility: Option<&'t [f64]>,
    pub(super) stress: Option<&'t [f64]>,
    pub(super) quotes: Option<&'t Quotes>,
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

impl<'t> Bar<'t> {
    /// A bar of a tile whose marks begin with bar `first`.
    #[inline]
    pub(super) fn of(venue: &'t Venue<'t>, feed: &TileFeed<'t>, first: usize, number: usize) -> Self {
        let row = number - feed.tile.bar0;
        Self {
            venue,
            tile: feed.tile,
            trailing_volume: feed.trailing_volume,
            volatility: feed.volatility,
            stress: feed.stress,
            quotes: feed.quotes,
            regimes_before: feed.regimes.map(|regimes| regimes.row_before(row)),
            regimes: feed.regimes.map(|regimes| regimes.row(row)),
            row,
            bar: number,
            mark_at: number - first,
            is_last: number + 1 == venue.run.end,
        }
    }
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
    /// Orders of level signals that wait for nothing but the next open.
    pub(super) next_open: NextOpen,
    /// Whether they may stand there.
    pub(super) plain: bool,
    pub(super) levels: Levels,
    pub(super) series_ends: Vec<SeriesEnd>,
    pub(super) series_ends_at: usize,
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
    /// What stands behind each position, USDT; empty under cross margin.
    pub(super) isolated_usdt: Vec<f64>,
    /// Symbols to trim or to liquidate, and what by: scratch, with room for all of them where there is margin.
    pub(super) by_symbol: Vec<(usize, f64)>,
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
    /// Those of the worker while a tile is stepped; empty otherwise.
    pub(super) marks: MarkBuffers,
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
    pub(super) isolated_ratio: Vec<f64>,
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
        for column in [&mut self.initial_margin, &mut self.maintenance_margin, &mut self.isolated_ratio] {
            column.clear();
        }
    }
}

impl Account {
    /// An account that has not traded yet.
    pub fn new(venue: &Venue<'_>, plan: &EnginePlan) -> Self {
        let market = venue.market;
        let (symbols, lanes) = (market.symbols.len(), market.lanes());
        let book = Book::new(symbols, lanes, plan.initial_capital_usdt);
        let words = book.words();
        let schedule =
            if plan.funding.enabled { venue.schedule(plan.funding.missing) } else { Arc::default() };
        let of_bar =
            |wanted: bool| vec![Consumed { bar: u32::MAX, qty: 0.0 }; if wanted { lanes } else { 0 }];
        Self {
            orders: OrderQueue::new(words, symbols.max(16)),
            next_open: NextOpen::new(words, lanes),
            plain: fills_are_plain(plan),
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
            isolated_usdt: Self::isolated_wallets(plan.margin.as_ref(), lanes),
            liquidation_trigger: None,
            by_symbol: Vec::with_capacity(if plan.margin.is_some() { symbols } else { 0 }),
            liquidation_marks: vec![f64::NAN; if plan.margin.is_some() { symbols } else { 0 }],
            fee_at: 0,
            consumed: of_bar(plan.slippage.reads_volume()),
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
        plan.slippage.reads_volume() && plan.slippage.volume_ref != crate::config::plan::VolumeRef::ExecBar
    }
    /// Window of the volatility that slippage scales with; `None`: it does not.
    pub fn volatility_window(plan: &EnginePlan) -> Option<u32> {
        plan.slippage.vol_scale.map(|scale| scale.window_bars)
    }
    /// Whether margins are bounded by the market's moves of [`crate::risk::stress::MarketStress`]. Isolated ones are not:
    /// a bound on the whole account says nothing of its weakest position.
    pub fn needs_stress(plan: &EnginePlan) -> bool {
        plan.margin.as_ref().is_some_and(|margin| margin.mode == MarginMode::Cross)
    }
    /// Steps the account through a tile. Tiles come in bar order; bars outside the run are passed over. What is in the
    /// scratch does not matter.
    ///
    /// # Panics
    /// When trailing volume or volatility is needed and not given, or an invariant of semantics 4.9 does not hold.
    pub fn step_tile<R: Recorder>(
        &mut self,
        venue: &Venue<'_>,
        feed: &TileFeed<'_>,
        scratch: &mut Scratch,
        recorder: &mut R,
    ) {
        let TileFeed { tile, stress, signals, .. } = feed;
        // Other accounts over this tile may need what this one must not go by.
        let stress = stress.filter(|_| Self::needs_stress(&self.plan));
        assert!(
            feed.trailing_volume.is_some() || !Self::needs_trailing_volume(&self.plan),
            "trailing volume is needed"
        );
        assert_eq!(
            feed.volatility.is_some(),
            Self::volatility_window(&self.plan).is_some(),
            "volatility is given where slippage scales with it"
        );
        let first = venue.run.start.max(tile.bar0);
        let end = venue.run.end.min(tile.bar0 + tile.rows);
        if first >= end {
            return;
        }
        // One set of mark buffers for all accounts of a worker: what each had for itself would drive the others' out of the
        // cache.
        std::mem::swap(&mut self.marks, &mut scratch.marks);
        self.marks.resize(end - first);
        if R::WANTS_ORDERS && self.plan.margin.is_some() {
            self.marks.initial_margin.resize(end - first, 0.0);
            self.marks.maintenance_margin.resize(end - first, 0.0);
            if self.is_isolated() {
                self.marks.isolated_ratio.resize(end - first, 0.0);
            }
        }
        let mut intents = signals.intents;
        let mut number = first;
        let mut event = self.next_event_bar::<R>(venue, signals, intents, first);
        while number < end {
            if number < event && self.orders.is_empty() {
                let until = event.min(end).max(number);
                number = self.stretch(venue, feed, scratch, number..until, first, recorder);
            }
            let busy = self.next_busy_bar(venue, tile, signals, intents, number..end);
            self.mark_quiet_bars(tile, number..busy, first);
            number = self.first_unsafe_bar::<R>(venue, tile, stress, number..busy, first);
            if number < end {
                let bar = Bar { stress, ..Bar::of(venue, feed, first, number) };
                number += 1;
                if bar.bar < event && self.orders.is_empty() {
                    self.plain_bar(&bar, signals, recorder);
                    continue;
                }
                self.open_phase(&bar, recorder);
                self.open_instant(&bar, recorder);
                self.settle_late_funding(&bar, recorder);
                self.intrabar(&bar, recorder);
                self.close_phase(&bar, signals, &mut intents, recorder);
                event = self.next_event_bar::<R>(venue, signals, intents, number);
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
            isolated_ratio: &marks.isolated_ratio,
        });
        std::mem::swap(&mut self.marks, &mut scratch.marks);
    }
    /// Brings the fees in force at a time into the plan (semantics 3.1).
    #[inline]
    pub(super) fn update_fees(&mut self, now_ms: i64) {
        while let Some(row) = self.plan.fee_table.get(self.fee_at).filter(|row| row.from_ms <= now_ms) {
            (self.plan.maker_fee_frac, self.plan.taker_fee_frac) = (row.maker_frac, row.taker_frac);
            self.fee_at += 1;
        }
    }
    /// Whether fees are yet to change.
    pub(super) fn fees_change(&self) -> bool {
        self.fee_at < self.plan.fee_table.len()
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
    /// Market orders filled from columns since this was asked last.
    pub fn take_filled_orders(&mut self) -> usize {
        self.next_open.take_filled()
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
