//! The expression tree as written; every node knows the span of text it came from.

use super::fault::{Origin, Span};

/// A parsed expression: a rule, a distance, a feature or a constraint of a sweep.
///
/// ```
/// let expr = barloom::signals::parse_expr("ema(close, fast) > ema(close, slow)")?;
/// assert_eq!(expr.text(), "ema(close, fast) > ema(close, slow)");
/// # Ok::<(), barloom::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub(super) origin: Origin,
    pub(super) root: Ast,
}

impl Expr {
    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.origin.text
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ast {
    pub(super) span: Span,
    pub(super) kind: AstKind,
    /// Levels below and including this one.
    pub(super) depth: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum AstKind {
    Number(f64),
    Name(String),
    /// A quoted text, as `"BTCUSDT"`.
    Text(String),
    Call(String, Vec<Ast>),
    Negate(Box<Ast>),
    Not(Box<Ast>),
    Arithmetic(ArithmeticOp, Box<Ast>, Box<Ast>),
    Compare(CompareOp, Box<Ast>, Box<Ast>),
    And(Box<Ast>, Box<Ast>),
    Or(Box<Ast>, Box<Ast>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArithmeticOp {
    Add,
    Sub,
    Mul,
    Div,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompareOp {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
}
