//! The scripted account: one market, one set of books by the rules of semantics 4.2, as short as they can be.

use barloom::engine::api::{
    Fill, FillFlags, FillReason, FundingPayment, Liquidity, MarkRows, NO_ORDER, NO_TAG, OrderEnd, OrderKind,
    OrderStatus, Recorder, Side,
};
use barloom::market::{Contract, FundingTape, Market, MarketPanels, Symbol, TimeGrid, lane_stride};
use barloom::reporting::RunRecorder;

pub(crate) const START_MS: i64 = 1_622_505_600_000; // 2021-06-01 00:00 UTC
pub(crate) const NAMES: [&str; 3] = ["AAA", "BBB", "CCC"];

/// A market whose bars are `open = close = price`, `high = price + 1`, `low = price − 1`; `prices[symbol][bar]`.
pub(crate) fn market(prices: &[Vec<f64>]) -> Market {
    let (bars, lanes) = (prices[0].len(), lane_stride(prices.len()));
    let column = |add: f64| {
        let mut panel = vec![f64::NAN; bars * lanes];
        for (symbol, path) in prices.iter().enumerate() {
            for (bar, price) in path.iter().enumerate() {
                panel[bar * lanes + symbol] = price + add;
            }
        }
        panel.into()
    };
    let symbol = |name: &&str| Symbol {
        name: (*name).to_owned(),
        contract: Contract::default(),
        brackets: Vec::new(),
        first_bar: Some(0),
        last_bar: Some(bars - 1),
    };
    let panels = MarketPanels {
        lanes,
        open: column(0.0),
        high: column(1.0),
        low: column(-1.0),
        close: column(0.0),
        volume: column(1000.0),
        quote_volume: None,
        mark: None,
        regime: None,
        baseline_volume: None,
    };
    Market {
        grid: TimeGrid { start_ms: START_MS, step_ms: 900_000, bars },
        symbols: NAMES[..prices.len()].iter().map(symbol).collect(),
        lane_of: (0..prices.len()).collect(),
        panels,
        first_row: 0,
        funding: FundingTape::default(),
        content_digest: "d1".to_owned(),
        warnings: vec!["no brackets".to_owned()],
    }
}

/// An account by the rules of semantics 4.2, as short as it can be.
pub(crate) struct Account {
    pub(crate) wallet_usdt: f64,
    pub(crate) book: Vec<(f64, f64)>,
    fee_frac: f64,
    rows: [Vec<f64>; 5],
    positions: Vec<u32>,
}

impl Account {
    pub(crate) fn new(wallet_usdt: f64, symbols: usize, fee_frac: f64) -> Self {
        Self {
            wallet_usdt,
            book: vec![(0.0, 0.0); symbols],
            fee_frac,
            rows: Default::default(),
            positions: vec![],
        }
    }
    pub(crate) fn fill(&mut self, bar: usize, symbol: usize, signed_qty: f64, price: f64) -> Fill {
        let (q, average) = self.book[symbol];
        let after = q + signed_qty;
        let closes = q * signed_qty < 0.0;
        let closed = if closes { signed_qty.abs().min(q.abs()) } else { 0.0 };
        let realized_usdt = q.signum() * closed * (price - average);
        let average_after = if after == 0.0 {
            0.0
        } else if !closes {
            (q.abs() * average + signed_qty.abs() * price) / (q.abs() + signed_qty.abs())
        } else if q * after < 0.0 {
            price
        } else {
            average
        };
        let fee_usdt = signed_qty.abs() * price * self.fee_frac;
        self.wallet_usdt += realized_usdt - fee_usdt;
        self.book[symbol] = (after, average_after);
        Fill {
            bar: bar as u32,
            symbol: symbol as u32,
            order_id: NO_ORDER,
            side: if signed_qty > 0.0 { Side::Buy } else { Side::Sell },
            qty: signed_qty.abs(),
            price,
            base_px: price - 0.25 * signed_qty.signum(),
            trigger_px: f64::NAN,
            liquidity: Liquidity::Taker,
            fee_usdt,
            slippage_bps: 1.0,
            participation: f64::NAN,
            reason: if closes && q * after >= 0.0 { FillReason::MarketExit } else { FillReason::MarketEntry },
            flags: FillFlags::default(),
            regime: None,
            realized_usdt,
            position_before: q,
            position_after: after,
            avg_entry_before: average,
            avg_entry_after: average_after,
            tag: if q == 0.0 { 0 } else { NO_TAG },
        }
    }
    pub(crate) fn funding(
        &mut self,
        bar: usize,
        symbol: usize,
        record: u32,
        mark: f64,
        rate: f64,
    ) -> FundingPayment {
        let cash_usdt = -self.book[symbol].0 * mark * rate;
        self.wallet_usdt += cash_usdt;
        FundingPayment { bar: bar as u32, symbol: symbol as u32, record, cash_usdt }
    }
    pub(crate) fn mark(&mut self, marks: &[f64]) {
        let book = self.book.iter().zip(marks);
        let sum = |value: &dyn Fn(f64, f64, f64) -> f64| {
            book.clone().map(|(&(q, a), &m)| value(q, a, m)).sum::<f64>()
        };
        let unrealized = sum(&|q, a, m| q * (m - a));
        let values = [
            self.wallet_usdt,
            unrealized,
            self.wallet_usdt + unrealized,
            sum(&|q, _, m| q.abs() * m),
            sum(&|q, _, m| q * m),
        ];
        self.rows.iter_mut().zip(values).for_each(|(row, value)| row.push(value));
        self.positions.push(self.book.iter().filter(|(q, _)| *q != 0.0).count() as u32);
    }
    pub(crate) fn marks(&self) -> MarkRows<'_> {
        let [wallet, unrealized, equity, gross, net] = &self.rows;
        MarkRows {
            bar0: 0,
            wallet_usdt: wallet,
            unrealized_usdt: unrealized,
            equity_usdt: equity,
            gross_usdt: gross,
            net_usdt: net,
            positions: &self.positions,
            initial_margin_usdt: &[],
            maintenance_margin_usdt: &[],
            isolated_ratio: &[],
        }
    }
}

pub(crate) fn example(name: &str) -> serde_json::Value {
    let path = format!("{}/tests/examples/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))).unwrap()
}

/// Example 8 fed through the account, one fill per bar.
pub(crate) fn example_8() -> (Market, RunRecorder) {
    let json = example("08_partial_close_fees_flip");
    let script: Vec<(f64, f64)> = json["inputs"]["fills"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["dq"].as_f64().unwrap(), f["price"].as_f64().unwrap()))
        .collect();
    let market = market(&[script.iter().map(|(_, price)| *price).collect()]);
    let mut account = Account::new(10_000.0, 1, 0.0005);
    let mut recorder = RunRecorder::new(1, market.grid, 0..script.len(), 10_000.0);
    for (bar, &(signed_qty, price)) in script.iter().enumerate() {
        let fill = account.fill(bar, 0, signed_qty, price);
        recorder.fill(&fill);
        account.mark(&[price]);
        let row = &json["expected"]["rows"][bar];
        close(fill.realized_usdt, row["realised"].as_f64().unwrap());
        close(account.wallet_usdt, row["wallet"].as_f64().unwrap());
    }
    recorder.order_end(&OrderEnd {
        order_id: 1,
        bar: 2,
        end_bar: 3,
        symbol: 0,
        kind: OrderKind::Market,
        price_px: f64::NAN,
        side: Side::Sell,
        qty: f64::NAN,
        ttl_bars: 1,
        status: OrderStatus::Rejected,
        reason: "min_qty",
        tag: NO_TAG,
    });
    recorder.order_end(&OrderEnd {
        order_id: 0,
        bar: 0,
        end_bar: 1,
        symbol: 0,
        kind: OrderKind::Market,
        price_px: f64::NAN,
        side: Side::Buy,
        qty: 2.0,
        ttl_bars: 0,
        status: OrderStatus::Filled,
        reason: "",
        tag: NO_TAG,
    });
    recorder.marks(&account.marks());
    (market, recorder)
}

pub(crate) fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found}, expected {expected}");
}

pub(crate) fn tags() -> Vec<String> {
    vec!["first, \"quoted\"".to_owned()]
}
