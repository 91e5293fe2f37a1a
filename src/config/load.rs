//! From a config file and `--set` to a checked spec.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::judge::{amend, display};
use super::keys;
use super::parse;
use super::spec::Spec;
use crate::error::BadInput;
use crate::{Error, Result};

/// A spec, what was passed over on the way, and where relative paths start.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedSpec {
    /// Every key with its value.
    pub spec: Spec,
    /// Keys that were ignored (`lenient`) or have no effect, one line each.
    pub warnings: Vec<String>,
    /// Folder of the config file: relative paths in the config start here.
    pub dir: PathBuf,
}

impl LoadedSpec {
    /// A path of the config as seen from the process.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.join(path)
    }
}

/// Reads a config (`.toml` or `.json` by extension), then applies `sets` (`--set key=value`) in order.
///
/// ```
/// # fn main() -> barloom::Result<()> {
/// let dir = std::env::temp_dir().join("barloom-doc-config");
/// std::fs::create_dir_all(&dir).unwrap();
/// std::fs::write(dir.join("run.toml"), "[general]\noracle_mode = \"always_long\"\n").unwrap();
/// let loaded = barloom::config::load(&dir.join("run.toml"), &[("sizing.fraction".into(), "0.2".into())], false)?;
/// assert_eq!(loaded.spec.sizing.fraction, 0.2);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A file that cannot be read or parsed, an unknown key (unless `lenient`, then a warning), a value that its key does
/// not take or that this version does not know yet, keys that contradict each other.
pub fn load(path: &Path, sets: &[(String, String)], lenient: bool) -> Result<LoadedSpec> {
    let tables = parse::read_file(path)?;
    let mut merge = Merge { doc: Spec::default().to_json(), warnings: Vec::new(), lenient };
    merge.tables("", &tables).map_err(|error| amend(error, |bad| bad.file(path)))?;
    for (key, text) in sets {
        merge.set_text(key, text)?;
    }
    let from_set =
        |key: &Option<String>| key.as_ref().is_some_and(|key| sets.iter().any(|(set, _)| set == key));
    let spec = Spec::from_resolved(merge.doc)?;
    spec.check().and_then(|()| spec.check_sweep()).map_err(|error| match error {
        Error::BadInput(bad) if !from_set(&bad.key) => bad.file(path).into(),
        other => other,
    })?;
    let mut warnings = merge.warnings;
    warnings.extend(spec.idle_keys());
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_path_buf(),
        _ => PathBuf::from("."),
    };
    Ok(LoadedSpec { spec, warnings, dir })
}

struct Merge {
    doc: Value,
    warnings: Vec<String>,
    lenient: bool,
}

impl Merge {
    fn tables(&mut self, prefix: &str, tables: &Map<String, Value>) -> Result<()> {
        for (name, value) in tables {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            if path == "$schema" {
                continue;
            }
            if keys::is_table(&path) {
                match value.as_object() {
                    Some(inner) => self.tables(&path, inner)?,
                    None => {
                        return Err(BadInput::expected("a table of keys")
                            .key(path)
                            .found(display(value))
                            .into());
                    }
                }
            } else if keys::resolve(&path).is_none() {
                self.unknown(&path)?;
            } else {
                keys::set(&mut self.doc, &path, value)?;
            }
        }
        Ok(())
    }

    fn set_text(&mut self, key: &str, text: &str) -> Result<()> {
        let named = |error: Error| {
            amend(error, |bad| {
                let fix = bad
                    .fix
                    .clone()
                    .map_or_else(|| "given by --set".into(), |fix| format!("{fix} (given by --set)"));
                bad.fix(fix)
            })
        };
        let Some(target) = keys::resolve(key) else { return self.unknown(key).map_err(named) };
        let value = parse::set_value(key, text).map_err(named)?;
        // A rule such as `1` reads as a number, a path such as `2024` too: for a text key the text is meant.
        let value = if target.is_text() && !value.is_string() { Value::from(text) } else { value };
        keys::set(&mut self.doc, key, &value).map_err(named)
    }

    fn unknown(&mut self, path: &str) -> Result<()> {
        let bad = keys::unknown(path);
        if !self.lenient {
            return Err(bad.into());
        }
        self.warnings.push(format!("`{path}`: unknown key ignored; {}", bad.fix.unwrap_or_default()));
        Ok(())
    }
}
