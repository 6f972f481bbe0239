//! What the cache of compiled components spares a start: milliseconds to compile each plugin
//! named, to compile and keep it, and to load it, best and median of some.
//! `cargo run --release -p pawl-sandbox --example cached sda_normalize sda_encounter sda_cell`

use pawl_sandbox::{Cache, Component, Engine, EngineOptions, Limits};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn main() {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let folder = std::env::temp_dir().join(format!("pawl-cached-{}", std::process::id()));
    let cache = Cache::new(&folder);
    let engine = Engine::new(&EngineOptions::default()).expect("this machine runs WebAssembly");
    let limits = Limits::default();
    for name in std::env::args().skip(1) {
        let path = target.join("wasm32-unknown-unknown/release").join(format!("{name}.wasm"));
        let wasm = std::fs::read(&path).expect("run `just plugins` first");
        let cached = || {
            Component::compile_cached(&engine, &wasm, &limits, &cache).expect("it is an operator")
        };
        let compiled = measure(5, || {
            drop(Component::compile(&engine, &wasm, &limits).expect("it is an operator"));
        });
        let kept = measure(5, || {
            std::fs::remove_dir_all(&folder).unwrap_or_default();
            assert!(!cached().loaded);
        });
        let loaded = measure(50, || assert!(cached().loaded));
        let entries = std::fs::read_dir(&folder).expect("it was just kept");
        let bytes: u64 =
            entries.flatten().flat_map(|entry| entry.metadata()).map(|d| d.len()).sum();
        println!("{name}: {} KiB, compiled {} KiB", wasm.len() >> 10, bytes >> 10);
        for (what, (best, median)) in [("compile", compiled), ("and keep", kept), ("load", loaded)]
        {
            println!("  {what:>8}: {best:>8.2} ms best, {median:>8.2} median");
        }
    }
    std::fs::remove_dir_all(&folder).unwrap_or_default();
}

/// Milliseconds: the best run and the median.
fn measure(runs: usize, mut run: impl FnMut()) -> (f64, f64) {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..runs {
        let began = Instant::now();
        run();
        times.push(began.elapsed());
    }
    times.sort();
    (times[0].as_secs_f64() * 1e3, times[runs / 2].as_secs_f64() * 1e3)
}
