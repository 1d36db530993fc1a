//! A backend service asks for itself (RFC 6749, section 4.4; SMART Backend Services).

use salus_access::{Scope, narrow, parse_scopes};

use crate::tokens::{self, Grant, Issued};
use crate::{AuthConfig, Client, OAuthError, OAuthErrorCode, ServerKeys, TokenRequest, TokenResponse};

/// Issues a token to `client`, which has authenticated. There is no refresh token: the client can ask
/// again at any time (RFC 6749, section 4.4.3).
pub(crate) fn grant(
    config: &AuthConfig,
    keys: &ServerKeys,
    client: &Client,
    request: &TokenRequest,
    now: i64,
) -> Result<TokenResponse, OAuthError> {
    let scope = granted_scope(config, client, request.scope.as_deref())?;
    let purpose_of_use = purpose(client, request.purpose_of_use.as_deref())?;
    let grant = Grant { client_id: &client.client_id, scope: &scope, purpose_of_use };
    let Issued { token, token_id, lifetime } = tokens::issue(config, keys, &grant, now)?;
    Ok(TokenResponse { access_token: token, token_type: "bearer", expires_in: lifetime, scope, token_id })
}

/// The requested scope, cut to what the client is registered for and to types that there are.
fn granted_scope(config: &AuthConfig, client: &Client, requested: Option<&str>) -> Result<String, OAuthError> {
    let refuse = |message: String| OAuthError::new(OAuthErrorCode::InvalidScope, message);
    let requested = requested.ok_or_else(|| refuse("scope is required, such as system/Observation.rs".to_owned()))?;
    let mut granted = narrow(&parse_scopes(requested), &parse_scopes(&client.scope), config.wildcard);
    granted.retain(|scope| match scope {
        Scope::Resource { resource_type, .. } => resource_type == "*" || config.resource_types.contains(resource_type),
        _ => true,
    });
    if granted.is_empty() {
        return Err(refuse(format!(
            "nothing of the requested scope can be granted; this client may have {}",
            client.scope
        )));
    }
    Ok(granted.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

fn purpose<'a>(client: &'a Client, requested: Option<&str>) -> Result<&'a str, OAuthError> {
    let Some(requested) = requested else {
        return Ok(&client.purpose_of_use);
    };
    client.purposes.iter().find(|purpose| *purpose == requested).map(String::as_str).ok_or_else(|| {
        OAuthError::invalid_request(format!(
            "purpose_of_use {requested} is not allowed to this client; it may use {}",
            client.purposes.join(", ")
        ))
    })
}
