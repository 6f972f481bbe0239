//! From a checked configuration to a sink. Touches nothing outside.

use crate::error::Error;
use crate::file::Files;
use crate::http::Http;
use crate::sink::Sink;
use crate::sql::SqlSink;
use pawl_pipeline::SinkKind;

/// The sink of this kind.
pub fn make(kind: &SinkKind) -> Result<Box<dyn Sink>, Error> {
    Ok(match kind {
        SinkKind::Sql(sql) => Box::new(SqlSink::new(sql)?),
        SinkKind::Http(http) => Box::new(Http::new(http)?),
        SinkKind::File(file) => Box::new(Files::new(file)?),
    })
}
