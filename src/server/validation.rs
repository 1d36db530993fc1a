//! What a resource has to hold to, before it is stored or when `$validate` asks: the one place that a further
//! validator (profiles, terminology) is plugged into.

use salus_fhir::json::Value;
use salus_fhir::outcome::{Issue, IssueCode};
use salus_fhir::validation::Validator;

use crate::app::App;

/// What is not checked of any resource.
const NEVER_CHECKED: &str = "not checked: invariants other than dom-2 and ext-1, the targets of references, and \
     codes of value sets that the packages do not list";

/// What came of checking a resource.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is wrong with it; empty where nothing was found.
    pub issues: Vec<Issue>,
    /// What was not checked, as information.
    pub unchecked: Vec<Issue>,
}

/// What is wrong with a resource by the base definitions: structure, cardinality, types and required codes. One with
/// errors must not be stored, nor must a SearchParameter that cannot be used. It runs on each write.
pub fn faults(app: &App, resource: &Value<'_>) -> Vec<Issue> {
    let mut issues = Validator::new(&app.definitions).validate(resource);
    if !issues.iter().any(Issue::is_error) {
        issues.extend(app.store.check_search_parameter(resource.get_str("id"), resource));
    }
    issues
}

/// As [`faults`], and what was left out: profiles that the resource declares, and those in `asked`, are named as not
/// checked.
pub fn check(app: &App, resource: &Value<'_>, asked: &[String]) -> Checked {
    let issues = faults(app, resource);
    let declared = resource.at(&["meta", "profile"]).and_then(Value::as_array).unwrap_or_default();
    let declared = declared.iter().filter_map(Value::as_str);
    let mut profiles: Vec<&str> = asked.iter().map(String::as_str).chain(declared).collect();
    profiles.sort_unstable();
    profiles.dedup();
    let unchecked = |profile: &str| {
        Issue::information(IssueCode::NotSupported, format!("not checked against the profile {profile}"))
    };
    let mut unchecked: Vec<Issue> = profiles.into_iter().map(unchecked).collect();
    unchecked.push(Issue::information(IssueCode::Informational, NEVER_CHECKED));
    Checked { issues, unchecked }
}
