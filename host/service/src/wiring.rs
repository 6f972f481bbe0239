//! From a pipeline and what runs its operators to the specification of a task. One way for what
//! runs now and for what ran when a checkpoint was made.

use crate::configuration::Around;
use crate::error::Error;
use crate::plugins::Running;
use pawl_core::breaker::BreakerRules;
use pawl_core::commit::TaskId;
use pawl_core::operator::{Description, Wiring};
use pawl_core::spec::{LateRoute, OperatorSpec, Route, Spec, TimeOrigin, TopicSpec};
use pawl_pipeline::{Mistake, Pipeline, Stage};

/// Bytes of one guest call at most, a single row aside.
const CALL_BYTES_MAX: usize = 8 << 20;

/// What an operator told when it was configured.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub description: Description,
    pub wiring: Wiring,
}

impl Told {
    /// What stands for it where a sink delivers.
    pub fn of_sink() -> Self {
        let description = Description {
            name: "sink".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state_version: 1,
            restores: vec![1],
        };
        Self { description, wiring: Wiring::default() }
    }
}

/// The specification of a task of `stage`.
pub(crate) fn spec(
    pipeline: &Pipeline,
    stage: &Stage,
    partition: u32,
    running: &[Running],
    told: &[Told],
) -> Result<Spec, Error> {
    let around = running.first().map(|first| &first.configuration.around).ok_or_else(|| {
        let what = format!("stage {} has no operators", stage.name);
        Error::State { code: "operators-changed", what }
    })?;
    let mut topics = Topics { around, list: Vec::new() };
    let dead_letters = topics.index(&around.dead_letters)?;
    let mut operators = Vec::with_capacity(running.len());
    for (at, (operator, told)) in running.iter().zip(told).enumerate() {
        operators.push(OperatorSpec {
            name: operator.name.clone(),
            version: told.description.version.clone(),
            component: operator.component_digest(),
            edge: operator.configuration.edge.clone(),
            wiring: told.wiring.clone(),
            routes: routes(operator, &told.wiring, at + 1 == running.len(), &mut topics)?,
            seed: OperatorSpec::seed_of(&stage.name, &operator.name),
        });
    }
    let makes = running.iter().position(|operator| operator.configuration.watermark.is_some());
    let time = match makes.and_then(|at| running.get(at)?.configuration.watermark) {
        Some(rules) => TimeOrigin::Records(rules),
        None if around.input_time => TimeOrigin::Producers,
        None => TimeOrigin::None,
    };
    let late = match running.first().map_or("drop", |first| first.configuration.late.as_str()) {
        "drop" => LateRoute::Drop,
        "dead-letter" => LateRoute::DeadLetter,
        topic => LateRoute::Topic(topics.index(topic)?),
    };
    Ok(Spec {
        pipeline: pipeline.name.clone(),
        task: TaskId { stage: stage.name.clone(), partition },
        input: around.input.clone(),
        replay: stage.replay.clone(),
        copies: false, // the embedded transport writes each row once
        operators,
        time,
        time_edge: makes.unwrap_or(0),
        topics: topics.list,
        late,
        dead_letters,
        breaker: BreakerRules {
            records: u32::try_from(stage.breaker.records).unwrap_or(u32::MAX),
            failed_share_max: stage.breaker.failed_share_max,
        },
        call_records_max: stage.batch_records_max.max(1) as usize,
        call_bytes_max: CALL_BYTES_MAX,
        sink: stage.is_sink(),
    })
}

/// What does not fit between an operator's wiring and the pipeline file.
pub(crate) fn mistakes(stage: &Stage, at: usize, wiring: &Wiring, path: &str) -> Vec<Mistake> {
    let Some(operator) = stage.operators.get(at) else { return Vec::new() };
    let mut mistakes = Vec::new();
    for name in operator.outputs.keys().filter(|name| !wiring.outputs.contains(name)) {
        let have = wiring.outputs.join(", ");
        let what = format!("the operator has no output of this name; it has: {have}");
        mistakes.push(Mistake { path: format!("{path}.outputs.{name}"), what });
    }
    let last = at + 1 == stage.operators.len();
    for (index, output) in wiring.outputs.iter().enumerate() {
        let connected = operator.outputs.contains_key(output)
            || (index == 0 && (!last || stage.output.is_some()));
        if !connected {
            let what = format!(
                "output {output} of the operator leads nowhere: give it a topic, as in \
                 outputs = {{ {output} = \"...\" }}"
            );
            mistakes.push(Mistake { path: format!("{path}.outputs"), what });
        }
    }
    mistakes
}

fn routes(
    operator: &Running,
    wiring: &Wiring,
    last: bool,
    topics: &mut Topics<'_>,
) -> Result<Vec<Route>, Error> {
    let configuration = &operator.configuration;
    let mut routes = Vec::with_capacity(wiring.outputs.len());
    for (index, output) in wiring.outputs.iter().enumerate() {
        routes.push(match configuration.outputs.get(output) {
            Some(topic) => Route::Topic(topics.index(topic)?),
            None if index == 0 && !last => Route::Next,
            None if index == 0 => match &configuration.output {
                Some(topic) => Route::Topic(topics.index(topic)?),
                None => Route::Unconnected,
            },
            None => Route::Unconnected,
        });
    }
    Ok(routes)
}

struct Topics<'a> {
    around: &'a Around,
    list: Vec<TopicSpec>,
}

impl Topics<'_> {
    fn index(&mut self, name: &str) -> Result<usize, Error> {
        if let Some(at) = self.list.iter().position(|topic| topic.name == name) {
            return Ok(at);
        }
        let Some(facts) = self.around.topics.get(name) else {
            return Err(Error::State {
                code: "unknown-topic",
                what: format!("the configuration writes topic {name} and says nothing of it"),
            });
        };
        self.list.push(TopicSpec {
            name: name.to_owned(),
            partitions: facts.partitions,
            controls: facts.time,
            writers: facts.writers.clone(),
        });
        Ok(self.list.len() - 1)
    }
}
