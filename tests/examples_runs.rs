//! Worked examples that are whole runs, held against the reference engine: EX-07, 09, 26, 27, 29.

mod common;
mod reference;

use common::example_runs::{self, Engine};
use reference::{RefInput, RefSignals, run};

const ENGINE: Engine = |market, plan, intents| {
    run(&RefInput { market, run: 0..market.grid.bars, plan, signals: &RefSignals::new(), intents })
};

#[test]
fn example_07_admission() {
    example_runs::example_07_admission(ENGINE);
}

#[test]
fn example_09_funding_with_flips() {
    example_runs::example_09_funding_with_flips(ENGINE);
}

#[test]
fn example_09_who_pays_at_the_boundary() {
    example_runs::example_09_who_pays_at_the_boundary(ENGINE);
}

#[test]
fn example_26_toy_oracles() {
    example_runs::example_26_toy_oracles(ENGINE);
}

#[test]
fn example_27_held_positions() {
    example_runs::example_27_held_positions(ENGINE);
}

#[test]
fn example_27_stopped_in_the_entry_bar() {
    example_runs::example_27_stopped_in_the_entry_bar(ENGINE);
}

#[test]
fn example_29_golden_run_reduced() {
    example_runs::example_29_golden_run_reduced(ENGINE);
}
