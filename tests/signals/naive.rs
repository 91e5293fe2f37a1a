//! The language once more, the slow way: one symbol at a time, recursively, on the series of its present bars.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::market::Bar;

#[derive(Debug, Clone)]
pub(crate) enum Num {
    Column(&'static str),
    Const(f64),
    Param(&'static str),
    Unary(&'static str, Box<Num>),
    Binary(&'static str, Box<Num>, Box<Num>),
    /// `(close - open) / (high - low)`: no value where the bar has no range.
    Body,
    Where(Box<Bool>, Box<Num>, Box<Num>),
    /// A function of a series and a window.
    Windowed(&'static str, Box<Num>, Window),
    Atr(Window),
    Trange,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Window {
    Bars(usize),
    Param(&'static str),
}

#[derive(Debug, Clone)]
pub(crate) enum Bool {
    Compare(&'static str, Num, Num),
    And(Box<Bool>, Box<Bool>),
    Or(Box<Bool>, Box<Bool>),
    Not(Box<Bool>),
    Cross(&'static str, Num, Num),
}

impl Window {
    fn text(self) -> String {
        match self {
            Self::Bars(bars) => bars.to_string(),
            Self::Param(name) => name.to_owned(),
        }
    }
}

impl Num {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Column(name) | Self::Param(name) => (*name).to_owned(),
            Self::Const(x) if *x < 0.0 => format!("({x})"),
            Self::Const(x) => format!("{x}"),
            Self::Unary("-", a) => format!("(-{})", a.text()),
            Self::Unary(name, a) => format!("{name}({})", a.text()),
            Self::Binary(name @ ("min" | "max"), a, b) => format!("{name}({}, {})", a.text(), b.text()),
            Self::Binary(op, a, b) => format!("({} {op} {})", a.text(), b.text()),
            Self::Body => "(close - open) / (high - low)".to_owned(),
            Self::Where(c, a, b) => format!("where({}, {}, {})", c.text(), a.text(), b.text()),
            Self::Windowed(name, a, n) => format!("{name}({}, {})", a.text(), n.text()),
            Self::Atr(n) => format!("atr({})", n.text()),
            Self::Trange => "trange()".to_owned(),
        }
    }

    /// Whether its values have no rounding that another order of operations would change.
    fn is_exact(&self) -> bool {
        match self {
            Self::Column(_) | Self::Const(_) | Self::Param(_) | Self::Body | Self::Trange => true,
            Self::Unary(name, a) => matches!(*name, "-" | "abs" | "sign") && a.is_exact(),
            Self::Binary(_, a, b) => a.is_exact() && b.is_exact(),
            Self::Where(_, a, b) => a.is_exact() && b.is_exact(),
            Self::Windowed(name, a, _) => matches!(*name, "lag" | "diff") && a.is_exact(),
            Self::Atr(_) => false,
        }
    }
}

impl Bool {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Compare(op, a, b) => format!("({} {op} {})", a.text(), b.text()),
            Self::And(a, b) => format!("({} and {})", a.text(), b.text()),
            Self::Or(a, b) => format!("({} or {})", a.text(), b.text()),
            Self::Not(a) => format!("(not {})", a.text()),
            Self::Cross(name, a, b) => format!("{name}({}, {})", a.text(), b.text()),
        }
    }
}

/// A boolean and whether nothing it read was missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth {
    pub(crate) value: bool,
    pub(crate) valid: bool,
}

/// The present bars of one symbol and the parameters in force.
pub(crate) struct Naive<'a> {
    pub(crate) bars: Vec<Bar>,
    pub(crate) params: &'a BTreeMap<String, f64>,
    /// Set when a comparison was too close to call between two ways of rounding.
    pub(crate) unsure: Cell<bool>,
}

fn finite(x: f64) -> f64 {
    if x.is_finite() { x } else { f64::NAN }
}

/// Applies `f` to the values that are there and puts the results back in their places.
fn over_values(x: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let values: Vec<f64> = x.iter().copied().filter(|x| !x.is_nan()).collect();
    let mut results = f(&values).into_iter();
    x.iter().map(|x| if x.is_nan() { f64::NAN } else { results.next().unwrap() }).collect()
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// `e += alpha (x - e)` from index `n - 1` on, seeded with the mean of the first `n`.
fn smoothed(x: &[f64], n: usize, alpha: f64) -> Vec<f64> {
    let mut e = f64::NAN;
    x.iter()
        .enumerate()
        .map(|(i, &value)| {
            if i + 1 == n {
                e = mean(&x[..n]);
            } else if i + 1 > n {
                e += alpha * (value - e);
            }
            e
        })
        .collect()
}

fn rsi(x: &[f64], n: usize) -> Vec<f64> {
    let changes: Vec<f64> = x.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let gains: Vec<f64> = changes.iter().map(|change| change.max(0.0)).collect();
    let losses: Vec<f64> = changes.iter().map(|change| (-change).max(0.0)).collect();
    let (gains, losses) = (smoothed(&gains, n, 1.0 / n as f64), smoothed(&losses, n, 1.0 / n as f64));
    let mut out: Vec<f64> = Vec::from_iter(x.first().map(|_| f64::NAN));
    out.extend(
        gains.iter().zip(&losses).map(
            |(gain, loss)| {
                if gain + loss == 0.0 { 0.0 } else { 100.0 * gain / (gain + loss) }
            },
        ),
    );
    out
}

impl Naive<'_> {
    fn window(&self, window: Window) -> usize {
        match window {
            Window::Bars(bars) => bars,
            Window::Param(name) => self.params[name] as usize,
        }
    }

    fn lagged(&self, x: &[f64], n: usize) -> Vec<f64> {
        (0..x.len()).map(|i| if i < n { f64::NAN } else { x[i - n] }).collect()
    }

    fn true_ranges(&self) -> Vec<f64> {
        let range = |i: usize| {
            let ([_, high, low, ..], close) = (self.bars[i], self.bars[i - 1][3]);
            (high - low).max((high - close).abs()).max((low - close).abs())
        };
        (0..self.bars.len()).map(|i| if i == 0 { f64::NAN } else { range(i) }).collect()
    }

    pub(crate) fn number(&self, expr: &Num) -> Vec<f64> {
        let column = |index: usize| self.bars.iter().map(|bar| bar[index]).collect::<Vec<_>>();
        match expr {
            Num::Column(name) => {
                column(["open", "high", "low", "close", "volume"].iter().position(|c| c == name).unwrap())
            }
            Num::Const(x) => vec![*x; self.bars.len()],
            Num::Param(name) => vec![self.params[*name]; self.bars.len()],
            Num::Unary(name, a) => self
                .number(a)
                .into_iter()
                .map(|x| {
                    finite(match *name {
                        "-" => -x,
                        "abs" => x.abs(),
                        "log" => x.ln(),
                        "exp" => x.exp(),
                        "sqrt" => x.sqrt(),
                        _ if x == 0.0 => 0.0,
                        _ => x.signum(),
                    })
                })
                .collect(),
            Num::Binary(op, a, b) => {
                let (a, b) = (self.number(a), self.number(b));
                a.into_iter()
                    .zip(b)
                    .map(|(a, b)| {
                        if a.is_nan() || b.is_nan() {
                            return f64::NAN;
                        }
                        finite(match *op {
                            "+" => a + b,
                            "-" => a - b,
                            "*" => a * b,
                            "/" => a / b,
                            "min" => a.min(b),
                            _ => a.max(b),
                        })
                    })
                    .collect()
            }
            Num::Body => self
                .bars
                .iter()
                .map(|[open, high, low, close, _]| finite((close - open) / (high - low)))
                .collect(),
            Num::Where(condition, a, b) => {
                let (a, b) = (self.number(a), self.number(b));
                let chosen = self.truth(condition).into_iter().zip(a.into_iter().zip(b));
                chosen
                    .map(|(truth, (a, b))| match truth {
                        Truth { valid: false, .. } => f64::NAN,
                        Truth { value: true, .. } => a,
                        Truth { value: false, .. } => b,
                    })
                    .collect()
            }
            Num::Windowed(name, a, n) => {
                let (x, n) = (self.number(a), self.window(*n));
                match *name {
                    "lag" => self.lagged(&x, n),
                    "diff" => x.iter().zip(self.lagged(&x, n)).map(|(x, before)| x - before).collect(),
                    "sma" => over_values(&x, |x| {
                        (0..x.len())
                            .map(|i| if i + 1 < n { f64::NAN } else { mean(&x[i + 1 - n..=i]) })
                            .collect()
                    }),
                    "ema" => over_values(&x, |x| smoothed(x, n, 2.0 / (n as f64 + 1.0))),
                    "ewm" => over_values(&x, |x| smoothed(x, 1, 2.0 / (n as f64 + 1.0))),
                    "rsi" => over_values(&x, |x| rsi(x, n)),
                    other => panic!("no naive twin of {other}"),
                }
            }
            Num::Trange => self.true_ranges(),
            Num::Atr(n) => {
                let n = self.window(*n);
                over_values(&self.true_ranges(), |x| smoothed(x, n, 1.0 / n as f64))
            }
        }
    }

    pub(crate) fn truth(&self, expr: &Bool) -> Vec<Truth> {
        match expr {
            Bool::Compare(op, a, b) => {
                let exact = a.is_exact() && b.is_exact() || a.text() == b.text();
                self.compare(op, &self.number(a), &self.number(b), exact)
            }
            Bool::And(a, b) => pairs(self.truth(a), self.truth(b), |a, b| a && b),
            Bool::Or(a, b) => pairs(self.truth(a), self.truth(b), |a, b| a || b),
            Bool::Not(a) => {
                self.truth(a).into_iter().map(|t| Truth { value: !t.value, valid: t.valid }).collect()
            }
            Bool::Cross(name, a, b) => {
                let exact = a.is_exact() && b.is_exact() || a.text() == b.text();
                let (mut a, mut b) = (self.number(a), self.number(b));
                if *name == "cross_under" {
                    std::mem::swap(&mut a, &mut b);
                }
                let now = self.compare(">", &a, &b, exact);
                let before = self.compare("<=", &self.lagged(&a, 1), &self.lagged(&b, 1), exact);
                pairs(now, before, |now, before| now && before)
            }
        }
    }

    fn compare(&self, op: &str, a: &[f64], b: &[f64], exact: bool) -> Vec<Truth> {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-7 * a.abs().max(b.abs()).max(1.0);
        a.iter()
            .zip(b)
            .map(|(&a, &b)| {
                if !exact && close(a, b) {
                    self.unsure.set(true);
                }
                let value = match op {
                    "<" => a < b,
                    "<=" => a <= b,
                    ">" => a > b,
                    ">=" => a >= b,
                    "==" => a == b,
                    _ => a != b,
                };
                Truth { value, valid: !a.is_nan() && !b.is_nan() }
            })
            .collect()
    }
}

fn pairs(a: Vec<Truth>, b: Vec<Truth>, f: impl Fn(bool, bool) -> bool) -> Vec<Truth> {
    let join = |(a, b): (Truth, Truth)| Truth { value: f(a.value, b.value), valid: a.valid && b.valid };
    a.into_iter().zip(b).map(join).collect()
}
