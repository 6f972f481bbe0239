//! Tests with built guests: those that misbehave, each with what must happen, and honest ones.
//!
//! Here is what they share. They fail, and never skip, where the guests are not built.

mod cached;
mod misbehaving;
mod refused;
mod state;

use pawl_core::operator::Batch;
use pawl_sandbox::{Component, Engine, EngineOptions, Error, Instance, Limits};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The bytes of a plugin that `just plugins` has built.
fn plugin(name: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let path = target.join("wasm32-unknown-unknown/release").join(format!("{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `just plugins` first", path.display()))
}

/// One engine for all tests, as in a process.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    Engine::new(&EngineOptions::default()).expect("this machine runs WebAssembly")
});

/// The guest that misbehaves, compiled once.
static MISBEHAVING: LazyLock<Component> = LazyLock::new(|| {
    Component::compile(&ENGINE, &plugin("misbehaving"), &Limits::default())
        .expect("it misbehaves only when it runs")
});

/// The guest in one of its modes, under limits tight enough to be reached soon.
fn start(mode: &str) -> Result<Instance, Error> {
    let limits = Limits { time_per_call_ms: 500, memory_bytes_max: 64 << 20, ..Limits::default() };
    MISBEHAVING.instantiate(&format!(r#"{{"mode":"{mode}"}}"#), &limits)
}

/// One record per value, with a key, a time and no header.
fn batch(values: &[&str]) -> Batch {
    let mut batch = Batch { headers: vec![Default::default()], ..Batch::default() };
    for (row, value) in values.iter().enumerate() {
        batch.keys.push(Some(format!("key-{row}").as_bytes()));
        batch.values.push(Some(value.as_bytes()));
        batch.event_times.push(1_000 + row as i64);
        batch.headers[0].push(None);
    }
    batch
}
