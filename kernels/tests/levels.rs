//! The same bits at every SIMD level. Its own binary: the forced level holds for the whole process.

mod common;

use barloom_kernels::account::{RowChanges, mark_changing_rows};
use barloom_kernels::curve::{CurveState, add_blocks};
use barloom_kernels::fills::{
    AT_ONCE, Acts, Event, FillRows, SignalMasks, StopBars, Stops, UsualBars, Word, find_fills_and_stops,
};
use barloom_kernels::liquidity::{Profile, Season, seasonal_baseline, seasonal_baseline_state_len};
use barloom_kernels::simd::{ForcedLevel, force_level};
use barloom_kernels::{elementwise, fills, grid};
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
            all.extend(fills_and_stops(&market));
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

/// Fills of a long-or-short system with stops a little away, their prices, and the marks after them.
fn fills_and_stops(market: &Market) -> Vec<(String, Vec<Vec<u64>>)> {
    let [high, low, close] = [Input::High, Input::Low, Input::Close].map(|input| market.panel(input));
    let open: &Vec<f64> = &high.iter().zip(low).map(|(high, low)| 0.5 * (high + low)).collect();
    let (lanes, rows) = (56, close.len() / 56);
    let mut all = Vec::new();
    let (inverse, size) = ([100.0; 56], [0.01; 56]);
    let distance: Vec<f64> = close.iter().map(|close| close * 0.05).collect();
    // A row ahead: the first has none.
    let mut stops = [true, false].map(|is_long| {
        let mut px = vec![f64::NAN; lanes + close.len()];
        grid::stop_prices(close, &distance, is_long, lanes, &inverse, &size, &mut px[lanes..]);
        px.truncate(close.len());
        px
    });
    let mut touched = [vec![0; rows], vec![0; rows]];
    fills::may_touch(low, &stops[0], true, 1e-8, lanes, 1, &mut touched[0]);
    fills::may_touch(high, &stops[1], false, 1e-8, lanes, 1, &mut touched[1]);
    let mut touched_next = [vec![0; rows], vec![0; rows]];
    let later = close.len() - lanes;
    fills::may_touch(&low[lanes..], &stops[0][..later], true, 1e-8, lanes, 1, &mut touched_next[0][1..]);
    fills::may_touch(&high[lanes..], &stops[1][..later], false, 1e-8, lanes, 1, &mut touched_next[1][1..]);
    let bounds = grid::OrderBounds { min_qty: &[1.0; 56], max_qty: &[1e9; 56], min_notional: &[5_000.0; 56] };
    let mut within = vec![0; rows];
    grid::orders_within(close, open, &bounds, 1, &mut within);
    all.push(("orders_within".to_string(), vec![within]));
    let (mut long, mut short) = (vec![0; rows], vec![0; rows]);
    elementwise::lt_mask(open, close, lanes, 1, &mut long);
    elementwise::lt_mask(close, open, lanes, 1, &mut short);
    let mut valid = vec![0; rows];
    elementwise::valid_mask(&stops[0], lanes, 1, &mut valid);
    let mut opens = vec![0; rows];
    elementwise::valid_mask(close, lanes, 1, &mut opens);
    let usual = UsualBars { closes: &opens, fills: &valid, opens: &opens };
    let signals =
        SignalMasks { long_entry: Some(&long), short_entry: Some(&short), ..SignalMasks::default() };
    let bars = StopBars {
        lanes,
        open,
        high,
        low,
        long_px: &stops[0],
        short_px: &stops[1],
        long_touched: &touched[0],
        short_touched: &touched[1],
        long_touched_next: &touched_next[0],
        short_touched_next: &touched_next[1],
        slack: 1e-8,
    };
    let (mut px, mut below, mut above) =
        (vec![f64::NAN; lanes], vec![f64::NEG_INFINITY; lanes], vec![f64::INFINITY; lanes]);
    let mut state = Stops { px: &mut px, below: &mut below, above: &mut above, met: &mut [[0; 2]] };
    let mut events = vec![Event::default(); 3 * close.len() + AT_ONCE];
    let (mut ends, mut filled, mut held) = (vec![0; rows], vec![0; rows], vec![0; rows]);
    let mut out = FillRows { events: &mut events, ends: &mut ends, filled: &mut filled, held: &mut held };
    let (mut words, mut spare) = ([Word::default()], [Word::default()]);
    // Rows that are not as usual are passed over, with what is held at their beginning.
    let (mut row, mut made) = (0, Vec::new());
    while row < rows {
        let end = find_fills_and_stops(
            row..rows,
            &signals,
            &usual,
            &bars,
            &mut words,
            &mut spare,
            &mut state,
            &mut out,
        );
        let count = if end > row { out.ends[end - 1] as usize } else { 0 };
        made.extend(out.events[..count].iter().map(|event| {
            (event.row() << 16 | event.symbol() << 4 | usize::from(event.buys()) << 3) as u64
                | u64::from(event.opens()) << 2
                | event.stops().map_or(0, |gapped| 1 + u64::from(gapped))
        }));
        words[0].waiting = Acts::default();
        row = end + 1;
    }
    assert!(made.len() > 500, "there is something to compare");
    all.push(("find_fills_and_stops".to_string(), vec![made, filled, held]));
    let changes: Vec<u32> = (1..=rows as u32).collect();
    let lane: Vec<u32> = (0..rows).map(|row| (row * 7 % lanes) as u32).collect();
    let new: Vec<f64> = (0..rows).map(|row| (row % 5) as f64 - 2.0).collect();
    let made = RowChanges { ends: &changes, lane: &lane, qty: &new, entry: &new };
    let (mut qty, mut entry) = (vec![1.0; lanes], vec![90.0; lanes]);
    let marks: Vec<f64> = close.iter().map(|close| if close.is_nan() { 1.0 } else { *close }).collect();
    let mut sums = [vec![0.0; rows], vec![0.0; rows], vec![0.0; rows]];
    let [unrealized, gross, net] = &mut sums;
    mark_changing_rows(&mut qty, &mut entry, &marks, &made, unrealized, gross, net);
    all.push(("mark_changing_rows".to_string(), bits(&sums)));
    stops.iter_mut().for_each(|px| px.iter_mut().for_each(|px| *px = if px.is_nan() { 0.0 } else { *px }));
    all.push(("stop_prices".to_string(), bits(&stops)));
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
