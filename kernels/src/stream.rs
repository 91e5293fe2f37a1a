//! How an indicator runs over rows: eight lanes at a time, its recurrence in registers, its windows in rings.
//!
//! The rows of a call are taken in steps of a few. In a step a chunk of eight lanes walks down its rows, registers loaded
//! before and stored after, then the next chunk does: few enough that a processor works on several chunks at once, so
//! that a recurrence that waits on itself does not hold it up, and enough that the state's way to memory and back does not
//! matter. Meanwhile the lines of the next step are read, front to back, so that chunks find their rows in the cache. The
//! state of a chunk is a run of eight-lane slots:
//!
//! ```text
//! bars present | bars missed since | rows seen | registers … | rings …
//! ```
//!
//! **Missing bars.** A lane that has no value keeps its registers and ring slots (a masked select, no branch per lane).
//! All lanes of a chunk share one ring position, which moves every row. A lane listed late joins at the position of the
//! day and is as fast as the others from then on. A lane that comes back after a gap has its ring columns rotated by the
//! length of the gap, once, and what blocks have added up is made anew from them; it is in step again, so a gap costs that and
//! no slow path stays behind.
//!
//! **Hot and cold rows.** When the lanes with a value are exactly those ever listed, and all of them are past their
//! warm-up, the row runs without masks and counters; what it does to lanes not yet listed is wiped when they list. Both
//! forms compute the same operations in the same order.
//!
//! **Windows** of sums, moments and extremes are made of [`block`]s: what the running block has added up, joined with what
//! is left of the one before. Other windows are trees of pairs ([`window`]): the fold of the last `2^(k+1)` bars is the
//! fold of the last `2^k` joined with the one `2^k` bars ago, kept in a ring; the set bits of `n` then make up the last
//! `n`. Neither subtracts what has left: a value depends on the bars of its window, that of a tree bit for bit, that of
//! blocks but for rounding. [`past`] is about single bars.

pub(crate) mod block;
pub(crate) mod fold;
pub(crate) mod past;
pub(crate) mod smooth;
pub(crate) mod window;

use crate::simd::{LANE_CHUNK, Simd, f64x8, mask64x8, prelude::*};

/// One slot of state: a value for each lane of a chunk.
pub(crate) type Slot = [f64; LANE_CHUNK];

/// Slots of a chunk that belong to this module: bars present, bars missed since the last present one, rows seen (in
/// lane 0, before this call).
const HEADER_SLOTS: usize = 3;
const COUNT_SLOT: usize = 0;
const MISSED_SLOT: usize = 1;
const ROWS_SLOT: usize = 2;

/// What an indicator needs to know of the row it is in.
pub(crate) struct Bar<'a, S: Simd> {
    /// Token of the SIMD level.
    pub(crate) simd: S,
    /// Lanes with a value.
    pub(crate) present: mask64x8<S>,
    /// Present bars of each lane, this one included; in hot rows perhaps fewer, but more than the warm-up takes.
    pub(crate) count: f64x8<S>,
    /// Lanes that list in this row or come back: they have been absent until now.
    pub(crate) joining: mask64x8<S>,
    /// Rows before this one: the position in every ring.
    pub(crate) pos: usize,
    /// The same, counted from the begin of a block.
    pub(crate) block_bar: usize,
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

/// One ring: `len` entries of `width` slots each, from slot `start` on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring {
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) width: usize,
}

/// Parameters of an indicator and the shape of its state.
pub(crate) trait Layout: Copy {
    /// Present bars after which a row needs no warm-up logic.
    fn warm_bars(&self) -> usize;

    /// Bars of a block, for windows by [`block`]s: they are of one length.
    fn block_bars(&self) -> usize {
        1
    }

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

/// Runs an indicator over rows: [`drive`], compiled for every level.
macro_rules! run {
    ($kernel:expr, $inputs:expr, $lanes:expr, $state:expr, $outputs:expr) => {{
        let kernel = $kernel;
        $crate::simd::at_level!(simd => $crate::stream::drive(simd, kernel, $inputs, $lanes, $state, $outputs))
    }};
}
pub(crate) use run;

/// Chunks of a step, about: so few that with the step after it, of three inputs, it stays in the first-level cache.
const STEP_CHUNKS: usize = 56;

/// Rows of a step at least, however wide they are: what a chunk costs per step is shared by them.
const LEAST_STEP_ROWS: usize = 4;

/// The panels of a call, in chunks.
struct Panels<'a, const I: usize, const O: usize> {
    inputs: [&'a [Slot]; I],
    outputs: [&'a mut [Slot]; O],
    /// Chunks of a row.
    width: usize,
    /// Rows of the state before this call.
    past_rows: usize,
}

/// Some rows, and what is read ahead meanwhile.
struct Step<'a, const I: usize> {
    rows: core::ops::Range<usize>,
    ahead: [&'a [Slot]; I],
}

/// Runs an indicator over rows at a given level; called through [`run!`].
#[inline(always)]
pub(crate) fn drive<S: Simd, K, const I: usize, const O: usize, const R: usize>(
    simd: S,
    kernel: K,
    inputs: [&[f64]; I],
    lanes: usize,
    state: &mut [f64],
    outputs: [&mut [f64]; O],
) where
    K: Kernel<S, I, O, R>,
{
    let rows = check_panels(inputs, lanes, &outputs);
    let chunk_len = state_len(kernel, R, LANE_CHUNK) / LANE_CHUNK;
    assert_eq!(state.len(), chunk_len * lanes, "state is as long as the state_len of these parameters");
    let state = state.as_chunks_mut::<LANE_CHUNK>().0;
    let width = lanes / LANE_CHUNK;
    let inputs = inputs.map(|x| x.as_chunks::<LANE_CHUNK>().0);
    let mut panels = Panels {
        inputs,
        outputs: outputs.map(|x| x.as_chunks_mut().0),
        width,
        past_rows: state[ROWS_SLOT][0] as usize,
    };
    let step_rows = (STEP_CHUNKS / width).max(LEAST_STEP_ROWS);
    let part = |rows: core::ops::Range<usize>| inputs.map(|x| &x[rows.start * width..rows.end * width]);
    read_ahead(&part(0..step_rows.min(rows)));
    for from in (0..rows).step_by(step_rows) {
        let to = (from + step_rows).min(rows);
        // Where no whole step is left, the lines that are wanted now do no harm.
        let next = if to + step_rows <= rows { to..to + step_rows } else { from..to };
        let step = Step { rows: from..to, ahead: part(next) };
        for (column, chunk) in state.chunks_exact_mut(chunk_len).enumerate() {
            walk::<S, K, I, O, R>(simd, kernel, &mut panels, &step, column, chunk);
        }
    }
    for chunk in state.chunks_exact_mut(chunk_len) {
        chunk[ROWS_SLOT][0] += rows as f64;
    }
}

/// Reads every line once, front to back.
#[inline(always)]
fn read_ahead<const I: usize>(inputs: &[&[Slot]; I]) {
    let mut seen = 0;
    for at in 0..inputs[0].len() {
        for input in inputs {
            seen |= input[at][0].to_bits();
        }
    }
    core::hint::black_box(seen);
}

/// Takes a chunk down some rows: hot rows as long as they last, then cold ones until it is hot again.
#[inline(always)]
fn walk<S: Simd, K, const I: usize, const O: usize, const R: usize>(
    simd: S,
    kernel: K,
    panels: &mut Panels<'_, I, O>,
    step: &Step<'_, I>,
    column: usize,
    chunk: &mut [Slot],
) where
    K: Kernel<S, I, O, R>,
{
    let mut row = step.rows.start;
    while row < step.rows.end {
        row = hot_rows::<S, K, I, O, R>(simd, kernel, panels, step, column, chunk, row);
        if row < step.rows.end {
            row = cold_rows::<S, K, I, O, R>(simd, kernel, panels, column, chunk, row..step.rows.end);
        }
    }
}

/// Counts hot rows: a bar in every lane that was ever listed.
#[inline(always)]
fn add_bars<S: Simd>(simd: S, chunk: &mut [Slot], bars: usize) {
    let count = f64x8::load_array_ref(simd, &chunk[COUNT_SLOT]);
    let listed = count.simd_gt(f64x8::splat(simd, 0.0));
    listed.select(count + bars as f64, count).store_array(&mut chunk[COUNT_SLOT]);
}

/// No set of lanes: the next row is cold.
const NEVER_HOT: u64 = u64::MAX;

/// The lanes that must be present, and no others, for a hot row: those ever listed, if all are warm and in step.
#[inline(always)]
fn hot_lanes<S: Simd, K: Layout>(simd: S, kernel: K, chunk: &[Slot]) -> u64 {
    let zero = f64x8::splat(simd, 0.0);
    let count = f64x8::load_array_ref(simd, &chunk[COUNT_SLOT]);
    let missed = f64x8::load_array_ref(simd, &chunk[MISSED_SLOT]);
    let listed = count.simd_gt(zero);
    let warm = count.simd_ge(f64x8::splat(simd, kernel.warm_bars() as f64));
    let settled = (!listed | (warm & missed.simd_eq(zero))).all_true();
    if settled { listed.to_bitmask() } else { NEVER_HOT }
}

#[inline(always)]
fn load_inputs<S: Simd, const I: usize>(
    simd: S,
    inputs: &[&[Slot]; I],
    at: usize,
    x: &mut [f64x8<S>; I],
) -> mask64x8<S> {
    let mut present = mask64x8::splat(simd, true);
    for (x, input) in x.iter_mut().zip(inputs) {
        *x = f64x8::load_array_ref(simd, &input[at]);
        present &= x.simd_eq(*x);
    }
    present
}

/// Runs rows as long as they are hot; returns the first one that is not.
#[inline(always)]
fn hot_rows<S: Simd, K, const I: usize, const O: usize, const R: usize>(
    simd: S,
    kernel: K,
    panels: &mut Panels<'_, I, O>,
    step: &Step<'_, I>,
    column: usize,
    chunk: &mut [Slot],
    from: usize,
) -> usize
where
    K: Kernel<S, I, O, R>,
{
    let (zero, missing) = (f64x8::splat(simd, 0.0), f64x8::splat(simd, f64::NAN));
    let hot = hot_lanes(simd, kernel, chunk);
    let (header, ring) = chunk.split_at_mut(HEADER_SLOTS + R);
    let mut registers = [zero; R];
    for (register, slot) in registers.iter_mut().zip(&header[HEADER_SLOTS..]) {
        *register = f64x8::load_array_ref(simd, slot);
    }
    let count = f64x8::load_array_ref(simd, &header[COUNT_SLOT]) + 1.0;
    // What of the rows and of the lines ahead falls to this chunk, cut to one length each: bounds are checked once.
    let (width, rows) = (panels.width, step.rows.end - from);
    let mine = from * width + column..(step.rows.end - 1) * width + column + 1;
    let inputs = panels.inputs.map(|x| &x[mine.clone()]);
    let lines_before = column * step.rows.len() + from - step.rows.start;
    let (mut row, mut at, mut seen) = (0, 0, 0);
    // Lines to be written are fetched as well: several outputs would wait for them in memory.
    if O > 1 {
        let next = step.rows.end * width + lines_before;
        for lines in panels.outputs.iter().filter_map(|x| x.get(next..next + rows)) {
            for line in lines {
                seen |= line[0].to_bits();
            }
        }
    }
    let mut outputs = panels.outputs.each_mut().map(|x| &mut x[mine.clone()]);
    let ahead = step.ahead.map(|x| &x[lines_before..lines_before + rows]);
    let block_bars = kernel.block_bars();
    let mut block_bar = (panels.past_rows + from) % block_bars;
    while row < rows {
        let mut x = [zero; I];
        let present = load_inputs(simd, &inputs, at, &mut x);
        if present.to_bitmask() != hot {
            break;
        }
        // Strides of a row are too long for a processor to foresee: it sees lines read front to back, a step before they
        // are wanted.
        for ahead in &ahead {
            seen |= ahead[row][0].to_bits();
        }
        let (joining, pos) = (mask64x8::splat(simd, false), panels.past_rows + from + row);
        let mut bar = Bar { simd, present, count, joining, pos, block_bar, ring };
        let out = kernel.row::<true>(&mut bar, x, &mut registers);
        for (out, panel) in out.iter().zip(outputs.iter_mut()) {
            present.select(*out, missing).store_array(&mut panel[at]);
        }
        row += 1;
        at += width;
        block_bar = if block_bar + 1 == block_bars { 0 } else { block_bar + 1 };
    }
    core::hint::black_box(seen);
    for (register, slot) in registers.iter().zip(&mut header[HEADER_SLOTS..]) {
        register.store_array(slot);
    }
    add_bars(simd, chunk, row);
    from + row
}

/// Runs rows that need masks: some lane warms up, is missing, lists or comes back. Stops early once the chunk could go
/// on hot; returns the first row not done. Out of line, so that the hot loop stays small.
#[inline(never)]
fn cold_rows<S: Simd, K, const I: usize, const O: usize, const R: usize>(
    simd: S,
    kernel: K,
    panels: &mut Panels<'_, I, O>,
    column: usize,
    chunk: &mut [Slot],
    rows: core::ops::Range<usize>,
) -> usize
where
    K: Kernel<S, I, O, R>,
{
    simd.vectorize(
        #[inline(always)]
        || {
            let (zero, one) = (f64x8::splat(simd, 0.0), f64x8::splat(simd, 1.0));
            let mut registers = [zero; R];
            for (register, slot) in registers.iter_mut().zip(&chunk[HEADER_SLOTS..]) {
                *register = f64x8::load_array_ref(simd, slot);
            }
            let mut row = rows.start;
            loop {
                let at = row * panels.width + column;
                let mut x = [zero; I];
                let present = load_inputs(simd, &panels.inputs, at, &mut x);
                let (header, ring) = chunk.split_at_mut(HEADER_SLOTS + R);
                let mut count = f64x8::load_array_ref(simd, &header[COUNT_SLOT]);
                let missed = f64x8::load_array_ref(simd, &header[MISSED_SLOT]);
                let listed = count.simd_gt(zero);
                let new = present & !listed;
                if new.any_true() {
                    for register in &mut registers {
                        *register = new.select(zero, *register);
                    }
                    clear_lanes(kernel, ring, new.to_bitmask());
                }
                let back = present & missed.simd_gt(zero);
                if back.any_true() {
                    rotate_lanes(kernel, ring, back.to_bitmask(), &header[MISSED_SLOT]);
                }
                let missed = present.select(zero, listed.select(missed + one, zero));
                missed.store_array(&mut header[MISSED_SLOT]);
                count += present.select(one, zero);
                count.store_array(&mut header[COUNT_SLOT]);
                let (joining, pos) = (new | back, panels.past_rows + row);
                let block_bar = pos % kernel.block_bars();
                let mut bar = Bar { simd, present, count, joining, pos, block_bar, ring };
                let out = kernel.row::<false>(&mut bar, x, &mut registers);
                for (out, panel) in out.iter().zip(panels.outputs.iter_mut()) {
                    let out = present.select(*out, f64x8::splat(simd, f64::NAN));
                    out.store_array(&mut panel[at]);
                }
                row += 1;
                if row == rows.end || hot_lanes(simd, kernel, chunk) != NEVER_HOT {
                    break;
                }
            }
            for (register, slot) in registers.iter().zip(&mut chunk[HEADER_SLOTS..]) {
                register.store_array(slot);
            }
            row
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
