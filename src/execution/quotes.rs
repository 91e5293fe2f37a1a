//! What any market order of a tile would pay, and how large it would be: known before there is one.
//!
//! With a fixed slippage and a fixed notional both depend on the bar alone, so the trials of a worker share them. Made
//! in vectors where enough orders ask; an order for which there is no quote is priced by itself
//! ([`pricing`](super::pricing), [`rules`](super::rules)), with the same bits.

use barloom_kernels::buffer::AlignedBuffer;
use barloom_kernels::grid::{OrderBounds, market_prices, order_sizes, orders_within};

use super::pricing::FixedSlippage;
use super::rules::SymbolRules;
use crate::config::plan::{EnginePlan, Sizing};
use crate::events::Side;
use crate::market::{Market, StepGrid, Tile};

/// What quotes depend on, beside the bars.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Terms {
    slippage: FixedSlippage,
    rounds: bool,
    notional_usdt: Option<f64>,
}

/// Quotes of one tile, panels `[row][lane]`.
#[derive(Debug)]
pub struct Quotes {
    terms: Terms,
    /// Prices of sells and of buys at the open, USDT.
    prices: [AlignedBuffer; 2],
    /// Sizes decided at the close, in steps and in base units; above the tile's rows the last one of the tile before.
    sizes: [AlignedBuffer; 2],
    /// Bits `[row][word]` of the symbols that such an order may open at the close, as far as the bar tells.
    opens: Vec<u64>,
    /// Bits of those in which one decided at the close before fills whole at this open.
    fills: Vec<u64>,
    lanes: usize,
}

impl Quotes {
    /// Price of a market order that fills at the open; `at` = `row · lanes + symbol`.
    #[inline]
    pub fn price_px(&self, side: Side, at: usize) -> f64 {
        self.prices[usize::from(side == Side::Buy)][at]
    }
    /// Steps and quantity of an order decided at the close; `None` where each has its own notional.
    #[inline]
    pub fn size(&self, at: usize) -> Option<(f64, f64)> {
        self.terms.notional_usdt.map(|_| self.size_before(at + self.lanes))
    }
    /// The same of one decided at the close before; there is one where [`Quotes::masks`] say so.
    #[inline]
    pub fn size_before(&self, at: usize) -> (f64, f64) {
        (self.sizes[0][at], self.sizes[1][at])
    }
    /// Masks `[row][word]`: where an order of the quoted size may be decided, and where one decided at the close before
    /// fills whole. `None` where each order has its own notional. A bit that is not set only means: look at it.
    #[inline]
    pub fn masks(&self) -> Option<(&[u64], &[u64])> {
        self.terms.notional_usdt.map(|_| (&self.opens[..], &self.fills[..]))
    }
}

/// The bounds of all lanes, in the form kernels take; nothing fits the padding.
#[derive(Debug)]
struct LaneBounds([Vec<f64>; 3]);

impl LaneBounds {
    fn new(market: &Market) -> Self {
        let of_lane = |lane: usize| match market.symbols.get(lane) {
            Some(symbol) => SymbolRules::new(&symbol.contract).market_bounds(),
            None => [f64::INFINITY; 3],
        };
        Self([0, 1, 2].map(|bound| (0..market.lanes()).map(|lane| of_lane(lane)[bound]).collect()))
    }
    fn columns(&self) -> OrderBounds<'_> {
        let [min_qty, max_qty, min_notional] = &self.0;
        OrderBounds { min_qty, max_qty, min_notional }
    }
}

/// The grids of all lanes, in the form kernels take.
#[derive(Debug)]
pub(super) struct LaneGrids {
    pub(super) inverse: Vec<f64>,
    pub(super) size: Vec<f64>,
}

impl LaneGrids {
    pub(super) fn new(market: &Market, grid_of: impl Fn(usize) -> Option<StepGrid>) -> Self {
        let grids =
            (0..market.lanes()).map(|lane| (lane < market.symbols.len()).then(|| grid_of(lane)).flatten());
        let (inverse, size) =
            grids.map(|grid| grid.map_or((0.0, 0.0), |grid| (grid.inverse(), grid.size))).unzip();
        Self { inverse, size }
    }
}

/// Quotes of all trials of a worker: one set for each distinct terms.
#[derive(Debug)]
pub struct QuoteSets {
    sets: Vec<Quotes>,
    set_of: Vec<Option<usize>>,
    ticks: LaneGrids,
    steps: LaneGrids,
    no_ticks: Vec<f64>,
    bounds: LaneBounds,
    are_made: bool,
    /// The bar after the last one that has sizes.
    next_bar: usize,
}

/// A quote costs about a fifth of what pricing and sizing one order does.
const QUOTES_PER_ORDER: usize = 5;

impl QuoteSets {
    /// One plan per trial; `None` for a trial whose orders ask for no quotes.
    pub fn new<'a>(plans: impl IntoIterator<Item = Option<&'a EnginePlan>>, market: &Market) -> Self {
        let mut sets: Vec<Quotes> = Vec::new();
        let set_of = plans
            .into_iter()
            .map(|plan| {
                let plan = plan?;
                let notional_usdt = match plan.sizing {
                    Sizing::FixedNotional { notional_usdt } => Some(notional_usdt),
                    Sizing::FixedFraction { .. } => None,
                };
                let rounds = plan.execution.round_to_tick;
                let terms = Terms { slippage: FixedSlippage::of(&plan.slippage), rounds, notional_usdt };
                let known = sets.iter().position(|set| set.terms == terms);
                Some(known.unwrap_or_else(|| {
                    let [prices, sizes] = [(); 2].map(|()| [(); 2].map(|()| AlignedBuffer::default()));
                    let (opens, fills) = (Vec::new(), Vec::new());
                    sets.push(Quotes { terms, prices, sizes, opens, fills, lanes: market.lanes() });
                    sets.len() - 1
                }))
            })
            .collect();
        let contract = |symbol: usize| &market.symbols[symbol].contract;
        let ticks = LaneGrids::new(market, |symbol| contract(symbol).tick);
        let steps = LaneGrids::new(market, |symbol| Some(contract(symbol).step));
        let (bounds, no_ticks) = (LaneBounds::new(market), vec![0.0; market.lanes()]);
        Self { sets, set_of, ticks, steps, no_ticks, bounds, are_made: false, next_bar: usize::MAX }
    }
    /// Whether quotes are worth their making, going by the orders of the tile before.
    pub fn are_worth_it(&self, tile: &Tile<'_>, orders_before: usize) -> bool {
        orders_before * QUOTES_PER_ORDER > tile.rows * tile.symbols * self.sets.len()
    }
    /// Makes the quotes of a tile, or none.
    pub fn load(&mut self, tile: &Tile<'_>, wanted: bool) {
        self.are_made = wanted;
        if !wanted {
            return;
        }
        let (lanes, words, len) = (tile.lanes, tile.words, tile.rows * tile.lanes);
        let follows = tile.bar0 == self.next_bar;
        self.next_bar = tile.bar0 + tile.rows;
        for Quotes { terms, prices, sizes, opens, fills, .. } in &mut self.sets {
            for (side, out) in prices.iter_mut().enumerate() {
                out.resize(len);
                let size = if terms.rounds { &self.ticks.size } else { &self.no_ticks };
                let (factor, inverse) = (terms.slippage.factor[side], &self.ticks.inverse);
                market_prices(&tile.open[..len], factor, side == 1, lanes, inverse, size, out);
            }
            if let Some(notional) = terms.notional_usdt {
                sizes.iter_mut().for_each(|size| size.keep_last_row(lanes, lanes + len, follows));
                let [steps, qty] = sizes;
                let LaneGrids { inverse, size } = &self.steps;
                let (close, open) = (&tile.close[..len], &tile.open[..len]);
                order_sizes(close, notional, lanes, inverse, size, &mut steps[lanes..], &mut qty[lanes..]);
                opens.resize(tile.rows * words, 0);
                fills.resize(tile.rows * words, 0);
                orders_within(&qty[lanes..], close, &self.bounds.columns(), words, opens);
                orders_within(&qty[..len], open, &self.bounds.columns(), words, fills);
                for (fills, tradable) in fills.iter_mut().zip(tile.tradable) {
                    *fills &= tradable;
                }
            }
        }
    }
    /// Quotes of a trial over the tile last loaded, if they were made.
    pub fn of(&self, trial: usize) -> Option<&Quotes> {
        self.sets.get(self.set_of[trial]?).filter(|_| self.are_made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Spec;
    use crate::data::{Bar, MemorySymbol, market_from_memory};
    use crate::execution::pricing::rounded_price;
    use crate::execution::rules::SymbolRules;
    use crate::market::{Contract, TileBuffer};
    use proptest::prelude::*;

    fn market(bars: &[(f64, f64)], ticks: &[Option<f64>], steps: &[f64]) -> Market {
        let symbols = ticks.iter().zip(steps).enumerate().map(|(number, (&tick, &step))| MemorySymbol {
            name: format!("S{number}USDT"),
            contract: Contract {
                tick: tick.map(StepGrid::new),
                step: StepGrid::new(step),
                ..Contract::default()
            },
            brackets: Vec::new(),
            bars: (0..)
                .zip(bars)
                .filter(|(bar, _)| (bar + number) % 5 != 4)
                .map(|(bar, &(open, close))| Bar {
                    ts_ms: bar as i64 * 900_000,
                    open,
                    high: open.max(close),
                    low: open.min(close),
                    close,
                    volume: 1.0,
                    quote_volume: None,
                    mark: None,
                })
                .collect(),
            funding: Vec::new(),
        });
        market_from_memory(900_000, symbols.collect()).expect("valid bars")
    }

    proptest! {
        #[test]
        fn quotes_are_what_each_order_would_find_for_itself(
            bars in proptest::collection::vec(((1_u32..2_000_000).prop_map(|k| f64::from(k) * 0.01), 1e-6..1e5_f64), 2..20),
            ticks in proptest::collection::vec(prop::sample::select(vec![None, Some(0.01), Some(0.1), Some(0.0005), Some(5.0), Some(1.0)]), 1..20),
            step in prop::sample::select(vec![0.001, 1.0, 10.0, 1e-8]),
            notional in 1.0..1e6_f64,
            slippage_bps in prop::sample::select(vec![0.0, 2.0, 13.7]),
            round_to_tick: bool,
        ) {
            let steps: Vec<f64> = (0..ticks.len()).map(|i| if i % 3 == 0 { step } else { 0.1 }).collect();
            let market = market(&bars, &ticks, &steps);
            let mut plan = Spec::default().plan().expect("defaults are valid");
            plan.slippage.b_bps = 0.0;
            (plan.slippage.a_bps, plan.slippage.min_bps) = (slippage_bps, 0.0);
            plan.execution.round_to_tick = round_to_tick;
            plan.sizing = Sizing::FixedNotional { notional_usdt: notional };
            let mut buffer = TileBuffer::default();
            let tile = buffer.load(&market, 0, market.grid.bars, false);
            let mut sets = QuoteSets::new([Some(&plan)], &market);
            sets.load(&tile, true);
            let quotes = sets.of(0).expect("made");
            let fixed = FixedSlippage::of(&plan.slippage);
            for at in 0..tile.rows * tile.lanes {
                let Some(symbol) = market.symbols.get(at % tile.lanes) else { continue };
                let rules = SymbolRules::new(&symbol.contract);
                for side in [Side::Buy, Side::Sell] {
                    let slipped = tile.open[at] * fixed.factor[usize::from(side == Side::Buy)];
                    let alone = rounded_price(&rules, side, slipped, round_to_tick, None);
                    prop_assert!(quotes.price_px(side, at).to_bits() == alone.to_bits() || alone.is_nan());
                }
                let steps = rules.step.steps_toward_zero(notional / tile.close[at]);
                let (quoted, qty) = quotes.size(at).expect("one notional for all");
                prop_assert!(quoted.to_bits() == steps.to_bits() || steps.is_nan());
                prop_assert!(qty.to_bits() == rules.step.value(steps).to_bits() || steps.is_nan());
            }
        }
    }
}
