//! Prints what every kernel costs on this machine: `cargo run --release -p barloom-kernels --example kernel_table [name …]`.
//!
//! Each answer is checked against a plain scalar loop before it is timed; times are medians. The plain loop runs over one
//! symbol's column after another and is timed on the large size alone.
#![expect(clippy::print_stdout, reason = "a program that prints")]

#[path = "../benches/cases/mod.rs"]
mod cases;

use std::time::Instant;

use cases::{BLOCK_ROWS, Bench, CASES, Case, Form, Market, N, SIZES};

/// Median nanoseconds of a call; a sample is as many calls as take a fifth of a millisecond.
fn median_ns(samples: usize, mut work: impl FnMut()) -> f64 {
    let mut calls = 1;
    let mut sample = || loop {
        let start = Instant::now();
        for _ in 0..calls {
            work();
        }
        let ns = start.elapsed().as_nanos() as f64;
        if ns >= 2e5 {
            break ns / calls as f64;
        }
        calls *= 2;
    };
    let mut ns: Vec<f64> = (0..samples).map(|_| sample()).collect();
    ns.sort_by(f64::total_cmp);
    ns[samples / 2]
}

/// Two digits that say something.
fn ns(value: f64) -> String {
    if value < 0.1 { format!("{value:.4}") } else { format!("{value:.2}") }
}

fn simd() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        let level = barloom_kernels::simd::level();
        match (level.as_avx512(), level.as_avx2()) {
            (Some(_), _) => "AVX-512",
            (_, Some(_)) => "AVX2",
            _ => "SSE2",
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        "best of this CPU"
    }
}

fn print_row(case: &Case, small: &Market, large: &Market) {
    let mut bench = Bench::checked(case, small);
    let in_cache = median_ns(15, || bench.fast(BLOCK_ROWS)) / small.values() as f64;
    let mut bench = Bench::checked(case, large);
    let values = large.values() as f64;
    let fast = median_ns(9, || bench.fast(BLOCK_ROWS));
    let at_once = median_ns(5, || bench.fast(large.rows));
    let plain = median_ns(5, || bench.plain());
    println!(
        "| `{}` | {} | {} | {:.1} | {} | {} | {:.1} | {} |",
        case.name,
        ns(in_cache),
        ns(fast / values),
        case.bytes(large) as f64 / fast,
        ns(at_once / values),
        ns(plain / values),
        plain / fast,
        match case.form {
            Form::Value => "value by value",
            Form::Running => "running",
            Form::Window => "over the window",
            Form::Sort => "sorts",
        }
    );
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let [(_, lanes, rows), (_, many_lanes, many_rows)] = SIZES;
    let (small, large) = (Market::new(lanes, rows), Market::new(many_lanes, many_rows));
    println!(
        "period {N}; L2: {lanes} lanes, {rows} rows; DRAM and plain: {many_lanes} lanes, {many_rows} rows,"
    );
    println!("given to the kernels {BLOCK_ROWS} rows at a time, and all at once; simd: {}\n", simd());
    println!("| kernel | L2 ns | DRAM ns | GB/s | all at once ns | plain ns | plain / DRAM | plain loop |");
    println!("|---|--:|--:|--:|--:|--:|--:|---|");
    for case in CASES {
        if wanted.is_empty() || wanted.iter().any(|part| case.name.contains(part.as_str())) {
            print_row(case, &small, &large);
        }
    }
}
