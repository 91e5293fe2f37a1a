//! The README is true: its commands run as they stand, and what it says about their results is there.

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use barloom::data::stamp::parse_ms;
use tempfile::TempDir;

/// Lines of shell blocks that are no call of `barloom`; the test harness is already inside the one it could run.
const NOT_RUN: &[&str] = &["cargo test --workspace"];

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// Lines of all blocks in a language, in order.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<Vec<&'a str>> {
    let mut found = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    let mut wanted = false;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(name), None) => {
                wanted = name == language;
                open = Some(Vec::new());
            }
            (Some(_), Some(_)) => found.extend(open.take().filter(|_| wanted)),
            (None, Some(lines)) => lines.push(line),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of the README is not closed");
    found
}

/// Words of a command line; double quotes hold a word together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// A monthly file as exchange archives have it: no header, stamps in ms, open and close time.
fn write_archive(sample: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let text = fs::read_to_string(sample.join("BTCUSDT_15m.csv")).unwrap();
    let mut rows = String::new();
    for line in text.lines().skip(1) {
        let (ts, rest) = line.split_once(',').unwrap();
        let open_ms = parse_ms(ts).unwrap();
        rows.push_str(&format!("{open_ms},{rest},{},0,0,0,0,0\n", open_ms + 899_999));
    }
    fs::write(to.join("BTCUSDT-15m-2023-01.csv"), rows).unwrap();
}

/// Files a command must have left behind.
fn expected_files(command: &str, out: &str) -> Vec<String> {
    let names: &[&str] = match command {
        "run" => &[
            "manifest.json",
            "config.resolved.json",
            "metrics.json",
            "equity.csv",
            "fills.csv",
            "trades.csv",
            "ledger.csv",
            "orders.csv",
            "universe.csv",
        ],
        "sweep" => &[
            "manifest.json",
            "config.resolved.json",
            "plan.json",
            "results.parquet",
            "equity.arrow",
            "summary.json",
        ],
        "synth" => &["BTCUSDT_15m.csv", "BTCUSDT_funding.csv", "BTCUSDT_contract.json", "brackets.json"],
        "import" => &["BTCUSDT_15m.csv"],
        "features" => return vec![out.to_owned()],
        other => panic!("`barloom {other}` has no --out that this test knows"),
    };
    names.iter().map(|name| format!("{out}/{name}")).collect()
}

fn run_line(place: &Path, line: &str) -> Option<Output> {
    let args = match line.strip_prefix("cargo run --release -- ").or_else(|| line.strip_prefix("barloom ")) {
        Some(args) => words(args),
        None => {
            assert!(NOT_RUN.contains(&line), "a command of the README that no test runs: {line}");
            return None;
        }
    };
    let done = Command::new(env!("CARGO_BIN_EXE_barloom")).current_dir(place).args(&args).output().unwrap();
    assert!(done.status.success(), "{line}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(!done.stdout.is_empty(), "{line} says nothing");
    if let Some(at) = args.iter().position(|arg| arg == "--out") {
        for file in expected_files(&args[0], &args[at + 1]) {
            let length = fs::metadata(place.join(&file)).map_or(0, |meta| meta.len());
            assert!(length > 0, "{line} left no {file}");
        }
    }
    Some(done)
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let readme = readme();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = TempDir::new().unwrap();
    copy_files(&root.join("config"), &place.path().join("config"));
    copy_files(&root.join("data/sample"), &place.path().join("data/sample"));
    write_archive(&root.join("data/sample"), &place.path().join("downloads"));
    let mut outputs = Vec::new();
    for line in blocks(&readme, "sh").concat() {
        let done = run_line(place.path(), line);
        outputs.extend(done.map(|done| (line, String::from_utf8(done.stdout).unwrap())));
    }
    assert!(outputs.len() >= 9, "the README has {} commands; were they lost?", outputs.len());

    let (line, first) = &outputs[0];
    assert!(line.contains(" sweep "), "the README begins with a sweep");
    let shown = blocks(&readme, "text").concat();
    assert!(!shown.is_empty());
    for line in shown {
        assert!(first.lines().any(|printed| printed == line), "no longer printed: {line}\nprinted:\n{first}");
    }
    // The imported bars are those of the sample.
    let bars = |folder: &str| fs::read_to_string(place.path().join(folder).join("BTCUSDT_15m.csv")).unwrap();
    assert_eq!(bars("data/mine").lines().count(), bars("data/sample").lines().count());
}

#[test]
fn both_first_commands_are_documented() {
    let readme = readme();
    let first = blocks(&readme, "sh").swap_remove(0);
    assert_eq!(
        first,
        [
            "cargo run --release -- sweep --config config/ema_cross.toml --data data/sample --out out/ema_cross",
            "cargo test --workspace",
        ]
    );
}

/// The config of the README runs, and its sweep has the trials it seems to have.
#[test]
fn the_config_of_the_readme_runs() {
    let readme = readme();
    let place = TempDir::new().unwrap();
    let config = blocks(&readme, "toml").swap_remove(0).join("\n");
    fs::write(place.path().join("readme.toml"), config).unwrap();
    copy_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample"), &place.path().join("data/sample"));
    for command in ["run", "sweep"] {
        let line =
            format!("barloom --json {command} --config readme.toml --data data/sample --out out/{command}");
        let args = words(line.strip_prefix("barloom ").unwrap());
        let done = Command::new(env!("CARGO_BIN_EXE_barloom"))
            .current_dir(place.path())
            .args(&args)
            .output()
            .unwrap();
        assert!(done.status.success(), "{line}\n{}", String::from_utf8_lossy(&done.stderr));
        let document: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        if command == "sweep" {
            assert_eq!((&document["trials"], &document["ok"]), (&30.into(), &30.into()));
        } else {
            assert!(document["metrics"]["fills"].as_f64().unwrap() > 0.0, "the rules of the README trade");
        }
    }
}

/// Links into the repository lead somewhere.
#[test]
fn relative_links_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned(), "CHANGELOG.md".to_owned()];
    for folder in ["docs", "docs/decisions"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                pages.push(format!("{folder}/{name}"));
            }
        }
    }
    for page in pages {
        let text = fs::read_to_string(root.join(&page)).unwrap();
        let folder = root.join(&page);
        let folder = folder.parent().unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap()) {
            if !link.is_empty() && !link.contains("://") {
                assert!(folder.join(link).exists(), "{page} links to {link}");
            }
        }
    }
}
