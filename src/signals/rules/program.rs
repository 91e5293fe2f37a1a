//! Rules of many trials as one program: masks for the bar loop, and distances where an entry is decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use barloom_kernels::buffer::AlignedBuffer;

use super::Rules;
use super::ast::{Ast, Expr};
use super::bind::Binder;
use super::cache::RuleCache;
use super::eval::Evaluator;
use super::fault::Fault;
use super::graph::{Graph, NodeId, Op};
use crate::error::Result;
use crate::events::{Attached, AttachedLevels, PointValues, Side, SignalTile};
use crate::liquidity::RegimePlan;
use crate::market::{Market, Tile};
use crate::signals::SignalSource;

/// Visits of single-point evaluation beyond which a distance is rather computed as a panel.
const MAX_POINT_VISITS: usize = 256;

/// Rules that share a distance from which on it is rather computed as a panel.
const PANEL_FROM_RULES: usize = 4;

/// The rules of a chunk of trials over one market, stepped tile by tile.
pub struct RuleProgram {
    evaluator: Evaluator,
    trials: Vec<TrialMasks>,
    distances: Vec<TrialDistances>,
    /// Nodes that are kept as panels, in ascending order.
    kept: Vec<NodeId>,
    /// Their panels of the current tile; trials hold it too, but not between two tiles.
    panels: Arc<Vec<AlignedBuffer>>,
    /// What they hold meanwhile.
    no_panels: Arc<Vec<AlignedBuffer>>,
    rows: usize,
}

/// Masks of one trial; `None`: never true.
struct TrialMasks {
    long_entry: Option<NodeId>,
    long_exit: Option<NodeId>,
    short_entry: Option<NodeId>,
    short_exit: Option<NodeId>,
}

impl TrialMasks {
    fn nodes(&self) -> impl Iterator<Item = NodeId> {
        [self.long_entry, self.long_exit, self.short_entry, self.short_exit].into_iter().flatten()
    }
}

/// Distances of one trial, computed at single points over the panels that all trials share.
struct TrialDistances {
    stop: Option<Distance>,
    take_profit: Option<Distance>,
    trail: Option<Distance>,
    nodes: Arc<[Op]>,
    kept: Arc<[NodeId]>,
    panels: Arc<Vec<AlignedBuffer>>,
}

/// Where a distance comes from.
#[derive(Debug, Clone, Copy)]
enum Distance {
    /// A kept panel.
    Panel(usize),
    /// A node that is computed at the point.
    Point(NodeId),
}

/// Compiles the rules for all `trials`, each a set of parameters that differ from the defaults.
///
/// Every distinct sub-expression with the same bound parameters is computed once for all of them.
pub fn compile(rules: &Rules, trials: &[BTreeMap<String, f64>], market: &Market) -> Result<RuleProgram> {
    compile_each(rules, trials, &[], market, None)
}

/// [`compile`] with the settings of liquidity for each trial (none given: those of the rules for all of them), reading
/// what is in a cache from there.
///
/// # Errors
/// As [`compile`].
pub fn compile_each(
    rules: &Rules,
    trials: &[BTreeMap<String, f64>],
    regimes: &[RegimePlan],
    market: &Market,
    cache: Option<&Arc<RuleCache>>,
) -> Result<RuleProgram> {
    let mut graph = Graph::default();
    let bound = bind_trials(&mut graph, rules, trials, regimes, market)?;
    Ok(RuleProgram::new(&graph, bound, market, cache))
}

/// The nodes of many trials in one graph.
pub(super) struct BoundTrials {
    masks: Vec<TrialMasks>,
    /// Stop, take-profit and trail distance of each.
    distances: Vec<[Option<NodeId>; 3]>,
    /// The nodes that distances are computed from at single points, ascending.
    kept: Vec<NodeId>,
}

impl BoundTrials {
    /// All nodes that are needed for whole tiles.
    pub(super) fn wanted(&self) -> impl Iterator<Item = NodeId> {
        let masks = self.masks.iter().flat_map(TrialMasks::nodes);
        self.kept.iter().copied().chain(masks)
    }
}

/// Binds the rules for all `trials` in one graph.
pub(super) fn bind_trials(
    graph: &mut Graph,
    rules: &Rules,
    trials: &[BTreeMap<String, f64>],
    regimes: &[RegimePlan],
    market: &Market,
) -> Result<BoundTrials> {
    let mut masks = Vec::with_capacity(trials.len());
    let mut distances = Vec::with_capacity(trials.len());
    for (index, trial) in trials.iter().enumerate() {
        let params = rules.bound(trial)?;
        let regimes = regimes.get(index).unwrap_or(&rules.regimes);
        let scope = Scope { params: &params, regimes, market };
        let mut mask = |expr: &Option<Expr>| -> Result<Option<NodeId>> {
            let truth = bound(graph, expr, scope, |binder, rule| binder.truth(rule))?;
            Ok(truth.and_then(|truth| graph.mask(&truth)))
        };
        masks.push(TrialMasks {
            long_entry: mask(&rules.long_entry)?,
            long_exit: mask(&rules.long_exit)?,
            short_entry: mask(&rules.short_entry)?,
            short_exit: mask(&rules.short_exit)?,
        });
        let mut distance =
            |expr: &Option<Expr>| bound(graph, expr, scope, |binder, rule| binder.number(rule));
        distances.push([
            distance(&rules.stop_distance)?,
            distance(&rules.take_profit_distance)?,
            distance(&rules.trail_distance)?,
        ]);
    }
    let kept = kept_panels(graph.nodes(), distances.iter().flatten().flatten().copied());
    Ok(BoundTrials { masks, distances, kept })
}

/// What a trial's rules are bound with.
#[derive(Clone, Copy)]
struct Scope<'a> {
    params: &'a BTreeMap<String, f64>,
    regimes: &'a RegimePlan,
    market: &'a Market,
}

fn bound<T>(
    graph: &mut Graph,
    expr: &Option<Expr>,
    Scope { params, regimes, market }: Scope<'_>,
    bind: impl FnOnce(&mut Binder<'_>, &Ast) -> std::result::Result<T, Fault>,
) -> Result<Option<T>> {
    let Some(expr) = expr else { return Ok(None) };
    let mut binder = Binder { graph, params, market: Some(market), regimes, text: expr.text() };
    bind(&mut binder, &expr.root).map(Some).map_err(|fault| expr.origin.error(fault))
}

impl RuleProgram {
    fn new(graph: &Graph, bound: BoundTrials, market: &Market, cache: Option<&Arc<RuleCache>>) -> Self {
        let wanted: Vec<NodeId> = bound.wanted().collect();
        let BoundTrials { masks, distances, kept } = bound;
        let evaluator = Evaluator::new(graph, &wanted, market, cache);
        let panels = Arc::new(vec![AlignedBuffer::default(); kept.len()]);
        let shared: Arc<[NodeId]> = kept.as_slice().into();
        let from = |node: Option<NodeId>| {
            node.map(|node| kept.binary_search(&node).map_or(Distance::Point(node), Distance::Panel))
        };
        let distances = distances
            .into_iter()
            .map(|[stop, take_profit, trail]| TrialDistances {
                stop: from(stop),
                take_profit: from(take_profit),
                trail: from(trail),
                nodes: Arc::clone(evaluator.nodes()),
                kept: Arc::clone(&shared),
                panels: Arc::clone(&panels),
            })
            .collect();
        Self { evaluator, trials: masks, distances, kept, panels, no_panels: Arc::default(), rows: 0 }
    }

    /// Sets how many rows are computed at a time, instead of what fits the cache; the results are the same.
    pub fn set_block_rows(&mut self, rows: usize) {
        self.evaluator.set_block_rows(rows);
    }

    /// Nodes that are computed for every bar, all trials together; what a sweep costs grows with them.
    pub fn computed_nodes(&self) -> usize {
        self.evaluator.steps()
    }

    /// Lends the kept panels to the evaluator, or takes them back.
    fn exchange_panels(&mut self) {
        let panels = Arc::get_mut(&mut self.panels).expect("no trial holds it between two tiles");
        for (node, panel) in self.kept.iter().zip(panels) {
            self.evaluator.swap_panel(*node, panel);
        }
    }
}

impl SignalSource for RuleProgram {
    fn step(&mut self, market: &Market, tile: &Tile<'_>) {
        if self.kept.is_empty() {
            self.evaluator.step(market, tile);
            self.rows = tile.rows;
            return;
        }
        for distances in &mut self.distances {
            distances.panels = Arc::clone(&self.no_panels);
        }
        if self.rows > 0 {
            self.exchange_panels();
        }
        self.evaluator.step(market, tile);
        self.rows = tile.rows;
        if self.rows > 0 {
            self.exchange_panels();
        }
        for distances in &mut self.distances {
            distances.panels = Arc::clone(&self.panels);
        }
    }

    fn trial(&self, trial: usize) -> SignalTile<'_> {
        let mask = |node: Option<NodeId>| node.map(|node| self.evaluator.mask(node, self.rows));
        let (masks, distances) = (&self.trials[trial], &self.distances[trial]);
        let has_distances =
            [distances.stop, distances.take_profit, distances.trail].iter().any(Option::is_some);
        SignalTile {
            long_entry: mask(masks.long_entry),
            long_exit: mask(masks.long_exit),
            short_entry: mask(masks.short_entry),
            short_exit: mask(masks.short_exit),
            values: has_distances.then_some(distances as &dyn PointValues),
            intents: &[],
            never_trails: distances.trail.is_none(),
        }
    }
}

impl TrialDistances {
    /// A distance at a point. `NaN`: no such rule; `None`: a rule without a usable distance.
    #[inline(always)]
    fn distance(&self, rule: Option<Distance>, tile: &Tile<'_>, row: usize, symbol: usize) -> Option<f64> {
        let distance = match rule {
            None => return Some(f64::NAN),
            Some(Distance::Panel(slot)) => self.panels[slot][row * tile.lanes + symbol],
            Some(Distance::Point(node)) => Point { of: self, tile, row, symbol }.number(node),
        };
        (distance > 0.0).then_some(distance)
    }
}

impl PointValues for TrialDistances {
    fn attached_levels(&self, tile: &Tile<'_>, row: usize, symbol: usize, side: Side) -> AttachedLevels {
        let at = row * tile.lanes + symbol;
        let distance = |rule| self.distance(rule, tile, row, symbol);
        let away = |rule: Option<Distance>, sign: f64| Some(tile.close[at] + sign * distance(rule)?);
        let Some(stop_loss_px) = away(self.stop, -side.sign()) else {
            return AttachedLevels::Rejected("stop_distance");
        };
        let Some(take_profit_px) = away(self.take_profit, side.sign()) else {
            return AttachedLevels::Rejected("take_profit_distance");
        };
        let Some(trail_px) = distance(self.trail) else {
            return AttachedLevels::Rejected("trail_distance");
        };
        AttachedLevels::Prices(Attached { stop_loss_px, take_profit_px, trail_px, ..Attached::NONE })
    }
    fn stop_distances(&self) -> Option<(usize, &[f64])> {
        match (self.stop, self.take_profit, self.trail) {
            (Some(Distance::Panel(slot)), None, None) => Some((slot, &self.panels[slot])),
            _ => None,
        }
    }
}

/// One symbol at one close.
struct Point<'a> {
    of: &'a TrialDistances,
    tile: &'a Tile<'a>,
    row: usize,
    symbol: usize,
}

impl Point<'_> {
    fn number(&self, node: NodeId) -> f64 {
        let at = self.row * self.tile.lanes + self.symbol;
        if let Ok(slot) = self.of.kept.binary_search(&node) {
            return self.of.panels[slot][at];
        }
        match &self.of.nodes[node.index()] {
            Op::Column(column) => column.of(self.tile)[at],
            Op::Const(bits) => f64::from_bits(*bits),
            Op::Unary(op, a) => op.apply(self.number(*a)),
            Op::Binary(op, a, b) => op.apply(self.number(*a), self.number(*b)),
            Op::Where { value, valid, yes, no } => {
                if self.bit(*value) {
                    self.number(*yes)
                } else if self.bit(*valid) {
                    self.number(*no)
                } else {
                    f64::NAN
                }
            }
            _ => unreachable!("nodes with state are kept"),
        }
    }

    fn bit(&self, node: NodeId) -> bool {
        match &self.of.nodes[node.index()] {
            Op::Present => self.tile.bit(self.tile.present, self.row, self.symbol),
            Op::Compare(comparison, a, b) => comparison.apply(self.number(*a), self.number(*b)),
            Op::And(a, b) => self.bit(*a) && self.bit(*b),
            Op::Or(a, b) => self.bit(*a) || self.bit(*b),
            Op::Not(a) => !self.bit(*a),
            _ => unreachable!("the node is a mask"),
        }
    }
}

/// The deepest nodes with state that `roots` read, ascending; and roots that are too large to compute at a point, or
/// that several rules share.
fn kept_panels(nodes: &[Op], roots: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
    let mut rules = vec![0_usize; nodes.len()];
    let roots: Vec<NodeId> = roots.inspect(|root| rules[root.index()] += 1).collect();
    let mut visits = vec![1_usize; nodes.len()];
    let mut is_kept = vec![false; nodes.len()];
    for (index, op) in nodes.iter().enumerate() {
        let operands = op.operands();
        // Masks are not kept, so what chooses by a mask with state is.
        let reads_kept_mask = operands.iter().any(|a| nodes[a.index()].is_mask() && is_kept[a.index()]);
        is_kept[index] = op.is_stateful() || reads_kept_mask;
        if !is_kept[index] {
            let below = operands.iter().map(|operand| visits[operand.index()]);
            visits[index] = below.fold(1, usize::saturating_add);
        }
    }
    let mut kept = Vec::new();
    let mut seen = vec![false; nodes.len()];
    let is_panel = |node: NodeId| {
        let is_constant = matches!(nodes[node.index()], Op::Const(_) | Op::Column(_));
        !is_constant && (rules[node.index()] >= PANEL_FROM_RULES || visits[node.index()] > MAX_POINT_VISITS)
    };
    let mut open: Vec<(NodeId, bool)> = roots.into_iter().map(|root| (root, true)).collect();
    while let Some((node, is_root)) = open.pop() {
        if is_kept[node.index()] || (is_root && is_panel(node)) {
            kept.push(node);
        } else if !std::mem::replace(&mut seen[node.index()], true) {
            open.extend(nodes[node.index()].operands().into_iter().map(|operand| (operand, false)));
        }
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}
