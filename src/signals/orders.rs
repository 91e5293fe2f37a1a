//! A table of order intents (contract 3, `signals.kind = "orders"`).

use std::ops::Range;
use std::path::Path;

use super::SignalSource;
use super::rows::{Row, Table, Tags};
use crate::error::{BadInput, Result};
use crate::events::{Attached, NO_GROUP, NO_TAG, OrderIntent, OrderKind, Side, SignalTile};
use crate::market::{Market, Tile};

const REQUIRED: &[&str] = &["ts", "symbol", "type", "side"];
const OPTIONAL: &[&str] = &[
    "qty",
    "price",
    "limit_price",
    "stop_loss",
    "take_profit",
    "trail",
    "activation",
    "ttl_bars",
    "reduce_only",
    "post_only",
    "close_position",
    "oco_group",
    "tag",
];
/// Columns of orders that are not there yet: a value in them would be lost.
const REFUSED: &[&str] = &["price", "limit_price", "trail", "activation", "oco_group"];

/// Order intents of a table, the same for every trial.
#[derive(Debug, Clone, Default)]
pub struct OrderTable {
    /// Sorted by `(bar, order_id)`.
    pub intents: Vec<OrderIntent>,
    /// Tags by number, as [`OrderIntent::tag`] counts them.
    pub tags: Vec<String>,
    current: Range<usize>,
}

impl OrderTable {
    /// Intents that were made elsewhere than in a file.
    pub fn new(mut intents: Vec<OrderIntent>, tags: Vec<String>) -> Self {
        intents.sort_by_key(|intent| (intent.bar, intent.order_id));
        Self { intents, tags, current: 0..0 }
    }
}

impl SignalSource for OrderTable {
    fn step(&mut self, _market: &Market, tile: &Tile<'_>) {
        let first_from = |bar: usize| self.intents.partition_point(|intent| (intent.bar as usize) < bar);
        self.current = first_from(tile.bar0)..first_from(tile.bar0 + tile.rows);
    }

    fn trial(&self, _trial: usize) -> SignalTile<'_> {
        SignalTile { intents: &self.intents[self.current.clone()], ..SignalTile::default() }
    }
}

/// Reads a table of order intents for a market; the number of a row, from 0, is its order id.
pub fn read_orders(path: &Path, market: &Market) -> Result<OrderTable> {
    let table = Table::read(path, REQUIRED, OPTIONAL)?;
    if table.len() >= NO_TAG as usize {
        let found = format!("{} rows", table.len());
        return Err(BadInput::expected("fewer than 2^32 orders").file(path).found(found).into());
    }
    let mut tags = Tags::default();
    let mut intents = Vec::with_capacity(table.len());
    for (order_id, row) in table.rows().enumerate() {
        intents.push(read_intent(&row, order_id as u32, market, &mut tags)?);
    }
    Ok(OrderTable::new(intents, tags.names))
}

fn read_intent(row: &Row<'_>, order_id: u32, market: &Market, tags: &mut Tags) -> Result<OrderIntent> {
    let (bar, symbol) = row.place(market)?;
    let kind = read_kind(row)?;
    let side = match row.required("side", "BUY or SELL")? {
        side if side.eq_ignore_ascii_case("buy") => Side::Buy,
        side if side.eq_ignore_ascii_case("sell") => Side::Sell,
        _ => return Err(row.error("side", "BUY or SELL").into()),
    };
    for column in REFUSED {
        row.refuse(column)?;
    }
    if row.flag("post_only")? {
        let fix = "not supported by this version yet; leave it blank";
        return Err(row.error("post_only", "nothing").fix(fix).into());
    }
    let reduce_only = row.flag("reduce_only")?;
    let close_position = row.flag("close_position")?;
    Ok(OrderIntent {
        bar: bar as u32,
        symbol: symbol as u32,
        order_id,
        kind,
        side,
        qty: row.positive("qty")?.unwrap_or(f64::NAN),
        price_px: f64::NAN,
        limit_px: f64::NAN,
        attached: Attached {
            stop_loss_px: row.positive("stop_loss")?.unwrap_or(f64::NAN),
            take_profit_px: row.positive("take_profit")?.unwrap_or(f64::NAN),
            ..Attached::NONE
        },
        ttl_bars: read_ttl(row)?.unwrap_or(u32::from(!(reduce_only || close_position))),
        reduce_only,
        close_position,
        post_only: false,
        oco_group: NO_GROUP,
        tag: tags.id(row, NO_TAG),
    })
}

fn read_kind(row: &Row<'_>) -> Result<OrderKind> {
    let expected = "market";
    let kind = row.required("type", expected)?.to_ascii_lowercase();
    match kind.as_str() {
        "market" => Ok(OrderKind::Market),
        "limit" | "stop" | "stop_limit" => Err(row
            .error("type", expected)
            .fix("not supported by this version yet; use market orders, and stop_loss and take_profit")
            .into()),
        _ => Err(row.error("type", expected).into()),
    }
}

/// Whole bars ≥ 1; `None`: blank. Floats are accepted: a column with blanks comes as floats out of a data frame.
fn read_ttl(row: &Row<'_>) -> Result<Option<u32>> {
    const EXPECTED: &str = "a whole number of bars, at least 1, or blank";
    let Some(bars) = row.number_of("ttl_bars", EXPECTED)? else { return Ok(None) };
    if bars < 1.0 || bars.fract() != 0.0 || bars > f64::from(u32::MAX) {
        return Err(row.error("ttl_bars", EXPECTED).into());
    }
    Ok(Some(bars as u32))
}
