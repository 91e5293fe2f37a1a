//! The engine, reporting in the reference's words.

use std::ops::Range;

use barloom::config::plan::EnginePlan;
use barloom::engine::api::{
    Fill, FundingPayment, Insurance, MarkRows, OrderEnd, OrderIntent, Recorder, SignalTile,
};
use barloom::engine::{RunOptions, run_account};
use barloom::market::{Market, Tile};
use barloom::signals::SignalSource;

use crate::reference::{RefFill, RefFunding, RefInsurance, RefOrderEnd, RefResult};

/// Writes down what the engine reports, in the reference's words.
#[derive(Default)]
pub(crate) struct Notes(pub(crate) RefResult);

impl Recorder for Notes {
    const WANTS_ORDERS: bool = true;

    fn fill(&mut self, fill: &Fill) {
        self.0.fills.push(RefFill {
            bar: fill.bar as usize,
            symbol: fill.symbol as usize,
            order_id: fill.order_id,
            side: fill.side,
            qty: fill.qty,
            price: fill.price,
            base_px: fill.base_px,
            liquidity: fill.liquidity,
            fee_usdt: fill.fee_usdt,
            slippage_bps: fill.slippage_bps,
            participation: fill.participation,
            reason: fill.reason,
            flags: fill.flags,
            regime: fill.regime,
            realized_usdt: fill.realized_usdt,
            position_after: fill.position_after,
            avg_entry_after: fill.avg_entry_after,
        });
    }
    fn funding(&mut self, payment: &FundingPayment) {
        self.0.funding.push(RefFunding {
            bar: payment.bar as usize,
            symbol: payment.symbol as usize,
            record: payment.record as usize,
            cash_usdt: payment.cash_usdt,
        });
    }
    fn insurance(&mut self, payment: &Insurance) {
        self.0.insurance.push(RefInsurance {
            bar: payment.bar as usize,
            symbol: payment.symbol as usize,
            amount_usdt: payment.amount_usdt,
        });
    }
    fn order_end(&mut self, end: &OrderEnd) {
        self.0.orders.push(RefOrderEnd {
            order_id: end.order_id,
            bar: end.bar as usize,
            end_bar: end.end_bar as usize,
            symbol: end.symbol as usize,
            side: end.side,
            kind: end.kind,
            price: end.price_px,
            qty: end.qty,
            status: end.status,
            reason: end.reason,
        });
    }
    fn marks(&mut self, rows: &MarkRows<'_>) {
        self.0.equity.extend(rows.equity_usdt);
        self.0.wallet.extend(rows.wallet_usdt);
        self.0.unrealized.extend(rows.unrealized_usdt);
        self.0.gross.extend(rows.gross_usdt);
        self.0.net.extend(rows.net_usdt);
        self.0.initial_margin.extend(rows.initial_margin_usdt);
        self.0.maintenance_margin.extend(rows.maintenance_margin_usdt);
    }
}

/// Orders as they stand, sorted by `(bar, order_id)`.
struct Script<'a> {
    intents: &'a [OrderIntent],
    bars: Range<usize>,
}

impl SignalSource for Script<'_> {
    fn step(&mut self, _market: &Market, tile: &Tile<'_>) {
        self.bars = tile.bar0..tile.bar0 + tile.rows;
    }
    fn trial(&self, _trial: usize) -> SignalTile<'_> {
        let before = |bar: usize| self.intents.partition_point(|intent| (intent.bar as usize) < bar);
        let intents = &self.intents[before(self.bars.start)..before(self.bars.end)];
        SignalTile { intents, ..SignalTile::default() }
    }
}

/// Runs orders over a whole market, in tiles that are too short to hide a seam.
pub(crate) fn run_orders(market: &Market, plan: &EnginePlan, intents: &[OrderIntent]) -> RefResult {
    let mut source = Script { intents, bars: 0..0 };
    let mut notes = Notes::default();
    let options = RunOptions { tile_bars: 3, on_tile: &mut |_| true };
    run_account(market, 0..market.grid.bars, plan, &mut source, &mut notes, options)
        .expect("nobody interrupts it");
    notes.0
}
