//! What must hold for a request: If, If-Match, If-None-Match, If-Unmodified-Since (RFC 4918 section
//! 10.4, RFC 9110 section 13). For what changes something the commit decides all of them; If holds
//! for what only reads as well ([`Wanted::check_reading`]). If-Modified-Since is for GET and HEAD
//! alone (RFC 9110 section 13.1.3).

use dav::{Destination, EtagList, EtagTag, IfHeader, IfTest};
use files::{At, ConditionList, Conditions, EtagSet, Test};
use http::HeaderMap;
use protocol::Etag;
use sharing::Asker;

use crate::App;
use crate::problem::Problem;

use super::header;
use super::names;
use super::place::Place;
use super::refused::{Refused, Step};

/// The conditional headers of a request, read but not yet looked up.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    if_match: Option<EtagList>,
    if_none_match: Option<EtagList>,
    if_header: Option<IfHeader>,
    unmodified_since: Option<i64>,
    host: String,
}

impl Wanted {
    pub(super) fn of(head: &http::request::Parts) -> Step<Self> {
        let headers = &head.headers;
        let list = |name: &'static str, title: &'static str| {
            header(headers, name)?
                .map(|value| EtagList::parse(title, value))
                .transpose()
                .map_err(Refused::from)
        };
        Ok(Self {
            if_match: list("if-match", "If-Match")?,
            if_none_match: list("if-none-match", "If-None-Match")?,
            if_header: header(headers, "if")?.map(IfHeader::parse).transpose()?,
            unmodified_since: date(headers, "if-unmodified-since")?,
            host: host(head).to_owned(),
        })
    }

    /// The lock tokens in the If header.
    pub(super) fn tokens(&self) -> Vec<String> {
        let tokens = self.if_header.iter().flat_map(IfHeader::tokens);
        tokens.map(str::to_owned).collect()
    }

    /// The conditions as the commit takes them. Blocks.
    pub(super) fn resolve(&self, app: &App, asker: &Asker) -> Step<Conditions> {
        let mut lists = Vec::new();
        for list in self.if_header.iter().flat_map(|header| &header.lists) {
            let tests = list.tests.iter().map(test).collect();
            lists.push(match &list.resource {
                None => ConditionList {
                    resource: None,
                    tests,
                },
                Some(address) => self.tagged(app, asker, address, tests)?,
            });
        }
        Ok(Conditions {
            if_match: self.if_match.as_ref().map(|list| etags(list, true)),
            if_none_match: self.if_none_match.as_ref().map(|list| etags(list, false)),
            unmodified_since: self.unmodified_since,
            lists,
            lock_tokens: self.tokens(),
            account: asker.lock_holder(),
        })
    }

    fn tagged(
        &self,
        app: &App,
        asker: &Asker,
        address: &str,
        tests: Vec<Test>,
    ) -> Step<ConditionList> {
        let destination = Destination::parse(address)?;
        let at = if destination.is_on(&self.host) {
            match Place::of(destination.path) {
                Ok(Place::Tree(named)) => names::resolve(app, asker, &named).ok().map(|(_, at)| at),
                // Another part of this server: nothing there has a lock or an ETag.
                Ok(_) | Err(_) => None,
            }
        } else {
            None
        };
        Ok(match at {
            Some(at) => ConditionList {
                resource: Some(at),
                tests,
            },
            None => nowhere(&tests),
        })
    }

    /// Refuses GET, HEAD or PROPFIND if all lists of the If header fail (RFC 4918 section 10.4); the
    /// other conditions of a GET are weighed with its content. `at` is the resource, `None` one
    /// outside of the tree. Blocks.
    pub(super) fn check_reading(&self, app: &App, asker: &Asker, at: Option<&At>) -> Step<()> {
        if self.if_header.is_none() {
            return Ok(());
        }
        let conditions = Conditions {
            lists: self.resolve(app, asker)?.lists,
            ..Conditions::default()
        };
        let checked = app.files.check_conditions(at, &conditions);
        checked.map_err(|refusal| Problem::from(refusal).into())
    }
}

/// A list about something that is not in the tree: it has no lock and no ETag, so each test holds
/// exactly if it is negated (RFC 4918 section 10.4.4).
fn nowhere(tests: &[Test]) -> ConditionList {
    let holds = tests.iter().all(|test| {
        let (Test::Token { not, .. } | Test::Etag { not, .. }) = test;
        *not
    });
    ConditionList {
        resource: None,
        tests: vec![Test::Token {
            not: holds,
            token: "DAV:no-lock".into(),
        }],
    }
}

fn test(test: &IfTest) -> Test {
    match test.clone() {
        IfTest::Token { not, token } => Test::Token { not, token },
        IfTest::Etag { not, etag } => Test::Etag { not, etag },
    }
}

/// The tags that can be one of ours; a foreign one never matches.
pub(crate) fn etags(list: &EtagList, strong: bool) -> EtagSet {
    match list {
        EtagList::Any => EtagSet::Any,
        EtagList::Of(tags) => {
            let usable = tags.iter().filter(|tag| !(strong && tag.weak));
            EtagSet::OneOf(usable.filter_map(etag).collect())
        }
    }
}

fn etag(tag: &EtagTag) -> Option<Etag> {
    let (fid, rev) = tag.opaque.split_once('.')?;
    let etag = Etag {
        fid: fid.parse().ok()?,
        rev: rev.parse().ok()?,
    };
    // `1.02` is another text than ours, so another tag.
    tag.is_weakly(&etag.to_string()).then_some(etag)
}

/// Seconds since 1970 of a date header; one that is no date is ignored (RFC 9110 section 13.1.3).
pub(super) fn date(headers: &HeaderMap, name: &'static str) -> Step<Option<i64>> {
    let Some(value) = header(headers, name)? else {
        return Ok(None);
    };
    let time = httpdate::parse_http_date(value.trim()).ok();
    let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    Ok(since.and_then(|since| i64::try_from(since.as_secs()).ok()))
}

/// The authority that the client asked: `:authority` of HTTP/2, else Host.
pub(super) fn host(head: &http::request::Parts) -> &str {
    let host = head.headers.get(http::header::HOST);
    match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => host.and_then(|host| host.to_str().ok()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Fid, Seq};

    use super::*;

    #[test]
    fn only_our_own_etags_can_match() {
        let list = EtagList::parse("If-Match", "\"1.2\", W/\"3.4\", \"x\", \"1.02\"").unwrap();
        let one = Etag {
            fid: Fid(1),
            rev: Seq(2),
        };
        let weak = Etag {
            fid: Fid(3),
            rev: Seq(4),
        };
        assert_eq!(etags(&list, true), EtagSet::OneOf(vec![one]));
        assert_eq!(etags(&list, false), EtagSet::OneOf(vec![one, weak]));
    }

    #[test]
    fn what_is_nowhere_has_neither_lock_nor_etag() {
        let token = |not| Test::Token {
            not,
            token: "urn:uuid:1".into(),
        };
        let holds = |tests: &[Test]| {
            nowhere(tests).tests
                == [Test::Token {
                    not: true,
                    token: "DAV:no-lock".into(),
                }]
        };
        assert!(holds(&[token(true)]));
        assert!(!holds(&[token(true), token(false)]));
    }
}
