//! Liquidity regimes: how much of what usually trades at its time did trade in a bar (semantics 7).
//!
//! Tile in, activity ratio and regime of each of its bars out; the regime of a bar is known at its close and meant for
//! the bar after it. Regimes and baselines that the data gives stand for those that are computed at their bars. It
//! knows panels and kernels, and neither orders nor rules, which both read it. Read next: [`stream`] for how a row is
//! computed, `barloom_kernels::liquidity` for the formulas.

mod activity;
pub(crate) mod stream;

pub use crate::config::plan::{ActivityProfile, Regime, RegimePlan, Seasonality};

use crate::market::{Market, Tile};
use barloom_kernels::liquidity as kernels;
use stream::{Given, Inputs, Stream};

impl Regime {
    /// Code of a regime in panels: 0 vacuum, 1 thin, 2 normal.
    pub fn code(self) -> u8 {
        self as u8
    }
    /// Name in the artifacts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vacuum => "VACUUM",
            Self::Thin => "THIN",
            Self::Normal => "NORMAL",
        }
    }
    /// Regime of a code.
    ///
    /// # Panics
    /// For a number that is no code.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Vacuum,
            1 => Self::Thin,
            2 => Self::Normal,
            _ => unreachable!("codes of regimes are 0 to 2, not {code}"),
        }
    }
}

/// Regimes of one [`RegimePlan`] over a market, stepped tile by tile.
///
/// What flows: one byte per symbol-bar, from the columns of volume that the tile has anyway.
///
/// ```
/// use barloom::data::{Bar, MemorySymbol, market_from_memory};
/// use barloom::liquidity::{LiquidityRegimes, Regime, RegimePlan};
/// use barloom::market::{Contract, TileBuffer};
/// # let bar = |day: i64| Bar {
/// #     ts_ms: day * 86_400_000, open: 1.0, high: 1.0, low: 1.0, close: 1.0,
/// #     volume: if day == 30 { 10.0 } else { 100.0 }, quote_volume: None, mark: None,
/// # };
/// # let symbol = MemorySymbol {
/// #     name: "A".into(), contract: Contract::default(), brackets: vec![], bars: (0..40).map(bar).collect(), funding: vec![],
/// # };
/// // 40 daily bars of one symbol: 100 trade on each day, 10 on day 30.
/// let market = market_from_memory(86_400_000, vec![symbol])?;
/// let mut regimes = LiquidityRegimes::new(&RegimePlan::default(), &market);
/// let mut buffer = TileBuffer::default();
/// let tile = buffer.load(&market, 0, 40, false);
/// regimes.step(&market, &tile);
/// assert_eq!(Regime::from_code(regimes.row(6)[0]), Regime::Thin); // not yet a week of bars
/// assert_eq!(Regime::from_code(regimes.row(29)[0]), Regime::Normal);
/// assert_eq!(Regime::from_code(regimes.row_before(31)[0]), Regime::Vacuum);
/// # Ok::<(), barloom::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LiquidityRegimes {
    stream: Stream,
    state: Vec<f64>,
    ratio: Vec<f64>,
    regime: Vec<f64>,
    /// The last row of the tile before, then the rows of this one.
    codes: Vec<u8>,
    lanes: usize,
    next_bar: usize,
}

impl LiquidityRegimes {
    /// Regimes over a market, from its bar 0 on.
    pub fn new(plan: &RegimePlan, market: &Market) -> Self {
        let lanes = market.lanes();
        let stream = Stream::new(plan, market.grid.step_ms);
        Self {
            state: vec![0.0; stream.state_len(lanes)],
            stream,
            ratio: Vec::new(),
            regime: Vec::new(),
            codes: Vec::new(),
            lanes,
            next_bar: 0,
        }
    }

    /// Computes the regimes of the next tile. Tiles come in bar order; bar 0 starts afresh.
    ///
    /// # Panics
    /// When tiles are not in bar order, or of another market.
    pub fn step(&mut self, market: &Market, tile: &Tile<'_>) {
        assert_eq!(tile.lanes, self.lanes, "tiles are those of one market");
        let lanes = self.lanes;
        if tile.bar0 == 0 {
            self.state.fill(0.0);
            self.codes.clear();
            self.codes.resize(lanes, self.stream.without_baseline() as u8);
        } else {
            assert_eq!(tile.bar0, self.next_bar, "tiles are stepped in bar order");
            let last = self.codes.len() - lanes;
            self.codes.copy_within(last.., 0);
        }
        self.next_bar = tile.bar0 + tile.rows;
        let cells = tile.rows * lanes;
        self.ratio.resize(cells, 0.0);
        self.regime.resize(cells, 0.0);
        self.codes.resize(lanes + cells, 0);
        let inputs = Inputs {
            volume: tile.volume,
            quote_volume: tile.quote_volume,
            given: Given { regime: tile.regime, baseline_volume: tile.baseline_volume },
        };
        let open_ms = market.grid.open_ms(tile.bar0);
        self.stream.step(&inputs, open_ms, lanes, &mut self.state, &mut self.ratio, &mut self.regime);
        for (code, &regime) in self.codes[lanes..].iter_mut().zip(&self.regime) {
            *code = regime as u8;
        }
    }

    /// Codes `[row][lane]` of the tile last stepped. A missing bar is VACUUM; lanes beyond the symbols say nothing.
    pub fn codes(&self) -> &[u8] {
        &self.codes[self.lanes..]
    }

    /// Codes of a row of the tile last stepped.
    pub fn row(&self, row: usize) -> &[u8] {
        &self.codes[(row + 1) * self.lanes..][..self.lanes]
    }

    /// Codes of the bar before a row of the tile last stepped, also where that bar was in the tile before: what is known
    /// when the row's orders fill. Before bar 0 nothing is known: the regime without baseline.
    pub fn row_before(&self, row: usize) -> &[u8] {
        &self.codes[row * self.lanes..][..self.lanes]
    }

    /// Activity ratios `[row][lane]` of the tile last stepped; `NaN` without baseline and at missing bars.
    pub fn ratio(&self) -> &[f64] {
        &self.ratio
    }
}

/// Regimes for the trials of a worker: those with equal plans share one computation.
#[derive(Debug, Clone)]
pub struct RegimeSets {
    sets: Vec<LiquidityRegimes>,
    set_of: Vec<Option<usize>>,
}

impl RegimeSets {
    /// One plan per trial; `None` for a trial that reads no regimes.
    pub fn new<'a>(plans: impl IntoIterator<Item = Option<&'a RegimePlan>>, market: &Market) -> Self {
        let mut distinct: Vec<&RegimePlan> = Vec::new();
        let set_of = plans
            .into_iter()
            .map(|plan| {
                let plan = plan?;
                let known = distinct.iter().position(|other| *other == plan);
                Some(known.unwrap_or_else(|| {
                    distinct.push(plan);
                    distinct.len() - 1
                }))
            })
            .collect();
        Self { sets: distinct.iter().map(|plan| LiquidityRegimes::new(plan, market)).collect(), set_of }
    }

    /// Computes the regimes of the next tile, once for each distinct plan.
    pub fn step(&mut self, market: &Market, tile: &Tile<'_>) {
        for set in &mut self.sets {
            set.step(market, tile);
        }
    }

    /// Regimes of a trial over the tile last stepped.
    pub fn of(&self, trial: usize) -> Option<&LiquidityRegimes> {
        Some(&self.sets[self.set_of[trial]?])
    }
}

/// The code of a regime as panels of numbers have it.
pub(crate) fn code_number(regime: Regime) -> f64 {
    match regime {
        Regime::Vacuum => kernels::VACUUM,
        Regime::Thin => kernels::THIN,
        Regime::Normal => kernels::NORMAL,
    }
}
