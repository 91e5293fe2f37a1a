//! The binary: `sweep`, its files (contract 5), and what happens when it is stopped in every way there is.

mod binary;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMillisecondType};
use barloom::reporting::METRIC_NAMES;
use binary::{arrow, barloom, cells, ends_with, json, names, parquet, sample};

const CONFIG: &str = r#"
[signals]
kind = "rules"
long_entry = "ema(close, fast) > ema(close, slow)"
short_entry = "ema(close, fast) < ema(close, slow)"
stop_distance = "stop_atr * atr(14)"
[signals.params]
fast = 12
slow = 50
stop_atr = 2.0
[sizing]
fraction = 0.1
[execution]
participation_cap = 0.0
[funding]
window_blocks_entries = false
[margin]
liquidation = false
guard = false
[liquidity_regimes]
enabled = false
[sweep]
constraint = "fast < slow"
[sweep.grid]
"#;

const SMALL: &str = "stop_atr = [2.0, 1.0]\nslow = [30, 60]\nfast = { from = 4, to = 12, step = 4 }\n\
                     \"execution.stop_overshoot\" = [0.0, 0.5]\n";

struct Work(tempfile::TempDir);

impl Work {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }
    fn out(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    /// A sweep of the sample with this grid into folder `out`.
    fn sweep(&self, grid: &str, out: &str, words: &str) -> Command {
        let config = self.0.path().join("sweep.toml");
        fs::write(&config, format!("{CONFIG}{grid}")).expect("written");
        let mut command = barloom("sweep");
        command.arg("--config").arg(config).arg("--data").arg(sample());
        command.arg("--store").arg(self.0.path().join("store")).arg("--out").arg(self.out(out));
        command.args(words.split_whitespace());
        command
    }
    fn parts(&self, out: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.out(out).join("parts")) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.retain(|name| name.ends_with(".arrow") && name.starts_with("part-"));
        names.sort();
        names
    }
    /// Every file but `plan.json`, and the manifest without `run`: what must be the same bytes.
    fn files(&self, out: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for folder in [self.out(out), self.out(out).join("parts")] {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if path.is_dir() || name == "plan.json" {
                    continue;
                }
                let bytes = if name == "manifest.json" {
                    let mut manifest = json(&path);
                    assert!(manifest["run"].take().is_object());
                    manifest.to_string().into_bytes()
                } else {
                    fs::read(&path).expect("readable")
                };
                files.insert(name, bytes);
            }
        }
        files
    }
    #[track_caller]
    fn assert_same(&self, a: &str, b: &str) {
        let (a, b) = (self.files(a), self.files(b));
        assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
        for (name, bytes) in &a {
            assert!(*bytes == b[name], "{name} differs");
        }
    }
    fn resumed(&self, out: &str) -> u64 {
        json(&self.out(out).join("manifest.json"))["run"]["trials_resumed"].as_u64().expect("a count")
    }
}

#[test]
fn results_have_the_columns_of_the_contract_in_grid_order() {
    let work = Work::new();
    let (text, _) = ends_with(0, &mut work.sweep(SMALL, "out", ""));
    assert!(text.contains("24 trials (24 ok"), "{text}");
    let out = work.out("out");
    let results = parquet(&out.join("results.parquet"));
    let swept = ["execution.stop_overshoot", "fast", "slow", "stop_atr"];
    let mut expected = vec!["trial_id"];
    expected.extend(swept);
    expected.extend(METRIC_NAMES.iter().copied());
    expected.push("status");
    let found = names(&results);
    assert_eq!(found[..expected.len()], expected);
    assert_eq!(found[expected.len()..], ["error"]);

    let rows = cells(&results);
    let mut grid = Vec::new();
    for overshoot in ["0", "0.5"] {
        for fast in ["4", "8", "12"] {
            for slow in ["30", "60"] {
                for stop_atr in ["2", "1"] {
                    grid.push([overshoot, fast, slow, stop_atr]);
                }
            }
        }
    }
    assert_eq!(rows.iter().map(|row| &row[1..5]).collect::<Vec<_>>(), grid);
    let ids: std::collections::BTreeSet<&String> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(ids.len(), 24, "every trial has its id");
    assert!(rows.iter().all(|row| row[expected.len() - 1] == "ok"));

    let equity = arrow(&out.join("equity.arrow"));
    let [equity] = equity.as_slice() else { panic!("one batch") };
    let mut columns = vec!["ts".to_owned()];
    columns.extend(rows.iter().map(|row| row[0].clone()));
    assert_eq!(names(equity), columns, "`ts` and a column per trial in the order of the results");
    let stamps = equity.column(0).as_primitive::<TimestampMillisecondType>().values();
    assert_eq!(stamps.len(), 34, "the first midnight and the end of 33 whole days");
    assert!(stamps.windows(2).all(|pair| pair[1] - pair[0] == 86_400_000));
    for column in &equity.columns()[1..] {
        let values = column.as_primitive::<Float64Type>().values();
        assert_eq!(values[0], 100_000.0);
        assert!(values.iter().all(|value| value.is_finite()));
    }

    let summary = json(&out.join("summary.json"));
    assert_eq!((&summary["trials"], &summary["ok"]), (&24.into(), &24.into()));
    assert_eq!(summary["rank_by"], "sharpe");
    assert!(summary["best"].as_array().is_some_and(|best| !best.is_empty()));
    assert!(summary.get("deflated_sharpe").is_some() && summary.get("pbo").is_some());
    assert!(json(&out.join("plan.json"))["trials"] == 24);
}

#[test]
fn the_same_command_again_computes_nothing() {
    let work = Work::new();
    ends_with(0, &mut work.sweep(SMALL, "out", ""));
    let first = work.files("out");
    assert_eq!(work.resumed("out"), 0);
    let (text, _) = ends_with(0, &mut work.sweep(SMALL, "out", "--json"));
    assert_eq!(work.resumed("out"), 24);
    assert!(first == work.files("out"), "the same bytes");
    let document: serde_json::Value = serde_json::from_str(&text).expect("one JSON document");
    assert_eq!((&document["trials"], &document["failed"]), (&24.into(), &0.into()));
    assert_eq!(document["result_digest"], json(&work.out("out").join("manifest.json"))["result_digest"]);
}

#[test]
fn threads_tiles_and_simd_change_no_file() {
    let work = Work::new();
    ends_with(0, &mut work.sweep(SMALL, "one", "-j 1"));
    ends_with(0, &mut work.sweep(SMALL, "two", "-j 2 --tile-bars 33"));
    work.assert_same("one", "two");
    if cfg!(target_arch = "x86_64") {
        ends_with(0, &mut work.sweep(SMALL, "sse2", "-j 2 --simd sse2"));
        work.assert_same("one", "sse2");
    }
}

#[test]
fn a_trial_that_cannot_run_fails_alone() {
    let work = Work::new();
    // The first chunk of eight fails as a whole, the second in no trial.
    let grid = "fast = [0, 4]\nslow = [20, 30, 40, 50, 60, 70, 80, 90]\n";
    let (_, stderr) = ends_with(0, &mut work.sweep(grid, "out", ""));
    assert!(stderr.contains("warning: 8 of 16 trials failed"), "{stderr}");
    let results = parquet(&work.out("out").join("results.parquet"));
    let (status, error) = (names(&results).len() - 2, names(&results).len() - 1);
    for row in cells(&results) {
        let failed = row[1] == "0";
        assert_eq!(row[status], if failed { "failed" } else { "ok" });
        assert_eq!(row[error].contains("ema"), failed, "{}", row[error]);
        let sharpe = names(&results).iter().position(|name| name == "sharpe").unwrap();
        assert_eq!(row[sharpe].is_empty(), failed);
    }
    let summary = json(&work.out("out").join("summary.json"));
    assert_eq!((&summary["ok"], &summary["failed"]), (&8.into(), &8.into()));
    ends_with(0, &mut work.sweep(grid, "out", ""));
    assert_eq!(work.resumed("out"), 16, "failures are results too");

    // Some trials of one chunk.
    let grid = "fast = [4, 8]\nslow = [20, 20.5]\nstop_atr = [1, 2]\n";
    let (_, stderr) = ends_with(0, &mut work.sweep(grid, "mixed", ""));
    assert!(stderr.contains("warning: 4 of 8 trials failed"), "{stderr}");
}

#[test]
fn a_sweep_between_two_midnights_has_no_days() {
    let work = Work::new();
    let window = "--start 2023-01-10T01:00Z --end 2023-01-10T20:00Z";
    ends_with(0, &mut work.sweep("fast = [4, 8]\n", "out", window));
    let rows = cells(&parquet(&work.out("out").join("results.parquet")));
    assert!(rows.len() == 2 && rows.iter().all(|row| row.contains(&"ok".to_owned())));
    let equity = arrow(&work.out("out").join("equity.arrow"));
    assert_eq!(equity.iter().map(|batch| batch.num_rows()).sum::<usize>(), 0);
}

#[test]
fn the_folder_of_another_sweep_is_refused() {
    let work = Work::new();
    ends_with(0, &mut work.sweep("fast = [4, 8]\n", "out", ""));
    let before = work.files("out");
    for (grid, words) in [("fast = [4, 9]\n", ""), ("fast = [4, 8]\n", "--end 2023-01-20")] {
        let (_, stderr) = ends_with(2, &mut work.sweep(grid, "out", words));
        assert!(stderr.starts_with("error: ") && stderr.contains("--out"), "{stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    }
    assert!(before == work.files("out"), "nothing is touched");
}

/// Starts a sweep and calls `end` on it once a part is there. Gives how it ended, or nothing when it was done before.
fn stopped(work: &Work, grid: &str, out: &str, end: fn(&mut Child)) -> Option<std::process::ExitStatus> {
    // Tiles of one bar make it slow, and change no result.
    let mut command = work.sweep(grid, out, "-j 2 --tile-bars 1");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while work.parts(out).is_empty() {
        assert!(Instant::now() < deadline, "no part after a minute");
        if child.try_wait().expect("a child").is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    end(&mut child);
    let status = child.wait().expect("a child");
    (!work.out(out).join("manifest.json").exists()).then_some(status)
}

/// A sweep that `end` stopped in the middle, with the grid it took: on a fast machine a longer one.
fn stopped_in_the_middle(work: &Work, end: fn(&mut Child)) -> (String, String, std::process::ExitStatus) {
    for trials in [512, 2_048, 8_192, 32_768] {
        let grid =
            format!("stop_atr = {{ from = 1, to = {}, step = 0.01 }}\n", 1.0 + 0.01 * f64::from(trials - 1));
        let out = format!("stopped_{trials}");
        if let Some(status) = stopped(work, &grid, &out, end) {
            return (grid, out, status);
        }
    }
    panic!("the sweep is over before it can be stopped");
}

#[track_caller]
fn assert_it_goes_on(work: &Work, grid: &str, out: &str) {
    let kept = work.parts(out).len();
    assert!(kept > 0);
    ends_with(0, &mut work.sweep(grid, out, "-j 2"));
    assert!(work.resumed(out) > 0 && work.parts(out).len() > kept);
    ends_with(0, &mut work.sweep(grid, "uninterrupted", "-j 1"));
    work.assert_same(out, "uninterrupted");
}

#[test]
fn a_killed_sweep_goes_on_to_the_same_bytes() {
    let work = Work::new();
    let (grid, out, status) = stopped_in_the_middle(&work, |child| child.kill().expect("killed"));
    assert!(!status.success());
    assert_it_goes_on(&work, &grid, &out);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_130_and_keeps_what_is_done() {
    let work = Work::new();
    let (grid, out, status) = stopped_in_the_middle(&work, |child| {
        let sent = Command::new("kill").arg("-INT").arg(child.id().to_string()).status().expect("kill");
        assert!(sent.success());
    });
    assert_eq!(status.code(), Some(130));
    assert_it_goes_on(&work, &grid, &out);
}

#[test]
fn a_folder_that_is_no_folder_is_named() {
    let work = Work::new();
    let file: &Path = &work.out("file");
    fs::write(file, "text").unwrap();
    let (_, stderr) = ends_with(2, &mut work.sweep("fast = [4]\n", "file", ""));
    assert!(stderr.starts_with("error: ") && stderr.contains("file"), "{stderr}");
}
