//! Text to values: TOML and JSON by the file's extension, and the right side of `--set`.

use std::path::Path;

use serde_json::{Map, Number, Value};

use super::judge::{amend, display};
use crate::Result;
use crate::error::{BadInput, io_error};

/// A config file as a tree of tables.
pub(super) fn read_file(path: &Path) -> Result<Map<String, Value>> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let parse = match extension.as_str() {
        "toml" => parse_toml,
        "json" => parse_json,
        _ => {
            return Err(BadInput::expected("a config that ends in .toml or .json")
                .file(path)
                .found(format!("the extension {extension:?}"))
                .fix("rename the file")
                .into());
        }
    };
    let bytes = std::fs::read(path).map_err(|source| io_error(path, "reading", source))?;
    let text = String::from_utf8(bytes).map_err(|fault| {
        let good = &fault.as_bytes()[..fault.utf8_error().valid_up_to()];
        BadInput::expected("UTF-8 text")
            .file(path)
            .row(1 + good.iter().filter(|&&byte| byte == b'\n').count() as u64)
            .found("a byte that is not UTF-8")
            .fix("save the file as UTF-8")
    })?;
    parse(text.strip_prefix('\u{feff}').unwrap_or(&text)).map_err(|error| amend(error, |bad| bad.file(path)))
}

fn parse_toml(text: &str) -> Result<Map<String, Value>> {
    let table: toml::Table = text.parse().map_err(|fault: toml::de::Error| {
        let at = fault.span().map_or(text.len(), |span| span.start.min(text.len()));
        let before = &text.as_bytes()[..at];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let column = 1 + String::from_utf8_lossy(&before[line_start..]).chars().count();
        syntax_fault("TOML", fault.message(), line, column)
    })?;
    table.into_iter().map(|(key, value)| Ok((key.clone(), from_toml(&key, value)?))).collect()
}

fn parse_json(text: &str) -> Result<Map<String, Value>> {
    let value: Value = serde_json::from_str(text).map_err(|fault| {
        let message = fault.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        syntax_fault("JSON", message, fault.line() as u64, fault.column())
    })?;
    match value {
        Value::Object(tables) => Ok(tables),
        other => Err(BadInput::expected("a JSON object of tables").found(display(&other)).into()),
    }
}

fn syntax_fault(language: &str, message: &str, line: u64, column: usize) -> BadInput {
    BadInput::expected(format!("valid {language}")).row(line).found(format!("{message} at column {column}"))
}

/// TOML to JSON values; `key` is for the message.
fn from_toml(key: &str, value: toml::Value) -> Result<Value> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(n) => Value::from(n),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(stamp) => Value::String(stamp.to_string()),
        toml::Value::Float(x) => match Number::from_f64(x) {
            Some(number) => Value::Number(number),
            None => return Err(BadInput::expected("a finite number").key(key).found(x.to_string()).into()),
        },
        toml::Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| from_toml(key, item)).collect::<Result<_>>()?)
        }
        toml::Value::Table(table) => Value::Object(
            table
                .into_iter()
                .map(|(name, value)| {
                    let value = from_toml(&format!("{key}.{name}"), value)?;
                    Ok((name, value))
                })
                .collect::<Result<_>>()?,
        ),
    })
}

/// The right side of `--set key=value`: a TOML value, or else the text as it stands.
pub(super) fn set_value(key: &str, text: &str) -> Result<Value> {
    // The parser wants a document; two keys in it would be a line break smuggled into the value.
    match format!("value = {text}\n").parse::<toml::Table>() {
        Ok(mut table) if table.len() == 1 => match table.remove("value") {
            Some(value) => from_toml(key, value),
            None => Ok(Value::from(text)),
        },
        _ => Ok(Value::from(text)),
    }
}
