//! Table `[sweep]`. Its expansion into points is in `config::axes`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `[sweep]`. A name is a rule parameter or a dotted config key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SweepSpec {
    /// Name → list of values, or `{from, to, step}` with `to` included; every combination is a trial.
    #[schemars(extend("x-unit" = "as the key's", "x-semantics" = "contract 4"))]
    pub grid: BTreeMap<String, AxisSpec>,
    /// Random points instead of every combination.
    pub random: RandomSpec,
    /// Boolean expression over swept names; points where it is false are no trials. Empty: all are.
    #[schemars(extend("x-semantics" = "contract 4"))]
    pub constraint: String,
    /// Metric that ranks the trials.
    #[schemars(extend("x-semantics" = "contract 4"))]
    pub rank_by: String,
}

impl Default for SweepSpec {
    fn default() -> Self {
        Self {
            grid: BTreeMap::new(),
            random: RandomSpec::default(),
            constraint: String::new(),
            rank_by: "sharpe".into(),
        }
    }
}

/// `[sweep.random]`: each sample draws one value for every name of `ranges` and of `sweep.grid`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RandomSpec {
    /// Points to draw; 0: off, the grid is swept in full.
    #[schemars(extend("minimum" = 0, "maximum" = 10_000_000, "x-unit" = "trials", "x-semantics" = "contract 4"))]
    pub samples: u32,
    /// Seed of the draws.
    #[schemars(extend("minimum" = 0, "x-unit" = "seed", "x-semantics" = "contract 4"))]
    pub seed: u64,
    /// Name → list of values, or `{from, to}` with `step` (multiples of it) or `log = true` (even in the logarithm).
    #[schemars(extend("x-unit" = "as the key's", "x-semantics" = "contract 4"))]
    pub ranges: BTreeMap<String, AxisSpec>,
}

impl Default for RandomSpec {
    fn default() -> Self {
        Self { samples: 0, seed: 1, ranges: BTreeMap::new() }
    }
}

/// The values of one swept name, as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AxisSpec {
    /// Numbers, strings or booleans, all of one kind.
    List(Vec<Value>),
    /// A range.
    Range(RangeSpec),
}

/// A range of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RangeSpec {
    /// First value.
    pub from: f64,
    /// Last value, included.
    pub to: f64,
    /// Distance between values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// Draw evenly in the logarithm (random ranges only).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log: bool,
}
