//! The signals room from the outside: rules against a naive evaluator, oracle, and the tables.

mod examples;
mod market;
mod messages;
mod naive;
mod nan;
mod oracle;
mod other_bars;
mod random_rules;
mod tables;
