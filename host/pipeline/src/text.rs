//! From a path or a text to a TOML table: all that can be wrong with a file before its fields
//! are looked at. Each of these is one clear mistake; nothing is read beyond the bound.

use crate::fields::closest;
use crate::mistake::Mistakes;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use toml::Table;

/// Bytes of a pipeline file; one of a hundred stages has about 50 KB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The text of a pipeline file.
pub(crate) fn read(path: &Path) -> Result<String, Mistakes> {
    let failed = |error| Mistakes::whole_file(format!("could not read the file: {error}"));
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Mistakes::whole_file(not_there(path)),
        _ => failed(error),
    })?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Mistakes::whole_file("is a folder; give the pipeline file in it"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Mistakes::whole_file(format!("is not UTF-8 text (byte {at}); {NO_PIPELINE_FILE}"))
    })
}

/// The table of a text.
pub(crate) fn table(text: &str) -> Result<Table, Mistakes> {
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(too_large());
    }
    if let Some(at) = text.find('\0') {
        return Err(Mistakes::whole_file(format!(
            "is binary (byte {at} is 0); {NO_PIPELINE_FILE}"
        )));
    }
    let table = text.parse::<Table>().map_err(|error| {
        let what = error.message().trim().replace('\n', "; ");
        let Some(span) = error.span() else { return Mistakes::whole_file(what) };
        let (line, column) = place(text, span.start);
        Mistakes::whole_file(format!("line {line}, column {column}: {what}"))
    })?;
    match table.is_empty() {
        true => Err(Mistakes::whole_file(format!("is empty; {NO_PIPELINE_FILE}"))),
        false => Ok(table),
    }
}

/// That there is no such file, and which there are.
fn not_there(path: &Path) -> String {
    const SHOWN_MAX: usize = 5;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".toml")).collect();
    names.sort_unstable();
    names.truncate(SHOWN_MAX);
    let there: Vec<&str> = names.iter().map(String::as_str).collect();
    let own = path.file_name().map(|name| name.to_string_lossy().into_owned());
    match own.and_then(|own| closest(&own, &there)) {
        Some(meant) => format!("there is no such file; did you mean {meant}?"),
        None if there.is_empty() => {
            format!("there is no such file, and no .toml file in {}", folder.display())
        }
        None => {
            format!("there is no such file; in {} there are {}", folder.display(), there.join(", "))
        }
    }
}

const NO_PIPELINE_FILE: &str = "a pipeline file is TOML and begins with `pawl = 1`";

fn too_large() -> Mistakes {
    Mistakes::whole_file(format!(
        "is larger than {FILE_BYTES_MAX} bytes, the most that a pipeline file may have; \
        {NO_PIPELINE_FILE}"
    ))
}

/// Line and column of a byte, both from 1; columns count characters.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
