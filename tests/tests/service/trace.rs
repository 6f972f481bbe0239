//! `pawl trace`: from an alert back to the observations that it rests on.

use pawl_sensors::{SensorOptions, collision_2009, make_observations, time};
use pawl_tests::Folder;
use serde_json::Value;

const PIPELINE: &str = include_str!("../../../pipelines/conjunctions.toml");

/// Runs the pipeline over the collision of 2009. Gives the alert's id.
fn alerted(folder: &Folder) -> String {
    let options = SensorOptions {
        start_ns: time::parse("2009-02-10T16:54:30Z").unwrap(),
        duration_s: 120,
        duplicate_share: 0.2,
        disorder_s: 10,
        corrupt_share: 0.02,
        ..SensorOptions::default()
    };
    let lines = make_observations(&collision_2009(), &options).unwrap();
    let lines: Vec<u8> = lines.flat_map(|line| [&line.value[..], b"\n"].concat()).collect();
    folder.pawl(&["produce", "-p", "p.toml", "observations"], &lines).success();
    folder.run(&["--until-idle", "--close-windows"]).success();
    let alerts = folder.stored().texts("alerts");
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert: Value = serde_json::from_str(&alerts[0]).unwrap();
    alert["alert_id"].as_str().unwrap().to_owned()
}

fn world(name: &str, retention: &str) -> Folder {
    let pipeline = PIPELINE
        .replace("../target/wasm32-unknown-unknown/release", "PLUGINS")
        .replace("../data/conjunctions", "data")
        .replace(
            "key = { field = \"/object_id\" }",
            &format!("key = {{ field = \"/object_id\" }}\n{retention}"),
        );
    Folder::new(name, &pipeline)
}

#[test]
fn an_alert_leads_back_to_the_very_records_that_it_rests_on() {
    let folder = world("trace", "retention_ms = 3600000");
    let id = alerted(&folder);
    let traced = folder.pawl(&["trace", "-p", "p.toml", &id, "--json"], b"").success();
    let trace: Value = serde_json::from_slice(&traced.out).unwrap();
    let alert: Value = serde_json::from_str(trace["record"]["value"].as_str().unwrap()).unwrap();
    let named: Vec<&str> = alert["observation_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    let origins = trace["origins"].as_array().unwrap();
    assert!(named.len() > 8 && origins.len() == named.len(), "{trace}");
    for (origin, id) in origins.iter().zip(&named) {
        // The row at the place told is that observation, in its sender's own bytes.
        assert!(origin["place"].as_str().unwrap().starts_with("observations/"));
        let row: Value = serde_json::from_str(origin["value"].as_str().unwrap()).unwrap();
        assert_eq!(row["observation_id"].as_str(), Some(*id), "{origin}");
    }
    let stages: Vec<&str> =
        trace["way"].as_array().unwrap().iter().map(|one| one["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["observe", "correlate", "encounter"]);
    let text = folder.pawl(&["trace", "-p", "p.toml", &id], b"").success().text();
    for says in ["sda-normalize", "sda-cell", "sda-correlate", "sda-encounter", named[0]] {
        assert!(text.contains(says), "{says} in\n{text}");
    }
}

#[test]
fn what_is_not_there_is_said_and_what_is_no_longer_kept_is_still_named() {
    let folder = world("trimmed", "");
    let id = alerted(&folder);
    folder.pawl(&["trace", "-p", "p.toml", "nobody"], b"").fails(2, &["nobody"]);
    let again = ["--until-idle", "--set", "checkpoint.interval_ms=1"];
    for more in 0..6 {
        let line = format!("nothing {more}\n").repeat(50);
        folder.pawl(&["produce", "-p", "p.toml", "observations"], line.as_bytes()).success();
        folder.run(&again).success();
    }
    let text = folder.pawl(&["trace", "-p", "p.toml", &id], b"").success().text();
    assert!(text.contains("(no longer kept)") && text.contains("  observations/"), "{text}");
}

#[test]
fn a_lineage_that_is_no_json_hides_nothing_else_that_is_known() {
    let folder = world("lineage", "");
    let record = br#"{"key": "k1", "value": "v", "headers": {"lineage": "not json"}}"#;
    folder.pawl(&["produce", "-p", "p.toml", "alerts", "--json"], record).success();
    let text = folder.pawl(&["trace", "-p", "p.toml", "k1"], b"").success().text();
    assert!(text.contains("at alerts/0"), "{text}");
    assert!(text.contains("the header `lineage` is no JSON array"), "{text}");
}
