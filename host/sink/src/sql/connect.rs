//! The way to a PostgreSQL server: its URL, and TLS.
//!
//! `sslmode` means what it does to libpq: `prefer` (where none is told) and `require` encrypt
//! without asking who answers; with `sslrootcert=FILE`, `require` is `verify-ca`. `verify-ca` asks
//! for a certificate of a trusted authority, `verify-full` for the server's name in it as well.
//! The password must appear in no error: errors name the option, never its value.

use crate::error::Error;
use crate::tls;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};

/// Where the server is, and how to speak to it.
pub struct Target {
    /// Host, user, password and so on.
    pub config: tokio_postgres::Config,
    /// What makes TLS of a connection, if the server wants it.
    pub tls: Tls,
}

/// How much is asked of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Anyone,
    Authority,
    Name,
}

impl Target {
    /// Reads the URL.
    pub fn parse(url: &str) -> Result<Target, Error> {
        let fatal = |what: String| Error::Fatal { code: "sql-config", what };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            let what = "the URL must begin with `postgres://` or `sqlite:`";
            return Err(fatal(what.to_owned()));
        }
        let (base, options) = url.split_once('?').unwrap_or((url, ""));
        if options.contains('@') {
            // Part of a password with a question mark would pass for an option's name.
            return Err(fatal("the URL makes no sense: `?` before `@` must be `%3F`".to_owned()));
        }
        let (mut mode, mut roots, mut others) = ("prefer", None, Vec::new());
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", value)) => mode = value,
                Some(("sslrootcert", value)) => roots = Some(decoded(value)),
                Some(_) => others.push(option),
                None => return Err(fatal("options of the URL must be `NAME=VALUE`".to_owned())),
            }
        }
        let (mode, trust) = match (mode, &roots) {
            ("disable", _) => ("disable", Trust::Anyone),
            ("prefer", _) => ("prefer", Trust::Anyone),
            ("require", None) => ("require", Trust::Anyone),
            ("require" | "verify-ca", _) => ("require", Trust::Authority),
            ("verify-full", _) => ("require", Trust::Name),
            _ => {
                let known = "`disable`, `prefer`, `require`, `verify-ca`, `verify-full`";
                return Err(fatal(format!("`sslmode` of the URL must be one of {known}")));
            }
        };
        let mode = format!("sslmode={mode}");
        others.push(&mode);
        let config = format!("{base}?{}", others.join("&"));
        let mut config: tokio_postgres::Config =
            config.parse().map_err(|error| {
                // Only the option's name is in what the parser says of one; of the rest, nothing is
                // repeated.
                let error: tokio_postgres::Error = error;
                let why = std::error::Error::source(&error).map(ToString::to_string);
                let why = why.filter(|why| why.contains("option"));
                fatal(format!("the URL makes no sense: {}", why.unwrap_or_else(|| {
                "expected `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, special characters \
                 as `%XX`".to_owned()
            })))
            })?;
        if config.get_application_name().is_none() {
            config.application_name("pawl");
        }
        let tls = Tls::new(trust, roots.as_deref())?;
        Ok(Target { config, tls })
    }
}

/// A value with `%XX` as the bytes that they stand for.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Makes TLS of a connection.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

impl Tls {
    fn new(trust: Trust, roots: Option<&str>) -> Result<Tls, Error> {
        let provider = tls::provider();
        let verifier: Arc<dyn ServerCertVerifier> = match trust {
            Trust::Anyone => Arc::new(Lenient { provider, authority: None }),
            Trust::Authority | Trust::Name => {
                let store = Arc::new(match roots.filter(|file| *file != "system") {
                    Some(file) => authorities_of(file)?,
                    None => tls::authorities()?,
                });
                let strict = WebPkiServerVerifier::builder_with_provider(store, provider.clone())
                    .build()
                    .map_err(|error| Error::Fatal {
                        code: "tls-authorities",
                        what: format!("no authority is trusted: {error}"),
                    })?;
                match trust {
                    Trust::Name => strict,
                    _ => Arc::new(Lenient { provider, authority: Some(strict) }),
                }
            }
        };
        let config = tls::builder()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Tls { config: Arc::new(config) })
    }
}

/// The authorities of a file.
fn authorities_of(file: &str) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    let wrong = |why: String| Error::Fatal {
        code: "sql-config",
        what: format!("the certificates of `sslrootcert={file}`: {why}"),
    };
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        store.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if store.is_empty() {
        return Err(wrong("there is none in it".to_owned()));
    }
    Ok(store)
}

/// Trusts whoever answers, or whomever an authority trusts, by any name.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    authority: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(authority) = &self.authority else {
            return Ok(ServerCertVerified::assertion());
        };
        match authority.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // The name is looked at last: all else was right.
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Handshake> {
        let connector = TlsConnector::from(self.config.clone());
        Ok(Handshake { connector, domain: domain.to_owned() })
    }
}

/// A handshake with a server of a name.
pub struct Handshake {
    connector: TlsConnector,
    domain: String,
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let name = ServerName::try_from(self.domain).map_err(io::Error::other)?;
            Ok(Stream(self.connector.connect(name, stream).await?))
        })
    }
}

/// An encrypted connection.
pub struct Stream<S>(client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        match Target::parse(url) {
            Ok(_) => panic!("{url} was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_url_that_makes_no_sense_is_refused_without_its_password() {
        let urls = [
            "mysql://user:hidden@host/db",
            "postgres://user:hidden@host/db?sslmode=perhaps",
            "postgres://user:hidden@host:port/db",
            "postgres://user:hidden@host:/db%FF?x=hidden",
            "postgres://user:hidden@host/db?unheard=hidden",
            "postgres://user:hidden@host/db?connect_timeout=hidden",
            "postgres://user:hidden@host/db?hidden",
            "postgres://user:x?hidden=y@host/db",
            "postgres://user:hid#den@host/db?sslmode=verify-full&sslrootcert=/nowhere",
        ];
        for url in urls {
            let error = refused(url);
            assert!(!error.contains("hidden") && !error.contains("hid#den"), "{url}: {error}");
        }
        assert!(refused(urls[4]).contains("unheard"));
    }

    #[test]
    fn options_of_tls_are_ours_and_the_others_the_client_s() {
        let url = "postgres://u:p%40ss@%2Frun%2Fx/db?sslmode=disable&application_name=me";
        let target = Target::parse(url).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(target.config.get_password(), Some(&b"p@ss"[..]));
        assert_eq!(target.config.get_application_name(), Some("me"));
        assert_eq!(target.config.get_ssl_mode(), tokio_postgres::config::SslMode::Disable);
        assert_eq!(decoded("%2Fa%20b%zz%"), "/a b%zz%");
    }
}
