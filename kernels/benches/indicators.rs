//! Kernels against their naive twins: 56 lanes, one size that stays in L2 and one that does not fit any cache of a
//! desktop. Every answer is checked before it is timed. `cargo bench -p barloom-kernels`.
#![allow(missing_docs, reason = "criterion's macros make public items")]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Case, Market, Style, cases};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const LANES: usize = 56;
/// Rows per call, as the signal tiles have them.
const TILE_ROWS: usize = 256;
const SIZES: [(&str, usize); 2] = [("L2", 512), ("DRAM", 70_144)];
const TIMED: [&str; 12] = [
    "sma(20)",
    "ema(20)",
    "rsi(20)",
    "atr(20)",
    "stddev(20)",
    "bbands(20)",
    "max(20)",
    "macd(20)",
    "directional(20)",
    "percentrank(20)",
    "median(20)",
    "correl(20)",
];

struct Columns {
    inputs: Vec<Vec<f64>>,
    out: Vec<Vec<f64>>,
    state: Vec<f64>,
}

fn fast(case: &Case, columns: &mut Columns, rows: usize) {
    columns.state.fill(0.0);
    for from in (0..rows).step_by(TILE_ROWS) {
        let tile = from * LANES..(from + TILE_ROWS).min(rows) * LANES;
        let inputs: Vec<&[f64]> = columns.inputs.iter().map(|x| &x[tile.clone()]).collect();
        let mut out: Vec<Vec<f64>> = columns.out.iter_mut().map(core::mem::take).collect();
        // The table's kernels write whole panels: tiles of the output are views of one tile, as in the engine.
        for out in &mut out {
            out.resize(tile.len(), 0.0);
        }
        (case.run)(&inputs, LANES, &mut columns.state, &mut out);
        columns.out = out;
    }
}

fn naive(case: &Case, inputs: &[Vec<f64>], rows: usize) -> Vec<Vec<Vec<f64>>> {
    (0..LANES)
        .map(|lane| {
            let column = |x: &Vec<f64>| (0..rows).map(|row| x[row * LANES + lane]).collect();
            (case.naive)(&inputs.iter().map(column).collect::<Vec<Vec<f64>>>())
        })
        .collect()
}

fn check(case: &Case, columns: &Columns, rows: usize) {
    let last_tile = (rows - 1) / TILE_ROWS * TILE_ROWS;
    for (lane, twin) in naive(case, &columns.inputs, rows).iter().enumerate() {
        for (fast, slow) in columns.out.iter().zip(twin) {
            for row in last_tile..rows {
                let (got, want) = (fast[(row - last_tile) * LANES + lane], slow[row]);
                assert!(
                    (got - want).abs() <= 1e-9 * want.abs().max(100.0),
                    "{}: {got}, twin says {want}",
                    case.name
                );
            }
        }
    }
}

fn indicators(c: &mut Criterion) {
    for (size, rows) in SIZES {
        let market = Market::new(1, LANES, rows, Style::Plain, false);
        for case in cases(20).iter().filter(|case| TIMED.contains(&case.name.as_str())) {
            let mut columns = Columns {
                inputs: market.inputs(case).iter().map(|x| x.to_vec()).collect(),
                out: vec![Vec::new(); case.outputs],
                state: vec![0.0; (case.state_len)(LANES)],
            };
            fast(case, &mut columns, rows);
            check(case, &columns, rows);
            let mut group = c.benchmark_group(format!("{}/{size}", case.name));
            group.throughput(Throughput::Elements((rows * LANES) as u64));
            group.sample_size(10);
            group.bench_function("fast", |b| b.iter(|| fast(case, &mut columns, rows)));
            if size == "L2" {
                group.bench_function("naive", |b| b.iter(|| naive(case, &columns.inputs, rows)));
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(core::time::Duration::from_secs(1)).warm_up_time(core::time::Duration::from_millis(300));
    targets = indicators
}
criterion_main!(benches);
