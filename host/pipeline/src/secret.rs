//! What may be shown of addresses and options in which credentials can stand. Errs on the side of
//! hiding: what is hidden without need costs a look into the file.

/// What is written in place of a secret.
pub(crate) const HIDDEN: &str = "***";

/// Parts of the names of options whose values are secrets, or tell whose they are.
const WORDS: [&str; 8] =
    ["key", "secret", "token", "sas", "password", "signature", "credential", "account"];

/// Whether the value of an option, or of an environment variable, of this name may be a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// What may be shown of an option's value.
pub(crate) fn shown_option(name: &str, value: &str) -> String {
    match value {
        _ if is_secret_name(name) => HIDDEN.to_owned(),
        value if value.contains("://") => without_secrets(value, true),
        // An address without its scheme.
        value if value.contains('@') => HIDDEN.to_owned(),
        value => value.to_owned(),
    }
}

/// A URL with its scheme and host alone, and its path if that tells nobody anything.
pub(crate) fn without_secrets(url: &str, with_path: bool) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return HIDDEN.to_owned() };
    let (who, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (format!("{HIDDEN}@"), rest),
        None => (String::new(), rest),
    };
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(host_end);
    let path_end = path.find(['?', '#']).unwrap_or(path.len());
    let (path, query) = path.split_at(path_end);
    let path = match path {
        "" | "/" => path.to_owned(),
        path if with_path => path.to_owned(),
        _ => format!("/{HIDDEN}"),
    };
    let query = if query.is_empty() { String::new() } else { format!("?{HIDDEN}") };
    format!("{scheme}://{who}{host}{path}{query}")
}

/// Whether more than a bucket, or nothing, and a folder stands in the address of an object store:
/// a user, a password, a query or a fragment. What is left holds no credentials.
pub(crate) fn has_credentials(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    host.contains(['@', ':']) || rest.contains(['?', '#'])
}
