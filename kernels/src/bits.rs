//! Bit masks turned by a quarter, from one word per bar (bit = lane) to one word per lane (bit = bar) and back, and counted.

use crate::simd::at_level;

/// Transposes a 64 × 64 bit matrix in place: bit `j` of word `i` becomes bit `i` of word `j`.
///
/// Formula: swap the off-diagonal halves, then the quarters within them, and so on: 6 passes of 32 exchanges.
/// Shape: 64 words. Units: none. Warm-up: none. NaN: there is none in bits. Source: Warren, Hacker's Delight, 7-3.
///
/// ```
/// let mut words = [0_u64; 64];
/// words[3] = 1 << 40;
/// barloom_kernels::bits::transpose64(&mut words);
/// assert_eq!(words[40], 1 << 3);
/// ```
pub fn transpose64(words: &mut [u64; 64]) {
    let mut width = 32;
    let mut low_half = u64::MAX >> 32;
    while width > 0 {
        let mut at = 0;
        while at < 64 {
            let exchange = (words[at] >> width ^ words[at + width]) & low_half;
            words[at + width] ^= exchange;
            words[at] ^= exchange << width;
            at = (at + width + 1) & !width;
        }
        width >>= 1;
        low_half ^= low_half << width;
    }
}

/// Bits set in each row of mask words.
///
/// Formula: definition. Shape: `words` words per row in, one count per row out. Units: bits. Warm-up: none. NaN: none.
/// Source: definition.
///
/// ```
/// let mut counts = [0; 2];
/// barloom_kernels::bits::count_bits(&[0b101, 1 << 63, 0, 1], 2, &mut counts);
/// assert_eq!(counts, [3, 1]);
/// ```
///
/// # Panics
/// When the shapes do not fit.
pub fn count_bits(masks: &[u64], words: usize, counts: &mut [u32]) {
    assert_eq!(masks.len(), words * counts.len(), "so many words per row");
    at_level!(_simd => {
        if words == 1 {
            for (count, mask) in counts.iter_mut().zip(masks) {
                *count = mask.count_ones();
            }
        } else {
            for (count, row) in counts.iter_mut().zip(masks.chunks_exact(words)) {
                *count = row.iter().map(|mask| mask.count_ones()).sum();
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(words: &[u64; 64]) -> [u64; 64] {
        let mut turned = [0; 64];
        for (i, word) in words.iter().enumerate() {
            for (j, turned) in turned.iter_mut().enumerate() {
                *turned |= (word >> j & 1) << i;
            }
        }
        turned
    }

    proptest! {
        #[test]
        fn counts_are_those_of_single_bits(masks in prop::collection::vec(any::<u64>(), 24), words in prop::sample::select(vec![1_usize, 2, 3])) {
            let mut counts = vec![0; 24 / words];
            count_bits(&masks, words, &mut counts);
            for (row, count) in masks.chunks(words).zip(counts) {
                let naive = (0..64 * words).filter(|bit| row[bit / 64] >> (bit % 64) & 1 != 0).count();
                prop_assert_eq!(count as usize, naive);
            }
        }

        #[test]
        fn transpose64_is_its_naive_twin_and_its_own_inverse(words in prop::collection::vec(any::<u64>(), 64)) {
            let words: [u64; 64] = words.try_into().expect("64 words");
            let mut fast = words;
            transpose64(&mut fast);
            prop_assert_eq!(fast, naive(&words));
            transpose64(&mut fast);
            prop_assert_eq!(fast, words);
        }
    }
}
