//! What a dedup window has forgotten, by event time or by count, is not sent back unasked; what
//! cannot be told counts as forgotten.

use crate::world::{PIPELINE, json, replay};
use pawl_tests::{Draft, Folder, input};
use std::fmt::Write as _;

/// Keys are ids; the window remembers ten of them.
fn pipeline(plugin: &str, ids_max: u64) -> String {
    format!(
        r#"
pawl = 1
name = "t"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.passed]
[[stage]]
name = "pass"
input = "in"
output = "passed"
breaker = {{ records = 100, failed_share_max = 1.0 }}
[[stage.operator]]
name = "pass"
plugin = "{plugin}"
[stage.operator.edge]
id = "key"
dedup = {{ horizon_ms = 1000, ids_max = {ids_max} }}
"#
    )
}

/// `sda-normalize` refuses all of this, `identity` takes it.
fn refuse_and_pass(folder: &Folder, ids_max: u64, before: u32, refused: &str, behind: u32) {
    let lines = |from: u32, count: u32| {
        (from..from + count).fold(String::new(), |mut lines, number| {
            writeln!(lines, "{{\"key\":\"k{number}\",\"value\":\"v\"}}").expect("text takes all");
            lines
        })
    };
    folder.write_pipeline(&pipeline("identity", ids_max));
    folder.produce_json("in", &lines(0, before));
    folder.run(&["--until-idle"]).success();
    folder.write_pipeline(&pipeline("sda-normalize", ids_max));
    folder.produce_json("in", &format!("{{\"key\":\"{refused}\",\"value\":\"damaged\"}}\n"));
    folder.run(&["--until-idle"]).success();
    folder.write_pipeline(&pipeline("identity", ids_max));
    folder.produce_json("in", &format!("{{\"key\":\"{refused}\",\"value\":\"good\"}}\n"));
    folder.produce_json("in", &lines(1000, behind));
    folder.run(&["--until-idle"]).success();
    assert_eq!(folder.stored().letters().len(), 1);
}

#[test]
fn a_letter_whose_good_copy_may_have_been_pushed_out_by_count_is_not_sent_unasked() {
    let folder = Folder::new("pushed-out", &pipeline("identity", 10));
    refuse_and_pass(&folder, 10, 0, "A", 30);
    for arguments in [&["--dry-run", "--json"][..], &["--json"]] {
        let ended = replay(&folder, arguments);
        assert_eq!(ended.code, Some(4), "{}", ended.err);
        assert_eq!(json(&ended)["not_sent"][0]["why"], "beyond-horizon");
    }
    folder.run(&["--until-idle"]).success();
    let passed = |folder: &Folder| {
        let rows = folder.stored().rows("passed");
        rows.iter().filter(|row| row.key.as_deref() == Some(b"A")).count()
    };
    assert_eq!(passed(&folder), 1);
    // A person may insist, and is told what that means.
    replay(&folder, &["--beyond-horizon"]).success();
    folder.run(&["--until-idle"]).success();
    assert_eq!(passed(&folder), 2);
}

#[test]
fn a_letter_that_the_window_surely_remembers_is_sent_and_is_a_copy() {
    // Nothing was pushed out; and much was, but before the letter.
    for (ids_max, before, behind) in [(100, 0, 30), (10, 50, 5)] {
        let folder = Folder::new("remembered", &pipeline("identity", ids_max));
        refuse_and_pass(&folder, ids_max, before, "A", behind);
        replay(&folder, &[]).success();
        folder.run(&["--until-idle"]).success();
        let rows = folder.stored().rows("passed");
        let passed = rows.iter().filter(|row| row.key.as_deref() == Some(b"A")).count();
        assert_eq!(passed, 1, "{ids_max}");
        assert_eq!(folder.stored().edge("pass/0", 0).duplicate, 1);
    }
}

#[test]
fn without_a_checkpoint_on_this_machine_nobody_knows_what_is_remembered() {
    let folder = Folder::new("no-checkpoint", PIPELINE);
    let at = |seconds: i64| input::START_MS + seconds * 1000;
    let lines: Vec<String> =
        (0..=100).map(|second| input::observation(format!("o{second}"), 1, at(second))).collect();
    folder.produce("times", &input::joined(&lines));
    folder.run(&["--until-idle"]).success();
    let mut draft = Draft::new(0);
    (draft.stage, draft.operator) = ("window".to_owned(), "window".to_owned());
    draft.origin = ("times".to_owned(), 0, 0);
    draft.event_time = at(99);
    folder.write_letters(&[draft]);
    let dry = ["--dry-run", "--json", "--try-max", "0"];
    assert_eq!(json(&replay(&folder, &dry).success())["would_send"], 1);
    std::fs::remove_dir_all(folder.data().join("checkpoints")).unwrap();
    let ended = replay(&folder, &dry);
    assert_eq!(ended.code, Some(4), "{}", ended.err);
    assert_eq!(json(&ended)["not_sent"][0]["why"], "beyond-horizon");
}
