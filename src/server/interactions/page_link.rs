//! Links to further pages: each goes on where a page ended, for the search and the caller it was made for.

use salus_fhir::Key;
use salus_fhir::outcome::IssueCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dispatch::Act;
use crate::failure::Failure;
use crate::interactions::search::encode_query;
use crate::seal::Seal;

/// The parameter that says where a page starts; made by `next` links only.
pub(crate) const CURSOR: &str = "_cursor";

/// The URL of a page, of a path below the FHIR base.
pub(crate) fn url(base: &str, path: &str, parameters: &[(String, String)]) -> String {
    let mark = if parameters.is_empty() { "" } else { "?" };
    format!("{base}/{path}{mark}{}", encode_query(parameters))
}

/// Which search a page link belongs to: what is asked, in which order, and what the caller may reach. Not how
/// it is shown, which may change from page to page.
pub(crate) fn identity(act: &Act<'_>, path: &str, used: &[(String, String)]) -> Key {
    const SHOWN: [&str; 8] =
        ["_count", "_total", "_format", "_pretty", "_summary", "_elements", "_include", "_revinclude"];
    let reach = format!("{:x}", act.access.fingerprint().0);
    let mut parts = vec![path, &reach];
    for (name, value) in used.iter().filter(|(name, _)| !SHOWN.contains(&name.split(':').next().unwrap_or(""))) {
        parts.extend([name.as_str(), value.as_str()]);
    }
    Key::of(&parts)
}

/// The text of a link to the page of `search` that goes on `after`.
///
/// # Errors
/// 500 where it cannot be written.
pub(crate) fn encode<C: Serialize>(seal: &Seal, search: Key, after: &C) -> Result<String, Failure> {
    let failed = |why: String| Failure::new(500, IssueCode::Exception, why);
    let text = serde_json::to_vec(after).map_err(|error| failed(error.to_string()))?;
    let sealed = seal.seal(&search.0.to_be_bytes(), &text);
    sealed.ok_or_else(|| failed("a page link could not be sealed".to_owned()))
}

/// Where a page of `search` goes on.
///
/// # Errors
/// 400 for a link of another search or caller, or of nobody.
pub(crate) fn decode<C: DeserializeOwned>(seal: &Seal, text: &str, search: Key) -> Result<C, Failure> {
    let opened = seal.open(&search.0.to_be_bytes(), text);
    opened.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
        let message = "this page link is not one this server made for you and this search; start the search again";
        Failure::new(400, IssueCode::Invalid, message)
    })
}
