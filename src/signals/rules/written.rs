//! A node of the graph as text, with its parameters bound: for manifests.

use super::columns::COLUMNS;
use super::graph::{Graph, NodeId, Op};
use super::scalar::{BinaryOp, Comparison, UnaryOp};
use super::{frames, functions};
use crate::market::Market;

/// The expression of a node; long ones are cut.
pub(super) fn written(graph: &Graph, node: NodeId, market: &Market) -> String {
    const LONGEST: usize = 160;
    let mut text = String::new();
    Writer { graph, market }.write(node, &mut text, LONGEST);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

struct Writer<'a> {
    graph: &'a Graph,
    market: &'a Market,
}

impl Writer<'_> {
    fn write(&self, node: NodeId, text: &mut String, longest: usize) {
        // What is shared in the graph is written out again and again: not beyond what is shown.
        if text.len() > longest {
            return;
        }
        let call = |name: &str, args: &[NodeId], text: &mut String| {
            text.push_str(name);
            self.list(args, &[], text, longest);
        };
        let infix = |a: NodeId, sign: &str, b: NodeId, text: &mut String| {
            text.push('(');
            self.write(a, text, longest);
            text.push_str(sign);
            self.write(b, text, longest);
            text.push(')');
        };
        match &self.graph.nodes()[node.index()] {
            Op::Column(column) => {
                let name = COLUMNS.iter().find(|(_, known)| known == column).map_or("?", |(name, _)| name);
                text.push_str(name);
            }
            Op::Const(bits) => text.push_str(&f64::from_bits(*bits).to_string()),
            Op::Unary(op, a) => {
                let name = match op {
                    UnaryOp::Negate => "-",
                    UnaryOp::Abs => "abs",
                    UnaryOp::Log => "log",
                    UnaryOp::Exp => "exp",
                    UnaryOp::Sqrt => "sqrt",
                    UnaryOp::Sign => "sign",
                };
                call(name, &[*a], text);
            }
            Op::Binary(op, a, b) => match op {
                BinaryOp::Add => infix(*a, " + ", *b, text),
                BinaryOp::Sub => infix(*a, " - ", *b, text),
                BinaryOp::Mul => infix(*a, " * ", *b, text),
                BinaryOp::Div => infix(*a, " / ", *b, text),
                BinaryOp::Min => call("min", &[*a, *b], text),
                BinaryOp::Max => call("max", &[*a, *b], text),
            },
            Op::Where { value, yes, no, .. } => call("where", &[*value, *yes, *no], text),
            Op::Lag(a, bars) => {
                text.push_str("lag");
                self.list(&[*a], &[*bars as f64], text, longest);
            }
            Op::Indicator(..) => self.indicator(node, 0, text, longest),
            Op::Part(indicator, output) => self.indicator(*indicator, *output, text, longest),
            Op::OfSymbol(a, symbol) => {
                text.push_str(&format!("of(\"{}\", ", self.market.symbols[*symbol].name));
                self.write(*a, text, longest);
                text.push(')');
            }
            Op::OfFrame(frame, inner) => {
                let frame = &self.graph.frames()[*frame];
                text.push_str(&format!("tf(\"{}\", ", frames::bar_name(frame.step_ms)));
                Writer { graph: &frame.graph, market: self.market }.write(*inner, text, longest);
                text.push(')');
            }
            Op::Present => text.push_str("present"),
            Op::Compare(comparison, a, b) => {
                let sign = match comparison {
                    Comparison::Lt => " < ",
                    Comparison::Le => " <= ",
                    Comparison::Eq => " == ",
                    Comparison::Ne => " != ",
                };
                infix(*a, sign, *b, text);
            }
            Op::And(a, b) => infix(*a, " and ", *b, text),
            Op::Or(a, b) => infix(*a, " or ", *b, text),
            Op::Not(a) => call("not ", &[*a], text),
            Op::LagMask(a) => call("lag", &[*a], text),
        }
    }

    /// Arguments in parentheses: nodes, then numbers.
    fn list(&self, args: &[NodeId], params: &[f64], text: &mut String, longest: usize) {
        text.push('(');
        for (index, &arg) in args.iter().enumerate() {
            text.push_str(if index > 0 { ", " } else { "" });
            self.write(arg, text, longest);
        }
        for (index, param) in params.iter().enumerate() {
            text.push_str(if index + args.len() > 0 { ", " } else { "" });
            text.push_str(&param.to_string());
        }
        text.push(')');
    }

    /// An output of an indicator by the name of the function that gives it.
    fn indicator(&self, node: NodeId, output: usize, text: &mut String, longest: usize) {
        let Op::Indicator(indicator, inputs, params) = &self.graph.nodes()[node.index()] else {
            unreachable!("parts are of indicators");
        };
        let (name, own_inputs) = functions::name_of(indicator.0, output);
        text.push_str(name);
        let params: Vec<f64> = params.iter().map(|&bits| f64::from_bits(bits)).collect();
        self.list(&inputs[own_inputs.min(inputs.len())..], &params, text, longest);
    }
}
