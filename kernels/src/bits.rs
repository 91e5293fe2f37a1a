//! Bit masks turned by a quarter: from one word per bar (bit = lane) to one word per lane (bit = bar), and back.

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

#[cfg(test)]
mod tests {
    use super::transpose64;
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
