//! Import of bars and funding records: every source form, seams between files, and errors that say what to do.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use barloom::data::import::layout::FileFormat;
use barloom::data::import::{ImportOptions, ImportReport, TsKind, import};
use barloom::data::synth::{SynthSpec, write_universe};

/// 2023-01-01 00:00:00 UTC.
const START_MS: i64 = 1_672_531_200_000;
const BAR_MS: i64 = 900_000;
const ARCHIVE_HEADER: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,\
                              taker_buy_quote_volume,ignore\n";

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
    fn zip(&self, name: &str, entry: &str, text: &str) -> PathBuf {
        let path = self.file(name, "");
        let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        zip.start_file(entry, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
        zip.finish().unwrap();
        path
    }
    fn import(&self, sources: &[PathBuf], options: &ImportOptions) -> Result<ImportReport, String> {
        import(sources, &self.path("out"), options, &mut |_, _| ()).map_err(|e| e.to_string())
    }
    fn plain(&self, sources: &[PathBuf]) -> Result<ImportReport, String> {
        self.import(sources, &ImportOptions::default())
    }
    fn written(&self, name: &str) -> String {
        fs::read_to_string(self.path("out").join(name)).unwrap()
    }
    fn assert_nothing_written(&self) {
        let left = fs::read_dir(self.path("out")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "an error leaves nothing behind");
    }
}

/// One archive row of bar `bar`; stamps are multiplied by `scale` (1: ms, 1000: µs).
fn kline(bar: i64, scale: i64) -> String {
    let open_ms = START_MS + bar * BAR_MS;
    let close = (open_ms + BAR_MS) * scale - 1;
    let px = 100 + bar;
    format!("{},{px}.0,{px}.50,{px}.0,{px}.2,7.250,{close},725.5,12,1,2,0\n", open_ms * scale)
}

fn klines(bars: std::ops::Range<i64>) -> String {
    bars.map(|bar| kline(bar, 1)).collect()
}

const FIRST_BARS: &str = "ts,open,high,low,close,volume,quote_volume\n\
    2023-01-01 00:00:00+00:00,100,100.5,100,100.2,7.25,725.5\n\
    2023-01-01 00:15:00+00:00,101,101.5,101,101.2,7.25,725.5\n\
    2023-01-01 00:30:00+00:00,102,102.5,102,102.2,7.25,725.5\n";

#[test]
fn archives_with_and_without_header_in_ms_and_us_zipped_or_not_give_the_same_bytes() {
    let micro: String = (0..3).map(|bar| kline(bar, 1_000)).collect();
    let milli = klines(0..3);
    for (name, text) in [
        ("BTCUSDT-15m-2023-01.csv", milli.clone()),
        ("BTCUSDT-15m-2023-01.csv", format!("{ARCHIVE_HEADER}{milli}")),
        ("BTCUSDT-15m-2023-01.csv", format!("\u{feff}{}{milli}", ARCHIVE_HEADER.replace('\n', "\r\n"))),
        ("BTCUSDT-15m-2025-01.csv", micro),
        ("BTCUSDT_15m.csv", FIRST_BARS.to_owned()),
        (
            "BTCUSDT_15m.csv",
            FIRST_BARS.replace("ts,", "Timestamp,").replace("+00:00", "Z").replace(" 0", "T0"),
        ),
    ] {
        for zipped in [false, true] {
            let desk = Desk::new();
            let source = if zipped {
                desk.zip(&name.replace(".csv", ".zip"), name, &text)
            } else {
                desk.file(name, &text)
            };
            let report = desk.plain(&[source]).unwrap();
            assert_eq!(desk.written("BTCUSDT_15m.csv"), FIRST_BARS, "{name} {zipped} {text}");
            assert_eq!((report.rows, report.duplicates_dropped, report.files.len()), (3, 0, 1));
        }
    }
}

#[test]
fn close_stamps_become_open_times() {
    let bars = |stamps: [&str; 3]| {
        let rows =
            stamps.iter().zip(100..).map(|(ts, px)| format!("{ts},{px},{px}.5,{px},{px}.2,7.25,725.5\n"));
        format!("date,open,high,low,close,volume,quote_volume\n{}", rows.collect::<String>())
    };
    let on_grid = bars(["2023-01-01 00:15:00", "2023-01-01 00:30:00", "2023-01-01 00:45:00"]);
    let short = bars(["2023-01-01 00:14:59.999", "2023-01-01 00:29:59.999", "1672533899999999"]);
    let close = ImportOptions { ts_kind: TsKind::Close, ..ImportOptions::default() };
    for text in [&on_grid, &short] {
        let desk = Desk::new();
        desk.import(&[desk.file("BTCUSDT_15m.csv", text)], &close).unwrap();
        assert_eq!(desk.written("BTCUSDT_15m.csv"), FIRST_BARS);
        // A column that is called close_time says it by itself, one called open_time says the contrary.
        let desk = Desk::new();
        desk.plain(&[desk.file("BTCUSDT_15m.csv", &text.replace("date", "close_time"))]).unwrap();
        assert_eq!(desk.written("BTCUSDT_15m.csv"), FIRST_BARS);
    }
    let desk = Desk::new();
    desk.import(&[desk.file("BTCUSDT-15m-2023-01.csv", &klines(0..3))], &close).unwrap();
    assert_eq!(desk.written("BTCUSDT_15m.csv"), FIRST_BARS);
    let desk = Desk::new();
    let error = desk.plain(&[desk.file("BTCUSDT_15m.csv", &short)]).unwrap_err();
    assert!(
        error.contains("row 2, `ts`: found 2023-01-01 00:14:59.999+00:00; expected a time on the 15m grid")
    );
    assert!(error.ends_with("these are close times: say so with --ts-kind close"), "{error}");
    desk.assert_nothing_written();
}

#[test]
fn months_are_merged_and_repeated_rows_at_the_seam_dropped() {
    let desk = Desk::new();
    // The later month is named first, and its file begins with the last two bars of the earlier one.
    let february = desk.zip("b/BTCUSDT-15m-2023-02.zip", "BTCUSDT-15m-2023-02.csv", &klines(3..9));
    let january = desk.file("a/BTCUSDT-15m-2023-01.csv", &klines(0..5));
    let funding = desk.zip(
        "a/BTCUSDT-fundingRate-2023-01.zip",
        "BTCUSDT-fundingRate-2023-01.csv",
        "calc_time,funding_interval_hours,last_funding_rate\n1672531200007,8,0.00010000\n1672560000000,8,-0.00002\n",
    );
    // The same settlement from another source, without the jitter.
    let again = desk
        .file("c/BTCUSDT_funding.csv", "ts,funding_rate,mark_price\n2023-01-01 00:00:00+00:00,0.0001,99.5\n");
    let mut steps = Vec::new();
    let report = import(
        &[february, january, funding, again],
        &desk.path("out"),
        &ImportOptions::default(),
        &mut |done, total| steps.push((done, total)),
    )
    .unwrap();
    assert_eq!(steps, [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]);
    assert_eq!((report.rows, report.duplicates_dropped), (11, 3));
    let bars = &report.files[0];
    assert_eq!((bars.rows, bars.sources, bars.missing_bars), (9, 2, 0));
    assert_eq!((bars.first_ms, bars.last_ms), (Some(START_MS), Some(START_MS + 8 * BAR_MS)));
    assert_eq!(bars.path, desk.path("out").join("BTCUSDT_15m.csv"));
    let lines = desk.written("BTCUSDT_15m.csv");
    assert!(lines.starts_with(FIRST_BARS) && lines.lines().count() == 10);
    assert_eq!(
        desk.written("BTCUSDT_funding.csv"),
        "ts,funding_rate,mark_price,interval_hours\n\
         2023-01-01 00:00:00.007+00:00,0.0001,99.5,8\n\
         2023-01-01 08:00:00+00:00,-0.00002,,8\n"
    );
}

#[test]
fn contradicting_rows_name_both_files() {
    let desk = Desk::new();
    let one = desk.file("BTCUSDT-15m-2023-01.csv", &klines(0..3));
    let two = desk.file("BTCUSDT-15m-2023-02.csv", &klines(2..4).replace("102.50", "103.00"));
    let error = desk.plain(&[one.clone(), two.clone()]).unwrap_err();
    let expected = format!(
        "{}, row 1, `high`: found 103 at 2023-01-01 00:30:00+00:00; expected 102.5 as in row 3 of {}; \
         leave out the wrong one of the two files",
        two.display(),
        one.display()
    );
    assert_eq!(error, expected);
    desk.assert_nothing_written();
}

#[test]
fn broken_archives_say_so_also_inside_folders() {
    let desk = Desk::new();
    let whole = desk.zip("in/BTCUSDT-15m-2023-01.zip", "BTCUSDT-15m-2023-01.csv", &klines(0..400));
    let bytes = fs::read(&whole).unwrap();
    fs::write(&whole, &bytes[..bytes.len() / 2]).unwrap();
    for source in [whole.clone(), desk.path("in")] {
        let error = desk.plain(&[source]).unwrap_err();
        assert!(error.starts_with(&format!("{}: found ", whole.display())), "{error}");
        assert!(
            error.ends_with("expected a whole zip archive; it may be cut off: fetch it again"),
            "{error}"
        );
    }
    // A flipped byte in the packed text is found by its checksum or by the decoder.
    let mut flipped = bytes.clone();
    let middle = bytes.len() / 3;
    flipped[middle] ^= 0x55;
    fs::write(&whole, &flipped).unwrap();
    let error = desk.plain(&[whole]).unwrap_err();
    assert!(error.contains("BTCUSDT-15m-2023-01.zip/BTCUSDT-15m-2023-01.csv"), "{error}");
    desk.assert_nothing_written();
}

#[test]
fn wrong_input_gets_one_line_with_file_row_and_key() {
    let head = "ts,open,high,low,close,volume\n";
    let bar = |row: &str| format!("{head}2023-01-01 00:00:00,100,101,99,100,1\n{row}\n");
    let cases = [
        (
            "X_15m.csv",
            "ts,open,high,low,close\n1,2,3,4,5\n".to_owned(),
            "row 1, `volume`: found no such column among ts, open, high, low, close; expected columns ts, open, high, low, close, volume",
        ),
        ("X_15m.csv", "a,b\n1,2\n".to_owned(), "row 1, `ts`: found no such column among a, b;"),
        (
            "X_15m.csv",
            "1672531200000,1,2\n".to_owned(),
            "row 1: found 3 columns without a header; expected 12 (kline archive) or 6 columns",
        ),
        (
            "X_15m.csv",
            bar("2023-01-01 00:15:00,100,101,99,100"),
            "row 3: found 5 fields; expected 6 as in the first row; the file may be cut off",
        ),
        (
            "X_15m.csv",
            bar("2023-01-01 00:15:00,100,101,99,1OO,1"),
            "row 3, `close`: found 1OO; expected a number",
        ),
        (
            "X_15m.csv",
            bar("2023-01-01 00:15:00,100,101,99,,1"),
            "row 3, `close`: found nothing; expected a number",
        ),
        (
            "X_15m.csv",
            bar("2023-01-01 00:15:00,100,101,99,nan,1"),
            "row 3, `close`: found NaN; expected a finite number",
        ),
        (
            "X_15m.csv",
            bar("2023-01-01 00:15:00,100,101,99,inf,1"),
            "row 3, `close`: found inf; expected a finite number",
        ),
        (
            "X_15m.csv",
            bar("yesterday,100,101,99,100,1"),
            "row 3, `ts`: found yesterday; expected a UTC time such as",
        ),
        (
            "X_15m.csv",
            bar("2023-01-01 00:20:00,100,101,99,100,1"),
            "row 3, `ts`: found 2023-01-01 00:20:00+00:00; expected a time on the 15m grid",
        ),
        (
            "X_15m.csv",
            bar("2023-01-01 00:15:00,100,99.5,99,100,1"),
            "row 3, `high`: found 99.5; expected at least open and close (open 100, close 100)",
        ),
        (
            "X_15m.csv",
            bar("2023-01-01 00:15:00,100,101,100.5,100,1"),
            "row 3, `low`: found 100.5; expected at most open and close",
        ),
        (
            "X_15m.csv",
            bar("2023-01-01 00:15:00,100,101,-99,100,1"),
            "row 3, `low`: found -99; expected a price above 0",
        ),
        (
            "X_15m.csv",
            bar("2023-01-01 00:15:00,100,101,99,100,-1"),
            "row 3, `volume`: found -1; expected 0 or more",
        ),
        (
            "X_funding.csv",
            "ts,rate\n1672531200000,abc\n".to_owned(),
            "row 2, `funding_rate`: found abc; expected a number",
        ),
        (
            "X.csv",
            bar("2023-01-01 00:07:00,100,101,99,100,1"),
            "found 420000 ms apart; expected bars of one of 1m, 3m,",
        ),
        (
            "prices.csv",
            bar("2023-01-01 00:15:00,100,101,99,100,1"),
            "found no symbol in the file's name; expected a name such as",
        ),
        (
            "X-aggTrades-2023-01.csv",
            String::new(),
            "found the name of another kind of table; expected bars or funding records",
        ),
        (
            "X.txt",
            String::new(),
            "found another kind of file; expected a .csv, .parquet, .arrow, .feather or .zip file",
        ),
        ("X_15m.parquet", "PAR1".to_owned(), "expected a whole Parquet file; fetch or export it again"),
        ("X_15m.feather", "ARROW1".to_owned(), "expected a whole Arrow IPC (Feather version 2) file;"),
        ("X_15m.zip", "PK".to_owned(), "expected a whole zip archive;"),
    ];
    for (name, text, expected) in cases {
        let desk = Desk::new();
        let source = desk.file(name, &text);
        let error = desk.plain(std::slice::from_ref(&source)).unwrap_err();
        assert!(error.starts_with(&source.display().to_string()), "{name}: {error}");
        assert!(error.contains(expected), "{name}: {error}");
        assert!(!error.contains('\n'));
        desk.assert_nothing_written();
    }
    let desk = Desk::new();
    let error = desk.plain(&[desk.path("absent.csv")]).unwrap_err();
    assert!(error.contains("absent.csv: found nothing; expected an existing file or folder"), "{error}");
    fs::create_dir(desk.path("empty")).unwrap();
    let error = desk.plain(&[desk.path("empty")]).unwrap_err();
    assert!(error.contains("found none; expected at least one file of bars or funding records"), "{error}");
}

#[test]
fn bar_length_and_symbol_come_from_options_or_contents() {
    let desk = Desk::new();
    let unnamed = desk.file("prices.csv", FIRST_BARS);
    let options = ImportOptions { symbol: Some("SOLUSDT".into()), ..ImportOptions::default() };
    desk.import(std::slice::from_ref(&unnamed), &options).unwrap();
    assert_eq!(desk.written("SOLUSDT_15m.csv"), FIRST_BARS);
    // Three rows 15 minutes apart can be 5-minute bars with gaps; asked for, they are.
    let options = ImportOptions { bar: Some("5m".into()), ..options };
    let report = desk.import(std::slice::from_ref(&unnamed), &options).unwrap();
    assert_eq!((report.files[0].rows, report.files[0].missing_bars), (3, 4));
    let error =
        desk.import(&[unnamed], &ImportOptions { bar: Some("7m".into()), ..options.clone() }).unwrap_err();
    assert!(error.starts_with("`bar`: found 7m; expected one of 1m, 3m, 5m, 15m"), "{error}");
    let named = desk.file("BTCUSDT_15m.csv", FIRST_BARS);
    let error = desk.import(&[named], &options).unwrap_err();
    assert!(
        error.contains("found 15m in the file's name; expected bars of 5m as asked with --bar"),
        "{error}"
    );
}

#[test]
fn mark_price_klines_become_the_mark_column() {
    let desk = Desk::new();
    let bars = desk.file("klines/BTCUSDT-15m-2023-01.csv", &klines(0..3));
    let mark = desk.file("markPriceKlines/BTCUSDT-15m-2023-01.csv", &klines(1..4).replace(".2,", ".3,"));
    let index = desk.file("indexPriceKlines/BTCUSDT-15m-2023-01.csv", &klines(0..3));
    let report = desk.plain(&[desk.folder.path().to_path_buf()]).unwrap();
    assert!(bars.exists() && mark.exists());
    assert_eq!(report.skipped.len(), 1);
    assert_eq!(report.skipped[0].path, index);
    let text = desk.written("BTCUSDT_15m.csv");
    let last: Vec<&str> = text.lines().map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!(last, ["mark", "", "101.3", "102.3"]);
    let desk = Desk::new();
    let mark = desk.file("markPriceKlines/BTCUSDT-15m-2023-01.csv", &klines(1..4));
    let funding = desk.file("BTCUSDT_funding.csv", "ts,funding_rate\n1672531200000,0.0001\n");
    let report = desk.plain(&[mark.clone(), funding]).unwrap();
    assert_eq!(report.skipped[0].path, mark);
}

fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_synthetic_universe_survives_the_way_through_parquet_and_back() {
    let desk = Desk::new();
    let spec = SynthSpec { symbols: 3, bars: 700, gaps: true, ..SynthSpec::default() };
    write_universe(&spec, &desk.path("csv"), &mut |_, _| ()).unwrap();
    let ignore = &mut |_: usize, _: usize| ();
    let parquet = ImportOptions { format: FileFormat::Parquet, ..ImportOptions::default() };
    let report = import(&[desk.path("csv")], &desk.path("parquet"), &parquet, ignore).unwrap();
    assert!(report.skipped.is_empty(), "{:?}", report.skipped);
    let names: Vec<String> = contents(&desk.path("parquet")).into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"brackets.json".into()) && names.contains(&"ETHUSDT_contract.json".into()));
    assert!(names.contains(&"BTCUSDT_15m.parquet".into()) && !names.contains(&"BTCUSDT_15m.csv".into()));
    import(&[desk.path("parquet")], &desk.path("back"), &ImportOptions::default(), ignore).unwrap();
    assert!(contents(&desk.path("back")) == contents(&desk.path("csv")));
    // Both formats at once: every row is a repetition. Into its own folder: nothing changes.
    let both = [desk.path("csv"), desk.path("parquet")];
    let report = import(&both, &desk.path("both"), &ImportOptions::default(), ignore).unwrap();
    assert_eq!(report.duplicates_dropped, report.rows);
    assert!(contents(&desk.path("both")) == contents(&desk.path("csv")));
    import(&[desk.path("back")], &desk.path("back"), &ImportOptions::default(), ignore).unwrap();
    assert!(contents(&desk.path("back")) == contents(&desk.path("csv")));
    let error =
        import(&[desk.path("csv")], &desk.path("parquet"), &ImportOptions::default(), ignore).unwrap_err();
    assert!(error.to_string().contains("BNBUSDT_15m.parquet: found it in another format"), "{error}");
}

#[test]
fn feather_with_lz4_and_other_column_types_is_read() {
    use arrow_array::{Float32Array, Int64Array, RecordBatch, TimestampNanosecondArray};
    use std::sync::Arc;
    let desk = Desk::new();
    let stamps: Vec<i64> = (0..3).map(|bar| (START_MS + bar * BAR_MS) * 1_000_000).collect();
    let prices =
        |extra: f32| Arc::new(Float32Array::from_iter_values((0..3).map(|bar| 100.0 + bar as f32 + extra)));
    let batch = RecordBatch::try_from_iter(vec![
        (
            "date",
            Arc::new(TimestampNanosecondArray::from(stamps).with_timezone("UTC")) as arrow_array::ArrayRef,
        ),
        ("open", prices(0.0)),
        ("high", prices(0.5)),
        ("low", prices(0.0)),
        ("close", prices(0.25)),
        ("volume", Arc::new(Int64Array::from(vec![7, 0, 8]))),
    ])
    .unwrap();
    let options = arrow_ipc::writer::IpcWriteOptions::default()
        .try_with_compression(Some(arrow_ipc::CompressionType::LZ4_FRAME))
        .unwrap();
    let path = desk.file("BTC_USDT_USDT-15m-futures.feather", "");
    let file = fs::File::create(&path).unwrap();
    let mut writer =
        arrow_ipc::writer::FileWriter::try_new_with_options(file, &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    desk.plain(&[path]).unwrap();
    assert_eq!(
        desk.written("BTCUSDT_15m.csv"),
        "ts,open,high,low,close,volume\n\
         2023-01-01 00:00:00+00:00,100,100.5,100,100.25,7\n\
         2023-01-01 00:15:00+00:00,101,101.5,101,101.25,0\n\
         2023-01-01 00:30:00+00:00,102,102.5,102,102.25,8\n"
    );
}
