//! The reference pipeline, three stages on four partitions, killed at moments that nobody chose:
//! the collision is found once, by the same bytes.

use crate::workload::{Results, is_same};
use pawl_sensors::{SensorOptions, collision_2009, make_observations, time};
use pawl_tests::{Folder, Random};
use std::time::Duration;

const PIPELINE: &str = include_str!("../../../pipelines/conjunctions.toml");

/// Commits and checkpoints come often, so that there is something to interrupt.
const OFTEN: [&str; 6] = [
    "--set",
    "commit.records_max=200",
    "--set",
    "checkpoint.recovery_time_max_ms=1",
    "--set",
    "stage.observe.in_flight_records_max=400",
];

fn prepared(name: &str, observations: &[u8]) -> Folder {
    let pipeline = PIPELINE
        .replace("../target/wasm32-unknown-unknown/release", "PLUGINS")
        .replace("../data/conjunctions", "data");
    let folder = Folder::new(name, &pipeline);
    folder.pawl(&["produce", "-p", "p.toml", "observations"], observations).success();
    folder
}

fn observations() -> Vec<u8> {
    let options = SensorOptions {
        seed: 2009,
        start_ns: time::parse("2009-02-10T16:54:30Z").unwrap(),
        duration_s: 200,
        disorder_s: 60,
        duplicate_share: 0.1,
        corrupt_share: 0.03,
        late_share: 0.01,
        ..SensorOptions::default()
    };
    let lines = make_observations(&collision_2009(), &options).unwrap();
    lines.flat_map(|line| [&line.value[..], b"\n"].concat()).collect()
}

fn results(folder: &Folder) -> Results {
    let stored = folder.stored();
    let mut counters = stored.counters();
    // The minimum over several producers takes more or fewer steps, as their rows come to lie.
    counters.values_mut().for_each(|counters| counters.controls_in = 0);
    let (outputs, letters) = (stored.outputs("alerts"), stored.letters());
    Results { outputs, letters, delivered: Vec::new(), counters }
}

#[test]
fn the_collision_of_2009_is_found_once_whenever_it_is_killed() {
    let mut random = Random::from_environment();
    let observations = observations();
    let calm = prepared("calm", &observations);
    calm.run(&["--until-idle"]).success();
    let idle = results(&calm);
    calm.run(&["--close-windows"]).success();
    let closed = results(&calm);
    assert_eq!(closed.outputs.len(), 1, "{:?}", closed.outputs);
    assert!(!closed.letters.is_empty());

    let folder = prepared("killed", &observations);
    let mut killed = 0;
    for _ in 0..20 {
        let mut running = folder.start(&[&["run", "p.toml", "--until-idle"], &OFTEN[..]].concat());
        running.wait_until_it_says("recovering from a checkpoint");
        let moment = Duration::from_millis(random.below(120));
        killed += usize::from(running.kill_after(moment).was_killed());
    }
    println!("killed {killed} times");
    assert!(killed > 3, "{killed} kills prove nothing");
    folder.run(&["--until-idle"]).success();
    is_same(&results(&folder), &idle, "at the end of the input");
    folder.run(&["--close-windows"]).success();
    is_same(&results(&folder), &closed, "with windows closed");
}
