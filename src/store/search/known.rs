//! Whether a search parameter is known: unknown ones are set aside rather than refused (R4 search.html#errors).

use salus_fhir::Definitions;
use salus_fhir::search::query::ParameterName;
use salus_fhir::search::{ParameterType, SearchParameter};

/// Whether resources of these types can be searched by a parameter: the reason to leave it out where they
/// cannot. A chain, or what `_has` asks of others, is known where one of the types that it leads to knows it.
pub(super) fn known(
    definitions: &Definitions,
    types: &[&str],
    name: &ParameterName,
) -> std::result::Result<(), String> {
    let has = |kind: &str, code: &str| {
        matches!(code, "_id" | "_lastUpdated" | "_list" | "_text" | "_content" | "_filter")
            || definitions.search().get(kind, code).is_some()
    };
    let unknown = |code: &str| match types {
        [kind, ..] if definitions.search().why_not(kind, code).is_some() => {
            Err(definitions.search().why_not(kind, code).unwrap_or_default())
        }
        [kind] => Err(format!("{kind} has no search parameter '{code}'")),
        _ => Err(format!("nothing that the chain leads to has a search parameter '{code}'")),
    };
    match name {
        ParameterName::Plain { code, .. } | ParameterName::Chain { code, .. }
            if !types.iter().any(|kind| has(kind, code)) =>
        {
            unknown(code)
        }
        ParameterName::Plain { .. } => Ok(()),
        ParameterName::Chain { code, target, rest } => {
            let found = types.iter().filter_map(|kind| definitions.search().get(kind, code));
            let followed: Vec<&SearchParameter> = found.filter(|one| one.kind == ParameterType::Reference).collect();
            let mut targets: Vec<&str> = match target {
                Some(target) => vec![target],
                None if followed.iter().any(|one| one.targets.is_empty()) => definitions.resource_types().collect(),
                None => followed.iter().flat_map(|one| one.targets.iter().map(String::as_str)).collect(),
            };
            targets.sort_unstable();
            targets.dedup();
            // What cannot be followed, or to no such type, is wrong rather than unknown; compiling says so.
            match followed.is_empty() || !targets.iter().all(|target| definitions.is_resource_type(target)) {
                true => Ok(()),
                false => known(definitions, &targets, rest),
            }
        }
        ParameterName::Has { resource_type, .. } if !definitions.is_resource_type(resource_type) => {
            Err(format!("{resource_type} is not a resource type of R4"))
        }
        ParameterName::Has { resource_type, reference, .. } if !has(resource_type, reference) => {
            let why = definitions.search().why_not(resource_type, reference);
            Err(why.unwrap_or_else(|| format!("{resource_type} has no search parameter '{reference}'")))
        }
        ParameterName::Has { resource_type, rest, .. } => known(definitions, &[resource_type], rest),
    }
}
