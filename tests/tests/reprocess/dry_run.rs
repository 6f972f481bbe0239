//! A dry run says what would be sent and what the operators would say of it, and changes nothing.

use crate::world::{PIPELINE, json, replay};
use pawl_tests::{Draft, Folder, input};
use std::collections::BTreeMap;

/// Every row of every topic.
fn everything(folder: &Folder) -> BTreeMap<String, Vec<pawl_tests::stored::Row>> {
    let listed = pawl_pipeline::load(&folder.path().join("p.toml"), &[])
        .expect("what is stored can be read")
        .0;
    let transport =
        pawl_service::open_transport(&listed, true).expect("what is stored can be read");
    let topics = pawl_transport::Transport::topics(&transport).expect("what is stored can be read");
    let stored = folder.stored();
    topics.into_iter().map(|topic| (topic.name.clone(), stored.rows(&topic.name))).collect()
}

#[test]
fn nothing_is_changed_and_what_would_be_sent_is_told() {
    let folder = Folder::new("dry", PIPELINE);
    let mut drafts: Vec<Draft> = (0..40).map(Draft::new).collect();
    drafts.iter_mut().take(10).for_each(|draft| draft.kind = "frame".to_owned());
    folder.write_letters(&drafts);
    let before = everything(&folder);
    let ended = replay(&folder, &["--dry-run", "--max", "30"]).success();
    for said in [
        "all dead letters",
        "would send 30 dead letters",
        "10 more match, beyond --max",
        "by error kind",
        "pass/pass",
        "by day",
        "expected value at line 1 column 1",
        "30  would succeed",
        "pass/pass was tried without its state",
    ] {
        assert!(ended.text().contains(said), "`{said}` is not in\n{}", ended.text());
    }
    let said = json(&replay(&folder, &["--dry-run", "--json", "--kind", "frame"]).success());
    assert_eq!((&said["would_send"], &said["tried"]["succeed"]), (&10.into(), &10.into()));
    assert_eq!(said["kinds"]["frame"], 10);
    assert!(said["selection"].as_str().unwrap().contains("error kind is `frame`"));
    let said = json(&replay(&folder, &["--dry-run", "--json", "--try-max", "7"]).success());
    assert_eq!((&said["tried"]["succeed"], &said["tried"]["untried"]), (&7.into(), &33.into()));
    assert!(
        json(&replay(&folder, &["--dry-run", "--json", "--try-max", "0"])).get("tried").is_none()
    );
    assert_eq!(everything(&folder), before);
}

#[test]
fn what_the_operators_would_say_now_is_told_and_one_that_traps_spoils_no_other() {
    let folder = Folder::new("tried", PIPELINE);
    let orders = ["trap", "fine", "loop", "hoard", "fine", "trap", "fine"];
    let drafts: Vec<Draft> = (0..7)
        .map(|number| {
            let mut draft = Draft::new(number);
            (draft.stage, draft.operator) = ("order".to_owned(), "order".to_owned());
            draft.origin = ("orders".to_owned(), 0, number);
            draft.payload = orders[number as usize].to_owned();
            draft
        })
        .collect();
    folder.write_letters(&drafts);
    let said = json(&replay(&folder, &["--dry-run", "--json"]).success());
    assert_eq!(said["tried"]["succeed"], 3, "{said}");
    let mut failed: Vec<(String, u64)> = said["tried"]["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["kind"].as_str().unwrap().to_owned(), one["count"].as_u64().unwrap()))
        .collect();
    failed.sort();
    let wanted = [("memory", 1), ("timeout", 1), ("trap", 2)].map(|(k, n)| (k.to_owned(), n));
    assert_eq!(failed, wanted);
}

#[test]
fn what_would_be_late_and_what_the_window_forgot_is_told_beforehand() {
    let folder = Folder::new("late", PIPELINE);
    let at = |seconds: i64| input::START_MS + seconds * 1000;
    let line = |id: &str, seconds: i64| input::observation(id, 1, at(seconds));
    // Keyless: the watermark comes to 99 s, the window remembers from 89 s on.
    let lines: Vec<String> = (0..=100).map(|second| line(&format!("o{second}"), second)).collect();
    folder.produce("times", &input::joined(&lines));
    folder.run(&["--until-idle"]).success();
    let drafts: Vec<Draft> = [(0, 99), (1, 95), (2, 90), (3, 50), (4, 105)]
        .into_iter()
        .map(|(number, seconds)| {
            let mut draft = Draft::new(number);
            (draft.stage, draft.operator) = ("window".to_owned(), "window".to_owned());
            draft.origin = ("times".to_owned(), 0, number);
            draft.event_time = at(seconds);
            draft.payload = line(&format!("late-{number}"), seconds);
            draft
        })
        .collect();
    folder.write_letters(&drafts);
    let ended = replay(&folder, &["--dry-run", "--json"]);
    assert_eq!(ended.code, Some(4), "{}", ended.err);
    let said = json(&ended);
    assert_eq!((&said["would_send"], &said["late"]), (&4.into(), &2.into()), "{said}");
    assert_eq!(said["not_sent"][0]["why"], "beyond-horizon");
    assert_eq!(said["not_sent"][0]["ids"][0], drafts[3].id());
    assert_eq!((&said["tried"]["late"], &said["tried"]["succeed"]), (&2.into(), &2.into()));
    assert_eq!(said["tried"]["without_state"], serde_json::json!({}), "the checkpoint is read");
    let said = json(&replay(&folder, &["--beyond-horizon", "--json"]).success());
    assert_eq!((&said["sent"], &said["late"]), (&5.into(), &3.into()));
}

#[test]
fn a_letter_is_tried_with_the_time_that_the_log_gave_its_root() {
    let pipeline = PIPELINE.replace(
        "event_time = { field = \"/t_ms\" }\nwatermark = { disorder_ms = 1000, agree = 1 }",
        "event_time = \"timestamp\"\nwatermark = { disorder_ms = 1000, agree = 1 }",
    );
    assert_ne!(pipeline, PIPELINE);
    let folder = Folder::new("by-timestamp", &pipeline);
    let mut draft = Draft::new(0);
    (draft.stage, draft.operator) = ("window".to_owned(), "window".to_owned());
    draft.origin = ("times".to_owned(), 0, 0);
    draft.payload = input::observation("o0", 1, input::START_MS);
    // Behind the watermark that comes of a record that is appended now.
    draft.failed_ms = 4_000_000_000_000;
    folder.produce("times", &input::observation("o1", 1, input::START_MS));
    folder.run(&["--until-idle"]).success();
    folder.write_letters(&[draft]);
    let said = json(&replay(&folder, &["--dry-run", "--json"]).success());
    assert_eq!(said["tried"]["succeed"], 1, "{said}");
}
