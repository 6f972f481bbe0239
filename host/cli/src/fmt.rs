//! `pawl fmt`: pipeline files in their one layout. A file is replaced whole or not at all, and
//! only if its layout changes.

use crate::failure::usage;
use crate::out::{Out, json_line, note};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use serde_json::json;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Bytes of a text on stdin; a pipeline file may have fewer.
const STDIN_BYTES_MAX: u64 = 2 << 20;

/// Lay pipeline files out: white space, line breaks and blank lines; comments and values stay
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline files; `-` is stdin, and goes to stdout
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Change nothing; fail if a file has another layout
    #[arg(long)]
    check: bool,
    /// One JSON object that names them
    #[arg(long, requires = "check")]
    json: bool,
}

/// Runs the command.
pub fn fmt(arguments: &Arguments) -> Result<()> {
    let mut others = Vec::new();
    for file in &arguments.files {
        let (text, formatted) = laid_out(file)?;
        let is_stdin = is_stdin(file);
        if is_stdin && !arguments.check {
            let mut out = Out::new();
            out.bytes(formatted.as_bytes())?;
            out.flush()?;
        } else if text != formatted {
            if !arguments.check {
                replace(file, &formatted)?;
                note(&format!("laid out {}", file.display()));
            }
            others.push(file.display().to_string());
        }
    }
    if arguments.json {
        let mut out = Out::new();
        out.line(json_line(&json!({ "laid_out": others.is_empty(), "others": others }))?)?;
        out.flush()?;
    }
    if arguments.check && !others.is_empty() {
        let (verb, files) = (if others.len() == 1 { "has" } else { "have" }, others.join(" "));
        return Err(anyhow!("{files} {verb} another layout: pawl fmt {files}"));
    }
    Ok(())
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn laid_out(file: &Path) -> Result<(String, String)> {
    if !is_stdin(file) {
        return Ok(pawl_pipeline::format_file(file)?);
    }
    let mut text = String::new();
    let stdin = std::io::stdin().lock().take(STDIN_BYTES_MAX);
    { stdin }.read_to_string(&mut text).context("failed to read stdin")?;
    let formatted = pawl_pipeline::format(&text)?;
    Ok((text, formatted))
}

/// Writes the new text beside the file and puts it in its place.
fn replace(file: &Path, text: &str) -> Result<()> {
    // A link stays one.
    let file = file.canonicalize().with_context(|| file.display().to_string())?;
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(usage(format!("{} is no file", file.display())));
    };
    let beside = folder.join(format!(".{}.pawl-fmt", name.to_string_lossy()));
    let put = || -> std::io::Result<()> {
        let mut written = std::fs::File::create(&beside)?;
        written.write_all(text.as_bytes())?;
        written.sync_all()?;
        std::fs::set_permissions(&beside, std::fs::metadata(&file)?.permissions())?;
        std::fs::rename(&beside, &file)
    };
    put().with_context(|| {
        drop(std::fs::remove_file(&beside));
        format!("failed to replace {}", file.display())
    })
}
