//! One bad field after another: the exact mistakes that each must give, and no others.

use super::{set, told};

/// An override that spoils a good file, and all that is told about it.
const CASES: &[(&str, &[&str])] = &[
    ("name=\"Big Name\"", &["name: is \"Big Name\"; should be at most 64 of a-z, 0-9 and `-`"]),
    ("name=true", &["name: is true; should be text"]),
    ("pawl=\"1\"", &["pawl: is \"1\"; should be 1, the format"]),
    ("transport=kafka", &["transport: is \"kafka\"; should be \"embedded\""]),
    (
        "transport={ kind = \"embedded\", brokers = 1 }",
        &["transport.brokers: is not known here; known are kind, path"],
    ),
    ("plugins=target", &["plugins: should be a list of folders such as [\"plugins\"]"]),
    ("plugins=[1]", &["plugins: should be a list of folders such as [\"plugins\"]"]),
    ("data=", &["data: is an empty text; should be text"]),
    (
        "topics.in.partitions=0",
        &["topics.in.partitions: is 0; should be a whole number from 1 to 1024"],
    ),
    (
        "topics.in.partitions=1025",
        &["topics.in.partitions: is 1025; should be a whole number from 1 to 1024"],
    ),
    (
        "topics.in.partitions=2.5",
        &["topics.in.partitions: is 2.5; should be a whole number from 1 to 1024"],
    ),
    (
        "topics.in.key=key",
        &["topics.in.key: is \"key\"; should be { field = \"/json/pointer\" } or { header = \
             \"name\" }"],
    ),
    (
        "topics.in.key={ field = \"k\" }",
        &["topics.in.key.field: is \"k\"; should be a JSON pointer such as \"/object_id\""],
    ),
    (
        "topics.in.key={ field = \"/a~2\" }",
        &["topics.in.key.field: is \"/a~2\"; should be a JSON pointer such as \"/object_id\""],
    ),
    (
        "topics.in.key={ field = \"/a\", header = \"b\" }",
        &["topics.in.key: is a table; should be { field = \"/json/pointer\" } or { header = \
             \"name\" }"],
    ),
    (
        "topics.in.colour=1",
        &["topics.in.colour: is not known here; known are partitions, key, retention_ms"],
    ),
    (
        "topics.\"a b\"={}",
        &["topics.\"a b\": a topic's name should be 1 to 249 of a-z, A-Z, 0-9, `.`, `_` and `-`"],
    ),
    ("comit.interval_ms=1", &["comit: is not known here; did you mean `commit`?"]),
    (
        "commit.interval_ms=0",
        &["commit.interval_ms: is 0; should be a whole number from 1 to 3155760000000"],
    ),
    ("commit.interval=5", &["commit.interval: is not known here; did you mean `interval_ms`?"]),
    (
        "commit.records_max=-1",
        &["commit.records_max: is -1; should be a whole number from 1 to 1000000000000"],
    ),
    ("commit=[1, 2]", &["commit: is a list; should be a table"]),
    (
        "checkpoint.kept_min=2",
        &["checkpoint.kept_min: is 2; should be a whole number from 3 to 1000"],
    ),
    (
        "dead_letters.at_max=drop",
        &["dead_letters.at_max: is \"drop\"; should be \"stop\" or \"drop-oldest\""],
    ),
    (
        "dead_letters.replays_max=0",
        &["dead_letters.replays_max: is 0; should be a whole number from 1 to 1000000"],
    ),
    (
        "dead_letters.topic=\"a/b\"",
        &["dead_letters.topic: a topic's name should be 1 to 249 of a-z, A-Z, 0-9, `.`, `_` and \
             `-`"],
    ),
    (
        "supervisor.backoff_ms=60000",
        &["supervisor.backoff_max_ms: is 30000; should be 60000 (backoff_ms) or more"],
    ),
    ("stage.a.input=inn", &["stage.a.input: topic `inn` is not declared; did you mean `in`?"]),
    (
        "stage.a.input=elsewhere",
        &["stage.a.input: topic `elsewhere` is not declared; should stand in the file as \
             [topics.elsewhere]"],
    ),
    (
        "stage.a.input=p.dlq",
        &["stage.a.input: `p.dlq` is the topic of the dead letters; its own dead letters go \
             there, so it would never end"],
    ),
    (
        "stage.b.output=p.dlq",
        &["stage.b.output: `p.dlq` is the topic of the dead letters; should be a topic of its \
             own (late records: \"dead-letter\")"],
    ),
    ("stage.b.output=in", &["stage: stages form a circle: in -(a)-> mid -(b)-> in"]),
    ("stage.b.output=mid", &["stage: stages form a circle: mid -(b)-> mid"]),
    ("stage.b.name=a", &["stage.1.name: there are two with the name \"a\""]),
    (
        "stage.b.name=../b",
        &["stage.\"../b\".name: is \"../b\"; should be at most 64 of a-z, 0-9 and `-`"],
    ),
    (
        "stage.a.late=side",
        &["stage.a.late: is \"side\"; should be \"drop\", \"dead-letter\" or { topic = \"name\" }"],
    ),
    (
        "stage.a.late={ topic = \"side\" }",
        &["stage.a.late.topic: topic `side` is not declared; should stand in the file as \
             [topics.side]"],
    ),
    (
        "stage.a.late={ topic = \"mid\" }",
        &["stage.b.input: topic `mid` is written with event time by operator first of stage a, \
             without by late records of stage a; should be all or none"],
    ),
    (
        "stage.a.breaker.failed_share_max=0",
        &["stage.a.breaker.failed_share_max: is 0; should be above 0 and at most 1"],
    ),
    (
        "stage.a.batch_records_max=100000",
        &["stage.a.batch_records_max: is 100000; should be a whole number from 1 to 65536"],
    ),
    (
        "stage.a.operator=[]",
        &["stage.a.operator: is missing; should be at least one [[stage.operator]]"],
    ),
    (
        "stage.a.operator=1",
        &["stage.a.operator: is 1; should be a list of tables, [[stage.operator]]"],
    ),
    ("stage=[]", &["stage: is missing; should be at least one [[stage]]"]),
    ("stage=[1]", &["stage.0: is 1; should be a table"]),
    ("stage.a.operator.first.plugin=5", &["stage.a.operator.first.plugin: is 5; should be text"]),
    (
        "stage.a.operator.first.config=5",
        &["stage.a.operator.first.config: is 5; should be a table"],
    ),
    (
        "stage.a.operator.first.config.deep={ x = [nan] }",
        &["stage.a.operator.first.config.deep.x.0: is not a finite number; JSON has no other"],
    ),
    (
        "stage.a.operator.first.outputs.alerts=alarms",
        &["stage.a.operator.first.outputs.alerts: topic `alarms` is not declared; should stand \
             in the file as [topics.alarms]"],
    ),
    (
        "stage.a.operator.first.outputs.alerts=1",
        &["stage.a.operator.first.outputs.alerts: is 1; should be a topic"],
    ),
    (
        "stage.a.operator.first.limits.memory_bytes_max=1",
        &["stage.a.operator.first.limits.memory_bytes_max: is 1; should be a whole number from \
             65536 to 4294967296"],
    ),
    (
        "stage.a.operator.first.limits.memory_max=1",
        &["stage.a.operator.first.limits.memory_max: is not known here; known are \
             memory_bytes_max, table_elements_max, time_per_call_ms, time_per_record_us, \
             output_bytes_max, state_bytes_max, component_bytes_max, compile_time_max_ms, \
             fuel_per_record"],
    ),
    (
        "stage.a.operator.first.edge.id=random",
        &["stage.a.operator.first.edge.id: is \"random\"; should be \"position\", \"key\", \
             \"content\", \"content-json\", \"own\", { header = \"name\" } or { field = \
             \"/json/pointer\" }"],
    ),
    (
        "stage.a.operator.first.edge.id={}",
        &["stage.a.operator.first.edge.id: is a table; should be \"position\", \"key\", \
             \"content\", \"content-json\", \"own\", { header = \"name\" } or { field = \
             \"/json/pointer\" }"],
    ),
    (
        "stage.a.operator.first.edge.id={ header = \"\" }",
        &["stage.a.operator.first.edge.id.header: is an empty text; should be text"],
    ),
    (
        "stage.a.operator.first.edge.event_time=now",
        &["stage.a.operator.first.edge.event_time: is \"now\"; should be \"none\", \
             \"timestamp\", \"own\", { header = \"name\" } or { field = \"/json/pointer\" }"],
    ),
    (
        "stage.a.operator.first.edge.event_time=none",
        &["stage.a.operator.first.edge.event_time: is \"none\"; the watermark beside it needs \
             event times: should be \"timestamp\", \"own\", { header = .. } or { field = .. }"],
    ),
    (
        "stage.a.operator.first.edge.event_time={ field = \"/t\", unit = \"s\" }",
        &["stage.a.operator.first.edge.event_time.unit: is \"s\"; should be \"ms\" or \"rfc3339\""],
    ),
    (
        "stage.a.operator.first.edge.watermark={}",
        &["stage.a.operator.first.edge.watermark.disorder_ms: is missing; should be the \
             disorder of the input in ms"],
    ),
    (
        "stage.a.operator.first.edge.watermark=true",
        &["stage.a.operator.first.edge.watermark: is true; should be a table"],
    ),
    (
        "stage.a.operator.first.edge.dedup.ids_max=0",
        &["stage.a.operator.first.edge.dedup.ids_max: is 0; should be a whole number from 1 to \
             1000000000"],
    ),
    (
        "stage.b.operator.second.edge.watermark.disorder_ms=1",
        &["stage.b.operator.second.edge.watermark: topic `mid` brings the watermark of stage \
                a; leave it out"],
    ),
];

#[test]
fn each_bad_field_is_told_with_its_path_and_what_it_should_be() {
    for (change, expected) in CASES {
        assert_eq!(told(set(&[change])), *expected, "{change}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_and_each_once() {
    let told = told(set(&[
        "pawl=one",
        "name=Big Name",
        "comit.records_max=1",
        "topics.in.partitions=0",
        "stage.b.input=midd",
        "stage.a.operator.first.edge.watermark.step=1",
        "stage.b.operator.second.plugin=1",
        "stage.c.input=1",
    ]));
    let expected = [
        "stage.c: does not exist; there are a, b (--set \"stage.c.input=1\")",
        "pawl: is \"one\"; should be 1, the format",
        "name: is \"Big Name\"; should be at most 64 of a-z, 0-9 and `-`",
        "topics.in.partitions: is 0; should be a whole number from 1 to 1024",
        "stage.a.operator.first.edge.watermark.step: is not known here; did you mean `step_ms`?",
        "stage.b.operator.second.plugin: is 1; should be text",
        "comit: is not known here; did you mean `commit`?",
        "stage.b.input: topic `midd` is not declared; did you mean `mid`?",
    ];
    assert_eq!(told, expected);
}
