//! The funding tape: settlement records of all symbols in bar order (semantics 3.3).

/// One settlement of one symbol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FundingRecord {
    /// Bar in whose open phase it settles: the first bar that opens at or after `time_ms`.
    pub bar: u32,
    /// Symbol id.
    pub symbol: u32,
    /// Settlement time τ after jitter was snapped, UTC epoch ms.
    pub time_ms: i64,
    /// Rate as a fraction; positive: longs pay.
    pub rate_frac: f64,
    /// Mark price `M(τ)`, USDT: the record's, else the bar's open, else the last close; never `NaN`.
    pub mark_px: f64,
    /// Time to the next settlement as far as it was known at τ, ms: the record's own interval, else the time since the
    /// record before; 0: unknown.
    pub interval_ms: i64,
}

/// All records, sorted by `(bar, time, symbol)`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FundingTape {
    /// The records.
    pub records: Vec<FundingRecord>,
}

impl FundingTape {
    /// Sorts records into a tape.
    pub fn new(mut records: Vec<FundingRecord>) -> Self {
        records.sort_by_key(|r| (r.bar, r.time_ms, r.symbol));
        Self { records }
    }
    /// Index of the first record at or after `bar`.
    pub fn first_from(&self, bar: usize) -> usize {
        self.records.partition_point(|r| (r.bar as usize) < bar)
    }
}
