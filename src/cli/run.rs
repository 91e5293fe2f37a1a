//! `barloom run`.

use std::sync::atomic::Ordering;
use std::time::Instant;

use barloom::config::spec::{OutputFormat as FormatSpec, OutputTable};
use barloom::engine::{RunOptions, run_account};
use barloom::error::Result;
use barloom::reporting::{
    OutputFormat, RunRecorder, RunReport, TableKind, equity_plot, metrics_table, write_run,
};
use barloom::sweep::read_source;
use serde_json::json;

use super::args::RunArgs;
use super::output::Output;
use super::{data, progress};

pub(super) fn run(args: &RunArgs, output: &Output) -> Result<()> {
    let started = Instant::now();
    let loaded = data::config(&args.config, output)?;
    let spec = &loaded.spec;
    let plan = spec.plan()?;
    let stop = progress::stop_on_ctrl_c()?;
    let market = data::market(&args.data, &spec.universe.symbols, spec.general.bar.step_ms(), output)?;
    output.warnings(&market.warnings);
    let run = data::window(&args.window, market.grid)?;
    let path = (!spec.signals.path.is_empty()).then(|| loaded.resolve(&spec.signals.path));
    let (source, _) = read_source(spec, Some(&args.config.config), path, &market)?;
    let mut signals =
        source.bind(std::slice::from_ref(&spec.signals.params), spec.general.seed, &market, run.clone())?;
    let symbols = market.symbols.len();
    let mut recorder = RunRecorder::new(symbols, market.grid, run.clone(), plan.initial_capital_usdt);
    let bar = progress::bar(output, run.end as u64, "bars");
    let options = RunOptions {
        tile_bars: args.window.tile_bars,
        on_tile: &mut |done| {
            bar.set_position(done as u64);
            !stop.load(Ordering::Relaxed)
        },
    };
    run_account(&market, run.clone(), &plan, &mut *signals, &mut recorder, options)?;
    bar.finish_and_clear();
    let engine_seconds = started.elapsed().as_secs_f64();
    let tables: Vec<TableKind> = spec.output.tables.iter().map(|&table| table_kind(table)).collect();
    let rules: serde_json::Map<_, _> =
        spec.rule_texts().into_iter().map(|(key, text)| (key.to_owned(), text.into())).collect();
    let written = write_run(
        &args.out,
        &RunReport {
            market: &market,
            recorder: &recorder,
            tags: source.tags(),
            format: match spec.output.format {
                FormatSpec::Csv => OutputFormat::Csv,
                FormatSpec::Parquet => OutputFormat::Parquet,
                FormatSpec::Arrow => OutputFormat::Arrow,
            },
            tables: &tables,
            config: &spec.to_json(),
            seed: spec.general.seed,
            rules: &rules.into(),
            warnings: &loaded.warnings,
            run: &json!({
                "data": args.data.data,
                "config": args.config.config,
                "out": args.out,
                "seconds": engine_seconds,
            }),
        },
    )?;
    let grid = market.grid;
    let stamp = barloom::data::stamp::format_ms;
    let mut text = format!(
        "{symbols} symbols, {} bars, {} to {}\n\n",
        run.len(),
        stamp(grid.open_ms(run.start)),
        stamp(grid.open_ms(run.end))
    );
    text.push_str(&equity_plot(&recorder.bar_marks().equity_usdt, 72, 10));
    text.push('\n');
    text.push_str(&metrics_table(&written.metrics));
    text.push_str(&format!("\nresults in {}\n", args.out.display()));
    let document = json!({
        "out": args.out,
        "result_digest": written.result_digest,
        "metrics": written.metrics.to_json(),
    });
    output.result(&text, &document);
    Ok(())
}

fn table_kind(table: OutputTable) -> TableKind {
    match table {
        OutputTable::Equity => TableKind::Equity,
        OutputTable::Fills => TableKind::Fills,
        OutputTable::Trades => TableKind::Trades,
        OutputTable::Ledger => TableKind::Ledger,
        OutputTable::Orders => TableKind::Orders,
        OutputTable::Universe => TableKind::Universe,
    }
}
