//! Prices and quantities on their decimal grids, row by row: what every market order of a bar would pay, and how large it
//! would be.

use crate::simd::{LANE_CHUNK, Simd, at_level, f64x8, prelude::*};

/// From here on every double is a whole number.
const WHOLE_FROM: f64 = 4_503_599_627_370_496.0;

/// The grid of a chunk's lanes: steps per unit where that is a whole number, else 0; and the step, 0 where there is none.
#[derive(Clone, Copy)]
struct Grids<S: Simd> {
    inverse: f64x8<S>,
    size: f64x8<S>,
    all_inverse: bool,
}

impl<S: Simd> Grids<S> {
    #[inline(always)]
    fn load(simd: S, inverse: &[f64; LANE_CHUNK], size: &[f64; LANE_CHUNK]) -> Self {
        let zero = f64x8::splat(simd, 0.0);
        let (inverse, size) = (f64x8::load_array_ref(simd, inverse), f64x8::load_array_ref(simd, size));
        let all_inverse = (inverse.simd_gt(zero) | size.simd_eq(zero)).all_true();
        Self { inverse, size, all_inverse }
    }
    /// Whole steps of `value`: the next ones upward (`up`) or downward, unless it is on the grid.
    #[inline(always)]
    fn steps(&self, simd: S, value: f64x8<S>, up: bool) -> f64x8<S> {
        let splat = |x: f64| f64x8::splat(simd, x);
        let by_inverse = value * self.inverse;
        let k = if self.all_inverse {
            by_inverse
        } else {
            self.inverse.simd_gt(splat(0.0)).select(by_inverse, value / self.size)
        };
        let shift = splat(WHOLE_FROM).copysign(k);
        let whole = k.abs().simd_ge(splat(WHOLE_FROM)).select(k, (k + shift) - shift);
        let tolerance = k.abs() * (8.0 * f64::EPSILON);
        let tolerance = tolerance.simd_gt(splat(1e-9)).select(tolerance, splat(1e-9));
        let off_grid = (k - whole).abs().simd_gt(tolerance);
        if up {
            whole + (off_grid & whole.simd_lt(k)).select(splat(1.0), splat(0.0))
        } else {
            whole - (off_grid & whole.simd_gt(k)).select(splat(1.0), splat(0.0))
        }
    }
    /// The value of so many steps.
    #[inline(always)]
    fn value(&self, simd: S, steps: f64x8<S>) -> f64x8<S> {
        let by_inverse = steps / self.inverse;
        if self.all_inverse {
            by_inverse
        } else {
            self.inverse.simd_gt(f64x8::splat(simd, 0.0)).select(by_inverse, steps * self.size)
        }
    }
}

fn chunks_of(lanes: usize, panels: &[usize], rows: &[usize]) {
    assert!(lanes.is_multiple_of(LANE_CHUNK) && lanes > 0, "a row is a whole number of lane chunks");
    assert!(panels.iter().all(|&len| len == panels[0]), "panels are of one length");
    assert!(panels[0].is_multiple_of(lanes), "a panel is a whole number of rows");
    assert!(rows.iter().all(|&len| len == lanes), "one grid per lane");
}

/// Prices of market orders: a base price moved by a factor, then rounded to the grid against the trader.
///
/// Formula: `round(base · factor)`, up for buys and down for sells; what lies within `max(1e-9, 8·2⁻⁵²·k)` steps of step
/// `k` is on the grid. Shape: `base` and `out` `[row][lane]`; `inverse` (steps per unit where that is a whole number, else
/// 0) and `size` (0: no grid, prices stay as they are) one row. Units: price. Warm-up: none. NaN: stays. Source: Binance's
/// `PRICE_FILTER`.
///
/// ```
/// use barloom_kernels::grid::market_prices;
/// let base = [10.01, 10.0, 10.07, f64::NAN, 10.0, 10.0, 10.0, 10.0];
/// let (mut buys, mut sells) = ([0.0; 8], [0.0; 8]);
/// market_prices(&base, 1.0, true, 8, &[10.0; 8], &[0.1; 8], &mut buys);
/// market_prices(&base, 1.0, false, 8, &[10.0; 8], &[0.1; 8], &mut sells);
/// assert_eq!((buys[0], sells[0], buys[1]), (10.1, 10.0, 10.0));
/// assert!(buys[3].is_nan());
/// ```
///
/// # Panics
/// When the shapes do not fit.
pub fn market_prices(
    base: &[f64],
    factor: f64,
    is_buy: bool,
    lanes: usize,
    inverse: &[f64],
    size: &[f64],
    out: &mut [f64],
) {
    chunks_of(lanes, &[base.len(), out.len()], &[inverse.len(), size.len()]);
    let (inverse, size) = (inverse.as_chunks().0, size.as_chunks().0);
    at_level!(simd => {
        // Down is up mirrored.
        let s = if is_buy { 1.0 } else { -1.0 };
        for (base, out) in base.chunks_exact(lanes).zip(out.chunks_exact_mut(lanes)) {
            let row = base.as_chunks::<LANE_CHUNK>().0.iter().zip(out.as_chunks_mut::<LANE_CHUNK>().0);
            for (((base, out), inverse), size) in row.zip(inverse).zip(size) {
                let grids = Grids::load(simd, inverse, size);
                let price = f64x8::load_array_ref(simd, base) * factor;
                let rounded = grids.value(simd, grids.steps(simd, price * s, true) * s);
                let none = grids.size.simd_eq(f64x8::splat(simd, 0.0));
                none.select(price, rounded).store_array(out);
            }
        }
    });
}

/// Sizes of orders of one notional: whole steps, toward zero, and their quantity.
///
/// Formula: `steps = floor(notional / price / step)`, `qty = steps · step`. Shape: `price`, `steps` and `qty`
/// `[row][lane]`; `inverse` and `size` as for [`market_prices`]. Units: USDT and USDT per unit in; steps and base units out.
/// Warm-up: none. NaN: stays. Source: Binance's `LOT_SIZE`.
///
/// ```
/// use barloom_kernels::grid::order_sizes;
/// let (mut steps, mut qty) = ([0.0; 8], [0.0; 8]);
/// order_sizes(&[3.0; 8], 10.0, 8, &[10.0; 8], &[0.1; 8], &mut steps, &mut qty);
/// assert_eq!((steps[0], qty[0]), (33.0, 3.3));
/// ```
///
/// # Panics
/// When the shapes do not fit.
pub fn order_sizes(
    price: &[f64],
    notional: f64,
    lanes: usize,
    inverse: &[f64],
    size: &[f64],
    steps: &mut [f64],
    qty: &mut [f64],
) {
    chunks_of(lanes, &[price.len(), steps.len(), qty.len()], &[inverse.len(), size.len()]);
    let (inverse, size) = (inverse.as_chunks().0, size.as_chunks().0);
    at_level!(simd => {
        let rows = price.chunks_exact(lanes).zip(steps.chunks_exact_mut(lanes)).zip(qty.chunks_exact_mut(lanes));
        for ((price, steps), qty) in rows {
            let row = price.as_chunks::<LANE_CHUNK>().0.iter().zip(steps.as_chunks_mut::<LANE_CHUNK>().0);
            let row = row.zip(qty.as_chunks_mut::<LANE_CHUNK>().0);
            for ((((price, steps), qty), inverse), size) in row.zip(inverse).zip(size) {
                let grids = Grids::load(simd, inverse, size);
                let wanted = f64x8::splat(simd, notional) / f64x8::load_array_ref(simd, price);
                let whole = grids.steps(simd, wanted, false);
                whole.store_array(steps);
                grids.value(simd, whole).store_array(qty);
            }
        }
    });
}
/// Stop losses at a distance from a price, rounded to the grid: those of longs down, those of shorts up.
///
/// Formula: `round(base − distance)` for longs, `round(base + distance)` for shorts; the grid as for [`market_prices`].
/// Shape: `base`, `distance` and `out` `[row][lane]`; `inverse` and `size` one row. Units: price. Warm-up: none. NaN: where
/// the distance is not above 0, or a value is missing. Source: definition.
///
/// ```
/// use barloom_kernels::grid::stop_prices;
/// let mut stops = [0.0; 8];
/// let distance = [1.05, 0.0, f64::NAN, 2.0, 2.0, 2.0, 2.0, 2.0];
/// stop_prices(&[10.0; 8], &distance, true, 8, &[10.0; 8], &[0.1; 8], &mut stops);
/// assert_eq!((stops[0], stops[3]), (8.9, 8.0));
/// assert!(stops[1].is_nan() && stops[2].is_nan());
/// ```
///
/// # Panics
/// When the shapes do not fit.
pub fn stop_prices(
    base: &[f64],
    distance: &[f64],
    is_long: bool,
    lanes: usize,
    inverse: &[f64],
    size: &[f64],
    out: &mut [f64],
) {
    chunks_of(lanes, &[base.len(), distance.len(), out.len()], &[inverse.len(), size.len()]);
    let (inverse, size) = (inverse.as_chunks().0, size.as_chunks().0);
    at_level!(simd => {
        // Down is up mirrored; the stop of a long is a sell.
        let s = if is_long { -1.0 } else { 1.0 };
        let rows = base.chunks_exact(lanes).zip(distance.chunks_exact(lanes)).zip(out.chunks_exact_mut(lanes));
        for ((base, distance), out) in rows {
            let row = base.as_chunks::<LANE_CHUNK>().0.iter().zip(distance.as_chunks::<LANE_CHUNK>().0);
            let row = row.zip(out.as_chunks_mut::<LANE_CHUNK>().0);
            for ((((base, distance), out), inverse), size) in row.zip(inverse).zip(size) {
                let grids = Grids::load(simd, inverse, size);
                let distance = f64x8::load_array_ref(simd, distance);
                let price = f64x8::load_array_ref(simd, base) + distance * s;
                let rounded = grids.value(simd, grids.steps(simd, price * s, true) * s);
                let none = grids.size.simd_eq(f64x8::splat(simd, 0.0));
                let price = none.select(price, rounded);
                let is_distance = distance.simd_gt(f64x8::splat(simd, 0.0));
                is_distance.select(price, f64x8::splat(simd, f64::NAN)).store_array(out);
            }
        }
    });
}

/// Smallest and largest orders of each lane.
#[derive(Debug, Clone, Copy)]
pub struct OrderBounds<'a> {
    /// Smallest quantity, base units.
    pub min_qty: &'a [f64],
    /// Largest quantity.
    pub max_qty: &'a [f64],
    /// Smallest notional, USDT.
    pub min_notional: &'a [f64],
}

/// Bits of the lanes whose order is within the bounds of its symbol.
///
/// Formula: `qty > 0 and min_qty <= qty <= max_qty and qty · price >= min_notional`. Shape: `qty` and `price` `[row][lane]`,
/// bounds one row, `words` `u64` words per row out, bit = lane. Units: base units, USDT per unit, USDT. Warm-up: none. NaN:
/// not within. Source: Binance's `LOT_SIZE` and `MIN_NOTIONAL`.
///
/// ```
/// use barloom_kernels::grid::{OrderBounds, orders_within};
/// let bounds = OrderBounds { min_qty: &[1.0; 8], max_qty: &[9.0; 8], min_notional: &[20.0; 8] };
/// let mut bits = [0];
/// orders_within(&[0.5, 1.0, 2.0, 3.0, 9.0, 9.5, f64::NAN, 4.0], &[10.0; 8], &bounds, 1, &mut bits);
/// assert_eq!(bits[0], 0b1001_1100);
/// ```
///
/// # Panics
/// When the shapes do not fit.
pub fn orders_within(qty: &[f64], price: &[f64], bounds: &OrderBounds<'_>, words: usize, bits: &mut [u64]) {
    let lanes = bounds.min_qty.len();
    chunks_of(lanes, &[qty.len(), price.len()], &[bounds.max_qty.len(), bounds.min_notional.len()]);
    assert!(words * 64 >= lanes && bits.len() * lanes == qty.len() * words, "a row of words per row");
    at_level!(simd => {
        let rows = qty.chunks_exact(lanes).zip(price.chunks_exact(lanes)).zip(bits.chunks_exact_mut(words));
        for ((qty, price), bits) in rows {
            bits.fill(0);
            for at in (0..lanes).step_by(LANE_CHUNK) {
                let load = |row: &[f64]| f64x8::from_slice(simd, &row[at..at + LANE_CHUNK]);
                let qty_of = load(qty);
                let within = qty_of.simd_gt(f64x8::splat(simd, 0.0))
                    & qty_of.simd_ge(load(bounds.min_qty))
                    & qty_of.simd_le(load(bounds.max_qty))
                    & (qty_of * load(price)).simd_ge(load(bounds.min_notional));
                bits[at / 64] |= within.to_bitmask() << (at % 64);
            }
        }
    });
}
