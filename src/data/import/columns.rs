//! Columns: which column of a source is which of ours, and what a row must satisfy.
//!
//! It knows column names and values; where the rows come from is `csv_rows`' and `arrow_rows`' business.

use super::names::Role;
use super::{Judged, TsKind};
use crate::error::BadInput;

/// A column of the layout and the names it goes by elsewhere, without case, spaces and punctuation.
struct Field {
    name: &'static str,
    aliases: &'static [&'static str],
    required: bool,
}

const fn field(name: &'static str, aliases: &'static [&'static str], required: bool) -> Field {
    Field { name, aliases, required }
}

/// Stamps by order of preference. What `TsKind` decides is only what a name does not say itself.
const STAMPS: &[(&str, Option<TsKind>)] = &[
    ("opentime", Some(TsKind::Open)),
    ("calctime", None),
    ("fundingtime", None),
    ("ts", None),
    ("timestamp", None),
    ("datetime", None),
    ("date", None),
    ("time", None),
    ("closetime", Some(TsKind::Close)),
    ("indexlevel0", None),
];

const BARS: &[Field] = &[
    field("open", &["open", "o"], true),
    field("high", &["high", "h"], true),
    field("low", &["low", "l"], true),
    field("close", &["close", "c"], true),
    field("volume", &["volume", "vol", "v", "basevolume"], true),
    field("quote_volume", &["quotevolume", "quoteassetvolume", "quotevol", "turnover"], false),
    field("mark", &["mark", "markprice", "markclose"], false),
];
const MARK: &[Field] = &[field("mark", &["close", "c", "mark", "markprice"], true)];
const FUNDING: &[Field] = &[
    // A table named as funding whose rate stands in `open` is how one bot stores it.
    field("funding_rate", &["fundingrate", "lastfundingrate", "rate", "open"], true),
    field("mark_price", &["markprice", "mark"], false),
    field("interval_hours", &["intervalhours", "fundingintervalhours", "fundinginterval"], false),
];

fn fields(role: Role) -> &'static [Field] {
    match role {
        Role::Bars => BARS,
        Role::Mark => MARK,
        Role::Funding => FUNDING,
    }
}

/// Names of a role's columns, in the order of [`Rows::columns`].
pub(super) fn column_names(role: Role) -> impl Iterator<Item = &'static str> {
    fields(role).iter().map(|field| field.name)
}

/// Header of a file that has none, by role and number of columns.
pub(super) fn implied_header(role: Role, columns: usize) -> Option<&'static str> {
    match (role, columns) {
        (Role::Bars | Role::Mark, 12) => Some(
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,\
             taker_buy_quote_volume,ignore",
        ),
        (Role::Bars | Role::Mark, 6) => Some("ts,open,high,low,close,volume"),
        (Role::Funding, 3) => Some("calc_time,funding_interval_hours,last_funding_rate"),
        (Role::Funding, 2) => Some("ts,funding_rate"),
        _ => None,
    }
}

/// Where the columns of one source stand.
pub(super) struct Binding {
    /// Column of the stamp, and its name there.
    pub(super) stamp: (usize, String),
    /// What the stamp's name says it is.
    pub(super) stamp_kind: Option<TsKind>,
    /// Column of each field, and whether a row must have a value.
    pub(super) values: Vec<(Option<usize>, bool)>,
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl Binding {
    /// Finds the columns by their names.
    pub(super) fn new(role: Role, header: &[&str]) -> Judged<Self> {
        let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
        let find = |alias: &str| names.iter().position(|name| name == alias);
        let missing = |wanted: &str| {
            let expected: Vec<&str> =
                fields(role).iter().filter(|field| field.required).map(|field| field.name).collect();
            BadInput::expected(format!("columns ts, {}", expected.join(", ")))
                .key(wanted)
                .found(format!("no such column among {}", header.join(", ")))
                .fix("rename the columns of the source")
        };
        let (stamp, stamp_kind) = STAMPS
            .iter()
            .find_map(|(alias, kind)| Some((find(alias)?, *kind)))
            .ok_or_else(|| missing("ts"))?;
        let mut values = Vec::new();
        for field in fields(role) {
            let column = field.aliases.iter().find_map(|alias| find(alias));
            if column.is_none() && field.required {
                return Err(missing(field.name).into());
            }
            values.push((column, field.required));
        }
        Ok(Self { stamp: (stamp, header[stamp].to_owned()), stamp_kind, values })
    }
}

/// Rows of one role, from one source or several, as columns.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) role: Role,
    /// UTC epoch ms.
    pub(super) ts_ms: Vec<i64>,
    /// Columns in the order of [`column_names`]; `NaN` where an optional value is absent.
    pub(super) columns: Vec<Vec<f64>>,
    /// Which source a row is from (its place in the list of sources), and its row there.
    pub(super) origin: Vec<(u32, u64)>,
}

impl Rows {
    pub(super) fn new(role: Role) -> Self {
        let columns = fields(role).iter().map(|_| Vec::new()).collect();
        Self { role, ts_ms: Vec::new(), columns, origin: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.ts_ms.len()
    }

    /// Takes a row after checking it.
    pub(super) fn push(&mut self, ts_ms: i64, values: &[f64], origin: (u32, u64)) -> Judged<()> {
        check(self.role, values).map_err(|bad| bad.row(origin.1))?;
        self.ts_ms.push(ts_ms);
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(*value);
        }
        self.origin.push(origin);
        Ok(())
    }

    /// Takes all rows of another table of the same role.
    pub(super) fn append(&mut self, mut other: Self) {
        self.ts_ms.append(&mut other.ts_ms);
        for (column, more) in self.columns.iter_mut().zip(&mut other.columns) {
            column.append(more);
        }
        self.origin.append(&mut other.origin);
    }
}

/// The rules of semantics 1.6 for bars, and plain sense for the others.
fn check(role: Role, values: &[f64]) -> Judged<()> {
    for (field, &value) in fields(role).iter().zip(values) {
        if value.is_infinite() || field.required && value.is_nan() {
            return Err(BadInput::expected("a finite number")
                .key(field.name)
                .found(value.to_string())
                .into());
        }
        let price = matches!(field.name, "open" | "high" | "low" | "close" | "mark" | "mark_price");
        if price && value <= 0.0 {
            return Err(BadInput::expected("a price above 0")
                .key(field.name)
                .found(value.to_string())
                .fix("remove or mend the row")
                .into());
        }
        if field.name.ends_with("volume") && value < 0.0 {
            return Err(BadInput::expected("0 or more")
                .key(field.name)
                .found(value.to_string())
                .fix("remove or mend the row")
                .into());
        }
    }
    if let (Role::Bars, [open, high, low, close, ..]) = (role, values) {
        let wrong = |key: &str, found: &f64, expected: &str| -> Judged<()> {
            Err(BadInput::expected(format!("{expected} (open {open}, close {close})"))
                .key(key)
                .found(found.to_string())
                .fix("remove or mend the row")
                .into())
        };
        if *high < open.max(*close) {
            return wrong("high", high, "at least open and close");
        }
        if *low > open.min(*close) {
            return wrong("low", low, "at most open and close");
        }
    }
    Ok(())
}
