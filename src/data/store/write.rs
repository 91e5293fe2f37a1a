//! Writes a store: temporary name in the same folder, fsync, rename, fsync of the folder.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow_array::types::Float64Type;
use arrow_array::{
    ArrayRef, FixedSizeListArray, Float64Array, Int64Array, PrimitiveArray, RecordBatch,
    TimestampMillisecondArray, UInt32Array,
};
use arrow_buffer::ScalarBuffer;
use arrow_ipc::MetadataVersion;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::bars_path;
use super::content::{Content, FundingColumns};
use super::read::{
    CHECKSUM_KEY, FORMAT, FORMAT_KEY, META_KEY, SYMBOLS_KEY, panel_columns, referenced_funding,
};
use crate::error::{Error, Result, io_error};

const TEMP_PREFIX: &str = ".tmp-";
/// Files that nobody refers to are removed when they are older than this: a younger one may be somebody's work in
/// progress.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

/// Writes the contents into a folder, which is made when it is absent.
pub(crate) fn write(dir: &Path, bar: &str, content: &mut Content) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|err| machine(dir, "creating", err))?;
    content.meta.funding_file = String::new();
    if content.meta.funding_rows > 0 {
        let name = content.funding.file_name();
        write_file(dir, &dir.join(&name), &funding_batch(content)?)?;
        content.meta.funding_file = name;
    }
    let path = bars_path(dir, bar);
    write_file(dir, &path, &bars_batch(content)?)?;
    sync_dir(dir)?;
    remove_leftovers(dir);
    Ok(())
}

/// An error of the machine, also where a folder vanished: nothing of this was named by the user.
fn machine(path: &Path, doing: &'static str, source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::NotFound => Error::Io { path: path.to_path_buf(), doing, source },
        _ => io_error(path, doing, source),
    }
}

fn write_file(dir: &Path, path: &Path, batch: &RecordBatch) -> Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMP_PREFIX).suffix(".arrow");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any file a program makes; the process's mask narrows it.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temp = builder.tempfile_in(dir).map_err(|err| machine(dir, "writing", err))?;
    let write = || -> std::result::Result<(), ArrowError> {
        let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5)?;
        let buffered = BufWriter::new(temp.as_file());
        let mut writer = FileWriter::try_new_with_options(buffered, batch.schema_ref(), options)?;
        writer.write(batch)?;
        writer.finish()?;
        writer.get_mut().flush()?;
        temp.as_file().sync_all()?;
        Ok(())
    };
    write().map_err(|err| match err {
        ArrowError::IoError(_, source) => machine(path, "writing", source),
        other => machine(path, "writing", std::io::Error::other(other.to_string())),
    })?;
    temp.persist(path).map_err(|err| machine(path, "renaming", err.error))?;
    Ok(())
}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|err| machine(dir, "syncing", err))
}

#[cfg(not(unix))]
fn sync_dir(dir: &Path) -> Result<()> {
    // Elsewhere a folder cannot be opened as a file; the rename alone has to do.
    std::fs::metadata(dir).map(drop).map_err(|err| machine(dir, "syncing", err))
}

fn encoding(err: ArrowError) -> Error {
    machine(Path::new("store"), "encoding", std::io::Error::other(err.to_string()))
}

fn bars_batch(content: &Content) -> Result<RecordBatch> {
    let Content { meta, panels, .. } = content;
    let times: ScalarBuffer<i64> =
        (0..meta.bars as i64).map(|row| meta.start_ms + row * meta.step_ms).collect();
    let mut fields = vec![ts_field()];
    let mut columns: Vec<ArrayRef> = vec![ts_column(times)];
    let item = Arc::new(Field::new("item", DataType::Float64, false));
    for (name, panel) in panel_columns(panels) {
        let lanes = i32::try_from(panels.lanes).expect("a row's lanes fit 31 bits");
        let values = Arc::new(PrimitiveArray::<Float64Type>::new(panel.clone(), None));
        let column = FixedSizeListArray::try_new(item.clone(), lanes, values, None).map_err(encoding)?;
        fields.push(Field::new(name, DataType::FixedSizeList(item.clone(), lanes), false));
        columns.push(Arc::new(column));
    }
    let names: Vec<&str> = meta.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
    let json = |value: serde_json::Result<String>| value.expect("names and finite numbers have a JSON form");
    let meta = json(serde_json::to_string(meta));
    let metadata = HashMap::from([
        (FORMAT_KEY.to_owned(), FORMAT.to_owned()),
        (SYMBOLS_KEY.to_owned(), json(serde_json::to_string(&names))),
        (CHECKSUM_KEY.to_owned(), crc32fast::hash(meta.as_bytes()).to_string()),
        (META_KEY.to_owned(), meta),
    ]);
    let schema = Schema::new(fields).with_metadata(metadata);
    RecordBatch::try_new(Arc::new(schema), columns).map_err(encoding)
}

fn funding_batch(content: &Content) -> Result<RecordBatch> {
    let FundingColumns { time_ms, bar, lane, rate_frac, mark_px, interval_ms } = &content.funding;
    let names: Vec<&str> = content.meta.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
    let names = serde_json::to_string(&names).expect("names have a JSON form");
    let metadata =
        HashMap::from([(FORMAT_KEY.to_owned(), FORMAT.to_owned()), (SYMBOLS_KEY.to_owned(), names)]);
    let schema = Schema::new(vec![
        ts_field(),
        Field::new("bar", DataType::UInt32, false),
        Field::new("symbol", DataType::UInt32, false),
        Field::new("rate", DataType::Float64, false),
        Field::new("mark", DataType::Float64, false),
        Field::new("interval_ms", DataType::Int64, false),
    ])
    .with_metadata(metadata);
    let columns: Vec<ArrayRef> = vec![
        ts_column(time_ms.clone()),
        Arc::new(UInt32Array::new(bar.clone(), None)),
        Arc::new(UInt32Array::new(lane.clone(), None)),
        Arc::new(Float64Array::new(rate_frac.clone(), None)),
        Arc::new(Float64Array::new(mark_px.clone(), None)),
        Arc::new(Int64Array::new(interval_ms.clone(), None)),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).map_err(encoding)
}

fn ts_column(times: ScalarBuffer<i64>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::new(times, None).with_timezone("UTC"))
}

fn ts_field() -> Field {
    Field::new("ts", DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, Some("UTC".into())), false)
}

/// Removes temporary files of builders that died and funding files no store refers to. What cannot be removed stays.
fn remove_leftovers(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let referenced: Vec<String> = names
        .iter()
        .filter(|name| name.starts_with("bars_"))
        .filter_map(|name| referenced_funding(&dir.join(name)))
        .collect();
    for name in names {
        let is_temp = name.starts_with(TEMP_PREFIX);
        let is_orphan = name.starts_with("funding_") && !referenced.contains(&name);
        let path = dir.join(&name);
        let is_old = || {
            let changed = std::fs::metadata(&path).and_then(|meta| meta.modified());
            changed
                .is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > LEFTOVER_AGE))
        };
        if (is_temp || is_orphan) && is_old() {
            let _ = std::fs::remove_file(&path);
        }
    }
}
