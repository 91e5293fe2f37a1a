//! Tables of orders and signals: whatever the bytes, either intents that hang together or one line that says why not.
//!
//! The first byte chooses the reader, the rest is the file. Parquet and Arrow are left out: the crates that decode them
//! panic over damaged bytes, which the readers contain.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use barloom::data::{Bar, MemorySymbol, market_from_memory};
use barloom::events::{NO_GROUP, NO_TAG, OrderIntent, OrderKind};
use barloom::market::{Contract, Market};
use barloom::signals::{read_orders, read_table};
use libfuzzer_sys::fuzz_target;

/// 2023-01-01 00:00 UTC.
const START_MS: i64 = 1_672_531_200_000;
const BAR_MS: i64 = 900_000;
const BARS: i64 = 8;

static MARKET: LazyLock<Market> = LazyLock::new(|| {
    let bar = |index: i64| Bar {
        ts_ms: START_MS + index * BAR_MS,
        open: 1.0,
        high: 1.0,
        low: 1.0,
        close: 1.0,
        volume: 1.0,
        quote_volume: None,
        mark: None,
    };
    let symbol = |name: &str| MemorySymbol {
        name: name.to_owned(),
        contract: Contract::default(),
        brackets: Vec::new(),
        bars: (0..BARS).map(bar).collect(),
        funding: Vec::new(),
    };
    market_from_memory(BAR_MS, vec![symbol("A"), symbol("B")]).expect("a sound market")
});

/// The reader takes paths: one file per process.
fn file(bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("barloom-fuzz-{}.csv", std::process::id()));
    std::fs::write(&path, bytes).expect("a temporary file");
    path
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let result = match choice {
        b't' => read_table(&file(bytes), &MARKET).map(|table| {
            assert!(table.tags.len() <= bytes.len());
        }),
        _ => read_orders(&file(bytes), &MARKET).map(|table| {
            assert!(table.intents.is_sorted_by_key(|intent| (intent.bar, intent.order_id)));
            for intent in &table.intents {
                check(intent);
                assert!(intent.tag == NO_TAG || (intent.tag as usize) < table.tags.len());
            }
        }),
    };
    if let Err(error) = result {
        let line = error.to_string();
        assert!(!line.contains(['\n', '\r']), "more than a line: {line:?}");
    }
});

fn check(intent: &OrderIntent) {
    let positive = |px: f64| px.is_finite() && px > 0.0;
    let blank_or_positive = |px: f64| px.is_nan() || positive(px);
    assert!((intent.bar as i64) < BARS && intent.symbol < 2);
    assert!(blank_or_positive(intent.qty));
    assert_eq!(intent.kind != OrderKind::Market, positive(intent.price_px));
    assert_eq!(intent.kind == OrderKind::StopLimit, positive(intent.limit_px));
    let levels = intent.attached;
    for px in [levels.stop_loss_px, levels.take_profit_px, levels.trail_px, levels.activation_px] {
        assert!(blank_or_positive(px));
    }
    assert!(levels.activation_px.is_nan() || !levels.trail_px.is_nan());
    let reduces = intent.reduce_only || intent.close_position;
    assert!(!(reduces && levels.any()));
    assert!(reduces || intent.ttl_bars >= 1);
    assert!(!intent.post_only || matches!(intent.kind, OrderKind::Limit | OrderKind::StopLimit));
    assert!(intent.oco_group == NO_GROUP || intent.oco_group <= intent.order_id);
}
