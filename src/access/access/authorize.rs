//! From a principal and what it asks to an [`Access`].

use std::sync::Arc;

use salus_fhir::Key;

use super::{Access, Caller, CodeSets, ConsentView, Grants, Refusal};
use crate::consent::keys::reference_key;
use crate::interaction::Interaction;
use crate::policy::{Policy, Question, Settings, TokenEntry};
use crate::principal::Principal;

/// Decides whether `principal` may do `interaction` on `resource_type` (`None` on system level), and
/// if so, on which rows. The answer is remembered for the token; that it has not expired and is not
/// revoked is for the caller to check, each time.
///
/// # Errors
/// A [`Refusal`], always 403.
pub fn authorize(
    policy: &Policy,
    principal: &Principal,
    interaction: Interaction,
    resource_type: Option<&str>,
) -> Result<Arc<Access>, Refusal> {
    let on = interaction.authorized_on(resource_type);
    let number = match on {
        Some(name) => Some(policy.types().position(name).ok_or(Refusal::UnknownType)?),
        None => None,
    };
    let token = policy.token(principal);
    if let Some(answer) = token.answer(interaction, number) {
        return answer;
    }
    let answer = decide(policy, &token, interaction, on);
    token.remember(interaction, number, &answer);
    answer
}

fn decide(
    policy: &Policy,
    token: &TokenEntry,
    interaction: Interaction,
    on: Option<&str>,
) -> Result<Arc<Access>, Refusal> {
    let principal = &token.principal;
    let on = on.and_then(|name| Some((name, policy.types().class(name)?)));
    let question = Question { principal, interaction, on, wildcard: policy.settings().wildcard };
    let granted = policy.decide(&question)?;
    let grants = token.grants.get_or_init(|| Arc::new(Grants::new(policy, principal, &granted)));
    // The policy speaks of classes; a type whose rows no patient can be found in may still have no
    // grant at all.
    let every = interaction.needs().iter();
    if !every.into_iter().all(|permission| grants.any(*permission, on.map(|(name, _)| name))) {
        return Err(question.out_of_reach());
    }
    Ok(Arc::new(Access {
        tenant: principal.tenant,
        permission: interaction.permission(),
        grants: Arc::clone(grants),
        consent: consent_view(principal, policy.settings()),
        code_sets: CodeSets::new(),
        fingerprint: fingerprint(principal, interaction, policy.settings()),
        caller: Caller::Principal(Arc::clone(principal)),
    }))
}

fn consent_view(principal: &Principal, settings: &Settings) -> ConsentView {
    let user = principal.user.as_ref().and_then(|user| user.fhir_user.as_ref());
    let mut actors: Vec<Key> =
        principal.actors.iter().chain(user).map(|reference| reference_key(reference, &settings.base)).collect();
    actors.sort_unstable();
    actors.dedup();
    ConsentView::Enforce {
        purpose: principal.purpose_of_use.clone(),
        actors,
        default_policy: settings.default_policy,
        // The policy has refused this purpose to whoever may not use it.
        break_glass: principal.purpose_of_use == BREAK_GLASS,
    }
}

/// ActReason `BTG`, break the glass.
const BREAK_GLASS: &str = "BTG";

/// Hashes everything the grants and the view on Consent are made of.
fn fingerprint(principal: &Principal, interaction: Interaction, settings: &Settings) -> Key {
    let scopes: Vec<String> = principal.scopes.iter().map(ToString::to_string).collect();
    let user = principal.user.as_ref();
    let roles = user.map_or_else(Vec::new, |user| user.roles.clone());
    Key::of(&[
        "access",
        &principal.tenant.to_string(),
        interaction.permission().letter(),
        &scopes.join(" "),
        if user.is_some() { "user" } else { "client" },
        &roles.join("\u{1f}"),
        user.and_then(|user| user.fhir_user.as_deref()).unwrap_or_default(),
        principal.patient.as_deref().unwrap_or_default(),
        &principal.purpose_of_use,
        &principal.actors.join("\u{1f}"),
        &format!("{:?}", settings.default_policy),
    ])
}
