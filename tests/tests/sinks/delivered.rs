//! What becomes of records that a receiver refuses or does not take, and in which order the others
//! come.

use crate::receiver::{Receiver, Request, Step};
use crate::subscriber::{ALERTS, World};
use std::collections::BTreeSet;

/// A cell whose alerts the receiver does not like.
fn is_of_cell_7(request: &Request) -> bool {
    request.body.windows(10).any(|part| part == br#""cell":"7""#)
}

#[test]
fn what_the_receiver_refuses_is_a_dead_letter_byte_for_byte_also_after_kills() {
    let world = World::new("refused", Receiver::with_keys(), "");
    world.receiver.plan(|request| match is_of_cell_7(request) {
        true => Step::status(400),
        false => Step::Take,
    });
    for at in ["after-delivery:3", "mid-emit:9", "commit-durable:4", "mid-replay:2"] {
        let ended = world.folder.run_to_crash(at, &["--until-idle"]);
        assert!(ended.was_killed(), "{at}: {}", ended.err);
    }
    world.folder.run(&["--until-idle", "--close-windows"]).success();
    let of_7 = |body: &[u8]| body.windows(10).any(|part| part == br#""cell":"7""#);
    let letters = world.letters();
    let dead: Vec<&[u8]> = letters
        .iter()
        .inspect(|letter| assert_eq!(letter.disposition, "sink-rejected"))
        .inspect(|letter| assert_eq!(letter.kind, "http-400"))
        .map(|letter| &*letter.payload)
        .collect();
    let due: Vec<&[u8]> = ALERTS.values().map(Vec::as_slice).filter(|body| of_7(body)).collect();
    assert!(due.len() > 2);
    assert_eq!(dead.len(), due.len(), "each once");
    assert_eq!(BTreeSet::from_iter(dead), BTreeSet::from_iter(due));
    let acted = world.receiver.effects_by_id();
    assert_eq!(acted.len() + letters.len(), ALERTS.len());
    assert!(acted.values().all(|count| *count == 1));
}

#[test]
fn tried_too_often_a_record_is_a_dead_letter_or_the_task_stops_as_configured() {
    let world = World::new("exhausted", Receiver::with_keys(), "");
    world.receiver.plan(|request| match is_of_cell_7(request) {
        true => Step::status(503),
        false => Step::Take,
    });
    let few = ["--until-idle", "--set", "sink.subscriber.retries_max=2"];
    world.folder.run(&few).fails(1, &["subscriber/", "sink-retries", "503", "dead-letter"]);
    assert_eq!(world.letters(), [], "where the task stops nothing is given up");
    let dead = "sink.subscriber.at_retries_max=\"dead-letter\"";
    world.folder.run(&[&few[..], &["--close-windows", "--set", dead]].concat()).success();
    let letters = world.letters();
    assert!(letters.len() > 2);
    assert!(letters.iter().all(|letter| letter.disposition == "retries-exhausted"));
    let all = letters.len() + world.receiver.effects_by_id().len();
    assert_eq!(all, ALERTS.len());
}

#[test]
fn a_receiver_that_is_away_holds_its_sink_back_and_nobody_else_and_nothing_is_dropped() {
    let world = World::new("away", Receiver::with_keys(), "");
    world.receiver.plan(|_| Step::status(503));
    let running = world.folder.start(&["run", "p.toml"]);
    world.receiver.wait_for_requests(40);
    running.signal("TERM");
    running.wait().success();
    assert_eq!(world.receiver.effects(), []);
    assert_eq!(
        world.folder.stored().commit(&task("subscriber")).map(|c| c.progress.position),
        None
    );
    let window = world.folder.stored().counters()["window/0"].records_in;
    assert!(window > 0, "the stage before goes on");
    world.receiver.plan(|_| Step::Take);
    world.folder.run(&["--until-idle", "--close-windows"]).success();
    world.acted_on_each_once();
}

fn task(stage: &str) -> pawl_core::commit::TaskId {
    pawl_core::commit::TaskId { stage: stage.to_owned(), partition: 0 }
}
