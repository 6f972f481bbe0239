//! A look at a component's own list of imports and exports, before anything is compiled.
//!
//! It never decides whether the component is valid all through; the compiler does that.

use crate::error::Error;
use wasmparser::{Encoding, Parser, Payload};

/// The export that makes a component an operator.
pub(crate) const EXPORT: &str = "pawl:operator/operator@0.1.0";

/// Whether the bytes are a component without imports that exports the operator interface.
pub(crate) fn inspect(bytes: &[u8]) -> Result<(), Error> {
    let mut exported = false;
    // Components lie within components; only the outermost one is joined to the host.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(not_wasm)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(Error::CoreModule);
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                if let Some(import) = imports.into_iter().next() {
                    return Err(Error::Import(name(import.map_err(not_wasm)?.name.name)));
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    exported |= export.map_err(not_wasm)?.name.name == EXPORT;
                }
            }
            _ => {}
        }
    }
    if exported { Ok(()) } else { Err(Error::MissingExport(EXPORT)) }
}

/// A name of the component's own, cut: it may be of any length.
fn name(name: &str) -> String {
    name.chars().take(128).flat_map(char::escape_debug).collect()
}

fn not_wasm(error: wasmparser::BinaryReaderError) -> Error {
    Error::NotWasm(format!("{} at byte {}", error.message(), error.offset()))
}
