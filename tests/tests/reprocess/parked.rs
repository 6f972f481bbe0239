//! What failed too often is parked, what is no longer kept is forgotten.

use crate::world::{PIPELINE, json, replay, rows_sent, sent, text};
use pawl_tests::{Draft, Folder};
use pawl_transport::Transport;

#[test]
fn what_was_sent_back_too_often_is_parked_until_somebody_insists() {
    let folder = Folder::new("parked", PIPELINE);
    let drafts: Vec<Draft> =
        (0..20).map(|number| Draft { replays: number as u32 % 5, ..Draft::new(number) }).collect();
    folder.write_letters(&drafts);
    let ended = replay(&folder, &["--json"]);
    assert_eq!(ended.code, Some(4), "{}", ended.err);
    let said = json(&ended);
    assert_eq!((&said["sent"], &said["matched"]), (&12.into(), &20.into()));
    assert_eq!(said["not_sent"][0]["why"], "parked");
    assert_eq!(said["not_sent"][0]["count"], 8);
    let named: Vec<&str> = said["not_sent"][0]["ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    let parked: Vec<String> = drafts.iter().filter(|d| d.replays >= 3).map(Draft::id).collect();
    assert!(named.iter().all(|id| parked.contains(&(*id).to_owned())) && named.len() == 8);
    let listed = folder.pawl(&["dlq", "stats", "-p", "p.toml", "--json"], b"").success();
    let stats = json(&listed);
    assert_eq!(
        (&stats["open"], &stats["sent_back"], &stats["parked"]),
        (&0.into(), &12.into(), &8.into())
    );
    let listed = folder.pawl(&["dlq", "ls", "-p", "p.toml", "--json"], b"").success().text();
    for (state, count) in [("sent back", 12), ("parked", 8), ("open", 0)] {
        let said = format!("\"state\":\"{state}\"");
        assert_eq!(listed.matches(&said).count(), count, "{state}");
    }
    // Another bound, for once and in the file.
    assert_eq!(json(&replay(&folder, &["--json", "--replays-max", "4"]))["sent"], 4);
    let set = ["--json", "--set", "dead_letters.replays_max=1"];
    assert_eq!(json(&replay(&folder, &set))["not_sent"][0]["count"], 4);
    replay(&folder, &["--parked"]).success();
    assert_eq!(sent(&folder, "pass").len(), 20);
    for row in rows_sent(&folder, "pass") {
        let draft = drafts.iter().find(|draft| draft.id() == text(&row, "pawl-id")).unwrap();
        assert_eq!(text(&row, "pawl-replay-count"), (draft.replays + 1).to_string());
    }
}

#[test]
fn the_ledger_forgets_letters_that_are_no_longer_kept() {
    let folder = Folder::new("ledger", PIPELINE);
    let drafts: Vec<Draft> = (0..90).map(Draft::new).collect();
    folder.write_letters(&drafts[..60]);
    replay(&folder, &["--rate", "100"]).success();
    assert_eq!(folder.stored().rows("t.replayed").len(), 60);
    let (pipeline, _) = pawl_pipeline::load(&folder.path().join("p.toml"), &[]).unwrap();
    let transport = pawl_service::open_transport(&pipeline, false).unwrap();
    for partition in 0..3 {
        transport.trim("t.dlq", partition, 20).unwrap();
    }
    drop(transport);
    folder.write_letters(&drafts[60..]);
    replay(&folder, &[]).success();
    let ledger = folder.stored().rows("t.replayed");
    assert_eq!(ledger.len(), 30, "only those that are kept");
    let mut ids: Vec<String> = sent(&folder, "pass").into_keys().collect();
    ids.sort();
    let mut all: Vec<String> = drafts.iter().map(Draft::id).collect();
    all.sort();
    assert_eq!(ids, all);
}
