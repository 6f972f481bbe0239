//! Checkpoints in a real object store: the disk of the machine is lost, old, or damaged; the store
//! is away while Pawl runs, or when it is needed most.

#[path = "../../../host/checkpoint/tests/s3_server/mod.rs"]
mod s3_server;

use crate::world::{TO_THE_END, pipeline, produce};
use pawl_tests::process::LIMIT;
use pawl_tests::stored::Output;
use pawl_tests::{Ended, Folder, Letter, Running, wait_for};
use s3_server::S3Server;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// How long an end in good order waits for copies.
const DRAIN_MS: u64 = 2000;

const REMOTE: &str = r#"
[checkpoint.remote]
url = "URL"
timeout_ms = 500
drain_time_max_ms = DRAIN
"#;

/// Behind the windows, so that tasks of two stages must recover.
const COPIES: &str = r#"
[topics.copies]
[[stage]]
name = "copy"
input = "alerts"
output = "copies"
[[stage.operator]]
name = "copy"
plugin = "identity"
"#;

const TASKS: [&str; 4] = ["copy/0", "copy/1", "window/0", "window/1"];

/// What comes out, and what is refused.
type Results = (Vec<Output>, Vec<Letter>);

/// The results of a run that nobody disturbs, without any remote tier.
static UNDISTURBED: LazyLock<Results> = LazyLock::new(|| {
    let folder = Folder::new("no-remote", &pipeline("", COPIES));
    // Appended in the same parts: what has no key goes where its place among them says.
    (0..3).for_each(|third| produce(&folder, third, 3));
    folder.run(&TO_THE_END).success();
    let results = results(&folder);
    assert!(results.0.len() > 500 && results.1.len() > 20);
    results
});

fn results(folder: &Folder) -> Results {
    let stored = folder.stored();
    (stored.outputs("copies"), stored.letters())
}

/// A server, and a pipeline that copies its checkpoints there.
struct World {
    server: S3Server,
    /// What the pipeline speaks to instead of the server itself.
    road: Option<Road>,
    folder: Folder,
}

impl World {
    /// None where there is no such server on this machine.
    fn new(name: &str) -> Option<World> {
        let server = S3Server::start()?;
        let remote = REMOTE.replace("URL", &server.address("checkpoints"));
        let remote = remote.replace("DRAIN", &DRAIN_MS.to_string());
        let folder = Folder::new(name, &pipeline(&remote, COPIES));
        Some(World { server, road: None, folder })
    }

    /// `pawl run` that finds the server through its environment.
    fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.folder.command(&[&["run", "p.toml"], arguments].concat());
        command.envs(self.server.environment());
        if let Some(road) = &self.road {
            command.env("AWS_ENDPOINT", format!("http://127.0.0.1:{}", road.port));
        }
        self.folder.start_command(command)
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).wait()
    }

    /// Takes in a third of the input and drains.
    fn run_third(&self, third: usize) {
        produce(&self.folder, third, 3);
        self.run(&["--until-idle"]).success();
    }

    /// Everything local is gone but the log, which lies on another disk.
    fn lose_the_disk(&self) {
        std::fs::remove_dir_all(self.folder.data()).expect("the folder is ours");
    }

    /// The sum over all labels of a metric of the last run, or of the one under way; none: the
    /// file does not tell it yet.
    fn metric(&self, name: &str) -> Option<f64> {
        let text = std::fs::read_to_string(self.folder.data().join("metrics.prom")).ok()?;
        let values = text.lines().filter(|line| line.starts_with(name));
        let values: Option<Vec<f64>> =
            values.map(|line| line.rsplit_once(' ')?.1.parse().ok()).collect();
        values.filter(|values| !values.is_empty()).map(|values| values.iter().sum())
    }

    /// From where the tasks of the last run recovered: local, remote, fresh.
    fn recovered(&self) -> [u64; 3] {
        ["local", "remote", "fresh"].map(|path| {
            let name = format!("pawl_recovery_path_total{{path=\"{path}\"}}");
            self.metric(&name).unwrap_or_else(|| panic!("{name} is not told")) as u64
        })
    }

    fn newest_checkpoint(&self, task: &str) -> PathBuf {
        self.folder.checkpoints(task).first().expect("a task has a checkpoint").clone()
    }

    /// The newest checkpoint of each task is in the bucket, whatever else is.
    fn is_all_copied(&self) -> bool {
        TASKS.iter().all(|task| {
            let newest = self.newest_checkpoint(task);
            let name = newest.file_name().expect("a file has a name");
            let folder = self.server.bucket().join("checkpoints/tasks").join(task);
            folder.join(name).exists()
        })
    }

    /// The same came out, and the same was refused, as in a run that nobody disturbs.
    #[track_caller]
    fn ends_as_if_undisturbed(&self) {
        let (outputs, letters) = results(&self.folder);
        let due = &*UNDISTURBED;
        let counts = [outputs.len(), due.0.len(), letters.len(), due.1.len()];
        assert!(outputs == due.0, "outputs and letters, and those due: {counts:?}");
        assert!(letters == due.1, "outputs and letters, and those due: {counts:?}");
    }

    /// How much has come out so far.
    fn outputs(&self) -> usize {
        self.folder.stored().rows("copies").len()
    }
}

/// A way to a server that can be closed: then nothing comes through, and nobody hears why.
struct Road {
    port: u16,
    closed: Arc<AtomicBool>,
}

impl Road {
    /// It ends with the test's process.
    fn to(endpoint: &str) -> Road {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on the loopback");
        let port = listener.local_addr().expect("it is bound").port();
        let server = endpoint.trim_start_matches("http://").to_owned();
        let closed = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&closed);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(&server) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let [Ok(from), Ok(to)] = [from.try_clone(), to.try_clone()] else { return };
                    let closed = Arc::clone(&shared);
                    std::thread::spawn(move || drop(carry(from, to, &closed)));
                }
            }
        });
        Road { port, closed }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, closed: &AtomicBool) -> std::io::Result<()> {
    let mut bytes = [0; 8192];
    loop {
        let read = from.read(&mut bytes)?;
        while closed.load(Ordering::SeqCst) {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        if read == 0 {
            return to.shutdown(Shutdown::Write);
        }
        to.write_all(&bytes[..read])?;
    }
}

#[test]
fn with_an_empty_disk_every_task_goes_on_from_the_remote_and_nobody_sees_a_difference() {
    let Some(world) = World::new("empty-disk") else { return };
    world.run_third(0);
    assert_eq!(world.recovered(), [0, 0, 4], "nothing anywhere");
    assert!(world.is_all_copied());
    world.lose_the_disk();
    world.run_third(1);
    assert_eq!(world.recovered(), [0, 4, 0]);
    // Killed, and then the disk is lost: the log is further than what was copied.
    produce(&world.folder, 2, 3);
    let died = {
        let mut command = world.folder.command(&["run", "p.toml"]);
        command.envs(world.server.environment()).env("PAWL_CRASH_AT", "commit-durable:7");
        world.folder.start_command(command).wait()
    };
    assert!(died.was_killed(), "{}", died.err);
    world.lose_the_disk();
    world.run(&TO_THE_END).success();
    assert_eq!(world.recovered(), [0, 4, 0]);
    world.ends_as_if_undisturbed();
    assert!(!died.err.contains(world.server.secret()), "a secret is told");
}

#[test]
fn a_remote_that_dies_in_the_middle_holds_nobody_up_is_told_of_and_gets_everything_later() {
    let Some(world) = World::new("away") else { return };
    goes_on_without(world, |world| world.server.kill(), |world| world.server.restart());
}

#[test]
fn a_remote_that_takes_connections_and_never_answers_holds_nobody_up_either() {
    let Some(mut world) = World::new("hangs") else { return };
    world.road = Some(Road::to(&world.server.endpoint()));
    let closed = |world: &World, closed| {
        world.road.as_ref().expect("there is one").closed.store(closed, Ordering::SeqCst);
    };
    goes_on_without(world, |world| closed(world, true), |world| closed(world, false));
}

/// The remote goes away in the middle of a run and stays away to its end, then it comes back.
fn goes_on_without(mut world: World, away: impl FnOnce(&mut World), back: impl FnOnce(&mut World)) {
    world.run_third(0);
    let mut running = world.start(&[]);
    for task in TASKS {
        running.wait_until_it_says(&format!("recovering from a checkpoint task={task}"));
    }
    away(&mut world);
    produce(&world.folder, 1, 3);
    let before = world.outputs();
    wait_for("more results", LIMIT, || (world.outputs() > before + 100).then_some(()));
    wait_for("failures and lag", LIMIT, || {
        let failures = world.metric("pawl_checkpoint_remote_failures_total{")?;
        let lag = world.metric("pawl_checkpoint_remote_lag_seconds{")?;
        (failures >= 1.0 && lag > 0.0).then_some(())
    });
    running.wait_until_it_says("failed to copy a checkpoint, trying again");
    let asked = Instant::now();
    running.signal("TERM");
    let ended = running.wait().success();
    assert!(asked.elapsed().as_millis() < u128::from(DRAIN_MS) + 4000, "{:?}", asked.elapsed());
    for text in ["checkpoints are not all in the remote tier", "keep this machine's checkpoints"] {
        assert!(ended.err.contains(text), "`{text}` is not in\n{}", ended.err);
    }
    assert!(!ended.err.contains(world.server.secret()), "a secret is told");
    assert!(!world.is_all_copied());
    back(&mut world);
    world.run_third(2);
    assert_eq!(world.recovered(), [4, 0, 0]);
    assert!(world.is_all_copied());
    world.lose_the_disk();
    world.run(&TO_THE_END).success();
    assert_eq!(world.recovered(), [0, 4, 0]);
    world.ends_as_if_undisturbed();
}

#[test]
fn an_empty_disk_and_a_remote_that_does_not_answer_are_no_reason_to_start_fresh() {
    let Some(mut world) = World::new("silent") else { return };
    world.run_third(0);
    world.lose_the_disk();
    world.server.kill();
    produce(&world.folder, 1, 3);
    let before = world.outputs();
    let few = ["--until-idle", "--set", "supervisor.failures_max=2"];
    let address = world.server.address("checkpoints");
    let ended = world.run(&few).fails(1, &["window/0", "copy/1", &address]);
    assert!(!ended.err.contains("fresh"), "{}", ended.err);
    assert_eq!(world.outputs(), before, "nothing was done without its state");
    // One that waits goes on as soon as it can.
    let patient =
        ["--set", "supervisor.failures_max=100000", "--set", "supervisor.backoff_max_ms=100"];
    let mut running = world.start(&patient);
    running.wait_until_it_says("task failed");
    world.server.restart();
    wait_for("more results", LIMIT, || (world.outputs() > before).then_some(()));
    running.signal("TERM");
    running.wait().success();
    assert_eq!(world.recovered(), [0, 4, 0]);
    world.run_third(2);
    world.run(&TO_THE_END).success();
    world.ends_as_if_undisturbed();
}

#[test]
fn a_disk_of_long_ago_is_overruled_by_the_remote_and_a_damaged_checkpoint_replaced_by_its_copy() {
    let Some(world) = World::new("stale") else { return };
    world.run_third(0);
    let old = world.folder.copy("of-long-ago");
    world.run_third(1);
    world.lose_the_disk();
    std::fs::rename(old.data(), world.folder.data()).unwrap();
    produce(&world.folder, 2, 3);
    world.run(&["--until-idle"]).success();
    assert_eq!(world.recovered(), [0, 4, 0], "the disk is older");
    // One bit is wrong in one, another ends too soon.
    let (flipped, cut) = (world.newest_checkpoint("window/0"), world.newest_checkpoint("copy/1"));
    let mut bytes = std::fs::read(&flipped).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 16;
    std::fs::write(&flipped, &bytes).unwrap();
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 9]).unwrap();
    let ended = world.run(&TO_THE_END).success();
    assert_eq!(world.recovered(), [2, 2, 0]);
    for file in [&flipped, &cut] {
        let told = format!("{} is damaged", file.file_name().unwrap().display());
        assert!(ended.err.contains(&told), "`{told}` is not in\n{}", ended.err);
    }
    world.ends_as_if_undisturbed();
}
