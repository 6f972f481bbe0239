//! `pawl dlq stats` and `review` against counts that are made here, another way.

use crate::world::{PIPELINE, json, replay};
use pawl_core::identity::text_of_time;
use pawl_tests::{Draft, Folder, Random};
use std::collections::BTreeMap;

const END_MS: i64 = 1_795_046_400_000;

/// A day of trouble of all kinds, and in its last half hour forty times as much of one.
fn spike(random: &mut Random) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for number in 0..3120 {
        let spikes = number >= 1440;
        let mut draft = Draft::new(number);
        draft.failed_ms = match spikes {
            false => END_MS - 86_400_000 + number as i64 * 60_000,
            true => END_MS - 1_800_000 + (number as i64 - 1440) * 1000,
        };
        draft.failed_ms = draft.failed_ms.min(END_MS - 1);
        let pick = |from: &[&str], at: u64| from[at as usize % from.len()].to_owned();
        draft.kind = pick(&["bad-json", "frame", "late", "out-of-range"], random.below(4));
        draft.disposition = pick(&["rejected", "trap"], random.below(2));
        draft.origin.1 = random.below(3) as u32;
        let mut radar = random.below(12);
        if spikes && random.below(100) < 97 {
            (draft.kind, draft.origin.1, radar) = ("bad-json".to_owned(), 2, 7);
        }
        draft.headers = vec![("source".to_owned(), format!("radar-{radar}"))];
        draft.payload = format!("{{\"cell\":{}}}", random.below(5));
        drafts.push(draft);
    }
    drafts
}

fn counts<'a>(drafts: &'a [Draft], of: impl Fn(&'a Draft) -> String) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for draft in drafts {
        *counts.entry(of(draft)).or_default() += 1;
    }
    counts
}

fn told(stats: &serde_json::Value, field: &str) -> BTreeMap<String, u64> {
    let list = stats["by"][field].as_array().unwrap_or_else(|| panic!("no {field} in {stats}"));
    let one = |one: &serde_json::Value| {
        (
            one["value"].as_str().expect("a value is text").to_owned(),
            one["count"].as_u64().expect("a count is a number"),
        )
    };
    list.iter().map(one).collect()
}

#[test]
fn every_count_is_that_of_another_way_of_counting() {
    let mut random = Random::from_environment();
    let folder = Folder::new("counted", PIPELINE);
    let drafts = spike(&mut random);
    folder.write_letters(&drafts);
    // A crash may write one twice; it counts once.
    folder.write_letters(&drafts[..5]);
    let until = text_of_time(END_MS);
    let arguments = [
        "dlq", "stats", "-p", "p.toml", "--until", &until, "--by", "/cell", "--bucket", "1h",
        "--json",
    ];
    let stats = json(&folder.pawl(&arguments, b"").success());
    assert_eq!((&stats["letters"], &stats["repeated"]), (&3120.into(), &5.into()));
    assert_eq!(told(&stats, "error kind"), counts(&drafts, |d| d.kind.clone()));
    assert_eq!(told(&stats, "disposition"), counts(&drafts, |d| d.disposition.clone()));
    assert_eq!(told(&stats, "partition"), counts(&drafts, |d| d.origin.1.to_string()));
    assert_eq!(told(&stats, "header source"), counts(&drafts, |d| d.headers[0].1.clone()));
    let cell = |d: &Draft| d.payload.split([':', '}']).nth(1).unwrap().to_owned();
    assert_eq!(told(&stats, "field /cell"), counts(&drafts, cell));
    assert_eq!(told(&stats, "operator").into_iter().collect::<Vec<_>>(), [("pass".into(), 3120)]);
    let hours = counts(&drafts, |d| text_of_time(d.failed_ms / 3_600_000 * 3_600_000));
    let buckets: BTreeMap<String, u64> = stats["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["begin"].as_str().unwrap().to_owned(), one["count"].as_u64().unwrap()))
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(buckets, hours);
    let some = ["dlq", "stats", "-p", "p.toml", "--kind", "frame", "--origin", "in/1", "--json"];
    let stats = json(&folder.pawl(&some, b"").success());
    let wanted = drafts.iter().filter(|d| d.kind == "frame" && d.origin.1 == 1).count();
    assert_eq!(stats["letters"], wanted);
}

#[test]
fn what_explains_a_spike_is_named_and_what_does_not_is_not() {
    let mut random = Random::from_environment();
    let folder = Folder::new("spike", PIPELINE);
    folder.write_letters(&spike(&mut random));
    let until = text_of_time(END_MS);
    let arguments = ["dlq", "stats", "-p", "p.toml", "--until", &until, "--window", "30m"];
    let stats = json(&folder.pawl(&[&arguments[..], &["--json"]].concat(), b"").success());
    let change = &stats["change"];
    let times = change["times"].as_f64().unwrap();
    assert!((30.0..70.0).contains(&times), "{times}");
    let mut shared: Vec<(&str, &str)> = change["shared"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["field"].as_str().unwrap(), one["value"].as_str().unwrap()))
        .collect();
    shared.sort_unstable();
    let wanted = [("error kind", "bad-json"), ("header source", "radar-7"), ("partition", "2")];
    assert_eq!(shared, wanted);
    let share = change["explained_new"].as_f64().unwrap() / change["new"].as_f64().unwrap();
    assert!((0.9..1.0).contains(&share), "{share}");
    assert_eq!(change["since"], text_of_time(END_MS - 1_800_000));
    let text = folder.pawl(&arguments, b"").success().text();
    for said in ["times as many a minute as before", "error kind bad-json", "header source radar-7"]
    {
        assert!(text.contains(said), "`{said}` is not in\n{text}");
    }
}

#[test]
fn a_review_shows_what_is_new_and_new_kinds_first() {
    let folder = Folder::new("review", PIPELINE);
    let review = |arguments: &[&str]| {
        folder.pawl(&[&["dlq", "review", "-p", "p.toml"], arguments].concat(), b"").success()
    };
    let drafts: Vec<Draft> = (0..40).map(Draft::new).collect();
    let mut early = drafts[..10].to_vec();
    early.push(Draft { kind: "early".to_owned(), ..Draft::new(100) });
    folder.write_letters(&early);
    let first = json(&review(&["--json"]));
    assert!(first["last_review"].is_null());
    assert_eq!(
        (&first["kinds"][0]["new"], first["kinds"].as_array().unwrap().len()),
        (&10.into(), 2)
    );
    assert_eq!(json(&review(&["--json"])), first, "looking alone is no review");
    review(&["--done"]);
    assert_eq!(json(&review(&["--json"]))["kinds"], serde_json::json!([]));
    let mut new = drafts[10..].to_vec();
    new.iter_mut().take(3).for_each(|draft| draft.kind = "never-seen".to_owned());
    folder.write_letters(&new);
    let second = json(&review(&["--json", "--done"]));
    let kinds: Vec<(&str, u64, bool)> = second["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| {
            let (name, new) = (kind["kind"].as_str().unwrap(), kind["new"].as_u64().unwrap());
            (name, new, kind["is_new_kind"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(kinds, [("pass/pass never-seen", 3, true), ("pass/pass bad-json", 27, false)]);
    assert_eq!(second["kinds"][1]["before"], 10);
    folder.write_letters(&[Draft { kind: "early".to_owned(), ..Draft::new(101) }]);
    let third = json(&review(&["--json", "--done"]));
    assert_eq!(third["kinds"][0]["is_new_kind"], false, "seen in the first review: {third}");
    // What was reviewed can still be sent.
    replay(&folder, &[]).success();
    assert_eq!(json(&review(&["--json"]))["kinds"], serde_json::json!([]));
}

#[test]
fn a_header_that_comes_late_is_absent_in_all_letters_before() {
    let folder = Folder::new("late-header", PIPELINE);
    let drafts: Vec<Draft> = (0..30)
        .map(|number| {
            let mut draft = Draft::new(number);
            draft.origin.1 = 0;
            if number >= 20 {
                draft.headers = vec![("station".to_owned(), "st-1".to_owned())];
            }
            draft
        })
        .collect();
    folder.write_letters(&drafts);
    let arguments = ["dlq", "stats", "-p", "p.toml", "--json"];
    let stats = json(&folder.pawl(&arguments, b"").success());
    let wanted = [("-".to_owned(), 20), ("st-1".to_owned(), 10)];
    assert_eq!(told(&stats, "header station"), wanted.into_iter().collect());
}

#[test]
fn a_review_counts_a_letter_that_a_crash_wrote_twice_once() {
    let folder = Folder::new("review-twice", PIPELINE);
    let drafts: Vec<Draft> = (0..12).map(Draft::new).collect();
    folder.write_letters(&drafts);
    folder.write_letters(&drafts);
    let arguments = ["dlq", "review", "-p", "p.toml", "--json"];
    assert_eq!(json(&folder.pawl(&arguments, b"").success())["kinds"][0]["new"], 12);
}

#[test]
fn headers_that_nobody_can_mean_are_counted_and_stop_nothing() {
    let folder = Folder::new("hostile", PIPELINE);
    let mut drafts: Vec<Draft> = (0..4).map(Draft::new).collect();
    drafts[1].failed_ms = i64::MIN + 1;
    drafts[2].failed_ms = i64::MAX;
    drafts[3].replays = u32::MAX;
    folder.write_letters(&drafts);
    for arguments in
        [&["--json"][..], &[], &["--bucket", "7d"], &["--until", "9223372036854775807"]]
    {
        let arguments = [&["dlq", "stats", "-p", "p.toml"], arguments].concat();
        folder.pawl(&arguments, b"").success();
    }
    folder.pawl(&["dlq", "review", "-p", "p.toml", "--done"], b"").success();
    assert_eq!(json(&replay(&folder, &["--json"]))["not_sent"][0]["why"], "parked");
}

#[test]
fn a_first_spike_of_all_is_explained_too() {
    let folder = Folder::new("first-spike", PIPELINE);
    let drafts: Vec<Draft> = (0..50)
        .map(|number| {
            let kind = if number % 10 == 0 { "frame" } else { "out-of-range" };
            Draft { kind: kind.to_owned(), failed_ms: END_MS - 60_000, ..Draft::new(number) }
        })
        .collect();
    folder.write_letters(&drafts);
    let until = text_of_time(END_MS);
    let arguments = ["dlq", "stats", "-p", "p.toml", "--until", &until, "--json"];
    let change = json(&folder.pawl(&arguments, b"").success())["change"].clone();
    let shared = change["shared"].as_array().unwrap();
    let kind = serde_json::json!({ "field": "error kind", "value": "out-of-range" });
    assert!(shared.contains(&kind), "{change}");
}
