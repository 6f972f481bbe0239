//! How old what a topic keeps is, for those who bound it by age. The age of a row is that of its
//! append, by the log's own clock.

use crate::error::Error;
use crate::transport::{ReadMax, Transport};
use pawl_core::record::Timestamp;

const ONE_BATCH: ReadMax = ReadMax { records: 1, bytes: 1 };

/// When the oldest row that a topic keeps was appended. None if it keeps none.
pub fn oldest_ms(transport: &dyn Transport, topic: &str) -> Result<Option<Timestamp>, Error> {
    let mut oldest: Option<Timestamp> = None;
    for partition in 0..transport.partitions(topic)? {
        if let Some((first, _)) = oldest_batch(transport, topic, partition)? {
            oldest = Some(oldest.map_or(first, |oldest| oldest.min(first)));
        }
    }
    Ok(oldest)
}

/// Drops the batches of a topic whose rows were all appended before a time.
pub fn drop_older(transport: &dyn Transport, topic: &str, than_ms: Timestamp) -> Result<(), Error> {
    for partition in 0..transport.partitions(topic)? {
        while let Some((appended, end)) = oldest_batch(transport, topic, partition)?
            && appended < than_ms
        {
            transport.trim(topic, partition, end)?;
        }
    }
    Ok(())
}

/// When the oldest batch of a partition was appended, and the offset behind it.
fn oldest_batch(
    transport: &dyn Transport,
    topic: &str,
    partition: u32,
) -> Result<Option<(Timestamp, u64)>, Error> {
    loop {
        let (first, end) = transport.range(topic, partition)?;
        if first == end {
            return Ok(None);
        }
        match transport.read(topic, partition, first, ONE_BATCH) {
            Ok(batches) => {
                let batch = batches.first();
                // All rows of a batch were appended at one time; control rows alone have none.
                let appended = |batch: &pawl_core::record::LogBatch| {
                    (
                        batch.records.timestamps.first().copied().unwrap_or(Timestamp::MIN),
                        batch.end(),
                    )
                };
                return Ok(batch.map(appended));
            }
            // Somebody else dropped it meanwhile.
            Err(Error::Trimmed { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use pawl_core::record::{LogBatch, Record, Records};

    #[test]
    fn what_is_older_goes_and_what_is_not_stays() {
        let transport = Memory::default();
        transport.create_topic("t", 2).unwrap();
        assert_eq!(oldest_ms(&transport, "t").unwrap(), None);
        for (partition, time) in [(0, 10), (0, 20), (1, 5), (0, 30)] {
            let mut records = Records::default();
            records.push(Record { value: Some(b"v"), ..Record::default() });
            let batch = LogBatch { records, ..LogBatch::default() };
            transport.produce("t", partition, batch, time).unwrap();
        }
        assert_eq!(oldest_ms(&transport, "t").unwrap(), Some(5));
        drop_older(&transport, "t", 20).unwrap();
        assert_eq!(oldest_ms(&transport, "t").unwrap(), Some(20));
        assert_eq!(transport.range("t", 0).unwrap(), (1, 3));
        assert_eq!(transport.range("t", 1).unwrap(), (1, 1));
    }
}
