//! The smaller headers: Depth, Overwrite, Timeout, Lock-Token (RFC 4918 section 10), Content-Range
//! (RFC 9110 section 14.4), Prefer (RFC 8144), OC-Checksum and X-OC-Mtime (ownCloud's custom).

use std::time::{Duration, UNIX_EPOCH};

use thiserror::Error;

/// A header that cannot be read; the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the {header} header cannot be read: {why}")]
pub struct HeaderError {
    /// Its name.
    pub header: &'static str,
    /// What is wrong.
    pub why: &'static str,
}

/// The Depth header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The resource alone.
    Zero,
    /// And its children.
    One,
    /// And all below.
    Infinity,
}

impl Depth {
    /// Parses a header value.
    pub fn parse(value: &str) -> Result<Self, HeaderError> {
        match value.trim() {
            "0" => Ok(Self::Zero),
            "1" => Ok(Self::One),
            // MS-WDV section 2.2.3: `1,noroot` asks for the children alone; the extra row is known
            // to do no harm.
            "1,noroot" => Ok(Self::One),
            other if other.eq_ignore_ascii_case("infinity") => Ok(Self::Infinity),
            _ => Err(HeaderError {
                header: "Depth",
                why: "it is not 0, 1 or infinity",
            }),
        }
    }
}

/// Parses the Overwrite header: may the destination be replaced? Absent means yes.
pub fn overwrite(value: Option<&str>) -> Result<bool, HeaderError> {
    match value.map(str::trim) {
        None => Ok(true),
        Some(t) if t.eq_ignore_ascii_case("t") => Ok(true),
        Some(f) if f.eq_ignore_ascii_case("f") => Ok(false),
        Some(_) => Err(HeaderError {
            header: "Overwrite",
            why: "it is not T or F",
        }),
    }
}

/// How long a lock is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// As long as the server allows.
    Infinite,
    /// So many seconds.
    Seconds(u32),
}

impl Timeout {
    /// The first readable choice of the list; `None` if there is none, for a wish that cannot be
    /// read is no reason to refuse the lock.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        value.split(',').map(str::trim).find_map(|choice| {
            if choice.eq_ignore_ascii_case("infinite") {
                return Some(Self::Infinite);
            }
            let (word, seconds) = choice.split_once('-')?;
            if !word.eq_ignore_ascii_case("second") || seconds.is_empty() {
                return None;
            }
            let digits = seconds.bytes().all(|b| b.is_ascii_digit());
            // Numbers up to 2^32 - 1 are legal; larger ones are the same wish.
            digits.then(|| Self::Seconds(seconds.parse().unwrap_or(u32::MAX)))
        })
    }

    /// As a duration; `infinite` for [`Timeout::Infinite`].
    #[must_use]
    pub fn duration(self, infinite: Duration) -> Duration {
        match self {
            Self::Infinite => infinite,
            Self::Seconds(seconds) => Duration::from_secs(seconds.into()),
        }
    }
}

/// Parses the Lock-Token header of UNLOCK: `<urn:uuid:…>`.
pub fn lock_token(value: &str) -> Result<&str, HeaderError> {
    value
        .trim()
        .strip_prefix('<')
        .and_then(|v| v.strip_suffix('>'))
        .filter(|token| !token.is_empty() && !token.contains(['<', '>', ' ']))
        .ok_or(HeaderError {
            header: "Lock-Token",
            why: "it is not a lock token in angle brackets",
        })
}

/// The hash functions that OC-Checksum may name and we can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumKind {
    /// SHA-1, 20 bytes.
    Sha1,
    /// BLAKE3, 32 bytes.
    Blake3,
}

/// A checksum that the sender wants checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// Which function.
    pub kind: ChecksumKind,
    /// Its raw bytes, of the kind's length.
    pub bytes: Vec<u8>,
}

/// Parses OC-Checksum (`SHA1:hex`, several separated by blanks). Functions we do not know are passed
/// over: `Ok(None)`.
pub fn oc_checksum(value: &str) -> Result<Option<Checksum>, HeaderError> {
    let bad = |why| HeaderError {
        header: "OC-Checksum",
        why,
    };
    for part in value.split([' ', ',']).filter(|part| !part.is_empty()) {
        let (kind, hex) = part
            .split_once(':')
            .ok_or_else(|| bad("it is not of the form KIND:HEX"))?;
        let (kind, length) = if kind.eq_ignore_ascii_case("sha1") {
            (ChecksumKind::Sha1, 20)
        } else if kind.eq_ignore_ascii_case("blake3") {
            (ChecksumKind::Blake3, 32)
        } else {
            continue;
        };
        let digits: Option<Vec<u8>> = hex
            .bytes()
            .map(|b| {
                char::from(b)
                    .to_digit(16)
                    .and_then(|d| u8::try_from(d).ok())
            })
            .collect();
        let digits = digits.filter(|d| d.len() == 2 * length);
        let digits =
            digits.ok_or_else(|| bad("its hexadecimal digits have not the right number"))?;
        let bytes = digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect();
        return Ok(Some(Checksum { kind, bytes }));
    }
    Ok(None)
}

/// Parses X-OC-Mtime: seconds since 1970, perhaps with a fraction; answers milliseconds.
pub fn oc_mtime(value: &str) -> Result<i64, HeaderError> {
    let bad = HeaderError {
        header: "X-OC-Mtime",
        why: "it is not a number of seconds since 1970",
    };
    let value = value.trim();
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let seconds: i64 = whole.parse().map_err(|_| bad.clone())?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad);
    }
    let padded = format!("{fraction:0<3.3}");
    let millis: i64 = padded.parse().map_err(|_| bad.clone())?;
    let millis = if value.starts_with('-') {
        -millis
    } else {
        millis
    };
    seconds
        .checked_mul(1000)
        .and_then(|ms| ms.checked_add(millis))
        .ok_or(bad)
}

/// Parses the Content-Range header of a PUT, which is refused anyway (RFC 9110 section 14.5); what
/// counts is that it is there. Answers first and last byte if they can be read.
#[must_use]
pub fn content_range(value: &str) -> Option<(u64, u64)> {
    let range = value.trim().strip_prefix("bytes")?.trim_start();
    let (span, _) = range.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

/// True if the client wants replies without the properties that were not found: `Prefer:
/// return=minimal` (RFC 8144) or Microsoft's `Brief: t`.
#[must_use]
pub fn wants_minimal(prefer: Option<&str>, brief: Option<&str>) -> bool {
    let minimal = |preference: &str| {
        let word = preference.split(';').next().unwrap_or_default();
        let word: String = word.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let word = word.to_ascii_lowercase();
        word == "return=minimal" || word == "return=\"minimal\""
    };
    prefer.is_some_and(|value| value.split(',').any(minimal))
        || brief.is_some_and(|value| value.trim().eq_ignore_ascii_case("t"))
}

/// Seconds since 1970 of an HTTP date in any of its three forms.
pub(crate) fn http_date(value: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(value.trim()).ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_0_1_or_infinity() {
        assert_eq!(Depth::parse(" 0"), Ok(Depth::Zero));
        assert_eq!(Depth::parse("1,noroot"), Ok(Depth::One));
        assert_eq!(Depth::parse("Infinity"), Ok(Depth::Infinity));
        assert!(Depth::parse("2").is_err());
    }

    #[test]
    fn overwrite_defaults_to_yes() {
        assert_eq!(overwrite(None), Ok(true));
        assert_eq!(overwrite(Some("f")), Ok(false));
        assert!(overwrite(Some("yes")).is_err());
    }

    #[test]
    fn the_first_readable_timeout_counts() {
        assert_eq!(
            Timeout::parse("Infinite, Second-4100000000"),
            Some(Timeout::Infinite)
        );
        assert_eq!(
            Timeout::parse("Extend-5, Second-3600"),
            Some(Timeout::Seconds(3600))
        );
        assert_eq!(
            Timeout::parse("Second-99999999999"),
            Some(Timeout::Seconds(u32::MAX))
        );
        assert_eq!(Timeout::parse("Second-"), None);
        assert_eq!(Timeout::parse("Second--1"), None);
    }

    #[test]
    fn lock_tokens_stand_in_angle_brackets() {
        assert_eq!(lock_token(" <urn:uuid:1> "), Ok("urn:uuid:1"));
        assert!(lock_token("urn:uuid:1").is_err());
        assert!(lock_token("<>").is_err());
    }

    #[test]
    fn checksums_of_known_kinds_are_read() {
        let sha1 = oc_checksum("MD5:00 SHA1:DA39a3ee5e6b4b0d3255bfef95601890afd80709").unwrap();
        assert_eq!(
            sha1.map(|c| (c.kind, c.bytes[0])),
            Some((ChecksumKind::Sha1, 0xDA))
        );
        assert_eq!(oc_checksum("ADLER32:1"), Ok(None));
        assert!(oc_checksum("SHA1:zz").is_err());
        assert!(oc_checksum("SHA1").is_err());
    }

    #[test]
    fn mtimes_are_seconds_with_a_fraction() {
        assert_eq!(oc_mtime("1795496640"), Ok(1_795_496_640_000));
        assert_eq!(oc_mtime("1795496640.5"), Ok(1_795_496_640_500));
        assert_eq!(oc_mtime("-1.5"), Ok(-1500));
        for bad in ["", "x", "1.x", "99999999999999999", "1e3"] {
            assert!(oc_mtime(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn minimal_is_preferred_in_either_dialect() {
        assert!(wants_minimal(
            Some("respond-async, return=minimal;x=1"),
            None
        ));
        assert!(wants_minimal(None, Some("T")));
        assert!(!wants_minimal(Some("return=representation"), Some("f")));
    }

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(content_range("bytes 0-9/100"), Some((0, 9)));
        assert_eq!(content_range("bytes 9-0/*"), None);
        assert_eq!(content_range("x"), None);
    }
}
