//! Every public kernel as a row of one table: how to call it, and the loop a user would write instead ([`plain`]).
//!
//! Kernels get panels `[row][lane]`, the plain loops one column per symbol, each what suits it. A row is checked before
//! it is timed: fresh state, every value against the plain loop. Timed calls then go on with the state they have, as in
//! a stream, so that no time is spent warming up.
#![allow(dead_code, unreachable_pub, reason = "a module of two programs, each of which uses its part")]

mod plain;
mod table;

use std::hint::black_box;
use std::ops::Range;

use barloom_kernels::buffer::AlignedBuffer;

pub use table::CASES;

/// Period of everything that has one.
pub const N: usize = 20;

/// A size: its name, lanes, rows.
pub type Size = (&'static str, usize, usize);

/// Seven panels of 64 × 64 are 224 KiB, those of a year of 50 symbols 110 MB.
pub const SIZES: [Size; 2] = [("L2", 64, 64), ("DRAM", 56, 35_040)];

/// Rows per call where panels do not fit the cache: those of a block do, in and out.
pub const BLOCK_ROWS: usize = 256;

/// Columns a kernel may read.
#[derive(Debug, Clone, Copy)]
pub enum Column {
    High,
    Low,
    Close,
    Volume,
    Benchmark,
    /// Of both signs.
    Change,
}

/// How much the plain loop does per bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The same as the kernel.
    Value,
    /// The textbook's running form.
    Running,
    /// All `N` values of the window.
    Window,
    /// Sorts the window, or the bar.
    Sort,
}

type Series = fn(&[&[f64]], &mut [&mut [f64]]);
type Flags = fn(&[&[f64]], &mut [bool]);
type Whole = fn(&Market, &mut Answer);

/// What a plain loop gives.
pub struct Answer {
    pub out: Vec<Vec<f64>>,
    pub flags: Vec<bool>,
    /// Words as they should be, where a mask has no flag per value.
    pub words: Vec<u64>,
}

/// How often an output has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    Value,
    Chunk,
    Row,
    Once,
}

/// A plain loop.
pub enum Plain {
    /// Columns of one symbol in and out.
    Series(Series),
    /// Columns of one symbol in, a condition out.
    Flags(Flags),
    /// Everything at once, row by row; compared as far as it goes.
    Whole(Whole),
}

/// A kernel and its plain loop.
pub struct Case {
    pub name: &'static str,
    pub form: Form,
    pub reads: &'static [Column],
    pub masks_read: usize,
    pub writes: usize,
    pub per: Per,
    pub masks_written: usize,
    pub state_len: fn(usize) -> usize,
    pub fast: fn(&mut Call<'_>),
    pub plain: Plain,
}

impl Case {
    /// Values of one output.
    fn written(&self, market: &Market) -> usize {
        match self.per {
            Per::Value => market.values(),
            Per::Chunk => market.values() / 8,
            Per::Row => market.rows,
            Per::Once => 1,
        }
    }

    /// What goes in and out, each byte once.
    pub fn bytes(&self, market: &Market) -> usize {
        let numbers = self.reads.len() * market.values() + self.writes * self.written(market);
        let masks = self.masks_read + self.masks_written;
        8 * (numbers + masks * market.masks[0].len())
    }
}

/// What a kernel is called with.
pub struct Call<'a> {
    pub x: [&'a [f64]; 4],
    pub market: &'a Market,
    /// Rows of the market that this call is about; `x`, `out` and `mask` hold those alone.
    pub rows: Range<usize>,
    pub lanes: usize,
    pub words: usize,
    pub state: &'a mut [f64],
    pub out: &'a mut [&'a mut [f64]],
    pub mask: &'a mut [u64],
}

impl<'a> Call<'a> {
    /// A mask of the market.
    pub fn read_mask(&self, which: usize) -> &'a [u64] {
        &self.market.masks[which][self.rows.start * self.words..self.rows.end * self.words]
    }
}

/// Inputs in both layouts.
pub struct Market {
    pub lanes: usize,
    pub rows: usize,
    pub words: usize,
    /// `[row][lane]`.
    panels: [AlignedBuffer; 6],
    /// `[lane][row]`.
    series: [Vec<f64>; 6],
    /// Close above benchmark; high above 101.
    pub masks: [Vec<u64>; 2],
    /// The same, one value each, `[row][lane]`.
    pub flags: [Vec<bool>; 2],
    pub anchors: Vec<bool>,
    pub positions: Vec<u32>,
    /// One row: positions of both signs, entry prices, levels below and above.
    pub qty: Vec<f64>,
    pub entry: Vec<f64>,
    pub below: Vec<f64>,
    pub above: Vec<f64>,
    /// A change in each row, to what is there: its end, its lane, its position, its entry price.
    pub changes: (Vec<u32>, Vec<u32>, Vec<f64>, Vec<f64>),
}

impl Market {
    pub fn new(lanes: usize, rows: usize) -> Self {
        let mut seed = 1_u64;
        let mut unit = || {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut series: [Vec<f64>; 6] = std::array::from_fn(|_| vec![0.0; lanes * rows]);
        for lane in 0..lanes {
            // Both return to 100, so that sums that run for a year stay exact enough to be compared.
            let (mut level, mut other, mut before) = (0.0, 0.0, 100.0);
            for row in 0..rows {
                level = level * 0.999 + (unit() - 0.5) * 0.02;
                other = other * 0.999 + (unit() - 0.5) * 0.02;
                let (close, benchmark) = (100.0 * (1.0 + level), 100.0 * (1.0 + other));
                let (high, low) =
                    (close.max(before) * (1.0 + 0.005 * unit()), close.min(before) * (1.0 - 0.005 * unit()));
                let values = [high, low, close, 1.0 + (499.0 * unit()).floor(), benchmark, close - before];
                for (series, value) in series.iter_mut().zip(values) {
                    series[lane * rows + row] = value;
                }
                before = close;
            }
        }
        let panels: [AlignedBuffer; 6] = std::array::from_fn(|column| {
            let mut panel = AlignedBuffer::new(lanes * rows);
            for (i, value) in panel.iter_mut().enumerate() {
                *value = series[column][i % lanes * rows + i / lanes];
            }
            panel
        });
        let words = lanes.div_ceil(64);
        let [high, close, benchmark] = [&panels[0], &panels[2], &panels[4]];
        let flags = [
            close.iter().zip(benchmark.iter()).map(|(a, b)| a > b).collect::<Vec<bool>>(),
            high.iter().map(|&high| high > 101.0).collect(),
        ];
        let masks = std::array::from_fn(|which| {
            let mut mask = vec![0; rows * words];
            for (i, &flag) in flags[which].iter().enumerate() {
                mask[i / lanes * words + i % lanes / 64] |= u64::from(flag) << (i % lanes % 64);
            }
            mask
        });
        let row = |f: &dyn Fn(usize) -> f64| (0..lanes).map(f).collect::<Vec<f64>>();
        let (qty, entry) = (row(&|lane| (lane as f64 - 20.0) / 8.0), row(&|lane| 90.0 + lane as f64 / 4.0));
        let changed = |values: &[f64]| (0..rows).map(|row| values[row % lanes]).collect();
        let changed_lanes = (0..rows).map(|row| (row % lanes) as u32).collect();
        Self {
            changes: ((1..=rows as u32).collect(), changed_lanes, changed(&qty), changed(&entry)),
            lanes,
            rows,
            words,
            panels,
            series,
            masks,
            flags,
            anchors: (0..rows).map(|row| row % 96 == 0).collect(),
            positions: (0..lanes * rows).map(|i| (i % 3) as u32).collect(),
            qty,
            entry,
            below: row(&|lane| 80.0 + lane as f64 / 4.0),
            above: row(&|lane| 120.0 - lane as f64 / 4.0),
        }
    }

    pub fn panel(&self, column: Column) -> &[f64] {
        &self.panels[column as usize]
    }

    /// Values of one panel.
    pub fn values(&self) -> usize {
        self.lanes * self.rows
    }

    fn column(&self, column: Column, lane: usize) -> &[f64] {
        &self.series[column as usize][lane * self.rows..(lane + 1) * self.rows]
    }
}

/// A case with its buffers.
pub struct Bench<'a> {
    case: &'a Case,
    market: &'a Market,
    state: AlignedBuffer,
    out: Vec<AlignedBuffer>,
    mask: Vec<u64>,
    answer: Answer,
}

impl<'a> Bench<'a> {
    /// Both sides have run, the kernel in one call and in blocks, and have given the same answer.
    pub fn checked(case: &'a Case, market: &'a Market) -> Self {
        let len = market.values();
        let written = case.written(market);
        let mut bench = Self {
            case,
            market,
            state: AlignedBuffer::new((case.state_len)(market.lanes)),
            out: vec![AlignedBuffer::new(written); case.writes],
            mask: vec![0; market.rows * market.words],
            answer: Answer {
                out: vec![vec![0.0; written]; case.writes],
                flags: vec![false; if case.masks_written > 0 { len } else { 0 }],
                words: Vec::new(),
            },
        };
        bench.plain();
        for block in [market.rows, BLOCK_ROWS] {
            bench.state.fill(0.0);
            bench.fast(block);
            bench.check();
        }
        bench
    }

    /// The kernel over all rows, `block` of them per call, going on with its state.
    pub fn fast(&mut self, block: usize) {
        let Market { lanes, words, rows, .. } = *self.market;
        let block = if self.case.per == Per::Once { rows } else { block };
        for from in (0..rows).step_by(block) {
            let rows = from..(from + block).min(rows);
            let mut x: [&[f64]; 4] = [&[]; 4];
            for (x, &column) in x.iter_mut().zip(self.case.reads) {
                *x = &self.market.panel(column)[rows.start * lanes..rows.end * lanes];
            }
            let per_row = |at: usize| match self.case.per {
                Per::Value => at * lanes,
                Per::Chunk => at * lanes / 8,
                Per::Row => at,
                Per::Once => at.min(1),
            };
            let mut out: [&mut [f64]; 8] = Default::default();
            for (part, out) in out.iter_mut().zip(&mut self.out) {
                *part = &mut out[per_row(rows.start)..per_row(rows.end)];
            }
            let mask = &mut self.mask[rows.start * words..rows.end * words];
            let (state, out) = (&mut self.state[..], &mut out[..self.case.writes]);
            (self.case.fast)(&mut Call { x, market: self.market, rows, lanes, words, state, out, mask });
        }
        black_box((&self.out, &self.mask));
    }

    /// The plain loop, from the start.
    pub fn plain(&mut self) {
        let Market { lanes, rows, .. } = *self.market;
        let inputs = |lane: usize| {
            let mut x: [&[f64]; 4] = [&[]; 4];
            for (x, &column) in x.iter_mut().zip(self.case.reads) {
                *x = self.market.column(column, lane);
            }
            x
        };
        match self.case.plain {
            Plain::Series(series) => {
                for lane in 0..lanes {
                    let mut out: Vec<&mut [f64]> = self
                        .answer
                        .out
                        .iter_mut()
                        .map(|out| &mut out[lane * rows..(lane + 1) * rows])
                        .collect();
                    series(&inputs(lane), &mut out);
                }
            }
            Plain::Flags(flags) => {
                for (lane, out) in self.answer.flags.chunks_exact_mut(rows).enumerate() {
                    flags(&inputs(lane), out);
                }
            }
            Plain::Whole(whole) => whole(self.market, &mut self.answer),
        }
        black_box(&self.answer);
    }

    fn check(&self) {
        let Market { lanes, rows, words, .. } = *self.market;
        let by_row = matches!(self.case.plain, Plain::Whole(_));
        // Of value `i` of a panel, in the layout of the plain loop.
        let place = |i: usize| if by_row { i } else { i % lanes * rows + i / lanes };
        for (fast, plain) in self.out.iter().zip(&self.answer.out) {
            let scale = plain.iter().filter(|x| !x.is_nan()).fold(0.0, |a: f64, x| a.max(x.abs()));
            assert!(scale > 0.0, "{}: the plain loop gives nothing", self.case.name);
            for (i, &got) in fast.iter().enumerate() {
                let want = plain[place(i)];
                let same = (got - want).abs() <= 1e-9 * scale || (got.is_nan() && want.is_nan());
                assert!(same, "{} at {i}: {got}, the plain loop says {want}", self.case.name);
            }
        }
        let flags = &self.answer.flags;
        if self.answer.words.is_empty() {
            for i in 0..flags.len() {
                let got = self.mask[i / lanes * words + i % lanes / 64] >> (i % lanes % 64) & 1 == 1;
                assert_eq!(got, flags[place(i)], "{} at {i}", self.case.name);
            }
            assert!(flags.is_empty() || flags.contains(&true), "{}: no condition holds", self.case.name);
        } else {
            assert!(self.mask == self.answer.words, "{}: the plain loop gives other words", self.case.name);
        }
    }
}
