//! From a path or a text to a TOML table: all that can be wrong with a file before its fields
//! are looked at. Each of these is one clear mistake; nothing is read beyond the bound.

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
    let file = File::open(path).map_err(failed)?;
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
