//! The identity operator through the sandbox: what crossing the border costs.

use crate::{Figure, VALUE_BYTES, measure};
use pawl_core::operator::{Batch, Operator};
use pawl_sandbox::{Component, Engine, EngineOptions, Limits};
use std::hint::black_box;
use std::path::PathBuf;

/// A batch of records with keys of 8 and values of `VALUE_BYTES` bytes.
pub fn batch(records: usize) -> Batch {
    let mut batch = Batch::default();
    let value = [b'x'; VALUE_BYTES];
    for record in 0..records {
        batch.keys.push(Some(format!("{record:08}").as_bytes()));
        batch.values.push(Some(&value));
        batch.event_times.push(record as i64);
    }
    batch
}

/// What copying a batch costs: the least that two crossings could cost is twice that.
pub fn copy() -> Figure {
    let batch = batch(1024);
    let mut into = Batch::default();
    measure(2000, 1024, || {
        into.keys.clear();
        into.values.clear();
        into.event_times.clear();
        into.keys.extend_rows(&batch.keys, 0, 1024);
        into.values.extend_rows(&batch.values, 0, 1024);
        into.event_times.extend_from_slice(&batch.event_times);
        black_box(&into);
    })
}

/// The identity plugin for several sizes of batches.
pub fn identity() -> Result<Vec<(String, Figure)>, String> {
    let path = plugin("identity.wasm")?;
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let engine = Engine::new(&EngineOptions::default()).map_err(|error| error.to_string())?;
    let limits = Limits::default();
    let component =
        Component::compile(&engine, &bytes, &limits).map_err(|error| error.to_string())?;
    let mut figures = Vec::new();
    for records in [1, 16, 64, 256, 1024] {
        let mut instance =
            component.instantiate("{}", &limits).map_err(|error| error.to_string())?;
        let batch = batch(records);
        instance.process(&batch).map_err(|failure| failure.message().to_owned())?;
        let figure = measure(200_000 / (records + 63), records, || {
            black_box(instance.process(black_box(&batch)).is_ok());
        });
        figures.push((format!("identity through the sandbox, batch of {records}"), figure));
    }
    Ok(figures)
}

/// Where `just plugins` puts plugins: beside this program's folder.
fn plugin(name: &str) -> Result<PathBuf, String> {
    let me = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = me.parent().and_then(|release| release.parent());
    let path = target
        .ok_or("the program lies in no target folder")?
        .join("wasm32-unknown-unknown/release")
        .join(name);
    if path.is_file() { Ok(path) } else { Err(format!("no {}: run just plugins", path.display())) }
}
