//! The command line: one file per command. Results go to stdout, progress and messages to stderr.
//!
//! It may know every room; no room knows it. Read next: [`args`] for what can be asked, [`exit`] for how it ends.

mod args;
mod data;
mod exit;
mod features;
mod import;
mod output;
mod progress;
mod run;
mod schema;
mod sweep;
mod synth;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use output::Output;

/// Runs the command line and returns its exit code.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let output = Output::new(&cli.global);
    match dispatch(cli, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}

fn dispatch(cli: Cli, output: &Output) -> barloom::Result<()> {
    args::force_simd(cli.global.simd.as_deref())?;
    match cli.command {
        Command::Synth(args) => synth::synth(&args, output),
        Command::Import(args) => import::import(&args, output),
        Command::Features(args) => features::features(&args, output),
        Command::Run(args) => run::run(&args, output),
        Command::Sweep(args) => sweep::sweep(&args, output, cli.global.threads),
        Command::Schema => schema::schema(output),
        Command::Validate(_) => Err(exit::not_yet("validate")),
        Command::Baselines(_) => Err(exit::not_yet("baselines")),
        Command::Plan(_) => Err(exit::not_yet("plan")),
        Command::Merge(_) => Err(exit::not_yet("merge")),
        Command::Parity(_) => Err(exit::not_yet("parity")),
        Command::Audit(_) => Err(exit::not_yet("audit")),
        Command::Report(_) => Err(exit::not_yet("report")),
    }
}
