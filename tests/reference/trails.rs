//! Trailing stops (semantics 2.7, 2.12; decision 7, 14–16).

use barloom::config::plan::{TrailMode, TrailSource};

use super::account::{Level, Position};
use super::chart::Bar;
use super::engine::Engine;

impl Engine<'_> {
    /// Whether the bar's extreme counts for `W`: not where the position changed inside the bar, nor where closes are
    /// followed.
    fn extreme_counts(&self, position: &Position, bar: usize) -> bool {
        self.plan.execution.trail_source == TrailSource::Extreme && position.changed_intrabar != Some(bar)
    }

    /// The stop as it stands once `W` has seen `seen_px`: `max(S, round_stop(W − d))`, short mirrored; and that `W`.
    fn trailed(&self, symbol: usize, seen_px: f64) -> (Option<f64>, f64) {
        let position = &self.positions[symbol];
        let grid = self.price_grid(symbol);
        let is_long = position.steps > 0;
        let high_water_px =
            if is_long { position.high_water_px.max(seen_px) } else { position.high_water_px.min(seen_px) };
        let stop_px = position.stop.map(|stop| stop.px);
        let sign = if is_long { 1.0 } else { -1.0 };
        let is_active = position.activation_px.is_none_or(|distance_px| {
            let from_px = position.first_px + sign * distance_px;
            grid.has_come_to(is_long, high_water_px, from_px)
        });
        let Some(distance_px) = position.trail_px.filter(|_| is_active) else {
            return (stop_px, high_water_px);
        };
        let trail_px = grid.round_stop(position.exit_side(), high_water_px - sign * distance_px);
        let tighter = |px: f64| if is_long { px.max(trail_px) } else { px.min(trail_px) };
        (Some(stop_px.map_or(trail_px, tighter)), high_water_px)
    }

    /// The level that the adverse extreme of this bar is tested against. Choice: a trail that has set no level before
    /// has none in its first bar under `next_bar`, and under `favourable_first` the one its own extreme gives.
    pub(super) fn stop_px_inside(&self, symbol: usize, bar: usize, prices: &Bar) -> Option<f64> {
        let position = &self.positions[symbol];
        let ratchets = self.plan.execution.trail_mode == TrailMode::FavourableFirst
            && self.extreme_counts(position, bar);
        if ratchets {
            self.trailed(symbol, prices.best_for_limit(position.exit_side())).0
        } else {
            position.stop.map(|stop| stop.px)
        }
    }

    /// 1.5, phase 5: `W_j` and `S_{j+1}` of every position in a tradable bar (2.14).
    pub(super) fn update_trails(&mut self, bar: usize) {
        for symbol in self.symbols() {
            let Some(prices) = self.tradable_bar(symbol, bar) else { continue };
            if self.positions[symbol].steps == 0 {
                continue;
            }
            let position = &self.positions[symbol];
            let seen_px = if self.extreme_counts(position, bar) {
                prices.best_for_limit(position.exit_side())
            } else {
                prices.close
            };
            let (stop_px, high_water_px) = self.trailed(symbol, seen_px);
            let position = &mut self.positions[symbol];
            position.high_water_px = high_water_px;
            position.stop = stop_px.map(|px| Level { px, set_bar: bar });
        }
    }
}
