//! The sink `sql` on a real PostgreSQL server.

#[path = "support/postgres.rs"]
mod postgres;

use pawl_pipeline::{ColumnSource, Secret, SqlSink as Config};
use pawl_sink::sql::SqlSink;
use pawl_sink::suite::{self, Place, Promises, Random, Record, owner};
use pawl_sink::{Delivery, Error, Sink, Verdict};
use postgres::{PASSWORD, Server};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// A schema of its own on a server that may be shared.
struct Schema {
    server: Arc<Server>,
    name: String,
}

impl Schema {
    /// On the server of all tests that run at this moment; `setup` finds the schema as `SCHEMA`.
    fn shared(setup: &str) -> Option<Schema> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let server = match shared.upgrade() {
            Some(server) => server,
            None => {
                let server = Arc::new(Server::start(&[])?);
                *shared = Arc::downgrade(&server);
                server
            }
        };
        Some(Schema::on(server, setup))
    }

    fn on(server: Arc<Server>, setup: &str) -> Schema {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("s{}", COUNT.fetch_add(1, Ordering::Relaxed));
        server.sql(&format!("CREATE SCHEMA {name}"));
        let schema = Schema { server, name };
        schema.sql(setup);
        schema
    }

    fn sql(&self, sql: &str) -> String {
        self.server.sql(&sql.replace("SCHEMA", &self.name))
    }

    fn lines(&self, sql: &str) -> Vec<String> {
        self.sql(sql).lines().map(str::to_owned).collect()
    }

    fn config(&self, table: &str, columns: &[(&str, ColumnSource)], key: &[&str]) -> Config {
        Config {
            url: Secret::Text(self.server.url()),
            table: format!("{}.{table}", self.name),
            columns: columns
                .iter()
                .map(|(name, from)| ((*name).to_owned(), from.clone()))
                .collect(),
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            timeout_ms: 20_000,
        }
    }

    fn open(&self, table: &str, columns: &[(&str, ColumnSource)], key: &[&str]) -> SqlSink {
        opened(&self.config(table, columns, key))
    }

    fn effects_config(&self) -> Config {
        let columns = [
            ("id", ColumnSource::Id),
            ("value", ColumnSource::Value),
            ("n", field("/n")),
            ("at", ColumnSource::EventTime),
        ];
        self.config("effects", &columns, &["id"])
    }

    /// Waits until a statement of a sink waits for a lock.
    fn wait_for_lock(&self) {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pawl' \
                   AND wait_event_type = 'Lock' AND query LIKE '%\"SCHEMA\".\"effects\"%'";
        wait_until(|| self.sql(sql) == "1");
    }
}

const EFFECTS: &str = "CREATE TABLE SCHEMA.effects (number bigserial, id text PRIMARY KEY, \
                       value text NOT NULL, n bigint NOT NULL, at timestamptz)";

impl Place for Schema {
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(SqlSink::new(&self.effects_config()).expect("new"))
    }

    fn effects(&self) -> Vec<(String, Vec<u8>)> {
        let lines = self.lines("SELECT id, value FROM SCHEMA.effects ORDER BY number");
        let effect = |line: &String| {
            let (id, value) = line.split_once('|').expect("two columns");
            (id.to_owned(), value.as_bytes().to_vec())
        };
        lines.iter().map(effect).collect()
    }
}

fn field(pointer: &str) -> ColumnSource {
    ColumnSource::Field(pointer.to_owned())
}

fn opened(config: &Config) -> SqlSink {
    let mut sink = SqlSink::new(config).expect("new");
    sink.open(&owner(0, 1)).unwrap_or_else(|error| panic!("{error}"));
    sink
}

fn record<'a>(position: u64, id: &'a str, value: &'a str) -> Delivery<'a> {
    Delivery {
        position,
        id,
        key: Some(b"\x00\xff"),
        value: Some(value.as_bytes()),
        event_time: Some(1_700_000_000_123),
        headers: vec![("h", b"17")],
    }
}

fn records<'a>(values: &[&'a str]) -> Vec<Delivery<'a>> {
    values.iter().enumerate().map(|(at, value)| record(at as u64, "x", value)).collect()
}

fn kinds(verdicts: &[Verdict]) -> Vec<String> {
    let kind = |verdict: &Verdict| match verdict {
        Verdict::Rejected { kind, .. } => kind.clone(),
        other => format!("{other:?}"),
    };
    verdicts.iter().map(kind).collect()
}

fn fatal<T: std::fmt::Debug>(result: Result<T, Error>, code: &str, part: &str) {
    match result {
        Err(Error::Fatal { code: found, what }) if found == code && what.contains(part) => {
            assert!(!what.contains(PASSWORD), "{what}");
        }
        other => panic!("{other:?} instead of {code}: {part}"),
    }
}

fn is_transient<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Transient { .. }))
}

#[test]
fn postgres_passes_the_suite() {
    let Some(first) = Schema::shared(EFFECTS) else { return };
    let server = first.server.clone();
    suite::all(Promises { fenced: true }, || Schema::on(server.clone(), EFFECTS));
}

#[test]
fn columns_take_what_their_types_say() {
    let Some(schema) = Schema::shared(
        "CREATE DOMAIN SCHEMA.short AS varchar(5); CREATE TYPE SCHEMA.mood AS ENUM ('ok'); \
         CREATE TABLE SCHEMA.t (id uuid PRIMARY KEY, t text, v varchar(5), s SCHEMA.short, \
         i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, n2 numeric(6,2), b bool, \
         j json, jb jsonb, js jsonb, raw jsonb, tz timestamptz, ts timestamp, tf timestamptz, \
         big bigint, att text, key bytea, h int, m SCHEMA.mood, gone text, \"odd \"\"name\" text)",
    ) else {
        return;
    };
    let columns = [
        ("id", field("/id")),
        ("t", field("/o")),
        ("v", field("/v")),
        ("s", field("/v")),
        ("i2", field("/i")),
        ("i4", field("/whole")),
        ("i8", field("/large")),
        ("f4", field("/f")),
        ("f8", field("/f")),
        ("n", field("/exact")),
        ("n2", field("/f")),
        ("b", field("/b")),
        ("j", field("/o")),
        ("jb", field("/o")),
        ("js", field("/v")),
        ("raw", ColumnSource::Value),
        ("tz", ColumnSource::EventTime),
        ("ts", ColumnSource::EventTime),
        ("tf", field("/at")),
        ("big", ColumnSource::EventTime),
        ("att", ColumnSource::EventTime),
        ("key", ColumnSource::Key),
        ("h", ColumnSource::Header("h".to_owned())),
        ("m", field("/m")),
        ("gone", field("/none/0")),
        ("odd \"name", field("/i")),
    ];
    let mut sink = schema.open("t", &columns, &["id"]);
    let value = r#"{"id":"0B0E7f6a-0000-4000-8000-000000000001","o":{"a": [1]},"v":"f\"ive",
        "i":"-7","whole":5.0,"large":9223372036854775807,"f":0.125,"b":true,"m":"ok",
        "exact":123456789012345678901234567890.10,"at":"2024-11-01T01:00:00+01:00"}"#;
    let verdicts = sink.deliver(&[record(1, "one", value)]).expect("deliver");
    assert_eq!(verdicts, [Verdict::Delivered]);
    let found = schema.sql(
        "SET TimeZone = 'UTC'; SELECT id, t, v, s, i2, i4, i8, f4, f8, n, n2, b, j, jb, js, \
         raw->>'exact', tz, ts, tf, big, att, key, h, m, gone IS NULL, \"odd \"\"name\" \
         FROM SCHEMA.t",
    );
    let expected = "0b0e7f6a-0000-4000-8000-000000000001|{\"a\": [1]}|f\"ive|f\"ive|-7|5|\
        9223372036854775807|0.125|0.125|123456789012345678901234567890.10|0.13|t|{\"a\": [1]}|\
        {\"a\": [1]}|\"f\\\"ive\"|123456789012345678901234567890.10|2023-11-14 22:13:20.123+00|\
        2023-11-14 22:13:20.123|2024-11-01 00:00:00+00|1700000000123|2023-11-14T22:13:20.123Z|\
        \\x00ff|17|ok|t|-7";
    assert_eq!(found, expected);
}

#[test]
fn a_row_that_is_refused_is_refused_alone() {
    let Some(schema) = Schema::shared(
        "CREATE TABLE SCHEMA.parent (id text PRIMARY KEY); INSERT INTO SCHEMA.parent VALUES ('p'); \
         CREATE TABLE SCHEMA.t (number bigserial, id varchar(3) PRIMARY KEY, \
           n int NOT NULL CHECK (n < 100), u text UNIQUE, at timestamptz, \
           p text REFERENCES SCHEMA.parent (id) DEFERRABLE INITIALLY DEFERRED); \
         CREATE FUNCTION SCHEMA.no() RETURNS trigger LANGUAGE plpgsql AS \
           $$ BEGIN RAISE EXCEPTION 'not this one'; END $$; \
         CREATE TRIGGER no BEFORE INSERT ON SCHEMA.t FOR EACH ROW WHEN (new.n = 66) \
           EXECUTE FUNCTION SCHEMA.no()",
    ) else {
        return;
    };
    let columns = ["id", "n", "u", "at", "p"].map(|name| (name, field(&format!("/{name}"))));
    let mut sink = schema.open("t", &columns, &["id"]);
    let cases = [
        (r#"{"id":"a","n":1,"u":"same"}"#, "Delivered"),
        (r#"{"id":"b","n":100}"#, "constraint"),
        (r#"{"id":"c"}"#, "constraint"),
        (r#"{"id":"d","n":"many"}"#, "data"),
        (r#"{"n":5}"#, "data"),
        ("no json", "data"),
        (r#"{"id":"e","n":2,"u":"same"}"#, "constraint"),
        (r#"{"id":"f","n":3,"p":"p"}"#, "Delivered"),
        (r#"{"id":"g","n":4,"p":"q"}"#, "constraint"),
        (r#"{"id":"long","n":4}"#, "data"),
        (r#"{"id":"h","n":66}"#, "constraint"),
        (r#"{"id":"i","n":3000000000}"#, "data"),
        (r#"{"id":"j","n":5,"at":"yesterday, maybe"}"#, "data"),
        (r#"{"id":"k","n":5,"u":"zero \u0000"}"#, "data"),
        (r#"{"id":"a","n":6,"u":"other"}"#, "Delivered"),
        (r#"{"id":"l","n":7,"u":"same"}"#, "Delivered"),
        (r#"{"id":"a","n":101}"#, "constraint"),
        (r#"{"id":"m","n":8.5}"#, "data"),
    ];
    let verdicts = sink.deliver(&records(&cases.map(|(value, _)| value))).expect("deliver");
    assert_eq!(kinds(&verdicts), cases.map(|(_, kind)| kind), "{verdicts:#?}");
    let rows = schema.lines("SELECT id || n || coalesce(u, '') FROM SCHEMA.t ORDER BY number");
    assert_eq!(rows, ["a6other", "f3", "l7same"]);
    let message = format!("{verdicts:?}");
    for part in
        ["t_n_check", "column \\\"n", "t_u_key", "t_p_fkey", "not this one", "would be NULL"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn the_last_of_equal_keys_wins_also_where_the_server_alone_knows_that_they_are_equal() {
    let Some(schema) = Schema::shared(
        "CREATE TABLE SCHEMA.t (a numeric, b text, v text, UNIQUE (b, a) INCLUDE (v))",
    ) else {
        return;
    };
    let columns = [("a", field("/a")), ("b", field("/b")), ("v", field("/v"))];
    let mut sink = schema.open("t", &columns, &["a", "b"]);
    let values = [
        r#"{"a":1,"b":"1","v":"first"}"#,
        r#"{"a":1,"b":"2","v":"other"}"#,
        r#"{"a":1,"b":"1","v":"second"}"#,
        r#"{"a":1.0,"b":"1","v":"third"}"#,
        r#"{"a":2,"b":"1","v":"more"}"#,
        r#"{"a":"1.00","b":"1","v":"last"}"#,
    ];
    let verdicts = sink.deliver(&records(&values)).expect("deliver");
    assert_eq!(kinds(&verdicts), ["Delivered"; 6]);
    let rows = schema.lines("SELECT trim_scale(a) || b || v FROM SCHEMA.t ORDER BY v");
    assert_eq!(rows, ["11last", "21more", "12other"]);
}

#[test]
fn a_zombie_is_fenced_in_the_middle_of_its_transaction() {
    let Some(schema) = Schema::shared(EFFECTS) else { return };
    let all = suite::records(0, 6);
    let mut zombie = schema.sink();
    zombie.open(&owner(0, 1)).expect("open");
    suite::deliver_all(&mut *zombie, &all[..2]);
    // Somebody holds the row that the zombie is about to write, so that it stands still in the
    // middle of its batch.
    schema.sql("INSERT INTO SCHEMA.effects (id, value, n) VALUES ('p0-4', '', 0)");
    let mut heir = schema.sink();
    let server = schema.server.clone();
    thread::scope(|scope| {
        let hold = format!(
            "BEGIN; SELECT 1 FROM {0}.effects WHERE id = 'p0-4' FOR UPDATE; \
             SELECT pg_advisory_lock_shared(17); COMMIT",
            schema.name
        );
        let gate = Gate::close(&schema.server);
        let holder = scope.spawn(move || server.sql(&hold));
        let waiting = "SELECT count(*) FROM pg_locks WHERE objid = 17 AND NOT granted";
        wait_until(|| schema.sql(waiting) == "1");
        let zombie = scope.spawn(|| {
            let result = suite::deliver(&mut *zombie, &all[2..]);
            (result, suite::deliver(&mut *zombie, &all[2..]))
        });
        schema.wait_for_lock();
        heir.open(&owner(0, 2)).expect("the zombie must not keep the heir out");
        gate.open();
        holder.join().expect("holder");
        let (first, second) = zombie.join().expect("zombie");
        assert_eq!(first, Err(Error::Fenced { epoch: 2 }));
        assert_eq!(second, Err(Error::Fenced { epoch: 2 }));
    });
    let ids = schema.lines("SELECT id FROM SCHEMA.effects ORDER BY id");
    assert_eq!(ids, ["p0-0", "p0-1", "p0-4"], "nothing of the zombie's batch");
    suite::deliver_all(&mut *heir, &all[1..]);
    assert_eq!(schema.lines("SELECT id FROM SCHEMA.effects").len(), 6);
    let fence = schema.sql("SELECT epoch, position FROM SCHEMA.pawl_fence");
    assert_eq!(fence, format!("2|{}", all[5].position));
}

/// A lock that holds a statement back: of another session, which ends when its input does.
struct Gate {
    session: std::process::Child,
}

impl Gate {
    fn close(server: &Server) -> Gate {
        let mut session = server.session();
        let input = session.stdin.as_mut().expect("piped");
        input.write_all(b"SELECT pg_advisory_lock(17);\n").expect("write");
        let locked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 17";
        wait_until(|| server.sql(locked) == "1");
        Gate { session }
    }

    fn open(mut self) {
        drop(self.session.stdin.take());
        self.session.wait().expect("wait for psql");
    }
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < until, "waited in vain");
    }
}

#[test]
fn a_server_that_is_killed_again_and_again_loses_nothing_and_doubles_nothing() {
    let Some(server) = Server::start(&[]) else { return };
    let url = server.url();
    let schema = Schema::on(Arc::new(server), EFFECTS);
    let mut config = schema.effects_config();
    config.timeout_ms = 2_000;
    let table = schema.name.clone();
    let mut server = Arc::into_inner(schema.server).expect("nobody else has it");
    assert_eq!(server.url(), url);

    // Ids come again with new values: of each, the last value must stand.
    let all: Vec<Record> =
        (0..6_000).map(|n| Record { id: format!("id-{}", n % 700), ..Record::new(0, n) }).collect();
    let seed = 4;
    let random = &mut Random(seed);
    let done = AtomicBool::new(false);
    let delivered = AtomicU32::new(0);
    let (mut failures, mut kills) = (0, 0);
    thread::scope(|scope| {
        let deliveries = scope.spawn(|| {
            let _finished = OnDrop(&done);
            let (mut at, mut failures, mut epoch) = (0, 0, 1);
            let mut sink = SqlSink::new(&config).expect("new");
            let mut result = sink.open(&owner(0, epoch));
            while at < all.len() {
                if let Err(error) = result {
                    assert!(matches!(error, Error::Transient { .. }), "{error}");
                    failures += 1;
                    // Not a wait: it is the backoff that whoever delivers would make.
                    thread::sleep(Duration::from_millis(10));
                    if failures % 7 == 0 {
                        // The host was killed too: another sink, further back.
                        epoch += 1;
                        at -= at.min(100);
                        sink = SqlSink::new(&config).expect("new");
                        result = sink.open(&owner(0, epoch));
                        continue;
                    }
                }
                let to = all.len().min(at + 20);
                result = suite::deliver(&mut sink, &all[at..to]).map(|verdicts| {
                    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Delivered));
                    at = to;
                });
                delivered.store(at as u32, Ordering::Release);
            }
            failures
        });
        let mut next = 200;
        while !done.load(Ordering::Acquire) {
            let due = || done.load(Ordering::Acquire) || delivered.load(Ordering::Acquire) >= next;
            while !due() {
                thread::yield_now();
            }
            if next < 5_600 {
                // Not a wait: it is the moment of the kill.
                thread::sleep(Duration::from_micros(random.below(4_000) as u64));
                server.kill();
                server.run();
                kills += 1;
                next += 500 + random.below(400) as u32;
            } else {
                thread::yield_now();
            }
        }
        failures = deliveries.join().expect("deliveries");
    });
    println!("seed {seed}: {kills} kills, {failures} failed calls");
    assert!(kills >= 5 && failures >= kills, "{kills} kills, {failures} failures");
    let rows = server.sql(&format!("SELECT id, n FROM {table}.effects ORDER BY n"));
    let expected: Vec<String> = (5_300..6_000).map(|n| format!("id-{}|{n}", n % 700)).collect();
    assert_eq!(rows.lines().collect::<Vec<_>>(), expected);
}

/// Tells others that a thread is done, also by a panic.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn a_commit_whose_answer_is_lost_takes_effect_once() {
    let Some(schema) = Schema::shared(EFFECTS) else { return };
    let proxy = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = proxy.local_addr().expect("address").port();
    let target = ("127.0.0.1", schema.server.port());
    thread::spawn(move || {
        let mut connections = 0;
        while let Ok((client, _)) = proxy.accept() {
            connections += 1;
            forward(client, TcpStream::connect(target).expect("connect"), connections == 1);
        }
    });
    let mut config = schema.effects_config();
    let url = schema.server.url().replace(&format!(":{}/", target.1), &format!(":{port}/"));
    config.url = Secret::Text(format!("{url}?sslmode=disable"));
    let mut sink = opened(&config);
    let all = suite::records(0, 10);
    let lost = suite::deliver(&mut sink, &all[..5]);
    assert!(is_transient(&lost), "{lost:?}");
    let before = schema.lines("SELECT id, value, number FROM SCHEMA.effects ORDER BY number");
    assert_eq!(before.len(), 5, "it was committed");
    suite::deliver_all(&mut sink, &all[..5]);
    let after = schema.lines("SELECT id, value, number FROM SCHEMA.effects ORDER BY number");
    assert_eq!(after, before);
    suite::deliver_all(&mut sink, &all[5..]);
    assert_eq!(schema.effects().len(), 10);
}

/// Between a client and a server until one hangs up; `lossy`: until the first commit, whose answer
/// is read and thrown away.
fn forward(client: TcpStream, server: TcpStream, lossy: bool) {
    let committing = Arc::new(AtomicBool::new(false));
    let (from_client, from_server) = (client.try_clone(), server.try_clone());
    let (mut from_client, mut from_server) =
        (from_client.expect("clone"), from_server.expect("clone"));
    let (mut client, mut server) = (client, server);
    let seen = committing.clone();
    thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok(count @ 1..) = from_client.read(&mut bytes) {
            let commit = bytes[..count].windows(7).any(|window| window == b"COMMIT\0");
            // The table of fences is made with a commit of its own.
            let create = bytes[..count].windows(6).any(|window| window == b"CREATE");
            if lossy && commit && !create {
                seen.store(true, Ordering::Release);
            }
            if server.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        drop(server.shutdown(Shutdown::Both));
    });
    thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok(count @ 1..) = from_server.read(&mut bytes) {
            if committing.load(Ordering::Acquire) || client.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        drop(client.shutdown(Shutdown::Both));
    });
}

#[test]
fn what_only_a_person_can_mend_is_told_with_what_to_do() {
    let Some(schema) = Schema::shared(
        "CREATE TABLE SCHEMA.t (id text, v text, a int[], UNIQUE (id, v)); \
         CREATE UNIQUE INDEX ON SCHEMA.t (id) WHERE v > 'a'; \
         CREATE TABLE SCHEMA.late (id text UNIQUE DEFERRABLE, v text)",
    ) else {
        return;
    };
    let columns = [("id", ColumnSource::Id), ("v", ColumnSource::Value)];
    let open = |config: &Config| SqlSink::new(config).expect("new").open(&owner(0, 1));
    let table = |table: &str| schema.config(table, &columns, &["id"]);
    let create = "CREATE TABLE \"SCHEMA\".\"u\" (\"id\" text, \"v\" text, PRIMARY KEY (\"id\"))";
    fatal(open(&table("u")), "sql-table", &create.replace("SCHEMA", &schema.name));
    let key = "CREATE UNIQUE INDEX \"t_pawl_key\" ON \"SCHEMA\".\"t\" (\"id\")";
    fatal(open(&table("t")), "sql-key", &key.replace("SCHEMA", &schema.name));
    fatal(open(&table("late")), "sql-key", "DEFERRABLE");
    let add = "ADD COLUMN \"w\" text";
    let more = [("id", ColumnSource::Id), ("w", ColumnSource::Value)];
    fatal(open(&schema.config("t", &more, &["id"])), "sql-column", add);
    let array = [("id", ColumnSource::Id), ("a", field("/a"))];
    fatal(open(&schema.config("t", &array, &["id"])), "sql-column", "array");

    let with_url = |url: String| Config { url: Secret::Text(url), ..table("t") };
    let url = schema.server.url();
    let wrong = url.replace(PASSWORD, "wrong-secret");
    let refused = open(&with_url(wrong));
    assert!(!format!("{refused:?}").contains("wrong-secret"), "{refused:?}");
    fatal(refused, "sql-login", "password authentication failed");
    let none = url.replace(&format!(":{PASSWORD}"), "");
    fatal(open(&with_url(none)), "sql-login", "password");
    fatal(open(&with_url(url.replace("/postgres", "/nowhere"))), "sql-database", "nowhere");
    fatal(open(&with_url(format!("{url}?sslmode=require"))), "sql-tls", "TLS");
    let nobody = TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address");
    let gone = open(&with_url(format!("postgres://u:{PASSWORD}@{nobody}/d")));
    assert!(is_transient(&gone) && !format!("{gone:?}").contains(PASSWORD), "{gone:?}");
}

#[test]
fn permissions_that_are_missing_are_told_and_those_not_needed_are_not_asked_for() {
    let Some(schema) = Schema::shared(
        "CREATE TABLE SCHEMA.t (id text PRIMARY KEY, v text); \
         CREATE ROLE SCHEMA_role LOGIN PASSWORD 'role-secret'; \
         GRANT USAGE ON schema SCHEMA TO SCHEMA_role",
    ) else {
        return;
    };
    let mut config =
        schema.config("t", &[("id", ColumnSource::Id), ("v", ColumnSource::Value)], &["id"]);
    let url = format!(
        "postgres://{}_role:role-secret@127.0.0.1:{}/postgres",
        schema.name,
        schema.server.port()
    );
    config.url = Secret::Text(url);
    let open = || SqlSink::new(&config).expect("new").open(&owner(0, 1));
    fatal(open(), "sql-permission", "permission denied");
    schema.sql("GRANT SELECT, INSERT, UPDATE ON SCHEMA.t TO SCHEMA_role");
    let refused = open();
    fatal(refused.clone(), "sql-fence", "CREATE TABLE IF NOT EXISTS");
    let Err(Error::Fatal { what, .. }) = refused else { panic!("it is fatal") };
    let (_, create) = what.split_once("do it: ").expect("it says what to do");
    schema.server.sql(create);
    schema.sql("GRANT SELECT, INSERT, UPDATE ON SCHEMA.pawl_fence TO SCHEMA_role");
    open().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn connections_are_encrypted_and_verified_as_the_url_asks() {
    let Some(server) = Server::start(&[]) else { return };
    let folder = server.folder().to_owned();
    for (authority, server_name) in [("ca", "server"), ("other", "unused")] {
        make_certificates(&folder, authority, server_name);
    }
    let read = |name: &str| std::fs::read(folder.join(name)).expect("read");
    let key = server.write("used.key", &read("server.key"));
    let certificate = server.write("used.pem", &read("server.pem"));
    server.sql(&format!("ALTER SYSTEM SET ssl_key_file = '{}'", key.display()));
    server.sql(&format!("ALTER SYSTEM SET ssl_cert_file = '{}'", certificate.display()));
    server.sql("ALTER SYSTEM SET ssl = on");
    let mut server = server;
    server.kill();
    server.run();

    let schema = Schema::on(Arc::new(server), EFFECTS);
    let url = schema.server.url();
    let by_name = url.replace("127.0.0.1", "localhost");
    let try_open = |base: &str, mode: &str, root: Option<&str>| {
        let root = root.map(|root| format!("&sslrootcert={}/{root}.pem", folder.display()));
        let url = format!("{base}?sslmode={mode}{}", root.unwrap_or_default());
        let config = Config { url: Secret::Text(url), ..schema.effects_config() };
        let mut sink = SqlSink::new(&config)?;
        sink.open(&owner(0, 1))?;
        let sql = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                   WHERE application_name = 'pawl'";
        let encrypted = schema.sql(sql);
        suite::deliver_all(&mut sink, &suite::records(0, 3));
        drop(sink);
        wait_until(|| schema.sql(sql).is_empty());
        Ok::<_, Error>(encrypted)
    };
    let encrypted = Ok("t".to_owned());
    assert_eq!(try_open(&url, "disable", None), Ok("f".to_owned()));
    assert_eq!(try_open(&url, "prefer", None), encrypted);
    assert_eq!(try_open(&url, "require", None), encrypted);
    assert_eq!(try_open(&url, "require", Some("ca")), encrypted);
    assert_eq!(try_open(&url, "verify-ca", Some("ca")), encrypted);
    assert_eq!(try_open(&by_name, "verify-full", Some("ca")), encrypted);
    fatal(try_open(&url, "verify-full", Some("ca")), "sql-tls", "127.0.0.1");
    fatal(try_open(&by_name, "verify-full", Some("other")), "sql-tls", "certificate");
    fatal(try_open(&url, "verify-ca", Some("other")), "sql-tls", "certificate");
    fatal(try_open(&url, "require", Some("other")), "sql-tls", "certificate");
    fatal(try_open(&by_name, "verify-full", Some("none")), "sql-config", "sslrootcert");
}

/// An authority, and a certificate of it for the name `localhost`, by the program `openssl`, which
/// Debian's PostgreSQL brings along.
fn make_certificates(folder: &Path, authority: &str, server: &str) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output()
            .expect("run openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {new} -keyout {authority}.key -out {authority}.pem -days 30 \
         -subj /CN=pawl-{authority}"
    ));
    openssl(&format!("req {new} -keyout {server}.key -out {server}.csr -subj /CN=localhost"));
    let extensions = "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n";
    std::fs::write(folder.join("extensions"), extensions).expect("write");
    openssl(&format!(
        "x509 -req -in {server}.csr -CA {authority}.pem -CAkey {authority}.key \
         -CAcreateserial -days 30 -extfile extensions -out {server}.pem"
    ));
}

#[test]
fn a_connection_that_ends_is_replaced() {
    let Some(schema) = Schema::shared(EFFECTS) else { return };
    let all = suite::records(0, 9);
    let url = format!("{}?application_name=pawl-ends", schema.server.url());
    let config = Config { url: Secret::Text(url), ..schema.effects_config() };
    let mut sink = SqlSink::new(&config).expect("new");
    sink.open(&owner(3, 1)).expect("open");
    suite::deliver_all(&mut sink, &all[..3]);
    let terminate = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
                     WHERE application_name = 'pawl-ends'";
    assert_eq!(schema.sql(terminate), "1");
    let result = suite::deliver(&mut sink, &all[3..6]);
    assert!(result.is_ok() || is_transient(&result), "{result:?}");
    suite::deliver_all(&mut sink, &all[3..]);
    assert_eq!(schema.effects().len(), 9);
    // Somebody took the owner's row away: it is claimed again.
    schema.sql("DELETE FROM SCHEMA.pawl_fence");
    assert!(is_transient(&suite::deliver(&mut sink, &all)));
    suite::deliver_all(&mut sink, &all);
    assert_eq!(schema.sql("SELECT epoch FROM SCHEMA.pawl_fence WHERE \"partition\" = 3"), "1");
}

#[test]
fn a_call_is_bounded_in_time_and_leaves_nothing_behind() {
    let Some(schema) = Schema::shared(EFFECTS) else { return };
    let all = suite::records(0, 3);
    let config = Config { timeout_ms: 300, ..schema.effects_config() };
    let mut sink = opened(&config);
    suite::deliver_all(&mut sink, &all);
    let mut holder = schema.server.session();
    let lock = format!("BEGIN; LOCK TABLE {}.effects;\n", schema.name);
    holder.stdin.as_mut().expect("piped").write_all(lock.as_bytes()).expect("write");
    let locked = format!(
        "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
         AND relation = '{}.effects'::regclass",
        schema.name
    );
    wait_until(|| schema.sql(&locked) == "1");
    let start = Instant::now();
    let late = suite::deliver(&mut sink, &all);
    assert!(matches!(&late, Err(Error::Transient { kind, .. }) if kind == "timeout"), "{late:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    drop(holder.stdin.take());
    holder.wait().expect("wait for psql");
    suite::deliver_all(&mut sink, &all);
}

#[test]
fn tasks_that_begin_at_once_all_find_the_table_of_fences() {
    let Some(schema) = Schema::shared(EFFECTS) else { return };
    thread::scope(|scope| {
        for partition in 0..6 {
            let mut sink = schema.sink();
            scope.spawn(move || {
                sink.open(&owner(partition, 1)).unwrap_or_else(|error| panic!("{error}"));
                suite::deliver_all(&mut *sink, &suite::records(partition, 50));
            });
        }
    });
    assert_eq!(schema.effects().len(), 300);
}

#[test]
fn it_is_fast_enough() {
    let Some(schema) = Schema::shared(EFFECTS) else { return };
    let mut sink = schema.sink();
    sink.open(&owner(0, 1)).expect("open");
    let records = suite::records(0, 40_000);
    for what in ["new", "again"] {
        let start = Instant::now();
        records.chunks(500).for_each(|batch| suite::deliver_all(&mut *sink, batch));
        let rate = records.len() as f64 / start.elapsed().as_secs_f64();
        println!("postgres, {what}: {rate:.0} rows/s in batches of 500");
        assert!(rate > 1000.0, "{rate} rows/s");
    }
    assert_eq!(schema.sql("SELECT count(*) FROM SCHEMA.effects"), records.len().to_string());
}
