//! Addresses of entries in URLs: `SPACE/folder/file`, percent-encoded.
//!
//! One way in and one way out, for pages, WebDAV and JSON alike. A segment is decoded exactly once
//! and then must be a name (R90): `..`, NUL, an encoded slash and bytes that are not UTF-8 are
//! refused with the reason; nothing is normalized silently.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use protocol::{EntryName, NameError, TreePath};

/// Everything but the unreserved characters of RFC 3986 section 2.3.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One decoded and checked segment.
pub(crate) fn decode_name(segment: &str) -> Result<EntryName, NameError> {
    let bytes: Vec<u8> = percent_decode_str(segment).collect();
    EntryName::from_bytes(&bytes)
}

/// `folder/file` or `/folder/file/`; one slash at either end is punctuation.
pub(crate) fn decode_path(raw: &str) -> Result<TreePath, NameError> {
    let inner = raw.strip_prefix('/').unwrap_or(raw);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Ok(TreePath::root());
    }
    TreePath::new(
        inner
            .split('/')
            .map(decode_name)
            .collect::<Result<_, _>>()?,
    )
}

/// `SPACE/folder/file`.
pub(crate) fn decode(raw: &str) -> Result<(EntryName, TreePath), NameError> {
    let raw = raw.strip_prefix('/').unwrap_or(raw);
    let (space, path) = raw.split_once('/').unwrap_or((raw, ""));
    if path.starts_with('/') {
        return Err(NameError::Empty);
    }
    Ok((decode_name(space)?, decode_path(path)?))
}

/// One segment for a URL.
pub(crate) fn encode_name(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// `/folder/file`, and the empty text for the top.
pub(crate) fn encode_path(path: &TreePath) -> String {
    let mut text = String::new();
    for name in path.names() {
        text.push('/');
        text.push_str(&encode_name(name.as_str()));
    }
    text
}

/// `SPACE/folder/file`; the top of a space ends with a slash, as browsers need it for relative links.
pub(crate) fn encode(space: &EntryName, path: &TreePath) -> String {
    let path = encode_path(path);
    let path = if path.is_empty() { "/" } else { &path };
    format!("{}{path}", encode_name(space.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_what_they_print() {
        let (space, path) = decode("/alice/Fotos%202026/%E6%97%85%E8%A1%8C%23%3F.jpg").unwrap();
        assert_eq!(space.as_str(), "alice");
        assert_eq!(path.to_string(), "/Fotos 2026/旅行#?.jpg");
        assert_eq!(
            encode(&space, &path),
            "alice/Fotos%202026/%E6%97%85%E8%A1%8C%23%3F.jpg"
        );
        assert_eq!(encode(&space, &TreePath::root()), "alice/");
    }

    #[test]
    fn tricks_with_the_path_are_refused() {
        for raw in [
            "alice/..",
            "alice/%2e%2e/bob",
            "alice/a%2Fb",
            "alice/a%00",
            "alice/%FF",
            "alice//a",
            "alice/./a",
            "alice/.cumulet/catalog.db",
            "",
        ] {
            assert!(decode(raw).is_err(), "{raw}");
        }
        assert!(decode(&format!("alice/{}", "x".repeat(256))).is_err());
    }

    #[test]
    fn a_segment_is_decoded_once_only() {
        let (_, path) = decode("alice/%252e%252e").unwrap();
        assert_eq!(path.to_string(), "/%2e%2e");
    }
}
