//! Bodies of requests, from the wire to JSON text: unzipped, within bounds; XML as the JSON it stands for; the
//! content of a Binary as a Binary. Everything after knows JSON text alone, and forms.

use std::io::Read as _;

use axum::body::{Body as HttpBody, Bytes};
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use salus_fhir::outcome::{Issue, IssueCode};
use salus_fhir::{Definitions, xml};

use crate::app::App;
use crate::bundle::quoted;
use crate::failure::Failure;
use crate::limits::too_large;
use crate::media::Format;
use crate::request::{Body, FORM, FhirRequest, LARGEST_BUNDLE, LARGEST_RESOURCE, Verb};

/// Receives the body of a request.
///
/// # Errors
/// 413 for one that is larger than is taken, unzipped or not; 415 for an encoding that is not read here; 408 and
/// 400 for one that comes too slowly or not whole.
pub async fn received(
    app: &App,
    fhir: &FhirRequest<'_>,
    headers: &HeaderMap,
    body: HttpBody,
) -> Result<Bytes, Failure> {
    let most = if fhir.path.is_empty() { LARGEST_BUNDLE } else { LARGEST_RESOURCE };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim());
    match encoding.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "identity") => app.limits.body(body, most).await,
        Some("gzip" | "x-gzip") => unzipped(&app.limits.body(body, most).await?, most),
        Some(other) => {
            let message = format!("a body in the encoding '{other}' is not read here; send it as it is, or by gzip");
            // RFC 9110 section 15.5.16: that it is the encoding.
            Err(Failure::new(415, IssueCode::NotSupported, message).with_header("Accept-Encoding", "gzip, identity"))
        }
    }
}

/// What was zipped, unless it is more than `most` bytes: however little was sent, no more is ever held.
fn unzipped(bytes: &[u8], most: usize) -> Result<Bytes, Failure> {
    let mut plain = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(bytes).take(most as u64 + 1).read_to_end(&mut plain);
    read.map_err(|error| {
        let message = format!("the body is not the gzip that its Content-Encoding says: {error}");
        Failure::new(400, IssueCode::Structure, message)
    })?;
    if plain.len() > most { Err(too_large(most)) } else { Ok(plain.into()) }
}

/// Makes JSON of a body that is another form of a resource.
///
/// # Errors
/// 400 with the place for XML that is no resource.
pub fn as_json(fhir: &mut FhirRequest<'_>, headers: &HeaderMap, definitions: &Definitions) -> Result<(), Failure> {
    let (Body::Bytes(bytes), Some(Verb::Post | Verb::Put | Verb::Patch)) = (&fhir.body, fhir.verb) else {
        return Ok(());
    };
    let json = match (Format::named(&fhir.content_type), content_id(fhir)) {
        (Some(Format::Xml), _) => xml::read_bytes(bytes, definitions, &xml::Limits::default())
            .map_err(|error| Failure::of(400, Issue::from(&error)))?
            .to_string(),
        (None, Some(id)) => binary(id, headers, bytes),
        _ => return Ok(()),
    };
    fhir.body = Body::Bytes(json.into());
    fhir.content_type = "application/fhir+json".to_owned();
    Ok(())
}

/// Where the body is the content of a Binary: its id, empty for a new one.
fn content_id<'r>(fhir: &'r FhirRequest<'_>) -> Option<&'r str> {
    let id = match (fhir.verb?, fhir.path.as_str()) {
        (Verb::Post, "Binary") => "",
        (Verb::Put, path) => path.strip_prefix("Binary/")?,
        _ => return None,
    };
    let named = fhir.content_type.split(';').next().unwrap_or_default().trim_end();
    let is_content = !matches!(named, "" | FORM) && Format::named(named).is_none();
    (is_content && !id.contains('/')).then_some(id)
}

/// The resource that content sent by itself makes (R4 binary.html#rest).
fn binary(id: &str, headers: &HeaderMap, content: &[u8]) -> String {
    let id = if id.is_empty() { String::new() } else { format!(r#""id":{},"#, quoted(id)) };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let context = header("x-security-context")
        .map(|context| format!(r#""securityContext":{{"reference":{}}},"#, quoted(context)));
    format!(
        r#"{{"resourceType":"Binary",{id}"contentType":{},{}"data":"{}"}}"#,
        quoted(header("content-type").unwrap_or_default()),
        context.unwrap_or_default(),
        STANDARD.encode(content)
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn zipped(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_zipped_is_read_to_the_limit() {
        assert_eq!(unzipped(&zipped(b"abc"), 3).unwrap(), "abc");
        assert_eq!(unzipped(&[zipped(b"ab"), zipped(b"c")].concat(), 3).unwrap(), "abc");
        assert_eq!(unzipped(&zipped(b"abcd"), 3).unwrap_err().status, 413);
        assert_eq!(unzipped(&zipped(&vec![0; 64 << 20]), 1 << 20).unwrap_err().status, 413);
        let whole = zipped(b"abc");
        for broken in [&whole[..whole.len() - 1], b"abc", b""] {
            assert_eq!(unzipped(broken, 3).unwrap_err().status, 400, "{broken:?}");
        }
    }

    #[test]
    fn content_is_that_of_a_binary_only_where_a_binary_is_written() {
        let id = |verb: Verb, path: &str, content_type: &str| {
            let (path, content_type) = (path.to_owned(), content_type.to_owned());
            let request = FhirRequest { verb: Some(verb), path, content_type, ..FhirRequest::default() };
            content_id(&request).map(str::to_owned)
        };
        assert_eq!(id(Verb::Post, "Binary", "image/png").as_deref(), Some(""));
        assert_eq!(id(Verb::Put, "Binary/b-1", "text/plain; charset=latin1").as_deref(), Some("b-1"));
        for (verb, path, content_type) in [
            (Verb::Post, "Binary", ""),
            (Verb::Post, "Binary", "application/fhir+json; fhirversion=3.0"),
            (Verb::Post, "Binary/_search", FORM),
            (Verb::Post, "Binary/_search", "image/png"),
            (Verb::Put, "Binary/b-1/_history", "image/png"),
            (Verb::Post, "Binary/$validate", "image/png"),
            (Verb::Patch, "Binary/b-1", "image/png"),
            (Verb::Post, "Patient", "image/png"),
        ] {
            assert_eq!(id(verb, path, content_type), None, "{path} {content_type}");
        }
    }
}
