//! Seasons, ratios and regimes against their naive twins, lane by lane: with holes, the slots of a lane's present bars
//! are not those of the lane beside it.

mod common;

use barloom_kernels::liquidity::{
    Profile, RegimeBounds, Season, activity_ratio, activity_ratio_state_len, regimes, regimes_state_len,
    seasonal_baseline, seasonal_baseline_state_len,
};
use common::{Input, Market, Random, Style, naive};
use proptest::prelude::*;

/// The three streams over a market's volume, cut at random rows.
struct Streams {
    baseline: Vec<f64>,
    ratio: Vec<f64>,
    regime: Vec<f64>,
}

impl Streams {
    fn run(activity: &[f64], lanes: usize, first: usize, setup: &Setup, cuts: &[usize]) -> Self {
        let rows = activity.len() / lanes;
        let mut states = [
            seasonal_baseline_state_len(lanes, &setup.season),
            activity_ratio_state_len(lanes, setup.smooth_bars),
            regimes_state_len(lanes),
        ]
        .map(|len| vec![0.0; len]);
        let [baseline, ratio, regime] = core::array::from_fn(|_| vec![123.0; activity.len()]);
        let mut all = Self { baseline, ratio, regime };
        let mut start = 0;
        for &end in cuts.iter().chain([&rows]) {
            let span = start * lanes..end * lanes;
            let x = &activity[span.clone()];
            let [s0, s1, s2] = &mut states;
            let baseline = &mut all.baseline[span.clone()];
            seasonal_baseline(x, lanes, first + start, &setup.season, s0, baseline);
            let ratio = &mut all.ratio[span.clone()];
            activity_ratio(x, baseline, lanes, setup.smooth_bars, s1, ratio);
            regimes(x, ratio, lanes, &setup.bounds, s2, &mut all.regime[span]);
            start = end;
        }
        all
    }

    fn bits(&self) -> [Vec<u64>; 3] {
        [&self.baseline, &self.ratio, &self.regime].map(|x| x.iter().map(|x| x.to_bits()).collect())
    }
}

#[derive(Debug, Clone, Copy)]
struct Setup {
    season: Season,
    smooth_bars: usize,
    bounds: RegimeBounds,
}

fn setup() -> impl Strategy<Value = Setup> {
    let profile = prop_oneof![
        (1_usize..9).prop_map(|observations| Profile::Median { observations }),
        (0.01..=1.0_f64).prop_map(|eta| Profile::Ewma { eta }),
    ];
    let bounds = (0.0..1.0_f64, 0.0..1.0_f64, 1.0..1.5_f64, 0_u8..3);
    (profile, 0_usize..7, 1_usize..5, 1_usize..12, 1_usize..12, 1_usize..4, bounds).prop_map(
        |(profile, slots, least, fallback, fallback_min, smooth_bars, (a, b, hysteresis, code))| {
            let most = if let Profile::Median { observations } = profile { observations } else { least };
            Setup {
                season: Season {
                    slots,
                    profile,
                    min_observations: least.min(most),
                    fallback_bars: fallback,
                    fallback_min_bars: fallback_min.min(fallback),
                },
                smooth_bars,
                bounds: RegimeBounds {
                    vacuum_below: a.min(b),
                    thin_below: a.max(b),
                    hysteresis,
                    without_baseline: f64::from(code),
                },
            }
        },
    )
}

fn same(got: f64, want: f64) -> bool {
    (got.is_nan() && want.is_nan()) || (got - want).abs() <= 1e-9 * want.abs().max(1.0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streams_agree_with_their_naive_twins(setup in setup(), seed: u64, first in 0_usize..1000, gaps: bool) {
        let style = [Style::Plain, Style::Sticky, Style::Flat][seed as usize % 3];
        let market = Market::new(seed, 16, 60, style, gaps);
        let x = market.panel(Input::Volume);
        let fast = Streams::run(x, 16, first, &setup, &[]);
        for lane in 0..16 {
            let present: Vec<usize> = (0..60).filter(|row| !x[row * 16 + lane].is_nan()).collect();
            let of = |panel: &[f64]| -> Vec<f64> { present.iter().map(|row| panel[row * 16 + lane]).collect() };
            let volumes = of(x);
            let slot = |row: &usize| (first + row).checked_rem(setup.season.slots).unwrap_or(0);
            let bars: Vec<_> = present.iter().map(slot).zip(volumes.iter().copied()).collect();
            let baseline = naive::seasonal_baseline(&bars, &setup.season);
            // Each twin reads what the stream before gave, so that a rounding does not turn into another regime.
            let ratio = naive::activity_ratio(&volumes, &of(&fast.baseline), setup.smooth_bars);
            let regime = naive::regimes(&of(&fast.ratio), &setup.bounds);
            for (bar, row) in present.iter().enumerate() {
                let at = row * 16 + lane;
                prop_assert!(same(fast.baseline[at], baseline[bar]), "baseline {} {}", fast.baseline[at], baseline[bar]);
                prop_assert!(same(fast.ratio[at], ratio[bar]), "ratio {} {}", fast.ratio[at], ratio[bar]);
                prop_assert_eq!(fast.regime[at], regime[bar]);
            }
            for row in (0..60).filter(|row| !present.contains(row)) {
                let at = row * 16 + lane;
                prop_assert!(fast.baseline[at].is_nan() && fast.ratio[at].is_nan());
                prop_assert_eq!(fast.regime[at], 0.0, "a missing bar is a vacuum");
            }
        }
    }

    #[test]
    fn cuts_change_no_bit_and_nothing_sees_later_rows(setup in setup(), seed: u64, gaps: bool) {
        let market = Market::new(seed, 8, 80, Style::Plain, gaps);
        let x = market.panel(Input::Volume);
        let mut random = Random(seed);
        let mut cuts: Vec<usize> = (0..random.below(6)).map(|_| random.below(81)).collect();
        cuts.sort_unstable();
        let whole = Streams::run(x, 8, 5, &setup, &[]);
        prop_assert_eq!(whole.bits(), Streams::run(x, 8, 5, &setup, &cuts).bits(), "cut at {:?}", cuts);
        let seen = random.below(81) * 8;
        let mut other = x.to_vec();
        for x in &mut other[seen..] {
            *x = if random.below(4) == 0 { f64::NAN } else { random.below(900) as f64 };
        }
        let other = Streams::run(&other, 8, 5, &setup, &[]);
        for (whole, other) in whole.bits().iter().zip(other.bits()) {
            prop_assert_eq!(&whole[..seen], &other[..seen]);
        }
    }
}

#[test]
fn the_sign_of_a_zero_does_not_show() {
    let season = Season {
        slots: 1,
        profile: Profile::Median { observations: 3 },
        min_observations: 1,
        fallback_bars: 1,
        fallback_min_bars: 1,
    };
    let x: Vec<f64> = [-0.0, 0.0, -0.0, -0.0].iter().flat_map(|&x| [x; 8]).collect();
    let mut state = vec![0.0; seasonal_baseline_state_len(8, &season)];
    let mut out = vec![0.0; x.len()];
    seasonal_baseline(&x, 8, 0, &season, &mut state, &mut out);
    assert!(out[8..].iter().all(|x| x.to_bits() == 0));
}
