//! Cross-site request forgery: a changing request must come from our own pages.
//!
//! Browsers tell where a request comes from (`Sec-Fetch-Site`, `Origin`, `Referer`); a page cannot
//! set these. So no token is needed: a foreign one is refused, and a request that carries a cookie
//! must bring at least one own one. Programs that send neither cookies nor these headers pass.

use http::header::{HOST, ORIGIN, REFERER};
use http::{HeaderMap, Method, Uri};

use crate::cookies;

/// True if the request may be carried out as far as its origin goes.
pub(crate) fn is_own(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    if is_reading(method) {
        return true;
    }
    let site = text(headers, "sec-fetch-site");
    match site {
        // `none`: typed, bookmarked or reloaded by the person.
        Some("same-origin" | "none") => return true,
        Some(_) => return false,
        None => {}
    }
    let own = host(uri, headers);
    // Under `Referrer-Policy: no-referrer` the origin of our own forms is `null` as well; browsers
    // that do so send `Sec-Fetch-Site`, so a bare `null` tells nothing good.
    if let Some(origin) = headers.get(ORIGIN) {
        return same_host(origin.to_str().unwrap_or(""), own);
    }
    match headers
        .get(REFERER)
        .map(|value| value.to_str().unwrap_or(""))
    {
        Some(referer) => same_host(referer, own),
        None => !cookies::carries_authority(headers),
    }
}

/// Methods that change nothing (RFC 9110 section 9.2.1, RFC 4918, RFC 3253).
fn is_reading(method: &Method) -> bool {
    matches!(
        method.as_str(),
        "GET" | "HEAD" | "OPTIONS" | "PROPFIND" | "REPORT" | "SEARCH"
    )
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or(""))
}

/// The authority that the client asked: from `:authority` in HTTP/2, else from `Host`.
pub(crate) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    uri.authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| headers.get(HOST).and_then(|value| value.to_str().ok()))
}

fn same_host(url: &str, own: Option<&str>) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    own.is_some_and(|own| own.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, pairs: &[(&'static str, &str)], expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "home.example:8443".parse().unwrap());
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        let uri = "/delete/alice/".parse().unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(is_own(&method, &uri, &headers), expected, "{pairs:?}");
    }

    const COOKIE: (&str, &str) = ("cookie", "__Host-cumulet-session=x");

    #[test]
    fn a_foreign_page_cannot_change_anything() {
        check("POST", &[("sec-fetch-site", "cross-site"), COOKIE], false);
        check("POST", &[("sec-fetch-site", "same-site"), COOKIE], false);
        check("POST", &[("sec-fetch-site", "cross-site")], false);
        check("POST", &[("origin", "https://evil.example"), COOKIE], false);
        check("POST", &[("origin", "null"), COOKIE], false);
        check("POST", &[("origin", "https://home.example"), COOKIE], false);
        check("PUT", &[("origin", "https://evil.example")], false);
        check(
            "POST",
            &[
                ("referer", "https://evil.example/home.example:8443"),
                COOKIE,
            ],
            false,
        );
    }

    #[test]
    fn a_cookie_alone_is_not_enough() {
        check("POST", &[COOKIE], false);
        check("DELETE", &[COOKIE], false);
    }

    #[test]
    fn our_own_pages_and_programs_pass() {
        check("POST", &[("sec-fetch-site", "same-origin"), COOKIE], true);
        check(
            "POST",
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "null"),
                COOKIE,
            ],
            true,
        );
        check(
            "POST",
            &[("origin", "https://home.example:8443"), COOKIE],
            true,
        );
        check(
            "POST",
            &[
                ("referer", "https://home.example:8443/files/alice/"),
                COOKIE,
            ],
            true,
        );
        check("PUT", &[], true);
        check("GET", &[("sec-fetch-site", "cross-site"), COOKIE], true);
    }
}
