//! Types of an expression before anything is bound: numbers that are constant, numbers that come from columns, and
//! booleans. Names are resolved here, so that binding cannot meet an unknown one.

use super::ast::{Ast, AstKind};
use super::columns::{COLUMNS, Column};
use super::fault::Fault;
use super::frames;
use super::functions::{self, Arg, Body, Function};
use crate::error::nearest;

/// Type of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// A number without columns.
    Constant,
    /// A number per bar and symbol.
    Series,
    /// A boolean; `constant` when it reads no column.
    Bool {
        /// Reads no column.
        constant: bool,
    },
    /// A quoted text.
    Text,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Constant => "a constant number",
            Self::Series => "a number",
            Self::Bool { .. } => "a boolean",
            Self::Text => "a text",
        }
    }
    fn is_constant(self) -> bool {
        matches!(self, Self::Constant | Self::Bool { constant: true })
    }
}

/// The names an expression may use.
pub(super) struct Scope<'a> {
    /// Parameter names.
    pub(super) params: Vec<&'a str>,
    /// Whether it may read columns; a sweep's constraint may not.
    pub(super) columns: bool,
}

impl Scope<'_> {
    /// Type of `ast`, or the first fault in it.
    pub(super) fn type_of(&self, ast: &Ast) -> Result<Type, Fault> {
        match &ast.kind {
            AstKind::Number(_) => Ok(Type::Constant),
            AstKind::Text(_) => Ok(Type::Text),
            AstKind::Name(name) => self.name(ast, name),
            AstKind::Call(name, args) => self.call(ast, name, args),
            AstKind::Negate(a) => self.number(a),
            AstKind::Not(a) => self.boolean(a),
            AstKind::Arithmetic(_, a, b) => Ok(both_numbers(self.number(a)?, self.number(b)?)),
            AstKind::Compare(_, a, b) => {
                let constant = both_numbers(self.number(a)?, self.number(b)?).is_constant();
                Ok(Type::Bool { constant })
            }
            AstKind::And(a, b) | AstKind::Or(a, b) => {
                let constants = (self.boolean(a)?.is_constant(), self.boolean(b)?.is_constant());
                Ok(Type::Bool { constant: constants == (true, true) })
            }
        }
    }

    /// Type of `ast`, which must be a number.
    pub(super) fn number(&self, ast: &Ast) -> Result<Type, Fault> {
        match self.type_of(ast)? {
            number @ (Type::Constant | Type::Series) => Ok(number),
            other => Err(Fault::new(ast.span, other.name(), "a number")),
        }
    }

    /// Type of `ast`, which must be a boolean.
    pub(super) fn boolean(&self, ast: &Ast) -> Result<Type, Fault> {
        match self.type_of(ast)? {
            boolean @ Type::Bool { .. } => Ok(boolean),
            other => Err(Fault::new(ast.span, other.name(), "a boolean").fix("compare it, e.g. `x > 0`")),
        }
    }

    fn name(&self, ast: &Ast, name: &str) -> Result<Type, Fault> {
        if self.params.contains(&name) {
            return Ok(Type::Constant);
        }
        if Column::find(name).is_some() {
            return if self.columns {
                Ok(Type::Series)
            } else {
                Err(Fault::new(ast.span, format!("column `{name}`"), "swept names and numbers only"))
            };
        }
        if functions::find(name).is_some() {
            let fault = Fault::new(ast.span, format!("function `{name}`"), "its arguments in parentheses");
            return Err(fault);
        }
        let columns = COLUMNS.iter().map(|(known, _)| *known).filter(|_| self.columns);
        Err(unknown_name(ast, name, columns.chain(self.params.iter().copied()), self.names_expected()))
    }

    fn names_expected(&self) -> &'static str {
        match (self.columns, self.params.is_empty()) {
            (true, true) => "a column or a function",
            (true, false) => "a column, a parameter or a function",
            (false, _) => "a swept name",
        }
    }

    fn call(&self, ast: &Ast, name: &str, args: &[Ast]) -> Result<Type, Fault> {
        let Some(function) = functions::find(name) else {
            return Err(unknown_name(ast, name, functions::names(), "the name of a function"));
        };
        if !(function.required..=function.args.len()).contains(&args.len()) {
            let found = match args.len() {
                1 => format!("`{name}` with 1 argument"),
                n => format!("`{name}` with {n} arguments"),
            };
            return Err(Fault::new(ast.span, found, function.doc.signature));
        }
        let mut constant = true;
        for (arg, expected) in args.iter().zip(function.args) {
            constant &= self.argument(function, arg, *expected)?.is_constant();
        }
        match function.body {
            Body::CrossOver | Body::CrossUnder => Ok(Type::Bool { constant }),
            Body::Indicator { .. } | Body::Band { .. } | Body::Liquidity { .. } if self.columns => {
                Ok(Type::Series)
            }
            Body::OfSymbol | Body::OfFrame if self.columns => {
                if matches!(function.body, Body::OfFrame) {
                    frames::check(&args[0], &args[1])?;
                }
                self.type_of(&args[1])
            }
            Body::Indicator { .. }
            | Body::Band { .. }
            | Body::Liquidity { .. }
            | Body::OfSymbol
            | Body::OfFrame => Err(Fault::new(ast.span, format!("`{name}`"), "swept names and numbers only")),
            _ => Ok(if constant { Type::Constant } else { Type::Series }),
        }
    }

    fn argument(&self, function: &Function, arg: &Ast, expected: Arg) -> Result<Type, Fault> {
        let found = self.type_of(arg)?;
        let fits = match expected {
            Arg::Number => matches!(found, Type::Constant | Type::Series),
            Arg::Text => found == Type::Text,
            Arg::Columns => matches!(found, Type::Series | Type::Bool { constant: false }),
            Arg::Series => found == Type::Series,
            Arg::Condition => matches!(found, Type::Bool { .. }),
            Arg::Window | Arg::Speed | Arg::Factor | Arg::Percent => found == Type::Constant,
        };
        if fits {
            return Ok(found);
        }
        let wanted = match expected {
            Arg::Number => "a number",
            Arg::Series => "a number that comes from columns",
            Arg::Text => "a text in quotes",
            Arg::Columns => "a number or a boolean that comes from columns",
            Arg::Condition => "a boolean",
            Arg::Window | Arg::Speed => "a whole number or a parameter",
            Arg::Factor | Arg::Percent => "a constant number or a parameter",
        };
        Err(Fault::new(arg.span, found.name(), format!("{wanted} in {}", function.doc.signature)))
    }
}

fn both_numbers(a: Type, b: Type) -> Type {
    if a.is_constant() && b.is_constant() { Type::Constant } else { Type::Series }
}

fn unknown_name<'a>(
    ast: &Ast,
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
    expected: &str,
) -> Fault {
    let fault = Fault::new(ast.span, format!("unknown name `{name}`"), expected);
    match nearest(name, candidates) {
        Some(known) => fault.fix(format!("did you mean `{known}`?")),
        None => fault,
    }
}
