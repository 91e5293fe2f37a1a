//! The indicators as the graph calls them. Adding one is a line here and its line in [`super::functions`].
//!
//! Their formulas, warm-up and treatment of missing bars are the kernels' and stand in their documentation.

use barloom_kernels::rolling::{PercentileKind, ReturnMean, Ties};
use barloom_kernels::vwap::Swing;
use barloom_kernels::{
    bands, cross_section, macd, momentum, moving, rolling, trend, volatility, volume, vwap,
};
use chrono::{DateTime, Datelike};

/// Most inputs an indicator has.
pub(super) const MAX_INPUTS: usize = 4;

const DAY_MS: i64 = 86_400_000;

/// An indicator that runs over rows with its state kept by the caller; zeroed state is the start of the series.
pub(super) struct Indicator {
    /// Unique name.
    pub(super) name: &'static str,
    /// Panels it gives.
    pub(super) outputs: usize,
    /// `f64` of state for a number of lanes and the parameters.
    pub(super) state_len: fn(usize, Params<'_>) -> usize,
    /// About what it takes, ns per symbol-bar over all its outputs: the column DRAM of the kernels' table in
    /// docs/performance.md, with windows of 20 bars. An order of magnitude is all that is made of it.
    pub(super) ns: f64,
    /// Runs it over the rows of the call.
    pub(super) step: fn(Call<'_>),
}

/// Parameters of an indicator as bits, in the order of its arguments.
#[derive(Clone, Copy)]
pub(super) struct Params<'a>(pub(super) &'a [u64]);

impl Params<'_> {
    fn number(self, index: usize) -> f64 {
        f64::from_bits(self.0[index])
    }
    /// A window: whole and at least 1, as [`super::bind`] made sure.
    fn n(self, index: usize) -> usize {
        self.number(index) as usize
    }
}

/// One call of an indicator.
pub(super) struct Call<'a> {
    pub(super) inputs: [&'a [f64]; MAX_INPUTS],
    pub(super) lanes: usize,
    pub(super) params: Params<'a>,
    /// Open time of the first row, and the length of a bar.
    pub(super) open_ms: i64,
    pub(super) step_ms: i64,
    pub(super) state: &'a mut [f64],
    /// Its panels, one after another.
    pub(super) out: &'a mut [f64],
}

/// The panels of an output, one by one.
fn panels<const N: usize>(out: &mut [f64]) -> [&mut [f64]; N] {
    let mut parts = out.chunks_exact_mut(out.len() / N);
    std::array::from_fn(|_| parts.next().expect("as many panels as outputs"))
}

/// Indicators of one series and one window.
macro_rules! of_series {
    ($($name:ident = $step:path, $state_len:path, $ns:literal;)*) => {$(
        pub(super) static $name: Indicator = Indicator {
            name: stringify!($name),
            outputs: 1,
            ns: $ns,
            state_len: |lanes, p| $state_len(lanes, p.n(0)),
            step: |c| $step(c.inputs[0], c.lanes, c.params.n(0), c.state, c.out),
        };
    )*};
}

of_series! {
    SMA = moving::sma, moving::sma_state_len, 1.7;
    EMA = moving::ema, moving::ema_state_len, 1.0;
    WMA = moving::wma, moving::wma_state_len, 2.7;
    RMA = moving::rma, moving::rma_state_len, 0.8;
    EWM = moving::ewm, moving::ewm_state_len, 0.7;
    RSI = momentum::rsi, momentum::rsi_state_len, 1.1;
    ROC = momentum::roc, momentum::roc_state_len, 1.4;
    STDDEV = rolling::stddev, rolling::var_state_len, 3.4;
    VAR = rolling::var, rolling::var_state_len, 3.3;
    ZSCORE = rolling::zscore, rolling::var_state_len, 4.0;
    MEDIAN = rolling::median, rolling::percentile_state_len, 38.3;
    ROLLING_MIN = rolling::min, rolling::min_state_len, 2.5;
    ROLLING_MAX = rolling::max, rolling::max_state_len, 2.5;
    ROLLING_SUM = rolling::sum, rolling::sum_state_len, 2.0;
}

/// Indicators of high, low and close and one window.
macro_rules! of_bars {
    ($($name:ident = $step:path, $state_len:path, $ns:literal;)*) => {$(
        pub(super) static $name: Indicator = Indicator {
            name: stringify!($name),
            outputs: 1,
            ns: $ns,
            state_len: |lanes, p| $state_len(lanes, p.n(0)),
            step: |c| {
                let [high, low, close, _] = c.inputs;
                $step(high, low, close, c.lanes, c.params.n(0), c.state, c.out);
            },
        };
    )*};
}

of_bars! {
    ATR = volatility::atr, volatility::atr_state_len, 2.8;
    NATR = volatility::natr, volatility::atr_state_len, 2.8;
    CCI = momentum::cci, momentum::cci_state_len, 8.0;
}

/// Everything else: outputs, state and call as written.
macro_rules! indicators {
    ($($name:ident: $outputs:literal, $ns:literal = |$lanes:ident, $p:ident| $state_len:expr, |$c:ident| $step:expr;)*) => {$(
        pub(super) static $name: Indicator = Indicator {
            name: stringify!($name),
            outputs: $outputs,
            ns: $ns,
            state_len: |$lanes, $p| $state_len,
            step: |$c| $step,
        };
    )*};
}

indicators! {
    TRANGE: 1, 2.9 = |lanes, _p| volatility::trange_state_len(lanes), |c| {
        volatility::trange(c.inputs[0], c.inputs[1], c.inputs[2], c.lanes, c.state, c.out)
    };
    PERCENTRANK: 1, 4.3 = |lanes, p| rolling::percentrank_state_len(lanes, p.n(0)), |c| {
        rolling::percentrank(c.inputs[0], c.lanes, c.params.n(0), Ties::Below, c.state, c.out)
    };
    PERCENTILE: 1, 37.8 = |lanes, p| rolling::percentile_state_len(lanes, p.n(0)), |c| {
        let (n, percent) = (c.params.n(0), c.params.number(1));
        rolling::percentile(c.inputs[0], c.lanes, n, percent, PercentileKind::NearestRank, c.state, c.out)
    };
    REALIZED_VOL: 1, 12.5 = |lanes, p| rolling::realized_vol_state_len(lanes, p.n(0)), |c| {
        let per_year = (365 * DAY_MS) as f64 / c.step_ms as f64;
        rolling::realized_vol(c.inputs[0], c.lanes, c.params.n(0), per_year, ReturnMean::Zero, c.state, c.out)
    };
    CORREL: 1, 5.8 = |lanes, p| rolling::correl_state_len(lanes, p.n(0)), |c| {
        rolling::correl(c.inputs[0], c.inputs[1], c.lanes, c.params.n(0), c.state, c.out)
    };
    BETA: 1, 5.3 = |lanes, p| rolling::beta_state_len(lanes, p.n(0)), |c| {
        rolling::beta(c.inputs[0], c.inputs[1], c.lanes, c.params.n(0), c.state, c.out)
    };
    MFI: 1, 5.1 = |lanes, p| momentum::mfi_state_len(lanes, p.n(0)), |c| {
        let [high, low, close, volume] = c.inputs;
        momentum::mfi(high, low, close, volume, c.lanes, c.params.n(0), c.state, c.out)
    };
    OBV: 1, 2.4 = |lanes, _p| volume::obv_state_len(lanes), |c| {
        volume::obv(c.inputs[0], c.inputs[1], c.lanes, c.state, c.out)
    };
    VWAP: 1, 3.5 = |lanes, p| vwap::vwap_state_len(lanes, p.n(0)), |c| {
        vwap::vwap(c.inputs[0], c.inputs[1], c.lanes, c.params.n(0), c.state, c.out)
    };
    RANK_XS: 1, 19.4 = |_lanes, _p| 0, |c| cross_section::rank_xs(c.inputs[0], c.lanes, c.out);
    ZSCORE_XS: 1, 2.5 = |_lanes, _p| 0, |c| cross_section::zscore_xs(c.inputs[0], c.lanes, c.out);
    MEAN_XS: 1, 2.4 = |_lanes, _p| 0, |c| cross_section::mean_xs(c.inputs[0], c.lanes, c.out);
    MACD: 3, 2.9 = |lanes, p| macd::macd_state_len(lanes, p.n(0), p.n(1), p.n(2)), |c| {
        let ([line, signal, histogram], p) = (panels(c.out), c.params);
        macd::macd(c.inputs[0], c.lanes, p.n(0), p.n(1), p.n(2), c.state, line, signal, histogram)
    };
    BBANDS: 3, 3.2 = |lanes, p| bands::bbands_state_len(lanes, p.n(0)), |c| {
        let ([upper, mid, lower], p) = (panels(c.out), c.params);
        bands::bbands(c.inputs[0], c.lanes, p.n(0), p.number(1), c.state, upper, mid, lower)
    };
    DONCHIAN: 3, 5.5 = |lanes, p| bands::donchian_state_len(lanes, p.n(0)), |c| {
        let ([upper, mid, lower], p) = (panels(c.out), c.params);
        bands::donchian(c.inputs[0], c.inputs[1], c.lanes, p.n(0), c.state, upper, mid, lower)
    };
    KELTNER: 3, 4.4 = |lanes, p| bands::keltner_state_len(lanes, p.n(0), p.n(1)), |c| {
        let ([upper, mid, lower], p) = (panels(c.out), c.params);
        let [high, low, close, source] = c.inputs;
        let k = p.number(2);
        bands::keltner(high, low, close, source, c.lanes, p.n(0), p.n(1), k, c.state, upper, mid, lower)
    };
    STOCH: 2, 6.8 = |lanes, p| momentum::stoch_state_len(lanes, p.n(0), p.n(1), p.n(2)), |c| {
        let ([k, d], p) = (panels(c.out), c.params);
        let [high, low, close, _] = c.inputs;
        momentum::stoch(high, low, close, c.lanes, p.n(0), p.n(1), p.n(2), c.state, k, d)
    };
    DIRECTIONAL: 4, 5.9 = |lanes, p| trend::directional_state_len(lanes, p.n(0)), |c| {
        let [plus_di, minus_di, dx, adx] = panels(c.out);
        let [high, low, close, _] = c.inputs;
        trend::directional(high, low, close, c.lanes, c.params.n(0), c.state, plus_di, minus_di, dx, adx)
    };
    SUPERTREND: 2, 3.8 = |lanes, p| trend::supertrend_state_len(lanes, p.n(0)), |c| {
        let ([line, direction], p) = (panels(c.out), c.params);
        let [high, low, close, _] = c.inputs;
        trend::supertrend(high, low, close, c.lanes, p.n(0), p.number(1), c.state, line, direction)
    };
    AVWAP_DAY: 2, 6.6 = |lanes, _p| vwap::avwap_state_len(lanes), |c| anchored(c, |ms| ms.div_euclid(DAY_MS));
    // The epoch began on a Thursday, three days after a Monday.
    AVWAP_WEEK: 2, 6.6 = |lanes, _p| vwap::avwap_state_len(lanes), |c| {
        anchored(c, |ms| (ms + 3 * DAY_MS).div_euclid(7 * DAY_MS))
    };
    AVWAP_MONTH: 2, 6.6 = |lanes, _p| vwap::avwap_state_len(lanes), |c| anchored(c, month);
    AVWAP_SWING_LOW: 2, 5.4 = |lanes, p| vwap::avwap_swing_state_len(lanes, p.n(0), p.n(1)), |c| swing(c, Swing::Low);
    AVWAP_SWING_HIGH: 2, 5.4 = |lanes, p| vwap::avwap_swing_state_len(lanes, p.n(0), p.n(1)), |c| swing(c, Swing::High);
}

/// Months since year 0.
fn month(ms: i64) -> i64 {
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    i64::from(time.year()) * 12 + i64::from(time.month0())
}

/// VWAP anchored to the bars that open a new period; what was before the first such bar has no value.
fn anchored(call: Call<'_>, period: fn(i64) -> i64) {
    const ROWS: usize = 64;
    let Call { inputs: [price, volume, ..], lanes, mut open_ms, step_ms, state, out, .. } = call;
    let [line, stddev] = panels(out);
    let chunk = ROWS * lanes;
    let outputs = line.chunks_mut(chunk).zip(stddev.chunks_mut(chunk));
    for ((price, volume), (line, stddev)) in price.chunks(chunk).zip(volume.chunks(chunk)).zip(outputs) {
        let mut anchors = [false; ROWS];
        let anchors = &mut anchors[..price.len() / lanes];
        for anchor in &mut *anchors {
            *anchor = period(open_ms) != period(open_ms - step_ms);
            open_ms += step_ms;
        }
        vwap::avwap(price, volume, anchors, lanes, state, line, stddev);
    }
}

fn swing(c: Call<'_>, swing: Swing) {
    let ([line, stddev], p) = (panels(c.out), c.params);
    let [extreme, price, volume, _] = c.inputs;
    vwap::avwap_swing(extreme, price, volume, c.lanes, p.n(0), p.n(1), swing, c.state, line, stddev);
}
