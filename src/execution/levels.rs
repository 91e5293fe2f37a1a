//! Levels attached to positions: one stop loss, one take profit and one trailing stop per symbol (semantics 2.6, 2.7,
//! 2.12).
//!
//! Finding the few that a bar touches is a row of compares over two trigger columns; what then happens is decided in
//! whole ticks, for the touched lanes alone. Trails move the stop at a close, lane by lane, where there are any.

use super::rules::{SLACK, SymbolRules};
use crate::portfolio::{Lane, pick};

/// Attached levels of an account, by lane.
#[derive(Debug, Clone)]
pub struct Levels {
    /// Stop trigger in force, `NaN`: none. A trail moves it.
    pub stop_loss_px: Vec<f64>,
    /// Take-profit price, `NaN`: none.
    pub take_profit_px: Vec<f64>,
    /// Bar in which the take profit was set.
    pub target_bar: Vec<u32>,
    /// Trails by lane.
    pub trails: Vec<Trail>,
    /// Bit set: the position has a trail.
    pub trailing: Vec<u64>,
    /// Bit set: a stop loss was attached, so that the stop is not the trail's alone.
    pub stop_losses: Vec<u64>,
    /// A low at or below this touches a level (−∞: none). Widened by a hair, so that no touch is missed.
    low_trigger_px: Vec<f64>,
    /// A high at or above this touches a level (+∞: none).
    high_trigger_px: Vec<f64>,
    attached: usize,
}

/// A trailing stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trail {
    /// Distance from the high-water mark, USDT; `NaN`: no trail.
    pub distance_px: f64,
    /// How far price must run from the entry before it trails; `NaN`: at once.
    pub activation_px: f64,
    /// Price of the first fill of the episode.
    pub entry_px: f64,
    /// High-water mark of a long, low-water mark of a short.
    pub water_px: f64,
}

impl Trail {
    /// No trail.
    pub const NONE: Self =
        Self { distance_px: f64::NAN, activation_px: f64::NAN, entry_px: f64::NAN, water_px: f64::NAN };

    /// The stop that the water mark gives, not yet rounded; `NaN` before its activation. `s`: +1 for a long.
    #[inline]
    pub fn stop_px(&self, s: f64, rules: &SymbolRules) -> f64 {
        let active_from = self.entry_px + s * self.activation_px;
        if self.activation_px.is_nan() || rules.has_come_to(s, self.water_px, active_from) {
            self.water_px - s * self.distance_px
        } else {
            f64::NAN
        }
    }
}

impl Levels {
    /// No levels on any lane.
    pub fn new(lanes: usize, words: usize) -> Self {
        Self {
            stop_loss_px: vec![f64::NAN; lanes],
            take_profit_px: vec![f64::NAN; lanes],
            target_bar: vec![0; lanes],
            trails: vec![Trail::NONE; lanes],
            trailing: vec![0; words],
            stop_losses: vec![0; words],
            low_trigger_px: vec![f64::NEG_INFINITY; lanes],
            high_trigger_px: vec![f64::INFINITY; lanes],
            attached: 0,
        }
    }
    /// Puts stop losses in the place of all there is: those of the lanes that are held, with their triggers.
    ///
    /// # Panics
    /// When there are fewer columns or words than lanes.
    pub fn replace_stops(&mut self, held: &[u64], px: &[f64], below: &[f64], above: &[f64]) {
        let is_held = |at: usize| held[at / 64] >> (at % 64) & 1 != 0;
        self.stop_losses.fill(0);
        let now = px.iter().zip(below).zip(above);
        let columns =
            self.stop_loss_px.iter_mut().zip(&mut self.low_trigger_px).zip(&mut self.high_trigger_px);
        for (at, (((px, below), above), ((stop_px, low_px), high_px))) in now.zip(columns).enumerate() {
            *stop_px = pick(is_held(at), *px, f64::NAN);
            self.stop_losses[at / 64] |= u64::from(!stop_px.is_nan()) << (at % 64);
            *low_px = pick(is_held(at), *below, f64::NEG_INFINITY);
            *high_px = pick(is_held(at), *above, f64::INFINITY);
        }
        self.attached = self.stop_losses.iter().map(|bits| bits.count_ones() as usize).sum();
    }
    /// Whether stop losses that no trail moves are all there is.
    pub fn are_stops(&self) -> bool {
        self.trailing.iter().all(|&bits| bits == 0) && self.take_profit_px.iter().all(|px| px.is_nan())
    }
    /// Whether any lane has a level.
    #[inline]
    pub fn any(&self) -> bool {
        self.attached > 0
    }
    /// Whether this lane has a stop, a target or a trail.
    #[inline]
    pub fn has(&self, lane: Lane) -> bool {
        let at = lane.symbol;
        !self.stop_loss_px[at].is_nan() || !self.take_profit_px[at].is_nan() || lane.is_in(&self.trailing)
    }
    /// Trigger columns for the row compare: `(low, high)`.
    #[inline]
    pub fn triggers(&self) -> (&[f64], &[f64]) {
        (&self.low_trigger_px, &self.high_trigger_px)
    }
    /// Whether a bar of this range may touch a level of a lane; never `false` where the exact test says it does.
    #[inline]
    pub fn may_touch(&self, lane: Lane, low: f64, high: f64) -> bool {
        low <= self.low_trigger_px[lane.symbol] || high >= self.high_trigger_px[lane.symbol]
    }
    /// Sets the stop and the target an increase of the position carries; `NaN` keeps what is there.
    #[inline]
    pub fn attach(&mut self, lane: Lane, is_long: bool, stop_loss_px: f64, take_profit_px: f64, bar: usize) {
        if stop_loss_px.is_nan() && take_profit_px.is_nan() {
            return;
        }
        let at = lane.symbol;
        self.attached += usize::from(!self.has(lane));
        if !stop_loss_px.is_nan() {
            self.stop_loss_px[at] = stop_loss_px;
            self.stop_losses[lane.word] |= lane.bit;
        }
        if !take_profit_px.is_nan() {
            self.take_profit_px[at] = take_profit_px;
            self.target_bar[at] = bar as u32;
        }
        self.set_triggers(at, is_long);
    }
    /// Begins a trail, or changes the distance and activation of the one that runs.
    pub fn attach_trail(&mut self, lane: Lane, distance_px: f64, activation_px: f64) {
        let at = lane.symbol;
        self.attached += usize::from(!self.has(lane));
        self.trailing[lane.word] |= lane.bit;
        self.trails[at].distance_px = distance_px;
        if !activation_px.is_nan() {
            self.trails[at].activation_px = activation_px;
        }
    }
    /// Remembers the first fill of an episode, which water marks start from.
    #[inline]
    pub fn begin_episode(&mut self, lane: Lane, price_px: f64) {
        self.trails[lane.symbol] = Trail { entry_px: price_px, water_px: price_px, ..Trail::NONE };
        self.stop_losses[lane.word] &= !lane.bit;
    }
    /// Moves the stop of a trail; never loosens it.
    pub fn ratchet(&mut self, lane: Lane, is_long: bool, stop_px: f64) {
        let at = lane.symbol;
        let before = self.stop_loss_px[at];
        let tighter = before.is_nan() || if is_long { stop_px > before } else { stop_px < before };
        if tighter && !stop_px.is_nan() {
            self.stop_loss_px[at] = stop_px;
            self.set_triggers(at, is_long);
        }
    }
    fn set_triggers(&mut self, at: usize, is_long: bool) {
        let (below, above) = if is_long {
            (self.stop_loss_px[at], self.take_profit_px[at])
        } else {
            (self.take_profit_px[at], self.stop_loss_px[at])
        };
        self.low_trigger_px[at] =
            if below.is_nan() { f64::NEG_INFINITY } else { below + below.abs() * SLACK };
        self.high_trigger_px[at] = if above.is_nan() { f64::INFINITY } else { above - above.abs() * SLACK };
    }
    /// Removes the levels of a lane (flat or flipped).
    #[inline]
    pub fn clear(&mut self, lane: Lane) {
        if self.attached == 0 || !self.has(lane) {
            return;
        }
        let at = lane.symbol;
        self.attached -= 1;
        self.stop_loss_px[at] = f64::NAN;
        self.take_profit_px[at] = f64::NAN;
        self.trails[at] = Trail::NONE;
        self.trailing[lane.word] &= !lane.bit;
        self.stop_losses[lane.word] &= !lane.bit;
        self.low_trigger_px[at] = f64::NEG_INFINITY;
        self.high_trigger_px[at] = f64::INFINITY;
    }
}
