//! Rolling minimum and maximum.

use crate::simd::{Simd, f64x8};
use crate::stream::block::Blocks;
use crate::stream::fold::{Largest, Smallest};
use crate::stream::{Bar, Kernel, Layout, Ring, run, state_len};

#[derive(Debug, Clone, Copy)]
struct Extreme<const HIGHEST: bool> {
    window: Blocks<1, 1>,
    n: usize,
}

impl<const HIGHEST: bool> Extreme<HIGHEST> {
    fn new(n: usize) -> Self {
        Self { window: Blocks::new(n, 0), n }
    }
}

impl<const HIGHEST: bool> Layout for Extreme<HIGHEST> {
    fn warm_bars(&self) -> usize {
        self.n
    }
    fn block_bars(&self) -> usize {
        self.n
    }
    fn ring_slots(&self) -> usize {
        self.window.slots()
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        self.window.rings(visit);
    }
}

/// Register: the extreme of the block so far.
impl<S: Simd, const HIGHEST: bool> Kernel<S, 1, 1, 1> for Extreme<HIGHEST> {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 1],
        block: &mut [f64x8<S>; 1],
    ) -> [f64x8<S>; 1] {
        let [extreme] = if HIGHEST {
            self.window.push::<S, Largest, HOT>(bar, block, x)
        } else {
            self.window.push::<S, Smallest, HOT>(bar, block, x)
        };
        [bar.starting_at::<HOT>(self.n, extreme)]
    }
}

/// State of [`min`].
pub fn min_state_len(lanes: usize, n: usize) -> usize {
    state_len(Extreme::<false>::new(n), 1, lanes)
}

/// Rolling minimum.
///
/// Formula: smallest of the last `n` values. Shape: `[row][lane]` in and out. Units: those of the input. Warm-up: first
/// value at index `n-1`. NaN: missing bar. Source: as in TA-Lib 0.8, `MIN`.
///
/// ```
/// use barloom_kernels::rolling::{min, min_state_len};
/// let x: Vec<f64> = [3.0, 2.0, 6.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; min_state_len(8, 2)], vec![0.0; x.len()]);
/// min(&x, 8, 2, &mut state, &mut out);
/// assert_eq!((out[8], out[16]), (2.0, 2.0));
/// ```
pub fn min(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Extreme::<false>::new(n), [x], lanes, state, [out]);
}

/// State of [`max`].
pub fn max_state_len(lanes: usize, n: usize) -> usize {
    state_len(Extreme::<true>::new(n), 1, lanes)
}

/// Rolling maximum.
///
/// Formula: largest of the last `n` values. Shape: `[row][lane]` in and out. Units: those of the input. Warm-up: first
/// value at index `n-1`. NaN: missing bar. Source: as in TA-Lib 0.8, `MAX`.
///
/// ```
/// use barloom_kernels::rolling::{max, max_state_len};
/// let x: Vec<f64> = [3.0, 2.0, 1.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; max_state_len(8, 2)], vec![0.0; x.len()]);
/// max(&x, 8, 2, &mut state, &mut out);
/// assert_eq!((out[8], out[16]), (3.0, 2.0));
/// ```
pub fn max(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Extreme::<true>::new(n), [x], lanes, state, [out]);
}
