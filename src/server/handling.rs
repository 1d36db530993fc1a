//! `Prefer: handling=strict` and `lenient`: what becomes of search parameters that cannot be used
//! (R4 search.html#errors). Strict refuses; lenient leaves them out and says so in the answer.

use salus_fhir::outcome::{Issue, IssueCode, OperationOutcome};
use salus_store::search::Ignored;

use crate::bundle::BundleWriter;
use crate::dispatch::Act;
use crate::failure::Failure;

/// Refuses a request that wants strict handling and has parameters that cannot be used.
///
/// # Errors
/// 400 that names all of them.
pub(crate) fn refuse_if_strict(act: &Act<'_>, ignored: &[Ignored]) -> Result<(), Failure> {
    match act.request.strict() && !ignored.is_empty() {
        true => {
            let issue = |one: &Ignored| {
                Issue::error(IssueCode::NotSupported, format!("{}: {}", one.parameter, one.reason))
                    .of_parameter(&one.parameter)
            };
            Err(Failure::all(400, ignored.iter().map(issue).collect()))
        }
        false => Ok(()),
    }
}

/// The parameters that were used: what the `self` link says.
pub(crate) fn used(parameters: &[(String, String)], ignored: &[Ignored]) -> Vec<(String, String)> {
    let left_out = |(name, value): &&(String, String)| ignored.iter().any(|one| one.is(name, value));
    parameters.iter().filter(|one| !left_out(one)).cloned().collect()
}

/// Adds the entry of a searchset that tells what was left out (R4 search.html#bundle, mode `outcome`).
pub(crate) fn report(bundle: &mut BundleWriter, ignored: &[Ignored]) {
    if ignored.is_empty() {
        return;
    }
    let issue = |one: &Ignored| {
        Issue::warning(IssueCode::NotSupported, format!("'{}' was left out: {}", one.parameter, one.reason))
            .of_parameter(&one.parameter)
    };
    let issues = ignored.iter().map(issue).collect();
    bundle.search_entry("", &OperationOutcome { issues }.to_json(), "outcome");
}
