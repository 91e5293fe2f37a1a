//! Margin of notionals: maintenance by brackets, liquidation and bankruptcy prices, the share to trim (semantics
//! 4.5–4.8). Plain functions of numbers; what they are asked for is in `margin`.

use barloom::market::Bracket;

/// The brackets of one symbol, by ascending floor; the last is open-ended for maintenance.
#[derive(Debug, Clone)]
pub(crate) struct Tiers(pub(crate) Vec<Bracket>);

impl Tiers {
    /// Contract 2: a symbol without brackets has one.
    pub(crate) fn single(max_leverage: f64) -> Self {
        Self(vec![Bracket {
            floor_usdt: 0.0,
            cap_usdt: f64::INFINITY,
            maintenance_frac: 0.025,
            cum_usdt: 0.0,
            initial_leverage: max_leverage,
        }])
    }
    /// The bracket of a notional: `(floor, cap]`.
    pub(crate) fn of(&self, notional_usdt: f64) -> &Bracket {
        let last = self.0.last().expect("a bracket");
        self.0.iter().find(|bracket| notional_usdt <= bracket.cap_usdt).unwrap_or(last)
    }
    /// Largest notional that may be opened.
    pub(crate) fn cap_usdt(&self) -> f64 {
        self.0.last().expect("a bracket").cap_usdt
    }
    /// 4.6: `MM = N·m_k − cum_k`.
    pub(crate) fn maintenance_usdt(&self, notional_usdt: f64) -> f64 {
        let bracket = self.of(notional_usdt);
        notional_usdt * bracket.maintenance_frac - bracket.cum_usdt
    }
    /// 4.5: `IM = N/lev`, the leverage at most `max_leverage` and that of the bracket.
    pub(crate) fn initial_usdt(&self, notional_usdt: f64, max_leverage: f64) -> f64 {
        notional_usdt / self.of(notional_usdt).initial_leverage.min(max_leverage)
    }
}

/// A position as its liquidation price sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exposed {
    /// +1 long, −1 short.
    pub(crate) sign: f64,
    pub(crate) qty: f64,
    pub(crate) entry_px: f64,
    pub(crate) wallet_usdt: f64,
    pub(crate) other_maintenance_usdt: f64,
    pub(crate) other_unrealized_usdt: f64,
}

/// Where a position is liquidated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Liquidation {
    Never,
    At(f64),
    /// A short whose price would have to be negative not to be.
    Already,
}

impl Exposed {
    /// 4.7: `LP`, with the bracket of `|q|·LP`.
    pub(crate) fn liquidation(&self, tiers: &Tiers) -> Liquidation {
        let s = self.sign;
        for (k, bracket) in tiers.0.iter().enumerate() {
            let funds = self.wallet_usdt - self.other_maintenance_usdt
                + self.other_unrealized_usdt
                + bracket.cum_usdt
                - s * self.qty * self.entry_px;
            let px = funds / (self.qty * (bracket.maintenance_frac - s));
            let is_last = k + 1 == tiers.0.len();
            let notional_usdt = self.qty * px;
            if notional_usdt > bracket.floor_usdt && (is_last || notional_usdt <= bracket.cap_usdt) {
                return Liquidation::At(px);
            }
        }
        if s > 0.0 { Liquidation::Never } else { Liquidation::Already }
    }
    /// 4.7: `BP`, where equity is 0.
    pub(crate) fn bankruptcy_px(&self) -> f64 {
        self.entry_px - self.sign * (self.wallet_usdt + self.other_unrealized_usdt) / self.qty
    }
}

/// 4.8: the smallest `x` with `ΣMM(N_i(1−x)) ≤ target·(E − cost·x·ΣN_i)`; 1 where there is none.
pub(crate) fn trim_share(positions: &[(f64, &Tiers)], equity_usdt: f64, target: f64, cost_frac: f64) -> f64 {
    let gross_usdt: f64 = positions.iter().map(|(notional_usdt, _)| notional_usdt).sum();
    let is_enough = |x: f64| {
        let maintenance_usdt: f64 =
            positions.iter().map(|(n, tiers)| tiers.maintenance_usdt(n * (1.0 - x))).sum();
        maintenance_usdt <= target * (equity_usdt - cost_frac * x * gross_usdt)
    };
    let lowest_frac =
        positions.iter().map(|(_, tiers)| tiers.0[0].maintenance_frac).fold(f64::INFINITY, f64::min);
    if lowest_frac <= target * cost_frac || !is_enough(1.0) {
        return 1.0;
    }
    let (mut too_little, mut enough) = (0.0, 1.0);
    for _ in 0..200 {
        let middle = 0.5 * (too_little + enough);
        if is_enough(middle) { enough = middle } else { too_little = middle }
    }
    enough
}
