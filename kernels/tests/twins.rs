//! Every streaming kernel against its naive twin on the series of present bars, and its state across calls.

mod common;

use common::{Case, Market, Random, Scale, Style, bits, cases, run, run_from};
use proptest::prelude::*;

const STYLES: [Style; 5] = [Style::Plain, Style::Spikes, Style::Flat, Style::Sticky, Style::Tiny];

/// Kernels whose windows are made of blocks.
const BY_BLOCKS: [&str; 7] = ["sma", "sum", "mean_upto", "var", "stddev", "zscore", "bbands"];

fn scale_at(case: &Case, first_input: &[f64], bar: usize) -> f64 {
    let rms = |n: usize| {
        let window = &first_input[(bar + 1).saturating_sub(n)..=bar];
        (window.iter().map(|x| x * x).sum::<f64>() / window.len() as f64).sqrt()
    };
    match case.scale {
        Scale::Window(n) => rms(n),
        Scale::WindowSquared(n) => rms(n) * rms(n),
        Scale::Unit(unit) => unit,
    }
}

fn check_against_twin(case: &Case, market: &Market) {
    let fast = run(case, market);
    let inputs = market.inputs(case);
    for lane in 0..market.lanes {
        let at = |panel: &[f64], row: usize| panel[row * market.lanes + lane];
        let present: Vec<usize> =
            (0..market.rows).filter(|&row| inputs.iter().all(|x| !at(x, row).is_nan())).collect();
        let series: Vec<Vec<f64>> =
            inputs.iter().map(|x| present.iter().map(|&row| at(x, row)).collect()).collect();
        let slow = (case.naive)(&series);
        assert_eq!(slow.len(), fast.len(), "{}", case.name);
        for (output, (fast, slow)) in fast.iter().zip(&slow).enumerate() {
            let mut bar = 0;
            for row in 0..market.rows {
                let got = at(fast, row);
                if present.get(bar) != Some(&row) {
                    assert!(got.is_nan(), "{} output {output}: {got} at missing row {row}", case.name);
                    continue;
                }
                let want = slow[bar];
                let tolerance = 1e-9 * want.abs().max(scale_at(case, &series[0], bar));
                assert!(
                    (got.is_nan() && want.is_nan()) || (got - want).abs() <= tolerance,
                    "{} output {output}, lane {lane}, row {row}, bar {bar}: {got}, twin says {want}",
                    case.name
                );
                bar += 1;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn kernels_agree_with_their_naive_twins(
        seed: u64, n in 1_usize..=17, length in 0.0..=1.0_f64, lanes in 1_usize..=2, style in 0_usize..5, gaps: bool,
    ) {
        let rows = ((4 * n + 1) as f64 * length).round() as usize;
        let market = Market::new(seed, 8 * lanes, rows, STYLES[style], gaps);
        for case in cases(n) {
            check_against_twin(&case, &market);
        }
    }

    #[test]
    fn cutting_rows_into_calls_changes_no_bit_so_no_value_sees_later_rows(
        seed: u64, n in 1_usize..=9, lanes in 1_usize..=7, style in 0_usize..5, gaps: bool,
    ) {
        let rows = 5 * n + 20;
        let market = Market::new(seed, 8 * lanes, rows, STYLES[style], gaps);
        let mut random = Random(seed);
        let mut cuts: Vec<usize> = (0..random.below(6)).map(|_| random.below(rows + 1)).collect();
        cuts.sort_unstable();
        for case in cases(n) {
            let whole = run(&case, &market);
            let cut = run_from(&case, &market, 0, &cuts);
            prop_assert_eq!(bits(&whole), bits(&cut), "{} cut at {:?}", case.name, cuts);
        }
    }

    #[test]
    fn the_past_is_the_same_in_the_input_and_in_the_ring(
        seed: u64, n in 1_usize..=6, lanes in 1_usize..=3, holes in 0_usize..4, cuts in prop::collection::vec(0_usize..90, 0..4),
    ) {
        // Few gaps, so that calls begin in step and rows are straight until one comes; lane 5 is listed late or never.
        let (rows, lanes) = (90, 8 * lanes);
        let mut random = Random(seed);
        let mut x: Vec<f64> = (0..rows * lanes).map(|_| 1.0 + random.unit()).collect();
        for row in 0..30 + random.below(70).min(60) {
            x[row * lanes + 5] = f64::NAN;
        }
        for _ in 0..holes {
            let (row, lane, long) = (random.below(rows), random.below(lanes), random.below(2 * n + 2));
            for row in row..(row + long).min(rows) {
                x[row * lanes + lane] = f64::NAN;
            }
        }
        let mut cuts = cuts;
        cuts.extend([2 * n + 2, rows]);
        cuts.sort_unstable();
        for case in cases(n).iter().filter(|case| ["lag", "diff", "roc"].iter().any(|name| case.name.starts_with(name))) {
            // Row by row no call is longer than the delay.
            let mut answers = Vec::new();
            for cuts in [&cuts[..], &(1..=rows).collect::<Vec<usize>>()] {
                let (mut state, mut out, mut from) = (vec![0.0; (case.state_len)(lanes)], Vec::new(), 0);
                for &to in cuts {
                    let mut part = vec![vec![0.0; (to - from) * lanes]];
                    (case.run)(&[&x[from * lanes..to * lanes]], lanes, &mut state, &mut part);
                    out.extend(part[0].iter().map(|x| x.to_bits()));
                    from = to;
                }
                answers.push(out);
            }
            prop_assert_eq!(&answers[0], &answers[1], "{}", case.name);
        }
    }

    #[test]
    fn what_was_before_a_window_changes_its_value_by_rounding_at_most(
        seed: u64, n in 1_usize..=40, style in 0_usize..5,
    ) {
        let rows = 3 * n + 8;
        let market = Market::new(seed, 8, rows, STYLES[style], false);
        let from = Random(seed).below(n + 5);
        for case in cases(n) {
            let Some(window) = case.window else { continue };
            let all = run(&case, &market);
            let late = run_from(&case, &market, from, &[]);
            // Trees give the same bits; sums of blocks round otherwise where blocks fall otherwise.
            let of_blocks = BY_BLOCKS.iter().any(|name| case.name.starts_with(name));
            for (all, late) in all.iter().zip(&late) {
                for row in from + window - 1..rows {
                    for lane in 0..8 {
                        let (all, late) = (all[row * 8 + lane], late[(row - from) * 8 + lane]);
                        let first_input: Vec<f64> =
                            (0..=row).map(|row| market.inputs(&case)[0][row * 8 + lane]).collect();
                        let scale = all.abs().max(scale_at(&case, &first_input, row));
                        let same = all.to_bits() == late.to_bits();
                        let close = of_blocks && (all - late).abs() <= 1e-12 * scale;
                        prop_assert!(same || close, "{} from row {}: {} and {}", case.name, from, all, late);
                    }
                }
            }
        }
    }

    #[test]
    fn a_lane_does_not_depend_on_the_lanes_beside_it(seed: u64, n in 1_usize..=9, style in 0_usize..5) {
        // Lane 0 alone among missing lanes, against lane 0 among listings, holes and delistings.
        let market = Market::new(seed, 8, 4 * n + 9, STYLES[style], true);
        for case in cases(n) {
            let among = run(&case, &market);
            let inputs: Vec<Vec<f64>> = market.inputs(&case).iter().map(|x| {
                x.iter().enumerate().map(|(i, &x)| if i % 8 == 0 { x } else { f64::NAN }).collect()
            }).collect();
            let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
            let mut state = vec![0.0; (case.state_len)(8)];
            let mut alone = vec![vec![0.0; market.rows * 8]; case.outputs];
            (case.run)(&inputs, 8, &mut state, &mut alone);
            for (alone, among) in alone.iter().zip(&among) {
                for row in 0..market.rows {
                    prop_assert_eq!(alone[row * 8].to_bits(), among[row * 8].to_bits(), "{} row {}", case.name, row);
                }
            }
        }
    }
}

#[test]
fn a_spike_leaves_no_trace_once_out_of_the_window() {
    let rows = 300;
    let mut x: Vec<f64> = (0..rows).flat_map(|row| [100.0 + (row % 13) as f64 * 0.37; 8]).collect();
    x[50 * 8..51 * 8].fill(1e12);
    let mut state = vec![0.0; barloom_kernels::moving::sma_state_len(8, 20)];
    let mut out = vec![0.0; x.len()];
    barloom_kernels::moving::sma(&x, 8, 20, &mut state, &mut out);
    let exact: f64 = (rows - 20..rows).map(|row| x[row * 8]).sum::<f64>() / 20.0;
    assert!((out[x.len() - 1] - exact).abs() < 1e-12);
}

#[test]
fn a_flat_window_deviates_by_nothing_whatever_was_before_it() {
    let n = 20;
    let level = 0.1 + 0.2;
    let x: Vec<f64> =
        (0..200).flat_map(|row| [if row < 50 { (row as f64).sin() * 1e9 } else { level }; 8]).collect();
    let mut state = vec![0.0; barloom_kernels::bands::bbands_state_len(8, n)];
    let mut out = vec![vec![0.0; x.len()]; 3];
    let [upper, mid, lower] = &mut out[..] else { unreachable!() };
    barloom_kernels::bands::bbands(&x, 8, n, 2.0, &mut state, upper, mid, lower);
    for row in 50 + n - 1..200 {
        assert_eq!([upper[row * 8], mid[row * 8], lower[row * 8]], [level; 3], "row {row}");
    }
    assert!(upper[(50 + n - 2) * 8] > level);
}

#[test]
fn long_windows_stay_exact_about_a_spike() {
    let (n, rows) = (1_000, 3_500);
    let mut random = Random(5);
    let mut x: Vec<f64> = (0..rows).map(|_| 100.0 + random.unit()).collect();
    // One begins a block and is its anchor, one does not.
    x[1_000] = 1e12;
    x[2_345] = 1e12;
    let panel: Vec<f64> = x.iter().flat_map(|&x| [x; 8]).collect();
    let mut state = vec![0.0; barloom_kernels::rolling::var_state_len(8, n)];
    let mut out = vec![0.0; panel.len()];
    barloom_kernels::rolling::stddev(&panel, 8, n, &mut state, &mut out);
    for row in n - 1..rows {
        let window = &x[row + 1 - n..=row];
        let mean = window.iter().sum::<f64>() / n as f64;
        let exact = (window.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64).sqrt();
        let got = out[row * 8];
        assert!((got - exact).abs() <= 1e-9 * exact, "row {row}: {got}, two passes say {exact}");
    }
}
