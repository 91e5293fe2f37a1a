//! From the volumes of some rows to their ratios and regimes: the kernels in order, a few rows at a time, everything
//! in one arena of state. It is stepped by [`super::LiquidityRegimes`] and as an indicator of the rules.

use barloom_kernels::liquidity::{
    Profile, RegimeBounds, Season, activity_ratio, activity_ratio_state_len, regimes, regimes_state_len,
    seasonal_baseline, seasonal_baseline_state_len,
};

use super::{activity, code_number};
use crate::config::plan::{ActivityProfile, RegimePlan, Seasonality};

const DAY_MS: i64 = 86_400_000;
/// Rows whose activity and baselines are kept at a time: they stay in a core's first cache.
const SCRATCH_ROWS: usize = 8;

/// What the data says itself, `[row][lane]`, `NaN` where it says nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) regime: Option<&'a [f64]>,
    pub(crate) baseline_volume: Option<&'a [f64]>,
}

/// Columns `[row][lane]` of the rows to compute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) volume: &'a [f64],
    pub(crate) quote_volume: Option<&'a [f64]>,
    pub(crate) given: Given<'a>,
}

/// A plan for bars of a length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    season: Season,
    smooth_bars: usize,
    bounds: RegimeBounds,
    step_ms: i64,
}

impl Stream {
    pub(crate) fn new(plan: &RegimePlan, step_ms: i64) -> Self {
        let bars = |ms: i64| usize::try_from(ms / step_ms).map_or(1, |bars| bars.max(1));
        let (day, week) = (bars(DAY_MS), bars(7 * DAY_MS));
        let fallback_min = if plan.fallback_min_bars == 0 { week } else { plan.fallback_min_bars as usize };
        Self {
            season: Season {
                slots: match plan.seasonality {
                    Seasonality::TimeOfWeek => week,
                    Seasonality::TimeOfDay => day,
                    Seasonality::None => 0,
                },
                profile: match plan.profile {
                    ActivityProfile::Median { observations } => {
                        Profile::Median { observations: observations as usize }
                    }
                    ActivityProfile::Ewma { eta } => Profile::Ewma { eta },
                },
                min_observations: plan.min_obs as usize,
                fallback_bars: week,
                fallback_min_bars: fallback_min.min(week),
            },
            smooth_bars: plan.smooth_bars as usize,
            bounds: RegimeBounds {
                vacuum_below: plan.vacuum_below,
                thin_below: plan.thin_below,
                hysteresis: plan.hysteresis,
                without_baseline: code_number(plan.without_baseline),
            },
            step_ms,
        }
    }

    /// Code of a bar without baseline.
    pub(crate) fn without_baseline(&self) -> f64 {
        self.bounds.without_baseline
    }

    /// Parts of the state: units, baselines, ratios, regimes, scratch.
    fn parts(&self, lanes: usize) -> [usize; 5] {
        [
            activity::state_len(lanes),
            seasonal_baseline_state_len(lanes, &self.season),
            activity_ratio_state_len(lanes, self.smooth_bars),
            regimes_state_len(lanes),
            3 * SCRATCH_ROWS * lanes,
        ]
    }

    pub(crate) fn state_len(&self, lanes: usize) -> usize {
        self.parts(lanes).iter().sum()
    }

    /// Computes ratio and regime of the rows that follow those of the last call; zeroed state is the start.
    ///
    /// Ratios are `NaN` without baseline and at missing bars. Regimes are codes, VACUUM at missing bars.
    pub(crate) fn step(
        &self,
        inputs: &Inputs<'_>,
        open_ms: i64,
        lanes: usize,
        state: &mut [f64],
        ratio: &mut [f64],
        regime: &mut [f64],
    ) {
        let [units, seasons, ratios, held, scratch] = split(state, self.parts(lanes));
        let block = SCRATCH_ROWS * lanes;
        let [activity, given, baseline] = split(scratch, [block; 3]);
        let first_bar = open_ms.div_euclid(self.step_ms);
        let cells = inputs.volume.len();
        for from in (0..cells).step_by(block) {
            let span = from..(from + block).min(cells);
            let [activity, given, baseline] =
                [&mut *activity, &mut *given, &mut *baseline].map(|panel| &mut panel[..span.len()]);
            for at in (0..span.len()).step_by(lanes) {
                let row = from + at..from + at + lanes;
                activity::measure(
                    &inputs.volume[row.clone()],
                    inputs.quote_volume.map(|column| &column[row.clone()]),
                    inputs.given.baseline_volume.map(|column| &column[row.clone()]),
                    units,
                    &mut activity[at..at + lanes],
                    &mut given[at..at + lanes],
                );
            }
            let bar = first_bar + (from / lanes) as i64;
            let slot = bar.rem_euclid(self.season.slots.max(1) as i64) as usize;
            seasonal_baseline(activity, lanes, slot, &self.season, seasons, baseline);
            prefer(Some(given), baseline);
            let ratio = &mut ratio[span.clone()];
            activity_ratio(activity, baseline, lanes, self.smooth_bars, ratios, ratio);
            let regime = &mut regime[span.clone()];
            regimes(activity, ratio, lanes, &self.bounds, held, regime);
            prefer(inputs.given.regime.map(|column| &column[span]), regime);
        }
    }
}

/// Puts what is given in the place of what was computed.
fn prefer(given: Option<&[f64]>, computed: &mut [f64]) {
    for (computed, &given) in computed.iter_mut().zip(given.into_iter().flatten()) {
        *computed = if given.is_nan() { *computed } else { given };
    }
}

fn split<const N: usize>(mut state: &mut [f64], lens: [usize; N]) -> [&mut [f64]; N] {
    lens.map(|len| {
        let (part, rest) = std::mem::take(&mut state).split_at_mut(len);
        state = rest;
        part
    })
}
