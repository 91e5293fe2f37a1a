//! The functions of the language: names, arguments, and what each becomes in the graph.

use std::sync::LazyLock;

use super::columns::Column;
use super::indicators::{self as i, Indicator};
use super::scalar::{BinaryOp, UnaryOp};

/// What `barloom features --list` says about a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionDoc {
    /// Name.
    pub name: &'static str,
    /// How it is called.
    pub signature: &'static str,
    /// Unit of the result; `none` where it has none, `as x` where it is the argument's.
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
    /// A constant number.
    Factor,
    /// A constant number from 0 to 100.
    Percent,
    /// A quoted text: a symbol or a bar length.
    Text,
    /// A number or a boolean, of columns.
    Columns,
}

/// What an indicator reads without being told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input {
    Column(Column),
    /// `(high + low + close) / 3`.
    Typical,
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
    /// One panel of an indicator over its own inputs and then the series arguments; the others are its parameters.
    Indicator {
        indicator: &'static Indicator,
        inputs: &'static [Input],
        output: usize,
    },
    /// Panel 0 of an indicator, plus or minus the last argument times its panel 1.
    Band {
        indicator: &'static Indicator,
        inputs: &'static [Input],
        side: BinaryOp,
    },
    /// The second argument at the symbol that the first names.
    OfSymbol,
    /// The second argument over the longer bars that the first names.
    OfFrame,
    /// A panel of the liquidity of a bar.
    Liquidity {
        output: usize,
    },
}

pub(super) struct Function {
    pub(super) doc: FunctionDoc,
    pub(super) args: &'static [Arg],
    /// Arguments that must be there; the others have a default.
    pub(super) required: usize,
    pub(super) body: Body,
}

impl Function {
    /// Names of the arguments, as the signature has them.
    pub(super) fn argument_names(&self) -> Vec<&'static str> {
        let signature = self.doc.signature;
        let inside = &signature[signature.find('(').map_or(0, |at| at + 1)..signature.len() - 1];
        // A default is written behind its name.
        inside.split(',').filter_map(|arg| arg.split_whitespace().next()).collect()
    }
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

const fn of(indicator: &'static Indicator, inputs: &'static [Input], output: usize) -> Body {
    Body::Indicator { indicator, inputs, output }
}

const fn band(indicator: &'static Indicator, inputs: &'static [Input], side: BinaryOp) -> Body {
    Body::Band { indicator, inputs, side }
}

use Arg::{Columns, Condition, Factor, Number, Percent, Series, Speed, Text, Window};
use BinaryOp::{Add, Max, Min, Sub};

const HIGH: Input = Input::Column(Column::High);
const LOW: Input = Input::Column(Column::Low);
const CLOSE: Input = Input::Column(Column::Close);
const VOLUME: Input = Input::Column(Column::Volume);
const HLC: &[Input] = &[HIGH, LOW, CLOSE];
const TRADED: &[Input] = &[Input::Typical, VOLUME];
const LOW_TRADED: &[Input] = &[LOW, Input::Typical, VOLUME];
const HIGH_TRADED: &[Input] = &[HIGH, Input::Typical, VOLUME];
const XN: &[Arg] = &[Series, Window];
const N: &[Arg] = &[Window];

/// One line per function, in the order of the listing.
#[rustfmt::skip]
static FUNCTIONS: &[Function] = &[
    function(["abs", "abs(x)", "as x", "absolute value"], &[Number], Body::Unary(UnaryOp::Abs)),
    function(["min", "min(a, b)", "as a and b", "the smaller of two values"], &[Number, Number], Body::Binary(Min)),
    function(["max", "max(a, b)", "as a and b", "the larger of two values"], &[Number, Number], Body::Binary(Max)),
    function(["log", "log(x)", "none", "natural logarithm"], &[Number], Body::Unary(UnaryOp::Log)),
    function(["exp", "exp(x)", "none", "exponential"], &[Number], Body::Unary(UnaryOp::Exp)),
    function(["sqrt", "sqrt(x)", "root of x's", "square root"], &[Number], Body::Unary(UnaryOp::Sqrt)),
    function(["sign", "sign(x)", "none: 1, 0 or -1", "sign of a number"], &[Number], Body::Unary(UnaryOp::Sign)),
    function(["where", "where(c, a, b)", "as a and b", "a where c is true, b where it is false"], &[Condition, Number, Number], Body::Where),
    window_optional(function(["lag", "lag(x, n = 1)", "as x", "x of n present bars ago"], XN, Body::Lag)),
    window_optional(function(["diff", "diff(x, n = 1)", "as x", "x minus x of n present bars ago"], XN, Body::Diff)),
    function(["cross_over", "cross_over(a, b)", "boolean", "a > b now and a <= b one present bar ago"], &[Number, Number], Body::CrossOver),
    function(["cross_under", "cross_under(a, b)", "boolean", "a < b now and a >= b one present bar ago"], &[Number, Number], Body::CrossUnder),
    function(["of", "of(symbol, x)", "as x", "x of another symbol at the same bar, e.g. of(\"BTCUSDT\", close)"], &[Text, Columns], Body::OfSymbol),
    function(["tf", "tf(bar, x)", "as x", "x over longer bars, e.g. tf(\"1h\", ema(close, 20)), at the last one that has closed"], &[Text, Columns], Body::OfFrame),
    function(["rank_xs", "rank_xs(x)", "fraction, above 0 to 1", "rank among the symbols of the bar, ties shared"], &[Series], of(&i::RANK_XS, &[], 0)),
    function(["zscore_xs", "zscore_xs(x)", "standard deviations", "deviations from the mean of the symbols of the bar"], &[Series], of(&i::ZSCORE_XS, &[], 0)),
    function(["mean_xs", "mean_xs(x)", "as x", "mean of the symbols of the bar"], &[Series], of(&i::MEAN_XS, &[], 0)),
    function(["sma", "sma(x, n)", "as x", "mean of the last n values"], XN, of(&i::SMA, &[], 0)),
    function(["ema", "ema(x, n)", "as x", "exponential mean, alpha 2/(n+1), seeded with the mean of the first n"], XN, of(&i::EMA, &[], 0)),
    function(["wma", "wma(x, n)", "as x", "mean of the last n values with weights 1 to n"], XN, of(&i::WMA, &[], 0)),
    function(["rma", "rma(x, n)", "as x", "Wilder's mean, alpha 1/n, seeded with the mean of the first n"], XN, of(&i::RMA, &[], 0)),
    function(["ewm", "ewm(x, n)", "as x", "exponential mean, alpha 2/(n+1), seeded with the first value"], &[Series, Speed], of(&i::EWM, &[], 0)),
    function(["rsi", "rsi(x, n)", "percent, 0 to 100", "Wilder's relative strength index"], XN, of(&i::RSI, &[], 0)),
    function(["roc", "roc(x, n)", "percent", "change over n bars"], XN, of(&i::ROC, &[], 0)),
    function(["stddev", "stddev(x, n)", "as x", "standard deviation of the last n values, divisor n"], XN, of(&i::STDDEV, &[], 0)),
    function(["var", "var(x, n)", "x's squared", "variance of the last n values, divisor n"], XN, of(&i::VAR, &[], 0)),
    function(["zscore", "zscore(x, n)", "standard deviations", "deviations from the mean of the last n values"], XN, of(&i::ZSCORE, &[], 0)),
    function(["percentrank", "percentrank(x, n)", "percent, 0 to 100", "share of the n values before that are below x"], XN, of(&i::PERCENTRANK, &[], 0)),
    function(["percentile", "percentile(x, n, p)", "as x", "nearest-rank percentile p of the last n values"], &[Series, Window, Percent], of(&i::PERCENTILE, &[], 0)),
    function(["median", "median(x, n)", "as x", "median of the last n values"], XN, of(&i::MEDIAN, &[], 0)),
    function(["rolling_min", "rolling_min(x, n)", "as x", "smallest of the last n values"], XN, of(&i::ROLLING_MIN, &[], 0)),
    function(["rolling_max", "rolling_max(x, n)", "as x", "largest of the last n values"], XN, of(&i::ROLLING_MAX, &[], 0)),
    function(["rolling_sum", "rolling_sum(x, n)", "as x", "sum of the last n values"], XN, of(&i::ROLLING_SUM, &[], 0)),
    function(["rolling_mean", "rolling_mean(x, n)", "as x", "mean of the last n values, as sma"], XN, of(&i::SMA, &[], 0)),
    function(["realized_vol", "realized_vol(x, n)", "fraction, annualised", "annualised root mean square of the last n log returns"], XN, of(&i::REALIZED_VOL, &[], 0)),
    function(["correl", "correl(x, y, n)", "none, -1 to 1", "correlation of the last n values"], &[Series, Series, Window], of(&i::CORREL, &[], 0)),
    function(["beta", "beta(x, y, n)", "none", "slope of the returns of x on those of y over n returns"], &[Series, Series, Window], of(&i::BETA, &[], 0)),
    function(["trange", "trange()", "price", "true range; first value at the second bar"], &[], of(&i::TRANGE, HLC, 0)),
    function(["atr", "atr(n)", "price", "Wilder's mean of the true range"], N, of(&i::ATR, HLC, 0)),
    function(["natr", "natr(n)", "percent", "atr in percent of the close"], N, of(&i::NATR, HLC, 0)),
    function(["adx", "adx(n)", "percent, 0 to 100", "average directional index"], N, of(&i::DIRECTIONAL, HLC, 3)),
    function(["dx", "dx(n)", "percent, 0 to 100", "directional index"], N, of(&i::DIRECTIONAL, HLC, 2)),
    function(["plus_di", "plus_di(n)", "percent, 0 to 100", "plus directional indicator"], N, of(&i::DIRECTIONAL, HLC, 0)),
    function(["minus_di", "minus_di(n)", "percent, 0 to 100", "minus directional indicator"], N, of(&i::DIRECTIONAL, HLC, 1)),
    function(["cci", "cci(n)", "none", "commodity channel index"], N, of(&i::CCI, HLC, 0)),
    function(["mfi", "mfi(n)", "percent, 0 to 100", "money flow index"], N, of(&i::MFI, &[HIGH, LOW, CLOSE, VOLUME], 0)),
    function(["macd", "macd(x, fast, slow, signal)", "as x", "difference of two exponential means"], &[Series, Window, Window, Window], of(&i::MACD, &[], 0)),
    function(["macd_signal", "macd_signal(x, fast, slow, signal)", "as x", "exponential mean of macd"], &[Series, Window, Window, Window], of(&i::MACD, &[], 1)),
    function(["macd_hist", "macd_hist(x, fast, slow, signal)", "as x", "macd minus macd_signal"], &[Series, Window, Window, Window], of(&i::MACD, &[], 2)),
    function(["bbands_upper", "bbands_upper(x, n, k)", "as x", "mean plus k standard deviations"], &[Series, Window, Factor], of(&i::BBANDS, &[], 0)),
    function(["bbands_mid", "bbands_mid(x, n, k)", "as x", "mean between the bands"], &[Series, Window, Factor], of(&i::BBANDS, &[], 1)),
    function(["bbands_lower", "bbands_lower(x, n, k)", "as x", "mean minus k standard deviations"], &[Series, Window, Factor], of(&i::BBANDS, &[], 2)),
    function(["stoch_k", "stoch_k(fk, sk, sd)", "percent, 0 to 100", "slow stochastic %K"], &[Window, Window, Window], of(&i::STOCH, HLC, 0)),
    function(["stoch_d", "stoch_d(fk, sk, sd)", "percent, 0 to 100", "slow stochastic %D"], &[Window, Window, Window], of(&i::STOCH, HLC, 1)),
    function(["obv", "obv()", "base units", "on-balance volume"], &[], of(&i::OBV, &[CLOSE, VOLUME], 0)),
    function(["donchian_upper", "donchian_upper(n)", "price", "highest high of n bars, this one included"], N, of(&i::DONCHIAN, &[HIGH, LOW], 0)),
    function(["donchian_lower", "donchian_lower(n)", "price", "lowest low of n bars, this one included"], N, of(&i::DONCHIAN, &[HIGH, LOW], 2)),
    function(["donchian_mid", "donchian_mid(n)", "price", "mean of the two"], N, of(&i::DONCHIAN, &[HIGH, LOW], 1)),
    function(["keltner_upper", "keltner_upper(n, m, k)", "price", "ema of the typical price over n plus k atr(m)"], &[Window, Window, Factor], of(&i::KELTNER, KELTNER_INPUTS, 0)),
    function(["keltner_mid", "keltner_mid(n, m, k)", "price", "ema of the typical price over n"], &[Window, Window, Factor], of(&i::KELTNER, KELTNER_INPUTS, 1)),
    function(["keltner_lower", "keltner_lower(n, m, k)", "price", "ema of the typical price over n minus k atr(m)"], &[Window, Window, Factor], of(&i::KELTNER, KELTNER_INPUTS, 2)),
    function(["supertrend", "supertrend(n, k)", "price", "supertrend line: the lower band in an uptrend, else the upper"], &[Window, Factor], of(&i::SUPERTREND, HLC, 0)),
    function(["supertrend_dir", "supertrend_dir(n, k)", "none: 1 up, -1 down", "direction of supertrend"], &[Window, Factor], of(&i::SUPERTREND, HLC, 1)),
    function(["vwap", "vwap(n)", "price", "volume-weighted typical price of n bars"], N, of(&i::VWAP, TRADED, 0)),
    function(["avwap_day", "avwap_day()", "price", "volume-weighted typical price since 00:00 UTC"], &[], of(&i::AVWAP_DAY, TRADED, 0)),
    function(["avwap_day_upper", "avwap_day_upper(k)", "price", "the same plus k deviations"], &[Factor], band(&i::AVWAP_DAY, TRADED, Add)),
    function(["avwap_day_lower", "avwap_day_lower(k)", "price", "the same minus k deviations"], &[Factor], band(&i::AVWAP_DAY, TRADED, Sub)),
    function(["avwap_week", "avwap_week()", "price", "volume-weighted typical price since Monday 00:00 UTC"], &[], of(&i::AVWAP_WEEK, TRADED, 0)),
    function(["avwap_week_upper", "avwap_week_upper(k)", "price", "the same plus k deviations"], &[Factor], band(&i::AVWAP_WEEK, TRADED, Add)),
    function(["avwap_week_lower", "avwap_week_lower(k)", "price", "the same minus k deviations"], &[Factor], band(&i::AVWAP_WEEK, TRADED, Sub)),
    function(["avwap_month", "avwap_month()", "price", "volume-weighted typical price since the month began, UTC"], &[], of(&i::AVWAP_MONTH, TRADED, 0)),
    function(["avwap_month_upper", "avwap_month_upper(k)", "price", "the same plus k deviations"], &[Factor], band(&i::AVWAP_MONTH, TRADED, Add)),
    function(["avwap_month_lower", "avwap_month_lower(k)", "price", "the same minus k deviations"], &[Factor], band(&i::AVWAP_MONTH, TRADED, Sub)),
    function(["avwap_swing_low", "avwap_swing_low(l, r)", "price", "volume-weighted typical price since the last low below l bars before and r after"], &[Window, Window], of(&i::AVWAP_SWING_LOW, LOW_TRADED, 0)),
    function(["avwap_swing_low_upper", "avwap_swing_low_upper(l, r, k)", "price", "the same plus k deviations"], &[Window, Window, Factor], band(&i::AVWAP_SWING_LOW, LOW_TRADED, Add)),
    function(["avwap_swing_low_lower", "avwap_swing_low_lower(l, r, k)", "price", "the same minus k deviations"], &[Window, Window, Factor], band(&i::AVWAP_SWING_LOW, LOW_TRADED, Sub)),
    function(["avwap_swing_high", "avwap_swing_high(l, r)", "price", "volume-weighted typical price since the last high above l bars before and r after"], &[Window, Window], of(&i::AVWAP_SWING_HIGH, HIGH_TRADED, 0)),
    function(["avwap_swing_high_upper", "avwap_swing_high_upper(l, r, k)", "price", "the same plus k deviations"], &[Window, Window, Factor], band(&i::AVWAP_SWING_HIGH, HIGH_TRADED, Add)),
    function(["avwap_swing_high_lower", "avwap_swing_high_lower(l, r, k)", "price", "the same minus k deviations"], &[Window, Window, Factor], band(&i::AVWAP_SWING_HIGH, HIGH_TRADED, Sub)),
    function(["liquidity_ratio", "liquidity_ratio()", "fraction of the baseline", "share of the volume usual at this time that was traded"], &[], Body::Liquidity { output: 0 }),
    function(["liquidity_regime", "liquidity_regime()", "0, 1 or 2", "regime of that share: 0 vacuum, 1 thin, 2 normal"], &[], Body::Liquidity { output: 1 }),
];

const KELTNER_INPUTS: &[Input] = &[HIGH, LOW, CLOSE, Input::Typical];

/// The function of this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.doc.name == name)
}

/// Name of the function that gives an output of an indicator, and how many inputs it reads without being told.
pub(super) fn name_of(indicator: &Indicator, output: usize) -> (&'static str, usize) {
    let found = FUNCTIONS.iter().find_map(|function| match function.body {
        Body::Indicator { indicator: known, inputs, output: at } => {
            (known.name == indicator.name && at == output).then_some((function.doc.name, inputs.len()))
        }
        _ => None,
    });
    found.unwrap_or((indicator.name, 0))
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
