//! Margin of notionals: bounds that need no look at positions, the liquidation price, the share to trim (semantics
//! 4.5–4.8). Brackets are the market's ([`BracketTable`]).

use crate::market::{BracketTable, Market};

/// Margin of a whole market in the large: what any of its notionals needs at most.
///
/// Exact margins look at every position; nearly every bar of nearly every account is so far from its limits that the
/// gross notional alone tells.
#[derive(Debug)]
pub struct MarginBounds {
    /// Floors of all brackets of all symbols, ascending.
    floors_usdt: Vec<f64>,
    /// Largest maintenance rate of the brackets up to each floor.
    maintenance_frac: Vec<f64>,
    /// Smallest leverage of the same.
    leverage: Vec<f64>,
}

impl MarginBounds {
    /// Bounds over all brackets that a market ever has.
    pub fn new(market: &Market) -> Self {
        let mut rows: Vec<(f64, f64, f64)> = Vec::new();
        for symbol in &market.symbols {
            let own = symbol.contract.max_leverage.unwrap_or(f64::INFINITY);
            let tables = symbol.brackets.iter().flat_map(|table| &table.brackets);
            rows.extend(tables.map(|b| (b.floor_usdt, b.maintenance_frac, b.initial_leverage.min(own))));
            if symbol.brackets.is_empty() {
                rows.push((0.0, BracketTable::FALLBACK_MAINTENANCE_FRAC, own));
            }
        }
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut bounds = Self { floors_usdt: Vec::new(), maintenance_frac: Vec::new(), leverage: Vec::new() };
        let (mut rate, mut leverage) = (0.0_f64, f64::INFINITY);
        for (floor, maintenance, own) in rows {
            (rate, leverage) = (rate.max(maintenance), leverage.min(own));
            bounds.floors_usdt.push(floor);
            bounds.maintenance_frac.push(rate);
            bounds.leverage.push(leverage);
        }
        bounds
    }
    /// Largest maintenance rate and smallest leverage of any notional up to this one.
    #[inline]
    pub fn up_to(&self, notional_usdt: f64) -> (f64, f64) {
        let brackets = self.floors_usdt.partition_point(|&floor| floor < notional_usdt);
        match brackets.checked_sub(1) {
            None => (0.0, f64::INFINITY),
            Some(last) => (self.maintenance_frac[last], self.leverage[last]),
        }
    }
}

/// A position as its liquidation price sees it.
#[derive(Debug, Clone, Copy)]
pub struct Exposed {
    /// Signed position, base units.
    pub qty: f64,
    /// Average entry price.
    pub entry_px: f64,
    /// Wallet balance, USDT.
    pub wallet_usdt: f64,
    /// ΣMM of the other positions at their marks, USDT.
    pub other_maintenance_usdt: f64,
    /// ΣU of the other positions at their marks, USDT.
    pub other_unrealized_usdt: f64,
}

/// Where a position is liquidated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LiquidationPrice {
    /// At no price above 0.
    Never,
    /// Here.
    At(f64),
    /// It already is: a short whose price would have to be negative.
    Already,
}

impl Exposed {
    /// `LP = (W − TMM_other + U_other + cum_k − s|q|p̄) / (|q|·(m_k − s))` with the bracket of `|q|·LP` (semantics 4.7).
    ///
    /// ```
    /// use barloom::market::BracketTable;
    /// use barloom::risk::margin::{Exposed, LiquidationPrice};
    /// let position = Exposed {
    ///     qty: 10.0, entry_px: 30_000.0, wallet_usdt: 31_000.0, other_maintenance_usdt: 0.0, other_unrealized_usdt: 0.0,
    /// };
    /// // One bracket of 2.5 %: E = MM at 10·(P − 30,000) + 31,000 = 0.25·P.
    /// let LiquidationPrice::At(px) = position.liquidation_px(&BracketTable::fallback(10.0)) else { panic!() };
    /// assert!((px - 269_000.0 / 9.75).abs() < 1e-9);
    /// ```
    pub fn liquidation_px(&self, table: &BracketTable) -> LiquidationPrice {
        let (s, qty) = (self.qty.signum(), self.qty.abs());
        let equity = self.wallet_usdt - self.other_maintenance_usdt + self.other_unrealized_usdt;
        let last = table.brackets.len() - 1;
        for (k, bracket) in table.brackets.iter().enumerate() {
            let funds = equity + bracket.cum_usdt - s * qty * self.entry_px;
            let px = funds / (qty * (bracket.maintenance_frac - s));
            let notional = qty * px;
            if notional > bracket.floor_usdt && (k == last || notional <= bracket.cap_usdt) {
                return LiquidationPrice::At(px);
            }
        }
        if s > 0.0 { LiquidationPrice::Never } else { LiquidationPrice::Already }
    }
    /// `BP = p̄ − s(W + U_other)/|q|`: where equity is 0.
    pub fn bankruptcy_px(&self) -> f64 {
        self.entry_px - (self.wallet_usdt + self.other_unrealized_usdt) / self.qty
    }
}

/// The smallest share `x` with `ΣMM(N_i(1−x)) ≤ target·(E − cost·x·ΣN_i)` (semantics 4.8); 1 where there is none.
/// `positions`: their notionals and tables.
pub fn trim_share<'t>(
    positions: impl Iterator<Item = (f64, &'t BracketTable)> + Clone,
    equity_usdt: f64,
    target: f64,
    cost_frac: f64,
) -> f64 {
    let gross: f64 = positions.clone().map(|(notional, _)| notional).sum();
    let is_enough = |x: f64| {
        let kept = positions.clone().map(|(notional, table)| table.maintenance_usdt(notional * (1.0 - x)));
        kept.sum::<f64>() <= target * (equity_usdt - cost_frac * x * gross)
    };
    let lowest = positions.clone().map(|(_, table)| table.brackets[0].maintenance_frac);
    if lowest.fold(f64::INFINITY, f64::min) <= target * cost_frac || !is_enough(1.0) {
        return 1.0;
    }
    let (mut too_little, mut enough) = (0.0, 1.0);
    for _ in 0..200 {
        let middle = 0.5 * (too_little + enough);
        if is_enough(middle) {
            enough = middle;
        } else {
            too_little = middle;
        }
    }
    enough
}
