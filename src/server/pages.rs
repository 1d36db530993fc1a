//! Pages for people who come with a browser: what runs here, and what can be asked of it. Plain HTML,
//! without scripts and without anything from elsewhere; and the same for programs, `/openapi.json`.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use salus_fhir::Definitions;

use crate::app::App;
use crate::openapi;

/// Everything that is served as it was made at start.
pub struct Pages {
    index: Bytes,
    docs: Bytes,
    openapi: Bytes,
}

impl Pages {
    /// The pages of the server at `origin` (scheme, host and port).
    pub fn new(definitions: &Definitions, origin: &str, demo: bool) -> Self {
        Self {
            index: index(origin, demo).into(),
            docs: docs().into(),
            openapi: openapi::json(definitions, origin).into(),
        }
    }
}

/// `GET /`
pub async fn index_page(State(app): State<Arc<App>>) -> Response {
    html(app.pages.index.clone())
}

/// `GET /docs`
pub async fn docs_page(State(app): State<Arc<App>>) -> Response {
    html(app.pages.docs.clone())
}

/// `GET /openapi.json`
pub async fn openapi_json(State(app): State<Arc<App>>) -> Response {
    answer("application/json", app.pages.openapi.clone())
}

fn html(page: Bytes) -> Response {
    let mut response = answer("text/html; charset=utf-8", page);
    // The pages' own style is all that a browser may use.
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

fn answer(kind: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1b1f24;background:#fff}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}code,pre{font:14px/1.5 ui-monospace,\
monospace;background:#f3f4f6;border-radius:4px}code{padding:.1em .3em}pre{padding:.8em;overflow-x:auto}pre code{padding:0}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.4em .6em;\
border-bottom:1px solid #d9dde3}a{color:#0b57a4}small{color:#4a5260}\
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#16181c}code,pre{background:#24282e}\
th,td{border-color:#3a4048}a{color:#7db7f5}small{color:#a9b1bb}}";

fn page(title: &str, content: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n{content}</body>\n</html>\n"
    )
}

fn index(origin: &str, demo: bool) -> String {
    let demo = if demo {
        format!(
            "<p>It runs in demo mode: its patients are made up, and whoever can read its data directory can have a token.</p>\n\
             <pre><code>TOKEN=$(target/release/salus token)\n\
             curl -H \"Authorization: Bearer $TOKEN\" '{0}/fhir/Patient?_count=5'\n\
             curl -H \"Authorization: Bearer $TOKEN\" '{0}/fhir/Patient/demo-patient-002/$risk-score'</code></pre>\n",
            escaped(origin)
        )
    } else {
        String::new()
    };
    let content = format!(
        "<main>\n<h1>Salus {version}</h1>\n\
         <p>A FHIR R4 server that runs clinical models, enforces patients&#8217; Consents and audits every request.</p>\n\
         <ul>\n\
         <li><a href=\"/docs\">What can be asked of it</a> <small>every path, for people; <a href=\"/openapi.json\">OpenAPI</a> for programs</small></li>\n\
         <li><a href=\"/fhir/metadata\">CapabilityStatement</a> <small>resource types, search parameters, operations</small></li>\n\
         <li><a href=\"/fhir/.well-known/smart-configuration\">SMART configuration</a> <small>how a client gets a token</small></li>\n\
         <li><a href=\"/health/ready\">Readiness</a></li>\n\
         </ul>\n{demo}\
         <p><small>FHIR base: <code>{base}/fhir</code></small></p>\n</main>\n",
        version = env!("CARGO_PKG_VERSION"),
        base = escaped(origin),
    );
    page("Salus", &content)
}

fn docs() -> String {
    let mut content = String::from(
        "<main>\n<h1>What can be asked of Salus</h1>\n\
         <p>FHIR is one generic interface: <code>{type}</code> is any resource type of R4. Which search parameters each \
         has, the <a href=\"/fhir/metadata\">CapabilityStatement</a> says. The same in <a href=\"/openapi.json\">OpenAPI</a>.</p>\n",
    );
    for (group, endpoints) in openapi::by_group() {
        // Writing to a String does not fail.
        let _ = write!(
            content,
            "<h2>{}</h2>\n<p>{}</p>\n<table>\n<tr><th>Method</th><th>Path</th><th>What it does</th><th>Scope</th></tr>\n",
            group.name(),
            escaped(group.description())
        );
        for endpoint in endpoints {
            let scope = match endpoint.scope {
                Some("") => "any token".to_owned(),
                Some(scope) => format!("<code>{}</code>", escaped(scope)),
                None => "none".to_owned(),
            };
            let query: Vec<String> =
                endpoint.query.iter().map(|(name, _)| format!("<code>{}</code>", escaped(name))).collect();
            let query =
                if query.is_empty() { String::new() } else { format!("<br><small>Query: {}</small>", query.join(" ")) };
            let _ = writeln!(
                content,
                "<tr><td>{}</td><td><code>{}</code></td><td>{}{query}</td><td>{scope}</td></tr>",
                endpoint.method,
                escaped(&endpoint.path),
                escaped(&endpoint.summary)
            );
        }
        content.push_str("</table>\n");
    }
    content.push_str("<p><a href=\"/\">Back</a></p>\n</main>\n");
    page("Salus: what can be asked of it", &content)
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_cannot_write_html() {
        assert!(!index("http://x/\"><script>", true).contains("<script>"));
    }

    #[test]
    fn the_docs_list_every_endpoint() {
        let page = docs();
        for endpoint in openapi::endpoints() {
            assert!(page.contains(&format!("<td>{}</td><td><code>{}</code>", endpoint.method, endpoint.path)));
        }
    }
}
