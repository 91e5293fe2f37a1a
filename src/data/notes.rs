//! What there is to say about the symbols of a market beyond errors: fallbacks, dropped rows, odd funding records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How far a build has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildProgress {
    /// Source files read.
    pub done_files: usize,
    /// Source files there are.
    pub total_files: usize,
    /// Bytes read.
    pub bytes_done: u64,
}

/// Notes on one symbol; kept in the store, so that a reused store warns like the build did.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Notes {
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) no_contract: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) absent_rules: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) no_brackets: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) no_funding: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) naive_stamps: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) extra_bar_columns: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) extra_funding_columns: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) extra_liquidity_columns: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) dropped_bars: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) dropped_funding: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) dropped_liquidity: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) funding_quarantined: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) funding_inside_bar: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) funding_ignored: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) liquidity_ignored: u64,
}

impl Notes {
    /// Rows of any source that were dropped.
    pub(crate) fn dropped_rows(&self) -> u64 {
        self.dropped_bars + self.dropped_funding + self.dropped_liquidity
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The warnings of a selection of symbols, one line per subject, symbols in the given order.
pub(crate) fn warnings<'a>(symbols: impl Iterator<Item = (&'a str, &'a Notes)> + Clone) -> Vec<String> {
    let mut lines = Vec::new();
    let mut named = |what: &str, then: &str, is: fn(&Notes) -> bool| {
        let names: Vec<&str> = symbols.clone().filter(|(_, notes)| is(notes)).map(|(name, _)| name).collect();
        if !names.is_empty() {
            lines.push(format!("{what}: {}{then}", names.join(", ")));
        }
    };
    named("no contract file", " (no tick, step 1e-8, no minimums or maximums)", |notes| notes.no_contract);
    named("no margin brackets", " (2.5 % maintenance, leverage `margin.max_leverage`)", |notes| {
        notes.no_brackets
    });
    named("no funding file", " (no funding is paid)", |notes| notes.no_funding);
    named("stamps without an offset were taken as UTC", "", |notes| notes.naive_stamps);
    let mut listed = |what: &str, then: &str, items: fn(&Notes) -> &[String]| {
        let mut by_item: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, notes) in symbols.clone() {
            for item in items(notes) {
                by_item.entry(item).or_default().push(name);
            }
        }
        for (item, names) in by_item {
            lines.push(format!("{what} `{item}`{then}: {}", names.join(", ")));
        }
    };
    listed("contract without", ", which means no such rule (step: 1e-8)", |notes| &notes.absent_rules);
    listed("bar column", " is not known and is ignored", |notes| &notes.extra_bar_columns);
    listed("funding column", " is not known and is ignored", |notes| &notes.extra_funding_columns);
    listed("liquidity column", " is not known and is ignored", |notes| &notes.extra_liquidity_columns);
    let mut counted = |what: &str, count: fn(&Notes) -> u64| {
        let counts: Vec<String> = symbols
            .clone()
            .filter(|(_, notes)| count(notes) > 0)
            .map(|(name, notes)| format!("{name} {}", count(notes)))
            .collect();
        if !counts.is_empty() {
            lines.push(format!("{what}: {}", counts.join(", ")));
        }
    };
    counted("bad bars dropped", |notes| notes.dropped_bars);
    counted("bad funding records dropped", |notes| notes.dropped_funding);
    counted("bad liquidity rows dropped", |notes| notes.dropped_liquidity);
    counted("funding records more than 5 s from a whole minute, left out", |notes| notes.funding_quarantined);
    counted("funding times inside a bar, settled at the next open", |notes| notes.funding_inside_bar);
    counted("funding records before the first bar or after the delisting, ignored", |notes| {
        notes.funding_ignored
    });
    counted("liquidity rows before the first bar or after the last, ignored", |notes| {
        notes.liquidity_ignored
    });
    lines
}
