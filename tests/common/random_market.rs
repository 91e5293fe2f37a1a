//! Seeded random markets, plans, signals and intents: everything that hurts, often (semantics 10.3).
//!
//! Gaps, zero-volume bars, late listings, known delistings on and off the grid, series that just end, tiny ticks and
//! none, big steps, funding at odd hours, wide bars. Prices of a ticked symbol are correctly rounded decimals.

use barloom::config::plan::*;
use barloom::engine::api::{Attached, AttachedLevels, NO_GROUP, NO_TAG, OrderIntent, OrderKind, Side};
use barloom::market::{Contract, FundingRecord, FundingTape, Market, StepGrid};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::ops::Range;

use super::{BAR_MS, Ohlcv, START_MS, SymbolBars, bare_plan, market_with};
use crate::reference::{RefInput, RefSignal, RefSignals};

/// Draws from a seeded stream.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }
    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }
    /// Uniform in `low..high`.
    pub(crate) fn whole(&mut self, range: Range<usize>) -> usize {
        range.start + (self.0.next_u64() % (range.end - range.start) as u64) as usize
    }
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.whole(0..from.len())]
    }
}

/// A whole random case, to be borrowed as a [`RefInput`].
pub(crate) struct RandomCase {
    pub(crate) market: Market,
    pub(crate) run: Range<usize>,
    pub(crate) plan: EnginePlan,
    pub(crate) signals: RefSignals,
    pub(crate) intents: Vec<OrderIntent>,
}

impl RandomCase {
    /// Case of a seed; half of them trade on signals, half on explicit orders.
    pub(crate) fn new(seed: u64, symbols: usize, bars: usize) -> Self {
        let mut dice = Dice::new(seed);
        let market = random_market(&mut dice, symbols, bars);
        let plan = random_plan(&mut dice);
        let start = if dice.chance(0.5) { 0 } else { dice.whole(0..bars / 2) };
        let end = if dice.chance(0.7) { bars } else { dice.whole(start + 1..bars + 1) };
        let run = start..end;
        let (mut signals, mut intents) = (RefSignals::new(), Vec::new());
        if dice.chance(0.5) {
            signals = random_signals(&mut dice, &market);
        } else {
            intents = random_intents(&mut dice, &market, &run);
        }
        Self { market, run, plan, signals, intents }
    }
    pub(crate) fn input(&self) -> RefInput<'_> {
        RefInput {
            market: &self.market,
            run: self.run.clone(),
            plan: &self.plan,
            signals: &self.signals,
            intents: &self.intents,
        }
    }
}

/// `k` ticks as the nearest f64 to the exact decimal `digits·10^-places`.
fn ticks_px(k: i64, tick: (i64, u32)) -> f64 {
    format!("{}e-{}", k * tick.0, tick.1).parse().expect("a number")
}

fn random_contract(dice: &mut Dice, tick: Option<(i64, u32)>, start_px: f64) -> Contract {
    let tick = tick.map(|tick| StepGrid::new(ticks_px(1, tick)));
    let mut contract = Contract { tick, ..Contract::default() };
    // From a step worth a hundredth of a cent to one worth some thousand USDT.
    let places = (start_px.log10().ceil() as i32 - dice.whole(0..7) as i32 + 3).clamp(-4, 8);
    // The default step of 1e-8 only where quantities stay below some 1e11 steps: with finer ones the last digit of the
    // equity that sizes an order, which no two ways of adding up share, decides about a step.
    if start_px < 1_000.0 || dice.chance(0.9) {
        contract.step = StepGrid::new(format!("1e{}", -places).parse().expect("a number"));
    }
    if dice.chance(0.5) {
        contract.min_qty = contract.step.size * dice.pick(&[1.0, 2.0, 5.0]);
    }
    if dice.chance(0.4) {
        contract.min_notional_usdt = dice.pick(&[5.0, 20.0, 100.0, 900.0]);
    }
    if dice.chance(0.2) {
        contract.market_max_qty = (dice.between(500.0, 8_000.0) / start_px).ceil();
    }
    contract
}

fn random_bars(dice: &mut Dice, bars: usize, tick: Option<(i64, u32)>, start_px: f64) -> Vec<Option<Ohlcv>> {
    let on_grid = |px: f64| match tick {
        Some(tick) => ticks_px(((px / ticks_px(1, tick)).round() as i64).max(1), tick),
        None => px.max(1e-9),
    };
    let volatility = dice.pick(&[0.001, 0.01, 0.05]);
    let volume_scale = dice.between(1_000.0, 200_000.0) / start_px;
    let mut out = Vec::with_capacity(bars);
    let (mut last_px, mut gap_left) = (start_px, 0);
    for _ in 0..bars {
        if gap_left == 0 && dice.chance(0.02) {
            gap_left = dice.pick(&[1, 1, 2, 3, 6, 12, 20]);
        }
        if gap_left > 0 {
            gap_left -= 1;
            out.push(None);
            continue;
        }
        if dice.chance(0.03) {
            let px = on_grid(last_px);
            out.push(Some([px, px, px, px, 0.0]));
            continue;
        }
        let wide = if dice.chance(0.03) { 8.0 } else { 1.0 };
        let jump = if dice.chance(0.1) { dice.between(-3.0, 3.0) } else { dice.between(-0.1, 0.1) };
        let move_by = |px: f64, by: f64| (px * (1.0 + by)).clamp(start_px * 0.2, start_px * 5.0);
        let open = on_grid(move_by(last_px, volatility * jump));
        let close = on_grid(move_by(open, volatility * wide * dice.between(-1.0, 1.0)));
        let high = on_grid(open.max(close) * (1.0 + volatility * wide * dice.between(-0.2, 0.8).max(0.0)));
        let low = on_grid(open.min(close) * (1.0 - volatility * wide * dice.between(-0.2, 0.8).max(0.0)));
        let volume = (volume_scale * dice.between(0.05, 2.0) * 1000.0).round() / 1000.0;
        last_px = close;
        out.push(Some([open, high.max(open).max(close), low.min(open).min(close), close, volume]));
    }
    out
}

fn random_symbol(dice: &mut Dice, index: usize, bars: usize) -> SymbolBars {
    let tick = dice.pick(&[
        Some((1, 1)),
        Some((1, 2)),
        Some((5, 2)),
        Some((1, 4)),
        Some((1, 7)),
        Some((25, 3)),
        Some((5, 0)),
        None,
        None,
    ]);
    let start_px = match tick {
        Some(tick) => ticks_px(dice.pick(&[60, 300, 4_000, 70_000]), tick),
        None => dice.between(0.5, 500.0),
    };
    let mut contract = random_contract(dice, tick, start_px);
    let mut series = random_bars(dice, bars, tick, start_px);
    if dice.chance(0.3) {
        let listed = dice.whole(0..bars * 2 / 3);
        series[..listed].fill(None);
    }
    let ends = dice.whole(bars / 3..bars);
    if dice.chance(0.2) {
        // A known delisting: on the grid or inside a bar, sometimes with silence before it.
        let offset_ms = dice.pick(&[0, 0, 0, -7 * 60_000]);
        contract.delisted_ms = Some(START_MS + ends as i64 * BAR_MS + offset_ms);
        let silent = dice.pick(&[0, 0, 0, 1, 4]);
        series[ends.saturating_sub(silent)..].fill(None);
    } else if dice.chance(0.2) {
        series[ends..].fill(None);
    }
    SymbolBars { name: format!("S{index:02}USDT"), contract, bars: series }
}

fn random_funding(dice: &mut Dice, symbols: &[SymbolBars], bars: usize) -> FundingTape {
    let mut records = Vec::new();
    for (symbol, data) in symbols.iter().enumerate() {
        let mut bar = dice.whole(0..33);
        let mut last_px = f64::NAN;
        let mut known = 0;
        while bar < bars {
            for seen in &data.bars[known..bar] {
                last_px = seen.map_or(last_px, |b| b[3]);
            }
            known = bar;
            let base_px = data.bars[bar].map_or(last_px, |b| b[0]);
            if !base_px.is_nan() {
                let inside_bar_ms = if dice.chance(0.1) { 7 * 60_000 } else { 0 };
                records.push(FundingRecord {
                    bar: bar as u32,
                    symbol: symbol as u32,
                    time_ms: START_MS + bar as i64 * BAR_MS - inside_bar_ms,
                    rate_frac: dice.between(-0.003, 0.004),
                    mark_px: base_px * dice.pick(&[1.0, 1.001, 0.998]),
                    interval_ms: 0,
                });
            }
            bar += dice.pick(&[4, 8, 16, 32, 1, 5]);
        }
    }
    FundingTape::new(records)
}

/// A random market of `symbols` symbols over `bars` bars.
pub(crate) fn random_market(dice: &mut Dice, symbols: usize, bars: usize) -> Market {
    let data: Vec<SymbolBars> = (0..symbols).map(|i| random_symbol(dice, i, bars)).collect();
    let funding = random_funding(dice, &data, bars);
    let with_marks = dice.chance(0.4);
    let marks: Vec<Vec<f64>> = (0..bars)
        .map(|bar| {
            let mark_of = |s: &SymbolBars| match s.bars[bar] {
                Some(b) if !dice.chance(0.05) => b[3] * dice.between(0.995, 1.005),
                _ => f64::NAN,
            };
            data.iter().map(mark_of).collect()
        })
        .collect();
    market_with(&data, funding, with_marks.then_some(marks.as_slice()))
}

/// A random plan; every option of the engine turns up.
pub(crate) fn random_plan(dice: &mut Dice) -> EnginePlan {
    let mut plan = bare_plan();
    plan.initial_capital_usdt = dice.pick(&[1_000.0, 10_000.0, 1_000_000.0]);
    if dice.chance(0.8) {
        plan.maker_fee_frac = dice.pick(&[2e-4, -1e-4, 0.0]);
        plan.taker_fee_frac = dice.pick(&[5e-4, 1e-3]);
    }
    plan.use_mark = dice.chance(0.5);
    plan.sizing = if dice.chance(0.5) {
        Sizing::FixedNotional { notional_usdt: plan.initial_capital_usdt * dice.between(0.001, 0.3) }
    } else {
        Sizing::FixedFraction { fraction: dice.between(0.001, 0.3) }
    };
    plan.sizing_equity = dice.pick(&[SizingEquity::Equity, SizingEquity::Wallet, SizingEquity::Initial]);
    plan.slippage = Slippage {
        shape: dice.pick(&[SlippageShape::Sqrt, SlippageShape::Linear, SlippageShape::Square]),
        a_bps: dice.pick(&[0.0, 1.0, 2.0]),
        b_bps: dice.pick(&[0.0, 30.0, 30.0, 300.0]),
        min_bps: dice.pick(&[0.0, 0.5]),
        max_bps: dice.pick(&[50.0, 200.0]),
        stop_mult: dice.pick(&[1.0, 1.0, 2.5]),
        volume_ref: dice.pick(&[VolumeRef::ExecBar, VolumeRef::Trailing, VolumeRef::MinExecTrailing]),
        regime_mult_normal: dice.pick(&[1.0, 1.0, 1.5]),
        ..plan.slippage
    };
    plan.execution = ExecutionPlan {
        sequencing: dice.pick(&[Sequencing::Phased, Sequencing::Phased, Sequencing::StopsFirstBar]),
        entry_ttl_bars: dice.pick(&[1, 1, 2, 5]),
        stop_overshoot: dice.pick(&[0.0, 0.25, 1.0]),
        bracket_policy: dice.pick(&[BracketPolicy::Pessimistic, BracketPolicy::Adaptive]),
        limit_rule: dice.pick(&[LimitRule::Through, LimitRule::Touch]),
        tp_kind: dice.pick(&[TakeProfitKind::Limit, TakeProfitKind::Limit, TakeProfitKind::Market]),
        clamp_to_bar: dice.chance(0.2),
        round_to_tick: dice.chance(0.9),
        end_of_run: dice.pick(&[EndOfRun::Mark, EndOfRun::Close]),
        delist_haircut_frac: dice.pick(&[0.0, 0.005, 0.03]),
        delist_after_missing_bars: dice.pick(&[2, 5, 10, 96]),
        ..plan.execution
    };
    plan.funding.enabled = dice.chance(0.8);
    plan.max_stale_bars = dice.pick(&[0, 1, 3, 8]);
    plan
}

/// A stop and a target around a price, either of them missing at times, either of them at times already passed.
fn random_levels(dice: &mut Dice, close_px: f64, side: Side, tick: Option<StepGrid>) -> (f64, f64) {
    let scale = dice.pick(&[0.002, 0.01, 0.05]);
    let mut level = |direction: f64| {
        if dice.chance(0.3) {
            return f64::NAN;
        }
        let px = close_px * (1.0 + direction * side.sign() * scale * dice.between(-0.1, 1.0));
        match tick {
            Some(tick) if dice.chance(0.5) => {
                let k = (px / tick.size).round().max(1.0) as i64;
                // As a price in a table would be written: tick multiples in decimal.
                format!("{:.7}", k as f64 * tick.size).parse().expect("a number")
            }
            _ => px,
        }
    };
    (level(-1.0), level(1.0))
}

fn random_attached(dice: &mut Dice, close_px: f64, side: Side, tick: Option<StepGrid>) -> AttachedLevels {
    if dice.chance(0.03) {
        return AttachedLevels::Rejected(dice.pick(&["stop_distance", "take_profit_distance"]));
    }
    let (stop_loss_px, take_profit_px) = random_levels(dice, close_px, side, tick);
    AttachedLevels::Prices(Attached { stop_loss_px, take_profit_px, ..Attached::NONE })
}

/// Random rule levels: at present bars only, since a rule is false where a value is missing.
pub(crate) fn random_signals(dice: &mut Dice, market: &Market) -> RefSignals {
    let symbols = market.symbols.len();
    let entry_chance = dice.pick(&[0.02, 0.1, 0.5]);
    let exit_chance = dice.pick(&[0.02, 0.1, 0.3]);
    let mut rows = Vec::with_capacity(market.grid.bars);
    for bar in 0..market.grid.bars {
        let mut row = vec![RefSignal::default(); symbols];
        for (symbol, signal) in row.iter_mut().enumerate() {
            let close_px = market.panels.close[bar * market.panels.lanes + symbol];
            if close_px.is_nan() {
                continue;
            }
            let tick = market.symbols[symbol].contract.tick;
            signal.long_entry = dice.chance(entry_chance);
            signal.short_entry = dice.chance(entry_chance);
            signal.long_exit = dice.chance(exit_chance);
            signal.short_exit = dice.chance(exit_chance);
            signal.long_levels = random_attached(dice, close_px, Side::Buy, tick);
            signal.short_levels = random_attached(dice, close_px, Side::Sell, tick);
        }
        rows.push(row);
    }
    rows
}

/// Random explicit orders, sorted by `(bar, order_id)`; ids are a shuffle of `0..n`, as rows of a table may be.
pub(crate) fn random_intents(dice: &mut Dice, market: &Market, run: &Range<usize>) -> Vec<OrderIntent> {
    let rate = dice.pick(&[0.02, 0.1, 0.4]);
    let mut intents = Vec::new();
    for bar in run.clone() {
        for symbol in 0..market.symbols.len() {
            let mut left = 3;
            while left > 0 && dice.chance(rate) {
                left -= 1;
                intents.push(random_intent(dice, market, bar, symbol));
            }
        }
    }
    let mut ids: Vec<u32> = (0..intents.len() as u32).collect();
    for i in (1..ids.len()).rev() {
        ids.swap(i, dice.whole(0..i + 1));
    }
    for (intent, id) in intents.iter_mut().zip(ids) {
        intent.order_id = id;
    }
    intents.sort_by_key(|intent| (intent.bar, intent.order_id));
    intents
}

fn random_intent(dice: &mut Dice, market: &Market, bar: usize, symbol: usize) -> OrderIntent {
    let contract = &market.symbols[symbol].contract;
    let close_at = |b: usize| market.panels.close[b * market.panels.lanes + symbol];
    let close_px = (0..=bar).rev().map(close_at).find(|px| !px.is_nan()).unwrap_or(1.0);
    let side = dice.pick(&[Side::Buy, Side::Sell]);
    let reduce_only = dice.chance(0.2);
    let close_position = !reduce_only && dice.chance(0.1);
    let raw_qty = dice.between(50.0, 3_000.0) / close_px;
    let qty = match dice.whole(0..10) {
        0 if !reduce_only => f64::NAN,
        1 => contract.step.size * dice.pick(&[0.4, 1.0, 1.5, 3.0]),
        2..=4 => raw_qty,
        _ => {
            let steps = (raw_qty / contract.step.size).ceil() as i64;
            // The decimal a table would hold.
            format!("{:.8}", steps as f64 * contract.step.size).parse().expect("a number")
        }
    };
    let (mut stop_loss_px, mut take_profit_px) = random_levels(dice, close_px, side, contract.tick);
    if dice.chance(0.4) {
        (stop_loss_px, take_profit_px) = (f64::NAN, f64::NAN);
    }
    OrderIntent {
        bar: bar as u32,
        symbol: symbol as u32,
        order_id: 0,
        kind: OrderKind::Market,
        side,
        qty,
        price_px: f64::NAN,
        limit_px: f64::NAN,
        attached: Attached { stop_loss_px, take_profit_px, ..Attached::NONE },
        ttl_bars: if reduce_only || close_position { 0 } else { dice.pick(&[1, 1, 2, 4, 0]) },
        reduce_only,
        close_position,
        post_only: false,
        oco_group: NO_GROUP,
        tag: NO_TAG,
    }
}
