//! From a Consent resource to rules.

use salus_fhir::Key;
use salus_fhir::datatypes::Reference;
use salus_fhir::json::Value;

use super::dimensions::{self, Dimension};
use super::{ConsentRule, Effect};

/// Deeper provisions than this are not read: the Consent denies everything instead. JSON nesting is
/// bounded before, but not as tightly.
const MAX_DEPTH: usize = 32;

/// The rules of a Consent. `base` is the server's FHIR base URL without a final slash.
///
/// None for a Consent that is not active, is not about privacy (`Consent.scope` `patient-privacy`),
/// or names no Patient of this server: it binds nobody's data here. The effect of the root is
/// `provision.type` where it is given (IHE PCF), else that of `policyRule` (`OPTIN` permit, `OPTOUT`
/// deny), else permit; a nested provision without a type denies. See the [module](super) for what
/// cannot be evaluated.
pub fn compile(consent: &Value<'_>, base: &str) -> Vec<ConsentRule> {
    let Some(patient) = patient(consent, base).filter(|_| binds(consent)) else {
        return Vec::new();
    };
    let rid = Key::resource("Consent", consent.get_str("id").unwrap_or_default());
    let mut tree = Tree { base, patient, consent: rid, rules: Vec::new(), next: 0, too_deep: false };
    let effect = policy_effect(consent);
    match consent.get("provision") {
        None => tree.rules.push(tree.everything(effect)),
        Some(root @ Value::Object(_)) => tree.read(root, &Above::default(), effect, "Consent.provision", 0),
        Some(_) => tree.rules.push(tree.everything(Effect::Deny)),
    }
    if tree.too_deep {
        tree.rules = vec![tree.everything(Effect::Deny)];
    }
    tree.rules
}

/// Whether a Consent bears on who may see what: active, and about privacy.
fn binds(consent: &Value<'_>) -> bool {
    let scopes = consent.get("scope").map_or(&[][..], |scope| scope.items("coding"));
    consent.get_str("status") == Some("active")
        && scopes.iter().any(|coding| coding.get_str("code") == Some("patient-privacy"))
}

fn patient(consent: &Value<'_>, base: &str) -> Option<Key> {
    let reference = consent.get("patient")?.get_str("reference")?;
    match Reference::parse_below(reference, base) {
        Reference::Relative { resource_type: "Patient", id, .. } => Some(Key::resource("Patient", id)),
        _ => None,
    }
}

/// What `policyRule` says of everything (v3 ActConsentDirective and its older spellings).
fn policy_effect(consent: &Value<'_>) -> Effect {
    let codings = consent.get("policyRule").map_or(&[][..], |rule| rule.items("coding"));
    let denies = codings
        .iter()
        .filter_map(|coding| coding.get_str("code"))
        .any(|code| ["OPTOUT", "OPTOUTE", "opt-out"].contains(&code));
    if denies { Effect::Deny } else { Effect::Permit }
}

struct Tree<'a> {
    base: &'a str,
    patient: Key,
    consent: Key,
    rules: Vec<ConsentRule>,
    next: i32,
    too_deep: bool,
}

/// What a provision inherits.
#[derive(Clone, Default)]
struct Above {
    /// The rules above, outermost first.
    ancestors: Vec<i32>,
    /// Whether any provision above, kept or not, could not be evaluated, so that nothing below permits.
    unclear: bool,
}

impl Tree<'_> {
    /// A rule without any dimension.
    fn everything(&self, effect: Effect) -> ConsentRule {
        ConsentRule {
            patient: self.patient,
            consent: self.consent,
            node: 0,
            parent: None,
            ancestors: Vec::new(),
            path: "Consent.provision".to_owned(),
            effect,
            period: (None, None),
            actors: None,
            purposes: None,
            classes: None,
            codes: None,
            labels: None,
            data: None,
            data_period: (None, None),
            actions: None,
        }
    }

    /// Reads a provision and those below it.
    fn read(&mut self, provision: &Value<'_>, above: &Above, implied: Effect, path: &str, depth: usize) {
        if depth > MAX_DEPTH {
            self.too_deep = true;
            return;
        }
        let effect = match provision.get("type") {
            None => implied,
            Some(given) if given.as_str() == Some("permit") => Effect::Permit,
            Some(_) => Effect::Deny,
        };
        let (mut rule, unclear) = self.rule(provision, effect);
        rule.node = self.next;
        rule.path = path.to_owned();
        rule.parent = above.ancestors.last().copied();
        rule.ancestors.clone_from(&above.ancestors);
        self.next += 1;
        let mut below = Above { ancestors: above.ancestors.clone(), unclear: above.unclear || unclear };
        // An unclear permit, and any permit below something unclear, never decides: it is left out,
        // and what it denies stands one level higher.
        if effect == Effect::Deny || !below.unclear {
            below.ancestors.push(rule.node);
            self.rules.push(rule);
        }
        self.children(provision, &below, path, depth);
    }

    fn children(&mut self, provision: &Value<'_>, above: &Above, path: &str, depth: usize) {
        let Some(children) = provision.get("provision") else {
            return;
        };
        // One provision where a list belongs is read as a list of one.
        for (index, child) in children.as_array().unwrap_or(std::slice::from_ref(children)).iter().enumerate() {
            self.read(child, above, Effect::Deny, &format!("{path}.provision[{index}]"), depth + 1);
        }
    }

    /// A provision's own rule, and whether any part of it could not be evaluated.
    fn rule(&self, provision: &Value<'_>, effect: Effect) -> (ConsentRule, bool) {
        let mut unclear = provision.as_object().is_none();
        let actors = take(dimensions::actors(provision, self.base), &mut unclear);
        let purposes = take(dimensions::purposes(provision), &mut unclear);
        let actions = take(dimensions::actions(provision), &mut unclear);
        let (classes, codes) = dimensions::contents(provision);
        let (classes, codes) = (take(classes, &mut unclear), take(codes, &mut unclear));
        let labels = take(dimensions::labels(provision, effect == Effect::Deny), &mut unclear);
        let data = take(dimensions::data(provision, self.base), &mut unclear);
        let mut period = |name| {
            dimensions::period(provision, name).unwrap_or_else(|| {
                unclear = true;
                (None, None)
            })
        };
        let (period, data_period) = (period("period"), period("dataPeriod"));
        let rule = ConsentRule {
            period,
            actors,
            purposes,
            classes,
            codes,
            labels,
            data,
            data_period,
            actions,
            ..self.everything(effect)
        };
        (rule, unclear)
    }
}

fn take<T>(dimension: Dimension<T>, unclear: &mut bool) -> Option<Vec<T>> {
    *unclear |= dimension.is_unclear();
    dimension.into_values()
}
