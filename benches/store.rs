//! How fast a data directory becomes a market: opening a store, first touch of a column, building from CSV.
//!
//! `cargo bench --bench store`. Every measurement asserts its answer before the clock starts.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use barloom::data::{LoadOptions, open_market, stamp};
use barloom::market::Market;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const SYMBOLS: usize = 50;
const BARS: usize = 35_040;
const START_MS: i64 = 1_672_531_200_000;

fn open(dir: &Path) -> Market {
    open_market(dir, &[], &LoadOptions::default(), &mut |_| {}).unwrap()
}

/// Writes symbols with contracts, brackets and 8-hourly funding; returns the bytes of CSV.
fn write_universe(dir: &Path, symbols: usize, bars: usize) -> u64 {
    let mut bytes = 0;
    let mut brackets = Vec::new();
    for symbol in 0..symbols {
        let name = format!("S{symbol:02}USDT");
        let mut text = String::from("ts,open,high,low,close,volume\n");
        let mut state = symbol as u64 + 1;
        let mut cents = 1_000_000i64;
        for bar in 0..bars {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let ts = stamp::format_ms(START_MS + bar as i64 * 900_000);
            let open = cents as f64 / 100.0;
            cents = (cents + (state >> 54) as i64 - 512).max(1000);
            let close = cents as f64 / 100.0;
            let volume = (state >> 20) as u32 as f64 / 1000.0;
            let (high, low) = (open.max(close) + 0.5, open.min(close) - 0.5);
            writeln!(text, "{ts},{open},{high},{low},{close},{volume}").unwrap();
        }
        bytes += text.len() as u64;
        std::fs::write(dir.join(format!("{name}_15m.csv")), text).unwrap();
        let mut text = String::from("ts,funding_rate,mark_price\n");
        for record in 0..bars / 32 {
            writeln!(text, "{},0.0001,10000", START_MS + record as i64 * 28_800_000).unwrap();
        }
        bytes += text.len() as u64;
        std::fs::write(dir.join(format!("{name}_funding.csv")), text).unwrap();
        let contract =
            r#"{"tick_size":0.01,"step_size":0.001,"min_qty":0.001,"max_qty":1000,"min_notional":5}"#;
        std::fs::write(dir.join(format!("{name}_contract.json")), contract).unwrap();
        let mut rows = Vec::new();
        let (mut floor, mut rate, mut cum) = (0.0, 0.0, 0.0);
        for k in 1..=10 {
            let next = 0.01 * f64::from(k);
            cum += floor * (next - rate);
            let cap = 50_000.0 * f64::from(1 << k);
            rows.push(format!(
                r#"{{"notionalFloor":{floor},"notionalCap":{cap},"maintMarginRatio":{next},"cum":{cum},"initialLeverage":{}}}"#,
                50 / k
            ));
            (floor, rate) = (cap, next);
        }
        brackets.push(format!(r#"{{"symbol":"{name}","brackets":[{}]}}"#, rows.join(",")));
    }
    std::fs::write(dir.join("brackets.json"), format!("[{}]", brackets.join(","))).unwrap();
    bytes
}

fn store(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    write_universe(dir.path(), SYMBOLS, BARS);
    let built = open(dir.path());
    assert_eq!((built.symbols.len(), built.grid.bars), (SYMBOLS, BARS));
    // Sources as old as they are in practice: a store this young is compared by contents.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(open(dir.path()).content_digest, built.content_digest);
    c.bench_function("open 50 symbols x 35040 bars", |b| b.iter(|| open(dir.path())));
    let sum = |market: &Market| market.panels.close.iter().filter(|price| !price.is_nan()).sum::<f64>();
    assert_eq!(sum(&open(dir.path())).to_bits(), sum(&built).to_bits());
    c.bench_function("open and touch the close column", |b| b.iter(|| sum(&open(dir.path()))));
}

fn build(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let bytes = write_universe(dir.path(), 8, BARS);
    assert_eq!(open(dir.path()).grid.bars, BARS);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut group = c.benchmark_group("build from CSV on one core");
    group.throughput(Throughput::Bytes(bytes)).sample_size(10);
    group.bench_function("8 symbols x 35040 bars", |b| {
        b.iter_batched(
            || std::fs::remove_dir_all(dir.path().join(".barloom")).unwrap(),
            |()| pool.install(|| open(dir.path())),
            BatchSize::PerIteration,
        )
    });
    group.finish();
}

criterion_group!(benches, store, build);
criterion_main!(benches);
