//! The page: two indexes, then a section per module and an entry per kernel.

use std::fmt::Write;

use barloom::signals::{FunctionDoc, function_list};

use super::kernels::{Kernel, Module, REQUIRED};

/// Functions of the rules whose kernel has another name.
const RENAMED: [(&str, &str); 7] = [
    ("adx", "trend::directional"),
    ("dx", "trend::directional"),
    ("plus_di", "trend::directional"),
    ("minus_di", "trend::directional"),
    ("where", "elementwise::select"),
    ("liquidity_ratio", "liquidity::activity_ratio"),
    ("liquidity_regime", "liquidity::regimes"),
];

/// Operators of the rules.
const OPERATORS: [(&str, &str); 14] = [
    ("neg", "-x"),
    ("add", "a + b"),
    ("sub", "a - b"),
    ("mul", "a * b"),
    ("div", "a / b"),
    ("lt_mask", "a < b"),
    ("le_mask", "a <= b"),
    ("gt_mask", "a > b"),
    ("ge_mask", "a >= b"),
    ("eq_mask", "a == b"),
    ("ne_mask", "a != b"),
    ("and_mask", "a and b"),
    ("or_mask", "a or b"),
    ("not_mask", "not a"),
];

const HEAD: &str = "\
# Indicators and kernels

<!-- Generated from the text above each kernel in kernels/src: `UPDATE_GOLDEN=1 cargo test --test indicator_docs`. -->

What the functions of the rules and the kernels of [`barloom-kernels`](../kernels/README.md) compute. In rules, an
indicator is a function of the columns (`ema(close, 20)`); in Rust it is a function over slices.

- A panel is `[row][lane]`: a row is a bar, a lane a symbol, lanes come in whole chunks of 8. A mask is `[row][word]`,
  bit = lane.
- *Warm-up* counts the present bars of a symbol from 0: \"first value at index `n-1`\" is the `n`-th bar it has.
- *NaN* is a missing bar. \"missing bar\" means: the output is NaN there too, and the indicator goes on with the next bar
  that is there, as if the missing one had not been. With several inputs a bar is missing where any of them is.
- A window holds the last `n` present bars, and its value depends on nothing else.
- A *state* belongs to one series: as many zeros as its function says are the start, and each call goes on where the last
  one ended, with the same bits as one call over everything.
";

fn anchor(kernel: &Kernel) -> String {
    format!("#{}{}", kernel.module, kernel.name)
}

struct Book<'a> {
    modules: &'a [Module],
    functions: &'static [FunctionDoc],
}

impl<'a> Book<'a> {
    fn kernels(&self) -> impl Iterator<Item = &'a Kernel> {
        self.modules.iter().flat_map(|module| &module.kernels)
    }

    /// The kernel behind a function: renamed, `rolling_x` in module `rolling`, of the same name, or the longest name the
    /// function's begins with (`bbands_upper`).
    fn kernel_of(&self, function: &str) -> Option<&'a Kernel> {
        let by_path = |path: &str| self.kernels().find(|kernel| kernel.path() == path);
        if let Some((_, path)) = RENAMED.iter().find(|(name, _)| *name == function) {
            return by_path(path);
        }
        let in_family =
            function.split_once('_').and_then(|(module, name)| by_path(&format!("{module}::{name}")));
        let same = || self.kernels().find(|kernel| kernel.name == function);
        let begins = |kernel: &&Kernel| {
            function.strip_prefix(kernel.name.as_str()).is_some_and(|rest| rest.starts_with('_'))
        };
        in_family
            .or_else(same)
            .or_else(|| self.kernels().filter(begins).max_by_key(|kernel| kernel.name.len()))
    }

    fn functions_of(&self, kernel: &Kernel) -> Vec<&'static FunctionDoc> {
        let is = |function: &&FunctionDoc| {
            self.kernel_of(function.name).is_some_and(|k| k.path() == kernel.path())
        };
        self.functions.iter().filter(is).collect()
    }

    /// Links between items become links on the page.
    fn linked(&self, module: &str, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("[`") {
            let (path, after) = after.split_once("`]").expect("a link ends");
            let name = path.rsplit("::").next().unwrap();
            let mut named = self.kernels().filter(|kernel| kernel.name == name).collect::<Vec<_>>();
            named.sort_by_key(|kernel| kernel.module != module);
            out += before;
            match named.first() {
                Some(kernel) => write!(out, "[`{name}`]({})", anchor(kernel)).unwrap(),
                None => write!(out, "`{name}`").unwrap(),
            }
            rest = after;
        }
        out + rest
    }

    fn index_of_functions(&self, out: &mut String) {
        *out += "\n## By function of the rules\n\n`barloom features --list` shows the same.\n\n";
        *out += "| function | unit | what it is | kernel |\n|---|---|---|---|\n";
        for function in self.functions {
            let kernel = self.kernel_of(function.name);
            let kernel = kernel.map_or("–".to_owned(), |k| format!("[`{}`]({})", k.path(), anchor(k)));
            let FunctionDoc { signature, unit, summary, .. } = function;
            writeln!(out, "| `{signature}` | {unit} | {summary} | {kernel} |").unwrap();
        }
    }

    fn index_of_kernels(&self, out: &mut String) {
        *out += "\n## By kernel\n\n| module | kernels |\n|---|---|\n";
        for module in self.modules {
            let links: Vec<String> = module
                .kernels
                .iter()
                .map(|kernel| format!("[`{}`]({})", kernel.name, anchor(kernel)))
                .collect();
            writeln!(out, "| [`{0}`](#{0}) | {1} |", module.name, links.join(" ")).unwrap();
        }
    }

    fn entry(&self, kernel: &Kernel, out: &mut String) {
        write!(out, "\n### `{}`\n\n{}", kernel.path(), self.linked(&kernel.module, &kernel.summary)).unwrap();
        if !kernel.details.is_empty() {
            write!(out, " {}", self.linked(&kernel.module, &kernel.details)).unwrap();
        }
        *out += "\n\n";
        let mut in_rules: Vec<String> =
            self.functions_of(kernel).iter().map(|f| format!("`{}`", f.signature)).collect();
        if kernel.module == "elementwise" {
            let operators = OPERATORS.iter().filter(|(name, _)| *name == kernel.name);
            in_rules.extend(operators.map(|(_, text)| format!("`{text}`")));
        }
        if !in_rules.is_empty() {
            writeln!(out, "- **Rules**: {}", in_rules.join(", ")).unwrap();
        }
        writeln!(out, "- **Rust**: `{}{}`", kernel.name, kernel.arguments).unwrap();
        if let Some(state) = &kernel.state {
            writeln!(out, "- **State**: `{state}`").unwrap();
        }
        for label in REQUIRED.iter().chain(&["Time"]) {
            if let Some(text) = kernel.field(label) {
                let text = self.linked(&kernel.module, text);
                writeln!(out, "- **{label}**: {}", text.trim_end_matches('.')).unwrap();
            }
        }
        writeln!(out, "\n```rust\n{}\n```", kernel.example).unwrap();
    }
}

pub fn render(modules: &[Module]) -> String {
    let book = Book { modules, functions: function_list() };
    let mut out = HEAD.to_owned();
    book.index_of_functions(&mut out);
    book.index_of_kernels(&mut out);
    for module in modules {
        write!(out, "\n## {}\n\n{}\n", module.name, book.linked(&module.name, &module.header)).unwrap();
        for kernel in &module.kernels {
            book.entry(kernel, &mut out);
        }
    }
    out
}
