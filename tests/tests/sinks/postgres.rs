//! Alerts in a table of a real PostgreSQL server that dies as often as Pawl does, refuses rows,
//! does not know us, or has been taken over by somebody else.

#[path = "../../../host/sink/tests/support/postgres.rs"]
mod server;

use crate::world::{ALERTS, Alert, TO_THE_END, pipeline, produce};
use pawl_tests::process::LIMIT;
use pawl_tests::{Folder, Running, wait_for};
use server::{PASSWORD, Server};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

const SINK: &str = r#"
[[sink]]
name = "alerts-db"
input = "alerts"
backoff_ms = 1
backoff_max_ms = 20
batch_records_max = 16
[sink.sql]
url = "URL"
table = "alerts"
key = ["alert_id"]
[sink.sql.columns]
alert_id = "id"
cell = "key"
records = "/count"
sensors = "/sensors"
ends = "event-time"
alert = "value"
"#;

/// `CHECK` stands for a further constraint.
const TABLE: &str = "CREATE TABLE alerts (alert_id text PRIMARY KEY, cell text NOT NULL, \
    records bigint NOT NULL, sensors int NOT NULL, ends timestamptz NOT NULL, alert text NOT NULL \
    CHECK)";

/// Each row takes its time, so that there is a middle in which a server can die.
const SLOW: &str = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
    'BEGIN PERFORM pg_sleep(0.004); RETURN NEW; END'; \
    CREATE TRIGGER slow BEFORE INSERT ON alerts FOR EACH ROW EXECUTE FUNCTION slow()";

/// A server and a pipeline that fills a table there.
struct World {
    server: Server,
    folder: Folder,
}

impl World {
    /// None where PostgreSQL is not installed.
    fn new(name: &str) -> Option<World> {
        let server = Server::start(&[])?;
        let folder = Folder::new(name, &pipeline("", &SINK.replace("URL", &server.url())));
        Some(World { server, folder })
    }

    /// Rows that are in the table now.
    fn count(&self) -> usize {
        self.server.sql("SELECT count(*) FROM alerts").parse().expect("a count")
    }

    /// Waits until so many rows are in the table.
    fn wait_for_rows(&self, count: usize) {
        wait_for("rows", LIMIT, || (self.count() >= count).then_some(()));
    }

    fn start(&self) -> Running {
        self.folder.start(&["run", "p.toml"])
    }

    /// Kills Pawl at a crash point that it must come to.
    #[track_caller]
    fn kill(&self, at: &str) {
        let died = self.folder.run_to_crash(at, &["--until-idle"]);
        assert!(died.was_killed(), "{at}: {}", died.err);
    }

    /// All rows: what the alert was made of, from the columns, by id.
    fn rows(&self) -> BTreeMap<String, Alert> {
        let sql = "SELECT alert_id, cell, records, sensors, \
                   (extract(epoch FROM ends) * 1000)::bigint, alert FROM alerts";
        let rows = self.server.sql(sql);
        let alerts = rows.lines().map(|line| {
            let fields: Vec<&str> = line.splitn(6, '|').collect();
            let [id, key, records, sensors, ends, body] = fields[..] else { panic!("{line}") };
            let value: serde_json::Value = serde_json::from_str(body).expect("an alert is JSON");
            let counted = [&value["count"], &value["sensors"]].map(|field| field.as_u64());
            assert_eq!(counted, [records.parse().ok(), sensors.parse().ok()], "{line}");
            let (id, key, body) = (id.to_owned(), key.to_owned(), body.to_owned());
            (id.clone(), Alert { id, key, body, event_time: ends.parse().expect("a time") })
        });
        alerts.collect()
    }

    fn holds_each_alert_once(&self) {
        assert_eq!(self.count(), ALERTS.len(), "rows");
        assert_eq!(self.rows(), *ALERTS);
        assert_eq!(self.letters(), Vec::<(String, String, String)>::new());
    }

    /// Disposition, kind and payload of what the sink gave up.
    fn letters(&self) -> Vec<(String, String, String)> {
        let mut letters = self.folder.stored().letters();
        letters.retain(|letter| letter.operator == "alerts-db/alerts-db");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("alerts are text");
        let told = letters
            .into_iter()
            .map(|letter| (letter.disposition, letter.kind, text(letter.payload)));
        told.collect()
    }
}

/// Waits until it says that the server does not take anything.
fn wait_for_a_failure(running: &mut Running) {
    running.wait_until_it_says(", trying again");
}

#[test]
fn each_alert_is_a_row_once_though_the_server_and_pawl_are_killed_again_and_again() {
    let Some(mut world) = World::new("rows") else { return };
    world.server.sql(&TABLE.replace("CHECK", ""));
    world.server.sql(SLOW);
    // The server dies in the middle, and comes back.
    produce(&world.folder, 0, 6);
    let mut running = world.start();
    world.wait_for_rows(1);
    let before = world.count();
    world.server.kill();
    wait_for_a_failure(&mut running);
    world.server.run();
    world.wait_for_rows(before + 1);
    assert!(running.kill().was_killed());
    produce(&world.folder, 1, 6);
    world.kill("after-delivery:2");
    // Both die, and Pawl comes back first.
    produce(&world.folder, 2, 6);
    let running = world.start();
    world.wait_for_rows(world.count() + 1);
    world.server.kill();
    assert!(running.kill().was_killed());
    let mut running = world.start();
    wait_for_a_failure(&mut running);
    world.server.run();
    assert!(running.kill().was_killed());
    world.kill("before-delivery:3");
    produce(&world.folder, 3, 6);
    world.kill("commit-durable:9");
    // The server dies while Pawl is in the middle, and stays away to its end.
    produce(&world.folder, 4, 6);
    let running = world.start();
    world.wait_for_rows(world.count() + 1);
    world.server.kill();
    running.signal("TERM");
    running.wait().success();
    world.server.run();
    world.kill("after-delivery:5");
    produce(&world.folder, 5, 6);
    world.folder.run(&TO_THE_END).success();
    world.holds_each_alert_once();
}

#[test]
fn a_table_that_somebody_has_locked_is_waited_for_and_holds_no_end_up() {
    let Some(world) = World::new("locked") else { return };
    world.server.sql(&TABLE.replace("CHECK", ""));
    world.server.sql(SLOW);
    produce(&world.folder, 0, 1);
    let mut running =
        world.folder.start(&["run", "p.toml", "--set", "sink.alerts-db.sql.timeout_ms=300"]);
    world.wait_for_rows(1);
    let mut somebody = world.server.session();
    let mut input = somebody.stdin.take().expect("it is piped");
    writeln!(input, "BEGIN; LOCK TABLE alerts;").expect("psql reads");
    wait_for_a_failure(&mut running);
    let asked = Instant::now();
    running.signal("TERM");
    running.wait().success();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    drop(input);
    somebody.wait().expect("psql ends with its input");
    assert!(world.count() < ALERTS.len());
    world.folder.run(&TO_THE_END).success();
    world.holds_each_alert_once();
}

#[test]
fn a_row_that_a_constraint_refuses_is_a_dead_letter_and_all_others_are_in() {
    let Some(world) = World::new("constraint") else { return };
    world.server.sql(&TABLE.replace("CHECK", ", CONSTRAINT luck CHECK (cell NOT LIKE '%7')"));
    produce(&world.folder, 0, 1);
    world.kill("after-delivery:2");
    world.kill("commit-durable:6");
    world.folder.run(&TO_THE_END).success();
    let is_refused = |alert: &&Alert| alert.key.ends_with('7');
    let (refused, taken): (Vec<&Alert>, Vec<&Alert>) = ALERTS.values().partition(is_refused);
    assert!(refused.len() > 20);
    let taken = taken.into_iter().map(|alert| (alert.id.clone(), alert.clone()));
    assert_eq!(world.rows(), taken.collect());
    let mut due: Vec<_> = refused
        .into_iter()
        .map(|alert| ("sink-rejected".to_owned(), "constraint".to_owned(), alert.body.clone()))
        .collect();
    due.sort();
    let mut letters = world.letters();
    letters.sort();
    assert_eq!(letters, due, "byte for byte, each once");
}

#[test]
fn what_only_a_person_can_mend_is_told_nothing_is_lost_and_mended_it_goes_on() {
    let Some(world) = World::new("mend") else { return };
    produce(&world.folder, 0, 1);
    let right = pipeline("", &SINK.replace("URL", &world.server.url()));
    let wrong = right.replace(PASSWORD, "guessed-5-times");
    assert_ne!(wrong, right);
    world.folder.write_pipeline(&wrong);
    let says = ["alerts-db/0", "alerts-db/1", "sink alerts-db", "sql-login", "password"];
    let ended = world.folder.run(&TO_THE_END).fails(1, &says);
    assert!(!ended.err.contains("guessed-5-times"), "{}", ended.err);
    let stored = world.folder.stored();
    let alerts = stored.rows("alerts").len();
    assert_eq!(alerts, ALERTS.len(), "the stage before goes on");
    drop(stored);
    world.folder.write_pipeline(&right);
    world.folder.run(&TO_THE_END).fails(1, &["sql-table", "CREATE TABLE \"alerts\""]);
    let no_sensors = TABLE.replace("CHECK", "").replace("sensors int NOT NULL,", "");
    world.server.sql(&no_sensors);
    world.folder.run(&TO_THE_END).fails(1, &["sql-column", "ALTER TABLE", "sensors"]);
    world.server.sql("ALTER TABLE alerts ADD COLUMN sensors int NOT NULL");
    world.folder.run(&TO_THE_END).success();
    world.holds_each_alert_once();
}

#[test]
fn whoever_was_taken_over_writes_nothing_any_more_and_stops_with_a_word() {
    let Some(world) = World::new("fenced") else { return };
    world.server.sql(&TABLE.replace("CHECK", ""));
    world.server.sql(SLOW);
    produce(&world.folder, 0, 1);
    let mut running = world.start();
    world.wait_for_rows(1);
    // From here on another owner has both places.
    let taken_over = "UPDATE pawl_fence SET epoch = epoch + 100; SELECT count(*) FROM alerts";
    let at_that_moment: usize = world.server.sql(taken_over).parse().expect("a count");
    assert!(at_that_moment < ALERTS.len() / 2, "there is more to come");
    running.wait_until_it_says("fenced: epoch");
    wait_for("both", LIMIT, || {
        (running.err().matches("fenced: epoch 10").count() >= 2).then_some(())
    });
    running.signal("TERM");
    running
        .wait()
        .fails(1, &["alerts-db/0: sink alerts-db: fenced", "alerts-db/1", "row in pawl_fence"]);
    assert_eq!(world.count(), at_that_moment);
    // The other owner is gone for good, and a person does what the message says.
    world.server.sql("DELETE FROM pawl_fence");
    world.folder.run(&TO_THE_END).success();
    world.holds_each_alert_once();
}
