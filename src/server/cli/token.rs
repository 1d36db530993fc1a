//! `salus token`: an access token of the running demo server, got by the real flow.

use salus_auth::sign_assertion;
use serde_json::Value;

use super::{Outcome, say};
use crate::demo::credentials;
use crate::settings::{Flags, Settings};

/// Arguments of `salus token`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which demo client asks
    #[arg(long, default_value = "backend", value_parser = ["backend", "second"])]
    client: String,
    /// Scope to ask for [default: all of the client's]
    #[arg(long)]
    scope: Option<String>,
    /// Purpose of use, an ActReason code such as HRESCH [default: the client's]
    #[arg(long)]
    purpose: Option<String>,
}

/// Prints one access token.
pub(super) fn run(flags: &Flags, arguments: &Arguments) -> Outcome {
    let settings = Settings::read(flags)?;
    let path = credentials::path(&settings.data_dir);
    let no_server = || format!("no demo server has written {}; start one with 'salus serve --demo'", path.display());
    let text = std::fs::read_to_string(&path).map_err(|_| no_server())?;
    let credentials: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let client = &credentials[&arguments.client];
    let text = |value: &Value, name: &str| {
        value[name]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("{} has no {name} for '{}'", path.display(), arguments.client))
    };
    let url = text(&credentials, "token")?;
    let (client_id, kid, key) = (text(client, "client_id")?, text(client, "kid")?, text(client, "private_key_pem")?);
    let scope = match &arguments.scope {
        Some(scope) => scope.clone(),
        None => text(client, "scope")?,
    };
    let assertion = sign_assertion(&key, &kid, &client_id, &url).map_err(|error| error.to_string())?;
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_assertion_type", salus_auth::CLIENT_ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
        ("scope", scope.as_str()),
    ];
    form.extend(arguments.purpose.as_deref().map(|purpose| ("purpose_of_use", purpose)));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response =
        agent.post(&url).send_form(form).map_err(|error| format!("no demo server answers at {url}: {error}"))?;
    let body = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
    let answer: Value = serde_json::from_str(&body).map_err(|_| format!("{url} answered {}", response.status()))?;
    match answer["access_token"].as_str() {
        Some(token) => {
            say(token);
            Ok(())
        }
        None => Err(format!("{url} refused: {}", answer["error_description"].as_str().unwrap_or("no reason given"))),
    }
}
