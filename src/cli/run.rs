//! `barloom run`.

use std::sync::atomic::Ordering;
use std::time::Instant;

use barloom::config::bounds::{Bound, bounded, choices};
use barloom::config::plan::EnginePlan;
use barloom::config::spec::{LotMethod as LotSpec, OutputFormat as FormatSpec, OutputTable};
use barloom::engine::{RunOptions, run_account};
use barloom::error::Result;
use barloom::reporting::{
    BoundedRun, Bounds, LotMethod, OutputFormat, RunRecorder, RunReport, TableKind, Waterfall, equity_plot,
    flags_table, metrics_table, waterfall_table, write_run,
};
use barloom::sweep::read_source;
use serde_json::json;

use super::args::RunArgs;
use super::output::Output;
use super::{data, progress};

/// Widest line that is printed.
const WIDTH: usize = 80;

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
    let runs = if args.bounds { 3 } else { 1 };
    let bar = progress::bar(output, (runs * run.end) as u64, "bars");
    let simulate = |plan: &EnginePlan, nth: usize| -> Result<RunRecorder> {
        let params = std::slice::from_ref(&spec.signals.params);
        let mut signals = source.bind(params, spec.general.seed, &market, run.clone())?;
        let mut recorder =
            RunRecorder::new(market.symbols.len(), market.grid, run.clone(), plan.initial_capital_usdt);
        let options = RunOptions {
            tile_bars: args.window.tile_bars,
            quotes: false,
            on_tile: &mut |done| {
                bar.set_position((nth * run.end + done) as u64);
                !stop.load(Ordering::Relaxed)
            },
        };
        run_account(&market, run.clone(), plan, &mut *signals, &mut recorder, options)?;
        Ok(recorder)
    };
    let recorder = simulate(&plan, 0)?;
    let extremes = if args.bounds {
        let [worst, best] = [Bound::Pessimistic, Bound::Optimistic].map(|bound| bounded(&plan, bound));
        Some(((simulate(&worst, 1)?, choices(&worst)), (simulate(&best, 2)?, choices(&best))))
    } else {
        None
    };
    bar.finish_and_clear();
    let base_choices = choices(&plan);
    let bounds = extremes.as_ref().map(|(worst, best)| {
        let of = |recorder, choices| BoundedRun { recorder, choices };
        Bounds {
            pessimistic: of(&worst.0, &worst.1),
            base: of(&recorder, &base_choices),
            optimistic: of(&best.0, &best.1),
        }
    });
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
            use_mark: plan.use_mark,
            bounds,
            format: match spec.output.format {
                FormatSpec::Csv => OutputFormat::Csv,
                FormatSpec::Parquet => OutputFormat::Parquet,
                FormatSpec::Arrow => OutputFormat::Arrow,
            },
            lot_method: match spec.output.lot_method {
                LotSpec::Average => LotMethod::Average,
                LotSpec::Fifo => LotMethod::Fifo,
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
        "{} symbols, {} bars, {} to {}\n\n",
        market.symbols.len(),
        run.len(),
        stamp(grid.open_ms(run.start)),
        stamp(grid.open_ms(run.end))
    );
    text.push_str(&equity_plot(&recorder.bar_marks().equity_usdt, 72, 10));
    text.push('\n');
    text.push_str(&metrics_table(&written.metrics));
    let waterfall = Waterfall::of(&recorder, &market, plan.use_mark);
    let mut section = |table: String| {
        if !table.is_empty() {
            text.push('\n');
            text.push_str(&table);
        }
    };
    section(waterfall_table(&waterfall.total, plan.initial_capital_usdt, WIDTH));
    section(flags_table(&recorder, WIDTH));
    section(bounds.map_or_else(String::new, |bounds| bounds.text(WIDTH)));
    text.push_str(&format!("\nresults in {}\n", args.out.display()));
    let mut document = json!({
        "out": args.out,
        "result_digest": written.result_digest,
        "metrics": written.document,
    });
    if let Some(bounds) = bounds {
        document["bounds"] = bounds.to_json();
    }
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
