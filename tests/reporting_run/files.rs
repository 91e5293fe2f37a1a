//! Tables, encodings and the run folder.

use std::collections::BTreeMap;
use std::path::Path;

use arrow_array::{Array, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use barloom::reporting::table::Cells;
use barloom::reporting::{
    LotMethod, OutputFormat, RunRecorder, RunReport, TableKind, check_invariants, write_run,
};
use proptest::prelude::*;

use crate::account::{example_8, market, tags};

#[test]
fn tables_have_the_columns_of_the_contract() {
    let (market, recorder) = example_8();
    let expected = [
        "ts,wallet,unrealized_pnl,equity,gross_exposure,net_exposure,initial_margin,maintenance_margin,margin_ratio,\
         drawdown,positions,state",
        "fill_id,ts,symbol,order_id,side,qty,price,base_price,notional,liquidity,fee,slippage_bps,slippage_cost,\
         participation,regime,reason,flags,realized_pnl,position_after,avg_entry_after,tag",
        "trade_id,symbol,side,entry_ts,exit_ts,bars_held,max_qty,entry_price,exit_price,gross_pnl,fees,funding,\
         net_pnl,return,mae,mfe,exit_reason,tag",
        "entry_id,ts,symbol,kind,amount,wallet_after,ref_id",
        "order_id,ts,symbol,type,side,qty,price,ttl_bars,status,reason,end_ts",
        "ts,symbol,rank,score,member",
    ];
    for (table, columns) in TableKind::ALL.into_iter().zip(expected) {
        let csv = table.build(&recorder, &market, &[]).encode(OutputFormat::Csv);
        assert_eq!(String::from_utf8(csv).unwrap().lines().next(), Some(columns), "{table:?}");
        assert_eq!(TableKind::from_name(table.name()), Some(table));
    }
}

#[test]
fn csv_rows_read_as_the_contract_says() {
    let (market, recorder) = example_8();
    let tags = tags();
    let csv = |table: TableKind| {
        String::from_utf8(table.build(&recorder, &market, &tags).encode(OutputFormat::Csv)).unwrap()
    };
    let line = |table: TableKind, row: usize| csv(table).lines().nth(row + 1).unwrap().to_owned();
    assert_eq!(
        line(TableKind::Fills, 0),
        "0,2021-06-01 00:00:00+00:00,AAA,,BUY,2,100,99.75,200,taker,0.1,1,0.5,,,market_entry,,0,2,100,\
         \"first, \"\"quoted\"\"\""
    );
    assert_eq!(
        line(TableKind::Equity, 1),
        format!("2021-06-01 00:15:00+00:00,9999.847,12,10011.847,{0},{0},,,,0,1,NORMAL", 318.0 / 10_011.847)
    );
    assert_eq!(line(TableKind::Ledger, 0), "0,2021-06-01 00:00:00+00:00,,DEPOSIT,10000,10000,");
    assert_eq!(
        line(TableKind::Orders, 0),
        "0,2021-06-01 00:00:00+00:00,AAA,market,BUY,2,,,filled,,2021-06-01 00:15:00+00:00"
    );
    assert_eq!(
        line(TableKind::Orders, 1),
        "1,2021-06-01 00:30:00+00:00,AAA,market,SELL,,,1,rejected,min_qty,2021-06-01 00:45:00+00:00"
    );
    assert_eq!(
        csv(TableKind::Universe),
        "ts,symbol,rank,score,member\n2021-06-01 00:00:00+00:00,AAA,,,true\n"
    );
}

fn floats(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    let column = batch.column_by_name(name).unwrap();
    column.as_any().downcast_ref::<Float64Array>().unwrap().iter().collect()
}

fn read_parquet(bytes: Vec<u8>) -> RecordBatch {
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes));
    reader.unwrap().build().unwrap().next().unwrap().unwrap()
}

fn read_arrow(bytes: Vec<u8>) -> RecordBatch {
    let reader = arrow_ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes), None);
    reader.unwrap().next().unwrap().unwrap()
}

#[test]
fn all_formats_read_back_to_the_same_values() {
    let (market, recorder) = example_8();
    let tags = tags();
    for kind in TableKind::ALL {
        let table = kind.build(&recorder, &market, &tags);
        let parquet = read_parquet(table.encode(OutputFormat::Parquet));
        let arrow = read_arrow(table.encode(OutputFormat::Arrow));
        assert_eq!(parquet, arrow, "{kind:?}");
        let csv = table.encode(OutputFormat::Csv);
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), table.rows());
        for (column, (name, cells)) in table.columns().iter().enumerate() {
            let text = |row: usize| &records[row][column];
            match cells {
                Cells::Float(_) => {
                    let parsed: Vec<Option<f64>> =
                        (0..records.len()).map(|row| text(row).parse().ok()).collect();
                    assert_eq!(parsed, floats(&arrow, name), "{kind:?} {name}");
                }
                Cells::Text(_) => {
                    let array = arrow.column_by_name(name).unwrap();
                    let array = array.as_any().downcast_ref::<StringArray>().unwrap();
                    assert!(
                        (0..records.len())
                            .all(|row| text(row) == array.iter().nth(row).unwrap().unwrap_or(""))
                    );
                }
                Cells::Time(stamps) => {
                    let array = arrow.column_by_name(name).unwrap();
                    let array = array.as_any().downcast_ref::<TimestampMillisecondArray>().unwrap();
                    assert_eq!(
                        (array.timezone(), array.iter().collect::<Vec<_>>()),
                        (Some("UTC"), stamps.clone())
                    );
                }
                Cells::Int(_) | Cells::Bool(_) => {}
            }
        }
    }
}

#[test]
fn an_account_that_did_nothing_has_empty_tables() {
    let market = market(&[vec![100.0, 101.0]]);
    let recorder = RunRecorder::new(1, market.grid, 0..2, 1000.0);
    for (kind, rows) in TableKind::ALL.into_iter().zip([0, 0, 0, 1, 0, 1]) {
        let table = kind.build(&recorder, &market, &[]);
        assert_eq!(table.rows(), rows, "{kind:?}");
        let parquet = bytes::Bytes::from(table.encode(OutputFormat::Parquet));
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), rows as i64, "{kind:?}");
        assert_eq!(read_arrow(table.encode(OutputFormat::Arrow)).num_rows(), rows, "{kind:?}");
        let csv = String::from_utf8(table.encode(OutputFormat::Csv)).unwrap();
        assert_eq!(csv.lines().count(), rows + 1, "{kind:?}");
    }
    assert_eq!(check_invariants(&recorder, &market, false), [""; 0]);
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
}

#[test]
fn run_folders_have_the_same_bytes_but_for_run() {
    let (market, recorder) = example_8();
    let (config, rules, tags) =
        (serde_json::json!({"general": {"seed": 1}}), serde_json::json!({"a": 1}), tags());
    let home = tempfile::tempdir().unwrap();
    let mut digests = Vec::new();
    for format in [OutputFormat::Csv, OutputFormat::Parquet, OutputFormat::Arrow] {
        let mut folders = Vec::new();
        for threads in [1, 8] {
            let dir = home.path().join(format!("{}/{threads}", format.extension()));
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("notes.txt"), "mine").unwrap();
            let run = serde_json::json!({ "threads": threads });
            let report = RunReport {
                market: &market,
                recorder: &recorder,
                tags: &tags,
                use_mark: true,
                bounds: None,
                format,
                lot_method: LotMethod::default(),
                tables: &TableKind::ALL,
                config: &config,
                seed: 1,
                rules: &rules,
                warnings: &[],
                run: &run,
            };
            let written = write_run(&dir, &report).unwrap();
            assert_eq!(write_run(&dir, &report).unwrap(), written);
            digests.push(written.result_digest);
            let mut files = contents(&dir);
            let manifest = files.remove("manifest.json").unwrap();
            let mut manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
            assert_eq!(manifest["run"]["threads"], threads);
            manifest.as_object_mut().unwrap().remove("run");
            assert_eq!(manifest["warnings"][0], "no brackets");
            assert_eq!(manifest["files"].as_object().unwrap().len(), 8);
            folders.push((manifest, files));
        }
        assert_eq!(folders[0], folders[1]);
        let names: Vec<&str> = folders[0].1.keys().map(String::as_str).collect();
        assert!(names.contains(&"notes.txt") && names.len() == 9, "{names:?}");
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    let metrics = std::fs::read(home.path().join("csv/1/metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_slice(&metrics).unwrap();
    for (name, value) in recorder.metrics().to_json().as_object().unwrap() {
        assert_eq!(&metrics[name], value);
    }
}

#[test]
fn a_file_in_the_way_is_bad_input() {
    let home = tempfile::tempdir().unwrap();
    let taken = home.path().join("taken");
    std::fs::write(&taken, "x").unwrap();
    let error = barloom::reporting::files::create_folder(&taken).unwrap_err();
    assert!(matches!(error, barloom::Error::BadInput(_)), "{error}");
    assert!(barloom::reporting::files::write_atomic(home.path().join("no/such.csv"), b"x").is_err());
    assert_eq!(contents(home.path()).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any f64 that a table may hold survives CSV.
    #[test]
    fn csv_keeps_every_float(values in prop::collection::vec(any::<f64>().prop_filter("finite", |x| x.is_finite()), 1..20)) {
        let table = barloom::reporting::Table::new().with("x", Cells::Float(values.clone()));
        let csv = String::from_utf8(table.encode(OutputFormat::Csv)).unwrap();
        let parsed: Vec<f64> = csv.lines().skip(1).map(|line| line.parse().unwrap()).collect();
        prop_assert_eq!(parsed, values);
    }
}
