//! The one error type of the library. It knows what a user needs to mend the input, and nothing of exit codes.
//!
//! Bad input is found at the boundary (`data`, `config`, `signals`) and carries fields, so that the command line
//! and a notebook can show it in their own way. Read on in `cli::exit` for how it becomes an exit code.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong in a library call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's files, config or arguments are wrong (exit code 2 on the command line).
    #[error("{0}")]
    BadInput(Box<BadInput>),
    /// The machine failed while it read or wrote (exit code 3).
    #[error("{}: {doing} failed: {source}; {}", path.display(), io_advice(source))]
    Io {
        /// File or folder that was being used.
        path: PathBuf,
        /// What was being done, as a noun ("writing", "renaming").
        doing: &'static str,
        /// The system's own error.
        source: std::io::Error,
    },
    /// The caller asked to stop; everything finished so far is kept (exit code 130).
    #[error("interrupted; everything finished so far is kept")]
    Interrupted,
}

fn io_advice(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "free some space and run again"
        }
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            "check the permissions, or choose another folder"
        }
        _ => "check the disk and run again",
    }
}

/// Where an input is wrong, what was found there, what was expected, and the way out.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct BadInput {
    /// File that holds the fault.
    pub file: Option<PathBuf>,
    /// Row in that file; 1 is the first line of a CSV file (its header), 0-based row for tables without lines.
    pub row: Option<u64>,
    /// Column, config key, flag or symbol.
    pub key: Option<String>,
    /// What stands there.
    pub found: Option<String>,
    /// What should stand there.
    pub expected: String,
    /// What the user can do.
    pub fix: Option<String>,
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sep = "";
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            sep = ", ";
        }
        if let Some(row) = self.row {
            write!(f, "{sep}row {row}")?;
            sep = ", ";
        }
        if let Some(key) = &self.key {
            // A key may be a column or a symbol of the user's.
            write!(f, "{sep}`{}`", one_line(key))?;
            sep = ", ";
        }
        if !sep.is_empty() {
            write!(f, ": ")?;
        }
        if let Some(found) = &self.found {
            write!(f, "found {}; expected ", one_line(found))?;
        }
        write!(f, "{}", one_line(&self.expected))?;
        if let Some(fix) = &self.fix {
            write!(f, "; {}", one_line(fix))?;
        }
        Ok(())
    }
}

/// Errors are one line each: line breaks inside a third-party message become spaces.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl BadInput {
    /// Starts a message with what was expected.
    pub fn expected(expected: impl Into<String>) -> Self {
        Self { expected: expected.into(), ..Self::default() }
    }
    /// Names the file.
    #[must_use]
    pub fn file(mut self, file: impl AsRef<Path>) -> Self {
        self.file = Some(file.as_ref().to_path_buf());
        self
    }
    /// Names the row.
    #[must_use]
    pub fn row(mut self, row: u64) -> Self {
        self.row = Some(row);
        self
    }
    /// Names the column, key, flag or symbol.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
    /// Says what was found.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }
    /// Says what to do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl From<BadInput> for Error {
    fn from(bad: BadInput) -> Self {
        Self::BadInput(Box::new(bad))
    }
}

/// Turns an I/O error into [`Error`], naming the path and what was being done.
///
/// A path that does not exist is bad input; everything else is the machine.
pub fn io_error(path: impl AsRef<Path>, doing: &'static str, source: std::io::Error) -> Error {
    let path = path.as_ref().to_path_buf();
    if source.kind() == std::io::ErrorKind::NotFound {
        return BadInput::expected("an existing file or folder")
            .file(path)
            .found("nothing")
            .fix("check the path")
            .into();
    }
    Error::Io { path, doing, source }
}

/// Runs a reader of a foreign format whose crate panics over some damaged files: then `damaged` is the answer.
///
/// The panic's own message still goes where the process's panic hook sends it.
pub(crate) fn contained<T>(damaged: impl FnOnce() -> Error, read: impl FnOnce() -> Result<T>) -> Result<T> {
    // What the reader borrowed is dropped with the error: nobody sees it half-changed.
    let read = std::panic::AssertUnwindSafe(read);
    std::panic::catch_unwind(read).unwrap_or_else(|_| Err(damaged()))
}

/// The candidate nearest to `word` (Damerau–Levenshtein), if it is near enough to be a slip of the pen.
///
/// ```
/// assert_eq!(barloom::error::nearest("stop_overshot", ["stop_overshoot", "tp_kind"]), Some("stop_overshoot"));
/// assert_eq!(barloom::error::nearest("zzz", ["stop_overshoot"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= 1 + word.len().max(candidate.len()) / 3)
        .map(|(_, candidate)| candidate)
}
