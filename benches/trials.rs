//! The bar loop (W1) and the sweep (W2, W3, W6) per trial-symbol-bar; the answer is checked before it is timed.
//!
//! Criterion's throughput counts trial-symbol-bars: its inverse is ns per trial-symbol-bar, which is printed as well.
#![expect(clippy::print_stdout, reason = "a bench that prints")]

mod workloads;

use std::hint::black_box;
use std::time::Instant;

use barloom::reporting::Metric;
use barloom::sweep::run_chunk;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use workloads::{Workload, market, plain_final_equity, spec};

/// All trials of a workload, chunk by chunk, on this thread.
fn run_all(workload: &Workload) -> f64 {
    let job = workload.job();
    let chunk = |chunk| run_chunk(&job, job.chunk(chunk), &|_| true).expect("not interrupted");
    (0..job.chunks()).flat_map(chunk).filter_map(|result| result.metrics.get(Metric::FinalEquity)).sum()
}

/// The first and the last trial against the plain loop.
fn check(workload: &Workload) {
    let job = workload.job();
    for trial in [0, workload.points.len() - 1] {
        let values = workload.points.values(trial);
        let window = |i: usize| values[i].as_f64().expect("a number") as usize;
        let plain = plain_final_equity(&workload.market, window(0), window(1));
        let results = run_chunk(&job, trial..trial + 1, &|_| true).expect("not interrupted");
        let found = results[0].metrics.get(Metric::FinalEquity).expect("defined");
        assert!((found / plain - 1.0).abs() < 1e-9, "trial {trial}: {found}, the plain loop gives {plain}");
    }
}

fn bench(c: &mut Criterion, name: &str, workload: &Workload) {
    check(workload);
    let start = Instant::now();
    black_box(run_all(workload));
    let ns = start.elapsed().as_nanos() as f64 / workload.symbol_bars();
    println!("{name}: {ns:.2} ns per trial-symbol-bar in one pass");
    let mut group = c.benchmark_group("trials");
    group.sample_size(10).throughput(Throughput::Elements(workload.symbol_bars() as u64));
    group.bench_function(name, |b| b.iter(|| black_box(run_all(workload))));
    group.finish();
}

fn trials(c: &mut Criterion) {
    let year = market(50, 35_040);
    bench(c, "W1", &Workload::new(year.clone(), spec((12, 12, 1), (48, 48, 1))));
    bench(c, "W2", &Workload::new(year.clone(), spec((4, 22, 2), (26, 80, 6))));
    bench(c, "W3", &Workload::new(year, spec((3, 27, 1), (30, 147, 3))));
    bench(c, "W6", &Workload::new(market(1, 35_040), spec((3, 27, 1), (30, 147, 3))));
}

criterion_group!(benches, trials);
criterion_main!(benches);
