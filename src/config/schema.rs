//! The JSON Schema of the config and the file with every default, both generated from the spec's structs.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::spec::Spec;
use super::{judge, keys};

/// JSON Schema (draft 2020-12) of a config file: what `barloom schema` prints and `config/schema.json` holds.
///
/// Every key has its description, default, type and range, its unit (`x-unit`) and section of the semantics
/// (`x-semantics`); a key of which this version knows only some values names them (`x-accepted-now`, `x-not-yet`).
pub fn schema() -> Value {
    let mut root = raw();
    keys::for_each_leaf(&mut root, &mut |_, leaf| {
        let Some(note) = judge::version_note(leaf) else { return };
        let description = leaf.get("description").and_then(Value::as_str).unwrap_or_default();
        leaf["description"] = format!("{description} For now only {note}.").into();
    });
    root["title"] = "Barloom config".into();
    root["properties"]["$schema"] = json!({ "description": "Where this schema is.", "type": "string" });
    root
}

/// The schema as the structs give it.
pub(super) fn raw() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Spec>().to_value()
}

/// `config/base_params.json`: every key with its default.
pub fn base_params() -> Value {
    let mut file = Map::new();
    file.insert("$schema".into(), "schema.json".into());
    if let Value::Object(tables) = Spec::default().to_json() {
        file.extend(tables);
    }
    Value::Object(file)
}
