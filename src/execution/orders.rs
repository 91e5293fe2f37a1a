//! Orders that wait for the next tradable bar.

use crate::events::{NO_TAG, OrderEnd, OrderKind, OrderStatus, Side};
use crate::portfolio::Lane;

/// What an order may do to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May only reduce; executes before entries at an open.
    Exit,
    /// Opens, adds or flips.
    Entry,
}

/// A market order between its decision and its end.
#[derive(Debug, Clone, Copy)]
pub struct PendingOrder {
    /// Symbol and account.
    pub lane: Lane,
    /// Order id.
    pub order_id: u32,
    /// Bar whose close decided it.
    pub decided_bar: u32,
    /// Life in bars; 0: unlimited.
    pub ttl_bars: u32,
    /// Side.
    pub side: Side,
    /// Exit or entry.
    pub role: Role,
    /// Closes whatever stands against it when it executes. An exit does no more; for an entry `steps` come on top.
    pub closes_opposite: bool,
    /// Quantity in steps: of the whole order, or of the opening leg where `closes_opposite`.
    pub steps: f64,
    /// Quantity in base units as asked.
    pub qty: f64,
    /// Stop loss that an increase of the position sets; `NaN`: none.
    pub stop_loss_px: f64,
    /// Take profit that an increase of the position sets; `NaN`: none.
    pub take_profit_px: f64,
    /// Why the opening leg must not execute (the closing leg still may); empty: it may.
    pub opening_refused: &'static str,
    /// Tag index.
    pub tag: u32,
    /// Executed, expired or cancelled; taken out at the next compaction.
    pub ended: bool,
}

impl PendingOrder {
    /// Whether its last active bar is `bar`.
    #[inline]
    pub fn expires_at_close_of(&self, bar: usize) -> bool {
        self.ttl_bars != 0 && bar >= self.decided_bar as usize + self.ttl_bars as usize
    }
    /// How it ended.
    pub fn end(&self, end_bar: usize, status: OrderStatus, reason: &'static str) -> OrderEnd {
        OrderEnd {
            order_id: self.order_id,
            bar: self.decided_bar,
            end_bar: end_bar as u32,
            symbol: self.lane.symbol as u32,
            kind: OrderKind::Market,
            price_px: f64::NAN,
            side: self.side,
            qty: self.qty,
            ttl_bars: self.ttl_bars,
            status,
            reason,
            tag: self.tag,
        }
    }
}

/// All waiting orders of a batch, by symbol and then order id within each role, with masks of who has one.
#[derive(Debug, Clone)]
pub struct OrderQueue {
    waiting: Vec<PendingOrder>,
    /// Bit set: a mask entry on the long side waits.
    pub long_entry: Vec<u64>,
    /// Bit set: a mask entry on the short side waits.
    pub short_entry: Vec<u64>,
    /// Bit set: a mask exit waits.
    pub exit: Vec<u64>,
    next_id: Vec<u32>,
    ended: usize,
}

impl OrderQueue {
    /// An empty queue.
    pub fn new(words: usize, accounts: usize, capacity: usize) -> Self {
        Self {
            waiting: Vec::with_capacity(capacity),
            long_entry: vec![0; words],
            short_entry: vec![0; words],
            exit: vec![0; words],
            next_id: vec![0; accounts],
            ended: 0,
        }
    }
    /// Next running order id of an account.
    #[inline]
    pub fn take_id(&mut self, account: usize) -> u32 {
        let id = self.next_id[account];
        self.next_id[account] += 1;
        id
    }
    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
    /// Adds an order, keeping the order of semantics 2.13 (symbol id, then order id).
    #[inline]
    pub fn push(&mut self, order: PendingOrder) {
        let key = |o: &PendingOrder| (o.lane.symbol, o.order_id);
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
    /// Sets the bits of a waiting order; without a branch, since which one it is cannot be predicted.
    #[inline]
    fn set_masks(&mut self, order: &PendingOrder) {
        let (word, bit) = (order.lane.word, order.lane.bit);
        let only = |is: bool| bit & u64::from(is).wrapping_neg();
        let (entry, buy) = (order.role == Role::Entry, order.side == Side::Buy);
        self.exit[word] |= only(!entry);
        self.long_entry[word] |= only(entry & buy);
        self.short_entry[word] |= only(entry & !buy);
    }
    /// Clears the bits of an order that ended.
    #[inline]
    fn clear_masks(&mut self, order: &PendingOrder) {
        let (word, bit) = (order.lane.word, !order.lane.bit);
        self.exit[word] &= bit;
        self.long_entry[word] &= bit;
        self.short_entry[word] &= bit;
    }
    /// Order at a position of the queue.
    #[inline]
    pub fn get(&self, at: usize) -> Option<PendingOrder> {
        self.waiting.get(at).copied()
    }
    /// Refuses the opening leg of the order at a position.
    pub fn refuse_opening(&mut self, at: usize, reason: &'static str) {
        self.waiting[at].opening_refused = reason;
    }
    /// Whether any reduce-only order from signals or tables waits.
    #[inline]
    pub fn has_exits(&self) -> bool {
        self.exit.iter().any(|&word| word != 0)
    }
    /// Number of waiting orders.
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
        if all {
            for at in 0..self.waiting.len() {
                let order = self.waiting[at];
                self.clear_masks(&order);
            }
            self.waiting.clear();
            return;
        }
        let mut kept = 0;
        for at in 0..self.waiting.len() {
            let order = self.waiting[at];
            if order.ended {
                self.clear_masks(&order);
            } else {
                self.waiting[kept] = order;
                kept += 1;
            }
        }
        self.waiting.truncate(kept);
        for at in 0..kept {
            // A symbol may have had two orders behind one bit.
            let order = self.waiting[at];
            self.set_masks(&order);
        }
    }
}

/// A market order without levels, tag or quantity; fields are filled in by the caller.
pub fn blank_order(lane: Lane, side: Side, role: Role) -> PendingOrder {
    PendingOrder {
        lane,
        order_id: 0,
        decided_bar: 0,
        ttl_bars: 0,
        side,
        role,
        closes_opposite: false,
        steps: 0.0,
        qty: f64::NAN,
        stop_loss_px: f64::NAN,
        take_profit_px: f64::NAN,
        opening_refused: "",
        tag: NO_TAG,
        ended: false,
    }
}
