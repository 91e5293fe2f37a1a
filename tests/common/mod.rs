//! What integration tests share: markets built in memory, plans with everything off, the worked examples.
#![allow(dead_code, reason = "every test binary that takes this module in uses its own part of it")]

pub(crate) mod engine_run;
pub(crate) mod example_runs;
pub(crate) mod isolated_cases;
pub(crate) mod order_cases;
pub(crate) mod random_market;

use barloom::config::plan::*;
use barloom::engine::api::{Attached, NO_GROUP, NO_TAG, OrderIntent, OrderKind, Side};
use barloom::market::{
    Column, Contract, FundingRecord, FundingTape, Market, MarketPanels, Symbol, TimeGrid, lane_stride,
};

/// 2024-01-01 00:00 UTC, open time of bar 0 of every market built here.
pub(crate) const START_MS: i64 = 1_704_067_200_000;
/// Bar length: 15 minutes.
pub(crate) const BAR_MS: i64 = 900_000;

/// Open, high, low, close, volume.
pub(crate) type Ohlcv = [f64; 5];

/// One symbol of a market to build; `None` is a missing bar.
#[derive(Debug, Clone)]
pub(crate) struct SymbolBars {
    pub(crate) name: String,
    pub(crate) contract: Contract,
    pub(crate) bars: Vec<Option<Ohlcv>>,
}

/// A market in memory. `funding`: `(bar, symbol, mark price, rate)`, settled at the open of the bar.
pub(crate) fn market_from_bars(symbols: &[SymbolBars], funding: &[(usize, usize, f64, f64)]) -> Market {
    let records = funding
        .iter()
        .map(|&(bar, symbol, mark_px, rate_frac)| FundingRecord {
            bar: bar as u32,
            symbol: symbol as u32,
            time_ms: START_MS + bar as i64 * BAR_MS,
            rate_frac,
            mark_px,
            interval_ms: 0,
        })
        .collect();
    market_with(symbols, FundingTape::new(records), None)
}

/// A market in memory with its own tape and, where given, mark closes `[bar][symbol]`.
pub(crate) fn market_with(
    symbols: &[SymbolBars],
    funding: FundingTape,
    marks: Option<&[Vec<f64>]>,
) -> Market {
    assert!(symbols.is_sorted_by(|a, b| a.name < b.name), "symbols in ascending name order");
    let bars = symbols.iter().map(|s| s.bars.len()).max().unwrap_or(0);
    let lanes = lane_stride(symbols.len());
    let panel = |value: &dyn Fn(usize, usize) -> f64| -> Column {
        let mut column = vec![f64::NAN; bars * lanes];
        for bar in 0..bars {
            for symbol in 0..symbols.len() {
                column[bar * lanes + symbol] = value(bar, symbol);
            }
        }
        Column::from(column)
    };
    let field = |index: usize| {
        panel(&|bar, symbol| symbols[symbol].bars.get(bar).copied().flatten().map_or(f64::NAN, |b| b[index]))
    };
    Market {
        grid: TimeGrid { start_ms: START_MS, step_ms: BAR_MS, bars },
        symbols: symbols
            .iter()
            .map(|s| Symbol {
                name: s.name.clone(),
                contract: s.contract.clone(),
                brackets: Vec::new(),
                first_bar: s.bars.iter().position(Option::is_some),
                last_bar: s.bars.iter().rposition(Option::is_some),
            })
            .collect(),
        lane_of: (0..symbols.len()).collect(),
        panels: MarketPanels {
            lanes,
            open: field(0),
            high: field(1),
            low: field(2),
            close: field(3),
            volume: field(4),
            quote_volume: None,
            mark: marks.map(|marks| panel(&|bar, symbol| marks[bar][symbol])),
            regime: None,
            baseline_volume: None,
        },
        first_row: 0,
        funding,
        content_digest: String::new(),
        warnings: Vec::new(),
    }
}

/// Next-open trading with nothing else: no fees, no slippage, fixed notional.
pub(crate) fn bare_plan() -> EnginePlan {
    EnginePlan {
        initial_capital_usdt: 10_000.0,
        maker_fee_frac: 0.0,
        taker_fee_frac: 0.0,
        use_mark: false,
        sizing: Sizing::FixedNotional { notional_usdt: 1_000.0 },
        sizing_equity: SizingEquity::Equity,
        slippage: flat_slippage(0.0),
        execution: ExecutionPlan {
            sequencing: Sequencing::Phased,
            entry_ttl_bars: 1,
            participation_cap_frac: 0.0,
            cap_applies_to: CapAppliesTo::Entries,
            trail_mode: TrailMode::NextBar,
            trail_source: TrailSource::Extreme,
            entry_beyond_stop: EntryBeyondStop::FillAndStop,
            stale_move_frac: 0.0,
            stop_overshoot: 0.0,
            bracket_policy: BracketPolicy::Pessimistic,
            limit_rule: LimitRule::Through,
            tp_kind: TakeProfitKind::Limit,
            clamp_to_bar: false,
            round_to_tick: true,
            split_large: false,
            end_of_run: EndOfRun::Mark,
            delist_haircut_frac: 0.005,
            delist_after_missing_bars: 96,
        },
        funding: FundingPlan {
            enabled: true,
            boundary: FundingBoundary::HeldBefore,
            missing: FundingMissing::None,
            window_ms: None,
            close_before_frac: 0.0,
        },
        liquidity: LiquidityPlan {
            enabled: false,
            ..barloom::config::Spec::default().liquidity_regimes.plan()
        },
        max_stale_bars: 8,
        margin: None,
        fee_table: Vec::new(),
        max_position_notional_usdt: 0.0,
        seed: 1,
        check_invariants: CheckInvariants::EveryBar,
    }
}

/// The same slippage for every taker fill, whatever its size.
pub(crate) fn flat_slippage(bps: f64) -> Slippage {
    Slippage {
        shape: SlippageShape::Sqrt,
        a_bps: bps,
        b_bps: 0.0,
        vol_scale: None,
        min_bps: bps,
        max_bps: bps,
        stop_mult: 1.0,
        volume_ref: VolumeRef::ExecBar,
        regime_mult_normal: 1.0,
        regime_mult_thin: 2.0,
        regime_mult_vacuum: 4.0,
    }
}

/// A market order without levels, for one bar.
pub(crate) fn market_order(order_id: u32, bar: usize, symbol: usize, side: Side, qty: f64) -> OrderIntent {
    OrderIntent {
        bar: bar as u32,
        symbol: symbol as u32,
        order_id,
        kind: OrderKind::Market,
        side,
        qty,
        price_px: f64::NAN,
        limit_px: f64::NAN,
        attached: Attached::NONE,
        ttl_bars: 1,
        reduce_only: false,
        close_position: false,
        post_only: false,
        oco_group: NO_GROUP,
        tag: NO_TAG,
    }
}

/// +1 or −1 of an example as a side.
pub(crate) fn side_of(sign: &serde_json::Value) -> Side {
    if num(sign) > 0.0 { Side::Buy } else { Side::Sell }
}

/// A number of an example.
pub(crate) fn num(value: &serde_json::Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// A worked example: `(inputs, expected)`.
pub(crate) fn example(name: &str) -> (serde_json::Value, serde_json::Value) {
    let path = format!("{}/tests/examples/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut whole: serde_json::Value = serde_json::from_str(&text).expect("an example is JSON");
    (whole["inputs"].take(), whole["expected"].take())
}

/// `|x − e| ≤ abs + rel·|e|` with the examples' 1e-9 for both.
#[track_caller]
pub(crate) fn assert_near(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 + 1e-9 * expected.abs(), "{what}: {found}, expected {expected}");
}
