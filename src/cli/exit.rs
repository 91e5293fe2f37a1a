//! How a command ends: exit codes and the one line an error gets (contract 1).

use std::io::Write;
use std::process::ExitCode;

use barloom::error::{BadInput, Error};

/// Prints an error as one line and gives its exit code.
pub(super) fn report(error: &Error) -> ExitCode {
    complain(&error.to_string());
    ExitCode::from(match error {
        Error::BadInput(_) => 2,
        Error::Io { .. } => 3,
        Error::Interrupted => 130,
    })
}

/// Prints a usage error as one line; help and version go to stdout as they are.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = std::io::stdout().write_all(text.as_bytes());
        return ExitCode::SUCCESS;
    }
    let what: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let what = what.join(" ");
    let what = what.strip_prefix("error: ").unwrap_or(&what);
    let what = if what.is_empty() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "expected a command"
    } else {
        what
    };
    complain(&format!("{what}; see `barloom --help`, or --help behind a command"));
    ExitCode::from(2)
}

/// A command of the contract that this version does not have.
pub(super) fn not_yet(command: &str) -> Error {
    BadInput::expected("a command of this version: synth, import, features, run, sweep, schema")
        .key(command)
        .found("a command that is not there yet")
        .into()
}

/// Nothing to be done where even stderr is closed.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "error: {text}");
}
