//! Orders and signals from files, good and bad.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use barloom::engine::api::{Attached, AttachedLevels, EntryOrder, NO_GROUP, NO_TAG, OrderKind, Side};
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
    // A damaged file is an error, wherever the damage is, also where the crate that decodes it panics.
    let whole = std::fs::read(&arrow).unwrap();
    let damaged = folder.0.path().join("damaged.arrow");
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x80;
        std::fs::write(&damaged, &bytes).unwrap();
        if let Err(error) = read_orders(&damaged, &ten()) {
            assert!(error.to_string().contains("damaged.arrow"), "byte {at}: {error}");
        }
        std::fs::write(&damaged, &whole[..at]).unwrap();
        assert!(read_orders(&damaged, &ten()).is_err(), "{at} bytes are no table");
    }
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

/// One row of an order table from `column=value` pairs; what is not given is a market buy at 00:15 and blanks.
const COLUMNS: [&str; 17] = [
    "ts",
    "symbol",
    "type",
    "side",
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

fn order_row(cells: &str) -> String {
    let mut row = COLUMNS.map(|_| String::new());
    row[..4].clone_from_slice(&["2023-01-01 00:15:00", "S00", "market", "BUY"].map(String::from));
    for cell in cells.split(' ').filter(|cell| !cell.is_empty()) {
        let (column, value) = cell.split_once('=').unwrap();
        let place = COLUMNS.iter().position(|name| *name == column).unwrap();
        row[place] = value.to_owned();
    }
    row.join(",") + "\n"
}

#[test]
fn a_bad_order_is_answered_with_its_row_and_column() {
    let folder = Folder::new();
    for (row, expected) in [
        ("symbol=S0", "`symbol`: found `S0`; expected a symbol of the data; did you mean `S00`?"),
        ("symbol=", "`symbol`: found nothing; expected the name of a symbol"),
        (
            "ts=2023-01-01T00:20:00",
            "`ts`: found 2023-01-01 00:20:00+00:00; expected the open time of a bar (15 minutes apart from 2023-01-01 00:00:00+00:00)",
        ),
        (
            "ts=2023-01-01T02:30:00",
            "`ts`: found 2023-01-01 02:30:00+00:00; expected a bar of the data, 2023-01-01 00:00:00+00:00 to 2023-01-01 02:15:00+00:00",
        ),
        ("ts=2022-12-31T23:45:00", "expected a bar of the data"),
        ("ts=noon", "`ts`: found `noon`; expected a UTC stamp such as"),
        ("ts=", "`ts`: found nothing; expected the open time of a bar"),
        (
            "type=markt",
            "`type`: found `markt`; expected market, limit, stop or stop_limit; did you mean `market`?",
        ),
        ("type=", "`type`: found nothing; expected market, limit, stop or stop_limit"),
        ("type=trailing", "`type`: found `trailing`; expected market, limit, stop or stop_limit"),
        ("side=LONG", "`side`: found `LONG`; expected BUY or SELL"),
        ("qty=-1", "`qty`: found `-1`; expected a positive number, or blank"),
        ("qty=inf", "`qty`: found `inf`; expected a positive number, or blank"),
        // A price where the type has one, and only there.
        ("price=2", "`price`: found `2`; expected nothing on a market order; leave it blank"),
        ("type=limit", "`price`: found nothing; expected the limit price, a positive number"),
        ("type=limit price=nan", "`price`: found `nan`; expected the limit price, a positive number"),
        ("type=limit price=-2", "`price`: found `-2`; expected the limit price"),
        ("type=limit price=0", "`price`: found `0`; expected the limit price"),
        ("type=limit price=inf", "`price`: found `inf`; expected the limit price"),
        ("type=limit price=cheap", "`price`: found `cheap`; expected the limit price"),
        ("type=stop", "`price`: found nothing; expected the trigger price, a positive number"),
        ("type=stop_limit limit_price=2", "`price`: found nothing; expected the trigger price"),
        (
            "type=stop_limit price=2",
            "`limit_price`: found nothing; expected the limit price of a stop_limit order, a positive number",
        ),
        (
            "type=stop_limit price=2 limit_price=-1",
            "`limit_price`: found `-1`; expected the limit price of a",
        ),
        (
            "type=limit price=2 limit_price=2",
            "`limit_price`: found `2`; expected nothing on an order that is no stop_limit; leave it blank",
        ),
        ("type=stop price=2 limit_price=2", "`limit_price`: found `2`; expected nothing on an order that"),
        // Flags.
        (
            "post_only=true",
            "`post_only`: found `true`; expected a limit or stop_limit order, not `market`, or false",
        ),
        ("type=stop price=2 post_only=1", "`post_only`: found `1`; expected a limit or stop_limit order"),
        ("reduce_only=yes", "`reduce_only`: found `yes`; expected true or false, or blank"),
        (
            "close_position=true qty=1",
            "`qty`: found `1`; expected nothing with close_position, which closes whatever is there; leave it blank",
        ),
        ("ttl_bars=0", "`ttl_bars`: found `0`; expected a whole number of bars, at least 1, or blank"),
        ("ttl_bars=1.5", "`ttl_bars`: found `1.5`"),
        ("ttl_bars=-3", "`ttl_bars`: found `-3`"),
        ("ttl_bars=1e12", "`ttl_bars`: found `1e12`"),
        // Levels.
        ("stop_loss=0", "`stop_loss`: found `0`; expected a positive number, or blank"),
        ("trail=0", "`trail`: found `0`; expected a positive number, or blank"),
        ("trail=1 activation=-1", "`activation`: found `-1`; expected a positive number, or blank"),
        (
            "activation=1",
            "`activation`: found `1`; expected nothing without `trail`, the distance it activates; leave it blank",
        ),
        (
            "stop_loss=2 take_profit=2",
            "`stop_loss`: found `2`; expected a price below `take_profit` = 2 for this side",
        ),
        (
            "side=SELL stop_loss=1 take_profit=2",
            "`stop_loss`: found `1`; expected a price above `take_profit` = 2 for this side",
        ),
        (
            "reduce_only=true stop_loss=1",
            "`stop_loss`: found `1`; expected nothing on a reduce_only or close_position order, which never opens a position; leave it blank",
        ),
        ("close_position=true trail=1", "`trail`: found `1`; expected nothing on a reduce_only or"),
    ] {
        let path = folder.csv(&format!("{}\n{}{}", COLUMNS.join(","), order_row(""), order_row(row)));
        let error = read_orders(&path, &ten()).unwrap_err().to_string();
        let expected_start = format!("{}, row 3, ", path.display());
        assert!(
            error.starts_with(&expected_start) && error.contains(expected) && !error.contains('\n'),
            "{row}: {error}\nis not\n{expected}"
        );
    }
}

#[test]
fn every_type_and_flag_of_an_order_is_read() {
    let folder = Folder::new();
    let rows = [
        "type=limit price=0.9 post_only=true ttl_bars=8 oco_group=7",
        "type=STOP side=sell price=0.8 qty=2 oco_group=exit reduce_only=1",
        "type=stop_limit price=1.1 limit_price=1.2 post_only=TRUE trail=0.1 activation=0.2 oco_group=7.0",
        "type=market trail=0.3 stop_loss=0.7 take_profit=1.5 oco_group=NaN price=nan activation=nan",
        "type=limit side=SELL price=1.3 close_position=true reduce_only=true oco_group=exit",
        "type=limit side=SELL price=1.3 stop_loss=1.4 take_profit=1 oco_group=7.00",
    ];
    let text: String = rows.iter().map(|row| order_row(row)).collect();
    let path = folder.csv(&format!("{}\n{text}", COLUMNS.join(",")));
    let intents = read_orders(&path, &ten()).unwrap().intents;
    let px = |value: f64| if value.is_nan() { 0.0 } else { value };
    let prices: Vec<_> =
        intents.iter().map(|o| (o.kind, o.side, px(o.price_px), px(o.limit_px), o.post_only)).collect();
    assert_eq!(
        prices,
        [
            (OrderKind::Limit, Side::Buy, 0.9, 0.0, true),
            (OrderKind::Stop, Side::Sell, 0.8, 0.0, false),
            (OrderKind::StopLimit, Side::Buy, 1.1, 1.2, true),
            (OrderKind::Market, Side::Buy, 0.0, 0.0, false),
            (OrderKind::Limit, Side::Sell, 1.3, 0.0, false),
            (OrderKind::Limit, Side::Sell, 1.3, 0.0, false),
        ]
    );
    let levels: Vec<_> = intents
        .iter()
        .map(|o| o.attached)
        .map(|a| [a.stop_loss_px, a.take_profit_px, a.trail_px, a.activation_px].map(px))
        .collect();
    assert_eq!(
        levels,
        [[0.0; 4], [0.0; 4], [0.0, 0.0, 0.1, 0.2], [0.7, 1.5, 0.3, 0.0], [0.0; 4], [1.4, 1.0, 0.0, 0.0],]
    );
    let lives: Vec<_> = intents.iter().map(|o| (o.ttl_bars, o.reduce_only, o.close_position)).collect();
    assert_eq!(
        lives,
        [
            (8, false, false),
            (0, true, false),
            (1, false, false),
            (1, false, false),
            (0, true, true),
            (1, false, false),
        ]
    );
    // `7` and `7.0` are one number; `7.00` is a text of its own.
    let groups: Vec<_> = intents.iter().map(|o| o.oco_group).collect();
    assert_eq!(groups, [0, 1, 0, NO_GROUP, 1, 2]);
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
    assert!(error("a.arrow", b"nonsense nonsense").contains("expected an Arrow IPC file"));
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
         2023-01-01 00:15:00,S00,LONG,0.9,1.2,breakout,,0.95\n\
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
                let entry = values.entry_order(tile, row, 0, Side::Buy);
                let expected =
                    if tile.bar0 + row == 1 { EntryOrder::Limit(0.95) } else { EntryOrder::Market };
                assert_eq!(entry, expected);
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
            "2023-01-01 00:30:00,S00,LONG,0,,,",
            "row 3, `entry_price`: found `0`; expected a positive number, or blank",
        ),
        (
            "2023-01-01 00:30:00,S00,FLAT,1,,,",
            "row 3, `entry_price`: found `1`; expected nothing on a FLAT row, which enters nothing and exits at the market; leave it blank",
        ),
        ("2023-01-01 00:30:00,S00,FLAT,,-1,,", "row 3, `stop_price`: found `-1`; expected a positive number"),
        (
            "2023-01-01 00:30:00,S00,SHORT,,1,1.5,",
            "row 3, `stop_price`: found `1`; expected a price above `take_profit` = 1.5 for this side",
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

#[test]
fn an_entry_price_alone_is_a_limit_entry() {
    let folder = Folder::new();
    let path = folder.csv("ts,symbol,side,entry_price\n2023-01-01 00:15:00,S00,SHORT,1.25\n");
    let market = ten();
    let mut table = read_table(&path, &market).unwrap();
    for_each_tile(&market, 10, |tile| {
        table.step(&market, tile);
        let values = table.trial(0).values.expect("a price is a value");
        assert_eq!(values.entry_order(tile, 1, 0, Side::Sell), EntryOrder::Limit(1.25));
        let levels = values.attached_levels(tile, 1, 0, Side::Sell);
        assert!(matches!(levels, AttachedLevels::Prices(levels) if !levels.any()), "{levels:?}");
    });
}
