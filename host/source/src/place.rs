//! Where a record from outside goes: its key as the topic's `key` names it, and the partition that
//! follows from the key, or else from the id that the reading stage will see. Never random: the
//! same input always lies the same way.

use pawl_core::identity::{self, IdSource};
use pawl_core::partition;
use pawl_core::record::{Record, Records};
use pawl_pipeline::{KeySource, Pipeline};

/// How the records of one topic get key and partition.
#[derive(Clone, Debug)]
pub struct Placement {
    key: Option<KeySource>,
    id: IdSource,
    partitions: u32,
}

impl Placement {
    /// For a topic of a pipeline that has `partitions` partitions.
    pub fn new(pipeline: &Pipeline, topic: &str, partitions: u32) -> Self {
        let key = pipeline.topics.get(topic).and_then(|declared| declared.key.clone());
        Self { key, id: reader_id(pipeline, topic), partitions: partitions.max(1) }
    }

    /// The header that holds the key, if it is one.
    pub fn key_header(&self) -> Option<&str> {
        match &self.key {
            Some(KeySource::Header(name)) => Some(name),
            _ => None,
        }
    }

    /// The key of a record that has none of its own.
    pub fn key_of(&self, record: &Record<'_>) -> Option<Vec<u8>> {
        match self.key.as_ref()? {
            KeySource::Field(pointer) => key_in(record.value?, pointer),
            KeySource::Header(name) => {
                let found = record.headers.iter().find(|(given, _)| given == name);
                found.map(|(_, value)| value.to_vec())
            }
        }
    }

    /// The partition of a record, so that copies meet in one dedup window. Without key and id it
    /// goes by its value and `ordinal`, its number in the input: equal values spread.
    pub fn partition_of(&self, record: &Record<'_>, ordinal: u64) -> u32 {
        if self.partitions == 1 {
            return 0;
        }
        if record.key.is_some() {
            return partition::of(record.key, 0, self.partitions);
        }
        let mut alone = Records::default();
        alone.push(*record);
        let id = self.id.read(&alone, 0).unwrap_or_else(|| {
            let value = identity::hash(record.value.unwrap_or_default());
            value.wrapping_add(u128::from(ordinal))
        });
        partition::of(None, id, self.partitions)
    }
}

/// The key that a JSON value names: the bytes of a text, other values as JSON.
fn key_in(value: &[u8], pointer: &str) -> Option<Vec<u8>> {
    let json: serde_json::Value = serde_json::from_slice(value).ok()?;
    match json.pointer(pointer)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone().into_bytes()),
        other => Some(other.to_string().into_bytes()),
    }
}

/// Where the first edge that reads the topic takes ids from.
fn reader_id(pipeline: &Pipeline, topic: &str) -> IdSource {
    use pawl_pipeline::IdSource as Declared;
    let reader = pipeline.readers(topic).into_iter().find_map(|stage| stage.operators.first());
    match reader.map(|operator| &operator.edge.id) {
        Some(Declared::Content) => IdSource::Content,
        Some(Declared::ContentJson) => IdSource::ContentJson,
        Some(Declared::Header(name)) => IdSource::Header(name.clone()),
        Some(Declared::Field(pointer)) => IdSource::Field(pointer.clone()),
        // A record without key and id of its own has none; one of its position is not known yet.
        Some(Declared::Key | Declared::Own | Declared::Position) | None => IdSource::Own,
    }
}
