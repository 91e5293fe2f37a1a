//! Orders between their decision and their end, by symbol and then order id (semantics 2.13).
//!
//! Nearly all are market orders of one bar's life, so an order is a small record; what only limits, stops, trails and
//! groups need is beside it, in [`Extra`]. Masks say who has an order, so that a bar without any leaves at once.

use crate::events::{Attached, FillReason, NO_GROUP, NO_TAG, OrderEnd, OrderKind, OrderStatus, Side};
use crate::portfolio::Lane;

/// What an order may do to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May only reduce; executes before entries at an open.
    Exit,
    /// Opens, adds or flips.
    Entry,
}

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Executes as a market order: one from the start, or what is left of a stop that was triggered.
    Market,
    /// A stop whose trigger this open has passed.
    Triggered,
    /// A limit order, or a triggered stop-limit, that has not met a tradable bar yet.
    Arriving,
    /// A limit order in the book.
    Resting,
    /// A stop or stop-limit that waits for its trigger.
    Armed,
}

/// An order between its decision and its end.
#[derive(Debug, Clone, Copy)]
pub struct PendingOrder {
    /// Symbol id.
    pub symbol: u32,
    /// Order id.
    pub order_id: u32,
    /// Bar whose close decided it.
    pub decided_bar: u32,
    /// Life in bars; 0: unlimited.
    pub ttl_bars: u32,
    /// Tag index.
    pub tag: u32,
    /// Index of its [`Extra`]; [`NO_EXTRA`]: a plain market order.
    pub extra: u32,
    /// Side.
    pub side: Side,
    /// Exit or entry.
    pub role: Role,
    /// Type.
    pub kind: OrderKind,
    /// How far it is.
    pub stage: Stage,
    /// Closes whatever stands against it when it executes. An exit does no more; for an entry `steps` come on top.
    pub closes_opposite: bool,
    /// Its opening leg has begun to fill, so that its minimums are not tested again.
    pub has_opened: bool,
    /// A part of it has filled.
    pub has_filled: bool,
    /// Executed, expired or cancelled; taken out at the next compaction.
    pub ended: bool,
    /// Quantity in steps that is left: of the whole order, or of the opening leg where `closes_opposite`.
    pub steps: f64,
    /// Quantity in base units as asked.
    pub qty: f64,
    /// Stop loss that an increase of the position sets; `NaN`: none.
    pub stop_loss_px: f64,
    /// Take profit that an increase of the position sets; `NaN`: none.
    pub take_profit_px: f64,
    /// Why the opening leg must not execute (the closing leg still may); empty: it may.
    pub opening_refused: &'static str,
    /// Reason of its fills, for orders of the engine's own.
    pub reason: Option<FillReason>,
}

/// No [`Extra`].
pub const NO_EXTRA: u32 = u32::MAX;

/// What only some orders need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extra {
    /// Limit price of a limit order, trigger of the stops; on the tick grid.
    pub price_px: f64,
    /// Limit price of a stop-limit order; on the tick grid.
    pub limit_px: f64,
    /// Distance of the trailing stop that an increase sets; `NaN`: none.
    pub trail_px: f64,
    /// Activation of that trail; `NaN`: at once.
    pub activation_px: f64,
    /// OCO group; [`NO_GROUP`]: none.
    pub oco_group: u32,
    /// Rejected rather than filled as taker on arrival.
    pub post_only: bool,
}

impl Extra {
    /// Nothing.
    pub const NONE: Self = Self {
        price_px: f64::NAN,
        limit_px: f64::NAN,
        trail_px: f64::NAN,
        activation_px: f64::NAN,
        oco_group: NO_GROUP,
        post_only: false,
    };
}

impl PendingOrder {
    /// A market order without levels, tag or quantity; fields are filled in by the caller.
    pub fn blank(symbol: usize, side: Side, role: Role) -> Self {
        Self {
            symbol: symbol as u32,
            order_id: 0,
            decided_bar: 0,
            ttl_bars: 0,
            tag: NO_TAG,
            extra: NO_EXTRA,
            side,
            role,
            kind: OrderKind::Market,
            stage: Stage::Market,
            closes_opposite: false,
            has_opened: false,
            has_filled: false,
            ended: false,
            steps: 0.0,
            qty: f64::NAN,
            stop_loss_px: f64::NAN,
            take_profit_px: f64::NAN,
            opening_refused: "",
            reason: None,
        }
    }
    /// Its lane.
    #[inline]
    pub fn lane(&self) -> Lane {
        Lane::of(self.symbol as usize)
    }
    /// Whether its last active bar is `bar`.
    #[inline]
    pub fn expires_at_close_of(&self, bar: usize) -> bool {
        self.ttl_bars != 0 && bar >= self.decided_bar as usize + self.ttl_bars as usize
    }
    /// The levels it carries.
    #[inline]
    pub fn attached(&self, extra: &Extra) -> Attached {
        Attached {
            stop_loss_px: self.stop_loss_px,
            take_profit_px: self.take_profit_px,
            trail_px: extra.trail_px,
            activation_px: extra.activation_px,
        }
    }
    /// How it ended.
    pub fn end(&self, price_px: f64, end_bar: usize, status: OrderStatus, reason: &'static str) -> OrderEnd {
        OrderEnd {
            order_id: self.order_id,
            bar: self.decided_bar,
            end_bar: end_bar as u32,
            symbol: self.symbol,
            kind: self.kind,
            price_px,
            side: self.side,
            qty: self.qty,
            ttl_bars: self.ttl_bars,
            status,
            reason,
            tag: self.tag,
        }
    }
}

/// All waiting orders of an account, by symbol and then order id, with masks of who has one.
#[derive(Debug, Clone)]
pub struct OrderQueue {
    waiting: Vec<PendingOrder>,
    extras: Vec<Extra>,
    free_extras: Vec<u32>,
    /// Bit set: an entry on the long side waits.
    pub long_entry: Vec<u64>,
    /// Bit set: an entry on the short side waits.
    pub short_entry: Vec<u64>,
    /// Bit set: an exit waits.
    pub exit: Vec<u64>,
    /// Bit set: an order that is no market order waits.
    pub working: Vec<u64>,
    next_id: u32,
    ended: usize,
    /// Waiting orders that have an extra.
    special: usize,
}

impl OrderQueue {
    /// An empty queue.
    pub fn new(words: usize, capacity: usize) -> Self {
        Self {
            waiting: Vec::with_capacity(capacity),
            extras: Vec::new(),
            free_extras: Vec::new(),
            long_entry: vec![0; words],
            short_entry: vec![0; words],
            exit: vec![0; words],
            working: vec![0; words],
            next_id: 0,
            ended: 0,
            special: 0,
        }
    }
    /// Next running order id.
    #[inline]
    pub fn take_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id - 1
    }
    /// The id that comes next.
    pub fn next_id(&self) -> u32 {
        self.next_id
    }
    /// Goes on from this id.
    pub fn set_next_id(&mut self, next_id: u32) {
        self.next_id = next_id;
    }
    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
    /// Whether any order is more than a plain market order.
    #[inline]
    pub fn has_special(&self) -> bool {
        self.special > 0
    }
    /// Adds an order, keeping the order of semantics 2.13 (symbol id, then order id).
    #[inline]
    pub fn push(&mut self, order: PendingOrder) {
        let key = |o: &PendingOrder| (o.symbol, o.order_id);
        self.special += usize::from(order.extra != NO_EXTRA);
        if self.waiting.last().is_none_or(|last| key(last) <= key(&order)) {
            self.set_masks(&order);
            self.waiting.push(order);
            return;
        }
        let mut at = self.waiting.len();
        while at > 0 && key(&self.waiting[at - 1]) > key(&order) {
            at -= 1;
        }
        self.waiting.insert(at, order);
        self.set_masks(&order);
    }
    /// Keeps the extra of an order that is about to be pushed.
    pub fn keep_extra(&mut self, extra: Extra) -> u32 {
        match self.free_extras.pop() {
            Some(at) => {
                self.extras[at as usize] = extra;
                at
            }
            None => {
                self.extras.push(extra);
                (self.extras.len() - 1) as u32
            }
        }
    }
    /// What an order has beside it.
    #[inline]
    pub fn extra(&self, order: &PendingOrder) -> Extra {
        if order.extra == NO_EXTRA { Extra::NONE } else { self.extras[order.extra as usize] }
    }
    /// Sets the bits of a waiting order; without a branch, since which one it is cannot be predicted.
    #[inline]
    fn set_masks(&mut self, order: &PendingOrder) {
        let Lane { word, bit, .. } = order.lane();
        let only = |is: bool| bit & u64::from(is).wrapping_neg();
        let (entry, buy) = (order.role == Role::Entry, order.side == Side::Buy);
        self.exit[word] |= only(!entry);
        self.long_entry[word] |= only(entry & buy);
        self.short_entry[word] |= only(entry & !buy);
        self.working[word] |= only(order.kind != OrderKind::Market);
    }
    /// Clears the bits of an order that ended.
    #[inline]
    fn clear_masks(&mut self, order: &PendingOrder) {
        let Lane { word, bit, .. } = order.lane();
        self.exit[word] &= !bit;
        self.long_entry[word] &= !bit;
        self.short_entry[word] &= !bit;
        self.working[word] &= !bit;
    }
    /// Order at a position of the queue.
    #[inline]
    pub fn get(&self, at: usize) -> Option<PendingOrder> {
        self.waiting.get(at).copied()
    }
    /// The order at a position, unless it has ended.
    #[inline]
    pub fn live(&self, at: usize) -> Option<&PendingOrder> {
        self.waiting.get(at).filter(|order| !order.ended)
    }
    /// Changes the order at a position; not its symbol, id, side or role.
    #[inline]
    pub fn change(&mut self, at: usize, change: impl FnOnce(&mut PendingOrder)) {
        change(&mut self.waiting[at]);
    }
    /// Positions of the orders of a symbol.
    #[inline]
    pub fn of_symbol(&self, symbol: usize) -> std::ops::Range<usize> {
        let first = self.waiting.partition_point(|order| (order.symbol as usize) < symbol);
        let count = self.waiting[first..].iter().take_while(|order| order.symbol as usize == symbol).count();
        first..first + count
    }
    /// Whether any reduce-only order waits.
    #[inline]
    pub fn has_exits(&self) -> bool {
        self.exit.iter().any(|&word| word != 0)
    }
    /// Number of waiting orders, ended ones included until they are taken out.
    #[inline]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }
    /// Marks the order at a position as ended; [`OrderQueue::compact`] takes it out.
    #[inline]
    pub fn finish(&mut self, at: usize) {
        self.waiting[at].ended = true;
        self.ended += 1;
    }
    /// Takes out all ended orders; the rest keep their order.
    #[inline]
    pub fn compact(&mut self) {
        if self.ended == 0 {
            return;
        }
        let all = self.ended == self.waiting.len();
        self.ended = 0;
        let mut kept = 0;
        for at in 0..self.waiting.len() {
            let order = self.waiting[at];
            if order.ended {
                self.clear_masks(&order);
                if order.extra != NO_EXTRA {
                    self.free_extras.push(order.extra);
                    self.special -= 1;
                }
            } else {
                self.waiting[kept] = order;
                kept += 1;
            }
        }
        self.waiting.truncate(kept);
        if all {
            return;
        }
        for at in 0..kept {
            // A symbol may have had two orders behind one bit.
            let order = self.waiting[at];
            self.set_masks(&order);
        }
    }
}
