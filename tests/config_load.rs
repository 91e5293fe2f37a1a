//! Reading a config: the two languages, `--set`, unknown keys, types, ranges, refusals.

use std::path::PathBuf;

use barloom::config::plan::{CheckInvariants, LimitRule, MarginMode, Sizing};
use barloom::config::{LoadedSpec, Spec, load};

struct Config {
    dir: tempfile::TempDir,
}

impl Config {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn toml(text: &str) -> barloom::Result<LoadedSpec> {
    let config = Config::new();
    load(&config.write("run.toml", text), &[], false)
}

/// The message without the folder, which is a temporary one.
fn fault(text: &str) -> String {
    message(toml(text))
}

fn message(result: barloom::Result<LoadedSpec>) -> String {
    let text = result.expect_err("should be refused").to_string();
    assert!(!text.contains('\n'), "{text}");
    match text.split_once("run.toml").or_else(|| text.split_once("run.json")) {
        Some((_, rest)) => rest.trim_start_matches(", ").to_owned(),
        None => text,
    }
}

fn set(pairs: &[(&str, &str)]) -> barloom::Result<LoadedSpec> {
    let config = Config::new();
    let sets: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    load(&config.write("run.toml", ""), &sets, false)
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(toml("").unwrap().spec, Spec::default());
}

#[test]
fn toml_and_json_say_the_same() {
    let config = Config::new();
    let a = config.write(
        "run.toml",
        "[general]\ninitial_capital = 5000\nbar = \"1h\"\n[universe]\nsymbols = [\"ETHUSDT\", \"BTCUSDT\"]\n\
         [signals]\nkind = \"rules\"\nlong_entry = \"close > x\"\nparams = { x = 3 }\n\
         [sweep.grid]\nx = { from = 1, to = 2, step = 0.5 }\nsizing.fraction = [0.1, 0.2]\n",
    );
    let b = config.write(
        "run.json",
        r#"{"$schema": "schema.json",
            "general": {"initial_capital": 5000.0, "bar": "1h"},
            "universe": {"symbols": ["ETHUSDT", "BTCUSDT"]},
            "signals": {"kind": "rules", "long_entry": "close > x", "params": {"x": 3.0}},
            "sweep": {"grid": {"x": {"from": 1, "to": 2, "step": 0.5}, "sizing.fraction": [0.1, 0.2]}}}"#,
    );
    let (a, b) = (load(&a, &[], false).unwrap(), load(&b, &[], false).unwrap());
    assert_eq!(a, b);
    assert_eq!(a.spec.to_json().to_string(), b.spec.to_json().to_string());
    assert_eq!(a.spec.digest(), b.spec.digest());
    assert_eq!(a.spec.general.initial_capital, 5000.0);
    assert_eq!(a.dir, config.dir.path());
    assert_eq!(a.resolve("orders.csv"), config.dir.path().join("orders.csv"));
}

#[test]
fn set_overrides_the_file_with_toml_values_and_bare_words() {
    let loaded = set(&[
        ("general.initial_capital", "2500"),
        ("general.bar", "1h"),
        ("general.oracle_mode", "\"random\""),
        ("execution.clamp_to_bar", "true"),
        ("universe.symbols", "[\"ETHUSDT\"]"),
        ("signals.params.fast", "12"),
        ("signals.weight", "1"),
        ("signals.long_exit", "close < open"),
        ("signals.path", "2024-01-01"),
        ("sizing.fraction", "0.5"),
        ("sizing.fraction", "0.25"),
        ("sweep.grid.fast", "{ from = 4, to = 8, step = 2 }"),
        ("sweep.grid.sizing.fraction", "[0.1]"),
    ])
    .unwrap();
    let spec = loaded.spec;
    assert_eq!(spec.general.initial_capital, 2500.0);
    assert_eq!(spec.general.bar.as_str(), "1h");
    assert!(spec.execution.clamp_to_bar);
    assert_eq!(spec.universe.symbols, ["ETHUSDT"]);
    assert_eq!(spec.signals.params["fast"], 12.0);
    assert_eq!(spec.signals.weight, "1");
    assert_eq!(spec.signals.long_exit, "close < open");
    assert_eq!(spec.signals.path, "2024-01-01");
    assert_eq!(spec.sizing.fraction, 0.25);
    assert_eq!(spec.sweep.axes().unwrap().len(), 2);
}

#[test]
fn faults_of_set_say_that_they_come_from_set() {
    assert_eq!(
        message(set(&[("sizing.fractoin", "0.5")])),
        "`sizing.fractoin`: found an unknown key; expected a key of the config; \
         did you mean `sizing.fraction`? (given by --set)"
    );
    assert_eq!(
        message(set(&[("sizing.fraction", "half")])),
        "`sizing.fraction`: found \"half\"; expected a number above 0 and at most 1000 (fraction); given by --set"
    );
    assert_eq!(
        message(set(&[("sizing.fraction", "0.5\nx = 1")])),
        "`sizing.fraction`: found \"0.5\\nx = 1\"; expected a number above 0 and at most 1000 (fraction); given by --set"
    );
    assert_eq!(
        message(set(&[("sizing.fraction", "nan")])),
        "`sizing.fraction`: found NaN; expected a finite number; given by --set"
    );
}

#[test]
fn an_unknown_key_names_the_nearest() {
    for (text, key, near) in [
        ("[sizing]\nfracton = 1", "sizing.fracton", "did you mean `sizing.fraction`?"),
        ("[sizng]\nfraction = 1", "sizng", "did you mean `sizing`?"),
        ("[general]\nfraction = 1", "general.fraction", "did you mean `sizing.fraction`?"),
        ("taker_fee_bps = 1", "taker_fee_bps", "did you mean `general.taker_fee_bps`?"),
        ("[sweep.random]\nsample = 1", "sweep.random.sample", "did you mean `sweep.random.samples`?"),
        ("[sizing]\nqqqqqqqqqqqq = 1", "sizing.qqqqqqqqqqqq", "`barloom schema` lists every key"),
        ("[signals]\nzzzzzzzzzzzz = 1", "signals.zzzzzzzzzzzz", "`barloom schema` lists every key"),
    ] {
        assert_eq!(
            fault(text),
            format!("`{key}`: found an unknown key; expected a key of the config; {near}")
        );
    }
}

#[test]
fn lenient_passes_over_unknown_keys_and_nothing_else() {
    let config = Config::new();
    let path = config.write("run.toml", "[sizing]\nfracton = 1\n[nonsense.deep]\nx = 1\n");
    let sets = [("general.sed".to_owned(), "3".to_owned())];
    let loaded = load(&path, &sets, true).unwrap();
    assert_eq!(loaded.spec, Spec::default());
    assert_eq!(loaded.warnings.len(), 3, "{:?}", loaded.warnings);
    assert!(
        loaded.warnings.iter().any(|w| w.contains("`sizing.fracton`") && w.contains("`sizing.fraction`"))
    );
    let path = config.write("run.toml", "[sizing]\nfraction = \"x\"\n");
    load(&path, &[], true).unwrap_err();
}

#[test]
fn wrong_types_and_ranges_name_key_found_and_expected() {
    for (text, expected) in [
        (
            "[sizing]\nfraction = \"x\"",
            "`sizing.fraction`: found \"x\"; expected a number above 0 and at most 1000 (fraction)",
        ),
        (
            "[sizing]\nfraction = 0",
            "`sizing.fraction`: found 0; expected a number above 0 and at most 1000 (fraction)",
        ),
        ("[sizing]\nfraction = nan", "`sizing.fraction`: found NaN; expected a finite number"),
        ("[general]\nseed = -1", "`general.seed`: found -1; expected a whole number of at least 0 (seed)"),
        ("[general]\nseed = 1.5", "`general.seed`: found 1.5; expected a whole number of at least 0 (seed)"),
        (
            "[general]\nbar = \"30m\"",
            "`general.bar`: found \"30m\"; expected \"1m\", \"5m\", \"15m\", \"1h\", \"4h\" or \"1d\"; did you mean \"1m\"?",
        ),
        (
            "[execution]\nentry_ttl_bars = 0",
            "`execution.entry_ttl_bars`: found 0; expected a whole number of at least 1 (bars)",
        ),
        (
            "[execution]\nentry_ttl_bars = 4294967296",
            "`execution.entry_ttl_bars`: found 4294967296; expected a whole number of at least 1 (bars)",
        ),
        (
            "[execution]\nstop_overshoot = 1.5",
            "`execution.stop_overshoot`: found 1.5; expected a number from 0 to 1 (fraction)",
        ),
        ("[execution]\nclamp_to_bar = 1", "`execution.clamp_to_bar`: found 1; expected true or false"),
        (
            "[universe]\nrefresh = \"bars:0\"",
            "`universe.refresh`: found \"bars:0\"; expected weekly, daily or bars:n",
        ),
        (
            "[universe]\nsymbols = \"BTCUSDT\"",
            "`universe.symbols`: found \"BTCUSDT\"; expected a list of different names, such as [\"BTCUSDT\"]",
        ),
        (
            "[universe]\nsymbols = [\"A\", \"A\"]",
            "`universe.symbols`: found [\"A\",\"A\"]; expected a list of different names, such as [\"BTCUSDT\"]",
        ),
        ("[signals]\nweight = 0.5", "`signals.weight`: found 0.5; expected text in quotes"),
        ("[signals.params]\nfast = \"x\"", "`signals.params.fast`: found \"x\"; expected a number"),
        (
            "[signals.params]\n\"a-b\" = 1",
            "`signals.params.a-b`: found `a-b`; expected a name of letters, digits and _ that starts with a letter; rename the parameter",
        ),
        ("general = 5", "`general`: found 5; expected a table of keys"),
        (
            "[slippage_costs]\nmin_bps = 3\nmax_bps = 2",
            "`slippage_costs.max_bps`: found 2; expected at least slippage_costs.min_bps = 3",
        ),
        (
            "[slippage_costs]\nmax_bps = 5000\nstop_slippage_mult = 2",
            "`slippage_costs.stop_slippage_mult`: found 2; expected stops that slip less than 10000 bps with max_bps = 5000",
        ),
        (
            "[signals]\nkind = \"orders\"",
            "`signals.path`: found nothing; expected the path of the table that signals.kind asks for",
        ),
        (
            "[signals]\nkind = \"rules\"",
            "`signals.long_entry`: found nothing; expected an expression in long_entry or short_entry, since signals.kind is \"rules\"",
        ),
        (
            "[margin]\nmr_target = 0.95",
            "`margin.mr_target`: found 0.95; expected at most margin.mr_trim = 0.9",
        ),
        (
            "[output]\ntables = [\"fill\"]",
            "`output.tables`: found [\"fill\"]; expected a list of \"equity\", \"fills\", \"trades\", \"ledger\", \"orders\" or \"universe\", each once",
        ),
    ] {
        assert_eq!(fault(text), expected);
    }
}

/// Whatever this version cannot do is refused by name, with what it can.
#[test]
fn features_that_do_not_exist_are_refused() {
    for (key, found, expected) in [
        ("universe.mode", "\"ranked\"", "\"static\": the ranked universe is"),
        ("universe.rewarm_bars", "3", "0: waiting after a gap is"),
        ("execution.trigger_source", "\"mark\"", "\"last\": the mark-price trigger is"),
        (
            "sizing.method",
            "\"fixed_risk\"",
            "\"fixed_notional\" or \"fixed_fraction\": the other methods are",
        ),
        (
            "sizing.method",
            "\"vol_target\"",
            "\"fixed_notional\" or \"fixed_fraction\": the other methods are",
        ),
        (
            "sizing.method",
            "\"signal_weight\"",
            "\"fixed_notional\" or \"fixed_fraction\": the other methods are",
        ),
        ("risk.es_guard", "true", "false: the expected-shortfall guard is"),
        ("risk.beta_guard", "true", "false: the beta guard is"),
        ("risk.daily_soft", "0.03", "0.0: the daily loss limit is"),
        ("risk.daily_hard", "0.05", "0.0: the daily loss limit is"),
        ("risk.kill_drawdown", "0.25", "0.0: the kill switch is"),
        ("risk.max_weight", "1.0", "0.0: the weight cap is"),
        ("risk.max_gross", "3.0", "0.0: the gross cap is"),
        ("risk.max_net", "3.0", "0.0: the net cap is"),
        ("risk.max_positions", "5", "0: the position cap is"),
    ] {
        let (table, name) = key.rsplit_once('.').unwrap();
        let said = fault(&format!("[{table}]\n{name} = {found}\n"));
        assert_eq!(said, format!("`{key}`: found {found}; expected {expected} not in this version yet"));
    }
}

/// What belongs to a feature that is off may be set, so that a config can be written for later.
#[test]
fn what_is_off_may_be_tuned_and_what_exists_may_be_chosen() {
    for (key, value) in [
        ("general.check_invariants", "every_bar"),
        ("universe.size", "10"),
        ("universe.refresh", "bars:96"),
        ("universe.max_stale_bars", "0"),
        ("execution.participation_cap", "0"),
        ("execution.cap_applies_to", "all"),
        ("execution.sequencing", "stops_first_bar"),
        ("execution.limit_rule", "touch"),
        ("execution.trail_mode", "favourable_first"),
        ("execution.limit_rule", "touch_prob:0.5"),
        ("execution.entry_beyond_stop", "reject"),
        ("execution.stale_move", "0.1"),
        ("signals.trail_distance", "atr(14)"),
        ("funding.missing", "constant:0.0001"),
        ("funding.boundary", "pessimistic"),
        ("funding.close_before_bps", "5.0"),
        ("risk.max_position_notional", "1000"),
        ("slippage_costs.regime_mult_vacuum", "8"),
        ("funding.window_pre_minutes", "-1"),
        ("margin.max_leverage", "20"),
        ("margin.liq_mode", "pro_rata"),
        ("sizing.sizing_equity", "wallet"),
        ("risk.es_method", "ewma"),
        ("risk.allocation", "priority"),
        ("risk.max_positions", "0"),
        ("liquidity_regimes.seasonality", "time_of_day"),
        ("liquidity_regimes.profile", "ewma"),
        ("liquidity_regimes.smooth_bars", "4"),
        ("liquidity_regimes.hysteresis", "1.1"),
        ("liquidity_regimes.regime_without_baseline", "normal"),
        ("output.format", "parquet"),
        ("output.tables", "[\"fills\"]"),
        ("output.tables", "[]"),
    ] {
        let loaded = set(&[(key, value)]).unwrap_or_else(|e| panic!("{key} = {value}: {e}"));
        loaded.spec.plan().unwrap();
    }
}

/// Everything the contract has on by default is on, and each of it goes off by its own key.
#[test]
fn guards_are_on_by_default_and_each_has_its_switch() {
    let plan = |pairs: &[(&str, &str)]| set(pairs).unwrap().spec.plan().unwrap();
    let default = plan(&[]);
    assert_eq!(default.execution.participation_cap_frac, 0.05);
    assert_eq!(default.funding.window_ms, Some((900_000, 0)));
    let margin = default.margin.unwrap();
    let guard = margin.guard.unwrap();
    assert!(margin.liquidation && margin.max_leverage == 10.0 && margin.liq_fee_frac == 0.0125);
    assert_eq!((guard.warn, guard.trim, guard.target), (0.8, 0.9, 0.5));
    let regimes = default.liquidity;
    assert!(regimes.enabled);
    assert!(regimes.vacuum_blocks_entries && regimes.thin_size_mult == 0.5);
    assert_eq!((default.fee_table.len(), default.max_position_notional_usdt), (0, 0.0));

    assert_eq!(plan(&[("execution.participation_cap", "0")]).execution.participation_cap_frac, 0.0);
    assert_eq!(plan(&[("funding.window_blocks_entries", "false")]).funding.window_ms, None);
    assert_eq!(plan(&[("funding.window_pre_minutes", "-1")]).funding.window_ms, None);
    assert!(plan(&[("margin.guard", "false")]).margin.unwrap().guard.is_none());
    assert!(!plan(&[("margin.liquidation", "false")]).margin.unwrap().liquidation);
    assert_eq!(plan(&[("margin.mode", "isolated")]).margin.unwrap().mode, MarginMode::Isolated);
    assert_eq!(plan(&[("margin.guard", "false"), ("margin.liquidation", "false")]).margin, None);
    assert!(!plan(&[("liquidity_regimes.enabled", "false")]).liquidity.enabled);
}

/// A table of fees, from TOML, `--set` and in code.
#[test]
fn fees_by_date_reach_the_plan() {
    let rows = r#"[{ from = 2023-01-01, maker_bps = 2, taker_bps = 4 }, { from = "2024-01-01 00:00:00Z", maker_bps = -0.5, taker_bps = 3 }]"#;
    let from_file = toml(&format!("[general]\nfee_table = {rows}\n")).unwrap().spec;
    assert_eq!(set(&[("general.fee_table", rows)]).unwrap().spec, from_file);
    let table: Vec<_> = from_file.plan().unwrap().fee_table;
    let table: Vec<_> = table.iter().map(|row| (row.from_ms, row.maker_frac, row.taker_frac)).collect();
    assert_eq!(table, [(1_672_531_200_000, 2e-4, 4e-4), (1_704_067_200_000, -0.5e-4, 3e-4)]);
    let mut swapped = from_file;
    swapped.general.fee_table.swap(0, 1);
    assert_eq!(
        swapped.plan().unwrap_err().to_string(),
        "`general.fee_table[1].from`: found \"2023-01-01\"; expected a time after 2024-01-01 00:00:00+00:00, that of the row before"
    );
    assert_eq!(
        fault("[general]\nfee_table = [{ from = 2023-01-01, maker_bps = 2 }]\n"),
        "`general.fee_table[0]`: found {\"from\":\"2023-01-01\",\"maker_bps\":2}; expected {from, maker_bps, taker_bps}, nothing else"
    );
}

/// Table, then tier, then the plain fees; the discount is on all of them.
#[test]
fn a_tier_stands_in_for_the_plain_fees() {
    let fees = |pairs: &[(&str, &str)]| {
        let loaded = set(pairs).unwrap();
        let plan = loaded.spec.plan().unwrap();
        (plan.maker_fee_frac, plan.taker_fee_frac, loaded.warnings)
    };
    assert_eq!(fees(&[]), (2e-4, 5e-4, vec![]));
    assert_eq!(fees(&[("general.fee_tier", "0")]), (2e-4, 5e-4, vec![]));
    assert_eq!(fees(&[("general.fee_tier", "9")]), (0.0, 1.7 / 1e4, vec![]));
    let discounted = fees(&[("general.maker_fee_bps", "-1"), ("general.bnb_discount", "true")]);
    assert_eq!(discounted, (-1e-4, 5e-4 * 0.9, vec![]));
    let (maker, taker, warnings) = fees(&[("general.fee_tier", "3"), ("general.taker_fee_bps", "4")]);
    assert_eq!((maker, taker), (1.2 / 1e4, 3.2 / 1e4));
    assert_eq!(warnings, ["`general.taker_fee_bps` is not read: general.fee_tier sets the fees"]);
    let isolated = [("margin.mode", "isolated"), ("margin.liq_mode", "all")];
    let warnings = set(&isolated).unwrap().warnings;
    assert_eq!(warnings, ["`margin.liq_mode` is not read: margin.mode is \"isolated\""]);
    assert_eq!(
        fault("[general]\nfee_tier = 10\n"),
        "`general.fee_tier`: found 10; expected a whole number from -1 to 9 (tier)"
    );
}

#[test]
fn a_slot_that_remembers_too_little_is_refused() {
    let said = set(&[("liquidity_regimes.profile_obs", "2")]).map(drop).unwrap_err().to_string();
    let expected = "`liquidity_regimes.min_obs`: found 3; expected at most the 2 observations of a slot \
                    (liquidity_regimes.profile_obs)";
    assert!(said.contains(expected), "{said}");
    let few = [("liquidity_regimes.profile_obs", "2"), ("liquidity_regimes.min_obs", "2")];
    set(&few).unwrap().spec.plan().unwrap();
    let mean = [("liquidity_regimes.profile_obs", "2"), ("liquidity_regimes.profile", "ewma")];
    set(&mean).unwrap().spec.plan().unwrap();
}

#[test]
fn files_that_cannot_be_read_say_where() {
    assert_eq!(fault("[general]\nseed = = 1\n").split("; expected").nth(1), Some(" valid TOML"));
    assert!(
        fault("[general]\nseed = = 1\n").starts_with("row 2: found "),
        "{}",
        fault("[general]\nseed = = 1\n")
    );
    assert!(fault("[general]\nseed = 1\nseed = 2\n").starts_with("row 3: found duplicate key"));
    let config = Config::new();
    let json = load(&config.write("run.json", "{\n \"general\": {\n  \"seed\": }\n}"), &[], false);
    assert_eq!(message(json), "row 3: found expected value at column 11; expected valid JSON");
    let json = load(&config.write("run.json", "[1]"), &[], false);
    assert_eq!(message(json), ": found [1]; expected a JSON object of tables");
    let latin = load(&config.write("run.toml", b"# ok\n# \xe9\n"), &[], false);
    assert_eq!(
        message(latin),
        "row 2: found a byte that is not UTF-8; expected UTF-8 text; save the file as UTF-8"
    );
    let yaml = load(&config.write("run.yaml", ""), &[], false).unwrap_err().to_string();
    assert!(yaml.ends_with(
        "found the extension \"yaml\"; expected a config that ends in .toml or .json; rename the file"
    ));
    let absent = load(&config.dir.path().join("no.toml"), &[], false).unwrap_err().to_string();
    assert!(
        absent.ends_with("no.toml: found nothing; expected an existing file or folder; check the path"),
        "{absent}"
    );
    load(&config.write("bom.toml", "\u{feff}[general]\nseed = 2\n"), &[], false).unwrap();
}

#[test]
fn keys_that_are_not_read_are_warned_about() {
    let loaded = toml("[signals]\nlong_entry = \"close > open\"\npath = \"orders.csv\"\n").unwrap();
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].contains("`signals.long_entry`"));
    assert!(loaded.warnings[1].contains("`signals.path`"));
}

#[test]
fn the_plan_has_fractions_and_the_chosen_rules() {
    let spec = set(&[
        ("sizing.method", "fixed_notional"),
        ("sizing.notional", "500"),
        ("execution.limit_rule", "touch"),
        ("general.mark_source", "last"),
        ("general.check_invariants", "off"),
        ("general.maker_fee_bps", "-0.5"),
    ])
    .unwrap()
    .spec;
    let plan = spec.plan().unwrap();
    assert_eq!(plan.taker_fee_frac, 0.0005);
    assert_eq!(plan.maker_fee_frac, -0.00005);
    assert_eq!(plan.sizing, Sizing::FixedNotional { notional_usdt: 500.0 });
    assert_eq!(plan.execution.limit_rule, LimitRule::Touch);
    assert_eq!(plan.execution.delist_haircut_frac, 0.005);
    assert_eq!(plan.check_invariants, CheckInvariants::Off);
    assert_eq!(plan.max_stale_bars, 8);
    assert!(!plan.use_mark);
}

/// A spec made in code is judged as strictly as a file.
#[test]
fn the_plan_of_a_spec_made_in_code_is_checked() {
    let mut spec = Spec::default();
    spec.execution.stop_overshoot = f64::NAN;
    assert_eq!(
        spec.plan().unwrap_err().to_string(),
        "`execution.stop_overshoot`: found nothing; expected a number from 0 to 1 (fraction)"
    );
    let mut spec = Spec::default();
    spec.risk.es_guard = true;
    assert_eq!(
        spec.plan().unwrap_err().to_string(),
        "`risk.es_guard`: found true; expected false: the expected-shortfall guard is not in this version yet"
    );
}
