//! Public kernels and the text above them, read from the sources.
//!
//! This knows how the kernels are written, not Rust: a kernel is a `pub fn` at the left margin, or a line of a macro
//! like `add, add_const = |x, y| x + y;` whose functions are spelled out in the macro.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What every kernel must say, in this order on the page.
pub const REQUIRED: [&str; 6] = ["Formula", "Shape", "Units", "Warm-up", "NaN", "Source"];
const LABELS: [&str; 8] = ["Formula", "Shape", "Units", "Warm-up", "NaN", "Source", "Time", "State"];
/// How kernels are written, not kernels.
const NO_KERNELS: [&str; 3] = ["buffer", "simd", "stream"];

pub struct Module {
    pub name: String,
    /// First paragraph of its header.
    pub header: String,
    pub kernels: Vec<Kernel>,
    /// Text of its files, tests left out.
    pub sources: Vec<String>,
    /// Functions that give the length of a state.
    pub states: usize,
}

pub struct Kernel {
    pub module: String,
    pub name: String,
    pub arguments: String,
    /// The function that gives the length of its state, with its arguments.
    pub state: Option<String>,
    pub summary: String,
    /// What stands before the first label.
    pub details: String,
    pub fields: Vec<(&'static str, String)>,
    pub example: String,
    pub from_macro: bool,
}

impl Kernel {
    pub fn path(&self) -> String {
        format!("{}::{}", self.module, self.name)
    }

    pub fn field(&self, label: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| *name == label).map(|(_, text)| text.as_str())
    }
}

/// All modules with kernels, in the order of the library.
pub fn read(source: &Path) -> Vec<Module> {
    let library = fs::read_to_string(source.join("lib.rs")).unwrap();
    library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .filter(|name| !NO_KERNELS.contains(name))
        .map(|name| read_module(source, name))
        .collect()
}

fn read_module(source: &Path, name: &str) -> Module {
    let text = |path: &Path| {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        text.split("#[cfg(test)]").next().unwrap().to_owned()
    };
    let head = text(&source.join(format!("{name}.rs")));
    let parts: Vec<String> = head
        .lines()
        .filter_map(|line| line.strip_prefix("mod ").or(line.strip_prefix("pub mod "))?.strip_suffix(';'))
        .map(|part| text(&source.join(name).join(format!("{part}.rs"))))
        .collect();
    let header = head.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let header: Vec<&str> = header.take_while(|line| !line.is_empty()).collect();
    let header = header.join(" ");
    let sources: Vec<String> = [head].into_iter().chain(parts).collect();
    let mut reader = Reader { module: name, kernels: Vec::new(), states: Vec::new() };
    for source in &sources {
        reader.file(source);
    }
    let Reader { mut kernels, states, .. } = reader;
    for kernel in &mut kernels {
        let by_text = kernel.field("State").unwrap_or_default().to_owned();
        let link = format!("[`{}`]", kernel.name);
        kernel.state = states
            .iter()
            .find(|(state, doc, _)| doc.contains(&link) || by_text.contains(&format!("[`{state}`]")))
            .map(|(_, _, signature)| signature.clone());
    }
    Module { name: name.to_owned(), header, kernels, sources, states: states.len() }
}

struct Reader<'a> {
    module: &'a str,
    kernels: Vec<Kernel>,
    /// Name, text, signature.
    states: Vec<(String, String, String)>,
}

/// Functions a macro makes of each of its lines: their arguments, and the text of the second one.
#[derive(Default)]
struct Macro {
    arguments: Vec<String>,
    text: Vec<String>,
}

impl Reader<'_> {
    fn file(&mut self, text: &str) {
        let mut macros: BTreeMap<String, Macro> = BTreeMap::new();
        let mut doc: Vec<String> = Vec::new();
        let mut within: Option<String> = None;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(name) = line.strip_prefix("macro_rules! ") {
                let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "}").collect();
                macros.insert(name.trim_end_matches(" {").to_owned(), read_macro(&body.join("\n")));
            } else if let Some(comment) = line.trim_start().strip_prefix("///") {
                doc.push(comment.strip_prefix(' ').unwrap_or(comment).to_owned());
            } else if line.starts_with("#[") {
                // An attribute stands between the text and its function.
            } else if let Some(rest) = line.strip_prefix("pub fn ") {
                let mut signature = rest.to_owned();
                while !signature.ends_with('{') {
                    signature = signature + " " + lines.next().unwrap().trim();
                }
                self.function(&signature, &doc);
                doc.clear();
            } else if line == "}" {
                within = None;
                doc.clear();
            } else if let Some(name) = line.strip_suffix("! {") {
                within = macros.contains_key(name).then(|| name.to_owned());
                doc.clear();
            } else {
                if let (Some(name), Some((names, _))) = (&within, line.split_once(" = |")) {
                    self.line_of_macro(&macros[name], names.trim(), &doc);
                }
                doc.clear();
            }
        }
    }

    fn function(&mut self, signature: &str, doc: &[String]) {
        let signature = signature.trim_end_matches(" {").replace("( ", "(").replace(", )", ")");
        let (name, arguments) = signature.split_once('(').unwrap();
        if name.ends_with("_state_len") {
            self.states.push((name.to_owned(), doc.join(" "), signature.clone()));
            return;
        }
        self.kernels.push(kernel(self.module, name, &format!("({arguments}"), doc, false));
    }

    fn line_of_macro(&mut self, made_by: &Macro, names: &str, doc: &[String]) {
        for (index, (name, arguments)) in names.split(", ").zip(&made_by.arguments).enumerate() {
            let filled: Vec<String>;
            let doc = if index == 0 {
                doc
            } else {
                let first = names.split(", ").next().unwrap();
                filled = made_by
                    .text
                    .iter()
                    .map(|line| line.replace("$name_const", name).replace("$name", first))
                    .collect();
                &filled
            };
            self.kernels.push(kernel(self.module, name, arguments, doc, true));
        }
    }
}

/// Arguments of `pub fn $name(…)` and `pub fn $name_const(…)`; the text in `#[doc = concat!(…)]` as lines.
fn read_macro(body: &str) -> Macro {
    let mut found = Macro::default();
    for line in body.lines().filter_map(|line| line.trim_start().strip_prefix("pub fn $")) {
        let arguments = line.split_once('(').unwrap().1.trim_end_matches(" {");
        found.arguments.push(format!("({arguments}"));
    }
    if let Some((_, rest)) = body.split_once("#[doc = concat!(") {
        let concat = rest.split_once(")]\n").unwrap().0;
        let mut text = String::new();
        // Literals and `stringify!($x)` by turns, the literals between quotes.
        for (index, piece) in concat.split('"').enumerate() {
            if index % 2 == 1 {
                let joined: Vec<&str> = piece.split("\\\n").collect();
                let joined =
                    joined.iter().enumerate().map(|(i, part)| if i == 0 { part } else { part.trim_start() });
                text += &joined.collect::<String>().replace("\\n", "\n");
            } else if let Some((_, name)) = piece.split_once("stringify!(") {
                text += name.split_once(')').unwrap().0;
                if let Some((_, second)) = name.split_once("stringify!(") {
                    text += second.split_once(')').unwrap().0;
                }
            }
        }
        found.text = text.lines().map(str::to_owned).collect();
    }
    found
}

fn kernel(module: &str, name: &str, arguments: &str, doc: &[String], from_macro: bool) -> Kernel {
    let (mut prose, mut example, mut in_code, mut blocks) = (Vec::new(), Vec::new(), false, 0);
    for line in doc {
        if line.starts_with("```") {
            in_code = !in_code;
            blocks += usize::from(in_code);
        } else if in_code {
            if blocks == 1 {
                example.push(line.as_str());
            }
        } else {
            prose.push(line.as_str());
        }
    }
    let prose: Vec<&str> = prose.into_iter().take_while(|line| !line.starts_with("# ")).collect();
    let mut paragraphs = prose.split(|line| line.is_empty()).filter(|lines| !lines.is_empty());
    let summary = paragraphs.next().unwrap_or_default().join(" ");
    let rest = paragraphs.map(|lines| lines.join(" ")).collect::<Vec<_>>().join(" ");
    let mut starts: Vec<(usize, &'static str)> = LABELS
        .iter()
        .filter_map(|label| {
            let (at, _) = rest
                .match_indices(&format!("{label}: "))
                .find(|(at, _)| *at == 0 || rest.as_bytes()[at - 1] == b' ')?;
            Some((at, *label))
        })
        .collect();
    starts.sort_unstable();
    let details = rest[..starts.first().map_or(rest.len(), |(at, _)| *at)].trim().to_owned();
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([rest.len()]);
    let fields = starts
        .iter()
        .zip(ends)
        .map(|(&(from, label), to)| (label, rest[from + label.len() + 2..to].trim().to_owned()))
        .collect();
    Kernel {
        module: module.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        state: None,
        summary,
        details,
        fields,
        example: example.join("\n"),
        from_macro,
    }
}
