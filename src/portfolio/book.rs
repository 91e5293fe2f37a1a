//! Positions and balances of one account, as columns: lane = symbol, masks have one bit per symbol.

use super::Money;

/// Where a symbol's state lives: its column index, and its bit in the masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Symbol id, the index into lane columns.
    pub symbol: usize,
    /// Mask word.
    pub word: usize,
    /// Mask bit.
    pub bit: u64,
}

impl Lane {
    /// Lane of a symbol.
    #[inline]
    pub fn of(symbol: usize) -> Self {
        Self { symbol, word: symbol / 64, bit: 1 << (symbol % 64) }
    }
    /// Lane of a mask bit.
    #[inline]
    pub fn of_bit(word: usize, bit: u32) -> Self {
        Self { symbol: word * 64 + bit as usize, word, bit: 1 << bit }
    }
    /// Whether its bit is set in a mask.
    #[inline]
    pub fn is_in(self, mask: &[u64]) -> bool {
        mask[self.word] & self.bit != 0
    }
}

/// State of an account: what matters, and can be compared; no scratch.
#[derive(Debug, Clone)]
pub struct Book {
    /// Signed position, base units.
    pub qty: Vec<f64>,
    /// Average entry price, 0 when flat.
    pub avg_entry_px: Vec<f64>,
    /// Signed position in whole steps of the contract: exact, and the source of `qty`.
    pub steps: Vec<f64>,
    /// Bit set: long.
    pub held_long: Vec<u64>,
    /// Bit set: short.
    pub held_short: Vec<u64>,
    /// Wallet balance `W`.
    pub wallet: Money,
    /// Cash `B` of the independent form (semantics 4.4).
    pub cash: Money,
    open_positions: u32,
    /// Largest gross notional ever booked: the scale of rounding errors.
    pub turnover_scale: f64,
}

/// What booking a fill did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Booked {
    /// Realised PnL of the closed part, USDT.
    pub realized_usdt: f64,
    /// Position before.
    pub position_before: f64,
    /// Position after.
    pub position_after: f64,
    /// Average entry before.
    pub avg_entry_before: f64,
    /// Average entry after.
    pub avg_entry_after: f64,
}

impl Booked {
    /// Nothing.
    pub const NONE: Self = Self {
        realized_usdt: 0.0,
        position_before: 0.0,
        position_after: 0.0,
        avg_entry_before: 0.0,
        avg_entry_after: 0.0,
    };
}

impl Book {
    /// An empty book over `symbols` symbols in rows of `lanes` lanes.
    pub fn new(symbols: usize, lanes: usize, initial_capital_usdt: f64) -> Self {
        let words = symbols.div_ceil(64).max(1);
        let money = Money::new(initial_capital_usdt);
        Self {
            qty: vec![0.0; lanes],
            avg_entry_px: vec![0.0; lanes],
            steps: vec![0.0; lanes],
            held_long: vec![0; words],
            held_short: vec![0; words],
            wallet: money,
            cash: money,
            open_positions: 0,
            turnover_scale: initial_capital_usdt,
        }
    }
    /// Becomes equal to a book over the same symbols, in the memory it has.
    ///
    /// # Panics
    /// When the other book has another number of lanes.
    pub fn copy_from(&mut self, other: &Self) {
        let Self { qty, avg_entry_px, steps, held_long, held_short, .. } = self;
        qty.copy_from_slice(&other.qty);
        avg_entry_px.copy_from_slice(&other.avg_entry_px);
        steps.copy_from_slice(&other.steps);
        held_long.copy_from_slice(&other.held_long);
        held_short.copy_from_slice(&other.held_short);
        (self.wallet, self.cash) = (other.wallet, other.cash);
        (self.open_positions, self.turnover_scale) = (other.open_positions, other.turnover_scale);
    }
    /// Symbols with a position.
    #[inline]
    pub fn open_positions(&self) -> u32 {
        self.open_positions
    }
    /// Mask words.
    #[inline]
    pub fn words(&self) -> usize {
        self.held_long.len()
    }
    /// Bits of a mask word that have a position.
    #[inline]
    pub fn held(&self, word: usize) -> u64 {
        self.held_long[word] | self.held_short[word]
    }
    /// Books a fill of `dq` units (signed; `steps_delta` of them in steps), after which the position is `qty_after`.
    ///
    /// Average-entry accounting, semantics 4.2; the fee is not part of the entry price.
    #[inline(always)]
    pub fn book_fill(
        &mut self,
        lane: Lane,
        steps_delta: f64,
        dq: f64,
        qty_after: f64,
        price_px: f64,
        fee_usdt: f64,
    ) -> Booked {
        let i = lane.symbol;
        let (before, entry) = (self.qty[i], self.avg_entry_px[i]);
        let steps_before = self.steps[i];
        let steps_after = steps_before + steps_delta;
        let opposite = steps_before * steps_delta < 0.0;
        let (realized, entry_after) = if opposite {
            let crossed = steps_before * steps_after < 0.0;
            let closed = if crossed || steps_after == 0.0 { before } else { -dq };
            let entry_after = if steps_after == 0.0 {
                0.0
            } else if crossed {
                price_px
            } else {
                entry
            };
            (closed * (price_px - entry), entry_after)
        } else {
            let (held, added) = (before.abs(), dq.abs());
            (0.0, if held == 0.0 { price_px } else { (held * entry + added * price_px) / qty_after.abs() })
        };
        self.steps[i] = steps_after;
        self.qty[i] = qty_after;
        self.avg_entry_px[i] = entry_after;
        self.open_positions += u32::from(steps_before == 0.0 && steps_after != 0.0);
        self.open_positions -= u32::from(steps_before != 0.0 && steps_after == 0.0);
        let (long, short) = (steps_after > 0.0, steps_after < 0.0);
        self.held_long[lane.word] = self.held_long[lane.word] & !lane.bit | if long { lane.bit } else { 0 };
        self.held_short[lane.word] =
            self.held_short[lane.word] & !lane.bit | if short { lane.bit } else { 0 };
        let traded = dq * price_px;
        self.wallet.add(realized - fee_usdt);
        self.cash.add(-traded);
        self.cash.add(-fee_usdt);
        self.turnover_scale = self.turnover_scale.max(traded.abs());
        Booked {
            realized_usdt: realized,
            position_before: before,
            position_after: qty_after,
            avg_entry_before: entry,
            avg_entry_after: entry_after,
        }
    }
    /// Books a cash flow that is no trade (funding, insurance).
    #[inline]
    pub fn book_cash(&mut self, amount_usdt: f64) {
        self.wallet.add(amount_usdt);
        self.cash.add(amount_usdt);
    }
    /// Checks that both forms of equity agree (semantics 4.9 I2) and that flat positions hold nothing.
    ///
    /// # Panics
    /// When they do not: the account is broken, and no number of it may be shown.
    pub fn check(&self, mark_px_of: impl Fn(usize) -> f64) {
        let (mut unrealized, mut value, mut scale) = (Money::default(), Money::default(), 0.0f64);
        for i in 0..self.qty.len() {
            assert_eq!(self.steps[i] == 0.0, self.qty[i] == 0.0, "steps and quantity disagree on being flat");
            if self.qty[i] == 0.0 {
                continue;
            }
            let mark = mark_px_of(i);
            unrealized.add(self.qty[i] * (mark - self.avg_entry_px[i]));
            value.add(self.qty[i] * mark);
            scale = scale.max((self.qty[i] * mark).abs());
        }
        let wallet_form = self.wallet.value() + unrealized.value();
        let cash_form = self.cash.value() + value.value();
        let scale = scale.max(self.turnover_scale).max(1.0);
        assert!(
            (wallet_form - cash_form).abs() <= 1e-9 * scale + 1e-6,
            "equity {wallet_form} from the wallet and {cash_form} from cash disagree"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Example 08: average entry, partial close, flip, fees; both forms after each fill.
    #[test]
    fn a_flip_realises_the_closed_part_and_reopens_at_the_fill_price() {
        let mut book = Book::new(1, 8, 10_000.0);
        let lane = Lane::of(0);
        let rows: [(f64, f64, f64, f64, f64); 5] = [
            (2.0, 100.0, 0.0, 100.0, 9_999.9),
            (1.0, 106.0, 0.0, 102.0, 9_999.847),
            (-1.0, 110.0, 8.0, 102.0, 10_007.792),
            (-4.0, 95.0, -14.0, 95.0, 9_993.602),
            (2.0, 90.0, 10.0, 0.0, 10_003.512),
        ];
        let mut position = 0.0;
        for (dq, price, realized, entry, wallet) in rows {
            position += dq;
            let booked = book.book_fill(lane, dq, dq, position, price, dq.abs() * price * 0.0005);
            assert!((booked.realized_usdt - realized).abs() < 1e-9);
            assert!((booked.avg_entry_after - entry).abs() < 1e-9);
            assert!((book.wallet.value() - wallet).abs() < 1e-9);
            book.check(|_| price);
        }
        assert_eq!((book.held_long[0], book.held_short[0]), (0, 0));
    }

    #[test]
    #[should_panic(expected = "disagree")]
    fn a_lost_cash_flow_is_noticed() {
        let mut book = Book::new(1, 8, 10_000.0);
        let lane = Lane::of(0);
        book.book_fill(lane, 2.0, 2.0, 2.0, 100.0, 0.1);
        book.wallet.add(-0.01);
        book.check(|_| 100.0);
    }
}
