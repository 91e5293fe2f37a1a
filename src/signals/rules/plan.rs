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
    /// Steps that only combine masks, for which a block is too short: over the whole tile, after all blocks.
    pub(super) tile_steps: Vec<Step>,
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
        let late = late_nodes(nodes, &used, &kept);
        let mut of_tile = late.clone();
        for index in (0..nodes.len()).filter(|&index| used[index] && late[index]) {
            for operand in computed_from(nodes, &kept, index) {
                of_tile[operand.index()] = true;
            }
        }
        let mut planner = Planner {
            nodes,
            wide,
            late,
            of_tile,
            stored_constants: constants_read_as_panels(nodes, &used, &kept),
            free_numbers: Vec::new(),
            free_masks: Vec::new(),
            free_tile_masks: Vec::new(),
            plan: Self {
                steps: Vec::new(),
                tile_steps: Vec::new(),
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
    /// Wanted: kept for the whole tile until the next.
    wide: Vec<bool>,
    /// Computed after all blocks.
    late: Vec<bool>,
    /// Those and what they read: kept for the whole tile until the last of them has read it.
    of_tile: Vec<bool>,
    stored_constants: Vec<bool>,
    free_numbers: Vec<usize>,
    free_masks: Vec<usize>,
    free_tile_masks: Vec<usize>,
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
                    let steps =
                        if self.late[index] { &mut self.plan.tile_steps } else { &mut self.plan.steps };
                    steps.push(Step { node, mirrored: partner, state });
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
        let of_tile = mask && self.of_tile[index];
        let reused = match (wide, mask) {
            (true, _) => None,
            // A buffer that a late node is done with is written too early by one that is not.
            (false, true) if of_tile && !self.late[index] => None,
            (false, true) if of_tile => self.free_tile_masks.pop(),
            (false, true) => self.free_masks.pop(),
            (false, false) => self.free_numbers.pop(),
        };
        let slot = reused.unwrap_or_else(|| {
            let count = if mask { &mut self.plan.masks } else { &mut self.plan.numbers };
            *count += 1;
            self.plan.block_numbers += if mask || wide { 0 } else { op.outputs() };
            *count - 1
        });
        self.plan.places[index] = if wide || of_tile { Place::Wide(slot) } else { Place::Block(slot) };
        true
    }

    fn release(&mut self, index: usize) {
        let op = &self.nodes[index];
        match self.plan.places[index] {
            Place::Block(_) if matches!(op, Op::Const(_)) => {}
            Place::Block(slot) if op.is_mask() => self.free_masks.push(slot),
            Place::Block(slot) => self.free_numbers.push(slot),
            Place::Wide(slot) if op.is_mask() && !self.wide[index] => self.free_tile_masks.push(slot),
            Place::Wide(_) | Place::Kept(_) | Place::Nowhere => {}
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

/// Nodes that only combine masks, and are read by no others than such: a step over a block of a mask takes longer to call
/// than to do.
fn late_nodes(nodes: &[Op], used: &[bool], kept: &[Option<usize>]) -> Vec<bool> {
    let combines = |op: &Op| matches!(op, Op::And(..) | Op::Or(..) | Op::Not(_) | Op::LagMask(_));
    let mut late: Vec<bool> = nodes.iter().map(combines).collect();
    for reader in (0..nodes.len()).rev().filter(|&reader| used[reader]) {
        if !late[reader] {
            for operand in computed_from(nodes, kept, reader) {
                late[operand.index()] = false;
            }
        }
    }
    late
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

    #[test]
    fn masks_are_combined_after_all_blocks_unless_a_number_reads_them() {
        let mut graph = Graph::default();
        let (open, close) = (graph.column(Column::Open), graph.column(Column::Close));
        let crossing = graph.crossing(open, close);
        let wanted = graph.mask(&crossing).unwrap();
        let combines =
            |graph: &Graph, step: &Step| !matches!(graph.nodes()[step.node.index()], Op::Compare(..));
        let plan = Plan::new(graph.nodes(), &[wanted], vec![None; graph.nodes().len()], 8, 1);
        assert!(plan.steps.iter().all(|step| !combines(&graph, step)));
        assert!(plan.tile_steps.len() > 2 && plan.tile_steps.iter().all(|step| combines(&graph, step)));
        let number = graph.choose(&crossing, open, close);
        let plan = Plan::new(graph.nodes(), &[wanted, number], vec![None; graph.nodes().len()], 8, 1);
        let in_blocks = plan.steps.iter().filter(|step| combines(&graph, step)).count();
        assert!(in_blocks > 2, "what `where` reads is there before it");
    }
}
