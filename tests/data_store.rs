//! From files to panels and back: formats, alignment, the store's life, and real data where it is at hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, Float64Array, Int64Array, PrimitiveArray, RecordBatch, TimestampMicrosecondArray,
    TimestampNanosecondArray,
};
use barloom::data::{
    Bar, BuildProgress, LoadOptions, MemorySymbol, bar_ms, market_from_memory, open_market, stamp,
};
use barloom::market::{Contract, Market, MarketPanels};

/// Settlement time, rate, mark price.
type FundingTuple = (i64, f64, Option<f64>);

const STEP_MS: i64 = 900_000;
const START_MS: i64 = 1_622_505_600_000;

fn open(dir: &Path, symbols: &[&str]) -> Market {
    open_with(dir, symbols, &LoadOptions::default()).0
}

/// The market, and whether its store was built.
fn open_with(dir: &Path, symbols: &[&str], options: &LoadOptions) -> (Market, bool) {
    let symbols: Vec<String> = symbols.iter().map(|&name| name.to_owned()).collect();
    let mut built = false;
    let mut last = None;
    let market = open_market(dir, &symbols, options, &mut |progress: BuildProgress| {
        built = true;
        last = Some(progress);
    });
    if let Some(last) = last {
        assert_eq!(last.done_files, last.total_files, "the last report is of the whole");
        assert!(last.bytes_done > 0);
    }
    (market.unwrap(), built)
}

/// A wobbling, valid bar with awkward decimals.
fn bar(symbol: u64, row: i64) -> Bar {
    let mut state =
        symbol.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (row as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mut draw = || {
        state ^= state >> 27;
        state = state.wrapping_mul(0x94d0_49bb_1331_11eb);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let (a, b) = (100.0 + draw(), 100.0 + draw());
    Bar {
        ts_ms: START_MS + row * STEP_MS,
        open: a,
        high: a.max(b) + draw(),
        low: a.min(b) - draw(),
        close: b,
        volume: draw() * 1e3,
        quote_volume: (row % 3 != 0).then(|| draw() * 1e5),
        mark: (row % 5 != 0).then_some(b + 0.01),
    }
}

/// A starts late, B has a gap, C ends early; only B has mark and quote volume.
fn three_symbols() -> Vec<MemorySymbol> {
    let symbol = |name: &str, id: u64, rows: Vec<i64>, extras: bool| MemorySymbol {
        name: name.to_owned(),
        contract: Contract::default(),
        brackets: Vec::new(),
        bars: rows
            .into_iter()
            .map(|row| {
                let whole = bar(id, row);
                if extras { whole } else { Bar { quote_volume: None, mark: None, ..whole } }
            })
            .collect(),
        funding: vec![
            (START_MS, 1e-4, Some(99.0)),
            (START_MS + 8 * 3_600_000 + 3, -2.5e-4, None),
            (START_MS + 16 * 3_600_000, 3e-5, None),
        ],
    };
    vec![
        symbol("CUSDT", 3, (0..40).collect(), false),
        symbol("AUSDT", 1, (30..600).collect(), false),
        symbol("BUSDT", 2, (0..600).filter(|row| !(300..310).contains(row)).collect(), true),
    ]
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn write_csv(dir: &Path, symbol: &MemorySymbol) {
    let mut bars = String::from("ts,open,high,low,close,volume,quote_volume,mark\n");
    for bar in &symbol.bars {
        bars += &format!(
            "{},{},{},{},{},{},{},{}\n",
            stamp::format_ms(bar.ts_ms),
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
            number(bar.quote_volume),
            number(bar.mark)
        );
    }
    std::fs::write(dir.join(format!("{}_15m.csv", symbol.name)), bars).unwrap();
    let mut funding = String::from("ts,funding_rate,mark_price\n");
    for (ts_ms, rate, mark) in &symbol.funding {
        funding += &format!("{ts_ms},{rate},{}\n", number(*mark));
    }
    std::fs::write(dir.join(format!("{}_funding.csv", symbol.name)), funding).unwrap();
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn write_parquets(dir: &Path, symbol: &MemorySymbol) {
    let column = |pick: fn(&Bar) -> Option<f64>| -> ArrayRef {
        Arc::new(symbol.bars.iter().map(pick).collect::<Float64Array>())
    };
    let us: Vec<i64> = symbol.bars.iter().map(|bar| bar.ts_ms * 1000).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("close", column(|bar| Some(bar.close))),
        ("open", column(|bar| Some(bar.open))),
        ("high", column(|bar| Some(bar.high))),
        ("low", column(|bar| Some(bar.low))),
        ("volume", column(|bar| Some(bar.volume))),
        ("quote_volume", column(|bar| bar.quote_volume)),
        ("mark", column(|bar| bar.mark)),
        ("ts", Arc::new(TimestampMicrosecondArray::from(us).with_timezone("UTC"))),
    ];
    write_parquet(&dir.join(format!("{}_15m.parquet", symbol.name)), columns);
    let column = |pick: fn(&FundingTuple) -> Option<f64>| -> ArrayRef {
        Arc::new(symbol.funding.iter().map(pick).collect::<Float64Array>())
    };
    let ms: Int64Array = symbol.funding.iter().map(|record| Some(record.0)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("ts", Arc::new(ms)),
        ("funding_rate", column(|record| Some(record.1))),
        ("mark_price", column(|record| record.2)),
    ];
    write_parquet(&dir.join(format!("{}_funding.parquet", symbol.name)), columns);
}

fn columns(panels: &MarketPanels) -> [Option<&[f64]>; 9] {
    [
        Some(&panels.open[..]),
        Some(&panels.high[..]),
        Some(&panels.low[..]),
        Some(&panels.close[..]),
        Some(&panels.volume[..]),
        panels.quote_volume.as_deref(),
        panels.mark.as_deref(),
        panels.regime.as_deref(),
        panels.baseline_volume.as_deref(),
    ]
}

fn assert_same(a: &Market, b: &Market) {
    assert_eq!((a.grid, &a.symbols, &a.lane_of, a.first_row), (b.grid, &b.symbols, &b.lane_of, b.first_row));
    assert_eq!(a.funding, b.funding);
    assert_eq!(a.panels.lanes, b.panels.lanes);
    for (one, other) in columns(&a.panels).iter().zip(columns(&b.panels)) {
        let bits = |column: Option<&[f64]>| -> Option<Vec<u64>> {
            // One NaN is as missing as another.
            Some(
                column?.iter().map(|value| if value.is_nan() { u64::MAX } else { value.to_bits() }).collect(),
            )
        };
        assert!(bits(*one) == bits(other), "panels differ");
    }
}

fn csv_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    three_symbols().iter().for_each(|symbol| write_csv(dir.path(), symbol));
    dir
}

/// Puts other bytes in place of a file. A new file, because the old one may be mapped.
fn replace(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn store_file(dir: &Path) -> PathBuf {
    dir.join(".barloom").join("bars_15m.arrow")
}

#[test]
fn csv_parquet_and_memory_give_the_same_panels() {
    let memory = market_from_memory(STEP_MS, three_symbols()).unwrap();
    let csv = csv_dir();
    let parquet = tempfile::tempdir().unwrap();
    three_symbols().iter().for_each(|symbol| write_parquets(parquet.path(), symbol));
    for dir in [csv.path(), parquet.path()] {
        let (built, was_built) = open_with(dir, &[], &LoadOptions::default());
        let (mapped, was_built_again) = open_with(dir, &[], &LoadOptions::default());
        assert!(was_built && !was_built_again);
        assert_same(&memory, &built);
        assert_same(&memory, &mapped);
        assert_eq!(built.content_digest, mapped.content_digest);
        assert_eq!(built.warnings, mapped.warnings);
    }
}

#[test]
fn late_start_gap_and_early_end_lie_on_one_grid() {
    let market = open(csv_dir().path(), &[]);
    let names: Vec<&str> = market.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
    assert_eq!(names, ["AUSDT", "BUSDT", "CUSDT"]);
    assert_eq!((market.grid.start_ms, market.grid.bars), (START_MS, 600));
    let ends: Vec<_> = market.symbols.iter().map(|symbol| (symbol.first_bar, symbol.last_bar)).collect();
    assert_eq!(ends, [(Some(30), Some(599)), (Some(0), Some(599)), (Some(0), Some(39))]);
    let lanes = market.panels.lanes;
    assert_eq!(lanes, 8);
    for row in 0..600 {
        let cells = &market.panels.close[row * lanes..][..lanes];
        let present = [row >= 30, !(300..310).contains(&row), row < 40];
        for lane in 0..lanes {
            let expected = present.get(lane).is_some_and(|&present| present);
            assert_eq!(!cells[lane].is_nan(), expected, "row {row} lane {lane}");
            if expected {
                assert_eq!(cells[lane], bar([1, 2, 3][lane], row as i64).close);
            }
        }
    }
}

#[test]
fn a_selection_is_a_window_of_the_store() {
    let dir = csv_dir();
    let all = open(dir.path(), &[]);
    let a = open(dir.path(), &["AUSDT"]);
    assert_eq!((a.grid.start_ms, a.grid.bars, a.first_row), (START_MS + 30 * STEP_MS, 570, 30));
    assert_eq!((a.symbols[0].first_bar, a.symbols[0].last_bar), (Some(0), Some(569)));
    assert_eq!(a.lane_of, [0]);
    let c = open(dir.path(), &["CUSDT"]);
    assert_eq!((c.grid.bars, c.first_row), (40, 0));
    assert_eq!(c.lane_of, [2]);
    assert_eq!(c.panels.close[2], bar(3, 0).close);
    // C ends before the settlements of hour 8 and 16.
    assert_eq!(c.funding.records.len(), 2);
    assert!(
        c.warnings.contains(&"funding records after the last bar, ignored: 1".to_owned()),
        "{:?}",
        c.warnings
    );
    let record = |market: &Market, id: u32, at: usize| {
        *market.funding.records.iter().filter(|record| record.symbol == id).nth(at).unwrap()
    };
    // The first record of A lies before its first bar; the second settles at its open; the window shifts the bar.
    assert_eq!((record(&all, 0, 0).bar, record(&a, 0, 0).bar), (32, 2));
    assert_eq!(record(&a, 0, 0).mark_px, bar(1, 32).open);
    assert_eq!(record(&a, 0, 0).time_ms, START_MS + 8 * 3_600_000, "jitter is snapped");
    assert_eq!(record(&all, 1, 0).mark_px, 99.0);
    let digests = [&all.content_digest, &a.content_digest, &c.content_digest];
    assert!(digests[0] != digests[1] && digests[1] != digests[2]);
}

#[test]
fn the_digest_knows_contents_and_names_only() {
    let (one, two) = (csv_dir(), csv_dir());
    assert_eq!(open(one.path(), &[]).content_digest, open(two.path(), &[]).content_digest);
    let renamed = two.path().join("DUSDT_15m.csv");
    std::fs::rename(two.path().join("CUSDT_15m.csv"), renamed).unwrap();
    std::fs::rename(two.path().join("CUSDT_funding.csv"), two.path().join("DUSDT_funding.csv")).unwrap();
    assert_ne!(open(one.path(), &["CUSDT"]).content_digest, open(two.path(), &["DUSDT"]).content_digest);
    assert_eq!(open(one.path(), &["AUSDT"]).content_digest, open(two.path(), &["AUSDT"]).content_digest);
    let before = open(one.path(), &[]).content_digest;
    std::fs::write(one.path().join("AUSDT_contract.json"), r#"{"tick_size":0.01}"#).unwrap();
    let market = open(one.path(), &[]);
    assert_ne!(before, market.content_digest);
    assert_eq!(market.symbols[0].contract.tick.unwrap().size, 0.01);
}

#[test]
fn a_store_is_rebuilt_when_contents_change_and_kept_when_only_times_do() {
    let dir = csv_dir();
    let options = LoadOptions::default();
    let (first, _) = open_with(dir.path(), &[], &options);
    let path = dir.path().join("AUSDT_15m.csv");
    let text = std::fs::read_to_string(&path).unwrap();

    std::fs::write(&path, &text).unwrap();
    let (same, built) = open_with(dir.path(), &[], &options);
    assert!(!built, "the contents are what they were");
    assert_same(&first, &same);

    // One digit, same size, at once: neither size nor a coarse clock shows it.
    let at = text.rfind(|c: char| c.is_ascii_digit()).unwrap();
    let digit = if text.as_bytes()[at] == b'1' { "2" } else { "1" };
    let changed = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
    std::fs::write(&path, changed).unwrap();
    let (other, built) = open_with(dir.path(), &[], &options);
    assert!(built);
    assert_ne!(first.content_digest, other.content_digest);

    std::fs::remove_file(dir.path().join("CUSDT_15m.csv")).unwrap();
    let (fewer, built) = open_with(dir.path(), &[], &options);
    assert!(built);
    assert_eq!(fewer.symbols.len(), 2);
    assert_eq!(first.panels.close[2], bar(3, 0).close, "a mapped store outlives its successor");
}

#[test]
fn a_damaged_or_foreign_store_is_rebuilt_and_said_so() {
    let dir = csv_dir();
    let good = open(dir.path(), &[]);
    let path = store_file(dir.path());
    let bytes = std::fs::read(&path).unwrap();
    let rebuilds = |bytes: &[u8], why: &str| {
        replace(&path, bytes);
        let (market, built) = open_with(dir.path(), &[], &LoadOptions::default());
        assert!(built, "{why}");
        assert_same(&good, &market);
        let warning = market.warnings.last().unwrap();
        assert!(warning.starts_with("store: ") && warning.contains("has been rebuilt"), "{why}: {warning}");
        let (_, built) = open_with(dir.path(), &[], &LoadOptions::default());
        assert!(!built);
    };
    for cut in [0, 1, 8, 100, bytes.len() / 2, bytes.len() - 64, bytes.len() - 1] {
        rebuilds(&bytes[..cut], &format!("cut at {cut}"));
    }
    let mut short = bytes[..4096].to_vec();
    short.extend_from_slice(&bytes[bytes.len() / 2..]);
    rebuilds(&short, "a piece is missing in the middle");
    rebuilds(&[b"ARROW1\0\0".as_slice(), &[0xff; 4096], b"ARROW1"].concat(), "noise between the marks");
    let mut newer = bytes.clone();
    let key = b"barloom.format";
    let at = newer.windows(key.len()).rposition(|window| window == key).unwrap();
    newer[at..at + key.len()].copy_from_slice(b"farloom.bormat");
    rebuilds(&newer, "no format");

    let foreign = RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef)]);
    let foreign = foreign.unwrap();
    let mut file = Vec::new();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(&mut file, &foreign.schema()).unwrap();
    writer.write(&foreign).unwrap();
    writer.finish().unwrap();
    drop(writer);
    rebuilds(&file, "somebody else's Arrow file");

    let funding = std::fs::read_dir(dir.path().join(".barloom"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("funding_"))
        .unwrap();
    std::fs::remove_file(&funding).unwrap();
    rebuilds(&bytes, "no funding file");
}

/// A number that is another number after a while is as wrong as a missing one, and harder to see.
#[test]
fn a_store_whose_bytes_have_changed_is_rebuilt_where_it_is_verified() {
    let dir = csv_dir();
    let good = open(dir.path(), &[]);
    let options = LoadOptions { verify_store: true, ..LoadOptions::default() };
    assert!(!open_with(dir.path(), &[], &options).1, "a whole store is kept");
    let folder = dir.path().join(".barloom");
    let path_of = |prefix: &str| {
        let paths = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        paths
            .into_iter()
            .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
            .unwrap()
    };
    let flip_after = |path: &Path, text: &[u8], is_number: bool| {
        let mut bytes = std::fs::read(path).unwrap();
        let at = bytes.windows(text.len()).rposition(|window| window == text).expect("it is there");
        // The lowest bit of a number, or a digit.
        bytes[if is_number { at } else { at + text.len() }] ^= 1;
        replace(path, &bytes);
    };
    let panels = columns(&good.panels).into_iter().flatten();
    for (number, panel) in panels.enumerate() {
        let px = panel.iter().find(|px| px.is_finite() && **px != 0.0).expect("a number");
        flip_after(&path_of("bars_"), &px.to_le_bytes(), true);
        let (market, built) = open_with(dir.path(), &[], &options);
        assert!(built, "panel {number}");
        assert!(market.warnings.last().unwrap().contains("has changed since it was written"));
        assert_same(&good, &market);
    }
    flip_after(&path_of("funding_"), &good.funding.records[0].rate_frac.to_le_bytes(), true);
    assert!(open_with(dir.path(), &[], &options).1, "funding");
    // What describes the panels is always verified.
    flip_after(&path_of("bars_"), b"\"first_row\":", false);
    assert!(open_with(dir.path(), &[], &LoadOptions::default()).1, "description");
    assert_same(&good, &open(dir.path(), &[]));
}

#[test]
fn no_flipped_byte_of_the_frame_makes_it_panic() {
    let dir = csv_dir();
    open(dir.path(), &["CUSDT"]);
    let path = store_file(dir.path());
    let bytes = std::fs::read(&path).unwrap();
    // The footer and the head of the batch; panels are not looked at.
    let frame = (0..2048).chain(bytes.len() - 2048..bytes.len());
    for at in frame.step_by(37) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x55;
        replace(&path, &flipped);
        open(dir.path(), &["CUSDT"]);
    }
}

#[test]
fn arrow_readers_see_the_panels_in_place() {
    let dir = csv_dir();
    let market = open(dir.path(), &[]);
    let file = std::fs::File::open(store_file(dir.path())).unwrap();
    let mut reader = arrow_ipc::reader::FileReader::try_new(file, None).unwrap();
    assert_eq!(reader.schema().metadata()["barloom.symbols"], r#"["AUSDT","BUSDT","CUSDT"]"#);
    let batch = reader.next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), 600);
    let close = batch.column_by_name("close").unwrap();
    let close = close.as_any().downcast_ref::<arrow_array::FixedSizeListArray>().unwrap();
    let values = close.values().as_any().downcast_ref::<PrimitiveArray<Float64Type>>().unwrap();
    assert_eq!(values.values()[9], bar(2, 1).close);
    assert_eq!(values.values()[9], market.panels.close[9]);
    for column in columns(&market.panels).into_iter().flatten() {
        assert_eq!(column.as_ptr() as usize % 64, 0);
    }
}

#[test]
fn store_folder_can_be_chosen_and_must_be_writable() {
    let dir = csv_dir();
    let place = tempfile::tempdir().unwrap();
    let options = LoadOptions { store_dir: Some(place.path().join("s")), ..LoadOptions::default() };
    assert!(open_with(dir.path(), &[], &options).1);
    assert!(!open_with(dir.path(), &[], &options).1);
    assert!(!dir.path().join(".barloom").exists());
    let file = place.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let options = LoadOptions { store_dir: Some(file.join("s")), ..LoadOptions::default() };
    let error = open_market(dir.path(), &[], &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, barloom::Error::Io { .. }), "{error}");
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn other_bar_lengths_have_their_own_files_and_store() {
    let dir = csv_dir();
    let hourly =
        "ts,open,high,low,close,volume\n2021-06-01T00:00:00Z,1,2,1,2,5\n2021-06-01T02:00:00Z,1,2,1,2,5\n";
    std::fs::write(dir.path().join("AUSDT_1h.csv"), hourly).unwrap();
    let options = LoadOptions { bar_ms: bar_ms("1h").unwrap(), ..LoadOptions::default() };
    let (market, _) = open_with(dir.path(), &[], &options);
    assert_eq!((market.symbols.len(), market.grid.bars, market.grid.step_ms), (1, 3, 3_600_000));
    assert_eq!(market.funding.records.len(), 1, "the later two lie after the last bar");
    assert!(open_with(dir.path(), &[], &LoadOptions::default()).1);
    assert!(!open_with(dir.path(), &[], &options).1);
}

#[test]
fn parquet_stamps_of_any_unit_and_rows_from_zero() {
    let dir = tempfile::tempdir().unwrap();
    let price = |values: [f64; 2]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    let with = |ts: ArrayRef, volume: [f64; 2]| {
        write_parquet(
            &dir.path().join("AUSDT_15m.parquet"),
            vec![
                ("ts", ts),
                ("open", price([10.0, 11.0])),
                ("high", price([12.0, 12.0])),
                ("low", price([9.0, 9.0])),
                ("close", price([11.0, 10.0])),
                ("volume", price(volume)),
            ],
        );
        open_market(dir.path(), &[], &LoadOptions::default(), &mut |_| {})
    };
    let ns = vec![START_MS * 1_000_000, (START_MS + STEP_MS) * 1_000_000];
    let naive: ArrayRef = Arc::new(TimestampNanosecondArray::from(ns.clone()));
    let market = with(naive.clone(), [1.0, 2.0]).unwrap();
    assert_eq!((market.grid.start_ms, market.grid.bars), (START_MS, 2));
    assert!(market.warnings.contains(&"stamps without an offset were taken as UTC: AUSDT".to_owned()));
    let message = with(naive.clone(), [1.0, -2.0]).unwrap_err().to_string();
    assert!(message.contains("AUSDT_15m.parquet, row 1, `volume`: found -2"), "{message}");
    let message = with(naive, [1.0, f64::NAN]).unwrap_err().to_string();
    assert!(message.contains("row 1, `volume`: found nothing or NaN"), "{message}");
    let text: ArrayRef = Arc::new(arrow_array::StringArray::from(vec!["2021", "2022"]));
    let message = with(text, [1.0, 2.0]).unwrap_err().to_string();
    assert!(message.contains("`ts`: found type Utf8"), "{message}");
    let seconds: ArrayRef = Arc::new(Int64Array::from(vec![START_MS / 1000, START_MS / 1000 + 900]));
    let message = with(seconds, [1.0, 2.0]).unwrap_err().to_string();
    assert!(message.contains("row 0, `ts`: found 1622505600"), "{message}");

    let path = dir.path().join("AUSDT_15m.parquet");
    let bytes = std::fs::read(&path).unwrap();
    for cut in [3, bytes.len() / 2, bytes.len() - 1] {
        replace(&path, &bytes[..cut]);
        let message =
            open_market(dir.path(), &[], &LoadOptions::default(), &mut |_| {}).unwrap_err().to_string();
        assert!(message.contains("a complete Parquet file"), "{message}");
    }
}

#[test]
fn threads_show_in_nothing() {
    let run = |threads: usize| {
        let dir = csv_dir();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let market = pool.install(|| open(dir.path(), &[]));
        // Apart from the times of the sources, which lie in the schema, the files are the same.
        let funding = std::fs::read_dir(dir.path().join(".barloom"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .find(|name| name.starts_with("funding_"))
            .unwrap();
        (market, funding)
    };
    let (one, many) = (run(1), run(4));
    assert_same(&one.0, &many.0);
    assert_eq!((one.0.content_digest, one.1), (many.0.content_digest, many.1));
}

/// Real data beside the checkout, if it is there.
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn real_data(folder: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../shared/data", "../../shared/data"].iter().map(|up| root.join(up).join(folder));
    let found = found.into_iter().find(|path| path.is_dir());
    if found.is_none() {
        eprintln!("skipped: no real data folder `{folder}` beside the checkout");
    }
    found
}

#[test]
fn real_long_folder() {
    let Some(dir) = real_data("long") else { return };
    let place = tempfile::tempdir().unwrap();
    let options = LoadOptions { store_dir: Some(place.path().to_path_buf()), ..LoadOptions::default() };
    let (market, _) = open_with(&dir, &[], &options);
    assert_eq!((market.symbols.len(), market.grid.bars), (5, 47_966));
    assert_eq!(stamp::format_ms(market.grid.start_ms), "2023-01-01 00:00:00+00:00");
    let id = |name: &str| market.symbol_id(name).unwrap();
    for (name, day) in [("SUIUSDT", "2023-05-03"), ("1000PEPEUSDT", "2023-05-05"), ("BTCUSDT", "2023-01-01")]
    {
        let first = market.symbols[id(name)].first_bar.unwrap();
        assert!(stamp::format_ms(market.grid.open_ms(first)).starts_with(day), "{name}");
    }
    let lanes = market.panels.lanes;
    for (lane, symbol) in market.symbols.iter().enumerate() {
        let present = (0..market.grid.bars).filter(|row| !market.panels.close[row * lanes + lane].is_nan());
        assert_eq!(present.count(), symbol.last_bar.unwrap() - symbol.first_bar.unwrap() + 1, "no gaps");
        assert!(!symbol.brackets.is_empty());
    }
    let btc = &market.symbols[id("BTCUSDT")].contract;
    assert_eq!((btc.tick.unwrap().size, btc.step.size, btc.market_max_qty), (0.1, 0.001, 120.0));
    assert_eq!((btc.listed_ms, btc.delisted_ms), (Some(1_569_398_400_000), None));
    assert_eq!(market.panels.open[id("BTCUSDT")], 16537.5);
    assert!(market.funding.records.iter().all(|record| record.mark_px > 0.0));
    let early = "funding records before the first bar or after the delisting, ignored: 1000PEPEUSDT 1";
    assert!(market.warnings.contains(&early.to_owned()), "{:?}", market.warnings);
    assert_eq!(market.warnings.len(), 1, "{:?}", market.warnings);
}

#[test]
fn real_wide_folder() {
    let Some(dir) = real_data("wide") else { return };
    let place = tempfile::tempdir().unwrap();
    let options = LoadOptions { store_dir: Some(place.path().to_path_buf()), ..LoadOptions::default() };
    let (market, _) = open_with(&dir, &[], &options);
    assert_eq!((market.symbols.len(), market.panels.lanes), (14, 16));
    assert!(stamp::format_ms(market.grid.start_ms).starts_with("2025-03-06"));
    assert!(market.warnings[0].starts_with("no contract file: BSVUSDT"), "{:?}", market.warnings);
    let bsv = &market.symbols[market.symbol_id("BSVUSDT").unwrap()];
    assert!(bsv.first_bar.unwrap() > 0, "ragged starts");
}

#[test]
fn real_funding_with_jitter_and_a_change_of_interval() {
    let Some(dir) = real_data("dirty") else { return };
    let text = std::fs::read_to_string(dir.join("funding_interval_change_LAYERUSDT.csv")).unwrap();
    let records: Vec<FundingTuple> = text
        .lines()
        .skip(1)
        .map(|line| {
            let (ts_ms, rate) = line.split_once(',').unwrap();
            (ts_ms.parse().unwrap(), rate.parse().unwrap(), None)
        })
        .collect();
    let hour_ms = 3_600_000;
    let (first, last) = (records[0].0 / hour_ms, records[records.len() - 1].0 / hour_ms);
    let flat = |hour: i64| Bar { ts_ms: hour * hour_ms, ..bar(1, 0) };
    let symbol = MemorySymbol {
        name: "LAYERUSDT".to_owned(),
        contract: Contract::default(),
        brackets: Vec::new(),
        bars: (first..=last).map(flat).collect(),
        funding: records.clone(),
    };
    let market = market_from_memory(hour_ms, vec![symbol]).unwrap();
    assert_eq!(market.funding.records.len(), records.len());
    let steps: Vec<u32> = market.funding.records.windows(2).map(|pair| pair[1].bar - pair[0].bar).collect();
    assert!(steps.contains(&4) && steps.contains(&1), "{steps:?}");
    assert!(market.funding.records.iter().all(|record| record.time_ms % hour_ms == 0));
    assert!(market.funding.records.iter().any(|record| record.rate_frac == -0.02), "the floor of −2 %");
}
