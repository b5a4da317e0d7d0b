//! `cumulet.toml`: the optional settings of a node, from one table of keys.
//!
//! The table [`KEYS`] is the only place that knows a key: it reads the file, fills [`Config`] and
//! prints `cumulet config --explain`, so that the three cannot disagree. Unknown keys, wrong
//! types and values out of range are errors with the line they stand on. A node without the file
//! runs with the defaults.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::message::center::CenterAddress;
use protocol::message::presence::Visible;
use thiserror::Error;
use toml::de::{DeTable, DeValue};

use crate::lan::Cidr;

/// The port of HTTPS (and later QUIC) unless `--listen` names another.
pub const HTTPS_PORT: u16 = 8443;
/// The port of plain HTTP, if it is wanted without a port.
pub const HTTP_PORT: u16 = 8080;

/// Everything that a node can be told apart from its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The node's name, one DNS label; by default the computer's.
    pub name: Option<String>,
    /// Address of the HTTPS listener; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Address of the plain HTTP listener, off by default.
    pub http: Option<SocketAddr>,
    /// Plain HTTP may be reached from other machines.
    pub http_public: bool,
    /// Prefixes that count as the home network; `None` = those of the node's interfaces.
    pub lan: Option<Vec<Cidr>>,
    /// Proxies whose word about the client's address is believed on the HTTP listener.
    pub trusted_proxies: Vec<Cidr>,
    /// Connections at once, all together.
    pub connections_max: usize,
    /// Connections at once from one address (IPv6: from one /64).
    pub connections_per_address_max: usize,
    /// A TLS handshake and the head of a request must arrive within this time.
    pub header_timeout: Duration,
    /// A connection without a request is closed after this time.
    pub idle_timeout: Duration,
    /// A request body, or a client reading its answer, may pause for this long.
    pub stall_timeout: Duration,
    /// Threads for work that blocks (disk and database).
    pub blocking_threads_max: usize,
    /// Old versions and deleted files are kept for this long.
    pub keep: Duration,
    /// History may take at most this part of the free space, in percent.
    pub keep_share_percent: u8,
    /// Rows of the audit log are kept for this long.
    pub audit_keep: Duration,
    /// Time between two full scans for edits made by other programs.
    pub scan_interval: Duration,
    /// The node is announced on the home network and looks for others there.
    pub mdns: bool,
    /// Only friends recognize what is announced.
    pub hidden: bool,
    /// Time between two signs of life of a node nearby.
    pub beat: Duration,
    /// After so many missed beats in a row a node is gone.
    pub beats_missed: u32,
    /// Other nodes that this one keeps links to.
    pub neighbors_max: usize,
    /// To whom others may give this node's addresses.
    pub visibility: Visible,
    /// The center that gives this node a name.
    pub center: Option<CenterAddress>,
    /// What lets an unknown node register there.
    pub invite: Option<[u8; 16]>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: None,
            listen: SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), HTTPS_PORT),
            http: None,
            http_public: false,
            lan: None,
            trusted_proxies: Vec::new(),
            connections_max: 1024,
            connections_per_address_max: 256,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(60),
            blocking_threads_max: 64,
            keep: Duration::from_hours(30 * 24),
            keep_share_percent: 50,
            audit_keep: Duration::from_hours(730 * 24),
            scan_interval: Duration::from_hours(1),
            mdns: true,
            hidden: false,
            beat: Duration::from_secs(15),
            beats_missed: 3,
            neighbors_max: 32,
            visibility: Visible::Everybody,
            center: None,
            invite: None,
        }
    }
}

/// One key of `cumulet.toml`.
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// Unit or form of the value.
    pub unit: &'static str,
    /// What it is for and why the default is what it is.
    pub reason: &'static str,
    read: fn(&mut Config, Value) -> Result<(), String>,
    show: fn(&Config) -> String,
}

impl Key {
    /// The value in `config`, as it would be written in the file.
    #[must_use]
    pub fn show(&self, config: &Config) -> String {
        (self.show)(config)
    }
}

/// Every key there is, in the order in which `--explain` prints them.
pub const KEYS: &[Key] = &[
    Key {
        name: "name",
        unit: "one DNS label",
        reason: "how the node calls itself on the network and in its certificate; unset: the computer's name",
        read: |c, v| {
            v.text()
                .and_then(|t| checked_name(&t))
                .map(|n| c.name = Some(n))
        },
        show: |c| c.name.as_ref().map_or_else(unset, |n| quoted(n)),
    },
    Key {
        name: "listen",
        unit: "ADDRESS:PORT",
        reason: "where HTTPS listens; the default takes IPv4 and IPv6 from everywhere, port 0 any free port",
        read: |c, v| {
            v.text()
                .and_then(|t| listen_address(&t, HTTPS_PORT))
                .map(|a| c.listen = a)
        },
        show: |c| quoted(&c.listen.to_string()),
    },
    Key {
        name: "http",
        unit: "ADDRESS:PORT",
        reason: "plain HTTP for a proxy or a program on this computer; off, as passwords would travel readable",
        read: |c, v| {
            v.text()
                .and_then(|t| listen_address(&t, HTTP_PORT))
                .map(|a| c.http = Some(a))
        },
        show: |c| c.http.map_or_else(unset, |a| quoted(&a.to_string())),
    },
    Key {
        name: "http_public",
        unit: "true or false",
        reason: "lets `http` listen on an address that other machines reach; only behind a proxy or in a test",
        read: |c, v| v.flag().map(|f| c.http_public = f),
        show: |c| c.http_public.to_string(),
    },
    Key {
        name: "lan",
        unit: "list of ADDRESS/BITS",
        reason: "what counts as home for LAN-only folders and services; unset: the networks of the interfaces, without tunnels and gateways",
        read: |c, v| v.prefixes().map(|p| c.lan = Some(p)),
        show: |c| c.lan.as_ref().map_or_else(unset, |p| list(p)),
    },
    Key {
        name: "trusted_proxies",
        unit: "list of ADDRESS/BITS",
        reason: "proxies on the `http` listener whose Forwarded or X-Forwarded-For is believed; nobody, as anyone can write those",
        read: |c, v| v.prefixes().map(|p| c.trusted_proxies = p),
        show: |c| list(&c.trusted_proxies),
    },
    Key {
        name: "connections_max",
        unit: "connections, 16 to 100000",
        reason: "bounds memory and descriptors; a TLS connection takes about 40 KiB",
        read: |c, v| v.number(16, 100_000).map(|n| c.connections_max = n),
        show: |c| c.connections_max.to_string(),
    },
    Key {
        name: "connections_per_address_max",
        unit: "connections, 4 to 100000",
        reason: "one machine cannot take all connections; a browser opens 6, a sync client some 20",
        read: |c, v| {
            v.number(4, 100_000)
                .map(|n| c.connections_per_address_max = n)
        },
        show: |c| c.connections_per_address_max.to_string(),
    },
    Key {
        name: "header_timeout_s",
        unit: "seconds, 1 to 300",
        reason: "handshake and request head must be complete by then; slower clients hold a place for nothing",
        read: |c, v| v.seconds(1, 300).map(|d| c.header_timeout = d),
        show: |c| c.header_timeout.as_secs().to_string(),
    },
    Key {
        name: "idle_timeout_s",
        unit: "seconds, 5 to 3600",
        reason: "an unused connection is closed; browsers and network drives come back within a minute",
        read: |c, v| v.seconds(5, 3600).map(|d| c.idle_timeout = d),
        show: |c| c.idle_timeout.as_secs().to_string(),
    },
    Key {
        name: "stall_timeout_s",
        unit: "seconds, 5 to 3600",
        reason: "an upload or download in which not one byte moves for so long is given up",
        read: |c, v| v.seconds(5, 3600).map(|d| c.stall_timeout = d),
        show: |c| c.stall_timeout.as_secs().to_string(),
    },
    Key {
        name: "blocking_threads_max",
        unit: "threads, 4 to 512",
        reason: "disk and database work at once; more waits for its turn instead of taking memory",
        read: |c, v| v.number(4, 512).map(|n| c.blocking_threads_max = n),
        show: |c| c.blocking_threads_max.to_string(),
    },
    Key {
        name: "keep_days",
        unit: "days, 0 to 3650",
        reason: "old versions and deleted files stay restorable for so long",
        read: |c, v| {
            v.number(0, 3650)
                .map(|n: u64| c.keep = Duration::from_hours(24 * n))
        },
        show: |c| (c.keep.as_secs() / 86_400).to_string(),
    },
    Key {
        name: "keep_share_percent",
        unit: "percent of the free space, 0 to 100",
        reason: "history is thinned, oldest first, before it takes more of the disk than this",
        read: |c, v| v.number(0, 100).map(|n| c.keep_share_percent = n),
        show: |c| c.keep_share_percent.to_string(),
    },
    Key {
        name: "audit_keep_days",
        unit: "days, 30 to 36500",
        reason: "who did what stays known for so long; older rows are cut under a signature, about 0.3 kB each",
        read: |c, v| {
            v.number(30, 36_500)
                .map(|n: u64| c.audit_keep = Duration::from_hours(24 * n))
        },
        show: |c| (c.audit_keep.as_secs() / 86_400).to_string(),
    },
    Key {
        name: "scan_interval_s",
        unit: "seconds, 10 to 604800",
        reason: "full look at the disk for edits by other programs; between two of them the kernel's hints suffice",
        read: |c, v| v.seconds(10, 604_800).map(|d| c.scan_interval = d),
        show: |c| c.scan_interval.as_secs().to_string(),
    },
    Key {
        name: "mdns",
        unit: "true or false",
        reason: "tells the home network that the node is here and looks for others; false sends and hears nothing (`--no-mdns`)",
        read: |c, v| v.flag().map(|f| c.mdns = f),
        show: |c| c.mdns.to_string(),
    },
    Key {
        name: "hidden",
        unit: "true or false",
        reason: "announces neither name nor id on the home network, but tags that only friends recognize",
        read: |c, v| v.flag().map(|f| c.hidden = f),
        show: |c| c.hidden.to_string(),
    },
    Key {
        name: "beat_s",
        unit: "seconds, 1 to 3600",
        reason: "a node nearby is asked for a sign of life this often; shorter notices its end sooner and costs two small packets each",
        read: |c, v| v.seconds(1, 3600).map(|d| c.beat = d),
        show: |c| c.beat.as_secs().to_string(),
    },
    Key {
        name: "beats_missed",
        unit: "beats, 1 to 100",
        reason: "so many in a row without an answer and the node is gone; fewer would take a lost packet for an end",
        read: |c, v| v.number(1, 100).map(|n| c.beats_missed = n),
        show: |c| c.beats_missed.to_string(),
    },
    Key {
        name: "neighbors_max",
        unit: "nodes, 1 to 256",
        reason: "links to other nodes that are kept open to find others; each costs a small packet every 5 s (`--max-neighbors`)",
        read: |c, v| v.number(1, 256).map(|n| c.neighbors_max = n),
        show: |c| c.neighbors_max.to_string(),
    },
    Key {
        name: "visibility",
        unit: "\"everybody\", \"friends\" or \"nobody\"",
        reason: "to whom other nodes may tell where this one is: with \"friends\" to its friends and theirs, with \"nobody\" only who knows its address reaches it",
        read: |c, v| {
            v.text()
                .and_then(|t| visibility(&t))
                .map(|v| c.visibility = v)
        },
        show: |c| {
            quoted(match c.visibility {
                Visible::Everybody => "everybody",
                Visible::FriendsOfFriends => "friends",
                Visible::Nobody => "nobody",
            })
        },
    },
    Key {
        name: "center",
        unit: "\"cumulet-center:ID@HOST:PORT\"",
        reason: "the center where this node registers: it gives the name NAME.ZONE and finds other nodes; none, as a node needs none",
        read: |c, v| {
            let center = v.text()?.parse::<CenterAddress>();
            center
                .map(|center| c.center = Some(center))
                .map_err(|e| e.to_string())
        },
        show: |c| {
            let center = c.center.as_ref();
            center.map_or_else(unset, |center| quoted(&center.to_string()))
        },
    },
    Key {
        name: "invite",
        unit: "32 hexadecimal digits",
        reason: "lets this node register at its center for the first time, where registration is not open; the center's owner makes it",
        read: |c, v| {
            v.text()
                .and_then(|t| invite_token(&t))
                .map(|i| c.invite = Some(i))
        },
        show: |c| c.invite.map_or_else(unset, |_| quoted("(kept)")),
    },
];

/// Why a configuration cannot be used. Each message names the file, and the line where there is one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file exists but cannot be read.
    #[error("cannot read the configuration {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value that cannot be.
    #[error("{}, line {line}: {why}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong and what would be right.
        why: String,
    },
    /// Keys, or options of the command line, that exclude each other.
    #[error("{0}")]
    Together(String),
}

impl Config {
    /// Reads `path`; a missing file gives the defaults.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read {
                path: path.into(),
                source,
            }),
        }
    }

    /// Reads the text of a configuration; `path` is only for the messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let at = |offset: usize, why: String| ConfigError::Line {
            path: path.into(),
            line: 1 + text.bytes().take(offset).filter(|b| *b == b'\n').count(),
            why,
        };
        let table = DeTable::parse(text).map_err(|error| {
            at(
                error.span().map_or(0, |s| s.start),
                error.message().to_owned(),
            )
        })?;
        let mut config = Self::default();
        for (name, value) in table.get_ref() {
            let key = KEYS
                .iter()
                .find(|key| key.name == name.get_ref().as_ref())
                .ok_or_else(|| at(name.span().start, unknown(name.get_ref())))?;
            Value::new(value.get_ref())
                .and_then(|value| (key.read)(&mut config, value))
                .map_err(|why| at(value.span().start, format!("`{}` {why}", key.name)))?;
        }
        Ok(config)
    }

    /// Checks what one key alone cannot tell. Called after the command line was applied too.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.http {
            Some(_) if !cfg!(feature = "http") => Err(ConfigError::Together(
                "this program was built without plain HTTP: leave `--http` and `http` out, or \
                 build it with the cargo feature `http`"
                    .into(),
            )),
            Some(address) if !address.ip().is_loopback() && !self.http_public => {
                Err(ConfigError::Together(format!(
                    "plain HTTP on {address} would send passwords readable through the network: \
                     use a loopback address such as 127.0.0.1:8080, or add --http-public \
                     (http_public = true) if a proxy in front of it encrypts"
                )))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn unknown(name: &str) -> String {
    let near = KEYS.iter().map(|key| key.name).find(|key| {
        key.starts_with(name)
            || name.starts_with(key)
            || key.replace('_', "") == name.replace(['-', '_'], "").to_lowercase()
    });
    match near {
        Some(near) => format!("unknown key `{name}`; did you mean `{near}`?"),
        None => format!("unknown key `{name}`; `cumulet config --explain` lists all keys"),
    }
}

/// Checks a node's name: one label of 1 to 63 letters, digits and inner hyphens (RFC 1035 2.3.1).
pub fn checked_name(name: &str) -> Result<String, String> {
    let good = (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good {
        Ok(name.to_ascii_lowercase())
    } else {
        Err(format!(
            "`{name}` is no node name: use 1 to 63 letters, digits and hyphens inside"
        ))
    }
}

/// Reads `ADDRESS:PORT`, `ADDRESS` or `PORT`.
pub fn listen_address(text: &str, default_port: u16) -> Result<SocketAddr, String> {
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    text.parse::<SocketAddr>()
        .or_else(|_| text.trim_matches(['[', ']']).parse().map(|ip: IpAddr| (ip, default_port).into()))
        .or_else(|_| text.trim_start_matches(':').parse().map(|port: u16| (any, port).into()))
        .map_err(|_| format!("`{text}` is no address: write ADDRESS:PORT such as 0.0.0.0:8443 or [::1]:8080, or a port"))
}

fn visibility(text: &str) -> Result<Visible, String> {
    match text {
        "everybody" => Ok(Visible::Everybody),
        "friends" => Ok(Visible::FriendsOfFriends),
        "nobody" => Ok(Visible::Nobody),
        _ => Err("must be \"everybody\", \"friends\" or \"nobody\"".into()),
    }
}

/// Reads the token of an invite to a center.
pub fn invite_token(text: &str) -> Result<[u8; 16], String> {
    let digits = text.trim();
    let number = u128::from_str_radix(digits, 16)
        .ok()
        .filter(|_| digits.len() == 32);
    number.map(u128::to_be_bytes).ok_or_else(|| {
        "is no invite: expected the 32 hexadecimal digits that `cumulet center invite` printed"
            .into()
    })
}

fn unset() -> String {
    "unset".into()
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn list(prefixes: &[Cidr]) -> String {
    let quoted: Vec<_> = prefixes.iter().map(|p| quoted(&p.to_string())).collect();
    format!("[{}]", quoted.join(", "))
}

/// A TOML value of a kind that some key takes.
enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    List(Vec<String>),
}

impl Value {
    fn new(value: &DeValue<'_>) -> Result<Self, String> {
        const KINDS: &str = "takes a text, a whole number, true, false, or a list of texts";
        match value {
            DeValue::String(text) => Ok(Self::Text(text.to_string())),
            DeValue::Boolean(flag) => Ok(Self::Flag(*flag)),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map(Self::Number)
                .map_err(|_| "is a number beyond all limits".into()),
            DeValue::Array(items) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => Ok(text.to_string()),
                    DeValue::Integer(_)
                    | DeValue::Float(_)
                    | DeValue::Boolean(_)
                    | DeValue::Datetime(_)
                    | DeValue::Array(_)
                    | DeValue::Table(_) => Err(KINDS.to_owned()),
                })
                .collect::<Result<_, _>>()
                .map(Self::List),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Err(KINDS.into()),
        }
    }

    fn text(self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Number(_) | Self::Flag(_) | Self::List(_) => Err("takes a text in quotes".into()),
        }
    }

    fn flag(self) -> Result<bool, String> {
        match self {
            Self::Flag(flag) => Ok(flag),
            Self::Text(_) | Self::Number(_) | Self::List(_) => Err("takes true or false".into()),
        }
    }

    fn number<T: TryFrom<i64>>(self, least: i64, most: i64) -> Result<T, String> {
        let why = || format!("takes a whole number from {least} to {most}");
        match self {
            Self::Number(n) if (least..=most).contains(&n) => T::try_from(n).map_err(|_| why()),
            Self::Number(_) | Self::Text(_) | Self::Flag(_) | Self::List(_) => Err(why()),
        }
    }

    fn seconds(self, least: i64, most: i64) -> Result<Duration, String> {
        self.number(least, most).map(Duration::from_secs)
    }

    fn prefixes(self) -> Result<Vec<Cidr>, String> {
        match self {
            Self::List(items) => items
                .iter()
                .map(|item| {
                    item.parse()
                        .map_err(|e: crate::lan::CidrError| e.to_string())
                })
                .collect(),
            Self::Text(_) | Self::Number(_) | Self::Flag(_) => {
                Err("takes a list such as [\"192.168.1.0/24\"]".into())
            }
        }
    }
}

/// The computer's name as one DNS label; `cumulet` if it has none that fits.
#[must_use]
pub fn computer_name() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    let label = name.split('.').next().unwrap_or_default();
    checked_name(label).unwrap_or_else(|_| "cumulet".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("cumulet.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        assert_eq!(parse(""), Ok(Config::default()));
        assert!(Config::load(Path::new("/nonexistent/cumulet.toml")).is_ok());
    }

    #[test]
    fn every_key_reads_back_what_it_shows() {
        let defaults = Config::default();
        let shown: String = KEYS
            .iter()
            .filter(|key| key.show(&defaults) != "unset")
            .map(|key| format!("{} = {}\n", key.name, key.show(&defaults)))
            .collect();
        assert_eq!(parse(&shown), Ok(defaults));
    }

    #[test]
    fn keys_without_default_are_taken_too() {
        let config =
            parse("name = \"Home\"\nhttp = \"127.0.0.1:0\"\nlan = [\"10.0.0.0/8\"]\n").unwrap();
        assert_eq!(config.name.as_deref(), Some("home"));
        assert_eq!(config.http, Some("127.0.0.1:0".parse().unwrap()));
        assert_eq!(config.lan, Some(vec!["10.0.0.0/8".parse().unwrap()]));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let check = |text: &str, message: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        };
        check(
            "# x\nlisten_on = 1\n",
            "cumulet.toml, line 2: unknown key `listen_on`; did you mean `listen`?",
        );
        check(
            "\n\nfoo = 1",
            "cumulet.toml, line 3: unknown key `foo`; `cumulet config --explain`",
        );
        check(
            "keep_days = \"x\"",
            "cumulet.toml, line 1: `keep_days` takes a whole number from 0 to 3650",
        );
        check(
            "keep_days = 99999",
            "cumulet.toml, line 1: `keep_days` takes a whole number from 0 to 3650",
        );
        check("a\nlan = [\n", "cumulet.toml, line 1: ");
        check(
            "\nlan = [\"10.0.0.0/99\"]",
            "cumulet.toml, line 2: `lan` `10.0.0.0/99` is no network",
        );
        check(
            "http_public = 3",
            "cumulet.toml, line 1: `http_public` takes true or false",
        );
    }

    #[test]
    fn plain_http_to_the_network_must_be_wanted() {
        let config = parse("http = \"0.0.0.0:80\"").unwrap();
        assert!(
            config
                .check()
                .unwrap_err()
                .to_string()
                .contains("--http-public")
        );
        assert!(
            parse("http = \"0.0.0.0:80\"\nhttp_public = true")
                .unwrap()
                .check()
                .is_ok()
        );
        assert!(parse("http = \"127.0.0.1:80\"").unwrap().check().is_ok());
    }

    #[test]
    fn listen_takes_a_port_or_an_address_alone() {
        let check = |text, expected: &str| {
            assert_eq!(listen_address(text, 8443).unwrap().to_string(), expected)
        };
        check("9000", "[::]:9000");
        check(":9000", "[::]:9000");
        check("127.0.0.1", "127.0.0.1:8443");
        check("[::1]", "[::1]:8443");
        check("[::1]:0", "[::1]:0");
        assert!(listen_address("example.org:80", 1).is_err());
    }
}
