//! `docs/indicators.md` is what the kernels say about themselves, and they say everything.
//!
//! `UPDATE_GOLDEN=1 cargo test --test indicator_docs` writes it anew from the text above each public kernel.

mod indicators;

use barloom::signals::function_list;
use indicators::{kernels, page, root};

#[test]
fn the_page_of_indicators_is_fresh() {
    let fresh = page::render(&kernels::read(&root().join("kernels/src")));
    let path = root().join("docs/indicators.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == fresh,
        "docs/indicators.md is stale: run UPDATE_GOLDEN=1 cargo test --test indicator_docs"
    );
}

#[test]
fn every_kernel_says_what_it_computes() {
    let modules = kernels::read(&root().join("kernels/src"));
    let mut missing = Vec::new();
    for kernel in modules.iter().flat_map(|module| &module.kernels) {
        let lacks = kernels::REQUIRED.iter().filter(|label| kernel.field(label).is_none_or(str::is_empty));
        missing.extend(lacks.map(|label| format!("{}: {label}", kernel.path())));
        if !kernel.example.contains("assert") {
            missing.push(format!("{}: an example that asserts", kernel.path()));
        }
        if kernel.arguments.contains("state: &mut [f64]") && kernel.state.is_none() {
            missing.push(format!("{}: the function that gives the length of its state", kernel.path()));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_reader_of_kernels_finds_all_kinds_of_them() {
    let modules = kernels::read(&root().join("kernels/src"));
    let all: Vec<_> = modules.iter().flat_map(|module| &module.kernels).collect();
    for path in [
        "elementwise::neg",
        "elementwise::add",
        "elementwise::add_const",
        "elementwise::lt_mask_const",
        "elementwise::exp",
        "cross::cross_under_const",
        "moving::sma",
        "momentum::rsi",
        "trend::directional",
        "account::mark_rows",
        "curve::add_blocks",
        "bits::transpose64",
    ] {
        assert!(all.iter().any(|kernel| kernel.path() == path), "{path}");
    }
    let public = |text: &str| text.lines().filter(|line| line.starts_with("pub fn ")).count();
    let mut in_sources = 0;
    for module in &modules {
        in_sources += module.sources.iter().map(|text| public(text)).sum::<usize>();
    }
    let from_macros = all.iter().filter(|kernel| kernel.from_macro).count();
    let states: usize = modules.iter().map(|module| module.states).sum();
    assert_eq!(all.len() - from_macros + states, in_sources);
    let stddev = all.iter().find(|kernel| kernel.path() == "rolling::stddev").unwrap();
    assert_eq!(stddev.state.as_deref(), Some("var_state_len(lanes: usize, n: usize) -> usize"));
    assert_eq!(stddev.field("Units"), Some("those of the input."));
}

#[test]
fn every_function_of_the_rules_has_a_unit() {
    let functions = function_list();
    assert!(functions.len() > 70, "{}", functions.len());
    for function in functions {
        // A bare number is no unit: what has none says `none`.
        assert!(function.unit.chars().any(char::is_alphabetic), "{}: `{}`", function.name, function.unit);
        assert!(function.summary.len() > 3, "{}", function.name);
    }
}

#[test]
fn the_kernels_carry_the_licence() {
    let text = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    assert_eq!(text("LICENSE"), text("kernels/LICENSE"));
}
