//! The form of an answer: JSON as it is stored, or XML; laid out for people where `_pretty` asks for it; and the
//! content of a Binary as what it is. Everything before knows JSON text alone.

use std::borrow::Cow;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use salus_fhir::json::{self, Limits, Value};
use salus_fhir::outcome::IssueCode;
use salus_fhir::{Definitions, xml};

use crate::failure::Failure;
use crate::media::{Accept, Format};
use crate::pretty;
use crate::request::{Body, FORM, FhirRequest, Verb};

/// How the answer to a request is to look. By default it is JSON as stored.
#[derive(Debug, Clone, Default)]
pub struct Presentation {
    format: Format,
    pretty: bool,
    /// For a read of a Binary: what is accepted, which may be its content rather than the resource.
    content: Option<Accept>,
}

/// A body as it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The bytes.
    pub bytes: Bytes,
    /// Their media type.
    pub media_type: Cow<'static, str>,
    /// Whether they are the content of a Binary: anything at all, and nobody's page.
    pub foreign: bool,
}

impl Presentation {
    /// Reads `_format`, `_pretty` and `Accept`. The parameters of a POST stand in its body.
    ///
    /// # Errors
    /// 406 where nothing that is accepted can be given.
    pub fn of(request: &FhirRequest<'_>, headers: &HeaderMap) -> Result<Self, Failure> {
        let form = match &request.body {
            Body::Bytes(bytes) if request.content_type == FORM => bytes.as_ref(),
            _ => b"",
        };
        let parameter = |wanted: &str| {
            let mut parameters = form_urlencoded::parse(request.query.as_bytes()).chain(form_urlencoded::parse(form));
            parameters.find(|(name, _)| name == wanted).map(|(_, value)| value)
        };
        let accept: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|one| one.to_str().ok()).collect();
        let accept = (!accept.is_empty()).then(|| Accept::parse(&accept.join(",")));
        let pretty = parameter("_pretty").is_some_and(|value| value == "true");
        let format = parameter("_format");
        let wanted = Format::wanted(format.as_deref(), accept.as_ref());
        let reads_binary = request.verb == Some(Verb::Get) && request.path.starts_with("Binary/");
        match accept.filter(|_| reads_binary && format.is_none()) {
            // Whether its content is acceptable is known once it is read.
            Some(accept) => Ok(Self { format: wanted.unwrap_or_default(), pretty, content: Some(accept) }),
            None => Ok(Self { format: wanted?, pretty, content: None }),
        }
    }

    /// Whether JSON text is given as it is.
    pub fn is_plain(&self) -> bool {
        self.format_alone() == Some(Format::Json)
    }

    /// The format, where that is all there is to the form.
    pub fn format_alone(&self) -> Option<Format> {
        (!self.pretty && self.content.is_none()).then_some(self.format)
    }

    /// Gives an answer's JSON text its form.
    ///
    /// # Errors
    /// 406 where the resource has no XML form, and for a Binary whose content is not acceptable either.
    pub fn present(&self, body: String, definitions: &Definitions) -> Result<Presented, Failure> {
        if let Some(accept) = &self.content
            && let Some(content) = self.content_of(&body, accept)?
        {
            return Ok(content);
        }
        let text = match (self.format, self.pretty) {
            (Format::Json, false) => body,
            (Format::Json, true) => pretty::indented(&body),
            (Format::Xml, pretty) => xml_of(&body, definitions, pretty)?,
        };
        Ok(Presented { bytes: text.into(), media_type: Cow::Borrowed(self.format.media_type()), foreign: false })
    }

    /// The content of a Binary, where that is what is wanted (R4 binary.html#rest).
    fn content_of(&self, body: &str, accept: &Accept) -> Result<Option<Presented>, Failure> {
        let binary = json::parse(body, &Limits::default()).unwrap_or(Value::Null);
        if binary.get_str("resourceType") != Some("Binary") {
            return Ok(None);
        }
        let media_type = binary.get_str("contentType").unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let (content, resource) = (accept.rank(&[&essence]), accept.rank_of(self.format));
        if resource.is_some() && (content <= resource || Format::named(&essence).is_some()) {
            return Ok(None);
        }
        let data = binary.get_str("data").unwrap_or_default().split_ascii_whitespace().collect::<String>();
        match (content, STANDARD.decode(data)) {
            (Some(_), Ok(bytes)) => {
                Ok(Some(Presented { bytes: bytes.into(), media_type: media_type.to_owned().into(), foreign: true }))
            }
            _ => {
                let message = "neither the content of this Binary nor the resource is in an acceptable form";
                Err(Failure::new(406, IssueCode::NotSupported, message))
            }
        }
    }
}

impl Presented {
    /// JSON text as it is.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self { bytes: body.into(), media_type: Cow::Borrowed(Format::Json.media_type()), foreign: false }
    }
}

/// The XML form of a resource's JSON text.
///
/// # Errors
/// 406 where it has none.
pub(crate) fn xml_of(body: &str, definitions: &Definitions, pretty: bool) -> Result<String, Failure> {
    // Bundles nest what was stored at the deepest that is taken.
    let limits = Limits { depth: Limits::default().depth + 8 };
    let unwritable = |message: String| {
        let message = format!("this has no XML form ({message}); it can be had as application/fhir+json");
        Failure::new(406, IssueCode::NotSupported, message)
    };
    let resource = json::parse(body, &limits).map_err(|error| unwritable(error.to_string()))?;
    let layout = if pretty { xml::Layout::Pretty } else { xml::Layout::Compact };
    xml::write(&resource, definitions, layout).map_err(|error| unwritable(error.to_string()))
}
