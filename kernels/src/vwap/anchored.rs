//! VWAP anchored to rows: sessions, weeks, months, custom times.

use crate::simd::{LANE_CHUNK, Simd, at_level, f64x8, mask64x8, prelude::*};
use crate::stream::check_panels;

/// Cumulative volume-weighted mean and squared deviation (West 1979).
#[derive(Debug, Clone, Copy)]
pub(super) struct West<S: Simd> {
    pub(super) weight: f64x8<S>,
    pub(super) mean: f64x8<S>,
    pub(super) squares: f64x8<S>,
}

impl<S: Simd> West<S> {
    /// Adds a price where the lane trades.
    #[inline(always)]
    pub(super) fn add(&mut self, simd: S, present: mask64x8<S>, price: f64x8<S>, volume: f64x8<S>) {
        let zero = f64x8::splat(simd, 0.0);
        let trades = present & volume.simd_gt(zero);
        let weight = self.weight + volume;
        let step = price - self.mean;
        let first = self.weight.simd_eq(zero);
        let mean = first.select(price, self.mean + step * (volume / weight));
        let squares = first.select(zero, self.squares + volume * step * (price - mean));
        self.weight = trades.select(weight, self.weight);
        self.mean = trades.select(mean, self.mean);
        self.squares = trades.select(squares, self.squares);
    }
}

/// State of [`avwap`].
pub fn avwap_state_len(lanes: usize) -> usize {
    5 * lanes
}

/// VWAP anchored to rows, with its standard deviation.
///
/// Formula: volume-weighted mean and population standard deviation of all bars since the anchor, the anchor's row
/// included (West's weighted update). Rows with `anchors[row]` start over in every lane, also in lanes whose bar is
/// missing there. While nothing has traded since the anchor the previous values stand. Before the first anchor there is
/// no value. Shape: `[row][lane]` in, two panels out, `anchors` one flag per row: first rows of UTC days, of weeks
/// (Monday), of months, or any others. Units: price. Warm-up: NaN until something has traded since an anchor. NaN:
/// missing bar. Source: definition; West 1979. A band is `vwap ± k·stddev`.
///
/// ```
/// use barloom_kernels::vwap::{avwap, avwap_state_len};
/// let price: Vec<f64> = [1.0, 3.0, 9.0].iter().flat_map(|&x| [x; 8]).collect();
/// let mut state = vec![0.0; avwap_state_len(8)];
/// let (mut line, mut stddev) = (vec![0.0; 24], vec![0.0; 24]);
/// avwap(&price, &[1.0; 24], &[true, false, true], 8, &mut state, &mut line, &mut stddev);
/// assert_eq!((line[8], stddev[8]), (2.0, 1.0));
/// assert_eq!((line[16], stddev[16]), (9.0, 0.0));
/// ```
pub fn avwap(
    price: &[f64],
    volume: &[f64],
    anchors: &[bool],
    lanes: usize,
    state: &mut [f64],
    line: &mut [f64],
    stddev: &mut [f64],
) {
    let rows = check_panels([price, volume], lanes, &[&mut *line, &mut *stddev]);
    assert_eq!(anchors.len(), rows, "one anchor flag per row");
    assert_eq!(state.len(), avwap_state_len(lanes), "state is as long as avwap_state_len");
    at_level!(simd => avwap_rows(simd, price, volume, anchors, lanes, state, line, stddev));
}

/// State per chunk: weight, mean, squares, and the deviation last shown; whether there was an anchor and a value.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the body of the function above")]
fn avwap_rows<S: Simd>(
    simd: S,
    price: &[f64],
    volume: &[f64],
    anchors: &[bool],
    lanes: usize,
    state: &mut [f64],
    line: &mut [f64],
    stddev: &mut [f64],
) {
    let (zero, missing) = (f64x8::splat(simd, 0.0), f64x8::splat(simd, f64::NAN));
    let (anchored, valued) = (f64x8::splat(simd, 1.0), f64x8::splat(simd, 2.0));
    for (chunk, state) in state.as_chunks_mut::<LANE_CHUNK>().0.as_chunks_mut::<5>().0.iter_mut().enumerate()
    {
        let mut sums = West {
            weight: f64x8::load_array_ref(simd, &state[0]),
            mean: f64x8::load_array_ref(simd, &state[1]),
            squares: f64x8::load_array_ref(simd, &state[2]),
        };
        let mut shown = f64x8::load_array_ref(simd, &state[3]);
        // 0: no anchor yet; 1: anchored, nothing traded yet; 2: a value stands.
        let mut stage = f64x8::load_array_ref(simd, &state[4]);
        for (row, &anchor) in anchors.iter().enumerate() {
            let at = row * lanes + chunk * LANE_CHUNK;
            let price = f64x8::from_slice(simd, &price[at..at + LANE_CHUNK]);
            let volume = f64x8::from_slice(simd, &volume[at..at + LANE_CHUNK]);
            if anchor {
                sums.weight = zero;
                stage = stage.simd_eq(zero).select(anchored, stage);
            }
            let present = price.simd_eq(price) & volume.simd_eq(volume);
            sums.add(simd, present & stage.simd_gt(zero), price, volume);
            let traded = sums.weight.simd_gt(zero);
            stage = traded.select(valued, stage);
            shown = traded.select((sums.squares / sums.weight).sqrt(), shown);
            let show = present & stage.simd_eq(valued);
            show.select(sums.mean, missing).store_slice(&mut line[at..at + LANE_CHUNK]);
            show.select(shown, missing).store_slice(&mut stddev[at..at + LANE_CHUNK]);
        }
        for (slot, value) in state.iter_mut().zip([sums.weight, sums.mean, sums.squares, shown, stage]) {
            value.store_array(slot);
        }
    }
}
