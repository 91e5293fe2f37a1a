//! A typed tree with bound parameters to nodes of the graph.

use std::collections::BTreeMap;

use super::ast::{ArithmeticOp, Ast, AstKind, CompareOp};
use super::columns::Column;
use super::fault::Fault;
use super::functions::{self, Arg, Body};
use super::graph::{Graph, NodeId, Truth};
use super::scalar::{BinaryOp, Comparison, UnaryOp};
use crate::market::Market;

/// Value of an expression in the graph.
pub(super) enum Value {
    Number(NodeId),
    Bool(Truth),
}

/// Binds expressions that [`super::check::Scope`] has accepted with the same names.
pub(super) struct Binder<'a> {
    pub(super) graph: &'a mut Graph,
    pub(super) params: &'a BTreeMap<String, f64>,
    /// The market that is read; none for expressions without columns.
    pub(super) market: Option<&'a Market>,
    /// The text that is bound, for messages.
    pub(super) text: &'a str,
}

const TYPED: &str = "types are checked before binding";

impl Binder<'_> {
    pub(super) fn value(&mut self, ast: &Ast) -> Result<Value, Fault> {
        Ok(match &ast.kind {
            AstKind::Number(x) => Value::Number(self.graph.constant(*x)),
            AstKind::Name(name) => Value::Number(self.name(ast, name)?),
            AstKind::Call(name, args) => self.call(ast, name, args)?,
            AstKind::Negate(a) => {
                let a = self.number(a)?;
                Value::Number(self.graph.unary(UnaryOp::Negate, a))
            }
            AstKind::Arithmetic(op, a, b) => {
                let op = match op {
                    ArithmeticOp::Add => BinaryOp::Add,
                    ArithmeticOp::Sub => BinaryOp::Sub,
                    ArithmeticOp::Mul => BinaryOp::Mul,
                    ArithmeticOp::Div => BinaryOp::Div,
                };
                let (a, b) = (self.number(a)?, self.number(b)?);
                Value::Number(self.graph.binary(op, a, b))
            }
            AstKind::Compare(op, a, b) => {
                let (a, b) = (self.number(a)?, self.number(b)?);
                Value::Bool(match op {
                    CompareOp::Less => self.graph.compare(Comparison::Lt, a, b),
                    CompareOp::LessEqual => self.graph.compare(Comparison::Le, a, b),
                    CompareOp::Greater => self.graph.compare(Comparison::Lt, b, a),
                    CompareOp::GreaterEqual => self.graph.compare(Comparison::Le, b, a),
                    CompareOp::Equal => self.graph.compare(Comparison::Eq, a, b),
                    CompareOp::NotEqual => self.graph.compare(Comparison::Ne, a, b),
                })
            }
            AstKind::Not(a) => {
                let a = self.truth(a)?;
                Value::Bool(self.graph.not(a))
            }
            AstKind::And(a, b) => {
                let (a, b) = (self.truth(a)?, self.truth(b)?);
                Value::Bool(self.graph.and(a, b))
            }
            AstKind::Or(a, b) => {
                let (a, b) = (self.truth(a)?, self.truth(b)?);
                Value::Bool(self.graph.or(a, b))
            }
        })
    }

    /// # Panics
    /// When the expression is a boolean.
    pub(super) fn number(&mut self, ast: &Ast) -> Result<NodeId, Fault> {
        match self.value(ast)? {
            Value::Number(node) => Ok(node),
            Value::Bool(_) => unreachable!("{TYPED}"),
        }
    }

    /// # Panics
    /// When the expression is a number.
    pub(super) fn truth(&mut self, ast: &Ast) -> Result<Truth, Fault> {
        match self.value(ast)? {
            Value::Bool(truth) => Ok(truth),
            Value::Number(_) => unreachable!("{TYPED}"),
        }
    }

    fn name(&mut self, ast: &Ast, name: &str) -> Result<NodeId, Fault> {
        if let Some(value) = self.params.get(name) {
            return Ok(self.graph.constant(*value));
        }
        let column = Column::find(name).expect(TYPED);
        if !self.market.is_some_and(|market| column.is_in(market)) {
            return Err(Fault::new(ast.span, format!("column `{name}`"), "a column this data has")
                .fix(format!("add `{name}` to the data files or leave it out of the rule")));
        }
        Ok(self.graph.column(column))
    }

    fn call(&mut self, ast: &Ast, name: &str, args: &[Ast]) -> Result<Value, Fault> {
        let function = functions::find(name).expect(TYPED);
        let number = match function.body {
            Body::Unary(op) => {
                let a = self.number(&args[0])?;
                self.graph.unary(op, a)
            }
            Body::Binary(op) => {
                let (a, b) = (self.number(&args[0])?, self.number(&args[1])?);
                self.graph.binary(op, a, b)
            }
            Body::Where => {
                let condition = self.truth(&args[0])?;
                let (yes, no) = (self.number(&args[1])?, self.number(&args[2])?);
                self.graph.choose(&condition, yes, no)
            }
            Body::Lag => {
                let a = self.number(&args[0])?;
                self.lag(a, args.get(1))?
            }
            Body::Diff => {
                let a = self.number(&args[0])?;
                let before = self.lag(a, args.get(1))?;
                self.graph.binary(BinaryOp::Sub, a, before)
            }
            Body::CrossOver | Body::CrossUnder => {
                let (a, b) = (self.number(&args[0])?, self.number(&args[1])?);
                let (low, high) = if matches!(function.body, Body::CrossOver) { (b, a) } else { (a, b) };
                let now = self.graph.compare(Comparison::Lt, low, high);
                // A constant was the same a bar ago, and whether there was such a bar the other side knows.
                let moves = |graph: &Graph, side| graph.constant_of(side).is_none();
                let (low_moves, high_moves) = (moves(self.graph, low), moves(self.graph, high));
                let low = if low_moves || !high_moves { self.graph.lag(low, 1) } else { low };
                let high = if high_moves { self.graph.lag(high, 1) } else { high };
                let before = self.graph.compare(Comparison::Le, high, low);
                return Ok(Value::Bool(self.graph.and(now, before)));
            }
            Body::Kernel(kernel, columns) => {
                let mut inputs = Vec::with_capacity(4);
                for column in columns {
                    inputs.push(self.graph.column(*column));
                }
                let mut windows = Vec::with_capacity(4);
                let mut beyond = false;
                for (arg, kind) in args.iter().zip(function.args) {
                    match kind {
                        Arg::Window | Arg::Speed => {
                            let bars = self.window(arg)?;
                            beyond |= *kind == Arg::Window && bars > self.bars();
                            windows.push(bars);
                        }
                        _ => inputs.push(self.number(arg)?),
                    }
                }
                if beyond {
                    self.graph.constant(f64::NAN)
                } else {
                    self.graph.kernel(kernel, &inputs, &windows)
                }
            }
        };
        debug_assert!(ast.span.end > ast.span.start);
        Ok(Value::Number(number))
    }

    /// Bars of the market: a longer window never has a value, and must not take memory for it.
    fn bars(&self) -> usize {
        self.market.map_or(0, |market| market.grid.bars)
    }

    fn lag(&mut self, a: NodeId, bars: Option<&Ast>) -> Result<NodeId, Fault> {
        let bars = bars.map_or(Ok(1), |ast| self.window(ast))?;
        Ok(if bars > self.bars() { self.graph.constant(f64::NAN) } else { self.graph.lag(a, bars) })
    }

    fn window(&mut self, ast: &Ast) -> Result<usize, Fault> {
        let node = self.number(ast)?;
        let value = self.graph.constant_of(node).expect(TYPED);
        // 2^53: whole numbers are exact up to there.
        if value >= 1.0 && value.fract() == 0.0 && value <= 9_007_199_254_740_992.0 {
            return Ok(value as usize);
        }
        let found = match &ast.kind {
            AstKind::Number(_) => format!("window {value}"),
            _ => format!("window {} = {value}", &self.text[ast.span.start..ast.span.end]),
        };
        Err(Fault::new(ast.span, found, "a whole number of bars, at least 1"))
    }
}
