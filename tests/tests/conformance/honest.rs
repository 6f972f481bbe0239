//! Plugins that keep the contract pass, with real samples, under several seeds, and without
//! samples: there nothing fails, and what saw nothing says so.

use crate::{ended, people, plan, run};
use pawl_conformance::{Law, Sample};
use pawl_tests::Folder;
use serde_json::Value;

/// The reference pipeline, as it is in the tree, with its data in the test's own folder.
const PIPELINE: &str = include_str!("../../../pipelines/conjunctions.toml");

#[track_caller]
fn passes(plan: &pawl_conformance::Plan, not_shown: &[Law]) {
    let report = run(plan);
    let name = report.plugin.clone();
    let ids: Vec<String> = not_shown.iter().map(|law| law.id()).collect();
    assert_eq!(ended(&report, "failed"), Vec::<String>::new(), "{name:?}: {:#?}", report.laws);
    assert_eq!(ended(&report, "not-shown"), ids, "{name:?}: {:#?}", report.laws);
}

#[test]
fn the_honest_operator_among_the_mutants_passes_under_any_seed() {
    for seed in 1..=6 {
        let mut plan = plan("misbehaving_mutants", r#"{"window_ms":1000}"#, people());
        plan.seed = seed;
        passes(&plan, &[]);
    }
}

#[test]
fn identity_passes_with_nothing_given() {
    passes(&plan("identity", "{}", Vec::new()), &[]);
}

#[test]
fn values_larger_than_a_batch_together_are_no_fault() {
    let samples = (0..20).map(|number: i64| Sample {
        name: format!("large {number}"),
        key: Some(format!("k{}", number % 3).into_bytes()),
        value: Some(format!("{number}").repeat(200_000).into_bytes()),
        event_time: Some(1_700_000_000_000 + number * 500),
        headers: Vec::new(),
    });
    // Damaged ones are made of samples that are smaller.
    passes(&plan("identity", "{}", samples.collect()), &[Law::MutatedRecords]);
}

#[test]
fn the_last_value_of_each_key_passes() {
    passes(&plan("changes", "{}", people()), &[]);
}

#[test]
fn what_takes_its_times_out_of_the_payload_is_not_judged_by_event_times() {
    let samples = (0..80).map(|number: i64| {
        // The parser stands before the watermark: what the log says lies years behind.
        let value = format!(
            r#"{{"schema_version":1,"observation_id":"o{number}","sensor_id":"s{}",
            "sensor_kind":"radar","object_id":{},"observed_at":"2009-02-10T16:5{}:{:02}.000Z",
            "frame":"TEME","position_km":[7000,1,2],"velocity_km_s":[0,7.5,0],
            "position_sigma_km":0.5}}"#,
            number % 3,
            number % 5,
            number / 60,
            number % 60
        );
        Sample {
            name: format!("observation {number}"),
            key: Some(b"k".to_vec()),
            value: Some(value.into_bytes()),
            event_time: Some(1_700_000_000_000 + number * 100),
            headers: Vec::new(),
        }
    });
    let report = run(&plan("sda_normalize", "{}", samples.collect()));
    assert_eq!(ended(&report, "failed"), Vec::<String>::new(), "{:#?}", report.laws);
    assert_eq!(ended(&report, "not-shown"), [Law::Delay.id()], "{:#?}", report.laws);
}

#[test]
fn windows_over_observations_pass() {
    let samples = (0..300).map(|number: i64| {
        let time = 1_700_000_000_000 + number * 90;
        let value = format!(
            r#"{{"sensor_id":"s{}","cell":"c{}","x":{}.5,"y":-1,"z":2.25}}"#,
            number % 3,
            number % 7,
            number
        );
        Sample {
            name: format!("observation {number}"),
            key: Some(format!("c{}", number % 7).into_bytes()),
            value: Some(value.into_bytes()),
            event_time: Some(time),
            headers: Vec::new(),
        }
    });
    let config = r#"{"min_sensors":2,"window_ms":1000}"#;
    passes(&plan("count_window", config, samples.collect()), &[]);
}

#[test]
fn where_no_record_is_accepted_nothing_fails_and_laws_about_outputs_are_not_shown() {
    let config = r#"{"min_sensors":2,"window_ms":1000}"#;
    let silent = [
        Law::SecondInstance,
        Law::BatchSize,
        Law::Causes,
        Law::EmptyBatch,
        Law::Restore,
        Law::EqualParts,
        Law::Unchanged,
        Law::Delay,
        Law::Ahead,
        Law::Memory,
        Law::Ids,
    ];
    passes(&plan("count_window", config, Vec::new()), &silent);
}

#[test]
fn the_operators_of_the_reference_pipeline_pass_on_what_they_get_there() {
    let pipeline = PIPELINE.replace("../target/wasm32-unknown-unknown/release", "PLUGINS");
    let pipeline = pipeline.replace("../data/conjunctions", "data");
    assert!(!pipeline.contains("config ="), "give it to the plugin here, too");
    // One partition each, so that all a task gets lies in order in one place.
    let folder = Folder::new("conformance", &pipeline.replace("partitions = 4", "partitions = 1"));
    let observations = folder.pawl(&["demo", "observations"], b"").success();
    let given = String::from_utf8(observations.out).expect("observations are text");
    folder.produce("observations", &given);
    folder.run(&["--close-windows"]).success();
    for (plugin, topic, records_max, not_shown) in [
        // A parser's emissions bear times out of the payload; nobody says here where they stand.
        ("sda_normalize", "observations", "300", vec!["CF-21"]),
        ("sda_cell", "cells", "300", vec![]),
        ("sda_correlate", "cells", "1200", vec![]),
        ("sda_encounter", "candidates", "300", vec![]),
    ] {
        let consumed = folder.pawl(&["consume", "-p", "p.toml", topic, "--json"], b"").success();
        folder.write("samples.jsonl", &consumed.out);
        let file = pawl_tests::folder::plugins().join(format!("{plugin}.wasm"));
        let file = file.display().to_string();
        let limits = ["--time-per-call-ms", "10000", "--memory-bytes-max", "1073741824"];
        let given = ["conformance", &file, "--input", "samples.jsonl", "--json"];
        let ended =
            folder.pawl(&[&given[..], &["--records-max", records_max], &limits[..]].concat(), b"");
        let report: Value = serde_json::from_slice(&ended.out).expect("one JSON object");
        let ended_so = |outcome: &str| -> Vec<&str> {
            let laws = report["laws"].as_array().into_iter().flatten();
            let those = laws.filter(|law| law["outcome"] == outcome);
            those.filter_map(|law| law["id"].as_str()).collect()
        };
        assert_eq!(ended_so("failed"), Vec::<&str>::new(), "{report:#}");
        assert_eq!(ended_so("not-shown"), not_shown, "{report:#}");
        assert_eq!(ended.code, Some(0));
    }
}
