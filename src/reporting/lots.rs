//! Realised PnL and entry prices of fills by lots (semantics 4.2, `output.lot_method`).
//!
//! The account is kept by average entry, and so are its ledger, trades, metrics and waterfall. For who must report by
//! lots, the fills are replayed here first-in-first-out. Both methods realise the same over an episode: only which
//! closing fill shows how much of it differs.

use std::collections::VecDeque;

use super::episodes::reduces;
use super::recorder::RunRecorder;
use crate::events::Fill;
use crate::market::{Market, StepGrid};

/// `output.lot_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LotMethod {
    /// Closing quantities cost the average entry: as booked.
    #[default]
    Average,
    /// Closing quantities cost what the oldest open ones did.
    Fifo,
}

/// What one fill opened and no later fill has closed.
#[derive(Debug, Clone, Copy)]
struct Lot {
    steps: f64,
    price_px: f64,
}

/// Open lots of a symbol, the oldest first.
#[derive(Debug, Clone, Default)]
struct Lots(VecDeque<Lot>);

impl Lots {
    /// Takes steps from the oldest lots; gives back what they realise at a price. `s`: +1 where a long is closed.
    fn close(&mut self, s: f64, mut steps: f64, price_px: f64, grid: StepGrid) -> f64 {
        let mut realized_usdt = 0.0;
        while let Some(oldest) = self.0.front_mut().filter(|_| steps > 0.0) {
            let taken = steps.min(oldest.steps);
            realized_usdt += s * grid.value(taken) * (price_px - oldest.price_px);
            oldest.steps -= taken;
            steps -= taken;
            if oldest.steps <= 0.0 {
                self.0.pop_front();
            }
        }
        realized_usdt
    }
    /// Mean price of what is open; 0 when flat.
    fn entry_px(&self, grid: StepGrid) -> f64 {
        match self.0.len() {
            0 => 0.0,
            1 => self.0[0].price_px,
            _ => {
                let (cost, qty) = self.0.iter().fold((0.0, 0.0), |(cost, qty), lot| {
                    let of_lot = grid.value(lot.steps);
                    (cost + of_lot * lot.price_px, qty + of_lot)
                });
                cost / qty
            }
        }
    }
}

/// The fills of a run in order, with `realized_usdt` and the average entries by a method.
///
/// Under [`LotMethod::Fifo`] an average entry is the mean price of the lots still open.
pub fn fills_by(method: LotMethod, recorder: &RunRecorder, market: &Market) -> Vec<Fill> {
    let mut fills: Vec<Fill> = recorder.fills().copied().collect();
    if method == LotMethod::Average {
        return fills;
    }
    let mut lots = vec![Lots::default(); market.symbols.len()];
    for fill in &mut fills {
        let grid = market.symbols[fill.symbol as usize].contract.step;
        let open = &mut lots[fill.symbol as usize];
        fill.avg_entry_before = open.entry_px(grid);
        fill.realized_usdt = 0.0;
        let mut opened = grid.in_steps(fill.qty);
        if reduces(fill) {
            let closed = opened.min(grid.in_steps(fill.position_before.abs()));
            fill.realized_usdt = open.close(fill.position_before.signum(), closed, fill.price, grid);
            opened -= closed;
        }
        if fill.position_before * fill.position_after <= 0.0 {
            open.0.clear();
        }
        if opened > 0.0 && fill.position_after != 0.0 {
            open.0.push_back(Lot { steps: opened, price_px: fill.price });
        }
        fill.avg_entry_after = open.entry_px(grid);
    }
    fills
}
