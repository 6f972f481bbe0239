//! What a packager or an editor wants of the program itself: completions for shells, manual pages
//! and the schema of pipeline files. All made from what the program is, so that none can be stale.

use crate::out::{Out, note};
use anyhow::{Context, Result};
use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Print the JSON Schema of pipeline files, by which editors complete and describe their fields
///
/// A file whose first line is `#:schema PATH` is completed by editors that know TOML schemas.
#[derive(Debug, Args)]
pub struct SchemaArguments {}

/// Print completions for a shell
///
/// bash: `pawl completions bash > ~/.local/share/bash-completion/completions/pawl`
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
    /// The program
    #[arg(value_name = "PROGRAM", value_enum, default_value_t)]
    program: Program,
}

/// A program of this repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Program {
    #[default]
    Pawl,
    SdaReprocess,
}

/// Write the manual pages into a folder, or print the first one
///
/// `pawl man /usr/local/share/man/man1`, then `man pawl-run`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// The folder; made if it is not there
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Prints the schema.
pub fn schema() -> Result<()> {
    print(pawl_pipeline::SCHEMA.as_bytes())
}

/// Prints completions for the command line of one of the programs, `pawl` and `sda-reprocess`.
pub fn completions(arguments: &CompletionsArguments, programs: [Command; 2]) -> Result<()> {
    let [pawl, reprocess] = programs;
    let mut command = match arguments.program {
        Program::Pawl => pawl,
        Program::SdaReprocess => reprocess,
    };
    let mut text = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(arguments.shell, &mut command, name, &mut text);
    print(&text)
}

/// Writes or prints manual pages.
pub fn man(arguments: &ManArguments, programs: [Command; 2]) -> Result<()> {
    let Some(folder) = &arguments.folder else {
        let mut page = Vec::new();
        let [pawl, _] = programs;
        clap_mangen::Man::new(pawl).render(&mut page).context("failed to make the page")?;
        return print(&page);
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("failed to make {}", folder.display()))?;
    let mut count = 0;
    for program in programs {
        // Each command gets its whole name, and what holds for all of them.
        let mut command = program.disable_help_subcommand(true);
        command.build();
        pages(&command, folder, &mut count)?;
    }
    note(&format!("wrote {count} pages to {}", folder.display()));
    Ok(())
}

fn pages(command: &Command, folder: &Path, count: &mut u32) -> Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone());
    let file = folder.join(format!("{name}.1"));
    man.render(&mut page)
        .and_then(|()| std::fs::write(&file, &page))
        .with_context(|| format!("failed to write {}", file.display()))?;
    *count += 1;
    let hidden = |command: &&Command| !command.is_hide_set();
    command.get_subcommands().filter(hidden).try_for_each(|inner| pages(inner, folder, count))
}

fn print(text: &[u8]) -> Result<()> {
    let mut out = Out::new();
    out.bytes(text)?;
    out.flush()
}
