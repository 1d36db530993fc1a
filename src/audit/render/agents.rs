//! Who took part: the client, this server, the user, and the token that authorized them.

use std::borrow::Cow;
use std::net::IpAddr;

use super::resource::{Agent, CodeableConcept, Coding, Identifier, Network, Reference};
use super::{Server, codes, text};
use crate::record::{AuditKind, AuditRecord, AuditUser};

/// The agents of an event. Exactly one of them is the requestor: the user, else the bearer of the
/// token, else the client, else the server itself.
pub(super) fn agents<'r>(record: &'r AuditRecord<'_>, server: &Server<'r>) -> Vec<Agent<'r>> {
    let (client_role, server_role) = roles(codes::attempted(record));
    // A token's own request is not authorized by a token, and the profile of ITI-71 is closed.
    let token = text(&record.token_id).filter(|_| uses_token(record.kind));
    let token = token.as_deref();
    let address = text(&record.address);
    let internal = address.is_none() && text(&record.client_id).is_none();

    let mut agents = Vec::with_capacity(4);
    if !internal {
        agents.push(Agent {
            policy: consent_policy(record),
            network: address.map(network),
            ..plain(client_role, client(record), record.user.is_none() && token.is_none())
        });
    }
    // The authorizer of a Consent decision has no network (BALP 1.1.4, AuthZconsent).
    let networked = record.kind != AuditKind::ConsentDecision;
    let initiated = internal && record.user.is_none();
    agents.push(Agent {
        network: networked.then_some(Network { address: Cow::Borrowed(server.base), kind: "5" }),
        ..plain(server_role, Reference::to(Cow::Borrowed(server.device)), initiated)
    });
    match (&record.user, token) {
        (Some(user), _) => {
            agents.push(user_agent(record, user, token));
            agents.extend(organization(record, user));
        }
        (None, Some(token)) if !internal => {
            let mut bearer = plain(codes::OAUTH_USER, client(record), true);
            bearer.policy = vec![jti(token)];
            bearer.purpose_of_use = codes::purposes_of_use(record);
            agents.push(bearer);
        }
        _ => {}
    }
    agents
}

/// The roles of client and server. A read's data flows to the client; a query's parameters, like
/// what is written, flow to the server (BALP 1.1.4, Query). A delete moves nothing.
fn roles(kind: AuditKind) -> (Coding<'static>, Coding<'static>) {
    match kind {
        AuditKind::Read | AuditKind::History | AuditKind::Export | AuditKind::AuditLogUse => {
            (codes::DESTINATION, codes::SOURCE)
        }
        AuditKind::Delete => (codes::APPLICATION, codes::CUSTODIAN),
        AuditKind::TokenIssued
        | AuditKind::TokenRefused
        | AuditKind::TokenRevoked
        | AuditKind::TokenIntrospected
        | AuditKind::Login
        | AuditKind::Logout => (codes::APPLICATION, codes::OAUTH_SERVICE),
        AuditKind::ConsentDecision => (codes::APPLICATION, codes::AUTHORIZATION_SERVER),
        AuditKind::ServerStarted | AuditKind::ServerStopped => (codes::APPLICATION, codes::APPLICATION),
        _ => (codes::SOURCE, codes::DESTINATION),
    }
}

fn uses_token(kind: AuditKind) -> bool {
    !matches!(
        kind,
        AuditKind::TokenIssued
            | AuditKind::TokenRefused
            | AuditKind::TokenRevoked
            | AuditKind::TokenIntrospected
            | AuditKind::Login
            | AuditKind::Logout
            | AuditKind::ConsentDecision
    )
}

fn plain<'r>(role: Coding<'r>, who: Reference<'r>, requestor: bool) -> Agent<'r> {
    Agent {
        kind: CodeableConcept::of(role),
        role: Vec::new(),
        who,
        requestor,
        policy: Vec::new(),
        network: None,
        purpose_of_use: Vec::new(),
    }
}

fn client<'r>(record: &'r AuditRecord<'_>) -> Reference<'r> {
    match text(&record.client_id) {
        Some(id) => Reference::identified(id),
        None => Reference::described("unauthenticated client"),
    }
}

/// The user; where a token authorized the act, the same agent is the OAuth user of the profile of
/// token use, which its second coding says.
fn user_agent<'r>(record: &'r AuditRecord<'_>, user: &'r AuditUser<'_>, token: Option<&str>) -> Agent<'r> {
    let role = match codes::attempted(record) {
        AuditKind::Create | AuditKind::Update | AuditKind::Delete | AuditKind::Import => codes::AUTHOR,
        _ => codes::RECIPIENT,
    };
    let who = Reference {
        reference: user.fhir_user.as_deref().map(Cow::Borrowed),
        identifier: Some(Identifier { value: Cow::Borrowed(&user.id) }),
        display: None,
    };
    let mut agent = plain(role, who, true);
    if token.is_some() {
        agent.kind.coding.push(codes::OAUTH_USER);
    }
    agent.role = user.roles.iter().map(|role| CodeableConcept::of(codes::own("role", role))).collect();
    agent.policy = match token {
        Some(token) => vec![jti(token)],
        None => consent_policy(record),
    };
    agent.purpose_of_use = codes::purposes_of_use(record);
    agent
}

/// The user's organization, which a Consent decision names (BALP 1.1.4, AuthZconsent).
fn organization<'r>(record: &AuditRecord<'_>, user: &'r AuditUser<'_>) -> Option<Agent<'r>> {
    if record.kind != AuditKind::ConsentDecision {
        return None;
    }
    let organization = user.organization.as_deref()?;
    Some(plain(codes::PROVIDER, Reference::to(Cow::Borrowed(organization)), false))
}

/// A Consent decision tells the token that asked as a policy of client and user.
fn consent_policy(record: &AuditRecord<'_>) -> Vec<String> {
    match text(&record.token_id) {
        Some(token) if record.kind == AuditKind::ConsentDecision => vec![jti(&token)],
        _ => Vec::new(),
    }
}

/// A token's id as the URI that BALP demands (OAUTHaccessTokenUse.Minimal, `agent.policy`).
fn jti(token: &str) -> String {
    format!("urn:ietf:params:oauth:jti:{token}")
}

fn network(address: Cow<'_, str>) -> Network<'_> {
    let kind = if address.parse::<IpAddr>().is_ok() { "2" } else { "1" };
    Network { address, kind }
}
