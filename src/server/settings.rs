//! Settings: flags before `SALUS_*` variables before `salus.toml` before defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use salus_access::DefaultPolicy;
use serde::{Deserialize, Serialize};

/// How the server runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The URL clients reach it at, without `/fhir`; by default the address it listens on.
    pub origin: Option<String>,
    /// Keys, demo credentials, and the private cluster.
    pub data_dir: PathBuf,
    /// A PostgreSQL to use instead of the private cluster. A secret: it may hold a password.
    pub database_url: Option<String>,
    /// Where FHIR packages are cached; by default the user's cache directory.
    pub cache_dir: Option<PathBuf>,
    /// The model folders.
    pub operations_dir: PathBuf,
    /// Most database connections for requests.
    pub connections: usize,
    /// Load a synthetic population and make demo credentials. Loopback only.
    pub demo: bool,
    /// Patients of the synthetic population.
    pub demo_patients: usize,
    /// What holds where a patient has no Consent: `permit-normal`, `permit-all`, `break-glass-only` or
    /// `deny`. Not set, it is `permit-all` in demo mode and `permit-normal` elsewhere.
    pub consent_default: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let beside = PathBuf::from("operations");
        let source = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/operations"));
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            origin: None,
            data_dir: PathBuf::from(".salus"),
            database_url: None,
            cache_dir: None,
            operations_dir: if beside.is_dir() { beside } else { source },
            connections: 16,
            demo: false,
            demo_patients: 100,
            consent_default: None,
        }
    }
}

/// What the command line says; only what is given counts.
#[derive(Debug, Clone, Default, Serialize, clap::Args)]
pub struct Flags {
    /// Load a synthetic population and write demo credentials (loopback only)
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub demo: bool,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// URL at which clients reach the server, without /fhir [default: http://ADDR]
    #[arg(long, value_name = "URL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Directory of keys, demo credentials and the private database [default: .salus]
    #[arg(long, value_name = "DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// PostgreSQL to use instead of a private one (`doctor` alone takes it without a value: print the URL of the
    /// private one)
    #[arg(long, value_name = "URL", global = true, num_args = 0..=1, default_missing_value = "")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// A message that names the setting and where its value came from.
    pub fn read(flags: &Flags) -> Result<Self, String> {
        let figment = Figment::from(Serialized::defaults(Self::default()))
            .merge(Toml::file("salus.toml"))
            .merge(Env::raw().only(&["DATABASE_URL"]))
            .merge(Env::prefixed("SALUS_"))
            .merge(Serialized::defaults(flags));
        let settings: Self = figment.extract().map_err(|error| error.to_string())?;
        match settings.database_url.as_deref() {
            Some("") => Err("--database-url needs a URL, such as postgresql://salus@db.example/salus".to_owned()),
            _ => Ok(settings),
        }
    }

    /// The URL clients reach the server at.
    pub fn origin(&self) -> String {
        match &self.origin {
            Some(origin) => origin.trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.listen),
        }
    }

    /// The FHIR base URL.
    pub fn base(&self) -> String {
        format!("{}/fhir", self.origin())
    }

    fn consent_default_name(&self) -> &str {
        self.consent_default.as_deref().unwrap_or(if self.demo { "permit-all" } else { "permit-normal" })
    }

    /// What holds where a patient has no Consent.
    ///
    /// # Errors
    /// A message for a name that is none of the four.
    pub fn default_policy(&self) -> Result<DefaultPolicy, String> {
        Ok(match self.consent_default_name() {
            "permit-normal" => DefaultPolicy::PermitNormal,
            "permit-all" => DefaultPolicy::PermitAll,
            "break-glass-only" => DefaultPolicy::BreakGlassOnly,
            "deny" => DefaultPolicy::Deny,
            other => {
                return Err(format!(
                    "consent_default: '{other}' is none of permit-normal, permit-all, break-glass-only, deny"
                ));
            }
        })
    }

    /// The settings as TOML-like lines, secrets hidden.
    pub fn shown(&self) -> String {
        let secret = |secret: &Option<String>| {
            secret.as_ref().map_or("(private cluster)".to_owned(), |_| "(set, hidden)".to_owned())
        };
        format!(
            "listen = \"{}\"\norigin = \"{}\"\ndata_dir = \"{}\"\ndatabase_url = \"{}\"\ncache_dir = {:?}\noperations_dir = \"{}\"\nconnections = {}\ndemo = {}\ndemo_patients = {}\nconsent_default = \"{}\"\n",
            self.listen,
            self.origin(),
            self.data_dir.display(),
            secret(&self.database_url),
            self.cache_dir,
            self.operations_dir.display(),
            self.connections,
            self.demo,
            self.demo_patients,
            self.consent_default_name(),
        )
    }
}
