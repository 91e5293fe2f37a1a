//! The files in `config/`: generated ones are fresh, the examples load and mean what they say.
//!
//! `UPDATE_GOLDEN=1 cargo test --test config_files` rewrites the generated ones.

use std::path::PathBuf;

use barloom::config::spec::{SignalKind, SizingMethod};
use barloom::config::{self, Spec, key_paths};
use serde_json::Value;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn hold_against(name: &str, fresh: &Value) {
    let fresh = serde_json::to_string_pretty(fresh).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file(name), &fresh).unwrap();
    }
    let stored = std::fs::read_to_string(file(name)).unwrap_or_default();
    assert!(stored == fresh, "config/{name} is stale: run UPDATE_GOLDEN=1 cargo test --test config_files");
}

#[test]
fn generated_files_are_fresh() {
    hold_against("schema.json", &config::schema());
    hold_against("base_params.json", &config::base_params());
}

#[test]
fn base_params_load_to_the_defaults() {
    let loaded = config::load(&file("base_params.json"), &[], false).unwrap();
    assert_eq!(loaded.spec, Spec::default());
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.dir, file("base_params.json").parent().unwrap());
    loaded.spec.plan().unwrap();
}

#[test]
fn base_params_hold_every_key_of_the_contract() {
    let params = config::base_params();
    let known = key_paths();
    assert!(known.len() > 110, "{}", known.len());
    for key in &known {
        assert!(params.pointer(&format!("/{}", key.replace('.', "/"))).is_some(), "{key}");
    }
}

/// Contract, section 3, by hand: a key that went missing from the structs must not go unnoticed.
#[test]
fn every_key_of_the_contract_is_known() {
    let contract = "
        general: initial_capital maker_fee_bps taker_fee_bps fee_tier fee_table bnb_discount oracle_mode seed bar mark_source
        universe: symbols mode size refresh min_history_days benchmark on_removal max_stale_bars
        signals: kind path long_entry long_exit short_entry short_exit stop_distance take_profit_distance trail_distance weight score params
        execution: sequencing entry_ttl_bars participation_cap cap_applies_to stop_overshoot bracket_policy trail_mode trail_source limit_rule tp_kind clamp_to_bar round_to_tick split_large end_of_run delist_haircut_bps delist_after_missing_bars trigger_source
        slippage_costs: shape a_bps b_bps min_bps max_bps stop_slippage_mult vol_scaled vol_y vol_window_bars volume_ref regime_mult_normal regime_mult_thin regime_mult_vacuum
        funding: enabled missing boundary window_blocks_entries window_pre_minutes window_post_minutes close_before_bps
        margin: mode max_leverage liquidation liq_check liq_mode liq_fee_rate guard mr_warn mr_trim mr_target trim_order on_margin_short
        sizing: method notional fraction risk_per_trade vol_target min_vol min_stop_ticks sizing_equity
        risk: es_guard es_cap_of_equity es_alpha es_window_bars es_horizon_bars es_horizon_mode es_method beta_guard beta_cap beta_window_bars beta_excess daily_soft daily_hard kill_drawdown max_weight max_gross max_net max_positions max_position_notional halt_action cooldown_bars allocation
        liquidity_regimes: enabled seasonality vacuum_below thin_below smooth_bars hysteresis vacuum_blocks_entries thin_size_mult profile profile_obs profile_eta min_obs fallback_min_bars regime_without_baseline
        output: format tables lot_method
        sweep: grid constraint rank_by random.samples random.seed random.ranges";
    let known = key_paths();
    for line in contract.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (table, keys) = line.split_once(": ").unwrap();
        for key in keys.split(' ') {
            assert!(known.contains(&format!("{table}.{key}")), "{table}.{key}");
        }
    }
}

#[test]
fn the_sweep_example_is_a_hundred_combinations() {
    let loaded = config::load(&file("ema_cross.toml"), &[], false).unwrap();
    let spec = &loaded.spec;
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(spec.signals.kind, SignalKind::Rules);
    assert_eq!(
        spec.rule_texts().iter().map(|(key, _)| *key).collect::<Vec<_>>(),
        ["long_entry", "short_entry", "stop_distance"]
    );
    assert_eq!(spec.rule_params().len(), 3);
    let axes = spec.sweep.axes().unwrap();
    assert_eq!(
        axes.iter().map(|a| (a.name.as_str(), a.values.len())).collect::<Vec<_>>(),
        [("fast", 10), ("slow", 10), ("stop_atr", 1)]
    );
    assert_eq!(axes[1].values.last(), Some(&Value::from(80.0)));
    assert_eq!(spec.sweep.constraint, "fast < slow");
    spec.plan().unwrap();
}

#[test]
fn the_oracle_example_is_fixed_notional() {
    let loaded = config::load(&file("oracle_long.toml"), &[], false).unwrap();
    assert_eq!(loaded.spec.sizing.method, SizingMethod::FixedNotional);
    assert_eq!(loaded.spec.sizing.notional, 10_000.0);
    loaded.spec.plan().unwrap();
}

#[test]
fn every_key_of_the_schema_explains_itself() {
    fn walk(path: &str, node: &Value, numbers: &mut usize) {
        if let Some(properties) = node.get("properties").and_then(Value::as_object) {
            assert_eq!(node["additionalProperties"], Value::Bool(false), "{path} lets unknown keys through");
            for (name, child) in properties.iter().filter(|(name, _)| *name != "$schema") {
                walk(&format!("{path}.{name}"), child, numbers);
            }
            return;
        }
        let text = |key: &str| node.get(key).and_then(Value::as_str).unwrap_or_default();
        assert!(text("description").len() > 8, "{path}: description");
        assert!(!text("x-semantics").is_empty(), "{path}: section");
        assert!(node.get("default").is_some(), "{path}: default");
        if matches!(text("type"), "number" | "integer") {
            *numbers += 1;
            assert!(!text("x-unit").is_empty(), "{path}: unit");
            assert!(node.get("minimum").or(node.get("exclusiveMinimum")).is_some(), "{path}: range");
        }
        if let Some(values) = node.get("x-accepted-now").and_then(Value::as_array) {
            assert!(text("description").contains("For now only"), "{path}: says what is missing");
            assert!(values.iter().any(|v| v == &node["default"]), "{path}: its default is refused");
        }
    }
    let schema = config::schema();
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["properties"]["risk"]["properties"]["es_guard"]["x-accepted-now"][0], false);
    let mut numbers = 0;
    walk("", &schema, &mut numbers);
    assert!(numbers > 50, "{numbers}");
}
