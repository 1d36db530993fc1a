//! `salus openapi`

use super::{Outcome, parts, say};
use crate::openapi;
use crate::settings::{Flags, Settings};

/// Prints the OpenAPI description of the server that these settings would start.
pub(super) fn run(flags: &Flags) -> Outcome {
    let settings = Settings::read(flags)?;
    let definitions = parts::definitions(&settings)?;
    say(openapi::json(&definitions, &settings.origin()).trim_end());
    Ok(())
}
