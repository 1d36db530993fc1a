//! Settings: flags before `SALUS_*` variables before `salus.toml` before defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use salus_access::{DefaultPolicy, Wildcard};
use serde::{Deserialize, Serialize};

use crate::limits::Limits;

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
    /// Which scopes reach AuditEvents: `named`, those that name the type, or `any`, those on all types as
    /// well. Not set, it is `any` in demo mode and `named` elsewhere.
    pub audit_scope: Option<String>,
    /// Origins whose pages may call the server, with commas between them, or `*` for all. Not set, it is `*` in
    /// demo mode and none elsewhere.
    pub cors_origins: Option<String>,
    /// Most resources a second that a reindex job goes through.
    pub reindex_rate: u32,
    /// What requests may take of the server.
    #[serde(flatten)]
    pub limits: Limits,
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
            audit_scope: None,
            cors_origins: None,
            reindex_rate: 2000,
            limits: Limits::default(),
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

    fn audit_scope_name(&self) -> &str {
        self.audit_scope.as_deref().unwrap_or(if self.demo { "any" } else { "named" })
    }

    /// What a scope on all types reaches.
    ///
    /// # Errors
    /// A message for an `audit_scope` that is neither of the two.
    pub fn wildcard(&self) -> Result<Wildcard, String> {
        match self.audit_scope_name() {
            "named" => Ok(Wildcard::AllButTrail),
            "any" => Ok(Wildcard::AllTypes),
            other => Err(format!("audit_scope: '{other}' is neither named nor any")),
        }
    }

    /// Origins whose pages may call the server.
    pub fn cors_origins(&self) -> &str {
        self.cors_origins.as_deref().unwrap_or(if self.demo { "*" } else { "" })
    }

    /// The settings as lines of `salus.toml`, secrets hidden; what is not set is a comment.
    pub fn shown(&self) -> String {
        let path = |path: &PathBuf| quoted(&path.display().to_string());
        let limits = &self.limits;
        let lines = [
            ("listen", Some(quoted(&self.listen.to_string()))),
            ("origin", Some(quoted(&self.origin()))),
            ("data_dir", Some(path(&self.data_dir))),
            ("database_url", self.database_url.as_ref().map(|_| quoted("(set, hidden)"))),
            ("cache_dir", self.cache_dir.as_ref().map(path)),
            ("operations_dir", Some(path(&self.operations_dir))),
            ("connections", Some(self.connections.to_string())),
            ("demo", Some(self.demo.to_string())),
            ("demo_patients", Some(self.demo_patients.to_string())),
            ("consent_default", Some(quoted(self.consent_default_name()))),
            ("audit_scope", Some(quoted(self.audit_scope_name()))),
            ("cors_origins", Some(quoted(self.cors_origins()))),
            ("reindex_rate", Some(self.reindex_rate.to_string())),
            ("header_timeout", Some(limits.header_timeout.to_string())),
            ("body_timeout", Some(limits.body_timeout.to_string())),
            ("request_timeout", Some(limits.request_timeout.to_string())),
            ("shutdown_timeout", Some(limits.shutdown_timeout.to_string())),
            ("most_requests", Some(limits.most_requests.to_string())),
            ("most_sockets", Some(limits.most_sockets.to_string())),
            ("most_bundle_entries", Some(limits.most_bundle_entries.to_string())),
        ];
        let line = |(name, value): &(&str, Option<String>)| match value {
            Some(value) => format!("{name} = {value}\n"),
            None => format!("# {name} is not set\n"),
        };
        lines.iter().map(line).collect()
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use figment::Figment;
    use figment::providers::{Format as _, Toml};

    use super::Settings;

    #[test]
    fn what_is_shown_can_be_read_again_and_names_every_setting() {
        let mut settings = Settings::default();
        settings.limits.most_requests = 7;
        settings.database_url = Some("postgresql://salus:secret@db.example/salus".to_owned());
        let shown = settings.shown();
        assert!(!shown.contains("secret"));
        let read: Settings = Figment::from(Toml::string(&shown)).extract().unwrap();
        assert_eq!(read.limits.most_requests, 7);
        assert_eq!(read.shown(), shown);
        let documented = include_str!("../../docs/settings.md");
        for line in shown.lines() {
            let name = line.trim_start_matches("# ").split([' ', '=']).next().unwrap();
            assert!(documented.contains(&format!("`{name}`")), "{name} is in docs/settings.md");
        }
    }
}
