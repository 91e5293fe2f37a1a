//! Chance, the same on every machine and in every bar: one number per order (semantics 2.5; decision 7.7).

/// A number in `[0, 1)`: FNV-1a (64 bit) over the seed, the symbol's name and the order's number, whole numbers as 8
/// little-endian bytes; then the finaliser of splitmix64; the upper 53 bits over 2⁵³.
pub(crate) fn draw(seed: u64, symbol: &str, number: u64) -> f64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in seed.to_le_bytes().into_iter().chain(symbol.bytes()).chain(number.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}
