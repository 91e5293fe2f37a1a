//! The workloads that Barloom is measured on: seeded data, trials, and a plain scalar loop that knows the answer.
//!
//! Seeded geometric random walk, 50 symbols, one year of 15-minute bars; EMA(fast) against EMA(slow), always long or
//! short once warm, decided at the close, filled at the next open; 20,000 USDT per symbol, one account of 10,000,000,
//! taker fee 5 bps, slippage 2 bps.
#![allow(dead_code, reason = "each program takes its own part of it")]

use barloom::config::Spec;
use barloom::config::spec::{SignalKind, SizingMethod};
use barloom::data::synth::{SynthSpec, universe};
use barloom::data::{Bar, MemorySymbol, market_from_memory};
use barloom::market::{Market, TILE_BARS};
use barloom::sweep::{Job, Points, Source, read_source};

/// A market of the workloads.
pub(crate) fn market(symbols: usize, bars: usize) -> Market {
    market_with(symbols, bars, false)
}

/// The same with funding every 8 hours.
pub(crate) fn market_with(symbols: usize, bars: usize, funding: bool) -> Market {
    let spec = SynthSpec { symbols, bars, seed: 42, ..SynthSpec::default() };
    let symbols = universe(&spec).into_iter().map(|symbol| MemorySymbol {
        name: symbol.name,
        contract: symbol.contract,
        brackets: Vec::new(),
        bars: (0..symbol.bars.ts_ms.len())
            .map(|i| Bar {
                ts_ms: symbol.bars.ts_ms[i],
                open: symbol.bars.open[i],
                high: symbol.bars.high[i],
                low: symbol.bars.low[i],
                close: symbol.bars.close[i],
                volume: symbol.bars.volume[i],
                quote_volume: None,
                mark: None,
            })
            .collect(),
        funding: if funding { symbol.funding } else { Vec::new() },
    });
    market_from_memory(spec.bar_ms, symbols.collect()).expect("the synthetic universe is valid")
}

/// A sweep of EMA pairs: `fast` and `slow` as (from, to, step).
pub(crate) fn spec(fast: (u32, u32, u32), slow: (u32, u32, u32)) -> Spec {
    let mut spec = Spec::default();
    spec.general.initial_capital = 10_000_000.0;
    spec.signals.kind = SignalKind::Rules;
    spec.signals.long_entry = "ema(close, fast) > ema(close, slow)".into();
    spec.signals.short_entry = "ema(close, fast) < ema(close, slow)".into();
    spec.signals.params =
        [("fast".to_owned(), f64::from(fast.0)), ("slow".to_owned(), f64::from(slow.0))].into();
    // What is measured is plain next-open trading: every guard and cap is off.
    spec.execution.participation_cap = 0.0;
    spec.funding.window_blocks_entries = false;
    (spec.margin.liquidation, spec.margin.guard) = (false, false);
    spec.liquidity_regimes.enabled = false;
    spec.sizing.method = SizingMethod::FixedNotional;
    spec.sizing.notional = 20_000.0;
    spec.slippage_costs.a_bps = 2.0;
    spec.slippage_costs.b_bps = 0.0;
    spec.slippage_costs.min_bps = 0.0;
    let range =
        |(from, to, step): (u32, u32, u32)| serde_json::json!({ "from": from, "to": to, "step": step });
    let sweep = serde_json::json!({ "grid": { "fast": range(fast), "slow": range(slow) }, "constraint": "fast < slow" });
    spec.sweep = serde_json::from_value(sweep).expect("a valid sweep");
    spec
}

/// Entries on crossings alone, and a stop at `stops` times ATR(14) from the decision's close.
pub(crate) fn with_stops(mut spec: Spec) -> Spec {
    spec.signals.long_entry = "cross_over(ema(close, fast), ema(close, slow))".into();
    spec.signals.short_entry = "cross_under(ema(close, fast), ema(close, slow))".into();
    spec.signals.stop_distance = "2 * atr(14)".into();
    spec
}

/// Costs, caps, windows, margin and regimes at their defaults.
pub(crate) fn with_defaults(mut spec: Spec) -> Spec {
    let defaults = Spec::default();
    spec.execution = defaults.execution;
    spec.funding = defaults.funding;
    spec.margin = defaults.margin;
    spec.liquidity_regimes = defaults.liquidity_regimes;
    spec.slippage_costs = defaults.slippage_costs;
    spec
}

/// The parts a [`Job`] borrows.
pub(crate) struct Workload {
    pub(crate) market: Market,
    pub(crate) spec: Spec,
    pub(crate) points: Points,
    pub(crate) source: Source,
}

impl Workload {
    pub(crate) fn new(market: Market, spec: Spec) -> Self {
        let points = Points::of(&spec, None).expect("a valid sweep");
        let (source, _) = read_source(&spec, None, None, &market).expect("valid rules");
        Self { market, spec, points, source }
    }
    pub(crate) fn job(&self) -> Job<'_> {
        let run = 0..self.market.grid.bars;
        Job::new(&self.market, &self.spec, &self.points, &self.source, "", run, TILE_BARS)
    }
    pub(crate) fn symbol_bars(&self) -> f64 {
        (self.points.len() * self.market.grid.bars * self.market.symbols.len()) as f64
    }
}

/// Final equity of one EMA pair by a plain loop over symbols and bars: what every fast path must come to.
pub(crate) fn plain_final_equity(market: &Market, fast: usize, slow: usize) -> f64 {
    let panels = &market.panels;
    let px = |column: &[f64], bar: usize, symbol: usize| column[bar * panels.lanes + symbol];
    let mut equity = 10_000_000.0;
    for (symbol, info) in market.symbols.iter().enumerate() {
        let (tick, step) = (info.contract.tick.map(|t| t.size), info.contract.step.size);
        let ema = |n: usize| {
            let mut out = vec![f64::NAN; market.grid.bars];
            let mut value = (0..n).map(|bar| px(&panels.close, bar, symbol)).sum::<f64>() / n as f64;
            out[n - 1] = value;
            for (bar, slot) in out.iter_mut().enumerate().skip(n) {
                value += 2.0 / (n as f64 + 1.0) * (px(&panels.close, bar, symbol) - value);
                *slot = value;
            }
            out
        };
        let (fast, slow) = (ema(fast), ema(slow));
        let (mut qty, mut cash) = (0.0f64, 0.0f64);
        for bar in 0..market.grid.bars - 1 {
            let side = if fast[bar] > slow[bar] {
                1.0
            } else if fast[bar] < slow[bar] {
                -1.0
            } else {
                continue;
            };
            if qty * side > 0.0 {
                continue;
            }
            let new = (20_000.0 / px(&panels.close, bar, symbol) / step + 1e-9).floor() * step;
            let mut price = px(&panels.open, bar + 1, symbol) * (1.0 + side * 2.0 / 1e4);
            if let Some(tick) = tick {
                let ticks = price / tick;
                price = if side > 0.0 { (ticks - 1e-9).ceil() } else { (ticks + 1e-9).floor() } * tick;
            }
            let traded = side * (new + qty.abs());
            cash -= traded * price + traded.abs() * price * 0.0005;
            qty += traded;
        }
        equity += cash + qty * px(&panels.close, market.grid.bars - 1, symbol);
    }
    equity
}
