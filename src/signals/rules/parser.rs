//! Tokens to a tree: operator precedence by binding power (Pratt).
//!
//! Loosest first: `or`, `and`, `not`, comparisons (which do not chain), `+ -`, `* /`, unary minus.

use super::ast::{ArithmeticOp, Ast, AstKind, CompareOp};
use super::fault::{Fault, Span};
use super::functions::{self, Function};
use super::lexer::{Token, TokenKind, tokens};
use crate::error::nearest;

/// Deepest tree that is accepted: far beyond any rule, well within a thread's stack.
const MAX_DEPTH: usize = 200;

const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const COMPARE: u8 = 4;
const SUM: u8 = 5;
const PRODUCT: u8 = 6;
const NEGATE: u8 = 7;

pub(super) fn parse(text: &str) -> Result<Ast, Fault> {
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, nesting: 0 };
    let root = parser.expression(0)?;
    let token = parser.peek();
    match token.kind {
        TokenKind::End => Ok(root),
        _ => Err(parser.unexpected(token, "an operator or the end of the expression")),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    nesting: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Token {
        self.tokens[self.at]
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at];
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn written(&self, span: Span) -> &str {
        &self.text[span.start..span.end]
    }

    fn unexpected(&self, token: Token, expected: &str) -> Fault {
        let found = match token.kind {
            TokenKind::End => "the end of the expression".to_owned(),
            _ => format!("`{}`", self.written(token.span)),
        };
        let fault = Fault::new(token.span, found, expected);
        match token.kind {
            TokenKind::Assign => fault.fix("write `==` to compare"),
            _ => fault,
        }
    }

    fn too_deep(at: Span) -> Fault {
        Fault::new(at, "a deeply nested expression", format!("at most {MAX_DEPTH} levels"))
            .fix("split it or shorten it")
    }

    fn node(&self, start: usize, end: usize, kind: AstKind) -> Result<Ast, Fault> {
        let below = match &kind {
            AstKind::Number(_) | AstKind::Name(_) | AstKind::Text(_) => 0,
            AstKind::Call(_, args) => args.iter().map(|arg| arg.depth).max().unwrap_or(0),
            AstKind::Negate(a) | AstKind::Not(a) => a.depth,
            AstKind::Arithmetic(_, a, b)
            | AstKind::Compare(_, a, b)
            | AstKind::And(a, b)
            | AstKind::Or(a, b) => a.depth.max(b.depth),
        };
        let span = Span { start, end };
        if below >= MAX_DEPTH { Err(Self::too_deep(span)) } else { Ok(Ast { span, kind, depth: below + 1 }) }
    }

    fn expression(&mut self, min_power: u8) -> Result<Ast, Fault> {
        self.nesting += 1;
        if self.nesting > MAX_DEPTH {
            return Err(Self::too_deep(self.peek().span));
        }
        let mut left = self.operand()?;
        loop {
            let operator = self.peek();
            let Some(power) = binding_power(operator.kind) else { break };
            if power < min_power {
                break;
            }
            self.next();
            let right = self.expression(power + 1)?;
            if power == COMPARE && binding_power(self.peek().kind) == Some(COMPARE) {
                let token = self.peek();
                return Err(self
                    .unexpected(token, "one comparison at a time")
                    .fix("write `a < b and b < c` for `a < b < c`"));
            }
            let (start, end) = (left.span.start, right.span.end);
            left = self.node(start, end, combine(operator.kind, Box::new(left), Box::new(right)))?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Ast, Fault> {
        let token = self.next();
        let Span { start, end } = token.span;
        match token.kind {
            TokenKind::Number(value) => self.node(start, end, AstKind::Number(value)),
            TokenKind::Name => {
                let name = self.written(token.span).to_owned();
                if self.peek().kind == TokenKind::LeftParen {
                    self.call(token.span, name)
                } else {
                    self.node(start, end, AstKind::Name(name))
                }
            }
            TokenKind::Text => {
                let text = self.text[start + 1..end - 1].to_owned();
                self.node(start, end, AstKind::Text(text))
            }
            TokenKind::LeftParen => {
                let inner = self.expression(0)?;
                let close = self.next();
                if close.kind != TokenKind::RightParen {
                    return Err(self.unexpected(close, "`)` or an operator"));
                }
                // The span covers the parentheses, so that a marked column is where the operand begins.
                Ok(Ast { span: Span { start, end: close.span.end }, ..inner })
            }
            TokenKind::Minus => {
                let operand = self.expression(NEGATE)?;
                let end = operand.span.end;
                self.node(start, end, AstKind::Negate(Box::new(operand)))
            }
            TokenKind::Not => {
                let operand = self.expression(NOT)?;
                let end = operand.span.end;
                self.node(start, end, AstKind::Not(Box::new(operand)))
            }
            _ => Err(self.unexpected(token, "a number, a column, a parameter or a function")),
        }
    }

    fn call(&mut self, name_span: Span, name: String) -> Result<Ast, Fault> {
        self.next();
        let mut args = Vec::new();
        let mut close = self.peek();
        if close.kind == TokenKind::RightParen {
            self.next();
        } else {
            loop {
                let name = self.argument_name();
                args.push((name, self.expression(0)?));
                close = self.next();
                match close.kind {
                    TokenKind::Comma => {}
                    TokenKind::RightParen => break,
                    _ => return Err(self.unexpected(close, "`,` or `)`")),
                }
            }
        }
        let span = Span { start: name_span.start, end: close.span.end };
        // Of an unknown function the type check has more to say than about its arguments.
        let args = match functions::find(&name) {
            Some(function) => self.in_order(function, args, span)?,
            None => args.into_iter().map(|(_, arg)| arg).collect(),
        };
        self.node(span.start, span.end, AstKind::Call(name, args))
    }

    /// The name before an argument, as in `ema(close, n = 20)`.
    fn argument_name(&mut self) -> Option<Span> {
        let named = self.peek().kind == TokenKind::Name
            && self.tokens.get(self.at + 1).is_some_and(|token| token.kind == TokenKind::Assign);
        named.then(|| {
            let name = self.next();
            self.next();
            name.span
        })
    }

    /// Arguments in the order of the function's signature.
    fn in_order(
        &self,
        function: &Function,
        args: Vec<(Option<Span>, Ast)>,
        call: Span,
    ) -> Result<Vec<Ast>, Fault> {
        let signature = function.doc.signature;
        let names = function.argument_names();
        let mut places: Vec<Option<Ast>> = vec![None; names.len()];
        let mut last_named = None;
        for (index, (name, arg)) in args.into_iter().enumerate() {
            let Some(span) = name else {
                if last_named.is_some() {
                    return Err(Fault::new(arg.span, "an argument without a name after one with", signature));
                }
                // One too many is counted by the type check.
                places.resize(places.len().max(index + 1), None);
                places[index] = Some(arg);
                continue;
            };
            last_named = Some(span);
            let written = self.written(span);
            let Some(place) = names.iter().position(|known| *known == written) else {
                let fault = Fault::new(span, format!("unknown argument `{written}`"), signature);
                return Err(match nearest(written, names.iter().copied()) {
                    Some(known) => fault.fix(format!("did you mean `{known}`?")),
                    None => fault,
                });
            };
            if places[place].replace(arg).is_some() {
                return Err(Fault::new(span, format!("argument `{written}` twice"), signature));
            }
        }
        while places.last().is_some_and(Option::is_none) {
            places.pop();
        }
        let missing = places.iter().position(Option::is_none);
        match missing {
            Some(place) => {
                let name = function.doc.name;
                Err(Fault::new(call, format!("`{name}` without `{}`", names[place]), signature))
            }
            None => Ok(places.into_iter().flatten().collect()),
        }
    }
}

fn binding_power(kind: TokenKind) -> Option<u8> {
    Some(match kind {
        TokenKind::Or => OR,
        TokenKind::And => AND,
        TokenKind::Less
        | TokenKind::LessEqual
        | TokenKind::Greater
        | TokenKind::GreaterEqual
        | TokenKind::Equal
        | TokenKind::NotEqual => COMPARE,
        TokenKind::Plus | TokenKind::Minus => SUM,
        TokenKind::Star | TokenKind::Slash => PRODUCT,
        _ => return None,
    })
}

/// The node of a binary operator; only called for kinds that have a [`binding_power`].
fn combine(operator: TokenKind, a: Box<Ast>, b: Box<Ast>) -> AstKind {
    match operator {
        TokenKind::Or => AstKind::Or(a, b),
        TokenKind::And => AstKind::And(a, b),
        TokenKind::Less => AstKind::Compare(CompareOp::Less, a, b),
        TokenKind::LessEqual => AstKind::Compare(CompareOp::LessEqual, a, b),
        TokenKind::Greater => AstKind::Compare(CompareOp::Greater, a, b),
        TokenKind::GreaterEqual => AstKind::Compare(CompareOp::GreaterEqual, a, b),
        TokenKind::Equal => AstKind::Compare(CompareOp::Equal, a, b),
        TokenKind::NotEqual => AstKind::Compare(CompareOp::NotEqual, a, b),
        TokenKind::Plus => AstKind::Arithmetic(ArithmeticOp::Add, a, b),
        TokenKind::Minus => AstKind::Arithmetic(ArithmeticOp::Sub, a, b),
        TokenKind::Star => AstKind::Arithmetic(ArithmeticOp::Mul, a, b),
        _ => AstKind::Arithmetic(ArithmeticOp::Div, a, b),
    }
}
