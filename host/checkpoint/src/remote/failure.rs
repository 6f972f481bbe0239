//! What a remote store says when it fails, in words for people, with what to do about it. Never
//! lets a credential through: errors end up in logs.

use object_store::Error as StoreError;
use std::io;
use std::time::Duration;

/// Longer answers are cut: some servers send a page.
const TEXT_MAX: usize = 400;

const BUCKET: &str = "check the name of the bucket";

/// What servers answer if the bucket or container is not there.
const NO_BUCKET: [&str; 2] = ["NoSuchBucket", "ContainerNotFound"];

/// Why an operation failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// What the store says.
    Store(StoreError),
    /// No answer in time.
    Timeout(Duration),
    /// The thread that drives the operations has ended.
    Ended,
}

/// What must not be shown: the values of options that hold credentials.
#[derive(Clone, Debug, Default)]
pub(super) struct Secrets(Vec<String>);

impl Failure {
    /// Whether nothing is there under that name.
    pub fn is_absent(&self) -> bool {
        matches!(self, Failure::Store(StoreError::NotFound { .. }))
    }

    /// Whether the name is taken.
    pub fn is_taken(&self) -> bool {
        use StoreError::{AlreadyExists, Precondition};
        matches!(self, Failure::Store(AlreadyExists { .. } | Precondition { .. }))
    }

    /// As an error of the system whose kind says the same, and whose text says what to do.
    pub fn into_io(self, secrets: &Secrets) -> io::Error {
        let kind = match &self {
            Failure::Store(StoreError::NotFound { .. }) => io::ErrorKind::NotFound,
            Failure::Store(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
                io::ErrorKind::AlreadyExists
            }
            Failure::Store(
                StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. },
            ) => io::ErrorKind::PermissionDenied,
            Failure::Timeout(_) => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, self.text(secrets))
    }

    /// As `into_io` where the thing that is not there is not the one that was asked for, such as
    /// the bucket: never `NotFound`, since that would mean that the place is empty.
    pub fn into_io_without_place(self, secrets: &Secrets) -> io::Error {
        match self.is_absent() {
            true => io::Error::other(self.text(secrets)),
            false => self.into_io(secrets),
        }
    }

    fn text(&self, secrets: &Secrets) -> String {
        let advice = match self {
            Failure::Timeout(_) => {
                "check the network and the endpoint, or allow more time; recovery = \"local\" starts \
                 without it"
            }
            Failure::Ended => "start again",
            Failure::Store(StoreError::PermissionDenied { .. }) => "check what the key may do",
            Failure::Store(StoreError::Unauthenticated { .. }) => "check the credentials",
            Failure::Store(StoreError::NotFound { .. }) => BUCKET,
            Failure::Store(error)
                if NO_BUCKET.iter().any(|code| error.to_string().contains(code)) =>
            {
                BUCKET
            }
            Failure::Store(StoreError::NotImplemented { .. } | StoreError::NotSupported { .. }) => {
                "use a store that can create an object only if it is not there"
            }
            Failure::Store(_) => {
                "check the endpoint, the network and the credentials; recovery = \"local\" starts \
                 without it"
            }
        };
        let what = match self {
            Failure::Timeout(after) => format!("no answer within {} ms", after.as_millis()),
            Failure::Ended => "the thread of the remote store has ended".to_owned(),
            Failure::Store(error) => {
                let (text, cause) = (secrets.hide(&error.to_string()), secrets.hide(&cause(error)));
                if text.contains(&cause) { text } else { format!("{text}: {cause}") }
            }
        };
        format!("{what}; {advice}")
    }
}

/// The innermost cause: the others say where it happened, this one says what.
fn cause(error: &StoreError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

impl Secrets {
    /// The secrets among these options.
    pub fn among<'a>(options: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in options {
            if pawl_pipeline::is_secret_name(name) {
                secrets.push(value);
            }
            // An address with a user and a password, such as that of a proxy.
            let address = value.split_once("://").map_or(value, |(_, address)| address);
            if let Some((user, _)) = address.rsplit_once('@') {
                secrets.push(user);
                secrets.extend(user.split_once(':').map(|(_, password)| password));
            }
        }
        // Shorter values would blacken half the text, and are no secrets.
        secrets.retain(|secret| secret.len() >= 4);
        Self(secrets.into_iter().map(str::to_owned).collect())
    }

    /// The text on one line, bounded, without secrets and without the queries of addresses, in
    /// which signatures stand.
    pub fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.as_str(), "***");
        }
        let mut hidden = String::new();
        for word in text.split_whitespace() {
            let shown = match word.split_once('?') {
                Some((address, query)) if query.contains('=') => format!("{address}?***"),
                _ => word.to_owned(),
            };
            if hidden.len() + shown.len() > TEXT_MAX {
                hidden.push_str(" ...");
                return hidden;
            }
            if !hidden.is_empty() {
                hidden.push(' ');
            }
            hidden.push_str(&shown);
        }
        hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_and_no_signed_address_is_shown() {
        let options = [
            ("aws_secret_access_key", "hunter2hunter2"),
            ("region", "us-east-1"),
            ("proxy_url", "http://me:correcthorse@proxy:3128"),
        ];
        let secrets = Secrets::among(options.into_iter());
        let text = "GET http://host/bucket/x?sv=1&sig=abc%3D failed:\n  hunter2hunter2 us-east-1";
        let hidden = secrets.hide(text);
        assert_eq!(hidden, "GET http://host/bucket/x?*** failed: *** us-east-1");
        assert!(secrets.hide(&"word ".repeat(1_000)).len() < TEXT_MAX + 10);
        assert_eq!(secrets.hide("why?"), "why?");
        let hidden = secrets.hide("tried http://me:correcthorse@proxy:3128, and correcthorse");
        assert_eq!(hidden, "tried http://***@proxy:3128, and ***");
    }
}
