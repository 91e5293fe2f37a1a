//! The functions of the language: names, arguments, and what each becomes in the graph.

use std::sync::LazyLock;

use super::columns::Column;
use super::ops::{self, Kernel};
use super::scalar::{BinaryOp, UnaryOp};

/// What `barloom features --list` says about a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionDoc {
    /// Name.
    pub name: &'static str,
    /// How it is called.
    pub signature: &'static str,
    /// Unit of the result.
    pub unit: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
}

/// What a function expects at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arg {
    /// A number, constant or not.
    Number,
    /// A number that comes from columns.
    Series,
    /// A boolean.
    Condition,
    /// A whole number ≥ 1 of bars that are remembered: no value before there are that many.
    Window,
    /// A whole number ≥ 1 of bars that only sets a speed.
    Speed,
}

/// What a call becomes.
#[derive(Clone, Copy)]
pub(super) enum Body {
    Unary(UnaryOp),
    Binary(BinaryOp),
    Where,
    Lag,
    Diff,
    CrossOver,
    CrossUnder,
    /// A kernel over the series arguments, else over columns of its own, with the windows as parameters.
    Kernel(&'static Kernel, &'static [Column]),
}

pub(super) struct Function {
    pub(super) doc: FunctionDoc,
    pub(super) args: &'static [Arg],
    /// Arguments that must be there; the others have a default.
    pub(super) required: usize,
    pub(super) body: Body,
}

const fn function(doc: [&'static str; 4], args: &'static [Arg], body: Body) -> Function {
    let [name, signature, unit, summary] = doc;
    let doc = FunctionDoc { name, signature, unit, summary };
    Function { doc, args, required: args.len(), body }
}

const fn window_optional(function: Function) -> Function {
    let required = function.args.len() - 1;
    Function { required, ..function }
}

use Arg::{Condition, Number, Series, Speed, Window};
use Column::{Close, High, Low};

/// One line per function, in the order of the listing.
static FUNCTIONS: &[Function] = &[
    function(["abs", "abs(x)", "as x", "absolute value"], &[Number], Body::Unary(UnaryOp::Abs)),
    function(
        ["min", "min(a, b)", "as a", "the smaller of two values"],
        &[Number, Number],
        Body::Binary(BinaryOp::Min),
    ),
    function(
        ["max", "max(a, b)", "as a", "the larger of two values"],
        &[Number, Number],
        Body::Binary(BinaryOp::Max),
    ),
    function(["log", "log(x)", "1", "natural logarithm"], &[Number], Body::Unary(UnaryOp::Log)),
    function(["exp", "exp(x)", "1", "exponential"], &[Number], Body::Unary(UnaryOp::Exp)),
    function(["sqrt", "sqrt(x)", "√x", "square root"], &[Number], Body::Unary(UnaryOp::Sqrt)),
    function(["sign", "sign(x)", "1", "1, 0 or -1"], &[Number], Body::Unary(UnaryOp::Sign)),
    function(
        ["where", "where(c, a, b)", "as a", "a where c is true, b where it is false"],
        &[Condition, Number, Number],
        Body::Where,
    ),
    window_optional(function(
        ["lag", "lag(x, n = 1)", "as x", "x of n present bars ago"],
        &[Series, Window],
        Body::Lag,
    )),
    window_optional(function(
        ["diff", "diff(x, n = 1)", "as x", "x minus x of n present bars ago"],
        &[Series, Window],
        Body::Diff,
    )),
    function(
        ["cross_over", "cross_over(a, b)", "boolean", "a > b now and a <= b one present bar ago"],
        &[Number, Number],
        Body::CrossOver,
    ),
    function(
        ["cross_under", "cross_under(a, b)", "boolean", "a < b now and a >= b one present bar ago"],
        &[Number, Number],
        Body::CrossUnder,
    ),
    function(
        ["sma", "sma(x, n)", "as x", "mean of the last n values"],
        &[Series, Window],
        Body::Kernel(&ops::SMA, &[]),
    ),
    function(
        ["ema", "ema(x, n)", "as x", "exponential mean, alpha 2/(n+1), seeded with the mean of the first n"],
        &[Series, Window],
        Body::Kernel(&ops::EMA, &[]),
    ),
    function(
        ["ewm", "ewm(x, n)", "as x", "exponential mean, alpha 2/(n+1), seeded with the first value"],
        &[Series, Speed],
        Body::Kernel(&ops::EWM, &[]),
    ),
    function(
        ["rsi", "rsi(x, n)", "0 to 100", "Wilder's relative strength index"],
        &[Series, Window],
        Body::Kernel(&ops::RSI, &[]),
    ),
    function(
        ["trange", "trange()", "price", "true range; first value at the second bar"],
        &[],
        Body::Kernel(&ops::TRANGE, &[High, Low, Close]),
    ),
    function(
        ["atr", "atr(n)", "price", "Wilder's mean of the true range"],
        &[Window],
        Body::Kernel(&ops::ATR, &[High, Low, Close]),
    ),
];

/// Functions the language will have; refused by name so that nobody takes them for a slip of the pen.
static LATER: &[&str] = &[
    "rank_xs",
    "zscore_xs",
    "mean_xs",
    "of",
    "tf",
    "wma",
    "rma",
    "roc",
    "stddev",
    "var",
    "zscore",
    "percentrank",
    "percentile",
    "median",
    "rolling_min",
    "rolling_max",
    "rolling_sum",
    "rolling_mean",
    "realized_vol",
    "correl",
    "beta",
    "natr",
    "adx",
    "dx",
    "plus_di",
    "minus_di",
    "cci",
    "mfi",
    "macd",
    "macd_signal",
    "macd_hist",
    "bbands_upper",
    "bbands_mid",
    "bbands_lower",
    "stoch_k",
    "stoch_d",
    "obv",
    "donchian_upper",
    "donchian_lower",
    "donchian_mid",
    "keltner_upper",
    "keltner_mid",
    "keltner_lower",
    "supertrend",
    "supertrend_dir",
    "vwap",
    "avwap_day",
    "avwap_week",
    "avwap_month",
    "avwap_swing_low",
    "avwap_swing_high",
    "liquidity_ratio",
    "liquidity_regime",
];

/// The function of this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.doc.name == name)
}

/// Whether a function of this name is planned and not there yet.
pub(super) fn is_later(name: &str) -> bool {
    find(name).is_none() && LATER.contains(&name)
}

/// Names of all functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.doc.name)
}

/// Every function of the expression language, in the order to list them.
///
/// ```
/// let ema = barloom::signals::function_list().iter().find(|f| f.name == "ema").unwrap();
/// assert_eq!(ema.signature, "ema(x, n)");
/// ```
pub fn function_list() -> &'static [FunctionDoc] {
    static LIST: LazyLock<Vec<FunctionDoc>> = LazyLock::new(|| FUNCTIONS.iter().map(|f| f.doc).collect());
    &LIST
}
