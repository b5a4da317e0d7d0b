//! Group `services`: what a node offers to whoever asks (ALPN `cumulet/services/1`;
//! `docs/protocol/services.md`; R34).
//!
//! The answer depends on who asks, so it is neither signed nor given to others.

use serde::{Deserialize, Serialize};

use crate::frame::Message;

/// A list has at most as many services.
pub const SERVICES_MAX: usize = 64;
/// A name has at most as many bytes.
pub const SERVICE_NAME_BYTES_MAX: usize = 32;
/// A path has at most as many bytes.
pub const SERVICE_PATH_BYTES_MAX: usize = 128;

/// "What do you offer to me?"
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicesQuery {
    /// Reserved for later versions; 0.
    pub flags: u32,
}

impl Message for ServicesQuery {
    const WHAT: &'static str = "services query";
    const BYTES_MAX: usize = 8;
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Small letters, digits, hyphens: `pages`, `webdav`, `files`. A name that is not known is one
    /// of a later version and is shown as it is.
    pub name: String,
    /// TCP port of HTTPS at the node's addresses; 0: over a link, with the ALPN
    /// `cumulet/NAME/1`.
    pub port: u16,
    /// Path of the URL; empty for a service over a link.
    pub path: String,
}

impl Service {
    fn check(&self) -> Result<(), &'static str> {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty()
            || self.name.len() > SERVICE_NAME_BYTES_MAX
            || !self.name.bytes().all(is_word)
        {
            return Err("a name that is not 1 to 32 small letters, digits and hyphens");
        }
        if self.path.len() > SERVICE_PATH_BYTES_MAX
            || !self.path.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err("a path that is not up to 128 printable characters");
        }
        if self.port == 0 && !self.path.is_empty() || self.port != 0 && !self.path.starts_with('/')
        {
            return Err("a path without a port, or one that does not begin with /");
        }
        Ok(())
    }
}

/// The services that the asker may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// At most [`SERVICES_MAX`].
    pub offers: Vec<Service>,
}

impl Message for Services {
    const WHAT: &'static str = "list of services";
    const BYTES_MAX: usize =
        4 + SERVICES_MAX * (SERVICE_NAME_BYTES_MAX + SERVICE_PATH_BYTES_MAX + 8);

    fn check(&self) -> Result<(), &'static str> {
        if self.offers.len() > SERVICES_MAX {
            return Err("more than 64 services");
        }
        self.offers.iter().try_for_each(Service::check)
    }
}

impl Services {
    /// Changes when the list changes; for [`crate::NodeRecord::services_digest`].
    #[must_use]
    pub fn digest(&self) -> [u8; 8] {
        let bytes = postcard::to_stdvec(self).unwrap_or_default();
        let hash = blake3::derive_key("cumulet services 1 digest", &bytes);
        hash.first_chunk().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Service {
        Service {
            name: "pages".into(),
            port: 8443,
            path: "/".into(),
        }
    }

    #[test]
    fn a_list_comes_back_whole_and_its_digest_tells_it_from_others() {
        let files = Service {
            name: "files".into(),
            port: 0,
            path: String::new(),
        };
        let some = Services {
            offers: vec![pages(), files],
        };
        assert_eq!(Services::decode(&some.encode().unwrap()).unwrap(), some);
        assert_ne!(some.digest(), Services::default().digest());
        let largest = Service {
            name: "n".repeat(SERVICE_NAME_BYTES_MAX),
            port: u16::MAX,
            path: "/".repeat(SERVICE_PATH_BYTES_MAX),
        };
        let full = Services {
            offers: vec![largest; SERVICES_MAX],
        };
        assert!(full.encode().is_ok());
    }

    #[test]
    fn a_service_that_would_mislead_is_refused() {
        let check = |change: fn(&mut Service)| {
            let mut service = pages();
            change(&mut service);
            let offers = vec![service];
            assert!(Services { offers }.encode().is_err());
        };
        check(|service| service.name.clear());
        check(|service| service.name = "Pages".into());
        check(|service| service.name = "p".repeat(33));
        check(|service| service.path = "//evil\n".into());
        check(|service| service.path = "dav".into());
        check(|service| service.port = 0);
        let offers = vec![pages(); SERVICES_MAX + 1];
        assert!(Services { offers }.encode().is_err());
    }
}
