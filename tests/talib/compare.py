"""The kernels against TA-Lib: the same values, and with --speed what an element costs in each.

Run through tests/talib/run, which provides numpy, TA-Lib and the `columns` program (kernels/examples/columns.rs).
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import talib

INPUTS = ("high", "low", "close", "volume", "benchmark")
LANE_CHUNK = 8
# Of the value or of the root mean square of the series, whichever is larger.
TOLERANCE = 1e-9
# Relative; larger than what rounding leaves of a price, smaller than any tick.
LAST_BITS = 1e-13


@dataclass
class Case:
    """A function that both have. `outputs` says which of the kernel's panels belong to TA-Lib's results, in order."""

    label: str
    kernel: str
    talib: Callable
    outputs: tuple = (0,)
    # Bars that are not compared, from a symbol's columns.
    skipped: Callable = lambda column: np.zeros(len(column["close"]), dtype=bool)
    # From TA-Lib's results to ones of the kernel's form.
    tidy: Callable = lambda results: results


def cases(n, macd, stoch, atr_n):
    """Everything both have, with period `n`; `m` is a dict of columns."""
    fast, slow, signal = macd
    fast_k, slow_k, slow_d = stoch
    bar = lambda m: (m["high"], m["low"], m["close"])
    t = talib
    return [
        Case(f"SMA({n})", f"sma {n}", lambda m: t.SMA(m["close"], n)),
        Case(f"WMA({n})", f"wma {n}", lambda m: t.WMA(m["close"], n)),
        Case(f"EMA({n})", f"ema {n}", lambda m: t.EMA(m["close"], n)),
        Case(f"RMA({n})", f"rma {n}", lambda m: t.RMA(m["close"], n)),
        Case(f"MOM({n})", f"diff {n}", lambda m: t.MOM(m["close"], n)),
        Case(f"ROC({n})", f"roc {n}", lambda m: t.ROC(m["close"], n)),
        Case(f"RSI({n})", f"rsi {n}", lambda m: t.RSI(m["close"], n)),
        Case(f"MACD({fast},{slow},{signal})", f"macd {fast} {slow} {signal}",
             lambda m: t.MACD(m["close"], fast, slow, signal), (0, 1, 2)),
        Case("TRANGE", "trange", lambda m: t.TRANGE(*bar(m))),
        Case(f"ATR({n})", f"atr {n}", lambda m: t.ATR(*bar(m), n)),
        Case(f"NATR({n})", f"natr {n}", lambda m: t.NATR(*bar(m), n)),
        Case(f"PLUS_DI({n})", f"directional {n}", lambda m: t.PLUS_DI(*bar(m), n), (0,)),
        Case(f"MINUS_DI({n})", f"directional {n}", lambda m: t.MINUS_DI(*bar(m), n), (1,)),
        Case(f"DX({n})", f"directional {n}", lambda m: t.DX(*bar(m), n), (2,)),
        Case(f"ADX({n})", f"directional {n}", lambda m: t.ADX(*bar(m), n), (3,)),
        Case(f"SUPERTREND({n},3)", f"supertrend {n} 3", lambda m: t.SUPERTREND(*bar(m), n, 3.0), (0, 1),
             tidy=as_numbers),
        Case(f"BBANDS({n},2)", f"bbands {n} 2", lambda m: t.BBANDS(m["close"], n, 2.0, 2.0), (0, 1, 2)),
        Case(f"DONCHIAN({n})", f"donchian {n}", lambda m: t.DONCHIAN(m["high"], m["low"], n), (0, 1, 2)),
        Case(f"KC({n},{atr_n},2)", f"keltner {n} {atr_n} 2", lambda m: t.KC(*bar(m), n, atr_n, 2.0), (0, 1, 2)),
        Case(f"STDDEV({n})", f"stddev {n}", lambda m: t.STDDEV(m["close"], n)),
        Case(f"VAR({n})", f"var {n}", lambda m: t.VAR(m["close"], n)),
        Case(f"STOCH({fast_k},{slow_k},{slow_d})", f"stoch {fast_k} {slow_k} {slow_d}",
             lambda m: t.STOCH(*bar(m), fast_k, slow_k, 0, slow_d, 0), (0, 1)),
        Case(f"CCI({n})", f"cci {n}", lambda m: t.CCI(*bar(m), n),
             skipped=lambda m: without_range(m, n)),
        Case(f"MFI({n})", f"mfi {n}", lambda m: t.MFI(*bar(m), m["volume"], n),
             skipped=lambda m: with_tie(m, n)),
        Case("OBV", "obv", lambda m: t.OBV(m["close"], m["volume"])),
        Case(f"CORREL({n})", f"correl {n}", lambda m: t.CORREL(m["close"], m["benchmark"], n)),
        Case(f"BETA({n})", f"beta {n}", lambda m: t.BETA(m["benchmark"], m["close"], n)),
        Case(f"MAX({n})", f"max {n}", lambda m: t.MAX(m["close"], n)),
        Case(f"MIN({n})", f"min {n}", lambda m: t.MIN(m["close"], n)),
        Case(f"SUM({n})", f"sum {n}", lambda m: t.SUM(m["close"], n)),
        Case(f"PERCENTILE({n},50)", f"percentile {n} 50", lambda m: t.PERCENTILE(m["close"], n, 50.0)),
        Case(f"PERCENTRANK({n})", f"percentrank {n}", lambda m: t.PERCENTRANK(m["close"], n)),
    ]


def as_numbers(supertrend):
    """TA-Lib's direction is an integer and 0 before the first value."""
    line, direction = supertrend
    return line, np.where(direction == 0, np.nan, direction)


class Panels:
    """Columns of symbols, some listed late, and the same as panels `[row][lane]` in files."""

    def __init__(self, columns, directory):
        """`columns`: symbol -> dict of full-length columns, NaN where there is no bar."""
        self.symbols = list(columns)
        self.rows = len(columns[self.symbols[0]]["close"])
        self.lanes = -(-len(self.symbols) // LANE_CHUNK) * LANE_CHUNK
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.present = {s: ~np.isnan(columns[s]["close"]) for s in self.symbols}
        self.compact = {
            s: {i: np.ascontiguousarray(columns[s][i][self.present[s]]) for i in INPUTS} for s in self.symbols
        }
        for name in INPUTS:
            panel = np.full((self.rows, self.lanes), np.nan)
            for lane, symbol in enumerate(self.symbols):
                panel[:, lane] = np.where(self.present[symbol], columns[symbol][name], np.nan)
            panel.astype("<f8").tofile(self.directory / f"{name}.f64")

    def columns_program(self, program, kernel):
        command = [program, "values", self.directory, str(self.lanes), *kernel.split()]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
        return done.stdout

    def output(self, index):
        return np.fromfile(self.directory / f"out{index}.f64", dtype="<f8").reshape(self.rows, self.lanes)


def walk(random, rows, level):
    """A made-up symbol: a random walk of 15-minute bars at a price level."""
    close = level * np.exp(np.cumsum(random.normal(0.0, 0.004, rows)))
    opened = np.concatenate([[level], close[:-1]])
    return {
        "high": np.maximum(opened, close) * (1.0 + random.exponential(0.001, rows)),
        "low": np.minimum(opened, close) * (1.0 - random.exponential(0.001, rows)),
        "close": close,
        "volume": random.lognormal(8.0, 1.0, rows) / level,
        "benchmark": level * np.exp(np.cumsum(random.normal(0.0, 0.003, rows))),
    }


def made_up(rows):
    """Walks at ordinary, tiny and large prices; every fourth listed late."""
    random = np.random.default_rng(20)
    columns = {}
    for style, level in (("plain", 100.0), ("tiny", 1e-6), ("large", 1e9)):
        for number in range(8):
            symbol = walk(random, rows, level)
            if number % 4 == 3:
                for column in symbol.values():
                    column[: 100 * number] = np.nan
            columns[f"{style}{number}"] = symbol
    return columns


def real(directory):
    """The real symbols of a directory on one grid of bars, with bitcoin as the benchmark."""
    files = sorted(Path(directory).glob("*_15m.csv"))
    bars = {}
    for path in files:
        with open(path, newline="") as file:
            reader = csv.DictReader(file)
            bars[path.name.removesuffix("_15m.csv")] = {
                row["ts"]: tuple(float(row[key]) for key in ("high", "low", "close", "volume")) for row in reader
            }
    grid = sorted(bars["BTCUSDT"])
    missing = (np.nan,) * 4
    columns = {}
    for symbol, by_time in bars.items():
        table = np.array([by_time.get(stamp, missing) for stamp in grid])
        columns[symbol] = {name: table[:, k].copy() for k, name in enumerate(INPUTS[:4])}
    for symbol in columns.values():
        symbol["benchmark"] = columns["BTCUSDT"]["close"]
    return columns


def typical(column):
    return (column["high"] + column["low"] + column["close"]) / 3.0


def with_tie(column, n):
    """Bars of which one of `n` changes of the typical price is one of its last bits alone.

    In decimals the price stood still, so rounding decides whether it moved. TA-Lib takes a change below its epsilon for
    none; the kernels go by the sign of the change (semantics 8.2, flat input).
    """
    price = typical(column)
    step = np.abs(np.diff(price, prepend=np.nan))
    tie = (step > 0.0) & (step <= LAST_BITS * price)
    return np.convolve(tie, np.ones(n, dtype=int))[: len(tie)] > 0


def without_range(column, n):
    """Bars whose `n` typical prices differ in their last bits alone: flat, but for rounding."""
    price = typical(column)
    return talib.MAX(price, n) - talib.MIN(price, n) <= LAST_BITS * price


def difference(expected, found, skipped):
    """The first row where two series differ, or None; and the largest difference in units of the tolerance."""
    there = ~np.isnan(expected)
    wrong = there != ~np.isnan(found)
    there &= ~skipped
    scale = np.maximum(np.abs(expected), np.sqrt(np.mean(np.square(expected[there]))) if there.any() else 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(there & ~wrong, np.abs(found - expected) / (TOLERANCE * scale), 0.0)
    # 0/0: both are 0 throughout.
    error = np.nan_to_num(error, nan=0.0)
    wrong |= error > 1.0
    return (int(np.argmax(wrong)) if wrong.any() else None), float(error.max())


def compare_values(program, panels, name, table, worst):
    failures, left_out = 0, {}
    for case in table:
        panels.columns_program(program, case.kernel)
        ours = [panels.output(index) for index in case.outputs]
        for lane, symbol in enumerate(panels.symbols):
            column = panels.compact[symbol]
            theirs = case.tidy(case.talib(column))
            theirs = theirs if isinstance(theirs, tuple) else (theirs,)
            skipped = case.skipped(column)
            if skipped.any():
                left_out[case.label] = left_out.get(case.label, 0) + int(skipped.sum())
            for index, (expected, panel) in enumerate(zip(theirs, ours)):
                found = panel[panels.present[symbol], lane]
                at, error = difference(expected, found, skipped)
                function = case.label.split("(")[0]
                worst[function] = max(worst.get(function, 0.0), error)
                if at is not None:
                    failures += 1
                    print(f"{case.label} output {index}, {name} {symbol}, bar {at}: found {float(found[at])!r}, "
                          f"TA-Lib has {float(expected[at])!r} ({error:.3g} times the tolerance at worst)")
                if not np.isnan(panel[~panels.present[symbol], lane]).all():
                    failures += 1
                    print(f"{case.label} output {index}, {name} {symbol}: found a value where there is no bar")
    for label, bars in left_out.items():
        print(f"{label}, {name}: {bars} bars not compared, their typical prices are ties but for the last bits")
    return failures


def values(program, scratch, data):
    sets = {"made up": made_up(3000)}
    if data and Path(data).is_dir():
        sets["real"] = real(data)
    else:
        print(f"no real data in {data or 'BARLOOM_DATA'}: comparing on made-up data alone")
    failures, worst = 0, {}
    for name, columns in sets.items():
        panels = Panels(columns, scratch / name.replace(" ", "-"))
        for n, macd, stoch, atr_n in PERIODS:
            failures += compare_values(program, panels, name, cases(n, macd, stoch, atr_n), worst)
        bars = sum(int(p.sum()) for p in panels.present.values())
        print(f"{name}: {len(panels.symbols)} symbols, {bars:,} bars, periods {', '.join(str(p[0]) for p in PERIODS)}")
    ordered = sorted(worst.items(), key=lambda item: -item[1])
    print("largest differences, as a share of the tolerance: "
          + ", ".join(f"{function} {error:.1g}" for function, error in ordered[:5]))
    print(f"{len(worst)} functions, {failures} failures (TA-Lib {talib.__version__})")
    return failures


PERIODS = ((3, (2, 5, 3), (3, 1, 2), 2), (14, (12, 26, 9), (5, 3, 3), 10), (97, (60, 130, 20), (40, 9, 4), 100))
USUAL = (20, (12, 26, 9), (14, 3, 3), 10)
SPEED_SYMBOLS, SPEED_ROWS, SPEED_ROUNDS = 50, 35_040, 7


def talib_pass(case, columns):
    start = time.perf_counter_ns()
    for column in columns:
        case.talib(column)
    return time.perf_counter_ns() - start


def speed(program, scratch, only):
    """TA-Lib a symbol per call, its column contiguous; the kernels all symbols at once, padding lanes not counted.

    Both stay in one process with their inputs; a round is a pass that does not count and as many that do, of each.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    random = np.random.default_rng(7)
    panels = Panels({f"S{i}": walk(random, SPEED_ROWS, 100.0) for i in range(SPEED_SYMBOLS)}, scratch / "speed")
    elements = SPEED_SYMBOLS * SPEED_ROWS
    columns = list(panels.compact.values())
    table = [case for case in cases(*USUAL) if not only or case.label.split("(")[0] in only]
    command = [program, "time", panels.directory, str(panels.lanes)]
    kernels = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    print(f"ns per element, one core: {SPEED_SYMBOLS} symbols x {SPEED_ROWS:,} bars, medians of {SPEED_ROUNDS} rounds in "
          f"alternation, TA-Lib {talib.__version__}")
    print()
    print("| function | TA-Lib | barloom | times as fast |")
    print("|---|---:|---:|---:|")
    for case in table:
        theirs, ours = [], []
        for _ in range(SPEED_ROUNDS):
            kernels.stdin.write(case.kernel + "\n")
            passes = [int(word) for word in kernels.stdout.readline().split()]
            ours.append(statistics.median(passes) / elements)
            talib_pass(case, columns)
            theirs.append(statistics.median(talib_pass(case, columns) for _ in passes) / elements)
        a, b = statistics.median(theirs), statistics.median(ours)
        print(f"| {case.label} | {a:.2f} | {b:.2f} | {a / b:.2f} |", flush=True)
    kernels.stdin.close()
    kernels.wait()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--columns", required=True, help="the columns program")
    arguments.add_argument("--data", help="directory of <symbol>_15m.csv")
    arguments.add_argument("--speed", action="store_true", help="time both instead of comparing values")
    arguments.add_argument("only", nargs="*", help="functions to time, all if none is named: EMA MACD")
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="barloom-talib-") as scratch:
        if arguments.speed:
            speed(arguments.columns, Path(scratch), arguments.only)
            return 0
        return 1 if values(arguments.columns, Path(scratch), arguments.data) else 0


if __name__ == "__main__":
    sys.exit(main())
