//! Trades, ledger, metrics and invariants.

use barloom::engine::api::{
    Fill, FillFlags, FillReason, Insurance, Liquidity, MarkRows, NO_TAG, Recorder, Regime, Side,
};
use barloom::market::Market;
use barloom::reporting::table::Cells;
use barloom::reporting::tables::ledger_lines;
use barloom::reporting::waterfall::{overshoot_usdt, slippage_usdt, stale_mark_bars};
use barloom::reporting::{
    FlagSums, LotMethod, Metric, RunRecorder, TableKind, TrialStats, Waterfall, check_invariants, fills_by,
    flag_sums, trades,
};
use proptest::prelude::*;

use crate::account::{Account, close, example, example_8, market};

/// 2 bought at 100 and 1 at 106; 1 sold at 110 cost 100 and not 102; then 4 sold at 95, of which 2 close.
#[test]
fn lots_realise_the_oldest_first_and_the_same_in_the_end() {
    let (market, recorder) = example_8();
    let found: Vec<_> = fills_by(LotMethod::Fifo, &recorder, &market)
        .iter()
        .map(|fill| (fill.realized_usdt, fill.avg_entry_before, fill.avg_entry_after))
        .collect();
    let expected = [
        (0.0, 0.0, 100.0),
        (0.0, 100.0, 102.0),
        (10.0, 102.0, 103.0),
        (-5.0 - 11.0, 103.0, 95.0),
        (10.0, 95.0, 0.0),
    ];
    for (found, expected) in found.iter().zip(expected) {
        close(found.0, expected.0);
        close(found.1, expected.1);
        close(found.2, expected.2);
    }
    assert_eq!(found.len(), expected.len());
    let column = |table: TableKind, lots, name| {
        format!("{:?}", table.build_by(lots, &recorder, &market, &[]).column(name))
    };
    let fills = |lots| column(TableKind::Fills, lots, "realized_pnl");
    assert_eq!(
        fills(LotMethod::Average),
        format!("{:?}", Some(Cells::Float(vec![0.0, 0.0, 8.0, -14.0, 10.0])))
    );
    assert_ne!(fills(LotMethod::Fifo), fills(LotMethod::Average));
    // the ledger and the trades stay as booked
    for (table, name) in [(TableKind::Ledger, "amount"), (TableKind::Trades, "gross_pnl")] {
        assert_eq!(column(table, LotMethod::Fifo, name), column(table, LotMethod::Average, name));
    }
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
        let marks = good.bar_marks();
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
            initial_margin_usdt: &[],
            maintenance_margin_usdt: &[],
            isolated_ratio: &[],
        });
        check_invariants(&recorder, &market, true)
    };
    let finds = |found: Vec<String>, rule: &str| {
        assert!(
            found.iter().any(|line| line.split([':', ' ']).next() == Some(rule)),
            "{rule} not in {found:?}"
        );
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
    let broken = |rule: &str, change: &dyn Fn(&mut Vec<Fill>)| {
        let mut wrong = fills.clone();
        change(&mut wrong);
        finds(rebuilt(&wrong, &|_| {}), rule);
    };
    broken("I2", &|fills| fills[1].price += 0.01);
    broken("I7", &|fills| fills[0].base_px = 98.9);
    broken("I7", &|fills| fills[0].base_px = f64::NAN);
    broken("I7", &|fills| (fills[0].liquidity, fills[0].base_px) = (Liquidity::Maker, 98.9));
    broken("I8", &|fills| fills[0].position_after += 1e-9);
    broken("I9", &|fills| fills[1].reason = FillReason::MarketExit);
    broken("I9", &|fills| fills[3].reason = FillReason::StopLoss);
    // A resting buy that the bar opened below is hit at its own price; a liquidation has no price of the bar.
    let allowed = |change: &dyn Fn(&mut Fill)| {
        let mut fills = fills.clone();
        change(&mut fills[4]);
        assert_eq!(rebuilt(&fills, &|_| {}), [""; 0]);
    };
    allowed(&|fill| (fill.liquidity, fill.base_px) = (Liquidity::Maker, 91.5));
    allowed(&|fill| (fill.reason, fill.base_px) = (FillReason::Liquidation, 140.0));
}

/// Long 2 at 100 with 40 USDT, liquidated at 75 in the next bar (trigger 80, base 76, fee 2): the debt is 12.
fn liquidated() -> (Market, RunRecorder) {
    let market = market(&[vec![100.0, 70.0, 90.0]]);
    let mut account = Account::new(40.0, 1, 0.0);
    let mut recorder = RunRecorder::new(1, market.grid, 0..3, 40.0);
    recorder.fill(&account.fill(0, 0, 2.0, 100.0));
    account.mark(&[100.0]);
    let close = account.fill(1, 0, -2.0, 75.0);
    account.wallet_usdt -= 2.0;
    let (reason, regime) = (FillReason::Liquidation, Some(Regime::Thin));
    let flags = FillFlags(FillFlags::GAPPED.0 | FillFlags::THIN.0);
    recorder.fill(&Fill { reason, flags, regime, fee_usdt: 2.0, base_px: 76.0, trigger_px: 80.0, ..close });
    // The fund leaves a rounding error, which must not be taken for equity.
    let amount_usdt = 12.0 + 1e-9;
    recorder.insurance(&Insurance { bar: 1, symbol: 0, amount_usdt, ruins: true });
    account.wallet_usdt += amount_usdt;
    account.mark(&[70.0]);
    account.mark(&[90.0]);
    recorder.marks(&MarkRows {
        initial_margin_usdt: &[20.0, 0.0, 0.0],
        maintenance_margin_usdt: &[15.0, 0.0, 0.0],
        ..account.marks()
    });
    (market, recorder)
}

/// A buy stop at 100 that fills 3 at 102 before slippage: run inside the bar, or passed by its open.
#[test]
fn a_stop_has_overshoot_inside_a_bar_alone() {
    let fill = Account::new(1_000.0, 1, 0.0).fill(0, 0, 3.0, 102.5);
    let fill = Fill { base_px: 102.0, trigger_px: 100.0, flags: FillFlags::STOP_RUN, ..fill };
    close(overshoot_usdt(&fill), 6.0);
    close(slippage_usdt(&fill), 1.5);
    let gapped = Fill { flags: FillFlags::GAPPED, ..fill };
    assert_eq!(overshoot_usdt(&gapped), 0.0);
    close(slippage_usdt(&gapped), 1.5);
    assert_eq!(overshoot_usdt(&Fill { trigger_px: f64::NAN, ..fill }), 0.0);
}

#[test]
fn a_liquidation_goes_through_all_books() {
    let (market, recorder) = liquidated();
    assert_eq!(check_invariants(&recorder, &market, true), [""; 0]);
    let lines = ledger_lines(&recorder);
    let kinds: Vec<_> = lines.iter().skip(1).map(|line| (line.kind, line.reference)).collect();
    assert_eq!(kinds, [("REALIZED_PNL", Some(1)), ("LIQUIDATION_FEE", Some(1)), ("INSURANCE", Some(1))]);

    let metrics = recorder.metrics();
    for (metric, expected) in [
        (Metric::Liquidations, 1.0),
        (Metric::TotalLiquidationFees, 2.0),
        (Metric::TotalFees, 0.0),
        (Metric::TotalInsurance, 12.0),
        (Metric::TotalOvershootCost, 0.0),
        (Metric::GrossPnl, -47.5),
        (Metric::NetPnl, -40.0),
        (Metric::TotalReturn, -1.0),
        (Metric::FinalEquity, 0.0),
        (Metric::GrossLoss, -52.0),
        (Metric::Bars, 2.0),
    ] {
        close(metrics.get(metric).unwrap(), expected);
    }
    let waterfall = Waterfall::of(&recorder, &market, true);
    for ((name, found), expected) in
        waterfall.total.signed().into_iter().zip([-47.5, 0.0, -2.5, 0.0, 0.0, -2.0, 12.0, -40.0])
    {
        assert!((found - expected).abs() < 1e-8, "{name}: {found}, expected {expected}");
    }
    assert_eq!(flag_sums(&recorder)[0], ("gapped", FlagSums { fills: 1, pnl_usdt: -52.0 }));
    assert_eq!(flag_sums(&recorder)[1], ("stop_run", FlagSums::default()));

    let equity = TableKind::Equity.build(&recorder, &market, &[]);
    let column = |name: &str| match equity.column(name) {
        Some(Cells::Float(values)) => values.iter().map(|x| format!("{x}")).collect::<Vec<_>>().join(" "),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(column("initial_margin"), "20 0 0");
    assert_eq!(column("margin_ratio").split(' ').next(), Some("0.375"));
    assert_eq!(column("drawdown"), "0 -1 -1");
    let states = vec![Some("NORMAL"), Some("RUINED"), Some("RUINED")];
    assert_eq!(equity.column("state"), Some(&Cells::Text(states)));
    let fills = TableKind::Fills.build(&recorder, &market, &[]);
    assert_eq!(fills.column("flags"), Some(&Cells::Text(vec![None, Some("gapped|thin")])));
    assert_eq!(fills.column("regime"), Some(&Cells::Text(vec![None, Some("THIN")])));
    assert_eq!(
        TableKind::Trades.build(&recorder, &market, &[]).column("fees"),
        Some(&Cells::Float(vec![2.0]))
    );
}

/// A margin ratio without equity is infinite: the table has none. Without margin there is none either.
#[test]
fn margin_ratios_that_mean_nothing_are_missing() {
    let market = market(&[vec![100.0, 10.0]]);
    let mut account = Account::new(50.0, 1, 0.0);
    let mut recorder = RunRecorder::new(1, market.grid, 0..2, 50.0);
    recorder.fill(&account.fill(0, 0, 1.0, 100.0));
    [100.0, 10.0].iter().for_each(|&m| account.mark(&[m]));
    let margins = [5.0, 0.5];
    recorder.marks(&MarkRows { maintenance_margin_usdt: &margins, ..account.marks() });
    let table = TableKind::Equity.build(&recorder, &market, &[]);
    let Some(Cells::Float(ratio)) = table.column("margin_ratio") else { panic!("no margin_ratio") };
    assert!(ratio[0] == 0.1 && ratio[1].is_nan(), "{ratio:?}");
    let Some(Cells::Float(initial)) = table.column("initial_margin") else { panic!("no initial_margin") };
    assert!(initial.iter().all(|x| x.is_nan()), "{initial:?}");
}

/// What the fund pays for one isolated position ends nothing, and the ratio is that of the weakest position.
#[test]
fn an_isolated_liquidation_is_no_ruin() {
    let (market, ruined) = liquidated();
    let mut recorder = RunRecorder::new(1, market.grid, 0..3, 400.0);
    ruined.fills().for_each(|fill| recorder.fill(fill));
    recorder.insurance(&Insurance { bar: 1, symbol: 0, amount_usdt: 12.0, ruins: false });
    recorder.marks(&MarkRows {
        bar0: 0,
        wallet_usdt: &[400.0, 360.0, 360.0],
        unrealized_usdt: &[0.0; 3],
        equity_usdt: &[400.0, 360.0, 360.0],
        gross_usdt: &[200.0, 0.0, 0.0],
        net_usdt: &[200.0, 0.0, 0.0],
        positions: &[1, 0, 0],
        initial_margin_usdt: &[40.0, 0.0, 0.0],
        maintenance_margin_usdt: &[5.0, 0.0, 0.0],
        isolated_ratio: &[f64::INFINITY, 0.125, 0.0],
    });
    assert_eq!(check_invariants(&recorder, &market, true), [""; 0]);
    let table = TableKind::Equity.build(&recorder, &market, &[]);
    assert_eq!(table.column("state"), Some(&Cells::Text(vec![Some("NORMAL"); 3])));
    let Some(Cells::Float(ratio)) = table.column("margin_ratio") else { panic!("no margin_ratio") };
    assert!(ratio[0].is_nan() && ratio[1..] == [0.125, 0.0], "{ratio:?}");
    close(recorder.metrics().get(Metric::FinalEquity).unwrap(), 360.0);
    close(recorder.metrics().get(Metric::TotalInsurance).unwrap(), 12.0);
    assert_eq!(kind_and_fill_of_the_last_line(&recorder), ("INSURANCE", Some(1)));
}

fn kind_and_fill_of_the_last_line(recorder: &RunRecorder) -> (&'static str, Option<u32>) {
    ledger_lines(recorder).last().map(|line| (line.kind, line.reference)).expect("a ledger has its deposit")
}

/// A gap of two bars while a position is held, and one while it is not.
#[test]
fn carried_marks_are_counted_where_something_is_held() {
    let gap = f64::NAN;
    let market = market(&[vec![100.0, gap, gap, 101.0, gap, 102.0]]);
    let mut account = Account::new(1000.0, 1, 0.0);
    let mut recorder = RunRecorder::new(1, market.grid, 0..6, 1000.0);
    recorder.fill(&account.fill(0, 0, 1.0, 100.0));
    [100.0; 3].iter().for_each(|&m| account.mark(&[m]));
    recorder.fill(&account.fill(3, 0, -1.0, 101.0));
    [101.0, 101.0, 102.0].iter().for_each(|&m| account.mark(&[m]));
    recorder.marks(&account.marks());
    assert_eq!(check_invariants(&recorder, &market, true), [""; 0]);
    assert_eq!(stale_mark_bars(&recorder, &market), 2);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

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
                let at_px = f64::from(price) + symbol as f64 + 0.125;
                let trigger_px = if bar % 2 == 0 { f64::NAN } else { at_px - 0.5 * f64::from(qty.signum()) };
                let fill = account.fill(bar, symbol, 0.5 * f64::from(qty), at_px);
                let fill = Fill { trigger_px, ..fill };
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
        // From gross to net to the bit; the symbols and the stream say the same.
        let waterfall = Waterfall::of(&recorder, &market, true);
        for steps in waterfall.symbols.iter().chain([&waterfall.total]) {
            let signed = steps.signed();
            let sum = signed[..7].iter().fold(0.0, |sum, (_, amount)| sum + amount);
            prop_assert_eq!(sum, signed[7].1);
        }
        let equity = metrics.get(Metric::FinalEquity).unwrap();
        for (metric, expected) in [
            (Metric::GrossPnl, waterfall.total.gross_usdt()),
            (Metric::NetPnl, waterfall.total.net_usdt()),
            (Metric::TotalOvershootCost, waterfall.total.overshoot_usdt),
        ] {
            prop_assert!((metrics.get(metric).unwrap() - expected).abs() < 1e-8);
        }
        if !recorder.stats().ruined() {
            prop_assert!((waterfall.total.net_usdt() - (equity - 10_000.0)).abs() < 1e-8);
        }
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
