//! [`RunRecorder`]: keeps everything one account did, in event order.
//!
//! For single runs; a sweep uses [`TrialStats`] alone, which is embedded here so that both give the same metrics.
//! Tables are made from it afterwards in [`super::tables`] and [`mod@super::trades`].

use std::ops::Range;

use super::metrics::Metrics;
use super::trial::TrialStats;
use crate::events::{Fill, FundingPayment, Insurance, MarkRows, OrderEnd, Recorder};
use crate::market::TimeGrid;

/// Something that moved the account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// An execution or a settlement.
    Fill(Fill),
    /// A funding payment.
    Funding(FundingPayment),
    /// A payment of the insurance fund.
    Insurance(Insurance),
}

impl Event {
    /// Bar in which it happened.
    pub fn bar(&self) -> usize {
        match self {
            Self::Fill(fill) => fill.bar as usize,
            Self::Funding(payment) => payment.bar as usize,
            Self::Insurance(payment) => payment.bar as usize,
        }
    }
}

/// Marks of the bars of a run, one column per value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MarkColumns {
    /// Wallet, USDT.
    pub wallet_usdt: Vec<f64>,
    /// Unrealised PnL, USDT.
    pub unrealized_usdt: Vec<f64>,
    /// Equity, USDT.
    pub equity_usdt: Vec<f64>,
    /// Σ|q|·M, USDT.
    pub gross_usdt: Vec<f64>,
    /// Σq·M, USDT.
    pub net_usdt: Vec<f64>,
    /// Symbols with a position.
    pub positions: Vec<u32>,
    /// ΣIM, USDT; empty where margin is off.
    pub initial_margin_usdt: Vec<f64>,
    /// ΣMM, USDT; empty where margin is off.
    pub maintenance_margin_usdt: Vec<f64>,
    /// Largest margin ratio of isolated positions; empty where one wallet stands behind all.
    pub isolated_ratio: Vec<f64>,
}

/// Everything that happened to one account over one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecorder {
    grid: TimeGrid,
    run: Range<usize>,
    initial_usdt: f64,
    events: Vec<Event>,
    orders: Vec<OrderEnd>,
    marks: MarkColumns,
    stats: TrialStats,
}

impl RunRecorder {
    /// An account that starts `run` with this capital.
    pub fn new(symbols: usize, grid: TimeGrid, run: Range<usize>, initial_capital_usdt: f64) -> Self {
        Self {
            grid,
            run: run.clone(),
            initial_usdt: initial_capital_usdt,
            events: Vec::new(),
            orders: Vec::new(),
            marks: MarkColumns::default(),
            stats: TrialStats::new(symbols, grid, run, initial_capital_usdt),
        }
    }
    /// The grid that bars count on.
    pub fn grid(&self) -> TimeGrid {
        self.grid
    }
    /// Bars of the run.
    pub fn run(&self) -> Range<usize> {
        self.run.clone()
    }
    /// Capital at the start, USDT.
    pub fn initial_capital_usdt(&self) -> f64 {
        self.initial_usdt
    }
    /// Fills, funding and insurance in the order they happened.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
    /// Fills in order; the position in this sequence is the fill id.
    pub fn fills(&self) -> impl Iterator<Item = &Fill> {
        self.events.iter().filter_map(|event| match event {
            Event::Fill(fill) => Some(fill),
            Event::Funding(_) | Event::Insurance(_) => None,
        })
    }
    /// Bar in which the insurance fund paid what the account owed: there it was ruined.
    pub fn ruined_bar(&self) -> Option<usize> {
        self.events.iter().find_map(|event| match event {
            Event::Insurance(payment) => payment.ruins.then_some(payment.bar as usize),
            Event::Fill(_) | Event::Funding(_) => None,
        })
    }
    /// Order ends in the order they happened.
    pub fn orders(&self) -> &[OrderEnd] {
        &self.orders
    }
    /// Marks from the first bar of the run on.
    pub fn bar_marks(&self) -> &MarkColumns {
        &self.marks
    }
    /// The streaming side.
    pub fn stats(&self) -> &TrialStats {
        &self.stats
    }
    /// The metrics: the same as a sweep's for the same account.
    pub fn metrics(&self) -> Metrics {
        self.stats.finish()
    }
}

impl Recorder for RunRecorder {
    fn fill(&mut self, fill: &Fill) {
        self.events.push(Event::Fill(*fill));
        self.stats.fill(fill);
    }
    fn funding(&mut self, payment: &FundingPayment) {
        self.events.push(Event::Funding(*payment));
        self.stats.funding(payment);
    }
    fn insurance(&mut self, payment: &Insurance) {
        self.events.push(Event::Insurance(*payment));
        self.stats.insurance(payment);
    }
    fn order_end(&mut self, end: &OrderEnd) {
        self.orders.push(*end);
    }
    fn marks(&mut self, rows: &MarkRows<'_>) {
        self.stats.marks(rows);
        let from = self.run.start.saturating_sub(rows.bar0).min(rows.equity_usdt.len());
        let marks = &mut self.marks;
        marks.wallet_usdt.extend_from_slice(&rows.wallet_usdt[from..]);
        marks.unrealized_usdt.extend_from_slice(&rows.unrealized_usdt[from..]);
        marks.equity_usdt.extend_from_slice(&rows.equity_usdt[from..]);
        marks.gross_usdt.extend_from_slice(&rows.gross_usdt[from..]);
        marks.net_usdt.extend_from_slice(&rows.net_usdt[from..]);
        marks.positions.extend_from_slice(&rows.positions[from..]);
        // Empty where margin is off.
        let of_run = |column| <[f64]>::get(column, from..).unwrap_or_default();
        marks.initial_margin_usdt.extend_from_slice(of_run(rows.initial_margin_usdt));
        marks.maintenance_margin_usdt.extend_from_slice(of_run(rows.maintenance_margin_usdt));
        marks.isolated_ratio.extend_from_slice(of_run(rows.isolated_ratio));
    }
    const WANTS_ORDERS: bool = true;
}
