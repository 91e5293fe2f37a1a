//! Operators of one value. The panel operators are loops over these, and decisions at single points call them
//! directly, so a value has the same bits wherever it is computed.

/// Operators of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum UnaryOp {
    Negate,
    Abs,
    Log,
    Exp,
    Sqrt,
    Sign,
}

/// Operators of two numbers; a `NaN` on either side gives `NaN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
}

/// Comparisons of two numbers; all are false where either side is `NaN`, `Ne` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Comparison {
    Lt,
    Le,
    Eq,
    Ne,
}

/// Natural logarithm, exponential: not the system's, whose bits depend on the machine.
pub(super) fn log(x: f64) -> f64 {
    libm::log(x)
}

pub(super) fn exp(x: f64) -> f64 {
    libm::exp(x)
}

#[inline(always)]
pub(super) fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else if x == 0.0 {
        0.0
    } else {
        f64::NAN
    }
}

#[inline(always)]
pub(super) fn min(a: f64, b: f64) -> f64 {
    if a < b {
        a
    } else if b <= a {
        b
    } else {
        f64::NAN
    }
}

#[inline(always)]
pub(super) fn max(a: f64, b: f64) -> f64 {
    if a > b {
        a
    } else if b >= a {
        b
    } else {
        f64::NAN
    }
}

impl UnaryOp {
    pub(super) fn apply(self, x: f64) -> f64 {
        match self {
            Self::Negate => -x,
            Self::Abs => x.abs(),
            Self::Log => log(x),
            Self::Exp => exp(x),
            Self::Sqrt => x.sqrt(),
            Self::Sign => sign(x),
        }
    }
}

impl BinaryOp {
    pub(super) fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Min => min(a, b),
            Self::Max => max(a, b),
        }
    }
}

impl Comparison {
    pub(super) fn apply(self, a: f64, b: f64) -> bool {
        match self {
            Self::Lt => a < b,
            Self::Le => a <= b,
            Self::Eq => a == b,
            Self::Ne => a < b || b < a,
        }
    }
}
