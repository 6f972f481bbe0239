//! Making room: dead letters that were sent back and taken in may go, and what the host itself
//! notes down never does, whatever a person types.

use crate::world::{PIPELINE, json, replay, sent};
use pawl_tests::{Draft, Ended, Folder};

fn trim(folder: &Folder, topic: &str, arguments: &[&str]) -> Ended {
    folder.pawl(&[&["topic", "trim", "-p", "p.toml", topic], arguments].concat(), b"")
}

fn letters(folder: &Folder) -> usize {
    folder.stored().letters().len()
}

#[test]
fn letters_that_were_sent_back_and_taken_in_make_room_and_none_is_sent_again() {
    let folder = Folder::new("room", PIPELINE);
    let drafts: Vec<Draft> = (0..60).map(Draft::new).collect();
    folder.write_letters(&drafts);
    // All of the first partition, and half of the second.
    replay(&folder, &["--max", "30"]).success();
    trim(&folder, "t.dlq", &["--sent-back"]).success();
    assert_eq!(letters(&folder), 60, "nobody has taken them in yet");
    folder.run(&["--until-idle"]).success();
    let said = trim(&folder, "t.dlq", &["--sent-back", "--dry-run", "--json"]).success().text();
    assert!(said.contains("\"first\":20") && said.contains("\"first\":10"), "{said}");
    assert_eq!(letters(&folder), 60, "a dry run changes nothing");
    trim(&folder, "t.dlq", &["--sent-back"]).success();
    assert_eq!(letters(&folder), 30);
    assert_eq!(json(&replay(&folder, &["--json"]).success())["sent"], 30);
    folder.run(&["--until-idle"]).success();
    trim(&folder, "t.dlq", &["--sent-back"]).success();
    assert_eq!(letters(&folder), 0);
    assert!(sent(&folder, "pass").values().all(|count| *count == 1));
    assert_eq!(folder.stored().texts("passed").len(), 60);
    replay(&folder, &[]).fails(3, &[]);
}

#[test]
fn dead_letters_that_were_never_sent_back_go_only_if_a_person_says_that_they_are_meant() {
    let folder = Folder::new("meant", PIPELINE);
    folder.write_letters(&(0..60).map(Draft::new).collect::<Vec<_>>());
    for arguments in [&["--unneeded"][..], &["--partition", "0", "--below", "10"]] {
        trim(&folder, "t.dlq", arguments).fails(2, &["--sent-back", "--dead-letters"]);
    }
    assert_eq!(letters(&folder), 60);
    trim(&folder, "passed", &["--unneeded", "--dead-letters"]).fails(2, &["t.dlq"]);
    trim(&folder, "t.dlq", &["--partition", "0", "--below", "10", "--dead-letters"]).success();
    assert_eq!(letters(&folder), 50);
    trim(&folder, "t.dlq", &["--unneeded", "--dead-letters"]).success();
    assert_eq!(letters(&folder), 0);
}

#[test]
fn what_the_host_notes_for_itself_is_never_trimmed() {
    let source = "[[source]]\nname = \"lines\"\ntopic = \"in\"\nfile = { path = \"in.txt\" }\n";
    let folder = Folder::new("notes", &format!("{PIPELINE}{source}"));
    folder.write("in.txt", b"a\nb\nc\n");
    folder.run(&["--until-idle"]).success();
    folder.write_letters(&(0..20).map(Draft::new).collect::<Vec<_>>());
    replay(&folder, &[]).success();
    folder.pawl(&["dlq", "review", "-p", "p.toml", "--done"], b"").success();
    let listed = folder.pawl(&["topic", "ls", "-p", "p.toml"], b"").success().text();
    for (topic, role) in [
        ("t.source.lines", "place of a source"),
        ("t.replayed", "which dead letters were sent back"),
        ("t.reviews", "reviews of dead letters"),
    ] {
        let line = listed.lines().find(|line| line.starts_with(topic));
        assert!(line.is_some_and(|line| line.ends_with(role)), "{listed}");
        for arguments in [&["--unneeded"][..], &["--below", "1"], &["--unneeded", "--dead-letters"]]
        {
            trim(&folder, topic, arguments).fails(2, &["nothing of it may go", role]);
        }
        let shown = folder.pawl(&["topic", "describe", "-p", "p.toml", topic], b"");
        assert!(shown.success().text().contains("nothing: "), "{topic}");
    }
    folder.run(&["--until-idle"]).success();
    let mut passed = folder.stored().texts("passed");
    passed.retain(|text| !text.starts_with('{'));
    passed.sort();
    assert_eq!(passed, ["a", "b", "c"], "the file is not read twice");
    replay(&folder, &[]).fails(3, &[]);
}

#[test]
fn nobody_else_makes_or_writes_a_topic_of_the_host() {
    let folder = Folder::new("own", PIPELINE);
    for topic in ["t.replayed", "t.reviews", "t.source.x", "t.pass.replay", "t.dlq"] {
        let create = ["topic", "create", "-p", "p.toml", topic, "--partitions", "4"];
        let said = folder.pawl(&create, b"");
        assert_eq!(said.code, Some(2), "{topic}: {}", said.err);
        let produce = ["produce", "-p", "p.toml", topic];
        folder.pawl(&produce, b"x\n").fails(2, &["a topic of the host", "only tasks write it"]);
    }
}

#[test]
fn the_ledger_remembers_a_letter_as_long_as_any_copy_of_it_is_kept() {
    let folder = Folder::new("copies", PIPELINE);
    let drafts: Vec<Draft> = (0..30).map(Draft::new).collect();
    folder.write_letters(&drafts);
    folder.write_letters(&drafts);
    assert_eq!(json(&replay(&folder, &["--json"]).success())["sent"], 30);
    for partition in ["0", "1", "2"] {
        let below = ["--dead-letters", "--below", "10", "--partition", partition];
        trim(&folder, "t.dlq", &below).success();
    }
    assert_eq!(letters(&folder), 30, "the copies");
    folder.write_letters(&[Draft::new(100)]);
    assert_eq!(json(&replay(&folder, &["--json"]).success())["sent"], 1);
    replay(&folder, &[]).fails(3, &[]);
    assert!(sent(&folder, "pass").values().all(|count| *count == 1));
}
