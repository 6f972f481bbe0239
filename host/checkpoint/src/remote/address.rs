//! From an address and options to an object store. Options come from the environment, as
//! `object_store` reads it, and from the pipeline, which wins. No message holds an option's value.

use super::RemoteOptions;
use super::failure::Secrets;
use crate::error::Error;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientConfigKey, ObjectStore, ObjectStoreScheme, RetryConfig};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A store, and where in it our things lie.
pub(super) struct Opened {
    pub store: Arc<dyn ObjectStore>,
    pub prefix: Path,
    /// The address as people may see it.
    pub shown: String,
    pub secrets: Secrets,
}

/// Opens `address`. Nothing is asked of the store yet.
pub(super) fn open(address: &str, options: &RemoteOptions) -> Result<Opened, Error> {
    let refused = |what: String| Error::Refused { what };
    let url = Url::parse(address).map_err(|error| {
        let forms = "s3://bucket/prefix, gs://, az:// or file:///folder";
        refused(format!("the remote store's address is none: {error}; give one like {forms}"))
    })?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.query().is_some() || url.fragment().is_some() {
        let what = "the remote store's address holds a user, a password, a query or a \
                    fragment: give credentials in the environment";
        return Err(refused(what.to_owned()));
    }
    let shown = url.as_str().trim_end_matches('/').to_owned();
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|ours| name.starts_with(ours)))
        .collect();
    let given = options.options.iter().chain(environment.iter().map(|(name, value)| (name, value)));
    let secrets = Secrets::among(given.map(|(name, value)| (name.as_str(), value.as_str())));
    let failed = |error: &dyn std::fmt::Display| {
        let what = secrets.hide(&error.to_string());
        refused(format!("the remote store {shown} cannot be opened: {what}"))
    };
    let (scheme, prefix) = ObjectStoreScheme::parse(&url).map_err(|error| failed(&error))?;
    let store: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::Local | ObjectStoreScheme::Memory if !options.options.is_empty() => {
            return Err(failed(&"it takes no options"));
        }
        ObjectStoreScheme::Local => Arc::new(LocalFileSystem::new().with_fsync(true)),
        ObjectStoreScheme::Memory => Arc::new(InMemory::new()),
        ObjectStoreScheme::AmazonS3 => Arc::new(s3(&url, options)?),
        ObjectStoreScheme::GoogleCloudStorage => Arc::new(google(&url, options)?),
        ObjectStoreScheme::MicrosoftAzure => Arc::new(azure(&url, options)?),
        _ => return Err(failed(&"use s3://, gs://, az:// or file://")),
    };
    Ok(Opened { store, prefix, shown, secrets })
}

/// Builds the store of one kind; the three builders have the same methods and no trait.
macro_rules! build {
    ($name:ident, $builder:ident, $store:ty, $key:ident) => {
        fn $name(url: &Url, options: &RemoteOptions) -> Result<$store, Error> {
            let mut builder =
                $builder::from_env().with_url(url.as_str()).with_retry(retry(options));
            for (key, value) in client(options) {
                builder = builder.with_config($key::Client(key), value);
            }
            for (name, value) in &options.options {
                let key: $key = name.to_ascii_lowercase().parse().map_err(|_| Error::Refused {
                    what: format!("the remote store {url} has no option {name:?}"),
                })?;
                builder = builder.with_config(key, value);
            }
            builder.build().map_err(|error| {
                let secrets = Secrets::among(
                    options.options.iter().map(|(name, value)| (name.as_str(), value.as_str())),
                );
                let what = secrets.hide(&error.to_string());
                Error::Refused { what: format!("the remote store {url} cannot be opened: {what}") }
            })
        }
    };
}

build!(s3, AmazonS3Builder, object_store::aws::AmazonS3, AmazonS3ConfigKey);
build!(google, GoogleCloudStorageBuilder, object_store::gcp::GoogleCloudStorage, GoogleConfigKey);
build!(azure, MicrosoftAzureBuilder, object_store::azure::MicrosoftAzure, AzureConfigKey);

/// Time-outs of one request.
fn client(options: &RemoteOptions) -> [(ClientConfigKey, String); 2] {
    [
        (ClientConfigKey::Timeout, format!("{} ms", options.request_timeout_ms)),
        (ClientConfigKey::ConnectTimeout, format!("{} ms", options.connect_timeout_ms)),
    ]
}

fn retry(options: &RemoteOptions) -> RetryConfig {
    RetryConfig {
        max_retries: options.retries_max,
        retry_timeout: Duration::from_millis(options.operation_timeout_ms),
        ..RetryConfig::default()
    }
}
