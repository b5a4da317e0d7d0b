//! Numbers that name things in a node's catalog, and the texts that clients see of them.
//!
//! Invariants: a [`Fid`] is never reused; a [`Seq`] is gapless inside one space and [`Epoch`].

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A text that should have been an id, a token or an ETag.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{input}` is no {what}: {why}")]
pub struct IdError {
    what: &'static str,
    input: String,
    why: &'static str,
}

pub(crate) fn bad(what: &'static str, input: &str, why: &'static str) -> IdError {
    IdError {
        what,
        input: input.chars().take(80).collect(),
        why,
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                match text.parse::<i64>() {
                    Ok(n) if n >= 0 => Ok(Self(n)),
                    Ok(_) | Err(_) => Err(bad($what, text, "expected a whole number from 0 up")),
                }
            }
        }
    };
}

number!(
    /// An entry of the tree (file or folder) for as long as the node lives; kept by moves.
    Fid, "file id"
);
number!(
    /// Position in a space's change log; counts from 1 without gaps inside one [`Epoch`].
    Seq, "sequence number"
);
number!(
    /// A person's account on this node.
    AccountId, "account id"
);
number!(
    /// A space: one person's top folder with its own change log.
    SpaceId, "space id"
);
number!(
    /// A place that holds bytes: the node's own volume is 1, each bound folder has its own.
    VolumeId, "volume id"
);

/// One life of a space's change log; a restore from backup starts a new one, and then clients
/// merge and never delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Epoch {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad("epoch", text, "expected 16 hexadecimal digits"));
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| bad("epoch", text, "expected 16 hexadecimal digits"))
    }
}

/// `epoch:seq`: sync-token, cursor and event id (RFC 6578 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SyncToken {
    /// The life of the log that `seq` counts in.
    pub epoch: Epoch,
    /// Everything up to and including this number has been seen.
    pub seq: Seq,
}

impl fmt::Display for SyncToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.seq)
    }
}

impl FromStr for SyncToken {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (epoch, seq) = text
            .split_once(':')
            .ok_or_else(|| bad("sync token", text, "expected EPOCH:SEQ"))?;
        Ok(Self {
            epoch: epoch.parse()?,
            seq: seq.parse()?,
        })
    }
}

/// The strong validator `"<fid>.<rev>"`, never derived from a clock (RFC 9110 section 8.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Etag {
    /// The entry.
    pub fid: Fid,
    /// Its revision: the `seq` of the last change of content at or below it.
    pub rev: Seq,
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}.{}\"", self.fid, self.rev)
    }
}

/// BLAKE3 of a file's whole content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        data_encoding::HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| bad("BLAKE3 hash", text, "expected 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_token_reads_back_what_it_prints() {
        let token = SyncToken {
            epoch: Epoch(0xab),
            seq: Seq(7),
        };
        assert_eq!(token.to_string(), "00000000000000ab:7");
        assert_eq!("00000000000000ab:7".parse(), Ok(token));
    }

    #[test]
    fn bad_ids_are_refused_with_what_and_why() {
        let check = |text: &str| text.parse::<SyncToken>().unwrap_err().to_string();
        assert_eq!(check("zz"), "`zz` is no sync token: expected EPOCH:SEQ");
        assert_eq!(
            check("ab:1"),
            "`ab` is no epoch: expected 16 hexadecimal digits"
        );
        assert_eq!(
            check("00000000000000ab:-1"),
            "`-1` is no sequence number: expected a whole number from 0 up"
        );
        assert!("+00000000000000a".parse::<Epoch>().is_err());
    }

    #[test]
    fn an_etag_is_fid_dot_rev_in_quotes() {
        assert_eq!(
            Etag {
                fid: Fid(12),
                rev: Seq(34)
            }
            .to_string(),
            "\"12.34\""
        );
    }
}
