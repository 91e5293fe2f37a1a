//! Worked examples that are whole runs, held against the reference engine: EX-02, 03, 04, 06, 07, 09, 26,
//! 27, 29, 31.

mod common;
mod reference;

use common::example_runs::{self, Engine};
use reference::{RefInput, RefSignals, run};

const ENGINE: Engine = |market, plan, intents| {
    run(&RefInput { market, run: 0..market.grid.bars, plan, signals: &RefSignals::new(), intents })
};

#[test]
fn example_02_trailing_stop() {
    example_runs::example_02_trailing_stop(ENGINE);
}

#[test]
fn example_03_limit_fills() {
    example_runs::example_03_limit_fills(ENGINE);
}

#[test]
fn example_04_sl_tp_same_bar() {
    example_runs::example_04_sl_tp_same_bar(ENGINE);
}

#[test]
fn example_06_partial_fill_ttl() {
    example_runs::example_06_partial_fill_ttl(ENGINE);
}

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
fn example_27_entry_bar() {
    example_runs::example_27_entry_bar(ENGINE);
}

#[test]
fn example_29_golden_run() {
    example_runs::example_29_golden_run(ENGINE);
}

#[test]
fn example_29_golden_run_reduced() {
    example_runs::example_29_golden_run_reduced(ENGINE);
}

#[test]
fn example_31_liquidation_event() {
    example_runs::example_31_liquidation_event(ENGINE);
}
