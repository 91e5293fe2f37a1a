//! The expression language of rules, features and sweep constraints (contract 4).
//!
//! Text → [`lexer`] → [`parser`] → [`check`] (types and names) → [`bind`] (parameters in, constants folded) → one
//! [`graph`] over all trials, in which every distinct expression is one node → [`plan`] (order and buffers) →
//! [`eval`], tile by tile. Read next: [`graph`] for how `NaN` makes a rule false.
//!
//! Values a rule cannot be decided with are `NaN`: missing bars, warm-up, and whatever has no finite value. `lag`,
//! `diff` and `cross_*` count present bars; an indicator runs over the bars at which its inputs have values. The value
//! that `where` does not choose is not read. `of` looks at another symbol's column of the same bar; what is inside `tf`
//! is a graph of its own over longer bars ([`frames`]). What many trials share and is costly is kept ([`cache`]).

mod ast;
mod bind;
mod cache;
mod check;
mod columns;
mod eval;
mod fault;
mod features;
mod frames;
mod functions;
mod graph;
mod indicators;
mod lexer;
mod liquidity;
mod ops;
mod parser;
mod plan;
mod program;
mod scalar;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use ast::Expr;
pub use cache::{CacheEntry, RuleCache, SharedTrials};
pub use features::{FeatureSink, eval_constraint, feature_columns};
pub use functions::{FunctionDoc, function_list};
pub use program::{RuleProgram, compile, compile_each};

use crate::error::{BadInput, Result, nearest};
use crate::liquidity::RegimePlan;
use check::Scope;
use columns::Column;
use fault::Origin;

/// Rules as written in `[signals]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleTexts {
    /// Boolean: enter long.
    pub long_entry: Option<String>,
    /// Boolean: leave long.
    pub long_exit: Option<String>,
    /// Boolean: enter short.
    pub short_entry: Option<String>,
    /// Boolean: leave short.
    pub short_exit: Option<String>,
    /// Price distance of the stop loss from the decision's close.
    pub stop_distance: Option<String>,
    /// Price distance of the take profit.
    pub take_profit_distance: Option<String>,
    /// Price distance of the trailing stop from its high-water mark, fixed at the decision's close.
    pub trail_distance: Option<String>,
    /// Refused: not there yet.
    pub weight: Option<String>,
    /// Refused: not there yet.
    pub score: Option<String>,
    /// Parameters and their defaults.
    pub params: BTreeMap<String, f64>,
    /// How `liquidity_ratio()` and `liquidity_regime()` are computed.
    pub regimes: RegimePlan,
}

/// Rules that have been parsed and typed, ready to be compiled for any parameters and market.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    file: Option<PathBuf>,
    params: BTreeMap<String, f64>,
    long_entry: Option<Expr>,
    long_exit: Option<Expr>,
    short_entry: Option<Expr>,
    short_exit: Option<Expr>,
    stop_distance: Option<Expr>,
    take_profit_distance: Option<Expr>,
    regimes: RegimePlan,
    trail_distance: Option<Expr>,
}

impl Rules {
    /// Parameters and their defaults.
    pub fn params(&self) -> &BTreeMap<String, f64> {
        &self.params
    }

    /// The parameters of one trial: the defaults, and over them the trial's own.
    fn bound(&self, trial: &BTreeMap<String, f64>) -> Result<BTreeMap<String, f64>> {
        let mut params = self.params.clone();
        for (name, value) in trial {
            match params.get_mut(name) {
                Some(default) => *default = *value,
                None => {
                    let mut bad = BadInput::expected("the name of a parameter in [signals.params]")
                        .key(name)
                        .found("a value for an unknown parameter");
                    bad.file = self.file.clone();
                    bad.fix = nearest(name, self.params.keys().map(String::as_str))
                        .map(|known| format!("did you mean `{known}`?"));
                    return Err(bad.into());
                }
            }
        }
        check_params(&params, self.file.as_deref())?;
        Ok(params)
    }
}

/// Parses and types the rules of a config; `file` is named in errors.
///
/// ```
/// use barloom::signals::{RuleTexts, parse_rules};
/// let texts = RuleTexts { long_entry: Some("emaa(close, 3) > 1".into()), ..RuleTexts::default() };
/// let error = parse_rules(&texts, None).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`signals.long_entry`: found unknown name `emaa` at column 1 of '»emaa(close, 3) > 1'; \
///      expected the name of a function; did you mean `ema`?"
/// );
/// ```
pub fn parse_rules(texts: &RuleTexts, file: Option<&Path>) -> Result<Rules> {
    let later = [("weight", &texts.weight), ("score", &texts.score)];
    if let Some((key, Some(text))) = later.into_iter().find(|(_, text)| text.is_some()) {
        let mut bad = BadInput::expected("no such rule")
            .key(format!("signals.{key}"))
            .found(format!("'{text}'"))
            .fix("this rule is not there yet; leave it out");
        bad.file = file.map(Path::to_path_buf);
        return Err(bad.into());
    }
    check_params(&texts.params, file)?;
    for name in texts.params.keys() {
        check_param_name(name, file)?;
    }
    let scope = Scope { params: texts.params.keys().map(String::as_str).collect(), columns: true };
    let rule = |key: &str, text: &Option<String>, kind: Kind| -> Result<Option<Expr>> {
        let Some(text) = text else { return Ok(None) };
        let origin = Origin {
            file: file.map(Path::to_path_buf),
            key: Some(format!("signals.{key}")),
            text: text.clone(),
        };
        let expr = parse_with(origin)?;
        let typed = match kind {
            Kind::Condition => scope.boolean(&expr.root),
            Kind::Distance => scope.number(&expr.root),
        };
        typed.map_err(|fault| expr.origin.error(fault))?;
        Ok(Some(expr))
    };
    let rules = Rules {
        long_entry: rule("long_entry", &texts.long_entry, Kind::Condition)?,
        long_exit: rule("long_exit", &texts.long_exit, Kind::Condition)?,
        short_entry: rule("short_entry", &texts.short_entry, Kind::Condition)?,
        short_exit: rule("short_exit", &texts.short_exit, Kind::Condition)?,
        stop_distance: rule("stop_distance", &texts.stop_distance, Kind::Distance)?,
        take_profit_distance: rule("take_profit_distance", &texts.take_profit_distance, Kind::Distance)?,
        trail_distance: rule("trail_distance", &texts.trail_distance, Kind::Distance)?,
        params: texts.params.clone(),
        regimes: texts.regimes,
        file: file.map(Path::to_path_buf),
    };
    if rules.long_entry.is_none() && rules.short_entry.is_none() {
        let mut bad = BadInput::expected("`long_entry` or `short_entry`")
            .key("signals")
            .found("rules that never enter")
            .fix("give at least one of them");
        bad.file = rules.file;
        return Err(bad.into());
    }
    Ok(rules)
}

enum Kind {
    Condition,
    Distance,
}

/// Parses one expression: a feature, or a sweep's constraint. Its names are looked up when it is used.
///
/// ```
/// use barloom::signals::parse_expr;
/// assert!(parse_expr("atr(14) / close").is_ok());
/// let error = parse_expr("close >> 1").unwrap_err().to_string();
/// assert!(error.contains("found `>` at column 8 of 'close >»> 1'"), "{error}");
/// ```
pub fn parse_expr(text: &str) -> Result<Expr> {
    parse_with(Origin { file: None, key: None, text: text.to_owned() })
}

fn parse_with(origin: Origin) -> Result<Expr> {
    match parser::parse(&origin.text) {
        Ok(root) => Ok(Expr { origin, root }),
        Err(fault) => Err(origin.error(fault)),
    }
}

fn check_params(params: &BTreeMap<String, f64>, file: Option<&Path>) -> Result<()> {
    let Some((name, value)) = params.iter().find(|(_, value)| !value.is_finite()) else { return Ok(()) };
    let mut bad = BadInput::expected("a finite number").key(format!("signals.params.{name}"));
    bad.found = Some(value.to_string());
    bad.file = file.map(Path::to_path_buf);
    Err(bad.into())
}

/// A parameter must be a name that nothing else has.
fn check_param_name(name: &str, file: Option<&Path>) -> Result<()> {
    let tokens = lexer::tokens(name).unwrap_or_default();
    let is_name = matches!(tokens.as_slice(), [token, _] if token.kind == lexer::TokenKind::Name);
    let found = if !is_name || name.contains('.') {
        "a name that is none"
    } else if Column::find(name).is_some() {
        "the name of a column"
    } else if functions::find(name).is_some() {
        "the name of a function"
    } else {
        return Ok(());
    };
    let mut bad = BadInput::expected("a name of letters, digits and `_` that is not taken")
        .key(format!("signals.params.{name}"))
        .found(found)
        .fix("rename the parameter");
    bad.file = file.map(Path::to_path_buf);
    Err(bad.into())
}
