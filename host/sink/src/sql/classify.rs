//! What a failure of PostgreSQL means, by its SQLSTATE: a row's fault, something that passes, or
//! something that only a person can help.

use super::Refusal;
use super::name::quoted;
use crate::error::Error;
use std::error::Error as _;
use std::io;

/// What a failure means.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// Of one row among those of the statement.
    Row(Refusal),
    /// Two rows of the statement have equal keys: they must not be in the same one.
    EqualKeys,
    /// Of everything.
    Sink(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Sink(error)
    }
}

/// What a failure of a statement means.
pub fn failure(error: tokio_postgres::Error) -> Failure {
    let Some(refused) = error.as_db_error() else {
        return Failure::Sink(failed(error));
    };
    let mut message = refused.message().to_owned();
    for (what, name) in [("column", refused.column()), ("constraint", refused.constraint())] {
        if let Some(name) = name.filter(|name| !message.contains(&quoted(name))) {
            message.push_str(&format!(" ({what} {name})"));
        }
    }
    match refused.code().code() {
        "21000" => Failure::EqualKeys,
        // WITH CHECK OPTION of a view, and RAISE in a trigger, are constraints too.
        "44000" | "P0001" => Failure::Row(Refusal::constraint(message)),
        // Too much for a limit: a value that is too long for an index, for instance.
        code if code.starts_with("54") => Failure::Row(Refusal::data(message)),
        code if code.starts_with("22") => Failure::Row(Refusal::data(message)),
        code if code.starts_with("23") => Failure::Row(Refusal::constraint(message)),
        _ => Failure::Sink(failed(error)),
    }
}

/// What a failure that is of no row means.
pub fn failed(error: tokio_postgres::Error) -> Error {
    let Some(refused) = error.as_db_error() else {
        return unanswered(&error);
    };
    let code = refused.code().code();
    let what = format!("{} (SQLSTATE {code})", refused.message());
    let transient = |kind: &str| Error::Transient { kind: kind.to_owned(), what: what.clone() };
    match code {
        "57P01" | "57P02" | "57P03" | "57P05" => transient("shutdown"),
        "57014" => transient("timeout"),
        "55P03" | "55006" => transient("lock"),
        "53300" => transient("connections"),
        // The disk is the server's: whoever runs it makes room without Pawl being asked, often the
        // server itself as its journal is recycled. Until then nothing is lost: records wait in
        // their topic.
        "53100" => transient("disk-full"),
        // A standby, or a primary that was just demoted: the name will lead to another one.
        "25006" => transient("read-only"),
        // The server ended our transaction since we were too slow.
        "25P03" => transient("timeout"),
        "42P01" | "3F000" => Error::Fatal { code: "sql-table", what },
        "42703" => Error::Fatal { code: "sql-column", what },
        "42501" => Error::Fatal { code: "sql-permission", what },
        "3D000" => Error::Fatal { code: "sql-database", what },
        "XX001" | "XX002" => Error::Fatal { code: "sql-corrupt", what },
        code => match code.get(..2).unwrap_or("") {
            "08" => transient("connect"),
            "28" => Error::Fatal { code: "sql-login", what },
            "40" => transient("conflict"),
            "53" => transient("resources"),
            "57" => transient("operator"),
            "58" | "XX" => transient("server"),
            _ => Error::Fatal { code: "sql-refused", what },
        },
    }
}

/// A failure that the server did not report. What was sent then may have been done or not.
fn unanswered(error: &tokio_postgres::Error) -> Error {
    let mut what = error.to_string();
    let (mut cause, mut io, mut certificate) = (error.source(), false, false);
    while let Some(error) = cause {
        what = format!("{what}: {error}");
        io |= error.is::<io::Error>();
        certificate |= error.is::<tokio_rustls::rustls::Error>();
        // Such an error hides what it holds from `source`.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        certificate |= inner.is_some_and(|inner| inner.is::<tokio_rustls::rustls::Error>());
        cause = error.source();
    }
    if certificate || (!io && what.contains("TLS")) {
        Error::Fatal { code: "sql-tls", what }
    } else if io || error.is_closed() {
        Error::Transient { kind: "connect".to_owned(), what }
    } else if what.starts_with("authentication error") || what.contains("password") {
        Error::Fatal { code: "sql-login", what }
    } else {
        Error::Fatal { code: "sql-protocol", what }
    }
}
