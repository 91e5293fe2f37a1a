//! Where the signals of a run or a sweep come from, read once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Spec;
use crate::config::spec::{OracleMode as OracleSpec, SignalKind};
use crate::error::{Result, io_error};
use crate::liquidity::RegimePlan;
use crate::market::Market;
use crate::reporting::run_dir::sha256;
use crate::signals::{
    OracleMode, OrderTable, RuleCache, RuleTexts, Rules, SignalSource, SignalTable, compile_each, oracle,
    parse_rules, read_orders, read_table,
};

/// A signal source before it is bound to trials.
#[derive(Debug, Clone)]
pub enum Source {
    /// `signals.kind = "oracle"`.
    Oracle(OracleMode),
    /// `"orders"`.
    Orders(OrderTable),
    /// `"table"`.
    Table(SignalTable),
    /// `"rules"`.
    Rules(Box<Rules>),
}

/// Reads what a spec's signals need: a table from `path`, or the rules. The digest is that of the table's bytes.
///
/// # Errors
/// Bad input in the table or the rules; `file` is the config, named for rules.
pub fn read_source(
    spec: &Spec,
    file: Option<&Path>,
    path: Option<PathBuf>,
    market: &Market,
) -> Result<(Source, String)> {
    let table = || -> Result<(PathBuf, String)> {
        let path = path.clone().unwrap_or_else(|| PathBuf::from(&spec.signals.path));
        let bytes = std::fs::read(&path).map_err(|error| io_error(&path, "reading", error))?;
        Ok((path, sha256(&bytes)))
    };
    Ok(match spec.signals.kind {
        SignalKind::Oracle => (Source::Oracle(oracle_mode(spec)), String::new()),
        SignalKind::Orders => {
            let (path, digest) = table()?;
            (Source::Orders(read_orders(&path, market)?), digest)
        }
        SignalKind::Table => {
            let (path, digest) = table()?;
            (Source::Table(read_table(&path, market)?), digest)
        }
        SignalKind::Rules => (Source::Rules(Box::new(parse_rules(&rule_texts(spec), file)?)), String::new()),
    })
}

fn oracle_mode(spec: &Spec) -> OracleMode {
    match spec.general.oracle_mode {
        OracleSpec::AlwaysLong => OracleMode::AlwaysLong,
        OracleSpec::AlwaysShort => OracleMode::AlwaysShort,
        OracleSpec::Flat => OracleMode::Flat,
        OracleSpec::Random => OracleMode::Random,
    }
}

fn rule_texts(spec: &Spec) -> RuleTexts {
    let signals = &spec.signals;
    let text = |text: &String| (!text.trim().is_empty()).then(|| text.clone());
    RuleTexts {
        long_entry: text(&signals.long_entry),
        long_exit: text(&signals.long_exit),
        short_entry: text(&signals.short_entry),
        short_exit: text(&signals.short_exit),
        stop_distance: text(&signals.stop_distance),
        take_profit_distance: text(&signals.take_profit_distance),
        trail_distance: text(&signals.trail_distance),
        weight: text(&signals.weight),
        score: text(&signals.score),
        params: signals.params.clone(),
        regimes: spec.liquidity_regimes.plan().regimes,
    }
}

impl Source {
    /// Tags that orders may carry.
    pub fn tags(&self) -> &[String] {
        match self {
            Self::Orders(table) => &table.tags,
            Self::Table(table) => &table.tags,
            Self::Oracle(_) | Self::Rules(_) => &[],
        }
    }
    /// Binds the source to trials, each a set of rule parameters; all but rules say the same to every trial.
    ///
    /// # Errors
    /// A rule that does not hold for a trial's parameters.
    pub fn bind(
        &self,
        trials: &[BTreeMap<String, f64>],
        seed: u64,
        market: &Market,
        run: Range<usize>,
    ) -> Result<Box<dyn SignalSource>> {
        self.bind_each(trials, &[], seed, market, run, None)
    }
    /// [`bind`](Self::bind) with each trial's settings of liquidity (none given: those of the config the source was
    /// read with), and rules that read what is in `cache` from there.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_each(
        &self,
        trials: &[BTreeMap<String, f64>],
        regimes: &[RegimePlan],
        seed: u64,
        market: &Market,
        run: Range<usize>,
        cache: Option<&Arc<RuleCache>>,
    ) -> Result<Box<dyn SignalSource>> {
        Ok(match self {
            Self::Oracle(mode) => Box::new(oracle(*mode, seed, market, run)),
            Self::Orders(table) => Box::new(table.clone()),
            Self::Table(table) => Box::new(table.clone()),
            Self::Rules(rules) => Box::new(compile_each(rules, trials, regimes, market, cache)?),
        })
    }
}
