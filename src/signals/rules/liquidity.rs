//! `liquidity_ratio()` and `liquidity_regime()`: the streams of [`crate::liquidity`] as an indicator, with the settings
//! of a trial as its parameters, so that trials with equal settings share a node.

use super::bind::Binder;
use super::columns::Column;
use super::graph::NodeId;
use super::indicators::{Indicator, Params};
use crate::liquidity::stream::{Given, Inputs, Stream};
use crate::liquidity::{ActivityProfile, Regime, RegimePlan, Seasonality, code_number};
use crate::market::Market;

/// Ratio and regime of volume, quote volume, given regimes and given baselines; `NaN` at missing bars.
static LIQUIDITY: Indicator = Indicator {
    // Seasonal medians; with no seasons several times that.
    ns: 18.0,
    name: "LIQUIDITY",
    outputs: 2,
    state_len: |lanes, params| Call::of(params).stream.state_len(lanes),
    step: |call| {
        let Call { stream, has } = Call::of(call.params);
        let [volume, ..] = call.inputs;
        let optional = |index: usize| has[index - 1].then(|| call.inputs[index]);
        let inputs = Inputs {
            volume,
            quote_volume: optional(1),
            given: Given { regime: optional(2), baseline_volume: optional(3) },
        };
        let (ratio, regime) = call.out.split_at_mut(volume.len());
        stream.step(&inputs, call.open_ms, call.lanes, call.state, ratio, regime);
        for (regime, volume) in regime.iter_mut().zip(volume) {
            *regime = if volume.is_nan() { f64::NAN } else { *regime };
        }
    },
};

/// The optional inputs, in the order of the indicator's after the volume.
const OPTIONAL: [Column; 3] = [Column::QuoteVolume, Column::Regime, Column::BaselineVolume];

impl Binder<'_> {
    /// A panel of the indicator: 0 the ratio, 1 the regime.
    pub(super) fn liquidity(&mut self, output: usize) -> NodeId {
        let has = OPTIONAL.map(|column| self.market.is_some_and(|market| column.is_in(market)));
        let volume = self.graph.column(Column::Volume);
        let mut inputs = [volume; 4];
        for ((input, column), has) in inputs[1..].iter_mut().zip(OPTIONAL).zip(has) {
            // An indicator has all of its inputs; the one that is not there is not read.
            *input = if has { self.graph.column(column) } else { volume };
        }
        let params = params(self.regimes, self.market, has);
        self.graph.indicator(&LIQUIDITY, &inputs, &params, output)
    }
}

/// Settings as numbers; [`Call::of`] is the inverse.
fn params(plan: &RegimePlan, market: Option<&Market>, has: [bool; 3]) -> [f64; 14] {
    let season = match plan.seasonality {
        Seasonality::TimeOfWeek => 0.0,
        Seasonality::TimeOfDay => 1.0,
        Seasonality::None => 2.0,
    };
    // A median has at least one observation, so none of them means a running mean.
    let (observations, eta) = match plan.profile {
        ActivityProfile::Median { observations } => (f64::from(observations), 0.0),
        ActivityProfile::Ewma { eta } => (0.0, eta),
    };
    let [quote_volume, regime, baseline_volume] = has.map(|has| f64::from(u8::from(has)));
    [
        market.map_or(1.0, |market| market.grid.step_ms as f64),
        season,
        observations,
        eta,
        f64::from(plan.min_obs),
        f64::from(plan.fallback_min_bars),
        f64::from(plan.smooth_bars),
        plan.vacuum_below,
        plan.thin_below,
        plan.hysteresis,
        code_number(plan.without_baseline),
        quote_volume,
        regime,
        baseline_volume,
    ]
}

/// What the parameters say.
struct Call {
    stream: Stream,
    /// Which of the optional inputs there are.
    has: [bool; 3],
}

impl Call {
    fn of(params: Params<'_>) -> Self {
        let number = |index: usize| f64::from_bits(params.0[index]);
        let whole = |index: usize| number(index) as u32;
        let plan = RegimePlan {
            seasonality: match whole(1) {
                0 => Seasonality::TimeOfWeek,
                1 => Seasonality::TimeOfDay,
                _ => Seasonality::None,
            },
            profile: match whole(2) {
                0 => ActivityProfile::Ewma { eta: number(3) },
                observations => ActivityProfile::Median { observations },
            },
            min_obs: whole(4),
            fallback_min_bars: whole(5),
            smooth_bars: whole(6),
            vacuum_below: number(7),
            thin_below: number(8),
            hysteresis: number(9),
            without_baseline: Regime::from_code(whole(10) as u8),
        };
        Self { stream: Stream::new(&plan, number(0) as i64), has: [11, 12, 13].map(|at| number(at) > 0.0) }
    }
}
