//! What a node says of itself on the local network: the TXT record of its DNS-SD service (R21, R22).
//!
//! A record is a stranger's word: whoever reads it takes it as a hint where to ask, and believes the
//! id only after the handshake proved it. Reading is bounded: of an endless record the first
//! [`PAIRS_MAX`] pairs are looked at, the first of equal keys counts (RFC 6763 6.4), unknown keys
//! are passed over.
//!
//! A hidden node ([`Face::Hidden`]) tells neither name nor id. Its record holds one [`Tag`] for each
//! friend, which only that friend can compute; the number of friends is rounded up with random tags,
//! and all tags change every day and with every label.

use ring::hmac;
use thiserror::Error;

use crate::{NodeId, NodeName};

/// DNS-SD service type under which nodes are announced.
pub const SERVICE: &str = "_cumulet._tcp";
/// Version of the record, key `v`.
pub const VERSION: &str = "1";
/// At most so many pairs of a record are looked at.
pub const PAIRS_MAX: usize = 32;
/// Tags in one value: 30 of 8 bytes fit the 255 bytes of a TXT string with its key.
const TAGS_PER_VALUE: usize = 30;
/// Keys of tags, in order.
const TAG_KEYS: [&str; 4] = ["t0", "t1", "t2", "t3"];
/// A hidden node can be recognized by at most so many friends.
pub const TAGS_MAX: usize = TAGS_PER_VALUE * TAG_KEYS.len();
/// A hidden node shows at least so many tags, and a multiple of it.
const TAGS_STEP: usize = 10;
/// What a tag is the keyed hash of begins with this.
const TAG_CONTEXT: &[u8] = b"cumulet hidden announcement 1\n";

/// What only two friends can compute: the first 8 bytes of an HMAC-SHA256.
pub type Tag = [u8; 8];

/// Who is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Face {
    /// Anybody may know.
    Open {
        /// Its id.
        node: NodeId,
        /// Its name.
        name: NodeName,
    },
    /// Friends find out by their tags.
    Hidden {
        /// In ascending order, so that their places tell nothing.
        tags: Vec<Tag>,
    },
}

/// The content of the TXT record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Who it is.
    pub face: Face,
    /// UDP port of QUIC.
    pub quic_port: u16,
    /// Version of the API that the node speaks.
    pub api: u16,
}

/// A TXT record that is none of ours.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnnouncementError {
    /// Another version, or none.
    #[error("the announcement has no version {VERSION}")]
    Version,
    /// A key is missing or its value cannot be.
    #[error("the announcement has no usable `{0}`")]
    Key(&'static str),
}

impl Announcement {
    /// The pairs of the record.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut pairs = vec![("v", VERSION.as_bytes().to_vec())];
        match &self.face {
            Face::Open { node, name } => {
                pairs.push(("id", node.to_string().into_bytes()));
                pairs.push(("n", name.as_str().as_bytes().to_vec()));
            }
            Face::Hidden { tags } => {
                let values = tags.chunks(TAGS_PER_VALUE).map(<[Tag]>::concat);
                pairs.extend(TAG_KEYS.into_iter().zip(values));
            }
        }
        pairs.push(("p", self.quic_port.to_string().into_bytes()));
        pairs.push(("a", self.api.to_string().into_bytes()));
        pairs
    }

    /// Reads the pairs of a record; a pair without `=` has no value.
    pub fn read<'a>(
        pairs: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Result<Self, AnnouncementError> {
        let pairs: Vec<_> = pairs.into_iter().take(PAIRS_MAX).collect();
        let value = |key: &'static str| {
            let pair = pairs.iter().find(|(k, _)| k.eq_ignore_ascii_case(key));
            pair.and_then(|(_, value)| *value)
        };
        let text = |key| {
            value(key)
                .and_then(|value| std::str::from_utf8(value).ok())
                .ok_or(AnnouncementError::Key(key))
        };
        if value("v") != Some(VERSION.as_bytes()) {
            return Err(AnnouncementError::Version);
        }
        let number = |key| {
            let number = text(key)?.parse::<u16>().ok().filter(|number| *number > 0);
            number.ok_or(AnnouncementError::Key(key))
        };
        let tags: Vec<Tag> = TAG_KEYS
            .iter()
            .filter_map(|key| value(key))
            .flat_map(|value| value.as_chunks::<8>().0.iter().take(TAGS_PER_VALUE))
            .copied()
            .collect();
        let face = if tags.is_empty() {
            let node = text("id")?.parse();
            let name = text("n")?.parse();
            Face::Open {
                node: node.map_err(|_| AnnouncementError::Key("id"))?,
                name: name.map_err(|_| AnnouncementError::Key("n"))?,
            }
        } else {
            Face::Hidden { tags }
        };
        Ok(Self {
            face,
            quic_port: number("p")?,
            api: number("a")?,
        })
    }
}

/// What two friends share to recognize each other.
pub type FriendSecret = [u8; 32];

/// The tag by which the friend with whom the announcer shares `secret` recognizes the announcement
/// labelled `label` on `day` (days since 1970 in UTC).
#[must_use]
pub fn tag(secret: &FriendSecret, day: i64, label: &str) -> Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut hash = hmac::Context::with_key(&key);
    hash.update(TAG_CONTEXT);
    hash.update(&day.to_be_bytes());
    hash.update(label.as_bytes());
    let mut tag = Tag::default();
    tag.copy_from_slice(&hash.sign().as_ref()[..8]);
    tag
}

/// The face of a hidden node with these friends; those beyond [`TAGS_MAX`] do not recognize it.
/// `random` fills a tag that nobody recognizes.
#[must_use]
pub fn hidden_face<'a>(
    friends: impl IntoIterator<Item = &'a FriendSecret>,
    day: i64,
    label: &str,
    mut random: impl FnMut() -> Tag,
) -> Face {
    let friends = friends.into_iter().take(TAGS_MAX);
    let mut tags: Vec<Tag> = friends.map(|secret| tag(secret, day, label)).collect();
    let shown = tags.len().max(1).next_multiple_of(TAGS_STEP).min(TAGS_MAX);
    while tags.len() < shown {
        tags.push(random());
    }
    tags.sort_unstable();
    Face::Hidden { tags }
}

/// Which friend a hidden announcement is of. Clocks may differ by a day.
#[must_use]
pub fn recognize<'a>(
    tags: &[Tag],
    label: &str,
    day: i64,
    friends: impl IntoIterator<Item = (NodeId, &'a FriendSecret)>,
) -> Option<NodeId> {
    let days = [day, day.saturating_sub(1), day.saturating_add(1)];
    friends
        .into_iter()
        .find(|(_, secret)| {
            days.iter()
                .any(|day| tags.contains(&tag(secret, *day, label)))
        })
        .map(|(node, _)| node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Announcement {
        Announcement {
            face: Face::Open {
                node: NodeId([7; 32]),
                name: "home".parse().unwrap(),
            },
            quic_port: 8443,
            api: 1,
        }
    }

    fn read(pairs: &[(&'static str, Vec<u8>)]) -> Result<Announcement, AnnouncementError> {
        Announcement::read(pairs.iter().map(|(k, v)| (*k, Some(v.as_slice()))))
    }

    #[test]
    fn what_is_announced_is_read_back() {
        assert_eq!(read(&open().pairs()), Ok(open()));
        let hidden = Announcement {
            face: hidden_face(&[[1; 32]; 64], 20_000, "x", || [9; 8]),
            ..open()
        };
        let pairs = hidden.pairs();
        assert!(pairs.iter().all(|(k, v)| k.len() + 1 + v.len() <= 255));
        assert_eq!(read(&pairs), Ok(hidden));
    }

    #[test]
    fn a_stranger_s_record_is_refused_and_tells_why() {
        let check = |key: &'static str, value: &[u8], error: AnnouncementError| {
            let mut pairs = open().pairs();
            let pair = pairs.iter_mut().find(|(k, _)| *k == key).unwrap();
            pair.1 = value.to_vec();
            assert_eq!(read(&pairs), Err(error), "{key}={value:?}");
        };
        check("v", b"2", AnnouncementError::Version);
        check("id", b"nobody", AnnouncementError::Key("id"));
        check("n", b"\x1b[31m", AnnouncementError::Key("n"));
        check("n", &[0xff; 200], AnnouncementError::Key("n"));
        check("p", b"0", AnnouncementError::Key("p"));
        check("p", b"65536", AnnouncementError::Key("p"));
        check("a", b"", AnnouncementError::Key("a"));
        assert_eq!(Announcement::read([]), Err(AnnouncementError::Version));
        assert_eq!(
            Announcement::read([("v", None)]),
            Err(AnnouncementError::Version)
        );
    }

    #[test]
    fn the_first_of_equal_keys_counts_and_unknown_ones_are_passed_over() {
        let mut pairs = open().pairs();
        pairs.push(("p", b"1".to_vec()));
        pairs.insert(0, ("future", vec![0; 255]));
        assert_eq!(read(&pairs), Ok(open()));
        let flood = vec![("x", vec![0; 200]); PAIRS_MAX];
        let buried: Vec<_> = flood.into_iter().chain(open().pairs()).collect();
        assert_eq!(read(&buried), Err(AnnouncementError::Version));
    }

    #[test]
    fn only_a_friend_recognizes_a_hidden_node_and_only_for_about_a_day() {
        let (alice, bob, eve) = ([1; 32], [2; 32], [3; 32]);
        let Face::Hidden { tags } = hidden_face([&alice, &bob], 20_000, "label", || [9; 8]) else {
            panic!("not hidden")
        };
        let sees = |secret: &FriendSecret, day, label| {
            recognize(&tags, label, day, [(NodeId([5; 32]), secret)]).is_some()
        };
        for day in 19_999..=20_001 {
            assert!(sees(&alice, day, "label") && sees(&bob, day, "label"));
        }
        assert!(!sees(&eve, 20_000, "label"));
        assert!(!sees(&alice, 20_002, "label"));
        assert!(!sees(&alice, 20_000, "copied"));
    }

    #[test]
    fn a_hidden_record_tells_no_name_no_id_and_no_exact_number_of_friends() {
        let count = |friends: usize| {
            let secrets = vec![[1; 32]; friends];
            match hidden_face(&secrets, 1, "l", || [0; 8]) {
                Face::Hidden { tags } => tags.len(),
                Face::Open { .. } => panic!("open"),
            }
        };
        assert_eq!([0, 1, 10, 11, 500].map(count), [10, 10, 10, 20, TAGS_MAX]);
        let hidden = Announcement {
            face: hidden_face([], 1, "l", || [0; 8]),
            ..open()
        };
        let keys: Vec<_> = hidden.pairs().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["v", "t0", "p", "a"]);
    }
}
