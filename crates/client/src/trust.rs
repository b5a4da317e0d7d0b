//! Whom a connection trusts: a key, never a certificate authority.
//!
//! A node makes its own certificate, and a center that hands out names could get one for any of
//! them. So names, dates and issuers are not looked at: what counts is that the other side holds a
//! key (its handshake signature is checked), and that this is the pinned key, or one that the pinned
//! node vouches for ([`protocol::TlsKey`]), which [`crate::Home`] checks before it says anything.

use std::sync::{Arc, Mutex, PoisonError};

use protocol::TlsKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// Takes any key and remembers which it was.
#[derive(Debug)]
struct Witness {
    provider: Arc<CryptoProvider>,
    seen: Arc<Mutex<Option<TlsKey>>>,
}

/// The key that the other side of one connection has proved to hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proved(Arc<Mutex<Option<TlsKey>>>);

impl Proved {
    /// The key, once the handshake is over.
    pub(crate) fn key(&self) -> Option<TlsKey> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How TLS is spoken on one connection.
pub(crate) fn config() -> Result<(ClientConfig, Proved), Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let proved = Proved::default();
    let witness = Witness {
        provider: Arc::clone(&provider),
        seen: Arc::clone(&proved.0),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(witness))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session proves nothing about its key again.
    config.resumption = rustls::client::Resumption::disabled();
    Ok((config, proved))
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let key = TlsKey::of_spki(&parsed.subject_public_key_info());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
