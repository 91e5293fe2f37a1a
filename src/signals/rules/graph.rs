//! The expression graph: every distinct expression over the same bound values is one node.
//!
//! Nodes are numbers (panels) or masks. `NaN` never needs a third kind: what a boolean reads is remembered beside its
//! mask while the graph is built ([`Truth`]), and a rule's final mask is `value & (nothing it read was NaN)`.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::mem;

use super::columns::Column;
use super::indicators::Indicator;
use super::scalar::{BinaryOp, Comparison, UnaryOp};

/// Index of a node; operands always come before the nodes that read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

impl NodeId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
    /// # Panics
    /// Beyond 2³² nodes.
    pub(super) fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than 2^32 nodes"))
    }
}

/// An indicator as part of a key: two are the same when their names are.
#[derive(Clone, Copy)]
pub(super) struct IndicatorRef(pub(super) &'static Indicator);

impl PartialEq for IndicatorRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}
impl Eq for IndicatorRef {}
impl Hash for IndicatorRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

/// What a node computes from its operands. Constants are kept as bits, so that equality is exact.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Op {
    // Numbers.
    Column(Column),
    Const(u64),
    Unary(UnaryOp, NodeId),
    Binary(BinaryOp, NodeId, NodeId),
    /// `yes` where the first mask is set, `no` where only the second is, else `NaN`.
    Where {
        value: NodeId,
        valid: NodeId,
        yes: NodeId,
        no: NodeId,
    },
    /// The value of this many present bars ago.
    Lag(NodeId, usize),
    /// An indicator with its inputs and the bits of its parameters; of several panels, read through [`Op::Part`].
    Indicator(IndicatorRef, Box<[NodeId]>, Box<[u64]>),
    /// One panel of an indicator that has several.
    Part(NodeId, usize),
    /// The value at one symbol, for all symbols that have the bar.
    OfSymbol(NodeId, usize),
    /// A node of the graph of longer bars with this index, at the last of them that has closed.
    OfFrame(usize, NodeId),
    // Masks.
    Present,
    Compare(Comparison, NodeId, NodeId),
    And(NodeId, NodeId),
    Or(NodeId, NodeId),
    Not(NodeId),
    /// The mask at the present bar before.
    LagMask(NodeId),
}

impl Op {
    /// Operands in this graph, in order.
    pub(super) fn operands(&self) -> Vec<NodeId> {
        match self {
            Self::Column(_) | Self::Const(_) | Self::Present | Self::OfFrame(..) => Vec::new(),
            Self::Unary(_, a)
            | Self::Lag(a, _)
            | Self::Part(a, _)
            | Self::OfSymbol(a, _)
            | Self::Not(a)
            | Self::LagMask(a) => vec![*a],
            Self::Binary(_, a, b) | Self::Compare(_, a, b) | Self::And(a, b) | Self::Or(a, b) => vec![*a, *b],
            Self::Where { value, valid, yes, no } => vec![*value, *valid, *yes, *no],
            Self::Indicator(_, inputs, _) => inputs.to_vec(),
        }
    }

    /// Whether the node is a mask.
    pub(super) fn is_mask(&self) -> bool {
        matches!(
            self,
            Self::Present
                | Self::Compare(..)
                | Self::And(..)
                | Self::Or(..)
                | Self::Not(_)
                | Self::LagMask(_)
        )
    }

    /// Whether its value depends on other bars or symbols, so that it cannot be computed at a single point.
    pub(super) fn is_stateful(&self) -> bool {
        matches!(
            self,
            Self::Lag(..)
                | Self::LagMask(_)
                | Self::Indicator(..)
                | Self::Part(..)
                | Self::OfSymbol(..)
                | Self::OfFrame(..)
                | Self::Column(Column::FundingRate)
        )
    }

    /// Panels it gives.
    pub(super) fn outputs(&self) -> usize {
        match self {
            Self::Indicator(indicator, ..) => indicator.0.outputs,
            _ => 1,
        }
    }
}

/// Mask of a boolean as far as it is known while building.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logic {
    Const(bool),
    Mask(NodeId),
}

/// A boolean while the graph is built.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    logic: Logic,
    /// What it reads: numbers, and masks of where earlier numbers were there.
    reads: BTreeSet<NodeId>,
    /// Those of `reads` of which the mask is known to be false where they are missing.
    implied: BTreeSet<NodeId>,
}

/// Nodes and the index that finds equal ones.
#[derive(Default)]
pub(super) struct Graph {
    nodes: Vec<Op>,
    index: HashMap<Op, NodeId>,
    keys: Vec<Key>,
    frames: Vec<Frame>,
}

/// What a node computes, as 128 bits: equal in all graphs over one market.
pub(super) type Key = [u64; 2];

/// The graph of what is read over longer bars.
#[derive(Default)]
pub(super) struct Frame {
    pub(super) step_ms: i64,
    pub(super) graph: Graph,
}

impl Graph {
    pub(super) fn nodes(&self) -> &[Op] {
        &self.nodes
    }

    pub(super) fn frames(&self) -> &[Frame] {
        &self.frames
    }

    pub(super) fn key(&self, node: NodeId) -> Key {
        self.keys[node.index()]
    }

    /// The key of an operator: itself, and the keys of its operands instead of their places.
    fn key_of(&self, op: &Op) -> Key {
        [0_u8, 1].map(|half| {
            let mut hash = DefaultHasher::new();
            half.hash(&mut hash);
            mem::discriminant(op).hash(&mut hash);
            match op {
                Op::Column(column) => column.hash(&mut hash),
                Op::Const(bits) => bits.hash(&mut hash),
                Op::Unary(op, _) => op.hash(&mut hash),
                Op::Binary(op, ..) => op.hash(&mut hash),
                Op::Lag(_, bars) => bars.hash(&mut hash),
                Op::Indicator(indicator, _, params) => (indicator, params).hash(&mut hash),
                Op::Part(_, at) | Op::OfSymbol(_, at) => at.hash(&mut hash),
                Op::OfFrame(frame, inner) => {
                    let frame = &self.frames[*frame];
                    (frame.step_ms, frame.graph.key(*inner)).hash(&mut hash);
                }
                Op::Compare(comparison, ..) => comparison.hash(&mut hash),
                Op::Where { .. } | Op::Present | Op::And(..) | Op::Or(..) | Op::Not(_) | Op::LagMask(_) => {}
            }
            for operand in op.operands() {
                self.keys[operand.index()].hash(&mut hash);
            }
            hash.finish()
        })
    }

    fn node(&mut self, op: Op) -> NodeId {
        if let Some(id) = self.index.get(&op) {
            return *id;
        }
        let id = NodeId::from_index(self.nodes.len());
        self.keys.push(self.key_of(&op));
        self.nodes.push(op.clone());
        self.index.insert(op, id);
        id
    }

    /// Value of a constant node.
    pub(super) fn constant_of(&self, node: NodeId) -> Option<f64> {
        match self.nodes[node.index()] {
            Op::Const(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    pub(super) fn constant(&mut self, value: f64) -> NodeId {
        self.node(Op::Const(value.to_bits()))
    }

    pub(super) fn column(&mut self, column: Column) -> NodeId {
        self.node(Op::Column(column))
    }

    pub(super) fn unary(&mut self, op: UnaryOp, a: NodeId) -> NodeId {
        match self.constant_of(a) {
            Some(x) => self.constant(op.apply(x)),
            None => self.node(Op::Unary(op, a)),
        }
    }

    pub(super) fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> NodeId {
        match (self.constant_of(a), self.constant_of(b)) {
            (Some(x), Some(y)) => self.constant(op.apply(x, y)),
            // One order for the zeros' signs, whichever way it is computed.
            (Some(_), None) if op.commutes() => self.node(Op::Binary(op, b, a)),
            _ => self.node(Op::Binary(op, a, b)),
        }
    }

    pub(super) fn lag(&mut self, a: NodeId, bars: usize) -> NodeId {
        let a = self.series(a);
        self.node(Op::Lag(a, bars))
    }

    /// Panel `output` of an indicator.
    pub(super) fn indicator(
        &mut self,
        indicator: &'static Indicator,
        inputs: &[NodeId],
        params: &[f64],
        output: usize,
    ) -> NodeId {
        let inputs = inputs.iter().map(|&input| self.series(input)).collect();
        let params = params.iter().map(|param| param.to_bits()).collect();
        let node = self.node(Op::Indicator(IndicatorRef(indicator), inputs, params));
        if indicator.outputs == 1 { node } else { self.node(Op::Part(node, output)) }
    }

    /// `a` at one symbol, for all symbols.
    pub(super) fn of_symbol(&mut self, a: NodeId, symbol: usize) -> NodeId {
        let a = self.series(a);
        self.node(Op::OfSymbol(a, symbol))
    }

    /// The graph of longer bars of this length, to be bound in and [put back](Self::put_frame).
    pub(super) fn take_frame(&mut self, step_ms: i64) -> (usize, Self) {
        let frame = self.frames.iter().position(|frame| frame.step_ms == step_ms).unwrap_or_else(|| {
            self.frames.push(Frame { step_ms, graph: Self::default() });
            self.frames.len() - 1
        });
        (frame, mem::take(&mut self.frames[frame].graph))
    }

    pub(super) fn put_frame(&mut self, frame: usize, graph: Self) {
        self.frames[frame].graph = graph;
    }

    /// A node of a graph of longer bars, at the bars of this one.
    pub(super) fn of_frame(&mut self, frame: usize, inner: NodeId) -> NodeId {
        let inner = self.frames[frame].graph.series(inner);
        self.node(Op::OfFrame(frame, inner))
    }

    /// 1 where a boolean holds, 0 where it does not, `NaN` where it read a `NaN`.
    pub(super) fn as_number(&mut self, truth: &Truth) -> NodeId {
        let (yes, no) = (self.constant(1.0), self.constant(0.0));
        self.choose(truth, yes, no)
    }

    /// The boolean of a number that [`as_number`](Self::as_number) made.
    pub(super) fn is_positive(&mut self, node: NodeId) -> Truth {
        let zero = self.constant(0.0);
        self.compare(Comparison::Lt, zero, node)
    }

    /// A constant as a series, which is `NaN` at missing bars like every other; series as they are.
    fn series(&mut self, a: NodeId) -> NodeId {
        if self.constant_of(a).is_none() {
            return a;
        }
        let present = self.node(Op::Present);
        self.node(Op::Where { value: present, valid: present, yes: a, no: a })
    }

    pub(super) fn compare(&mut self, comparison: Comparison, a: NodeId, b: NodeId) -> Truth {
        if let (Some(x), Some(y)) = (self.constant_of(a), self.constant_of(b)) {
            let never = x.is_nan() || y.is_nan();
            let reads = if never { BTreeSet::from([a, b]) } else { BTreeSet::new() };
            let logic = Logic::Const(comparison.apply(x, y));
            return Truth { logic, reads, implied: BTreeSet::new() };
        }
        let symmetric = matches!(comparison, Comparison::Eq | Comparison::Ne);
        let (a, b) = if symmetric && b < a { (b, a) } else { (a, b) };
        let mask = self.node(Op::Compare(comparison, a, b));
        let reads: BTreeSet<NodeId> = [a, b].into_iter().filter(|&n| !self.is_number(n)).collect();
        Truth { logic: Logic::Mask(mask), implied: reads.clone(), reads }
    }

    /// A constant that is not `NaN`, so that reading it says nothing.
    fn is_number(&self, node: NodeId) -> bool {
        self.constant_of(node).is_some_and(|x| !x.is_nan())
    }

    pub(super) fn not(&mut self, a: Truth) -> Truth {
        let logic = match a.logic {
            Logic::Const(value) => Logic::Const(!value),
            Logic::Mask(mask) => Logic::Mask(self.node(Op::Not(mask))),
        };
        Truth { logic, reads: a.reads, implied: BTreeSet::new() }
    }

    pub(super) fn and(&mut self, a: Truth, b: Truth) -> Truth {
        let logic = match (a.logic, b.logic) {
            (Logic::Const(false), _) | (_, Logic::Const(false)) => Logic::Const(false),
            (Logic::Const(true), other) | (other, Logic::Const(true)) => other,
            (Logic::Mask(x), Logic::Mask(y)) => Logic::Mask(self.and_masks(x, y)),
        };
        Truth { logic, reads: &a.reads | &b.reads, implied: &a.implied | &b.implied }
    }

    pub(super) fn or(&mut self, a: Truth, b: Truth) -> Truth {
        let logic = match (a.logic, b.logic) {
            (Logic::Const(true), _) | (_, Logic::Const(true)) => Logic::Const(true),
            (Logic::Const(false), other) | (other, Logic::Const(false)) => other,
            (Logic::Mask(x), Logic::Mask(y)) => {
                Logic::Mask(if x == y { x } else { self.node(Op::Or(x.min(y), x.max(y))) })
            }
        };
        // A false constant does not read anything and leaves the other side's mask as it is.
        let implied = match (a.logic, b.logic) {
            (Logic::Const(false), _) => b.implied,
            (_, Logic::Const(false)) => a.implied,
            _ => &a.implied & &b.implied,
        };
        Truth { logic, reads: &a.reads | &b.reads, implied }
    }

    fn and_masks(&mut self, x: NodeId, y: NodeId) -> NodeId {
        if x == y { x } else { self.node(Op::And(x.min(y), x.max(y))) }
    }

    /// `high > low`, and not so one present bar ago, when both had values too.
    ///
    /// What was one bar ago is kept as a mask and not as numbers: a bit per symbol instead of two values.
    pub(super) fn crossing(&mut self, low: NodeId, high: NodeId) -> Truth {
        let now = self.compare(Comparison::Lt, low, high);
        let Some(valid) = self.valid(&now.reads) else { return now };
        let not_above = match now.logic {
            Logic::Const(true) => {
                let above = self.node(Op::Not(valid));
                self.and_masks(above, valid)
            }
            Logic::Const(false) => valid,
            Logic::Mask(above) => {
                let not_above = self.node(Op::Not(above));
                self.and_masks(not_above, valid)
            }
        };
        let (before, valid_before) = (self.node(Op::LagMask(not_above)), self.node(Op::LagMask(valid)));
        let reads = BTreeSet::from([valid_before]);
        let before = Truth { logic: Logic::Mask(before), implied: reads.clone(), reads };
        self.and(now, before)
    }

    /// Mask that is set where nothing of `reads` is missing; `None`: nowhere.
    fn valid(&mut self, reads: &BTreeSet<NodeId>) -> Option<NodeId> {
        let mut mask = None;
        for &node in reads {
            if self.constant_of(node).is_some_and(f64::is_nan) {
                return None;
            }
            let is_mask = self.nodes[node.index()].is_mask();
            let here = if is_mask { node } else { self.node(Op::Compare(Comparison::Eq, node, node)) };
            mask = Some(match mask {
                None => here,
                Some(mask) => self.and_masks(mask, here),
            });
        }
        Some(mask.unwrap_or_else(|| self.node(Op::Present)))
    }

    /// The mask of a rule: true, and nothing it read was `NaN`. `None`: never true.
    pub(super) fn mask(&mut self, truth: &Truth) -> Option<NodeId> {
        if truth.reads.iter().any(|&n| self.constant_of(n).is_some_and(f64::is_nan)) {
            return None;
        }
        match truth.logic {
            Logic::Const(false) => None,
            Logic::Const(true) => self.valid(&truth.reads),
            Logic::Mask(mask) => {
                let open: BTreeSet<NodeId> = &truth.reads - &truth.implied;
                if open.is_empty() {
                    return Some(mask);
                }
                let valid = self.valid(&open)?;
                Some(self.and_masks(mask, valid))
            }
        }
    }

    /// `yes` where `truth` holds, `no` where it does not, `NaN` where it read a `NaN`.
    pub(super) fn choose(&mut self, truth: &Truth, yes: NodeId, no: NodeId) -> NodeId {
        let Some(valid) = self.valid(&truth.reads) else { return self.constant(f64::NAN) };
        if let (Logic::Const(value), true) = (truth.logic, truth.reads.is_empty()) {
            return if value { yes } else { no };
        }
        match self.mask(truth) {
            Some(value) => self.node(Op::Where { value, valid, yes, no }),
            None => self.node(Op::Where { value: valid, valid, yes: no, no }),
        }
    }

    /// The value of a boolean that reads no column; `NaN` makes it false.
    pub(super) fn decided(&self, truth: &Truth) -> Option<bool> {
        match truth.logic {
            Logic::Const(value) => Some(value && truth.reads.is_empty()),
            Logic::Mask(_) => None,
        }
    }
}
