//! Forms and queries: `application/x-www-form-urlencoded`, bounded in size and time.

use std::time::Duration;

use axum::body::Body;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Limited};
use percent_encoding::percent_decode_str;

use crate::problem::{Fault, Problem};

/// Largest form; 200 picked names of 255 bytes, three times encoded, fit.
pub(crate) const FORM_BYTES_MAX: usize = 256 * 1024;
/// Longest time for a form to arrive.
const FORM_TIME_MAX: Duration = Duration::from_secs(30);
/// Most fields of one form or query.
const FIELDS_MAX: usize = 2_000;

/// Decoded fields in their order; a name may come more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Decodes `a=1&b=2`.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let mut fields = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if fields.len() >= FIELDS_MAX {
                return Err(Problem::bad("form"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            fields.push((decode(name)?, decode(value)?));
        }
        Ok(Self(fields))
    }

    /// The fields of an address.
    pub(crate) fn of_query(query: Option<&str>) -> Result<Self, Problem> {
        Self::parse(query.unwrap_or(""))
    }

    /// The first value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of `name`, if it is not blank.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name)
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    /// The first value of `name`, which must be there.
    pub(crate) fn require(&self, name: &'static str) -> Result<&str, Problem> {
        self.get(name).ok_or_else(|| Problem::bad(name))
    }

    /// The first value of `name` as a number or other small thing.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, Problem> {
        self.require(name)?
            .trim()
            .parse()
            .map_err(|_| Problem::bad(name))
    }

    /// Every value of `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Problem::bad("UTF-8"))
}

/// Reads a whole form.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Fields, Problem> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let essence = kind.split(';').next().unwrap_or(kind).trim();
    let bytes = read_bytes(body, FORM_BYTES_MAX).await?;
    if bytes.is_empty() {
        return Ok(Fields::default());
    }
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Problem::bad("Content-Type"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Problem::bad("form"))?;
    Fields::parse(text)
}

/// Reads a small body whole.
pub(crate) async fn read_bytes(body: Body, limit: usize) -> Result<bytes::Bytes, Problem> {
    let read = Limited::new(body, limit).collect();
    match tokio::time::timeout(FORM_TIME_MAX, read).await {
        Err(_) => Err(Problem::new(Fault::Timeout)),
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Problem::new(Fault::TooLarge {
                limit: limit as u64,
            }))
        }
        Ok(Err(_)) => Err(Problem::new(Fault::Incomplete)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_once_and_keep_their_order() {
        let fields = Fields::parse("name=a+b%2Bc&name=%E6%97%85&empty=&flag").unwrap();
        assert_eq!(fields.all("name").collect::<Vec<_>>(), ["a b+c", "旅"]);
        assert_eq!(fields.get("empty"), Some(""));
        assert_eq!(fields.filled("empty"), None);
        assert_eq!(fields.get("flag"), Some(""));
        assert_eq!(fields.require("x"), Err(Problem::bad("x")));
        assert!(Fields::parse("a=%FF").is_err());
        assert!(Fields::parse(&"a=1&".repeat(2_001)).is_err());
    }

    #[tokio::test]
    async fn a_form_has_a_size_limit_and_a_type() {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            "application/x-www-form-urlencoded".parse().unwrap(),
        );
        let big = Body::from("a".repeat(FORM_BYTES_MAX + 1));
        let fault = read(&headers, big).await.unwrap_err().fault;
        assert!(matches!(fault, Fault::TooLarge { .. }), "{fault:?}");
        headers.insert(CONTENT_TYPE, "text/plain".parse().unwrap());
        assert!(read(&headers, Body::from("a=1")).await.is_err());
        assert!(read(&headers, Body::empty()).await.is_ok());
    }
}
