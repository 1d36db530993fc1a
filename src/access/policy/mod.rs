//! The Biscuit policy and its cache of answers.
//!
//! `policy.datalog` beside this file is the policy. [`Policy::decide`] states the facts of one
//! request, runs it, and reads back whether the request is allowed and how far each scope context
//! reaches. Every failure, be it a limit or a fact that does not fit, refuses.

mod cache;
mod facts;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use biscuit_auth::builder::AuthorizerBuilder;
use biscuit_auth::error::{Logic, MatchedPolicy, Token};
use biscuit_auth::{Authorizer, AuthorizerLimits};
use salus_fhir::Definitions;

pub(crate) use cache::TokenEntry;
pub(crate) use facts::{Question, own_patient};

use crate::Error;
use crate::access::{DefaultPolicy, Refusal};
use crate::principal::Principal;
use crate::scope::{Context, Permission, Wildcard};
use crate::types::TypeTable;

const SOURCE: &str = include_str!("policy.datalog");

/// What [`Policy`] needs to know about the server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's FHIR base URL without a final slash; absolute references below it are local.
    pub base: String,
    /// What holds where no Consent decides. No default: whoever runs the server chooses.
    pub default_policy: DefaultPolicy,
    /// What a scope on all types (`*`) reaches.
    pub wildcard: Wildcard,
    /// For how many tokens answers are remembered (about 10 kB each); 4096 is plenty.
    pub cached_tokens: usize,
}

/// The access policy, parsed once, with the resource types it speaks of. Shared by all requests.
pub struct Policy {
    program: AuthorizerBuilder,
    types: Arc<TypeTable>,
    settings: Settings,
    cache: cache::TokenCache,
}

/// How far the scopes of one context reach for one class of types and one permission.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grant {
    pub context: Context,
    /// A [`crate::types::Class`] by name.
    pub class: String,
    pub permission: Permission,
    pub reach: Reach,
}

/// Which rows a [`Grant`] reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// All.
    All,
    /// Those about the user.
    Own,
    /// Those about the patient in launch context.
    Launch,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Policy {
    /// Parses the policy and reads the resource types.
    ///
    /// # Errors
    /// [`Error::Policy`] and [`Error::NoPatientCompartment`], both of which stop the start.
    pub fn new(definitions: &Definitions, settings: Settings) -> Result<Self, Error> {
        Self::with_types(TypeTable::new(definitions)?, settings)
    }

    pub(crate) fn with_types(types: TypeTable, settings: Settings) -> Result<Self, Error> {
        let program = AuthorizerBuilder::new()
            .code(SOURCE)
            .map_err(|error| Error::Policy(error.to_string()))?
            .set_limits(limits());
        let cache = cache::TokenCache::new(settings.cached_tokens);
        Ok(Self { program, types: Arc::new(types), settings, cache })
    }

    /// Forgets what was decided for the token with this `jti`, as on revocation. Refusing a revoked
    /// or expired token is the caller's part; this only frees the memory at once.
    pub fn forget(&self, token_id: &str) {
        self.cache.forget(token_id);
    }

    /// The server's settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn types(&self) -> &Arc<TypeTable> {
        &self.types
    }

    pub(crate) fn token(&self, principal: &Principal) -> Arc<TokenEntry> {
        self.cache.entry(principal)
    }

    /// Runs the policy for one request.
    pub(crate) fn decide(&self, question: &Question) -> Result<BTreeSet<Grant>, Refusal> {
        let mut authorizer =
            question.state(self.program.clone()).and_then(AuthorizerBuilder::build_unauthenticated).map_err(failure)?;
        match authorizer.authorize() {
            Ok(_) => grants(&mut authorizer),
            Err(Token::FailedLogic(logic)) => Err(explain(&logic, &mut authorizer, question)),
            Err(error) => Err(failure(error)),
        }
    }
}

/// Biscuit's defaults (1 ms, 1,000 facts) guard against hostile tokens; here the program is ours and
/// the facts are bounded by the token's size, while a busy machine may well take a thread away for
/// more than a millisecond. Running out refuses the request.
fn limits() -> AuthorizerLimits {
    AuthorizerLimits { max_facts: 20_000, max_iterations: 100, max_time: Duration::from_secs(5) }
}

fn failure(error: Token) -> Refusal {
    Refusal::Policy { reason: error.to_string() }
}

fn grants(authorizer: &mut Authorizer) -> Result<BTreeSet<Grant>, Refusal> {
    let facts: Vec<(String, String, String, String)> =
        authorizer.query("data($c, $k, $p, $r) <- grant($c, $k, $p, $r)").map_err(failure)?;
    facts.into_iter().map(grant).collect()
}

fn grant((context, class, letter, reach): (String, String, String, String)) -> Result<Grant, Refusal> {
    let unknown = || Refusal::Policy { reason: "the policy derived a grant with an unknown word".to_owned() };
    let context = match context.as_str() {
        "patient" => Context::Patient,
        "user" => Context::User,
        "system" => Context::System,
        _ => return Err(unknown()),
    };
    let reach = match reach.as_str() {
        "all" => Reach::All,
        "self" => Reach::Own,
        "launch" => Reach::Launch,
        _ => return Err(unknown()),
    };
    let permission = Permission::ALL.into_iter().find(|p| p.letter() == letter).ok_or_else(unknown)?;
    Ok(Grant { context, class, permission, reach })
}

/// Says why the policy refused. Whatever cannot be told apart is refused all the same.
fn explain(logic: &Logic, authorizer: &mut Authorizer, question: &Question) -> Refusal {
    match logic {
        Logic::Unauthorized { policy: MatchedPolicy::Deny(_), .. } => return Refusal::AppendOnly,
        Logic::Unauthorized { checks, .. } | Logic::NoMatchingPolicy { checks } if !checks.is_empty() => {
            return Refusal::BreakGlass;
        }
        _ => {}
    }
    let scoped: Vec<(String, String)> = match authorizer.query("data($c, $p) <- scoped($c, $p)") {
        Ok(scoped) => scoped,
        Err(error) => return failure(error),
    };
    question.refusal(&scoped)
}

#[cfg(test)]
pub(crate) mod tests;
