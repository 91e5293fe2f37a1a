//! A table of order intents (contract 3, `signals.kind = "orders"`).
//!
//! What cannot be meant is refused here, with its row: a price where the type has none, levels on an order that never
//! opens, a quantity beside `close_position`. What only the market can answer (a stop loss beyond the open, a trigger
//! already passed) is the engine's.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::SignalSource;
use super::rows::{Row, Table, Tags};
use crate::error::{BadInput, Result, nearest};
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
/// Order intents of a table, the same for every trial.
#[derive(Debug, Clone, Default)]
pub struct OrderTable {
    /// Sorted by `(bar, order_id)`.
    pub intents: Vec<OrderIntent>,
    /// Tags by number, as [`OrderIntent::tag`] counts them.
    pub tags: Vec<String>,
    current: Range<usize>,
    never_trails: bool,
}

impl OrderTable {
    /// Intents that were made elsewhere than in a file.
    pub fn new(mut intents: Vec<OrderIntent>, tags: Vec<String>) -> Self {
        intents.sort_by_key(|intent| (intent.bar, intent.order_id));
        let never_trails = intents.iter().all(|intent| intent.attached.trail_px.is_nan());
        Self { intents, tags, current: 0..0, never_trails }
    }
}

impl SignalSource for OrderTable {
    fn step(&mut self, _market: &Market, tile: &Tile<'_>) {
        let first_from = |bar: usize| self.intents.partition_point(|intent| (intent.bar as usize) < bar);
        self.current = first_from(tile.bar0)..first_from(tile.bar0 + tile.rows);
    }

    fn trial(&self, _trial: usize) -> SignalTile<'_> {
        let (intents, never_trails) = (&self.intents[self.current.clone()], self.never_trails);
        SignalTile { intents, never_trails, ..SignalTile::default() }
    }
}

/// Reads a table of order intents for a market; the number of a row, from 0, is its order id.
pub fn read_orders(path: &Path, market: &Market) -> Result<OrderTable> {
    let table = Table::read(path, REQUIRED, OPTIONAL)?;
    if table.len() >= NO_TAG as usize {
        let found = format!("{} rows", table.len());
        return Err(BadInput::expected("fewer than 2^32 orders").file(path).found(found).into());
    }
    let mut names = Names::default();
    let mut intents = Vec::with_capacity(table.len());
    for (order_id, row) in table.rows().enumerate() {
        intents.push(read_intent(&row, order_id as u32, market, &mut names)?);
    }
    Ok(OrderTable::new(intents, names.tags.names))
}

/// What the rows of a table call by name.
#[derive(Default)]
struct Names {
    tags: Tags,
    groups: BTreeMap<String, u32>,
}

impl Names {
    /// Number of the row's group: any distinct text or number is one.
    fn group(&mut self, row: &Row<'_>) -> u32 {
        let Some(name) = row.text("oco_group").filter(|text| !text.eq_ignore_ascii_case("nan")) else {
            return NO_GROUP;
        };
        // A column of whole numbers with blanks comes as floats out of a data frame.
        let name = match name.strip_suffix(".0") {
            Some(whole) if whole.bytes().all(|byte| byte.is_ascii_digit()) => whole,
            _ => name,
        };
        // Fewer groups than rows, and rows are numbered in 32 bits.
        let next = self.groups.len() as u32;
        *self.groups.entry(name.to_owned()).or_insert(next)
    }
}

fn read_intent(row: &Row<'_>, order_id: u32, market: &Market, names: &mut Names) -> Result<OrderIntent> {
    let (bar, symbol) = row.place(market)?;
    let kind = read_kind(row)?;
    let side = match row.required("side", "BUY or SELL")? {
        side if side.eq_ignore_ascii_case("buy") => Side::Buy,
        side if side.eq_ignore_ascii_case("sell") => Side::Sell,
        _ => return Err(row.error("side", "BUY or SELL").into()),
    };
    let (price_px, limit_px) = read_prices(row, kind)?;
    let post_only = row.flag("post_only")?;
    if post_only && !matches!(kind, OrderKind::Limit | OrderKind::StopLimit) {
        let expected = format!("a limit or stop_limit order, not `{}`, or false", kind.as_str());
        return Err(row.error("post_only", expected).into());
    }
    let reduce_only = row.flag("reduce_only")?;
    let close_position = row.flag("close_position")?;
    if close_position {
        row.blank("qty", "with close_position, which closes whatever is there")?;
    }
    Ok(OrderIntent {
        bar: bar as u32,
        symbol: symbol as u32,
        order_id,
        kind,
        side,
        qty: row.positive("qty")?.unwrap_or(f64::NAN),
        price_px,
        limit_px,
        attached: read_levels(row, side, reduce_only || close_position)?,
        ttl_bars: read_ttl(row)?.unwrap_or(u32::from(!(reduce_only || close_position))),
        reduce_only,
        close_position,
        post_only,
        oco_group: names.group(row),
        tag: names.tags.id(row, NO_TAG),
    })
}

fn read_kind(row: &Row<'_>) -> Result<OrderKind> {
    const EXPECTED: &str = "market, limit, stop or stop_limit";
    let text = row.required("type", EXPECTED)?.to_ascii_lowercase();
    let kinds = [OrderKind::Market, OrderKind::Limit, OrderKind::Stop, OrderKind::StopLimit];
    match kinds.into_iter().find(|kind| kind.as_str() == text) {
        Some(kind) => Ok(kind),
        None => {
            let mut bad = row.error("type", EXPECTED);
            bad.fix =
                nearest(&text, kinds.map(OrderKind::as_str)).map(|near| format!("did you mean `{near}`?"));
            Err(bad.into())
        }
    }
}

/// `price` and `limit_price`: those that the type has, and no other.
fn read_prices(row: &Row<'_>, kind: OrderKind) -> Result<(f64, f64)> {
    const NO_LIMIT: &str = "on an order that is no stop_limit";
    let price = match kind {
        OrderKind::Market => {
            row.blank("price", "on a market order")?;
            f64::NAN
        }
        OrderKind::Limit => row.required_price("price", "the limit price, a positive number")?,
        OrderKind::Stop | OrderKind::StopLimit => {
            row.required_price("price", "the trigger price, a positive number")?
        }
    };
    let limit_price = if kind == OrderKind::StopLimit {
        row.required_price("limit_price", "the limit price of a stop_limit order, a positive number")?
    } else {
        row.blank("limit_price", NO_LIMIT)?;
        f64::NAN
    };
    Ok((price, limit_price))
}

/// The levels an order sets where it increases a position.
fn read_levels(row: &Row<'_>, side: Side, only_reduces: bool) -> Result<Attached> {
    if only_reduces {
        for column in ["stop_loss", "take_profit", "trail", "activation"] {
            row.blank(column, "on a reduce_only or close_position order, which never opens a position")?;
        }
        return Ok(Attached::NONE);
    }
    let level = |column: &str| -> Result<f64> { Ok(row.positive(column)?.unwrap_or(f64::NAN)) };
    let (trail_px, activation_px) = (level("trail")?, level("activation")?);
    if trail_px.is_nan() {
        row.blank("activation", "without `trail`, the distance it activates")?;
    }
    let (stop_loss_px, take_profit_px) = row.bracket("stop_loss", "take_profit", side)?;
    Ok(Attached { stop_loss_px, take_profit_px, trail_px, activation_px })
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
