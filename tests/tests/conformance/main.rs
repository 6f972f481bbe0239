//! The conformance kit held to plugins: every mistake of `plugins/misbehaving/mutants` is found by
//! the law that it breaks and by no other, honest plugins pass, and the command says what it found.

#[cfg(test)]
mod command;
#[cfg(test)]
mod honest;
#[cfg(test)]
mod mutants;

use pawl_conformance::{Plan, Report, Sample};
use pawl_tests::Random;
use std::time::Duration;

/// A plan for a built plugin, which takes seconds.
fn plan(plugin: &str, config: &str, samples: Vec<Sample>) -> Plan {
    let path = pawl_tests::folder::plugins().join(format!("{plugin}.wasm"));
    let bytes = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `just plugins` first", path.display()));
    Plan {
        bytes,
        config: config.to_owned(),
        samples,
        records_max: 1_000,
        laws: Vec::new(),
        seed: 1,
        limits: pawl_service::sandbox_limits(&pawl_pipeline::Limits::default()),
        // Far more than it takes: neighbours are noisy.
        time_max: Duration::from_secs(600),
        replay: String::new(),
    }
}

fn run(plan: &Plan) -> Report {
    pawl_conformance::run(plan, &mut |_| {}).expect("the configuration is taken")
}

/// The ids of the laws that ended like that.
fn ended(report: &Report, outcome: &str) -> Vec<String> {
    let those = report.laws.iter().filter(|checked| checked.outcome.name() == outcome);
    those.map(|checked| checked.law.id()).collect()
}

/// Records of people as the mutants take them, two of them with the word at which some trap, and
/// some that are refused.
fn people() -> Vec<Sample> {
    let mut random = Random::new(4);
    let names = ["ada", "bob", "cy", "dora", "eve ä", "fred", "gus", "hal", "ina", "jo", "kim"];
    let mut now = 1_700_000_000_000;
    (0..120)
        .map(|number| {
            now += random.below(400) as i64;
            let name = match number {
                40 | 90 => "boom",
                _ => names[random.below(names.len() as u64) as usize],
            };
            let value = match number % 30 {
                7 => format!(r#"{{"name":"{name}"}}"#),
                _ => format!(r#"{{"name":"{name}","n":{}}}"#, random.below(1_000)),
            };
            let late = [0, 0, 0, 150][random.below(4) as usize];
            let trace = ("trace".to_owned(), format!("t{number}").into_bytes());
            Sample {
                name: format!("person {number}"),
                key: Some(name.as_bytes()[..2].to_vec()),
                value: Some(value.into_bytes()),
                event_time: Some(now - late),
                headers: if number % 3 > 0 { vec![trace] } else { Vec::new() },
            }
        })
        .collect()
}
