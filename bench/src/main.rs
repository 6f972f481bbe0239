//! The first benchmarks: what a record costs at the sandbox's border and in the host beside it.
//!
//! All are run in one process in turns, and each figure is the minimum over many rounds, so that
//! the ratios stand on a noisy machine; absolute times hold for the machine of the day only.
//! `just bench` builds what is needed and runs it; `just bench host` or `just bench sandbox` runs a
//! part.

mod allocations;
mod host;
mod sandbox;

use std::time::Instant;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// Bytes of a record's value.
const VALUE_BYTES: usize = 200;

/// One figure: nanoseconds and allocations for each record, at best.
#[derive(Clone, Copy)]
struct Figure {
    ns: f64,
    allocations: f64,
}

/// Runs `work` on `records` records at a time, `rounds` times, and keeps the best.
fn measure(rounds: usize, records: usize, mut work: impl FnMut()) -> Figure {
    let mut best = Figure { ns: f64::MAX, allocations: f64::MAX };
    for _ in 0..rounds {
        let (start, before) = (Instant::now(), allocations::count());
        work();
        let ns = start.elapsed().as_nanos() as f64 / records as f64;
        let made = (allocations::count() - before) as f64 / records as f64;
        best.ns = best.ns.min(ns);
        best.allocations = best.allocations.min(made);
    }
    best
}

fn main() {
    println!("values of {VALUE_BYTES} bytes; ns and allocations per record, minima\n");
    let copy = sandbox::copy();
    println!("{:44} {:>9} {:>12} {:>8}", "", "ns", "allocations", "ratio");
    let show = |name: &str, figure: Figure| {
        let ratio = figure.ns / copy.ns;
        println!("{name:44} {:9.1} {:12.3} {ratio:8.1}", figure.ns, figure.allocations);
    };
    show("copy of a batch of 1024 (the unit of ratios)", copy);
    let wanted = |part: &str| std::env::args().nth(1).is_none_or(|named| named == part);
    if wanted("sandbox") {
        match sandbox::identity() {
            Ok(figures) => figures.iter().for_each(|(name, figure)| show(name, *figure)),
            Err(why) => {
                eprintln!("the sandbox was not measured: {why}");
                std::process::exit(1);
            }
        }
    }
    if wanted("host") {
        let (figures, bytes) = host::beside_the_guest();
        figures.iter().for_each(|(name, figure)| show(name, *figure));
        println!("\ndedup window of {} ids: {bytes:.1} bytes per id", host::IDS);
    }
}
