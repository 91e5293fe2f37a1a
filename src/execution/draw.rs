//! Draws that belong to one order and not to a stream: the same for any order of events (semantics 2.5).

/// A number in `[0, 1)` for an order of a symbol: FNV-1a over seed, name and number, then the finaliser of splitmix64.
///
/// Sources: Fowler, Noll & Vo, FNV hash; Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
///
/// ```
/// use barloom::execution::draw::draw;
/// let u = draw(1, "BTCUSDT", 7);
/// assert!((0.0..1.0).contains(&u) && u != draw(2, "BTCUSDT", 7) && u != draw(1, "BTCUSDT", 8));
/// ```
pub fn draw(seed: u64, symbol: &str, number: u64) -> f64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let (seed, number) = (seed.to_le_bytes(), number.to_le_bytes());
    let bytes = seed.iter().chain(symbol.as_bytes()).chain(&number);
    let mut h = bytes.fold(OFFSET, |h, &byte| (h ^ u64::from(byte)).wrapping_mul(PRIME));
    h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^= h >> 31;
    (h >> 11) as f64 / (1u64 << 53) as f64
}

/// The number of a take profit that was set in a bar: no order id is as large.
pub fn target_number(bar: u32) -> u64 {
    (1 << 32) + u64::from(bar)
}
