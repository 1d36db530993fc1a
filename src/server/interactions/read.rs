//! `read` (R4 http.html#read), conditional too (#cread).

use crate::conditional::is_unchanged;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::projection::Projection;
use crate::response::FhirResponse;

/// Reads the current version.
///
/// # Errors
/// 400 for a `_summary` or `_elements` that cannot be applied, 404 for what does not exist or may not be seen, 410 for what was deleted.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let shown = Projection::of_read(act)?;
    let version = act.reads.read(&act.access, act.route.type_name(), act.route.id()).await?;
    let records = vec![act.caller.shown(act.route, act.request, version.version, &version.patients)];
    let unchanged = is_unchanged(act.request, &version);
    let mut response = FhirResponse::version(version);
    if unchanged {
        response.status = 304;
        response.body.clear();
    }
    shown.part_of(&mut response.body);
    Ok(Done { response, records })
}
