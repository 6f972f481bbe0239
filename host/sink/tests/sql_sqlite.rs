//! The sink `sql` on SQLite.

use pawl_pipeline::{ColumnSource, Secret, SqlSink as Config};
use pawl_sink::sql::SqlSink;
use pawl_sink::suite::{self, Place, Promises, owner};
use pawl_sink::{Delivery, Error, Sink, Verdict};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A database in a folder of its own, which goes with it.
struct Database {
    folder: PathBuf,
    connection: Connection,
}

impl Database {
    fn new(setup: &str) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pawl-sqlite-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("create a folder");
        let connection = Connection::open(folder.join("db")).expect("open");
        connection.execute_batch(setup).expect("setup");
        Database { folder, connection }
    }

    fn config(&self, table: &str, columns: &[(&str, ColumnSource)], key: &[&str]) -> Config {
        Config {
            url: Secret::Text(format!("sqlite:{}", self.folder.join("db").display())),
            table: table.to_owned(),
            columns: columns
                .iter()
                .map(|(name, from)| ((*name).to_owned(), from.clone()))
                .collect(),
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            timeout_ms: 300,
        }
    }

    fn effects_config(&self) -> Config {
        let columns = [
            ("id", ColumnSource::Id),
            ("value", ColumnSource::Value),
            ("n", ColumnSource::Field("/n".to_owned())),
        ];
        self.config("effects", &columns, &["id"])
    }

    fn open(&self, table: &str, columns: &[(&str, ColumnSource)], key: &[&str]) -> SqlSink {
        let mut sink = SqlSink::new(&self.config(table, columns, key)).expect("new");
        sink.open(&owner(0, 1)).unwrap_or_else(|error| panic!("{error}"));
        sink
    }

    fn texts(&self, sql: &str) -> Vec<String> {
        let mut statement = self.connection.prepare(sql).expect("prepare");
        let rows = statement.query_map([], |row| row.get(0)).expect("query");
        rows.map(|row| row.expect("row")).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

const EFFECTS: &str = "CREATE TABLE effects (\
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, value TEXT, n INTEGER)";

impl Place for Database {
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(SqlSink::new(&self.effects_config()).expect("new"))
    }

    fn effects(&self) -> Vec<(String, Vec<u8>)> {
        let sql = "SELECT id, value FROM effects ORDER BY number";
        let mut statement = self.connection.prepare(sql).expect("prepare");
        let effect = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?));
        let rows = statement.query_map([], effect).expect("query");
        rows.map(|row| row.expect("row")).map(|(id, value)| (id, value.into_bytes())).collect()
    }
}

fn field(pointer: &str) -> ColumnSource {
    ColumnSource::Field(pointer.to_owned())
}

fn record<'a>(position: u64, id: &'a str, value: &'a str) -> Delivery<'a> {
    Delivery {
        position,
        id,
        key: Some(b"k"),
        value: Some(value.as_bytes()),
        event_time: Some(1_700_000_000_123),
        headers: vec![("h", b"17")],
    }
}

fn kinds(verdicts: &[Verdict]) -> Vec<&str> {
    let kind = |verdict: &Verdict| match verdict {
        Verdict::Rejected { kind, .. } => kind.clone(),
        other => format!("{other:?}"),
    };
    verdicts.iter().map(|verdict| kind(verdict).leak() as &str).collect()
}

fn fatal(result: Result<(), Error>, code: &str, part: &str) {
    match result {
        Err(Error::Fatal { code: found, what }) if found == code && what.contains(part) => {}
        other => panic!("{other:?} instead of {code}: {part}"),
    }
}

#[test]
fn sqlite_passes_the_suite() {
    suite::all(Promises { fenced: true }, || Database::new(EFFECTS));
}

#[test]
fn columns_take_what_their_affinity_says() {
    let database = Database::new(
        "CREATE TABLE t (id VARCHAR(9) PRIMARY KEY, i BIGINT, r DOUBLE, n DECIMAL(9,2), t TEXT, \
         b BLOB, j JSON, a, at INTEGER, att TEXT, f BOOLEAN, h INT, gone TEXT)",
    );
    let columns = [
        ("id", ColumnSource::Id),
        ("i", field("/i")),
        ("r", field("/r")),
        ("n", field("/n")),
        ("t", field("/i")),
        ("b", ColumnSource::Value),
        ("j", field("/s")),
        ("a", field("/o")),
        ("at", ColumnSource::EventTime),
        ("att", ColumnSource::EventTime),
        ("f", field("/f")),
        ("h", ColumnSource::Header("h".to_owned())),
        ("gone", field("/gone/0")),
    ];
    let mut sink = database.open("t", &columns, &["id"]);
    let value = r#"{"i":9007199254740993,"r":"2.5","n":1.50,"s":"x\"y","o":{"a": [1]},"f":true}"#;
    let verdicts = sink.deliver(&[record(1, "one", value)]).expect("deliver");
    assert_eq!(verdicts, [Verdict::Delivered]);
    let found = database.texts(
        "SELECT id || '|' || i || '|' || r || '|' || n || '|' || t || '|' || typeof(b) || '|' || j \
         || '|' || a || '|' || at || '|' || att || '|' || f || '|' || typeof(h) || '|' || h || '|' \
         || (gone IS NULL) FROM t",
    );
    let expected = "one|9007199254740993|2.5|1.5|9007199254740993|blob|\"x\\\"y\"|{\"a\": [1]}|\
                    1700000000123|2023-11-14T22:13:20.123Z|1|integer|17|1";
    assert_eq!(found, [expected]);
}

#[test]
fn a_row_that_is_refused_is_refused_alone() {
    let database = Database::new(
        "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER NOT NULL CHECK (n < 100), u TEXT UNIQUE \
         ON CONFLICT REPLACE)",
    );
    let columns = [("id", field("/id")), ("n", field("/n")), ("u", field("/u"))];
    let mut sink = database.open("t", &columns, &["id"]);
    let values = [
        r#"{"id":"a","n":1,"u":"same"}"#,
        r#"{"id":"b","n":100}"#,
        r#"{"id":"c"}"#,
        r#"{"id":"d","n":"many"}"#,
        r#"{"n":5}"#,
        "no json",
        r#"{"id":"e","n":2,"u":"same"}"#,
        r#"{"id":"f","n":3}"#,
        r#"{"id":"g","n":99999999999999999999}"#,
        r#"{"id":"a","n":4,"u":"other"}"#,
    ];
    let records: Vec<_> =
        values.iter().enumerate().map(|(at, value)| record(at as u64, "x", value)).collect();
    let verdicts = sink.deliver(&records).expect("deliver");
    let expected = [
        "Delivered",
        "constraint",
        "constraint",
        "data",
        "data",
        "data",
        "constraint",
        "Delivered",
        "data",
        "Delivered",
    ];
    assert_eq!(kinds(&verdicts), expected, "{verdicts:?}");
    let rows = database.texts("SELECT id || n || coalesce(u, '') FROM t ORDER BY id");
    assert_eq!(rows, ["a4other", "f3"]);
}

#[test]
fn what_only_the_commit_refuses_and_what_ends_the_transaction_is_found() {
    let database = Database::new(
        "CREATE TABLE parent (id TEXT PRIMARY KEY); INSERT INTO parent VALUES ('p'); \
         CREATE TABLE t (id TEXT PRIMARY KEY, \
           p TEXT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED); \
         CREATE TRIGGER no BEFORE INSERT ON t WHEN new.id = 'end' \
           BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END;",
    );
    let mut sink = database.open("t", &[("id", ColumnSource::Id), ("p", field("/p"))], &["id"]);
    let (good, bad) = (r#"{"p":"p"}"#, r#"{"p":"q"}"#);
    let records = [
        record(1, "a", good),
        record(2, "b", bad),
        record(3, "end", good),
        record(4, "c", good),
        record(5, "d", bad),
        record(6, "a", good),
    ];
    let verdicts = sink.deliver(&records).expect("deliver");
    let expected =
        ["Delivered", "constraint", "constraint", "Delivered", "constraint", "Delivered"];
    assert_eq!(kinds(&verdicts), expected, "{verdicts:?}");
    assert_eq!(database.texts("SELECT id FROM t ORDER BY id"), ["a", "c"]);
}

#[test]
fn the_last_of_equal_keys_wins() {
    let database = Database::new("CREATE TABLE t (a TEXT, b TEXT, v TEXT, UNIQUE (b, a))");
    let columns = [("a", field("/a")), ("b", field("/b")), ("v", field("/v"))];
    let mut sink = database.open("t", &columns, &["a", "b"]);
    let values = [
        r#"{"a":"1","b":"1","v":"first"}"#,
        r#"{"a":"1","b":"2","v":"other"}"#,
        r#"{"a":"1","b":"1","v":"last"}"#,
    ];
    let records: Vec<_> = values.iter().map(|value| record(1, "x", value)).collect();
    assert_eq!(kinds(&sink.deliver(&records).expect("deliver")), ["Delivered"; 3]);
    assert_eq!(database.texts("SELECT a || b || v FROM t ORDER BY b"), ["11last", "12other"]);
}

#[test]
fn a_table_that_does_not_fit_is_told_with_what_to_do() {
    let database = Database::new(
        "CREATE TABLE t (id TEXT, v TEXT); CREATE UNIQUE INDEX some ON t (id) WHERE v > 'a'; \
         CREATE UNIQUE INDEX both ON t (id, v)",
    );
    let open = |table: &str, columns: &[(&str, ColumnSource)]| {
        let config = database.config(table, columns, &["id"]);
        SqlSink::new(&config).expect("new").open(&owner(0, 1))
    };
    let columns = [("id", ColumnSource::Id), ("v", ColumnSource::Value)];
    fatal(open("u", &columns), "sql-table", "CREATE TABLE \"u\" (\"id\" text, \"v\" text, PRIM");
    let more = [("id", ColumnSource::Id), ("w", ColumnSource::Value)];
    fatal(open("t", &more), "sql-column", "ALTER TABLE \"t\" ADD COLUMN \"w\" text");
    fatal(open("main.t", &columns), "sql-key", "UNIQUE INDEX \"t_pawl_key\" ON \"main\".\"t\"");
    let mut config = database.config("t", &columns, &["id"]);
    config.url = Secret::Text(format!("sqlite:{}/none", database.folder.display()));
    fatal(SqlSink::new(&config).expect("new").open(&owner(0, 1)), "sql-database", "could not open");
}

#[test]
fn a_database_that_another_holds_is_waited_for_within_bounds() {
    let database = Database::new(EFFECTS);
    let mut sink = database.sink();
    sink.open(&owner(0, 1)).expect("open");
    database.connection.execute_batch("BEGIN IMMEDIATE").expect("begin");
    let records = suite::records(0, 3);
    let busy = suite::deliver(&mut *sink, &records);
    assert!(matches!(&busy, Err(Error::Transient { kind, .. }) if kind == "busy"), "{busy:?}");
    database.connection.execute_batch("COMMIT").expect("commit");
    suite::deliver_all(&mut *sink, &records);
    assert_eq!(database.effects().len(), 3);
}

#[test]
fn it_is_fast_enough() {
    let database = Database::new(EFFECTS);
    let mut sink = database.sink();
    sink.open(&owner(0, 1)).expect("open");
    let records = suite::records(0, 20_000);
    let start = std::time::Instant::now();
    records.chunks(500).for_each(|batch| suite::deliver_all(&mut *sink, batch));
    let rate = records.len() as f64 / start.elapsed().as_secs_f64();
    println!("sqlite: {rate:.0} rows/s in batches of 500");
    assert_eq!(database.effects().len(), records.len());
    assert!(rate > 1000.0, "{rate} rows/s");
}
