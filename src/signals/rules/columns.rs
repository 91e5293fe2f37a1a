//! The columns an expression may read, and the one that is made here: the funding rate.

use crate::market::{Market, Tile};

/// A column of the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Column {
    Open,
    High,
    Low,
    Close,
    Volume,
    QuoteVolume,
    Mark,
    FundingRate,
    /// Given regimes; without a name in the language.
    Regime,
    /// Given usual volumes; without a name in the language.
    BaselineVolume,
}

/// Names and columns.
pub(super) static COLUMNS: &[(&str, Column)] = &[
    ("open", Column::Open),
    ("high", Column::High),
    ("low", Column::Low),
    ("close", Column::Close),
    ("volume", Column::Volume),
    ("quote_volume", Column::QuoteVolume),
    ("funding_rate", Column::FundingRate),
    ("mark", Column::Mark),
];

impl Column {
    pub(super) fn find(name: &str) -> Option<Self> {
        COLUMNS.iter().find(|(known, _)| *known == name).map(|(_, column)| *column)
    }

    /// Whether this market has it.
    pub(super) fn is_in(self, market: &Market) -> bool {
        match self {
            Self::QuoteVolume => market.panels.quote_volume.is_some(),
            Self::Mark => market.panels.mark.is_some(),
            Self::Regime => market.panels.regime.is_some(),
            Self::BaselineVolume => market.panels.baseline_volume.is_some(),
            _ => true,
        }
    }

    /// Its panel in a tile.
    ///
    /// # Panics
    /// For the funding rate, which has no panel in a tile, and for a column the market lacks.
    pub(super) fn of<'a>(self, tile: &Tile<'a>) -> &'a [f64] {
        match self {
            Self::Open => tile.open,
            Self::High => tile.high,
            Self::Low => tile.low,
            Self::Close => tile.close,
            Self::Volume => tile.volume,
            Self::QuoteVolume => tile.quote_volume.expect("checked when the rules were compiled"),
            Self::Mark => tile.mark_close.expect("checked when the rules were compiled"),
            Self::Regime => tile.regime.expect("checked when the rules were compiled"),
            Self::BaselineVolume => tile.baseline_volume.expect("checked when the rules were compiled"),
            Self::FundingRate => unreachable!("the funding rate is made by FundingRates"),
        }
    }
}

/// The rate of each symbol's last settled record, known at the close of a bar (semantics 1.3 b).
#[derive(Debug, Default)]
pub(super) struct FundingRates {
    next_record: usize,
    last: Vec<f64>,
}

impl FundingRates {
    /// Fills `out` with the rates at the closes of a tile: `NaN` before the first record and at missing bars.
    pub(super) fn fill(&mut self, market: &Market, tile: &Tile<'_>, out: &mut [f64]) {
        if tile.bar0 == 0 {
            self.next_record = 0;
            self.last.clear();
        }
        self.last.resize(tile.lanes, f64::NAN);
        let records = &market.funding.records;
        for row in 0..tile.rows {
            let known_ms = market.grid.close_ms(tile.bar0 + row);
            // Records are in bar order, and the bar grows with the time.
            while let Some(record) = records.get(self.next_record).filter(|r| r.time_ms <= known_ms) {
                self.last[record.symbol as usize] = record.rate_frac;
                self.next_record += 1;
            }
            let closes = tile.row(tile.close, row);
            let slots = &mut out[row * tile.lanes..][..tile.lanes];
            for ((slot, &rate), close) in slots.iter_mut().zip(&self.last).zip(closes) {
                *slot = if close.is_nan() { f64::NAN } else { rate };
            }
        }
    }
}
