//! Where text goes: results to stdout, messages to stderr, neither ever a panic when the reader has left.

use std::io::{IsTerminal, Write};

use serde_json::Value;

use super::args::Global;

/// What may be printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub(super) json: bool,
    pub(super) quiet: bool,
    pub(super) verbose: bool,
    pub(super) progress: bool,
}

impl Output {
    pub(super) fn new(global: &Global) -> Self {
        let progress = !global.no_progress && !global.quiet && std::io::stderr().is_terminal();
        Self { json: global.json, quiet: global.quiet, verbose: global.verbose, progress }
    }
    /// Prints a result: the JSON document with `--json`, else the text.
    pub(super) fn result(&self, text: &str, document: &Value) {
        if self.json { self.print(&format!("{document:#}\n")) } else { self.print(text) }
    }
    /// Prints to stdout.
    pub(super) fn print(&self, text: &str) {
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
    /// Prints a message to stderr, unless quiet.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
    /// Prints a message to stderr when asked for more.
    pub(super) fn detail(&self, text: &str) {
        if self.verbose {
            self.note(text);
        }
    }
    /// Prints warnings, all of them only with `--verbose`.
    pub(super) fn warnings(&self, warnings: &[String]) {
        const SHOWN: usize = 5;
        let shown = if self.verbose { warnings.len() } else { SHOWN.min(warnings.len()) };
        for warning in &warnings[..shown] {
            self.note(&format!("warning: {warning}"));
        }
        if shown < warnings.len() {
            self.note(&format!("warning: and {} more; all are in manifest.json", warnings.len() - shown));
        }
    }
}
