//! What a filter chooses is what is sent: to the partition of its root, as it stands.

use crate::world::{PIPELINE, json, replay, reprocess, rows_sent, sent, text};
use pawl_tests::{Draft, Folder};
use std::collections::BTreeSet;

/// Sixty dead letters that differ in all that can be chosen by.
fn drafts() -> Vec<Draft> {
    (0..60)
        .map(|number| {
            let mut draft = Draft::new(number);
            draft.kind = ["bad-json", "frame", "late"][number as usize % 3].to_owned();
            draft.disposition = ["rejected", "trap"][number as usize % 2].to_owned();
            draft.replays = number as u32 % 3;
            draft.failed_ms = 1_795_000_000_000 + number as i64 * 3_600_000;
            draft.headers = vec![("source".to_owned(), format!("radar-{}", number % 5))];
            draft.payload = format!("{{\"n\":{number},\"deep\":{{\"x\":\"{}\"}}}}", number % 4);
            draft
        })
        .collect()
}

/// The same, and differing in who refused them, too.
fn of_several() -> Vec<Draft> {
    let mut drafts = drafts();
    for draft in &mut drafts {
        let number = draft.number as usize;
        draft.operator_version = format!("0.{}.0", number % 4);
        draft.schema_version = (1 + number % 6).to_string();
        draft.class = ["permanent", "transient", "late"][number / 7 % 3].to_owned();
        draft.component = format!("d884{}{}", number % 8, "0".repeat(59));
        if number % 10 == 9 {
            (draft.stage, draft.operator) = ("order".to_owned(), "order".to_owned());
            draft.origin = ("orders".to_owned(), 0, draft.number);
        }
    }
    drafts
}

#[test]
fn each_filter_sends_exactly_what_it_says() {
    let folder = Folder::new("filters", PIPELINE);
    let drafts = of_several();
    folder.write_letters(&drafts);
    let hours =
        |number: i64| pawl_core::identity::text_of_time(1_795_000_000_000 + number * 3_600_000);
    let (ten, twenty) = (hours(10), hours(20));
    let id = drafts[17].id();
    type Meant = fn(&Draft) -> bool;
    let cases: Vec<(Vec<&str>, Meant)> = vec![
        (vec!["--kind", "frame"], |d| d.kind == "frame"),
        (vec!["--kind", "frame", "--kind", "late"], |d| d.kind != "bad-json"),
        (vec!["--kind", "frame", "--disposition", "trap"], |d| {
            d.kind == "frame" && d.disposition == "trap"
        }),
        (vec!["--since", &ten, "--until", &twenty], |d| (10..20).contains(&d.number)),
        (vec!["--origin", "in/1"], |d| d.origin.1 == 1),
        (vec!["--origin", "in/1/10..30"], |d| d.origin.1 == 1 && (10..30).contains(&d.number)),
        (vec!["--origin", "in/0", "--origin", "in/2/..10"], |d| {
            d.origin.0 == "in" && d.origin.1 == 0 || d.origin.1 == 2 && d.number < 10
        }),
        (vec!["--header", "source=radar-3"], |d| d.number % 5 == 3),
        (vec!["--header", "source=radar-3", "--header", "source=radar-4"], |d| d.number % 5 > 2),
        (vec!["--field", "/deep/x=2"], |d| d.number % 4 == 2),
        (vec!["--field", "/n=7"], |d| d.number == 7),
        (vec!["--matches", r#""n":1\d,"#], |d| (10..20).contains(&d.number)),
        (vec!["--id", &id[..12]], |d| d.number == 17),
        (vec!["--replays", "2"], |d| d.replays == 2),
        (vec!["--replays", "1.."], |d| d.replays > 0),
        (vec!["--component", "D8845"], |d| d.number % 8 == 5),
        (vec!["--schema-version", "2"], |d| d.number % 6 == 1),
        (vec!["--operator", "order"], |d| d.operator == "order"),
        (vec!["--operator", "pass", "--stage", "pass"], |d| d.operator == "pass"),
        (vec!["--stage", "order"], |d| d.stage == "order"),
        (vec!["--operator-version", "0.3.0"], |d| d.number % 4 == 3),
        (vec!["--class", "transient"], |d| d.class == "transient"),
    ];
    for (arguments, meant) in cases {
        let copy = folder.copy("filter");
        let ended = replay(&copy, &[&arguments[..], &["--json"]].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
        let wanted: BTreeSet<String> =
            drafts.iter().filter(|draft| meant(draft)).map(Draft::id).collect();
        let mut found = sent(&copy, "pass");
        found.extend(sent(&copy, "order"));
        assert!(!wanted.is_empty() && wanted.len() < drafts.len(), "{arguments:?} tells nothing");
        assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), wanted, "{arguments:?}");
        assert!(found.values().all(|count| *count == 1));
        assert_eq!(json(&ended)["sent"], wanted.len());
    }
    assert!(folder.stored().rows("t.pass.replay").is_empty());
}

#[test]
fn a_letter_goes_as_it_stands_to_the_partition_of_its_root() {
    let folder = Folder::new("as-it-stands", PIPELINE);
    let drafts = drafts();
    folder.write_letters(&drafts);
    let ended = replay(&folder, &["--json"]).success();
    let run = json(&ended)["run"].as_str().unwrap().to_owned();
    assert!(run.len() == 32 && ended.err.contains(&run), "{}", ended.err);
    let letters = folder.stored().rows("t.dlq");
    let rows = rows_sent(&folder, "pass");
    assert_eq!(rows.len(), 60);
    for row in rows {
        let letter = letters.iter().find(|own| text(own, "pawl-id") == text(&row, "pawl-id"));
        let letter = letter.expect("it was a dead letter");
        assert_eq!(row.partition.to_string(), text(letter, "pawl-partition"));
        let mut wanted = letter.headers.clone();
        let replays: u32 = text(letter, "pawl-replay-count").parse().unwrap();
        wanted.insert("pawl-replay-count".to_owned(), (replays + 1).to_string().into_bytes());
        wanted.insert("pawl-replay-id".to_owned(), run.clone().into_bytes());
        assert_eq!(row.headers, wanted);
        assert_eq!(
            (&row.value, &row.key, &row.id, row.event_time),
            (&letter.value, &letter.key, &letter.id, letter.event_time)
        );
    }
    assert_eq!(folder.stored().rows("t.dlq"), letters, "nothing is removed");
}

#[test]
fn what_matches_nothing_or_is_no_filter_has_an_exit_code_of_its_own() {
    let folder = Folder::new("no-match", PIPELINE);
    replay(&folder, &[]).fails(1, &["pawl.db"]);
    assert!(!folder.data().exists(), "a wrong folder is left as it is");
    folder.write_letters(&[]);
    replay(&folder, &[]).fails(3, &[]);
    folder.write_letters(&drafts());
    replay(&folder, &["--kind", "no-such"]).fails(3, &[]);
    replay(&folder, &["--since", "yesterday"]).fails(2, &["--since", "RFC 3339"]);
    replay(&folder, &["--matches", "("]).fails(2, &["--matches"]);
    replay(&folder, &["--origin", "in/x"]).fails(2, &["--origin"]);
    replay(&folder, &["--id", "xyz"]).fails(2, &["--id"]);
    for digits in ["2026", "20261124"] {
        replay(&folder, &["--since", digits]).fails(2, &["--since", "RFC 3339"]);
    }
    replay(&folder, &["--class", "permanant"]).fails(2, &["--class", "did you mean permanent"]);
    replay(&folder, &["--run", "12"]).fails(2, &["--run"]);
    let unknown = "0123456789abcdef0123456789abcdef";
    replay(&folder, &["--run", unknown]).fails(2, &["--run", unknown]);
    replay(&folder, &["--rate", "0"]).fails(2, &["--rate"]);
    replay(&folder, &["--kind", "frame"]).success();
    replay(&folder, &["--kind", "frame"]).fails(3, &[]);
    assert_eq!(sent(&folder, "pass").len(), 20);
}

#[test]
fn what_no_operator_refused_is_named_and_left() {
    let folder = Folder::new("cannot", PIPELINE);
    let mut drafts: Vec<Draft> = (0..6).map(Draft::new).collect();
    drafts[0].stage = "source.files".to_owned();
    drafts[1].stage = "gone".to_owned();
    drafts[2].operator = "gone".to_owned();
    drafts[3].operator = String::new();
    drafts[4].origin.1 = 99;
    folder.write_letters(&drafts);
    let ended = replay(&folder, &["--json"]);
    assert_eq!(ended.code, Some(4), "{}", ended.err);
    let said = json(&ended);
    let mut why: Vec<&str> = said["not_sent"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert_eq!(one["count"], 1);
            one["why"].as_str().unwrap()
        })
        .collect();
    why.sort_unstable();
    let wanted = ["no-entry", "source", "unknown-operator", "unknown-partition", "unknown-stage"];
    assert_eq!(why, wanted);
    assert_eq!(sent(&folder, "pass").into_keys().collect::<Vec<_>>(), [drafts[5].id()]);
    let ended = replay(&folder, &["--stage", "source.files"]);
    assert_eq!(ended.code, Some(4));
    assert!(ended.text().contains("pawl produce"), "{}", ended.text());
}

#[test]
fn a_letter_that_a_crash_wrote_twice_is_sent_once() {
    let folder = Folder::new("twice", PIPELINE);
    folder.write_letters(&drafts());
    folder.write_letters(&drafts()[..7]);
    replay(&folder, &[]).success();
    let sent = sent(&folder, "pass");
    assert!(sent.len() == 60 && sent.values().all(|count| *count == 1));
}

#[test]
fn at_most_so_many_are_sent_and_the_next_run_takes_the_next() {
    let folder = Folder::new("max", PIPELINE);
    folder.write_letters(&drafts());
    for (run, total) in [(0, 25), (1, 50), (2, 60)] {
        replay(&folder, &["--max", "25"]).success();
        assert_eq!(sent(&folder, "pass").len(), total, "run {run}");
    }
}

#[test]
fn the_tool_of_its_own_name_is_the_same() {
    let folder = Folder::new("own-name", PIPELINE);
    folder.write_letters(&drafts());
    let ended = folder.start_command(reprocess(&folder, &["--kind", "late", "--json"])).wait();
    assert_eq!(json(&ended.success())["sent"], 20);
    let ended = folder.start_command(reprocess(&folder, &["--kind", "late"])).wait();
    ended.fails(3, &[]);
    assert_eq!(sent(&folder, "pass").len(), 20);
}

#[test]
fn a_run_that_matches_nothing_does_not_end_one_that_works() {
    let folder = Folder::new("beside-nothing", PIPELINE);
    folder.write_letters(&drafts());
    let mut works = folder.start_command(reprocess(&folder, &["--rate", "30"]));
    works.wait_until_it_says("run ");
    let ended = replay(&folder, &["--kind", "no-such"]);
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    assert!(!ended.err.contains("cut short"), "{}", ended.err);
    works.wait().success();
    assert_eq!(sent(&folder, "pass").len(), 60);
}

#[test]
fn a_listing_takes_the_same_filters_and_one_letter_is_shown_only_where_it_is_plain_which() {
    let folder = Folder::new("shown", PIPELINE);
    let drafts = drafts();
    folder.write_letters(&drafts);
    let dlq = |arguments: &[&str]| {
        folder.pawl(&[&["dlq", arguments[0], "-p", "p.toml"], &arguments[1..]].concat(), b"")
    };
    let listed = dlq(&["ls", "--kind", "frame", "--json"]).success().text();
    assert_eq!(listed.lines().count(), 20);
    let id = drafts[17].id();
    let shown = json(&dlq(&["show", &id, "--json"]).success());
    assert_eq!(
        (&shown["topic"], &shown["value"]),
        (&"t.dlq".into(), &drafts[17].payload.clone().into())
    );
    assert_eq!(shown["headers"]["pawl-id"], id);
    // Two of a thousand begin alike.
    let more: Vec<Draft> = (1000..3000).map(Draft::new).collect();
    folder.write_letters(&more);
    let mut ids: Vec<String> = more.iter().map(Draft::id).collect();
    ids.sort();
    let alike = ids.windows(2).find(|two| two[0][..4] == two[1][..4]).expect("some begin alike");
    let said = [&alike[0][..4], &alike[0], &alike[1], "more digits"];
    dlq(&["show", &alike[0][..4]]).fails(2, &said);
    dlq(&["show", &alike[0]]).success();
}
