//! The same bits at every SIMD level. Its own binary: the forced level holds for the whole process.

mod common;

use barloom_kernels::curve::{CurveState, add_blocks};
use barloom_kernels::liquidity::{Profile, Season, seasonal_baseline, seasonal_baseline_state_len};
use barloom_kernels::simd::{ForcedLevel, force_level};
use barloom_kernels::{elementwise, grid};
use common::{Input, Market, Style, bits, cases, run};

/// Everything a level may touch, as bits.
fn digest() -> Vec<(String, Vec<Vec<u64>>)> {
    let mut all = Vec::new();
    for (seed, style) in [(1, Style::Plain), (2, Style::Spikes), (3, Style::Sticky), (4, Style::Tiny)] {
        for gaps in [false, true] {
            let market = Market::new(seed, 56, 150, style, gaps);
            for n in [1, 14, 20] {
                for case in cases(n) {
                    all.push((format!("{} {style:?}", case.name), bits(&run(&case, &market))));
                }
            }
            let (a, b) = (market.panel(Input::Close), market.panel(Input::Benchmark));
            let mut out = vec![0.0; a.len()];
            for (name, f) in [
                ("add", elementwise::add as fn(&[f64], &[f64], &mut [f64])),
                ("sub", elementwise::sub),
                ("mul", elementwise::mul),
                ("div", elementwise::div),
                ("min", elementwise::min),
                ("max", elementwise::max),
            ] {
                f(a, b, &mut out);
                all.push((name.to_string(), bits(&[out.clone()])));
            }
            let mut mask = vec![0; market.rows];
            elementwise::lt_mask(a, b, 56, 1, &mut mask);
            all.push(("lt_mask".to_string(), vec![mask.clone()]));
            elementwise::sqrt(a, &mut out);
            all.push(("sqrt".to_string(), bits(&[out.clone()])));
            // Lanes with a whole number of steps per unit, with none, and without a grid.
            let inverse: Vec<f64> = (0..56).map(|lane| [100.0, 0.0, 0.0][lane % 3]).collect();
            let size: Vec<f64> = (0..56).map(|lane| [0.01, 3.0, 0.0][lane % 3]).collect();
            for is_buy in [true, false] {
                grid::market_prices(a, 1.0002, is_buy, 56, &inverse, &size, &mut out);
                all.push(("market_prices".to_string(), bits(&[out.clone()])));
            }
            let mut qty = vec![0.0; a.len()];
            grid::order_sizes(a, 20_000.0, 56, &inverse, &size, &mut out, &mut qty);
            all.push(("order_sizes".to_string(), bits(&[out.clone(), qty])));
            let season = Season {
                slots: 9,
                profile: Profile::Median { observations: 7 },
                min_observations: 3,
                fallback_bars: 9,
                fallback_min_bars: 9,
            };
            let mut state = vec![0.0; seasonal_baseline_state_len(56, &season)];
            seasonal_baseline(market.panel(Input::Volume), 56, 4, &season, &mut state, &mut out);
            all.push(("seasonal_baseline".to_string(), bits(&[out.clone()])));
        }
        let market = Market::new(seed, 8, 150, style, false);
        let equity = market.panel(Input::Close);
        let mut curve = CurveState { bars: 8, ..CurveState::new(equity[0]) };
        let taken = add_blocks(equity, equity, equity, &vec![1; equity.len()], &mut curve);
        let (sums, at) = (curve.sums, curve.peak.longest_underwater_bars as f64);
        let single = vec![taken as f64, at, curve.max_drawdown, curve.max_abs_return, curve.peak.equity];
        let [equity, gross, net, shifted, squares, downside, ulcer] = [
            sums.equity,
            sums.gross,
            sums.net,
            sums.shifted,
            sums.shifted_squares,
            sums.downside_squares,
            sums.ulcer,
        ]
        .map(Vec::from);
        let curve = [equity, gross, net, shifted, squares, downside, ulcer, single];
        all.push((format!("curve {style:?}"), bits(&curve)));
    }
    all
}

#[test]
#[allow(clippy::print_stdout, reason = "a test says what it could not check")]
fn every_level_gives_the_same_bits() {
    let best = digest();
    for level in [ForcedLevel::Sse2, ForcedLevel::Avx2, ForcedLevel::Avx512] {
        if !force_level(Some(level)) {
            println!("this CPU has no {level:?}");
            continue;
        }
        for ((name, forced), (_, best)) in digest().iter().zip(&best) {
            assert_eq!(forced, best, "{name} at {level:?}");
        }
    }
    force_level(None);
}
