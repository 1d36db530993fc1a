//! The facts of one request, as the policy reads them.

use std::collections::BTreeSet;

use biscuit_auth::builder::{AuthorizerBuilder, fact, string};
use biscuit_auth::error::Token;

use crate::access::Refusal;
use crate::interaction::Interaction;
use crate::principal::Principal;
use crate::scope::{Context, Scope, Wildcard};
use crate::types::Class;

/// One request, as put to the policy.
pub(crate) struct Question<'a> {
    pub principal: &'a Principal,
    pub interaction: Interaction,
    /// The resource type the permissions must be on, and its class; `None` on system level.
    pub on: Option<(&'a str, Class)>,
    pub wildcard: Wildcard,
}

/// The user's own Patient id, for users who are patients.
pub(crate) fn own_patient(principal: &Principal) -> Option<&str> {
    principal.user.as_ref()?.fhir_user.as_deref()?.strip_prefix("Patient/")
}

impl Question<'_> {
    /// Adds the facts to the policy.
    pub fn state(&self, program: AuthorizerBuilder) -> Result<AuthorizerBuilder, Token> {
        let mut stated = program;
        let mut say = |name: &str, terms: &[&str]| -> Result<(), Token> {
            let terms: Vec<_> = terms.iter().map(|term| string(term)).collect();
            stated = std::mem::take(&mut stated).fact(fact(name, &terms))?;
            Ok(())
        };
        let principal = self.principal;
        match &principal.user {
            None => say("caller", &["client"])?,
            Some(user) => {
                say("caller", &["user"])?;
                user.roles.iter().try_for_each(|role| say("role", &[role]))?;
            }
        }
        if let Some(launch) = principal.patient.as_deref() {
            let whose = if own_patient(principal) == Some(launch) { "self" } else { "other" };
            say("launch_patient", &[whose])?;
        }
        say("purpose", &[&principal.purpose_of_use])?;
        for (context, letter, name) in self.scopes() {
            say("scope", &[context, name, letter])?;
        }
        let (name, class) = self.on.map_or(("*", "*"), |(name, class)| (name, class.as_str()));
        let (first, second) = self.letters();
        let interaction = match self.interaction {
            Interaction::Operation(operation) => format!("${}", operation.name),
            plain => plain.code().to_owned(),
        };
        say("request", &[&interaction, name, class, first, second])?;
        Ok(stated)
    }

    /// The scopes that bear on the request: those on its type or on all (see [`Wildcard`]); on system level one for each
    /// context and permission. A token may hold hundreds, and each would cost the policy time.
    fn scopes(&self) -> BTreeSet<(&'static str, &'static str, &str)> {
        let mut stated = BTreeSet::new();
        for scope in &self.principal.scopes {
            let Scope::Resource { context, resource_type, permissions, .. } = scope else {
                continue;
            };
            let name = match self.on {
                None => "*",
                Some((asked, _)) if self.wildcard.bears(resource_type, asked) => resource_type,
                Some(_) => continue,
            };
            stated.extend(permissions.iter().map(|permission| (context.as_str(), permission.letter(), name)));
        }
        stated
    }

    /// The letters of the one or two permissions the interaction takes; one stands twice.
    fn letters(&self) -> (&'static str, &'static str) {
        match self.interaction.needs() {
            [] => ("", ""),
            [only] => (only.letter(), only.letter()),
            [first, second, ..] => (first.letter(), second.letter()),
        }
    }

    /// Why a request is refused for which the token's scopes grant `scoped` (context, letter).
    pub fn refusal(&self, scoped: &[(String, String)]) -> Refusal {
        let missing =
            self.interaction.needs().iter().any(|needed| !scoped.iter().any(|(_, letter)| letter == needed.letter()));
        if missing {
            return Refusal::InsufficientScope { needed: self.needed() };
        }
        let patient_only = scoped.iter().all(|(context, _)| context == Context::Patient.as_str());
        match self.principal.patient {
            None if patient_only => Refusal::PatientContext,
            _ => Refusal::Role { needed: self.needed() },
        }
    }

    /// Why a request is refused that the policy allows but that reaches no row of any type.
    pub fn out_of_reach(&self) -> Refusal {
        Refusal::Role { needed: self.needed() }
    }

    /// The scope that would have been enough: `user/Observation.rs`.
    fn needed(&self) -> String {
        let context = match (&self.principal.user, &self.principal.patient) {
            (_, Some(_)) => Context::Patient,
            (Some(_), None) => Context::User,
            (None, None) => Context::System,
        };
        let letters = crate::scope::Permissions::of(self.interaction.needs());
        let name = self.on.map_or("*", |(name, _)| name);
        format!("{}/{name}.{letters}", context.as_str())
    }
}
