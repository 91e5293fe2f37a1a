//! From columns of single symbols to `[bar][lane]` panels on one regular grid.

use arrow_buffer::ScalarBuffer;
use rayon::prelude::*;

use super::bars::{BarColumns, CLOSE, HIGH, LOW, MARK, OPEN, QUOTE_VOLUME, VOLUME};
use super::liquidity::LiquidityColumns;
use crate::error::{BadInput, Result};
use crate::market::{Column, MarketPanels, TimeGrid, lane_stride};

/// Rows of a panel that one task fills: a constant, and small enough to stay in a core's cache.
const CHUNK_ROWS: usize = 256;

/// The grid from the first to the last present bar.
pub(crate) fn union_grid<'a>(symbols: impl Iterator<Item = &'a BarColumns>, step_ms: i64) -> TimeGrid {
    let (mut start_ms, mut end_ms) = (i64::MAX, i64::MIN);
    for bars in symbols {
        if let (Some(&first), Some(&last)) = (bars.ts_ms.first(), bars.ts_ms.last()) {
            start_ms = start_ms.min(first);
            end_ms = end_ms.max(last);
        }
    }
    let bars = if start_ms > end_ms { 0 } else { ((end_ms - start_ms) / step_ms + 1) as usize };
    TimeGrid { start_ms, step_ms, bars }
}

/// Row of an open time.
pub(crate) fn row_of(grid: &TimeGrid, open_ms: i64) -> usize {
    ((open_ms - grid.start_ms) / grid.step_ms) as usize
}

/// Stamps and values of one symbol; no values where its source lacks the column.
type Series<'a> = (&'a [i64], &'a [f64]);

/// Lays the symbols out on a grid, lane = place in the list.
pub(crate) fn align(
    symbols: &[&BarColumns],
    liquidity: &[&LiquidityColumns],
    grid: &TimeGrid,
) -> Result<MarketPanels> {
    let lanes = lane_stride(symbols.len());
    let cells = grid
        .bars
        .checked_mul(lanes)
        .filter(|&cells| {
            u32::try_from(grid.bars).is_ok() && Vec::<f64>::new().try_reserve_exact(cells).is_ok()
        })
        .ok_or_else(|| {
            BadInput::expected("a grid that fits into memory")
                .found(format!("{} bars of {} symbols", grid.bars, symbols.len()))
                .fix("look for stray stamps far from the others, or split the directory")
        })?;
    let panel = |slot: usize| -> Column {
        let series: Vec<Series<'_>> =
            symbols.iter().map(|bars| (&bars.ts_ms[..], &bars.values[slot][..])).collect();
        scatter(&series, grid, lanes, cells)
    };
    let has = |slot: usize| symbols.iter().any(|bars| !bars.values[slot].is_empty());
    let given = |column: fn(&LiquidityColumns) -> &[f64]| -> Option<Column> {
        let series: Vec<Series<'_>> = liquidity.iter().map(|rows| (&rows.ts_ms[..], column(rows))).collect();
        series.iter().any(|(_, values)| !values.is_empty()).then(|| scatter(&series, grid, lanes, cells))
    };
    Ok(MarketPanels {
        lanes,
        open: panel(OPEN),
        high: panel(HIGH),
        low: panel(LOW),
        close: panel(CLOSE),
        volume: panel(VOLUME),
        quote_volume: has(QUOTE_VOLUME).then(|| panel(QUOTE_VOLUME)),
        mark: has(MARK).then(|| panel(MARK)),
        regime: given(|rows| &rows.regime),
        baseline_volume: given(|rows| &rows.baseline_volume),
    })
}

fn scatter(symbols: &[Series<'_>], grid: &TimeGrid, lanes: usize, cells: usize) -> Column {
    let mut panel = vec![0.0; cells];
    panel.par_chunks_mut(CHUNK_ROWS * lanes).enumerate().for_each(|(chunk, out)| {
        out.fill(f64::NAN);
        let first_ms = grid.open_ms(chunk * CHUNK_ROWS);
        let end_ms = first_ms + (out.len() / lanes) as i64 * grid.step_ms;
        for (lane, (stamps, values)) in symbols.iter().enumerate() {
            if values.is_empty() {
                continue;
            }
            let from = stamps.partition_point(|&ts_ms| ts_ms < first_ms);
            for (ts_ms, value) in stamps[from..].iter().zip(&values[from..]) {
                if *ts_ms >= end_ms {
                    break;
                }
                out[((ts_ms - first_ms) / grid.step_ms) as usize * lanes + lane] = *value;
            }
        }
    });
    ScalarBuffer::from(panel)
}
