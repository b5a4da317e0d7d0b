//! Keys derived from the node's secret, random secrets, and how both are stored.
//!
//! Each use has a key of its own, so that a hash of one table is worth nothing in another. All of
//! them come back with the recovery words, and with them everything that was stored.

use data_encoding::BASE64URL_NOPAD;
use protocol::NodeSecret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::SharingError;

/// 32 bytes that stand for a secret in the database.
pub(crate) type SecretHash = [u8; 32];

/// What a keyed hash is for; the text is part of the derivation and stable.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Use {
    Session,
    AppPassword,
    Setup,
    Recovery,
    LinkToken,
    LinkUnlock,
    Invitation,
    Pending,
    Subject,
    Credential,
}

/// All keys of this crate.
pub(crate) struct Keys {
    root: [u8; 32],
    pepper: [u8; 32],
    seal: LessSafeKey,
}

impl Keys {
    pub(crate) fn new(secret: &NodeSecret) -> Self {
        let seal = UnboundKey::new(&CHACHA20_POLY1305, &secret.derive("sharing seal"))
            .expect("32 bytes are a ChaCha20 key");
        Self {
            root: secret.derive("sharing hashes"),
            pepper: secret.derive("sharing password pepper"),
            seal: LessSafeKey::new(seal),
        }
    }

    /// The secret input of argon2.
    pub(crate) fn pepper(&self) -> &[u8; 32] {
        &self.pepper
    }

    /// Keyed BLAKE3 of `parts`, each with its length in front.
    pub(crate) fn hash(&self, of: Use, parts: &[&[u8]]) -> SecretHash {
        let mut hasher = blake3::Hasher::new_keyed(&self.root);
        let name: &[u8] = match of {
            Use::Session => b"session",
            Use::AppPassword => b"app password",
            Use::Setup => b"setup",
            Use::Recovery => b"recovery code",
            Use::LinkToken => b"link token",
            Use::LinkUnlock => b"link unlock",
            Use::Invitation => b"friend invitation",
            Use::Pending => b"pending login",
            Use::Subject => b"throttle subject",
            Use::Credential => b"basic credential",
        };
        for part in std::iter::once(&name).chain(parts) {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }

    /// Encrypts `plain`, bound to `about`: nonce, then ChaCha20-Poly1305 (RFC 8439).
    pub(crate) fn seal(&self, about: &[u8], plain: &[u8]) -> Result<Vec<u8>, SharingError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)?;
        let mut body = plain.to_vec();
        self.seal
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(about),
                &mut body,
            )
            .expect("a short text is within the limit of ChaCha20");
        Ok([&nonce[..], &body].concat())
    }

    /// Opens what [`Keys::seal`] made; `what` names it in the error.
    pub(crate) fn open(
        &self,
        what: &'static str,
        about: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, SharingError> {
        let damaged = || SharingError::Damaged {
            what,
            why: "it was not sealed by this node".into(),
        };
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut body = body.to_vec();
        let plain = self
            .seal
            .open_in_place(nonce, Aad::from(about), &mut body)
            .map_err(|_| damaged())?;
        Ok(plain.to_vec())
    }
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], SharingError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// Text for a cookie or an address.
pub(crate) fn to_token(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// The bytes of a token of exactly `N` bytes.
pub(crate) fn from_token<const N: usize>(token: &str) -> Option<[u8; N]> {
    // Bounds the work on garbage before it is decoded.
    if token.len() > N * 2 {
        return None;
    }
    BASE64URL_NOPAD
        .decode(token.as_bytes())
        .ok()?
        .try_into()
        .ok()
}

/// Crockford's base 32: no letters that look like digits, and none that make words easily.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// `groups` groups of four random letters (20 bits each), such as `k3vq-8t2m`.
pub(crate) fn readable(groups: usize) -> Result<String, SharingError> {
    let mut text = String::new();
    for group in 0..groups {
        if group > 0 {
            text.push('-');
        }
        for byte in random::<4>()? {
            // 256 is a multiple of 32, so each letter is equally likely.
            text.push(char::from(LETTERS[usize::from(byte % 32)]));
        }
    }
    Ok(text)
}

/// What a person typed for a [`readable`] secret, without groups, case and look-alikes; `None` if
/// it cannot be one of `groups` groups.
pub(crate) fn unreadable(typed: &str, groups: usize) -> Option<String> {
    if typed.len() > 16 * groups {
        return None;
    }
    let text: String = typed
        .chars()
        .filter(|c| *c != '-' && !c.is_whitespace())
        .map(|c| match c.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect();
    let fits = text.len() == 4 * groups && text.bytes().all(|b| LETTERS.contains(&b));
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(&NodeSecret::from_bytes([3; 32]))
    }

    #[test]
    fn a_sealed_secret_opens_for_its_owner_only() {
        let sealed = keys().seal(b"totp 1", b"secret").unwrap();
        assert_eq!(keys().open("test", b"totp 1", &sealed).unwrap(), b"secret");
        assert!(keys().open("test", b"totp 2", &sealed).is_err());
        let other = Keys::new(&NodeSecret::from_bytes([4; 32]));
        assert!(other.open("test", b"totp 1", &sealed).is_err());
        assert!(keys().open("test", b"totp 1", &sealed[..5]).is_err());
    }

    #[test]
    fn parts_of_a_hash_do_not_run_together() {
        assert_ne!(
            keys().hash(Use::Credential, &[b"ab", b"c"]),
            keys().hash(Use::Credential, &[b"a", b"bc"])
        );
        assert_ne!(
            keys().hash(Use::Session, &[b"a"]),
            keys().hash(Use::Setup, &[b"a"])
        );
    }

    #[test]
    fn readable_secrets_are_read_as_people_type_them() {
        let secret = readable(7).unwrap();
        assert_eq!(secret.len(), 34);
        let plain = secret.replace('-', "");
        assert_eq!(unreadable(&secret, 7), Some(plain.clone()));
        assert_eq!(unreadable(&plain.to_uppercase(), 7), Some(plain));
        assert_eq!(
            unreadable("O1l-i abc", 2),
            Some("0111abc".into()).filter(|s: &String| s.len() == 8)
        );
        assert_eq!(unreadable("o1li abcd", 2), Some("0111abcd".into()));
        assert_eq!(unreadable("u1li abcd", 2), None);
    }
}
