//! Prints what the workloads cost on this machine: `cargo run --release --example workloads [W1 W2 W3 W4 W5 W6]`.
//!
//! Each answer is checked against a plain scalar loop before it is timed; times are medians of several passes, and the
//! plain loop is timed beside them, so that the ratio holds on a noisy machine.
#![expect(clippy::print_stdout, reason = "a program that prints")]

#[path = "../benches/workloads/mod.rs"]
mod workloads;

use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use barloom::sweep::{SweepOptions, run_chunk, run_chunks};
use workloads::{Workload, market, market_with, plain_final_equity, spec, with_defaults, with_stops};

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn time(passes: usize, mut work: impl FnMut()) -> f64 {
    median(
        (0..passes)
            .map(|_| {
                let start = Instant::now();
                work();
                start.elapsed().as_secs_f64()
            })
            .collect(),
    )
}

/// All trials of a workload in memory, chunk by chunk, on `threads` threads.
fn in_memory(workload: &Workload, threads: usize) -> f64 {
    use rayon::prelude::*;
    let job = workload.job();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
    pool.install(|| {
        (0..job.chunks())
            .into_par_iter()
            .with_max_len(1)
            .map(|chunk| {
                let results = run_chunk(&job, job.chunk(chunk), &|_| true).expect("not interrupted");
                results.iter().filter_map(|r| r.metrics.at(0)).sum::<f64>()
            })
            .sum()
    })
}

fn check(workload: &Workload, trial: usize) {
    let job = workload.job();
    let values = workload.points.values(trial);
    let window = |i: usize| values[i].as_f64().expect("a number") as usize;
    let plain = plain_final_equity(&workload.market, window(0), window(1));
    let results = run_chunk(&job, trial..trial + 1, &|_| true).expect("not interrupted");
    let metric = barloom::reporting::Metric::from_name("final_equity").expect("a metric");
    let found = results[0].metrics.get(metric).expect("defined");
    assert!((found / plain - 1.0).abs() < 1e-9, "trial {trial}: {found}, the plain loop gives {plain}");
}

fn report(name: &str, seconds: f64, symbol_bars: f64, note: &str) {
    println!(
        "{name:<12} {seconds:>9.3} s {:>8.2} ns per trial-symbol-bar  {note}",
        seconds * 1e9 / symbol_bars
    );
}

/// Peak resident memory of this process in MB, where the system tells.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kb| kb / 1024.0)
}

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let wants = |name: &str| asked.is_empty() || asked.iter().any(|a| a == name);
    if wants("W1") || wants("W2") || wants("W3") {
        let one = Workload::new(market(50, 35_040), spec((12, 12, 1), (48, 48, 1)));
        let resident = peak_mb();
        check(&one, 0);
        if wants("W1") {
            let plain = time(5, || {
                black_box(plain_final_equity(&one.market, 12, 48));
            });
            report("plain loop", plain, one.symbol_bars(), "one backtest, no curve, no metrics");
            let seconds = time(9, || {
                black_box(in_memory(&one, 1));
            });
            report(
                "W1",
                seconds,
                one.symbol_bars(),
                &format!("{:.1} times the plain loop's speed", plain / seconds),
            );
        }
        let two = Workload::new(one.market.clone(), spec((4, 22, 2), (26, 80, 6)));
        if wants("W2") {
            check(&two, 0);
            check(&two, two.points.len() - 1);
            let single = time(5, || {
                black_box(in_memory(&two, 1));
            });
            report("W2, 1 core", single, two.symbol_bars(), &format!("{} trials", two.points.len()));
            let double = time(5, || {
                black_box(in_memory(&two, 2));
            });
            report(
                "W2, 2 cores",
                double,
                two.symbol_bars(),
                &format!("{:.2} times one core", single / double),
            );
        }
        if wants("W3") {
            let three = Workload::new(one.market.clone(), spec((3, 27, 1), (30, 147, 3)));
            let folder = std::env::temp_dir().join(format!("barloom-w3-{}", std::process::id()));
            let options = SweepOptions { parts_dir: folder.clone(), threads: 1, cache_bytes: 0 };
            let start = Instant::now();
            run_chunks(&three.job(), &options, &AtomicBool::new(false), &|_| ()).expect("the sweep runs");
            let seconds = start.elapsed().as_secs_f64();
            let _ = std::fs::remove_dir_all(&folder);
            let grown = peak_mb().zip(resident).map_or(f64::NAN, |(after, before)| after - before);
            let note = format!(
                "{} trials with parts on disk; peak memory beyond the data {grown:.0} MB",
                three.points.len()
            );
            report("W3, 1 core", seconds, three.symbol_bars(), &note);
        }
    }
    if wants("W4") || wants("W5") {
        let funded = market_with(50, 35_040, true);
        let (pair, pairs) = (spec((12, 12, 1), (48, 48, 1)), spec((4, 22, 2), (26, 80, 6)));
        if wants("W4") {
            for (name, spec) in [("W4", with_stops(pair)), ("W4, sweep", with_stops(pairs.clone()))] {
                let four = Workload::new(funded.clone(), spec);
                let seconds = time(5, || {
                    black_box(in_memory(&four, 1));
                });
                let note = format!("{} trials with funding and intrabar stops, 1 core", four.points.len());
                report(name, seconds, four.symbol_bars(), &note);
            }
        }
        if wants("W5") {
            let five = Workload::new(funded, with_defaults(pairs));
            let seconds = time(3, || {
                black_box(in_memory(&five, 1));
            });
            let note = format!("{} trials, caps, windows, margin and regimes on, 1 core", five.points.len());
            report("W5, so far", seconds, five.symbol_bars(), &note);
        }
    }
    if wants("W6") {
        let six = Workload::new(market(1, 35_040), spec((3, 27, 1), (30, 147, 3)));
        check(&six, 0);
        check(&six, six.points.len() - 1);
        let seconds = time(5, || {
            black_box(in_memory(&six, 1));
        });
        report(
            "W6, 1 core",
            seconds,
            six.symbol_bars(),
            &format!("{} trials of one symbol", six.points.len()),
        );
    }
}
