//! Random numbers whose bits are the same on every machine: ChaCha8 streams, integer sums, exact arithmetic.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream is for; each symbol has one stream per purpose, so that no draw of one moves another.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// The common factor and the volatility level of the whole market.
    Market = 0,
    /// Constants of a symbol.
    Profile = 1,
    /// Prices and volumes.
    Path = 2,
    /// Missing and empty bars.
    Gaps = 3,
    /// Funding.
    Funding = 4,
}

/// One random stream.
pub(super) struct Random(ChaCha8Rng);

impl Random {
    /// Stream of `purpose` of symbol `index` (0 for the market's).
    pub(super) fn new(seed: u64, purpose: Purpose, index: usize) -> Self {
        // The key is written out here, because how a seed is widened to a key belongs to the crate.
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..15].copy_from_slice(b"barloom");
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(index as u64 * 8 + purpose as u64);
        Self(rng)
    }

    /// Uniform in `[0, 1)` on a grid of 2⁻⁵³.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `[from, to)`.
    pub(super) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.uniform()
    }

    /// Whole number in `0..n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    /// True once in `n` on average.
    pub(super) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Nearly standard normal: the sum of twelve 16-bit uniforms, less its mean; within ±6.
    ///
    /// The sum is an integer, so no rounding and no order of additions is involved.
    pub(super) fn normal(&mut self) -> f64 {
        let mut sum = 0_u64;
        for _ in 0..3 {
            let word = self.0.next_u64();
            sum += (word & 0xffff) + (word >> 16 & 0xffff) + (word >> 32 & 0xffff) + (word >> 48);
        }
        (sum as f64 - 12.0 * 32_767.5) / 65_536.0
    }
}

/// `exp(x)` for small `x`, by the Padé fraction `(2+x)/(2−x)`; error x³/12, and `growth(-x)` is `1/growth(x)`.
pub(super) fn growth(x: f64) -> f64 {
    (2.0 + x) / (2.0 - x)
}

/// `exp(x)` for `|x|` up to 4, within 2.2 %: `growth(x/16)¹⁶`.
pub(super) fn growth_wide(x: f64) -> f64 {
    let mut power = growth(x / 16.0);
    for _ in 0..4 {
        power *= power;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_have_unit_variance_and_streams_differ() {
        let mut random = Random::new(3, Purpose::Path, 5);
        let draws: Vec<f64> = (0..200_000).map(|_| random.normal()).collect();
        let n = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / n;
        let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.01, "{variance}");
        let first = |index| Random::new(3, Purpose::Path, index).normal();
        assert_ne!(first(0), first(1));
    }

    #[test]
    fn the_stream_is_the_one_on_record() {
        // Computed apart from this code, from the definition of ChaCha8: pins key layout, stream and sums.
        let mut random = Random::new(1, Purpose::Market, 0);
        assert_eq!((random.normal(), random.uniform()), (-0.7131500244140625, 0.3675325667929191));
    }

    #[test]
    fn growth_is_near_exp() {
        for step in -40..=40 {
            let x = f64::from(step) / 10.0;
            assert!((growth_wide(x) / x.exp() - 1.0).abs() < 0.022, "{x}");
        }
        assert!((growth(0.01) - 0.01_f64.exp()).abs() < 1e-7);
    }
}
