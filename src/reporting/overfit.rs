//! How much of a Sharpe ratio is luck: PSR, DSR, minimum track record, PBO by CSCV (semantics 9.7, 9.8).
//!
//! Pure functions over numbers and return columns; what a trial is and where its returns are kept is the sweep's
//! business. Sharpe ratios here are per period, not annualised; kurtosis is raw (3 for a normal).

use std::f64::consts::{E, SQRT_2};

use statrs::function::erf::erfc_inv;

/// Euler–Mascheroni constant.
const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;

/// Standard normal distribution function `Φ(x) = erfc(−x/√2)/2`.
///
/// `erfc` is libm's own code and not the system's, so the bits are the same everywhere.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// Standard normal quantile `Φ⁻¹(p) = −√2·erfc⁻¹(2p)`; infinite at 0 and 1.
pub fn normal_quantile(p: f64) -> f64 {
    -SQRT_2 * erfc_inv(2.0 * p)
}

/// A Sharpe ratio and the sample it comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SharpeSample {
    /// Sharpe ratio per period.
    pub sharpe: f64,
    /// Number of returns.
    pub observations: f64,
    /// Skewness of the returns.
    pub skew: f64,
    /// Raw kurtosis of the returns.
    pub kurtosis: f64,
}

impl SharpeSample {
    /// `1 − γ3·SR + ((γ4 − 1)/4)·SR²`, where it is positive.
    fn spread(&self) -> Option<f64> {
        let sr = self.sharpe;
        Some(1.0 - self.skew * sr + (self.kurtosis - 1.0) / 4.0 * sr * sr).filter(|&x| x > 0.0)
    }
}

/// Probabilistic Sharpe ratio: the probability that the true ratio exceeds `benchmark`.
///
/// `Φ((SR − SR*)·√(n − 1)/√(1 − γ3·SR + ((γ4 − 1)/4)·SR²))`; `None` for `n < 3` or a radicand ≤ 0.
/// Source: Bailey & López de Prado 2012.
pub fn probabilistic_sharpe(sample: &SharpeSample, benchmark: f64) -> Option<f64> {
    if sample.observations < 3.0 {
        return None;
    }
    let spread = sample.spread()?.sqrt();
    Some(normal_cdf((sample.sharpe - benchmark) * (sample.observations - 1.0).sqrt() / spread))
        .filter(|p| p.is_finite())
}

/// Expected largest Sharpe ratio of `trials` without skill:
/// `SR0 = √V·((1 − γ)·Φ⁻¹(1 − 1/N) + γ·Φ⁻¹(1 − 1/(N·e)))`; `None` for `N < 2`.
///
/// `variance` is that of the trials' ratios in the same periodicity. Source: Bailey & López de Prado 2014.
pub fn expected_max_sharpe(trials: f64, variance: f64) -> Option<f64> {
    if trials < 2.0 || variance.is_nan() || variance < 0.0 {
        return None;
    }
    let first = normal_quantile(1.0 - 1.0 / trials);
    let second = normal_quantile(1.0 - 1.0 / (trials * E));
    Some(variance.sqrt() * ((1.0 - EULER_GAMMA) * first + EULER_GAMMA * second))
}

/// Deflated Sharpe ratio: the PSR against what the best of `trials` reaches by luck.
pub fn deflated_sharpe(sample: &SharpeSample, trials: f64, variance: f64) -> Option<f64> {
    probabilistic_sharpe(sample, expected_max_sharpe(trials, variance)?)
}

/// Minimum track record length, in periods: how many returns make the ratio significant.
///
/// `1 + (1 − γ3·SR + ((γ4 − 1)/4)·SR²)·(z/(SR − SR*))²`, `z = Φ⁻¹(confidence)`; `None` when the ratio does not exceed
/// the benchmark. Source: Bailey & López de Prado 2012.
pub fn min_track_record(sample: &SharpeSample, benchmark: f64, confidence: f64) -> Option<f64> {
    let edge = sample.sharpe - benchmark;
    if edge.is_nan() || edge <= 0.0 {
        return None;
    }
    let z = normal_quantile(confidence) / edge;
    Some(1.0 + sample.spread()? * z * z).filter(|length| length.is_finite())
}

/// One way to split the blocks into in-sample and out-of-sample halves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CscvSplit {
    /// In-sample blocks as a bit mask.
    pub in_sample: u32,
    /// Trial with the best in-sample ratio.
    pub best: usize,
    /// Its in-sample Sharpe ratio.
    pub in_sample_sharpe: f64,
    /// Its out-of-sample Sharpe ratio.
    pub out_of_sample_sharpe: f64,
    /// Its average rank out of sample, 1 = worst.
    pub oos_rank: f64,
    /// `ω = rank/(N + 1)`.
    pub omega: f64,
    /// `λ = ln(ω/(1 − ω))`.
    pub logit: f64,
}

/// What CSCV found.
#[derive(Debug, Clone, PartialEq)]
pub struct Cscv {
    /// Every split, in lexicographic order of its in-sample blocks.
    pub splits: Vec<CscvSplit>,
    /// Share of splits with `λ ≤ 0`.
    pub pbo: f64,
    /// OLS slope of out-of-sample on in-sample ratio of the chosen trials; `None` without spread.
    pub slope: Option<f64>,
    /// Share of splits in which the chosen trial lost out of sample.
    pub oos_loss_probability: f64,
}

/// Most blocks a split may have: 12,870 splits.
pub const CSCV_BLOCKS: usize = 16;

/// Probability of backtest overfitting by combinatorially symmetric cross-validation.
///
/// `trials[k]` are the returns of trial `k`, all of one length. They are cut into `blocks` (even, 2 to 16) equal
/// blocks, the oldest remainder dropped; every half of the blocks is in-sample once. The ratio is `mean/s` (ddof 1); a
/// trial without variance counts as 0: it earned nothing. A `NaN` return (after ruin) counts as 0.
/// `None` with fewer than two trials or two periods per block. Source: Bailey, Borwein, López de Prado & Zhu 2015.
///
/// # Panics
/// When the trials differ in length.
pub fn pbo_cscv(trials: &[&[f64]], blocks: usize) -> Option<Cscv> {
    if trials.len() < 2 || !(2..=CSCV_BLOCKS).contains(&blocks) || !blocks.is_multiple_of(2) {
        return None;
    }
    let periods = trials[0].len();
    assert!(trials.iter().all(|t| t.len() == periods), "trials have one length");
    let block_len = periods / blocks;
    if block_len < 2 {
        return None;
    }
    let sums = BlockSums::new(trials, blocks, block_len);
    let splits: Vec<CscvSplit> = halves(blocks).map(|mask| sums.split(mask)).collect();
    let count = splits.len() as f64;
    let share = |test: &dyn Fn(&CscvSplit) -> bool| splits.iter().filter(|s| test(s)).count() as f64 / count;
    Some(Cscv {
        pbo: share(&|s| s.logit <= 0.0),
        oos_loss_probability: share(&|s| s.out_of_sample_sharpe < 0.0),
        slope: slope(&splits),
        splits,
    })
}

/// Masks with half of the bits set, in lexicographic order of the blocks they name (`{0,1}`, `{0,2}`, …).
fn halves(blocks: usize) -> impl Iterator<Item = u32> {
    // Block 0 is the highest bit while counting down, so descending numbers are lexicographic.
    let reverse = move |mask: u32| mask.reverse_bits() >> (32 - blocks);
    (0..1u32 << blocks).rev().filter(move |m| m.count_ones() as usize == blocks / 2).map(reverse)
}

/// First and second moments of every block of every trial, around the trial's mean so that nothing cancels.
struct BlockSums {
    /// `[block][trial]`.
    first: Vec<f64>,
    /// `[block][trial]`.
    second: Vec<f64>,
    /// Mean of each trial.
    mean: Vec<f64>,
    blocks: usize,
    block_len: usize,
}

impl BlockSums {
    fn new(trials: &[&[f64]], blocks: usize, block_len: usize) -> Self {
        let count = trials.len();
        let (mut first, mut second) = (vec![0.0; blocks * count], vec![0.0; blocks * count]);
        let mut means = Vec::with_capacity(count);
        let value = |r: &f64| if r.is_nan() { 0.0 } else { *r };
        for (k, returns) in trials.iter().enumerate() {
            let used = &returns[returns.len() - blocks * block_len..];
            let mean = used.iter().map(value).sum::<f64>() / used.len() as f64;
            means.push(mean);
            for (b, block) in used.chunks_exact(block_len).enumerate() {
                for d in block.iter().map(|r| value(r) - mean) {
                    first[b * count + k] += d;
                    second[b * count + k] += d * d;
                }
            }
        }
        Self { first, second, mean: means, blocks, block_len }
    }

    /// Sharpe ratio of every trial over the blocks of a mask.
    fn ratios(&self, mask: u32) -> Vec<f64> {
        let count = self.mean.len();
        let (mut first, mut second) = (vec![0.0; count], vec![0.0; count]);
        for b in (0..self.blocks).filter(|b| mask >> b & 1 != 0) {
            let span = b * count..(b + 1) * count;
            for (sum, x) in first.iter_mut().zip(&self.first[span.clone()]) {
                *sum += x;
            }
            for (sum, x) in second.iter_mut().zip(&self.second[span]) {
                *sum += x;
            }
        }
        let n = (mask.count_ones() as usize * self.block_len) as f64;
        let ratio = |((f, s), mean): ((&f64, &f64), &f64)| {
            let deviation = ((s - f * f / n).max(0.0) / (n - 1.0)).sqrt();
            let mean = mean + f / n;
            if super::stats::is_zero_variance(deviation, mean.abs()) { 0.0 } else { mean / deviation }
        };
        first.iter().zip(&second).zip(&self.mean).map(ratio).collect()
    }

    fn split(&self, mask: u32) -> CscvSplit {
        let inside = self.ratios(mask);
        let outside = self.ratios(!mask & ((1 << self.blocks) - 1));
        let best = (1..inside.len()).fold(0, |best, k| if inside[k] > inside[best] { k } else { best });
        let chosen = outside[best];
        let below = outside.iter().filter(|&&x| x < chosen).count() as f64;
        let equal = outside.iter().filter(|&&x| x == chosen).count() as f64;
        let oos_rank = below + (equal + 1.0) / 2.0;
        let omega = oos_rank / (outside.len() as f64 + 1.0);
        CscvSplit {
            in_sample: mask,
            best,
            in_sample_sharpe: inside[best],
            out_of_sample_sharpe: chosen,
            oos_rank,
            omega,
            logit: libm::log(omega / (1.0 - omega)),
        }
    }
}

fn slope(splits: &[CscvSplit]) -> Option<f64> {
    let n = splits.len() as f64;
    let mean_x = splits.iter().map(|s| s.in_sample_sharpe).sum::<f64>() / n;
    let mean_y = splits.iter().map(|s| s.out_of_sample_sharpe).sum::<f64>() / n;
    let (mut xx, mut xy) = (0.0, 0.0);
    for split in splits {
        let dx = split.in_sample_sharpe - mean_x;
        xx += dx * dx;
        xy += dx * (split.out_of_sample_sharpe - mean_y);
    }
    (xx > 0.0).then_some(xy / xx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_come_in_lexicographic_order() {
        let masks: Vec<u32> = halves(4).collect();
        assert_eq!(masks, [0b0011, 0b0101, 0b1001, 0b0110, 0b1010, 0b1100]);
        assert_eq!(halves(16).count(), 12_870);
    }

    #[test]
    fn normal_quantile_inverts_the_distribution() {
        for p in [1e-9, 0.01, 0.3, 0.5, 0.95, 0.999_999] {
            assert!((normal_cdf(normal_quantile(p)) / p - 1.0).abs() < 1e-12, "{p}");
        }
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-14);
    }

    #[test]
    fn undefined_ratios_are_none() {
        let sample = SharpeSample { sharpe: 0.1, observations: 2.0, skew: 0.0, kurtosis: 3.0 };
        assert_eq!(probabilistic_sharpe(&sample, 0.0), None);
        let skewed = SharpeSample { sharpe: 1.0, observations: 100.0, skew: 5.0, kurtosis: 3.0 };
        assert_eq!(probabilistic_sharpe(&skewed, 0.0), None);
        assert_eq!(expected_max_sharpe(1.0, 0.1), None);
        let losing = SharpeSample { sharpe: -0.1, ..sample };
        assert_eq!(min_track_record(&losing, 0.0, 0.95), None);
        assert_eq!(pbo_cscv(&[&[0.0; 100]], 4), None);
        assert_eq!(pbo_cscv(&[&[0.0; 5], &[0.0; 5]], 4), None);
    }
}
