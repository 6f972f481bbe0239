//! What a checked pipeline says about itself: topics, time, configuration, delivery.

use super::{good, repository, set};
use crate::*;
use std::path::Path;

#[test]
fn topics_are_internal_where_a_stage_writes_them() {
    let pipeline = good();
    assert_eq!(Vec::from_iter(pipeline.internal_topics()), ["mid", "out"]);
    assert_eq!(Vec::from_iter(pipeline.external_topics()), ["in"]);
    let names = |stages: Vec<&Stage>| Vec::from_iter(stages.iter().map(|s| s.name.clone()));
    assert_eq!(names(pipeline.writers("mid")), ["a"]);
    assert_eq!(names(pipeline.readers("mid")), ["b"]);
    let mut turned = pipeline.clone();
    turned.stages.reverse();
    assert_eq!(names(turned.upstream_first()), ["a", "b"]);
}

#[test]
fn time_flows_from_a_watermark_down_the_topics_that_stages_read() {
    let pipeline = good();
    assert!(pipeline.reads_time("a") && pipeline.reads_time("b"));
    assert!(!pipeline.reads_time("nobody"));
    assert!(pipeline.carries_time("mid"));
    assert!(!pipeline.carries_time("in"), "outsiders write no control rows");
    assert!(!pipeline.carries_time("out"), "no stage reads it");
}

#[test]
fn what_leaves_a_stage_before_its_watermark_has_no_time() {
    let text = r#"
        pawl = 1
        name = "p"
        topics.in = {}
        topics.early = {}
        topics.late = {}
        [[stage]]
        name = "a"
        input = "in"
        output = "late"
        operator = [
            { name = "x", plugin = "x", outputs = { side = "early" } },
            { name = "y", plugin = "y", edge = { watermark = { disorder_ms = 0 } } },
        ]
        [[stage]]
        name = "b"
        input = "early"
        operator = [{ name = "z", plugin = "z" }]
        [[stage]]
        name = "c"
        input = "late"
        operator = [{ name = "z", plugin = "z" }]
    "#;
    let (pipeline, _) = parse(text, Path::new(""), &[]).unwrap();
    assert!(!pipeline.reads_time("b"));
    assert!(pipeline.reads_time("c"));
    assert_eq!(pipeline.time_from(&pipeline.stages[0]), Some(1));
}

#[test]
fn limits_do_not_change_what_determines_results_and_everything_else_does() {
    let text = |changes: &[&str]| {
        let pipeline = set(changes).unwrap().0;
        pipeline.configuration_text(&pipeline.stages[0], 0)
    };
    let original = text(&[]);
    let expected = r#"{"around":{"dead_letters":"p.dlq","input":"in","input_time":false,\
        "topics":{"mid":{"partitions":2,"time":true,"writers":["a"]},\
        "p.dlq":{"partitions":2,"time":false,"writers":[]}}},"config":{},"joined":{"edge":{"dedup":null,"event_time":"timestamp",\
        "id":"position","watermark":{"agree":3,"disorder_ms":5,"jump_max_ms":3600000,\
        "step_ms":100}},"late":"drop","output":"mid","outputs":{}}}"#;
    assert_eq!(original, expected.replace("\\\n        ", ""));
    assert_eq!(original, text(&["stage.a.operator.first.limits.time_per_call_ms=5"]));
    assert_eq!(original, text(&["stage.a.operator.first.limits.fuel_per_record=5"]));
    assert_eq!(original, text(&["commit.interval_ms=5", "stage.a.batch_records_max=1"]));
    for change in [
        "stage.a.operator.first.config.x=1",
        "stage.a.operator.first.edge.id=key",
        "stage.a.operator.first.edge.event_time=own",
        "stage.a.operator.first.edge.watermark.step_ms=1",
        "stage.a.operator.first.edge.dedup={}",
        "stage.a.operator.first.outputs.more=out",
        "stage.a.late=dead-letter",
        "topics.mid.partitions=7",
        "dead_letters.topic=letters",
    ] {
        // A second writer without time is no matter here.
        assert_ne!(original, text(&[change]), "{change}");
    }
    let pipeline = good();
    assert_eq!(pipeline.configuration_text(&pipeline.stages[0], 1), "");
}

#[test]
fn configuration_is_one_text_whatever_the_order_in_the_file() {
    let config = |text: &str| {
        let change = format!("stage.a.operator.first.config={text}");
        set(&[&change]).unwrap().0.stages[0].operators[0].config_json.clone()
    };
    let expected = r#"{"a":{"b":[1,2],"c":"x\"y"},"d":1.5}"#;
    assert_eq!(config("{ d = 1.5, a = { c = 'x\"y', b = [1, 2] } }"), expected);
    assert_eq!(config("{ a = { b = [1, 2], c = 'x\"y' }, d = 1.5 }"), expected);
}

#[test]
fn a_plugin_is_a_path_or_a_name_in_the_plugin_folders() {
    let folder = std::env::temp_dir().join(format!("pawl-plugins-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("second")).unwrap();
    let mut pipeline = good();
    pipeline.base = folder.clone();
    pipeline.plugin_folders = vec![folder.join("first"), folder.join("second")];
    let tried = ["first/a-b.wasm", "first/a_b.wasm", "second/a-b.wasm", "second/a_b.wasm"];
    let tried = tried.map(|file| folder.join(file));
    assert_eq!(pipeline.resolve_plugin("a-b").unwrap_err(), tried);
    std::fs::write(&tried[3], b"").unwrap();
    assert_eq!(pipeline.resolve_plugin("a-b").unwrap(), tried[3]);
    assert_eq!(pipeline.resolve_plugin("second/a_b.wasm").unwrap(), tried[3]);
    assert_eq!(pipeline.resolve_plugin("a_b.wasm").unwrap_err(), [folder.join("a_b.wasm")]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_delivery_table_has_every_edge_of_the_reference_pipeline() {
    let file = repository().join("pipelines/conjunctions.toml");
    let (pipeline, _) = load(&file, &[]).unwrap();
    let rows = delivery(&pipeline);
    let edges: Vec<String> =
        rows.iter().map(|row| format!("{} -> {}: {}", row.from, row.to, row.holds)).collect();
    let expected = [
        "outside -> topic observations: at least once",
        "topic observations -> state of observe: exactly once",
        "observe/cell -> topic cells: exactly once",
        "observe, late records -> nowhere: dropped",
        "observe, dead letters -> topic conjunctions.dlq: exactly once",
        "topic cells -> state of correlate: exactly once",
        "correlate/correlate -> topic candidates: exactly once",
        "correlate, late records -> nowhere: dropped",
        "correlate, dead letters -> topic conjunctions.dlq: exactly once",
        "topic candidates -> state of encounter: exactly once",
        "encounter/encounter -> topic alerts: exactly once",
        "encounter, late records -> nowhere: dropped",
        "encounter, dead letters -> topic conjunctions.dlq: exactly once",
        "topic alerts -> outside: as the reader keeps its position",
        "topic conjunctions.dlq -> outside: as the reader keeps its position",
    ];
    assert_eq!(edges, expected);
    let state = &rows[1].by_what;
    assert!(state.ends_with("dropped before cell within 600000 ms and 1000000 ids"), "{state}");
    assert_eq!(delivery_text(&pipeline).lines().count(), rows.len() + 1);
    let memory = memory_estimates(&pipeline);
    assert!(memory[1].ends_with("dedup of 4000000 ids at most 245 MiB"), "{memory:?}");
}

#[test]
fn a_source_without_dedup_says_that_copies_are_taken_twice() {
    let rows = delivery(&good());
    let state = rows.iter().find(|row| row.to == "state of a").unwrap();
    assert!(state.by_what.ends_with("what was sent twice is taken twice (no dedup)"));
}
