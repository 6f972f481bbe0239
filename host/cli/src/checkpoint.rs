//! `pawl checkpoint`: looks at the checkpoints of tasks, and reads each of them whole to tell
//! whether it is valid. Changes nothing, also not beside a running `pawl run`.

mod json;

use crate::data;
use crate::failure::usage;
use crate::file::FileOption;
use crate::out::{Out, json_line, note, shown};
use crate::table::{Column, Table};
use anyhow::Result;
use clap::{Args, Subcommand};
use pawl_checkpoint::{Checkpoint, Header, Owner, Store};
use pawl_core::commit::{Progress, TaskId};
use pawl_core::decision::CheckpointName;
use pawl_core::identity::text_of_time;
use pawl_pipeline::Pipeline;
use pawl_transport::Transport;
use std::collections::BTreeMap;

/// Digits of a digest in a listing.
const DIGEST_DIGITS: usize = 12;

/// Look at checkpoints: from where tasks go on after a crash
#[derive(Debug, Subcommand)]
pub enum Command {
    Ls(LsArguments),
    Show(ShowArguments),
}

/// List the checkpoints of all tasks, newest first, valid or not
#[derive(Debug, Args)]
pub struct LsArguments {
    #[command(flatten)]
    file: FileOption,
    /// Those of the remote tier
    #[arg(long)]
    remote: bool,
    /// One JSON object per checkpoint
    #[arg(long)]
    json: bool,
}

/// Show the checkpoints and the last commit of one task in full
#[derive(Debug, Args)]
pub struct ShowArguments {
    #[command(flatten)]
    file: FileOption,
    /// The task, as in `observe/0`
    #[arg(value_name = "STAGE/PARTITION")]
    task: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn checkpoint(command: &Command) -> Result<()> {
    match command {
        Command::Ls(arguments) => ls(&arguments.file.load()?, arguments),
        Command::Show(arguments) => show(&arguments.file.load()?, arguments),
    }
}

/// A checkpoint, or why it cannot be used.
type Read = (CheckpointName, Result<Checkpoint, pawl_checkpoint::Error>);

fn ls(pipeline: &Pipeline, arguments: &LsArguments) -> Result<()> {
    let store: Box<dyn Store> = match arguments.remote {
        true => Box::new(data::remote_store(pipeline)?),
        false => Box::new(data::store(pipeline)),
    };
    let mut out = Out::new();
    let mut listed = 0_u64;
    let mut table = Table::new(&[
        Column::left("task"),
        Column::left("checkpoint"),
        Column::left("created"),
        Column::right("position"),
        Column::right("ticks"),
        Column::right("decisions"),
        Column::right("bytes"),
        Column::left("valid"),
        Column::left("operators"),
    ]);
    for task in tasks(pipeline) {
        each(store.as_ref(), &task, |(name, read)| {
            listed += 1;
            match arguments.json {
                true => return out.line(json_line(&json::checkpoint(&task, name, &read))?),
                false => table.row(row(&task, name, &read)),
            }
            Ok(())
        })?;
    }
    match listed {
        0 => {
            if !arguments.remote {
                // Where nothing was ever stored, the file or a field of it is another one.
                data::transport_to_read(pipeline)?;
            }
            note("there are no checkpoints");
        }
        _ if arguments.json => {}
        _ => table.print(&mut out)?,
    }
    out.flush()
}

fn row(
    task: &TaskId,
    name: CheckpointName,
    read: &Result<Checkpoint, pawl_checkpoint::Error>,
) -> Vec<String> {
    let mut row = vec![task.to_string(), text_of_name(name)];
    match read {
        Ok(checkpoint) => {
            let header = &checkpoint.header;
            let Progress { position, ticks, decisions, .. } = header.progress;
            let operators = header.operators.iter().map(|operator| {
                let digest: String =
                    operator.digest.component.chars().take(DIGEST_DIGITS).collect();
                format!("{} {} {digest}", operator.digest.operator, operator.operator_version)
            });
            row.push(text_of_time(header.created_ms));
            row.extend([position, ticks, decisions].map(|number| number.to_string()));
            row.push(bytes_of(checkpoint).to_string());
            row.push("yes".to_owned());
            row.push(operators.collect::<Vec<_>>().join(", "));
        }
        Err(error) => {
            row.extend(["-"; 5].map(str::to_owned));
            row.extend(["no".to_owned(), error.to_string()]);
        }
    }
    row
}

fn show(pipeline: &Pipeline, arguments: &ShowArguments) -> Result<()> {
    let tasks = tasks(pipeline);
    let Some(task) = tasks.iter().find(|known| known.to_string() == arguments.task) else {
        let known: Vec<String> = tasks.iter().map(TaskId::to_string).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let (task, meant) = (shown(&arguments.task), data::meant(&arguments.task, &known));
        return Err(usage(format!("no task is named {task}; {meant}")));
    };
    let store = data::store(pipeline);
    let mut out = Out::new();
    if arguments.json {
        let commit = data::transport_if_there(pipeline)?;
        let commit = commit.map(|transport| transport.recovery(task)).transpose()?;
        let mut checkpoints = Vec::new();
        each(&store, task, |(name, read)| {
            checkpoints.push(json::checkpoint(task, name, &read));
            Ok(())
        })?;
        out.line(json_line(&json::task(task, commit.as_ref(), checkpoints))?)?;
        return out.flush();
    }
    out.line(format!("task {task} of pipeline {}", pipeline.name))?;
    show_commit(pipeline, task, &mut out)?;
    let mut listed = 0_u64;
    each(&store, task, |(name, read)| {
        listed += 1;
        out.line("")?;
        out.line(format!("checkpoint {}", text_of_name(name)))?;
        match read {
            Ok(checkpoint) => show_checkpoint(&checkpoint, &mut out),
            Err(error) => out.line(format!("  not valid: {}", shown(&error.to_string()))),
        }
    })?;
    if listed == 0 {
        note(&format!("task {task} has no checkpoints"));
    }
    out.flush()
}

fn show_commit(pipeline: &Pipeline, task: &TaskId, out: &mut Out) -> Result<()> {
    let transport = match data::transport_to_read(pipeline) {
        Ok(transport) => transport,
        Err(error) => return out.line(format!("  commit: {}", shown(&format!("{error:#}")))),
    };
    let recovery = transport.recovery(task)?;
    let Some(commit) = recovery.commit else { return out.line("  commit: none") };
    let witness = commit.witness.map_or_else(|| "none".to_owned(), text_of_name);
    out.line(format!(
        "  commit: {} by epoch {}",
        text_of_progress(&commit.progress),
        commit.epoch
    ))?;
    out.line(format!("  newest durable checkpoint at that commit: {witness}"))?;
    out.line(format!("  decisions kept: {}", recovery.decisions.len()))
}

fn show_checkpoint(checkpoint: &Checkpoint, out: &mut Out) -> Result<()> {
    let header: &Header = &checkpoint.header;
    out.line("  valid")?;
    out.line(format!("  created: {}", text_of_time(header.created_ms)))?;
    out.line(format!("  log: {}", shown(&header.log)))?;
    out.line(format!("  progress: {}", text_of_progress(&header.progress)))?;
    out.line(format!("  semantics: {}", header.semantics))?;
    out.line(format!("  input sum: {:032x}", header.input_sum))?;
    out.line(format!("  output sum: {:032x}", header.output_sum))?;
    out.line(format!("  bytes: {}", bytes_of(checkpoint)))?;
    out.line(format!("  core state: {} bytes", checkpoint.core.len()))?;
    let mut owners: BTreeMap<Owner, (usize, usize)> = BTreeMap::new();
    for (key, bytes) in &checkpoint.parts {
        let (parts, sum) = owners.entry(key.owner).or_default();
        *parts += 1;
        *sum += bytes.len();
    }
    for (owner, (parts, bytes)) in owners {
        let owner = match owner {
            Owner::Window(edge) => format!("dedup window of edge {edge}"),
            Owner::Operator(operator) => format!("state of operator {operator}"),
        };
        out.line(format!("  {owner}: {parts} parts, {bytes} bytes"))?;
    }
    for operator in &header.operators {
        let (name, version) = (shown(&operator.digest.operator), shown(&operator.operator_version));
        out.line(format!("  operator {name}, version {version}"))?;
        out.line(format!("    component: {}", shown(&operator.digest.component)))?;
        out.line(format!("    configuration: {}", shown(&operator.digest.configuration)))?;
        out.line(format!("    state version: {}", operator.state_version))?;
    }
    Ok(())
}

/// Reads the checkpoints of a task, newest first, one at a time.
fn each(store: &dyn Store, task: &TaskId, mut each: impl FnMut(Read) -> Result<()>) -> Result<()> {
    for name in store.names(task)? {
        let read = store.read(task, name);
        // A run that goes on meanwhile removes old ones: what is no longer there is not damaged.
        if read.is_err() && !store.names(task)?.contains(&name) {
            continue;
        }
        each((name, read))?;
    }
    Ok(())
}

fn tasks(pipeline: &Pipeline) -> Vec<TaskId> {
    let of_stage = |stage: &pawl_pipeline::Stage| {
        let input = pipeline.topics.get(&stage.input);
        let partitions = input.map_or(0, |topic| topic.partitions);
        let stage = stage.name.clone();
        (0..partitions).map(move |partition| TaskId { stage: stage.clone(), partition })
    };
    pipeline.stages.iter().flat_map(of_stage).collect()
}

/// Bytes that are read to restore it, those of earlier files included.
fn bytes_of(checkpoint: &Checkpoint) -> usize {
    let parts: usize = checkpoint.parts.iter().map(|(_, bytes)| bytes.len()).sum();
    checkpoint.core.len() + parts
}

fn text_of_name(name: CheckpointName) -> String {
    format!("{}-{}", name.epoch, name.sequence)
}

fn text_of_progress(progress: &Progress) -> String {
    let Progress { position, ticks, decisions, admitted } = progress;
    let sent_back = if *admitted > 0 { format!(", {admitted} sent back") } else { String::new() };
    format!("position {position}, {ticks} ticks, {decisions} decisions{sent_back}")
}
