//! Tests of the crate as its users see it: files in, mistakes or a checked pipeline out.

mod bad_files;
mod effective;
mod formatting;
mod outside;
mod promises;
mod schema;

use crate::*;
use std::path::{Path, PathBuf};

/// A small pipeline without mistakes or warnings.
const GOOD: &str = r#"
pawl = 1
name = "p"
topics.in = { partitions = 2, key = { field = "/k" } }
topics.mid = { partitions = 2 }
topics.out = {}

[[stage]]
name = "a"
input = "in"
output = "mid"
[[stage.operator]]
name = "first"
plugin = "x"
[stage.operator.edge]
event_time = "timestamp"
watermark = { disorder_ms = 5 }

[[stage]]
name = "b"
input = "mid"
output = "out"
[[stage.operator]]
name = "second"
plugin = "y"
"#;

fn good() -> Pipeline {
    parse(GOOD, Path::new("base"), &[]).unwrap().0
}

fn set(overrides: &[&str]) -> Result<(Pipeline, Vec<Warning>), Mistakes> {
    let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
    parse(GOOD, Path::new("base"), &overrides)
}

fn told(result: Result<(Pipeline, Vec<Warning>), Mistakes>) -> Vec<String> {
    match result {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.list.iter().map(ToString::to_string).collect(),
    }
}

fn warned(overrides: &[&str]) -> Vec<String> {
    set(overrides).unwrap().1.iter().map(ToString::to_string).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn what_is_not_said_has_the_documented_default() {
    let pipeline = good();
    assert_eq!(pipeline.data, Path::new("base/data/p"));
    assert_eq!(pipeline.plugin_folders, [Path::new("base/plugins")]);
    assert_eq!(pipeline.transport, Transport::Embedded);
    assert_eq!(pipeline.commit, Commit { interval_ms: 100, records_max: 10_000 });
    assert_eq!(
        pipeline.checkpoint,
        Checkpoint { interval_ms: 30_000, recovery_time_max_ms: 1_000, kept_min: 3, remote: None }
    );
    assert_eq!(pipeline.dead_letters.topic, "p.dlq");
    assert_eq!(pipeline.dead_letters.at_max, AtMax::Stop);
    assert_eq!(pipeline.dead_letters.age_max_ms, None);
    assert_eq!(pipeline.dead_letters.replays_max, 3);
    assert_eq!(pipeline.supervisor.host_kills_max, 3);
    assert_eq!(pipeline.topics["out"], Topic { partitions: 1, key: None, retention_ms: 0 });
    let stage = pipeline.stage("a").unwrap();
    assert_eq!(stage.late, Late::Drop);
    assert_eq!(stage.idle_after_ms, 10_000);
    assert_eq!(stage.batch_records_max, 1_024);
    assert_eq!(stage.breaker, Breaker { records: 1_000, failed_share_max: 0.5 });
    let operator = stage.operator("first").unwrap();
    assert_eq!(operator.config_json, "{}");
    assert_eq!(operator.limits.fuel_per_record, None);
    let watermark = operator.edge.watermark.clone().unwrap();
    let expected = Watermark { disorder_ms: 5, step_ms: 100, jump_max_ms: 3_600_000, agree: 3 };
    assert_eq!(watermark, expected);
}

#[test]
fn the_dead_letters_topic_is_implicit_and_has_a_partition_for_each_of_the_inputs() {
    assert_eq!(good().topics["p.dlq"].partitions, 2);
    let (declared, _) = set(&["topics.\"p.dlq\".partitions=7"]).unwrap();
    assert_eq!(declared.topics["p.dlq"].partitions, 7);
}

#[test]
fn an_edge_behind_an_outside_topic_takes_positions_and_any_other_what_records_bring() {
    let text = GOOD.replace("event_time = \"timestamp\"\nwatermark = { disorder_ms = 5 }", "");
    let pipeline = parse(&text, Path::new(""), &[]).unwrap().0;
    let edge = &pipeline.stages[0].operators[0].edge;
    assert_eq!((&edge.id, &edge.event_time), (&IdSource::Position, &TimeSource::None));
    let edge = &pipeline.stages[1].operators[0].edge;
    assert_eq!((&edge.id, &edge.event_time), (&IdSource::Own, &TimeSource::Own));
}

#[test]
fn an_override_finds_its_place_by_name_or_number_and_makes_tables_that_are_missing() {
    let (pipeline, _) = set(&[
        "commit.interval_ms=7",
        "stage.a.operator.first.config.x=1",
        "stage.0.operator.0.config.y=two words",
        "stage.b.operator.second.edge.id={ field = \"/a\" }",
        "topics.\"new.topic\".partitions=3",
        "stage.b.operator.second.outputs.more=new.topic",
        "data=/elsewhere",
    ])
    .unwrap();
    assert_eq!(pipeline.commit.interval_ms, 7);
    let first = &pipeline.stages[0].operators[0];
    assert_eq!(first.config_json, r#"{"x":1,"y":"two words"}"#);
    let second = &pipeline.stages[1].operators[0];
    assert_eq!(second.edge.id, IdSource::Field("/a".to_owned()));
    assert_eq!(second.outputs["more"], "new.topic");
    assert_eq!(pipeline.data, Path::new("/elsewhere"));
}

#[test]
fn an_override_is_toml_where_it_can_be_and_text_where_not() {
    let config = |value: &str| {
        let change = format!("stage.a.operator.first.config.v={value}");
        set(&[&change]).unwrap().0.stages[0].operators[0].config_json.clone()
    };
    assert_eq!(config("1"), r#"{"v":1}"#);
    assert_eq!(config("1.0"), r#"{"v":1.0}"#);
    assert_eq!(config("true"), r#"{"v":true}"#);
    assert_eq!(config("\"1\""), r#"{"v":"1"}"#);
    assert_eq!(config("[1, { b = 2, a = 1 }]"), r#"{"v":[1,{"a":1,"b":2}]}"#);
    assert_eq!(config("2009-02-10T16:55:59Z"), r#"{"v":"2009-02-10T16:55:59Z"}"#);
    assert_eq!(config(""), r#"{"v":""}"#);
    assert_eq!(config("a=b"), r#"{"v":"a=b"}"#);
    assert_eq!(config("1\nw = 2"), r#"{"v":"1\nw = 2"}"#);
}

#[test]
fn an_override_that_leads_nowhere_is_told_with_its_path() {
    let cases = [
        ("stge.a.name=x", "stge: is not known here; did you mean `stage`?"),
        ("stage.c.input=x", "stage.c: does not exist; there are a, b (--set \"stage.c.input=x\")"),
        (
            "stage.a.operator.frist.plugin=x",
            "stage.a.operator.frist: does not exist; did you mean `first`? \
             (--set \"stage.a.operator.frist.plugin=x\")",
        ),
        ("stage.2=x", "stage.2: does not exist; there are a, b (--set \"stage.2=x\")"),
        ("name.x=1", "name: is a single value; there is nothing below it (--set \"name.x=1\")"),
        ("name", "--set \"name\": should be path.in.file=value"),
        ("=1", "--set \"=1\": should be path.in.file=value"),
        ("a..b=1", "--set \"a..b=1\": should be path.in.file=value"),
        ("\"a=1", "--set \"\\\"a=1\": should be path.in.file=value"),
    ];
    for (change, expected) in cases {
        assert_eq!(told(set(&[change])), [expected], "{change}");
    }
}

#[test]
fn a_text_that_is_no_pipeline_file_gives_one_clear_mistake() {
    let large = format!("pawl = 1 #{}", "x".repeat(1 << 20));
    let cases = [
        ("", "is empty; a pipeline file is TOML and begins with `pawl = 1`"),
        ("# only words\n", "is empty; a pipeline file is TOML and begins with `pawl = 1`"),
        (
            "PK\0\u{1}",
            "is binary (byte 2 is 0); a pipeline file is TOML and begins with `pawl = 1`",
        ),
        ("pawl = 2\nnew = 1", "the file has format 2, this version reads 1; use a newer pawl"),
        ("pawl = 1\npawl = 1", "line 2, column 1: duplicate key"),
        ("pawl = 1\n[a", "line 2, column 3: unclosed table, expected `]`"),
        (
            "name = \"\u{fc}\" ?",
            "line 1, column 12: unexpected key or value, expected newline, `#`",
        ),
        (
            large.as_str(),
            "is larger than 1048576 bytes, the most that a pipeline file may have; \
             a pipeline file is TOML and begins with `pawl = 1`",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(told(parse(text, Path::new(""), &[])), [expected]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let folder = std::env::temp_dir().join(format!("pawl-pipeline-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        load(&path, &[]).unwrap_err().to_string()
    };
    let is = |text: String, what: &str| assert!(text.contains(what), "{text}");
    is(file("latin.toml", b"name = '\xfc'"), "latin.toml: is not UTF-8 text (byte 8);");
    is(file("large.toml", &vec![b' '; 3 << 20]), "large.toml: is larger than 1048576 bytes");
    is(load(&folder, &[]).unwrap_err().to_string(), ": is a folder;");
    let missing = load(&folder.join("missing.toml"), &[]).unwrap_err().to_string();
    is(missing, "missing.toml: there is no such file; in ");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_shipped_pipelines_have_no_mistakes() {
    for name in ["conjunctions", "window"] {
        let file = repository().join("pipelines").join(format!("{name}.toml"));
        let (pipeline, warnings) = load(&file, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(pipeline.name, name);
        // Only the user knows that records with equal ids have equal keys.
        let dedup: Vec<bool> = warnings.iter().map(|w| w.path.ends_with("edge.dedup")).collect();
        assert_eq!(dedup, [true], "{warnings:?}");
    }
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let dedup = "stage.b.operator.second.edge.dedup.ids_max=5";
    let partitions = "stage.b.operator.second.edge.dedup: dedup is per partition, and `mid` has 2, \
        by key: two records with one id (own) count as copies only if their keys are equal too";
    assert_eq!(warned(&[]), [""; 0]);
    assert_eq!(warned(&[dedup]), [partitions]);
    assert_eq!(warned(&[dedup, "topics.mid.partitions=1"]), [""; 0]);
    assert_eq!(warned(&[dedup, "stage.b.operator.second.edge.id=key"]), [""; 0]);
    assert_eq!(
        warned(&[dedup, "topics.mid.partitions=1", "stage.b.operator.second.edge.event_time=none"]),
        ["stage.b.operator.second.edge.dedup: no watermark on this edge, so only ids_max (5) \
          bounds it, not time"]
    );
    assert_eq!(
        warned(&["stage.a.operator.first.edge.dedup={}"]),
        ["stage.a.operator.first.edge.dedup: ids are positions, which never repeat: no copy is \
          ever found"]
    );
    let field = "stage.a.operator.first.edge.id={ field = \"/k\" }";
    assert_eq!(warned(&["stage.a.operator.first.edge.dedup={}", field]), [""; 0]);
    assert_eq!(warned(&["topics.spare={}"]), ["topics.spare: no stage reads or writes this topic"]);
}

#[test]
fn random_garbage_never_panics() {
    let seed = 0x9e37_79b9_7f4a_7c15_u64;
    println!("seed {seed:#x}");
    let mut state = seed;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % below
    };
    let pieces = [
        "[",
        "]",
        "{",
        "}",
        "=",
        ".",
        "\"",
        "\n",
        "#",
        "1",
        "-1",
        "9e99",
        "nan",
        "stage",
        "true",
        "[[stage]]",
        "operator",
        "edge",
        "\u{fc}",
        "'",
        ",",
        "id",
        "0",
        "",
        "\0",
        "2009-02-10",
    ];
    let original: Vec<char> = GOOD.chars().collect();
    for _ in 0..20_000 {
        let mut text = original.clone();
        for _ in 0..1 + next(4) {
            let at = next(text.len());
            let end = (at + next(12)).min(text.len());
            text.splice(at..end, pieces[next(pieces.len())].chars());
        }
        let text: String = text.into_iter().collect();
        let change: String = (0..next(8)).map(|_| pieces[next(pieces.len())]).collect();
        if let Err(mistakes) = parse(&text, Path::new(""), &[change]) {
            assert!(!mistakes.list.is_empty());
            assert!(!mistakes.to_string().is_empty());
        }
    }
}
