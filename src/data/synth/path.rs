//! Prices and volumes: the market's common path, and the bars of one symbol along it.

use super::SynthBars;
use super::contracts::Profile;
use super::random::{Purpose, Random, growth, growth_wide};
use super::{super::import::stamp::DAY_MS, SynthSpec};

const HOUR_MS: i64 = 3_600_000;
/// Prices stay within this factor of where they began.
const MAX_DRIFT: f64 = 64.0;
/// Prices turn back up below this many ticks, so that a bar still moves by whole ticks.
const MIN_TICKS: f64 = 500.0;

/// Largest volatility of a bar; keeps every argument of `growth` within ±1.3, far from its pole at 2.
const MAX_VOL: f64 = 0.15;

/// Volume of an hour of the day (UTC), relative to the mean; the square root is the volatility's.
const HOUR_VOLUME: [f64; 24] = [
    1.10, 0.90, 0.85, 0.80, 0.75, 0.70, 0.75, 0.90, 1.00, 0.95, 0.90, 0.90, 1.05, 1.35, 1.60, 1.60, 1.40,
    1.20, 1.05, 0.95, 0.95, 0.85, 0.75, 0.75,
];
const WEEKEND_VOLUME: f64 = 0.6;

/// What all symbols share, per bar of the grid.
pub(super) struct CommonPath {
    /// Common factor, unit variance.
    factor: Vec<f64>,
    /// Volatility relative to its typical level.
    level: Vec<f64>,
    /// Volume relative to its typical level.
    activity: Vec<f64>,
    /// Bars of the outage that stops every symbol.
    outage: std::ops::Range<usize>,
}

impl CommonPath {
    pub(super) fn new(spec: &SynthSpec) -> Self {
        let mut random = Random::new(spec.seed, Purpose::Market, 0);
        let quarters = spec.bar_ms as f64 / 900_000.0;
        let keep = 1.0 - 0.01 * quarters.min(50.0);
        let shock = 0.4 * (1.0 - keep * keep).sqrt();
        let mut log_level = 0.0;
        let mut common = Self {
            factor: Vec::with_capacity(spec.bars),
            level: Vec::with_capacity(spec.bars),
            activity: Vec::with_capacity(spec.bars),
            outage: 0..0,
        };
        for bar in 0..spec.bars {
            log_level = keep * log_level + shock * random.normal();
            let season = season(spec.start_ms + bar as i64 * spec.bar_ms, spec.bar_ms);
            common.factor.push(random.normal());
            common.level.push(growth_wide(log_level) * season.sqrt() * quarters.sqrt());
            common.activity.push(growth_wide(log_level) * season * quarters);
        }
        if spec.gaps && spec.bars >= 100 {
            let from = spec.bars * 45 / 100;
            common.outage = from..from + 3;
        }
        common
    }
}

/// Activity of the time of the week around a bar's open, relative to the mean.
fn season(ms: i64, bar_ms: i64) -> f64 {
    // Day 0 of the epoch is a Thursday: days 2 and 3 of every seven are the weekend.
    let weekend = matches!(ms.div_euclid(DAY_MS).rem_euclid(7), 2 | 3);
    let day = if weekend { WEEKEND_VOLUME } else { 1.0 };
    if bar_ms >= DAY_MS {
        return day;
    }
    let in_day = ms.rem_euclid(DAY_MS);
    let hour = (in_day / HOUR_MS) as usize;
    let part = (in_day % HOUR_MS) as f64 / HOUR_MS as f64;
    day * (HOUR_VOLUME[hour] * (1.0 - part) + HOUR_VOLUME[(hour + 1) % 24] * part)
}

/// When a symbol exists, and how it ends.
pub(super) struct Life {
    /// Bars of the grid on which it is listed.
    pub(super) bars: std::ops::Range<usize>,
    /// Open time of its first bar.
    pub(super) listed_ms: i64,
    /// Settlement time, where it is known.
    pub(super) delisted_ms: Option<i64>,
    /// Whether its funding interval shortens.
    pub(super) shortens_funding: bool,
}

impl Life {
    pub(super) fn new(spec: &SynthSpec, index: usize) -> Self {
        let mut life =
            Self { bars: 0..spec.bars, listed_ms: spec.start_ms, delisted_ms: None, shortens_funding: false };
        if !spec.gaps {
            return life;
        }
        match index % 6 {
            2 => life.bars.start = spec.bars / 5,
            3 => {
                let settled = delisting_bar(spec);
                life.bars.end = settled;
                life.delisted_ms = Some(spec.start_ms + settled as i64 * spec.bar_ms);
            }
            4 => life.bars.end = (spec.bars * 65 / 100).max(1),
            5 => life.shortens_funding = true,
            _ => {}
        }
        life.listed_ms = spec.start_ms + life.bars.start as i64 * spec.bar_ms;
        life
    }
}

/// The bar at four fifths of the grid, moved back to a funding time where there is one after the first bar.
fn delisting_bar(spec: &SynthSpec) -> usize {
    let near = (spec.bars * 4 / 5).max(1);
    let near_ms = spec.start_ms + near as i64 * spec.bar_ms;
    let funding_ms = near_ms - near_ms.rem_euclid(8 * HOUR_MS);
    let bar = (funding_ms - spec.start_ms) / spec.bar_ms;
    if bar >= 1 { bar as usize } else { near }
}

/// What the data has of a bar.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Traded,
    Empty,
    Missing,
}

/// Decides for each bar whether it is traded, empty or missing.
struct Gaps {
    random: Random,
    enabled: bool,
    kind: Kind,
    left: u64,
}

impl Gaps {
    fn next(&mut self) -> Kind {
        if !self.enabled {
            return Kind::Traded;
        }
        if self.left == 0 {
            self.kind = Kind::Traded;
            if self.random.once_in(700) {
                self.kind = Kind::Missing;
                // Mostly a bar or two, now and then longer than the default `max_stale_bars`.
                let longest = if self.random.once_in(4) { 14 } else { 2 };
                self.left = 1 + self.random.below(longest);
            } else if self.random.once_in(500) {
                self.kind = Kind::Empty;
                self.left = 1 + self.random.below(4);
            }
        }
        self.left = self.left.saturating_sub(1);
        self.kind
    }
}

/// The bars of one symbol.
pub(super) fn bars(
    spec: &SynthSpec,
    common: &CommonPath,
    profile: &Profile,
    life: &Life,
    index: usize,
) -> SynthBars {
    let mut random = Random::new(spec.seed, Purpose::Path, index);
    let mut gaps = Gaps {
        random: Random::new(spec.seed, Purpose::Gaps, index),
        enabled: spec.gaps,
        kind: Kind::Traded,
        left: 0,
    };
    let floor_px = (profile.start_px / MAX_DRIFT).max(MIN_TICKS * profile.tick.size);
    let ceiling_px = profile.start_px * MAX_DRIFT;
    let own = (1.0 - profile.loading * profile.loading).sqrt();
    let mut px = profile.start_px;
    let mut last_ticks = (px / profile.tick.size).round();
    let mut log_volume = 0.0;
    let mut bars = SynthBars::with_capacity(life.bars.len());
    for bar in life.bars.clone() {
        let ms = spec.start_ms + bar as i64 * spec.bar_ms;
        // A symbol's first and last bar trade, so that its life is what its contract says.
        let edge = bar == life.bars.start || bar + 1 == life.bars.end;
        let kind = match gaps.next() {
            _ if common.outage.contains(&bar) => Kind::Missing,
            _ if edge => Kind::Traded,
            kind => kind,
        };
        if kind == Kind::Empty {
            let close = profile.tick.value(last_ticks);
            bars.push(ms, [close; 4], 0.0);
            continue;
        }
        let vol = (profile.vol_frac * common.level[bar]).min(MAX_VOL);
        let shock = profile.loading * common.factor[bar] + own * random.normal();
        let mut step = (vol * shock).clamp(-6.0 * MAX_VOL, 6.0 * MAX_VOL);
        if px < floor_px {
            step = step.abs();
        } else if px > ceiling_px {
            step = -step.abs();
        }
        let open_ticks = last_ticks + f64::from(OPEN_JITTER[random.below(8) as usize]);
        px *= growth(step);
        let close_ticks = (px / profile.tick.size).round();
        let up_ticks =
            (px * growth(bridge_extreme(&mut random, step, vol) - step) / profile.tick.size).round();
        let down_ticks =
            (px * growth(-bridge_extreme(&mut random, -step, vol) - step) / profile.tick.size).round();
        log_volume = 0.9 * log_volume + 0.16 * random.normal();
        let burst = growth_wide(log_volume + 0.3 * random.normal()) * (0.6 + 0.5 * shock.abs());
        let turnover_usdt = profile.turnover_usdt * common.activity[bar] * burst;
        last_ticks = close_ticks;
        if kind == Kind::Missing {
            continue;
        }
        let volume = profile.step.value((turnover_usdt / px / profile.step.size).round().max(1.0));
        let high_ticks = up_ticks.max(open_ticks).max(close_ticks);
        let low_ticks = down_ticks.min(open_ticks).min(close_ticks);
        let ticks = [open_ticks, high_ticks, low_ticks, close_ticks];
        bars.push(ms, ticks.map(|k| profile.tick.value(k)), volume);
    }
    bars
}

/// A new bar mostly opens at the last close, sometimes a tick beside it.
const OPEN_JITTER: [i8; 8] = [0, 0, 0, 0, 0, 0, -1, 1];

/// Highest point of a Brownian bridge from 0 to `step` with volatility `vol`.
///
/// `(x + √(x² − 2σ² ln u)) / 2` with `−2 ln u` drawn as the sum of two squared normals, which needs no logarithm.
fn bridge_extreme(random: &mut Random, step: f64, vol: f64) -> f64 {
    let (a, b) = (random.normal(), random.normal());
    (step + (step * step + vol * vol * (a * a + b * b)).sqrt()) / 2.0
}

impl SynthBars {
    fn with_capacity(bars: usize) -> Self {
        let column = || Vec::with_capacity(bars);
        Self {
            ts_ms: Vec::with_capacity(bars),
            open: column(),
            high: column(),
            low: column(),
            close: column(),
            volume: column(),
        }
    }

    fn push(&mut self, ms: i64, [open, high, low, close]: [f64; 4], volume: f64) {
        self.ts_ms.push(ms);
        self.open.push(open);
        self.high.push(high);
        self.low.push(low);
        self.close.push(close);
        self.volume.push(volume);
    }
}
