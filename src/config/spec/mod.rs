//! The spec as written: one struct per table of the config, one field per key.
//!
//! A field carries all there is to say about its key: the description, unit (`x-unit`), range, section of the
//! semantics (`x-semantics`), and, where this version knows only some of the values, those (`x-accepted-now`) with
//! the sentence that says why (`x-not-yet`). The schema and every check are derived from here; the defaults are the
//! `Default` impls and nowhere else. Until a feature exists, its default is off.

mod choices;
mod run;
mod safety;
mod sweep;
mod trading;

pub use super::fees::FeeRowSpec;
pub use super::forms::{FundingMissing, LimitRuleSpec, Refresh};
pub use choices::*;
pub use run::{GeneralSpec, OutputSpec, SignalsSpec, UniverseSpec};
pub use safety::{LiquidityRegimesSpec, MarginSpec, RiskSpec, SizingSpec};
pub use sweep::{AxisSpec, RandomSpec, RangeSpec, SweepSpec};
pub use trading::{ExecutionSpec, FundingSpec, SlippageCostsSpec};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::keys;
use crate::Result;
use crate::error::BadInput;

/// A whole config, every key with its value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// Capital, fees, clock, oracle.
    pub general: GeneralSpec,
    /// Which symbols take part.
    pub universe: UniverseSpec,
    /// Where decisions come from.
    pub signals: SignalsSpec,
    /// How orders fill.
    pub execution: ExecutionSpec,
    /// What a taker fill costs beyond its fee.
    pub slippage_costs: SlippageCostsSpec,
    /// Funding payments.
    pub funding: FundingSpec,
    /// Leverage, liquidation and the margin guard.
    pub margin: MarginSpec,
    /// How an opening order gets its quantity.
    pub sizing: SizingSpec,
    /// Guards, caps and the engine's states.
    pub risk: RiskSpec,
    /// Liquidity regimes from seasonal activity.
    pub liquidity_regimes: LiquidityRegimesSpec,
    /// Result files.
    pub output: OutputSpec,
    /// Parameter sweep; ignored by a single run.
    pub sweep: SweepSpec,
}

impl Spec {
    /// The spec of one trial: this one with some keys replaced, and without a sweep of its own.
    ///
    /// A name is a dotted key (`sizing.fraction`, `signals.params.fast`) or the bare name of a rule parameter that
    /// `signals.params` holds. Whole numbers may come as floats (`3.0`), as axes give them.
    ///
    /// # Errors
    /// An unknown name, or a value its key does not take.
    pub fn with_overrides(&self, overrides: &BTreeMap<String, Value>) -> Result<Self> {
        let mut doc = self.without_sweep().to_json();
        for (name, value) in overrides {
            if self.signals.params.contains_key(name) {
                keys::set(&mut doc, &format!("signals.params.{name}"), value)?;
            } else {
                keys::set(&mut doc, name, value)?;
            }
        }
        Self::from_resolved(doc)
    }

    /// The trial that a plain run makes of this spec: everything but the sweep.
    fn without_sweep(&self) -> Self {
        Self {
            general: self.general.clone(),
            universe: self.universe.clone(),
            signals: self.signals.clone(),
            execution: self.execution.clone(),
            slippage_costs: self.slippage_costs.clone(),
            funding: self.funding.clone(),
            margin: self.margin.clone(),
            sizing: self.sizing.clone(),
            risk: self.risk.clone(),
            liquidity_regimes: self.liquidity_regimes.clone(),
            output: self.output.clone(),
            sweep: SweepSpec::default(),
        }
    }

    /// A document whose every value went through [`keys::set`], as a spec.
    pub(super) fn from_resolved(doc: Value) -> Result<Self> {
        serde_json::from_value(doc)
            .map_err(|fault| BadInput::expected("a valid config").found(fault.to_string()).into())
    }

    /// The rule expressions that are set, as (key under `signals`, text), in the contract's order.
    pub fn rule_texts(&self) -> Vec<(&'static str, &str)> {
        let s = &self.signals;
        [
            ("long_entry", &s.long_entry),
            ("long_exit", &s.long_exit),
            ("short_entry", &s.short_entry),
            ("short_exit", &s.short_exit),
            ("stop_distance", &s.stop_distance),
            ("take_profit_distance", &s.take_profit_distance),
            ("trail_distance", &s.trail_distance),
            ("weight", &s.weight),
            ("score", &s.score),
        ]
        .into_iter()
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(key, text)| (key, text.as_str()))
        .collect()
    }

    /// Rule parameters with their defaults, by name.
    pub fn rule_params(&self) -> &BTreeMap<String, f64> {
        &self.signals.params
    }

    /// Every key with its value, in a stable order: `config.resolved.json`.
    pub fn to_json(&self) -> Value {
        // Plain structs, string keys, no foreign Serialize impl: there is nothing that could fail.
        serde_json::to_value(self).expect("a spec is always representable as JSON")
    }

    /// Hex SHA-256 of what decides the result of a run: the resolved config with its keys sorted, without `output`,
    /// `sweep` and `signals.path`. What the file at that path holds is the business of whoever reads it.
    ///
    /// The parameters of the rules are digested apart, so that a sweep over them digests the rest once.
    pub fn digest(&self) -> String {
        Self::digest_with_params(&self.digest_without_params(), &self.signals.params)
    }

    /// The digest of everything but the rule parameters: the first half of [`Spec::digest`].
    pub fn digest_without_params(&self) -> String {
        let mut doc = self.without_sweep().to_json();
        if let Some(tables) = doc.as_object_mut() {
            tables.remove("output");
            tables.remove("sweep");
        }
        if let Some(signals) = doc.get_mut("signals").and_then(Value::as_object_mut) {
            signals.remove("path");
            signals.remove("params");
        }
        doc.sort_all_objects();
        hex(&Sha256::digest(doc.to_string().as_bytes()))
    }

    /// [`Spec::digest`] of a spec with other rule parameters.
    pub fn digest_with_params(rest: &str, params: &BTreeMap<String, f64>) -> String {
        let mut hash = Sha256::new();
        hash.update(rest);
        for (name, value) in params {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update(value.to_bits().to_le_bytes());
        }
        hex(&hash.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
