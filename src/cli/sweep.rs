//! `barloom sweep`.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use barloom::error::{BadInput, Result};
use barloom::reporting::{Metric, metric_text, text_table};
use barloom::sweep::finish::{claim_folder, finish, rank_metric};
use barloom::sweep::{
    Job, Points, Progress, SweepOptions, SweepSummary, TrialStatus, read_source, run_chunks,
};
use serde_json::{Value, json};

use super::args::SweepArgs;
use super::output::Output;
use super::{data, progress};

/// Trials shown at the end.
const SHOWN: usize = 10;

pub(super) fn sweep(args: &SweepArgs, output: &Output, threads: usize) -> Result<()> {
    if args.shard.is_some() {
        return Err(BadInput::expected("no such flag")
            .key("--shard")
            .found("a flag that is not there yet")
            .into());
    }
    let started = Instant::now();
    let loaded = data::config(&args.config, output)?;
    let spec = &loaded.spec;
    spec.plan()?;
    rank_metric(&spec.sweep.rank_by)?;
    let points = Points::of(spec, Some(&args.config.config))?;
    let stop = progress::stop_on_ctrl_c()?;
    let market = data::market(&args.data, &spec.universe.symbols, spec.general.bar.step_ms(), output)?;
    output.warnings(&market.warnings);
    let run = data::window(&args.window, market.grid)?;
    let path = (!spec.signals.path.is_empty()).then(|| loaded.resolve(&spec.signals.path));
    let (source, source_digest) = read_source(spec, Some(&args.config.config), path, &market)?;
    let tile_bars = args.window.tile_bars;
    let job = Job::new(&market, spec, &points, &source, &source_digest, run.clone(), tile_bars);
    job.check()?;
    let symbol_bars = points.len() as u64 * run.len() as u64 * market.symbols.len() as u64;
    let plan = json!({
        "trials": points.len(),
        "symbols": market.symbols.len(),
        "bars": run.len(),
        "symbol_bars": symbol_bars,
        "chunks": job.chunks(),
        "trials_per_chunk": job.chunk_trials(),
    });
    claim_folder(&job, &args.out, &plan)?;
    output.detail(&format!(
        "{} trials × {} symbols × {} bars",
        points.len(),
        market.symbols.len(),
        run.len()
    ));
    let cache_bytes = args.cache_mb.saturating_mul(1 << 20);
    let options = SweepOptions { parts_dir: args.out.join("parts"), threads, cache_bytes };
    let computed = compute(&job, &options, &stop, output)?;
    let seconds = started.elapsed();
    let facts = json!({
        "data": args.data.data,
        "config": args.config.config,
        "out": args.out,
        "threads": threads,
        "tile_bars": args.window.tile_bars,
        "seconds": seconds.as_secs_f64(),
        "trials_resumed": computed.trials_resumed,
        "cache": cache_facts(&job, args.cache_mb),
    });
    let done = finish(&job, &options, &args.out, &loaded.warnings, &facts)?;
    let failed = done.results.iter().filter(|r| r.status == TrialStatus::Failed).count();
    if failed > 0 {
        output.note(&format!(
            "warning: {failed} of {} trials failed; the column `error` says why",
            done.results.len()
        ));
    }
    let mut text = best_table(&points, &done, rank_metric(&spec.sweep.rank_by)?);
    text.push_str(&closing_lines(&done, &computed, seconds));
    text.push_str(&format!("results in {}\n", args.out.display()));
    let mut document = done.summary.clone();
    document["result_digest"] = done.result_digest.clone().into();
    document["out"] = json!(args.out);
    output.result(&text, &document);
    Ok(())
}

/// What was kept for all trials; everything else was recomputed in each tile.
fn cache_facts(job: &Job<'_>, budget_mb: usize) -> Value {
    const MB: f64 = (1 << 20) as f64;
    let kept: Vec<Value> = job
        .cache_entries()
        .iter()
        .map(|entry| {
            let kind = if entry.mask { "mask" } else { "panel" };
            json!({
                "expr": entry.expr,
                "kind": kind,
                "mb": entry.bytes as f64 / MB,
                "chunks": entry.chunks,
            })
        })
        .collect();
    let used: usize = job.cache_entries().iter().map(|entry| entry.bytes).sum();
    json!({ "budget_mb": budget_mb, "used_mb": used as f64 / MB, "kept": kept })
}

/// Runs the missing chunks under a progress bar.
fn compute(job: &Job<'_>, options: &SweepOptions, stop: &AtomicBool, output: &Output) -> Result<Progress> {
    let bar = progress::bar(output, job.points.len() as u64, "trials");
    bar.set_message("sweeping");
    let per_trial = (job.run.len() * job.market.symbols.len()) as u64;
    let last = std::sync::Mutex::new(Progress::default());
    let outcome = run_chunks(job, options, stop, &|now: Progress| {
        // Tiles of unfinished chunks count, so that the bar moves and its rate is honest.
        let computed = now.symbol_bars / per_trial.max(1);
        bar.set_position((now.trials_resumed as u64 + computed).max(now.trials_done as u64));
        if let Ok(mut last) = last.lock() {
            *last = now;
        }
    });
    bar.finish_and_clear();
    let now = last.into_inner().unwrap_or_default();
    if outcome.is_err() {
        output.note(&format!(
            "{} of {} trials are finished and kept; the same command goes on from there",
            now.trials_done, now.trials
        ));
    }
    outcome.map(|()| now)
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |x| x.to_string()),
        other => other.to_string(),
    }
}

fn best_table(points: &Points, done: &SweepSummary, rank_by: Metric) -> String {
    let mut shown = vec![rank_by];
    for name in
        ["total_return", "sharpe", "max_drawdown", "trades", "win_rate", "total_fees", "total_funding"]
    {
        shown.extend(Metric::from_name(name).filter(|metric| *metric != rank_by));
    }
    let mut headers: Vec<&str> = vec!["#"];
    headers.extend(points.names.iter().map(String::as_str));
    headers.extend(shown.iter().map(|metric| metric.name()));
    let rows: Vec<Vec<String>> = done
        .best
        .iter()
        .take(SHOWN)
        .enumerate()
        .map(|(place, &trial)| {
            let mut row = vec![(place + 1).to_string()];
            row.extend(points.values(trial).iter().map(value_text));
            row.extend(
                shown.iter().map(|&metric| metric_text(metric, done.results[trial].metrics.get(metric))),
            );
            row
        })
        .collect();
    text_table(&headers, &rows, 110)
}

fn closing_lines(done: &SweepSummary, computed: &Progress, seconds: Duration) -> String {
    let summary = &done.summary;
    let number = |key: &str| summary[key].as_f64().map_or_else(|| "n/a".to_owned(), |x| format!("{x:.3}"));
    let mut text = format!(
        "\n{} trials ({} ok, {} ruined, {} failed), best of {}: deflated Sharpe {}, PBO {}\n",
        summary["trials"],
        summary["ok"],
        summary["ruined"],
        summary["failed"],
        summary["trials"],
        number("deflated_sharpe"),
        number("pbo"),
    );
    text.push_str(&format!(
        "{} trials computed, {} resumed, {:.2} s",
        computed.trials - computed.trials_resumed,
        computed.trials_resumed,
        seconds.as_secs_f64()
    ));
    if computed.symbol_bars > 0 {
        let ns = seconds.as_secs_f64() * 1e9 / computed.symbol_bars as f64;
        text.push_str(&format!(", {ns:.2} ns per trial-symbol-bar all in"));
    }
    text.push_str(&format!("\nresult digest {}\n", done.result_digest));
    text
}
