//! Three accounts side by side: a run with what bars leave open assumed at its worst, as configured, and at its best.
//!
//! What is assumed is decided elsewhere; this file compares what came out.

use serde_json::{Map, Value, json};

use super::metrics::Metric;
use super::recorder::RunRecorder;
use super::table::{Cells, Table};
use super::text::{metric_text, text_table};

/// One of the accounts.
#[derive(Debug, Clone, Copy)]
pub struct BoundedRun<'a> {
    /// What happened.
    pub recorder: &'a RunRecorder,
    /// Keys that were chosen, with their values.
    pub choices: &'a [(&'static str, String)],
}

/// The three accounts over the same bars.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// All choices against the account.
    pub pessimistic: BoundedRun<'a>,
    /// As the config has it.
    pub base: BoundedRun<'a>,
    /// All choices in its favour.
    pub optimistic: BoundedRun<'a>,
}

impl<'a> Bounds<'a> {
    fn named(&self) -> [(&'static str, BoundedRun<'a>); 3] {
        [("pessimistic", self.pessimistic), ("base", self.base), ("optimistic", self.optimistic)]
    }
    /// The table `bounds`: equity at every close.
    pub fn table(&self) -> Table<'static> {
        let (grid, run) = (self.base.recorder.grid(), self.base.recorder.run());
        let table = Table::new().with("ts", Cells::Time(run.map(|bar| Some(grid.open_ms(bar))).collect()));
        self.named().into_iter().fold(table, |table, (name, of)| {
            table.with(name, Cells::Float(of.recorder.bar_marks().equity_usdt.clone()))
        })
    }
    /// The contents of `bounds.json`.
    pub fn to_json(&self) -> Value {
        let of = |(name, of): (&str, BoundedRun<'_>)| {
            let metrics = of.recorder.metrics();
            let choices = of.choices.iter().map(|(key, value)| ((*key).to_owned(), value.as_str().into()));
            let outcome = json!({
                "final_equity": metrics.get(Metric::FinalEquity),
                "total_return": metrics.get(Metric::TotalReturn),
                "choices": choices.collect::<Map<_, _>>(),
            });
            (name.to_owned(), outcome)
        };
        Value::Object(self.named().into_iter().map(of).collect())
    }
    /// A small table for a terminal.
    pub fn text(&self, max_width: usize) -> String {
        let shown = [Metric::FinalEquity, Metric::TotalReturn, Metric::MaxDrawdown, Metric::Trades];
        let row = |(name, of): (&str, BoundedRun<'_>)| {
            let metrics = of.recorder.metrics();
            let cells = shown.iter().map(|&metric| metric_text(metric, metrics.get(metric)));
            std::iter::once(name.to_owned()).chain(cells).collect()
        };
        let rows: Vec<Vec<String>> = self.named().into_iter().map(row).collect();
        let headers: Vec<&str> = std::iter::once("choices").chain(shown.iter().map(|m| m.name())).collect();
        text_table(&headers, &rows, max_width)
    }
}
