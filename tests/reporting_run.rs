//! A tiny scripted account feeds the recorders; tables, ledger, invariants and files are checked by hand.

use std::collections::BTreeMap;
use std::path::Path;

use arrow_array::{Array, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use barloom::engine::api::{
    Fill, FillReason, FundingPayment, Liquidity, MarkRows, NO_ORDER, NO_TAG, OrderEnd, OrderKind,
    OrderStatus, Recorder, Side,
};
use barloom::market::{Contract, FundingTape, Market, MarketPanels, Symbol, TimeGrid, lane_stride};
use barloom::reporting::table::Cells;
use barloom::reporting::tables::ledger_lines;
use barloom::reporting::{
    Metric, OutputFormat, RunRecorder, RunReport, TableKind, TrialStats, check_invariants, trades, write_run,
};
use proptest::prelude::*;

const START_MS: i64 = 1_622_505_600_000; // 2021-06-01 00:00 UTC
const NAMES: [&str; 3] = ["AAA", "BBB", "CCC"];

/// A market whose bars are `open = close = price`, `high = price + 1`, `low = price − 1`; `prices[symbol][bar]`.
fn market(prices: &[Vec<f64>]) -> Market {
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
struct Account {
    wallet_usdt: f64,
    book: Vec<(f64, f64)>,
    fee_frac: f64,
    rows: [Vec<f64>; 5],
    positions: Vec<u32>,
}

impl Account {
    fn new(wallet_usdt: f64, symbols: usize, fee_frac: f64) -> Self {
        Self {
            wallet_usdt,
            book: vec![(0.0, 0.0); symbols],
            fee_frac,
            rows: Default::default(),
            positions: vec![],
        }
    }
    fn fill(&mut self, bar: usize, symbol: usize, signed_qty: f64, price: f64) -> Fill {
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
            liquidity: Liquidity::Taker,
            fee_usdt,
            slippage_bps: 1.0,
            participation: f64::NAN,
            reason: if closes && after.abs() < q.abs() {
                FillReason::MarketExit
            } else {
                FillReason::MarketEntry
            },
            realized_usdt,
            position_before: q,
            position_after: after,
            avg_entry_before: average,
            avg_entry_after: average_after,
            tag: if q == 0.0 { 0 } else { NO_TAG },
        }
    }
    fn funding(&mut self, bar: usize, symbol: usize, record: u32, mark: f64, rate: f64) -> FundingPayment {
        let cash_usdt = -self.book[symbol].0 * mark * rate;
        self.wallet_usdt += cash_usdt;
        FundingPayment { bar: bar as u32, symbol: symbol as u32, record, cash_usdt }
    }
    fn mark(&mut self, marks: &[f64]) {
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
    fn marks(&self) -> MarkRows<'_> {
        let [wallet, unrealized, equity, gross, net] = &self.rows;
        MarkRows {
            bar0: 0,
            wallet_usdt: wallet,
            unrealized_usdt: unrealized,
            equity_usdt: equity,
            gross_usdt: gross,
            net_usdt: net,
            positions: &self.positions,
        }
    }
}

fn example(name: &str) -> serde_json::Value {
    let path = format!("{}/tests/examples/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))).unwrap()
}

/// Example 8 fed through the account, one fill per bar.
fn example_8() -> (Market, RunRecorder) {
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

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found}, expected {expected}");
}

fn tags() -> Vec<String> {
    vec!["first, \"quoted\"".to_owned()]
}

#[test]
fn example_8_makes_two_trades_and_the_flip_splits_its_fee() {
    let (market, recorder) = example_8();
    let trades = trades(&recorder, &market);
    assert_eq!(trades.len(), 2);
    let (long, short) = (&trades[0], &trades[1]);
    assert_eq!((long.side, long.entry_bar, long.exit_bar, long.max_qty), (Side::Buy, 0, 3, 3.0));
    assert_eq!((short.side, short.entry_bar, short.exit_bar, short.max_qty), (Side::Sell, 3, 4, 2.0));
    assert_eq!((long.tag, short.tag), (0, NO_TAG));
    for (found, expected) in [
        (long.entry_px, 102.0),
        (long.exit_px, 100.0),
        (long.gross_usdt, -6.0),
        (long.fees_usdt, 0.1 + 0.053 + 0.055 + 0.095),
        (long.net_usdt, -6.303),
        (long.return_frac, -6.303 / 306.0),
        (long.mae_frac, 95.0 / 102.0 - 1.0),
        (long.mfe_frac, 111.0 / 102.0 - 1.0),
        (short.entry_px, 95.0),
        (short.exit_px, 90.0),
        (short.gross_usdt, 10.0),
        (short.fees_usdt, 0.095 + 0.09),
        (short.net_usdt, 9.815),
        (short.mae_frac, -(96.0 / 95.0 - 1.0)),
        (short.mfe_frac, 1.0 - 90.0 / 95.0),
    ] {
        close(found, expected);
    }
    let metrics = recorder.metrics();
    for (metric, expected) in [
        (Metric::Trades, 2.0),
        (Metric::Wins, 1.0),
        (Metric::Losses, 1.0),
        (Metric::ProfitFactor, 9.815 / 6.303),
        (Metric::AvgBarsHeld, 2.0),
        (Metric::TotalFees, 0.488),
        (Metric::TotalRealizedPnl, 4.0),
        (Metric::TotalSlippageCost, 2.5),
        (Metric::FinalEquity, 10_003.512),
        (Metric::ExposureTime, 0.8),
        (Metric::Fills, 5.0),
    ] {
        close(metrics.get(metric).unwrap(), expected);
    }
    assert_eq!(check_invariants(&recorder, &market, true), [""; 0]);
}

#[test]
fn example_8_ledger_starts_with_the_deposit_and_sums_to_the_wallet() {
    let (_, recorder) = example_8();
    let lines = ledger_lines(&recorder);
    let kinds: Vec<_> = lines.iter().map(|line| (line.kind, line.reference)).collect();
    assert_eq!(
        kinds,
        [
            ("DEPOSIT", None),
            ("FEE", Some(0)),
            ("FEE", Some(1)),
            ("REALIZED_PNL", Some(2)),
            ("FEE", Some(2)),
            ("REALIZED_PNL", Some(3)),
            ("FEE", Some(3)),
            ("REALIZED_PNL", Some(4)),
            ("FEE", Some(4)),
        ]
    );
    let json = example("08_partial_close_fees_flip");
    for (id, row) in json["expected"]["rows"].as_array().unwrap().iter().enumerate() {
        let last = lines.iter().rfind(|line| line.reference == Some(id as u32)).unwrap();
        close(last.wallet_after_usdt, row["wallet"].as_f64().unwrap());
    }
    close(lines.iter().map(|line| line.amount_usdt).sum(), 10_003.512);
}

#[test]
fn example_9_gives_funding_to_the_episode_that_held() {
    let json = example("09_funding_with_flips");
    let events = json["inputs"]["events"].as_array().unwrap();
    let price = |e: &serde_json::Value| e["price"].as_f64().or(e["mark"].as_f64()).unwrap();
    let market = market(&[events.iter().map(price).collect()]);
    let mut account = Account::new(1000.0, 1, 0.0);
    let mut recorder = RunRecorder::new(1, market.grid, 0..events.len(), 1000.0);
    for (bar, event) in events.iter().enumerate() {
        match event["rate"].as_f64() {
            Some(rate) => recorder.funding(&account.funding(bar, 0, 7 + bar as u32, price(event), rate)),
            None => recorder.fill(&account.fill(bar, 0, event["dq"].as_f64().unwrap(), price(event))),
        }
        account.mark(&[price(event)]);
    }
    recorder.marks(&account.marks());
    let trades = trades(&recorder, &market);
    assert_eq!(trades.len(), 2);
    close(trades[0].funding_usdt, -0.0303);
    close(trades[0].net_usdt, 6.0 - 0.0303);
    close(trades[1].funding_usdt, 0.0198 - 0.049);
    let lines = ledger_lines(&recorder);
    close(lines.last().unwrap().wallet_after_usdt, json["expected"]["wallet"].as_f64().unwrap());
    assert_eq!(lines[1].reference, Some(8));
    close(
        recorder.metrics().get(Metric::TotalFunding).unwrap(),
        json["expected"]["total_funding"].as_f64().unwrap(),
    );
    assert_eq!(check_invariants(&recorder, &market, true), [""; 0]);
}

#[test]
fn stops_and_gaps_bound_the_exit_bar() {
    // Long 1 at 100 in bar 0 (99..101), held over bar 1 (103..105), out in bar 2 (94..96).
    let market = market(&[vec![100.0, 104.0, 95.0]]);
    for (reason, exit_px, worst, best) in [
        (FillReason::StopLoss, 94.5, -0.055, 0.05),
        (FillReason::StopLossGap, 95.0, -0.05, 0.05),
        (FillReason::TakeProfit, 106.0, -0.01, 0.06),
        (FillReason::EndOfRun, 95.0, -0.06, 0.05),
    ] {
        let mut account = Account::new(1000.0, 1, 0.0);
        let mut recorder = RunRecorder::new(1, market.grid, 0..3, 1000.0);
        recorder.fill(&account.fill(0, 0, 1.0, 100.0));
        recorder.fill(&Fill { reason, ..account.fill(2, 0, -1.0, exit_px) });
        let trade = trades(&recorder, &market).remove(0);
        close(trade.mae_frac, worst);
        close(trade.mfe_frac, best);
        assert_eq!(trade.exit_reason, reason);
    }
}

#[test]
fn broken_books_are_found() {
    let (market, good) = example_8();
    let fills: Vec<Fill> = good.fills().copied().collect();
    let rebuilt = |fills: &[Fill], change: &dyn Fn(&mut [Vec<f64>; 3])| {
        let mut recorder = RunRecorder::new(1, market.grid, 0..5, 10_000.0);
        fills.iter().for_each(|fill| recorder.fill(fill));
        let marks = good.marks();
        let mut rows = [marks.wallet_usdt.clone(), marks.unrealized_usdt.clone(), marks.equity_usdt.clone()];
        change(&mut rows);
        recorder.marks(&MarkRows {
            bar0: 0,
            wallet_usdt: &rows[0],
            unrealized_usdt: &rows[1],
            equity_usdt: &rows[2],
            gross_usdt: &marks.gross_usdt,
            net_usdt: &marks.net_usdt,
            positions: &marks.positions,
        });
        check_invariants(&recorder, &market, true)
    };
    let finds = |found: Vec<String>, rule: &str| {
        assert!(found.iter().any(|line| line.starts_with(rule)), "{rule} not in {found:?}");
    };
    assert_eq!(rebuilt(&fills, &|_| {}), [""; 0]);
    finds(rebuilt(&fills, &|rows| rows[0][2] += 0.01), "I5");
    finds(rebuilt(&fills, &|rows| rows[2][1] += 0.01), "I1");
    finds(rebuilt(&fills, &|rows| rows[1][4] += 0.01), "I4");
    finds(rebuilt(&fills, &|rows| rows[2][4] += 0.01), "I10");
    finds(rebuilt(&fills, &|rows| rows[2][4] = f64::NAN), "I1");
    finds(rebuilt(&fills[..4], &|_| {}), "I5");
    let mut wrong = fills.clone();
    wrong[1].position_after = 4.0;
    finds(rebuilt(&wrong, &|_| {}), "I3");
    let mut wrong = fills.clone();
    wrong[4].fee_usdt += 0.5;
    finds(rebuilt(&wrong, &|_| {}), "I2");
}

#[test]
fn tables_have_the_columns_of_the_contract() {
    let (market, recorder) = example_8();
    let expected = [
        "ts,wallet,unrealized_pnl,equity,gross_exposure,net_exposure,initial_margin,maintenance_margin,margin_ratio,\
         drawdown,positions,state",
        "fill_id,ts,symbol,order_id,side,qty,price,base_price,notional,liquidity,fee,slippage_bps,slippage_cost,\
         participation,regime,reason,flags,realized_pnl,position_after,avg_entry_after,tag",
        "trade_id,symbol,side,entry_ts,exit_ts,bars_held,max_qty,entry_price,exit_price,gross_pnl,fees,funding,\
         net_pnl,return,mae,mfe,exit_reason,tag",
        "entry_id,ts,symbol,kind,amount,wallet_after,ref_id",
        "order_id,ts,symbol,type,side,qty,price,ttl_bars,status,reason,end_ts",
        "ts,symbol,rank,score,member",
    ];
    for (table, columns) in TableKind::ALL.into_iter().zip(expected) {
        let csv = table.build(&recorder, &market, &[]).encode(OutputFormat::Csv);
        assert_eq!(String::from_utf8(csv).unwrap().lines().next(), Some(columns), "{table:?}");
        assert_eq!(TableKind::from_name(table.name()), Some(table));
    }
}

#[test]
fn csv_rows_read_as_the_contract_says() {
    let (market, recorder) = example_8();
    let tags = tags();
    let csv = |table: TableKind| {
        String::from_utf8(table.build(&recorder, &market, &tags).encode(OutputFormat::Csv)).unwrap()
    };
    let line = |table: TableKind, row: usize| csv(table).lines().nth(row + 1).unwrap().to_owned();
    assert_eq!(
        line(TableKind::Fills, 0),
        "0,2021-06-01 00:00:00+00:00,AAA,,BUY,2,100,99.75,200,taker,0.1,1,0.5,,,market_entry,,0,2,100,\
         \"first, \"\"quoted\"\"\""
    );
    assert_eq!(
        line(TableKind::Equity, 1),
        format!("2021-06-01 00:15:00+00:00,9999.847,12,10011.847,{0},{0},,,,0,1,NORMAL", 318.0 / 10_011.847)
    );
    assert_eq!(line(TableKind::Ledger, 0), "0,2021-06-01 00:00:00+00:00,,DEPOSIT,10000,10000,");
    assert_eq!(
        line(TableKind::Orders, 0),
        "0,2021-06-01 00:00:00+00:00,AAA,market,BUY,2,,,filled,,2021-06-01 00:15:00+00:00"
    );
    assert_eq!(
        line(TableKind::Orders, 1),
        "1,2021-06-01 00:30:00+00:00,AAA,market,SELL,,,1,rejected,min_qty,2021-06-01 00:45:00+00:00"
    );
    assert_eq!(
        csv(TableKind::Universe),
        "ts,symbol,rank,score,member\n2021-06-01 00:00:00+00:00,AAA,,,true\n"
    );
}

#[test]
fn ruin_shows_in_the_equity_table() {
    let market = market(&[vec![100.0, 10.0, 200.0]]);
    let mut account = Account::new(50.0, 1, 0.0);
    let mut recorder = RunRecorder::new(1, market.grid, 0..3, 50.0);
    recorder.fill(&account.fill(0, 0, 1.0, 100.0));
    [100.0, 10.0, 200.0].iter().for_each(|&m| account.mark(&[m]));
    recorder.marks(&account.marks());
    let table = TableKind::Equity.build(&recorder, &market, &[]);
    let states = vec![Some("NORMAL"), Some("RUINED"), Some("RUINED")];
    assert_eq!(table.column("state"), Some(&Cells::Text(states)));
    assert_eq!(table.column("drawdown"), Some(&Cells::Float(vec![0.0, -1.0, -1.0])));
    assert_eq!(recorder.metrics().get(Metric::TotalReturn), Some(-1.0));
}

fn floats(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    let column = batch.column_by_name(name).unwrap();
    column.as_any().downcast_ref::<Float64Array>().unwrap().iter().collect()
}

fn read_parquet(bytes: Vec<u8>) -> RecordBatch {
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes));
    reader.unwrap().build().unwrap().next().unwrap().unwrap()
}

fn read_arrow(bytes: Vec<u8>) -> RecordBatch {
    let reader = arrow_ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes), None);
    reader.unwrap().next().unwrap().unwrap()
}

#[test]
fn all_formats_read_back_to_the_same_values() {
    let (market, recorder) = example_8();
    let tags = tags();
    for kind in TableKind::ALL {
        let table = kind.build(&recorder, &market, &tags);
        let parquet = read_parquet(table.encode(OutputFormat::Parquet));
        let arrow = read_arrow(table.encode(OutputFormat::Arrow));
        assert_eq!(parquet, arrow, "{kind:?}");
        let csv = table.encode(OutputFormat::Csv);
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), table.rows());
        for (column, (name, cells)) in table.columns().iter().enumerate() {
            let text = |row: usize| &records[row][column];
            match cells {
                Cells::Float(_) => {
                    let parsed: Vec<Option<f64>> =
                        (0..records.len()).map(|row| text(row).parse().ok()).collect();
                    assert_eq!(parsed, floats(&arrow, name), "{kind:?} {name}");
                }
                Cells::Text(_) => {
                    let array = arrow.column_by_name(name).unwrap();
                    let array = array.as_any().downcast_ref::<StringArray>().unwrap();
                    assert!(
                        (0..records.len())
                            .all(|row| text(row) == array.iter().nth(row).unwrap().unwrap_or(""))
                    );
                }
                Cells::Time(stamps) => {
                    let array = arrow.column_by_name(name).unwrap();
                    let array = array.as_any().downcast_ref::<TimestampMillisecondArray>().unwrap();
                    assert_eq!(
                        (array.timezone(), array.iter().collect::<Vec<_>>()),
                        (Some("UTC"), stamps.clone())
                    );
                }
                Cells::Int(_) | Cells::Bool(_) => {}
            }
        }
    }
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
}

#[test]
fn run_folders_have_the_same_bytes_but_for_run() {
    let (market, recorder) = example_8();
    let (config, rules, tags) =
        (serde_json::json!({"general": {"seed": 1}}), serde_json::json!({"a": 1}), tags());
    let home = tempfile::tempdir().unwrap();
    let mut digests = Vec::new();
    for format in [OutputFormat::Csv, OutputFormat::Parquet, OutputFormat::Arrow] {
        let mut folders = Vec::new();
        for threads in [1, 8] {
            let dir = home.path().join(format!("{}/{threads}", format.extension()));
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("notes.txt"), "mine").unwrap();
            let run = serde_json::json!({ "threads": threads });
            let report = RunReport {
                market: &market,
                recorder: &recorder,
                tags: &tags,
                format,
                tables: &TableKind::ALL,
                config: &config,
                seed: 1,
                rules: &rules,
                warnings: &[],
                run: &run,
            };
            let written = write_run(&dir, &report).unwrap();
            assert_eq!(write_run(&dir, &report).unwrap(), written);
            digests.push(written.result_digest);
            let mut files = contents(&dir);
            let manifest = files.remove("manifest.json").unwrap();
            let mut manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
            assert_eq!(manifest["run"]["threads"], threads);
            manifest.as_object_mut().unwrap().remove("run");
            assert_eq!(manifest["warnings"][0], "no brackets");
            assert_eq!(manifest["files"].as_object().unwrap().len(), 8);
            folders.push((manifest, files));
        }
        assert_eq!(folders[0], folders[1]);
        let names: Vec<&str> = folders[0].1.keys().map(String::as_str).collect();
        assert!(names.contains(&"notes.txt") && names.len() == 9, "{names:?}");
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    let metrics = std::fs::read(home.path().join("csv/1/metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_slice(&metrics).unwrap();
    assert_eq!(metrics, recorder.metrics().to_json());
}

#[test]
fn a_file_in_the_way_is_bad_input() {
    let home = tempfile::tempdir().unwrap();
    let taken = home.path().join("taken");
    std::fs::write(&taken, "x").unwrap();
    let error = barloom::reporting::files::create_folder(&taken).unwrap_err();
    assert!(matches!(error, barloom::Error::BadInput(_)), "{error}");
    assert!(barloom::reporting::files::write_atomic(home.path().join("no/such.csv"), b"x").is_err());
    assert_eq!(contents(home.path()).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any f64 that a table may hold survives CSV.
    #[test]
    fn csv_keeps_every_float(values in prop::collection::vec(any::<f64>().prop_filter("finite", |x| x.is_finite()), 1..20)) {
        let table = barloom::reporting::Table::new().with("x", Cells::Float(values.clone()));
        let csv = String::from_utf8(table.encode(OutputFormat::Csv)).unwrap();
        let parsed: Vec<f64> = csv.lines().skip(1).map(|line| line.parse().unwrap()).collect();
        prop_assert_eq!(parsed, values);
    }

    /// Whatever is traded: the invariants hold, trades and streamed metrics agree, and the two recorders agree.
    #[test]
    fn random_accounts_keep_the_invariants(
        script in prop::collection::vec((0usize..3, -4i32..=4, 90u32..110, any::<bool>()), 1..120),
    ) {
        let path = |symbol: usize| script.iter().map(|s| f64::from(s.2) + symbol as f64).collect::<Vec<f64>>();
        let market = market(&[path(0), path(1), path(2)]);
        let mut account = Account::new(10_000.0, 3, 0.0005);
        let mut recorder = RunRecorder::new(3, market.grid, 0..script.len(), 10_000.0);
        let mut trial = TrialStats::new(3, market.grid, 0..script.len(), 10_000.0);
        for (bar, &(symbol, qty, price, pays)) in script.iter().enumerate() {
            if pays && account.book[symbol].0 != 0.0 {
                let payment = account.funding(bar, symbol, bar as u32, f64::from(price), 0.0003);
                recorder.funding(&payment);
                trial.funding(&payment);
            }
            if qty != 0 {
                let fill = account.fill(bar, symbol, 0.5 * f64::from(qty), f64::from(price) + 0.125);
                recorder.fill(&fill);
                trial.fill(&fill);
            }
            account.mark(&[0, 1, 2].map(|s| f64::from(price) + f64::from(s)));
        }
        recorder.marks(&account.marks());
        trial.marks(&account.marks());
        prop_assert_eq!(check_invariants(&recorder, &market, true), Vec::<String>::new());
        prop_assert_eq!(trial.finish(), recorder.metrics());
        let trades = trades(&recorder, &market);
        let metrics = recorder.metrics();
        prop_assert_eq!(metrics.get(Metric::Trades), Some(trades.len() as f64));
        for trade in &trades {
            prop_assert!(trade.mae_frac <= 0.0 && trade.mfe_frac >= 0.0);
            let entered = trade.gross_usdt / trade.side.sign() / (trade.exit_px - trade.entry_px);
            prop_assert!(!(entered.is_finite()) || entered > trade.max_qty * (1.0 - 1e-6));
        }
        let profit: f64 = trades.iter().filter(|t| t.net_usdt > 0.0).map(|t| t.net_usdt).sum();
        prop_assert!((profit - metrics.get(Metric::GrossProfit).unwrap()).abs() < 1e-9);
    }
}
