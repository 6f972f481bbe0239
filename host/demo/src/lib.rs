//! `pawl demo`: observations of 2009 in, the alert out; then the same with a real `kill -9` at
//! three points. Says what it saw, and fails if anything is not as it must be.

mod child;
mod result;

use crate::child::Child;
use crate::result::Outcome;
use anyhow::{Context, Result, bail};
use pawl_sensors::{Ledger, Propagator, SensorOptions, approach, elements, sensors, time};
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

/// The reference pipeline, as it lies in the repository.
const PIPELINE: &str = include_str!("../../../pipelines/conjunctions.toml");

/// Around the collision: ten minutes.
const START: &str = "2009-02-10T16:50:00Z";
const DURATION_S: u32 = 600;

/// What the demonstration may be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program `pawl`.
    pub pawl: PathBuf,
    /// The folder of the built plugins.
    pub plugins: PathBuf,
    /// Where it works; must not exist yet.
    pub folder: PathBuf,
    /// Whether the folder stays.
    pub keep: bool,
    /// Of the sensors.
    pub seed: u64,
}

/// The points at which the process is killed: name, crash point, and when it is met. Commits and
/// checkpoints are made often, so that there is something to interrupt.
const KILLS: [(&str, &str); 3] = [
    ("mid-process: a guest call on the stack", "mid-call:20"),
    ("mid-checkpoint: temporary file written, not renamed", "mid-checkpoint:14"),
    ("mid-emit: outputs computed, commit not done", "mid-emit:6"),
];

/// Runs the demonstration and writes what happens to `out`.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<()> {
    let lines = observations(options.seed)?;
    let mut say = |text: String| writeln!(out, "{text}").context("failed to print");
    say("The collision of 10 February 2009, found through sandboxed operators.".to_owned())?;
    say(format!("  in               {}", lines.describe()))?;
    let calm = one_run(options, "undisturbed", &lines.bytes, &[])?;
    for line in describe(&calm, &lines.ledger)? {
        say(line)?;
    }
    say(truth()?)?;
    say(PUBLISHED.to_owned())?;
    for (index, (name, point)) in KILLS.iter().enumerate() {
        let folder = format!("kill-{}", index + 1);
        let again = one_run(options, &folder, &lines.bytes, &[point])?;
        if again != calm {
            bail!(
                "after a kill {name} the run differs: {} alerts instead of {}, {} dead letters \
                 instead of {}; look into {}",
                again.alerts.len(),
                calm.alerts.len(),
                again.dead_letters.len(),
                calm.dead_letters.len(),
                options.folder.display()
            );
        }
        say(format!(
            "kill -9 {name}\n  started again: alerts, dead letters and counters equal byte for byte"
        ))?;
    }
    if !options.keep {
        std::fs::remove_dir_all(&options.folder)
            .with_context(|| format!("failed to remove {}", &options.folder.display()))?;
    }
    Ok(())
}

/// Published figures, for comparison; most were computed at a rounded time.
const PUBLISHED: &str = "  published        698.72 m at 16:55:59.80 (an analysis afterwards); \
                         584 m at 16:55:59.806 (the screening service of the day)";

struct Lines {
    bytes: Vec<u8>,
    ledger: Ledger,
}

impl Lines {
    fn describe(&self) -> String {
        let ledger = &self.ledger;
        format!(
            "{} lines of 12 sensors: {} observations, {} duplicates, {} late, {} damaged \
             ({} of these came again undamaged)",
            ledger.lines,
            ledger.good,
            ledger.duplicates,
            ledger.late,
            ledger.corrupt(),
            ledger.repaired
        )
    }
}

fn observations(seed: u64) -> Result<Lines> {
    let options = SensorOptions {
        seed,
        start_ns: time::parse(START)?,
        duration_s: DURATION_S,
        disorder_s: 60,
        duplicate_share: 0.1,
        corrupt_share: 0.03,
        late_share: 0.01,
        ..SensorOptions::default()
    };
    let mut made = sensors::make_observations(&elements::collision_2009(), &options)?;
    let mut bytes = Vec::new();
    for line in made.by_ref() {
        bytes.extend_from_slice(&line.value);
        bytes.push(b'\n');
    }
    Ok(Lines { bytes, ledger: made.ledger().clone() })
}

/// Runs the pipeline in a folder of its own: killed once at each of `kills`, then to its end.
fn one_run(options: &Options, name: &str, lines: &[u8], kills: &[&str]) -> Result<Outcome> {
    let folder = options.folder.join(name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("failed to make {}", &folder.display()))?;
    let file = folder.join("conjunctions.toml");
    std::fs::write(&file, PIPELINE)
        .with_context(|| format!("failed to write {}", &file.display()))?;
    let settings = vec![
        "data=\"data\"".to_owned(),
        format!("plugins=[{:?}]", std::path::absolute(&options.plugins)?.display().to_string()),
        "commit.records_max=100".to_owned(),
        "checkpoint.recovery_time_max_ms=5".to_owned(),
    ];
    let (pipeline, _) = pawl_pipeline::load(&file, &settings)?;
    let child = Child { pawl: options.pawl.clone(), file, settings };
    child.produce("observations", lines)?;
    for kill in kills {
        if child.run(Some(kill))? {
            bail!("the run ended before it came to {kill}");
        }
    }
    if !child.run(None)? {
        bail!("the run was killed from outside");
    }
    result::read(&pipeline)
}

/// What came out, held against what went in.
fn describe(outcome: &Outcome, ledger: &Ledger) -> Result<Vec<String>> {
    let seen = &outcome.observe;
    let kinds = seen.dead_letters.iter().map(|(kind, count)| format!("{kind} {count}"));
    let kinds: Vec<String> = kinds.collect();
    let mut text = vec![
        format!("  dropped          {} duplicates", seen.duplicates),
        format!("  dead letters     {} ({})", outcome.dead_letters.len(), kinds.join(", ")),
        format!("  late             {}", seen.late),
    ];
    for (what, came, due) in [
        ("lines", seen.lines, ledger.lines),
        ("duplicates", seen.duplicates, ledger.duplicates),
        ("late", seen.late, ledger.late),
        ("dead letters", outcome.dead_letters.len() as u64, ledger.corrupt()),
        ("alerts", outcome.alerts.len() as u64, 1),
    ] {
        if came != due {
            bail!("{came} {what} came out where {due} are due");
        }
    }
    for alert in &outcome.alerts {
        text.push(describe_alert(alert)?);
    }
    Ok(text)
}

fn describe_alert(alert: &[u8]) -> Result<String> {
    let json: serde_json::Value = serde_json::from_slice(alert).context("an alert is no JSON")?;
    let number = |field: &str| json.get(field).and_then(serde_json::Value::as_f64);
    let (Some(miss), Some(speed)) = (number("miss_distance_km"), number("relative_speed_km_s"))
    else {
        bail!("an alert lacks its distance or speed");
    };
    let mut text = String::from("  ALERT            ");
    let names = elements::collision_2009();
    for field in ["primary_id", "secondary_id"] {
        let id = json.get(field).and_then(serde_json::Value::as_u64).unwrap_or_default();
        let name = names.iter().find(|object| u64::from(object.object_id) == id);
        let name = name.map_or("?", |object| object.name.as_str());
        let and = if field == "primary_id" { " and " } else { "" };
        // Writing to a String cannot fail.
        _ = write!(text, "{id} ({name}){and}");
    }
    let tca = json.get("tca").and_then(serde_json::Value::as_str).unwrap_or("?");
    _ = write!(text, ": {:.3} m at {tca}, {speed:.6} km/s", miss * 1000.0);
    Ok(text)
}

/// SGP4's own closest approach, without sensors, pipeline or interpolation.
fn truth() -> Result<String> {
    let objects = elements::collision_2009();
    let [one, two] = objects.as_slice() else {
        bail!("there are not two element sets");
    };
    let from = time::parse(START)?;
    let to = from + i64::from(DURATION_S) * time::SECOND_NS;
    let (one, two) = (Propagator::new(one)?, Propagator::new(two)?);
    let found = approach::closest_approach(&one, &two, from, to)?;
    let found = found.context("SGP4 finds no approach")?;
    Ok(format!(
        "  SGP4 itself      {:.3} m at {}, {:.6} km/s",
        found.miss_distance_km * 1000.0,
        time::format(found.time_ns),
        found.relative_speed_km_s
    ))
}
