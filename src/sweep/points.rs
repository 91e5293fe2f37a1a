//! Which trials a sweep has: the grid or the random points, filtered by the constraint (contract 4).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::config::{Axis, Spec};
use crate::error::{BadInput, Result};
use crate::signals::{Expr, eval_constraint, parse_expr};

/// The trials of a sweep in grid order: names sorted, the last fastest.
///
/// ```
/// use barloom::{config::Spec, sweep::Points};
/// let mut spec = Spec::default();
/// spec.sweep = serde_json::from_str(r#"{"grid": {"fast": [2, 4], "slow": [3, 5]}, "constraint": "fast < slow"}"#).unwrap();
/// spec.signals.params = [("fast".to_owned(), 2.0), ("slow".to_owned(), 3.0)].into();
/// let points = Points::of(&spec, None)?;
/// assert_eq!(points.len(), 3); // 2/3, 2/5, 4/5
/// assert_eq!(points.values(2), [4.0, 5.0]);
/// # Ok::<(), barloom::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    /// Swept names, sorted.
    pub names: Vec<String>,
    values: Vec<Vec<Value>>,
}

impl Points {
    /// Expands a spec's sweep; `file` is named in errors. A spec without one is a sweep of one trial.
    ///
    /// # Errors
    /// An axis that is not one, a constraint that is wrong or leaves nothing.
    pub fn of(spec: &Spec, file: Option<&Path>) -> Result<Self> {
        let (names, values) = if spec.sweep.is_random() {
            let points = spec.sweep.random_points()?;
            let names: Vec<String> = points.first().map(|p| p.keys().cloned().collect()).unwrap_or_default();
            (names, points.into_iter().map(|point| point.into_values().collect()).collect())
        } else {
            grid(&spec.sweep.axes()?)?
        };
        let mut points = Self { names, values };
        let constraint = spec.sweep.constraint.trim();
        if !constraint.is_empty() {
            let expr = parse_expr(constraint)?;
            points.keep(spec, &expr)?;
        }
        if points.values.is_empty() {
            let mut bad = BadInput::expected("a constraint that some trial meets").key("sweep.constraint");
            bad.file = file.map(Path::to_path_buf);
            return Err(bad.found(format!("'{constraint}', which none does")).into());
        }
        Ok(points)
    }
    /// Number of trials.
    pub fn len(&self) -> usize {
        self.values.len()
    }
    /// Whether there are none; [`Points::of`] never returns that.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
    /// Values of a trial, by the order of `names`.
    pub fn values(&self, trial: usize) -> &[Value] {
        &self.values[trial]
    }
    /// Values of a trial by name.
    pub fn named(&self, trial: usize) -> BTreeMap<String, Value> {
        self.names.iter().cloned().zip(self.values[trial].iter().cloned()).collect()
    }
    /// Keeps the trials that meet the constraint. Its names are swept names and rule parameters.
    fn keep(&mut self, spec: &Spec, constraint: &Expr) -> Result<()> {
        let mut scope: BTreeMap<String, f64> = spec.signals.params.clone();
        let mut kept = Vec::with_capacity(self.values.len());
        for values in std::mem::take(&mut self.values) {
            for (name, value) in self.names.iter().zip(&values) {
                if let Some(number) = value.as_f64() {
                    scope.insert(name.clone(), number);
                }
            }
            if eval_constraint(constraint, &scope)? {
                kept.push(values);
            }
        }
        self.values = kept;
        Ok(())
    }
}

/// More trials than this do not fit an index, a disk or a lifetime.
const MOST_TRIALS: usize = 100_000_000;

fn grid(axes: &[Axis]) -> Result<(Vec<String>, Vec<Vec<Value>>)> {
    let count = axes.iter().try_fold(1usize, |n, axis| n.checked_mul(axis.values.len()));
    let Some(count) = count.filter(|&n| n <= MOST_TRIALS) else {
        return Err(BadInput::expected(format!("at most {MOST_TRIALS} trials"))
            .key("sweep.grid")
            .found("more")
            .fix("use sweep.random, or fewer values")
            .into());
    };
    let mut trials = Vec::with_capacity(count);
    for index in 0..count {
        let mut rest = index;
        let mut values: Vec<Value> = Vec::with_capacity(axes.len());
        for axis in axes.iter().rev() {
            values.push(axis.values[rest % axis.values.len()].clone());
            rest /= axis.values.len();
        }
        values.reverse();
        trials.push(values);
    }
    Ok((axes.iter().map(|axis| axis.name.clone()).collect(), trials))
}
