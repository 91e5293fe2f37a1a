//! Elementwise kernels, masks, crossings, anchored VWAP and cross-sections against plain loops.

mod common;

use barloom_kernels::{cross, cross_section, elementwise as el, vwap};
use common::{Input, Market, Random, Style, bits, naive};
use proptest::prelude::*;

fn finite(x: f64) -> f64 {
    if x.is_finite() { x } else { f64::NAN }
}

/// Numbers of every kind, in `lanes` lanes.
fn odd_panel(seed: u64, len: usize) -> Vec<f64> {
    let mut random = Random(seed);
    (0..len)
        .map(|_| match random.below(12) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => 0.0,
            3 => -0.0,
            4 => 1e308,
            5 => -1e-308,
            6 => 1.0,
            _ => (random.unit() - 0.5) * 10.0,
        })
        .collect()
}

fn mask_of(lanes: usize, words: usize, rows: usize, f: impl Fn(usize) -> bool) -> Vec<u64> {
    let mut mask = vec![0; rows * words];
    for row in 0..rows {
        for lane in 0..lanes {
            mask[row * words + lane / 64] |= u64::from(f(row * lanes + lane)) << (lane % 64);
        }
    }
    mask
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arithmetic_is_the_plain_loop_with_nan_for_what_is_not_finite(seed: u64, chunks in 0_usize..9) {
        let len = 8 * chunks;
        let (a, b) = (odd_panel(seed, len), odd_panel(!seed, len));
        type Fast = fn(&[f64], &[f64], &mut [f64]);
        type FastConst = fn(&[f64], f64, &mut [f64]);
        type Slow = fn(f64, f64) -> f64;
        let either = |f: Slow| move |x: f64, y: f64| if x.is_nan() || y.is_nan() { f64::NAN } else { finite(f(x, y)) };
        let table: [(&str, Fast, FastConst, Slow); 6] = [
            ("add", el::add, el::add_const, |x, y| x + y),
            ("sub", el::sub, el::sub_const, |x, y| x - y),
            ("mul", el::mul, el::mul_const, |x, y| x * y),
            ("div", el::div, el::div_const, |x, y| x / y),
            ("min", el::min, el::min_const, f64::min),
            ("max", el::max, el::max_const, f64::max),
        ];
        for (name, fast, fast_const, slow) in table {
            let mut out = vec![0.0; len];
            fast(&a, &b, &mut out);
            for i in 0..len {
                let want = either(slow)(a[i], b[i]);
                prop_assert!(out[i] == want || (out[i].is_nan() && want.is_nan()), "{} {} {}", name, a[i], b[i]);
            }
            fast_const(&a, 0.5, &mut out);
            for i in 0..len {
                let want = either(slow)(a[i], 0.5);
                prop_assert!(out[i] == want || (out[i].is_nan() && want.is_nan()), "{}_const {}", name, a[i]);
            }
        }
        type Unary = (&'static str, fn(&[f64], &mut [f64]), fn(f64) -> f64);
        let unary: [Unary; 6] = [
            ("neg", el::neg, |x| -x),
            ("abs", el::abs, f64::abs),
            ("sqrt", el::sqrt, f64::sqrt),
            ("sign", el::sign, |x| if x == 0.0 { 0.0 } else { x.signum() }),
            ("log", el::log, libm::log),
            ("exp", el::exp, libm::exp),
        ];
        for (name, fast, slow) in unary {
            let mut out = vec![0.0; len];
            fast(&a, &mut out);
            for i in 0..len {
                let want = finite(slow(a[i]));
                prop_assert!(out[i] == want || (out[i].is_nan() && want.is_nan()), "{} {}: {}", name, a[i], out[i]);
            }
        }
        let mut out = vec![0.0; len];
        el::const_sub(2.0, &a, &mut out);
        prop_assert!(out.iter().zip(&a).all(|(out, a)| out.to_bits() == finite(2.0 - a).to_bits()));
        el::const_div(2.0, &a, &mut out);
        prop_assert!(out.iter().zip(&a).all(|(out, a)| out.to_bits() == finite(2.0 / a).to_bits()));
    }

    #[test]
    fn masks_are_the_plain_loop(seed: u64, chunks in 1_usize..18, rows in 0_usize..5) {
        let lanes = 8 * chunks;
        let words = lanes.div_ceil(64);
        let (a, b) = (odd_panel(seed, lanes * rows), odd_panel(!seed, lanes * rows));
        type Fast = fn(&[f64], &[f64], usize, usize, &mut [u64]);
        type FastConst = fn(&[f64], f64, usize, usize, &mut [u64]);
        type Slow = fn(f64, f64) -> bool;
        let table: [(&str, Fast, FastConst, Slow); 6] = [
            ("lt", el::lt_mask, el::lt_mask_const, |x, y| x < y),
            ("le", el::le_mask, el::le_mask_const, |x, y| x <= y),
            ("gt", el::gt_mask, el::gt_mask_const, |x, y| x > y),
            ("ge", el::ge_mask, el::ge_mask_const, |x, y| x >= y),
            ("eq", el::eq_mask, el::eq_mask_const, |x, y| x == y),
            ("ne", el::ne_mask, el::ne_mask_const, |x, y| !x.is_nan() && !y.is_nan() && x != y),
        ];
        let mut out = vec![u64::MAX; rows * words];
        for (name, fast, fast_const, slow) in table {
            fast(&a, &b, lanes, words, &mut out);
            prop_assert_eq!(&out, &mask_of(lanes, words, rows, |i| slow(a[i], b[i])), "{}", name);
            fast_const(&a, 0.0, lanes, words, &mut out);
            prop_assert_eq!(&out, &mask_of(lanes, words, rows, |i| slow(a[i], 0.0)), "{}_const", name);
        }
        let mask = mask_of(lanes, words, rows, |i| a[i] < b[i]);
        let mut valid = out.clone();
        el::valid_mask(&a, lanes, words, &mut valid);
        prop_assert_eq!(&valid, &mask_of(lanes, words, rows, |i| !a[i].is_nan()));
        el::not_mask(&mask, &valid, &mut out);
        prop_assert_eq!(&out, &mask_of(lanes, words, rows, |i| !a[i].is_nan() && (b[i].is_nan() || a[i] >= b[i])));
        let other = mask_of(lanes, words, rows, |i| i % 3 == 0);
        el::and_mask(&mask, &other, &mut out);
        prop_assert_eq!(&out, &mask_of(lanes, words, rows, |i| a[i] < b[i] && i % 3 == 0));
        el::or_mask(&mask, &other, &mut out);
        prop_assert_eq!(&out, &mask_of(lanes, words, rows, |i| a[i] < b[i] || i % 3 == 0));
        let mut picked = vec![0.0; a.len()];
        el::select(&mask, &a, &b, lanes, words, &mut picked);
        let same = (0..a.len()).all(|i| picked[i].to_bits() == if a[i] < b[i] { a[i] } else { b[i] }.to_bits());
        prop_assert!(same);
        el::keep(&mask, &a, lanes, words, &mut picked);
        let same = (0..a.len()).all(|i| if a[i] < b[i] { picked[i] == a[i] } else { picked[i].is_nan() });
        prop_assert!(same);
        el::mask_to_number(&mask, lanes, words, &mut picked);
        prop_assert!((0..a.len()).all(|i| picked[i] == f64::from(u8::from(a[i] < b[i]))));
    }

    #[test]
    fn crossings_look_at_the_previous_present_bar(seed: u64, chunks in 1_usize..10, rows in 1_usize..40) {
        let lanes = 8 * chunks;
        let words = lanes.div_ceil(64);
        let mut random = Random(seed);
        // Small integers, so that equality happens.
        let mut panel = || -> Vec<f64> {
            (0..rows * lanes).map(|_| match random.below(8) { 0 => f64::NAN, k => (k % 4) as f64 }).collect()
        };
        let (a, b) = (panel(), panel());
        let naive = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| {
            let mut mask = vec![0; rows * words];
            for lane in 0..lanes {
                let mut before = None;
                for row in 0..rows {
                    let (a, b) = (a(row * lanes + lane), b(row * lanes + lane));
                    if a.is_nan() || b.is_nan() {
                        continue;
                    }
                    if a > b && before == Some(false) {
                        mask[row * words + lane / 64] |= 1 << (lane % 64);
                    }
                    before = Some(a > b);
                }
            }
            mask
        };
        let cut = random.below(rows + 1);
        type Fast<'a> = Box<dyn Fn(usize, usize, &mut [f64], &mut [u64]) + 'a>;
        let table: [(Fast<'_>, Vec<u64>); 4] = [
            (Box::new(|from, to, st, out| cross::cross_over(&a[from..to], &b[from..to], lanes, words, st, out)),
                naive(&|i| a[i], &|i| b[i])),
            (Box::new(|from, to, st, out| cross::cross_under(&a[from..to], &b[from..to], lanes, words, st, out)),
                naive(&|i| b[i], &|i| a[i])),
            (Box::new(|from, to, st, out| cross::cross_over_const(&a[from..to], 1.0, lanes, words, st, out)),
                naive(&|i| a[i], &|_| 1.0)),
            (Box::new(|from, to, st, out| cross::cross_under_const(&a[from..to], 1.0, lanes, words, st, out)),
                naive(&|_| 1.0, &|i| a[i])),
        ];
        for (fast, want) in &table {
            let mut state = vec![0.0; cross::cross_state_len(lanes)];
            let mut out = vec![u64::MAX; rows * words];
            let (first, second) = out.split_at_mut(cut * words);
            fast(0, cut * lanes, &mut state, first);
            fast(cut * lanes, rows * lanes, &mut state, second);
            prop_assert_eq!(&out, want);
        }
    }

    #[test]
    fn anchored_vwap_is_two_passes_over_the_bars_since_the_anchor(
        seed: u64, rows in 1_usize..60, gaps: bool, style in prop::sample::select(vec![Style::Plain, Style::Sticky, Style::Tiny]),
    ) {
        let market = Market::new(seed, 8, rows, style, gaps);
        let (price, volume) = (market.panel(Input::Close), market.panel(Input::Volume));
        let mut random = Random(!seed);
        let anchors: Vec<bool> = (0..rows).map(|_| random.below(9) == 0).collect();
        let cut = random.below(rows + 1);
        let run = |cuts: &[usize]| {
            let mut state = vec![0.0; vwap::avwap_state_len(8)];
            let mut out = vec![vec![0.0; rows * 8]; 2];
            let mut from = 0;
            for &to in cuts {
                let part = from * 8..to * 8;
                let [line, stddev] = &mut out[..] else { unreachable!() };
                vwap::avwap(&price[part.clone()], &volume[part.clone()], &anchors[from..to], 8, &mut state,
                    &mut line[part.clone()], &mut stddev[part]);
                from = to;
            }
            out
        };
        let fast = run(&[rows]);
        prop_assert_eq!(bits(&fast), bits(&run(&[cut, rows])));
        for lane in 0..8 {
            let present: Vec<usize> = (0..rows)
                .filter(|row| !price[row * 8 + lane].is_nan() && !volume[row * 8 + lane].is_nan()).collect();
            let series = |x: &[f64]| -> Vec<f64> { present.iter().map(|row| x[row * 8 + lane]).collect() };
            // The first present bar at or after the latest anchor.
            let anchor_of: Vec<Option<usize>> = present.iter().map(|&row| {
                let anchor = (0..=row).rev().find(|&at| anchors[at])?;
                present.iter().position(|&at| at >= anchor)
            }).collect();
            let slow = naive::anchored(&series(price), &series(volume), &anchor_of);
            for (fast, slow) in fast.iter().zip(&slow) {
                for (&row, want) in present.iter().zip(slow) {
                    let (got, level) = (fast[row * 8 + lane], price[row * 8 + lane]);
                    prop_assert!((got.is_nan() && want.is_nan()) || (got - want).abs() <= 1e-9 * level, "{} {}", got, want);
                }
            }
        }
    }

    #[test]
    fn cross_sections_leave_missing_lanes_out(seed: u64, chunks in 1_usize..8) {
        let lanes = 8 * chunks;
        let mut random = Random(seed);
        let x: Vec<f64> = (0..3 * lanes).map(|_| match random.below(5) { 0 => f64::NAN, k => k as f64 + random.unit().round() }).collect();
        let (mut mean, mut zscore, mut rank) = (vec![0.0; x.len()], vec![0.0; x.len()], vec![0.0; x.len()]);
        cross_section::mean_xs(&x, lanes, &mut mean);
        cross_section::zscore_xs(&x, lanes, &mut zscore);
        cross_section::rank_xs(&x, lanes, &mut rank);
        for row in 0..3 {
            let all = &x[row * lanes..(row + 1) * lanes];
            let some: Vec<f64> = all.iter().copied().filter(|x| !x.is_nan()).collect();
            let count = some.len() as f64;
            let average = some.iter().sum::<f64>() / count;
            let deviation = (some.iter().map(|x| (x - average) * (x - average)).sum::<f64>() / count).sqrt();
            for (lane, &x) in all.iter().enumerate() {
                let at = row * lanes + lane;
                if x.is_nan() {
                    prop_assert!(mean[at].is_nan() && zscore[at].is_nan() && rank[at].is_nan());
                    continue;
                }
                let mut sorted = some.clone();
                sorted.sort_by(f64::total_cmp);
                let (first, last) = (sorted.iter().position(|&y| y == x), sorted.iter().rposition(|&y| y == x));
                let place = (first.expect("present") + last.expect("present")) as f64 / 2.0 + 1.0;
                prop_assert!((mean[at] - average).abs() < 1e-12);
                prop_assert!((rank[at] - place / count).abs() < 1e-12);
                let want = if deviation < 1e-12 { 0.0 } else { (x - average) / deviation };
                prop_assert!((zscore[at] - want).abs() < 1e-9, "{} {}", zscore[at], want);
            }
        }
    }
}
