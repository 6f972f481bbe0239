//! The incident for which this project exists: after a restart a subscriber acted on six alerts
//! twice and never learnt of fourteen. Told again with everything that could have gone wrong then.

use crate::receiver::Receiver;
use crate::subscriber::{ALERTS, LINES, UNDER_WAY, World};
use pawl_tests::wait_for;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Drained, killed at the worst moments, its plugin replaced, restarted, moved to an empty disk
/// with only the remote checkpoints. Returns how often it was killed.
fn goes_through_all_of_it(world: &World) -> usize {
    let requests = || world.receiver.requests().len();
    let running = world.folder.start(&["run", "p.toml"]);
    wait_for("the first alerts", Duration::from_secs(30), || (requests() >= 20).then_some(()));
    running.signal("TERM");
    running.wait().success();
    world.kill("after-delivery:2");
    world.kill("before-delivery:4");
    world.kill("after-delivery:1");
    world.replace_plugin(1);
    world.kill("commit-durable:6");
    let before = requests();
    let running = world.folder.start(&["run", "p.toml"]);
    wait_for("more alerts", Duration::from_secs(30), || (requests() >= before + 9).then_some(()));
    assert!(running.kill().was_killed());
    // Checkpoints are copied in the background: an end in good order waits for the newest.
    let running = world.folder.start(&["run", "p.toml"]);
    let before = requests();
    wait_for("more alerts", Duration::from_secs(30), || (requests() > before).then_some(()));
    running.signal("TERM");
    running.wait().success();
    world.lose_the_disk();
    let running = world.folder.start(&["run", "p.toml"]);
    let before = requests();
    wait_for("more alerts", Duration::from_secs(30), || (requests() > before).then_some(()));
    running.signal("TERM");
    running.wait().success();
    assert_eq!(world.recovered("remote"), 4, "two tasks of two stages");
    world.kill("after-delivery:1");
    world.folder.run(&["--until-idle", "--close-windows"]).success();
    6
}

#[test]
fn no_alert_is_acted_on_twice_and_none_never_learnt_of_by_a_subscriber_that_knows_keys() {
    let world = World::new("incident", Receiver::with_keys(), "");
    world.misbehave(7, 20);
    goes_through_all_of_it(&world);
    world.acted_on_each_once();
    assert_eq!(world.letters(), []);
}

#[test]
fn without_keys_no_more_is_repeated_than_was_under_way_or_answered_in_vain() {
    let world = World::new("keyless", Receiver::without_keys(), "idempotency_key = false");
    world.misbehave(8, 10);
    let kills = goes_through_all_of_it(&world);
    let effects = world.receiver.effects_by_id();
    let missing = ALERTS.keys().filter(|id| !effects.contains_key(*id)).count();
    assert_eq!(missing, 0, "never learnt of");
    let repeats: usize = effects.values().map(|count| count - 1).sum();
    // Two partitions, each with so many under way; the drains broke nothing off.
    let bound = kills * 2 * UNDER_WAY + world.answers_lost.load(Ordering::SeqCst);
    assert!(repeats <= bound, "{repeats} repeated, at most {bound} may be");
    println!("{repeats} repeated, at most {bound} may be");
}

#[test]
fn at_most_once_nothing_is_acted_on_twice_and_what_nobody_knows_of_is_among_the_dead_letters() {
    let world = World::new("at-most", Receiver::without_keys(), "mode = \"at-most-once\"");
    world.misbehave(9, 10);
    goes_through_all_of_it(&world);
    let effects = world.receiver.effects_by_id();
    assert!(effects.values().all(|count| *count == 1), "{effects:?}");
    let unknown = world.letters();
    assert!(unknown.iter().all(|letter| letter.disposition == "delivery-unknown"));
    let payloads: Vec<&[u8]> = unknown.iter().map(|letter| &*letter.payload).collect();
    for (id, body) in ALERTS.iter() {
        let acted = effects.contains_key(id);
        assert!(acted || payloads.contains(&&**body), "{id} is neither acted on nor told of");
    }
    assert!(!unknown.is_empty(), "something must have been under way");
}

#[test]
fn with_the_log_lost_too_it_says_so_and_anew_from_the_sensors_each_alert_is_acted_on_once() {
    let world = World::new("all-lost", Receiver::with_keys(), "");
    world.misbehave(10, 20);
    let running = world.folder.start(&["run", "p.toml"]);
    world.receiver.wait_for_requests(60);
    running.signal("TERM");
    running.wait().success();
    world.lose_everything();
    world.folder.produce("observations", &LINES);
    // The checkpoints are of a log that is gone: nothing is guessed.
    world.folder.run(&["--until-idle"]).fails(1, &["foreign-log", "--fresh"]);
    world.folder.run(&["--until-idle", "--close-windows", "--fresh"]).success();
    world.acted_on_each_once();
}

#[test]
fn what_a_sink_delivered_before_the_log_was_lost_it_does_not_deliver_again() {
    let natural = "idempotency_key = false\n[sink.edge]\nid = { field = \"/alert_id\" }";
    let world = World::new("remembers", Receiver::without_keys(), natural);
    let running = world.folder.start(&["run", "p.toml"]);
    world.receiver.wait_for_requests(60);
    running.signal("TERM");
    running.wait().success();
    world.lose_everything();
    world.folder.produce("observations", &LINES);
    world.folder.run(&["--until-idle", "--close-windows", "--fresh"]).success();
    world.acted_on_each_once();
}

#[test]
fn checkpoints_of_another_log_are_neither_gone_on_from_nor_written_over() {
    let one = World::new("one", Receiver::with_keys(), "");
    let drained = |world: &World, arguments: &[&str]| {
        let running = world.folder.start(&[&["run", "p.toml"], arguments].concat());
        world.receiver.wait_for_requests(30);
        running.signal("TERM");
        running.wait().success();
    };
    drained(&one, &[]);
    // Another host, with the same file and a log of its own.
    let other = World::new("other", Receiver::with_keys(), "");
    let remote = one.folder.path().join("remote").display().to_string();
    let shared = format!("checkpoint.remote.url=file://{remote}");
    let there = ["--set", shared.as_str()];
    let to_the_end = [&["--until-idle"], &there[..]].concat();
    other.folder.run(&to_the_end).fails(1, &["foreign-log", "--fresh"]);
    assert_eq!(other.receiver.effects(), []);
    drained(&other, &[&["--fresh"], &there[..]].concat());
    // The first one takes nothing up that is not its own, and with a place of its own goes on.
    one.folder.run(&["--until-idle"]).fails(1, &["foreign-log"]);
    let own = format!("checkpoint.remote.url=file://{remote}-own");
    one.folder.run(&["--until-idle", "--close-windows", "--set", &own]).success();
    one.acted_on_each_once();
}
