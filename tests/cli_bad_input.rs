//! What the command does with bad input: exit code 2, one line that says where, and nothing half-written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use tempfile::TempDir;

/// A small universe, a config and an output folder, each test's own.
struct Place {
    dir: TempDir,
}

const BARS: &str = "data/BTCUSDT_15m.csv";
const CONFIG: &str = r#"
[signals]
kind = "rules"
long_entry = "close > ema(close, 5)"
"#;

impl Place {
    fn new(format: &str) -> Self {
        let place = Self { dir: TempDir::new().unwrap() };
        place.write("run.toml", CONFIG);
        let synth = ["synth", "--symbols", "2", "--bars", "300", "--seed", "3", "--out", "data", "--format"];
        let done = place.barloom(&[&synth[..], &[format]].concat());
        assert!(done.status.success(), "{done:?}");
        place
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }
    fn barloom(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_barloom")).current_dir(self.dir.path()).args(args).output().unwrap()
    }
    fn run(&self, more: &[&str]) -> Output {
        let run = ["run", "--config", "run.toml", "--data", "data", "--out", "out"];
        self.barloom(&[&run[..], more].concat())
    }
    /// Rewrites the cells of one line of the bars, counted as editors count: the header is line 1.
    fn edit_bars(&self, line: usize, edit: impl Fn(&mut Vec<String>)) {
        let text = fs::read_to_string(self.path(BARS)).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut cells: Vec<String> = lines[line - 1].split(',').map(str::to_owned).collect();
        edit(&mut cells);
        lines[line - 1] = cells.join(",");
        self.write(BARS, lines.join("\n") + "\n");
    }
    /// The run is refused with all of `named` in its one line, and leaves neither results nor a store behind.
    fn refuses_data(&self, named: &[&str]) {
        refused(&self.run(&[]), named);
        assert!(!self.path("out").exists(), "no results of data that could not be read");
        assert_eq!(files(&self.path("data/.barloom")), Vec::<String>::new(), "no store of them either");
    }
    fn refuses_config(&self, text: &str, named: &[&str]) {
        self.write("run.toml", text);
        for command in ["run", "sweep"] {
            let done = self.barloom(&[command, "--config", "run.toml", "--data", "data", "--out", "out"]);
            refused(&done, named);
            assert!(!self.path("out").exists(), "{command} wrote something");
        }
    }
}

/// Names in a folder, hidden ones too; none where there is no folder.
fn files(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[track_caller]
fn refused(done: &Output, named: &[&str]) {
    let stderr = String::from_utf8(done.stderr.clone()).unwrap();
    assert_eq!(done.status.code(), Some(2), "exit code; stderr: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "one line: {stderr}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert!(done.stdout.is_empty(), "no result beside an error: {}", String::from_utf8_lossy(&done.stdout));
    for name in named {
        assert!(stderr.contains(name), "`{name}` is not in: {stderr}");
    }
}

#[track_caller]
fn succeeded(done: &Output) -> String {
    let stderr = String::from_utf8(done.stderr.clone()).unwrap();
    assert!(done.status.success(), "{stderr}");
    stderr
}

#[test]
fn a_missing_column_is_named() {
    let place = Place::new("csv");
    place.edit_bars(1, |cells| cells[5] = "size".into());
    place.refuses_data(&["BTCUSDT_15m.csv", "row 1", "`volume`"]);
}

#[test]
fn bad_rows_are_named_with_file_row_and_column() {
    type Edit = fn(&mut Vec<String>);
    let cases: [(Edit, &str, &str); 7] = [
        (|cells| cells[0] = "2023-01-01 02:07:00+00:00".into(), "`ts`", "02:07:00"),
        (|cells| cells[0] = "2023-01-01 01:45:00+00:00".into(), "`ts`", "a second time"),
        (|cells| cells[0] = "yesterday".into(), "`ts`", "yesterday"),
        (|cells| cells[4] = "NaN".into(), "`close`", "NaN"),
        (|cells| cells[4] = "12,5".replace(',', ";"), "`close`", "12;5"),
        (|cells| cells[5] = "-1".into(), "`volume`", "-1"),
        (|cells| cells.swap(2, 3), "`high`", "below low"),
    ];
    for (edit, column, found) in cases {
        let place = Place::new("csv");
        place.edit_bars(10, edit);
        place.refuses_data(&["BTCUSDT_15m.csv", "row 10", column, found]);
        // The same row can be left out on request.
        succeeded(&place.run(&["--on-bad-row", "drop"]));
    }
}

#[test]
fn an_empty_file_and_a_file_without_rows_are_named() {
    let place = Place::new("csv");
    place.write(BARS, "");
    place.refuses_data(&["BTCUSDT_15m.csv", "an empty file"]);
    place.write(BARS, "ts,open,high,low,close,volume\n");
    place.refuses_data(&["BTCUSDT_15m.csv", "no rows"]);
}

#[test]
fn a_cut_off_parquet_file_is_named() {
    let place = Place::new("parquet");
    let name = "data/BTCUSDT_15m.parquet";
    let whole = fs::read(place.path(name)).unwrap();
    place.write(name, &whole[..whole.len() / 2]);
    place.refuses_data(&["BTCUSDT_15m.parquet", "a complete Parquet file"]);
}

#[test]
fn data_that_are_not_there_are_named() {
    let place = Place::new("csv");
    refused(&place.barloom(&["run", "--config", "run.toml", "--data", "dta", "--out", "out"]), &["dta"]);
    refused(&place.barloom(&["run", "--config", "rn.toml", "--data", "data", "--out", "out"]), &["rn.toml"]);
    refused(
        &place.run(&["--set", "universe.symbols=[\"BTCUSD\"]"]),
        &["`BTCUSD`", "did you mean `BTCUSDT`?"],
    );
    assert!(!place.path("out").exists());
}

#[test]
fn a_gap_is_not_an_error() {
    let place = Place::new("csv");
    let text = fs::read_to_string(place.path(BARS)).unwrap();
    let kept: Vec<&str> =
        text.lines().enumerate().filter(|(line, _)| !(20..30).contains(line)).map(|(_, text)| text).collect();
    place.write(BARS, kept.join("\n") + "\n");
    succeeded(&place.run(&[]));
}

/// A damaged store costs a rebuild and a warning, never a result.
#[test]
fn a_damaged_or_foreign_store_is_rebuilt_with_a_warning() {
    let place = Place::new("csv");
    let digest = |done: &Output| {
        let document: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        document["result_digest"].as_str().unwrap().to_owned()
    };
    let first = place.run(&["--json"]);
    assert_eq!(succeeded(&first), "");
    let store = "data/.barloom/bars_15m.arrow";
    let whole = fs::read(place.path(store)).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"not an Arrow file", b""] {
        place.write(store, damaged);
        let again = place.run(&["--json"]);
        let stderr = succeeded(&again);
        assert!(stderr.starts_with("warning: ") && stderr.contains("bars_15m.arrow"), "{stderr}");
        assert!(stderr.contains("rebuilt"), "{stderr}");
        assert_eq!(digest(&again), digest(&first));
        // Rebuilt for good: the next call has nothing to say.
        assert_eq!(succeeded(&place.run(&["--json"])), "");
    }
}

#[test]
fn a_misspelt_key_names_the_nearest_one() {
    let place = Place::new("csv");
    let text = format!("{CONFIG}[execution]\nstop_overshot = 0.1\n");
    place.refuses_config(
        &text,
        &["run.toml", "`execution.stop_overshot`", "did you mean `execution.stop_overshoot`?"],
    );
    place.write("run.toml", CONFIG);
    let done = place.run(&["--set", "execution.stop_overshot=0.1"]);
    refused(&done, &["--set", "`execution.stop_overshot`", "`execution.stop_overshoot`"]);
}

#[test]
fn values_of_the_wrong_type_and_broken_toml_are_named() {
    let place = Place::new("csv");
    let text = format!("{CONFIG}[general]\ninitial_capital = \"much\"\n");
    place.refuses_config(&text, &["run.toml", "`general.initial_capital`", "\"much\"", "a number"]);
    place.refuses_config("[signals\n", &["run.toml", "row 1", "valid TOML"]);
}

/// The place of the fault is marked inside the rule's text.
#[test]
fn a_wrong_rule_gets_its_column_marked() {
    let place = Place::new("csv");
    let rule = |text: &str| format!("[signals]\nkind = \"rules\"\nlong_entry = \"{text}\"\n");
    place.refuses_config(
        &rule("close > emaa(close, 5)"),
        &["run.toml", "`signals.long_entry`", "column 9", "»emaa(close, 5)", "did you mean `ema`?"],
    );
    place.refuses_config(&rule("close >"), &["run.toml", "`signals.long_entry`", "column"]);
}

/// What a run would silently do without is refused, with the reason.
#[test]
fn what_is_not_there_yet_is_refused_and_not_ignored() {
    let place = Place::new("csv");
    for (table, key, value) in [
        ("risk", "es_guard", "true"),
        ("risk", "kill_drawdown", "0.25"),
        ("universe", "mode", "\"ranked\""),
        ("sizing", "method", "\"fixed_risk\""),
    ] {
        let text = format!("{CONFIG}[{table}]\n{key} = {value}\n");
        place.refuses_config(&text, &["run.toml", &format!("`{table}.{key}`"), "not in this version yet"]);
    }
}

#[test]
fn wrong_usage_is_one_line() {
    let place = Place::new("csv");
    refused(&place.run(&["--nope"]), &["--nope"]);
    refused(&place.barloom(&["rum"]), &["rum", "'run'"]);
    refused(&place.barloom(&[]), &["expected a command"]);
    refused(&place.barloom(&["run"]), &["--config", "--data", "--out"]);
    refused(&place.run(&["--start", "soon"]), &["--start", "`soon`"]);
    refused(&place.run(&["--set", "general.seed"]), &["--set", "KEY=VALUE"]);
    for command in ["validate", "baselines", "plan", "merge", "parity", "audit", "report"] {
        refused(&place.barloom(&[command, "--data", "data"]), &[command, "not there yet"]);
    }
    assert!(!place.path("out").exists());
}

#[test]
fn a_window_without_bars_is_refused_with_the_bars_there_are() {
    let place = Place::new("csv");
    for command in ["run", "sweep"] {
        let done = place.barloom(&[
            command,
            "--config",
            "run.toml",
            "--data",
            "data",
            "--out",
            "out",
            "--start",
            "2023-01-03",
            "--end",
            "2023-01-02",
        ]);
        refused(&done, &["--start", "--end", "2023-01-01 00:00:00+00:00"]);
        assert!(!place.path("out").exists());
    }
}

#[test]
fn a_wrong_feature_leaves_no_file() {
    let place = Place::new("csv");
    fs::create_dir(place.path("out")).unwrap();
    for expr in ["foo(close)", "ema(close)", "close +"] {
        let done = place.barloom(&["features", "--data", "data", "--expr", expr, "--out", "out/f.parquet"]);
        refused(&done, &["column"]);
        assert_eq!(files(&place.path("out")), Vec::<String>::new());
    }
    let done = place.barloom(&["features", "--data", "data", "--expr", "close", "--out", "out/f.xlsx"]);
    refused(&done, &["f.xlsx"]);
    assert_eq!(files(&place.path("out")), Vec::<String>::new());
}
