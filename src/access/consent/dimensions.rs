//! Reading the dimensions of a provision, and noticing what cannot be evaluated.

use salus_fhir::Key;
use salus_fhir::datatypes::{DateTime, Interval};
use salus_fhir::json::Value;

use super::keys::{CONFIDENTIALITY, code_key, confidentiality_keys, label_key, reference_key};
use super::purpose::{ACT_REASON, with_narrower};

/// `Consent.provision.class` codes that are resource types.
const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";
/// R4 `Consent.provision.action` (valueset-consent-action).
const CONSENT_ACTION: &str = "http://terminology.hl7.org/CodeSystem/consentaction";
const ACTIONS: [&str; 5] = ["collect", "access", "use", "disclose", "correct"];
/// Roles of an actor who made the data rather than receives them.
const AUTHOR_ROLES: [&str; 2] = ["AUT", "AUTHEN"];

/// One dimension as read: its values, or that it could not be evaluated as a whole.
pub(super) enum Dimension<T> {
    /// Absent: matches all.
    Any,
    /// Present and understood.
    Values(Vec<T>),
    /// Present and, at least in part, not understood.
    Unclear,
}

impl<T> Dimension<T> {
    /// Whether it could not be evaluated.
    pub fn is_unclear(&self) -> bool {
        matches!(self, Self::Unclear)
    }

    /// The values to match; `None` for all. An unclear dimension matches all, which is right only in
    /// a deny.
    pub fn into_values(self) -> Option<Vec<T>> {
        match self {
            Self::Values(values) => Some(values),
            Self::Any | Self::Unclear => None,
        }
    }
}

/// Reads each item of the array `name`; one that `read` does not understand makes all unclear. So
/// does anything there that is not an array with items.
fn each<T>(provision: &Value<'_>, name: &str, mut read: impl FnMut(&Value<'_>) -> Option<Vec<T>>) -> Dimension<T> {
    let Some(value) = provision.get(name) else {
        return Dimension::Any;
    };
    let mut values = Vec::new();
    match value.as_array() {
        Some(items) if !items.is_empty() => {
            for item in items {
                match read(item) {
                    Some(found) => values.extend(found),
                    None => return Dimension::Unclear,
                }
            }
            Dimension::Values(values)
        }
        _ => Dimension::Unclear,
    }
}

/// `actor`: who asks.
pub(super) fn actors(provision: &Value<'_>, base: &str) -> Dimension<Key> {
    each(provision, "actor", |actor| {
        let roles = actor.get("role").map_or(&[][..], |role| role.items("coding"));
        let made_it = |role: &Value<'_>| role.get_str("code").is_some_and(|code| AUTHOR_ROLES.contains(&code));
        if roles.iter().any(made_it) {
            return None;
        }
        let reference = actor.get("reference")?.get_str("reference")?;
        Some(vec![reference_key(reference, base)])
    })
}

/// `purpose`: what for, narrower purposes included.
pub(super) fn purposes(provision: &Value<'_>) -> Dimension<String> {
    each(provision, "purpose", |coding| {
        let code = coding.get_str("code")?;
        let known = coding.get_str("system").is_none_or(|system| system == ACT_REASON);
        known.then(|| with_narrower(code).map(str::to_owned).collect())
    })
}

/// `action`: doing what.
pub(super) fn actions(provision: &Value<'_>) -> Dimension<String> {
    each(provision, "action", |concept| {
        let coding = concept.items("coding").iter().find(|coding| {
            coding.get_str("system").is_none_or(|system| system == CONSENT_ACTION)
                && coding.get_str("code").is_some_and(|code| ACTIONS.contains(&code))
        })?;
        Some(vec![coding.get_str("code")?.to_owned()])
    })
}

/// `class` and `code`: what the rows are. Classes that are resource types stay classes. Classes of
/// other systems (a MIME type, a document type) are codes of the row; together with resource types
/// or with `code` they would need an "or" that the rule has not, and are unclear.
pub(super) fn contents(provision: &Value<'_>) -> (Dimension<String>, Dimension<Key>) {
    let types = each(provision, "class", |coding| {
        let code = coding.get_str("code")?;
        (coding.get_str("system") == Some(RESOURCE_TYPES)).then(|| vec![code.to_owned()])
    });
    let codes = codes(provision);
    if !types.is_unclear() {
        return (types, codes);
    }
    let others = each(provision, "class", |coding| {
        let system = coding.get_str("system").filter(|system| *system != RESOURCE_TYPES)?;
        Some(vec![code_key(Some(system), coding.get_str("code")?)])
    });
    match codes {
        Dimension::Any if !others.is_unclear() => (Dimension::Any, others),
        codes => (Dimension::Unclear, codes),
    }
}

fn codes(provision: &Value<'_>) -> Dimension<Key> {
    each(provision, "code", |concept| {
        let codings = concept.items("coding");
        let keys: Option<Vec<_>> = codings.iter().map(coding_key).collect();
        keys.filter(|keys| !keys.is_empty())
    })
}

fn coding_key(coding: &Value<'_>) -> Option<Key> {
    Some(code_key(Some(coding.get_str("system")?), coding.get_str("code")?))
}

/// `securityLabel`: how the rows are labelled. Confidentiality codes take in the more restrictive
/// ones in a deny, the less restrictive ones in a permit.
pub(super) fn labels(provision: &Value<'_>, deny: bool) -> Dimension<Key> {
    each(provision, "securityLabel", |coding| {
        let (system, code) = (coding.get_str("system")?, coding.get_str("code")?);
        if system == CONFIDENTIALITY {
            return confidentiality_keys(code, deny);
        }
        Some(vec![label_key(system, code)])
    })
}

/// `data`: these very rows. Only meaning `instance` can be evaluated.
pub(super) fn data(provision: &Value<'_>, base: &str) -> Dimension<Key> {
    each(provision, "data", |data| {
        let reference = data.get("reference")?.get_str("reference")?;
        (data.get_str("meaning")? == "instance").then(|| vec![reference_key(reference, base)])
    })
}

/// A Period as `[start, end)` in microseconds: from the first moment its start may mean to the last
/// its end may mean. `None` if it is no Period that can be read.
pub(super) fn period(provision: &Value<'_>, name: &str) -> Option<(Option<i64>, Option<i64>)> {
    let Some(period) = provision.get(name) else {
        return Some((None, None));
    };
    period.as_object()?;
    let bound = |name: &str| match period.get(name) {
        None => Some(None),
        Some(value) => date_interval(value.as_str()?).map(Some),
    };
    let (start, end) = (bound("start")?, bound("end")?);
    let (start, end) = (start.map(|start| start.low), end.map(|end| end.high));
    let upside_down = matches!((start, end), (Some(start), Some(end)) if start >= end);
    let empty = start.is_none() && end.is_none();
    (!upside_down && !empty).then_some((start, end))
}

fn date_interval(text: &str) -> Option<Interval<i64>> {
    Some(DateTime::parse(text).ok()?.interval)
}
