//! Tries what would be sent against the operators that would run now, and counts what they say.
//! Nothing that is stored is touched.

use crate::error::Error;
use crate::letter::Letter;
use crate::select::Target;
use crate::text::shown;
use pawl_core::commit::TaskId;
use pawl_core::record::{PRIORITY_DEFAULT, Record};
use pawl_core::sent_back::SentBack;
use pawl_pipeline::Pipeline;
use pawl_service::{Trial, Tried};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long is tried at most: somebody waits for the answer.
pub const TIME_MAX: Duration = Duration::from_secs(60);

/// Different failures that are told apart.
const FAILURES_MAX: usize = 1000;

/// What trying brought.
pub struct Trials<'a> {
    trial: Trial<'a>,
    pipeline: &'a Pipeline,
    left: u64,
    until: Instant,
    /// Told of each one that was tried.
    told: Box<dyn FnMut() + 'a>,
    /// Would be taken.
    pub passed: u64,
    /// Would be dropped on purpose.
    pub discarded: u64,
    /// Would be dead letters again, by operator and kind, with the message of the first.
    pub failed: BTreeMap<(String, String), (u64, String)>,
    /// Their time has passed, or that of what is made of them.
    pub late: u64,
    /// For sinks: not tried.
    pub sinks: u64,
    /// Not tried because of the bounds on their number and on time.
    pub untried: u64,
}

impl<'a> Trials<'a> {
    /// Makes the operators ready to try `max` records within `TIME_MAX`. `told` hears of each one.
    pub fn new(pipeline: &'a Pipeline, max: u64, told: impl FnMut() + 'a) -> Result<Self, Error> {
        let trial = Trial::new(pipeline)?;
        Ok(Self {
            trial,
            pipeline,
            left: max,
            until: Instant::now() + TIME_MAX,
            told: Box::new(told),
            passed: 0,
            discarded: 0,
            failed: BTreeMap::new(),
            late: 0,
            sinks: 0,
            untried: 0,
        })
    }

    /// Operators that were tried without their state, and why.
    pub fn fresh(&self) -> BTreeMap<String, String> {
        self.trial.fresh().clone()
    }

    /// Tries one.
    pub(crate) fn look(&mut self, letter: &Letter<'_>, target: Target) -> Result<(), Error> {
        if target.late {
            self.late += 1;
            return Ok(());
        }
        if self.left == 0 || Instant::now() >= self.until {
            self.left = 0;
            self.untried += 1;
            return Ok(());
        }
        let Some(stage) = self.pipeline.stages.get(target.stage) else { return Ok(()) };
        let task = TaskId { stage: stage.name.clone(), partition: target.partition };
        let records = letter.records();
        // As the task itself takes it in.
        let place = ("", letter.partition, letter.offset);
        let entering = SentBack::read(records, letter.row, place);
        let headers: Vec<(&str, &[u8])> = records
            .headers
            .iter()
            .filter(|header| !header.name.starts_with("pawl-"))
            .filter_map(|header| Some((header.name.as_str(), header.column.get(letter.row)?)))
            .collect();
        let record = Record {
            key: records.keys.get(letter.row),
            value: records.values.get(letter.row),
            id: entering.own_id.as_deref(),
            event_time: entering.event_time,
            timestamp: entering.timestamp,
            priority: records.priorities.get(letter.row).copied().unwrap_or(PRIORITY_DEFAULT),
            headers: &headers,
        };
        let tried = self.trial.try_record(&task, target.entry, &record)?;
        if tried != Tried::Sink {
            self.left -= 1;
            (self.told)();
        }
        match tried {
            Tried::Passed => self.passed += 1,
            Tried::Discarded => self.discarded += 1,
            Tried::Late => self.late += 1,
            Tried::Sink => self.sinks += 1,
            Tried::Failed { operator, kind, message } => {
                let mut place = (format!("{}/{operator}", stage.name), kind);
                if !self.failed.contains_key(&place) && self.failed.len() >= FAILURES_MAX {
                    place.1 = "other".to_owned();
                }
                let message = shown(message.as_bytes(), 200);
                self.failed.entry(place).or_insert((0, message)).0 += 1;
            }
        }
        Ok(())
    }
}
