//! `<data-dir>/demo/credentials.json` (design, "Demo mode").

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use salus_access::Principal;
use salus_auth::{ClientKeyPair, NewClient, TokenRequest, sign_assertion};
use salus_demo::Population;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::settings::Settings;

/// What demo users and scripts need.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// FHIR base URL.
    pub fhir: String,
    /// Token endpoint.
    pub token: String,
    /// The backend client.
    pub backend: DemoClient,
    /// Another backend client, with rights of its own.
    pub second: DemoClient,
    /// Patients with a part to play.
    pub patients: DemoPatients,
}

/// A client and its private key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DemoClient {
    /// `client_id`
    pub client_id: String,
    /// Id of its key.
    pub kid: String,
    /// Its private key, PKCS#8.
    pub private_key_pem: String,
    /// The most it may be granted.
    pub scope: String,
}

/// Ids of patients with a part to play.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DemoPatients {
    /// Recovering: low risk.
    pub ordinary: String,
    /// In septic shock.
    pub high_risk: String,
    /// Whose Consent withholds some results.
    pub consent_restricted: String,
}

/// Where the file is.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("demo").join("credentials.json")
}

const ALL_PURPOSES: [&str; 5] = ["TREAT", "HPAYMT", "HOPERAT", "HRESCH", "ETREAT"];

impl Credentials {
    /// Reads the file; `None` where there is none.
    ///
    /// # Errors
    /// A message for a file that cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| format!("{}: {error}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Makes keys and registers the demo clients.
    pub(super) async fn register(app: &App, settings: &Settings) -> Result<Self, String> {
        let backend =
            client(app, "demo-backend", "Demo backend service", "system/*.cruds", &["Organization/demo-organization"])
                .await?;
        let second =
            client(app, "demo-second", "Second demo backend service", "system/Patient.rs system/Observation.rs", &[])
                .await?;
        let credentials =
            Self { fhir: String::new(), token: String::new(), backend, second, patients: DemoPatients::default() };
        Ok(credentials.at(settings))
    }

    /// The same for a server at the address of `settings`.
    pub(super) fn at(mut self, settings: &Settings) -> Self {
        self.fhir = settings.base();
        self.token = format!("{}/auth/token", settings.origin());
        self
    }

    /// The same with the patients of `population`.
    pub(super) fn with(mut self, population: &Population) -> Self {
        self.patients = DemoPatients {
            ordinary: population.roles.ordinary.clone(),
            high_risk: population.roles.high_risk.clone(),
            consent_restricted: population.roles.consent_restricted.clone(),
        };
        self
    }

    /// The backend client's principal, by the same flow as over HTTP.
    pub(super) async fn principal(&self, app: &App) -> Result<Arc<Principal>, String> {
        let client = &self.backend;
        let assertion = sign_assertion(
            &client.private_key_pem,
            &client.kid,
            &client.client_id,
            &app.auth.config().token_endpoint(),
        );
        let assertion = assertion.map_err(|error| error.to_string())?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", &client.scope)
            .append_pair("client_assertion_type", salus_auth::CLIENT_ASSERTION_TYPE)
            .append_pair("client_assertion", &assertion)
            .finish();
        let request = TokenRequest::from_form(form.as_bytes()).map_err(|error| error.description().to_owned())?;
        let response = app.auth.token(&request, None).await.map_err(|error| error.description().to_owned())?;
        let header = format!("Bearer {}", response.access_token);
        app.auth.authenticate(Some(&header)).await.map_err(|error| error.to_string())
    }

    /// Writes the file, readable by its owner alone; whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
        if let Some(directory) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(wrong)?;
        }
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        let draft = path.with_extension("json.new");
        let _ = std::fs::remove_file(&draft);
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(wrong)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(wrong)?;
        std::fs::rename(&draft, path).map_err(wrong)
    }
}

async fn client(app: &App, id: &str, name: &str, scope: &str, actors: &[&str]) -> Result<DemoClient, String> {
    let pair = ClientKeyPair::generate().map_err(|error| error.to_string())?;
    let clients = app.auth.clients();
    if clients.find(id).await.map_err(|error| error.to_string())?.is_some() {
        // A start that was interrupted left it behind, with a key that nobody has.
        clients.replace_keys(id, &pair.jwks).await.map_err(|error| error.to_string())?;
    } else {
        let new = NewClient {
            client_id: id.to_owned(),
            name: name.to_owned(),
            jwks: pair.jwks.clone(),
            jwks_uri: None,
            scope: scope.to_owned(),
            purpose_of_use: "TREAT".to_owned(),
            purposes: ALL_PURPOSES.map(str::to_owned).to_vec(),
            actors: actors.iter().map(|&actor| actor.to_owned()).collect(),
        };
        clients.add(new).await.map_err(|error| error.to_string())?;
    }
    Ok(DemoClient {
        client_id: id.to_owned(),
        kid: pair.kid,
        private_key_pem: pair.private_key_pem,
        scope: scope.to_owned(),
    })
}
