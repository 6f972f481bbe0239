//! PostgreSQL. All rows of a batch go out in one statement, as arrays of texts that the server
//! itself reads as the columns' types; only where it refuses them, halves are tried, each behind a
//! savepoint, until the rows that it refuses stand alone.
//!
//! The fence is looked at last: rows may wait for locks that others hold, and meanwhile a new owner
//! must be able to claim the place. Whoever finds it claimed rolls everything back.

mod rows;
mod table;

use super::classify::{Failure, failed, failure};
use super::connect::Target;
use super::name::{FENCE, Shape, qualified};
use super::{Database, Refusal};
use crate::error::Error;
use crate::sink::{Delivery, Owner};
use rows::{Kind, Rows};
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

/// A server.
pub struct Postgres {
    target: Target,
    timeout: Duration,
    runtime: Runtime,
    link: Option<Link>,
}

/// A connection whose table was checked.
struct Link {
    client: Client,
    /// What drives the connection while the runtime runs, that is, within our calls.
    driver: JoinHandle<()>,
    kinds: Vec<Kind>,
    insert: Statement,
    fence: String,
    check: Statement,
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + 'a>>;

impl Postgres {
    /// Connects to nothing yet.
    pub fn new(target: Target, timeout: Duration) -> Result<Postgres, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Fatal {
            code: "sql-runtime",
            what: format!("could not start the client's runtime: {error}"),
        })?;
        Ok(Postgres { target, timeout, runtime, link: None })
    }

    fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let timed = async { tokio::time::timeout(self.timeout, work).await };
        self.runtime.block_on(timed).unwrap_or_else(|_| {
            let what = format!("the database took longer than {} ms", self.timeout.as_millis());
            Err(Error::Transient { kind: "timeout".to_owned(), what })
        })
    }
}

impl Database for Postgres {
    fn open(&mut self, shape: &Shape, owner: &Owner) -> Result<(), Error> {
        if !self.alive() {
            self.close();
            self.link = Some(self.bounded(connect(&self.target, self.timeout, shape))?);
        }
        let Some(link) = &self.link else { return Err(not_open()) };
        self.bounded(link.claim(owner))
    }

    fn deliver(
        &mut self,
        shape: &Shape,
        owner: &Owner,
        records: &[Delivery<'_>],
    ) -> Result<Vec<Option<Refusal>>, Error> {
        let Some(link) = &self.link else { return Err(not_open()) };
        let mut refusals = vec![None; records.len()];
        let rows = Rows::new(shape, &link.kinds, records, &mut refusals);
        let last = records.last().map_or(0, |record| record.position);
        let segments = rows.segments(shape);
        let refused = self.bounded(async {
            if link.store_at_once(owner, last, &rows, &segments).await? {
                return Ok(Vec::new());
            }
            link.store_by_halves(owner, last, &rows, segments).await
        })?;
        for (row, refusal) in refused {
            refusals[rows.origins[row]] = Some(refusal);
        }
        Ok(refusals)
    }

    fn alive(&mut self) -> bool {
        // The connection learns that the server closed it only while the runtime runs.
        self.runtime.block_on(tokio::task::yield_now());
        self.link.as_ref().is_some_and(|link| !link.client.is_closed())
    }

    fn close(&mut self) {
        if let Some(link) = self.link.take() {
            // Only when the driver is gone the socket is, and the server rolls back.
            link.driver.abort();
            drop(self.runtime.block_on(link.driver));
        }
    }
}

fn not_open() -> Error {
    Error::Transient { kind: "connect".to_owned(), what: "not connected".to_owned() }
}

/// Connects and checks everything that can be wrong with the table.
async fn connect(target: &Target, timeout: Duration, shape: &Shape) -> Result<Link, Error> {
    let (client, connection) = target.config.connect(target.tls.clone()).await.map_err(failed)?;
    let driver = tokio::spawn(async move { drop(connection.await) });
    // The server ends what we gave up waiting for, and what hangs in a process that stands still:
    // its locks would keep a new owner out. Commits must be durable; a stricter setting stays.
    let timeout = timeout.as_millis().min(i32::MAX as u128);
    client
        .batch_execute(&format!(
            "SET statement_timeout = {timeout}; \
             SET idle_in_transaction_session_timeout = {timeout}; \
             SET client_min_messages = warning; SET TimeZone = 'UTC'; \
             SELECT set_config('synchronous_commit', 'on', false) \
             WHERE current_setting('synchronous_commit') = 'off'"
        ))
        .await
        .map_err(failed)?;
    let (schema, oid) = table::find_table(&client, shape).await?;
    let (kinds, casts) = table::find_columns(&client, shape, oid).await?;
    let insert = table::insert_statement(shape, &schema, &casts);
    let insert = client.prepare(&insert).await.map_err(failed)?;
    table::try_without_rows(&client, shape, &insert).await?;
    table::refuse_deferrable_key(&client, shape, oid).await?;
    let fence = qualified(Some(&schema), FENCE);
    table::ensure_fence(&client, &fence).await?;
    let check = format!(
        "UPDATE {fence} SET epoch = $4, position = $5 \
         WHERE pipeline = $1 AND stage = $2 AND \"partition\" = $3 AND epoch <= $4"
    );
    let check = client.prepare(&check).await.map_err(failed)?;
    Ok(Link { client, driver, kinds, insert, fence, check })
}

impl Link {
    /// Raises the epoch.
    async fn claim(&self, owner: &Owner) -> Result<(), Error> {
        let sql = format!(
            "INSERT INTO {} AS f VALUES ($1, $2, $3, $4, 0) \
             ON CONFLICT (pipeline, stage, \"partition\") DO UPDATE \
             SET epoch = excluded.epoch WHERE f.epoch <= excluded.epoch",
            self.fence
        );
        let (partition, epoch) = (i64::from(owner.partition), super::epoch(owner)?);
        let owned: [&(dyn ToSql + Sync); 4] = [&owner.pipeline, &owner.stage, &partition, &epoch];
        match self.client.execute(&sql, &owned).await.map_err(failed)? {
            1 => Ok(()),
            _ => Err(self.fenced(owner).await),
        }
    }

    /// All rows in one go. False: a row is refused, and nothing was stored.
    async fn store_at_once(
        &self,
        owner: &Owner,
        position: u64,
        rows: &Rows,
        segments: &[Range<usize>],
    ) -> Result<bool, Error> {
        // Alone: without a transaction nothing else may reach the server.
        self.begin().await?;
        let mut sent: Vec<Sent<'_>> =
            segments.iter().map(|range| self.insert(rows, range.clone())).collect();
        sent.push(self.check(owner, position)?);
        let mut answers = in_order(sent).await;
        let checked = answers.pop();
        for answer in answers {
            match answer.map_err(failure) {
                Ok(_) => {}
                Err(Failure::Sink(error)) => return Err(error),
                Err(Failure::Row(_) | Failure::EqualKeys) => {
                    self.client.batch_execute("ROLLBACK").await.map_err(failed)?;
                    return Ok(false);
                }
            }
        }
        match checked.transpose().map_err(failed)? {
            Some(1) => self.commit().await.map(|()| true),
            _ => Err(self.fenced(owner).await),
        }
    }

    /// The same transaction, in which rows that are refused are found and left out.
    async fn store_by_halves(
        &self,
        owner: &Owner,
        position: u64,
        rows: &Rows,
        mut left: Vec<Range<usize>>,
    ) -> Result<Vec<(usize, Refusal)>, Error> {
        let mut refused = Vec::new();
        self.begin().await?;
        left.reverse();
        while let Some(range) = left.pop() {
            let refusal = match self.insert_behind_savepoint(rows, range.clone()).await {
                Ok(()) => continue,
                Err(Failure::Sink(error)) => return Err(error),
                Err(Failure::Row(refusal)) => refusal,
                Err(Failure::EqualKeys) => Refusal::constraint("the row affects a row twice"),
            };
            if range.len() == 1 {
                refused.push((range.start, refusal));
            } else {
                let middle = range.start + range.len() / 2;
                left.extend([middle..range.end, range.start..middle]);
            }
        }
        match self.check(owner, position)?.await.map_err(failed)? {
            1 => self.commit().await.map(|()| refused),
            _ => Err(self.fenced(owner).await),
        }
    }

    async fn insert_behind_savepoint(
        &self,
        rows: &Rows,
        range: Range<usize>,
    ) -> Result<(), Failure> {
        let sent = vec![
            self.simple("SAVEPOINT pawl"),
            self.insert(rows, range),
            self.simple("RELEASE SAVEPOINT pawl"),
        ];
        for answer in in_order(sent).await {
            if let Err(error) = answer.map_err(failure) {
                if !matches!(error, Failure::Sink(_)) {
                    let back = "ROLLBACK TO SAVEPOINT pawl; RELEASE SAVEPOINT pawl";
                    self.client.batch_execute(back).await.map_err(failed)?;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Constraints that would wait for the commit are checked with each statement: a commit does
    /// not say which row is to blame.
    async fn begin(&self) -> Result<(), Error> {
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
                     SET CONSTRAINTS ALL IMMEDIATE";
        self.client.batch_execute(begin).await.map_err(failed)
    }

    async fn commit(&self) -> Result<(), Error> {
        self.client.batch_execute("COMMIT").await.map_err(failed)
    }

    fn simple<'a>(&'a self, sql: &'a str) -> Sent<'a> {
        Box::pin(async move { self.client.batch_execute(sql).await.map(|()| 0) })
    }

    fn insert<'a>(&'a self, rows: &'a Rows, range: Range<usize>) -> Sent<'a> {
        Box::pin(async move {
            let columns: Vec<&[Option<String>]> =
                rows.columns.iter().map(|column| &column[range.clone()]).collect();
            let columns: Vec<&(dyn ToSql + Sync)> =
                columns.iter().map(|column| column as &(dyn ToSql + Sync)).collect();
            self.client.execute(&self.insert, &columns).await
        })
    }

    /// Notes the position where no higher epoch has claimed the place: one row, else none.
    fn check<'a>(&'a self, owner: &'a Owner, position: u64) -> Result<Sent<'a>, Error> {
        let (partition, epoch) = (i64::from(owner.partition), super::epoch(owner)?);
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        Ok(Box::pin(async move {
            let owned: [&(dyn ToSql + Sync); 5] =
                [&owner.pipeline, &owner.stage, &partition, &epoch, &position];
            self.client.execute(&self.check, &owned).await
        }))
    }

    /// Who has the place, for an owner that has it no more.
    async fn fenced(&self, owner: &Owner) -> Error {
        let sql = format!(
            "SELECT epoch FROM {} WHERE pipeline = $1 AND stage = $2 AND \"partition\" = $3",
            self.fence
        );
        let partition = i64::from(owner.partition);
        let owned: [&(dyn ToSql + Sync); 3] = [&owner.pipeline, &owner.stage, &partition];
        let found = match self.client.query_opt(&sql, &owned).await {
            Ok(Some(row)) => row.try_get::<_, i64>(0),
            Ok(None) => return super::fence_lost(),
            Err(error) => Err(error),
        };
        match found {
            Ok(epoch) => Error::Fenced { epoch: u64::try_from(epoch).unwrap_or(0) },
            Err(error) => failed(error),
        }
    }
}

/// Sends everything at once, in this order, without waiting for each answer.
async fn in_order(mut sent: Vec<Sent<'_>>) -> Vec<Result<u64, tokio_postgres::Error>> {
    let mut answers: Vec<Option<Result<u64, tokio_postgres::Error>>> = Vec::new();
    answers.resize_with(sent.len(), || None);
    let mut all_sent = false;
    poll_fn(|context| {
        for (sent, answer) in sent.iter_mut().zip(&mut answers) {
            if answer.is_none() {
                match sent.as_mut().poll(context) {
                    Poll::Ready(ready) => *answer = Some(ready),
                    // Answers come in the same order.
                    Poll::Pending if all_sent => return Poll::Pending,
                    Poll::Pending => {}
                }
            }
        }
        all_sent = true;
        match answers.iter().all(Option::is_some) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}
