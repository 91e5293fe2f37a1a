//! A typed tree with bound parameters to nodes of the graph.

use std::collections::BTreeMap;

use super::ast::{ArithmeticOp, Ast, AstKind, CompareOp};
use super::columns::Column;
use super::fault::Fault;
use super::frames;
use super::functions::{self, Arg, Body, Input};
use super::graph::{Graph, NodeId, Truth};
use super::indicators::{Indicator, MAX_INPUTS};
use super::scalar::{BinaryOp, Comparison, UnaryOp};
use crate::error::nearest;
use crate::liquidity::RegimePlan;
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
    /// How liquidity is computed.
    pub(super) regimes: &'a RegimePlan,
    /// The text that is bound, for messages.
    pub(super) text: &'a str,
}

/// Inputs and parameters of an indicator.
type BoundCall = (Vec<NodeId>, Vec<f64>);

const TYPED: &str = "types are checked before binding";

impl Binder<'_> {
    pub(super) fn value(&mut self, ast: &Ast) -> Result<Value, Fault> {
        Ok(match &ast.kind {
            AstKind::Number(x) => Value::Number(self.graph.constant(*x)),
            AstKind::Text(_) => unreachable!("{TYPED}"),
            AstKind::Name(name) => Value::Number(self.name(ast, name)?),
            AstKind::Call(name, args) => self.call(name, args)?,
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

    fn call(&mut self, name: &str, args: &[Ast]) -> Result<Value, Fault> {
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
            Body::OfSymbol => return self.of_symbol(&args[0], &args[1]),
            Body::OfFrame => return self.of_frame(&args[0], &args[1]),
            Body::CrossOver | Body::CrossUnder => {
                let (a, b) = (self.number(&args[0])?, self.number(&args[1])?);
                let (low, high) = if matches!(function.body, Body::CrossOver) { (b, a) } else { (a, b) };
                return Ok(Value::Bool(self.graph.crossing(low, high)));
            }
            Body::Indicator { indicator, inputs, output } => {
                match self.indicator_call(indicator, inputs, function.args, args)? {
                    Some((inputs, params)) => self.graph.indicator(indicator, &inputs, &params, output),
                    None => self.graph.constant(f64::NAN),
                }
            }
            Body::Liquidity { output } => self.liquidity(output),
            Body::Band { indicator, inputs, side } => {
                let Some((inputs, params)) = self.indicator_call(indicator, inputs, function.args, args)?
                else {
                    return Ok(Value::Number(self.graph.constant(f64::NAN)));
                };
                // The width is no parameter of the line and its deviation, which all bands share.
                let (width, params) = params.split_last().expect(TYPED);
                let line = self.graph.indicator(indicator, &inputs, params, 0);
                let deviation = self.graph.indicator(indicator, &inputs, params, 1);
                let width = self.graph.constant(*width);
                let away = self.graph.binary(BinaryOp::Mul, deviation, width);
                self.graph.binary(side, line, away)
            }
        };
        Ok(Value::Number(number))
    }

    /// `x` at one symbol, for all symbols.
    fn of_symbol(&mut self, symbol: &Ast, x: &Ast) -> Result<Value, Fault> {
        let market = self.market.expect(TYPED);
        let name = text_of(symbol);
        let Some(id) = market.symbol_id(name) else {
            let fault = Fault::new(symbol.span, format!("symbol `{name}`"), "a symbol of this universe");
            let known = market.symbols.iter().map(|symbol| symbol.name.as_str());
            return Err(match nearest(name, known) {
                Some(known) => fault.fix(format!("did you mean `{known}`?")),
                None => fault.fix("add its files to the data and its name to universe.symbols"),
            });
        };
        let value = self.value(x)?;
        Ok(self.through(value, |graph, x| graph.of_symbol(x, id)))
    }

    /// `x` over longer bars, bound in the graph of those.
    fn of_frame(&mut self, bar: &Ast, x: &Ast) -> Result<Value, Fault> {
        let market = self.market.expect(TYPED);
        let step_ms = frames::bar_ms(text_of(bar)).expect(TYPED);
        if step_ms % market.grid.step_ms != 0 {
            let found = format!("bars of {}", text_of(bar));
            return Err(Fault::new(bar.span, found, "bars that are whole multiples of the data's"));
        }
        let (frame, mut inner) = self.graph.take_frame(step_ms);
        let mut binder = Binder {
            graph: &mut inner,
            params: self.params,
            regimes: self.regimes,
            market: self.market,
            text: self.text,
        };
        let bound = binder.value(x).map(|value| match value {
            Value::Number(node) => (node, false),
            Value::Bool(truth) => (inner.as_number(&truth), true),
        });
        self.graph.put_frame(frame, inner);
        let (node, boolean) = bound?;
        let node = self.graph.of_frame(frame, node);
        Ok(if boolean { Value::Bool(self.graph.is_positive(node)) } else { Value::Number(node) })
    }

    /// A number through an operator; a boolean as 1 and 0 through it.
    fn through(&mut self, value: Value, op: impl FnOnce(&mut Graph, NodeId) -> NodeId) -> Value {
        match value {
            Value::Number(node) => Value::Number(op(self.graph, node)),
            Value::Bool(truth) => {
                let node = self.graph.as_number(&truth);
                let node = op(self.graph, node);
                Value::Bool(self.graph.is_positive(node))
            }
        }
    }

    /// Inputs and parameters of an indicator; `None` when a window is longer than the data, so that there is no value.
    fn indicator_call(
        &mut self,
        indicator: &'static Indicator,
        own_inputs: &[Input],
        kinds: &[Arg],
        args: &[Ast],
    ) -> Result<Option<BoundCall>, Fault> {
        let mut inputs = Vec::with_capacity(MAX_INPUTS);
        for input in own_inputs {
            inputs.push(self.input(*input));
        }
        let mut params = Vec::new();
        let mut beyond = false;
        for (arg, kind) in args.iter().zip(kinds) {
            match kind {
                Arg::Window | Arg::Speed => {
                    let bars = self.window(arg)?;
                    beyond |= *kind == Arg::Window && bars > self.bars();
                    params.push(bars as f64);
                }
                Arg::Factor | Arg::Percent => params.push(self.factor(arg, *kind)?),
                Arg::Number | Arg::Series => inputs.push(self.number(arg)?),
                Arg::Condition | Arg::Text | Arg::Columns => unreachable!("no indicator reads one"),
            }
        }
        assert!(inputs.len() <= MAX_INPUTS, "{} has too many inputs", indicator.name);
        Ok((!beyond).then_some((inputs, params)))
    }

    fn input(&mut self, input: Input) -> NodeId {
        match input {
            Input::Column(column) => self.graph.column(column),
            Input::Typical => {
                let columns = [Column::High, Column::Low, Column::Close];
                let [high, low, close] = columns.map(|column| self.graph.column(column));
                let sum = self.graph.binary(BinaryOp::Add, high, low);
                let sum = self.graph.binary(BinaryOp::Add, sum, close);
                let three = self.graph.constant(3.0);
                self.graph.binary(BinaryOp::Div, sum, three)
            }
        }
    }

    fn factor(&mut self, ast: &Ast, kind: Arg) -> Result<f64, Fault> {
        let node = self.number(ast)?;
        let value = self.graph.constant_of(node).expect(TYPED);
        match kind {
            Arg::Percent if !(0.0..=100.0).contains(&value) => {
                Err(Fault::new(ast.span, self.bound_text(ast, "percentile", value), "a number from 0 to 100"))
            }
            _ if value.is_nan() => {
                Err(Fault::new(ast.span, self.bound_text(ast, "factor", value), "a finite number"))
            }
            _ => Ok(value),
        }
    }

    /// An argument as written and as bound.
    fn bound_text(&self, ast: &Ast, what: &str, value: f64) -> String {
        match &ast.kind {
            AstKind::Number(_) => format!("{what} {value}"),
            _ => format!("{what} {} = {value}", &self.text[ast.span.start..ast.span.end]),
        }
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
        let found = self.bound_text(ast, "window", value);
        Err(Fault::new(ast.span, found, "a whole number of bars, at least 1"))
    }
}

/// The text of a quoted argument.
fn text_of(ast: &Ast) -> &str {
    match &ast.kind {
        AstKind::Text(text) => text,
        _ => unreachable!("{TYPED}"),
    }
}
