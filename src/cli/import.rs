//! `barloom import`.

use barloom::data::import::{ImportOptions, TsKind, import as import_files, layout::FileFormat};
use barloom::data::stamp::format_ms;
use barloom::error::Result;
use barloom::reporting::text_table;
use serde_json::json;

use super::args::{ImportArgs, StampKind, TableFormat};
use super::output::Output;
use super::progress;

pub(super) fn import(args: &ImportArgs, output: &Output) -> Result<()> {
    let options = ImportOptions {
        ts_kind: match args.ts_kind {
            StampKind::Open => TsKind::Open,
            StampKind::Close => TsKind::Close,
        },
        format: match args.format {
            TableFormat::Csv => FileFormat::Csv,
            TableFormat::Parquet => FileFormat::Parquet,
        },
        symbol: args.symbol.clone(),
        bar: args.bar.clone(),
    };
    let bar = progress::bar(output, 0, "files");
    let report = import_files(&args.sources, &args.out, &options, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    for skipped in &report.skipped {
        output.note(&format!("skipped {}: {}", skipped.path.display(), skipped.reason));
    }
    let stamp = |ms: Option<i64>| ms.map(format_ms).unwrap_or_default();
    let rows: Vec<Vec<String>> = report
        .files
        .iter()
        .map(|file| {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let count = |n: u64| n.to_string();
            vec![name, count(file.rows), count(file.missing_bars), stamp(file.first_ms), stamp(file.last_ms)]
        })
        .collect();
    let mut text = text_table(&["file", "rows", "missing bars", "first", "last"], &rows, 100);
    text.push_str(&format!(
        "{} rows written to {}; {} repeated rows left out\n",
        report.rows,
        args.out.display(),
        report.duplicates_dropped
    ));
    let files: Vec<_> = report
        .files
        .iter()
        .map(|file| json!({ "path": file.path, "rows": file.rows, "missing_bars": file.missing_bars, "first_ms": file.first_ms, "last_ms": file.last_ms }))
        .collect();
    output.result(
        &text,
        &json!({ "files": files, "rows": report.rows, "duplicates_dropped": report.duplicates_dropped }),
    );
    Ok(())
}
