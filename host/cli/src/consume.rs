//! `pawl consume`: records of a topic on stdout, values as they are or whole records as JSON. Only
//! looks: it keeps no position and holds nobody up.

use crate::data;
use crate::failure::usage;
use crate::file::FileOption;
use crate::out::{Out, json_line, note};
use crate::progress::Progress;
use crate::record_json::{Printed, PrintedControl};
use crate::rows::{Cursor, Row, rows};
use anyhow::Result;
use clap::Args;
use pawl_transport::Transport;
use std::io::IsTerminal;
use std::time::Duration;

/// How long `--follow` waits on one partition before it looks at the others.
const WAIT: Duration = Duration::from_millis(100);

/// Print the records of a topic: their values, one per line, the partitions in order
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: FileOption,
    /// The topic
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// From the first record that is kept (the default)
    #[arg(long, conflicts_with = "from_end")]
    from_start: bool,
    /// Only what comes from now on; goes with `--follow`
    #[arg(long, requires = "follow")]
    from_end: bool,
    /// From this offset of the partition on, as in a dead letter or in `pawl checkpoint show`
    #[arg(
        long, value_name = "N", requires = "partition",
        conflicts_with_all = ["from_start", "from_end"]
    )]
    offset: Option<u64>,
    /// Wait for more at the end, until interrupted
    #[arg(long)]
    follow: bool,
    /// Whole records, one JSON object per line
    #[arg(long)]
    json: bool,
    /// Control rows, too, which carry watermarks
    #[arg(long, requires = "json")]
    control: bool,
    /// Only this partition
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
    /// End after so many records
    #[arg(long, value_name = "N")]
    max: Option<u64>,
}

/// Runs the command.
pub fn consume(arguments: &Arguments) -> Result<()> {
    let pipeline = arguments.file.load()?;
    let topic = arguments.topic.as_str();
    let Some((transport, partitions)) = data::topic_to_read(&pipeline, topic)? else {
        note(&format!("topic {topic} has no records yet"));
        return Ok(());
    };
    let wanted: Vec<u32> = match arguments.partition {
        Some(partition) => vec![partition],
        None => (0..partitions).collect(),
    };
    let mut cursors = Vec::new();
    let mut rows_there = 0;
    for partition in wanted {
        let (first, end) = transport.range(topic, partition)?;
        rows_there += end.saturating_sub(first.max(arguments.offset.unwrap_or(0)));
        cursors.push(match arguments.offset {
            Some(offset) if offset > end => {
                let place = format!("{topic}/{partition}");
                return Err(usage(format!("{place} ends at {end}: it has no offset {offset} yet")));
            }
            Some(offset) => Cursor::at(&transport, topic, partition, offset),
            None if arguments.from_end => Cursor::at_end(&transport, topic, partition)?,
            None => Cursor::at_start(&transport, topic, partition)?,
        });
    }
    // Where records are printed on the terminal they show how far the command is.
    let progress = match arguments.follow || std::io::stdout().is_terminal() {
        true => Progress::none(),
        false => {
            Progress::of_records(Some(arguments.max.map_or(rows_there, |max| max.min(rows_there))))
        }
    };
    let mut printer = Printer { arguments, out: Out::new(), left: arguments.max, progress };
    let mut turn = 0;
    loop {
        for cursor in &mut cursors {
            printer.print_all(cursor)?;
        }
        printer.out.flush()?;
        if !arguments.follow || printer.is_done() || cursors.is_empty() {
            return Ok(());
        }
        turn = (turn + 1) % cursors.len();
        if let Some(cursor) = cursors.get(turn) {
            transport.wait(topic, cursor.partition(), cursor.next(), WAIT)?;
        }
    }
}

struct Printer<'a> {
    arguments: &'a Arguments,
    out: Out,
    /// How many more records may be printed.
    left: Option<u64>,
    progress: Progress,
}

impl Printer<'_> {
    fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    fn print_all(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        while !self.is_done() {
            let (from, batches) = cursor.read()?;
            if batches.is_empty() {
                return Ok(());
            }
            for (offset, row) in batches.iter().flat_map(|batch| rows(batch, from)) {
                if self.is_done() {
                    break;
                }
                self.print(cursor.partition(), offset, &row)?;
                self.progress.add(1);
            }
        }
        Ok(())
    }

    fn print(&mut self, partition: u32, offset: u64, row: &Row<'_>) -> Result<()> {
        let at = (self.arguments.topic.as_str(), partition, offset);
        match row {
            Row::Control(control) => {
                if self.arguments.control {
                    self.out.line(json_line(&PrintedControl::new(at, control))?)?;
                }
                return Ok(());
            }
            Row::Data(records, row) if self.arguments.json => {
                self.out.line(json_line(&Printed::new(at, records, *row))?)?;
            }
            Row::Data(records, row) => {
                self.out.line(records.values.get(*row).unwrap_or_default())?;
            }
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(())
    }
}
