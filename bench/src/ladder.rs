//! The ladder: what each thing that the host does adds to the cost of a record, rung by rung, from
//! the operator as native code to the whole service.

use crate::input::{ROWS, Source};
use crate::measure::{Candidate, Spent, Spread, Timer, interleave};
use crate::native;
use crate::report::{Goal, Line, Report};
use crate::rig::{Level, Rig};
use crate::scratch::Scratch;
use crate::service::Service;
use crate::work::{Cutter, IDENTITY, WINDOW, Work};
use anyhow::{Result, anyhow};
use pawl_core::operator::Operator;
use pawl_sandbox::{Component, Engine, EngineOptions, Instance, Limits};
use std::hint::black_box;
use std::time::Duration;

/// Batches of one round.
const BATCHES: usize = 64;

/// Ids in the dedup window.
const IDS: usize = 100_000;

/// How much time each ladder may take.
const TIME: Duration = Duration::from_secs(20);

/// Windowed JSON: in the sandbox with its limits, in multiples of native.
const WINDOW_RATIO: Goal = Goal::AtMost(2.0);

/// Both ladders.
pub fn run(report: &mut Report) -> Result<()> {
    report.part(
        "ladder",
        "processor time per record of 200 bytes; each rung has all that is above it",
    );
    for work in [&WINDOW, &IDENTITY] {
        climb(work, report)?;
    }
    report.say("checkpoints: one in 65,536 records; decisions: two in 10,240. The service adds");
    report.say("its start and its end, which a round of 65,536 records hardly hides.");
    Ok(())
}

fn climb(work: &Work, report: &mut Report) -> Result<()> {
    let scratch = Scratch::new("ladder")?;
    let (limited, free) = (instance(work, true)?, instance(work, false)?);
    let rig = |level: Level| -> Result<Rig> {
        let folder = scratch.folder(&format!("{level:?}"))?;
        Rig::new(work, instance(work, true)?, level, &folder, IDS)
    };
    let mut rigs = Vec::new();
    for (name, level) in [
        ("+ edge: id, time, watermark, hashes", Level::Edge),
        ("+ dedup", Level::Dedup),
        ("+ embedded transport, commits synced", Level::Transport),
        ("+ checkpoints", Level::Checkpoints),
        ("+ decisions", Level::Decisions),
    ] {
        let mut rig = rig(level)?;
        rigs.push(Candidate::new(name, move || rig.round(BATCHES)));
    }
    let mut service = Service::new(work, &scratch.folder("service")?)?;
    let mut candidates = vec![
        Candidate::new("native operator", native_round(work)?),
        Candidate::new("WebAssembly", guest_round(work, free)),
        Candidate::new("+ limits", guest_round(work, limited)),
    ];
    candidates.extend(rigs);
    candidates
        .push(Candidate::new("the service, from start to end", move || service.round(BATCHES)));
    let rounds = interleave(&mut candidates, TIME)?;
    for (at, candidate) in candidates.iter().enumerate() {
        let what = format!("{}: {}", work.name, candidate.name);
        let mut line = Line::new(what, Spread::cpu(&rounds[at]), "ns");
        line.before = at.checked_sub(1).map(|before| Spread::ratio(&rounds[at], &rounds[before]));
        line.first = Some(Spread::ratio(&rounds[at], &rounds[0]));
        report.line("ladder", &line);
    }
    if work.name == WINDOW.name {
        let ratio = Spread::ratio(&rounds[2], &rounds[0]);
        let what = format!("{}: WebAssembly with limits / native", work.name);
        report.line("ladder", &Line::new(what, ratio, "times").goal(WINDOW_RATIO));
    }
    Ok(())
}

/// An instance with the default limits, or one that nothing interrupts.
fn instance(work: &Work, limited: bool) -> Result<Instance> {
    let engine = match limited {
        true => Engine::new(&EngineOptions::default())?,
        #[allow(clippy::disallowed_methods, reason = "what limits cost is asked here")]
        false => Engine::unlimited()?,
    };
    let limits = Limits::default();
    let component = Component::compile(&engine, &work.component()?, &limits)?;
    Ok(component.instantiate(work.config, &limits)?)
}

fn native_round(work: &Work) -> Result<impl FnMut() -> Result<Spent> + use<>> {
    let mut operator = (work.native)();
    operator.configure(work.config).map_err(|why| anyhow!(why))?;
    let (mut source, mut cutter, make) = (Source::default(), Cutter::default(), work.batch);
    Ok(move || {
        let calls = (0..BATCHES).flat_map(|_| cutter.cut(&make(&mut source)));
        let calls: Vec<_> = calls.map(|call| (native::batch(&call.batch), call.tick)).collect();
        let timer = Timer::start();
        for (batch, tick) in calls {
            black_box(operator.process(batch));
            if let Some(tick) = tick {
                black_box(operator.advance(tick));
            }
        }
        Ok(timer.stop(BATCHES * ROWS))
    })
}

fn guest_round(work: &Work, mut instance: Instance) -> impl FnMut() -> Result<Spent> + use<> {
    let (mut source, mut cutter, make) = (Source::default(), Cutter::default(), work.batch);
    move || {
        let calls: Vec<_> = (0..BATCHES).flat_map(|_| cutter.cut(&make(&mut source))).collect();
        let failed = |failure: pawl_core::operator::Failure| anyhow!("{}", failure.message());
        let timer = Timer::start();
        for call in calls {
            black_box(instance.process(&call.batch).map_err(failed)?);
            if let Some(tick) = call.tick {
                black_box(instance.advance(tick).map_err(failed)?);
            }
        }
        Ok(timer.stop(BATCHES * ROWS))
    }
}
