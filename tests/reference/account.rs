//! Positions and money: average entry, and equity in two forms (semantics 4.2–4.4, 3.1, 3.3).

use barloom::engine::api::Side;

use super::decimal::Grid;

/// A protective level of a position and the bar in which it was set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    pub(crate) px: f64,
    pub(crate) set_bar: usize,
}

/// Net position of one symbol. Levels live on it (2.12); an episode lasts from flat, or from a flip, to the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Position {
    /// Signed quantity in steps.
    pub(crate) steps: i128,
    /// Average entry; 0 when flat.
    pub(crate) avg_entry_px: f64,
    /// Isolated margin: what stands behind it, USDT (decision 8).
    pub(crate) wallet_usdt: f64,
    /// Bar of the fill that began the episode.
    pub(crate) opened_bar: usize,
    /// Price of that fill.
    pub(crate) first_px: f64,
    /// `W` of 2.7.
    pub(crate) high_water_px: f64,
    /// Last bar in which it changed after the open instant.
    pub(crate) changed_intrabar: Option<usize>,
    /// `S` of 2.7: the stop in force, of a stop loss or of a trail.
    pub(crate) stop: Option<Level>,
    /// Whether a stop loss was attached in this episode.
    pub(crate) had_stop_loss: bool,
    pub(crate) take_profit: Option<Level>,
    /// `d` of 2.7, USDT.
    pub(crate) trail_px: Option<f64>,
    /// How far `W` must run from the first fill before the stop trails.
    pub(crate) activation_px: Option<f64>,
}

impl Position {
    /// 2.11, 2.12: flat or a flip ends the episode and clears everything it had; the average entry stays as booked.
    pub(crate) fn begin_episode(&mut self, bar: usize, px: f64) {
        *self = Self {
            steps: self.steps,
            avg_entry_px: self.avg_entry_px,
            opened_bar: bar,
            first_px: px,
            high_water_px: px,
            ..Self::default()
        };
    }
    /// The side that would close it.
    pub(crate) fn exit_side(&self) -> Side {
        if self.steps > 0 { Side::Sell } else { Side::Buy }
    }
    /// 4.2: a fill of signed `dq` steps at `px`; returns the realised PnL.
    pub(crate) fn book(&mut self, dq: i128, px: f64, step: &Grid) -> f64 {
        let (q, before) = (self.steps, self.avg_entry_px);
        self.steps = q + dq;
        let size = |steps: i128| step.value(steps.abs());
        if q == 0 || q.signum() == dq.signum() {
            self.avg_entry_px = match q {
                // what the formula gives, to the last digit
                0 => px,
                _ => (size(q) * before + size(dq) * px) / (size(q) + size(dq)),
            };
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
    /// Clearance fees of liquidations.
    pub(crate) liquidation_fees: f64,
    /// Paid in by the insurance fund.
    pub(crate) insurance: f64,
    /// `Σ dq·p`, for the cash form.
    pub(crate) bought: f64,
}

impl Money {
    /// 4.3: `W`.
    pub(crate) fn wallet(&self) -> f64 {
        self.initial + self.realized - self.fees + self.funding - self.liquidation_fees + self.insurance
    }
    /// 4.4: `B`.
    pub(crate) fn cash(&self) -> f64 {
        self.initial - self.bought - self.fees + self.funding - self.liquidation_fees + self.insurance
    }
}
