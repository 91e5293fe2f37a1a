//! Liquidity of a bar: what usually trades at its time, how much of that did, and the regime that makes.
//!
//! Three streams, one after the other: [`seasonal_baseline`] → [`activity_ratio`] → [`regimes`]. A bar's baseline is
//! made of bars before it alone. They are separate so that a caller may put a baseline of its own between the first two.

use crate::rolling::{insert, replace};
use crate::simd::{LANE_CHUNK, Simd, at_level, f64x8, mask64x8, prelude::*};
use crate::stream::{Slot, check_panels};

/// Code of a bar in which next to nothing trades, or of which nothing is known.
pub const VACUUM: f64 = 0.0;
/// Code of a bar with less than usual.
pub const THIN: f64 = 1.0;
/// Code of any other bar.
pub const NORMAL: f64 = 2.0;

/// What a slot of the season remembers of its observations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Profile {
    /// The last so many; their median counts.
    Median {
        /// How many, at least 1.
        observations: usize,
    },
    /// A running mean: the first observation, then moved by this share of the way to each next one.
    Ewma {
        /// The share, above 0 and at most 1.
        eta: f64,
    },
}

impl Profile {
    /// Slots of state of one season slot: observations so far, then what is remembered, a median's also in ascending order.
    fn width(self) -> usize {
        match self {
            Self::Median { observations } => 1 + 2 * observations,
            Self::Ewma { .. } => 2,
        }
    }
}

/// What a baseline is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Season {
    /// Bars of a cycle, each with a profile of its own (a week of 15-minute bars: 672). 0: no season, the fallback alone.
    pub slots: usize,
    /// What each slot remembers.
    pub profile: Profile,
    /// Observations a slot needs to be used.
    pub min_observations: usize,
    /// Window of the fallback, in present bars.
    pub fallback_bars: usize,
    /// Present bars before this one that the fallback needs, at most its window.
    pub fallback_min_bars: usize,
}

/// Slots of a chunk before its windows: season slots with enough observations, present bars the fallback has seen.
const HEADER_SLOTS: usize = 2;

impl Season {
    fn check(&self) {
        assert!(self.min_observations >= 1, "a baseline needs at least one observation");
        assert!(
            (1..=self.fallback_bars).contains(&self.fallback_min_bars),
            "the fallback needs at least one bar and at most its window"
        );
        match self.profile {
            Profile::Median { observations } => {
                assert!(self.min_observations <= observations, "more observations needed than remembered");
            }
            Profile::Ewma { eta } => assert!(eta > 0.0 && eta <= 1.0, "eta is above 0 and at most 1"),
        }
    }

    fn chunk_slots(&self) -> usize {
        HEADER_SLOTS + 2 * self.fallback_bars + self.slots * self.profile.width()
    }
}

/// State of [`seasonal_baseline`].
pub fn seasonal_baseline_state_len(lanes: usize, season: &Season) -> usize {
    season.check();
    lanes * season.chunk_slots()
}

/// What usually trades at this time of the season.
///
/// Formula: of the observations of the bar's slot before this bar, the median of the last `observations` or their
/// running mean ([`Profile`]); with fewer than `min_observations` of them, the median of the last `fallback_bars`
/// present bars before this one, if there are at least `fallback_min_bars`. The slot of a row is
/// `(first_slot + row) mod slots`: the caller counts bars on an absolute grid, missing ones included. Shape:
/// `[row][lane]` in and out. Units: those of the activity, which is not negative. Warm-up: NaN while neither is there.
/// NaN: missing bar, no observation. Source: a seasonal median, as in seasonal-naive forecasts (Hyndman & Athanasopoulos 2021, 5.2). Time: a pass over the slot's sorted observations per bar,
/// eight lanes at once; while some slot of a lane still lacks observations, also a move within its sorted fallback.
///
/// ```
/// use barloom_kernels::liquidity::{Profile, Season, seasonal_baseline, seasonal_baseline_state_len};
/// let season = Season {
///     slots: 2,
///     profile: Profile::Median { observations: 8 },
///     min_observations: 2,
///     fallback_bars: 3,
///     fallback_min_bars: 3,
/// };
/// let volume: Vec<f64> = [10.0, 1.0, 20.0, 3.0, 7.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; seasonal_baseline_state_len(8, &season)], vec![0.0; volume.len()]);
/// seasonal_baseline(&volume, 8, 0, &season, &mut state, &mut out);
/// assert!(out[2 * 8].is_nan());
/// assert_eq!(out[3 * 8], 10.0); // of 10, 1 and 20: the slot has seen one bar
/// assert_eq!(out[4 * 8], 15.0); // of 10 and 20, its slot
/// ```
pub fn seasonal_baseline(
    activity: &[f64],
    lanes: usize,
    first_slot: usize,
    season: &Season,
    state: &mut [f64],
    out: &mut [f64],
) {
    let rows = check_panels([activity], lanes, &[&mut *out]);
    let len = seasonal_baseline_state_len(lanes, season);
    assert_eq!(state.len(), len, "state is as long as seasonal_baseline_state_len");
    at_level!(simd => baseline_rows(simd, activity, lanes, rows, first_slot, season, state, out));
}

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the body of the function above")]
fn baseline_rows<S: Simd>(
    simd: S,
    activity: &[f64],
    lanes: usize,
    rows: usize,
    first_slot: usize,
    season: &Season,
    state: &mut [f64],
    out: &mut [f64],
) {
    let width = season.profile.width();
    let chunks = state.as_chunks_mut::<LANE_CHUNK>().0.chunks_exact_mut(season.chunk_slots());
    for (chunk, state) in chunks.enumerate() {
        let (header, rest) = state.split_at_mut(HEADER_SLOTS);
        let (fallback, profiles) = rest.split_at_mut(2 * season.fallback_bars);
        for row in 0..rows {
            let at = row * lanes + chunk * LANE_CHUNK;
            // One zero, whatever its sign was in the source.
            let x = f64x8::from_slice(simd, &activity[at..at + LANE_CHUNK]) + f64x8::splat(simd, 0.0);
            let mut values = [f64::NAN; LANE_CHUNK];
            // A slot that this bar completes had to fall back for this bar still.
            let ready = header[0];
            if season.slots > 0 {
                let slot = (first_slot + row) % season.slots * width;
                let profile = &mut profiles[slot..slot + width];
                step_profile(simd, season, profile, x, &mut header[0], &mut values);
            }
            let lanes = fallback.as_flattened_mut();
            step_fallback(season, lanes, &ready, &mut header[1], &x.to_array(), &mut values);
            out[at..at + LANE_CHUNK].copy_from_slice(&values);
        }
    }
}

/// The values of a season slot where it has enough observations; then this bar is one of them.
#[inline(always)]
fn step_profile<S: Simd>(
    simd: S,
    season: &Season,
    profile: &mut [Slot],
    x: f64x8<S>,
    ready: &mut Slot,
    values: &mut Slot,
) {
    let (zero, one) = (f64x8::splat(simd, 0.0), f64x8::splat(simd, 1.0));
    let (count, memory) = profile.split_first_mut().expect("a profile counts its observations");
    let (seen, least) = (f64x8::load_array_ref(simd, count), season.min_observations as f64);
    let present = x.simd_eq(x);
    let known = (present & seen.simd_ge(f64x8::splat(simd, least))).to_bitmask();
    match season.profile {
        Profile::Median { observations } => {
            let (ring, sorted) = memory.split_at_mut(observations);
            for lane in (0..LANE_CHUNK).filter(|lane| known >> lane & 1 != 0) {
                values[lane] = middle(observations.min(count[lane] as usize), |index| sorted[index][lane]);
            }
            let oldest = exchange(simd, ring, present, seen, x);
            replace_lanes(simd, sorted, present, seen, oldest, x);
        }
        Profile::Ewma { eta } => {
            let mean = f64x8::load_array_ref(simd, &memory[0]);
            for lane in (0..LANE_CHUNK).filter(|lane| known >> lane & 1 != 0) {
                values[lane] = memory[0][lane];
            }
            let moved = mean + f64x8::splat(simd, eta) * (x - mean);
            let moved = seen.simd_eq(zero).select(x, moved);
            present.select(moved, mean).store_array(&mut memory[0]);
        }
    }
    let seen = seen + present.select(one, zero);
    seen.store_array(count);
    let completed = present & seen.simd_eq(f64x8::splat(simd, least));
    (f64x8::load_array_ref(simd, ready) + completed.select(one, zero)).store_array(ready);
}

/// Puts each present lane's value in the place of its oldest one in the ring; returns that, infinite where the lane's
/// ring was not full. Lanes with as many observations share a place: as a rule that is one place for all.
#[inline(always)]
fn exchange<S: Simd>(
    simd: S,
    ring: &mut [Slot],
    present: mask64x8<S>,
    seen: f64x8<S>,
    x: f64x8<S>,
) -> f64x8<S> {
    let counts = seen.to_array();
    let mut oldest = f64x8::splat(simd, f64::INFINITY);
    let mut open = present.to_bitmask();
    while open != 0 {
        let bars = counts[open.trailing_zeros() as usize];
        let same = present & seen.simd_eq(f64x8::splat(simd, bars));
        // Fewer bars than 32 bits count; their division is the cheaper one.
        let place = &mut ring[(bars as u32 % ring.len() as u32) as usize];
        let before = f64x8::load_array_ref(simd, place);
        same.select(x, before).store_array(place);
        oldest = same.select(before, oldest);
        open &= !same.to_bitmask();
    }
    let is_full = seen.simd_ge(f64x8::splat(simd, ring.len() as f64));
    is_full.select(oldest, f64x8::splat(simd, f64::INFINITY))
}

/// Takes a value out of each present lane's ascending window and puts another in, in one pass and without a branch:
/// what is kept moves down by one from where the value left, and the new one goes between its neighbours. Places behind
/// a lane's observations are infinite.
#[inline(always)]
fn replace_lanes<S: Simd>(
    simd: S,
    sorted: &mut [Slot],
    present: mask64x8<S>,
    seen: f64x8<S>,
    leaving: f64x8<S>,
    entering: f64x8<S>,
) {
    let none = f64x8::splat(simd, f64::INFINITY);
    let mut below = f64x8::splat(simd, f64::NEG_INFINITY);
    let mut here = none;
    for index in 0..=sorted.len() {
        let next = match sorted.get(index) {
            Some(slot) => {
                let there = seen.simd_gt(f64x8::splat(simd, index as f64));
                there.select(f64x8::load_array_ref(simd, slot), none)
            }
            None => none,
        };
        if let Some(place) = index.checked_sub(1) {
            let kept = here.simd_lt(leaving).select(here, next);
            let new = entering.simd_lt(kept).select(entering, kept);
            let new = new.simd_lt(below).select(below, new);
            present.select(new, here).store_array(&mut sorted[place]);
            below = kept;
        }
        here = next;
    }
}

/// The fallback for lanes that have no value yet; then this bar is part of it. It is kept up only as long as some slot
/// of the lane may still need it: observations never become fewer. `fallback` is contiguous per lane, ring then sorted.
fn step_fallback(
    season: &Season,
    fallback: &mut [f64],
    ready: &Slot,
    seen: &mut Slot,
    x: &Slot,
    values: &mut Slot,
) {
    let (window, all_ready) = (season.fallback_bars, season.slots as f64);
    if season.slots > 0 && ready.iter().all(|&ready| ready == all_ready) {
        return;
    }
    for (lane, memory) in fallback.chunks_exact_mut(2 * window).enumerate() {
        if x[lane].is_nan() || (season.slots > 0 && ready[lane] == all_ready) {
            continue;
        }
        let bars = seen[lane] as usize;
        let (ring, sorted) = memory.split_at_mut(window);
        if values[lane].is_nan() && bars >= season.fallback_min_bars {
            values[lane] = middle(bars.min(window), |index| sorted[index]);
        }
        let oldest = &mut ring[bars % window];
        if bars < window {
            insert(sorted, bars, x[lane]);
        } else {
            replace(sorted, *oldest, x[lane]);
        }
        *oldest = x[lane];
        seen[lane] += 1.0;
    }
}

/// Median of `n` ascending values.
#[inline(always)]
fn middle(n: usize, ascending: impl Fn(usize) -> f64) -> f64 {
    let low = ascending((n - 1) / 2);
    low + (ascending(n / 2) - low) * 0.5
}

/// State of [`activity_ratio`].
pub fn activity_ratio_state_len(lanes: usize, n: usize) -> usize {
    assert!(n > 0, "a window is at least one bar");
    lanes * (1 + 2 * n)
}

/// Share of the usual activity that took place.
///
/// Formula: sum of the activity of the last `n` present bars over the sum of their baselines; 0 where that sum is 0.
/// Shape: `[row][lane]` in and out. Units: none. Warm-up: first value at index `n-1`, once each bar of the window has a
/// baseline. NaN: missing bar, which is one without activity; a bar without baseline is not missing, but no window
/// that holds it has a value. Source: relative volume (RVOL), volume over what is usual at this time. Time: `n` additions per bar and lane; for `n = 1` a division.
///
/// ```
/// use barloom_kernels::liquidity::{activity_ratio, activity_ratio_state_len};
/// let volume: Vec<f64> = [10.0, 20.0, 30.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; activity_ratio_state_len(8, 2)], vec![0.0; volume.len()]);
/// activity_ratio(&volume, &[100.0; 24], 8, 2, &mut state, &mut out);
/// assert!(out[0].is_nan());
/// assert_eq!(out[16], 0.25);
/// ```
pub fn activity_ratio(
    activity: &[f64],
    baseline: &[f64],
    lanes: usize,
    n: usize,
    state: &mut [f64],
    out: &mut [f64],
) {
    let rows = check_panels([activity, baseline], lanes, &[&mut *out]);
    let len = activity_ratio_state_len(lanes, n);
    assert_eq!(state.len(), len, "state is as long as activity_ratio_state_len");
    if n == 1 {
        return at_level!(_ => shares(activity, baseline, out));
    }
    // Per lane: present bars, then activity and baseline of the last n, one after the other.
    for (lane, state) in state.chunks_exact_mut(1 + 2 * n).enumerate() {
        let (seen, ring) = state.split_first_mut().expect("a count and a ring");
        for at in (0..rows).map(|row| row * lanes + lane) {
            out[at] = f64::NAN;
            if activity[at].is_nan() {
                continue;
            }
            let bars = *seen as usize;
            let newest = 2 * (bars % n);
            (ring[newest], ring[newest + 1]) = (activity[at], baseline[at]);
            *seen += 1.0;
            if bars + 1 >= n {
                // Oldest first, so that the sums are those of the window wherever it begins in the ring.
                let (newer, older) = ring.split_at(newest + 2);
                let (mut sum, mut usual) = (0.0, 0.0);
                for pair in older.chunks_exact(2).chain(newer.chunks_exact(2)) {
                    sum += pair[0];
                    usual += pair[1];
                }
                out[at] = share(sum, usual);
            }
        }
    }
}

#[inline(always)]
fn shares(activity: &[f64], baseline: &[f64], out: &mut [f64]) {
    for ((out, &x), &usual) in out.iter_mut().zip(activity).zip(baseline) {
        *out = share(x, usual);
    }
}

#[inline(always)]
fn share(x: f64, usual: f64) -> f64 {
    if usual == 0.0 && !x.is_nan() { 0.0 } else { x / usual }
}

/// Where one regime ends and the next begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegimeBounds {
    /// Ratio under which a bar is [`VACUUM`].
    pub vacuum_below: f64,
    /// Ratio under which a bar is [`THIN`], not below the other.
    pub thin_below: f64,
    /// Factor on a bound that must be reached to rise above it again, at least 1; 1: none.
    pub hysteresis: f64,
    /// Code of a present bar without ratio.
    pub without_baseline: f64,
}

/// State of [`regimes`].
pub fn regimes_state_len(lanes: usize) -> usize {
    lanes
}

/// Regime of each bar as a code: 0 vacuum, 1 thin, 2 normal.
///
/// Formula: [`VACUUM`] below one bound, [`THIN`] below the other, else [`NORMAL`]; [`VACUUM`] also where the ratio is 0
/// (nothing trades, or nothing is expected to) and at missing bars. A ratio rises above a bound it was below only at
/// `hysteresis` times the bound; the bar before is the last one with a ratio. Shape: `[row][lane]` in and out. Units:
/// code. Warm-up: `without_baseline` while there is no ratio. NaN: of the activity, a missing bar; the output has none.
/// Source: relative volume (RVOL), volume over what is usual at this time.
///
/// ```
/// use barloom_kernels::liquidity::{RegimeBounds, THIN, regimes, regimes_state_len};
/// let bounds = RegimeBounds { vacuum_below: 0.25, thin_below: 0.6, hysteresis: 1.0, without_baseline: THIN };
/// let ratio = [f64::NAN, 0.7, 0.5, 0.1, 0.6, 0.25, f64::NAN, 0.0];
/// let activity = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, f64::NAN, 0.0];
/// let (mut state, mut out) = (vec![0.0; regimes_state_len(8)], vec![0.0; 8]);
/// regimes(&activity, &ratio, 8, &bounds, &mut state, &mut out);
/// assert_eq!(out, [1.0, 2.0, 1.0, 0.0, 2.0, 1.0, 0.0, 0.0]);
/// ```
pub fn regimes(
    activity: &[f64],
    ratio: &[f64],
    lanes: usize,
    bounds: &RegimeBounds,
    state: &mut [f64],
    out: &mut [f64],
) {
    check_panels([activity, ratio], lanes, &[&mut *out]);
    assert_eq!(state.len(), regimes_state_len(lanes), "state is as long as regimes_state_len");
    assert!(bounds.vacuum_below <= bounds.thin_below && bounds.hysteresis >= 1.0, "bounds in order");
    at_level!(_ => regime_rows(activity, ratio, lanes, bounds, state, out));
}

/// A line of selects, so that the compiler takes several lanes at once.
#[inline(always)]
fn regime_rows(
    activity: &[f64],
    ratio: &[f64],
    lanes: usize,
    bounds: &RegimeBounds,
    state: &mut [f64],
    out: &mut [f64],
) {
    let RegimeBounds { vacuum_below, thin_below, hysteresis, without_baseline } = *bounds;
    let (leave_vacuum, leave_thin) = (vacuum_below * hysteresis, thin_below * hysteresis);
    let rows = activity.chunks_exact(lanes).zip(ratio.chunks_exact(lanes)).zip(out.chunks_exact_mut(lanes));
    for ((activity, ratio), out) in rows {
        for (((out, held), &x), &ratio) in out.iter_mut().zip(state.iter_mut()).zip(activity).zip(ratio) {
            // One more than the code before, 0 when there was none.
            let before = *held;
            let vacuum_below = if before == VACUUM + 1.0 { leave_vacuum } else { vacuum_below };
            let was_below_normal = (before == VACUUM + 1.0) | (before == THIN + 1.0);
            let thin_below = if was_below_normal { leave_thin } else { thin_below };
            let code = if ratio < thin_below { THIN } else { NORMAL };
            let code = if (ratio < vacuum_below) | (ratio == 0.0) { VACUUM } else { code };
            let (missing, unknown) = (x.is_nan(), ratio.is_nan());
            *held = if missing | unknown { before } else { code + 1.0 };
            let code = if unknown { without_baseline } else { code };
            *out = if missing { VACUUM } else { code };
        }
    }
}
