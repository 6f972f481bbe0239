//! `pawl demo`: the collision of 2009, found and found again; `pawl demo observations`: the sensor
//! observations alone, for pipelines of one's own.

use crate::failure;
use crate::out::{Out, json_line, note};
use crate::progress::Progress;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use pawl_sensors::SensorOptions;
use serde_json::json;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Find the collision of 2009 through sandboxed operators, and find it again after kills
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Seed of the sensors
    #[arg(long, default_value_t = 2009)]
    seed: u64,
    /// Folder of the built plugins [default: beside the program's target folder]
    #[arg(long, value_name = "FOLDER")]
    plugins: Option<PathBuf>,
    /// Work in this folder and leave it; it must not exist [default: a temporary folder]
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Observations(Observations),
    Compare(Compare),
}

/// Compare alerts, one per line on stdin, with the passes of the catalogue's ten minutes
///
/// The truth was computed by brute force with an independent program. Fails unless every pass was
/// found once, none was invented, and all lie within a metre and a millisecond.
#[derive(Debug, Args)]
struct Compare {
    /// Passes from this moment on
    #[arg(long, default_value = "2024-11-01T00:00:00Z")]
    from: String,
    /// And before this one
    #[arg(long, default_value = "2024-11-01T00:10:00Z")]
    to: String,
    /// What was added to all object ids
    #[arg(long, default_value_t = 0)]
    id_offset: u32,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Print observations made from element sets by SGP4 and a model of sensors, one per line
#[derive(Debug, Args)]
struct Observations {
    /// Element sets: a JSON array of OMM objects, or CSV (.csv or .csv.gz) [default: those of 2009]
    #[arg(long, value_name = "FILE")]
    elements: Option<PathBuf>,
    /// All 26,834 objects that were on orbit on 2024-11-01
    #[arg(long, conflicts_with = "elements")]
    catalogue: bool,
    /// Added to all object ids
    #[arg(long, default_value_t = 0)]
    id_offset: u32,
    /// First moment
    #[arg(long, default_value = "2009-02-10T16:50:00Z")]
    start: String,
    /// Seconds
    #[arg(long, default_value_t = 600)]
    duration: u32,
    /// Seconds between two measurements of an object by one sensor
    #[arg(long, default_value_t = 4)]
    period: u32,
    /// Number of sensors
    #[arg(long, default_value_t = 12)]
    sensors: u32,
    /// Everything random follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Standard deviation of each coordinate, in kilometres
    #[arg(long, default_value_t = 0.0)]
    noise: f64,
    /// Share of lines that come twice
    #[arg(long, default_value_t = 0.0)]
    duplicates: f64,
    /// Seconds by which lines come out of order at most
    #[arg(long, default_value_t = 0)]
    disorder: u32,
    /// Share of observations of which a damaged line comes first
    #[arg(long, default_value_t = 0.0)]
    corrupt: f64,
    /// Share of observations that come too late
    #[arg(long, default_value_t = 0.0)]
    late: f64,
}

/// Runs the command.
pub fn demo(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Some(Command::Observations(options)) => return observations(options),
        Some(Command::Compare(options)) => return compare(options),
        None => {}
    }
    let pawl = std::env::current_exe().context("failed to find the program itself")?;
    let plugins = match &arguments.plugins {
        Some(plugins) => plugins.clone(),
        None => {
            let release = pawl.parent().and_then(|release| release.parent());
            release.unwrap_or(&pawl).join("wasm32-unknown-unknown/release")
        }
    };
    let temporary = || std::env::temp_dir().join(format!("pawl-demo-{}", std::process::id()));
    let folder = arguments.keep.clone().unwrap_or_else(temporary);
    if folder.exists() {
        return Err(failure::usage(format!("{} exists already", folder.display())));
    }
    let keep = arguments.keep.is_some();
    let options = pawl_demo::Options { pawl, plugins, folder, keep, seed: arguments.seed };
    let mut out = std::io::stdout().lock();
    pawl_demo::run(&options, &mut out).context("the demonstration failed")
}

fn observations(options: &Observations) -> Result<()> {
    let elements = match &options.elements {
        None if options.catalogue => pawl_sensors::catalog_2024(),
        None => pawl_sensors::collision_2009(),
        Some(path) => {
            let read = || std::fs::read(path).with_context(|| path.display().to_string());
            let name = path.to_string_lossy();
            let parsed = if name.ends_with(".gz") {
                pawl_sensors::parse_csv_gz(read()?.as_slice())
            } else if name.ends_with(".csv") {
                pawl_sensors::parse_csv(&String::from_utf8_lossy(&read()?))
            } else {
                pawl_sensors::parse_json(&read()?)
            };
            parsed.with_context(|| path.display().to_string())?
        }
    };
    let sensors = SensorOptions {
        seed: options.seed,
        start_ns: pawl_sensors::time::parse(&options.start)?,
        duration_s: options.duration,
        period_s: options.period,
        sensors: options.sensors,
        noise_sigma_km: options.noise,
        duplicate_share: options.duplicates,
        disorder_s: options.disorder,
        corrupt_share: options.corrupt,
        late_share: options.late,
        object_id_offset: options.id_offset,
        ..SensorOptions::default()
    };
    let mut out = Out::new();
    let mut made = pawl_sensors::make_observations(&elements, &sensors)?;
    let progress = match std::io::stdout().is_terminal() {
        true => Progress::none(),
        false => Progress::of_records(None),
    };
    for line in made.by_ref() {
        out.line(&line.value)?;
        progress.add(1);
    }
    drop(progress);
    for why in made.dropped() {
        note(&format!("left out: {why}"));
    }
    out.flush()
}

fn compare(options: &Compare) -> Result<()> {
    let alerts: std::io::Result<Vec<String>> = std::io::stdin().lines().collect();
    let rules = pawl_sensors::Rules {
        from_ns: pawl_sensors::time::parse(&options.from)?,
        to_ns: pawl_sensors::time::parse(&options.to)?,
        object_id_offset: options.id_offset,
    };
    let alerts = alerts.context("failed to read stdin")?;
    let found = pawl_sensors::compare(&pawl_sensors::conjunctions_2024(), alerts, &rules)?;
    let mut out = Out::new();
    match options.json {
        false => out.line(found.to_string())?,
        true => out.line(json_line(&json!({
            "right": found.is_right(),
            "found": found.found,
            "missed": found.missed.len(),
            "invented": found.invented,
            "doubled": found.doubled,
            "slow": found.slow,
            "outside": found.outside,
            "miss_error_m": found.miss_error_m,
            "rtn_error_m": found.rtn_error_m,
            "tca_error_ms": found.tca_error_ms,
            "speed_error_m_s": found.speed_error_m_s,
        }))?)?,
    }
    out.flush()?;
    anyhow::ensure!(found.is_right(), "the alerts are not those of the catalogue");
    Ok(())
}
