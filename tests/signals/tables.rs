//! Orders and signals from files, good and bad.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use barloom::engine::api::{Attached, AttachedLevels, NO_TAG, OrderKind, Side};
use barloom::market::Market;
use barloom::signals::{SignalSource, read_orders, read_table};

use super::market::{START_MS, STEP_MS, bars_of, closes, for_each_tile, masks};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn csv(&self, text: &str) -> PathBuf {
        let path = self.0.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// `S00` and ten bars from 2023-01-01 00:00 on.
fn ten() -> Market {
    closes(&[1.0; 10])
}

#[test]
fn orders_are_read_from_csv() {
    let folder = Folder::new();
    let path = folder.csv(
        "ts,symbol,type,side,qty,stop_loss,take_profit,ttl_bars,reduce_only,close_position,post_only,price,tag\n\
         2023-01-01 00:30:00+00:00,S00,market,BUY,1.5,0.9,,,,,,,a\n\
         2023-01-01T00:15:00Z,S00,MARKET,sell,,,2,3,,False,False,,b\n\
         1672532100000,S00,market,SELL,nan,,,,true,,,,\n\
         2023-01-01 02:15:00+00:00,S00,market,SELL,,,,,,1,0,,a\n",
    );
    let table = read_orders(&path, &ten()).unwrap();
    assert_eq!(table.tags, ["a", "b"]);
    let summary: Vec<_> = table
        .intents
        .iter()
        .map(|o| (o.bar, o.order_id, o.side, o.ttl_bars, o.reduce_only, o.close_position, o.tag))
        .collect();
    assert_eq!(
        summary,
        [
            (1, 1, Side::Sell, 3, false, false, 1),
            (1, 2, Side::Sell, 0, true, false, NO_TAG),
            (2, 0, Side::Buy, 1, false, false, 0),
            (9, 3, Side::Sell, 0, false, true, 0),
        ]
    );
    let buy = &table.intents[2];
    assert_eq!((buy.kind, buy.symbol, buy.qty, buy.attached.stop_loss_px), (OrderKind::Market, 0, 1.5, 0.9));
    assert!(buy.attached.take_profit_px.is_nan() && table.intents[1].qty.is_nan());
    assert_eq!(table.intents[0].attached.take_profit_px, 2.0);
}

#[test]
fn orders_arrive_in_the_tile_of_their_bar() {
    let folder = Folder::new();
    let path = folder.csv(
        "ts,symbol,type,side\n2023-01-01 00:45:00,S00,market,BUY\n2023-01-01 00:00:00,S00,market,SELL\n\
         2023-01-01 01:00:00,S00,market,SELL\n",
    );
    let market = ten();
    let mut table = read_orders(&path, &market).unwrap();
    for tile_rows in [1, 4, 10] {
        let mut seen = Vec::new();
        for_each_tile(&market, tile_rows, |tile| {
            table.step(&market, tile);
            let signals = table.trial(0);
            assert!(signals.long_entry.is_none());
            for intent in signals.intents {
                assert!((tile.bar0..tile.bar0 + tile.rows).contains(&(intent.bar as usize)));
                seen.push(intent.order_id);
            }
        });
        assert_eq!(seen, [1, 0, 2]);
    }
}

#[test]
fn orders_are_the_same_from_parquet_and_arrow() {
    let folder = Folder::new();
    let micros = |bar: i64| (START_MS + bar * STEP_MS) * 1000;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("ts", Arc::new(TimestampMicrosecondArray::from(vec![micros(2), micros(1)]).with_timezone("UTC"))),
        ("symbol", Arc::new(StringArray::from(vec!["S00", "S00"]))),
        ("type", Arc::new(StringArray::from(vec!["market", "market"]))),
        ("side", Arc::new(StringArray::from(vec!["BUY", "SELL"]))),
        ("qty", Arc::new(Float64Array::from(vec![Some(0.1 + 0.2), None]))),
        ("ttl_bars", Arc::new(Float64Array::from(vec![f64::NAN, 5.0]))),
        ("reduce_only", Arc::new(BooleanArray::from(vec![Some(false), None]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let parquet = folder.0.path().join("orders.parquet");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(std::fs::File::create(&parquet).unwrap(), batch.schema(), None)
            .unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let arrow = folder.0.path().join("orders.arrow");
    let mut writer =
        arrow_ipc::writer::FileWriter::try_new(std::fs::File::create(&arrow).unwrap(), &batch.schema())
            .unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    for path in [parquet, arrow] {
        let intents = read_orders(&path, &ten()).unwrap().intents;
        assert_eq!(
            intents.iter().map(|o| (o.bar, o.order_id, o.ttl_bars)).collect::<Vec<_>>(),
            [(1, 1, 5), (2, 0, 1)]
        );
        assert_eq!(intents[1].qty.to_bits(), (0.1_f64 + 0.2).to_bits());
        assert!(intents[0].qty.is_nan());
    }
}

#[test]
fn a_bad_order_is_answered_with_its_row_and_column() {
    const HEADER: &str =
        "ts,symbol,type,side,qty,price,trail,oco_group,post_only,ttl_bars,reduce_only,stop_loss";
    let folder = Folder::new();
    for (row, expected) in [
        (
            "2023-01-01 00:15:00,S0,market,BUY",
            "`symbol`: found `S0`; expected a symbol of the data; did you mean `S00`?",
        ),
        ("2023-01-01 00:15:00,,market,BUY", "`symbol`: found nothing; expected the name of a symbol"),
        (
            "2023-01-01 00:20:00,S00,market,BUY",
            "`ts`: found 2023-01-01 00:20:00+00:00; expected the open time of a bar (15 minutes apart from 2023-01-01 00:00:00+00:00)",
        ),
        (
            "2023-01-01 02:30:00,S00,market,BUY",
            "`ts`: found 2023-01-01 02:30:00+00:00; expected a bar of the data, 2023-01-01 00:00:00+00:00 to 2023-01-01 02:15:00+00:00",
        ),
        ("2022-12-31 23:45:00,S00,market,BUY", "expected a bar of the data"),
        ("noon,S00,market,BUY", "`ts`: found `noon`; expected a UTC stamp such as"),
        (",S00,market,BUY", "`ts`: found nothing; expected the open time of a bar"),
        (
            "2023-01-01 00:15:00,S00,limit,BUY",
            "`type`: found `limit`; expected market; not supported by this version yet",
        ),
        ("2023-01-01 00:15:00,S00,stop_limit,BUY", "not supported by this version yet"),
        ("2023-01-01 00:15:00,S00,markt,BUY", "`type`: found `markt`; expected market"),
        ("2023-01-01 00:15:00,S00,market,LONG", "`side`: found `LONG`; expected BUY or SELL"),
        ("2023-01-01 00:15:00,S00,market,BUY,-1", "`qty`: found `-1`; expected a positive number, or blank"),
        (
            "2023-01-01 00:15:00,S00,market,BUY,inf",
            "`qty`: found `inf`; expected a positive number, or blank",
        ),
        (
            "2023-01-01 00:15:00,S00,market,BUY,1,2",
            "`price`: found `2`; expected nothing; not supported by this version yet; leave it blank",
        ),
        (
            "2023-01-01 00:15:00,S00,market,BUY,1,,2",
            "`trail`: found `2`; expected nothing; not supported by this version yet; leave it blank",
        ),
        (
            "2023-01-01 00:15:00,S00,market,BUY,1,,,g",
            "`oco_group`: found `g`; expected nothing; not supported by this version yet",
        ),
        (
            "2023-01-01 00:15:00,S00,market,BUY,1,,,,true",
            "`post_only`: found `true`; expected nothing; not supported by this version yet",
        ),
        (
            "2023-01-01 00:15:00,S00,market,BUY,1,,,,,0",
            "`ttl_bars`: found `0`; expected a whole number of bars, at least 1, or blank",
        ),
        ("2023-01-01 00:15:00,S00,market,BUY,1,,,,,1.5", "`ttl_bars`: found `1.5`"),
        (
            "2023-01-01 00:15:00,S00,market,BUY,1,,,,,,yes",
            "`reduce_only`: found `yes`; expected true or false, or blank",
        ),
        (
            "2023-01-01 00:15:00,S00,market,BUY,1,,,,,,,0",
            "`stop_loss`: found `0`; expected a positive number, or blank",
        ),
    ] {
        let blanks = ",".repeat(11 - row.matches(',').count());
        let good = "2023-01-01 00:15:00,S00,market,BUY,,,,,,,,";
        let path = folder.csv(&format!("{HEADER}\n{good}\n{row}{blanks}\n"));
        let error = read_orders(&path, &ten()).unwrap_err().to_string();
        let expected_start = format!("{}, row 3, ", path.display());
        assert!(
            error.starts_with(&expected_start) && error.contains(expected),
            "{error}\nis not\n{expected}"
        );
    }
}

#[test]
fn a_bad_file_is_answered_with_its_name() {
    let folder = Folder::new();
    for (text, expected) in [
        ("ts,symbol,type\n", "found columns ts, symbol, type; expected a column `side`"),
        ("ts,symbol,type,Side\n", "expected a column `side`; rename `Side`"),
        ("ts,symbol,type,side,stop_los\n", "`stop_los`: found an unknown column; expected one of ts,"),
        ("ts,ts,symbol,type,side\n", "`ts`: found two of them; expected each column once"),
        ("ts,symbol,type,side\n1,2\n", "row 2: found CSV error"),
        ("", "expected a column `ts`"),
    ] {
        let path = folder.csv(text);
        let error = read_orders(&path, &ten()).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()) && error.contains(expected), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let error = |name: &str, bytes: &[u8]| {
        let path = folder.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read_orders(&path, &ten()).unwrap_err().to_string()
    };
    assert!(error("a.parquet", b"nonsense").contains("expected a Parquet file"));
    assert!(error("a.arrow", b"nonsense nonsense").contains("expected an uncompressed Arrow IPC file"));
    assert!(error("a.xlsx", b"").contains("found the ending `.xlsx`; expected a table that ends in .csv"));
    let not_text = error("b.csv", b"ts,symbol,type,side\n\xff\xfe,S00,market,BUY\n");
    assert!(not_text.contains("row 2: found CSV parse error"), "{not_text}");
    let absent = read_orders(&folder.0.path().join("absent.csv"), &ten()).unwrap_err().to_string();
    assert!(absent.contains("expected an existing file or folder"), "{absent}");
    // An index column without a name, or columns of the user's own, do no harm.
    let path = folder.csv(",ts,symbol,type,side,my_own_signal_strength\n0,1672532100000,S00,market,BUY,7\n");
    assert_eq!(read_orders(&path, &ten()).unwrap().intents.len(), 1);
}

#[test]
fn signals_are_read_with_their_prices_and_tags() {
    let folder = Folder::new();
    let path = folder.csv(
        "ts,symbol,side,stop_price,take_profit,tag,weight,entry_price\n\
         2023-01-01 01:30:00,S00,FLAT,,,,,\n\
         2023-01-01 00:15:00,S00,LONG,0.9,1.2,breakout,,\n\
         2023-01-01 00:45:00,S00,short,1.1,,fade,,\n",
    );
    let market = ten();
    let mut table = read_table(&path, &market).unwrap();
    assert_eq!(table.tags, ["breakout", "fade"]);
    for tile_rows in [1, 4, 10] {
        let [long_entry, long_exit, short_entry, short_exit] = masks(&mut table, 0, &market, tile_rows);
        assert_eq!(bars_of(&long_entry, &market, 0), [1]);
        assert_eq!(bars_of(&short_entry, &market, 0), [3]);
        assert_eq!(bars_of(&long_exit, &market, 0), [6]);
        assert_eq!(long_exit, short_exit);
        let mut levels = Vec::new();
        for_each_tile(&market, tile_rows, |tile| {
            table.step(&market, tile);
            let values = table.trial(0).values.unwrap();
            for row in 0..tile.rows {
                let AttachedLevels::Prices(Attached { stop_loss_px, take_profit_px, .. }) =
                    values.attached_levels(tile, row, 0, Side::Buy)
                else {
                    panic!("a table rejects nothing");
                };
                if !stop_loss_px.is_nan() || !take_profit_px.is_nan() {
                    levels.push((
                        tile.bar0 + row,
                        stop_loss_px,
                        take_profit_px.is_nan(),
                        values.tag(tile, row, 0),
                    ));
                }
            }
        });
        assert_eq!(levels, [(1, 0.9, false, 0), (3, 1.1, true, 1)]);
    }
}

#[test]
fn a_bad_signal_is_answered_with_its_row_and_column() {
    let folder = Folder::new();
    let good = "2023-01-01 00:15:00,S00,LONG,,,,";
    for (row, expected) in [
        ("2023-01-01 00:30:00,S00,BUY,,,,", "row 3, `side`: found `BUY`; expected LONG, SHORT or FLAT"),
        (
            "2023-01-01 00:30:00,S00,LONG,1,,,",
            "row 3, `entry_price`: found `1`; expected nothing; not supported by this version yet",
        ),
        (
            "2023-01-01 00:30:00,S00,LONG,,,,0.5",
            "row 3, `weight`: found `0.5`; expected nothing; not supported by this version yet",
        ),
        (
            "2023-01-01 00:30:00,S00,LONG,,-1,,",
            "row 3, `stop_price`: found `-1`; expected a positive number, or blank",
        ),
        (
            "2023-01-01 00:15:00,S00,FLAT,,,,",
            "row 3, `ts`: found a second row for S00 (the first is row 2); expected one row per `ts` and `symbol`; remove one of them",
        ),
        ("2023-01-01 00:31:00,S00,FLAT,,,,", "row 3, `ts`: found 2023-01-01 00:31:00+00:00"),
    ] {
        let path =
            folder.csv(&format!("ts,symbol,side,entry_price,stop_price,take_profit,weight\n{good}\n{row}\n"));
        let error = read_table(&path, &ten()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nis not\n{expected}");
    }
}
