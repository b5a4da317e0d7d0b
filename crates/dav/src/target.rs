//! Addresses: the path of a request, the Destination header, and hrefs of replies.
//!
//! A path is percent-decoded exactly once and each segment is checked as a name, so no later layer
//! sees an escape. Hidden ways around (`..`, `%2F`, NUL, empty segments) are errors, not repaired.

use percent_encoding::percent_decode_str;
use protocol::{EntryName, NameError, PATH_DEPTH_MAX};
use thiserror::Error;

/// Longest path of a request in bytes, still encoded.
pub const PATH_BYTES_MAX: usize = 8 << 10;

/// Why an address cannot name anything here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// Longer than [`PATH_BYTES_MAX`].
    #[error("the path has {0} bytes, the limit is {PATH_BYTES_MAX}")]
    TooLong(usize),
    /// Does not begin with a slash.
    #[error("the path does not begin with `/`")]
    Relative,
    /// `//` inside of it.
    #[error("the path has an empty segment (`//`)")]
    EmptySegment,
    /// `.` or `..`, encoded or not.
    #[error("the path has the segment `{0}`")]
    Dots(String),
    /// `%` without two hexadecimal digits.
    #[error("the path has a `%` without two hexadecimal digits behind it")]
    Escape,
    /// `%2F`.
    #[error("a segment of the path holds an encoded slash, which no name can have")]
    EncodedSlash,
    /// `%00`.
    #[error("a segment of the path holds NUL, which no name can have")]
    Nul,
    /// The decoded bytes are not UTF-8.
    #[error("a segment of the path is not UTF-8")]
    NotUtf8,
    /// More than [`PATH_DEPTH_MAX`] segments.
    #[error("the path has more than {PATH_DEPTH_MAX} segments")]
    TooDeep,
    /// A segment that cannot be a name for another reason.
    #[error("a segment of the path cannot be a name: {0}")]
    Name(NameError),
    /// A fragment, which no request may carry (RFC 9112 section 3.2).
    #[error("the address has a fragment (`#`), which a request must not carry")]
    Fragment,
    /// A Destination that is neither an absolute URI nor a path.
    #[error("`{0}` is neither an http or https address nor a path")]
    NotAnAddress(String),
}

/// The decoded path of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPath {
    /// Its names from the top; none for `/`.
    pub names: Vec<EntryName>,
    /// It ended in a slash, as the address of a collection should (RFC 4918 section 5.2).
    pub trailing_slash: bool,
}

/// Decodes the path of a request target; a query part must be cut off before.
pub fn decode_path(path: &str) -> Result<TargetPath, PathError> {
    if path.len() > PATH_BYTES_MAX {
        return Err(PathError::TooLong(path.len()));
    }
    if path.contains('#') {
        return Err(PathError::Fragment);
    }
    let inner = path.strip_prefix('/').ok_or(PathError::Relative)?;
    if inner.is_empty() {
        return Ok(TargetPath {
            names: Vec::new(),
            trailing_slash: true,
        });
    }
    let (inner, trailing_slash) = match inner.strip_suffix('/') {
        Some(inner) => (inner, true),
        None => (inner, false),
    };
    let mut names = Vec::new();
    for segment in inner.split('/') {
        if names.len() == PATH_DEPTH_MAX {
            return Err(PathError::TooDeep);
        }
        names.push(decode_segment(segment)?);
    }
    Ok(TargetPath {
        names,
        trailing_slash,
    })
}

fn decode_segment(segment: &str) -> Result<EntryName, PathError> {
    if segment.is_empty() {
        return Err(PathError::EmptySegment);
    }
    let hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = segment.as_bytes();
    let broken =
        |at: usize| bytes[at] == b'%' && !(hex(bytes.get(at + 1)) && hex(bytes.get(at + 2)));
    if (0..bytes.len()).any(broken) {
        return Err(PathError::Escape);
    }
    let decoded = percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| PathError::NotUtf8)?;
    if decoded.contains('/') {
        return Err(PathError::EncodedSlash);
    }
    if decoded.contains('\0') {
        return Err(PathError::Nul);
    }
    EntryName::new(&decoded).map_err(|error| {
        if let NameError::Dots(dots) = error {
            PathError::Dots(dots)
        } else {
            PathError::Name(error)
        }
    })
}

/// Appends one name as a path segment: everything but the unreserved characters of RFC 3986
/// section 2.3 is percent-encoded, so that the href needs no XML escape either.
pub fn push_encoded(out: &mut Vec<u8>, name: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'%', HEX[high], HEX[low]]);
        }
    }
}

/// Where COPY or MOVE goes, and what a tagged list of an If header speaks of: an absolute URI or a
/// path (RFC 4918 section 8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// `host` or `host:port`, lower case; `None` for a bare path.
    pub authority: Option<String>,
    /// `https` rather than `http`; says which port is meant where none is given.
    pub secure: bool,
    /// The decoded path.
    pub path: TargetPath,
}

impl Destination {
    /// Parses the value of a Destination header or a resource tag.
    pub fn parse(value: &str) -> Result<Self, PathError> {
        let value = value.trim_matches([' ', '\t']);
        if value.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong(value.len()));
        }
        if value.contains('#') {
            return Err(PathError::Fragment);
        }
        let without_query = value.split('?').next().unwrap_or(value);
        if without_query.starts_with('/') && !without_query.starts_with("//") {
            return Ok(Self {
                authority: None,
                secure: false,
                path: decode_path(without_query)?,
            });
        }
        let bad = || PathError::NotAnAddress(value.chars().take(80).collect());
        let (scheme, rest) = without_query.split_once("://").ok_or_else(bad)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(bad()),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let host = authority.rsplit('@').next().unwrap_or(authority);
        if host.is_empty() {
            return Err(bad());
        }
        Ok(Self {
            authority: Some(host.to_ascii_lowercase()),
            secure,
            path: decode_path(path)?,
        })
    }

    /// True if this names the server that answers as `host` (the Host header). A missing port means
    /// the scheme's own on either side, since a proxy may change the scheme.
    #[must_use]
    pub fn is_on(&self, host: &str) -> bool {
        let Some(authority) = &self.authority else {
            return true;
        };
        let plain = |text: &str| {
            let text = text.to_ascii_lowercase();
            text.strip_suffix(":80")
                .or_else(|| text.strip_suffix(":443"))
                .map_or_else(|| text.clone(), str::to_owned)
        };
        plain(authority) == plain(host)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tricks_with_paths_are_refused_each_with_its_reason() {
        let check = |path: &str| decode_path(path).unwrap_err().to_string();
        assert_eq!(check("a"), "the path does not begin with `/`");
        assert_eq!(check("/a//b"), "the path has an empty segment (`//`)");
        assert_eq!(check("//"), "the path has an empty segment (`//`)");
        assert_eq!(check("/a/../b"), "the path has the segment `..`");
        assert_eq!(check("/a/%2e%2E/b"), "the path has the segment `..`");
        assert_eq!(check("/a/."), "the path has the segment `.`");
        assert_eq!(
            check("/a%2fb"),
            "a segment of the path holds an encoded slash, which no name can have"
        );
        assert_eq!(
            check("/a%00"),
            "a segment of the path holds NUL, which no name can have"
        );
        assert_eq!(check("/%ff"), "a segment of the path is not UTF-8");
        assert_eq!(
            check("/100%"),
            "the path has a `%` without two hexadecimal digits behind it"
        );
        assert_eq!(
            check(&format!("/{}", "x".repeat(PATH_BYTES_MAX))),
            "the path has 8193 bytes, the limit is 8192"
        );
        assert_eq!(
            check(&format!("/{}", "x".repeat(256))),
            "a segment of the path cannot be a name: the name is 256 bytes long, the limit is 255"
        );
        assert_eq!(
            check(&"/a".repeat(101)),
            "the path has more than 100 segments"
        );
        assert_eq!(
            check("/a#b"),
            "the address has a fragment (`#`), which a request must not carry"
        );
        assert_eq!(
            check("/%2ecumulet"),
            "a segment of the path cannot be a name: the name `.cumulet` is reserved for \
             Cumulet's own data"
        );
    }

    #[test]
    fn a_path_is_decoded_once() {
        let path = decode_path("/a%2520b/%E6%97%85/").unwrap();
        let names: Vec<_> = path.names.iter().map(EntryName::as_str).collect();
        assert_eq!(names, ["a%20b", "旅"]);
        assert!(path.trailing_slash);
    }

    #[test]
    fn a_destination_is_an_address_or_a_path() {
        let check = |value: &str| {
            let d = Destination::parse(value).unwrap();
            let names: Vec<_> = d.path.names.iter().map(EntryName::to_string).collect();
            (d.authority, names.join("|"))
        };
        assert_eq!(check("/dav/x%20y"), (None, "dav|x y".into()));
        assert_eq!(
            check("https://User@Cloud.Example:8443/a/b/"),
            (Some("cloud.example:8443".into()), "a|b".into())
        );
        assert_eq!(check("http://h"), (Some("h".into()), String::new()));
        for bad in [
            "",
            "ftp://h/a",
            "a/b",
            "//h/a",
            "http:///a",
            "https://h/../a",
        ] {
            assert!(Destination::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_destination_on_another_host_is_noticed() {
        let on = |value: &str, host: &str| Destination::parse(value).unwrap().is_on(host);
        assert!(on("https://h:443/a", "H"));
        assert!(on("http://h/a", "h:80"));
        assert!(on("/a", "anything"));
        assert!(!on("https://h:8443/a", "h"));
        assert!(!on("https://other/a", "h"));
    }

    proptest! {
        #[test]
        fn an_encoded_name_decodes_to_itself(name in "[^/\0]{1,60}") {
            prop_assume!(EntryName::new(&name).is_ok());
            let mut out = b"/".to_vec();
            push_encoded(&mut out, &name);
            let path = decode_path(std::str::from_utf8(&out).unwrap()).unwrap();
            prop_assert_eq!(path.names[0].as_str(), name);
        }

        #[test]
        fn decoding_never_panics_and_never_lets_a_slash_through(path in "[/.%a2Ff0\\PC]{0,40}") {
            if let Ok(path) = decode_path(&path) {
                prop_assert!(path.names.iter().all(|n| !n.as_str().contains('/')));
            }
        }
    }
}
