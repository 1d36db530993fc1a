//! `vread` (R4 http.html#vread).

use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::projection::Projection;
use crate::response::FhirResponse;

/// Reads one version.
///
/// # Errors
/// 400 for a `_summary` or `_elements` that cannot be applied, 404 for what does not exist or may not be seen, 410 for the version that records a deletion.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let shown = Projection::of_read(act)?;
    let wanted = act.route.version.unwrap_or_default();
    let version = act.reads.vread(&act.access, act.route.type_name(), act.route.id(), wanted).await?;
    let records = vec![act.caller.shown(act.route, act.request, version.version, &version.patients)];
    let mut response = FhirResponse::version(version);
    shown.part_of(&mut response.body);
    Ok(Done { response, records })
}
