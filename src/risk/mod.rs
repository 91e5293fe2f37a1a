//! Risk: how much an opening order asks for (semantics 5.8), what margin it needs and when that falls short (4.5–4.8).
//! The guards and caps of semantics 5 will join it here.
//!
//! It must not know how orders fill. Read next: [`margin`] for the formulas, [`stress`] for how they are not asked.

pub mod margin;
pub mod stress;

use crate::config::plan::{EnginePlan, Sizing, SizingEquity};

/// Balances of an account at the close of a decision.
#[derive(Debug, Clone, Copy)]
pub struct Balances {
    /// Equity at `K_t`, USDT.
    pub equity_usdt: f64,
    /// Wallet at `K_t`, USDT.
    pub wallet_usdt: f64,
}

/// The equity that sizes refer to, USDT.
#[inline]
pub fn sizing_equity_usdt(plan: &EnginePlan, balances: Balances) -> f64 {
    match plan.sizing_equity {
        SizingEquity::Equity => balances.equity_usdt,
        SizingEquity::Wallet => balances.wallet_usdt,
        SizingEquity::Initial => plan.initial_capital_usdt,
    }
}

/// Notional of a new opening order, USDT; 0 when the sizing equity is not positive.
#[inline]
pub fn opening_notional_usdt(plan: &EnginePlan, balances: Balances) -> f64 {
    let equity = sizing_equity_usdt(plan, balances);
    if equity <= 0.0 {
        return 0.0;
    }
    match plan.sizing {
        Sizing::FixedNotional { notional_usdt } => notional_usdt,
        Sizing::FixedFraction { fraction } => fraction * equity,
    }
}
