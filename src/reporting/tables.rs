//! The tables of a run (contract 5), made from what a [`RunRecorder`] kept.
//!
//! Column names and their order are public API. A column that has no value is null: margin and regimes where they are
//! off, and everything that divides by equity once there is none: `gross_exposure`, `net_exposure`, and `margin_ratio`,
//! which is infinite when positions outlive the equity (or an isolated one its margin, being the largest of theirs). Ranks and scores belong to ranked universes, which this build
//! does not have.

use std::sync::LazyLock;

use super::curve::Curve;
use super::episodes::reduces;
use super::lots::{LotMethod, fills_by};
use super::recorder::{Event, RunRecorder};
use super::table::{Cells, Table};
use super::trades::trades;
use super::waterfall::slippage_usdt;
use crate::events::{Fill, FillFlags, FillReason, Liquidity, NO_ORDER, NO_TAG, Regime, Side};
use crate::market::Market;
use crate::portfolio::Money;

/// `output.tables`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// One row per bar.
    Equity,
    /// One row per execution or settlement.
    Fills,
    /// One row per closed episode.
    Trades,
    /// One row per change of the wallet.
    Ledger,
    /// One row per order.
    Orders,
    /// Who could be traded.
    Universe,
}

impl TableKind {
    /// All tables, in the order of the contract.
    pub const ALL: [Self; 6] =
        [Self::Equity, Self::Fills, Self::Trades, Self::Ledger, Self::Orders, Self::Universe];

    /// Name of the file and of the config value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equity => "equity",
            Self::Fills => "fills",
            Self::Trades => "trades",
            Self::Ledger => "ledger",
            Self::Orders => "orders",
            Self::Universe => "universe",
        }
    }
    /// The table of a config value.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
    /// Makes the table. `tags` is the run's tag table.
    pub fn build<'a>(self, recorder: &RunRecorder, market: &'a Market, tags: &'a [String]) -> Table<'a> {
        self.build_by(LotMethod::Average, recorder, market, tags)
    }
    /// Makes the table with the realised PnL and the entries of fills by a method.
    pub fn build_by<'a>(
        self,
        lots: LotMethod,
        recorder: &RunRecorder,
        market: &'a Market,
        tags: &'a [String],
    ) -> Table<'a> {
        match self {
            Self::Equity => equity(recorder),
            Self::Fills => fills(&fills_by(lots, recorder, market), recorder, market, tags),
            Self::Trades => trade_table(recorder, market, tags),
            Self::Ledger => ledger(recorder, market),
            Self::Orders => orders(recorder, market),
            Self::Universe => universe(recorder, market),
        }
    }
}

fn tag_text(tags: &[String], tag: u32) -> Option<&str> {
    if tag == NO_TAG { None } else { tags.get(tag as usize).map(String::as_str) }
}

fn symbol_name(market: &Market, symbol: u32) -> Option<&str> {
    Some(market.symbols[symbol as usize].name.as_str())
}

fn ids(count: usize) -> Cells<'static> {
    Cells::Int((0..count as i64).map(Some).collect())
}

fn equity(recorder: &RunRecorder) -> Table<'static> {
    let (marks, first_bar) = (recorder.bar_marks(), recorder.run().start);
    let rows = marks.equity_usdt.len();
    let mut curve = Curve::new(recorder.initial_capital_usdt());
    let (mut drawdown, mut state) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let ruined_row = recorder.ruined_bar().map_or(rows, |bar| bar.saturating_sub(first_bar));
    for (row, &equity) in marks.equity_usdt.iter().enumerate() {
        curve.step(if row < ruined_row { equity } else { 0.0 }, 0.0, 0.0, 0);
        drawdown.push(curve.drawdown());
        state.push(Some(if curve.ruined { "RUINED" } else { "NORMAL" }));
    }
    let of_equity = |values: &[f64]| {
        let ratio = |(&value, &equity): (&f64, &f64)| if equity > 0.0 { value / equity } else { f64::NAN };
        Cells::Float(values.iter().zip(&marks.equity_usdt).map(ratio).collect())
    };
    // The margins of a run without margin are missing.
    let padded = |values: &[f64]| if values.is_empty() { vec![f64::NAN; rows] } else { values.to_vec() };
    let initial_margin = Cells::Float(padded(&marks.initial_margin_usdt));
    let maintenance_margin = padded(&marks.maintenance_margin_usdt);
    let margin_ratio = match &marks.isolated_ratio {
        none if none.is_empty() => of_equity(&maintenance_margin),
        ratios => Cells::Float(ratios.iter().map(|&r| if r.is_finite() { r } else { f64::NAN }).collect()),
    };
    let stamps = (0..rows).map(|row| Some(recorder.grid().open_ms(first_bar + row)));
    Table::new()
        .with("ts", Cells::Time(stamps.collect()))
        .with("wallet", Cells::Float(marks.wallet_usdt.clone()))
        .with("unrealized_pnl", Cells::Float(marks.unrealized_usdt.clone()))
        .with("equity", Cells::Float(marks.equity_usdt.clone()))
        .with("gross_exposure", of_equity(&marks.gross_usdt))
        .with("net_exposure", of_equity(&marks.net_usdt))
        .with("initial_margin", initial_margin)
        .with("maintenance_margin", Cells::Float(maintenance_margin))
        .with("margin_ratio", margin_ratio)
        .with("drawdown", Cells::Float(drawdown))
        .with("positions", Cells::Int(marks.positions.iter().map(|&n| Some(i64::from(n))).collect()))
        .with("state", Cells::Text(state))
}

fn fills<'a>(fills: &[Fill], recorder: &RunRecorder, market: &'a Market, tags: &'a [String]) -> Table<'a> {
    let grid = recorder.grid();
    let float = |value: &dyn Fn(&Fill) -> f64| Cells::Float(fills.iter().map(value).collect());
    let liquidity = |liquidity: Liquidity| match liquidity {
        Liquidity::Maker => "maker",
        Liquidity::Taker => "taker",
    };
    let regime = |regime: Regime| match regime {
        Regime::Vacuum => "VACUUM",
        Regime::Thin => "THIN",
        Regime::Normal => "NORMAL",
    };
    let order_id = |id: u32| (id != NO_ORDER).then_some(i64::from(id));
    Table::new()
        .with("fill_id", ids(fills.len()))
        .with("ts", Cells::Time(fills.iter().map(|f| Some(grid.open_ms(f.bar as usize))).collect()))
        .with("symbol", Cells::Text(fills.iter().map(|f| symbol_name(market, f.symbol)).collect()))
        .with("order_id", Cells::Int(fills.iter().map(|f| order_id(f.order_id)).collect()))
        .with("side", Cells::Text(fills.iter().map(|f| Some(f.side.as_str())).collect()))
        .with("qty", float(&|f| f.qty))
        .with("price", float(&|f| f.price))
        .with("base_price", float(&|f| f.base_px))
        .with("notional", float(&|f| f.qty * f.price))
        .with("liquidity", Cells::Text(fills.iter().map(|f| Some(liquidity(f.liquidity))).collect()))
        .with("fee", float(&|f| f.fee_usdt))
        .with("slippage_bps", float(&|f| f.slippage_bps))
        .with("slippage_cost", float(&|f| slippage_usdt(f)))
        .with("participation", float(&|f| f.participation))
        .with("regime", Cells::Text(fills.iter().map(|f| f.regime.map(regime)).collect()))
        .with("reason", Cells::Text(fills.iter().map(|f| Some(f.reason.as_str())).collect()))
        .with("flags", Cells::Text(fills.iter().map(|f| flag_names(f.flags)).collect()))
        .with("realized_pnl", float(&|f| f.realized_usdt))
        .with("position_after", float(&|f| f.position_after))
        .with("avg_entry_after", float(&|f| f.avg_entry_after))
        .with("tag", Cells::Text(fills.iter().map(|f| tag_text(tags, f.tag)).collect()))
}

fn trade_table<'a>(recorder: &RunRecorder, market: &'a Market, tags: &'a [String]) -> Table<'a> {
    let trades = trades(recorder, market);
    let grid = recorder.grid();
    let float =
        |value: &dyn Fn(&super::trades::Trade) -> f64| Cells::Float(trades.iter().map(value).collect());
    let time = |value: &dyn Fn(&super::trades::Trade) -> usize| {
        Cells::Time(trades.iter().map(|trade| Some(grid.open_ms(value(trade)))).collect())
    };
    let side = |side: Side| match side {
        Side::Buy => "LONG",
        Side::Sell => "SHORT",
    };
    Table::new()
        .with("trade_id", ids(trades.len()))
        .with("symbol", Cells::Text(trades.iter().map(|t| symbol_name(market, t.symbol as u32)).collect()))
        .with("side", Cells::Text(trades.iter().map(|t| Some(side(t.side))).collect()))
        .with("entry_ts", time(&|t| t.entry_bar))
        .with("exit_ts", time(&|t| t.exit_bar))
        .with(
            "bars_held",
            Cells::Int(trades.iter().map(|t| Some((t.exit_bar - t.entry_bar) as i64)).collect()),
        )
        .with("max_qty", float(&|t| t.max_qty))
        .with("entry_price", float(&|t| t.entry_px))
        .with("exit_price", float(&|t| t.exit_px))
        .with("gross_pnl", float(&|t| t.gross_usdt))
        .with("fees", float(&|t| t.fees_usdt))
        .with("funding", float(&|t| t.funding_usdt))
        .with("net_pnl", float(&|t| t.net_usdt))
        .with("return", float(&|t| t.return_frac))
        .with("mae", float(&|t| t.mae_frac))
        .with("mfe", float(&|t| t.mfe_frac))
        .with("exit_reason", Cells::Text(trades.iter().map(|t| Some(t.exit_reason.as_str())).collect()))
        .with("tag", Cells::Text(trades.iter().map(|t| tag_text(tags, t.tag)).collect()))
}

/// Names of the flags that hold, joined by `|`; none without any.
fn flag_names(flags: FillFlags) -> Option<&'static str> {
    /// The text of every combination: the names are in the order of their bits.
    static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let text = |bits: u16| {
            let held = FillFlags::NAMES.into_iter().filter(|&(flag, _)| FillFlags(bits).has(flag));
            held.map(|(_, name)| name).collect::<Vec<_>>().join("|")
        };
        (0..1 << FillFlags::NAMES.len()).map(text).collect()
    });
    let text = TEXTS[usize::from(flags.0)].as_str();
    (!text.is_empty()).then_some(text)
}

/// One change of the wallet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LedgerLine {
    /// Bar in which it happened.
    pub bar: usize,
    /// Symbol id; none for the deposit.
    pub symbol: Option<u32>,
    /// `DEPOSIT`, `REALIZED_PNL`, `FEE`, `FUNDING`, `LIQUIDATION_FEE` or `INSURANCE`.
    pub kind: &'static str,
    /// Signed change, USDT.
    pub amount_usdt: f64,
    /// Wallet after it, USDT.
    pub wallet_after_usdt: f64,
    /// Fill id or number of the funding record; of an insurance payment the fill that left the debt.
    pub reference: Option<u32>,
}

/// The ledger: the deposit, then a line per realised PnL, fee, funding and insurance payment, in event order.
pub fn ledger_lines(recorder: &RunRecorder) -> Vec<LedgerLine> {
    let mut wallet = Money::default();
    let mut lines = Vec::with_capacity(1 + 2 * recorder.events().len());
    let mut book = |bar: usize, symbol, kind, amount_usdt: f64, reference| {
        wallet.add(amount_usdt);
        let wallet_after_usdt = wallet.value();
        lines.push(LedgerLine { bar, symbol, kind, amount_usdt, wallet_after_usdt, reference });
    };
    book(recorder.run().start, None, "DEPOSIT", recorder.initial_capital_usdt(), None);
    let mut fill_id = 0;
    for event in recorder.events() {
        match event {
            Event::Fill(fill) => {
                let (bar, symbol) = (fill.bar as usize, Some(fill.symbol));
                if reduces(fill) {
                    book(bar, symbol, "REALIZED_PNL", fill.realized_usdt, Some(fill_id));
                }
                if fill.fee_usdt != 0.0 {
                    let liquidated = fill.reason == FillReason::Liquidation;
                    let kind = if liquidated { "LIQUIDATION_FEE" } else { "FEE" };
                    book(bar, symbol, kind, -fill.fee_usdt, Some(fill_id));
                }
                fill_id += 1;
            }
            Event::Funding(payment) => {
                let (bar, symbol) = (payment.bar as usize, Some(payment.symbol));
                book(bar, symbol, "FUNDING", payment.cash_usdt, Some(payment.record));
            }
            Event::Insurance(payment) => {
                let (bar, symbol) = (payment.bar as usize, Some(payment.symbol));
                let last_fill = u32::checked_sub(fill_id, 1);
                book(bar, symbol, "INSURANCE", payment.amount_usdt, last_fill);
            }
        }
    }
    lines
}

fn ledger<'a>(recorder: &RunRecorder, market: &'a Market) -> Table<'a> {
    let (lines, grid) = (ledger_lines(recorder), recorder.grid());
    let symbol = |line: &LedgerLine| line.symbol.and_then(|symbol| symbol_name(market, symbol));
    Table::new()
        .with("entry_id", ids(lines.len()))
        .with("ts", Cells::Time(lines.iter().map(|l| Some(grid.open_ms(l.bar))).collect()))
        .with("symbol", Cells::Text(lines.iter().map(symbol).collect()))
        .with("kind", Cells::Text(lines.iter().map(|l| Some(l.kind)).collect()))
        .with("amount", Cells::Float(lines.iter().map(|l| l.amount_usdt).collect()))
        .with("wallet_after", Cells::Float(lines.iter().map(|l| l.wallet_after_usdt).collect()))
        .with("ref_id", Cells::Int(lines.iter().map(|l| l.reference.map(i64::from)).collect()))
}

fn orders<'a>(recorder: &RunRecorder, market: &'a Market) -> Table<'a> {
    let mut orders: Vec<_> = recorder.orders().iter().collect();
    orders.sort_by_key(|order| order.order_id);
    let grid = recorder.grid();
    let reason = |reason: &'static str| (!reason.is_empty()).then_some(reason);
    let life = |bars: u32| (bars > 0).then_some(i64::from(bars));
    Table::new()
        .with("order_id", Cells::Int(orders.iter().map(|o| Some(i64::from(o.order_id))).collect()))
        .with("ts", Cells::Time(orders.iter().map(|o| Some(grid.open_ms(o.bar as usize))).collect()))
        .with("symbol", Cells::Text(orders.iter().map(|o| symbol_name(market, o.symbol)).collect()))
        .with("type", Cells::Text(orders.iter().map(|o| Some(o.kind.as_str())).collect()))
        .with("side", Cells::Text(orders.iter().map(|o| Some(o.side.as_str())).collect()))
        .with("qty", Cells::Float(orders.iter().map(|o| o.qty).collect()))
        .with("price", Cells::Float(orders.iter().map(|o| o.price_px).collect()))
        .with("ttl_bars", Cells::Int(orders.iter().map(|o| life(o.ttl_bars)).collect()))
        .with("status", Cells::Text(orders.iter().map(|o| Some(o.status.as_str())).collect()))
        .with("reason", Cells::Text(orders.iter().map(|o| reason(o.reason)).collect()))
        .with("end_ts", Cells::Time(orders.iter().map(|o| Some(grid.open_ms(o.end_bar as usize))).collect()))
}

fn universe<'a>(recorder: &RunRecorder, market: &'a Market) -> Table<'a> {
    let count = market.symbols.len();
    let start_ms = recorder.grid().open_ms(recorder.run().start);
    Table::new()
        .with("ts", Cells::Time(vec![Some(start_ms); count]))
        .with("symbol", Cells::Text(market.symbols.iter().map(|s| Some(s.name.as_str())).collect()))
        .with("rank", Cells::Int(vec![None; count]))
        .with("score", Cells::Float(vec![f64::NAN; count]))
        .with("member", Cells::Bool(vec![true; count]))
}
