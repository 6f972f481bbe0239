//! One POST for each record: the body is the value, byte for byte, whatever the attempt.
//!
//! This never tries a record a second time by itself, never follows a redirect, and never shows
//! more of the receiver's address than scheme, host and port: the rest may be a secret.
//!
//! **Headers.** `Content-Type: application/json` unless configured; `Idempotency-Key: "<id>"`
//! (draft-ietf-httpapi-idempotency-key-header-07) unless switched off; `webhook-id: <id>`, the
//! same text without quotes, always; with a secret `Pawl-Signature: sha256=<hex>` (`signing` says
//! of what, and how to verify it); then those of the configuration. All of them are the same for
//! every attempt.
//!
//! **Order.** Records with equal keys are sent one after another, and once one of them fails the
//! later ones are `Waiting`. Records without a key are independent of all others. Up to
//! `concurrency_max` requests are under way at once.
//!
//! **Time.** A request takes at most `timeout_ms`, half of it to connect. Behind others of its key
//! it is begun only within the first `timeout_ms` of the call; a call takes at most twice that.
//!
//! **What holds.** Nothing is stored here and epochs mean nothing to a receiver, so nobody is
//! fenced. With keys a record takes effect once if the receiver honours them. Without, *at least
//! once*: at most `concurrency_max` records, those of the call that was cut off, are sent again
//! after a kill, and one more for each answer that got lost. *At most once*: the caller makes the
//! intent durable first; here each request has a connection of its own, and whenever a byte of it
//! may have been sent without a clear answer the verdict is `Unknown`. `answer` has the table.

mod answer;
mod client;
mod signing;

use crate::error::Error;
use crate::sink::{Delivery, Owner, Sink, Verdict};
use client::Client;
use futures_util::stream::{self, StreamExt};
use pawl_pipeline::HttpSink;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Between two calls so far apart idle connections are looked after.
const REST: Duration = Duration::from_millis(20);

/// Sends records to an HTTP receiver.
pub struct Http {
    client: Client,
    runtime: Runtime,
    concurrency_max: usize,
    timeout: Duration,
    /// When the last call ended.
    rested_since: Option<Instant>,
}

impl Http {
    /// A sink that has not asked anything of the receiver yet. Fails if the configuration cannot
    /// work: a variable that is not set, an address or a header that is none.
    pub fn new(config: &HttpSink) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            let what = format!("could not prepare waiting for sockets: {error}");
            Error::Fatal { code: "runtime", what }
        })?;
        Ok(Self {
            client: Client::new(config)?,
            runtime: Runtime(Some(runtime)),
            concurrency_max: config.concurrency_max.max(1) as usize,
            timeout: Duration::from_millis(config.timeout_ms),
            rested_since: None,
        })
    }
}

impl Sink for Http {
    fn open(&mut self, _owner: &Owner) -> Result<(), Error> {
        Ok(())
    }

    fn deliver(&mut self, records: &[Delivery<'_>]) -> Result<Vec<Verdict>, Error> {
        let begun = Instant::now();
        let rested = self.rested_since.is_some_and(|since| since.elapsed() > REST);
        let (client, timeout) = (&self.client, self.timeout);
        let chains = chains(records).into_iter();
        let sent = chains.map(|chain| send_in_order(client, chain, records, begun, timeout));
        let all = async {
            if rested {
                notice_closed().await;
            }
            stream::iter(sent).buffer_unordered(self.concurrency_max).collect::<Vec<_>>().await
        };
        let mut verdicts = vec![Verdict::Waiting; records.len()];
        for (row, verdict) in self.runtime.block_on(all)?.into_iter().flatten() {
            if let Some(place) = verdicts.get_mut(row) {
                *place = verdict;
            }
        }
        self.rested_since = Some(Instant::now());
        Ok(verdicts)
    }

    fn rest(&mut self) -> Result<(), Error> {
        self.runtime.block_on(notice_closed())
    }
}

/// Lets idle connections notice that the receiver has closed them: nothing runs between calls.
async fn notice_closed() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The rows of each key in order; a record without key is alone.
fn chains(records: &[Delivery<'_>]) -> Vec<Vec<usize>> {
    let mut chains: Vec<Vec<usize>> = Vec::new();
    let mut of_key: HashMap<&[u8], usize> = HashMap::new();
    for (row, record) in records.iter().enumerate() {
        match record.key.map(|key| of_key.entry(key).or_insert(chains.len())) {
            Some(chain) if *chain < chains.len() => chains[*chain].push(row),
            _ => chains.push(vec![row]),
        }
    }
    chains
}

/// Verdicts of one chain; rows behind one that failed are left out, and so are `Waiting`.
async fn send_in_order(
    client: &Client,
    chain: Vec<usize>,
    records: &[Delivery<'_>],
    begun: Instant,
    timeout: Duration,
) -> Vec<(usize, Verdict)> {
    let mut verdicts = Vec::with_capacity(chain.len());
    for row in chain {
        let Some(record) = records.get(row) else { break };
        let verdict = match begun.elapsed() < timeout || verdicts.is_empty() {
            true => client.send(record).await,
            // Certainly not sent, and to be tried again: its own turn comes first next time.
            false => Verdict::Failed {
                kind: "not-sent".to_owned(),
                message: "those of its key before it took all the time of the call".to_owned(),
                retry_after_ms: None,
            },
        };
        let failed = matches!(verdict, Verdict::Failed { .. });
        verdicts.push((row, verdict));
        if failed {
            break;
        }
    }
    verdicts
}

/// A runtime that never waits for its threads when it goes: one may sit in a name look-up.
struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        match &self.0 {
            Some(runtime) => Ok(runtime.block_on(future)),
            None => {
                let what = "the sink was closed".to_owned();
                Err(Error::Fatal { code: "runtime", what })
            }
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(key: Option<&'a [u8]>) -> Delivery<'a> {
        Delivery { position: 0, id: "i", key, value: None, event_time: None, headers: vec![] }
    }

    #[test]
    fn equal_keys_are_one_chain_and_records_without_key_are_alone() {
        let keys: [Option<&[u8]>; 7] =
            [Some(b"a"), None, Some(b"b"), Some(b"a"), None, Some(b""), Some(b"a")];
        let records: Vec<_> = keys.into_iter().map(record).collect();
        let expected = vec![vec![0, 3, 6], vec![1], vec![2], vec![4], vec![5]];
        assert_eq!(chains(&records), expected);
    }
}
