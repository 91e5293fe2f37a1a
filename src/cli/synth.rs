//! `barloom synth`.

use barloom::data::synth::{SynthFormat, SynthSpec, write_universe};
use barloom::error::{BadInput, Result};
use serde_json::json;

use super::args::{SynthArgs, TableFormat};
use super::data::{bar_ms, moment};
use super::output::Output;
use super::progress;

pub(super) fn synth(args: &SynthArgs, output: &Output) -> Result<()> {
    let spec = SynthSpec {
        symbols: args.symbols,
        bars: args.bars,
        seed: args.seed,
        gaps: args.gaps,
        bar_ms: bar_ms(&args.bar)?,
        start_ms: moment("--start", &args.start)?,
        format: match args.format {
            TableFormat::Csv => SynthFormat::Csv,
            TableFormat::Parquet => SynthFormat::Parquet,
        },
    };
    spec.check()?;
    if args.out.is_file() {
        return Err(BadInput::expected("a folder").file(&args.out).key("--out").found("a file").into());
    }
    let bar = progress::bar(output, spec.symbols as u64, "symbols");
    write_universe(&spec, &args.out, &mut |done, _| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    let text = format!(
        "{} symbols × {} bars of {} written to {}\n",
        spec.symbols,
        spec.bars,
        args.bar,
        args.out.display()
    );
    output.result(
        &text,
        &json!({ "symbols": spec.symbols, "bars": spec.bars, "seed": spec.seed, "out": args.out }),
    );
    Ok(())
}
