//! The regular time grid: bar index ↔ open time.

/// Regular grid of bar open times, UTC epoch milliseconds.
///
/// Bar `j` covers `[start_ms + j·step_ms, start_ms + (j+1)·step_ms)` (semantics 0.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeGrid {
    /// Open time of bar 0.
    pub start_ms: i64,
    /// Bar length.
    pub step_ms: i64,
    /// Number of bars.
    pub bars: usize,
}

impl TimeGrid {
    /// Open time of a bar.
    pub fn open_ms(&self, bar: usize) -> i64 {
        self.start_ms + bar as i64 * self.step_ms
    }
    /// Close of a bar, the time it is known at (`K_t`).
    pub fn close_ms(&self, bar: usize) -> i64 {
        self.open_ms(bar + 1)
    }
    /// Bar that opens exactly at `ms`.
    pub fn bar_at(&self, ms: i64) -> Option<usize> {
        let offset = ms.checked_sub(self.start_ms)?;
        if offset < 0 || offset % self.step_ms != 0 {
            return None;
        }
        let bar = (offset / self.step_ms) as usize;
        (bar < self.bars).then_some(bar)
    }
    /// First bar that opens at or after `ms` (`bars` when there is none).
    pub fn first_bar_from(&self, ms: i64) -> usize {
        let offset = ms - self.start_ms;
        if offset <= 0 {
            return 0;
        }
        (((offset + self.step_ms - 1) / self.step_ms) as usize).min(self.bars)
    }
    /// Whether the close of `bar` is midnight UTC, i.e. the bar ends a UTC day.
    pub fn closes_day(&self, bar: usize) -> bool {
        self.close_ms(bar).rem_euclid(86_400_000) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_times_are_inverse() {
        let grid = TimeGrid { start_ms: 1_672_531_200_000, step_ms: 900_000, bars: 100 };
        for bar in 0..100 {
            assert_eq!(grid.bar_at(grid.open_ms(bar)), Some(bar));
            assert_eq!(grid.first_bar_from(grid.open_ms(bar)), bar);
            assert_eq!(grid.first_bar_from(grid.open_ms(bar) - 1), bar);
        }
        assert_eq!(grid.bar_at(grid.start_ms + 1), None);
        assert_eq!(grid.bar_at(grid.start_ms - 900_000), None);
        assert_eq!(grid.bar_at(grid.open_ms(100)), None);
        assert!(grid.closes_day(95));
        assert!(!grid.closes_day(94));
    }
}
