//! Many random cases on all cores, the first that differs made smaller, and the line that keeps it (semantics 10.3).
//!
//! Case `k` of a seed is always the same case, whatever the number of threads, and of several that differ the first by
//! number is told.

use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::random_market::{Dice, RandomCase, Scope};

/// A random case, as a line of `differential_cases.csv` has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) seed: u64,
    pub(crate) symbols: usize,
    pub(crate) bars: usize,
    pub(crate) tile_rows: usize,
    pub(crate) scope: Scope,
    /// The part of the case that is left; none: all of it.
    pub(crate) part: Option<Part>,
}

/// An earlier end of the run and the symbols that are traded still.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    run_end: usize,
    traded: Vec<usize>,
}

impl Line {
    /// Case `k` of a seed: mostly small markets, in which more happens per bar that is computed.
    pub(crate) fn nth(seed: u64, k: u64) -> Self {
        let mut dice = Dice::new(seed.wrapping_add(k.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let is_small = dice.chance(0.9);
        let (symbols, bars) = if is_small { (1..7, 40..121) } else { (1..21, 20..301) };
        Self {
            scope: dice.pick(&Scope::ALL),
            symbols: dice.whole(symbols),
            bars: dice.whole(bars),
            tile_rows: dice.pick(&[1, 7, 64, 256]),
            seed: dice.bits(),
            part: None,
        }
    }
    /// The case itself.
    pub(crate) fn case(&self) -> RandomCase {
        let mut case = RandomCase::within(self.scope, self.seed, self.symbols, self.bars);
        if let Some(part) = &self.part {
            case.keep_only(part.run_end, &part.traded);
        }
        case
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let fault = || format!("{line:?} is no line of seed,symbols,bars,tile_rows,scope[,run_end,traded]");
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let count = |at: usize| fields.get(at).and_then(|text| text.parse::<usize>().ok()).ok_or_else(fault);
        let part = match fields.len() {
            5 => None,
            7 => {
                let traded = fields[6].split('+').filter(|id| !id.is_empty()).map(str::parse);
                let traded = traded.collect::<Result<_, _>>().map_err(|_| fault())?;
                Some(Part { run_end: count(5)?, traded })
            }
            _ => return Err(fault()),
        };
        Ok(Self {
            seed: fields[0].parse().map_err(|_| fault())?,
            symbols: count(1)?,
            bars: count(2)?,
            tile_rows: count(3)?,
            scope: Scope::named(fields[4]).ok_or_else(fault)?,
            part,
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, symbols, bars, tile_rows, scope, part } = self;
        write!(f, "{seed},{symbols},{bars},{tile_rows},{}", scope.name())?;
        let Some(Part { run_end, traded }) = part else { return Ok(()) };
        let traded: Vec<String> = traded.iter().map(usize::to_string).collect();
        write!(f, ",{run_end},{}", traded.join("+"))
    }
}

/// What is held against each other: the difference, if there is any.
pub(crate) type Differs<'a> = &'a (dyn Fn(&Line) -> Option<String> + Sync);

/// Runs cases `0..cases` of a seed on all cores; of the first that differs, the smallest line found and the difference.
/// `tells`: progress goes to stderr.
pub(crate) fn soak(seed: u64, cases: u64, tells: bool, differs: Differs<'_>) -> Result<(), (Line, String)> {
    let differs = &|line: &Line| guarded(differs, line);
    let (next, done, running) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let first_failure = AtomicU64::new(u64::MAX);
    let failures = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    running.store(threads, Ordering::SeqCst);
    let work = || {
        loop {
            let k = next.fetch_add(1, Ordering::Relaxed);
            // Cases before a failure are finished, so that the first is known.
            if k >= cases || k > first_failure.load(Ordering::Relaxed) {
                break;
            }
            if differs(&Line::nth(seed, k)).is_some() {
                first_failure.fetch_min(k, Ordering::Relaxed);
                failures.lock().expect("nobody panics with it").push(k);
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        running.fetch_sub(1, Ordering::SeqCst);
    };
    thread::scope(|scope| {
        (0..threads).for_each(|_| drop(scope.spawn(work)));
        if tells {
            tell(seed, cases, &done, &running);
        }
    });
    let failed = failures.into_inner().expect("all threads have ended").into_iter().min();
    let Some(whole) = failed.map(|k| Line::nth(seed, k)) else { return Ok(()) };
    let (line, difference) = shrunk(whole.clone(), differs);
    Err((line, format!("{difference}\n\nmade smaller from {whole}")))
}

/// A line of progress every few seconds, until no thread runs.
fn tell(seed: u64, cases: u64, done: &AtomicU64, running: &AtomicU64) {
    const EVERY: Duration = Duration::from_secs(5);
    let (began, mut told) = (Instant::now(), Instant::now());
    // Not by `eprintln!`, which the test harness keeps to itself.
    let say = |text: String| drop(writeln!(std::io::stderr(), "{text}"));
    say(format!("{cases} cases of seed {seed}"));
    while running.load(Ordering::SeqCst) > 0 {
        thread::sleep(Duration::from_millis(50));
        if told.elapsed() < EVERY {
            continue;
        }
        told = Instant::now();
        let done = done.load(Ordering::Relaxed);
        let rate = done as f64 / began.elapsed().as_secs_f64();
        let left_s = ((cases - done.min(cases)) as f64 / rate.max(1e-9)).round();
        say(format!("{done} of {cases} cases, {rate:.0} a second, {:.1} minutes left", left_s / 60.0));
    }
    say(format!("{} cases in {:.0} s", done.load(Ordering::Relaxed), began.elapsed().as_secs_f64()));
}

/// A panic of either engine is a difference too.
fn guarded(differs: Differs<'_>, line: &Line) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| differs(line))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Some(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned())
    })
}

/// The smallest case found that still differs: first smaller markets of the same seed, which are other markets, then
/// less of the same market: an earlier end, fewer symbols that trade.
fn shrunk(mut line: Line, differs: Differs<'_>) -> (Line, String) {
    let take_first = |line: &mut Line, smaller: Vec<Line>| {
        let found = smaller.into_iter().find(|smaller| differs(smaller).is_some());
        found.map(|found| *line = found).is_some()
    };
    loop {
        let of = |symbols: usize, bars: usize| Line { symbols, bars, ..line.clone() };
        let (symbols, bars) = (line.symbols, line.bars);
        let mut smaller = Vec::new();
        for symbols in [symbols / 2, symbols - 1].into_iter().filter(|&smaller| smaller > 0) {
            smaller.push(of(symbols, bars));
        }
        for bars in [bars / 2, bars * 3 / 4, bars - 1].into_iter().filter(|&smaller| smaller >= 20) {
            smaller.push(of(symbols, bars));
        }
        if !take_first(&mut line, smaller) {
            break;
        }
    }
    let case = line.case();
    let (start, mut part) =
        (case.run.start, Part { run_end: case.run.end, traded: (0..line.symbols).collect() });
    loop {
        let mut smaller = Vec::new();
        let bars = part.run_end - start;
        for bars in [bars / 2, bars * 3 / 4, bars * 15 / 16, bars - 1] {
            if bars > 0 && start + bars < part.run_end {
                smaller.push(Part { run_end: start + bars, ..part.clone() });
            }
        }
        let symbols = part.traded.len();
        for size in [symbols / 2, 1].into_iter().filter(|&size| size > 0 && symbols > 1) {
            for without in part.traded.chunks(size) {
                let mut less = part.clone();
                less.traded.retain(|symbol| !without.contains(symbol));
                smaller.push(less);
            }
        }
        let smaller = smaller.into_iter().map(|part| Line { part: Some(part), ..line.clone() }).collect();
        if !take_first(&mut line, smaller) {
            break;
        }
        part = line.part.clone().expect("a part was taken");
    }
    let difference = differs(&line).unwrap_or_else(|| "a difference that comes and goes".to_owned());
    (line, difference)
}

/// What the other tests rely on: lines are read as they are written, cases are those of their numbers, and what differs
/// is found and made small.
#[test]
fn a_difference_is_found_and_made_small() {
    for text in ["7,3,50,64,with_options", "7,3,50,64,all_orders,40,0+2", "7,3,50,64,with_margin,40,"] {
        assert_eq!(text.parse::<Line>().unwrap().to_string(), text);
    }
    assert!("7,3,50,64,no_scope".parse::<Line>().is_err());
    assert_eq!(Line::nth(1, 5), Line::nth(1, 5));
    // Differs wherever the last symbol of at least two trades beyond the tenth bar of the run.
    let differs = |line: &Line| {
        let case = line.case();
        let traded = line.part.as_ref().is_none_or(|part| part.traded.contains(&(line.symbols - 1)));
        (line.symbols > 1 && case.run.len() > 10 && traded).then(|| "it does".to_owned())
    };
    assert!(soak(3, 5, false, &|_| None).is_ok());
    let (line, text) = soak(3, 40, false, &differs).unwrap_err();
    let part = line.part.clone().unwrap();
    assert_eq!((line.symbols, part.traded), (2, vec![1]));
    assert!(text.starts_with("it does\n"), "{text}");
    assert_eq!(line.case().run.len(), 11);
    let panics = soak(3, 2, false, &|line| if line.bars < 20 { None } else { panic!("bars {}", line.bars) });
    assert!(panics.unwrap_err().1.starts_with("bars "));
}
