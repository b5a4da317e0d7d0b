//! Group `presence`: are you there, and who are you (ALPN `cumulet/ping/1`, and the first message
//! each way on `cumulet/lookup/1`; `docs/protocol/presence.md`; R23).
//!
//! Both sides have proven their ids in the handshake already; what is said here are claims about
//! oneself. The record is signed, so that it can be given to others.

use serde::{Deserialize, Serialize};

use crate::SignedRecord;
use crate::frame::Message;

/// A version text has at most as many bytes.
pub const VERSION_BYTES_MAX: usize = 32;

/// To whom others may give the record of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visible {
    /// To nobody.
    Nobody,
    /// To friends and their friends.
    FriendsOfFriends,
    /// To everybody.
    Everybody,
}

/// What a node says of itself when it meets another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Where it is reached, under which name.
    pub record: SignedRecord,
    /// To whom the record may be given.
    pub visible: Visible,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// How busy it is, 0 to 100.
    pub load_percent: u8,
    /// Version of the program, printable ASCII, at most [`VERSION_BYTES_MAX`].
    pub version: String,
}

impl Hello {
    fn check(&self) -> Result<(), &'static str> {
        if self.load_percent > 100 {
            return Err("a load of more than 100 percent");
        }
        let printable = self.version.bytes().all(|byte| byte.is_ascii_graphic());
        if self.version.len() > VERSION_BYTES_MAX || !printable {
            return Err("a version that is not up to 32 printable characters");
        }
        self.record.check()
    }
}

impl Message for Hello {
    const WHAT: &'static str = "hello";
    const BYTES_MAX: usize = crate::RECORD_BYTES_MAX + 64;

    fn check(&self) -> Result<(), &'static str> {
        self.check()
    }
}

/// "Are you there?", with a hello of the asker if it wants to be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// Who asks.
    pub hello: Option<Hello>,
}

impl Message for Ping {
    const WHAT: &'static str = "ping";
    const BYTES_MAX: usize = Hello::BYTES_MAX + 1;

    fn check(&self) -> Result<(), &'static str> {
        self.hello.as_ref().map_or(Ok(()), Hello::check)
    }
}

/// "I am here."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    /// Who answers; none if it hides from the asker.
    pub hello: Option<Hello>,
}

impl Message for Pong {
    const WHAT: &'static str = "pong";
    const BYTES_MAX: usize = Ping::BYTES_MAX;

    fn check(&self) -> Result<(), &'static str> {
        self.hello.as_ref().map_or(Ok(()), Hello::check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NodeRecord, NodeSecret};

    fn hello() -> Hello {
        let secret = NodeSecret::from_bytes([7; 32]);
        let record = NodeRecord {
            node: secret.id(),
            name: Some("anna".parse().unwrap()),
            seq: 5,
            issued_at_ms: 0,
            expires_at_ms: 1000,
            addresses: vec!["[2001:db8::1]:65535".parse().unwrap(); 16],
            relays: vec!["r".repeat(200); 2],
            offer: None,
            services_digest: [1; 8],
        };
        Hello {
            record: SignedRecord::sign(&record, &secret).unwrap(),
            visible: Visible::Everybody,
            uptime_s: u64::MAX,
            load_percent: 100,
            version: "1".repeat(VERSION_BYTES_MAX),
        }
    }

    #[test]
    fn a_hello_of_the_largest_record_comes_back_whole() {
        let ping = Ping {
            hello: Some(hello()),
        };
        assert_eq!(Ping::decode(&ping.encode().unwrap()).unwrap(), ping);
        let silent = Pong { hello: None };
        assert_eq!(Pong::decode(&silent.encode().unwrap()).unwrap(), silent);
    }

    #[test]
    fn a_hello_out_of_bounds_does_not_travel() {
        let check = |change: fn(&mut Hello)| {
            let mut hello = hello();
            change(&mut hello);
            let bytes = postcard::to_stdvec(&hello).unwrap();
            assert!(Hello::decode(&bytes).is_err());
            assert!(hello.encode().is_err());
        };
        check(|hello| hello.load_percent = 101);
        check(|hello| hello.version = "1".repeat(VERSION_BYTES_MAX + 1));
        check(|hello| hello.version = "\u{1b}[2J".into());
    }
}
