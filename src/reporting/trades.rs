//! Closed trades of a run, with prices and excursions (semantics 9.3).
//!
//! Money comes from [`EpisodeBook`], the same code that a sweep streams through; this file adds what needs the
//! history: average prices, the largest size, and how far the market went for and against the position.

use super::episodes::{EpisodeBook, is_flip, reduces};
use super::recorder::{Event, RunRecorder};
use crate::events::{Fill, FillFlags, FillReason, NO_TAG, Side};
use crate::market::Market;

/// A closed position episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Trade {
    /// Symbol id.
    pub symbol: usize,
    /// `Buy`: long.
    pub side: Side,
    /// Bar of the first fill.
    pub entry_bar: usize,
    /// Bar of the last fill.
    pub exit_bar: usize,
    /// Largest |position|, base units.
    pub max_qty: f64,
    /// Quantity-weighted price of everything that opened or added, USDT.
    pub entry_px: f64,
    /// Quantity-weighted price of everything that closed, USDT.
    pub exit_px: f64,
    /// Realised PnL before costs, USDT.
    pub gross_usdt: f64,
    /// Fees, those of liquidations included, USDT.
    pub fees_usdt: f64,
    /// Funding, USDT, signed.
    pub funding_usdt: f64,
    /// Gross − fees + funding, USDT.
    pub net_usdt: f64,
    /// Net over `max_qty · entry_px`.
    pub return_frac: f64,
    /// Worst `s·(extreme/p̄ − 1)` while held, 0 or negative.
    pub mae_frac: f64,
    /// Best `s·(extreme/p̄ − 1)` while held, 0 or positive.
    pub mfe_frac: f64,
    /// Why the last fill happened.
    pub exit_reason: FillReason,
    /// Tag of the first fill, or [`NO_TAG`].
    pub tag: u32,
}

/// What is gathered of an open episode.
#[derive(Debug, Clone, Default)]
struct Draft {
    entry_qty: f64,
    entry_usdt: f64,
    exit_qty: f64,
    exit_usdt: f64,
    max_qty: f64,
    tag: u32,
    entered_at_open: bool,
    /// Average entry in force from a bar on.
    averages: Vec<(usize, f64)>,
}

impl Draft {
    fn opened(fill: &Fill, qty: f64) -> Self {
        Self {
            entry_qty: qty,
            entry_usdt: qty * fill.price,
            max_qty: fill.position_after.abs(),
            tag: fill.tag,
            entered_at_open: at_open(fill),
            averages: vec![(fill.bar as usize, fill.avg_entry_after)],
            ..Self::default()
        }
    }
    fn adds(&mut self, fill: &Fill) {
        self.entry_qty += fill.qty;
        self.entry_usdt += fill.qty * fill.price;
        self.max_qty = self.max_qty.max(fill.position_after.abs());
        self.averages.push((fill.bar as usize, fill.avg_entry_after));
    }
    fn closes(&mut self, fill: &Fill, qty: f64) {
        self.exit_qty += qty;
        self.exit_usdt += qty * fill.price;
    }
}

/// Whether a fill happened at the open of its bar, so that the bar's range lies after it.
fn at_open(fill: &Fill) -> bool {
    match fill.reason {
        FillReason::MarketEntry
        | FillReason::MarketExit
        | FillReason::LimitTaker
        | FillReason::StopEntryGap
        | FillReason::MarginTrim
        | FillReason::FundingExit
        | FillReason::StopLossGap
        | FillReason::TakeProfitOpen
        | FillReason::TakeProfitMarketable
        | FillReason::Delist => true,
        FillReason::Trail | FillReason::Liquidation => fill.flags.has(FillFlags::GAPPED),
        FillReason::StopLoss
        | FillReason::LimitMaker
        | FillReason::StopEntry
        | FillReason::StopLossEntryBar
        | FillReason::TakeProfit
        | FillReason::SeriesEnd
        | FillReason::EndOfRun => false,
    }
}

/// Closed trades of a run, in the order they closed.
pub fn trades(recorder: &RunRecorder, market: &Market) -> Vec<Trade> {
    let symbols = market.symbols.len();
    let mut book = EpisodeBook::new(symbols);
    let mut drafts = vec![Draft::default(); symbols];
    let mut closed = Vec::new();
    for event in recorder.events() {
        let fill = match event {
            Event::Funding(payment) => {
                book.funding(payment);
                continue;
            }
            Event::Insurance(_) => continue,
            Event::Fill(fill) => fill,
        };
        let draft = &mut drafts[fill.symbol as usize];
        if fill.position_before == 0.0 {
            *draft = Draft::opened(fill, fill.qty);
        } else if !reduces(fill) {
            draft.adds(fill);
        } else {
            draft.closes(fill, fill.qty.min(fill.position_before.abs()));
        }
        if let Some(ended) = book.fill(fill) {
            let money = ended.episode;
            let excursion = Excursion::of(draft, fill, ended.side, market);
            let entry_px = draft.entry_usdt / draft.entry_qty;
            closed.push(Trade {
                symbol: fill.symbol as usize,
                side: ended.side,
                entry_bar: money.entry_bar as usize,
                exit_bar: ended.exit_bar as usize,
                max_qty: draft.max_qty,
                entry_px,
                exit_px: draft.exit_usdt / draft.exit_qty,
                gross_usdt: money.realized_usdt,
                fees_usdt: money.fees_usdt,
                funding_usdt: money.funding_usdt,
                net_usdt: money.net_usdt(),
                return_frac: money.net_usdt() / (draft.max_qty * entry_px),
                mae_frac: excursion.worst,
                mfe_frac: excursion.best,
                exit_reason: fill.reason,
                tag: draft.tag,
            });
            *draft = if is_flip(fill) {
                Draft::opened(fill, fill.position_after.abs())
            } else {
                Draft { tag: NO_TAG, ..Draft::default() }
            };
        }
    }
    closed
}

/// Adverse and favourable excursion of an episode as fractions of its average entry.
struct Excursion {
    sign: f64,
    worst: f64,
    best: f64,
}

impl Excursion {
    fn see(&mut self, price: f64, average: f64) {
        // A missing bar has `NaN` extremes, which `min` and `max` pass over.
        let excursion = self.sign * (price / average - 1.0);
        self.worst = self.worst.min(excursion);
        self.best = self.best.max(excursion);
    }

    /// Walks the held bars. The entry bar counts when the position was there from its open on. The exit bar counts up
    /// to the exit price; a stop that was hit inside it may have seen the favourable extreme before, and a run that
    /// ends at the close has seen the whole bar.
    fn of(draft: &Draft, exit: &Fill, side: Side, market: &Market) -> Self {
        let mut seen = Self { sign: side.sign(), worst: 0.0, best: 0.0 };
        let lane = market.lane_of[exit.symbol as usize];
        let at = |column: &[f64], bar: usize| column[(market.first_row + bar) * market.panels.lanes + lane];
        let (entry_bar, exit_bar) = (draft.averages[0].0, exit.bar as usize);
        let mut in_force = 0;
        for bar in entry_bar..=exit_bar {
            while draft.averages.get(in_force + 1).is_some_and(|(from, _)| *from <= bar) {
                in_force += 1;
            }
            let average = draft.averages[in_force].1;
            let (low, high) = (at(&market.panels.low, bar), at(&market.panels.high, bar));
            let (adverse, favourable) = if side == Side::Buy { (low, high) } else { (high, low) };
            if bar == exit_bar {
                seen.see(exit.price, average);
                match exit.reason {
                    FillReason::StopLoss | FillReason::StopLossEntryBar => seen.see(favourable, average),
                    FillReason::EndOfRun => {
                        seen.see(adverse, average);
                        seen.see(favourable, average);
                    }
                    _ => {}
                }
            } else if bar > entry_bar || draft.entered_at_open {
                seen.see(adverse, average);
                seen.see(favourable, average);
            }
        }
        seen
    }
}
