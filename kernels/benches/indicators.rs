//! Every kernel against the loop a user would write, on panels that fit the L2 cache and on those of a year of 50
//! symbols, fed in blocks of rows; the plain loop, which knows no blocks, on the year alone. Every answer is asserted
//! before it is timed.
//!
//! `cargo bench -p barloom-kernels`, or `… -- rsi` for those whose name contains it. Criterion reports time per call and
//! bytes per second; `kernels/examples/kernel_table.rs` prints nanoseconds per value.
#![allow(missing_docs, reason = "criterion's macros make public items")]

mod cases;

use std::time::Duration;

use cases::{BLOCK_ROWS, Bench, CASES, Market, SIZES};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn indicators(c: &mut Criterion) {
    for (size, lanes, rows) in SIZES {
        let market = Market::new(lanes, rows);
        for case in CASES {
            let mut group = c.benchmark_group(case.name);
            group.throughput(Throughput::Bytes(case.bytes(&market) as u64));
            // Checked when first asked for: a filter costs nothing for what it leaves out.
            let mut bench = None;
            group.bench_function(format!("{size}/kernel"), |b| {
                let bench = bench.get_or_insert_with(|| Bench::checked(case, &market));
                b.iter(|| bench.fast(BLOCK_ROWS));
            });
            if size == "DRAM" {
                group.bench_function(format!("{size}/plain"), |b| {
                    let bench = bench.get_or_insert_with(|| Bench::checked(case, &market));
                    b.iter(|| bench.plain());
                });
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(250));
    targets = indicators
}
criterion_main!(benches);
