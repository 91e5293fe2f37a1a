//! Position episodes: flat → flat, or until a flip, per symbol (semantics 9.3).
//!
//! One open episode per symbol, updated fill by fill; a closed one is handed back and forgotten. Prices and
//! excursions are not its business: see [`mod@super::trades`].

use crate::events::{Fill, FundingPayment, Side};

/// Money of an episode so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Episode {
    /// Bar of the first fill.
    pub entry_bar: u32,
    /// Realised PnL, USDT.
    pub realized_usdt: f64,
    /// Fees, USDT, positive is a cost.
    pub fees_usdt: f64,
    /// Funding, USDT, signed change of the wallet.
    pub funding_usdt: f64,
}

impl Episode {
    fn opened(bar: u32, fee_usdt: f64) -> Self {
        Self { entry_bar: bar, fees_usdt: fee_usdt, ..Self::default() }
    }
    /// Realised − fees + funding.
    #[inline]
    pub fn net_usdt(&self) -> f64 {
        self.realized_usdt - self.fees_usdt + self.funding_usdt
    }
}

/// An episode that ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClosedEpisode {
    /// Symbol id.
    pub symbol: u32,
    /// `Buy` for a long episode.
    pub side: Side,
    /// Bar of the last fill.
    pub exit_bar: u32,
    /// Its money and its start.
    pub episode: Episode,
}

/// Whether a fill crosses zero: one leg closes, the rest opens the other side.
#[inline]
pub fn is_flip(fill: &Fill) -> bool {
    fill.position_before * fill.position_after < 0.0
}

/// Whether a fill closes a part of a position.
#[inline]
pub fn reduces(fill: &Fill) -> bool {
    fill.position_before * fill.side.sign() < 0.0
}

/// Fee of the closing leg: all of it, or its share by quantity on a flip.
#[inline]
pub fn closing_fee_usdt(fill: &Fill) -> f64 {
    if is_flip(fill) { fill.fee_usdt * (fill.position_before.abs() / fill.qty) } else { fill.fee_usdt }
}

/// The open episode of every symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeBook {
    open: Vec<Episode>,
}

impl EpisodeBook {
    /// No positions.
    pub fn new(symbols: usize) -> Self {
        Self { open: vec![Episode::default(); symbols] }
    }
    /// Forgets everything.
    pub fn reset(&mut self) {
        self.open.fill(Episode::default());
    }
    /// Books a fill; gives back the episode it ended.
    #[inline]
    pub fn fill(&mut self, fill: &Fill) -> Option<ClosedEpisode> {
        let open = &mut self.open[fill.symbol as usize];
        if fill.position_before == 0.0 {
            let funding_usdt = open.funding_usdt;
            *open = Episode { funding_usdt, ..Episode::opened(fill.bar, fill.fee_usdt) };
            return None;
        }
        let closing_fee = closing_fee_usdt(fill);
        open.realized_usdt += fill.realized_usdt;
        open.fees_usdt += closing_fee;
        let flip = is_flip(fill);
        if fill.position_after != 0.0 && !flip {
            return None;
        }
        let next =
            if flip { Episode::opened(fill.bar, fill.fee_usdt - closing_fee) } else { Episode::default() };
        let side = if fill.position_before > 0.0 { Side::Buy } else { Side::Sell };
        let episode = std::mem::replace(open, next);
        Some(ClosedEpisode { symbol: fill.symbol, side, exit_bar: fill.bar, episode })
    }
    /// Books funding to the open episode of its symbol. What settles after the fills of the very open that closed the
    /// position (`funding.boundary = "pessimistic"`) is kept for the symbol's next episode, so that nothing is lost.
    #[inline]
    pub fn funding(&mut self, payment: &FundingPayment) {
        self.open[payment.symbol as usize].funding_usdt += payment.cash_usdt;
    }
    /// Money of the episodes that are still open, by symbol id; where flat, funding that waits for the next one.
    pub fn open_episodes(&self) -> &[Episode] {
        &self.open
    }
}
