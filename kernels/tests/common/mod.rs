//! Every streaming kernel as a row of one table: how to run it, its naive twin, what its errors are measured against.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

pub mod naive;

use barloom_kernels::liquidity::{self, Profile, Season};
use barloom_kernels::rolling::{PercentileKind, ReturnMean, Ties};
use barloom_kernels::vwap::Swing;
use barloom_kernels::{bands, macd, momentum, moving, rolling, trend, volatility, volume, vwap};

/// Input panels a kernel may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    High,
    Low,
    Close,
    Volume,
    Benchmark,
}

use Input::{Benchmark, Close, High, Low, Volume};

/// What 1e-9 is relative to, beside the value itself.
#[derive(Debug, Clone, Copy)]
pub enum Scale {
    /// Root mean square of the first input over the window.
    Window(usize),
    /// Its square.
    WindowSquared(usize),
    /// A number.
    Unit(f64),
}

type Run = Box<dyn Fn(&[&[f64]], usize, &mut [f64], &mut [Vec<f64>])>;
type Naive = Box<dyn Fn(&[Vec<f64>]) -> Vec<Vec<f64>>>;

pub struct Case {
    pub name: String,
    pub inputs: Vec<Input>,
    pub outputs: usize,
    pub state_len: Box<dyn Fn(usize) -> usize>,
    pub run: Run,
    pub naive: Naive,
    pub scale: Scale,
    /// Bars a value depends on, when it is a function of its window alone.
    pub window: Option<usize>,
}

/// All streaming kernels with a period of about `n`.
pub fn cases(n: usize) -> Vec<Case> {
    let price = Scale::Window(2 * n + 2);
    let percent = Scale::Unit(100.0);
    let one = Scale::Unit(1.0);
    let mut table: Vec<Case> = Vec::new();

    macro_rules! many {
        ($name:literal, [$($input:ident),+], $outputs:literal, $scale:expr, $window:expr, $len:expr, |$x:ident, $lanes:ident, $state:ident, $out:ident| $run:expr, |$s:ident| $naive:expr) => {
            table.push(Case {
                name: format!("{}({n})", $name),
                inputs: vec![$($input),+],
                outputs: $outputs,
                state_len: Box::new($len),
                run: Box::new(move |$x: &[&[f64]], $lanes: usize, $state: &mut [f64], $out: &mut [Vec<f64>]| $run),
                naive: Box::new(move |$s: &[Vec<f64>]| $naive),
                scale: $scale,
                window: $window,
            });
        };
    }
    macro_rules! single {
        ($name:literal, [$($input:ident),+], $scale:expr, $window:expr, $len:expr, |$x:ident, $lanes:ident, $state:ident, $out:ident| $run:expr, |$s:ident| $naive:expr) => {
            many!($name, [$($input),+], 1, $scale, $window, $len, |$x, $lanes, $state, outs| { let [$out] = outs else { unreachable!() }; $run }, |$s| vec![$naive]);
        };
    }

    single!(
        "sma",
        [Close],
        price,
        Some(n),
        move |l| moving::sma_state_len(l, n),
        |x, l, st, o| moving::sma(x[0], l, n, st, o),
        |s| naive::sma(&s[0], n)
    );
    single!(
        "wma",
        [Close],
        price,
        Some(n),
        move |l| moving::wma_state_len(l, n),
        |x, l, st, o| moving::wma(x[0], l, n, st, o),
        |s| naive::wma(&s[0], n)
    );
    single!(
        "ema",
        [Close],
        price,
        None,
        move |l| moving::ema_state_len(l, n),
        |x, l, st, o| moving::ema(x[0], l, n, st, o),
        |s| naive::ema(&s[0], n)
    );
    single!(
        "rma",
        [Close],
        price,
        None,
        move |l| moving::rma_state_len(l, n),
        |x, l, st, o| moving::rma(x[0], l, n, st, o),
        |s| naive::rma(&s[0], n)
    );
    single!(
        "ewm",
        [Close],
        price,
        None,
        move |l| moving::ewm_state_len(l, n),
        |x, l, st, o| moving::ewm(x[0], l, n, st, o),
        |s| naive::ewm(&s[0], n)
    );
    single!(
        "lag",
        [Close],
        price,
        Some(n + 1),
        move |l| moving::lag_state_len(l, n),
        |x, l, st, o| moving::lag(x[0], l, n, st, o),
        |s| naive::lag(&s[0], n)
    );
    single!(
        "diff",
        [Close],
        price,
        Some(n + 1),
        move |l| moving::lag_state_len(l, n),
        |x, l, st, o| moving::diff(x[0], l, n, st, o),
        |s| naive::diff(&s[0], n)
    );
    single!(
        "rsi",
        [Close],
        percent,
        None,
        move |l| momentum::rsi_state_len(l, n),
        |x, l, st, o| momentum::rsi(x[0], l, n, st, o),
        |s| naive::rsi(&s[0], n)
    );
    single!(
        "roc",
        [Close],
        percent,
        Some(n + 1),
        move |l| momentum::roc_state_len(l, n),
        |x, l, st, o| momentum::roc(x[0], l, n, st, o),
        |s| naive::roc(&s[0], n)
    );
    single!(
        "trange",
        [High, Low, Close],
        price,
        Some(2),
        volatility::trange_state_len,
        |x, l, st, o| volatility::trange(x[0], x[1], x[2], l, st, o),
        |s| naive::trange(&s[0], &s[1], &s[2])
    );
    single!(
        "atr",
        [High, Low, Close],
        price,
        None,
        move |l| volatility::atr_state_len(l, n),
        |x, l, st, o| volatility::atr(x[0], x[1], x[2], l, n, st, o),
        |s| naive::atr(&s[0], &s[1], &s[2], n)
    );
    single!(
        "natr",
        [High, Low, Close],
        percent,
        None,
        move |l| volatility::atr_state_len(l, n),
        |x, l, st, o| volatility::natr(x[0], x[1], x[2], l, n, st, o),
        |s| naive::natr(&s[0], &s[1], &s[2], n)
    );
    single!(
        "cci",
        [High, Low, Close],
        percent,
        Some(n),
        move |l| momentum::cci_state_len(l, n),
        |x, l, st, o| momentum::cci(x[0], x[1], x[2], l, n, st, o),
        |s| naive::cci(&s[0], &s[1], &s[2], n)
    );
    single!(
        "mfi",
        [High, Low, Close, Volume],
        percent,
        Some(n + 1),
        move |l| momentum::mfi_state_len(l, n),
        |x, l, st, o| momentum::mfi(x[0], x[1], x[2], x[3], l, n, st, o),
        |s| naive::mfi(&s[0], &s[1], &s[2], &s[3], n)
    );
    many!(
        "stoch",
        [High, Low, Close],
        2,
        percent,
        Some(n + 3),
        move |l| momentum::stoch_state_len(l, n, 3, 2),
        |x, l, st, o| {
            let [k, d] = o else { unreachable!() };
            momentum::stoch(x[0], x[1], x[2], l, n, 3, 2, st, k, d)
        },
        |s| naive::stoch(&s[0], &s[1], &s[2], n, 3, 2)
    );
    many!(
        "macd",
        [Close],
        3,
        price,
        None,
        move |l| macd::macd_state_len(l, n, 2 * n + 1, 3),
        |x, l, st, o| {
            let [a, b, c] = o else { unreachable!() };
            macd::macd(x[0], l, n, 2 * n + 1, 3, st, a, b, c)
        },
        |s| naive::macd(&s[0], n, 2 * n + 1, 3)
    );
    many!(
        "bbands",
        [Close],
        3,
        price,
        Some(n),
        move |l| bands::bbands_state_len(l, n),
        |x, l, st, o| {
            let [a, b, c] = o else { unreachable!() };
            bands::bbands(x[0], l, n, 2.0, st, a, b, c)
        },
        |s| naive::bbands(&s[0], n, 2.0)
    );
    many!(
        "donchian",
        [High, Low],
        3,
        price,
        Some(n),
        move |l| bands::donchian_state_len(l, n),
        |x, l, st, o| {
            let [a, b, c] = o else { unreachable!() };
            bands::donchian(x[0], x[1], l, n, st, a, b, c)
        },
        |s| naive::donchian(&s[0], &s[1], n)
    );
    many!(
        "keltner",
        [High, Low, Close],
        3,
        price,
        None,
        move |l| bands::keltner_state_len(l, n, 4),
        |x, l, st, o| {
            let [a, b, c] = o else { unreachable!() };
            bands::keltner(x[0], x[1], x[2], x[2], l, n, 4, 1.5, st, a, b, c)
        },
        |s| naive::keltner(&s[0], &s[1], &s[2], &s[2], n, 4, 1.5)
    );
    many!(
        "directional",
        [High, Low, Close],
        4,
        percent,
        None,
        move |l| trend::directional_state_len(l, n),
        |x, l, st, o| {
            let [a, b, c, d] = o else { unreachable!() };
            trend::directional(x[0], x[1], x[2], l, n, st, a, b, c, d)
        },
        |s| naive::directional(&s[0], &s[1], &s[2], n)
    );
    many!(
        "supertrend",
        [High, Low, Close],
        2,
        price,
        None,
        move |l| trend::supertrend_state_len(l, n),
        |x, l, st, o| {
            let [a, b] = o else { unreachable!() };
            trend::supertrend(x[0], x[1], x[2], l, n, 1.5, st, a, b)
        },
        |s| naive::supertrend(&s[0], &s[1], &s[2], n, 1.5)
    );
    single!(
        "obv",
        [Close, Volume],
        Scale::Unit(1e3),
        None,
        volume::obv_state_len,
        |x, l, st, o| volume::obv(x[0], x[1], l, st, o),
        |s| naive::obv(&s[0], &s[1])
    );
    single!(
        "sum",
        [Close],
        price,
        Some(n),
        move |l| rolling::sum_state_len(l, n),
        |x, l, st, o| rolling::sum(x[0], l, n, st, o),
        |s| naive::sum(&s[0], n)
    );
    single!(
        "mean_upto",
        [Volume],
        price,
        Some(n),
        move |l| rolling::mean_upto_state_len(l, n),
        |x, l, st, o| rolling::mean_upto(x[0], l, n, st, o),
        |s| naive::mean_upto(&s[0], n)
    );
    single!(
        "min",
        [Close],
        price,
        Some(n),
        move |l| rolling::min_state_len(l, n),
        |x, l, st, o| rolling::min(x[0], l, n, st, o),
        |s| naive::min(&s[0], n)
    );
    single!(
        "max",
        [Close],
        price,
        Some(n),
        move |l| rolling::max_state_len(l, n),
        |x, l, st, o| rolling::max(x[0], l, n, st, o),
        |s| naive::max(&s[0], n)
    );
    single!(
        "var",
        [Close],
        Scale::WindowSquared(n),
        Some(n),
        move |l| rolling::var_state_len(l, n),
        |x, l, st, o| rolling::var(x[0], l, n, st, o),
        |s| naive::var(&s[0], n)
    );
    single!(
        "stddev",
        [Close],
        price,
        Some(n),
        move |l| rolling::var_state_len(l, n),
        |x, l, st, o| rolling::stddev(x[0], l, n, st, o),
        |s| naive::stddev(&s[0], n)
    );
    single!(
        "zscore",
        [Close],
        one,
        Some(n),
        move |l| rolling::var_state_len(l, n),
        |x, l, st, o| rolling::zscore(x[0], l, n, st, o),
        |s| naive::zscore(&s[0], n)
    );
    single!(
        "correl",
        [Close, Benchmark],
        one,
        Some(n),
        move |l| rolling::correl_state_len(l, n),
        |x, l, st, o| rolling::correl(x[0], x[1], l, n, st, o),
        |s| naive::correl(&s[0], &s[1], n)
    );
    single!(
        "beta",
        [Close, Benchmark],
        one,
        Some(n + 1),
        move |l| rolling::beta_state_len(l, n),
        |x, l, st, o| rolling::beta(x[0], x[1], l, n, st, o),
        |s| naive::beta(&s[0], &s[1], n)
    );
    single!(
        "percentrank",
        [Close],
        percent,
        Some(n + 1),
        move |l| rolling::percentrank_state_len(l, n),
        |x, l, st, o| rolling::percentrank(x[0], l, n, Ties::Mean, st, o),
        |s| naive::percentrank(&s[0], n, Ties::Mean)
    );
    single!(
        "percentile",
        [Close],
        price,
        Some(n),
        move |l| rolling::percentile_state_len(l, n),
        |x, l, st, o| rolling::percentile(x[0], l, n, 25.0, PercentileKind::NearestRank, st, o),
        |s| naive::percentile(&s[0], n, 25.0, PercentileKind::NearestRank)
    );
    single!(
        "median",
        [Close],
        price,
        Some(n),
        move |l| rolling::percentile_state_len(l, n),
        |x, l, st, o| rolling::median(x[0], l, n, st, o),
        |s| naive::percentile(&s[0], n, 50.0, PercentileKind::Linear)
    );
    single!(
        "realized_vol",
        [Close],
        one,
        Some(n + 1),
        move |l| rolling::realized_vol_state_len(l, n),
        |x, l, st, o| rolling::realized_vol(x[0], l, n, 35_040.0, ReturnMean::Zero, st, o),
        |s| naive::realized_vol(&s[0], n, 35_040.0, ReturnMean::Zero)
    );
    single!(
        "realized_vol about the mean",
        [Close],
        one,
        Some(n + 2),
        move |l| rolling::realized_vol_state_len(l, n + 1),
        |x, l, st, o| rolling::realized_vol(x[0], l, n + 1, 35_040.0, ReturnMean::Sample, st, o),
        |s| naive::realized_vol(&s[0], n + 1, 35_040.0, ReturnMean::Sample)
    );
    single!(
        "vwap",
        [Close, Volume],
        price,
        None,
        move |l| vwap::vwap_state_len(l, n),
        |x, l, st, o| vwap::vwap(x[0], x[1], l, n, st, o),
        |s| naive::vwap(&s[0], &s[1], n)
    );
    many!(
        "avwap_swing low",
        [Low, Close, Volume],
        2,
        Scale::Window(1 << 20),
        None,
        move |l| vwap::avwap_swing_state_len(l, 2, n),
        |x, l, st, o| {
            let [a, b] = o else { unreachable!() };
            vwap::avwap_swing(x[0], x[1], x[2], l, 2, n, Swing::Low, st, a, b)
        },
        |s| naive::anchored(&s[1], &s[2], &naive::swing_anchors(&s[0], 2, n))
    );
    many!(
        "avwap_swing high",
        [High, Close, Volume],
        2,
        Scale::Window(1 << 20),
        None,
        move |l| vwap::avwap_swing_state_len(l, n, 1),
        |x, l, st, o| {
            let [a, b] = o else { unreachable!() };
            vwap::avwap_swing(x[0], x[1], x[2], l, n, 1, Swing::High, st, a, b)
        },
        |s| {
            let mirrored: Vec<f64> = s[0].iter().map(|x| -x).collect();
            naive::anchored(&s[1], &s[2], &naive::swing_anchors(&mirrored, n, 1))
        }
    );
    // Seasons need the slots of missing bars, which a case has not: they are in `tests/liquidity.rs`.
    let season = Season {
        slots: 0,
        profile: Profile::Median { observations: n },
        min_observations: 1,
        fallback_bars: n,
        fallback_min_bars: n.div_ceil(2),
    };
    single!(
        "seasonal_baseline without season",
        [Volume],
        price,
        Some(n + 1),
        move |l| liquidity::seasonal_baseline_state_len(l, &season),
        |x, l, st, o| liquidity::seasonal_baseline(x[0], l, 0, &season, st, o),
        |s| naive::seasonal_baseline(&s[0].iter().map(|&x| (0, x)).collect::<Vec<_>>(), &season)
    );
    single!(
        "activity_ratio",
        [Volume],
        one,
        Some(n),
        move |l| liquidity::activity_ratio_state_len(l, n),
        |x, l, st, o| liquidity::activity_ratio(x[0], x[0], l, n, st, o),
        |s| naive::activity_ratio(&s[0], &s[0], n)
    );
    table
}

/// A small seeded generator (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// What a market looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A walk in all lanes.
    Plain,
    /// Single bars at 1e12.
    Spikes,
    /// No movement, no volume.
    Flat,
    /// Walks with standing stretches.
    Sticky,
    /// Prices of 1e-6.
    Tiny,
}

/// Input panels, with NaN holes, late listings and delistings; lane 7 has no bar at all.
pub struct Market {
    pub lanes: usize,
    pub rows: usize,
    panels: [Vec<f64>; 5],
}

impl Market {
    pub fn new(seed: u64, lanes: usize, rows: usize, style: Style, gaps: bool) -> Self {
        let mut random = Random(seed);
        let mut panels: [Vec<f64>; 5] = core::array::from_fn(|_| vec![f64::NAN; lanes * rows]);
        for lane in 0..lanes {
            let listed = if gaps && lane % 3 == 1 { random.below(rows + 1) } else { 0 };
            let delisted = if gaps && lane % 5 == 2 { random.below(rows + 1) } else { rows };
            let hole = if gaps && lane % 2 == 0 { random.unit() * 0.4 } else { 0.0 };
            let level = if style == Style::Tiny { 1e-6 } else { 100.0 };
            let (mut close, mut benchmark) = (level, 2.0 * level);
            for row in listed..delisted {
                let stands = style == Style::Flat || (style == Style::Sticky && row / 7 % 2 == 1);
                let before = close;
                if !stands {
                    close *= 1.0 + (random.unit() - 0.5) * 0.04;
                    benchmark *= 1.0 + (random.unit() - 0.5) * 0.03;
                }
                let (mut up, mut down) = (random.unit() * 0.01, random.unit() * 0.01);
                let mut volume = random.below(500) as f64;
                if stands {
                    (up, down, volume) = (0.0, 0.0, 0.0);
                }
                let spike = style == Style::Spikes && random.unit() < 0.05;
                let shown = if spike { 1e12 } else { close };
                let at = row * lanes + lane;
                if (lane == 7 && gaps) || random.unit() < hole {
                    continue;
                }
                panels[0][at] = shown.max(before) * (1.0 + up);
                panels[1][at] = shown.min(before) * (1.0 - down);
                panels[2][at] = shown;
                panels[3][at] = volume;
                panels[4][at] = benchmark;
                // One input of several missing is a missing bar.
                if hole > 0.0 && random.unit() < 0.02 {
                    panels[random.below(5)][at] = f64::NAN;
                }
            }
        }
        Self { lanes, rows, panels }
    }

    pub fn panel(&self, input: Input) -> &[f64] {
        &self.panels[match input {
            High => 0,
            Low => 1,
            Close => 2,
            Volume => 3,
            Benchmark => 4,
        }]
    }

    pub fn inputs(&self, case: &Case) -> Vec<&[f64]> {
        case.inputs.iter().map(|&input| self.panel(input)).collect()
    }
}

/// Runs a case over rows `from..`, in calls that end at the given rows and at the last one.
pub fn run_from(case: &Case, market: &Market, from: usize, cuts: &[usize]) -> Vec<Vec<f64>> {
    let (lanes, rows) = (market.lanes, market.rows);
    let inputs = market.inputs(case);
    let mut state = vec![0.0; (case.state_len)(lanes)];
    let mut out = vec![Vec::new(); case.outputs];
    let mut start = from;
    for &end in cuts.iter().chain([&rows]) {
        let part: Vec<&[f64]> = inputs.iter().map(|x| &x[start * lanes..end * lanes]).collect();
        let mut part_out = vec![vec![123.0; (end - start) * lanes]; case.outputs];
        (case.run)(&part, lanes, &mut state, &mut part_out);
        for (out, part) in out.iter_mut().zip(&part_out) {
            out.extend_from_slice(part);
        }
        start = end;
    }
    out
}

pub fn run(case: &Case, market: &Market) -> Vec<Vec<f64>> {
    run_from(case, market, 0, &[])
}

pub fn bits(panels: &[Vec<f64>]) -> Vec<Vec<u64>> {
    panels.iter().map(|x| x.iter().map(|x| x.to_bits()).collect()).collect()
}
