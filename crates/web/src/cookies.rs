//! Cookies: names, reading, setting (RFC 6265bis).
//!
//! `__Host-`, Secure, HttpOnly and SameSite=Lax always, with one exception: a browser on loopback
//! without TLS would drop such cookies, so there the prefix and Secure are left out.

use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use crate::Connection;

/// Longest cookie value that is looked at.
const VALUE_BYTES_MAX: usize = 512;

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// A signed-in person.
    Session,
    /// A login that waits for its second factor.
    Pending,
    /// Proof that the password of link `0` was given.
    Link(i64),
    /// The language of somebody who is not signed in.
    Language,
}

impl Cookie {
    fn name(self, connection: &Connection) -> String {
        let prefix = if plain_loopback(connection) {
            ""
        } else {
            "__Host-"
        };
        match self {
            Self::Session => format!("{prefix}cumulet-session"),
            Self::Pending => format!("{prefix}cumulet-login"),
            Self::Link(id) => format!("{prefix}cumulet-link-{id}"),
            Self::Language => format!("{prefix}cumulet-language"),
        }
    }

    /// Its value in a request; the first one wins if a name comes twice.
    pub(crate) fn read(self, headers: &HeaderMap, connection: &Connection) -> Option<String> {
        let name = self.name(connection);
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, value)| *key == name && value.len() <= VALUE_BYTES_MAX)
            .map(|(_, value)| value.to_owned())
    }

    /// Adds it to an answer; `lifetime` of `None` lasts until the browser closes.
    pub(crate) fn set(
        self,
        headers: &mut HeaderMap,
        connection: &Connection,
        value: &str,
        lifetime: Option<Duration>,
    ) {
        let secure = if plain_loopback(connection) {
            ""
        } else {
            "; Secure"
        };
        let age = lifetime.map_or(String::new(), |age| format!("; Max-Age={}", age.as_secs()));
        let text = format!(
            "{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}",
            self.name(connection)
        );
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(SET_COOKIE, value);
        }
    }

    /// Tells the browser to forget it.
    pub(crate) fn clear(self, headers: &mut HeaderMap, connection: &Connection) {
        self.set(headers, connection, "", Some(Duration::ZERO));
    }
}

/// True if any cookie of ours that carries authority came along.
pub(crate) fn carries_authority(headers: &HeaderMap) -> bool {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .any(|header| {
            ["cumulet-session=", "cumulet-login=", "cumulet-link-"]
                .iter()
                .any(|name| header.contains(name))
        })
}

fn plain_loopback(connection: &Connection) -> bool {
    !connection.tls && connection.peer.ip().is_loopback()
}

#[cfg(test)]
mod tests {
    use sharing::Place;

    use super::*;

    fn connection(peer: &str, tls: bool) -> Connection {
        Connection {
            friend: None,
            peer: peer.parse().unwrap(),
            place: Place::Away,
            tls,
        }
    }

    fn set(connection: &Connection) -> String {
        let mut headers = HeaderMap::new();
        Cookie::Session.set(&mut headers, connection, "v", None);
        headers[SET_COOKIE].to_str().unwrap().to_owned()
    }

    #[test]
    fn cookies_are_host_bound_and_secure() {
        let expected = "__Host-cumulet-session=v; Path=/; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(set(&connection("127.0.0.1:1", true)), expected);
        assert_eq!(set(&connection("192.0.2.1:1", true)), expected);
        assert_eq!(set(&connection("192.0.2.1:1", false)), expected);
    }

    #[test]
    fn only_plain_loopback_goes_without_the_prefix() {
        assert_eq!(
            set(&connection("127.0.0.1:1", false)),
            "cumulet-session=v; Path=/; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn a_plain_cookie_is_not_taken_for_a_host_bound_one() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, "cumulet-session=planted".parse().unwrap());
        let secure = connection("192.0.2.1:1", true);
        assert_eq!(Cookie::Session.read(&headers, &secure), None);
    }
}
