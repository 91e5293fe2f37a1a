//! A table of signals (contract 3, `signals.kind = "table"`): LONG, SHORT or FLAT at a close.

use std::ops::Range;
use std::path::Path;

use super::SignalSource;
use super::rows::{Row, Table, Tags};
use crate::error::{BadInput, Result};
use crate::events::{Attached, AttachedLevels, EntryOrder, NO_TAG, PointValues, Side, SignalTile};
use crate::market::{Market, Tile};

const REQUIRED: &[&str] = &["ts", "symbol", "side"];
const OPTIONAL: &[&str] = &["entry_price", "stop_price", "take_profit", "weight", "tag"];

/// What a row wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Long,
    Short,
    Flat,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Signal {
    bar: u32,
    symbol: u32,
    wanted: Wanted,
    /// Price of a limit entry, USDT; `NaN`: at the market.
    entry_px: f64,
    stop_loss_px: f64,
    take_profit_px: f64,
    tag: u32,
    /// Row of the file, for the message about two rows at one place.
    row: u64,
}

impl Signal {
    fn place(&self) -> (u32, u32) {
        (self.bar, self.symbol)
    }
}

/// Signals of a table, the same for every trial.
#[derive(Debug, Clone, Default)]
pub struct SignalTable {
    /// Tags by number, as [`PointValues::tag`] counts them.
    pub tags: Vec<String>,
    signals: Vec<Signal>,
    has_values: bool,
    current: Range<usize>,
    /// Long entry, short entry, and both exits.
    masks: [Vec<u64>; 3],
    len: usize,
}

impl SignalSource for SignalTable {
    fn step(&mut self, _market: &Market, tile: &Tile<'_>) {
        let first_from = |bar: usize| self.signals.partition_point(|signal| (signal.bar as usize) < bar);
        self.current = first_from(tile.bar0)..first_from(tile.bar0 + tile.rows);
        self.len = tile.rows * tile.words;
        for mask in &mut self.masks {
            mask.resize(self.len.max(mask.len()), 0);
            mask.fill(0);
        }
        for signal in &self.signals[self.current.clone()] {
            let (row, symbol) = (signal.bar as usize - tile.bar0, signal.symbol as usize);
            let mask = match signal.wanted {
                Wanted::Long => &mut self.masks[0],
                Wanted::Short => &mut self.masks[1],
                Wanted::Flat => &mut self.masks[2],
            };
            mask[row * tile.words + symbol / 64] |= 1 << (symbol % 64);
        }
    }

    fn trial(&self, _trial: usize) -> SignalTile<'_> {
        let mask = |index: usize| Some(&self.masks[index][..self.len]);
        SignalTile {
            long_entry: mask(0),
            long_exit: mask(2),
            short_entry: mask(1),
            short_exit: mask(2),
            values: self.has_values.then_some(self as &dyn PointValues),
            intents: &[],
            never_trails: true,
        }
    }
}

impl SignalTable {
    fn find(&self, tile: &Tile<'_>, row: usize, symbol: usize) -> Option<&Signal> {
        let here = &self.signals[self.current.clone()];
        let place = ((tile.bar0 + row) as u32, symbol as u32);
        here.binary_search_by_key(&place, Signal::place).ok().map(|index| &here[index])
    }
}

impl PointValues for SignalTable {
    fn attached_levels(&self, tile: &Tile<'_>, row: usize, symbol: usize, _side: Side) -> AttachedLevels {
        let levels = self.find(tile, row, symbol).map(|s| (s.stop_loss_px, s.take_profit_px));
        let (stop_loss_px, take_profit_px) = levels.unwrap_or((f64::NAN, f64::NAN));
        AttachedLevels::Prices(Attached { stop_loss_px, take_profit_px, ..Attached::NONE })
    }

    fn entry_order(&self, tile: &Tile<'_>, row: usize, symbol: usize, _side: Side) -> EntryOrder {
        match self.find(tile, row, symbol) {
            Some(signal) if !signal.entry_px.is_nan() => EntryOrder::Limit(signal.entry_px),
            _ => EntryOrder::Market,
        }
    }

    fn tag(&self, tile: &Tile<'_>, row: usize, symbol: usize) -> u32 {
        self.find(tile, row, symbol).map_or(NO_TAG, |signal| signal.tag)
    }
}

/// Reads a table of signals for a market.
pub fn read_table(path: &Path, market: &Market) -> Result<SignalTable> {
    let table = Table::read(path, REQUIRED, OPTIONAL)?;
    let mut tags = Tags::default();
    let mut signals = Vec::with_capacity(table.len());
    for row in table.rows() {
        signals.push(read_signal(&row, market, &mut tags)?);
    }
    signals.sort_by_key(|signal| (signal.bar, signal.symbol, signal.row));
    if let Some(pair) = signals.windows(2).find(|pair| pair[0].place() == pair[1].place()) {
        let symbol = &market.symbols[pair[1].symbol as usize].name;
        return Err(BadInput::expected("one row per `ts` and `symbol`")
            .file(path)
            .row(pair[1].row)
            .key("ts")
            .found(format!("a second row for {symbol} (the first is row {})", pair[0].row))
            .fix("remove one of them")
            .into());
    }
    let has_values = signals.iter().any(|s| {
        let prices = [s.entry_px, s.stop_loss_px, s.take_profit_px];
        prices.iter().any(|px| !px.is_nan()) || s.tag != NO_TAG
    });
    Ok(SignalTable { tags: tags.names, signals, has_values, ..SignalTable::default() })
}

fn read_signal(row: &Row<'_>, market: &Market, tags: &mut Tags) -> Result<Signal> {
    let (bar, symbol) = row.place(market)?;
    let expected = "LONG, SHORT or FLAT";
    let wanted = match row.required("side", expected)?.to_ascii_uppercase().as_str() {
        "LONG" => Wanted::Long,
        "SHORT" => Wanted::Short,
        "FLAT" => Wanted::Flat,
        _ => return Err(row.error("side", expected).into()),
    };
    // Until a size can be given by weight, one would be lost.
    row.refuse("weight")?;
    if wanted == Wanted::Flat {
        row.blank("entry_price", "on a FLAT row, which enters nothing and exits at the market")?;
    }
    let side = if wanted == Wanted::Short { Side::Sell } else { Side::Buy };
    let (stop_loss_px, take_profit_px) = match wanted {
        Wanted::Flat => {
            // Levels of a row that enters nothing are read by nobody, but must still be prices.
            row.positive("stop_price")?;
            row.positive("take_profit")?;
            (f64::NAN, f64::NAN)
        }
        Wanted::Long | Wanted::Short => row.bracket("stop_price", "take_profit", side)?,
    };
    Ok(Signal {
        bar: bar as u32,
        symbol: symbol as u32,
        wanted,
        entry_px: row.positive("entry_price")?.unwrap_or(f64::NAN),
        stop_loss_px,
        take_profit_px,
        tag: tags.id(row, NO_TAG),
        row: row.number(),
    })
}
