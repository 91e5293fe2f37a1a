//! What is computed, in which order, and where it is kept: blocks are reused as soon as their last reader is done.

use std::collections::HashMap;
use std::ops::Range;

use super::columns::Column;
use super::graph::{NodeId, Op};
use super::indicators::Params;
use super::ops;
use super::scalar::Comparison;

/// Where the values of a node are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In no buffer: not wanted, in the tile itself, or a constant.
    Nowhere,
    /// In a buffer of one block.
    Block(usize),
    /// In a buffer of one tile.
    Wide(usize),
    /// Among what is kept for the whole sweep.
    Kept(usize),
}

/// One node to compute.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) node: NodeId,
    /// The comparison the other way round, computed in the same pass.
    pub(super) mirrored: Option<NodeId>,
    /// The node's part of the state: of the words if it is a mask, else of the numbers.
    pub(super) state: Range<usize>,
}

/// Steps in order and a place for every node.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) places: Vec<Place>,
    /// Buffers of numbers and of masks.
    pub(super) numbers: usize,
    pub(super) masks: usize,
    /// Panels of one block, all live at once.
    pub(super) block_numbers: usize,
    pub(super) state_len: usize,
    pub(super) state_words: usize,
    /// Where each node is kept for the whole sweep, if it is.
    pub(super) kept: Vec<Option<usize>>,
    /// Buffer of the funding rates, where they are read.
    pub(super) funding_slot: Option<usize>,
}

impl Plan {
    /// Plans the computation of `wanted` nodes and of what they read; nothing is computed for what is `kept`.
    pub(super) fn new(
        nodes: &[Op],
        wanted: &[NodeId],
        kept: Vec<Option<usize>>,
        lanes: usize,
        words: usize,
    ) -> Self {
        let used = reachable(nodes, wanted, &kept);
        let mut wide = vec![false; nodes.len()];
        for node in wanted {
            wide[node.index()] = true;
        }
        let mut planner = Planner {
            nodes,
            wide,
            stored_constants: constants_read_as_panels(nodes, &used, &kept),
            free_numbers: Vec::new(),
            free_masks: Vec::new(),
            plan: Self {
                steps: Vec::new(),
                places: vec![Place::Nowhere; nodes.len()],
                numbers: 0,
                masks: 0,
                block_numbers: 0,
                state_len: 0,
                state_words: 0,
                kept,
                funding_slot: None,
            },
        };
        planner.run(&used, lanes, words);
        planner.plan
    }
}

struct Planner<'a> {
    nodes: &'a [Op],
    wide: Vec<bool>,
    stored_constants: Vec<bool>,
    free_numbers: Vec<usize>,
    free_masks: Vec<usize>,
    plan: Plan,
}

impl Planner<'_> {
    fn run(&mut self, used: &[bool], lanes: usize, words: usize) {
        let mirrored = mirrored_pairs(self.nodes, used, &self.plan.kept);
        let mut done = vec![false; self.nodes.len()];
        let mut last_read_by = last_readers(self.nodes, used, &self.plan.kept);
        for index in (0..self.nodes.len()).filter(|&index| used[index]) {
            if !done[index] {
                let node = NodeId::from_index(index);
                let computed = self.place(index);
                let partner = mirrored[index];
                if let Some(partner) = partner {
                    self.place(partner.index());
                    done[partner.index()] = true;
                }
                if computed {
                    let state = match self.plan.kept[index] {
                        Some(_) => 0..0,
                        None => self.state_of(&self.nodes[index], lanes, words),
                    };
                    self.plan.steps.push(Step { node, mirrored: partner, state });
                }
            }
            // After the outputs have their places: a step never writes where it reads.
            for finished in std::mem::take(&mut last_read_by[index]) {
                self.release(finished);
            }
        }
    }

    /// The next free part of the state, as long as the node needs.
    fn state_of(&mut self, op: &Op, lanes: usize, words: usize) -> Range<usize> {
        let len = match op {
            Op::Lag(_, bars) => ops::lag_state_len(lanes, *bars),
            Op::Indicator(indicator, _, params) => (indicator.0.state_len)(lanes, Params(params)),
            Op::LagMask(_) => words,
            _ => 0,
        };
        let end = if op.is_mask() { &mut self.plan.state_words } else { &mut self.plan.state_len };
        *end += len;
        *end - len..*end
    }

    /// Gives a node its place; whether there is anything to compute.
    fn place(&mut self, index: usize) -> bool {
        let (op, wide) = (&self.nodes[index], self.wide[index]);
        if let Some(slot) = self.plan.kept[index].filter(|_| op.is_mask() || !wide) {
            self.plan.places[index] = Place::Kept(slot);
            return false;
        }
        match op {
            Op::OfFrame(..) => {
                self.plan.places[index] = Place::Wide(self.plan.numbers);
                self.plan.numbers += 1;
                return false;
            }
            Op::Column(Column::FundingRate) => {
                self.plan.places[index] = Place::Wide(self.plan.numbers);
                self.plan.funding_slot = Some(self.plan.numbers);
                self.plan.numbers += 1;
                return false;
            }
            Op::Const(_) => {
                if wide || self.stored_constants[index] {
                    // Written once, so it shares its buffer with nobody.
                    let slot = self.plan.numbers;
                    self.plan.places[index] = if wide { Place::Wide(slot) } else { Place::Block(slot) };
                    self.plan.numbers += 1;
                    self.plan.block_numbers += usize::from(!wide);
                }
                return false;
            }
            Op::Present | Op::Column(_) if !wide => return false,
            _ => {}
        }
        let mask = op.is_mask();
        let reused = match (wide, mask) {
            (true, _) => None,
            (false, true) => self.free_masks.pop(),
            (false, false) => self.free_numbers.pop(),
        };
        let slot = reused.unwrap_or_else(|| {
            let count = if mask { &mut self.plan.masks } else { &mut self.plan.numbers };
            *count += 1;
            self.plan.block_numbers += if mask || wide { 0 } else { op.outputs() };
            *count - 1
        });
        self.plan.places[index] = if wide { Place::Wide(slot) } else { Place::Block(slot) };
        true
    }

    fn release(&mut self, index: usize) {
        let op = &self.nodes[index];
        if let (Place::Block(slot), false) = (self.plan.places[index], matches!(op, Op::Const(_))) {
            if op.is_mask() { &mut self.free_masks } else { &mut self.free_numbers }.push(slot);
        }
    }
}

/// Operands of a node, none when it is kept.
fn computed_from(nodes: &[Op], kept: &[Option<usize>], index: usize) -> Vec<NodeId> {
    if kept[index].is_some() { Vec::new() } else { nodes[index].operands() }
}

fn reachable(nodes: &[Op], wanted: &[NodeId], kept: &[Option<usize>]) -> Vec<bool> {
    let mut used = vec![false; nodes.len()];
    for node in wanted {
        used[node.index()] = true;
    }
    for index in (0..nodes.len()).rev() {
        if used[index] {
            for operand in computed_from(nodes, kept, index) {
                used[operand.index()] = true;
            }
        }
    }
    used
}

/// Only `where` reads a constant as a panel; the other operators take it as a number.
fn constants_read_as_panels(nodes: &[Op], used: &[bool], kept: &[Option<usize>]) -> Vec<bool> {
    let mut stored = vec![false; nodes.len()];
    let computed = |index: &usize| used[*index] && kept[*index].is_none();
    for op in (0..nodes.len()).filter(computed).map(|index| &nodes[index]) {
        if let Op::Where { yes, no, .. } = op {
            stored[yes.index()] = true;
            stored[no.index()] = true;
        }
    }
    stored
}

/// For each node the nodes it is the last to read; what nobody reads is its own last reader.
fn last_readers(nodes: &[Op], used: &[bool], kept: &[Option<usize>]) -> Vec<Vec<usize>> {
    let mut last_reader: Vec<usize> = (0..nodes.len()).collect();
    for reader in (0..nodes.len()).filter(|&reader| used[reader]) {
        for operand in computed_from(nodes, kept, reader) {
            last_reader[operand.index()] = reader;
        }
    }
    let mut reads = vec![Vec::new(); nodes.len()];
    for (node, reader) in last_reader.into_iter().enumerate() {
        reads[reader].push(node);
    }
    reads
}

/// For each `a < b` the later `b < a`, where both are used.
fn mirrored_pairs(nodes: &[Op], used: &[bool], kept: &[Option<usize>]) -> Vec<Option<NodeId>> {
    let mut by_operands = HashMap::new();
    let mut pairs = vec![None; nodes.len()];
    let computed = |index: &usize| used[*index] && kept[*index].is_none();
    for index in (0..nodes.len()).filter(computed) {
        let op = &nodes[index];
        if let Op::Compare(Comparison::Lt, a, b) = op {
            let constant = [a, b].into_iter().any(|x| matches!(nodes[x.index()], Op::Const(_)));
            if let (Some(first), false) = (by_operands.get(&(b, a)), constant) {
                let first: usize = *first;
                pairs[first] = Some(NodeId::from_index(index));
            }
            by_operands.insert((a, b), index);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::super::graph::Graph;
    use super::super::scalar::BinaryOp;
    use super::*;

    #[test]
    fn blocks_are_reused_once_their_readers_are_done() {
        let mut graph = Graph::default();
        let (open, close) = (graph.column(Column::Open), graph.column(Column::Close));
        let mut sum = graph.binary(BinaryOp::Add, open, close);
        for _ in 0..20 {
            sum = graph.binary(BinaryOp::Mul, sum, close);
        }
        let plan = Plan::new(graph.nodes(), &[sum], vec![None; graph.nodes().len()], 8, 1);
        assert_eq!(plan.steps.len(), 21);
        assert_eq!(plan.block_numbers, 2);
        for step in &plan.steps {
            for operand in graph.nodes()[step.node.index()].operands() {
                assert_ne!(plan.places[operand.index()], plan.places[step.node.index()]);
            }
        }
    }

    #[test]
    fn both_directions_of_a_comparison_are_one_step() {
        let mut graph = Graph::default();
        let (open, close) = (graph.column(Column::Open), graph.column(Column::Close));
        let less = graph.compare(Comparison::Lt, open, close);
        let greater = graph.compare(Comparison::Lt, close, open);
        let wanted = [graph.mask(&less).unwrap(), graph.mask(&greater).unwrap()];
        let plan = Plan::new(graph.nodes(), &wanted, vec![None; graph.nodes().len()], 8, 1);
        assert_eq!(plan.steps.len(), 1);
        assert_eq!(plan.steps[0].mirrored, Some(wanted[1]));
    }
}
