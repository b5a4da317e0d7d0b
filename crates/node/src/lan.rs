//! Where a request comes from: the home network, this computer, or away (R105).
//!
//! The decision is a pure function of addresses, [`Network::place`]; reading the interfaces of
//! this computer is apart from it. LAN means: the peer's address lies in a prefix of one of the
//! node's non-tunnel interfaces and is no gateway's address (a gateway may stand for the whole
//! Internet by NAT), or it is loopback on the HTTPS port. Plain HTTP is never LAN unless its peer
//! is a trusted proxy and the address that the proxy forwards is. Being on the LAN grants
//! nothing; it is only asked before LAN-only things are shown.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::HeaderMap;
use sharing::Place;
use thiserror::Error;

/// A text that is no network prefix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no network: write ADDRESS/BITS such as 192.168.1.0/24 or fd00::/8")]
pub struct CidrError(String);

/// An address prefix (RFC 4632 section 3.1). IPv4-mapped IPv6 addresses count as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl Cidr {
    /// The network of `bits` leading bits that holds `address`; too many bits are cut.
    #[must_use]
    pub fn new(address: IpAddr, bits: u8) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            bits: bits.min(if address.is_ipv4() { 32 } else { 128 }),
        }
    }

    /// True if `address` lies inside.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                a.to_bits() & mask == b.to_bits() & mask
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.bits))
                    .unwrap_or(0);
                a.to_bits() & mask == b.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    /// Reads `ADDRESS/BITS`, or an address alone for just that one.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let bad = || CidrError(text.chars().take(80).collect());
        let (address, bits) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = if text.contains('/') {
            bits.parse().map_err(|_| bad())?
        } else {
            most
        };
        if bits > most {
            return Err(bad());
        }
        Ok(Self { address, bits })
    }
}

/// Through which door a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The TLS listener.
    Https,
    /// The plain HTTP listener, or plain HTTP that the TLS listener redirects.
    Http,
}

/// What this computer knows about its surroundings; refreshed while the node runs (R5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Prefixes that count as home.
    pub home: Vec<Cidr>,
    /// Addresses of gateways; never home.
    pub gateways: Vec<IpAddr>,
    /// Proxies that are believed.
    pub trusted_proxies: Vec<Cidr>,
}

/// Who is really at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The client's address: the connection's, or the one a trusted proxy names.
    pub address: IpAddr,
    /// Where that is.
    pub place: Place,
    /// True if a trusted proxy says that the client came to it by TLS.
    pub forwarded_tls: bool,
}

impl Network {
    /// Decides where a request comes from. `peer` is the other end of the connection.
    #[must_use]
    pub fn place(&self, door: Door, peer: IpAddr, headers: &HeaderMap) -> Origin {
        let peer = peer.to_canonical();
        match door {
            Door::Https => Origin {
                address: peer,
                place: if peer.is_loopback() {
                    Place::Lan
                } else {
                    self.by_address(peer)
                },
                forwarded_tls: false,
            },
            Door::Http if self.trusts(peer) => {
                let (address, forwarded_tls) = forwarded(headers, |a| self.trusts(a));
                let place = address.map_or(Place::Away, |a| self.by_address(a));
                Origin {
                    address: address.unwrap_or(peer),
                    place,
                    forwarded_tls,
                }
            }
            Door::Http => Origin {
                address: peer,
                place: Place::Away,
                forwarded_tls: false,
            },
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies
            .iter()
            .any(|prefix| prefix.contains(address))
    }

    fn by_address(&self, address: IpAddr) -> Place {
        let home = self.home.iter().any(|prefix| prefix.contains(address));
        if home && !self.gateways.contains(&address) {
            Place::Lan
        } else {
            Place::Away
        }
    }
}

/// The address before the first hop that is not trusted, read from the right as each proxy
/// appends (RFC 7239 section 5.2; X-Forwarded-For alike), and whether that hop used `https`.
fn forwarded(headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool) -> (Option<IpAddr>, bool) {
    let standard = header_items(headers, "forwarded");
    let hops: Vec<(Option<IpAddr>, bool)> = if standard.is_empty() {
        let tls = header_items(headers, "x-forwarded-proto")
            .last()
            .is_some_and(|p| p.eq_ignore_ascii_case("https"));
        header_items(headers, "x-forwarded-for")
            .iter()
            .map(|text| (node_address(text), tls))
            .collect()
    } else {
        standard
            .iter()
            .map(|element| forwarded_element(element))
            .collect()
    };
    let mut last = (None, false);
    for hop in hops.into_iter().rev() {
        last = hop;
        match hop.0 {
            Some(address) if trusts(address) => {}
            Some(_) | None => break,
        }
    }
    last
}

fn header_items(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

fn forwarded_element(element: &str) -> (Option<IpAddr>, bool) {
    let mut found = (None, false);
    for pair in element.split(';') {
        if let Some((key, value)) = pair.trim().split_once('=') {
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "for" => found.0 = node_address(value),
                "proto" => found.1 = value.eq_ignore_ascii_case("https"),
                _ => {}
            }
        }
    }
    found
}

/// An address with or without brackets and port (RFC 7239 section 6).
fn node_address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|a| a.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
        .map(|address| address.to_canonical())
}

/// Reads the computer's interfaces and gateways. `home` replaces what is read, if given.
#[must_use]
pub fn read_network(home: Option<&[Cidr]>, trusted_proxies: &[Cidr]) -> Network {
    Network {
        home: home.map_or_else(interface_prefixes, <[Cidr]>::to_vec),
        gateways: gateways(),
        trusted_proxies: trusted_proxies.to_vec(),
    }
}

/// The addresses of this computer that others may use: no loopback, no tunnel, no link-local IPv6.
#[must_use]
pub fn own_addresses() -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = interfaces()
        .map(|interface| interface.ip())
        .filter(|ip| match ip {
            IpAddr::V4(ip) => !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_unicast_link_local(),
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

fn interface_prefixes() -> Vec<Cidr> {
    interfaces()
        .map(|interface| match interface.addr {
            if_addrs::IfAddr::V4(ref a) => Cidr::new(a.ip.into(), a.prefixlen),
            if_addrs::IfAddr::V6(ref a) => Cidr::new(a.ip.into(), a.prefixlen),
        })
        // A prefix of one address is the node itself; one of nothing would be the whole world.
        .filter(|prefix| prefix.bits > 0)
        .collect()
}

fn interfaces() -> impl Iterator<Item = if_addrs::Interface> {
    let all = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read the network interfaces");
        Vec::new()
    });
    all.into_iter()
        .filter(|interface| !interface.is_loopback() && !is_tunnel(&interface.name))
}

/// ARPHRD_ETHER of `linux/if_arp.h`; Wi-Fi and bridges carry it too, tunnels have types of their own.
const ARPHRD_ETHER: &str = "1";

fn is_tunnel(interface: &str) -> bool {
    let folder = std::path::Path::new("/sys/class/net").join(interface);
    if folder.join("tun_flags").exists() {
        return true;
    }
    match std::fs::read_to_string(folder.join("type")) {
        Ok(kind) => kind.trim() != ARPHRD_ETHER,
        // Without sysfs only the name is left to tell.
        Err(_) => [
            "tun",
            "tap",
            "wg",
            "ppp",
            "tailscale",
            "zt",
            "utun",
            "sit",
            "gre",
            "ipip",
        ]
        .iter()
        .any(|prefix| interface.starts_with(prefix)),
    }
}

fn gateways() -> Vec<IpAddr> {
    let v4 = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let v6 = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    parse_routes_v4(&v4)
        .into_iter()
        .chain(parse_routes_v6(&v6))
        .collect()
}

/// Third column of `/proc/net/route`: the gateway, hexadecimal in the host's byte order.
fn parse_routes_v4(table: &str) -> Vec<IpAddr> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| u32::from_str_radix(line.split_whitespace().nth(2)?, 16).ok())
        .filter(|gateway| *gateway != 0)
        .map(|gateway| IpAddr::V4(Ipv4Addr::from(gateway.to_ne_bytes())))
        .collect()
}

/// Fifth column of `/proc/net/ipv6_route`: the next hop.
fn parse_routes_v6(table: &str) -> Vec<IpAddr> {
    table
        .lines()
        .filter_map(|line| u128::from_str_radix(line.split_whitespace().nth(4)?, 16).ok())
        .filter(|gateway| *gateway != 0)
        .map(|gateway| IpAddr::V6(Ipv6Addr::from_bits(gateway)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        Network {
            home: ["192.168.1.0/24", "fd00:1::/64", "fe80::/64"]
                .map(|p| p.parse().unwrap())
                .into(),
            gateways: vec!["192.168.1.1".parse().unwrap(), "fe80::1".parse().unwrap()],
            trusted_proxies: vec![
                "127.0.0.1/32".parse().unwrap(),
                "10.9.0.0/16".parse().unwrap(),
            ],
        }
    }

    fn place(door: Door, peer: &str, headers: &[(&'static str, &str)]) -> (String, Place) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let origin = network().place(door, peer.parse().unwrap(), &map);
        (origin.address.to_string(), origin.place)
    }

    #[test]
    fn https_from_an_interface_prefix_is_lan() {
        let check =
            |peer, expected| assert_eq!(place(Door::Https, peer, &[]).1, expected, "{peer}");
        check("192.168.1.77", Place::Lan);
        check("::ffff:192.168.1.77", Place::Lan);
        check("fd00:1::5", Place::Lan);
        check("fe80::5", Place::Lan);
        check("127.0.0.1", Place::Lan);
        check("::1", Place::Lan);
        check("192.168.2.77", Place::Away);
        check("8.8.8.8", Place::Away);
        check("2001:db8::1", Place::Away);
    }

    #[test]
    fn the_gateway_is_never_lan() {
        assert_eq!(place(Door::Https, "192.168.1.1", &[]).1, Place::Away);
        assert_eq!(place(Door::Https, "fe80::1", &[]).1, Place::Away);
    }

    #[test]
    fn plain_http_is_never_lan_by_itself() {
        assert_eq!(place(Door::Http, "192.168.1.77", &[]).1, Place::Away);
        assert_eq!(place(Door::Http, "127.0.0.1", &[]).1, Place::Away);
        assert_eq!(place(Door::Http, "::1", &[]).1, Place::Away);
    }

    #[test]
    fn a_trusted_proxy_tells_where_the_client_is() {
        let check = |value: &str, address: &str, expected| {
            let headers = [("x-forwarded-for", value)];
            assert_eq!(
                place(Door::Http, "127.0.0.1", &headers),
                (address.into(), expected),
                "{value}"
            );
        };
        check("192.168.1.77", "192.168.1.77", Place::Lan);
        check("8.8.8.8", "8.8.8.8", Place::Away);
        check("192.168.1.77, 8.8.8.8", "8.8.8.8", Place::Away);
        check("192.168.1.77, 10.9.0.3", "192.168.1.77", Place::Lan);
        check("192.168.1.1", "192.168.1.1", Place::Away);
        check("unknown", "127.0.0.1", Place::Away);
        check("127.0.0.1", "127.0.0.1", Place::Away);
    }

    #[test]
    fn an_untrusted_peer_cannot_claim_to_be_at_home() {
        let headers = [
            ("x-forwarded-for", "192.168.1.77"),
            ("forwarded", "for=192.168.1.77"),
        ];
        assert_eq!(
            place(Door::Http, "192.168.1.9", &headers),
            ("192.168.1.9".into(), Place::Away)
        );
        assert_eq!(
            place(Door::Https, "8.8.8.8", &headers),
            ("8.8.8.8".into(), Place::Away)
        );
    }

    #[test]
    fn the_standard_header_wins_and_knows_brackets_and_ports() {
        let headers = [
            (
                "forwarded",
                "for=8.8.8.8, for=\"[fd00:1::7]:4711\";proto=https",
            ),
            ("x-forwarded-for", "8.8.8.8"),
        ];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().unwrap());
        }
        let origin = network().place(Door::Http, "127.0.0.1".parse().unwrap(), &map);
        assert_eq!(
            origin,
            Origin {
                address: "fd00:1::7".parse().unwrap(),
                place: Place::Lan,
                forwarded_tls: true
            }
        );
    }

    #[test]
    fn gateways_are_read_from_the_kernel_tables() {
        let v4 = "Iface\tDestination\tGateway\teth0\t00000000\n\
                  eth0\t00000000\t0101A8C0\t0003\neth0\t0001A8C0\t00000000\t0001\n";
        let expected = IpAddr::V4(Ipv4Addr::from(0x0101_A8C0_u32.to_ne_bytes()));
        assert_eq!(parse_routes_v4(v4), [expected]);
        let v6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                  fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n";
        assert_eq!(parse_routes_v6(v6), ["fe80::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn prefixes_are_checked() {
        assert!("10.0.0.0/33".parse::<Cidr>().is_err());
        assert!("10.0.0.0/".parse::<Cidr>().is_err());
        assert!("home".parse::<Cidr>().is_err());
        assert_eq!(
            "10.0.0.1".parse::<Cidr>().unwrap().to_string(),
            "10.0.0.1/32"
        );
        assert!(
            "0.0.0.0/0"
                .parse::<Cidr>()
                .unwrap()
                .contains("8.8.8.8".parse().unwrap())
        );
        assert!(
            "::/0"
                .parse::<Cidr>()
                .unwrap()
                .contains("2001:db8::1".parse().unwrap())
        );
    }
}
