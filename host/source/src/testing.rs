//! What tests share: a folder that goes away, a small pipeline, and a transport that dies at a
//! given write, before or after it was stored, as if the process had been killed there.

use crate::host::Host;
use crate::letters::Letters;
use pawl_core::commit::{CommitBatch, TaskId};
use pawl_core::record::{LogBatch, Offset, Producer, Timestamp};
use pawl_pipeline::{Pipeline, Source};
use pawl_transport::{
    Dropped, Error, Memory, ReadMax, Recovery, Retained, Ticket, Topic, Transport, Trimmed,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A folder of one test.
pub(crate) struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("pawl-source-{name}-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        use std::io::Write;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A pipeline with one source, `lines`, that feeds the topic `in`.
pub(crate) fn pipeline(base: &Path, source: &str, topic: &str) -> Arc<Pipeline> {
    let text = format!(
        r#"
pawl = 1
name = "p"
topics.in = {topic}

[[source]]
name = "lines"
topic = "in"
{source}

[[stage]]
name = "a"
input = "in"
[[stage.operator]]
name = "first"
plugin = "x"
"#
    );
    match pawl_pipeline::parse(&text, base, &[]) {
        Ok((pipeline, _)) => Arc::new(pipeline),
        Err(mistakes) => panic!("{mistakes}"),
    }
}

/// A host on a transport, whose clock stands.
pub(crate) fn host(pipeline: &Arc<Pipeline>, transport: Arc<dyn Transport>) -> Host {
    Host {
        pipeline: Arc::clone(pipeline),
        letters: Arc::new(Letters::new(&pipeline.dead_letters, Arc::clone(&transport))),
        transport,
        now_ms: Arc::new(|| 1_700_000_000_000),
        backlog: Arc::new(|_| 0),
    }
}

pub(crate) fn source(pipeline: &Pipeline) -> &Source {
    &pipeline.sources[0]
}

/// Waits until something is so, for twenty seconds at most.
pub(crate) fn until(mut so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(std::time::Instant::now() < end, "waited for in vain");
        std::thread::yield_now();
    }
}

/// Values of a topic, partition by partition.
pub(crate) fn values(transport: &dyn Transport, topic: &str) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    for partition in 0..transport.partitions(topic).unwrap() {
        let (mut from, end) = transport.range(topic, partition).unwrap();
        while from < end {
            let max = ReadMax { records: 1000, bytes: 1 << 20 };
            for batch in transport.read(topic, partition, from, max).unwrap() {
                batch.check().unwrap();
                assert_eq!(batch.producer, None);
                let rows = 0..batch.records.len();
                values.extend(rows.map(|row| batch.records.values.get(row).unwrap().to_vec()));
                from = batch.end();
            }
        }
    }
    values
}

/// As texts.
pub(crate) fn texts(transport: &dyn Transport, topic: &str) -> Vec<String> {
    let values = values(transport, topic).into_iter();
    values.map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
}

/// A header of all records of the first partition.
pub(crate) fn headers(transport: &dyn Transport, topic: &str, name: &str) -> Vec<Option<String>> {
    let max = ReadMax { records: 1000, bytes: 1 << 20 };
    let mut found = Vec::new();
    for batch in transport.read(topic, 0, 0, max).unwrap() {
        for row in 0..batch.records.len() {
            let value = batch.records.header(name).and_then(|column| column.get(row));
            found.push(value.map(|value| String::from_utf8_lossy(value).into_owned()));
        }
    }
    found
}

/// Numbers that look random (Steele, Lea, Flood: SplitMix64).
pub(crate) struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A transport that dies at one of its writes; all that follow fail, as in a killed process.
pub(crate) struct Mortal {
    inner: Arc<Memory>,
    left: AtomicU64,
    /// The write at which it dies is stored, and nobody is told.
    stores_last: bool,
    dead: AtomicBool,
}

impl Mortal {
    pub fn new(inner: &Arc<Memory>, writes: u64, stores_last: bool) -> Arc<Self> {
        let (left, dead) = (AtomicU64::new(writes), AtomicBool::new(false));
        Arc::new(Self { inner: Arc::clone(inner), left, stores_last, dead })
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn alive(&self) -> Result<(), Error> {
        match self.is_dead() {
            true => Err(Error::Poisoned { first: "killed".to_owned() }),
            false => Ok(()),
        }
    }

    fn write<T>(&self, write: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.alive()?;
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        if left > 0 {
            return write();
        }
        self.dead.store(true, Ordering::SeqCst);
        if self.stores_last {
            drop(write());
        }
        Err(Error::Poisoned { first: "killed".to_owned() })
    }
}

impl Transport for Mortal {
    fn identity(&self) -> Result<String, Error> {
        self.inner.identity()
    }

    fn become_another(&self) -> Result<(), Error> {
        self.inner.become_another()
    }
    fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), Error> {
        self.write(|| self.inner.create_topic(topic, partitions))
    }
    fn topics(&self) -> Result<Vec<Topic>, Error> {
        self.inner.topics()
    }
    fn partitions(&self, topic: &str) -> Result<u32, Error> {
        self.inner.partitions(topic)
    }
    fn range(&self, topic: &str, partition: u32) -> Result<(Offset, Offset), Error> {
        self.inner.range(topic, partition)
    }
    fn read(
        &self,
        topic: &str,
        partition: u32,
        from: Offset,
        max: ReadMax,
    ) -> Result<Vec<LogBatch>, Error> {
        self.inner.read(topic, partition, from, max)
    }
    fn produce(
        &self,
        topic: &str,
        partition: u32,
        batch: LogBatch,
        now_ms: Timestamp,
    ) -> Result<Offset, Error> {
        self.write(|| self.inner.produce(topic, partition, batch, now_ms))
    }
    fn claim(&self, task: &TaskId, above: u64) -> Result<u64, Error> {
        self.write(|| self.inner.claim(task, above))
    }
    fn recovery(&self, task: &TaskId) -> Result<Recovery, Error> {
        self.inner.recovery(task)
    }
    fn submit(&self, batch: CommitBatch, now_ms: Timestamp) -> Ticket {
        Ticket::settled(self.write(|| self.inner.submit(batch, now_ms).wait()))
    }
    fn prune_decisions(&self, task: &TaskId, below: u64) -> Result<(), Error> {
        self.inner.prune_decisions(task, below)
    }
    fn trim(&self, topic: &str, partition: u32, below: Offset) -> Result<Trimmed, Error> {
        self.write(|| self.inner.trim(topic, partition, below))
    }
    fn retained(&self, topic: &str) -> Result<Retained, Error> {
        self.inner.retained(topic)
    }
    fn drop_oldest(&self, topic: &str, max: Retained) -> Result<Dropped, Error> {
        self.write(|| self.inner.drop_oldest(topic, max))
    }
    fn generation(&self, producers: &[Producer]) -> Result<u64, Error> {
        self.inner.generation(producers)
    }
    fn wait(
        &self,
        topic: &str,
        partition: u32,
        beyond: Offset,
        timeout: Duration,
    ) -> Result<bool, Error> {
        self.inner.wait(topic, partition, beyond, timeout)
    }
}
