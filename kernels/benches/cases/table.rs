//! The table. A line is a kernel.

use barloom_kernels::curve::CurveState;
use barloom_kernels::liquidity::{self, Profile, RegimeBounds, Season};
use barloom_kernels::rolling::{PercentileKind, ReturnMean, Ties};
use barloom_kernels::vwap::Swing;
use barloom_kernels::{
    account, bands, bits, cross, cross_section, curve, elementwise as el, fills, grid, macd, momentum,
    moving, rolling, sum, trend, volatility, volume, vwap,
};

use super::Column::{Benchmark, Change, Close, High, Low, Volume};
use super::Form::{Running, Sort, Value, Window};
use super::{Answer, Call, Case, Market, N, Per, Plain, plain};

const HLC: &[super::Column] = &[High, Low, Close];
/// A grid of tenths on every lane.
const PER_UNIT: [f64; 64] = [10.0; 64];
const TENTH: [f64; 64] = [0.1; 64];
/// Smallest and largest quantity, smallest notional.
const ORDER_BOUNDS: [[f64; 64]; 3] = [[99.0; 64], [101.0; 64], [10_000.0; 64]];

/// A kernel with outputs like its inputs.
macro_rules! panels {
    ($name:literal, $form:ident, $reads:expr, $writes:literal, |$lanes:pat_param| $state:expr, |$c:ident| $fast:expr, $plain:expr) => {
        Case {
            name: $name,
            form: $form,
            reads: $reads,
            masks_read: 0,
            writes: $writes,
            per: Per::Value,
            masks_written: 0,
            state_len: |$lanes| $state,
            fast: |$c| $fast,
            plain: Plain::Series($plain),
        }
    };
}

/// An indicator of one series.
macro_rules! of_series {
    ($name:literal, $form:ident, $kernel:path, $state:path, $plain:expr) => {
        panels!(
            $name,
            $form,
            &[Close],
            1,
            |lanes| $state(lanes, N),
            |c| $kernel(c.x[0], c.lanes, N, c.state, c.out[0]),
            $plain
        )
    };
}

/// A number from two.
macro_rules! binary {
    ($name:literal, $kernel:path, |$a:ident, $b:ident| $f:expr) => {
        panels!(
            $name,
            Value,
            &[Close, Benchmark],
            1,
            |_| 0,
            |c| $kernel(c.x[0], c.x[1], c.out[0]),
            |x, out| {
                for t in 0..x[0].len() {
                    let ($a, $b) = (x[0][t], x[1][t]);
                    out[0][t] = $f;
                }
            }
        )
    };
}

/// A number from one.
macro_rules! value {
    ($name:literal, $column:ident, |$c:ident| $fast:expr, |$a:ident| $f:expr) => {
        panels!($name, Value, &[$column], 1, |_| 0, |$c| $fast, |x, out| {
            for t in 0..x[0].len() {
                let $a = x[0][t];
                out[0][t] = $f;
            }
        })
    };
}

/// A condition.
macro_rules! condition {
    ($name:literal, $form:ident, $reads:expr, |$lanes:pat_param| $state:expr, |$c:ident| $fast:expr, $plain:expr) => {
        Case {
            name: $name,
            form: $form,
            reads: $reads,
            masks_read: 0,
            writes: 0,
            per: Per::Value,
            masks_written: 1,
            state_len: |$lanes| $state,
            fast: |$c| $fast,
            plain: Plain::Flags($plain),
        }
    };
}

/// A comparison of two numbers, and with 100.
macro_rules! compare {
    ($name:literal, $kernel:path, |$a:ident, $b:ident| $f:expr) => {
        condition!(
            $name,
            Value,
            &[Close, Benchmark],
            |_| 0,
            |c| $kernel(c.x[0], c.x[1], c.lanes, c.words, c.mask),
            |x, out| {
                for t in 0..x[0].len() {
                    let ($a, $b) = (x[0][t], x[1][t]);
                    out[t] = $f;
                }
            }
        )
    };
}
macro_rules! compare_const {
    ($name:literal, $column:ident, $kernel:path, |$a:ident, $b:ident| $f:expr) => {
        condition!(
            $name,
            Value,
            &[$column],
            |_| 0,
            |c| $kernel(c.x[0], 100.0, c.lanes, c.words, c.mask),
            |x, out| {
                for t in 0..x[0].len() {
                    let ($a, $b) = (x[0][t], 100.0);
                    out[t] = $f;
                }
            }
        )
    };
}

/// What reads masks or rows: the plain loop has everything and goes row by row.
macro_rules! whole {
    ($name:literal, $form:ident, $reads:expr, masks $masks_read:literal, $per:ident $writes:literal, masks $masks_written:literal, |$c:ident| $fast:expr, |$m:ident, $answer:ident| $plain:expr) => {
        Case {
            name: $name,
            form: $form,
            reads: $reads,
            masks_read: $masks_read,
            writes: $writes,
            per: Per::$per,
            masks_written: $masks_written,
            state_len: |_| 0,
            fast: |$c| $fast,
            plain: Plain::Whole(|$m: &Market, $answer: &mut Answer| $plain),
        }
    };
}

/// One row of the market after another.
macro_rules! of_rows {
    ($name:literal, $form:ident, $kernel:path, $plain:path) => {
        whole!($name, $form, &[Close], masks 0, Value 1, masks 0, |c| $kernel(c.x[0], c.lanes, c.out[0]), |m, answer| {
            for (row, out) in m.panel(Close).chunks_exact(m.lanes).zip(answer.out[0].chunks_exact_mut(m.lanes)) {
                $plain(row, out);
            }
        })
    };
}

/// Bits of the first mask and of the second.
macro_rules! of_masks {
    ($name:literal, $kernel:path, |$a:ident, $b:ident| $f:expr) => {
        whole!($name, Value, &[], masks 2, Value 0, masks 1, |c| $kernel(c.read_mask(0), c.read_mask(1), c.mask), |m, answer| {
            for ((&$a, &$b), out) in m.flags[0].iter().zip(&m.flags[1]).zip(&mut answer.flags) {
                *out = $f;
            }
        })
    };
}

/// Bits are turned in blocks of 64 words; what is left over stays.
fn transpose(c: &mut Call<'_>) {
    c.mask.copy_from_slice(c.read_mask(0));
    for block in c.mask.as_chunks_mut::<64>().0 {
        bits::transpose64(block);
    }
}

fn transpose_plain(m: &Market, answer: &mut Answer) {
    answer.words.clear();
    answer.words.extend_from_slice(&m.masks[0]);
    for (words, out) in m.masks[0].as_chunks::<64>().0.iter().zip(answer.words.as_chunks_mut::<64>().0) {
        plain::transpose(words, out);
    }
}

/// Three numbers per row, in the first places of three panels.
fn mark_row(c: &mut Call<'_>) {
    let (qty, entry) = (&c.market.qty, &c.market.entry);
    for (row, marks) in c.x[0].chunks_exact(c.lanes).enumerate() {
        let sums = account::mark_row(qty, entry, marks);
        (c.out[0][row], c.out[1][row], c.out[2][row]) = (sums.unrealized, sums.gross, sums.net);
    }
}

fn mark_rows(c: &mut Call<'_>) {
    let [unrealized, gross, net] = c.out else { unreachable!() };
    account::mark_rows(&c.market.qty, &c.market.entry, c.x[0], c.lanes, unrealized, gross, net);
}

/// Each row changes a lane to what it is.
fn mark_changing_rows(c: &mut Call<'_>) {
    let [unrealized, gross, net] = c.out else { unreachable!() };
    let (mut qty, mut entry) = (c.market.qty.clone(), c.market.entry.clone());
    let rows = c.x[0].len() / c.lanes;
    let (ends, lane, new_qty, new_entry) = &c.market.changes;
    let changes = account::RowChanges {
        ends: &ends[..rows],
        lane: &lane[..rows],
        qty: &new_qty[..rows],
        entry: &new_entry[..rows],
    };
    account::mark_changing_rows(&mut qty, &mut entry, c.x[0], &changes, unrealized, gross, net);
}

fn mark_plain(m: &Market, answer: &mut Answer) {
    for (row, marks) in m.panel(Close).chunks_exact(m.lanes).enumerate() {
        for (out, sum) in answer.out.iter_mut().zip(plain::mark_row(&m.qty, &m.entry, marks)) {
            out[row] = sum;
        }
    }
}

fn touched(c: &mut Call<'_>) {
    let rows = c.x[0].chunks_exact(c.lanes).zip(c.x[1].chunks_exact(c.lanes));
    for ((high, low), bits) in rows.zip(c.mask.chunks_exact_mut(c.words)) {
        account::touched(low, high, &c.market.below, &c.market.above, bits);
    }
}

fn touched_plain(m: &Market, answer: &mut Answer) {
    for (i, flag) in answer.flags.iter_mut().enumerate() {
        let lane = i % m.lanes;
        *flag = m.panel(Low)[i] <= m.below[lane] || m.panel(High)[i] >= m.above[lane];
    }
}

/// All lanes as one account: its equity is the close, its exposure the volume and the change.
fn add_blocks(c: &mut Call<'_>) {
    let mut state = CurveState { bars: 8, ..CurveState::new(100.0) };
    let taken = curve::add_blocks(c.x[0], c.x[1], c.x[2], &c.market.positions, &mut state);
    assert_eq!(taken, c.x[0].len(), "whole blocks of positive equity");
    let sums = [
        &state.sums.equity,
        &state.sums.gross,
        &state.sums.net,
        &state.sums.downside_squares,
        &state.sums.ulcer,
    ];
    let sums = sums.map(sum::tree).into_iter().chain([
        state.max_abs_return,
        state.max_drawdown,
        state.exposed_bars as f64,
    ]);
    for (out, value) in c.out.iter_mut().zip(sums) {
        out[0] = value;
    }
}

fn add_blocks_plain(m: &Market, answer: &mut Answer) {
    let values = plain::curve(100.0, m.panel(Close), m.panel(Volume), m.panel(Change), &m.positions);
    for (out, value) in answer.out.iter_mut().zip(values) {
        out[0] = value;
    }
}

fn tree(c: &mut Call<'_>) {
    for (chunk, out) in c.x[0].as_chunks::<8>().0.iter().zip(c.out[0].iter_mut()) {
        *out = sum::tree(chunk);
    }
}

fn tree_plain(m: &Market, answer: &mut Answer) {
    for (chunk, out) in m.panel(Close).as_chunks::<8>().0.iter().zip(&mut answer.out[0]) {
        *out = chunk.iter().sum();
    }
}

fn row_sum(c: &mut Call<'_>) {
    for (row, out) in c.x[0].chunks_exact(c.lanes).zip(c.out[0].iter_mut()) {
        *out = sum::row_sum(row);
    }
}

fn row_sum_plain(m: &Market, answer: &mut Answer) {
    for (row, out) in m.panel(Close).chunks_exact(m.lanes).zip(&mut answer.out[0]) {
        *out = row.iter().sum();
    }
}

/// Days of hours.
pub const SEASON: Season = Season {
    slots: 24,
    profile: Profile::Median { observations: N },
    min_observations: 2,
    fallback_bars: N,
    fallback_min_bars: N / 2,
};

/// For ratios around 100.
pub const BOUNDS: RegimeBounds = RegimeBounds {
    vacuum_below: 98.0,
    thin_below: 100.0,
    hysteresis: 1.01,
    without_baseline: liquidity::THIN,
};

/// Every kernel, in the order of the modules.
#[rustfmt::skip]
pub static CASES: &[Case] = &[
    panels!("account::carry_marks", Value, &[Close], 1, |l| l, |c| account::carry_marks(c.x[0], None, c.state, c.out[0]), |x, out| {
        let mut last = 0.0;
        for t in 0..x[0].len() {
            last = if x[0][t].is_nan() { last } else { x[0][t] };
            out[0][t] = last;
        }
    }),
    whole!("account::mark_row", Value, &[Close], masks 0, Row 3, masks 0, |c| mark_row(c), |m, a| mark_plain(m, a)),
    whole!("account::mark_rows", Value, &[Close], masks 0, Row 3, masks 0, |c| mark_rows(c), |m, a| mark_plain(m, a)),
    whole!("account::mark_changing_rows", Value, &[Close], masks 0, Row 3, masks 0, |c| mark_changing_rows(c), |m, a| mark_plain(m, a)),
    whole!("account::touched", Value, &[High, Low], masks 0, Row 0, masks 1, |c| touched(c), |m, a| touched_plain(m, a)),
    panels!("bands::bbands", Window, &[Close], 3, |l| bands::bbands_state_len(l, N), |c| {
        let [upper, mid, lower] = c.out else { unreachable!() };
        bands::bbands(c.x[0], c.lanes, N, 2.0, c.state, upper, mid, lower);
    }, plain::bbands),
    panels!("bands::donchian", Window, &[High, Low], 3, |l| bands::donchian_state_len(l, N), |c| {
        let [upper, mid, lower] = c.out else { unreachable!() };
        bands::donchian(c.x[0], c.x[1], c.lanes, N, c.state, upper, mid, lower);
    }, plain::donchian),
    panels!("bands::keltner", Running, HLC, 3, |l| bands::keltner_state_len(l, N, N), |c| {
        let [upper, mid, lower] = c.out else { unreachable!() };
        bands::keltner(c.x[0], c.x[1], c.x[2], c.x[2], c.lanes, N, N, 1.5, c.state, upper, mid, lower);
    }, plain::keltner),
    whole!("bits::transpose64", Value, &[], masks 1, Row 0, masks 1, |c| transpose(c), |m, a| transpose_plain(m, a)),
    condition!("cross::cross_over", Running, &[Close, Benchmark], |l| cross::cross_state_len(l),
        |c| cross::cross_over(c.x[0], c.x[1], c.lanes, c.words, c.state, c.mask), plain::cross_over),
    condition!("cross::cross_under", Running, &[Close, Benchmark], |l| cross::cross_state_len(l),
        |c| cross::cross_under(c.x[0], c.x[1], c.lanes, c.words, c.state, c.mask), plain::cross_under),
    condition!("cross::cross_over_const", Running, &[Close], |l| cross::cross_state_len(l),
        |c| cross::cross_over_const(c.x[0], 100.0, c.lanes, c.words, c.state, c.mask), plain::cross_over_const),
    condition!("cross::cross_under_const", Running, &[Close], |l| cross::cross_state_len(l),
        |c| cross::cross_under_const(c.x[0], 100.0, c.lanes, c.words, c.state, c.mask), plain::cross_under_const),
    of_rows!("cross_section::mean_xs", Value, cross_section::mean_xs, plain::mean_xs),
    of_rows!("cross_section::zscore_xs", Value, cross_section::zscore_xs, plain::zscore_xs),
    of_rows!("cross_section::rank_xs", Sort, cross_section::rank_xs, plain::rank_xs),
    whole!("curve::add_blocks", Running, &[Close, Volume, Change], masks 0, Once 8, masks 0, |c| add_blocks(c), |m, a| add_blocks_plain(m, a)),
    value!("elementwise::neg", Change, |c| el::neg(c.x[0], c.out[0]), |a| -a),
    value!("elementwise::abs", Change, |c| el::abs(c.x[0], c.out[0]), |a| a.abs()),
    value!("elementwise::sqrt", Close, |c| el::sqrt(c.x[0], c.out[0]), |a| a.sqrt()),
    value!("elementwise::sign", Change, |c| el::sign(c.x[0], c.out[0]), |a| if a == 0.0 { 0.0 } else { a.signum() }),
    value!("elementwise::log", Close, |c| el::log(c.x[0], c.out[0]), |a| a.ln()),
    value!("elementwise::exp", Change, |c| el::exp(c.x[0], c.out[0]), |a| a.exp()),
    binary!("elementwise::add", el::add, |a, b| a + b),
    binary!("elementwise::sub", el::sub, |a, b| a - b),
    binary!("elementwise::mul", el::mul, |a, b| a * b),
    binary!("elementwise::div", el::div, |a, b| a / b),
    binary!("elementwise::min", el::min, |a, b| a.min(b)),
    binary!("elementwise::max", el::max, |a, b| a.max(b)),
    value!("elementwise::add_const", Close, |c| el::add_const(c.x[0], 100.0, c.out[0]), |a| a + 100.0),
    value!("elementwise::sub_const", Close, |c| el::sub_const(c.x[0], 100.0, c.out[0]), |a| a - 100.0),
    value!("elementwise::mul_const", Close, |c| el::mul_const(c.x[0], 100.0, c.out[0]), |a| a * 100.0),
    value!("elementwise::div_const", Close, |c| el::div_const(c.x[0], 100.0, c.out[0]), |a| a / 100.0),
    value!("elementwise::min_const", Close, |c| el::min_const(c.x[0], 100.0, c.out[0]), |a| a.min(100.0)),
    value!("elementwise::max_const", Close, |c| el::max_const(c.x[0], 100.0, c.out[0]), |a| a.max(100.0)),
    value!("elementwise::const_sub", Close, |c| el::const_sub(100.0, c.x[0], c.out[0]), |a| 100.0 - a),
    value!("elementwise::const_div", Close, |c| el::const_div(100.0, c.x[0], c.out[0]), |a| 100.0 / a),
    panels!("elementwise::hlc3", Value, HLC, 1, |_| 0, |c| el::hlc3(c.x[0], c.x[1], c.x[2], c.out[0]), plain::hlc3),
    compare!("elementwise::lt_mask", el::lt_mask, |a, b| a < b),
    compare!("elementwise::le_mask", el::le_mask, |a, b| a <= b),
    compare!("elementwise::gt_mask", el::gt_mask, |a, b| a > b),
    compare!("elementwise::ge_mask", el::ge_mask, |a, b| a >= b),
    condition!("elementwise::eq_mask", Value, &[Volume, Volume], |_| 0, |c| el::eq_mask(c.x[0], c.x[1], c.lanes, c.words, c.mask), |x, out| {
        for t in 0..x[0].len() {
            out[t] = x[0][t] == x[1][t];
        }
    }),
    compare!("elementwise::ne_mask", el::ne_mask, |a, b| a != b),
    compare_const!("elementwise::lt_mask_const", Close, el::lt_mask_const, |a, b| a < b),
    compare_const!("elementwise::le_mask_const", Close, el::le_mask_const, |a, b| a <= b),
    compare_const!("elementwise::gt_mask_const", Close, el::gt_mask_const, |a, b| a > b),
    compare_const!("elementwise::ge_mask_const", Close, el::ge_mask_const, |a, b| a >= b),
    compare_const!("elementwise::eq_mask_const", Volume, el::eq_mask_const, |a, b| a == b),
    compare_const!("elementwise::ne_mask_const", Close, el::ne_mask_const, |a, b| a != b),
    condition!("elementwise::valid_mask", Value, &[Close], |_| 0, |c| el::valid_mask(c.x[0], c.lanes, c.words, c.mask), |x, out| {
        for t in 0..x[0].len() {
            out[t] = !x[0][t].is_nan();
        }
    }),
    of_masks!("elementwise::and_mask", el::and_mask, |a, b| a && b),
    of_masks!("elementwise::or_mask", el::or_mask, |a, b| a || b),
    of_masks!("elementwise::not_mask", el::not_mask, |a, b| b && !a),
    whole!("elementwise::select", Value, &[Close, Benchmark], masks 1, Value 1, masks 0,
        |c| el::select(c.read_mask(0), c.x[0], c.x[1], c.lanes, c.words, c.out[0]), |m, a| {
            let inputs = m.panel(Close).iter().zip(m.panel(Benchmark)).zip(&m.flags[0]);
            for (out, ((&a, &b), &flag)) in a.out[0].iter_mut().zip(inputs) {
                *out = if flag { a } else { b };
            }
        }),
    whole!("elementwise::keep", Value, &[Close], masks 1, Value 1, masks 0,
        |c| el::keep(c.read_mask(0), c.x[0], c.lanes, c.words, c.out[0]), |m, a| {
            for (out, (&a, &flag)) in a.out[0].iter_mut().zip(m.panel(Close).iter().zip(&m.flags[0])) {
                *out = if flag { a } else { f64::NAN };
            }
        }),
    whole!("elementwise::mask_to_number", Value, &[], masks 1, Value 1, masks 0,
        |c| el::mask_to_number(c.read_mask(0), c.lanes, c.words, c.out[0]), |m, a| {
            for (out, &flag) in a.out[0].iter_mut().zip(&m.flags[0]) {
                *out = if flag { 1.0 } else { 0.0 };
            }
        }),
    condition!("fills::may_touch", Value, &[Low, Benchmark], |_| 0,
        |c| fills::may_touch(c.x[0], c.x[1], true, 1e-8, c.lanes, c.words, c.mask), plain::may_touch),
    panels!("grid::market_prices", Value, &[Close], 1, |_| 0, |c| {
        let (per_unit, tenth) = (&PER_UNIT[..c.lanes], &TENTH[..c.lanes]);
        grid::market_prices(c.x[0], 1.0002, true, c.lanes, per_unit, tenth, c.out[0]);
    }, plain::market_prices),
    panels!("grid::stop_prices", Value, &[Close, Benchmark], 1, |_| 0, |c| {
        let (per_unit, tenth) = (&PER_UNIT[..c.lanes], &TENTH[..c.lanes]);
        grid::stop_prices(c.x[0], c.x[1], true, c.lanes, per_unit, tenth, c.out[0]);
    }, plain::stop_prices),
    condition!("grid::orders_within", Value, &[Benchmark, Close], |_| 0, |c| {
        let [min_qty, max_qty, min_notional] = [&ORDER_BOUNDS[0], &ORDER_BOUNDS[1], &ORDER_BOUNDS[2]].map(|b| &b[..c.lanes]);
        let bounds = grid::OrderBounds { min_qty, max_qty, min_notional };
        grid::orders_within(c.x[0], c.x[1], &bounds, c.words, c.mask);
    }, plain::orders_within),
    panels!("grid::order_sizes", Value, &[Close], 2, |_| 0, |c| {
        let [steps, qty] = c.out else { unreachable!() };
        grid::order_sizes(c.x[0], 20_000.0, c.lanes, &PER_UNIT[..c.lanes], &TENTH[..c.lanes], steps, qty);
    }, plain::order_sizes),
    panels!("liquidity::seasonal_baseline", Sort, &[Volume], 1, |l| liquidity::seasonal_baseline_state_len(l, &SEASON), |c| {
        let first_slot = c.rows.start % SEASON.slots;
        liquidity::seasonal_baseline(c.x[0], c.lanes, first_slot, &SEASON, c.state, c.out[0]);
    }, plain::seasonal_baseline),
    panels!("liquidity::activity_ratio", Running, &[Volume, Benchmark], 1, |l| liquidity::activity_ratio_state_len(l, N),
        |c| liquidity::activity_ratio(c.x[0], c.x[1], c.lanes, N, c.state, c.out[0]), plain::activity_ratio),
    panels!("liquidity::regimes", Running, &[Volume, Benchmark], 1, |l| liquidity::regimes_state_len(l),
        |c| liquidity::regimes(c.x[0], c.x[1], c.lanes, &BOUNDS, c.state, c.out[0]), plain::regimes),
    panels!("macd::macd", Running, &[Close], 3, |l| macd::macd_state_len(l, 12, 26, 9), |c| {
        let [line, signal, histogram] = c.out else { unreachable!() };
        macd::macd(c.x[0], c.lanes, 12, 26, 9, c.state, line, signal, histogram);
    }, plain::macd),
    panels!("momentum::stoch", Window, HLC, 2, |l| momentum::stoch_state_len(l, N, 3, 2), |c| {
        let [k, d] = c.out else { unreachable!() };
        momentum::stoch(c.x[0], c.x[1], c.x[2], c.lanes, N, 3, 2, c.state, k, d);
    }, plain::stoch),
    panels!("momentum::cci", Window, HLC, 1, |l| momentum::cci_state_len(l, N),
        |c| momentum::cci(c.x[0], c.x[1], c.x[2], c.lanes, N, c.state, c.out[0]), plain::cci),
    panels!("momentum::mfi", Window, &[High, Low, Close, Volume], 1, |l| momentum::mfi_state_len(l, N),
        |c| momentum::mfi(c.x[0], c.x[1], c.x[2], c.x[3], c.lanes, N, c.state, c.out[0]), plain::mfi),
    of_series!("momentum::roc", Value, momentum::roc, momentum::roc_state_len, plain::roc),
    of_series!("momentum::rsi", Running, momentum::rsi, momentum::rsi_state_len, plain::rsi),
    of_series!("moving::sma", Running, moving::sma, moving::sma_state_len, plain::sma),
    of_series!("moving::wma", Window, moving::wma, moving::wma_state_len, plain::wma),
    of_series!("moving::ema", Running, moving::ema, moving::ema_state_len, plain::ema),
    of_series!("moving::rma", Running, moving::rma, moving::rma_state_len, plain::rma),
    of_series!("moving::ewm", Running, moving::ewm, moving::ewm_state_len, plain::ewm),
    of_series!("moving::lag", Value, moving::lag, moving::lag_state_len, plain::lag),
    of_series!("moving::diff", Value, moving::diff, moving::lag_state_len, plain::diff),
    of_series!("rolling::min", Window, rolling::min, rolling::min_state_len, plain::min),
    of_series!("rolling::max", Window, rolling::max, rolling::max_state_len, plain::max),
    of_series!("rolling::var", Window, rolling::var, rolling::var_state_len, plain::var),
    of_series!("rolling::stddev", Window, rolling::stddev, rolling::var_state_len, plain::stddev),
    of_series!("rolling::zscore", Window, rolling::zscore, rolling::var_state_len, plain::zscore),
    panels!("rolling::percentrank", Window, &[Close], 1, |l| rolling::percentrank_state_len(l, N),
        |c| rolling::percentrank(c.x[0], c.lanes, N, Ties::Below, c.state, c.out[0]), plain::percentrank),
    panels!("rolling::percentile", Sort, &[Close], 1, |l| rolling::percentile_state_len(l, N),
        |c| rolling::percentile(c.x[0], c.lanes, N, 25.0, PercentileKind::NearestRank, c.state, c.out[0]), plain::percentile),
    of_series!("rolling::median", Sort, rolling::median, rolling::percentile_state_len, plain::median),
    panels!("rolling::correl", Window, &[Close, Benchmark], 1, |l| rolling::correl_state_len(l, N),
        |c| rolling::correl(c.x[0], c.x[1], c.lanes, N, c.state, c.out[0]), plain::correl),
    panels!("rolling::beta", Window, &[Close, Benchmark], 1, |l| rolling::beta_state_len(l, N),
        |c| rolling::beta(c.x[0], c.x[1], c.lanes, N, c.state, c.out[0]), plain::beta),
    panels!("rolling::realized_vol", Running, &[Close], 1, |l| rolling::realized_vol_state_len(l, N),
        |c| rolling::realized_vol(c.x[0], c.lanes, N, 35_040.0, ReturnMean::Zero, c.state, c.out[0]), plain::realized_vol),
    of_series!("rolling::sum", Running, rolling::sum, rolling::sum_state_len, plain::sum),
    of_series!("rolling::mean", Running, rolling::mean, rolling::mean_state_len, plain::sma),
    of_series!("rolling::mean_upto", Running, rolling::mean_upto, rolling::mean_upto_state_len, plain::mean_upto),
    whole!("sum::tree", Value, &[Close], masks 0, Chunk 1, masks 0, |c| tree(c), |m, a| tree_plain(m, a)),
    whole!("sum::row_sum", Value, &[Close], masks 0, Row 1, masks 0, |c| row_sum(c), |m, a| row_sum_plain(m, a)),
    panels!("trend::directional", Running, HLC, 4, |l| trend::directional_state_len(l, N), |c| {
        let [plus_di, minus_di, dx, adx] = c.out else { unreachable!() };
        trend::directional(c.x[0], c.x[1], c.x[2], c.lanes, N, c.state, plus_di, minus_di, dx, adx);
    }, plain::directional),
    panels!("trend::supertrend", Running, HLC, 2, |l| trend::supertrend_state_len(l, N), |c| {
        let [line, direction] = c.out else { unreachable!() };
        trend::supertrend(c.x[0], c.x[1], c.x[2], c.lanes, N, 3.0, c.state, line, direction);
    }, plain::supertrend),
    panels!("volatility::trange", Value, HLC, 1, |l| volatility::trange_state_len(l),
        |c| volatility::trange(c.x[0], c.x[1], c.x[2], c.lanes, c.state, c.out[0]), plain::trange),
    panels!("volatility::atr", Running, HLC, 1, |l| volatility::atr_state_len(l, N),
        |c| volatility::atr(c.x[0], c.x[1], c.x[2], c.lanes, N, c.state, c.out[0]), plain::atr),
    panels!("volatility::natr", Running, HLC, 1, |l| volatility::atr_state_len(l, N),
        |c| volatility::natr(c.x[0], c.x[1], c.x[2], c.lanes, N, c.state, c.out[0]), plain::natr),
    panels!("volume::obv", Running, &[Close, Volume], 1, |l| volume::obv_state_len(l),
        |c| volume::obv(c.x[0], c.x[1], c.lanes, c.state, c.out[0]), plain::obv),
    panels!("vwap::avwap", Running, &[Close, Volume], 2, |l| vwap::avwap_state_len(l), |c| {
        let [line, stddev] = c.out else { unreachable!() };
        vwap::avwap(c.x[0], c.x[1], &c.market.anchors[c.rows.clone()], c.lanes, c.state, line, stddev);
    }, plain::avwap),
    panels!("vwap::avwap_swing", Running, &[Low, Close, Volume], 2, |l| vwap::avwap_swing_state_len(l, 2, 2), |c| {
        let [line, stddev] = c.out else { unreachable!() };
        vwap::avwap_swing(c.x[0], c.x[1], c.x[2], c.lanes, 2, 2, Swing::Low, c.state, line, stddev);
    }, plain::avwap_swing),
    panels!("vwap::vwap", Running, &[Close, Volume], 1, |l| vwap::vwap_state_len(l, N),
        |c| vwap::vwap(c.x[0], c.x[1], c.lanes, N, c.state, c.out[0]), plain::vwap),
];
