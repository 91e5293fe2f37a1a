//! How an indicator runs over rows: eight lanes at a time, its recurrence in registers, its windows in rings.
//!
//! A chunk of eight lanes walks down all rows of the call before the next chunk starts, so a recurrence lives in
//! registers and touches memory once per call. Its state is a run of eight-lane slots:
//!
//! ```text
//! bars present | bars missed since | rows seen | registers … | rings …
//! ```
//!
//! **Missing bars.** A lane that has no value keeps its registers and ring slots (a masked select, no branch per lane).
//! All lanes of a chunk share one ring position, which moves every row. A lane listed late joins at the position of the
//! day and is as fast as the others from then on. A lane that comes back after a gap has its ring columns rotated by the
//! length of the gap, once, and is in step again; so a gap costs a rotation and no slow path stays behind.
//!
//! **Hot and cold rows.** When the lanes with a value are exactly those ever listed, and all of them are past their
//! warm-up, the row runs without masks and counters; what it does to lanes not yet listed is wiped when they list. Both
//! forms compute the same operations in the same order.
//!
//! **Windows** ([`window`]) are trees of pairs: the fold of the last `2^(k+1)` bars is the fold of the last `2^k` joined
//! with the one `2^k` bars ago, kept in a ring; the set bits of `n` then make up the last `n`. It costs about `2 log2 n`
//! joins per row, is as accurate as pairwise summation, never subtracts, and depends on the bars of the window alone.

pub(crate) mod fold;
pub(crate) mod smooth;
pub(crate) mod window;

use crate::simd::{LANE_CHUNK, Simd, f64x8, mask64x8, prelude::*};

/// One slot of state: a value for each lane of a chunk.
pub(crate) type Slot = [f64; LANE_CHUNK];

/// Slots of a chunk that belong to this module: bars present, bars missed since the last present one, rows seen.
const HEADER_SLOTS: usize = 3;

/// What an indicator needs to know of the row it is in.
pub(crate) struct Bar<'a, S: Simd> {
    /// Token of the SIMD level.
    pub(crate) simd: S,
    /// Lanes with a value.
    pub(crate) present: mask64x8<S>,
    /// Present bars of each lane, this one included.
    pub(crate) count: f64x8<S>,
    /// Rows before this one: the position in every ring.
    pub(crate) pos: usize,
    /// Ring slots.
    pub(crate) ring: &'a mut [Slot],
}

impl<S: Simd> Bar<'_, S> {
    #[inline(always)]
    pub(crate) fn splat(&self, x: f64) -> f64x8<S> {
        f64x8::splat(self.simd, x)
    }

    /// Sets a register, in the lanes that have a value.
    #[inline(always)]
    pub(crate) fn set<const HOT: bool>(&self, register: &mut f64x8<S>, x: f64x8<S>) {
        *register = if HOT { x } else { self.present.select(x, *register) };
    }

    /// `x` from the `first`-th present bar on (counted from 1), NaN before.
    #[inline(always)]
    pub(crate) fn starting_at<const HOT: bool>(&self, first: usize, x: f64x8<S>) -> f64x8<S> {
        if HOT { x } else { self.at_least(first).select(x, self.splat(f64::NAN)) }
    }

    /// Lanes with at least `bars` present bars, this one included.
    #[inline(always)]
    pub(crate) fn at_least(&self, bars: usize) -> mask64x8<S> {
        self.count.simd_ge(self.splat(bars as f64))
    }

    #[inline(always)]
    pub(crate) fn slot(&self, index: usize) -> f64x8<S> {
        f64x8::load_array_ref(self.simd, &self.ring[index])
    }

    /// Writes a ring slot, in the lanes that have a value.
    #[inline(always)]
    pub(crate) fn put<const HOT: bool>(&mut self, index: usize, x: f64x8<S>) {
        let slot = &mut self.ring[index];
        let x = if HOT { x } else { self.present.select(x, f64x8::load_array_ref(self.simd, slot)) };
        x.store_array(slot);
    }
}

/// One ring: `len` (a power of two) entries of `width` slots each, from slot `start` on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring {
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) width: usize,
}

/// Parameters of an indicator and the shape of its state.
pub(crate) trait Layout: Copy {
    /// Whether several chunks are worth running side by side: yes for short recurrences, which wait on themselves.
    const SIDE_BY_SIDE: bool = false;

    /// Present bars after which a row needs no warm-up logic.
    fn warm_bars(&self) -> usize;

    /// Ring slots per chunk.
    fn ring_slots(&self) -> usize {
        0
    }

    /// Every ring, for the rotation after a gap.
    fn rings(&self, _visit: &mut dyn FnMut(Ring)) {}
}

/// An indicator with `I` inputs, `O` outputs and `R` registers.
pub(crate) trait Kernel<S: Simd, const I: usize, const O: usize, const R: usize>: Layout {
    /// One row of one chunk. Must leave registers and rings of missing lanes as they are when not `HOT`.
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; I],
        r: &mut [f64x8<S>; R],
    ) -> [f64x8<S>; O];
}

/// `f64` slots of state for an indicator with `registers` registers.
pub(crate) fn state_len<K: Layout>(kernel: K, registers: usize, lanes: usize) -> usize {
    lanes * (HEADER_SLOTS + registers + kernel.ring_slots())
}

/// Runs an indicator over rows. The name of the module has no `S`, so `K` must implement [`Kernel`] for every level.
macro_rules! run {
    ($kernel:expr, $inputs:expr, $lanes:expr, $state:expr, $outputs:expr) => {{
        let kernel = $kernel;
        $crate::simd::at_level!(simd => $crate::stream::drive(simd, kernel, $inputs, $lanes, $state, $outputs))
    }};
}
pub(crate) use run;

/// What a chunk carries from row to row, its rings apart.
#[derive(Clone, Copy)]
struct Carried<S: Simd, const R: usize> {
    count: f64x8<S>,
    missed: f64x8<S>,
    registers: [f64x8<S>; R],
    /// The lanes that must be present for a hot row.
    hot_lanes: u64,
}

/// No set of lanes: the next row is cold.
const NEVER_HOT: u64 = u64::MAX;

impl<S: Simd, const R: usize> Carried<S, R> {
    #[inline(always)]
    fn set_hot_lanes<K: Layout>(&mut self, simd: S, kernel: K) {
        let listed = self.count.simd_gt(f64x8::splat(simd, 0.0));
        let in_step = self.missed.simd_eq(f64x8::splat(simd, 0.0));
        let warm = self.count.simd_ge(f64x8::splat(simd, kernel.warm_bars() as f64));
        let settled = (!listed | (warm & in_step)).all_true();
        self.hot_lanes = if settled { listed.to_bitmask() } else { NEVER_HOT };
    }
}

struct Chunk<'a, S: Simd, const R: usize> {
    carried: Carried<S, R>,
    pos: usize,
    ring: &'a mut [Slot],
    saved: &'a mut [Slot],
}

impl<'a, S: Simd, const R: usize> Chunk<'a, S, R> {
    #[inline(always)]
    fn load<K: Layout>(simd: S, kernel: K, state: &'a mut [f64]) -> Self {
        let (slots, _) = state.as_chunks_mut::<LANE_CHUNK>();
        let (saved, ring) = slots.split_at_mut(HEADER_SLOTS + R);
        let count = f64x8::load_array_ref(simd, &saved[0]);
        let missed = f64x8::load_array_ref(simd, &saved[1]);
        let pos = saved[2][0] as usize;
        let mut registers = [f64x8::splat(simd, 0.0); R];
        for (register, slot) in registers.iter_mut().zip(&saved[HEADER_SLOTS..]) {
            *register = f64x8::load_array_ref(simd, slot);
        }
        let mut carried = Carried { count, missed, registers, hot_lanes: NEVER_HOT };
        carried.set_hot_lanes(simd, kernel);
        Self { carried, pos, ring, saved }
    }

    #[inline(always)]
    fn save(self) {
        self.carried.count.store_array(&mut self.saved[0]);
        self.carried.missed.store_array(&mut self.saved[1]);
        self.saved[2] = [self.pos as f64; LANE_CHUNK];
        for (register, slot) in self.carried.registers.iter().zip(&mut self.saved[HEADER_SLOTS..]) {
            register.store_array(slot);
        }
    }

    #[inline(always)]
    fn step<K, const I: usize, const O: usize>(
        &mut self,
        simd: S,
        kernel: K,
        x: [f64x8<S>; I],
    ) -> [f64x8<S>; O]
    where
        K: Kernel<S, I, O, R>,
    {
        let mut present = x[0].simd_eq(x[0]);
        for x in &x[1..] {
            present &= x.simd_eq(*x);
        }
        let mut out;
        if present.to_bitmask() == self.carried.hot_lanes {
            let (zero, one) = (f64x8::splat(simd, 0.0), f64x8::splat(simd, 1.0));
            self.carried.count += present.select(one, zero);
            let mut bar = Bar { simd, present, count: self.carried.count, pos: self.pos, ring: self.ring };
            out = kernel.row::<true>(&mut bar, x, &mut self.carried.registers);
            for out in &mut out {
                *out = present.select(*out, f64x8::splat(simd, f64::NAN));
            }
        } else {
            (self.carried, out) = cold_row(simd, kernel, self.carried, self.pos, self.ring, present, x);
        }
        self.pos += 1;
        out
    }
}

/// A row that needs masks: some lane warms up, is missing, lists or comes back. Out of line, so that the hot loop stays
/// small.
#[inline(never)]
fn cold_row<S: Simd, K, const I: usize, const O: usize, const R: usize>(
    simd: S,
    kernel: K,
    mut carried: Carried<S, R>,
    pos: usize,
    ring: &mut [Slot],
    present: mask64x8<S>,
    x: [f64x8<S>; I],
) -> (Carried<S, R>, [f64x8<S>; O])
where
    K: Kernel<S, I, O, R>,
{
    simd.vectorize(
        #[inline(always)]
        || {
            let (zero, one) = (f64x8::splat(simd, 0.0), f64x8::splat(simd, 1.0));
            let listed = carried.count.simd_gt(zero);
            let new = present & !listed;
            if new.any_true() {
                for register in &mut carried.registers {
                    *register = new.select(zero, *register);
                }
                clear_lanes(kernel, ring, new.to_bitmask());
            }
            let back = present & carried.missed.simd_gt(zero);
            if back.any_true() {
                rotate_lanes(kernel, ring, back.to_bitmask(), carried.missed.as_array());
            }
            carried.missed = present.select(zero, listed.select(carried.missed + one, zero));
            carried.count += present.select(one, zero);
            let mut bar = Bar { simd, present, count: carried.count, pos, ring };
            let mut out = kernel.row::<false>(&mut bar, x, &mut carried.registers);
            for out in &mut out {
                *out = present.select(*out, f64x8::splat(simd, f64::NAN));
            }
            carried.set_hot_lanes(simd, kernel);
            (carried, out)
        },
    )
}

/// Wipes the rings of lanes that list: hot rows before have written to them.
#[cold]
#[inline(never)]
fn clear_lanes<K: Layout>(kernel: K, slots: &mut [Slot], lanes: u64) {
    kernel.rings(&mut |ring| {
        for slot in &mut slots[ring.start..ring.start + ring.len * ring.width] {
            for (lane, value) in slot.iter_mut().enumerate() {
                if lanes >> lane & 1 == 1 {
                    *value = 0.0;
                }
            }
        }
    });
}

/// Brings lanes that return after a gap in step with their chunk.
#[cold]
#[inline(never)]
fn rotate_lanes<K: Layout>(kernel: K, slots: &mut [Slot], lanes: u64, missed: &Slot) {
    kernel.rings(&mut |ring| {
        for (lane, &missed) in missed.iter().enumerate() {
            if lanes >> lane & 1 == 0 {
                continue;
            }
            let by = missed as usize % ring.len;
            if by != 0 {
                let entries = &mut slots[ring.start..ring.start + ring.len * ring.width];
                reverse(entries, ring.width, lane, 0, ring.len);
                reverse(entries, ring.width, lane, 0, by);
                reverse(entries, ring.width, lane, by, ring.len);
            }
        }
    });
}

/// Reverses the order of the entries `from..to` of one lane.
fn reverse(entries: &mut [Slot], width: usize, lane: usize, from: usize, to: usize) {
    let (mut low, mut high) = (from, to - 1);
    while low < high {
        for part in 0..width {
            let kept = entries[low * width + part][lane];
            entries[low * width + part][lane] = entries[high * width + part][lane];
            entries[high * width + part][lane] = kept;
        }
        low += 1;
        high -= 1;
    }
}

/// Runs an indicator over rows at a given level; called through [`run!`].
#[inline(always)]
pub(crate) fn drive<S: Simd, K, const I: usize, const O: usize, const R: usize>(
    simd: S,
    kernel: K,
    inputs: [&[f64]; I],
    lanes: usize,
    state: &mut [f64],
    mut outputs: [&mut [f64]; O],
) where
    K: Kernel<S, I, O, R>,
{
    let rows = check_panels(inputs, lanes, &outputs);
    assert_eq!(
        state.len(),
        state_len(kernel, R, lanes),
        "state is as long as the state_len of these parameters"
    );
    let chunk_len = state.len() / (lanes / LANE_CHUNK);
    let mut chunk = 0;
    let mut rest = state;
    while !rest.is_empty() {
        let left = rest.len() / chunk_len;
        // Narrow vectors already keep the units busy with one chunk.
        let side_by_side = K::SIDE_BY_SIDE && <S::f64s as SimdBase<S>>::LEN > 2;
        let group = if side_by_side { 1 << left.min(4).ilog2() } else { 1 };
        let (mine, others) = rest.split_at_mut(group * chunk_len);
        rest = others;
        if side_by_side {
            match group {
                4 => walk::<S, K, I, O, R, 4>(simd, kernel, inputs, lanes, rows, chunk, mine, &mut outputs),
                2 => walk::<S, K, I, O, R, 2>(simd, kernel, inputs, lanes, rows, chunk, mine, &mut outputs),
                _ => walk::<S, K, I, O, R, 1>(simd, kernel, inputs, lanes, rows, chunk, mine, &mut outputs),
            }
        } else {
            walk::<S, K, I, O, R, 1>(simd, kernel, inputs, lanes, rows, chunk, mine, &mut outputs);
        }
        chunk += group;
    }
}

/// `G` chunks side by side down all rows.
#[inline(always)]
#[allow(
    clippy::too_many_arguments,
    reason = "the one loop every indicator shares; its caller is the function above"
)]
fn walk<S: Simd, K, const I: usize, const O: usize, const R: usize, const G: usize>(
    simd: S,
    kernel: K,
    inputs: [&[f64]; I],
    lanes: usize,
    rows: usize,
    first_chunk: usize,
    state: &mut [f64],
    outputs: &mut [&mut [f64]; O],
) where
    K: Kernel<S, I, O, R>,
{
    let mut states = state.chunks_exact_mut(state.len() / G);
    let mut chunks: [Chunk<'_, S, R>; G] = core::array::from_fn(
        #[inline(always)]
        |_| Chunk::load(simd, kernel, states.next().expect("one state per chunk")),
    );
    for row in 0..rows {
        for (g, chunk) in chunks.iter_mut().enumerate() {
            let at = row * lanes + (first_chunk + g) * LANE_CHUNK;
            let x = core::array::from_fn(
                #[inline(always)]
                |i| f64x8::from_slice(simd, &inputs[i][at..at + LANE_CHUNK]),
            );
            let out = chunk.step(simd, kernel, x);
            for (out, panel) in out.iter().zip(outputs.iter_mut()) {
                out.store_slice(&mut panel[at..at + LANE_CHUNK]);
            }
        }
    }
    for chunk in chunks {
        chunk.save();
    }
}

/// Checks that panels are whole rows of whole chunks and of one length; returns the rows.
#[inline(always)]
pub(crate) fn check_panels<const I: usize, const O: usize>(
    inputs: [&[f64]; I],
    lanes: usize,
    outputs: &[&mut [f64]; O],
) -> usize {
    assert!(lanes > 0 && lanes.is_multiple_of(LANE_CHUNK), "lanes are a whole number of chunks of 8");
    let len = inputs[0].len();
    assert!(len.is_multiple_of(lanes), "a panel is a whole number of rows");
    assert!(inputs.iter().all(|x| x.len() == len), "inputs are of one length");
    assert!(outputs.iter().all(|x| x.len() == len), "outputs are as long as inputs");
    len / lanes
}
