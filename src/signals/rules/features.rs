//! Expressions on their own: columns to export, and the constraint of a sweep.

use std::collections::BTreeMap;

use super::ast::Expr;
use super::bind::{Binder, Value};
use super::check::Scope;
use super::eval::Evaluator;
use super::graph::Graph;
use crate::error::Result;
use crate::liquidity::RegimePlan;
use crate::market::{Market, Tile, TileBuffer};

/// Evaluates a sweep's constraint for one combination; `NaN` makes it false.
///
/// ```
/// use barloom::signals::{eval_constraint, parse_expr};
/// let constraint = parse_expr("fast < slow and risk.es_alpha <= 0.05")?;
/// let names = [("fast", 12.0), ("slow", 48.0), ("risk.es_alpha", 0.025)];
/// let names = names.map(|(name, value)| (name.to_owned(), value)).into();
/// assert!(eval_constraint(&constraint, &names)?);
/// # Ok::<(), barloom::Error>(())
/// ```
pub fn eval_constraint(expr: &Expr, names: &BTreeMap<String, f64>) -> Result<bool> {
    let scope = Scope { params: names.keys().map(String::as_str).collect(), columns: false };
    scope.boolean(&expr.root).map_err(|fault| expr.origin.error(fault))?;
    let mut graph = Graph::default();
    let regimes = RegimePlan::default();
    let mut binder =
        Binder { graph: &mut graph, params: names, market: None, regimes: &regimes, text: expr.text() };
    let truth = binder.truth(&expr.root).map_err(|fault| expr.origin.error(fault))?;
    Ok(graph.decided(&truth).expect("without columns everything is constant"))
}

/// Takes a tile and its panels, one per expression.
pub type FeatureSink<'a> = dyn FnMut(&Tile<'_>, &[&[f64]]) -> Result<()> + 'a;

/// Evaluates expressions over a whole market, tile by tile, and hands each tile's panels to `sink` in bar order.
///
/// Panels are `[row][lane]` like the tile's columns, one per expression; a boolean is 1 or 0, and `NaN` where it reads
/// a `NaN`. Liquidity is computed with the defaults of the config.
pub fn feature_columns(
    market: &Market,
    exprs: &[Expr],
    tile_rows: usize,
    sink: &mut FeatureSink<'_>,
) -> Result<()> {
    let scope = Scope { params: Vec::new(), columns: true };
    let (params, regimes) = (BTreeMap::new(), RegimePlan::default());
    let mut graph = Graph::default();
    let mut roots = Vec::with_capacity(exprs.len());
    for expr in exprs {
        scope.type_of(&expr.root).map_err(|fault| expr.origin.error(fault))?;
        let mut binder = Binder {
            graph: &mut graph,
            params: &params,
            market: Some(market),
            regimes: &regimes,
            text: expr.text(),
        };
        let value = binder.value(&expr.root).map_err(|fault| expr.origin.error(fault))?;
        roots.push(match value {
            Value::Number(node) => node,
            Value::Bool(truth) => graph.as_number(&truth),
        });
    }
    let mut evaluator = Evaluator::new(&graph, &roots, market, None);
    let mut buffer = TileBuffer::default();
    let mut bar = 0;
    while bar < market.grid.bars {
        let rows = tile_rows.max(1).min(market.grid.bars - bar);
        let tile = buffer.load(market, bar, rows, false);
        evaluator.step(market, &tile);
        let panels: Vec<&[f64]> = roots.iter().map(|&root| evaluator.panel(root, rows)).collect();
        sink(&tile, &panels)?;
        bar += rows;
    }
    Ok(())
}
