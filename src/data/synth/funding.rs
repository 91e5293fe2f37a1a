//! Funding records: rates from a mean-reverting premium, intervals that may shorten, stamps that may jitter.

use super::contracts::Profile;
use super::path::Life;
use super::random::{Purpose, Random};
use super::{SynthBars, SynthSpec};
use crate::market::StepGrid;

const HOUR_MS: i64 = 3_600_000;
/// Rate of 8 hours when premium is small.
const BASE_RATE: f64 = 1e-4;
/// Cap of a single settlement; a settlement at it is what shortens the interval.
const RATE_CAP: f64 = 0.02;

/// All settlements in the life of a symbol, a known settlement time included.
pub(super) fn records(
    spec: &SynthSpec,
    profile: &Profile,
    life: &Life,
    index: usize,
    bars: &SynthBars,
) -> Vec<(i64, f64, Option<f64>)> {
    let mut random = Random::new(spec.seed, Purpose::Funding, index);
    let end_ms = life.delisted_ms.map_or_else(|| spec.life_end_ms(life), |delisted| delisted + 1);
    let switches = [spec.bars / 3, spec.bars * 2 / 3].map(|bar| spec.start_ms + bar as i64 * spec.bar_ms);
    let mut premium = 0.0;
    let mut records = Vec::new();
    let mut ms = next_settlement(life.listed_ms - 1, 8);
    let mut before_hours = 8;
    while ms < end_ms {
        let hours = interval_hours(ms, life, switches);
        premium = 0.8 * premium + 0.0003 * random.normal();
        let mut rate = (premium + (BASE_RATE - premium).clamp(-5e-4, 5e-4)) * hours as f64 / 8.0;
        if hours < before_hours {
            rate = -RATE_CAP;
        }
        before_hours = hours;
        // Rates are published with eight decimals.
        let rate = (rate.clamp(-RATE_CAP, RATE_CAP) * 1e8).round() / 1e8;
        let mark = mark_px(profile, bars, ms, random.between(-3e-4, 3e-4));
        let jitter_ms = random.below(30) as i64;
        let unknown = random.once_in(12);
        let (stamp_ms, mark) =
            if spec.gaps { (ms + jitter_ms, mark.filter(|_| !unknown)) } else { (ms, mark) };
        records.push((stamp_ms, rate, mark));
        ms = next_settlement(ms, hours);
    }
    records
}

/// First multiple of `hours` after `ms`, counted from midnight UTC.
fn next_settlement(ms: i64, hours: i64) -> i64 {
    (ms.div_euclid(hours * HOUR_MS) + 1) * hours * HOUR_MS
}

/// Hours until the settlement after the one at `ms`.
fn interval_hours(ms: i64, life: &Life, switches: [i64; 2]) -> i64 {
    match switches.map(|switch| life.shortens_funding && ms >= switch) {
        [_, true] => 1,
        [true, _] => 4,
        _ => 8,
    }
}

/// Mark price near the open of the first bar at or after `ms`, two decimals finer than the tick.
fn mark_px(profile: &Profile, bars: &SynthBars, ms: i64, basis: f64) -> Option<f64> {
    let next = bars.ts_ms.partition_point(|&open_ms| open_ms < ms);
    let px = bars.open.get(next).or(bars.close.last())?;
    let fine = StepGrid::new(profile.tick.size / 100.0);
    Some(fine.value((px * (1.0 + basis) / fine.size).round()))
}
