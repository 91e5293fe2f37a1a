//! What the trials of a sweep share and is costly, computed once and kept under a memory budget.
//!
//! Cheap recurrences are recomputed in every tile: two exponential means straight into a mask cost less than reading
//! them back. A costly indicator is kept as a panel (8 B per symbol-bar), or the mask that is made of it (1 bit), when
//! more than one chunk of trials reads it. What saves most time per byte comes first, until the budget is full. Nothing
//! here changes a bit of a result: what is kept was computed by the same graph.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;

use super::Rules;
use super::eval::Evaluator;
use super::graph::{Graph, Key, NodeId, Op};
use super::program::bind_trials;
use super::written::written;
use crate::error::Result;
use crate::liquidity::RegimePlan;
use crate::market::{Market, TileBuffer};

/// Cost of a node in ns per symbol-bar from which on it is kept rather than recomputed: reading it back from memory
/// costs about one.
const COSTLY_NS: f64 = 3.0;

/// Nodes computed by one worker at a time.
const NODES_PER_PASS: usize = 8;

/// Bars computed at a time.
const TILE_BARS: usize = 256;

/// One kept expression.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheEntry {
    /// The expression with its parameters bound.
    pub expr: String,
    /// Whether it is a mask, of one bit per symbol-bar, and not a panel of numbers.
    pub mask: bool,
    /// Memory it takes.
    pub bytes: usize,
    /// Chunks of trials that read it.
    pub chunks: usize,
}

/// Parameters of the trials of a chunk, and their settings of liquidity (none: those of the rules).
pub type SharedTrials = (Vec<BTreeMap<String, f64>>, Vec<RegimePlan>);

/// Kept panels and masks over a whole market.
#[derive(Debug, Default)]
pub struct RuleCache {
    entries: Vec<CacheEntry>,
    values: Vec<Values>,
    index: HashMap<Key, usize>,
}

#[derive(Debug)]
enum Values {
    Panel(Vec<f64>),
    Mask(Vec<u64>),
}

impl RuleCache {
    /// Chooses and computes what is worth keeping for the chunks of a sweep, each a set of trials.
    ///
    /// Chunks whose parameters do not fit the rules keep nothing; [`super::compile`] says what is wrong with them.
    ///
    /// # Errors
    /// None of its own; those of the rules are left to the chunk they are in.
    pub fn build(
        rules: &Rules,
        chunks: &[SharedTrials],
        market: &Market,
        budget_bytes: usize,
    ) -> Result<Self> {
        let mut graph = Graph::default();
        let mut readers: Vec<usize> = Vec::new();
        let mut roots: Vec<NodeId> = Vec::new();
        for chunk in chunks {
            let (params, regimes) = chunk;
            let Ok(bound) = bind_trials(&mut graph, rules, params, regimes, market) else { continue };
            let wanted: Vec<NodeId> = bound.wanted().collect();
            readers.resize(graph.nodes().len(), 0);
            for node in below(&graph, &wanted, &BTreeSet::new()) {
                readers[node.index()] += 1;
            }
            roots.extend(wanted);
        }
        roots.sort_unstable();
        roots.dedup();
        let chosen = choose(&graph, &roots, &readers, market, budget_bytes);
        Ok(Self::compute(&graph, &chosen, &readers, market))
    }

    fn compute(graph: &Graph, chosen: &[NodeId], readers: &[usize], market: &Market) -> Self {
        let passes: Vec<&[NodeId]> = chosen.chunks(NODES_PER_PASS).collect();
        let values: Vec<Vec<Values>> = passes.par_iter().map(|nodes| pass(graph, nodes, market)).collect();
        let entries = chosen.iter().map(|&node| CacheEntry {
            expr: written(graph, node, market),
            mask: graph.nodes()[node.index()].is_mask(),
            bytes: bytes(graph, node, market),
            chunks: readers[node.index()],
        });
        let index = chosen.iter().enumerate().map(|(slot, &node)| (graph.key(node), slot)).collect();
        Self { entries: entries.collect(), values: values.into_iter().flatten().collect(), index }
    }

    /// What is kept.
    pub fn entries(&self) -> &[CacheEntry] {
        &self.entries
    }

    /// Where a node is kept.
    pub(super) fn find(&self, key: Key) -> Option<usize> {
        self.index.get(&key).copied()
    }

    /// # Panics
    /// When the slot holds a mask.
    pub(super) fn panel(&self, slot: usize) -> &[f64] {
        match &self.values[slot] {
            Values::Panel(panel) => panel,
            Values::Mask(_) => unreachable!("kept as a mask"),
        }
    }

    /// # Panics
    /// When the slot holds a panel.
    pub(super) fn mask(&self, slot: usize) -> &[u64] {
        match &self.values[slot] {
            Values::Mask(mask) => mask,
            Values::Panel(_) => unreachable!("kept as a panel"),
        }
    }
}

/// Nodes that `wanted` needs, with them, not looking below `kept` ones.
fn below(graph: &Graph, wanted: &[NodeId], kept: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let mut used = BTreeSet::new();
    let mut open = wanted.to_vec();
    while let Some(node) = open.pop() {
        if used.insert(node) && !kept.contains(&node) {
            open.extend(graph.nodes()[node.index()].operands());
        }
    }
    used
}

/// Own cost of a node, ns per symbol-bar.
fn own_ns(op: &Op) -> f64 {
    match op {
        Op::Indicator(indicator, ..) => indicator.0.ns,
        _ => 0.0,
    }
}

fn bytes(graph: &Graph, node: NodeId, market: &Market) -> usize {
    let row = if graph.nodes()[node.index()].is_mask() { market.words() } else { market.lanes() };
    row * market.grid.bars * size_of::<u64>()
}

/// Masks first, which take a 64th of a panel, then the costly panels that are still read.
fn choose(
    graph: &Graph,
    roots: &[NodeId],
    readers: &[usize],
    market: &Market,
    budget_bytes: usize,
) -> Vec<NodeId> {
    let nodes = graph.nodes();
    let mut chosen = Vec::new();
    if !nodes.iter().any(|op| own_ns(op) >= COSTLY_NS) {
        return chosen;
    }
    // What a mask costs: the indicators below it. Shared ones count for each mask that reads them.
    let mask_ns = |node: NodeId| -> f64 {
        below(graph, &[node], &BTreeSet::new()).iter().map(|node| own_ns(&nodes[node.index()])).sum()
    };
    let mut left = budget_bytes;
    let mut take = |candidates: Vec<(f64, NodeId)>, chosen: &mut Vec<NodeId>| {
        let mut candidates = candidates;
        // By what is saved; equal ones in the order of the graph.
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, node) in candidates {
            let bytes = bytes(graph, node, market);
            if bytes <= left {
                left -= bytes;
                chosen.push(node);
            }
        }
    };
    let saved = |node: NodeId, ns: f64| ns * (readers[node.index()] - 1) as f64;
    let masks =
        roots.iter().copied().filter(|node| nodes[node.index()].is_mask() && readers[node.index()] > 1);
    let masks = masks.map(|node| (node, mask_ns(node))).filter(|(_, ns)| *ns >= COSTLY_NS);
    take(masks.map(|(node, ns)| (saved(node, ns), node)).collect(), &mut chosen);
    let used = below(graph, roots, &chosen.iter().copied().collect());
    let panels = used.into_iter().filter(|node| readers[node.index()] > 1 && !chosen.contains(node));
    // Of several outputs each is kept on its own, with the indicator's whole cost.
    let panels = panels.filter_map(|node| match &nodes[node.index()] {
        Op::Part(indicator, _) => Some((node, own_ns(&nodes[indicator.index()]))),
        op if op.outputs() == 1 => Some((node, own_ns(op))),
        _ => None,
    });
    let panels = panels.filter(|(_, ns)| *ns >= COSTLY_NS);
    let panels = panels.map(|(node, ns)| (saved(node, ns), node)).collect();
    take(panels, &mut chosen);
    chosen
}

/// Computes a few nodes over the whole market.
fn pass(graph: &Graph, nodes: &[NodeId], market: &Market) -> Vec<Values> {
    let mut evaluator = Evaluator::new(graph, nodes, market, None);
    let mut values: Vec<Values> = nodes
        .iter()
        .map(|node| match graph.nodes()[node.index()].is_mask() {
            true => Values::Mask(Vec::with_capacity(market.words() * market.grid.bars)),
            false => Values::Panel(Vec::with_capacity(market.lanes() * market.grid.bars)),
        })
        .collect();
    let mut buffer = TileBuffer::default();
    let mut bar = 0;
    while bar < market.grid.bars {
        let rows = TILE_BARS.min(market.grid.bars - bar);
        let tile = buffer.load(market, bar, rows, false);
        evaluator.step(market, &tile);
        for (values, &node) in values.iter_mut().zip(nodes) {
            match values {
                Values::Panel(panel) => panel.extend_from_slice(evaluator.panel(node, rows)),
                Values::Mask(mask) => mask.extend_from_slice(evaluator.mask(node, rows)),
            }
        }
        bar += rows;
    }
    values
}
