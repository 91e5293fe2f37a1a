//! Operators of one value: what the panel operators compute, for decisions at single points and for constants.
//!
//! A result is a finite number or `NaN`, as in the kernels: what has no finite value is missing.

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

fn finite(x: f64) -> f64 {
    if x.is_finite() { x } else { f64::NAN }
}

impl UnaryOp {
    pub(super) fn apply(self, x: f64) -> f64 {
        finite(match self {
            Self::Negate => -x,
            Self::Abs => x.abs(),
            // Not the system's logarithm and exponential, whose last bit depends on the machine.
            Self::Log => libm::log(x),
            Self::Exp => libm::exp(x),
            Self::Sqrt => x.sqrt(),
            Self::Sign if x > 0.0 => 1.0,
            Self::Sign if x < 0.0 => -1.0,
            Self::Sign if x == 0.0 => 0.0,
            Self::Sign => f64::NAN,
        })
    }
}

impl BinaryOp {
    pub(super) fn commutes(self) -> bool {
        !matches!(self, Self::Sub | Self::Div)
    }

    pub(super) fn apply(self, a: f64, b: f64) -> f64 {
        finite(match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Min | Self::Max if a.is_nan() || b.is_nan() => f64::NAN,
            Self::Min => {
                if a < b {
                    a
                } else {
                    b
                }
            }
            Self::Max => {
                if a > b {
                    a
                } else {
                    b
                }
            }
        })
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
