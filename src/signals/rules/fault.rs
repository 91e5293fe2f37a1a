//! A fault in an expression: where it is, what stands there, what should, and how it reads as one line.

use std::path::PathBuf;

use crate::error::{BadInput, Error};

/// Bytes `[start, end)` of an expression's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What is wrong at one place of an expression.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: Span,
    pub(super) found: String,
    pub(super) expected: String,
    pub(super) fix: Option<String>,
}

impl Fault {
    pub(super) fn new(at: Span, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { at, found: found.into(), expected: expected.into(), fix: None }
    }
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// Where an expression stands: the file and key it came from and its text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Origin {
    pub(super) file: Option<PathBuf>,
    pub(super) key: Option<String>,
    pub(super) text: String,
}

/// Characters of the text shown before and after the mark.
const SHOWN: usize = 30;

impl Origin {
    /// The fault as an error of one line, with `»` before the marked column.
    pub(super) fn error(&self, fault: Fault) -> Error {
        let (before, after) = self.text.split_at(fault.at.start.min(self.text.len()));
        let column = before.chars().count() + 1;
        let skipped = before.chars().count().saturating_sub(SHOWN);
        let head: String = before.chars().skip(skipped).collect();
        let tail: String = after.chars().take(SHOWN).collect();
        let (dots_before, dots_after) =
            (if skipped > 0 { "…" } else { "" }, if after.chars().count() > SHOWN { "…" } else { "" });
        let mut bad = BadInput::expected(fault.expected)
            .key(self.key.as_deref().unwrap_or("expression"))
            .found(format!("{} at column {column} of '{dots_before}{head}»{tail}{dots_after}'", fault.found));
        bad.file = self.file.clone();
        bad.fix = fault.fix;
        bad.into()
    }
}
