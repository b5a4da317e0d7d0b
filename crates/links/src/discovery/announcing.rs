//! What this node announces: its own service, and HTTPS and WebDAV so that file managers find it.

use std::net::IpAddr;

use mdns_sd::{IfKind, ServiceInfo, TxtProperty};
use protocol::announcement::{Announcement, Face, FriendSecret, SERVICE, Tag, hidden_face};
use protocol::{NodeId, NodeName};

use super::DiscoveryError;

/// Version of the API that this program speaks, key `a`.
const API: u16 = 1;

/// How this node shows itself on the local network.
#[derive(Debug, Clone)]
pub struct Presented {
    /// Its id.
    pub node: NodeId,
    /// Its name.
    pub name: NodeName,
    /// TCP port of HTTPS.
    pub https_port: u16,
    /// UDP port of QUIC.
    pub quic_port: u16,
    /// Where it listens: one address, or unspecified for all of this computer, as they come and go.
    /// `0.0.0.0` are those of IPv4 only.
    pub listen: IpAddr,
    /// Set if only friends shall recognize it.
    pub disguise: Option<Disguise>,
}

/// What a hidden node needs to be recognized by friends and nobody else.
#[derive(Debug, Clone)]
pub struct Disguise {
    /// Drawn at each start and each day: takes the place of id and host name.
    pub label: [u8; 8],
    /// What is shared with each friend.
    pub friends: Vec<FriendSecret>,
    /// Days since 1970.
    pub day: i64,
}

impl Disguise {
    /// Draws a label for `day`.
    #[must_use]
    pub fn draw(friends: Vec<FriendSecret>, day: i64) -> Self {
        Self {
            label: random(),
            friends,
            day,
        }
    }

    fn label(&self) -> String {
        self.label
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// The host name of a node on the local network, which no other machine has: `NAME.local` is
/// the computer's, and answered by its own responder.
#[must_use]
pub fn host_name(node: &NodeId) -> String {
    format!("cumulet-{node:.10}.local")
}

/// The services to register.
pub(super) fn services(presented: &Presented) -> Result<Vec<ServiceInfo>, DiscoveryError> {
    let local = |service: &str| format!("{service}.local.");
    let (instance, host, face) = match &presented.disguise {
        Some(disguise) => {
            let label = disguise.label();
            let face = hidden_face(&disguise.friends, disguise.day, &label, random);
            (label.clone(), format!("{label}.local"), face)
        }
        None => {
            let face = Face::Open {
                node: presented.node,
                name: presented.name.clone(),
            };
            let node = &presented.node;
            (node.to_string(), host_name(node), face)
        }
    };
    let own = Announcement {
        face,
        quic_port: presented.quic_port,
        api: API,
    };
    let mut all = vec![(local(SERVICE), instance, own.pairs())];
    if presented.disguise.is_none() {
        let name = presented.name.as_str();
        let folder = b"/dav/files/".to_vec();
        all.push((
            local("_https._tcp"),
            name.into(),
            vec![("path", b"/".to_vec())],
        ));
        all.push((local("_webdavs._tcp"), name.into(), vec![("path", folder)]));
    }
    let host = format!("{host}.");
    let info = |(service, instance, pairs): (String, String, Vec<(&'static str, Vec<u8>)>)| {
        let pairs: Vec<_> = pairs.into_iter().map(TxtProperty::from).collect();
        let listen = presented.listen;
        let one = (!listen.is_unspecified()).then_some(listen);
        let ips: Vec<IpAddr> = one.into_iter().collect();
        let port = presented.https_port;
        ServiceInfo::new(&service, &instance, &host, ips.as_slice(), port, pairs)
            .map(|info| bound(info, listen))
            .map_err(DiscoveryError::while_("announce the node"))
    };
    all.into_iter().map(info).collect()
}

/// Tells the addresses of all interfaces, or of the one where the node listens.
fn bound(mut info: ServiceInfo, listen: IpAddr) -> ServiceInfo {
    match listen {
        IpAddr::V6(ip) if ip.is_unspecified() => info.enable_addr_auto(),
        IpAddr::V4(ip) if ip.is_unspecified() => {
            info.set_interfaces(vec![IfKind::IPv4]);
            info.enable_addr_auto()
        }
        IpAddr::V4(_) | IpAddr::V6(_) => {
            info.set_interfaces(vec![IfKind::Addr(listen)]);
            info
        }
    }
}

/// Bytes that say nothing. Without entropy they are all zero, which tells no secret either.
fn random() -> Tag {
    let mut bytes = Tag::default();
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::warn!(%error, "no random numbers for a hidden announcement");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(disguise: Option<Disguise>) -> Presented {
        Presented {
            node: NodeId([7; 32]),
            name: "home".parse().unwrap(),
            https_port: 8443,
            quic_port: 8443,
            listen: std::net::Ipv6Addr::UNSPECIFIED.into(),
            disguise,
        }
    }

    #[test]
    fn a_node_is_announced_for_nodes_and_for_file_managers() {
        let all = services(&presented(None)).unwrap();
        let types: Vec<_> = all.iter().map(ServiceInfo::get_type).collect();
        assert_eq!(
            types,
            [
                "_cumulet._tcp.local.",
                "_https._tcp.local.",
                "_webdavs._tcp.local."
            ]
        );
        assert_eq!(all[0].get_property_val_str("n"), Some("home"));
        let id = NodeId([7; 32]).to_string();
        assert_eq!(all[0].get_fullname(), format!("{id}._cumulet._tcp.local."));
        assert_eq!(
            all[0].get_hostname(),
            format!("cumulet-{}.local.", &id[..10])
        );
    }

    #[test]
    fn a_hidden_node_shows_nothing_that_stays() {
        let secret = [1; 32];
        let shown = |day| {
            let hidden = presented(Some(Disguise::draw(vec![secret], day)));
            format!("{:?}", services(&hidden).unwrap())
        };
        let (first, second) = (shown(1), shown(2));
        for text in [&first, &second] {
            assert!(!text.contains(&NodeId([7; 32]).to_string()[..10]));
            assert!(!text.contains("home") && !text.contains("_webdavs"));
        }
        assert_ne!(first, second);
    }
}
