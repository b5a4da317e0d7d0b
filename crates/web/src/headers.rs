//! What every answer carries.
//!
//! Pages run nothing but our own files (no inline script or style), are in no frame and send no
//! referrer, so a link's token stays with us. User content gets a sandbox of its own. HSTS only
//! with a certificate that browsers trust: with the node's own one it would lock people out.

use axum::body::Body;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response};

use crate::{Connection, WebSettings};

/// Policy of pages.
pub(crate) const PAGE_POLICY: &str = "default-src 'self'; img-src 'self' data:; base-uri 'none'; \
     object-src 'none'; frame-ancestors 'none'; form-action 'self'";

/// Policy of user content: nothing runs, nothing is loaded, and it has no origin.
pub(crate) const CONTENT_POLICY: &str = "sandbox; default-src 'none'; img-src 'self'; \
     media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; \
     form-action 'none'";

/// Adds what is missing.
pub(crate) fn harden(
    response: &mut Response<Body>,
    settings: &WebSettings,
    connection: Option<&Connection>,
) {
    let headers = response.headers_mut();
    let mut default = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    default(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    default(X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(REFERRER_POLICY, "no-referrer");
    default(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    default(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    default(
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    );
    // Somebody's pages must not come out of a shared cache or the back button after signing out.
    default(CACHE_CONTROL, "no-store");
    if settings.trusted_certificate && connection.is_some_and(|connection| connection.tls) {
        default(STRICT_TRANSPORT_SECURITY, "max-age=15552000");
    }
}
