//! If-Match, If-None-Match and If-Range (RFC 9110 section 13.1).

use crate::HeaderError;

/// Most tags of one header.
const TAGS_MAX: usize = 64;

/// One entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtagTag {
    /// It was written `W/"..."`.
    pub weak: bool,
    /// What is between the quotes.
    pub opaque: String,
}

impl EtagTag {
    /// Strong comparison with a strong tag given with its quotes (section 8.8.3.2).
    #[must_use]
    pub fn is_strongly(&self, etag: &str) -> bool {
        !self.weak && self.is_weakly(etag)
    }

    /// Weak comparison with a strong tag given with its quotes.
    #[must_use]
    pub fn is_weakly(&self, etag: &str) -> bool {
        let inner = etag.strip_prefix('"').and_then(|e| e.strip_suffix('"'));
        inner == Some(&self.opaque)
    }
}

/// The value of If-Match or If-None-Match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtagList {
    /// `*`: whatever exists.
    Any,
    /// One of these.
    Of(Vec<EtagTag>),
}

impl EtagList {
    /// Parses a header value; `header` is its name for the message.
    pub fn parse(header: &'static str, value: &str) -> Result<Self, HeaderError> {
        if value.trim() == "*" {
            return Ok(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = value.trim();
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix(',') {
                // Section 5.6.1.2: empty list elements are passed over.
                rest = tail.trim_start();
                continue;
            }
            if tags.len() == TAGS_MAX {
                let why = "it has more than 64 ETags";
                return Err(HeaderError { header, why });
            }
            let (tag, tail) = tag(rest).ok_or(HeaderError {
                header,
                why: "an ETag is not in quotes",
            })?;
            tags.push(tag);
            rest = tail.trim_start();
            if !rest.is_empty() && !rest.starts_with(',') {
                let why = "ETags are not separated by commas";
                return Err(HeaderError { header, why });
            }
        }
        if tags.is_empty() {
            let why = "it is empty";
            return Err(HeaderError { header, why });
        }
        Ok(Self::Of(tags))
    }
}

fn tag(text: &str) -> Option<(EtagTag, &str)> {
    let weak = text.starts_with("W/");
    let quoted = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?;
    let (opaque, rest) = quoted.split_once('"')?;
    let opaque = opaque.to_owned();
    Some((EtagTag { weak, opaque }, rest))
}

/// The value of If-Range: a range is answered only if this is still current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfRange {
    /// This tag, compared strongly.
    Etag(EtagTag),
    /// This date, compared exactly; seconds since 1970.
    Date(i64),
}

impl IfRange {
    /// Parses a header value; `None` if it is neither, which means "send all".
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        if let Some((etag, "")) = tag(value) {
            return Some(Self::Etag(etag));
        }
        crate::headers::http_date(value).map(Self::Date)
    }

    /// True if the range may be sent. A date is a weak validator unless it is surely older than any
    /// change that could share its second (section 13.1.5), so it counts only with a Last-Modified
    /// at least a minute before `now_s`.
    #[must_use]
    pub fn holds(&self, etag: &str, modified_s: i64, now_s: i64) -> bool {
        match self {
            Self::Etag(tag) => tag.is_strongly(etag),
            Self::Date(date) => *date == modified_s && modified_s <= now_s - 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str) -> String {
        match EtagList::parse("If-Match", value) {
            Ok(EtagList::Any) => "any".into(),
            Ok(EtagList::Of(tags)) => tags
                .iter()
                .map(|t| format!("{}{}", if t.weak { "~" } else { "" }, t.opaque))
                .collect::<Vec<_>>()
                .join("|"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn lists_of_etags_are_read() {
        assert_eq!(check(" * "), "any");
        assert_eq!(check("\"1.2\""), "1.2");
        assert_eq!(check("\"a,b\" , W/\"c\",, \"\""), "a,b|~c|");
        let bad = "the If-Match header cannot be read: ";
        assert_eq!(check("1.2"), format!("{bad}an ETag is not in quotes"));
        assert_eq!(check(""), format!("{bad}it is empty"));
        assert_eq!(
            check("\"a\" \"b\""),
            format!("{bad}ETags are not separated by commas")
        );
    }

    #[test]
    fn if_range_compares_strongly() {
        let holds = |value: &str, now| {
            IfRange::parse(value)
                .unwrap()
                .holds("\"1.2\"", 784_111_777, now)
        };
        assert!(holds("\"1.2\"", 0));
        assert!(!holds("W/\"1.2\"", 0));
        assert!(holds("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_900));
        assert!(!holds("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_778));
        assert_eq!(IfRange::parse("yesterday"), None);
    }
}
