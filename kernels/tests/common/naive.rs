//! The definitions of semantics 8.3 in plain code: one lane, present bars only, no state, no windows kept.

use barloom_kernels::liquidity::{Profile, RegimeBounds, Season};
use barloom_kernels::rolling::{PercentileKind, ReturnMean, Ties};

pub type Series = Vec<f64>;

fn windows(x: &[f64], n: usize, f: impl Fn(&[f64]) -> f64) -> Series {
    (0..x.len()).map(|t| if t + 1 < n { f64::NAN } else { f(&x[t + 1 - n..=t]) }).collect()
}

/// `f` over the `n` windows of values that begin at index 1, so the first result is at index `n`.
fn change_windows(changes: &[f64], n: usize, f: impl Fn(&[f64]) -> f64) -> Series {
    let mut out = vec![f64::NAN; changes.len().min(1)];
    out.extend(windows(changes.get(1..).unwrap_or(&[]), n, f));
    out
}

fn changes(x: &[f64], f: impl Fn(f64, f64) -> f64) -> Series {
    (0..x.len()).map(|t| if t == 0 { f64::NAN } else { f(x[t], x[t - 1]) }).collect()
}

fn total(w: &[f64]) -> f64 {
    w.iter().sum()
}

fn average(w: &[f64]) -> f64 {
    total(w) / w.len() as f64
}

fn flat(w: &[f64]) -> bool {
    w.iter().all(|&x| x == w[0])
}

fn variance(w: &[f64]) -> f64 {
    let mean = average(w);
    if flat(w) { 0.0 } else { w.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / w.len() as f64 }
}

fn largest(w: &[f64]) -> f64 {
    w.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn smallest(w: &[f64]) -> f64 {
    w.iter().copied().fold(f64::INFINITY, f64::min)
}

pub fn sum(x: &[f64], n: usize) -> Series {
    windows(x, n, total)
}

pub fn sma(x: &[f64], n: usize) -> Series {
    windows(x, n, average)
}

pub fn mean_upto(x: &[f64], n: usize) -> Series {
    (0..x.len()).map(|t| average(&x[(t + 1).saturating_sub(n)..=t])).collect()
}

pub fn wma(x: &[f64], n: usize) -> Series {
    let weights = (n * (n + 1)) as f64 / 2.0;
    windows(x, n, |w| w.iter().enumerate().map(|(i, x)| (i + 1) as f64 * x).sum::<f64>() / weights)
}

/// Smoothing of `x[from..]`, seeded with the mean of its first `n`.
fn smooth(x: &[f64], from: usize, n: usize, alpha: f64) -> Series {
    let mut out = vec![f64::NAN; x.len()];
    let seed_at = from + n - 1;
    if seed_at < x.len() {
        out[seed_at] = average(&x[from..=seed_at]);
        for t in seed_at + 1..x.len() {
            out[t] = out[t - 1] + alpha * (x[t] - out[t - 1]);
        }
    }
    out
}

fn ema_weight(n: usize) -> f64 {
    2.0 / (n as f64 + 1.0)
}

pub fn ema(x: &[f64], n: usize) -> Series {
    smooth(x, 0, n, ema_weight(n))
}

pub fn rma(x: &[f64], n: usize) -> Series {
    smooth(x, 0, n, 1.0 / n as f64)
}

pub fn ewm(x: &[f64], n: usize) -> Series {
    smooth(x, 0, 1, ema_weight(n))
}

pub fn lag(x: &[f64], k: usize) -> Series {
    (0..x.len()).map(|t| if t < k { f64::NAN } else { x[t - k] }).collect()
}

pub fn diff(x: &[f64], k: usize) -> Series {
    lag(x, k).iter().zip(x).map(|(before, x)| x - before).collect()
}

pub fn rsi(x: &[f64], n: usize) -> Series {
    let up = changes(x, |now, before| (now - before).max(0.0));
    let down = changes(x, |now, before| (before - now).max(0.0));
    let (up, down) = (smooth(&up, 1, n, 1.0 / n as f64), smooth(&down, 1, n, 1.0 / n as f64));
    up.iter().zip(&down).map(|(g, l)| if g + l == 0.0 { 0.0 } else { 100.0 * g / (g + l) }).collect()
}

pub fn trange(high: &[f64], low: &[f64], close: &[f64]) -> Series {
    (0..high.len())
        .map(|t| match t {
            0 => f64::NAN,
            _ => {
                let before = close[t - 1];
                (high[t] - low[t]).max((high[t] - before).abs()).max((low[t] - before).abs())
            }
        })
        .collect()
}

pub fn atr(high: &[f64], low: &[f64], close: &[f64], n: usize) -> Series {
    smooth(&trange(high, low, close), 1, n, 1.0 / n as f64)
}

pub fn natr(high: &[f64], low: &[f64], close: &[f64], n: usize) -> Series {
    atr(high, low, close, n).iter().zip(close).map(|(a, c)| 100.0 * a / c).collect()
}

pub fn directional(high: &[f64], low: &[f64], close: &[f64], n: usize) -> Vec<Series> {
    let len = high.len();
    let ranges = trange(high, low, close);
    let mut out = vec![vec![f64::NAN; len]; 4];
    let (mut tr, mut up, mut down, mut last_dx) = (0.0, 0.0, 0.0, 0.0);
    for t in 1..len {
        let (rise, fall) = (high[t] - high[t - 1], low[t - 1] - low[t]);
        let plus = if rise > 0.0 && rise > fall { rise } else { 0.0 };
        let minus = if fall > 0.0 && fall > rise { fall } else { 0.0 };
        let share = 1.0 / n as f64;
        if t < n {
            (tr, up, down) = (tr + ranges[t], up + plus, down + minus);
            continue;
        }
        tr = tr - tr * share + ranges[t];
        up = up - up * share + plus;
        down = down - down * share + minus;
        let (plus_di, minus_di) = if tr == 0.0 { (0.0, 0.0) } else { (100.0 * up / tr, 100.0 * down / tr) };
        if plus_di + minus_di != 0.0 {
            last_dx = 100.0 * (plus_di - minus_di).abs() / (plus_di + minus_di);
        }
        (out[0][t], out[1][t], out[2][t]) = (plus_di, minus_di, last_dx);
    }
    out[3] = smooth(&out[2].clone(), n, n, 1.0 / n as f64);
    out
}

pub fn macd(x: &[f64], fast: usize, slow: usize, signal: usize) -> Vec<Series> {
    let (fast, slow) = (fast.min(slow), fast.max(slow));
    let quick = smooth(x, slow - fast, fast, ema_weight(fast));
    let calm = smooth(x, 0, slow, ema_weight(slow));
    let mut line: Series = quick.iter().zip(&calm).map(|(a, b)| a - b).collect();
    let signals = smooth(&line, slow - 1, signal, ema_weight(signal));
    for (line, signal) in line.iter_mut().zip(&signals) {
        if signal.is_nan() {
            *line = f64::NAN;
        }
    }
    let histogram = line.iter().zip(&signals).map(|(a, b)| a - b).collect();
    vec![line, signals, histogram]
}

fn around(mid: &[f64], width: &[f64], k: f64) -> Vec<Series> {
    let side = |sign: f64| mid.iter().zip(width).map(|(m, w)| m + sign * k * w).collect();
    vec![side(1.0), mid.to_vec(), side(-1.0)]
}

pub fn bbands(x: &[f64], n: usize, k: f64) -> Vec<Series> {
    around(&sma(x, n), &stddev(x, n), k)
}

pub fn var(x: &[f64], n: usize) -> Series {
    windows(x, n, variance)
}

pub fn stddev(x: &[f64], n: usize) -> Series {
    windows(x, n, |w| variance(w).sqrt())
}

pub fn zscore(x: &[f64], n: usize) -> Series {
    windows(x, n, |w| if flat(w) { 0.0 } else { (w[n - 1] - average(w)) / variance(w).sqrt() })
}

pub fn max(x: &[f64], n: usize) -> Series {
    windows(x, n, largest)
}

pub fn min(x: &[f64], n: usize) -> Series {
    windows(x, n, smallest)
}

pub fn stoch(
    high: &[f64],
    low: &[f64],
    close: &[f64],
    fast_k: usize,
    slow_k: usize,
    slow_d: usize,
) -> Vec<Series> {
    let raw: Series = (0..high.len())
        .map(|t| {
            if t + 1 < fast_k {
                return f64::NAN;
            }
            let (top, bottom) = (largest(&high[t + 1 - fast_k..=t]), smallest(&low[t + 1 - fast_k..=t]));
            if top == bottom { 0.0 } else { 100.0 * (close[t] - bottom) / (top - bottom) }
        })
        .collect();
    let d = sma(&sma(&raw, slow_k), slow_d);
    let k = sma(&raw, slow_k).iter().zip(&d).map(|(&k, d)| if d.is_nan() { f64::NAN } else { k }).collect();
    vec![k, d]
}

fn typical(high: &[f64], low: &[f64], close: &[f64]) -> Series {
    (0..high.len()).map(|t| (high[t] + low[t] + close[t]) / 3.0).collect()
}

pub fn cci(high: &[f64], low: &[f64], close: &[f64], n: usize) -> Series {
    windows(&typical(high, low, close), n, |w| {
        if flat(w) {
            return 0.0;
        }
        // From the newest price: the mean of nearly equal prices is rounded by more than they differ.
        let above: Series = w.iter().map(|x| x - w[n - 1]).collect();
        let mean = average(&above);
        -mean / (0.015 * average(&above.iter().map(|x| (x - mean).abs()).collect::<Series>()))
    })
}

pub fn mfi(high: &[f64], low: &[f64], close: &[f64], volume: &[f64], n: usize) -> Series {
    let price = typical(high, low, close);
    let signed: Series = (0..price.len())
        .map(|t| match t {
            0 => f64::NAN,
            _ if price[t] > price[t - 1] => price[t] * volume[t],
            _ if price[t] < price[t - 1] => -price[t] * volume[t],
            _ => 0.0,
        })
        .collect();
    change_windows(&signed, n, |w| {
        let inflow: f64 = w.iter().filter(|&&x| x > 0.0).sum();
        let both: f64 = w.iter().map(|x| x.abs()).sum();
        if both == 0.0 { 0.0 } else { 100.0 * inflow / both }
    })
}

pub fn obv(close: &[f64], volume: &[f64]) -> Series {
    let mut balance = 0.0;
    (0..close.len())
        .map(|t| {
            balance += match t {
                0 => volume[0],
                _ if close[t] > close[t - 1] => volume[t],
                _ if close[t] < close[t - 1] => -volume[t],
                _ => 0.0,
            };
            balance
        })
        .collect()
}

pub fn roc(x: &[f64], n: usize) -> Series {
    lag(x, n)
        .iter()
        .zip(x)
        .map(|(before, x)| if *before == 0.0 { 0.0 } else { 100.0 * (x / before - 1.0) })
        .collect()
}

fn covariance(x: &[f64], y: &[f64]) -> f64 {
    let (mean_x, mean_y) = (average(x), average(y));
    if flat(x) || flat(y) {
        0.0
    } else {
        x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / x.len() as f64
    }
}

fn pair_windows(x: &[f64], y: &[f64], n: usize, f: impl Fn(&[f64], &[f64]) -> f64) -> Series {
    (0..x.len()).map(|t| if t + 1 < n { f64::NAN } else { f(&x[t + 1 - n..=t], &y[t + 1 - n..=t]) }).collect()
}

pub fn correl(x: &[f64], y: &[f64], n: usize) -> Series {
    pair_windows(x, y, n, |x, y| {
        let scale = variance(x).sqrt() * variance(y).sqrt();
        if scale == 0.0 { 0.0 } else { covariance(x, y) / scale }
    })
}

pub fn beta(asset: &[f64], benchmark: &[f64], n: usize) -> Series {
    // Not `w[1] / w[0] - 1`, which leaves a small return few correct digits.
    let simple = |x: &[f64]| -> Series {
        x.windows(2).map(|w| if w[0] == 0.0 { 0.0 } else { (w[1] - w[0]) / w[0] }).collect()
    };
    let mut out = vec![f64::NAN; asset.len().min(1)];
    out.extend(pair_windows(&simple(asset), &simple(benchmark), n, |x, y| {
        if flat(y) { 0.0 } else { covariance(x, y) / variance(y) }
    }));
    out
}

pub fn donchian(high: &[f64], low: &[f64], n: usize) -> Vec<Series> {
    let (upper, lower) = (max(high, n), min(low, n));
    let mid = upper.iter().zip(&lower).map(|(u, l)| (u + l) / 2.0).collect();
    vec![upper, mid, lower]
}

pub fn keltner(
    high: &[f64],
    low: &[f64],
    close: &[f64],
    source: &[f64],
    n: usize,
    m: usize,
    k: f64,
) -> Vec<Series> {
    let first = (n - 1).max(m);
    let mid = smooth(source, first + 1 - n, n, ema_weight(n));
    around(&mid, &smooth(&trange(high, low, close), first + 1 - m, m, 1.0 / m as f64), k)
}

pub fn supertrend(high: &[f64], low: &[f64], close: &[f64], n: usize, k: f64) -> Vec<Series> {
    let atr = atr(high, low, close, n);
    let mut out = vec![vec![f64::NAN; high.len()]; 2];
    let (mut upper, mut lower, mut up) = (f64::NAN, f64::NAN, true);
    for t in n..high.len() {
        let mid = (high[t] + low[t]) * 0.5;
        let (basic_upper, basic_lower) = (mid + atr[t] * k, mid - atr[t] * k);
        if t == n {
            (upper, lower) = (basic_upper, basic_lower);
        } else {
            if basic_upper < upper || close[t - 1] > upper {
                upper = basic_upper;
            }
            if basic_lower > lower || close[t - 1] < lower {
                lower = basic_lower;
            }
            if up && close[t] < lower {
                up = false;
            } else if !up && close[t] > upper {
                up = true;
            }
        }
        out[0][t] = if up { lower } else { upper };
        out[1][t] = if up { 1.0 } else { -1.0 };
    }
    out
}

pub fn percentrank(x: &[f64], n: usize, ties: Ties) -> Series {
    windows(x, n + 1, |w| {
        let (past, now) = (&w[..n], w[n]);
        let below = past.iter().filter(|&&y| y < now).count() as f64;
        let equal = past.iter().filter(|&&y| y == now).count() as f64;
        100.0 * (below + if ties == Ties::Mean { equal / 2.0 } else { 0.0 }) / n as f64
    })
}

pub fn percentile(x: &[f64], n: usize, percent: f64, kind: PercentileKind) -> Series {
    windows(x, n, |w| {
        let mut sorted = w.to_vec();
        sorted.sort_by(f64::total_cmp);
        match kind {
            PercentileKind::NearestRank => sorted[((percent * n as f64 / 100.0).ceil() as usize).max(1) - 1],
            PercentileKind::Linear => {
                let at = percent * (n - 1) as f64 / 100.0;
                let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
                low + (high - low) * at.fract()
            }
        }
    })
}

pub fn realized_vol(x: &[f64], n: usize, periods_per_year: f64, about: ReturnMean) -> Series {
    let returns = changes(x, |now, before| (now / before).ln());
    change_windows(&returns, n, |w| match about {
        ReturnMean::Zero => (periods_per_year * w.iter().map(|r| r * r).sum::<f64>() / n as f64).sqrt(),
        ReturnMean::Sample => {
            let mean = average(w);
            (periods_per_year * w.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / (n as f64 - 1.0))
                .sqrt()
        }
    })
}

pub fn vwap(price: &[f64], volume: &[f64], n: usize) -> Series {
    let mut last = f64::NAN;
    (0..price.len())
        .map(|t| {
            if t + 1 < n {
                return f64::NAN;
            }
            let total: f64 = volume[t + 1 - n..=t].iter().sum();
            if total > 0.0 {
                last = (t + 1 - n..=t).map(|i| price[i] * volume[i]).sum::<f64>() / total;
            }
            last
        })
        .collect()
}

/// Mean and deviation of `price` weighted by `volume`, by two passes; `None` when nothing traded.
fn weighted(price: &[f64], volume: &[f64]) -> Option<(f64, f64)> {
    let total: f64 = volume.iter().sum();
    if total == 0.0 {
        return None;
    }
    let mean = price.iter().zip(volume).map(|(p, v)| p * v).sum::<f64>() / total;
    let squares: f64 = price.iter().zip(volume).map(|(p, v)| v * (p - mean) * (p - mean)).sum();
    Some((mean, (squares / total).sqrt()))
}

/// `anchor_of[t]`: the bar whose line is shown at `t`.
pub fn anchored(price: &[f64], volume: &[f64], anchor_of: &[Option<usize>]) -> Vec<Series> {
    let mut last = (f64::NAN, f64::NAN);
    let mut out = vec![Vec::new(), Vec::new()];
    for (t, anchor) in anchor_of.iter().enumerate() {
        if let Some(from) = *anchor {
            last = weighted(&price[from..=t], &volume[from..=t]).unwrap_or(last);
        }
        out[0].push(last.0);
        out[1].push(last.1);
    }
    out
}

/// Anchors of swing lows with `left` and `right` bars, each from the bar that confirms it.
pub fn swing_anchors(low: &[f64], left: usize, right: usize) -> Vec<Option<usize>> {
    let mut anchor = None;
    (0..low.len())
        .map(|t| {
            if t >= left + right {
                let p = t - right;
                let turned = (p - left..p).all(|i| low[p] < low[i]) && (p + 1..=t).all(|i| low[p] <= low[i]);
                if turned {
                    anchor = Some(p);
                }
            }
            anchor
        })
        .collect()
}

fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    if n % 2 == 1 { sorted[n / 2] } else { (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0 }
}

/// Baseline of bars `(slot, activity)`; missing ones are left out.
pub fn seasonal_baseline(bars: &[(usize, f64)], season: &Season) -> Series {
    let mut out = Vec::new();
    for (t, &(slot, _)) in bars.iter().enumerate() {
        let all: Series = bars[..t].iter().map(|bar| bar.1).collect();
        let of_slot: Series = bars[..t].iter().filter(|bar| bar.0 == slot).map(|bar| bar.1).collect();
        let last = |x: &[f64], n: usize| middle(&x[x.len().saturating_sub(n)..]);
        out.push(if season.slots > 0 && of_slot.len() >= season.min_observations {
            match season.profile {
                Profile::Median { observations } => last(&of_slot, observations),
                Profile::Ewma { eta } => {
                    of_slot[1..].iter().fold(of_slot[0], |mean, x| mean + eta * (x - mean))
                }
            }
        } else if all.len() >= season.fallback_min_bars {
            last(&all, season.fallback_bars)
        } else {
            f64::NAN
        });
    }
    out
}

pub fn activity_ratio(x: &[f64], baseline: &[f64], n: usize) -> Series {
    let ratio = |x: f64, usual: f64| if usual == 0.0 { 0.0 } else { x / usual };
    (0..x.len())
        .map(|t| match (t + 1).checked_sub(n) {
            None => f64::NAN,
            Some(from) => ratio(average(&x[from..=t]), average(&baseline[from..=t])),
        })
        .collect()
}

/// Regimes of present bars.
pub fn regimes(ratio: &[f64], bounds: &RegimeBounds) -> Series {
    let mut before = 2;
    let mut code = |ratio: f64| {
        let vacuum = bounds.vacuum_below * if before == 0 { bounds.hysteresis } else { 1.0 };
        let thin = bounds.thin_below * if before < 2 { bounds.hysteresis } else { 1.0 };
        before = match ratio {
            x if x == 0.0 || x < vacuum => 0,
            x if x < thin => 1,
            _ => 2,
        };
        f64::from(before)
    };
    ratio.iter().map(|&x| if x.is_nan() { bounds.without_baseline } else { code(x) }).collect()
}
