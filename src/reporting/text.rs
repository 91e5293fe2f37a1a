//! Text for terminals: tables that fit a width, metrics side by side, an equity curve in block characters.
//!
//! Everything is returned as a `String`; printing is the caller's business.

use super::metrics::{METRIC_NAMES, Metric, MetricUnit, Metrics};
use super::recorder::RunRecorder;
use super::waterfall::{CostSteps, flag_sums};

/// Narrowest a column is cut to.
const NARROWEST: usize = 4;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Text cut to a width, the cut shown as `…`.
fn fitted(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

fn looks_numeric(cell: &str) -> bool {
    let digits = cell.trim_end_matches(['%', 'd']).replace(',', "");
    cell.is_empty() || cell == "–" || digits.parse::<f64>().is_ok()
}

/// An aligned table: headers, a rule, rows. Columns of numbers are set to the right.
///
/// Columns are parted by two spaces. When the table is wider than `max_width`, the widest columns are cut first, down
/// to 4 characters. A row with fewer cells than headers is filled with blanks.
///
/// ```
/// let rows = vec![vec!["BTCUSDT".to_owned(), "1.5".to_owned()], vec!["X".to_owned(), "12.25".to_owned()]];
/// let table = barloom::reporting::text_table(&["symbol", "pnl"], &rows, 80);
/// assert_eq!(table, "symbol     pnl\n-------  -----\nBTCUSDT    1.5\nX        12.25\n");
/// ```
pub fn text_table(headers: &[&str], rows: &[Vec<String>], max_width: usize) -> String {
    if headers.is_empty() {
        return String::new();
    }
    let cell = |row: usize, column: usize| rows[row].get(column).map_or("", String::as_str);
    let mut widths: Vec<usize> = headers.iter().map(|h| width(h)).collect();
    let mut numeric = vec![!rows.is_empty(); headers.len()];
    for row in 0..rows.len() {
        for column in 0..headers.len() {
            widths[column] = widths[column].max(width(cell(row, column)));
            numeric[column] &= looks_numeric(cell(row, column));
        }
    }
    let gaps = 2 * (headers.len() - 1);
    while widths.iter().sum::<usize>() + gaps > max_width {
        let widest = widths.iter_mut().rev().max_by_key(|w| **w).expect("there is a column");
        if *widest <= NARROWEST {
            break;
        }
        *widest -= 1;
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (column, cell) in cells.enumerate() {
            let (cell, room) = (fitted(cell, widths[column]), widths[column]);
            let pad = " ".repeat(room - width(&cell));
            text.push_str(if column == 0 { "" } else { "  " });
            text.push_str(&if numeric[column] { pad + &cell } else { cell + &pad });
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    };
    let rules: Vec<String> = widths.iter().map(|&w| "-".repeat(w)).collect();
    let mut text = line(&mut headers.iter().copied());
    text.push_str(&line(&mut rules.iter().map(String::as_str)));
    for row in 0..rows.len() {
        text.push_str(&line(&mut (0..headers.len()).map(|column| cell(row, column))));
    }
    text
}

/// A whole part with thousands separators, and `decimals` digits after the point.
fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{:.*}", decimals, value.abs());
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut text = String::new();
    if value < 0.0 && plain.chars().any(|c| c.is_ascii_digit() && c != '0') {
        text.push('-');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

/// Widest text of a metric's value; larger values are written with an exponent.
const VALUE_WIDTH: usize = 13;

/// A metric's value as people read it, at most 13 characters; `–` where undefined.
pub fn metric_text(metric: Metric, value: Option<f64>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    let (value, decimals, suffix) = match metric.unit() {
        MetricUnit::Fraction => (100.0 * value, 2, "%"),
        MetricUnit::Percent => (value, 2, "%"),
        MetricUnit::Ratio => (value, 3, ""),
        MetricUnit::Count => (value, 0, ""),
        MetricUnit::Usdt => (value, 2, ""),
        MetricUnit::Days => (value, 1, "d"),
        MetricUnit::Bars => (value, 1, ""),
    };
    let text = if value.abs() < 1e12 { grouped(value, decimals) + suffix } else { String::new() };
    if text.is_empty() || text.len() > VALUE_WIDTH { format!("{value:.3e}{suffix}") } else { text }
}

/// All metrics in two columns of name and value; at most 80 characters wide.
pub fn metrics_table(metrics: &Metrics) -> String {
    let (left, right) = Metric::all().split_at(METRIC_NAMES.len().div_ceil(2));
    let name_width = |half: &[Metric]| half.iter().map(|m| m.name().len()).max().unwrap_or(0);
    let (left_width, right_width) = (name_width(left), name_width(right));
    let cell = |metric: Metric, name_width: usize| {
        let value = metric_text(metric, metrics.get(metric));
        format!("{:name_width$} {value:>VALUE_WIDTH$}", metric.name())
    };
    let mut text = String::new();
    for (row, &metric) in left.iter().enumerate() {
        text.push_str(&cell(metric, left_width));
        if let Some(&metric) = right.get(row) {
            text.push_str("    ");
            text.push_str(&cell(metric, right_width));
        }
        text.push('\n');
    }
    text
}

fn usdt_text(amount_usdt: f64) -> String {
    metric_text(Metric::FinalEquity, Some(amount_usdt))
}

/// From gross to net: what each step took or gave, in USDT and in percent of the capital at the start. Steps after
/// `gross` that moved nothing are left out.
pub fn waterfall_table(steps: &CostSteps, initial_capital_usdt: f64, max_width: usize) -> String {
    let share = |amount_usdt| metric_text(Metric::TotalReturn, Some(amount_usdt / initial_capital_usdt));
    let shown = steps.signed().into_iter();
    let shown = shown.filter(|&(name, amount)| amount != 0.0 || matches!(name, "gross" | "net"));
    let rows: Vec<Vec<String>> =
        shown.map(|(name, amount)| vec![name.to_owned(), usdt_text(amount), share(amount)]).collect();
    text_table(&["where it went", "USDT", "of capital"], &rows, max_width)
}

/// Flags that some fill carries, how many, and their realised PnL minus fees. Empty when there is none.
pub fn flags_table(recorder: &RunRecorder, max_width: usize) -> String {
    let carried = flag_sums(recorder).into_iter().filter(|(_, sums)| sums.fills > 0);
    let rows: Vec<Vec<String>> = carried
        .map(|(name, sums)| {
            vec![
                name.to_owned(),
                metric_text(Metric::Fills, Some(sums.fills as f64)),
                usdt_text(sums.pnl_usdt),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    text_table(&["decided by", "fills", "realized - fees"], &rows, max_width)
}

/// A curve in block characters, `height` lines of at most `width` characters with the range on the left.
///
/// Longer curves are thinned to one column per stretch of points, the last of each; `NaN` leaves a column blank.
/// Empty when there is nothing to draw or no room.
pub fn equity_plot(equity: &[f64], width: usize, height: usize) -> String {
    let finite = || equity.iter().copied().filter(|e| e.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), e| (l.min(e), h.max(e)));
    if low > high || height == 0 {
        return String::new();
    }
    let labels = [grouped(high, 2), grouped(low, 2)];
    let label_width = labels.iter().map(|label| label.len()).max().unwrap_or(0);
    let Some(columns) = width.checked_sub(label_width + 2).filter(|&w| w > 0) else {
        return String::new();
    };
    let columns = columns.min(equity.len());
    let span = if high > low { high - low } else { 1.0 };
    let eighths = |column: usize| {
        let value = equity[(column + 1) * equity.len() / columns - 1];
        let share = if high > low { (value - low) / span } else { 0.5 };
        // At least one eighth, so that the lowest point is drawn too; `NaN` becomes 0.
        if value.is_finite() { 1 + (share * (8 * height - 1) as f64).round() as usize } else { 0 }
    };
    let levels: Vec<usize> = (0..columns).map(eighths).collect();
    let mut text = String::new();
    for line in 0..height {
        let label = match line {
            0 => &labels[0],
            _ if line == height - 1 => &labels[1],
            _ => "",
        };
        let below = 8 * (height - 1 - line);
        let block = |&level: &usize| match level.saturating_sub(below) {
            0 => ' ',
            filled => BLOCKS[filled.min(8) - 1],
        };
        let bar: String = levels.iter().map(block).collect();
        text.push_str(format!("{label:>label_width$} ▏{bar}").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&[&str]]) -> Vec<Vec<String>> {
        cells.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect()
    }

    #[test]
    fn wide_tables_are_cut_at_the_widest_column() {
        let table = text_table(&["a", "b"], &rows(&[&["ok", "a very long cell indeed"], &["–"]]), 14);
        assert_eq!(table, "a   b\n--  ----------\nok  a very lo…\n–\n");
        assert_eq!(text_table(&[], &[], 80), "");
        assert_eq!(text_table(&["only"], &[], 80), "only\n----\n");
    }

    #[test]
    fn numbers_are_grouped_and_signed() {
        assert_eq!(grouped(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(grouped(-123.456, 2), "-123.46");
        assert_eq!(grouped(-0.001, 2), "0.00");
        assert_eq!(metric_text(Metric::TotalReturn, Some(-0.1234)), "-12.34%");
        assert_eq!(metric_text(Metric::Trades, Some(12_345.0)), "12,345");
        assert_eq!(metric_text(Metric::Sharpe, None), "–");
        assert_eq!(metric_text(Metric::Cagr, Some(1e64)), "1.000e66%");
        assert_eq!(metric_text(Metric::FinalEquity, Some(12_345_678.9)), "12,345,678.90");
        assert_eq!(metric_text(Metric::FinalEquity, Some(-12_345_678.9)), "-1.235e7");
    }

    #[test]
    fn metrics_fit_eighty_columns() {
        let mut metrics = Metrics::default();
        for &metric in Metric::all() {
            metrics.set(metric, -123_456_789.0);
        }
        let text = metrics_table(&metrics);
        assert!(text.lines().all(|line| width(line) <= 80), "{text}");
        assert!(METRIC_NAMES.iter().all(|name| text.contains(name)));
    }

    #[test]
    fn plots_rise_with_the_curve() {
        assert_eq!(equity_plot(&[1.0, 2.0, 3.0, 4.0], 20, 1), "4.00 ▏▁▃▆█\n");
        let tall = equity_plot(&[1.0, f64::NAN, 4.0], 20, 2);
        assert_eq!(tall, "4.00 ▏  █\n1.00 ▏▁ █\n");
        assert_eq!(equity_plot(&[5.0; 3], 20, 1), "5.00 ▏▅▅▅\n");
        assert_eq!(equity_plot(&[], 20, 3), "");
        assert_eq!(equity_plot(&[f64::NAN], 20, 3), "");
        assert_eq!(equity_plot(&[1.0], 3, 3), "");
        let long: Vec<f64> = (0..10_000).map(f64::from).collect();
        assert!(equity_plot(&long, 60, 5).lines().all(|line| width(line) <= 60));
    }
}
