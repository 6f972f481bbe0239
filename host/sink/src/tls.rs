//! How sinks encrypt: TLS 1.2 and 1.3 by `ring`, trusting the authorities that this machine trusts
//! (or those that `SSL_CERT_FILE` names). Who trusts otherwise says so with `builder`.

use crate::error::Error;
use std::sync::Arc;
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

/// The settings of a client. Fails if the machine trusts no authority at all.
pub(crate) fn client_config() -> Result<ClientConfig, Error> {
    with_roots(authorities()?)
}

/// For connections that are not encrypted: trusts nobody.
pub(crate) fn no_authorities() -> Result<ClientConfig, Error> {
    with_roots(RootCertStore::empty())
}

/// Whom this machine trusts; at least one.
pub(crate) fn authorities() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let what = "no certificate of a trusted authority was found: install the system's \
            certificates, or name a file of them in SSL_CERT_FILE";
        return Err(Error::Fatal { code: "tls-authorities", what: what.to_owned() });
    }
    Ok(roots)
}

/// The settings before it is said who is trusted.
pub(crate) fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    let builder = ClientConfig::builder_with_provider(provider());
    builder
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Fatal { code: "tls", what: format!("TLS is not usable: {error}") })
}

/// Named, so that it does not matter what else in the process chose a provider.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig, Error> {
    Ok(builder()?.with_root_certificates(roots).with_no_client_auth())
}
