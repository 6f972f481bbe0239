//! How sinks encrypt: TLS 1.2 and 1.3 by `ring`, trusting the authorities that this machine trusts
//! (or those that `SSL_CERT_FILE` names). Certificates are always verified.

use crate::error::Error;
use std::sync::Arc;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// The settings of a client. Fails if the machine trusts no authority at all.
pub(crate) fn client_config() -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let what = "no certificate of a trusted authority was found: install the system's \
            certificates, or name a file of them in SSL_CERT_FILE";
        return Err(Error::Fatal { code: "tls-authorities", what: what.to_owned() });
    }
    with_roots(roots)
}

/// For connections that are not encrypted: trusts nobody.
pub(crate) fn no_authorities() -> Result<ClientConfig, Error> {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig, Error> {
    // Named here, so that it does not matter what else in the process chose a provider.
    let provider = Arc::new(crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::Fatal {
        code: "tls",
        what: format!("TLS is not usable: {error}"),
    })?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
