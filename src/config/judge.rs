//! The judgement of one value against one key: is it of the kind, in the range, and known to this version.
//!
//! It must not know which keys there are (`keys` does) nor where a value came from.

use std::collections::BTreeSet;

use serde_json::{Number, Value};

use super::spec::AxisSpec;
use super::{axes, fees, forms};
use crate::error::{BadInput, nearest};
use crate::{Error, Result};

/// Adds to the message of an error where the value came from.
pub(super) fn amend(error: Error, with: impl FnOnce(BadInput) -> BadInput) -> Error {
    match error {
        Error::BadInput(bad) => with(*bad).into(),
        other => other,
    }
}

/// What a key takes.
pub(super) struct KeyInfo {
    /// Dotted key.
    pub(super) key: String,
    pub(super) kind: Kind,
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
pub(super) enum Kind {
    Flag,
    Whole,
    Number,
    Text,
    Choice(Vec<String>),
    TextList,
    ChoiceList(Vec<String>),
    /// Dated fees.
    FeeTable,
    /// Name → number.
    Params,
    /// Name → list or range; whether `step` may be left out.
    Axes {
        random: bool,
    },
}

impl KeyInfo {
    /// Reads a key's schema.
    pub(super) fn read(key: &str, leaf: &Value) -> Self {
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
    pub(super) fn judge(&self, value: &Value) -> Result<Value> {
        let normal = match &self.kind {
            Kind::Flag => value.as_bool().map(Value::from),
            Kind::Whole => whole(value).filter(|n| self.in_range(n)).map(Value::Number),
            Kind::Number => number(value).filter(|n| self.in_range(n)).map(Value::Number),
            Kind::Text => {
                if let Some(fault) = value.as_str().and_then(|text| forms::fault(&self.key, text)) {
                    return Err(self.fault(value, fault).into());
                }
                value.as_str().map(Value::from)
            }
            Kind::Choice(choices) => {
                value.as_str().filter(|text| choices.iter().any(|c| c == text)).map(Value::from)
            }
            Kind::TextList => text_list(value, |text| !text.trim().is_empty()),
            Kind::ChoiceList(choices) => text_list(value, |text| choices.iter().any(|c| c == text)),
            Kind::FeeTable => Some(fees::judge_table(&self.key, value)?),
            Kind::Params => return self.judge_params(value),
            Kind::Axes { random } => return self.judge_axes(value, *random),
        };
        let Some(normal) = normal else { return Err(self.fault(value, self.expected()).into()) };
        match &self.accepted {
            Some((values, note)) if !values.iter().any(|v| same(v, &normal)) => {
                Err(self.fault(value, note.clone()).into())
            }
            _ => Ok(normal),
        }
    }

    fn judge_params(&self, value: &Value) -> Result<Value> {
        let Some(params) = value.as_object() else { return Err(self.fault(value, self.expected()).into()) };
        for (name, value) in params {
            self.judge_param(name, value)?;
        }
        Ok(value.clone())
    }

    pub(super) fn judge_param(&self, name: &str, value: &Value) -> Result<Value> {
        let key = format!("{}.{name}", self.key);
        if !is_name(name) {
            return Err(BadInput::expected("a name of letters, digits and _ that starts with a letter")
                .key(key)
                .found(format!("`{name}`"))
                .fix("rename the parameter")
                .into());
        }
        number(value)
            .map(Value::Number)
            .ok_or_else(|| BadInput::expected("a number").key(key).found(display(value)).into())
    }

    fn judge_axes(&self, value: &Value, random: bool) -> Result<Value> {
        let Some(tables) = value.as_object() else { return Err(self.fault(value, self.expected()).into()) };
        let mut flat = serde_json::Map::new();
        axes::flatten("", tables, &mut flat);
        for (name, value) in &mut flat {
            *value = self.judge_axis(name, value, random)?;
        }
        Ok(Value::Object(flat))
    }

    pub(super) fn judge_axis(&self, name: &str, value: &Value, random: bool) -> Result<Value> {
        let axis = AxisSpec::judge(&format!("{}.{name}", self.key), value, random)?;
        serde_json::to_value(axis).map_err(|fault| self.fault(value, fault.to_string()).into())
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
    pub(super) fn expected(&self) -> String {
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
            Kind::FeeTable => fees::EXPECTED.into(),
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
            "general.fee_table" => return Self::FeeTable,
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

/// "false: liquidation is not in this version yet", for a key that is restricted.
pub(super) fn version_note(leaf: &Value) -> Option<String> {
    let values = leaf.get("x-accepted-now")?.as_array()?;
    let why = leaf.get("x-not-yet")?.as_str()?;
    let names: Vec<_> = values.iter().map(display).collect();
    Some(format!("{}: {why} not in this version yet", one_of(&names)))
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
