//! Who the symbols are: names, price and volume levels, trading rules, margin brackets.
//!
//! The levels resemble those of the venue in early 2023; no price or volume of a real market is in here.

use serde_json::{Value, json};

use super::path::Life;
use super::random::{Purpose, Random};
use crate::market::stamp::format_ms;
use crate::market::{Bracket, Contract, StepGrid};

/// One row of the table of named symbols.
struct Listing {
    name: &'static str,
    start_px: f64,
    tick: f64,
    step: f64,
    max_qty: f64,
    min_notional_usdt: f64,
    liquidation_fee_frac: f64,
    /// Typical quote volume of 15 minutes, USDT.
    turnover_usdt: f64,
    /// Typical volatility of 15 minutes.
    vol_frac: f64,
    brackets: &'static [(i64, i64, i64)],
}

/// Brackets as `(floor USDT, maintenance in 1e-4, leverage)`; a bracket ends where the next begins.
const MAJOR: &[(i64, i64, i64)] = &[
    (0, 40, 125),
    (50_000, 50, 100),
    (500_000, 100, 50),
    (10_000_000, 250, 20),
    (80_000_000, 500, 10),
    (150_000_000, 1_000, 5),
    (300_000_000, 1_250, 4),
    (450_000_000, 1_500, 3),
    (600_000_000, 2_500, 2),
    (800_000_000, 5_000, 1),
];
const LARGE: &[(i64, i64, i64)] = &[
    (0, 65, 75),
    (20_000, 100, 50),
    (200_000, 200, 25),
    (2_000_000, 250, 20),
    (10_000_000, 500, 10),
    (20_000_000, 1_000, 5),
    (25_000_000, 1_250, 4),
    (30_000_000, 5_000, 1),
];
const SMALL: &[(i64, i64, i64)] = &[
    (0, 100, 50),
    (5_000, 150, 30),
    (25_000, 250, 20),
    (300_000, 500, 10),
    (1_200_000, 1_000, 5),
    (3_000_000, 1_250, 4),
    (5_000_000, 5_000, 1),
];
/// Cap of the last bracket over its floor.
const LAST_CAP_OVER_FLOOR: i64 = 2;

const fn listing(
    name: &'static str,
    (start_px, tick, step, max_qty): (f64, f64, f64, f64),
    (min_notional_usdt, liquidation_fee_frac): (f64, f64),
    (turnover_usdt, vol_frac): (f64, f64),
    brackets: &'static [(i64, i64, i64)],
) -> Listing {
    Listing {
        name,
        start_px,
        tick,
        step,
        max_qty,
        min_notional_usdt,
        liquidation_fee_frac,
        turnover_usdt,
        vol_frac,
        brackets,
    }
}

const NAMED: [Listing; 8] = [
    listing("BTCUSDT", (16_800.0, 0.1, 0.001, 1e3), (100.0, 0.0125), (60e6, 0.0030), MAJOR),
    listing("ETHUSDT", (1_250.0, 0.01, 0.001, 1e4), (20.0, 0.0125), (35e6, 0.0036), MAJOR),
    listing("BNBUSDT", (260.0, 0.01, 0.01, 1e4), (5.0, 0.015), (8e6, 0.0034), LARGE),
    listing("SOLUSDT", (14.0, 0.001, 1.0, 1e6), (5.0, 0.015), (12e6, 0.0055), LARGE),
    listing("XRPUSDT", (0.4, 0.0001, 0.1, 1e7), (5.0, 0.0125), (10e6, 0.0042), LARGE),
    listing("DOGEUSDT", (0.08, 0.00001, 1.0, 5e7), (5.0, 0.015), (8e6, 0.0046), LARGE),
    listing("LTCUSDT", (75.0, 0.01, 0.001, 1e4), (20.0, 0.015), (6e6, 0.0043), LARGE),
    listing("1000PEPEUSDT", (0.004, 1e-7, 1.0, 2e9), (5.0, 0.02), (5e6, 0.0060), SMALL),
];

/// Price levels of the unnamed symbols, each with its tick and step.
const LEVELS: [(f64, f64, f64, f64); 6] = [
    (850.0, 0.1, 0.001, 1e4),
    (42.0, 0.001, 0.1, 1e6),
    (6.2, 0.001, 0.1, 1e6),
    (1.3, 0.0001, 1.0, 1e7),
    (0.21, 0.00001, 1.0, 1e7),
    (0.018, 0.000001, 1.0, 1e8),
];

/// Constants of one symbol.
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) start_px: f64,
    pub(super) tick: StepGrid,
    pub(super) step: StepGrid,
    /// Typical quote volume of 15 minutes, USDT.
    pub(super) turnover_usdt: f64,
    /// Typical volatility of 15 minutes.
    pub(super) vol_frac: f64,
    /// Correlation with the common factor.
    pub(super) loading: f64,
    max_qty: f64,
    min_notional_usdt: f64,
    liquidation_fee_frac: f64,
    steps: &'static [(i64, i64, i64)],
}

impl Profile {
    pub(super) fn new(seed: u64, index: usize) -> Self {
        let mut random = Random::new(seed, Purpose::Profile, index);
        // Mean loading 0.6, so mean pairwise correlation 0.36.
        let loading = if index < 2 { 0.65 } else { random.between(0.49, 0.71) };
        let from_table = |row: &Listing, name: String| Self {
            name,
            start_px: row.start_px,
            tick: StepGrid::new(row.tick),
            step: StepGrid::new(row.step),
            turnover_usdt: row.turnover_usdt,
            vol_frac: row.vol_frac,
            loading,
            max_qty: row.max_qty,
            min_notional_usdt: row.min_notional_usdt,
            liquidation_fee_frac: row.liquidation_fee_frac,
            steps: row.brackets,
        };
        if let Some(row) = NAMED.get(index) {
            return from_table(row, row.name.to_owned());
        }
        let (level_px, tick, step, max_qty) = LEVELS[random.below(LEVELS.len() as u64) as usize];
        let start_px = level_px * random.between(0.7, 1.4);
        let market = (random.between(2e6, 9e6), random.between(0.0038, 0.0060));
        let row = listing("", (start_px, tick, step, max_qty), (5.0, 0.015), market, SMALL);
        from_table(&row, format!("SYN{:03}USDT", index + 1))
    }

    pub(super) fn contract(&self, life: &Life) -> Contract {
        Contract {
            tick: Some(self.tick),
            step: self.step,
            min_qty: self.step.size,
            max_qty: self.max_qty,
            market_max_qty: f64::INFINITY,
            min_notional_usdt: self.min_notional_usdt,
            max_leverage: Some(self.steps[0].2 as f64),
            liquidation_fee_frac: Some(self.liquidation_fee_frac),
            listed_ms: Some(life.listed_ms),
            delisted_ms: life.delisted_ms,
        }
    }

    pub(super) fn contract_json(&self, life: &Life) -> Value {
        let mut contract = json!({
            "symbol": self.name,
            "tick_size": self.tick.size,
            "step_size": self.step.size,
            "min_qty": self.step.size,
            "max_qty": self.max_qty,
            "min_notional": self.min_notional_usdt,
            "max_leverage": self.steps[0].2,
            "liquidation_fee": self.liquidation_fee_frac,
            "listed_at": format_ms(life.listed_ms),
        });
        if let Some(delisted_ms) = life.delisted_ms {
            contract["delisted_at"] = json!(format_ms(delisted_ms));
        }
        contract
    }

    /// Brackets whose `cum` is computed in whole 1e-4 USDT, hence exactly.
    pub(super) fn brackets(&self) -> Vec<Bracket> {
        let (mut cum, mut rate_before) = (0, 0);
        let ends = self.steps.iter().skip(1).map(|step| step.0);
        let last = self.steps.last().map(|step| step.0 * LAST_CAP_OVER_FLOOR);
        self.steps
            .iter()
            .zip(ends.chain(last))
            .map(|(&(floor, rate, leverage), cap)| {
                cum += floor * (rate - rate_before);
                rate_before = rate;
                Bracket {
                    floor_usdt: floor as f64,
                    cap_usdt: cap as f64,
                    maintenance_frac: rate as f64 / 1e4,
                    cum_usdt: cum as f64 / 1e4,
                    initial_leverage: leverage as f64,
                }
            })
            .collect()
    }
}
