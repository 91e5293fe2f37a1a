//! The loops a user would write: one symbol's columns in, one symbol's columns out, scalar, no NaN to care for.
//!
//! What has a textbook running form is written in it; windows without one are gone through for every bar; order
//! statistics sort a copy of the window.
#![allow(clippy::needless_range_loop, reason = "bar by bar, as one writes it")]

use super::N;
use super::table::{BOUNDS, SEASON};

const NAN: f64 = f64::NAN;

type In<'a> = &'a [&'a [f64]];
type Out<'a, 'b> = &'a mut [&'b mut [f64]];

/// `f` of the last `N` values.
fn window(x: &[f64], out: &mut [f64], f: impl Fn(&[f64]) -> f64) {
    for t in 0..x.len() {
        out[t] = if t + 1 < N { NAN } else { f(&x[t + 1 - N..=t]) };
    }
}

fn mean_of(w: &[f64]) -> f64 {
    w.iter().sum::<f64>() / w.len() as f64
}

fn var_of(w: &[f64]) -> f64 {
    let mean = mean_of(w);
    w.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / w.len() as f64
}

fn highest(w: &[f64]) -> f64 {
    w.iter().fold(f64::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}

fn lowest(w: &[f64]) -> f64 {
    w.iter().fold(f64::INFINITY, |a, &b| if b < a { b } else { a })
}

pub fn sum(x: In<'_>, out: Out<'_, '_>) {
    let mut sum = 0.0;
    for t in 0..x[0].len() {
        sum += x[0][t];
        if t >= N {
            sum -= x[0][t - N];
        }
        out[0][t] = if t + 1 < N { NAN } else { sum };
    }
}

pub fn sma(x: In<'_>, out: Out<'_, '_>) {
    let mut sum = 0.0;
    for t in 0..x[0].len() {
        sum += x[0][t];
        if t >= N {
            sum -= x[0][t - N];
        }
        out[0][t] = if t + 1 < N { NAN } else { sum / N as f64 };
    }
}

pub fn mean_upto(x: In<'_>, out: Out<'_, '_>) {
    let mut sum = 0.0;
    for t in 0..x[0].len() {
        sum += x[0][t];
        if t >= N {
            sum -= x[0][t - N];
        }
        out[0][t] = sum / N.min(t + 1) as f64;
    }
}

pub fn wma(x: In<'_>, out: Out<'_, '_>) {
    let weights = (N * (N + 1)) as f64 / 2.0;
    window(x[0], out[0], |w| w.iter().enumerate().map(|(i, x)| (i + 1) as f64 * x).sum::<f64>() / weights);
}

/// An average that moves by a share of the distance, seeded with the mean of the first `n` values from `from` on.
struct Smooth {
    n: usize,
    weight: f64,
    from: usize,
    value: f64,
}

impl Smooth {
    fn ema(n: usize, from: usize) -> Self {
        Self { n, weight: 2.0 / (n as f64 + 1.0), from, value: 0.0 }
    }

    fn wilder(n: usize, from: usize) -> Self {
        Self { n, weight: 1.0 / n as f64, from, value: 0.0 }
    }

    fn next(&mut self, t: usize, x: f64) -> f64 {
        let seeded_at = self.from + self.n - 1;
        if t < self.from {
            return NAN;
        }
        if t <= seeded_at {
            self.value += x;
            if t < seeded_at {
                return NAN;
            }
            self.value /= self.n as f64;
        } else {
            self.value += self.weight * (x - self.value);
        }
        self.value
    }
}

pub fn ema(x: In<'_>, out: Out<'_, '_>) {
    let mut average = Smooth::ema(N, 0);
    for t in 0..x[0].len() {
        out[0][t] = average.next(t, x[0][t]);
    }
}

pub fn rma(x: In<'_>, out: Out<'_, '_>) {
    let mut average = Smooth::wilder(N, 0);
    for t in 0..x[0].len() {
        out[0][t] = average.next(t, x[0][t]);
    }
}

pub fn ewm(x: In<'_>, out: Out<'_, '_>) {
    let mut value = x[0][0];
    for t in 0..x[0].len() {
        value += 2.0 / (N as f64 + 1.0) * (x[0][t] - value);
        out[0][t] = value;
    }
}

pub fn lag(x: In<'_>, out: Out<'_, '_>) {
    for t in 0..x[0].len() {
        out[0][t] = if t < N { NAN } else { x[0][t - N] };
    }
}

pub fn diff(x: In<'_>, out: Out<'_, '_>) {
    for t in 0..x[0].len() {
        out[0][t] = if t < N { NAN } else { x[0][t] - x[0][t - N] };
    }
}

pub fn roc(x: In<'_>, out: Out<'_, '_>) {
    for t in 0..x[0].len() {
        out[0][t] = if t < N { NAN } else { 100.0 * (x[0][t] / x[0][t - N] - 1.0) };
    }
}

pub fn rsi(x: In<'_>, out: Out<'_, '_>) {
    let (mut gain, mut loss) = (Smooth::wilder(N, 1), Smooth::wilder(N, 1));
    for t in 0..x[0].len() {
        let change = if t == 0 { 0.0 } else { x[0][t] - x[0][t - 1] };
        let (gain, loss) = (gain.next(t, change.max(0.0)), loss.next(t, (-change).max(0.0)));
        out[0][t] = if gain + loss == 0.0 { 0.0 } else { 100.0 * gain / (gain + loss) };
    }
}

fn true_range(x: In<'_>, t: usize) -> f64 {
    if t == 0 {
        return NAN;
    }
    let (high, low, before) = (x[0][t], x[1][t], x[2][t - 1]);
    (high - low).max((high - before).abs()).max((low - before).abs())
}

pub fn trange(x: In<'_>, out: Out<'_, '_>) {
    for t in 0..x[0].len() {
        out[0][t] = true_range(x, t);
    }
}

pub fn atr(x: In<'_>, out: Out<'_, '_>) {
    let mut average = Smooth::wilder(N, 1);
    for t in 0..x[0].len() {
        out[0][t] = average.next(t, true_range(x, t));
    }
}

pub fn natr(x: In<'_>, out: Out<'_, '_>) {
    let mut average = Smooth::wilder(N, 1);
    for t in 0..x[0].len() {
        out[0][t] = 100.0 * average.next(t, true_range(x, t)) / x[2][t];
    }
}

/// `N`, 3, 2.
pub fn stoch(x: In<'_>, out: Out<'_, '_>) {
    let mut raw = vec![NAN; x[0].len()];
    for t in N - 1..x[0].len() {
        let (top, bottom) = (highest(&x[0][t + 1 - N..=t]), lowest(&x[1][t + 1 - N..=t]));
        raw[t] = if top == bottom { 0.0 } else { 100.0 * (x[2][t] - bottom) / (top - bottom) };
        let k = if t < 2 { NAN } else { (raw[t - 2] + raw[t - 1] + raw[t]) / 3.0 };
        out[0][t] = k;
        out[1][t] = (out[0][t - 1] + k) / 2.0;
    }
    out[0][..N + 2].fill(NAN);
    out[1][..N + 2].fill(NAN);
}

pub fn cci(x: In<'_>, out: Out<'_, '_>) {
    let typical: Vec<f64> = (0..x[0].len()).map(|t| (x[0][t] + x[1][t] + x[2][t]) / 3.0).collect();
    window(&typical, out[0], |w| {
        let mean = mean_of(w);
        let deviation = w.iter().map(|x| (x - mean).abs()).sum::<f64>() / N as f64;
        if deviation == 0.0 { 0.0 } else { (w[N - 1] - mean) / (0.015 * deviation) }
    });
}

pub fn mfi(x: In<'_>, out: Out<'_, '_>) {
    let typical: Vec<f64> = (0..x[0].len()).map(|t| (x[0][t] + x[1][t] + x[2][t]) / 3.0).collect();
    for t in 0..typical.len() {
        let (mut inflow, mut outflow) = (0.0, 0.0);
        for i in (t + 1).saturating_sub(N).max(1)..=t {
            let flow = typical[i] * x[3][i];
            if typical[i] > typical[i - 1] {
                inflow += flow;
            } else if typical[i] < typical[i - 1] {
                outflow += flow;
            }
        }
        let both = inflow + outflow;
        out[0][t] = if t < N {
            NAN
        } else if both == 0.0 {
            0.0
        } else {
            100.0 * inflow / both
        };
    }
}

/// 12, 26, 9.
pub fn macd(x: In<'_>, out: Out<'_, '_>) {
    let (mut fast, mut slow, mut average) = (Smooth::ema(12, 14), Smooth::ema(26, 0), Smooth::ema(9, 25));
    for t in 0..x[0].len() {
        let line = fast.next(t, x[0][t]) - slow.next(t, x[0][t]);
        let signal = average.next(t, line);
        out[0][t] = if signal.is_nan() { NAN } else { line };
        (out[1][t], out[2][t]) = (signal, line - signal);
    }
}

pub fn bbands(x: In<'_>, out: Out<'_, '_>) {
    for t in 0..x[0].len() {
        let (mean, width) = if t + 1 < N {
            (NAN, NAN)
        } else {
            let w = &x[0][t + 1 - N..=t];
            (mean_of(w), 2.0 * var_of(w).sqrt())
        };
        (out[0][t], out[1][t], out[2][t]) = (mean + width, mean, mean - width);
    }
}

pub fn donchian(x: In<'_>, out: Out<'_, '_>) {
    window(x[0], out[0], highest);
    window(x[1], out[2], lowest);
    for t in 0..x[0].len() {
        out[1][t] = (out[0][t] + out[2][t]) / 2.0;
    }
}

/// `N`, `N`, 1.5 around the close.
pub fn keltner(x: In<'_>, out: Out<'_, '_>) {
    let (mut mid, mut range) = (Smooth::ema(N, 1), Smooth::wilder(N, 1));
    for t in 0..x[0].len() {
        let (mid, width) = (mid.next(t, x[2][t]), 1.5 * range.next(t, true_range(x, t)));
        (out[0][t], out[1][t], out[2][t]) = (mid + width, mid, mid - width);
    }
}

pub fn directional(x: In<'_>, out: Out<'_, '_>) {
    let n = N as f64;
    let (mut range, mut up, mut down, mut last, mut adx) = (0.0, 0.0, 0.0, 0.0, Smooth::wilder(N, N));
    for t in 0..x[0].len() {
        let (mut plus_di, mut minus_di) = (NAN, NAN);
        if t > 0 {
            let (rise, fall) = (x[0][t] - x[0][t - 1], x[1][t - 1] - x[1][t]);
            let plus = if rise > 0.0 && rise > fall { rise } else { 0.0 };
            let minus = if fall > 0.0 && fall > rise { fall } else { 0.0 };
            if t < N {
                (range, up, down) = (range + true_range(x, t), up + plus, down + minus);
            } else {
                range += true_range(x, t) - range / n;
                up += plus - up / n;
                down += minus - down / n;
                (plus_di, minus_di) = (100.0 * up / range, 100.0 * down / range);
                if plus_di + minus_di != 0.0 {
                    last = 100.0 * (plus_di - minus_di).abs() / (plus_di + minus_di);
                }
            }
        }
        let dx = if t < N { NAN } else { last };
        (out[0][t], out[1][t], out[2][t], out[3][t]) = (plus_di, minus_di, dx, adx.next(t, dx));
    }
}

/// `N`, 3.
pub fn supertrend(x: In<'_>, out: Out<'_, '_>) {
    let (mut atr, mut upper, mut lower, mut up) = (Smooth::wilder(N, 1), NAN, NAN, true);
    for t in 0..x[0].len() {
        let width = 3.0 * atr.next(t, true_range(x, t));
        let mid = (x[0][t] + x[1][t]) / 2.0;
        if t < N {
            (out[0][t], out[1][t]) = (NAN, NAN);
            continue;
        }
        if t == N || mid + width < upper || x[2][t - 1] > upper {
            upper = mid + width;
        }
        if t == N || mid - width > lower || x[2][t - 1] < lower {
            lower = mid - width;
        }
        if t > N {
            up = if up { x[2][t] >= lower } else { x[2][t] > upper };
        }
        (out[0][t], out[1][t]) = if up { (lower, 1.0) } else { (upper, -1.0) };
    }
}

pub fn obv(x: In<'_>, out: Out<'_, '_>) {
    let mut balance = x[1][0];
    out[0][0] = balance;
    for t in 1..x[0].len() {
        if x[0][t] > x[0][t - 1] {
            balance += x[1][t];
        } else if x[0][t] < x[0][t - 1] {
            balance -= x[1][t];
        }
        out[0][t] = balance;
    }
}

pub fn min(x: In<'_>, out: Out<'_, '_>) {
    window(x[0], out[0], lowest);
}

pub fn max(x: In<'_>, out: Out<'_, '_>) {
    window(x[0], out[0], highest);
}

pub fn var(x: In<'_>, out: Out<'_, '_>) {
    window(x[0], out[0], var_of);
}

pub fn stddev(x: In<'_>, out: Out<'_, '_>) {
    window(x[0], out[0], |w| var_of(w).sqrt());
}

pub fn zscore(x: In<'_>, out: Out<'_, '_>) {
    window(x[0], out[0], |w| (w[N - 1] - mean_of(w)) / var_of(w).sqrt());
}

fn covariance(x: &[f64], y: &[f64]) -> f64 {
    let (mean_x, mean_y) = (mean_of(x), mean_of(y));
    x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / x.len() as f64
}

pub fn correl(x: In<'_>, out: Out<'_, '_>) {
    for t in 0..x[0].len() {
        out[0][t] = if t + 1 < N {
            NAN
        } else {
            let (x, y) = (&x[0][t + 1 - N..=t], &x[1][t + 1 - N..=t]);
            covariance(x, y) / (var_of(x) * var_of(y)).sqrt()
        };
    }
}

pub fn beta(x: In<'_>, out: Out<'_, '_>) {
    let returns = |x: &[f64]| -> Vec<f64> { x.windows(2).map(|w| w[1] / w[0] - 1.0).collect() };
    let (asset, benchmark) = (returns(x[0]), returns(x[1]));
    for t in 0..x[0].len() {
        out[0][t] = if t < N {
            NAN
        } else {
            let (x, y) = (&asset[t - N..t], &benchmark[t - N..t]);
            covariance(x, y) / var_of(y)
        };
    }
}

/// 35,040 bars a year, about zero.
pub fn realized_vol(x: In<'_>, out: Out<'_, '_>) {
    let squares: Vec<f64> = x[0].windows(2).map(|w| (w[1] / w[0]).ln().powi(2)).collect();
    let mut sum = 0.0;
    out[0][0] = NAN;
    for t in 1..x[0].len() {
        sum += squares[t - 1];
        if t > N {
            sum -= squares[t - 1 - N];
        }
        out[0][t] = if t < N { NAN } else { (35_040.0 * sum / N as f64).sqrt() };
    }
}

pub fn percentrank(x: In<'_>, out: Out<'_, '_>) {
    for t in 0..x[0].len() {
        out[0][t] = if t < N {
            NAN
        } else {
            let below = x[0][t - N..t].iter().filter(|&&before| before < x[0][t]).count();
            100.0 * below as f64 / N as f64
        };
    }
}

fn sorted(w: &[f64]) -> Vec<f64> {
    let mut sorted = w.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The fifth of twenty: nearest rank of 25 %.
pub fn percentile(x: In<'_>, out: Out<'_, '_>) {
    window(x[0], out[0], |w| sorted(w)[(25 * N).div_ceil(100) - 1]);
}

pub fn median(x: In<'_>, out: Out<'_, '_>) {
    window(x[0], out[0], |w| {
        let sorted = sorted(w);
        (sorted[(N - 1) / 2] + sorted[N / 2]) / 2.0
    });
}

pub fn vwap(x: In<'_>, out: Out<'_, '_>) {
    let (mut traded, mut total, mut last) = (0.0, 0.0, NAN);
    for t in 0..x[0].len() {
        traded += x[0][t] * x[1][t];
        total += x[1][t];
        if t >= N {
            traded -= x[0][t - N] * x[1][t - N];
            total -= x[1][t - N];
        }
        if total > 0.0 {
            last = traded / total;
        }
        out[0][t] = if t + 1 < N { NAN } else { last };
    }
}

/// Mean and squared deviations by weight, one bar at a time.
#[derive(Default)]
struct Weighted {
    weight: f64,
    mean: f64,
    squares: f64,
}

impl Weighted {
    fn add(&mut self, price: f64, volume: f64) {
        if volume > 0.0 {
            let above = price - self.mean;
            self.weight += volume;
            self.mean += above * (volume / self.weight);
            self.squares += volume * above * (price - self.mean);
        }
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.weight).sqrt()
    }
}

/// Anchored to every 96th bar.
pub fn avwap(x: In<'_>, out: Out<'_, '_>) {
    let mut sums = Weighted::default();
    for t in 0..x[0].len() {
        if t % 96 == 0 {
            sums = Weighted::default();
        }
        sums.add(x[0][t], x[1][t]);
        (out[0][t], out[1][t]) = (sums.mean, sums.deviation());
    }
}

/// Lows with 2 bars on either side.
pub fn avwap_swing(x: In<'_>, out: Out<'_, '_>) {
    let mut sums: Option<Weighted> = None;
    for t in 0..x[0].len() {
        let turned = t >= 4 && {
            let (low, pivot) = (x[0], x[0][t - 2]);
            pivot < low[t - 4] && pivot < low[t - 3] && pivot <= low[t - 1] && pivot <= low[t]
        };
        if turned {
            let mut anew = Weighted::default();
            for i in t - 2..=t {
                anew.add(x[1][i], x[2][i]);
            }
            sums = Some(anew);
        } else if let Some(sums) = &mut sums {
            sums.add(x[1][t], x[2][t]);
        }
        (out[0][t], out[1][t]) = sums.as_ref().map_or((NAN, NAN), |sums| (sums.mean, sums.deviation()));
    }
}

pub fn hlc3(x: In<'_>, out: Out<'_, '_>) {
    for t in 0..x[0].len() {
        out[0][t] = (x[0][t] + x[1][t] + x[2][t]) / 3.0;
    }
}

/// Tenths: the nearest whole number of them, where `k` is next to it.
fn on_tenths(k: f64) -> Option<f64> {
    let whole = k.round();
    ((k - whole).abs() <= (8.0 * f64::EPSILON * k.abs()).max(1e-9)).then_some(whole)
}

pub fn market_prices(x: In<'_>, out: Out<'_, '_>) {
    for t in 0..x[0].len() {
        let k = x[0][t] * 1.0002 * 10.0;
        out[0][t] = on_tenths(k).unwrap_or(k.ceil()) / 10.0;
    }
}

pub fn stop_prices(x: In<'_>, out: Out<'_, '_>) {
    for t in 0..x[0].len() {
        let k = (x[0][t] - x[1][t]) * 10.0;
        out[0][t] = on_tenths(k).unwrap_or(k.floor()) / 10.0;
    }
}

pub fn orders_within(x: In<'_>, out: &mut [bool]) {
    for t in 0..x[0].len() {
        out[t] = (99.0..=101.0).contains(&x[0][t]) && x[0][t] * x[1][t] >= 10_000.0;
    }
}

pub fn may_touch(x: In<'_>, out: &mut [bool]) {
    for t in 0..x[0].len() {
        out[t] = x[0][t] <= x[1][t] + x[1][t].abs() * 1e-8;
    }
}

pub fn order_sizes(x: In<'_>, out: Out<'_, '_>) {
    for t in 0..x[0].len() {
        let k = 20_000.0 / x[0][t] * 10.0;
        out[0][t] = on_tenths(k).unwrap_or(k.floor());
        out[1][t] = out[0][t] / 10.0;
    }
}

pub fn cross_over(x: In<'_>, out: &mut [bool]) {
    out[0] = false;
    for t in 1..x[0].len() {
        out[t] = x[0][t] > x[1][t] && x[0][t - 1] <= x[1][t - 1];
    }
}

pub fn cross_under(x: In<'_>, out: &mut [bool]) {
    out[0] = false;
    for t in 1..x[0].len() {
        out[t] = x[0][t] < x[1][t] && x[0][t - 1] >= x[1][t - 1];
    }
}

pub fn cross_over_const(x: In<'_>, out: &mut [bool]) {
    out[0] = false;
    for t in 1..x[0].len() {
        out[t] = x[0][t] > 100.0 && x[0][t - 1] <= 100.0;
    }
}

pub fn cross_under_const(x: In<'_>, out: &mut [bool]) {
    out[0] = false;
    for t in 1..x[0].len() {
        out[t] = x[0][t] < 100.0 && x[0][t - 1] >= 100.0;
    }
}

/// One bar over all symbols.
pub fn mean_xs(row: &[f64], out: &mut [f64]) {
    out.fill(mean_of(row));
}

pub fn zscore_xs(row: &[f64], out: &mut [f64]) {
    let (mean, deviation) = (mean_of(row), var_of(row).sqrt());
    for (out, x) in out.iter_mut().zip(row) {
        *out = (x - mean) / deviation;
    }
}

/// Middle of a sorted copy.
fn middle_of(w: &[f64]) -> f64 {
    let mut sorted = w.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(w.len() - 1) / 2] + sorted[w.len() / 2]) / 2.0
}

/// What usually trades at the hour; before an hour has been seen twice, what traded lately.
pub fn seasonal_baseline(x: In<'_>, out: Out<'_, '_>) {
    let mut seen = vec![Vec::new(); SEASON.slots];
    for t in 0..x[0].len() {
        let slot = &mut seen[t % SEASON.slots];
        out[0][t] = if slot.len() >= SEASON.min_observations {
            middle_of(&slot[slot.len().saturating_sub(N)..])
        } else if t >= SEASON.fallback_min_bars {
            middle_of(&x[0][t.saturating_sub(SEASON.fallback_bars)..t])
        } else {
            NAN
        };
        slot.push(x[0][t]);
    }
}

pub fn activity_ratio(x: In<'_>, out: Out<'_, '_>) {
    let (mut activity, mut usual) = (0.0, 0.0);
    for t in 0..x[0].len() {
        activity += x[0][t];
        usual += x[1][t];
        if t >= N {
            activity -= x[0][t - N];
            usual -= x[1][t - N];
        }
        out[0][t] = if t + 1 < N { NAN } else { activity / usual };
    }
}

/// 0 vacuum, 1 thin, 2 normal; a bound is left for good only some way above it.
pub fn regimes(x: In<'_>, out: Out<'_, '_>) {
    let mut before = 2.0;
    for t in 0..x[0].len() {
        let mut vacuum_below = BOUNDS.vacuum_below;
        let mut thin_below = BOUNDS.thin_below;
        if before == 0.0 {
            vacuum_below *= BOUNDS.hysteresis;
        }
        if before < 2.0 {
            thin_below *= BOUNDS.hysteresis;
        }
        before = if x[1][t] < vacuum_below {
            0.0
        } else if x[1][t] < thin_below {
            1.0
        } else {
            2.0
        };
        out[0][t] = before;
    }
}

/// Sorts the symbols of the bar; equal ones share their mean rank.
pub fn rank_xs(row: &[f64], out: &mut [f64]) {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[a].total_cmp(&row[b]));
    let mut first = 0;
    while first < order.len() {
        let mut last = first;
        while last + 1 < order.len() && row[order[last + 1]] == row[order[first]] {
            last += 1;
        }
        for &symbol in &order[first..=last] {
            out[symbol] = ((first + last) as f64 / 2.0 + 1.0) / row.len() as f64;
        }
        first = last + 1;
    }
}

/// Unrealised, gross, net.
pub fn mark_row(qty: &[f64], entry: &[f64], mark: &[f64]) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for i in 0..qty.len() {
        let value = qty[i] * mark[i];
        sums[0] += qty[i] * (mark[i] - entry[i]);
        sums[1] += value.abs();
        sums[2] += value;
    }
    sums
}

/// Σ equity, Σ gross/E, Σ net/E, Σ min(0, r)², Σ (100·drawdown)², largest |r|, largest drawdown, bars with a position.
pub fn curve(start: f64, equity: &[f64], gross: &[f64], net: &[f64], positions: &[u32]) -> [f64; 8] {
    let (mut sums, mut before, mut peak) = ([0.0; 8], start, start);
    for i in 0..equity.len() {
        let now = equity[i];
        let change = now / before - 1.0;
        peak = now.max(peak);
        let drawdown = now / peak - 1.0;
        sums[0] += now;
        sums[1] += gross[i] / now;
        sums[2] += net[i] / now;
        sums[3] += change.min(0.0).powi(2);
        sums[4] += (100.0 * drawdown).powi(2);
        sums[5] = change.abs().max(sums[5]);
        sums[6] = drawdown.min(sums[6]);
        sums[7] += if positions[i] > 0 { 1.0 } else { 0.0 };
        before = now;
    }
    sums
}

/// 64 × 64 bits, bit by bit.
pub fn transpose(words: &[u64], out: &mut [u64]) {
    out.fill(0);
    for (i, word) in words.iter().enumerate() {
        for (j, out) in out.iter_mut().enumerate() {
            *out |= (word >> j & 1) << i;
        }
    }
}
