//! The node's own TLS certificate: ECDSA P-256, self-signed, its key signed by the node (decision 8).
//!
//! Browsers take no ed25519 certificates, so TLS has a key of its own, made once. The node's
//! identity signs the SHA-256 of its SubjectPublicKeyInfo (`tls/spki.sig`), and clients that know
//! the node check that. The certificate lives 397 days, is renewed 30 days before its end, and
//! when the node has a name or address that it does not hold; the key stays, so pins do too.
//! `tls/certificate.toml` tells what the certificate holds, so that nothing needs to parse it.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use protocol::{NodeId, NodeSecret, Timestamp, TlsKey};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::layout::{self, Layout, LayoutError};

/// Longest life that browsers accept for a server certificate is 398 days; one day is spare.
const LIFE: Duration = Duration::from_hours(397 * 24);
/// Renewed this long before the end.
const RENEW_BEFORE: Duration = Duration::from_hours(30 * 24);
/// Valid already a day before it is made, for clients whose clock is behind.
const HEAD_START: Duration = Duration::from_hours(24);
/// Earlier names and addresses are kept, so that changing networks does not make a new
/// certificate each time; beyond this many the oldest go.
const NAMES_MAX: usize = 64;

/// Why there is no certificate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file could not be read or written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The key or certificate file is not what we wrote.
    #[error("{} is damaged; remove it and start again to get a new one", .0.display())]
    Damaged(PathBuf),
    /// rcgen refused.
    #[error("cannot make a certificate for the names {names:?}")]
    Make {
        /// What it should have held.
        names: Vec<String>,
        /// Why not.
        source: rcgen::Error,
    },
    /// rustls refuses the key.
    #[error("the TLS key cannot be used")]
    Key(#[source] rustls::Error),
}

/// What the certificate in `cert.pem` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    not_before_s: i64,
    not_after_s: i64,
    names: Vec<String>,
}

impl Record {
    fn serves(&self, wanted: &[String], now: Timestamp) -> bool {
        let renew_at_s = self.not_after_s - i64::try_from(RENEW_BEFORE.as_secs()).unwrap_or(0);
        (self.not_before_s..renew_at_s).contains(&now.secs())
            && wanted.iter().all(|name| self.names.contains(name))
    }
}

/// The certificate in use. Listeners ask it at every handshake, so a renewal needs no restart.
#[derive(Debug)]
pub struct Certificate {
    layout: Layout,
    key: KeyPair,
    current: RwLock<Current>,
}

#[derive(Debug, Clone)]
struct Current {
    certified: Arc<CertifiedKey>,
    fingerprint: String,
}

impl Certificate {
    /// Reads key and certificate, or makes what is missing, outdated or without a wanted name.
    pub fn open(
        layout: &Layout,
        secret: &NodeSecret,
        names: &[String],
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        layout::make_folder(&layout.tls(), 0o700)?;
        let key = load_or_make_key(layout)?;
        sign_key(layout, secret, &key)?;
        let record = read_record(layout).filter(|record| record.serves(names, now));
        let der = match record {
            Some(_) => read_certificate(layout)?,
            None => make_certificate(layout, &key, names, now)?,
        };
        let current = RwLock::new(Current::new(der, &key)?);
        Ok(Self {
            layout: layout.clone(),
            key,
            current,
        })
    }

    /// Makes a new certificate if the present one ends soon or lacks one of `names`; true = it did.
    pub fn renew(&self, names: &[String], now: Timestamp) -> Result<bool, CertificateError> {
        if read_record(&self.layout).is_some_and(|record| record.serves(names, now)) {
            return Ok(false);
        }
        let der = make_certificate(&self.layout, &self.key, names, now)?;
        let fresh = Current::new(der, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(true)
    }

    /// SHA-256 of the certificate, as browsers show it: 32 hexadecimal pairs with colons.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.current().fingerprint
    }

    /// The key of the certificate; it outlives renewals.
    #[must_use]
    pub fn tls_key(&self) -> TlsKey {
        TlsKey::of_spki(&self.key.subject_public_key_info())
    }

    fn current(&self) -> Current {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().certified)
    }
}

impl Current {
    fn new(der: CertificateDer<'static>, key: &KeyPair) -> Result<Self, CertificateError> {
        let digest = ring::digest::digest(&ring::digest::SHA256, &der);
        let pairs: Vec<_> = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let signing =
            rustls::crypto::ring::sign::any_ecdsa_type(&private).map_err(CertificateError::Key)?;
        Ok(Self {
            certified: Arc::new(CertifiedKey::new(vec![der], signing)),
            fingerprint: pairs.join(":"),
        })
    }
}

/// The names and addresses under which the node `id` called `name` is reached.
#[must_use]
pub fn names(name: &str, id: &NodeId, addresses: &[IpAddr]) -> Vec<String> {
    let fixed = [
        name.to_owned(),
        format!("{name}.local"),
        links::discovery::host_name(id),
        "localhost".into(),
        "127.0.0.1".into(),
        "::1".into(),
    ];
    let mut names: Vec<String> = fixed
        .into_iter()
        .chain(addresses.iter().map(ToString::to_string))
        .collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn load_or_make_key(layout: &Layout) -> Result<KeyPair, CertificateError> {
    let path = layout.tls().join("key.pem");
    match fs::read_to_string(&path) {
        Ok(pem) => KeyPair::from_pem(&pem).map_err(|_| CertificateError::Damaged(path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|source| {
                CertificateError::Make {
                    names: Vec::new(),
                    source,
                }
            })?;
            layout::replace(&path, key.serialize_pem().as_bytes(), 0o600)?;
            Ok(key)
        }
        Err(source) => Err(LayoutError::Io {
            action: "read",
            path,
            source,
        }
        .into()),
    }
}

/// Writes `spki.sig`: node id, hash and signature, one a line.
fn sign_key(layout: &Layout, secret: &NodeSecret, key: &KeyPair) -> Result<(), CertificateError> {
    let tls_key = TlsKey::of_spki(&key.subject_public_key_info());
    let signature: String = tls_key
        .vouch(secret)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let text = format!(
        "node {}\nspki-sha256 {tls_key}\nsignature {signature}\n",
        secret.id()
    );
    let path = layout.tls().join("spki.sig");
    if fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    Ok(layout::replace(&path, text.as_bytes(), 0o644)?)
}

fn read_record(layout: &Layout) -> Option<Record> {
    let text = fs::read_to_string(layout.tls().join("certificate.toml")).ok()?;
    toml::from_str(&text).ok()
}

fn read_certificate(layout: &Layout) -> Result<CertificateDer<'static>, CertificateError> {
    let path = layout.tls().join("cert.pem");
    CertificateDer::from_pem_file(&path).map_err(|_| CertificateError::Damaged(path))
}

/// Record last: a crash in between makes the next start renew.
fn make_certificate(
    layout: &Layout,
    key: &KeyPair,
    wanted: &[String],
    now: Timestamp,
) -> Result<CertificateDer<'static>, CertificateError> {
    let mut names = wanted.to_vec();
    let earlier = read_record(layout)
        .map(|record| record.names)
        .unwrap_or_default();
    names.extend(earlier.into_iter().filter(|name| !wanted.contains(name)));
    names.truncate(NAMES_MAX.max(wanted.len()));
    let record = Record {
        not_before_s: now.minus(HEAD_START).secs(),
        not_after_s: now.minus(HEAD_START).plus(LIFE).secs(),
        names: names.clone(),
    };
    let make = |source| CertificateError::Make {
        names: names.clone(),
        source,
    };
    let mut params = CertificateParams::new(names.clone()).map_err(make)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(
        DnType::CommonName,
        format!("Cumulet node {}", wanted.first().map_or("", |n| n)),
    );
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = instant(record.not_before_s);
    params.not_after = instant(record.not_after_s);
    let certificate = params.self_signed(key).map_err(make)?;
    layout::replace(
        &layout.tls().join("cert.pem"),
        certificate.pem().as_bytes(),
        0o644,
    )?;
    let text = toml::to_string(&record).expect("a record of numbers and texts is TOML");
    layout::replace(
        &layout.tls().join("certificate.toml"),
        text.as_bytes(),
        0o644,
    )?;
    Ok(certificate.der().clone())
}

fn instant(seconds: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_496_640_000);

    fn folder() -> (tempfile::TempDir, Layout, NodeSecret) {
        let top = tempfile::tempdir().unwrap();
        let layout = Layout::prepare(top.path(), None).unwrap();
        (top, layout, NodeSecret::from_bytes([5; 32]))
    }

    fn home() -> Vec<String> {
        names("home", &NodeId([7; 32]), &["192.168.1.5".parse().unwrap()])
    }

    #[test]
    fn a_restart_keeps_the_certificate() {
        let (_top, layout, secret) = folder();
        let first = Certificate::open(&layout, &secret, &home(), NOW)
            .unwrap()
            .fingerprint();
        let second = Certificate::open(&layout, &secret, &home(), NOW)
            .unwrap()
            .fingerprint();
        assert_eq!(first, second);
        assert_eq!(first.len(), 95);
    }

    #[test]
    fn it_is_renewed_thirty_days_before_its_end_with_the_same_key() {
        let (_top, layout, secret) = folder();
        let certificate = Certificate::open(&layout, &secret, &home(), NOW).unwrap();
        let signed = fs::read(layout.tls().join("spki.sig")).unwrap();
        let days = |n: u64| NOW.plus(Duration::from_hours(24 * n));
        assert!(!certificate.renew(&home(), days(365)).unwrap());
        let old = certificate.fingerprint();
        assert!(certificate.renew(&home(), days(367)).unwrap());
        assert_ne!(certificate.fingerprint(), old);
        let again = Certificate::open(&layout, &secret, &home(), days(367)).unwrap();
        assert_eq!(again.fingerprint(), certificate.fingerprint());
        assert_eq!(fs::read(layout.tls().join("spki.sig")).unwrap(), signed);
    }

    #[test]
    fn a_clock_that_was_wrong_at_the_first_start_heals() {
        let (_top, layout, secret) = folder();
        let certificate = Certificate::open(&layout, &secret, &home(), Timestamp(0)).unwrap();
        assert!(certificate.renew(&home(), NOW).unwrap());
        assert!(certificate.renew(&home(), Timestamp(0)).unwrap());
    }

    #[test]
    fn a_new_address_gets_in_and_an_old_one_stays() {
        let (_top, layout, secret) = folder();
        let certificate = Certificate::open(&layout, &secret, &home(), NOW).unwrap();
        let moved = names("home", &NodeId([7; 32]), &["10.0.0.7".parse().unwrap()]);
        assert!(certificate.renew(&moved, NOW).unwrap());
        assert!(!certificate.renew(&home(), NOW).unwrap());
        assert!(!certificate.renew(&moved, NOW).unwrap());
    }

    #[test]
    fn the_node_signs_its_tls_key() {
        let (_top, layout, secret) = folder();
        let certificate = Certificate::open(&layout, &secret, &home(), NOW).unwrap();
        let text = fs::read_to_string(layout.tls().join("spki.sig")).unwrap();
        let field = |name: &str| {
            let hex = text
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap()
                .trim();
            (0..hex.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
                .collect::<Vec<_>>()
        };
        let key = certificate.tls_key();
        assert_eq!(field("spki-sha256"), key.0);
        assert!(key.is_vouched(secret.id(), &field("signature")));
    }
}
