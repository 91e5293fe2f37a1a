//! A fault in one row, before anybody knows which file and line it is on.

use std::path::Path;

use crate::error::{BadInput, Error};

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Column.
    pub(crate) key: &'static str,
    /// What stands there.
    pub(crate) found: String,
    /// What should stand there.
    pub(crate) expected: String,
}

/// The ways out of a bad row.
pub(crate) const ROW_FIX: &str = "correct the row, drop bad rows with `--on-bad-row drop`, or leave the symbol out \
                                  with `universe.symbols`";
/// The ways out of a bad file.
pub(crate) const FILE_FIX: &str = "correct the file, or leave the symbol out with `universe.symbols`";

impl Fault {
    /// A fault in a column.
    pub(crate) fn new(key: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { key, found: found.into(), expected: expected.into() }
    }
    /// The fault as an error of a file's row.
    pub(crate) fn at(self, file: &Path, row: u64) -> Error {
        BadInput::expected(self.expected)
            .file(file)
            .row(row)
            .key(self.key)
            .found(self.found)
            .fix(ROW_FIX)
            .into()
    }
    /// The fault as an error of a row given in memory.
    pub(crate) fn in_memory(self, symbol: &str, row: u64) -> Error {
        BadInput::expected(self.expected)
            .row(row)
            .key(format!("{symbol} {}", self.key))
            .found(self.found)
            .fix("correct the row or leave it out")
            .into()
    }
}

/// A file's text for a message: short, and on one line.
pub(crate) fn quote(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut short: String = text.trim().chars().take(60).collect();
    if short.len() < text.trim().len() {
        short.push('…');
    }
    if short.is_empty() { "nothing".to_owned() } else { format!("`{short}`") }
}
