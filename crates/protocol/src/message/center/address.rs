//! The one string that makes a node find a center and know it again.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::NodeId;

/// How the string begins.
pub const CENTER_PREFIX: &str = "cumulet-center:";

/// A text that is no center's address.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "`{input}` is no center: {why}; expected `cumulet-center:ID@HOST:PORT` as `cumulet center` \
     prints it"
)]
pub struct CenterAddressError {
    input: String,
    why: &'static str,
}

/// Where a center is and which key it must prove: `cumulet-center:ID@HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CenterAddress {
    /// Its key; whoever answers with another one is not the center.
    pub id: NodeId,
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// UDP.
    pub port: u16,
}

impl FromStr for CenterAddress {
    type Err = CenterAddressError;

    fn from_str(text: &str) -> Result<Self, CenterAddressError> {
        let bad = |why| CenterAddressError {
            input: text.chars().take(200).collect(),
            why,
        };
        let rest = text
            .trim()
            .strip_prefix(CENTER_PREFIX)
            .ok_or_else(|| bad("it does not begin with `cumulet-center:`"))?;
        let (id, place) = rest
            .split_once('@')
            .ok_or_else(|| bad("the `@` is missing"))?;
        let id = id
            .parse()
            .map_err(|_| bad("what stands before the `@` is no id"))?;
        let (host, port) = place
            .rsplit_once(':')
            .ok_or_else(|| bad("the port is missing"))?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| bad("the port is not a number from 1 to 65535"))?;
        let inner = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = inner.unwrap_or(host);
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
        if host.is_empty() || host.len() > 253 || !host.bytes().all(fits) {
            return Err(bad("the host is neither a name nor an address"));
        }
        if inner.is_none() && host.contains(':') {
            return Err(bad("an IPv6 address stands in brackets"));
        }
        Ok(Self {
            id,
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl fmt::Display for CenterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, host, port } = self;
        if host.contains(':') {
            write!(f, "{CENTER_PREFIX}{id}@[{host}]:{port}")
        } else {
            write!(f, "{CENTER_PREFIX}{id}@{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_center_reads_back_as_it_is_shown() {
        let id = NodeId([7; 32]);
        for place in [
            "center.example.org:8443",
            "192.0.2.1:1",
            "[2001:db8::1]:8443",
        ] {
            let text = format!("cumulet-center:{id}@{place}");
            assert_eq!(text.parse::<CenterAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_center_is_told_why() {
        let id = NodeId([7; 32]);
        let check = |text: &str, why: &str| {
            let error = text.parse::<CenterAddress>().unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        };
        check("center.example.org:8443", "does not begin");
        check("cumulet-center:center.example.org:8443", "`@` is missing");
        check("cumulet-center:abc@center:8443", "no id");
        check(&format!("cumulet-center:{id}@center"), "port is missing");
        check(&format!("cumulet-center:{id}@center:0"), "port is not");
        check(&format!("cumulet-center:{id}@a/b:1"), "neither");
        check(&format!("cumulet-center:{id}@2001:db8::1:1"), "brackets");
    }
}
