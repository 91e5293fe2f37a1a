//! Runs one kernel over panels in files, for the comparison with other libraries (`tests/talib`).
//!
//! ```text
//! columns values DIR LANES KERNEL [PARAMETER …]   reads DIR/<input>.f64, writes DIR/out0.f64, DIR/out1.f64, …
//! columns time   DIR LANES                        for each line `KERNEL [PARAMETER …]` of its input prints a line:
//!                                                 nanoseconds per pass over the panels, some passes
//! ```
//!
//! When timing, the program stays and keeps its panels, as the other library's process does: what the caches know of them
//! is then no difference between the two.
//!
//! A file is a panel `[row][lane]` of little-endian f64; the inputs of a kernel are named after what it asks for (`high`,
//! `low`, `close`, `volume`, `benchmark`). Lanes are a multiple of 8, unused ones NaN.
#![expect(clippy::print_stdout, reason = "a program that prints")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use barloom_kernels::buffer::AlignedBuffer;
use barloom_kernels::elementwise::hlc3;
use barloom_kernels::rolling::{PercentileKind, Ties};
use barloom_kernels::{bands, macd, momentum, moving, rolling, trend, volatility, volume};

/// Rows of a call when timed, as the engine has them.
const TILE_ROWS: usize = 256;

/// Passes of a timing that count.
const PASSES: usize = 3;

type Run = Box<dyn Fn(&[&[f64]], usize, &mut [f64], &mut [AlignedBuffer])>;

struct Kernel {
    inputs: &'static [&'static str],
    outputs: usize,
    state_len: Box<dyn Fn(usize) -> usize>,
    run: Run,
}

/// A kernel by name. Parameters stand in the order of the kernel's own.
fn kernel(name: &str, parameters: &[f64]) -> Result<Kernel, String> {
    const CLOSE: &[&str] = &["close"];
    const PAIR: &[&str] = &["close", "benchmark"];
    const RANGE: &[&str] = &["high", "low"];
    const BAR: &[&str] = &["high", "low", "close"];
    const FLOW: &[&str] = &["high", "low", "close", "volume"];
    const BALANCE: &[&str] = &["close", "volume"];

    let wanted = match name {
        "trange" | "obv" => 0,
        "bbands" | "supertrend" | "percentile" => 2,
        "macd" | "stoch" | "keltner" => 3,
        _ => 1,
    };
    if parameters.len() != wanted {
        return Err(format!("{name}: found {} parameters, expected {wanted}", parameters.len()));
    }
    let real = |index: usize| parameters.get(index).copied().unwrap_or(0.0);
    let bars = |index: usize| real(index) as usize;
    let (a, b, c) = (bars(0), bars(1), bars(2));

    macro_rules! kernel {
        ($inputs:ident, |$l:ident| $len:expr, |$x:ident, $s:ident, [$($out:ident),+]| $run:expr) => {
            Kernel {
                inputs: $inputs,
                outputs: [$(stringify!($out)),+].len(),
                state_len: Box::new(move |$l| $len),
                run: Box::new(move |$x, $l, $s, out| {
                    let [$($out),+] = out else { unreachable!("as many panels as outputs") };
                    $run;
                }),
            }
        };
    }
    Ok(match name {
        "sma" => kernel!(CLOSE, |l| moving::sma_state_len(l, a), |x, s, [o]| moving::sma(x[0], l, a, s, o)),
        "wma" => kernel!(CLOSE, |l| moving::wma_state_len(l, a), |x, s, [o]| moving::wma(x[0], l, a, s, o)),
        "ema" => kernel!(CLOSE, |l| moving::ema_state_len(l, a), |x, s, [o]| moving::ema(x[0], l, a, s, o)),
        "rma" => kernel!(CLOSE, |l| moving::rma_state_len(l, a), |x, s, [o]| moving::rma(x[0], l, a, s, o)),
        "diff" => kernel!(CLOSE, |l| moving::lag_state_len(l, a), |x, s, [o]| moving::diff(x[0], l, a, s, o)),
        "rsi" => {
            kernel!(CLOSE, |l| momentum::rsi_state_len(l, a), |x, s, [o]| momentum::rsi(x[0], l, a, s, o))
        }
        "roc" => {
            kernel!(CLOSE, |l| momentum::roc_state_len(l, a), |x, s, [o]| momentum::roc(x[0], l, a, s, o))
        }
        "cci" => kernel!(BAR, |l| momentum::cci_state_len(l, a), |x, s, [o]| {
            momentum::cci(x[0], x[1], x[2], l, a, s, o)
        }),
        "mfi" => kernel!(FLOW, |l| momentum::mfi_state_len(l, a), |x, s, [o]| {
            momentum::mfi(x[0], x[1], x[2], x[3], l, a, s, o)
        }),
        "stoch" => kernel!(BAR, |l| momentum::stoch_state_len(l, a, b, c), |x, s, [k, d]| {
            momentum::stoch(x[0], x[1], x[2], l, a, b, c, s, k, d)
        }),
        "trange" => kernel!(BAR, |l| volatility::trange_state_len(l), |x, s, [o]| {
            volatility::trange(x[0], x[1], x[2], l, s, o)
        }),
        "atr" => kernel!(BAR, |l| volatility::atr_state_len(l, a), |x, s, [o]| {
            volatility::atr(x[0], x[1], x[2], l, a, s, o)
        }),
        "natr" => kernel!(BAR, |l| volatility::atr_state_len(l, a), |x, s, [o]| {
            volatility::natr(x[0], x[1], x[2], l, a, s, o)
        }),
        "directional" => {
            kernel!(BAR, |l| trend::directional_state_len(l, a), |x, s, [plus, minus, dx, adx]| {
                trend::directional(x[0], x[1], x[2], l, a, s, plus, minus, dx, adx)
            })
        }
        "supertrend" => {
            let k = real(1);
            kernel!(BAR, |l| trend::supertrend_state_len(l, a), |x, s, [line, direction]| {
                trend::supertrend(x[0], x[1], x[2], l, a, k, s, line, direction)
            })
        }
        "macd" => kernel!(CLOSE, |l| macd::macd_state_len(l, a, b, c), |x, s, [line, signal, histogram]| {
            macd::macd(x[0], l, a, b, c, s, line, signal, histogram)
        }),
        "bbands" => {
            let k = real(1);
            kernel!(CLOSE, |l| bands::bbands_state_len(l, a), |x, s, [upper, mid, lower]| {
                bands::bbands(x[0], l, a, k, s, upper, mid, lower)
            })
        }
        "donchian" => kernel!(RANGE, |l| bands::donchian_state_len(l, a), |x, s, [upper, mid, lower]| {
            bands::donchian(x[0], x[1], l, a, s, upper, mid, lower)
        }),
        "keltner" => {
            let k = real(2);
            kernel!(BAR, |l| bands::keltner_state_len(l, a, b), |x, s, [upper, mid, lower]| {
                let mut typical = vec![0.0; x[0].len()];
                hlc3(x[0], x[1], x[2], &mut typical);
                bands::keltner(x[0], x[1], x[2], &typical, l, a, b, k, s, upper, mid, lower)
            })
        }
        "obv" => {
            kernel!(BALANCE, |l| volume::obv_state_len(l), |x, s, [o]| volume::obv(x[0], x[1], l, s, o))
        }
        "sum" => kernel!(CLOSE, |l| rolling::sum_state_len(l, a), |x, s, [o]| rolling::sum(x[0], l, a, s, o)),
        "min" => kernel!(CLOSE, |l| rolling::min_state_len(l, a), |x, s, [o]| rolling::min(x[0], l, a, s, o)),
        "max" => kernel!(CLOSE, |l| rolling::max_state_len(l, a), |x, s, [o]| rolling::max(x[0], l, a, s, o)),
        "var" => kernel!(CLOSE, |l| rolling::var_state_len(l, a), |x, s, [o]| rolling::var(x[0], l, a, s, o)),
        "stddev" => {
            kernel!(CLOSE, |l| rolling::var_state_len(l, a), |x, s, [o]| rolling::stddev(x[0], l, a, s, o))
        }
        "correl" => kernel!(PAIR, |l| rolling::correl_state_len(l, a), |x, s, [o]| {
            rolling::correl(x[0], x[1], l, a, s, o)
        }),
        "beta" => kernel!(PAIR, |l| rolling::beta_state_len(l, a), |x, s, [o]| {
            rolling::beta(x[0], x[1], l, a, s, o)
        }),
        "percentile" => {
            let percent = real(1);
            kernel!(CLOSE, |l| rolling::percentile_state_len(l, a), |x, s, [o]| {
                rolling::percentile(x[0], l, a, percent, PercentileKind::NearestRank, s, o)
            })
        }
        "percentrank" => kernel!(CLOSE, |l| rolling::percentrank_state_len(l, a), |x, s, [o]| {
            rolling::percentrank(x[0], l, a, Ties::Below, s, o)
        }),
        _ => return Err(format!("{name}: found a name that is no kernel here, expected one of this file")),
    })
}

/// The input lies where the allocator puts it, as the columns of the other library do.
fn read_panel(path: &Path) -> Result<Vec<f64>, String> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let panel: Vec<f64> = bytes.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b)).collect();
    Ok(panel)
}

fn write_panel(path: &Path, panel: &[f64]) -> Result<(), String> {
    let bytes: Vec<u8> = panel.iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(path, bytes).map_err(|e| format!("{}: {e}", path.display()))
}

fn columns(arguments: &[String]) -> Result<(), String> {
    let [mode, dir, lanes, rest @ ..] = arguments else {
        return Err("found too few arguments, expected values|time DIR LANES [KERNEL [PARAMETER …]]".into());
    };
    let lanes = lanes.parse::<usize>().map_err(|e| format!("{lanes}: {e}"))?;
    let mut panels = Panels { dir: PathBuf::from(dir), lanes, read: BTreeMap::new() };
    match mode.as_str() {
        "values" => panels.values(rest),
        "time" => {
            for line in std::io::stdin().lines() {
                let line = line.map_err(|e| format!("standard input: {e}"))?;
                let words: Vec<String> = line.split_whitespace().map(String::from).collect();
                println!("{}", panels.time(&words)?);
            }
            Ok(())
        }
        _ => Err(format!("{mode}: found no mode, expected values or time")),
    }
}

/// A kernel from its name and parameters in words.
fn kernel_of(words: &[String]) -> Result<Kernel, String> {
    let [name, parameters @ ..] = words else {
        return Err("found no kernel, expected its name".into());
    };
    let number = |text: &String| text.parse::<f64>().map_err(|e| format!("{text}: {e}"));
    kernel(name, &parameters.iter().map(number).collect::<Result<Vec<f64>, String>>()?)
}

/// The panels of a directory, those that were asked for.
struct Panels {
    dir: PathBuf,
    lanes: usize,
    read: BTreeMap<&'static str, Vec<f64>>,
}

impl Panels {
    fn inputs(&mut self, kernel: &Kernel) -> Result<Vec<&[f64]>, String> {
        for &input in kernel.inputs {
            if !self.read.contains_key(input) {
                self.read.insert(input, read_panel(&self.dir.join(format!("{input}.f64")))?);
            }
        }
        Ok(kernel.inputs.iter().map(|&input| self.read[input].as_slice()).collect())
    }

    fn values(&mut self, words: &[String]) -> Result<(), String> {
        let kernel = kernel_of(words)?;
        let (lanes, dir) = (self.lanes, self.dir.clone());
        let inputs = self.inputs(&kernel)?;
        let mut state = AlignedBuffer::new((kernel.state_len)(lanes));
        let mut out = vec![AlignedBuffer::new(inputs[0].len()); kernel.outputs];
        (kernel.run)(&inputs, lanes, &mut state, &mut out);
        for (index, panel) in out.iter().enumerate() {
            write_panel(&dir.join(format!("out{index}.f64")), panel)?;
        }
        Ok(())
    }

    /// Nanoseconds of some passes, after one that warms up. The state goes on from pass to pass: every row that counts is
    /// past the indicator's warm-up.
    fn time(&mut self, words: &[String]) -> Result<String, String> {
        let kernel = kernel_of(words)?;
        let lanes = self.lanes;
        let inputs = self.inputs(&kernel)?;
        let mut state = AlignedBuffer::new((kernel.state_len)(lanes));
        let mut tile = vec![AlignedBuffer::default(); kernel.outputs];
        let mut pass = || {
            let start = Instant::now();
            run_in_tiles(&kernel, &inputs, lanes, &mut state, &mut tile);
            start.elapsed().as_nanos().to_string()
        };
        pass();
        Ok((0..PASSES).map(|_| pass()).collect::<Vec<String>>().join(" "))
    }
}

/// Runs a kernel as the engine does: a tile of rows per call, its outputs in buffers that the next tile uses again.
fn run_in_tiles(
    kernel: &Kernel,
    inputs: &[&[f64]],
    lanes: usize,
    state: &mut [f64],
    tile: &mut [AlignedBuffer],
) {
    let len = inputs[0].len();
    for from in (0..len).step_by(TILE_ROWS * lanes) {
        let to = (from + TILE_ROWS * lanes).min(len);
        let part: Vec<&[f64]> = inputs.iter().map(|x| &x[from..to]).collect();
        for out in tile.iter_mut() {
            out.resize(to - from);
        }
        (kernel.run)(&part, lanes, state, tile);
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match columns(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("columns: {message}");
            ExitCode::FAILURE
        }
    }
}
