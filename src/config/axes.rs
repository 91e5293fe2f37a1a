//! What a sweep's names run through: lists and ranges become values, random ranges become points.
//!
//! It must not know what a name means (`Spec::check_sweep` does) nor what a trial is (`sweep` does).

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Map, Number, Value};

use super::judge::display;
use super::spec::{AxisSpec, RangeSpec, SweepSpec};
use crate::Result;
use crate::error::BadInput;

/// One swept name and its values, in the order written.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Rule parameter or dotted config key.
    pub name: String,
    /// Numbers (as f64), strings or booleans, all of one kind and each once.
    pub values: Vec<Value>,
}

/// More than this in one axis is a slip of the pen (a step too small), not a sweep.
const MOST_VALUES: f64 = 1e6;
/// Share of a step by which the last value may miss `to` and still be it.
const STEP_TOLERANCE: f64 = 1e-9;

impl SweepSpec {
    /// The axes of `sweep.grid`, sorted by name.
    ///
    /// # Errors
    /// A list that is empty, mixed or repeats a value; a range that is not one.
    pub fn axes(&self) -> Result<Vec<Axis>> {
        self.grid
            .iter()
            .map(|(name, spec)| Ok(Axis { name: name.clone(), values: spec.values(&grid_key(name))? }))
            .collect()
    }

    /// Whether random points are drawn instead of sweeping the grid in full.
    pub fn is_random(&self) -> bool {
        self.random.samples > 0
    }

    /// The random points, name → value: `random.samples` draws, repeated points left out. Empty when random is off.
    ///
    /// A point draws one value for every name of `random.ranges` and of `grid`, names sorted, from one ChaCha8
    /// stream: `u = bits/2^53`; a list or a stepped range gives the value at `⌊u·count⌋`, a plain range
    /// `from + u·(to − from)`, a logarithmic one `from·exp(u·ln(to/from))` (the only draw that asks the platform's
    /// mathematics library). More samples extend the same points.
    ///
    /// # Errors
    /// As [`SweepSpec::axes`]; a name in both tables; nothing to draw from.
    pub fn random_points(&self) -> Result<Vec<BTreeMap<String, Value>>> {
        if !self.is_random() {
            return Ok(Vec::new());
        }
        let sources = self.draw_sources()?;
        let mut stream = [0; 32];
        stream[..8].copy_from_slice(&self.random.seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(stream);
        let mut points = Vec::new();
        let mut seen = BTreeSet::new();
        for _ in 0..self.random.samples {
            let point: BTreeMap<String, Value> =
                sources.iter().map(|(name, source)| (name.clone(), source.draw(uniform(&mut rng)))).collect();
            let text: Vec<String> = point.values().map(Value::to_string).collect();
            if seen.insert(text) {
                points.push(point);
            }
        }
        Ok(points)
    }

    /// Where each name of a random point comes from.
    pub(super) fn draw_sources(&self) -> Result<BTreeMap<String, Source>> {
        let mut sources = BTreeMap::new();
        for (name, spec) in &self.grid {
            sources.insert(name.clone(), Source::Values(spec.values(&grid_key(name))?));
        }
        for (name, spec) in &self.random.ranges {
            let key = format!("sweep.random.ranges.{name}");
            if sources.contains_key(name) {
                return Err(BadInput::expected("a name that sweep.grid does not have")
                    .key(key)
                    .found(format!("`{name}` in both"))
                    .fix("remove one of the two")
                    .into());
            }
            sources.insert(name.clone(), Source::read(&key, spec)?);
        }
        if sources.is_empty() {
            return Err(BadInput::expected("a name with a range to draw from")
                .key("sweep.random.ranges")
                .found("nothing")
                .fix("give sweep.random.ranges or sweep.grid a name, or set sweep.random.samples = 0")
                .into());
        }
        Ok(sources)
    }
}

fn grid_key(name: &str) -> String {
    format!("sweep.grid.{name}")
}

/// Where a random point takes a value from.
pub(super) enum Source {
    Values(Vec<Value>),
    Even { from: f64, to: f64 },
    Log { from: f64, ratio_ln: f64 },
}

impl Source {
    fn read(key: &str, spec: &AxisSpec) -> Result<Self> {
        match spec {
            AxisSpec::Range(range) if range.step.is_none() => {
                range.check(key, true)?;
                Ok(match range.log {
                    true => Self::Log { from: range.from, ratio_ln: (range.to / range.from).ln() },
                    false => Self::Even { from: range.from, to: range.to },
                })
            }
            _ => Ok(Self::Values(spec.values(key)?)),
        }
    }

    fn draw(&self, u: f64) -> Value {
        match self {
            Self::Values(values) => {
                values[((u * values.len() as f64) as usize).min(values.len() - 1)].clone()
            }
            Self::Even { from, to } => Value::from(from + u * (to - from)),
            Self::Log { from, ratio_ln } => Value::from(from * (u * ratio_ln).exp()),
        }
    }
}

/// Uniform in `[0, 1)` from the top 53 bits of a draw.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
}

impl AxisSpec {
    /// Reads an axis as written and checks it; `key` is for the message, `random` allows a range without a step.
    pub(super) fn judge(key: &str, value: &Value, random: bool) -> Result<Self> {
        let spec = match value {
            Value::Array(values) => Self::List(values.clone()),
            Value::Object(_) => match serde_json::from_value::<RangeSpec>(value.clone()) {
                Ok(range) => Self::Range(range),
                Err(_) => return Err(axis_fault(key, value).into()),
            },
            _ => return Err(axis_fault(key, value).into()),
        };
        match &spec {
            Self::Range(range) if random => range.check(key, true)?,
            _ => drop(spec.values(key)?),
        }
        Ok(spec)
    }

    /// Values that stand for all: those of a list or a stepped range, else the ends and a crooked one between them.
    pub(super) fn probes(&self, key: &str) -> Result<Vec<Value>> {
        match self {
            Self::Range(range) if range.step.is_none() => {
                range.check(key, true)?;
                let between = range.from + 0.618_034 * (range.to - range.from);
                Ok(vec![range.from.into(), range.to.into(), between.into()])
            }
            _ => self.values(key),
        }
    }

    /// The values of a list or a stepped range.
    fn values(&self, key: &str) -> Result<Vec<Value>> {
        match self {
            Self::List(values) => list_values(key, values),
            Self::Range(range) => range.values(key),
        }
    }
}

fn axis_fault(key: &str, value: &Value) -> BadInput {
    BadInput::expected("a list of values or {from, to, step}").key(key).found(display(value))
}

impl RangeSpec {
    fn check(&self, key: &str, random: bool) -> Result<()> {
        let fault =
            |found: String, expected: &str| Err(BadInput::expected(expected).key(key).found(found).into());
        if !(self.from.is_finite() && self.to.is_finite() && self.from <= self.to) {
            return fault(format!("from {} to {}", self.from, self.to), "from ≤ to, both finite");
        }
        match self.step {
            None if !random => return fault("no step".into(), "{from, to, step}"),
            Some(step) if !(step.is_finite() && step > 0.0) => {
                return fault(format!("step {step}"), "a step above 0");
            }
            Some(step) if (self.to - self.from) / step >= MOST_VALUES => {
                return fault(format!("step {step}"), "a step that gives at most 1000000 values");
            }
            _ => {}
        }
        match self.log {
            true if !random => fault("log".into(), "{from, to, step}; log belongs to sweep.random.ranges"),
            true if self.step.is_some() => fault("step and log".into(), "one of step and log"),
            true if self.from <= 0.0 => fault(format!("from {}", self.from), "from above 0 for log"),
            _ => Ok(()),
        }
    }

    fn values(&self, key: &str) -> Result<Vec<Value>> {
        self.check(key, self.log)?;
        let Some(step) = self.step else {
            return Err(BadInput::expected("{from, to, step}").key(key).found("no step").into());
        };
        let last = ((self.to - self.from) / step + STEP_TOLERANCE).floor() as u64;
        Ok((0..=last).map(|i| Value::from(self.from + i as f64 * step)).collect())
    }
}

fn list_values(key: &str, list: &[Value]) -> Result<Vec<Value>> {
    let kind = |value: &Value| match value {
        Value::Number(_) => Some(0),
        Value::String(_) => Some(1),
        Value::Bool(_) => Some(2),
        _ => None,
    };
    if list.is_empty() {
        return Err(BadInput::expected("at least one value").key(key).found("an empty list").into());
    }
    let mut values = Vec::with_capacity(list.len());
    let mut seen = BTreeSet::new();
    for value in list {
        if kind(value).is_none() || kind(value) != kind(&list[0]) {
            return Err(BadInput::expected("numbers, strings or booleans, all of one kind")
                .key(key)
                .found(display(value))
                .into());
        }
        let value = plain_number(value);
        if !seen.insert(value.to_string()) {
            return Err(BadInput::expected("each value once")
                .key(key)
                .found(format!("{} again", display(&value)))
                .fix("remove the repetition")
                .into());
        }
        values.push(value);
    }
    Ok(values)
}

/// Numbers as f64, so that `2` and `2.0` are one value; integers that f64 cannot hold stay (seeds).
fn plain_number(value: &Value) -> Value {
    let exact = |x: &f64| x.abs() <= 9_007_199_254_740_992.0;
    match value
        .as_f64()
        .filter(|x| !value.is_number() || value.is_f64() || exact(x))
        .and_then(Number::from_f64)
    {
        Some(number) => Value::Number(number),
        None => value.clone(),
    }
}

/// `sizing.fraction = […]` without quotes is a table in a table in TOML: names are joined again.
pub(super) fn flatten(prefix: &str, tables: &Map<String, Value>, into: &mut Map<String, Value>) {
    for (name, value) in tables {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value.as_object() {
            Some(inner) if !inner.is_empty() && !is_range(inner) => flatten(&name, inner, into),
            _ => {
                into.insert(name, value.clone());
            }
        }
    }
}

fn is_range(table: &Map<String, Value>) -> bool {
    table.iter().any(|(key, value)| {
        ["from", "to", "step", "log"].contains(&key.as_str()) && !value.is_object() && !value.is_array()
    })
}
