//! Middleware for every answer, whatever it says: compressed for those who take that, and opened to the
//! pages of other origins.

use std::time::Duration;

use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

/// Bytes of a body that are worth compressing: what is smaller fits one packet anyway.
const WORTH_IT: u64 = 1400;

/// Compresses by zstd, brotli or gzip, as `Accept-Encoding` says. An image, which a Binary may hold, is compressed
/// already, and 304 has no body whose length would be known.
pub fn compression() -> CompressionLayer<impl Predicate> {
    let has_body = |status: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| status != StatusCode::NOT_MODIFIED;
    let worth_it = SizeAbove::new(WORTH_IT).and(NotForContentType::IMAGES).and(has_body);
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth_it)
}

/// Lets pages of these origins call the server (the Fetch standard; SMART App Launch 2.2 asks for it where apps run in
/// the browser): a list with commas, or `*` for all. No cookies are involved, so a page has no more rights than the
/// token that it brings.
///
/// # Errors
/// A message for what is no origin.
pub fn cors(origins: &str) -> Result<Option<CorsLayer>, String> {
    let named: Vec<&str> = origins.split(',').map(str::trim).filter(|origin| !origin.is_empty()).collect();
    let allowed = match named.as_slice() {
        [] => return Ok(None),
        ["*"] => AllowOrigin::from(Any),
        several => AllowOrigin::list(several.iter().map(|one| origin(one)).collect::<Result<Vec<_>, _>>()?),
    };
    let name = HeaderName::from_static;
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::ACCEPT,
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::IF_MODIFIED_SINCE,
            name("if-none-exist"),
            name("prefer"),
            name("x-request-id"),
            name("x-security-context"),
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::CONTENT_LOCATION,
            header::LAST_MODIFIED,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            name("x-progress"),
            name("x-request-id"),
        ])
        .max_age(Duration::from_secs(600));
    Ok(Some(layer))
}

fn origin(text: &str) -> Result<HeaderValue, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let message = || format!("cors_origins: '{text}' is no origin, such as https://app.example, and '*' stands alone");
    if host.is_empty() || host.contains(['/', '?', '#', '*', '@']) {
        return Err(message());
    }
    HeaderValue::from_str(text).map_err(|_| message())
}

#[cfg(test)]
mod tests {
    use super::cors;

    #[test]
    fn origins_are_a_scheme_a_host_and_perhaps_a_port() {
        assert!(cors("").unwrap().is_none() && cors(" , ").unwrap().is_none());
        for origins in ["*", "https://app.example", "http://127.0.0.1:3000, https://b.example"] {
            assert!(cors(origins).unwrap().is_some(), "{origins}");
        }
        for wrong in ["app.example", "https://", "https://a.example/", "*, https://a.example", "https://*.example"] {
            assert!(cors(wrong).unwrap_err().contains("origin"), "{wrong}");
        }
    }
}
