//! Input, files and folders of every wrong kind: a clear error with a sensible exit code, or a dead
//! letter; nothing is lost, and what can go on goes on.

use pawl_tests::{Folder, input};
use std::os::unix::fs::PermissionsExt;

const PIPELINE: &str = r#"
pawl = 1
name = "bad"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.out]
[topics.counted]
[[stage]]
name = "copy"
input = "in"
output = "out"
[[stage.operator]]
name = "copy"
plugin = "identity"
[[stage]]
name = "count"
input = "in"
output = "counted"
[[stage.operator]]
name = "count"
plugin = "count-window"
config = { window_ms = 1000 }
edge = { event_time = "own", watermark = { disorder_ms = 500 } }
"#;

#[test]
fn whatever_bytes_come_they_are_copied_or_refused_byte_for_byte() {
    let folder = Folder::new("bytes", PIPELINE);
    let mut records: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        br#"{"sensor_id":"S1","cell":"#.to_vec(),
        b"null".to_vec(),
        b"\xff\xfe\0\x01binary".to_vec(),
        vec![0; 1000],
        br#"{"sensor_id":"S1","cell":"\ud800","x":1,"y":1,"z":1}"#.to_vec(),
        b"[".repeat(10_000),
        (1..=255).filter(|byte| *byte != b'\n').collect(),
    ];
    let bytes: Vec<u8> = records.join(&b'\n');
    let arguments = ["produce", "-p", "p.toml", "in", "--keep-empty"];
    folder.pawl(&arguments, &[&bytes[..], b"\n"].concat()).success();
    folder.run(&["--until-idle"]).success();
    let stored = folder.stored();
    let copied: Vec<_> = stored.rows("out").into_iter().map(|row| row.value).collect();
    assert_eq!(copied, records);
    let mut refused: Vec<_> = stored.letters().into_iter().map(|letter| letter.payload).collect();
    refused.sort();
    records.sort();
    assert_eq!(refused, records, "none has an event time, and none is damaged further");
}

#[test]
fn a_line_of_100_mb_is_refused_by_name_or_passes_and_nothing_else_suffers() {
    let folder = Folder::new("huge", PIPELINE);
    let huge = "x".repeat(100 << 20);
    let lines = format!("before\n{huge}\nafter\n");
    let refused = folder.pawl(&["produce", "-p", "p.toml", "in"], lines.as_bytes());
    refused
        .fails(1, &["line 2 has more than", "--record-bytes-max", "the first 1 lines are durable"]);
    let rest = format!("{huge}\nafter\n");
    let larger = ["produce", "-p", "p.toml", "in", "--record-bytes-max", "200000000"];
    folder.pawl(&larger, rest.as_bytes()).success();
    folder.run(&["--until-idle"]).success();
    let stored = folder.stored();
    let passed = stored.rows("out");
    let small: Vec<_> = passed.iter().filter(|row| row.value.len() < 100).collect();
    assert_eq!(small.len(), 2, "what stands beside it goes through");
    let dead = stored.letters().into_iter().filter(|letter| letter.operator == "copy/copy");
    let dead: Vec<_> = dead.collect();
    assert_eq!(passed.len() + dead.len(), 3, "it is delivered or dead");
    assert!(dead.iter().all(|letter| letter.payload == huge.as_bytes()));
    println!("100 MB: {:?}", dead.first().map(|letter| (&letter.kind, &letter.disposition)));
}

#[test]
fn a_wrong_pipeline_file_is_told_whole_and_touches_nothing() {
    for (text, says) in [
        ("", "pawl: "),
        ("pawl = 1\nname = ", "p.toml"),
        ("\0\u{1}\u{2}", "p.toml"),
        ("pawl = 99\nname = \"x\"\n", "newer"),
        (&PIPELINE.replace("input = \"in\"", "input = \"no\""), "stage.copy.input"),
        (&PIPELINE.replace("\"identity\"", "\"no-such\""), "no such plugin"),
        (&PIPELINE.replace("window_ms = 1000", "window = 1000"), "window"),
        (&PIPELINE.replace("window_ms = 1000", "window_ms = 0"), "window_ms"),
    ] {
        let folder = Folder::new("wrong", text);
        folder.run(&["--until-idle"]).fails(2, &[says]);
        assert!(!folder.data().join("pawl.db").exists(), "{says}");
    }
    let folder = Folder::new("none", PIPELINE);
    folder.pawl(&["run", "none.toml"], b"").fails(2, &["none.toml"]);
    folder.pawl(&["run", "."], b"").fails(2, &["pawl: "]);
}

#[test]
fn a_plugin_that_is_no_component_is_refused_whatever_it_is() {
    let whole = std::fs::read(pawl_tests::folder::plugins().join("identity.wasm")).unwrap();
    for (what, bytes) in [
        ("empty", &b""[..]),
        ("text", b"#!/bin/sh\necho hello\n"),
        ("magic", b"\0asm"),
        ("module", b"\0asm\x01\0\0\0"),
        ("component", b"\0asm\x0d\0\x01\0"),
        ("half", &whole[..whole.len() / 2]),
    ] {
        let folder = Folder::new(what, &PIPELINE.replace("\"identity\"", "\"own.wasm\""));
        folder.write("own.wasm", bytes);
        folder.produce("in", "a\n");
        folder.run(&["--until-idle"]).fails(2, &["own.wasm", "stage.copy.operator.copy.plugin"]);
        folder.write("own.wasm", &whole);
        folder.run(&["--until-idle"]).success();
        assert_eq!(folder.stored().texts("out"), ["a"], "{what}");
    }
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let folder = Folder::new("read-only", PIPELINE);
    folder.write("file", b"");
    for data in ["file", "file/below", "/proc/pawl"] {
        let set = format!("data={data}");
        let word = data.rsplit('/').next().unwrap();
        folder.run(&["--until-idle", "--set", &set]).fails(1, &[word]);
        folder.pawl(&["produce", "-p", "p.toml", "in", "--set", &set], b"a\n").fails(1, &[word]);
    }
    folder.produce("in", "a\n");
    let writable = std::fs::metadata(folder.data()).unwrap().permissions();
    let read_only = std::fs::Permissions::from_mode(0o555);
    std::fs::set_permissions(folder.data(), read_only).unwrap();
    // Root writes everywhere: for it the folder is as good as any.
    if std::fs::write(folder.data().join("probe"), b"").is_err() {
        folder.run(&["--until-idle"]).fails(1, &["data"]);
        let read = folder.pawl(&["consume", "-p", "p.toml", "in"], b"");
        assert_eq!(read.text(), "a\n", "reading needs no right to write: {}", read.err);
    }
    std::fs::set_permissions(folder.data(), writable).unwrap();
    folder.run(&["--until-idle"]).success();
    assert_eq!(folder.stored().texts("out"), ["a"]);
}

#[test]
fn a_database_of_a_newer_version_and_one_that_is_none_are_left_alone() {
    let folder = Folder::new("newer", PIPELINE);
    folder.produce("in", &input::joined(&input::numbered(0, 10)));
    let path = folder.data().join("pawl.db");
    let good = std::fs::read(&path).unwrap();
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&9_999_u32.to_be_bytes()); // where SQLite keeps `user_version`
    let mut other = good.clone();
    other[68..72].copy_from_slice(&7_u32.to_be_bytes()); // where it keeps `application_id`
    for (bytes, says) in [
        (newer, "version"),
        (other, "pawl.db"),
        (b"this is no database, and long enough to look like one".repeat(40), "pawl.db"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        for arguments in [
            &["run", "p.toml", "--until-idle"][..],
            &["produce", "-p", "p.toml", "in"],
            &["consume", "-p", "p.toml", "in"],
        ] {
            folder.pawl(arguments, b"x\n").fails(1, &[says]);
        }
        assert!(std::fs::read(&path).unwrap() == bytes, "not a byte was changed");
    }
    std::fs::write(&path, &good).unwrap();
    folder.run(&["--until-idle"]).success();
    assert_eq!(folder.stored().texts("out"), input::numbered(0, 10));
}
