//! Evaluates a graph over a tile, block of rows by block of rows, so that intermediates stay near the core.
//!
//! What flows: a block of `block_rows · lanes · 8 B` per live node; columns are read where the tile has them; only
//! nodes that are asked for ("wide") are stored for a whole tile. Every operator is row-local or carries its state in
//! one arena, so neither the block nor the tile shows in a bit of the result.

use std::mem;
use std::sync::Arc;

use super::columns::{Column, FundingRates};
use super::graph::{Graph, NodeId, Op};
use super::ops::{self, KernelCall};
use super::scalar::Comparison;
use crate::market::{Market, Tile};

/// Bytes of intermediates a block may take: half of a small second-level cache.
const BLOCK_BYTES: usize = 256 * 1024;
const BLOCK_ROWS: std::ops::RangeInclusive<usize> = 4..=64;

/// Where the values of a node are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Never computed.
    Unused,
    /// In the tile.
    Tile,
    /// In a buffer of one block.
    Block(usize),
    /// In a buffer of one tile.
    Wide(usize),
}

/// One step: a node, and with it the mirrored comparison where both are wanted.
#[derive(Debug, Clone, Copy)]
struct Step {
    node: NodeId,
    mirrored: Option<NodeId>,
    /// First `f64` of the node's state in the arena, and how many.
    state: (usize, usize),
}

/// The nodes to compute and the buffers to do it in.
pub(super) struct Evaluator {
    nodes: Arc<[Op]>,
    steps: Vec<Step>,
    places: Vec<Place>,
    numbers: Vec<Vec<f64>>,
    masks: Vec<Vec<u64>>,
    /// Constants stored wide or as blocks, refilled when their buffer grows.
    constants: Vec<NodeId>,
    state: Vec<f64>,
    funding: FundingRates,
    lanes: usize,
    words: usize,
    block_rows: usize,
    next_bar: usize,
    rows: usize,
}

impl Evaluator {
    /// Plans the computation of `wanted` nodes, each kept for the whole tile.
    pub(super) fn new(graph: &Graph, wanted: &[NodeId], market: &Market) -> Self {
        let nodes: Arc<[Op]> = graph.nodes().into();
        let (lanes, words) = (market.lanes(), market.words());
        let used = reachable(&nodes, wanted);
        let mut wide = vec![false; nodes.len()];
        for node in wanted {
            wide[node.index()] = true;
        }
        let mut evaluator = Self {
            places: vec![Place::Unused; nodes.len()],
            steps: Vec::new(),
            numbers: Vec::new(),
            masks: Vec::new(),
            constants: Vec::new(),
            state: Vec::new(),
            funding: FundingRates::default(),
            lanes,
            words,
            block_rows: 1,
            next_bar: 0,
            rows: 0,
            nodes,
        };
        evaluator.plan(&used, &wide);
        let block_buffers = evaluator.places.iter().filter_map(|place| match place {
            Place::Block(slot) => Some(*slot + 1),
            _ => None,
        });
        let row_bytes = block_buffers.max().unwrap_or(0) * lanes * size_of::<f64>();
        let rows = BLOCK_BYTES.checked_div(row_bytes).unwrap_or(*BLOCK_ROWS.end());
        evaluator.set_block_rows(rows.clamp(*BLOCK_ROWS.start(), *BLOCK_ROWS.end()));
        evaluator
    }

    /// Sets how many rows are computed at a time; a matter of speed alone.
    pub(super) fn set_block_rows(&mut self, rows: usize) {
        self.block_rows = rows.max(1);
        self.rows = 0;
    }

    pub(super) fn nodes(&self) -> &Arc<[Op]> {
        &self.nodes
    }

    /// Gives every used node a place, in order, and frees the blocks that nobody reads any more.
    fn plan(&mut self, used: &[bool], wide: &[bool]) {
        let nodes = Arc::clone(&self.nodes);
        let mirrored = mirrored_pairs(&nodes, used);
        let mut last_reader: Vec<usize> = (0..nodes.len()).collect();
        for (reader, op) in nodes.iter().enumerate().filter(|(reader, _)| used[*reader]) {
            for operand in op.operands() {
                last_reader[operand.index()] = reader;
            }
        }
        let mut free_at: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        for (node, reader) in last_reader.iter().enumerate() {
            free_at[*reader].push(node);
        }
        let (mut free_numbers, mut free_masks) = (Vec::new(), Vec::new());
        for (index, op) in nodes.iter().enumerate().filter(|(index, _)| used[*index]) {
            let node = NodeId::from_index(index);
            if self.places[index] == Place::Unused {
                self.place(index, op, wide[index], &mut free_numbers, &mut free_masks);
                let partner = mirrored[index];
                if let Some(partner) = partner {
                    let op = &nodes[partner.index()];
                    let wide = wide[partner.index()];
                    self.place(partner.index(), op, wide, &mut free_numbers, &mut free_masks);
                }
                self.schedule(node, op, partner);
            }
            for &done in &free_at[index] {
                // A constant is written once and for all.
                let constant = matches!(nodes[done], Op::Const(_));
                if let (Place::Block(slot), false) = (self.places[done], constant) {
                    if nodes[done].is_mask() { &mut free_masks } else { &mut free_numbers }.push(slot);
                }
            }
        }
    }

    fn place(
        &mut self,
        index: usize,
        op: &Op,
        wide: bool,
        free_numbers: &mut Vec<usize>,
        free_masks: &mut Vec<usize>,
    ) {
        let in_tile = match op {
            Op::Present => true,
            Op::Column(column) => *column != Column::FundingRate,
            _ => false,
        };
        if in_tile {
            self.places[index] = Place::Tile;
            return;
        }
        let wide = wide || matches!(op, Op::Column(_));
        let is_constant = matches!(op, Op::Const(_));
        let reused = match (wide || is_constant, op.is_mask()) {
            (true, _) => None,
            (false, true) => free_masks.pop(),
            (false, false) => free_numbers.pop(),
        };
        let slot = reused.unwrap_or_else(|| {
            if op.is_mask() {
                self.masks.push(Vec::new());
                self.masks.len() - 1
            } else {
                self.numbers.push(Vec::new());
                self.numbers.len() - 1
            }
        });
        self.places[index] = if wide { Place::Wide(slot) } else { Place::Block(slot) };
    }

    fn schedule(&mut self, node: NodeId, op: &Op, mirrored: Option<NodeId>) {
        let state_len = match op {
            Op::Present | Op::Column(_) => return,
            Op::Const(_) => return self.constants.push(node),
            Op::Lag(_, bars) => ops::lag_state_len(self.lanes, *bars),
            Op::Kernel(kernel, _, windows) => (kernel.0.state_len)(self.lanes, windows),
            _ => 0,
        };
        let state = (self.state.len(), state_len);
        self.state.resize(self.state.len() + state_len, 0.0);
        self.steps.push(Step { node, mirrored, state });
    }

    /// Computes all nodes over a tile. Tiles come in bar order; bar 0 starts afresh.
    ///
    /// # Panics
    /// When tiles are not in bar order.
    pub(super) fn step(&mut self, market: &Market, tile: &Tile<'_>) {
        if tile.bar0 == 0 {
            self.state.fill(0.0);
        } else {
            assert_eq!(tile.bar0, self.next_bar, "tiles are stepped in bar order");
        }
        self.next_bar = tile.bar0 + tile.rows;
        self.reserve(tile.rows);
        self.fill_funding(market, tile);
        let nodes = Arc::clone(&self.nodes);
        let mut state = mem::take(&mut self.state);
        let mut row = 0;
        while row < tile.rows {
            let rows = self.block_rows.min(tile.rows - row);
            for index in 0..self.steps.len() {
                let step = self.steps[index];
                let (start, len) = step.state;
                self.compute(&nodes, step, tile, (row, rows), &mut state[start..start + len]);
            }
            row += rows;
        }
        self.state = state;
    }

    /// Mask of a wanted node over the tile last stepped.
    pub(super) fn mask<'a>(&'a self, node: NodeId, rows: usize) -> Option<&'a [u64]> {
        match self.places[node.index()] {
            Place::Wide(slot) => Some(&self.masks[slot][..rows * self.words]),
            _ => None,
        }
    }

    /// Panel of a wanted node over the tile last stepped; `None` when it is a column of the tile itself.
    pub(super) fn panel(&self, node: NodeId, rows: usize) -> Option<&[f64]> {
        match self.places[node.index()] {
            Place::Wide(slot) => Some(&self.numbers[slot][..rows * self.lanes]),
            _ => None,
        }
    }

    /// Exchanges the whole buffer of a wanted node, so that it can be read elsewhere between two tiles.
    pub(super) fn swap_panel(&mut self, node: NodeId, other: &mut Vec<f64>) {
        if let Place::Wide(slot) = self.places[node.index()] {
            mem::swap(&mut self.numbers[slot], other);
        }
    }

    /// Makes room for tiles of up to `rows` rows; after the longest tile nothing is allocated any more.
    fn reserve(&mut self, rows: usize) {
        let block = self.block_rows;
        for (index, place) in self.places.iter().enumerate() {
            let (slot, rows) = match *place {
                Place::Block(slot) => (slot, block),
                Place::Wide(slot) => (slot, rows.max(self.rows)),
                Place::Unused | Place::Tile => continue,
            };
            if self.nodes[index].is_mask() {
                let buffer = &mut self.masks[slot];
                buffer.resize(buffer.len().max(rows * self.words), 0);
            } else {
                let buffer = &mut self.numbers[slot];
                buffer.resize(buffer.len().max(rows * self.lanes), 0.0);
            }
        }
        if rows > self.rows {
            for node in &self.constants {
                let (Op::Const(bits), Place::Block(slot) | Place::Wide(slot)) =
                    (&self.nodes[node.index()], self.places[node.index()])
                else {
                    continue;
                };
                self.numbers[slot].fill(f64::from_bits(*bits));
            }
            self.rows = rows;
        }
    }

    fn fill_funding(&mut self, market: &Market, tile: &Tile<'_>) {
        for (op, place) in self.nodes.iter().zip(&self.places) {
            if let (Op::Column(Column::FundingRate), Place::Wide(slot)) = (op, place) {
                self.funding.fill(market, tile, &mut self.numbers[*slot]);
            }
        }
    }

    fn compute(
        &mut self,
        nodes: &[Op],
        step: Step,
        tile: &Tile<'_>,
        (row, rows): (usize, usize),
        state: &mut [f64],
    ) {
        let op = &nodes[step.node.index()];
        let place = self.places[step.node.index()];
        let (Place::Block(slot) | Place::Wide(slot)) = place else { return };
        let (lanes, words) = (self.lanes, self.words);
        let first = if matches!(place, Place::Wide(_)) { row } else { 0 };
        if op.is_mask() {
            let mut buffer = mem::take(&mut self.masks[slot]);
            let out = &mut buffer[first * words..][..rows * words];
            let block = Block { evaluator: self, tile, row, rows };
            match op {
                Op::Compare(comparison, a, b) => {
                    let (a, b) = (block.number(*a), block.number(*b));
                    match step.mirrored {
                        None => ops::compare(*comparison, a, b, lanes, words, out),
                        Some(partner) => {
                            let place = self.places[partner.index()];
                            self.compare_both(a, b, out, place, (row, rows));
                        }
                    }
                }
                Op::And(a, b) => ops::combine_words(block.mask(*a), block.mask(*b), out, |a, b| a & b),
                Op::Or(a, b) => ops::combine_words(block.mask(*a), block.mask(*b), out, |a, b| a | b),
                Op::Not(a) => ops::combine_words(block.mask(*a), block.mask(*a), out, |a, _| !a),
                _ => {}
            }
            self.masks[slot] = buffer;
            return;
        }
        let mut buffer = mem::take(&mut self.numbers[slot]);
        let out = &mut buffer[first * lanes..][..rows * lanes];
        let block = Block { evaluator: self, tile, row, rows };
        match op {
            Op::Unary(op, a) => ops::unary(*op, block.number(*a), out),
            Op::Binary(op, a, b) => ops::binary(*op, block.number(*a), block.number(*b), out),
            Op::Where { value, valid, yes, no } => {
                let masks = [block.mask(*value), block.mask(*valid)];
                ops::choose(masks, block.number(*yes), block.number(*no), lanes, words, out);
            }
            Op::Lag(a, bars) => ops::lag(block.number(*a), block.close(), lanes, *bars, state, out),
            Op::Kernel(kernel, inputs, windows) => {
                let mut panels: [&[f64]; ops::MAX_INPUTS] = [&[]; ops::MAX_INPUTS];
                for (panel, input) in panels.iter_mut().zip(inputs) {
                    *panel = block.number(*input);
                }
                (kernel.0.step)(KernelCall { inputs: panels, lanes, windows, state, out });
            }
            _ => {}
        }
        self.numbers[slot] = buffer;
    }

}

/// The operands of a step: one block of rows.
struct Block<'a, 't> {
    evaluator: &'a Evaluator,
    tile: &'a Tile<'t>,
    row: usize,
    rows: usize,
}

impl<'a> Block<'a, '_> {
    fn close(&self) -> &'a [f64] {
        let lanes = self.evaluator.lanes;
        &self.tile.close[self.row * lanes..][..self.rows * lanes]
    }

    fn number(&self, node: NodeId) -> &'a [f64] {
        let evaluator = self.evaluator;
        let (first, len) = (self.row * evaluator.lanes, self.rows * evaluator.lanes);
        match (evaluator.places[node.index()], &evaluator.nodes[node.index()]) {
            (Place::Block(slot), _) => &evaluator.numbers[slot][..len],
            (Place::Wide(slot), _) => &evaluator.numbers[slot][first..][..len],
            (_, Op::Column(column)) => &column.of(self.tile)[first..][..len],
            _ => unreachable!("operands are computed before they are read"),
        }
    }

    fn mask(&self, node: NodeId) -> &'a [u64] {
        let evaluator = self.evaluator;
        let (first, len) = (self.row * evaluator.words, self.rows * evaluator.words);
        match evaluator.places[node.index()] {
            Place::Block(slot) => &evaluator.masks[slot][..len],
            Place::Wide(slot) => &evaluator.masks[slot][first..][..len],
            Place::Tile | Place::Unused => &self.tile.present[first..][..len],
        }
    }
}

fn reachable(nodes: &[Op], wanted: &[NodeId]) -> Vec<bool> {
    let mut used = vec![false; nodes.len()];
    for node in wanted {
        used[node.index()] = true;
    }
    for index in (0..nodes.len()).rev() {
        if used[index] {
            for operand in nodes[index].operands() {
                used[operand.index()] = true;
            }
        }
    }
    used
}

/// For each `a < b` the later `b < a`, where both are used: they are computed in one pass over `a` and `b`.
fn mirrored_pairs(nodes: &[Op], used: &[bool]) -> Vec<Option<NodeId>> {
    let mut by_operands = std::collections::HashMap::new();
    let mut pairs = vec![None; nodes.len()];
    for (index, op) in nodes.iter().enumerate().filter(|(index, _)| used[*index]) {
        if let Op::Compare(Comparison::Lt, a, b) = op {
            if let Some(first) = by_operands.get(&(*b, *a)) {
                pairs[*first] = Some(NodeId::from_index(index));
            }
            by_operands.insert((*a, *b), index);
        }
    }
    pairs
}
