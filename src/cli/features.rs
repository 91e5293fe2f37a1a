//! `barloom features`.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use barloom::data::LoadOptions;
use barloom::error::{BadInput, Result};
use barloom::market::{Market, Tile};
use barloom::reporting::{TableSink, text_table};
use barloom::signals::{Expr, feature_columns, function_list, parse_expr};
use serde_json::json;

use super::args::FeaturesArgs;
use super::data::{bar_ms, open};
use super::output::Output;
use super::progress;

/// Bars evaluated and written at a time.
const TILE_BARS: usize = 1024;

pub(super) fn features(args: &FeaturesArgs, output: &Output) -> Result<()> {
    if args.list {
        return list(output);
    }
    let (Some(data), Some(out)) = (&args.data, &args.out) else {
        return Err(BadInput::expected("--data and --out").found("neither").into());
    };
    let exprs = args.exprs.iter().map(|text| parse_expr(text)).collect::<Result<Vec<Expr>>>()?;
    let options = LoadOptions {
        store_dir: args.store.clone(),
        bar_ms: bar_ms(&args.bar)?,
        verify_store: true,
        ..LoadOptions::default()
    };
    let market = open(data, &args.symbols, &options, output)?;
    output.warnings(&market.warnings);
    let mut fields = vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
        Field::new("symbol", DataType::Utf8, false),
    ];
    for text in &args.exprs {
        if fields.iter().any(|field| field.name() == text) {
            return Err(BadInput::expected("each column once")
                .key("--expr")
                .found(format!("'{text}' twice"))
                .into());
        }
        fields.push(Field::new(text, DataType::Float64, true));
    }
    let schema = Arc::new(Schema::new(fields));
    let mut sink = TableSink::create(out, Arc::clone(&schema))?;
    let bar = progress::bar(output, market.grid.bars as u64, "bars");
    let mut rows = 0;
    feature_columns(&market, &exprs, TILE_BARS, &mut |tile, panels| {
        let batch = batch(&market, tile, panels, &schema);
        rows += batch.num_rows();
        bar.set_position((tile.bar0 + tile.rows) as u64);
        sink.write(&batch)
    })?;
    sink.finish()?;
    bar.finish_and_clear();
    let text = format!("{rows} rows × {} columns written to {}\n", exprs.len(), out.display());
    output.result(&text, &json!({ "rows": rows, "columns": args.exprs, "out": out }));
    Ok(())
}

/// The present bars of a tile as rows, by time and then symbol.
fn batch(market: &Market, tile: &Tile<'_>, panels: &[&[f64]], schema: &Arc<Schema>) -> RecordBatch {
    let mut places = Vec::with_capacity(tile.rows * tile.symbols);
    for row in 0..tile.rows {
        places.extend(
            (0..tile.symbols)
                .filter(|&symbol| tile.bit(tile.present, row, symbol))
                .map(|symbol| (row, symbol)),
        );
    }
    let stamps = places.iter().map(|&(row, _)| market.grid.open_ms(tile.bar0 + row));
    let names = places.iter().map(|&(_, symbol)| market.symbols[symbol].name.as_str());
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMillisecondArray::from_iter_values(stamps).with_timezone("UTC")),
        Arc::new(StringArray::from_iter_values(names)),
    ];
    for panel in panels {
        let value =
            |&(row, symbol): &(usize, usize)| Some(panel[row * tile.lanes + symbol]).filter(|v| !v.is_nan());
        columns.push(Arc::new(places.iter().map(value).collect::<Float64Array>()));
    }
    RecordBatch::try_new(Arc::clone(schema), columns).expect("columns fit the schema made for them")
}

fn list(output: &Output) -> Result<()> {
    let functions = function_list();
    let rows: Vec<Vec<String>> = functions
        .iter()
        .map(|f| vec![f.signature.to_string(), f.unit.to_string(), f.summary.to_string()])
        .collect();
    let document: Vec<_> = functions
        .iter()
        .map(|f| json!({ "name": f.name, "signature": f.signature, "unit": f.unit, "summary": f.summary }))
        .collect();
    output.result(&text_table(&["function", "unit", "what it gives"], &rows, 100), &document.into());
    Ok(())
}
