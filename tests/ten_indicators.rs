//! A sweep over ten indicators and more, one of longer bars and one of another symbol, on data with gaps: what is kept
//! for all trials and who computes it changes no bit, and the manifest says what was kept.

mod binary;

use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use binary::{barloom, ends_with, json, parquet, sample};
use serde_json::Value;

const INDICATORS: [&str; 11] = [
    "ema(",
    "avwap_week(",
    "supertrend_dir(",
    "adx(",
    "percentrank(",
    "rsi(",
    "mfi(",
    "macd_hist(",
    "bbands_mid(",
    "atr(",
    "donchian_upper(",
];

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/ten_indicators.toml")
}

/// Result digest, and what the manifest says of the cache.
fn sweep(work: &Path, name: &str, words: &str) -> (String, Value) {
    let out = work.join(name);
    let mut command = barloom("--json --quiet sweep");
    command.args(words.split_whitespace()).arg("--config").arg(config());
    command.arg("--data").arg(sample()).arg("--store").arg(work.join("store")).arg("--out").arg(&out);
    let (stdout, _) = ends_with(0, &mut command);
    let document: Value = serde_json::from_str(&stdout).expect("a JSON document");
    let digest = document["result_digest"].as_str().expect("a digest").to_owned();
    (digest, json(&out.join("manifest.json"))["run"]["cache"].clone())
}

#[test]
fn the_config_reads_what_it_is_for() {
    let text = fs::read_to_string(config()).unwrap();
    for part in INDICATORS.iter().chain(&["tf(\"1h\", ", "of(\"BTCUSDT\", "]) {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn what_is_kept_changes_no_bit_and_is_written_down() {
    let work = tempfile::tempdir().unwrap();
    let (digest, kept) = sweep(work.path(), "kept", "--threads 1 --cache-mb 128");
    let (on_two, kept_on_two) = sweep(work.path(), "on_two", "--threads 2 --cache-mb 128");
    let (recomputed, none) = sweep(work.path(), "recomputed", "--threads 2 --cache-mb 0");
    assert_eq!((&on_two, &recomputed), (&digest, &digest));
    assert_eq!(kept_on_two, kept);

    let trials = parquet(&work.path().join("kept/results.parquet"));
    let trades = trials.column_by_name("trades").unwrap().as_primitive::<Int64Type>();
    assert_eq!(trades.len(), 96);
    assert!(trades.iter().all(|n| n.is_some_and(|n| n > 0)), "a sweep that trades nothing shows nothing");

    assert_eq!((&none["budget_mb"], &none["kept"]), (&Value::from(0), &Value::Array(Vec::new())));
    let entries = kept["kept"].as_array().unwrap();
    // Both chunks read the exits, as masks, and what the entries are made of, which no two of them share.
    assert!(entries.iter().any(|entry| entry["kind"] == "mask"), "{entries:#?}");
    for part in ["avwap_week()", "adx(14)", "percentrank(volume, 96)", "donchian_upper(48)"] {
        assert!(
            entries.iter().any(|entry| entry["expr"].as_str().unwrap().contains(part)),
            "{part}: {entries:#?}"
        );
    }
    let mb = |value: &Value| value.as_f64().unwrap();
    let used: f64 = entries.iter().map(|entry| mb(&entry["mb"])).sum();
    assert!((used - mb(&kept["used_mb"])).abs() < 1e-9 && used > 0.0 && used <= 128.0, "{used} MB");
    assert!(entries.iter().all(|entry| entry["chunks"].as_u64() == Some(2)), "{entries:#?}");
}
