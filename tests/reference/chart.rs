//! Bars of a market, one at a time, read from the raw panels (semantics 1.4, 1.6, 2.8).

use barloom::engine::api::Side;
use barloom::market::{Column, Market};

/// Volume means look back over this many present bars (contract 3, `volume_ref`).
const TRAILING_BARS: usize = 96;

/// A present bar of one symbol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    pub(crate) volume: f64,
}

impl Bar {
    /// The extreme that triggers a stop order of this side: the high for buys (2.4, `X`).
    pub(crate) fn worst_for_stop(&self, side: Side) -> f64 {
        if side == Side::Buy { self.high } else { self.low }
    }
    /// The extreme that fills a limit order of this side: the low for buys. For the exit side of a position it is the
    /// favourable extreme.
    pub(crate) fn best_for_limit(&self, side: Side) -> f64 {
        if side == Side::Buy { self.low } else { self.high }
    }
}

/// The market, asked one value at a time.
#[derive(Clone, Copy)]
pub(crate) struct Chart<'a> {
    pub(crate) market: &'a Market,
}

impl Chart<'_> {
    fn value(&self, column: &Column, symbol: usize, bar: usize) -> f64 {
        column[(self.market.first_row + bar) * self.market.panels.lanes + self.market.lane_of[symbol]]
    }
    /// The bar, `None` where it is missing.
    pub(crate) fn bar(&self, symbol: usize, bar: usize) -> Option<Bar> {
        let panels = &self.market.panels;
        let close = self.value(&panels.close, symbol, bar);
        (!close.is_nan()).then(|| Bar {
            open: self.value(&panels.open, symbol, bar),
            high: self.value(&panels.high, symbol, bar),
            low: self.value(&panels.low, symbol, bar),
            close,
            volume: self.value(&panels.volume, symbol, bar),
        })
    }
    /// 1.6: a bar with `V = 0` is marked but not tradable.
    pub(crate) fn tradable_bar(&self, symbol: usize, bar: usize) -> Option<Bar> {
        self.bar(symbol, bar).filter(|b| b.volume > 0.0)
    }
    /// The last close known at `K_bar`.
    pub(crate) fn last_close(&self, symbol: usize, bar: usize) -> Option<f64> {
        (0..=bar).rev().find_map(|b| self.bar(symbol, b)).map(|b| b.close)
    }
    /// 1.4: the mark at `K_bar`, carried over gaps.
    pub(crate) fn mark(&self, symbol: usize, bar: usize, use_mark: bool) -> Option<f64> {
        let marks = self.market.panels.mark.as_ref().filter(|_| use_mark);
        (0..=bar).rev().find_map(|b| {
            let mark = marks.map_or(f64::NAN, |marks| self.value(marks, symbol, b));
            if mark.is_nan() { self.bar(symbol, b).map(|b| b.close) } else { Some(mark) }
        })
    }
    /// Consecutive missing bars that end with `bar`; `None`: the symbol had no bar yet.
    pub(crate) fn missing_bars(&self, symbol: usize, bar: usize) -> Option<usize> {
        (0..=bar).rev().position(|b| self.bar(symbol, b).is_some())
    }
    /// 2.8, `vol_scaled`: root mean square of the returns of the last `window` present bars through `bar`, close over the
    /// close of the present bar before; `None` while there are too few.
    pub(crate) fn volatility(&self, symbol: usize, bar: usize, window: usize) -> Option<f64> {
        let present = (0..=bar).rev().filter_map(|b| self.bar(symbol, b)).take(window + 1);
        let closes: Vec<f64> = present.map(|b| b.close).collect();
        (closes.len() == window + 1).then(|| {
            let squares = closes.windows(2).map(|pair| (pair[0] / pair[1] - 1.0).powi(2));
            (squares.sum::<f64>() / window as f64).sqrt()
        })
    }
    /// 2.8: mean volume of the last up to 96 present bars through `bar`.
    pub(crate) fn trailing_volume(&self, symbol: usize, bar: usize) -> Option<f64> {
        let present = (0..=bar).rev().filter_map(|b| self.bar(symbol, b)).take(TRAILING_BARS);
        let volumes: Vec<f64> = present.map(|b| b.volume).collect();
        (!volumes.is_empty()).then(|| volumes.iter().rev().sum::<f64>() / volumes.len() as f64)
    }
}
