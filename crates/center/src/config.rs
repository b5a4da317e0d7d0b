//! `center.toml` and the command line, which wins.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::settings::Settings;
use crate::zone::checked_zone;

/// The port for nodes unless another one is named (UDP).
pub const NODE_PORT: u16 = 8443;
/// The port of DNS.
pub const DNS_PORT: u16 = 53;

/// What the command line says. `None` leaves it to `center.toml`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names are given under it.
    pub zone: Option<String>,
    /// Address for nodes (QUIC).
    pub listen: Option<SocketAddr>,
    /// Address of the admin page and API, on this computer.
    pub http: Option<SocketAddr>,
    /// Address of DNS.
    pub dns: Option<SocketAddr>,
    /// A PostgreSQL URL instead of the SQLite file.
    pub database: Option<String>,
}

/// Keys of `center.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    zone: Option<String>,
    listen: Option<SocketAddr>,
    http: Option<SocketAddr>,
    dns: Option<SocketAddr>,
    database: Option<String>,
    host: Option<String>,
    caa_issuers: Vec<String>,
    links_max: Option<usize>,
    renew_s: Option<u64>,
    nodes_max: Option<usize>,
    new_per_network_hour: Option<u32>,
    open_on_private: Option<bool>,
    work_bits: Option<u8>,
}

/// How a center shall run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Names are given under it.
    pub zone: String,
    /// Address for nodes.
    pub listen: SocketAddr,
    /// Address of the admin page.
    pub http: Option<SocketAddr>,
    /// Address of DNS.
    pub dns: SocketAddr,
    /// A PostgreSQL URL.
    pub database: Option<String>,
    /// Name or address that nodes are told; unset: the center's best address.
    pub host: Option<String>,
    /// Who may give certificates for names of the zone; everybody if empty.
    pub caa_issuers: Vec<String>,
    /// Links of nodes at once.
    pub links_max: usize,
    /// Numbers of the registry.
    pub settings: Settings,
}

impl Config {
    /// Reads `file` if it is there and lays `options` over it.
    ///
    /// # Errors
    /// For a file that cannot be read, unknown keys, and values that cannot be.
    pub fn load(file: &Path, options: Options) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let read: File = toml::from_str(&text).with_context(|| file.display().to_string())?;
        Self::of(read, options)
    }

    /// As [`Config::load`], for a command that needs no zone.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn for_command(file: &Path) -> anyhow::Result<Self> {
        let zone = Some("invalid".to_owned());
        let with = Options {
            zone,
            ..Options::default()
        };
        Self::load(file, with)
    }

    fn of(file: File, options: Options) -> anyhow::Result<Self> {
        let everywhere = |port| SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
        let Some(zone) = options.zone.or(file.zone) else {
            bail!("a center needs a zone: --zone cloud.example.org, or `zone` in center.toml");
        };
        let http = options.http.or(file.http);
        if let Some(http) = http.filter(|http| !http.ip().is_loopback()) {
            bail!(
                "the admin page on {http} would send the owner's token readable through the \
                 network: use a loopback address such as 127.0.0.1:8080, and reach it through ssh \
                 or a proxy that encrypts"
            );
        }
        let defaults = Settings::default();
        let renew_s = file.renew_s.unwrap_or(defaults.renew.as_secs());
        if !(1..=3600).contains(&renew_s) {
            bail!("`renew_s` takes a whole number from 1 to 3600");
        }
        let work_bits = file.work_bits.unwrap_or(defaults.work_bits);
        if work_bits > protocol::message::center::WORK_BITS_MAX {
            bail!("`work_bits` takes a whole number from 0 (invites only) to 28");
        }
        Ok(Self {
            zone: checked_zone(&zone)?,
            listen: options
                .listen
                .or(file.listen)
                .unwrap_or(everywhere(NODE_PORT)),
            http,
            dns: options.dns.or(file.dns).unwrap_or(everywhere(DNS_PORT)),
            database: options.database.or(file.database),
            host: file.host,
            caa_issuers: file.caa_issuers,
            links_max: file.links_max.unwrap_or(20_000),
            settings: Settings {
                renew: Duration::from_secs(renew_s),
                work_bits,
                nodes_max: file.nodes_max.unwrap_or(defaults.nodes_max),
                new_per_network_hour: file
                    .new_per_network_hour
                    .unwrap_or(defaults.new_per_network_hour),
                open_on_private: file.open_on_private.unwrap_or(defaults.open_on_private),
                ..defaults
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        let file = toml::from_str(text).map_err(|error| error.to_string())?;
        Config::of(file, Options::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn mistakes_are_told() {
        let check = |text: &str, why: &str| {
            let error = config(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        check("", "--zone");
        check("zone = \"a b\"", "cannot be the zone");
        check("zone = \"example.org\"\nfoo = 1", "unknown field `foo`");
        check("zone = \"example.org\"\nhttp = \"0.0.0.0:80\"", "loopback");
        check("zone = \"example.org\"\nrenew_s = 0", "from 1 to 3600");
        let good = config("zone = \"Cloud.Example.org.\"\nrenew_s = 5").unwrap();
        assert_eq!(good.zone, "cloud.example.org");
        assert_eq!(good.settings.patience(), Duration::from_secs(15));
    }
}
