//! Levels attached to positions: one stop loss and one take profit per symbol (semantics 2.6, 2.12).
//!
//! Finding the few that a bar touches is a row of compares over two trigger columns; what then happens is decided in
//! whole ticks, for the touched lanes alone.

use crate::portfolio::Lane;

/// Attached levels of a batch, by lane.
#[derive(Debug, Clone)]
pub struct Levels {
    /// Stop-loss trigger, `NaN`: none.
    pub stop_loss_px: Vec<f64>,
    /// Take-profit price, `NaN`: none.
    pub take_profit_px: Vec<f64>,
    /// A low at or below this touches a level (−∞: none). Widened by a hair, so that no touch is missed.
    low_trigger_px: Vec<f64>,
    /// A high at or above this touches a level (+∞: none).
    high_trigger_px: Vec<f64>,
    attached: usize,
}

/// Relative slack of the trigger columns; larger than the tolerance of the tick grid, corrected by the exact test.
const SLACK: f64 = 1e-8;

impl Levels {
    /// No levels on any lane.
    pub fn new(lanes: usize) -> Self {
        Self {
            stop_loss_px: vec![f64::NAN; lanes],
            take_profit_px: vec![f64::NAN; lanes],
            low_trigger_px: vec![f64::NEG_INFINITY; lanes],
            high_trigger_px: vec![f64::INFINITY; lanes],
            attached: 0,
        }
    }
    /// Whether any lane has a level.
    #[inline]
    pub fn any(&self) -> bool {
        self.attached > 0
    }
    /// Whether this lane has a level.
    #[inline]
    pub fn has(&self, lane: Lane) -> bool {
        !self.stop_loss_px[lane.index].is_nan() || !self.take_profit_px[lane.index].is_nan()
    }
    /// Trigger columns for the row compare: `(low, high)`.
    #[inline]
    pub fn triggers(&self) -> (&[f64], &[f64]) {
        (&self.low_trigger_px, &self.high_trigger_px)
    }
    /// Sets the levels an increase of the position carries; `NaN` keeps what is there.
    pub fn attach(&mut self, lane: Lane, is_long: bool, stop_loss_px: f64, take_profit_px: f64) {
        if stop_loss_px.is_nan() && take_profit_px.is_nan() {
            return;
        }
        let i = lane.index;
        let had = self.has(lane);
        if !stop_loss_px.is_nan() {
            self.stop_loss_px[i] = stop_loss_px;
        }
        if !take_profit_px.is_nan() {
            self.take_profit_px[i] = take_profit_px;
        }
        self.attached += usize::from(!had);
        let (below, above) = if is_long {
            (self.stop_loss_px[i], self.take_profit_px[i])
        } else {
            (self.take_profit_px[i], self.stop_loss_px[i])
        };
        self.low_trigger_px[i] = if below.is_nan() { f64::NEG_INFINITY } else { below + below.abs() * SLACK };
        self.high_trigger_px[i] = if above.is_nan() { f64::INFINITY } else { above - above.abs() * SLACK };
    }
    /// Removes the levels of a lane (flat or flipped).
    #[inline]
    pub fn clear(&mut self, lane: Lane) {
        if self.attached == 0 || !self.has(lane) {
            return;
        }
        let i = lane.index;
        self.attached -= 1;
        self.stop_loss_px[i] = f64::NAN;
        self.take_profit_px[i] = f64::NAN;
        self.low_trigger_px[i] = f64::NEG_INFINITY;
        self.high_trigger_px[i] = f64::INFINITY;
    }
}
