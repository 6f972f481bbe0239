//! What the sandbox costs: nanoseconds per record through an identity operator, best of many.
//! Run it alone: `cargo run --release -p pawl-sandbox --example cost`.

use pawl_core::operator::{Batch, Operator};
use pawl_sandbox::{Component, Engine, EngineOptions, Limits};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The identity without a header, as in the figures that are to be reached.
const PLAIN: &str = r#"{"mode":"plain"}"#;

fn main() {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let path = target.join("wasm32-unknown-unknown/release/misbehaving.wasm");
    let wasm = std::fs::read(&path).expect("run `just plugins` first");
    for fuel in [false, true] {
        let engine = Engine::new(&EngineOptions { fuel }).expect("this machine runs WebAssembly");
        let began = Instant::now();
        let limits = Limits::default();
        let component = Component::compile(&engine, &wasm, &limits).expect("it is an operator");
        println!("fuel {fuel}: compiled {} KiB in {:?}", wasm.len() >> 10, began.elapsed());
        let began = Instant::now();
        let mut instance = component.instantiate(PLAIN, &limits).expect("it takes any");
        println!("  instantiated and configured in {:?}", began.elapsed());
        for (rows, bytes) in [(1, 200), (16, 200), (256, 200), (1024, 200), (1024, 1000)] {
            let (best, middle) = measure(&mut instance, &batch(rows, bytes));
            println!("  {rows:>5} x {bytes:>4} bytes: {best:>7.1} ns best, {middle:>7.1} median");
        }
    }
}

/// Nanoseconds per record: the best call and the median.
fn measure(instance: &mut impl Operator, batch: &Batch) -> (f64, f64) {
    let began = Instant::now();
    let mut calls = Vec::new();
    while began.elapsed() < Duration::from_millis(500) {
        let call = Instant::now();
        let outcome = instance.process(batch).expect("an identity operator does not fail");
        // What is returned is freed within the time: a task does that too.
        drop(outcome);
        calls.push(call.elapsed());
    }
    calls.sort();
    let each = |call: Duration| call.as_nanos() as f64 / batch.len() as f64;
    (each(calls[0]), each(calls[calls.len() / 2]))
}

fn batch(rows: usize, bytes: usize) -> Batch {
    let mut batch = Batch::default();
    for row in 0..rows {
        batch.keys.push(Some(&(row as u64).to_le_bytes()));
        batch.values.push(Some(&vec![b'v'; bytes]));
        batch.event_times.push(row as i64);
    }
    batch
}
