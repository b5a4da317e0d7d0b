//! What the zone answers about a node: a view of the registry, not a copy.
//!
//! The label under the zone decides, so everything below a node's name has the node's addresses
//! (`*.NAME.ZONE`). A node that is gone keeps its name but has no address. Certificate challenges
//! stand at `_acme-challenge.NAME.ZONE` (RFC 8555 8.4).

use std::net::IpAddr;

use protocol::message::center::Presence;
use protocol::{NodeId, NodeName, NodeRecord};

use super::{Entry, Registry};

/// A name leads to at most so many addresses of each family: more do not fit a packet of 512 bytes.
const PUBLISHED_MAX: usize = 8;
/// Length of a node id as a label.
const ID_CHARS: usize = 52;
/// Where texts of certificate challenges stand.
const CHALLENGE: &str = "_acme-challenge";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Texts.
    Txt,
    /// Who may give certificates; the same for the whole zone.
    Caa,
    /// Something that nodes do not have.
    Other,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// These.
    Values(Vec<Value<'a>>),
    /// The name is there, but nothing of this kind.
    NoData,
    /// There is no such name.
    NoName,
}

/// One value of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// Of A and AAAA.
    Address(IpAddr),
    /// Of TXT.
    Text(&'a str),
}

impl Registry {
    /// What stands at the name made of `labels`, the one next to the zone last, in small letters.
    #[must_use]
    pub fn answer(&self, labels: &[&str], kind: Kind) -> Answer<'_> {
        let Some((own, below)) = labels.split_last() else {
            return Answer::NoData;
        };
        let Some(entry) = self.by_label(own) else {
            return Answer::NoName;
        };
        let values: Vec<_> = match kind {
            Kind::A => entry.addresses(IpAddr::is_ipv4).collect(),
            Kind::Aaaa => entry.addresses(IpAddr::is_ipv6).collect(),
            Kind::Txt if below == [CHALLENGE] => {
                entry.texts.iter().map(|text| Value::Text(text)).collect()
            }
            Kind::Txt | Kind::Caa | Kind::Other => Vec::new(),
        };
        if values.is_empty() {
            Answer::NoData
        } else {
            Answer::Values(values)
        }
    }

    fn by_label(&self, label: &str) -> Option<&Entry> {
        if label.len() == ID_CHARS {
            return self.get(&label.parse::<NodeId>().ok()?);
        }
        let name = label.parse::<NodeName>().ok()?;
        self.owner_of(&name).map(|(_, entry)| entry)
    }
}

impl Entry {
    fn addresses<'a>(
        &'a self,
        family: impl Fn(&IpAddr) -> bool + 'a,
    ) -> impl Iterator<Item = Value<'a>> {
        let there = self.presence != Presence::Gone;
        self.published
            .iter()
            .filter(move |ip| there && family(ip))
            .map(|ip| Value::Address(*ip))
    }
}

/// The addresses of a record that a name may lead to: those that the widest circle can use. Public
/// ones if there are any; private ones only without them, because a name that leads to a private
/// address is dropped by routers that guard against rebinding; loopback only without both.
pub(super) fn published(record: &NodeRecord) -> Box<[IpAddr]> {
    let ips: Vec<IpAddr> = record
        .addresses
        .iter()
        .map(|address| address.ip().to_canonical())
        .collect();
    widest(&ips).into_boxed_slice()
}

/// Those of the widest circle, each once, at most 8 of each family.
#[must_use]
pub fn widest(ips: &[IpAddr]) -> Vec<IpAddr> {
    let usable = |ip: &&IpAddr| !ip.is_unspecified() && !ip.is_multicast() && !is_link_local(ip);
    let reach = ips.iter().filter(usable).map(|ip| reach(*ip)).max();
    let mut kept: Vec<IpAddr> = Vec::new();
    for ip in ips.iter().filter(usable) {
        let of_family = kept.iter().filter(|other| other.is_ipv4() == ip.is_ipv4());
        let fits = of_family.count() < PUBLISHED_MAX && !kept.contains(ip);
        if fits && Some(self::reach(*ip)) == reach {
            kept.push(*ip);
        }
    }
    kept
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Loopback,
    Private,
    Public,
}

fn reach(ip: IpAddr) -> Reach {
    if ip.is_loopback() {
        Reach::Loopback
    } else if super::admit::is_private(ip) {
        Reach::Private
    } else {
        Reach::Public
    }
}
