//! Where PostgreSQL is, and how it is reached: over a socket or TLS, and never in the clear across a network unless
//! somebody said so.
//!
//! The connection string is PostgreSQL's own (a URL or `name=value` words, PostgreSQL 15 §34.1.1), and so are the four
//! parameters of TLS in it (§34.1.2). Where TLS is used the server's certificate and its host name are verified, so
//! `require` and `verify-ca` are as good as `verify-full`. Without an `sslmode` TLS is used for every host but this
//! machine.

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How to connect to a PostgreSQL.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    config: Config,
    tls: ClientConfig,
}

/// Why a connection string is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseConfigError {
    /// PostgreSQL would not understand it either.
    #[error("{0}")]
    Syntax(String),
    /// A mode that may end in a connection without TLS, or none at all.
    #[error(
        "sslmode={0} is not accepted: say verify-full (TLS, with the server's certificate verified) or, on a network \
         that is yours alone, disable"
    )]
    Mode(String),
    /// A file with certificates or a key cannot be used.
    #[error("{parameter}: {file}: {reason}")]
    File {
        /// The parameter that names it.
        parameter: &'static str,
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Only one of `sslcert` and `sslkey` is there.
    #[error("sslcert and sslkey go together: a certificate to show, and its key")]
    HalfIdentity,
    /// The system has no certificates to trust.
    #[error("this system has no root certificates to verify the database by; name some by sslrootcert: {0}")]
    NoRoots(String),
    /// The certificate and its key do not fit, or TLS cannot be set up.
    #[error("TLS to the database: {0}")]
    Tls(#[from] rustls::Error),
}

/// The parameters of TLS in a connection string.
#[derive(Debug, Default, PartialEq, Eq)]
struct TlsParameters {
    mode: Option<String>,
    roots: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl TlsParameters {
    fn of(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "sslmode" => Some(&mut self.mode),
            "sslrootcert" => Some(&mut self.roots),
            "sslcert" => Some(&mut self.certificate),
            "sslkey" => Some(&mut self.key),
            _ => None,
        }
    }
}

impl DatabaseConfig {
    /// A database of this machine, reached without TLS, such as the private cluster's.
    ///
    /// # Errors
    /// [`DatabaseConfigError::Tls`] where the library for TLS cannot be set up.
    pub fn local(mut config: Config) -> Result<Self, DatabaseConfigError> {
        config.ssl_mode(SslMode::Disable);
        Ok(Self { config, tls: client_config(RootCertStore::empty(), None)? })
    }

    /// Where it is, and as whom.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How TLS is done, where it is.
    pub fn tls(&self) -> MakeRustlsConnect {
        MakeRustlsConnect::new(self.tls.clone())
    }
}

impl FromStr for DatabaseConfig {
    type Err = DatabaseConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, parameters) = apart(text);
        // What the parser says may repeat the string, which holds a password.
        let syntax = || "not a connection string: postgresql://USER:PASSWORD@HOST:PORT/DATABASE".to_owned();
        let mut config = Config::from_str(&rest).map_err(|_| DatabaseConfigError::Syntax(syntax()))?;
        match parameters.mode.as_deref() {
            Some("disable") => return Self::local(config),
            None if config.get_hosts().iter().all(is_here) => return Self::local(config),
            None | Some("require" | "verify-ca" | "verify-full") => {}
            Some(other) => return Err(DatabaseConfigError::Mode(other.to_owned())),
        }
        config.ssl_mode(SslMode::Require);
        let identity = match (&parameters.certificate, &parameters.key) {
            (Some(certificate), Some(key)) => Some(Identity::read(certificate, key)?),
            (None, None) => None,
            _ => return Err(DatabaseConfigError::HalfIdentity),
        };
        let roots = match parameters.roots.as_deref() {
            None | Some("system") => system_roots()?,
            Some(file) => roots_of(file)?,
        };
        Ok(Self { config, tls: client_config(roots, identity)? })
    }
}

/// Whether a host is this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

/// The connection string without the parameters of TLS, and these.
fn apart(text: &str) -> (String, TlsParameters) {
    let mut parameters = TlsParameters::default();
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    let rest = if is_url { url_apart(text, &mut parameters) } else { words_apart(text, &mut parameters) };
    (rest, parameters)
}

fn url_apart(text: &str, parameters: &mut TlsParameters) -> String {
    let Some((address, query)) = text.split_once('?') else { return text.to_owned() };
    let kept = query.split('&').filter(|pair| {
        let Some((name, value)) = form_urlencoded::parse(pair.as_bytes()).next() else { return true };
        match parameters.of(&name) {
            Some(parameter) => *parameter = Some(value.into_owned()),
            None => return true,
        }
        false
    });
    let kept: Vec<&str> = kept.collect();
    if kept.is_empty() { address.to_owned() } else { format!("{address}?{}", kept.join("&")) }
}

fn words_apart(text: &str, parameters: &mut TlsParameters) -> String {
    let kept = text.split(' ').filter(|word| {
        let Some((name, value)) = word.split_once('=') else { return true };
        match parameters.of(name) {
            Some(parameter) => *parameter = Some(value.trim_matches('\'').to_owned()),
            None => return true,
        }
        false
    });
    kept.collect::<Vec<_>>().join(" ")
}

/// What this server shows the database of itself.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn read(certificate: &str, key: &str) -> Result<Self, DatabaseConfigError> {
        let chain = certificates("sslcert", certificate)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| file_error("sslkey", key, &error))?;
        Ok(Self { chain, key })
    }
}

fn roots_of(file: &str) -> Result<RootCertStore, DatabaseConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("sslrootcert", file)? {
        roots.add(certificate).map_err(|error| file_error("sslrootcert", file, &error))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, DatabaseConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some systems carry a few that nobody can read.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    let reasons = || found.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if added == 0 { Err(DatabaseConfigError::NoRoots(reasons())) } else { Ok(roots) }
}

fn certificates(parameter: &'static str, file: &str) -> Result<Vec<CertificateDer<'static>>, DatabaseConfigError> {
    let read = CertificateDer::pem_file_iter(Path::new(file)).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found: Vec<_> = read.map_err(|error| file_error(parameter, file, &error))?;
    if found.is_empty() { Err(file_error(parameter, file, &"it has no certificates")) } else { Ok(found) }
}

fn file_error(parameter: &'static str, file: &str, reason: &dyn std::fmt::Display) -> DatabaseConfigError {
    DatabaseConfigError::File { parameter, file: file.to_owned(), reason: reason.to_string() }
}

fn client_config(roots: RootCertStore, identity: Option<Identity>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots);
    match identity {
        Some(Identity { chain, key }) => config.with_client_auth_cert(chain, key),
        None => Ok(config.with_no_client_auth()),
    }
}

#[cfg(test)]
mod tests;
