//! A plugin or its configuration was replaced while the host was dead: the replay is done by what
//! ran before, then the new one takes over by decision.

use crate::workload::{PIPELINE, UNDISTURBED, ends_as_undisturbed, prepared, results};
use pawl_core::commit::TaskId;
use pawl_core::decision::DecisionKind;
use pawl_tests::folder::plugins;
use pawl_tests::{Folder, input};

/// Replays are long: no checkpoint but that of the birth.
const FAR_APART: &str = "checkpoint.recovery_time_max_ms=60000";

fn crashed(name: &str) -> Folder {
    let folder = prepared(name);
    let died = folder.run_to_crash("commit-durable:9", &["--until-idle", "--set", FAR_APART]);
    assert!(died.was_killed(), "{}", died.err);
    folder
}

#[test]
fn another_configuration_takes_over_where_the_old_one_has_committed() {
    // What was decided already comes before the switch: where a row behind the commit is dead, the
    // old ones go on up to there. Here they must not.
    let settled = |folder: &Folder| {
        let stored = folder.stored();
        let commit = stored.commit(&task("window", 0)).unwrap_or_default();
        let decisions = stored.decisions(&task("window", 0)).len() as u64;
        commit.progress.position > 0 && decisions == commit.progress.decisions
    };
    let mut tries = (0..20).map(|_| crashed("configuration"));
    let folder = tries.find(settled).expect("a commit with nothing decided behind it");
    let before = folder.stored().commit(&task("window", 0)).unwrap();
    let alerts_before = before.counters.records_out.get("alerts").copied().unwrap_or(0);
    assert!(alerts_before > 0, "{before:?}");
    let due = before.progress.position;
    // From here on nothing is worth an alert.
    folder.write_pipeline(&PIPELINE.replace("min_sensors = 1", "min_sensors = 9"));
    // Decisions stay as long as checkpoints do.
    let kept = ["--set", FAR_APART, "--set", "checkpoint.kept_min=1000"];
    folder.run(&[&["--until-idle"], &kept[..]].concat()).success();
    let stored = folder.stored();
    let after = stored.commit(&task("window", 0)).unwrap();
    assert_eq!(after.counters.records_out["alerts"], alerts_before, "{after:?}");
    let switches = stored.decisions(&task("window", 0)).into_iter().filter(|decision| {
        matches!(decision.kind, DecisionKind::Switch { at_checkpoint: None, .. })
            && decision.position == due
    });
    assert_eq!(switches.count(), 1, "{before:?} {:?}", stored.decisions(&task("window", 0)));
    let found = results(&folder);
    assert!(found.outputs.iter().all(|output| UNDISTURBED.idle.outputs.contains(output)));
    assert_eq!(found.letters, UNDISTURBED.idle.letters);
}

#[test]
fn another_component_takes_over_and_killed_in_between_it_does_so_once() {
    let folder = prepared("component");
    replace_identity(&folder, 0);
    for (round, at) in ["commit-durable:7", "mid-emit:2", "commit-submitted:1", "mid-replay:3"]
        .into_iter()
        .enumerate()
    {
        let died = folder.run_to_crash(at, &["--until-idle"]);
        assert!(died.was_killed(), "{at}: {}", died.err);
        replace_identity(&folder, round as u8 + 1);
    }
    ends_as_undisturbed(&folder, "components replaced");
}

/// The pipeline runs a copy of `identity` that differs in nothing but its bytes.
fn replace_identity(folder: &Folder, version: u8) {
    let mut bytes = std::fs::read(plugins().join("identity.wasm")).unwrap();
    // A custom section: kind 0, its length, the length of its name, the name, the content.
    bytes.extend([0, 3, 1, b'v', version]);
    folder.write("own.wasm", &bytes);
    folder.write_pipeline(&PIPELINE.replace("\"identity\"", "\"own.wasm\""));
}

const TRAPPING: &str = r#"
pawl = 1
name = "trapping"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.out]
[topics.side]
[supervisor]
backoff_ms = 1
[[stage]]
name = "copy"
input = "in"
output = "out"
[[stage.operator]]
name = "guest"
plugin = "misbehaving"
config = { mode = "snapshot-traps" }
outputs = { side = "side" }
"#;

#[test]
fn where_the_old_one_traps_in_snapshot_the_way_out_is_named_and_works() {
    let folder = Folder::new("trapping", TRAPPING);
    folder.produce("in", &input::joined(&input::numbered(0, 500)));
    folder.run(&["--until-idle"]).fails(1, &["copy/0", "snapshot", "operator guest"]);
    let committed = folder.stored().commit(&task("copy", 0)).unwrap().progress.position;
    assert_eq!(committed, 500, "what it did is committed all the same");
    folder.produce("in", &input::joined(&input::numbered(500, 600)));
    folder.write_pipeline(&TRAPPING.replace("snapshot-traps", "plain"));
    folder.run(&["--until-idle"]).fails(1, &["predecessor", "--switch-at-checkpoint"]);
    folder.run(&["--until-idle", "--switch-at-checkpoint"]).success();
    assert_eq!(folder.stored().texts("out"), input::numbered(0, 600));
    // Later starts need no word of it any more.
    folder.produce("in", &input::joined(&input::numbered(600, 700)));
    folder.run(&["--until-idle"]).success();
    assert_eq!(folder.stored().texts("out"), input::numbered(0, 700));
    assert_eq!(folder.stored().letters(), []);
}

#[test]
fn a_new_one_that_traps_in_snapshot_can_be_taken_back() {
    let good = TRAPPING.replace("snapshot-traps", "plain");
    let folder = Folder::new("taken-back", &good);
    folder.produce("in", &input::joined(&input::numbered(0, 500)));
    folder.run(&["--until-idle"]).success();
    folder.write_pipeline(TRAPPING);
    folder.produce("in", &input::joined(&input::numbered(500, 600)));
    folder.run(&["--until-idle"]).fails(1, &["copy/0", "snapshot", "operator guest"]);
    folder.write_pipeline(&good);
    folder.run(&["--until-idle"]).success();
    assert_eq!(folder.stored().texts("out"), input::numbered(0, 600));
    assert_eq!(folder.stored().letters(), []);
}

#[test]
fn switching_at_the_checkpoint_is_finished_also_when_it_is_killed_on_the_way() {
    for at in ["claimed:1", "mid-replay:1", "mid-emit:1", "commit-durable:1", "snapshot-taken:1"] {
        let folder = Folder::new("switching", TRAPPING);
        folder.produce("in", &input::joined(&input::numbered(0, 3000)));
        folder.run(&["--until-idle"]).fails(1, &["snapshot"]);
        folder.produce("in", &input::joined(&input::numbered(3000, 3100)));
        folder.write_pipeline(&TRAPPING.replace("snapshot-traps", "plain"));
        let died = folder.run_to_crash(at, &["--until-idle", "--switch-at-checkpoint"]);
        assert!(died.was_killed(), "{at}: {}", died.err);
        folder.run(&["--until-idle", "--switch-at-checkpoint"]).success();
        assert_eq!(folder.stored().texts("out"), input::numbered(0, 3100), "{at}");
    }
}

#[test]
fn switched_at_the_checkpoint_killed_and_switched_back_it_switches_once_each_time() {
    let folder = crashed("back");
    folder.write_pipeline(&PIPELINE.replace("min_sensors = 1", "min_sensors = 9"));
    let killed = ["--until-idle", "--switch-at-checkpoint", "--set", FAR_APART];
    assert!(folder.run_to_crash("snapshot-taken:1", &killed).was_killed());
    folder.write_pipeline(PIPELINE);
    folder.run(&["--until-idle", "--set", FAR_APART]).success();
    let stored = folder.stored();
    for partition in 0..2 {
        let decisions = stored.decisions(&task("window", partition));
        let switches = decisions.iter().filter(|decision| {
            matches!(decision.kind, DecisionKind::Switch { at_checkpoint: None, .. })
        });
        assert!(switches.count() <= 1, "{decisions:?}");
        let end = stored.commit(&task("window", partition)).unwrap().progress.position;
        assert_eq!(end, UNDISTURBED.idle.counters[&format!("window/{partition}")].records_in);
    }
}

#[test]
fn operators_that_are_not_those_of_before_are_refused_and_nothing_is_lost() {
    let folder = crashed("renamed");
    folder
        .write_pipeline(&PIPELINE.replace("name = \"window\"\nplugin", "name = \"other\"\nplugin"));
    folder.run(&["--until-idle"]).fails(1, &["operators-changed", "window", "other"]);
    folder.write_pipeline(PIPELINE);
    ends_as_undisturbed(&folder, "renamed and back");
}

fn task(stage: &str, partition: u32) -> TaskId {
    TaskId { stage: stage.to_owned(), partition }
}
