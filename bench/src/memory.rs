//! What a task holds while it waits for records: the memory of the process with few and with many
//! partitions. What an id costs stands in the part `host`.

use crate::folder::Folder;
use crate::measure::Spread;
use crate::report::{Line, Report};
use crate::scratch::Scratch;
use anyhow::Result;

/// Partitions, and so tasks, of two processes.
const TASKS: [u32; 2] = [4, 68];

/// Takes the figures.
pub fn run(report: &mut Report) -> Result<()> {
    report.part("memory", "a task that has an instance and a dedup window and waits for records");
    let scratch = Scratch::new("memory")?;
    let mut held = Vec::new();
    for tasks in TASKS {
        let operator = "plugin = \"identity\"\n\
            edge = { id = \"key\", event_time = \"timestamp\", watermark = { disorder_ms = 0 }, \
            dedup = { horizon_ms = 60000 } }";
        let folder = Folder::new(scratch.folder(&tasks.to_string())?, tasks, operator, "")?;
        // Compiling takes memory of its own.
        folder.run(&["--until-idle"])?.end()?;
        let mut process = folder.run_and_tell(&[])?;
        let mut before = 0;
        // It has settled when a second brings no more.
        let bytes = loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
            let bytes = process.until(|process| process.memory_bytes().map(Some))?;
            if bytes <= before {
                break bytes;
            }
            before = bytes;
        };
        process.terminate()?;
        process.end()?;
        let what = format!("the process with {tasks} tasks");
        report.line("memory", &Line::new(what, Spread::exactly(bytes as f64 / 1e6), "MB"));
        held.push(bytes as f64);
    }
    let each = (held[1] - held[0]) / f64::from(TASKS[1] - TASKS[0]) / 1e6;
    report.line("memory", &Line::new("each task", Spread::exactly(each), "MB"));
    Ok(())
}
