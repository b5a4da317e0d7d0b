//! What an announcement says about a node: its names, ports and addresses, cleaned.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use mdns_sd::{ResolvedService, ScopedIp};
use protocol::announcement::{Announcement, Face, Tag};
use protocol::{NodeId, NodeName};

use super::ADDRESSES_MAX;

/// A node that is announced on the local network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Who it says it is.
    pub node: NodeId,
    /// Its name; a hidden node that we recognize tells none.
    pub name: Option<NodeName>,
    /// Where its QUIC port is: IPv4 first, then global and link-local IPv6 (with its interface).
    /// No loopback, and at most [`ADDRESSES_MAX`].
    pub addresses: Vec<SocketAddr>,
    /// TCP port of HTTPS.
    pub https_port: u16,
    /// Version of its API.
    pub api: u16,
}

/// An announcement before it is known whose it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Announced {
    Open(Sighting),
    Hidden {
        tags: Vec<Tag>,
        /// All but the id, which is to be filled in.
        rest: Sighting,
    },
}

/// Reads what the daemon resolved; `None` if it is none of ours or has no address to use.
pub(super) fn read(service: &ResolvedService) -> Option<Announced> {
    let pairs = service.txt_properties.iter();
    let announcement = Announcement::read(pairs.map(|pair| (pair.key(), pair.val())));
    let announcement = match announcement {
        Ok(announcement) => announcement,
        Err(error) => {
            tracing::debug!(%error, "an announcement on the local network is passed over");
            return None;
        }
    };
    let addresses = usable(service.addresses.iter(), announcement.quic_port);
    if addresses.is_empty() || service.port == 0 {
        return None;
    }
    let sighting = |node, name| Sighting {
        node,
        name,
        addresses,
        https_port: service.port,
        api: announcement.api,
    };
    Some(match announcement.face {
        Face::Open { node, name } => Announced::Open(sighting(node, Some(name))),
        Face::Hidden { tags } => Announced::Hidden {
            tags,
            rest: sighting(NodeId([0; 32]), None),
        },
    })
}

/// The addresses that another machine can use, best first. A local avahi also tells loopback ones.
fn usable<'a>(addresses: impl Iterator<Item = &'a ScopedIp>, port: u16) -> Vec<SocketAddr> {
    let mut usable: Vec<SocketAddr> = addresses
        .filter_map(|address| match (address.to_ip_addr(), address) {
            (ip, _) if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() => None,
            (IpAddr::V6(ip), ScopedIp::V6(scoped)) if ip.is_unicast_link_local() => {
                Some(SocketAddrV6::new(ip, port, 0, scoped.scope_id().index).into())
            }
            (ip, _) => Some(SocketAddr::new(ip, port)),
        })
        .collect();
    usable.sort_by_key(|address| (rank(address.ip()), *address));
    usable.dedup();
    usable.truncate(ADDRESSES_MAX);
    usable
}

fn rank(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) if !ip.is_link_local() => 0,
        IpAddr::V6(ip) if !ip.is_unicast_link_local() => 1,
        IpAddr::V4(_) => 2,
        IpAddr::V6(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_dropped_and_the_best_address_stands_first() {
        let ips: Vec<ScopedIp> = [
            "fe80::1",
            "::1",
            "fd00::2",
            "127.0.0.1",
            "10.0.0.2",
            "0.0.0.0",
        ]
        .map(|ip| ip.parse::<IpAddr>().unwrap().into())
        .into();
        let shown: Vec<_> = usable(ips.iter(), 9)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(shown, ["10.0.0.2:9", "[fd00::2]:9", "[fe80::1]:9"]);
        let many: Vec<ScopedIp> = (0..=255_u8)
            .map(|last| IpAddr::from([10, 0, 0, last]).into())
            .collect();
        assert_eq!(usable(many.iter(), 1).len(), ADDRESSES_MAX);
    }
}
