//! Tables of orders and signals as rows of text, whatever file they come from: CSV, Parquet or Arrow.
//!
//! Columns of other types are written as text that reads back as the same value, so that there is one path of checks
//! and one form of message. Missing is blank.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_ipc::reader::FileReader;
use arrow_schema::{ArrowError, DataType, TimeUnit};
use csv::StringRecord;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::arrow_check;
use crate::error::{BadInput, Error, Result, contained, io_error, nearest};
use crate::events::Side;
use crate::market::Market;
use crate::market::stamp;

/// A table whose columns have been checked for names.
pub(super) struct Table {
    path: PathBuf,
    columns: Vec<&'static str>,
    /// Position of each column in the rows; `None`: the file has none of that name.
    positions: Vec<Option<usize>>,
    rows: Vec<(u64, StringRecord)>,
}

impl Table {
    /// Reads a table with the columns `required` and any of `optional`.
    pub(super) fn read(path: &Path, required: &[&'static str], optional: &[&'static str]) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        let (header, rows) = match extension.as_str() {
            "csv" => read_csv(path)?,
            "parquet" | "pq" => contained(|| damaged(path), || read_parquet(path))?,
            "arrow" | "feather" | "ipc" => contained(|| damaged(path), || read_arrow(path))?,
            other => {
                return Err(BadInput::expected("a table that ends in .csv, .parquet or .arrow")
                    .file(path)
                    .found(format!("the ending `.{other}`"))
                    .into());
            }
        };
        let columns: Vec<&'static str> = required.iter().chain(optional).copied().collect();
        let positions = find_columns(path, &header, &columns, required.len())?;
        Ok(Self { path: path.to_path_buf(), columns, positions, rows })
    }

    /// The rows in the order of the file.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(number, record)| Row { table: self, number: *number, record })
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// One row of a [`Table`].
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    table: &'a Table,
    /// Line of a CSV file, else the row from 0.
    number: u64,
    record: &'a StringRecord,
}

impl<'a> Row<'a> {
    /// Number of the row as messages name it.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Text of a column, trimmed; `None` when it is blank or the file has no such column.
    pub(super) fn text(&self, column: &str) -> Option<&'a str> {
        let index = self.table.columns.iter().position(|name| *name == column)?;
        let text = self.record.get(self.table.positions[index]?)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// An error about a column of this row.
    pub(super) fn error(&self, column: &str, expected: impl Into<String>) -> BadInput {
        let found = self.text(column).map_or_else(|| "nothing".to_owned(), |text| format!("`{text}`"));
        BadInput::expected(expected).file(&self.table.path).row(self.number).key(column).found(found)
    }

    /// Text of a column that must not be blank.
    pub(super) fn required(&self, column: &str, expected: &str) -> Result<&'a str> {
        self.text(column).ok_or_else(|| self.error(column, expected).into())
    }

    /// A number of a column; blank and `NaN` are none.
    pub(super) fn number_of(&self, column: &str, expected: &str) -> Result<Option<f64>> {
        let Some(text) = self.text(column) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(value) if value.is_nan() => Ok(None),
            Ok(value) if value.is_finite() => Ok(Some(value)),
            _ => Err(self.error(column, expected).into()),
        }
    }

    /// A positive number of a column; blank and `NaN` are none.
    pub(super) fn positive(&self, column: &str) -> Result<Option<f64>> {
        const EXPECTED: &str = "a positive number, or blank";
        match self.number_of(column, EXPECTED)? {
            Some(value) if value <= 0.0 => Err(self.error(column, EXPECTED).into()),
            value => Ok(value),
        }
    }

    /// A flag of a column; blank is false.
    pub(super) fn flag(&self, column: &str) -> Result<bool> {
        match self.text(column).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "0.0" | "nan") => Ok(false),
            Some("true" | "1" | "1.0") => Ok(true),
            Some(_) => Err(self.error(column, "true or false, or blank").into()),
        }
    }

    /// A positive number that must be there.
    pub(super) fn required_price(&self, column: &str, expected: &str) -> Result<f64> {
        match self.number_of(column, expected)? {
            Some(value) if value > 0.0 => Ok(value),
            _ => Err(self.error(column, expected).into()),
        }
    }

    /// Stop loss and take profit of an entry, `NaN` where blank; the one on the losing side of the other.
    pub(super) fn bracket(&self, stop_loss: &str, take_profit: &str, side: Side) -> Result<(f64, f64)> {
        let stop_loss_px = self.positive(stop_loss)?.unwrap_or(f64::NAN);
        let take_profit_px = self.positive(take_profit)?.unwrap_or(f64::NAN);
        if side.sign() * (take_profit_px - stop_loss_px) <= 0.0 {
            let place = if side == Side::Buy { "below" } else { "above" };
            let expected = format!("a price {place} `{take_profit}` = {take_profit_px} for this side");
            return Err(self.error(stop_loss, expected).into());
        }
        Ok((stop_loss_px, take_profit_px))
    }

    /// Refuses a value in a column that has no meaning in this row; `when` says why.
    pub(super) fn blank(&self, column: &str, when: &str) -> Result<()> {
        if self.text(column).is_none_or(|text| text.eq_ignore_ascii_case("nan")) {
            return Ok(());
        }
        Err(self.error(column, format!("nothing {when}")).fix("leave it blank").into())
    }

    /// Refuses a value in a column that this version does nothing with.
    pub(super) fn refuse(&self, column: &str) -> Result<()> {
        if self.text(column).is_none_or(|text| text.eq_ignore_ascii_case("nan")) {
            return Ok(());
        }
        let fix = "not supported by this version yet; leave it blank";
        Err(self.error(column, "nothing").fix(fix).into())
    }

    /// Bar of `ts` and id of `symbol`.
    pub(super) fn place(&self, market: &Market) -> Result<(usize, usize)> {
        let name = self.required("symbol", "the name of a symbol")?;
        let Some(symbol) = market.symbol_id(name) else {
            let mut bad = self.error("symbol", "a symbol of the data");
            let names = market.symbols.iter().map(|symbol| symbol.name.as_str());
            bad.fix = Some(match nearest(name, names) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "add its data, or remove the row".to_owned(),
            });
            return Err(bad.into());
        };
        let text = self.required("ts", "the open time of a bar")?;
        let whole = stamp::parse(text.as_bytes()).filter(|stamp| stamp.us % 1000 == 0);
        let Some(ms) = whole.map(|stamp| stamp.us / 1000) else {
            let expected = "a UTC stamp such as 2021-06-01 00:15:00+00:00, or an epoch in ms or µs";
            return Err(self.error("ts", expected).into());
        };
        let grid = &market.grid;
        if let Some(bar) = grid.bar_at(ms) {
            return Ok((bar, symbol));
        }
        let inside = (grid.start_ms..grid.open_ms(grid.bars)).contains(&ms);
        let expected = if inside {
            format!(
                "the open time of a bar ({} apart from {})",
                span(grid.step_ms),
                stamp::format_ms(grid.start_ms)
            )
        } else {
            let last = grid.open_ms(grid.bars.saturating_sub(1));
            format!("a bar of the data, {} to {}", stamp::format_ms(grid.start_ms), stamp::format_ms(last))
        };
        let mut bad = self.error("ts", expected);
        bad.found = Some(stamp::format_ms(ms));
        Err(bad.into())
    }
}

fn span(ms: i64) -> String {
    if ms % 60_000 == 0 { format!("{} minutes", ms / 60_000) } else { format!("{ms} ms") }
}

/// Tags by number, in the order of their first row.
#[derive(Default)]
pub(super) struct Tags {
    pub(super) names: Vec<String>,
    ids: BTreeMap<String, u32>,
}

impl Tags {
    /// Number of the row's tag.
    pub(super) fn id(&mut self, row: &Row<'_>, none: u32) -> u32 {
        let Some(name) = row.text("tag") else { return none };
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        // Fewer tags than rows, and rows are numbered in 32 bits.
        let id = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), id);
        id
    }
}

type Rows = Vec<(u64, StringRecord)>;

fn find_columns(
    path: &Path,
    header: &[String],
    columns: &[&'static str],
    required: usize,
) -> Result<Vec<Option<usize>>> {
    let position = |name: &str| header.iter().position(|found| found == name);
    for (index, name) in columns.iter().enumerate() {
        if header.iter().filter(|found| found == name).count() > 1 {
            return Err(BadInput::expected("each column once")
                .file(path)
                .key(*name)
                .found("two of them")
                .into());
        }
        if index < required && position(name).is_none() {
            let mut bad = BadInput::expected(format!("a column `{name}`"))
                .file(path)
                .found(format!("columns {}", header.join(", ")));
            bad.fix = nearest(name, header.iter().map(String::as_str)).map(|near| format!("rename `{near}`"));
            return Err(bad.into());
        }
    }
    // A column that is nearly one of ours, while ours is absent, would be ignored in silence.
    let absent = || columns.iter().copied().filter(|name| position(name).is_none());
    for found in header.iter().filter(|found| !columns.contains(&found.as_str())) {
        if let Some(near) = nearest(found, absent()) {
            return Err(BadInput::expected(format!("one of {}", columns.join(", ")))
                .file(path)
                .key(found)
                .found("an unknown column")
                .fix(format!("did you mean `{near}`? otherwise rename or remove it"))
                .into());
        }
    }
    Ok(columns.iter().map(|name| position(name)).collect())
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|source| io_error(path, "opening", source))
}

fn read_csv(path: &Path) -> Result<(Vec<String>, Rows)> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(open(path)?);
    let failed = |error: csv::Error| -> Error {
        let line = error.position().map(csv::Position::line);
        let text = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(source) => io_error(path, "reading", source),
            _ => {
                let mut bad =
                    BadInput::expected("rows of comma-separated UTF-8 text under a header of names")
                        .file(path)
                        .found(text);
                bad.row = line;
                bad.into()
            }
        }
    };
    let header = reader.headers().map_err(failed)?.iter().map(str::to_owned).collect();
    let mut rows = Vec::new();
    for record in reader.into_records() {
        let record = record.map_err(failed)?;
        rows.push((record.position().map_or(0, csv::Position::line), record));
    }
    Ok((header, rows))
}

fn read_parquet(path: &Path) -> Result<(Vec<String>, Rows)> {
    let bad = |error: &dyn std::fmt::Display| unreadable(path, "a Parquet file", error);
    let reader = ParquetRecordBatchReaderBuilder::try_new(open(path)?)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| bad(&error))?;
    let header = reader_header(&arrow_array::RecordBatchReader::schema(&reader));
    collect(path, header, reader)
}

fn read_arrow(path: &Path) -> Result<(Vec<String>, Rows)> {
    const EXPECTED: &str = "an Arrow IPC file";
    let bytes = std::fs::read(path).map_err(|source| io_error(path, "reading", source))?;
    arrow_check::check(&bytes).map_err(|reason| unreadable(path, EXPECTED, &reason))?;
    let reader =
        FileReader::try_new(Cursor::new(bytes), None).map_err(|error| unreadable(path, EXPECTED, &error))?;
    let header = reader_header(&reader.schema());
    collect(path, header, reader)
}

fn reader_header(schema: &arrow_schema::Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

fn damaged(path: &Path) -> Error {
    unreadable(path, "a table that is whole", &"pieces that do not fit together")
}

fn unreadable(path: &Path, expected: &str, error: &dyn std::fmt::Display) -> Error {
    BadInput::expected(expected).file(path).found(error.to_string()).fix("write the table again").into()
}

fn collect(
    path: &Path,
    header: Vec<String>,
    batches: impl Iterator<Item = std::result::Result<RecordBatch, ArrowError>>,
) -> Result<(Vec<String>, Rows)> {
    let mut rows = Rows::new();
    for batch in batches {
        let batch = batch.map_err(|error| unreadable(path, "a table that can be read", &error))?;
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (array, name) in batch.columns().iter().zip(&header) {
            columns.push(as_text(array).map_err(|error| {
                BadInput::expected("text, numbers, booleans or UTC stamps")
                    .file(path)
                    .key(name)
                    .found(format!("{} ({error})", array.data_type()))
            })?);
        }
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| {
                let column = column.as_string::<i32>();
                if column.is_null(row) { "" } else { column.value(row) }
            });
            rows.push((rows.len() as u64, cells.collect()));
        }
    }
    Ok((header, rows))
}

/// A column as text; time stamps become epoch milliseconds, or microseconds where they have such a part.
fn as_text(array: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    let DataType::Timestamp(unit, _) = array.data_type() else { return cast(array, &DataType::Utf8) };
    let numbers = cast(array, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>();
    let in_micros: arrow_array::Int64Array = match unit {
        TimeUnit::Second => numbers.try_unary(|x| scaled(x, 1000)),
        TimeUnit::Millisecond => Ok(numbers.clone()),
        TimeUnit::Microsecond => Ok(numbers.unary(|x| if x % 1000 == 0 { x / 1000 } else { x })),
        // What is finer than a millisecond stays odd, and is refused as off the grid.
        TimeUnit::Nanosecond => Ok(numbers.unary(|x| if x % 1_000_000 == 0 { x / 1_000_000 } else { x })),
    }?;
    cast(&in_micros, &DataType::Utf8)
}

fn scaled(x: i64, by: i64) -> std::result::Result<i64, ArrowError> {
    x.checked_mul(by).ok_or_else(|| ArrowError::ComputeError("a stamp beyond the calendar".into()))
}
