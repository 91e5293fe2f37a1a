//! Opens a store: maps the files, checks magic, footer, version, schema and every length, and hands the columns out
//! as they lie in the mapped memory.
//!
//! The layout is our own and fixed, so the record batch is taken apart here instead of by the general decoder, which
//! trusts more of a damaged file than we want to: everything is bounds-checked before it is used, nothing is copied,
//! and no panel is touched.

use std::io::ErrorKind;
use std::path::Path;

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};
use arrow_ipc::{Footer, Message, MessageHeader, Precision, Type, root_as_footer, root_as_message};
use bytes::Bytes;

use super::bars_path;
use super::content::{Content, FundingColumns, Meta};
use crate::data::mmap::map_file;
use crate::market::{Column, MarketPanels, lane_stride};

/// Version of the layout; a store of another version is rebuilt.
pub(crate) const FORMAT: &str = "3";
pub(crate) const FORMAT_KEY: &str = "barloom.format";
pub(crate) const SYMBOLS_KEY: &str = "barloom.symbols";
pub(crate) const META_KEY: &str = "barloom.store";
/// Checksum of what stands under [`META_KEY`].
pub(crate) const CHECKSUM_KEY: &str = "barloom.store_checksum";

const MAGIC: &[u8] = b"ARROW1";
const REQUIRED: [&str; 6] = ["ts", "open", "high", "low", "close", "volume"];
const FUNDING: [&str; 6] = ["ts", "bar", "symbol", "rate", "mark", "interval_ms"];

/// Why there is no store.
#[derive(Debug)]
pub(crate) enum Unreadable {
    Absent,
    Damaged(String),
}

type Checked<T> = Result<T, String>;

/// Names and panels in the order of the file.
pub(crate) fn panel_columns(panels: &MarketPanels) -> impl Iterator<Item = (&'static str, &Column)> {
    [
        ("open", Some(&panels.open)),
        ("high", Some(&panels.high)),
        ("low", Some(&panels.low)),
        ("close", Some(&panels.close)),
        ("volume", Some(&panels.volume)),
        ("quote_volume", panels.quote_volume.as_ref()),
        ("mark", panels.mark.as_ref()),
        ("regime", panels.regime.as_ref()),
        ("baseline_volume", panels.baseline_volume.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, panel)| Some((name, panel?)))
}

/// Opens the store of a folder.
pub(crate) fn open(dir: &Path, bar: &str) -> Result<Box<Content>, Unreadable> {
    let bytes = map_file(&bars_path(dir, bar)).map_err(|err| match err.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Unreadable::Absent,
        _ => Unreadable::Damaged(err.to_string()),
    })?;
    open_content(dir, bytes).map_err(Unreadable::Damaged)
}

fn open_content(dir: &Path, bytes: Bytes) -> Checked<Box<Content>> {
    let file = IpcFile::new(bytes)?;
    let footer = file.footer()?;
    let meta = read_meta(&footer)?;
    let lanes = lane_stride(meta.symbols.len());
    let names = check_bar_schema(&footer, lanes)?;
    let cells = meta.bars.checked_mul(lanes).ok_or("more cells than memory")?;
    let batch = file.batch(&footer)?;
    // Validity and values of `ts`, then validity of list, validity of items and items of each panel.
    batch.check(meta.bars, 2 + 3 * (names.len() - 1))?;
    let panel = |name: &str| -> Checked<Option<Column>> {
        let Some(place) = names.iter().position(|known| *known == name) else { return Ok(None) };
        batch.values(3 * place + 1, cells).map(Some)
    };
    let required =
        |name: &str| -> Checked<Column> { panel(name)?.ok_or_else(|| format!("no column {name}")) };
    let panels = MarketPanels {
        lanes,
        open: required("open")?,
        high: required("high")?,
        low: required("low")?,
        close: required("close")?,
        volume: required("volume")?,
        quote_volume: panel("quote_volume")?,
        mark: panel("mark")?,
        regime: panel("regime")?,
        baseline_volume: panel("baseline_volume")?,
    };
    let funding = open_funding(dir, &meta).map_err(|reason| format!("{}: {reason}", meta.funding_file))?;
    Ok(Box::new(Content { meta, panels, funding }))
}

fn open_funding(dir: &Path, meta: &Meta) -> Checked<FundingColumns> {
    if meta.funding_file.is_empty() {
        return if meta.funding_rows == 0 { Ok(FundingColumns::empty()) } else { Err("no name".to_owned()) };
    }
    if !meta.funding_file.starts_with("funding_") || meta.funding_file.contains(['/', '\\']) {
        return Err("no file name of ours".to_owned());
    }
    let bytes = map_file(&dir.join(&meta.funding_file)).map_err(|err| err.to_string())?;
    let file = IpcFile::new(bytes)?;
    let footer = file.footer()?;
    check_format(&footer)?;
    let names: Vec<&str> = field_names(&footer)?;
    if names != FUNDING {
        return Err(format!("columns {}", names.join(",")));
    }
    let batch = file.batch(&footer)?;
    let rows = meta.funding_rows;
    batch.check(rows, 2 * FUNDING.len())?;
    let columns = FundingColumns {
        time_ms: batch.values(1, rows)?,
        bar: batch.values(3, rows)?,
        lane: batch.values(5, rows)?,
        rate_frac: batch.values(7, rows)?,
        mark_px: batch.values(9, rows)?,
        interval_ms: batch.values(11, rows)?,
    };
    // A lane and a bar are used as indices without another look.
    let sound = columns.lane.iter().zip(&columns.bar).all(|(&lane, &bar)| {
        meta.symbols.get(lane as usize).is_some_and(|symbol| bar as usize >= symbol.first_row)
    });
    if sound { Ok(columns) } else { Err("records of unknown symbols".to_owned()) }
}

/// Name of the funding file that a bar file refers to.
pub(crate) fn referenced_funding(path: &Path) -> Option<String> {
    let file = IpcFile::new(map_file(path).ok()?).ok()?;
    let footer = file.footer().ok()?;
    Some(read_meta(&footer).ok()?.funding_file)
}

fn metadata<'a>(footer: &Footer<'a>, key: &str) -> Checked<&'a str> {
    let pairs = footer.schema().and_then(|schema| schema.custom_metadata()).ok_or("not a store of ours")?;
    let pair = pairs.iter().find(|pair| pair.key() == Some(key)).ok_or("not a store of ours")?;
    pair.value().ok_or_else(|| format!("{key} is empty"))
}

fn check_format(footer: &Footer<'_>) -> Checked<()> {
    match metadata(footer, FORMAT_KEY)? {
        FORMAT => Ok(()),
        other => Err(format!("layout version {other} instead of {FORMAT}")),
    }
}

fn read_meta(footer: &Footer<'_>) -> Checked<Meta> {
    check_format(footer)?;
    let meta = metadata(footer, META_KEY)?;
    if metadata(footer, CHECKSUM_KEY)? != crc32fast::hash(meta.as_bytes()).to_string() {
        return Err("its description has changed since it was written".to_owned());
    }
    let meta: Meta = serde_json::from_str(meta).map_err(|err| err.to_string())?;
    if meta.is_sound() { Ok(meta) } else { Err("its numbers do not hang together".to_owned()) }
}

fn field_names<'a>(footer: &Footer<'a>) -> Checked<Vec<&'a str>> {
    let fields = footer.schema().and_then(|schema| schema.fields()).ok_or("no columns")?;
    Ok(fields.iter().map(|field| field.name().unwrap_or("")).collect())
}

/// Column names of a bar file whose panels all have the given lanes.
fn check_bar_schema<'a>(footer: &Footer<'a>, lanes: usize) -> Checked<Vec<&'a str>> {
    let names = field_names(footer)?;
    if names.get(..REQUIRED.len()) != Some(&REQUIRED[..]) {
        return Err(format!("columns {}", names.join(",")));
    }
    let fields = footer.schema().and_then(|schema| schema.fields()).ok_or("no columns")?;
    for field in fields.iter().skip(1) {
        let list = field.type_as_fixed_size_list().filter(|_| field.type_type() == Type::FixedSizeList);
        let width = list.map(|list| list.listSize() as usize);
        let item = field.children().filter(|children| children.len() == 1).map(|children| children.get(0));
        let item = item.and_then(|item| item.type_as_floating_point());
        if width != Some(lanes) || item.map(|item| item.precision()) != Some(Precision::DOUBLE) {
            return Err(format!("column {} is no panel of {lanes} lanes", field.name().unwrap_or("")));
        }
    }
    Ok(names)
}

/// A mapped Arrow IPC file.
struct IpcFile {
    bytes: Bytes,
}

impl IpcFile {
    /// Checks the magic at both ends.
    fn new(bytes: Bytes) -> Checked<Self> {
        if bytes.len() < 32 || !bytes.starts_with(MAGIC) {
            return Err("not an Arrow file".to_owned());
        }
        if !bytes.ends_with(MAGIC) {
            return Err("truncated".to_owned());
        }
        Ok(Self { bytes })
    }

    fn footer(&self) -> Checked<Footer<'_>> {
        let end = self.bytes.len() - MAGIC.len() - 4;
        let length = i32::from_le_bytes(self.bytes[end..end + 4].try_into().map_err(|_| "no footer")?);
        let start = usize::try_from(length).ok().and_then(|length| end.checked_sub(length));
        let start = start.ok_or("footer longer than the file")?;
        root_as_footer(&self.bytes[start..end]).map_err(|err| format!("damaged footer: {err}"))
    }

    /// The one record batch.
    fn batch(&self, footer: &Footer<'_>) -> Checked<Batch<'_>> {
        let blocks =
            footer.recordBatches().filter(|blocks| blocks.len() == 1).ok_or("not one record batch")?;
        let block = blocks.get(0);
        let start = usize::try_from(block.offset()).map_err(|_| "a block before the file")?;
        let head = usize::try_from(block.metaDataLength()).map_err(|_| "a block of negative length")?;
        let body = usize::try_from(block.bodyLength()).map_err(|_| "a block of negative length")?;
        let body_start = start.checked_add(head).ok_or("a block beyond the file")?;
        let body_end = body_start.checked_add(body).filter(|&end| end <= self.bytes.len());
        let body_end = body_end.ok_or("truncated: a block beyond the file")?;
        // A continuation marker and the length come before the message.
        let message = self.bytes.get(start + 8..body_start).ok_or("a block without a header")?;
        let message = root_as_message(message).map_err(|err| format!("damaged header: {err}"))?;
        let body = Buffer::from(self.bytes.slice(body_start..body_end));
        Ok(Batch { message, body })
    }
}

struct Batch<'a> {
    message: Message<'a>,
    body: Buffer,
}

impl Batch<'_> {
    fn check(&self, rows: usize, buffers: usize) -> Checked<()> {
        if self.message.header_type() != MessageHeader::RecordBatch {
            return Err("no record batch".to_owned());
        }
        let batch = self.message.header_as_record_batch().ok_or("no record batch")?;
        if batch.compression().is_some() {
            return Err("compressed".to_owned());
        }
        if usize::try_from(batch.length()) != Ok(rows) {
            return Err(format!("{} rows instead of {rows}", batch.length()));
        }
        match batch.buffers().map(|list| list.len()) {
            Some(count) if count == buffers => Ok(()),
            other => Err(format!("{} buffers instead of {buffers}", other.unwrap_or(0))),
        }
    }

    /// `len` values of buffer `index`, in place.
    fn values<T: ArrowNativeType>(&self, index: usize, len: usize) -> Checked<ScalarBuffer<T>> {
        let buffers = self.message.header_as_record_batch().and_then(|batch| batch.buffers());
        let place = buffers.filter(|buffers| index < buffers.len()).ok_or("no buffers")?.get(index);
        let size = len.checked_mul(size_of::<T>()).ok_or("a buffer larger than memory")?;
        let start = usize::try_from(place.offset()).map_err(|_| "a buffer before the body")?;
        let fits = start.checked_add(size).is_some_and(|end| end <= self.body.len());
        if !fits || usize::try_from(place.length()) != Ok(size) {
            return Err("truncated: a buffer beyond the body".to_owned());
        }
        let slice = self.body.slice_with_length(start, size);
        if slice.as_ptr().align_offset(align_of::<T>()) != 0 {
            return Err("a buffer that is not aligned".to_owned());
        }
        Ok(ScalarBuffer::from(slice))
    }
}
