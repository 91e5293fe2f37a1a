//! Longer bars: what is inside `tf("1h", …)` is a graph of its own over bars made here.
//!
//! What flows: the columns of a tile are gathered into the longer bar that is forming; those that close within the
//! tile are a tile of their own, which the inner graph is computed over; every bar then sees the values at the last
//! longer bar that had closed by its own close (semantics 1.3 g), of the bars its symbol has. A longer bar is there when
//! one of its bars is. The bar that is forming is seen by nobody.

use super::ast::{Ast, AstKind};
use super::eval::Evaluator;
use super::fault::Fault;
use super::functions::{self, Body};
use super::graph::{Frame, NodeId};
use crate::market::{Market, Tile, TimeGrid};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 1440 * MINUTE_MS;
const WEEK_MS: i64 = 7 * DAY_MS;

/// Length of a bar by its name: minutes, hours or days that divide a day, or a week from Monday on.
pub(super) fn bar_ms(name: &str) -> Option<i64> {
    let unit_ms = match name.chars().last()? {
        'm' => MINUTE_MS,
        'h' => 60 * MINUTE_MS,
        'd' => DAY_MS,
        'w' => WEEK_MS,
        _ => return None,
    };
    let count: i64 = name[..name.len() - 1].parse().ok()?;
    let ms = count.checked_mul(unit_ms).filter(|&ms| ms > 0)?;
    (DAY_MS % ms == 0 || ms == WEEK_MS).then_some(ms)
}

/// Name of a bar length in the longest unit it is a whole number of, the inverse of [`bar_ms`].
pub(super) fn bar_name(ms: i64) -> String {
    let units = [(WEEK_MS, 'w'), (DAY_MS, 'd'), (60 * MINUTE_MS, 'h'), (MINUTE_MS, 'm')];
    let (unit_ms, unit) =
        units.into_iter().find(|(unit_ms, _)| ms % unit_ms == 0).unwrap_or((MINUTE_MS, 'm'));
    format!("{}{unit}", ms / unit_ms)
}

/// Start of the longer bar that `ms` lies in.
fn floor(ms: i64, step_ms: i64) -> i64 {
    // The epoch began on a Thursday, three days after a Monday; shorter bars divide the three days.
    let monday = 3 * DAY_MS;
    (ms + monday).div_euclid(step_ms) * step_ms - monday
}

/// Checks the arguments of `tf` as far as their texts tell.
pub(super) fn check(bar: &Ast, x: &Ast) -> Result<(), Fault> {
    let AstKind::Text(name) = &bar.kind else { return Ok(()) };
    if bar_ms(name).is_none() {
        let expected = "a bar length such as \"30m\", \"1h\", \"4h\", \"1d\" or \"1w\"";
        return Err(Fault::new(bar.span, format!("`{name}`"), expected));
    }
    let Some((inner, body)) = bound_to_bars(x) else { return Ok(()) };
    Err(match body {
        Body::OfFrame => Fault::new(inner.span, "`tf` inside `tf`", "one bar length at a time"),
        _ => Fault::new(inner.span, "liquidity inside `tf`", "liquidity of the data's own bars"),
    }
    .fix("take it out of `tf`"))
}

/// A call somewhere in an expression that means the data's own bars, and what it is.
fn bound_to_bars(ast: &Ast) -> Option<(&Ast, Body)> {
    match &ast.kind {
        AstKind::Number(_) | AstKind::Name(_) | AstKind::Text(_) => None,
        AstKind::Call(name, args) => {
            let body = functions::find(name).map(|function| function.body);
            let body = body.filter(|body| matches!(body, Body::OfFrame | Body::Liquidity { .. }));
            body.map(|body| (ast, body)).or_else(|| args.iter().find_map(bound_to_bars))
        }
        AstKind::Negate(a) | AstKind::Not(a) => bound_to_bars(a),
        AstKind::Arithmetic(_, a, b) | AstKind::Compare(_, a, b) | AstKind::And(a, b) | AstKind::Or(a, b) => {
            bound_to_bars(a).or_else(|| bound_to_bars(b))
        }
    }
}

const COLUMNS: usize = 7;

/// Open, high, low, close, volume, quote volume and mark of one row or of several.
type Columns = [Vec<f64>; COLUMNS];

/// Computes the nodes that are read over one length of bars.
pub(super) struct FrameRun {
    step_ms: i64,
    /// The market with the longer bars' grid: for times and funding records, not for its panels.
    market: Market,
    evaluator: Evaluator,
    nodes: Vec<NodeId>,
    /// The bar that is forming, and those that closed in this tile.
    forming: Columns,
    closed: Columns,
    present: Vec<u64>,
    /// Bars closed before this tile.
    bars: usize,
    /// For each row of the tile: longer bars of this tile closed by then.
    closed_by: Vec<usize>,
    /// For each node the values at the last bar that closed, symbol by symbol.
    last: Vec<Vec<f64>>,
}

impl FrameRun {
    /// A run of the nodes of a frame, none of them twice.
    pub(super) fn new(frame: &Frame, nodes: Vec<NodeId>, market: &Market) -> Self {
        let (grid, lanes) = (market.grid, market.lanes());
        let start_ms = floor(grid.start_ms, frame.step_ms);
        let span_ms = grid.open_ms(grid.bars) - start_ms;
        let bars = (span_ms as usize).div_ceil(frame.step_ms as usize);
        let market = Market { grid: TimeGrid { start_ms, step_ms: frame.step_ms, bars }, ..market.clone() };
        Self {
            step_ms: frame.step_ms,
            evaluator: Evaluator::new(&frame.graph, &nodes, &market, None),
            market,
            last: vec![vec![f64::NAN; lanes]; nodes.len()],
            nodes,
            forming: std::array::from_fn(|_| vec![f64::NAN; lanes]),
            closed: Columns::default(),
            present: Vec::new(),
            bars: 0,
            closed_by: Vec::new(),
        }
    }

    /// Steps of the inner graph.
    pub(super) fn steps(&self) -> usize {
        self.evaluator.steps()
    }

    /// Gathers the bars of a tile and computes the nodes over the longer ones that closed.
    pub(super) fn step(&mut self, grid: TimeGrid, tile: &Tile<'_>) {
        if tile.bar0 == 0 {
            self.bars = 0;
            self.forming.iter_mut().chain(&mut self.last).for_each(|row| row.fill(f64::NAN));
        }
        self.closed.iter_mut().for_each(Vec::clear);
        self.present.clear();
        self.closed_by.clear();
        let mut rows = 0;
        for row in 0..tile.rows {
            self.gather(tile, row);
            let close_ms = grid.close_ms(tile.bar0 + row);
            if floor(close_ms, self.step_ms) == close_ms {
                self.close(tile.words);
                rows += 1;
            }
            self.closed_by.push(rows);
        }
        let [open, high, low, close, volume, quote_volume, mark] = &self.closed;
        let inner = Tile {
            bar0: self.bars,
            rows,
            open,
            high,
            low,
            close,
            volume,
            quote_volume: tile.quote_volume.map(|_| quote_volume.as_slice()),
            mark_close: tile.mark_close.map(|_| mark.as_slice()),
            regime: None,
            baseline_volume: None,
            // Rules read neither: marks of positions, and where orders may trade.
            mark: close,
            tradable: &self.present,
            present: &self.present,
            ..*tile
        };
        self.evaluator.step(&self.market, &inner);
        self.bars += rows;
    }

    /// Takes a bar into the one that is forming.
    fn gather(&mut self, tile: &Tile<'_>, row: usize) {
        let [open, high, low, close, volume, quote_volume, mark] = &mut self.forming;
        let closes = tile.row(tile.close, row);
        let there = |lane: &usize| !closes[*lane].is_nan();
        for lane in (0..tile.lanes).filter(there) {
            let at = row * tile.lanes + lane;
            if close[lane].is_nan() {
                open[lane] = tile.open[at];
                volume[lane] = 0.0;
                quote_volume[lane] = 0.0;
            }
            // The larger of a number and NaN is the number.
            high[lane] = high[lane].max(tile.high[at]);
            low[lane] = low[lane].min(tile.low[at]);
            close[lane] = closes[lane];
            volume[lane] += tile.volume[at];
        }
        if let Some(quote) = tile.quote_volume.map(|panel| tile.row(panel, row)) {
            for lane in (0..tile.lanes).filter(there) {
                quote_volume[lane] += quote[lane];
            }
        }
        if let Some(marks) = tile.mark_close.map(|panel| tile.row(panel, row)) {
            for (mark, &now) in mark.iter_mut().zip(marks).filter(|(_, now)| !now.is_nan()) {
                *mark = now;
            }
        }
    }

    /// Closes the bar that is forming.
    fn close(&mut self, words: usize) {
        let first = self.present.len();
        self.present.resize(first + words, 0);
        for (lane, close) in self.forming[3].iter().enumerate().filter(|(_, close)| !close.is_nan()) {
            debug_assert!(close.is_finite());
            self.present[first + lane / 64] |= 1 << (lane % 64);
        }
        for (closed, forming) in self.closed.iter_mut().zip(&mut self.forming) {
            closed.extend_from_slice(forming);
            forming.fill(f64::NAN);
        }
    }

    /// Writes the values of a node at the bars of the tile last stepped: `NaN` where the symbol has no bar.
    ///
    /// # Panics
    /// When the node is none of this run's.
    pub(super) fn expand(&mut self, node: NodeId, tile: &Tile<'_>, out: &mut [f64]) {
        let index = self.nodes.iter().position(|known| *known == node).expect("nodes are given to new");
        let rows = self.closed_by.last().copied().unwrap_or(0);
        let (values, closes) = (self.evaluator.panel(node, rows), &self.closed[3]);
        let last = &mut self.last[index];
        let mut seen = 0;
        for (row, &closed) in self.closed_by.iter().enumerate() {
            while seen < closed {
                let span = seen * tile.lanes..(seen + 1) * tile.lanes;
                for ((last, &value), close) in last.iter_mut().zip(&values[span.clone()]).zip(&closes[span]) {
                    *last = if close.is_nan() { *last } else { value };
                }
                seen += 1;
            }
            let slots = &mut out[row * tile.lanes..][..tile.lanes];
            for ((slot, &last), close) in slots.iter_mut().zip(&*last).zip(tile.row(tile.close, row)) {
                *slot = if close.is_nan() { f64::NAN } else { last };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_the_names_people_write() {
        assert_eq!(bar_ms("30m"), Some(1_800_000));
        for name in ["1m", "45m", "90m", "1h", "4h", "1d", "1w"] {
            assert_eq!(bar_ms(name).map(bar_name).as_deref(), Some(name));
        }
        assert_eq!(bar_ms("1h"), Some(3_600_000));
        assert_eq!(bar_ms("1w"), Some(604_800_000));
        for none in ["", "h", "0h", "7m", "5h", "2w", "2d", "1M", "-1h", "é"] {
            assert_eq!(bar_ms(none), None, "{none}");
        }
    }

    #[test]
    fn weeks_begin_on_mondays_and_all_others_at_midnight() {
        let monday_ms = 1_672_617_600_000; // 2023-01-02
        assert_eq!(floor(monday_ms + 5 * DAY_MS, WEEK_MS), monday_ms);
        assert_eq!(floor(monday_ms - 1, WEEK_MS), monday_ms - WEEK_MS);
        assert_eq!(floor(monday_ms + DAY_MS + 1, DAY_MS), monday_ms + DAY_MS);
        assert_eq!(floor(monday_ms + 5_000_000, 3_600_000), monday_ms + 3_600_000);
    }
}
