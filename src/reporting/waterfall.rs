//! Where the money went: from what the prices alone would have earned to what was left, cost by cost.
//!
//! `gross` is the profit of the same fills at their trigger prices, or at the open that has passed them: before slippage,
//! before a stop ran past its level, without fees. Every step after it is signed, a cost negative. Read next: [`super::trial`] streams the totals of a
//! sweep's trial, this file adds the symbols of a single run.

use serde_json::{Value, json};

use super::invariants::last_mark;
use super::recorder::{Event, RunRecorder};
use crate::events::{Fill, FillFlags, FillReason};
use crate::market::Market;
use crate::portfolio::Money;

/// Cost of slippage and adverse rounding of a fill, USDT; positive is a cost.
#[inline]
pub fn slippage_usdt(fill: &Fill) -> f64 {
    fill.side.sign() * (fill.price - fill.base_px) * fill.qty
}

/// Cost of what lies between a fill's trigger and its base price, USDT: a stop that was run beyond its level. 0 where the
/// fill has no trigger, and where the bar opened beyond it (semantics 2.4): nobody could have traded there, and a trail may
/// have put it where the market no longer was.
#[inline]
pub fn overshoot_usdt(fill: &Fill) -> f64 {
    if fill.trigger_px.is_nan() || fill.flags.has(FillFlags::GAPPED) {
        return 0.0;
    }
    fill.side.sign() * (fill.base_px - fill.trigger_px) * fill.qty
}

/// Steps from gross to net. Costs are positive here; [`CostSteps::signed`] has them as they are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CostSteps {
    /// Realised and unrealised PnL at the prices of the fills, USDT.
    pub price_pnl_usdt: f64,
    /// Maker and taker fees, USDT.
    pub fees_usdt: f64,
    /// Slippage, USDT.
    pub slippage_usdt: f64,
    /// From trigger to base price, USDT.
    pub overshoot_usdt: f64,
    /// Funding, USDT, signed change of the wallet.
    pub funding_usdt: f64,
    /// Liquidation fees, USDT.
    pub liquidation_usdt: f64,
    /// Paid in by the insurance fund, USDT.
    pub insurance_usdt: f64,
}

impl CostSteps {
    /// Profit at trigger prices, before every cost.
    pub fn gross_usdt(&self) -> f64 {
        self.price_pnl_usdt + self.slippage_usdt + self.overshoot_usdt
    }
    /// What is left: the sum of [`CostSteps::signed`] without its last line, from left to right.
    pub fn net_usdt(&self) -> f64 {
        self.parts().iter().map(|(_, amount)| amount).sum::<f64>() + 0.0
    }
    fn parts(&self) -> [(&'static str, f64); 7] {
        [
            ("gross", self.gross_usdt()),
            ("fees", -self.fees_usdt),
            ("slippage", -self.slippage_usdt),
            ("overshoot", -self.overshoot_usdt),
            ("funding", self.funding_usdt),
            ("liquidation", -self.liquidation_usdt),
            ("insurance", self.insurance_usdt),
        ]
    }
    /// Name and signed amount of every step, from `gross` to `net`. Adding up the others gives `net` to the bit.
    pub fn signed(&self) -> [(&'static str, f64); 8] {
        let [gross, fees, slippage, overshoot, funding, liquidation, insurance] = self.parts();
        let net = ("net", self.net_usdt());
        // Adding 0 makes a zero of a negative zero.
        [gross, fees, slippage, overshoot, funding, liquidation, insurance, net].map(|(n, x)| (n, x + 0.0))
    }
    fn to_json(self) -> Value {
        Value::Object(
            self.signed().map(|(name, amount)| (name.to_owned(), amount.into())).into_iter().collect(),
        )
    }
}

/// Sums of one symbol on their way.
#[derive(Debug, Clone, Copy, Default)]
struct SymbolSums {
    price_pnl: Money,
    fees: Money,
    slippage: Money,
    overshoot: Money,
    funding: Money,
    liquidation: Money,
    insurance: Money,
    position: f64,
    average: f64,
}

/// The waterfall of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Waterfall {
    /// Sum over the symbols, in the order of their ids.
    pub total: CostSteps,
    /// Steps of every symbol, by id.
    pub symbols: Vec<CostSteps>,
}

impl Waterfall {
    /// The waterfall of what happened up to the last mark. `use_mark`: positions were marked at the mark column where
    /// there is one.
    pub fn of(recorder: &RunRecorder, market: &Market, use_mark: bool) -> Self {
        let mut sums = vec![SymbolSums::default(); market.symbols.len()];
        for event in recorder.events() {
            match event {
                Event::Fill(fill) => {
                    let of = &mut sums[fill.symbol as usize];
                    of.price_pnl.add(fill.realized_usdt);
                    let liquidated = fill.reason == FillReason::Liquidation;
                    let fees = if liquidated { &mut of.liquidation } else { &mut of.fees };
                    fees.add(fill.fee_usdt);
                    of.slippage.add(slippage_usdt(fill));
                    of.overshoot.add(overshoot_usdt(fill));
                    (of.position, of.average) = (fill.position_after, fill.avg_entry_after);
                }
                Event::Funding(payment) => sums[payment.symbol as usize].funding.add(payment.cash_usdt),
                Event::Insurance(payment) => sums[payment.symbol as usize].insurance.add(payment.amount_usdt),
            }
        }
        let last_bar = (recorder.run().start + recorder.bar_marks().equity_usdt.len()).saturating_sub(1);
        let mut total = SymbolSums::default();
        let mut symbols = Vec::with_capacity(sums.len());
        for (symbol, of) in sums.iter_mut().enumerate() {
            if of.position != 0.0 {
                let mark = last_mark(market, symbol, last_bar, use_mark);
                of.price_pnl.add(of.position * (mark - of.average));
            }
            let steps = of.steps();
            total.add(&steps);
            symbols.push(steps);
        }
        Self { total: total.steps(), symbols }
    }
    /// `{"total": {…}, "symbols": {name: {…}}}`; symbols without a fill are left out.
    pub fn to_json(&self, market: &Market) -> Value {
        let traded =
            market.symbols.iter().zip(&self.symbols).filter(|(_, steps)| **steps != CostSteps::default());
        let symbols = traded.map(|(symbol, steps)| (symbol.name.clone(), steps.to_json()));
        json!({ "total": self.total.to_json(), "symbols": Value::Object(symbols.collect()) })
    }
}

impl SymbolSums {
    fn steps(&self) -> CostSteps {
        CostSteps {
            price_pnl_usdt: self.price_pnl.value(),
            fees_usdt: self.fees.value(),
            slippage_usdt: self.slippage.value(),
            overshoot_usdt: self.overshoot.value(),
            funding_usdt: self.funding.value(),
            liquidation_usdt: self.liquidation.value(),
            insurance_usdt: self.insurance.value(),
        }
    }
    fn add(&mut self, steps: &CostSteps) {
        self.price_pnl.add(steps.price_pnl_usdt);
        self.fees.add(steps.fees_usdt);
        self.slippage.add(steps.slippage_usdt);
        self.overshoot.add(steps.overshoot_usdt);
        self.funding.add(steps.funding_usdt);
        self.liquidation.add(steps.liquidation_usdt);
        self.insurance.add(steps.insurance_usdt);
    }
}

/// Fills that carry a flag, and what they moved.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FlagSums {
    /// How many.
    pub fills: u64,
    /// Their realised PnL minus their fees, USDT.
    pub pnl_usdt: f64,
}

/// Fills and their money by flag, in the order of [`FillFlags::NAMES`]. A fill with several flags counts for each.
pub fn flag_sums(recorder: &RunRecorder) -> [(&'static str, FlagSums); FillFlags::NAMES.len()] {
    FillFlags::NAMES.map(|(flag, name)| {
        let (mut fills, mut pnl) = (0, Money::default());
        for fill in recorder.fills().filter(|fill| fill.flags.has(flag)) {
            fills += 1;
            pnl.add(fill.realized_usdt);
            pnl.add(-fill.fee_usdt);
        }
        (name, FlagSums { fills, pnl_usdt: pnl.value() })
    })
}

/// Bars that a position was marked at a price carried from an earlier bar, summed over the symbols.
pub fn stale_mark_bars(recorder: &RunRecorder, market: &Market) -> u64 {
    let end = recorder.run().start + recorder.bar_marks().equity_usdt.len();
    let missing = |symbol: usize, from: usize, to: usize| {
        let lane = market.lane_of[symbol];
        let close = |bar: usize| market.panels.close[(market.first_row + bar) * market.panels.lanes + lane];
        (from..to).filter(|&bar| close(bar).is_nan()).count() as u64
    };
    let mut held = vec![(0, 0.0); market.symbols.len()];
    let mut stale = 0;
    for fill in recorder.fills() {
        let (symbol, bar) = (fill.symbol as usize, fill.bar as usize);
        let (from, position) = std::mem::replace(&mut held[symbol], (bar, fill.position_after));
        stale += if position == 0.0 { 0 } else { missing(symbol, from, bar) };
    }
    let open = held.iter().enumerate().filter(|(_, (_, position))| *position != 0.0);
    stale + open.map(|(symbol, &(from, _))| missing(symbol, from, end)).sum::<u64>()
}

/// What `metrics.json` has beside the metrics of a sweep: flags, stale marks, the waterfall.
pub fn run_details(
    recorder: &RunRecorder,
    market: &Market,
    use_mark: bool,
) -> serde_json::Map<String, Value> {
    let mut details = serde_json::Map::new();
    for (name, sums) in flag_sums(recorder) {
        details.insert(format!("flag_{name}_fills"), sums.fills.into());
        details.insert(format!("flag_{name}_pnl"), (sums.pnl_usdt + 0.0).into());
    }
    details.insert("stale_mark_bars".to_owned(), stale_mark_bars(recorder, market).into());
    let waterfall = Waterfall::of(recorder, market, use_mark);
    details.insert("waterfall".to_owned(), waterfall.to_json(market));
    details
}
