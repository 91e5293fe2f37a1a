//! The key table: every dotted key, read from the schema, and what a path to one means.
//!
//! It must not know where a value came from (file, `--set`, sweep); the caller adds that to the message. How a value
//! is judged is in [`super::judge`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::Value;

use super::judge::{KeyInfo, Kind};
use super::schema;
use super::spec::Spec;
use crate::Result;
use crate::error::{BadInput, nearest};

/// Every dotted key, in the order of the schema.
pub fn key_paths() -> Vec<String> {
    table().order.clone()
}

struct Table {
    infos: BTreeMap<String, KeyInfo>,
    order: Vec<String>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = Table { infos: BTreeMap::new(), order: Vec::new() };
        for_each_leaf(&mut schema::raw(), &mut |key, leaf| {
            table.infos.insert(key.to_owned(), KeyInfo::read(key, leaf));
            table.order.push(key.to_owned());
        });
        table
    })
}

/// Calls `visit` with the dotted key and the schema of every key.
pub(super) fn for_each_leaf(root: &mut Value, visit: &mut impl FnMut(&str, &mut Value)) {
    fn walk(prefix: &str, node: &mut Value, visit: &mut impl FnMut(&str, &mut Value)) {
        let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) else {
            return visit(prefix, node);
        };
        for (name, child) in properties {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            walk(&key, child, visit);
        }
    }
    walk("", root, visit);
}

/// What a path means: a key, and the name inside it when the key is a table of names.
pub(super) struct Target<'a> {
    info: &'static KeyInfo,
    name: Option<&'a str>,
}

impl Target<'_> {
    /// Whether the key takes text, so that `--set` need not quote it.
    pub(super) fn is_text(&self) -> bool {
        self.info.kind == Kind::Text
    }
}

/// Finds the key of a dotted path; `None` when there is no such key.
pub(super) fn resolve(path: &str) -> Option<Target<'_>> {
    if let Some(info) = table().infos.get(path) {
        return Some(Target { info, name: None });
    }
    ["signals.params", "sweep.grid", "sweep.random.ranges"].into_iter().find_map(|key| {
        let name = path.strip_prefix(key)?.strip_prefix('.').filter(|name| !name.is_empty())?;
        Some(Target { info: table().infos.get(key)?, name: Some(name) })
    })
}

/// Whether some key lies below `path`, i.e. it names a table.
pub(super) fn is_table(path: &str) -> bool {
    table().order.iter().any(|key| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// Judges a value and puts it into the document.
pub(super) fn set(doc: &mut Value, path: &str, value: &Value) -> Result<()> {
    let Some(target) = resolve(path) else { return Err(unknown(path).into()) };
    let info = target.info;
    let normal = match (target.name, &info.kind) {
        (None, _) => info.judge(value)?,
        (Some(name), Kind::Axes { random }) => info.judge_axis(name, value, *random)?,
        (Some(name), _) => info.judge_param(name, value)?,
    };
    // Keys hold no `/` or `~`, names may: they are set on the object and not by pointer.
    let pointer = format!("/{}", info.key.replace('.', "/"));
    let Some(slot) = doc.pointer_mut(&pointer) else { return Err(unknown(path).into()) };
    match (target.name, slot.as_object_mut()) {
        (Some(name), Some(names)) => {
            names.insert(name.to_owned(), normal);
        }
        _ => *slot = normal,
    }
    Ok(())
}

/// Judges one value against a key without setting it: what a sweep will ask for later.
pub(super) fn judge(path: &str, value: &Value) -> Result<()> {
    match resolve(path) {
        Some(Target { info, name: None }) => info.judge(value).map(drop),
        Some(Target { info, name: Some(name) }) if info.kind == Kind::Params => {
            info.judge_param(name, value).map(drop)
        }
        _ => Err(unknown(path).into()),
    }
}

/// Judges every value of a spec, for specs that were made in code.
pub(super) fn judge_spec(spec: &Spec) -> Result<()> {
    let doc = spec.to_json();
    for (key, info) in &table().infos {
        if key.starts_with("sweep.") {
            continue;
        }
        let Some(value) = doc.pointer(&format!("/{}", key.replace('.', "/"))) else { continue };
        info.judge(value)?;
    }
    Ok(())
}

/// The refusal of a value that its key knows and this version does not.
pub(super) fn refusal(key: &str, found: &str) -> BadInput {
    let expected = table().infos.get(key).map_or_else(String::new, KeyInfo::expected);
    BadInput::expected(expected).key(key).found(found)
}

/// The error for a key that does not exist, with the nearest that does.
pub(super) fn unknown(path: &str) -> BadInput {
    let bad = BadInput::expected("a key of the config").key(path).found("an unknown key");
    match suggestion(path) {
        Some(known) => bad.fix(format!("did you mean `{known}`?")),
        None => bad.fix("`barloom schema` lists every key"),
    }
}

fn suggestion(path: &str) -> Option<String> {
    let order = &table().order;
    let (section, word) = path.rsplit_once('.').unwrap_or(("", path));
    // A slip inside the right table is the likeliest; then the right key in the wrong or a misspelt table.
    let children: BTreeSet<&str> = order
        .iter()
        .filter_map(|key| {
            if section.is_empty() { Some(key.as_str()) } else { key.strip_prefix(section)?.strip_prefix('.') }
        })
        .filter_map(|rest| rest.split('.').next())
        .collect();
    if let Some(child) = nearest(word, children) {
        return Some(if section.is_empty() { child.to_owned() } else { format!("{section}.{child}") });
    }
    let last = |key: &'static String| key.rsplit('.').next().unwrap_or(key);
    if let Some(key) = order.iter().find(|key| last(key) == word) {
        return Some(key.clone());
    }
    if section.is_empty() {
        let name = nearest(word, order.iter().map(last))?;
        return order.iter().find(|key| last(key) == name).cloned();
    }
    nearest(path, order.iter().map(String::as_str)).map(str::to_owned)
}
