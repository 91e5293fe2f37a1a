//! Positions and money: average entry, and equity in two forms (semantics 4.2–4.4, 3.1, 3.3).

use super::decimal::Grid;

/// A protective level of a position and the bar at whose open it was set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    pub(crate) px: f64,
    pub(crate) set_bar: usize,
}

/// Net position of one symbol. Levels live on it (2.12).
#[derive(Debug, Clone, Default)]
pub(crate) struct Position {
    /// Signed quantity in steps.
    pub(crate) steps: i128,
    /// Average entry; 0 when flat.
    pub(crate) avg_entry_px: f64,
    /// Bar of the fill that began the episode (from flat, or by a flip).
    pub(crate) opened_bar: usize,
    pub(crate) stop_loss: Option<Level>,
    pub(crate) take_profit: Option<Level>,
}

impl Position {
    /// 4.2: a fill of signed `dq` steps at `px`; returns the realised PnL.
    pub(crate) fn book(&mut self, dq: i128, px: f64, step: &Grid) -> f64 {
        let (q, before) = (self.steps, self.avg_entry_px);
        self.steps = q + dq;
        let size = |steps: i128| step.value(steps.abs());
        if q == 0 || q.signum() == dq.signum() {
            self.avg_entry_px = (size(q) * before + size(dq) * px) / (size(q) + size(dq));
            return 0.0;
        }
        let closed = dq.abs().min(q.abs());
        if self.steps == 0 {
            self.avg_entry_px = 0.0;
        } else if self.steps.signum() != q.signum() {
            self.avg_entry_px = px;
        }
        q.signum() as f64 * size(closed) * (px - before)
    }
}

/// The one USDT wallet, kept in two forms that share nothing but the fills.
#[derive(Debug, Clone, Default)]
pub(crate) struct Money {
    pub(crate) initial: f64,
    pub(crate) realized: f64,
    pub(crate) fees: f64,
    pub(crate) funding: f64,
    /// `Σ dq·p`, for the cash form.
    pub(crate) bought: f64,
}

impl Money {
    /// 4.3: `W`.
    pub(crate) fn wallet(&self) -> f64 {
        self.initial + self.realized - self.fees + self.funding
    }
    /// 4.4: `B`.
    pub(crate) fn cash(&self) -> f64 {
        self.initial - self.bought - self.fees + self.funding
    }
}
