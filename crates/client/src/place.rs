//! Addresses: of a node (`https://home.example:8443`), and of something on it (`home:/Photos`).

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::{NodeName, TreePath};

use crate::{ClientError, Kind};

/// Port of HTTPS where none is named.
pub(crate) const HTTPS_PORT: u16 = 8443;
/// Unreserved characters of RFC 3986 stay.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Host and port of a node's HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// True if `text` is meant as an address and not as a node's name.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.contains("://") || text.contains('.') || text.contains(':') || text == "localhost"
    }
}

impl From<SocketAddr> for Address {
    /// A link-local address of IPv6 keeps its interface (`fe80::1%2`, RFC 4007 section 11).
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            SocketAddr::V4(_) | SocketAddr::V6(_) => address.ip().to_string(),
        };
        Self {
            host,
            port: address.port(),
        }
    }
}

impl Address {
    /// The host without the interface of this computer, which means nothing to others.
    pub(crate) fn bare_host(&self) -> &str {
        self.host.split('%').next().unwrap_or(&self.host)
    }

    /// What goes into `Host`.
    pub(crate) fn authority(&self) -> String {
        let host = self.bare_host().to_owned();
        let port = self.port;
        Self { host, port }.to_string()
    }
}

impl FromStr for Address {
    type Err = ClientError;

    /// Reads `https://HOST[:PORT][/]`, `HOST:PORT` and `HOST`.
    fn from_str(text: &str) -> Result<Self, ClientError> {
        let bad = |why: &str| {
            Err(ClientError::new(
                Kind::Input,
                format!("`{text}` is no address of a node: {why}"),
            )
            .hint("write https://HOST:PORT as `cumulet serve` prints it"))
        };
        let rest = match text.split_once("://") {
            Some(("https", rest)) => rest,
            Some(("http", _)) => return bad("passwords go over https only"),
            Some(_) => return bad("expected https://"),
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@']) {
            return bad("expected only a host and a port");
        }
        let Ok(authority) = rest.parse::<http::uri::Authority>() else {
            return bad("expected a host and a port");
        };
        if authority.as_str().ends_with(':') {
            return bad("the port is missing");
        }
        let host = authority.host().trim_matches(['[', ']']);
        let port = match authority.port_u16() {
            Some(port @ 1..) => port,
            // What cannot be a port is no port for the parser.
            None if authority.host().len() == rest.len() => HTTPS_PORT,
            Some(0) | None => return bad("the port must be between 1 and 65535"),
        };
        if host.is_empty() {
            return bad("the host is missing");
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Something on a node: `NAME:/folder/file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name of a login.
    pub login: NodeName,
    /// Where in the person's space.
    pub path: TreePath,
    /// It was written with a slash at its end, so a folder is meant.
    pub is_folder: bool,
}

impl FromStr for Place {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        let bad = |why: String| {
            ClientError::new(
                Kind::Input,
                format!("`{text}` is no place on a node: {why}"),
            )
            .hint("write NAME:/folder/file, with a NAME that `cumulet logins` shows")
        };
        let (login, path) = text
            .split_once(':')
            .ok_or_else(|| bad("expected NAME:/path".into()))?;
        let login = login.parse().map_err(|error| bad(format!("{error}")))?;
        let path = if path.is_empty() { "/" } else { path };
        if !path.starts_with('/') {
            return Err(bad("the path begins with a slash".into()));
        }
        let is_folder = path.ends_with('/');
        let inner = path.strip_suffix('/').unwrap_or(path);
        let path = if inner.is_empty() {
            TreePath::root()
        } else {
            TreePath::parse(inner).map_err(|error| bad(error.to_string()))?
        };
        Ok(Self {
            login,
            path,
            is_folder,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.login, self.path)
    }
}

/// `SPACE/folder/file` for an URL.
pub(crate) fn encode(space: &str, path: &TreePath) -> String {
    let mut text = utf8_percent_encode(space, SEGMENT).to_string();
    for name in path.names() {
        text.push('/');
        text.extend(utf8_percent_encode(name.as_str(), SEGMENT));
    }
    if path.is_root() {
        text.push('/');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_nodes_are_read_as_people_write_them() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), expected);
        };
        check("https://home.example:9443/", "home.example:9443");
        check("https://home.example", "home.example:8443");
        check("192.168.1.5:8443", "192.168.1.5:8443");
        check("https://[fd00::1]:8443", "[fd00::1]:8443");
        check("localhost", "localhost:8443");
        for (text, why) in [
            ("http://home.example", "https only"),
            ("ftp://x", "expected https://"),
            ("https://home/files/alice", "only a host and a port"),
            ("https://alice:pw@home", "only a host and a port"),
            ("https://home:0", "between 1 and 65535"),
            ("https://home:99999", "between 1 and 65535"),
            ("https://", "host"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.message.contains(why), "{text}: {error}");
            assert_eq!(error.kind, Kind::Input);
        }
    }

    #[test]
    fn a_link_local_address_keeps_its_interface_to_itself() {
        let scoped = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 8443, 0, 2);
        let address = Address::from(SocketAddr::V6(scoped));
        assert_eq!(address.host, "fe80::1%2");
        assert_eq!(address.authority(), "[fe80::1]:8443");
        let plain = Address::from("192.168.1.5:8443".parse::<SocketAddr>().unwrap());
        assert_eq!(plain.to_string(), plain.authority());
    }

    #[test]
    fn places_are_a_login_and_a_path() {
        let place: Place = "home:/Fotos 2026/旅行.jpg".parse().unwrap();
        assert_eq!(place.to_string(), "home:/Fotos 2026/旅行.jpg");
        assert_eq!(
            encode("alice", &place.path),
            "alice/Fotos%202026/%E6%97%85%E8%A1%8C.jpg"
        );
        assert!(!place.is_folder);
        let top: Place = "home:/".parse().unwrap();
        assert_eq!(encode("alice", &top.path), "alice/");
        assert!("home:/Photos/".parse::<Place>().unwrap().is_folder);
        for text in [
            "/etc/passwd",
            "home:x",
            "home:/../x",
            "home:/a//b",
            "a b:/x",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
