//! Seeded random markets, plans, signals and intents: everything that hurts, often (semantics 10.3).
//!
//! Gaps, zero-volume bars, late listings, known delistings on and off the grid, series that just end, tiny ticks and
//! none, big steps, funding at odd hours, wide bars. Prices of a ticked symbol are correctly rounded decimals.

use barloom::config::plan::*;
use barloom::engine::api::{
    Attached, AttachedLevels, NO_GROUP, NO_TAG, OrderIntent, OrderKind, Regime, Side,
};
use barloom::market::{Bracket, BracketTable, Contract, FundingRecord, FundingTape, Market, StepGrid};
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
    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
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

/// How much of the rules a case draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Market orders with stop losses and take profits; funding as recorded, of those who held before.
    MarketOrders,
    /// And every order type, trails, groups, the participation cap, dated fees.
    AllOrders,
    /// And every rule of funding.
    WithFunding,
    /// And margin, liquidation and its guard.
    WithMargin,
    /// And liquidity regimes.
    WithRegimes,
    /// And options that are off by default: slippage by volatility, splitting of large orders. Drawn last, so that everything else stays as it
    /// is with the same seed in the scope before.
    WithOptions,
    /// All of it, with isolated margin.
    Isolated,
}

impl Scope {
    /// All scopes, each with more rules than the one before.
    pub(crate) const ALL: [Self; 7] = [
        Self::MarketOrders,
        Self::AllOrders,
        Self::WithFunding,
        Self::WithMargin,
        Self::WithRegimes,
        Self::WithOptions,
        Self::Isolated,
    ];
    /// Name in the table of known cases.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MarketOrders => "market_orders",
            Self::AllOrders => "all_orders",
            Self::WithFunding => "with_funding",
            Self::WithMargin => "with_margin",
            Self::WithRegimes => "with_regimes",
            Self::WithOptions => "with_options",
            Self::Isolated => "isolated",
        }
    }
    /// Scope of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A whole random case, to be borrowed as a [`RefInput`].
#[derive(Debug, Clone)]
pub(crate) struct RandomCase {
    pub(crate) market: Market,
    pub(crate) run: Range<usize>,
    pub(crate) plan: EnginePlan,
    pub(crate) signals: RefSignals,
    /// `[bar][symbol]`; empty: off.
    pub(crate) regimes: Vec<Vec<Regime>>,
    pub(crate) intents: Vec<OrderIntent>,
}

/// Regimes as the data gives them, at every bar.
fn given_panel(regimes: &[Vec<Regime>], lanes: usize) -> barloom::market::Column {
    let code = |row: &Vec<Regime>, lane: usize| row.get(lane).map_or(f64::NAN, |r| f64::from(r.code()));
    let panel: Vec<f64> =
        regimes.iter().flat_map(|row| (0..lanes).map(move |lane| code(row, lane))).collect();
    panel.into()
}

impl RandomCase {
    /// Case of a seed with market orders alone.
    pub(crate) fn new(seed: u64, symbols: usize, bars: usize) -> Self {
        Self::within(Scope::MarketOrders, seed, symbols, bars)
    }
    /// Case of a seed; half of them trade on signals, half on explicit orders.
    pub(crate) fn within(scope: Scope, seed: u64, symbols: usize, bars: usize) -> Self {
        let mut dice = Dice::new(seed);
        let market = random_market(&mut dice, symbols, bars);
        Self::over(market, scope, dice)
    }
    /// Case over a market that is given.
    pub(crate) fn over(mut market: Market, scope: Scope, mut dice: Dice) -> Self {
        let (symbols, bars) = (market.symbols.len(), market.grid.bars);
        let mut plan = random_plan(&mut dice);
        if scope >= Scope::AllOrders {
            draw_order_rules(&mut dice, &mut plan, bars);
        }
        if scope >= Scope::WithFunding {
            plan.funding = random_funding_rules(&mut dice, plan.funding.enabled);
        }
        if scope >= Scope::WithMargin {
            draw_margin(&mut dice, &mut plan, &mut market);
            let margin = plan.margin.as_mut().expect("it was drawn");
            if scope >= Scope::Isolated {
                margin.mode = MarginMode::Isolated;
                // Little leverage and a small fee leave something of a margin at the end.
                margin.liq_fee_frac = dice.pick(&[0.0125, 0.002, 0.0]);
                margin.max_leverage = dice.pick(&[3.0, 5.0, 10.0, 20.0, 100.0]);
            }
        }
        let mut regimes = Vec::new();
        if scope >= Scope::WithRegimes && (scope < Scope::Isolated || dice.chance(0.5)) {
            plan.liquidity.enabled = true;
            plan.liquidity.vacuum_blocks_entries = dice.chance(0.7);
            plan.liquidity.thin_size_mult = dice.pick(&[0.5, 0.3, 1.0]);
            let all = [Regime::Normal, Regime::Normal, Regime::Thin, Regime::Vacuum];
            regimes = (0..bars).map(|_| (0..symbols).map(|_| dice.pick(&all)).collect()).collect();
            market.panels.regime = Some(given_panel(&regimes, market.panels.lanes));
        }
        let start = if dice.chance(0.5) { 0 } else { dice.whole(0..bars / 2) };
        let end = if dice.chance(0.7) { bars } else { dice.whole(start + 1..bars + 1) };
        let run = start..end;
        let (mut signals, mut intents) = (RefSignals::new(), Vec::new());
        if dice.chance(0.5) {
            signals = random_signals(&mut dice, &market, scope);
        } else {
            intents = random_intents(&mut dice, &market, &run, scope);
        }
        if scope >= Scope::WithMargin && dice.chance(0.6) {
            // Without stops positions do reach their liquidation.
            let bare = |levels: &mut Attached| (levels.stop_loss_px, levels.trail_px) = (f64::NAN, f64::NAN);
            intents.iter_mut().for_each(|intent| bare(&mut intent.attached));
            for signal in signals.iter_mut().flatten() {
                for levels in [&mut signal.long_levels, &mut signal.short_levels] {
                    if let AttachedLevels::Prices(levels) = levels {
                        bare(levels);
                    }
                }
            }
        }
        if scope >= Scope::WithOptions {
            draw_vol_scale(&mut dice, &mut plan);
            draw_largest_quantities(&mut dice, &mut plan, &mut market);
        }
        avoid_the_edge_of_the_tick_tolerance(&mut plan.slippage);
        Self { market, run, plan, signals, regimes, intents }
    }
    /// The same market with an earlier end of the run, on which only some symbols trade.
    pub(crate) fn keep_only(&mut self, run_end: usize, traded: &[usize]) {
        self.run.end = self.run.end.min(run_end);
        let (run, is_traded) = (self.run.clone(), |symbol: usize| traded.contains(&symbol));
        self.intents.retain(|i| run.contains(&(i.bar as usize)) && is_traded(i.symbol as usize));
        for row in &mut self.signals {
            for (_, signal) in row.iter_mut().enumerate().filter(|(symbol, _)| !is_traded(*symbol)) {
                *signal = RefSignal::default();
            }
        }
    }
    pub(crate) fn input(&self) -> RefInput<'_> {
        RefInput {
            market: &self.market,
            run: self.run.clone(),
            plan: &self.plan,
            signals: &self.signals,
            regimes: &self.regimes,
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

/// A random plan for market orders.
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

/// What a plan says about orders that are not market orders, about caps and dated fees.
fn draw_order_rules(dice: &mut Dice, plan: &mut EnginePlan, bars: usize) {
    plan.seed = dice.whole(0..1_000) as u64;
    plan.execution = ExecutionPlan {
        participation_cap_frac: dice.pick(&[0.0, 0.01, 0.05, 0.3]),
        cap_applies_to: dice.pick(&[CapAppliesTo::Entries, CapAppliesTo::Entries, CapAppliesTo::All]),
        trail_mode: dice.pick(&[TrailMode::NextBar, TrailMode::FavourableFirst]),
        trail_source: dice.pick(&[TrailSource::Extreme, TrailSource::Extreme, TrailSource::Close]),
        entry_beyond_stop: dice.pick(&[EntryBeyondStop::FillAndStop, EntryBeyondStop::Reject]),
        stale_move_frac: dice.pick(&[0.0, 0.0, 0.004, 0.03]),
        limit_rule: dice.pick(&[LimitRule::Through, LimitRule::Touch, LimitRule::TouchProb(0.4)]),
        ..plan.execution
    };
    if dice.chance(0.3) {
        let row = |bar: usize, inside_ms: i64, maker_frac, taker_frac| FeeRow {
            from_ms: START_MS + bar as i64 * BAR_MS + inside_ms,
            maker_frac,
            taker_frac,
        };
        let first = dice.whole(0..bars);
        plan.fee_table = vec![row(first, 0, 1e-4, 3e-4), row(dice.whole(first..bars), 1, -5e-5, 6e-4)];
    }
}

/// A price within 1e-9 ticks of the grid lies on it (2.10). One that slippage has moved by just that much may lie on
/// either side: the price is an f64, and where the last of its digits stands for 1e-11 ticks, so are the tolerance's
/// edges blurred, differently in exact and in binary arithmetic. Nothing but a slippage of next to nothing comes near
/// them, that of a vanishing share of the volume without a constant part: here it is at least 0.01 bps, which moves
/// the cheapest of prices, 60 ticks, by 6e-5 ticks.
fn avoid_the_edge_of_the_tick_tolerance(slippage: &mut Slippage) {
    let vanishes = slippage.shape != SlippageShape::Sqrt || slippage.vol_scale.is_some();
    if slippage.a_bps == 0.0 && slippage.reads_volume() && vanishes {
        slippage.min_bps = slippage.min_bps.max(0.01);
    }
}

/// Slippage that scales with volatility, with windows that some series are too short for.
fn draw_vol_scale(dice: &mut Dice, plan: &mut EnginePlan) {
    plan.slippage.vol_scale = dice
        .chance(0.6)
        .then(|| VolScale { y: dice.pick(&[0.5, 1.0, 3.0]), window_bars: dice.pick(&[1, 3, 12, 96]) });
}

/// Largest quantities of orders that are worth 50 to 3000 USDT, on the step and off it, at times below a step.
fn draw_largest_quantities(dice: &mut Dice, plan: &mut EnginePlan, market: &mut Market) {
    plan.execution.split_large = dice.chance(0.6);
    let (panels, bars) = (&market.panels, market.grid.bars);
    for (symbol, of) in market.symbols.iter_mut().enumerate() {
        let closes = (0..bars).map(|bar| panels.close[bar * panels.lanes + symbol]);
        let Some(close_px) = closes.into_iter().find(|px| !px.is_nan()).filter(|_| dice.chance(0.7)) else {
            continue;
        };
        let largest = dice.between(60.0, 1_500.0) / close_px;
        // As a contract file would have it.
        of.contract.market_max_qty = format!("{largest:.4}").parse().expect("a number");
        of.contract.max_qty = of.contract.market_max_qty * dice.pick(&[1.0, 2.0, f64::INFINITY]);
    }
}

fn random_funding_rules(dice: &mut Dice, enabled: bool) -> FundingPlan {
    FundingPlan {
        enabled,
        boundary: dice.pick(&[
            FundingBoundary::HeldBefore,
            FundingBoundary::IncludeOpenFills,
            FundingBoundary::Pessimistic,
        ]),
        missing: dice.pick(&[
            FundingMissing::None,
            FundingMissing::None,
            FundingMissing::LastRate,
            FundingMissing::Constant(1e-3),
        ]),
        window_ms: dice.pick(&[None, None, Some((BAR_MS, 0)), Some((0, 2 * BAR_MS)), Some((7 * 60_000, 0))]),
        close_before_frac: dice.pick(&[0.0, 0.0, 1e-4, 2e-3]),
    }
}

/// Brackets of every symbol and what a plan says about margin.
fn draw_margin(dice: &mut Dice, plan: &mut EnginePlan, market: &mut Market) {
    // Orders are worth 50 to 3000 USDT: little capital, so that margin runs short and positions are liquidated.
    plan.initial_capital_usdt = dice.pick(&[300.0, 1_000.0, 5_000.0]);
    let unit_usdt = plan.initial_capital_usdt * dice.pick(&[0.3, 1.0, 5.0]);
    let valid_from = |bar: usize| START_MS + bar as i64 * BAR_MS;
    for symbol in &mut market.symbols {
        let tables = dice.whole(0..3);
        symbol.brackets = (0..tables)
            .map(|i| BracketTable {
                valid_from_ms: (i > 0).then(|| valid_from(dice.whole(0..market.grid.bars))),
                brackets: brackets(unit_usdt * dice.pick(&[1.0, 2.0]), dice.whole(2..6)),
            })
            .collect();
        if dice.chance(0.3) {
            symbol.contract.max_leverage = Some(dice.pick(&[3.0, 20.0]));
        }
        if dice.chance(0.3) {
            symbol.contract.liquidation_fee_frac = Some(dice.pick(&[0.01, 0.015]));
        }
    }
    plan.sizing = match plan.sizing {
        Sizing::FixedFraction { fraction } => {
            Sizing::FixedFraction { fraction: fraction * dice.pick(&[1.0, 10.0, 50.0]) }
        }
        Sizing::FixedNotional { .. } => Sizing::FixedNotional { notional_usdt: dice.between(100.0, 3_000.0) },
    };
    plan.margin = Some(MarginPlan {
        mode: MarginMode::Cross,
        max_leverage: dice.pick(&[2.0, 20.0, 100.0]),
        liquidation: dice.chance(0.9),
        liq_check: dice.pick(&[LiqCheck::OpenIntrabarClose, LiqCheck::OpenIntrabarClose, LiqCheck::Close]),
        liq_mode: dice.pick(&[LiqMode::LargestMm, LiqMode::LargestMm, LiqMode::All, LiqMode::ProRata]),
        liq_fee_frac: 0.0125,
        guard: dice.chance(0.4).then(|| MarginGuard {
            warn: dice.pick(&[0.1, 0.5, 0.8]),
            trim: dice.pick(&[0.2, 0.6, 0.9]),
            target: dice.pick(&[0.05, 0.2]),
            order: dice.pick(&[TrimOrder::ProRata, TrimOrder::LargestMm, TrimOrder::LargestLoss]),
        }),
        on_short: dice.pick(&[OnMarginShort::Scale, OnMarginShort::Reject]),
    });
}

/// Brackets of the published form: `cum_k = cum_{k−1} + floor_k·(m_k − m_{k−1})`.
fn brackets(unit_usdt: f64, count: usize) -> Vec<Bracket> {
    let rates = [0.004, 0.005, 0.01, 0.025, 0.05, 0.1];
    let leverages = [125.0, 100.0, 50.0, 20.0, 10.0, 5.0];
    let caps = [1.0, 5.0, 20.0, 200.0, 400.0, 1_000.0];
    let (mut floor_usdt, mut cum_usdt) = (0.0, 0.0);
    (0..count)
        .map(|k| {
            if k > 0 {
                cum_usdt += floor_usdt * (rates[k] - rates[k - 1]);
            }
            let bracket = Bracket {
                floor_usdt,
                cap_usdt: unit_usdt * caps[k],
                maintenance_frac: rates[k],
                cum_usdt,
                initial_leverage: leverages[k],
            };
            floor_usdt = bracket.cap_usdt;
            bracket
        })
        .collect()
}

/// As a price in a table would be written: tick multiples in decimal.
fn table_px(k: i64, tick: StepGrid) -> f64 {
    format!("{:.7}", k as f64 * tick.size).parse().expect("a number")
}

/// A price for an order decided at `bar`: near the close or already passed, on the grid or off it, or just on, or a
/// tick beside, a price that one of the next bars prints.
fn random_price(dice: &mut Dice, market: &Market, bar: usize, symbol: usize, close_px: f64) -> f64 {
    let tick = market.symbols[symbol].contract.tick;
    if dice.chance(0.5) {
        let panels = &market.panels;
        let column = [&panels.open, &panels.high, &panels.low, &panels.close][dice.whole(0..4)];
        let at = (bar + dice.whole(1..5)).min(market.grid.bars - 1);
        let px = column[at * panels.lanes + symbol];
        let beside = dice.pick(&[0.0, 0.0, 0.0, 1.0, -1.0]);
        if !px.is_nan() {
            return tick
                .map_or(px, |tick| table_px(((px / tick.size).round() as i64 + beside as i64).max(1), tick));
        }
    }
    let px = close_px * (1.0 + dice.pick(&[0.001, 0.005, 0.03]) * dice.between(-1.0, 1.0));
    match tick {
        Some(tick) if dice.chance(0.6) => table_px(((px / tick.size).round() as i64).max(1), tick),
        _ => px,
    }
}

/// A trailing stop for an entry, or none.
fn draw_trail(dice: &mut Dice, attached: &mut Attached, close_px: f64, tick: Option<StepGrid>) {
    let scale = dice.pick(&[0.002, 0.01, 0.05]);
    let mut distance = |chance: f64| {
        let px = close_px * scale * dice.between(0.1, 1.0);
        match (dice.chance(chance), tick) {
            (false, _) => f64::NAN,
            (true, Some(tick)) if dice.chance(0.5) => table_px(((px / tick.size) as i64).max(1), tick),
            (true, _) => px,
        }
    };
    attached.trail_px = distance(0.4);
    if !attached.trail_px.is_nan() {
        attached.activation_px = distance(0.4);
    }
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
            Some(tick) if dice.chance(0.5) => table_px((px / tick.size).round().max(1.0) as i64, tick),
            _ => px,
        }
    };
    (level(-1.0), level(1.0))
}

fn random_attached(
    dice: &mut Dice,
    close_px: f64,
    side: Side,
    tick: Option<StepGrid>,
    scope: Scope,
) -> AttachedLevels {
    if dice.chance(0.03) {
        return AttachedLevels::Rejected(dice.pick(&["stop_distance", "take_profit_distance"]));
    }
    let (stop_loss_px, take_profit_px) = random_levels(dice, close_px, side, tick);
    let mut attached = Attached { stop_loss_px, take_profit_px, ..Attached::NONE };
    if scope >= Scope::AllOrders {
        draw_trail(dice, &mut attached, close_px, tick);
    }
    AttachedLevels::Prices(attached)
}

/// Random rule levels: at present bars only, since a rule is false where a value is missing.
pub(crate) fn random_signals(dice: &mut Dice, market: &Market, scope: Scope) -> RefSignals {
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
            signal.long_levels = random_attached(dice, close_px, Side::Buy, tick, scope);
            signal.short_levels = random_attached(dice, close_px, Side::Sell, tick, scope);
        }
        rows.push(row);
    }
    rows
}

/// Random explicit orders, sorted by `(bar, order_id)`; ids are a shuffle of `0..n`, as rows of a table may be.
pub(crate) fn random_intents(
    dice: &mut Dice,
    market: &Market,
    run: &Range<usize>,
    scope: Scope,
) -> Vec<OrderIntent> {
    let rate = dice.pick(&[0.02, 0.1, 0.4]);
    let mut intents = Vec::new();
    for bar in run.clone() {
        for symbol in 0..market.symbols.len() {
            let mut left = 3;
            while left > 0 && dice.chance(rate) {
                left -= 1;
                let mut intent = random_intent(dice, market, bar, symbol);
                if scope >= Scope::AllOrders {
                    // some three orders in a row, of one symbol or of several, make a group
                    draw_kind(dice, market, &mut intent, intents.len() as u32 / 3);
                }
                intents.push(intent);
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

/// Makes any kind of order of a market order.
fn draw_kind(dice: &mut Dice, market: &Market, intent: &mut OrderIntent, group: u32) {
    let (bar, symbol) = (intent.bar as usize, intent.symbol as usize);
    let close_at = |b: usize| market.panels.close[b * market.panels.lanes + symbol];
    let close_px = (0..=bar).rev().map(close_at).find(|px| !px.is_nan()).unwrap_or(1.0);
    use OrderKind::{Limit, Market as AtMarket, Stop, StopLimit};
    intent.kind = dice.pick(&[AtMarket, AtMarket, Limit, Limit, Limit, Stop, Stop, StopLimit]);
    if intent.kind != AtMarket {
        intent.price_px = random_price(dice, market, bar, symbol, close_px);
        intent.ttl_bars = dice.pick(&[1, 2, 4, 12, 0]);
    }
    if intent.kind == StopLimit {
        intent.limit_px = random_price(dice, market, bar, symbol, close_px);
    }
    if dice.chance(0.4) {
        draw_trail(dice, &mut intent.attached, close_px, market.symbols[symbol].contract.tick);
    }
    intent.post_only = dice.chance(0.15);
    if dice.chance(0.25) {
        intent.oco_group = group;
    }
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
