//! The key table: every dotted key with the values it takes, read from the schema, and the judgement of a value.
//!
//! It must not know where a value came from (file, `--set`, sweep); the caller adds that to the message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::{Number, Value};

use super::spec::{AxisSpec, Spec};
use super::{axes, forms, schema};
use crate::error::{BadInput, nearest};

/// What a key takes.
pub(super) struct KeyInfo {
    /// Dotted key.
    key: String,
    kind: Kind,
    min: Option<Bound>,
    max: Option<Bound>,
    unit: Option<String>,
    /// The values of which this version knows the meaning, when not all, and the sentence that says why.
    accepted: Option<(Vec<Value>, String)>,
}

struct Bound {
    value: f64,
    included: bool,
}

#[derive(PartialEq)]
enum Kind {
    Flag,
    Whole,
    Number,
    Text,
    Choice(Vec<String>),
    TextList,
    ChoiceList(Vec<String>),
    /// Name → number.
    Params,
    /// Name → list or range; whether `step` may be left out.
    Axes {
        random: bool,
    },
}

/// A value, or what is wrong with it; the caller adds the file.
pub(super) type Judged<T> = Result<T, BadInput>;

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

/// "false: liquidation is not in this version yet", for a key that is restricted.
pub(super) fn version_note(leaf: &Value) -> Option<String> {
    let values = leaf.get("x-accepted-now")?.as_array()?;
    let why = leaf.get("x-not-yet")?.as_str()?;
    let names: Vec<_> = values.iter().map(display).collect();
    Some(format!("{}: {why} not in this version yet", one_of(&names)))
}

impl KeyInfo {
    fn read(key: &str, leaf: &Value) -> Self {
        let bound = |name: &str, included| {
            leaf.get(name).and_then(Value::as_f64).map(|value| Bound { value, included })
        };
        let format = leaf.get("format").and_then(Value::as_str);
        let width = match format {
            Some("uint32") => Some(Bound { value: f64::from(u32::MAX), included: true }),
            Some("int32") => Some(Bound { value: f64::from(i32::MAX), included: true }),
            _ => None,
        };
        Self {
            key: key.to_owned(),
            kind: Kind::read(key, leaf),
            min: bound("exclusiveMinimum", false).or_else(|| bound("minimum", true)),
            max: bound("exclusiveMaximum", false).or_else(|| bound("maximum", true)).or(width),
            unit: leaf.get("x-unit").and_then(Value::as_str).map(str::to_owned),
            accepted: version_note(leaf)
                .and_then(|note| Some((leaf.get("x-accepted-now")?.as_array()?.clone(), note))),
        }
    }

    /// The value as the spec holds it, or what is wrong with it.
    fn judge(&self, value: &Value) -> Judged<Value> {
        let normal = match &self.kind {
            Kind::Flag => value.as_bool().map(Value::from),
            Kind::Whole => whole(value).filter(|n| self.in_range(n)).map(Value::Number),
            Kind::Number => number(value).filter(|n| self.in_range(n)).map(Value::Number),
            Kind::Text => {
                if let Some(fault) = value.as_str().and_then(|text| forms::fault(&self.key, text)) {
                    return Err(self.fault(value, fault));
                }
                value.as_str().map(Value::from)
            }
            Kind::Choice(choices) => {
                value.as_str().filter(|text| choices.iter().any(|c| c == text)).map(Value::from)
            }
            Kind::TextList => text_list(value, |text| !text.trim().is_empty()),
            Kind::ChoiceList(choices) => text_list(value, |text| choices.iter().any(|c| c == text)),
            Kind::Params => return self.judge_params(value),
            Kind::Axes { random } => return self.judge_axes(value, *random),
        };
        let Some(normal) = normal else { return Err(self.fault(value, self.expected())) };
        match &self.accepted {
            Some((values, note)) if !values.iter().any(|v| same(v, &normal)) => {
                Err(self.fault(value, note.clone()))
            }
            _ => Ok(normal),
        }
    }

    fn judge_params(&self, value: &Value) -> Judged<Value> {
        let Some(params) = value.as_object() else { return Err(self.fault(value, self.expected())) };
        for (name, value) in params {
            self.judge_param(name, value)?;
        }
        Ok(value.clone())
    }

    fn judge_param(&self, name: &str, value: &Value) -> Judged<Value> {
        let key = format!("{}.{name}", self.key);
        if !is_name(name) {
            return Err(BadInput::expected("a name of letters, digits and _ that starts with a letter")
                .key(key)
                .found(format!("`{name}`"))
                .fix("rename the parameter"));
        }
        number(value)
            .map(Value::Number)
            .ok_or_else(|| BadInput::expected("a number").key(key).found(display(value)))
    }

    fn judge_axes(&self, value: &Value, random: bool) -> Judged<Value> {
        let Some(tables) = value.as_object() else { return Err(self.fault(value, self.expected())) };
        let mut flat = serde_json::Map::new();
        axes::flatten("", tables, &mut flat);
        for (name, value) in &mut flat {
            *value = self.judge_axis(name, value, random)?;
        }
        Ok(Value::Object(flat))
    }

    fn judge_axis(&self, name: &str, value: &Value, random: bool) -> Judged<Value> {
        let axis = AxisSpec::judge(&format!("{}.{name}", self.key), value, random)?;
        serde_json::to_value(axis).map_err(|fault| self.fault(value, fault.to_string()))
    }

    fn in_range(&self, number: &Number) -> bool {
        let Some(x) = number.as_f64() else { return false };
        let above = |b: &Bound| x > b.value || (b.included && x == b.value);
        let below = |b: &Bound| x < b.value || (b.included && x == b.value);
        self.min.as_ref().is_none_or(above) && self.max.as_ref().is_none_or(below)
    }

    fn fault(&self, value: &Value, expected: String) -> BadInput {
        let bad = BadInput::expected(expected).key(&self.key).found(display(value));
        let (Kind::Choice(choices), Some(word)) = (&self.kind, value.as_str()) else { return bad };
        match nearest(word, choices.iter().map(String::as_str)) {
            Some(choice) if choice != word => bad.fix(format!("did you mean {choice:?}?")),
            _ => bad,
        }
    }

    /// What the key takes, in words.
    fn expected(&self) -> String {
        if let Some((_, note)) = &self.accepted {
            return note.clone();
        }
        match &self.kind {
            Kind::Flag => "true or false".into(),
            Kind::Whole => format!("a whole number{}", self.range_words()),
            Kind::Number => format!("a number{}", self.range_words()),
            Kind::Text => "text in quotes".into(),
            Kind::Choice(choices) => one_of(&quoted(choices)),
            Kind::TextList => "a list of different names, such as [\"BTCUSDT\"]".into(),
            Kind::ChoiceList(choices) => format!("a list of {}, each once", one_of(&quoted(choices))),
            Kind::Params => "a table of name = number".into(),
            Kind::Axes { .. } => "a table of name = [values] or {from, to, step}".into(),
        }
    }

    fn range_words(&self) -> String {
        let mut words = match (&self.min, self.max.as_ref().filter(|b| b.value < f64::from(i32::MAX))) {
            (Some(min), Some(max)) if min.included && max.included => {
                format!(" from {} to {}", min.value, max.value)
            }
            (min, max) => {
                let min = min.as_ref().map(|b| match b.included {
                    true => format!("of at least {}", b.value),
                    false => format!("above {}", b.value),
                });
                let max = max.map(|b| match b.included {
                    true => format!("at most {}", b.value),
                    false => format!("below {}", b.value),
                });
                let parts: Vec<_> = min.into_iter().chain(max).collect();
                if parts.is_empty() { String::new() } else { format!(" {}", parts.join(" and ")) }
            }
        };
        if let Some(unit) = &self.unit {
            words.push_str(&format!(" ({unit})"));
        }
        words
    }
}

impl Kind {
    fn read(key: &str, leaf: &Value) -> Self {
        match key {
            "signals.params" => return Self::Params,
            "sweep.grid" => return Self::Axes { random: false },
            "sweep.random.ranges" => return Self::Axes { random: true },
            _ => {}
        }
        let choices = choices(leaf);
        if !choices.is_empty() {
            return Self::Choice(choices);
        }
        match leaf.get("type").and_then(Value::as_str) {
            Some("boolean") => Self::Flag,
            Some("integer") => Self::Whole,
            Some("number") => Self::Number,
            Some("array") => match leaf.get("items").map(self::choices) {
                Some(choices) if !choices.is_empty() => Self::ChoiceList(choices),
                _ => Self::TextList,
            },
            _ => Self::Text,
        }
    }
}

/// The names of a closed choice: `enum`, or `oneOf` with a `const` each.
fn choices(leaf: &Value) -> Vec<String> {
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    if let Some(list) = leaf.get("enum") {
        return texts(list);
    }
    let variants = leaf.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    variants.filter_map(|v| v.get("const")?.as_str().map(str::to_owned)).collect()
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
pub(super) fn set(doc: &mut Value, path: &str, value: &Value) -> Judged<()> {
    let Some(target) = resolve(path) else { return Err(unknown(path)) };
    let info = target.info;
    let normal = match (target.name, &info.kind) {
        (None, _) => info.judge(value)?,
        (Some(name), Kind::Axes { random }) => info.judge_axis(name, value, *random)?,
        (Some(name), _) => info.judge_param(name, value)?,
    };
    // Keys hold no `/` or `~`, names may: they are set on the object and not by pointer.
    let pointer = format!("/{}", info.key.replace('.', "/"));
    let Some(slot) = doc.pointer_mut(&pointer) else { return Err(unknown(path)) };
    match (target.name, slot.as_object_mut()) {
        (Some(name), Some(names)) => {
            names.insert(name.to_owned(), normal);
        }
        _ => *slot = normal,
    }
    Ok(())
}

/// Judges one value against a key without setting it: what a sweep will ask for later.
pub(super) fn judge(path: &str, value: &Value) -> Judged<()> {
    match resolve(path) {
        Some(Target { info, name: None }) => info.judge(value).map(drop),
        Some(Target { info, name: Some(name) }) if info.kind == Kind::Params => {
            info.judge_param(name, value).map(drop)
        }
        _ => Err(unknown(path)),
    }
}

/// Judges every value of a spec, for specs that were made in code.
pub(super) fn judge_spec(spec: &Spec) -> Judged<()> {
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

/// Letters, digits and `_`, not starting with a digit: what a rule expression can name.
pub(super) fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A value as a message shows it.
pub(super) fn display(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".into(),
        other => other.to_string(),
    };
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

fn quoted(names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("{name:?}")).collect()
}

fn one_of(names: &[String]) -> String {
    match names {
        [] => "nothing".into(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn number(value: &Value) -> Option<Number> {
    // TOML and JSON integers are numbers too; the spec holds f64.
    Number::from_f64(value.as_f64()?)
}

fn whole(value: &Value) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    match value.as_number()? {
        n if n.is_i64() || n.is_u64() => Some(n.clone()),
        n => n.as_f64().filter(|x| x.fract() == 0.0 && x.abs() <= EXACT).map(|x| Number::from(x as i64)),
    }
}

fn text_list(value: &Value, fits: impl Fn(&str) -> bool) -> Option<Value> {
    let mut seen = BTreeSet::new();
    for item in value.as_array()? {
        let text = item.as_str()?;
        if !fits(text) || !seen.insert(text) {
            return None;
        }
    }
    Some(value.clone())
}
