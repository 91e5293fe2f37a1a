//! A seeded synthetic universe in the data layout: the same spec gives the same bytes on every machine.
//!
//! Model: geometric random walks with one common factor (mean pairwise correlation about 0.36), volatility that
//! clusters and follows the hour and the weekend, lognormal volume, prices on the tick grid, funding from a
//! mean-reverting premium. Only `+ - * /` and `sqrt` are used, since they are exact everywhere and `exp` and `ln`
//! are not. Every symbol draws from its own stream: more symbols do not change the first ones.
//!
//! It must not know who reads the files. Read next: `path` for the bars, `funding`, `contracts`, and
//! `super::import::layout` for how tables are written.

mod contracts;
mod funding;
mod path;
mod random;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use self::contracts::Profile;
use self::path::{CommonPath, Life};
use super::import::layout::{OutTable, Staging, bar_label, bar_labels};
use crate::error::{BadInput, Result, io_error};
use crate::market::{Bracket, Contract};

pub use super::import::layout::FileFormat as SynthFormat;

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynthSpec {
    /// Number of symbols: BTCUSDT, ETHUSDT and six more real names, then `SYN009USDT` and so on.
    pub symbols: usize,
    /// Bars of the grid.
    pub bars: usize,
    /// Seed of every random stream.
    pub seed: u64,
    /// Bar length, one of the layout's labels.
    pub bar_ms: i64,
    /// Open time of the first bar, UTC epoch ms, a whole number of bars.
    pub start_ms: i64,
    /// Adds what real data suffers from: see [`universe`].
    pub gaps: bool,
    /// Format of bars and funding.
    pub format: SynthFormat,
}

impl Default for SynthSpec {
    /// One year of 15-minute bars of eight symbols from 2023-01-01.
    fn default() -> Self {
        Self {
            symbols: 8,
            bars: 35_040,
            seed: 1,
            bar_ms: 900_000,
            start_ms: 1_672_531_200_000,
            gaps: false,
            format: SynthFormat::Csv,
        }
    }
}

/// The spec of the universe that lies in `data/sample`.
///
/// The command `barloom synth --out data/sample --symbols 6 --bars 3200 --seed 7 --gaps` makes the same.
pub fn sample_spec() -> SynthSpec {
    SynthSpec { symbols: 6, bars: 3_200, seed: 7, gaps: true, ..SynthSpec::default() }
}

impl SynthSpec {
    /// Largest number of symbols.
    pub const MAX_SYMBOLS: usize = 10_000;
    /// Largest number of bars (twenty years of minutes).
    pub const MAX_BARS: usize = 10_512_000;

    /// Says which field is out of range, if any.
    pub fn check(&self) -> Result<()> {
        let within = |key: &str, value: usize, max: usize| -> Result<()> {
            if (1..=max).contains(&value) {
                return Ok(());
            }
            Err(BadInput::expected(format!("1 to {max}")).key(key).found(value.to_string()).into())
        };
        within("symbols", self.symbols, Self::MAX_SYMBOLS)?;
        within("bars", self.bars, Self::MAX_BARS)?;
        if bar_label(self.bar_ms).is_none() {
            let expected = format!("the length of one of {}", bar_labels());
            return Err(BadInput::expected(expected).key("bar").found(format!("{} ms", self.bar_ms)).into());
        }
        // 1973 to 2100: within it a stamp in seconds, milliseconds or microseconds can be told apart.
        let years = 100_000_000_000..4_102_444_800_000;
        if !years.contains(&self.start_ms) || self.start_ms % self.bar_ms != 0 {
            return Err(BadInput::expected("a time from 1973-03-03 to 2099 that is a whole number of bars")
                .key("start")
                .found(crate::market::stamp::format_ms(self.start_ms))
                .into());
        }
        Ok(())
    }

    /// Close of a symbol's last bar.
    fn life_end_ms(&self, life: &Life) -> i64 {
        self.start_ms + life.bars.end as i64 * self.bar_ms
    }
}

/// Bars of one symbol, present ones only.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SynthBars {
    /// Open times, UTC epoch ms, ascending.
    pub ts_ms: Vec<i64>,
    /// Open price.
    pub open: Vec<f64>,
    /// High price.
    pub high: Vec<f64>,
    /// Low price.
    pub low: Vec<f64>,
    /// Close price.
    pub close: Vec<f64>,
    /// Volume, base units.
    pub volume: Vec<f64>,
}

/// One symbol of a synthetic universe.
#[derive(Debug, Clone, PartialEq)]
pub struct SynthSymbol {
    /// Exchange-like name.
    pub name: String,
    /// Contract as the engine holds it.
    pub contract: Contract,
    /// The same as the JSON of `{SYMBOL}_contract.json`.
    pub contract_json: Value,
    /// Margin brackets; their `cum` obeys the recursion of semantics 4.6 exactly.
    pub brackets: Vec<Bracket>,
    /// Bars.
    pub bars: SynthBars,
    /// Funding records: time (with jitter when the spec has gaps), rate, mark price.
    pub funding: Vec<(i64, f64, Option<f64>)>,
}

/// The universe in memory.
///
/// With `gaps`, every symbol has missing bars, zero-volume flat bars, funding stamps with milliseconds of jitter
/// and some funding records without mark price; all symbols share one outage. In each group of six, the third is
/// listed late, the fourth is delisted at a known time, the fifth ends without one, and the sixth changes its
/// funding interval from 8 h to 4 h and to 1 h.
///
/// # Panics
/// When [`SynthSpec::check`] refuses the spec.
pub fn universe(spec: &SynthSpec) -> Vec<SynthSymbol> {
    spec.check().expect("the spec is within its ranges");
    let common = CommonPath::new(spec);
    (0..spec.symbols).map(|index| symbol(spec, &common, index)).collect()
}

fn symbol(spec: &SynthSpec, common: &CommonPath, index: usize) -> SynthSymbol {
    let profile = Profile::new(spec.seed, index);
    let life = Life::new(spec, index);
    let bars = path::bars(spec, common, &profile, &life, index);
    let funding = funding::records(spec, &profile, &life, index, &bars);
    SynthSymbol {
        contract: profile.contract(&life),
        contract_json: profile.contract_json(&life),
        brackets: profile.brackets(),
        name: profile.name,
        bars,
        funding,
    }
}

/// Writes the universe into `out` as bars, funding, contracts and `brackets.json`; all of it or nothing.
///
/// `progress` receives the number of symbols made and their total.
pub fn write_universe(spec: &SynthSpec, out: &Path, progress: &mut dyn FnMut(usize, usize)) -> Result<()> {
    spec.check()?;
    let label = bar_label(spec.bar_ms).expect("checked");
    let mut staging = Staging::new(out)?;
    let common = CommonPath::new(spec);
    let (mut names, mut brackets) = (Vec::new(), Vec::new());
    progress(0, spec.symbols);
    for index in 0..spec.symbols {
        let symbol = symbol(spec, &common, index);
        write_symbol(&mut staging, &symbol, label, spec.format)?;
        brackets.push(brackets_json(&symbol));
        names.push(symbol.name);
        progress(index + 1, spec.symbols);
    }
    staging.bytes("brackets.json".to_owned(), &json_bytes(&Value::Array(brackets)))?;
    refuse_strangers(out, &names)?;
    staging.publish()?;
    Ok(())
}

fn write_symbol(staging: &mut Staging, symbol: &SynthSymbol, label: &str, format: SynthFormat) -> Result<()> {
    let SynthSymbol { name, bars, funding, .. } = symbol;
    let columns = vec![
        ("open", &bars.open[..]),
        ("high", &bars.high),
        ("low", &bars.low),
        ("close", &bars.close),
        ("volume", &bars.volume),
    ];
    staging.table(&format!("{name}_{label}"), format, &OutTable { ts_ms: &bars.ts_ms, columns })?;
    let ts_ms: Vec<i64> = funding.iter().map(|record| record.0).collect();
    let rates: Vec<f64> = funding.iter().map(|record| record.1).collect();
    let marks: Vec<f64> = funding.iter().map(|record| record.2.unwrap_or(f64::NAN)).collect();
    let columns = vec![("funding_rate", &rates[..]), ("mark_price", &marks)];
    staging.table(&format!("{name}_funding"), format, &OutTable { ts_ms: &ts_ms, columns })?;
    staging.bytes(format!("{name}_contract.json"), &json_bytes(&symbol.contract_json))
}

fn brackets_json(symbol: &SynthSymbol) -> Value {
    let list: Vec<Value> = symbol
        .brackets
        .iter()
        .map(|bracket| {
            json!({
                "notionalFloor": bracket.floor_usdt,
                "notionalCap": bracket.cap_usdt,
                "maintMarginRatio": bracket.maintenance_frac,
                "cum": bracket.cum_usdt,
                "initialLeverage": bracket.initial_leverage,
            })
        })
        .collect();
    json!({ "symbol": symbol.name, "brackets": list })
}

fn json_bytes(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// A folder that holds bars of other symbols would become a mixture of two markets.
fn refuse_strangers(out: &Path, names: &[String]) -> Result<()> {
    let entries = fs::read_dir(out).map_err(|e| io_error(out, "reading", e))?;
    let mut files: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    files.sort_unstable();
    for file in files {
        let Some((stem, "csv" | "parquet")) = file.rsplit_once('.') else { continue };
        let Some((symbol, _)) = stem.rsplit_once('_') else { continue };
        if !names.iter().any(|name| name == symbol) {
            return Err(BadInput::expected("a folder without bars or funding of other symbols")
                .file(out)
                .found(file)
                .fix("choose an empty folder")
                .into());
        }
    }
    Ok(())
}
