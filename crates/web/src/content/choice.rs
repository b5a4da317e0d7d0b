//! Which part of some content a request gets: its conditions and ranges, honored in the order of
//! RFC 9110 section 13.2.2. Decides without I/O.

use std::time::UNIX_EPOCH;

use dav::{ByteSpan, EtagList, IfRange, Ranges, ranges};
use http::HeaderMap;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};

use crate::problem::{Fault, Problem};

/// What conditions and ranges are held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// With quotes; `None` for content that has none.
    pub(super) etag: Option<&'a str>,
    pub(super) modified_s: i64,
    pub(super) size: u64,
    pub(super) ranges: bool,
    pub(super) now_s: i64,
}

/// What a request comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    NotModified,
    Whole,
    One(ByteSpan),
    Several(Vec<ByteSpan>),
}

/// The value of a header as text; one that is no text is refused.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let value = headers.get(name).map(|value| value.to_str());
    value.transpose().map_err(|_| Problem::bad(name.as_str()))
}

/// Seconds since 1970 of a date header; one that is no date is ignored (RFC 9110 section 13.1.3).
fn date(headers: &HeaderMap, name: &HeaderName) -> Result<Option<i64>, Problem> {
    let time = text(headers, name)?.and_then(|value| httpdate::parse_http_date(value.trim()).ok());
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok(since.and_then(|since| i64::try_from(since.as_secs()).ok()))
}

fn tags(name: &'static str, value: &str) -> Result<EtagList, Problem> {
    EtagList::parse(name, value).map_err(|_| Problem::bad(name))
}

pub(super) fn choose(headers: &HeaderMap, facts: Facts<'_>) -> Result<Choice, Problem> {
    if let Some(value) = text(headers, &IF_MATCH)? {
        let holds = match (tags("If-Match", value)?, facts.etag) {
            (EtagList::Any, _) => true,
            (EtagList::Of(tags), Some(etag)) => tags.iter().any(|tag| tag.is_strongly(etag)),
            (EtagList::Of(_), None) => false,
        };
        if !holds {
            return Err(Problem::new(Fault::ConditionFailed));
        }
    } else if date(headers, &IF_UNMODIFIED_SINCE)?.is_some_and(|since| facts.modified_s > since) {
        return Err(Problem::new(Fault::ConditionFailed));
    }
    if let Some(value) = text(headers, &IF_NONE_MATCH)? {
        let same = match (tags("If-None-Match", value)?, facts.etag) {
            (EtagList::Any, _) => true,
            (EtagList::Of(tags), Some(etag)) => tags.iter().any(|tag| tag.is_weakly(etag)),
            (EtagList::Of(_), None) => false,
        };
        if same {
            return Ok(Choice::NotModified);
        }
    } else if date(headers, &IF_MODIFIED_SINCE)?.is_some_and(|since| facts.modified_s <= since) {
        return Ok(Choice::NotModified);
    }
    match text(headers, &RANGE)? {
        Some(value) if facts.ranges && range_still_holds(headers, facts)? => {
            span(value, facts.size)
        }
        Some(_) | None => Ok(Choice::Whole),
    }
}

fn range_still_holds(headers: &HeaderMap, facts: Facts<'_>) -> Result<bool, Problem> {
    let Some(value) = text(headers, &IF_RANGE)? else {
        return Ok(true);
    };
    let holds = |if_range: IfRange| match (&if_range, facts.etag) {
        (IfRange::Etag(_), None) => false,
        (IfRange::Etag(_) | IfRange::Date(_), etag) => {
            if_range.holds(etag.unwrap_or_default(), facts.modified_s, facts.now_s)
        }
    };
    Ok(IfRange::parse(value).is_some_and(holds))
}

fn span(value: &str, size: u64) -> Result<Choice, Problem> {
    match ranges(value, size) {
        Ranges::Whole => Ok(Choice::Whole),
        Ranges::Unsatisfiable => Err(Problem::new(Fault::Range(size))),
        Ranges::Parts(parts) => Ok(match parts.as_slice() {
            [one] => Choice::One(*one),
            _ => Choice::Several(parts),
        }),
    }
}
