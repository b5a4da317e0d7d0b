//! Who asks: the key of a friend's node or of a person's device; else session cookie for pages, HTTP Basic for programs and WebDAV, unlock cookie for links.
//!
//! WebDAV never takes a cookie, so a browser that is signed in cannot be led into a WebDAV request.
//! A session that ended is nobody, not an error.

use base64::Engine;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sharing::{Account, Asker, Link, LoginError, Scope, Who};

use crate::cookies::Cookie;
use crate::problem::{Fault, Problem};
use crate::{App, Caller, Connection};

/// Longest `Authorization` header that is looked at.
const CREDENTIAL_BYTES_MAX: usize = 4_096;

/// Who was found, with the account of a session for its language.
pub(crate) struct Found {
    pub(crate) asker: Asker,
    pub(crate) account: Option<Account>,
}

/// Finds out who asks. Blocks.
pub(crate) fn identify(
    app: &App,
    caller: Caller,
    connection: &Connection,
    headers: &HeaderMap,
) -> Result<Found, Problem> {
    let asker = |who| Asker {
        who,
        place: connection.place,
        address: connection.peer.ip(),
    };
    if let Some(node) = connection.friend {
        if let Some(who) = app.sharing.device(node, connection.peer.ip())? {
            // The device's own key in place of its password; pages take neither.
            let who = if caller.uses_basic() {
                who
            } else {
                Who::Nobody
            };
            return Ok(Found {
                asker: asker(who),
                account: None,
            });
        }
        let friend = app.sharing.friend_at_the_door(node, Scope::Files)?;
        let friend = friend.ok_or(Problem::new(Fault::Forbidden))?;
        // Whoever proved a node's key speaks for that node and for nobody else.
        return Ok(Found {
            asker: asker(Who::Friend {
                id: friend.id,
                name: friend.name,
            }),
            account: None,
        });
    }
    if caller.uses_basic()
        && let Some((name, secret)) = basic_credential(headers)?
    {
        let who = app
            .sharing
            .basic(&name, &secret, connection.peer.ip())
            .map_err(refused)?;
        return Ok(Found {
            asker: asker(who),
            account: None,
        });
    }
    if caller != Caller::Dav
        && let Some(cookie) = Cookie::Session.read(headers, connection)
        && let Some(session) = app.sharing.session(&cookie)?
    {
        return Ok(Found {
            asker: asker(session.who()),
            account: Some(session.account),
        });
    }
    Ok(Found {
        asker: asker(Who::Nobody),
        account: None,
    })
}

/// The asker on a link's pages: whoever holds its address, signed in or not.
pub(crate) fn through_link(
    app: &App,
    link: &Link,
    connection: &Connection,
    headers: &HeaderMap,
) -> Asker {
    let cookie = Cookie::Link(link.id).read(headers, connection);
    Asker {
        who: Who::Link {
            id: link.id,
            unlocked: app.sharing.link_unlocked(link, cookie.as_deref()),
        },
        place: connection.place,
        address: connection.peer.ip(),
    }
}

/// The asker as the author of a change.
pub(crate) fn author(asker: &Asker) -> files::Author {
    files::Author {
        account: asker.account(),
        label: asker.label(),
        via: asker.via(),
        address: Some(asker.address),
    }
}

/// Name and secret of RFC 7617; `None` without such a header.
fn basic_credential(headers: &HeaderMap) -> Result<Option<(String, String)>, Problem> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let bad = || Problem::bad("Authorization");
    let text = header.to_str().map_err(|_| bad())?;
    if text.len() > CREDENTIAL_BYTES_MAX {
        return Err(bad());
    }
    let Some((scheme, encoded)) = text.split_once(' ') else {
        return Err(bad());
    };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .map_err(|_| bad())?;
    let pair = String::from_utf8(bytes).map_err(|_| bad())?;
    let (name, secret) = pair.split_once(':').ok_or_else(bad)?;
    Ok(Some((name.to_owned(), secret.to_owned())))
}

/// A failed sign-in as a problem. Nothing tells an unknown name from a wrong secret. `sharing` has
/// noted it, without the name: people type passwords into the wrong field.
pub(crate) fn refused(error: LoginError) -> Problem {
    match error {
        LoginError::Wrong => Problem::new(Fault::SignIn),
        LoginError::TooMany { retry_after } => Problem::new(Fault::TooMany { retry_after }),
        LoginError::Busy => Problem::new(Fault::Busy),
        LoginError::Failed(error) => Problem::internal(&error),
        // Non-exhaustive upstream: a new kind of refusal still refuses.
        _ => Problem::new(Fault::SignIn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expected: Option<(&str, &str)>) {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, header.parse().unwrap());
        let found = basic_credential(&headers).unwrap();
        let found = found.as_ref().map(|(n, s)| (n.as_str(), s.as_str()));
        assert_eq!(found, expected, "{header}");
    }

    #[test]
    fn basic_credentials_split_at_the_first_colon() {
        check("Basic YWxpY2U6YTpi", Some(("alice", "a:b")));
        check("basic YWxpY2U6", Some(("alice", "")));
        check("Bearer abc", None);
    }

    #[test]
    fn broken_credentials_are_a_bad_request() {
        for header in ["Basic", "Basic ???", "Basic YWxpY2U="] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, header.parse().unwrap());
            assert_eq!(
                basic_credential(&headers),
                Err(Problem::bad("Authorization"))
            );
        }
    }
}
