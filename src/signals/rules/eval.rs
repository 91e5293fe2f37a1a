//! Evaluates a graph over a tile, block of rows by block of rows, so that intermediates stay near the core.
//!
//! What flows: a block of `block_rows · lanes · 8 B` per live node; columns are read where the tile has them; only
//! nodes that are asked for ("wide") are stored for a whole tile. Every operator is row-local or carries its state in
//! one arena, so neither the block nor the tile shows in a bit of the result. Where things are is [`super::plan`]'s.

use std::mem;
use std::sync::Arc;

use barloom_kernels::buffer::AlignedBuffer;

use super::cache::RuleCache;
use super::columns::FundingRates;
use super::frames::FrameRun;
use super::graph::{Graph, NodeId, Op};
use super::indicators::{Call, MAX_INPUTS, Params};
use super::ops::{self, Operand};
use super::plan::{Place, Plan, Step};
use crate::market::{Market, Tile};

/// Bytes of intermediates a block may take: they stay in a second-level cache with room for the tile's columns. Longer
/// blocks than these gain nothing, and two averages that are compared are then in no first-level cache any more.
const BLOCK_BYTES: usize = 512 * 1024;
const BLOCK_ROWS: std::ops::RangeInclusive<usize> = 8..=32;

/// The nodes to compute and the buffers to do it in.
pub(super) struct Evaluator {
    nodes: Arc<[Op]>,
    plan: Arc<Plan>,
    numbers: Vec<AlignedBuffer>,
    masks: Vec<Vec<u64>>,
    state: AlignedBuffer,
    state_words: Vec<u64>,
    funding: FundingRates,
    /// Runs of the graphs of longer bars, as the graph numbers them.
    frames: Vec<FrameRun>,
    /// What is kept for the whole sweep.
    kept: Option<Arc<RuleCache>>,
    lanes: usize,
    words: usize,
    block_rows: usize,
    /// Longest tile the buffers have room for.
    tile_rows: usize,
    bar0: usize,
    next_bar: usize,
}

impl Evaluator {
    /// Plans the computation of `wanted` nodes, each kept for the whole tile; what is in `kept` is read from there.
    pub(super) fn new(
        graph: &Graph,
        wanted: &[NodeId],
        market: &Market,
        kept: Option<&Arc<RuleCache>>,
    ) -> Self {
        let nodes: Arc<[Op]> = graph.nodes().into();
        let (lanes, words) = (market.lanes(), market.words());
        let slots = (0..nodes.len()).map(|index| kept?.find(graph.key(NodeId::from_index(index)))).collect();
        let plan = Plan::new(&nodes, wanted, slots, lanes, words);
        let frames = graph.frames().iter().enumerate().map(|(index, frame)| {
            let read = nodes.iter().zip(&plan.places).filter_map(|(op, place)| match (op, place) {
                (Op::OfFrame(of, inner), Place::Wide(_)) if *of == index => Some(*inner),
                _ => None,
            });
            FrameRun::new(frame, read.collect(), market)
        });
        let frames = frames.collect();
        let row_bytes = plan.block_numbers * lanes * size_of::<f64>();
        let rows = BLOCK_BYTES.checked_div(row_bytes).unwrap_or(*BLOCK_ROWS.end());
        Self {
            numbers: vec![AlignedBuffer::default(); plan.numbers],
            masks: vec![Vec::new(); plan.masks],
            state: AlignedBuffer::new(plan.state_len),
            state_words: vec![0; plan.state_words],
            funding: FundingRates::default(),
            frames,
            kept: kept.cloned(),
            lanes,
            words,
            block_rows: rows.clamp(*BLOCK_ROWS.start(), *BLOCK_ROWS.end()),
            tile_rows: 0,
            bar0: 0,
            next_bar: 0,
            plan: Arc::new(plan),
            nodes,
        }
    }

    /// Sets how many rows are computed at a time; a matter of speed alone.
    pub(super) fn set_block_rows(&mut self, rows: usize) {
        self.block_rows = rows.max(1);
        self.tile_rows = 0;
    }

    /// Passes over a block.
    pub(super) fn steps(&self) -> usize {
        let own = self.plan.steps.len() + self.plan.tile_steps.len();
        own + self.frames.iter().map(FrameRun::steps).sum::<usize>()
    }

    pub(super) fn nodes(&self) -> &Arc<[Op]> {
        &self.nodes
    }

    /// Computes all nodes over a tile. Tiles come in bar order; bar 0 starts afresh.
    ///
    /// # Panics
    /// When tiles are not in bar order.
    pub(super) fn step(&mut self, market: &Market, tile: &Tile<'_>) {
        let (nodes, plan) = (Arc::clone(&self.nodes), Arc::clone(&self.plan));
        let mut state = mem::take(&mut self.state);
        let mut state_words = mem::take(&mut self.state_words);
        if tile.bar0 == 0 {
            state.fill(0.0);
            state_words.fill(0);
            for step in &plan.steps {
                if let Op::Lag(..) = nodes[step.node.index()] {
                    ops::lag_reset(self.lanes, &mut state[step.state.clone()]);
                }
            }
        } else {
            assert_eq!(tile.bar0, self.next_bar, "tiles are stepped in bar order");
        }
        self.bar0 = tile.bar0;
        self.next_bar = tile.bar0 + tile.rows;
        self.reserve(&nodes, &plan, tile.rows);
        if let Some(slot) = plan.funding_slot {
            self.funding.fill(market, tile, &mut self.numbers[slot]);
        }
        self.step_frames(market, tile, &nodes, &plan);
        let mut row = 0;
        while row < tile.rows {
            let rows = self.block_rows.min(tile.rows - row);
            for step in &plan.steps {
                let block = Block { nodes: &nodes, plan: &plan, market, tile, row, rows };
                if nodes[step.node.index()].is_mask() {
                    self.compute_mask(&block, step, &mut state_words);
                } else {
                    self.compute_numbers(&block, step, &mut state[step.state.clone()]);
                }
            }
            row += rows;
        }
        for step in &plan.tile_steps {
            let block = Block { nodes: &nodes, plan: &plan, market, tile, row: 0, rows: tile.rows };
            self.compute_mask(&block, step, &mut state_words);
        }
        self.state = state;
        self.state_words = state_words;
    }

    /// Computes what is read over longer bars, which need whole tiles.
    fn step_frames(&mut self, market: &Market, tile: &Tile<'_>, nodes: &[Op], plan: &Plan) {
        for frame in &mut self.frames {
            frame.step(market.grid, tile);
        }
        for (op, place) in nodes.iter().zip(&plan.places) {
            if let (Op::OfFrame(frame, inner), Place::Wide(slot)) = (op, *place) {
                self.frames[*frame].expand(*inner, tile, &mut self.numbers[slot]);
            }
        }
    }

    /// What is kept for the whole sweep.
    ///
    /// # Panics
    /// When nothing is.
    fn kept(&self) -> &RuleCache {
        self.kept.as_ref().expect("kept nodes are found in it")
    }

    /// Mask of a wanted node over the `rows` of the tile last stepped.
    pub(super) fn mask(&self, node: NodeId, rows: usize) -> &[u64] {
        match self.plan.places[node.index()] {
            Place::Wide(slot) => &self.masks[slot][..rows * self.words],
            Place::Kept(slot) => &self.kept().mask(slot)[self.bar0 * self.words..][..rows * self.words],
            _ => unreachable!("only wanted nodes are asked for"),
        }
    }

    /// Panel of a wanted node over the `rows` of the tile last stepped.
    pub(super) fn panel(&self, node: NodeId, rows: usize) -> &[f64] {
        match self.plan.places[node.index()] {
            Place::Wide(slot) => &self.numbers[slot][..rows * self.lanes],
            _ => unreachable!("only wanted nodes are asked for"),
        }
    }

    /// Exchanges the whole buffer of a wanted node, so that it can be read elsewhere between two tiles.
    pub(super) fn swap_panel(&mut self, node: NodeId, other: &mut AlignedBuffer) {
        if let Place::Wide(slot) = self.plan.places[node.index()] {
            mem::swap(&mut self.numbers[slot], other);
        }
    }

    /// Makes room for tiles of up to `rows` rows; after the longest tile nothing is allocated any more.
    fn reserve(&mut self, nodes: &[Op], plan: &Plan, rows: usize) {
        if rows <= self.tile_rows {
            return;
        }
        self.tile_rows = rows;
        for (op, place) in nodes.iter().zip(&plan.places) {
            let (slot, rows) = match *place {
                Place::Block(slot) => (slot, self.block_rows),
                Place::Wide(slot) => (slot, rows),
                Place::Nowhere | Place::Kept(_) => continue,
            };
            if op.is_mask() {
                let buffer = &mut self.masks[slot];
                buffer.resize(buffer.len().max(rows * self.words), 0);
            } else {
                let buffer = &mut self.numbers[slot];
                buffer.resize(buffer.len().max(rows * self.lanes * op.outputs()));
                if let Op::Const(bits) = op {
                    buffer.fill(f64::from_bits(*bits));
                }
            }
        }
    }

    fn compute_mask(&mut self, block: &Block<'_>, step: &Step, state: &mut [u64]) {
        let (lanes, words) = (self.lanes, self.words);
        let (slot, span) = block.output(step.node, words);
        let mut buffer = mem::take(&mut self.masks[slot]);
        let mut mirrored = step.mirrored.map(|node| {
            let (slot, span) = block.output(node, words);
            (slot, span, mem::take(&mut self.masks[slot]))
        });
        let out = &mut buffer[span];
        match &block.nodes[step.node.index()] {
            Op::Compare(comparison, a, b) => {
                match (self.operand(block, *a), self.operand(block, *b), &mut mirrored) {
                    (Operand::Panel(a), Operand::Panel(b), Some((_, span, greater))) => {
                        ops::less_and_greater(a, b, lanes, words, out, &mut greater[span.clone()]);
                    }
                    (a, b, _) => ops::compare(*comparison, a, b, lanes, words, out),
                }
            }
            Op::And(a, b) => ops::and_words(self.bits(block, *a), self.bits(block, *b), out),
            Op::Or(a, b) => ops::or_words(self.bits(block, *a), self.bits(block, *b), out),
            Op::Not(a) => ops::not_words(self.bits(block, *a), out),
            Op::LagMask(a) => {
                let present = block.rows_of(block.tile.present, words);
                ops::lag_words(self.bits(block, *a), present, words, &mut state[step.state.clone()], out);
            }
            Op::Present => out.copy_from_slice(block.rows_of(block.tile.present, words)),
            _ => unreachable!("the node is a mask"),
        }
        self.masks[slot] = buffer;
        if let Some((slot, _, greater)) = mirrored {
            self.masks[slot] = greater;
        }
    }

    fn compute_numbers(&mut self, block: &Block<'_>, step: &Step, state: &mut [f64]) {
        let (lanes, words) = (self.lanes, self.words);
        let op = &block.nodes[step.node.index()];
        let (buffer_slot, span) = block.output(step.node, lanes * op.outputs());
        let mut buffer = mem::take(&mut self.numbers[buffer_slot]);
        let out = &mut buffer[span];
        if let Some(slot) = block.plan.kept[step.node.index()] {
            let first = (block.tile.bar0 + block.row) * lanes;
            out.copy_from_slice(&self.kept().panel(slot)[first..][..out.len()]);
            self.numbers[buffer_slot] = buffer;
            return;
        }
        match op {
            Op::Column(column) => out.copy_from_slice(block.rows_of(column.of(block.tile), lanes)),
            Op::Unary(op, a) => ops::unary(*op, self.panel_of(block, *a), out),
            Op::Binary(op, a, b) => ops::binary(*op, self.operand(block, *a), self.operand(block, *b), out),
            Op::Where { value, valid, yes, no } => {
                let masks = [self.bits(block, *value), self.bits(block, *valid)];
                let (yes, no) = (self.panel_of(block, *yes), self.panel_of(block, *no));
                ops::choose(masks, yes, no, lanes, words, out);
            }
            Op::Lag(a, bars) => {
                let close = block.rows_of(block.tile.close, lanes);
                ops::lag(self.panel_of(block, *a), close, lanes, *bars, state, out);
            }
            Op::Indicator(indicator, inputs, params) => {
                let mut panels: [&[f64]; MAX_INPUTS] = [&[]; MAX_INPUTS];
                for (panel, input) in panels.iter_mut().zip(inputs) {
                    *panel = self.panel_of(block, *input);
                }
                let grid = &block.market.grid;
                (indicator.0.step)(Call {
                    inputs: panels,
                    lanes,
                    params: Params(params),
                    open_ms: grid.open_ms(block.tile.bar0 + block.row),
                    step_ms: grid.step_ms,
                    state,
                    out,
                });
            }
            Op::OfSymbol(a, symbol) => {
                let close = block.rows_of(block.tile.close, lanes);
                ops::of_symbol(self.panel_of(block, *a), close, lanes, *symbol, out);
            }
            Op::Part(indicator, output) => {
                let (slot, span) = block.output(*indicator, lanes);
                let part = output * span.len()..(output + 1) * span.len();
                out.copy_from_slice(&self.numbers[slot][part]);
            }
            _ => unreachable!("the node is a number and not a constant"),
        }
        self.numbers[buffer_slot] = buffer;
    }

    /// Rows of a number, as they are or as one constant.
    fn operand<'a>(&'a self, block: &Block<'a>, node: NodeId) -> Operand<'a> {
        match block.nodes[node.index()] {
            Op::Const(bits) => Operand::Const(f64::from_bits(bits)),
            _ => Operand::Panel(self.panel_of(block, node)),
        }
    }

    fn panel_of<'a>(&'a self, block: &Block<'a>, node: NodeId) -> &'a [f64] {
        match (block.plan.places[node.index()], &block.nodes[node.index()]) {
            (Place::Block(slot), _) => &self.numbers[slot][..block.rows * self.lanes],
            (Place::Wide(slot), _) => block.rows_of(&self.numbers[slot], self.lanes),
            (Place::Nowhere, Op::Column(column)) => block.rows_of(column.of(block.tile), self.lanes),
            (Place::Kept(slot), _) => {
                let first = (block.tile.bar0 + block.row) * self.lanes;
                &self.kept().panel(slot)[first..][..block.rows * self.lanes]
            }
            (Place::Nowhere, _) => unreachable!("operands are computed before they are read"),
        }
    }

    fn bits<'a>(&'a self, block: &Block<'a>, node: NodeId) -> &'a [u64] {
        match block.plan.places[node.index()] {
            Place::Block(slot) => &self.masks[slot][..block.rows * self.words],
            Place::Wide(slot) => block.rows_of(&self.masks[slot], self.words),
            Place::Kept(slot) => {
                let first = (block.tile.bar0 + block.row) * self.words;
                &self.kept().mask(slot)[first..][..block.rows * self.words]
            }
            Place::Nowhere => block.rows_of(block.tile.present, self.words),
        }
    }
}

/// The rows that are being computed.
struct Block<'a> {
    nodes: &'a [Op],
    plan: &'a Plan,
    market: &'a Market,
    tile: &'a Tile<'a>,
    row: usize,
    rows: usize,
}

impl<'a> Block<'a> {
    /// This block's rows of a column of the whole tile.
    fn rows_of<'b, T>(&self, column: &'b [T], width: usize) -> &'b [T] {
        &column[self.row * width..][..self.rows * width]
    }

    /// Buffer of a computed node, and the part of it that this block fills.
    fn output(&self, node: NodeId, width: usize) -> (usize, std::ops::Range<usize>) {
        match self.plan.places[node.index()] {
            Place::Block(slot) => (slot, 0..self.rows * width),
            Place::Wide(slot) => (slot, self.row * width..(self.row + self.rows) * width),
            Place::Nowhere | Place::Kept(_) => unreachable!("computed nodes have a buffer"),
        }
    }
}
