//! One account over one market, tile by tile: what `barloom run` and a test do.

use std::ops::Range;

use super::account::{Account, TileFeed, Venue};
use super::stretch::Scratch;
use crate::config::plan::EnginePlan;
use crate::events::Recorder;
use crate::execution::quotes::QuoteSets;
use crate::execution::stop_quotes::{FROM_TRIALS, StopSets};
use crate::execution::volatility::VolatilitySets;
use crate::execution::volume::TrailingVolume;
use crate::liquidity::RegimeSets;
use crate::market::{Market, TileBuffer};
use crate::risk::stress::MarketStress;
use crate::signals::SignalSource;

/// How a run is cut and stopped; nothing here changes a result.
pub struct RunOptions<'a> {
    /// Bars per tile.
    pub tile_bars: usize,
    /// Makes the prices and sizes of market orders for all bars at once, as sweeps do: of use to a run that records no
    /// orders and trades at almost every bar.
    pub quotes: bool,
    /// Called after every tile with the bars done; `false` stops the run.
    pub on_tile: &'a mut dyn FnMut(usize) -> bool,
}

/// Steps one account over bars `run`; earlier bars only warm the signals. Trial 0 of `signals` decides.
///
/// # Errors
/// [`crate::Error::Interrupted`] when `on_tile` says so.
///
/// # Panics
/// When the run reaches beyond the grid or an invariant of semantics 4.9 does not hold.
pub fn run_account<R: Recorder>(
    market: &Market,
    run: Range<usize>,
    plan: &EnginePlan,
    signals: &mut dyn SignalSource,
    recorder: &mut R,
    options: RunOptions<'_>,
) -> crate::Result<Account> {
    let venue = Venue::new(market, run.clone());
    let mut account = Account::new(&venue, plan);
    let mut buffer = TileBuffer::default();
    let mut scratch = Scratch::default();
    let mut volume = TrailingVolume::default();
    let mut volatility = VolatilitySets::new([Account::volatility_window(plan)]);
    let mut stress_rows = MarketStress::default();
    let mut regimes = RegimeSets::new([plan.regimes()], market);
    let quoted = options.quotes && Account::takes_quotes(plan);
    let mut quotes = QuoteSets::new([quoted.then_some(plan)], market);
    let mut stops = StopSets::new(market);
    let mut bar = 0;
    while bar < run.end {
        let rows = options.tile_bars.max(1).min(run.end - bar);
        let tile = buffer.load(market, bar, rows, plan.use_mark);
        let trailing = Account::needs_trailing_volume(plan).then(|| volume.load(&tile));
        volatility.load(&tile);
        let stress = Account::needs_stress(plan).then(|| stress_rows.load(market, &tile));
        regimes.step(market, &tile);
        signals.step(market, &tile);
        quotes.load(&tile, quoted);
        let asked = if quoted { signals.trial(0).stop_distances() } else { None };
        stops.load(&tile, asked.into_iter().cycle().take(FROM_TRIALS));
        let slot = asked.map(|(slot, _)| slot);
        let feed = TileFeed {
            tile: &tile,
            trailing_volume: trailing,
            volatility: volatility.of(0),
            stress,
            regimes: regimes.of(0),
            quotes: quotes.of(0),
            stops: slot.and_then(|slot| stops.of(slot)),
            signals: signals.trial(0),
        };
        account.step_tile(&venue, &feed, &mut scratch, recorder);
        bar += rows;
        if !(options.on_tile)(bar) {
            return Err(crate::Error::Interrupted);
        }
    }
    Ok(account)
}
