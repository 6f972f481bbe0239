//! The records that a record rests on, as its operators told them in the header `lineage`: a JSON
//! array of objects with `topic`, `partition` and `offset`, and an id under any other name.

use super::find::Found;
use anyhow::Result;
use pawl_core::record::Offset;
use pawl_transport::{Embedded, Error, ReadMax, Transport};
use serde::Serialize;
use serde_json::Value;

/// One record that another rests on.
#[derive(Serialize)]
pub struct Origin {
    /// As its operators call it.
    pub id: String,
    /// Topic, partition and offset.
    pub place: String,
    /// Its value as text; none if it is no longer kept, or its place is not known.
    pub value: Option<String>,
}

/// All origins of a record, in the order in which they were told.
pub fn origins(transport: &Embedded, record: &Found) -> Result<Vec<Origin>> {
    let Some(lineage) = &record.lineage else { return Ok(Vec::new()) };
    let Ok(told) = serde_json::from_slice::<Vec<Value>>(lineage) else {
        // Whatever an operator wrote there: all else that is known of the record is told.
        let place = "(the header `lineage` is no JSON array)".to_owned();
        return Ok(vec![Origin { id: String::new(), place, value: None }]);
    };
    told.iter().map(|entry| origin(transport, entry)).collect()
}

fn origin(transport: &Embedded, entry: &Value) -> Result<Origin> {
    let object = entry.as_object();
    let own = |(name, value): (&String, &Value)| {
        let place = ["topic", "partition", "offset"].contains(&name.as_str());
        value.as_str().filter(|_| !place).map(str::to_owned)
    };
    let id = object.into_iter().flatten().find_map(own).unwrap_or_default();
    let number = |name: &str| entry.get(name).and_then(Value::as_u64);
    let topic = entry.get("topic").and_then(Value::as_str);
    let (Some(topic), Some(partition), Some(offset)) =
        (topic, number("partition"), number("offset"))
    else {
        return Ok(Origin { id, place: "(place not known)".to_owned(), value: None });
    };
    let place = format!("{topic}/{partition}/{offset}");
    let partition = u32::try_from(partition).unwrap_or(u32::MAX);
    Ok(Origin { id, place, value: value_at(transport, topic, partition, offset)? })
}

fn value_at(
    transport: &Embedded,
    topic: &str,
    partition: u32,
    offset: Offset,
) -> Result<Option<String>> {
    let one = ReadMax { records: 1, bytes: 1 };
    let batches = match transport.read(topic, partition, offset, one) {
        Ok(batches) => batches,
        Err(
            Error::Trimmed { .. }
            | Error::BeyondEnd { .. }
            | Error::UnknownTopic { .. }
            | Error::UnknownPartition { .. },
        ) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(batch) = batches.first() else { return Ok(None) };
    let row = offset.saturating_sub(batch.base);
    let before = batch.controls.iter().filter(|(at, _)| u64::from(*at) < row).count();
    let value = batch.records.values.get(usize::try_from(row)?.saturating_sub(before));
    Ok(value.map(|value| String::from_utf8_lossy(value).into_owned()))
}
