//! Passwords: argon2id (RFC 9106) with a pepper, few at a time.
//!
//! Stored as `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH` (base 64 without padding); the pepper is
//! argon2's secret input and not in the database.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE64_NOPAD;

use crate::SharingError;
use crate::keys::{Keys, random};

/// Fewest characters of an account's password.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Longest password in bytes, of accounts and links; bounds what is hashed.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

/// Memory of one check in KiB: 19 MiB, with two passes the first choice of the OWASP cheat sheet.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// Most memory that a stored hash may ask for: 256 MiB.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Checks that may run at once; bounds memory to twice [`MEMORY_KIB`] and leaves a core to others.
const AT_ONCE: usize = 2;
/// Checks that may wait for their turn.
const WAITING_MAX: usize = 16;
/// How long they wait.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Lets [`AT_ONCE`] password checks run and [`WAITING_MAX`] wait.
#[derive(Default)]
pub(crate) struct Passwords {
    counts: Mutex<Counts>,
    freed: Condvar,
}

#[derive(Default)]
struct Counts {
    running: usize,
    waiting: usize,
}

struct Turn<'a>(&'a Passwords);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .running -= 1;
        self.0.freed.notify_one();
    }
}

impl Passwords {
    /// Hashes a new password for storing.
    pub(crate) fn hash(&self, keys: &Keys, password: &str) -> Result<String, SharingError> {
        let _turn = self.turn()?;
        let salt: [u8; 16] = random()?;
        let hash = run(keys, password, &salt, MEMORY_KIB, PASSES)?;
        Ok(format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${}${}",
            BASE64_NOPAD.encode(&salt),
            BASE64_NOPAD.encode(&hash)
        ))
    }

    /// Checks `password` against a stored hash. With `None` (unknown account) it does the same
    /// work and says no.
    pub(crate) fn verify(
        &self,
        keys: &Keys,
        stored: Option<&str>,
        password: &str,
    ) -> Result<bool, SharingError> {
        let stored = stored.map(Stored::parse).transpose()?;
        let known = stored.is_some();
        let stored = stored.unwrap_or_default();
        let _turn = self.turn()?;
        let short = Some(password).filter(|p| p.len() <= PASSWORD_BYTES_MAX);
        let hash = run(
            keys,
            short.unwrap_or(""),
            &stored.salt,
            stored.memory_kib,
            stored.passes,
        )?;
        let equal = constant_time_equal(&hash, &stored.hash);
        Ok(known && short.is_some() && equal)
    }

    fn turn(&self) -> Result<Turn<'_>, SharingError> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.waiting >= WAITING_MAX {
            return Err(SharingError::Busy);
        }
        let until = Instant::now() + WAIT_MAX;
        counts.waiting += 1;
        while counts.running >= AT_ONCE {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                counts.waiting -= 1;
                return Err(SharingError::Busy);
            }
            counts = self
                .freed
                .wait_timeout(counts, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        counts.waiting -= 1;
        counts.running += 1;
        drop(counts);
        Ok(Turn(self))
    }
}

/// Refuses what is too short, too long or the account's own name.
pub(crate) fn check_strength(name: &str, password: &str) -> Result<(), SharingError> {
    let fits = password.chars().count() >= PASSWORD_CHARS_MIN
        && password.len() <= PASSWORD_BYTES_MAX
        && password.to_lowercase() != name.to_lowercase();
    fits.then_some(()).ok_or(SharingError::WeakPassword)
}

/// Compares without telling by its time where the first difference is.
pub(crate) fn constant_time_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && std::hint::black_box(one.iter().zip(other).fold(0, |diff, (a, b)| diff | (a ^ b))) == 0
}

struct Stored {
    memory_kib: u32,
    passes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Default for Stored {
    /// Stands in for the hash of an account that does not exist.
    fn default() -> Self {
        Self {
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            salt: vec![0; 16],
            hash: vec![0; 32],
        }
    }
}

impl Stored {
    fn parse(text: &str) -> Result<Self, SharingError> {
        Self::try_parse(text).ok_or_else(|| SharingError::Damaged {
            what: "password",
            why: "it is no argon2id hash that this version knows".into(),
        })
    }

    fn try_parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.strip_prefix("$argon2id$v=19$")?.split('$').collect();
        let [cost, salt, hash] = fields[..] else {
            return None;
        };
        let cost: Vec<&str> = cost.split(',').collect();
        let [memory, passes, "p=1"] = cost[..] else {
            return None;
        };
        let stored = Self {
            memory_kib: memory.strip_prefix("m=")?.parse().ok()?,
            passes: passes.strip_prefix("t=")?.parse().ok()?,
            salt: BASE64_NOPAD.decode(salt.as_bytes()).ok()?,
            hash: BASE64_NOPAD.decode(hash.as_bytes()).ok()?,
        };
        (stored.memory_kib <= MEMORY_KIB_MAX && stored.passes <= 16 && stored.hash.len() == 32)
            .then_some(stored)
    }
}

fn run(
    keys: &Keys,
    password: &str,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
) -> Result<[u8; 32], SharingError> {
    let damaged = |error: argon2::Error| SharingError::Damaged {
        what: "password",
        why: error.to_string(),
    };
    let params = Params::new(memory_kib, passes, 1, Some(32)).map_err(damaged)?;
    let argon2 =
        Argon2::new_with_secret(keys.pepper(), Algorithm::Argon2id, Version::V0x13, params)
            .map_err(damaged)?;
    let mut hash = [0; 32];
    argon2
        .hash_password_into(password.as_bytes(), salt, &mut hash)
        .map_err(damaged)?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use protocol::NodeSecret;

    use super::*;

    fn keys(byte: u8) -> Keys {
        Keys::new(&NodeSecret::from_bytes([byte; 32]))
    }

    #[test]
    fn a_password_verifies_with_its_pepper_only() {
        let passwords = Passwords::default();
        let stored = passwords.hash(&keys(1), "correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let check =
            |keys: &Keys, stored, password| passwords.verify(keys, stored, password).unwrap();
        assert!(check(&keys(1), Some(&stored), "correct horse"));
        assert!(!check(&keys(1), Some(&stored), "correct horsf"));
        assert!(!check(&keys(2), Some(&stored), "correct horse"));
        assert!(!check(&keys(1), None, "correct horse"));
        assert!(!check(&keys(1), None, ""));
    }

    #[test]
    fn a_stored_hash_cannot_ask_for_all_memory() {
        let passwords = Passwords::default();
        for bad in [
            "$argon2id$v=19$m=99999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
            "$argon2i$v=19$m=8,t=2,p=1$AAAA$AAAA",
            "",
        ] {
            let error = passwords.verify(&keys(1), Some(bad), "x").unwrap_err();
            assert!(matches!(error, SharingError::Damaged { .. }), "{bad}");
        }
    }

    #[test]
    fn a_crowd_of_checks_is_turned_away_instead_of_filling_memory() {
        let passwords = Passwords::default();
        let turns: Vec<_> = (0..AT_ONCE).map(|_| passwords.turn().unwrap()).collect();
        passwords.counts.lock().unwrap().waiting = WAITING_MAX;
        assert!(matches!(passwords.turn(), Err(SharingError::Busy)));
        passwords.counts.lock().unwrap().waiting = 0;
        drop(turns);
        assert!(passwords.turn().is_ok());
    }
}
