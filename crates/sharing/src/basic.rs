//! HTTP Basic for clients that cannot show a page: app passwords, and the account's own password
//! while it has no second factor and its owner allows it.
//!
//! What was verified is remembered in memory for minutes as a keyed hash, so that argon2 is paid
//! once and not per request. What was wrong is remembered too: a device that repeats an old
//! password every few seconds neither costs argon2 nor grows the delay of its network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::Timestamp;

use crate::account::{Account, key_of};
use crate::actor::{Via, Who};
use crate::keys::{SecretHash, Use};
use crate::session::NOTE_INTERVAL;
use crate::{LoginError, Sharing, throttle};

/// How long a result is remembered.
const MEMORY: Duration = Duration::from_secs(300);
/// Most results in memory; when full it is emptied, which costs some argon2.
const ENTRIES_MAX: usize = 4_096;
/// One check at a time for equal credentials; others are spread over this many locks.
const STRIPES: usize = 16;
/// Requests that may wait for a check of an account's password; each holds a thread of the rim.
const CHECKING_MAX: usize = 24;

#[derive(Clone)]
struct Remembered {
    /// `None`: it was wrong.
    who: Option<Who>,
    at: Timestamp,
    noted: Timestamp,
    generation: u64,
}

/// Results of the last minutes.
#[derive(Default)]
pub(crate) struct Credentials {
    /// Raised by each change of an account; older results are void.
    generation: AtomicU64,
    entries: Mutex<HashMap<SecretHash, Remembered>>,
    stripes: [Mutex<()>; STRIPES],
    checking: AtomicUsize,
}

/// A place among the [`CHECKING_MAX`].
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Credentials {
    /// Forgets everything; called after each change of an account, password or app password.
    pub(crate) fn void(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.entries().clear();
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<SecretHash, Remembered>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn get(&self, key: &SecretHash, now: Timestamp) -> Option<Remembered> {
        let found = self.entries().get(key).cloned()?;
        // An instant in the future means that the clock was set back; then nothing tells its age.
        let fresh = found.at <= now && now.since(found.at) < MEMORY;
        (fresh && found.generation == self.generation()).then_some(found)
    }

    fn put(&self, key: SecretHash, who: Option<Who>, now: Timestamp, generation: u64) {
        let mut entries = self.entries();
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(
            key,
            Remembered {
                who,
                at: now,
                noted: now,
                generation,
            },
        );
    }

    /// True once per [`NOTE_INTERVAL`] for each credential.
    fn note(&self, key: &SecretHash, now: Timestamp) -> bool {
        match self.entries().get_mut(key) {
            Some(found) if now.since(found.noted) >= NOTE_INTERVAL => {
                found.noted = now;
                true
            }
            Some(_) | None => false,
        }
    }

    fn place(&self) -> Result<Place<'_>, LoginError> {
        let place = Place(&self.checking);
        match self.checking.fetch_add(1, Ordering::SeqCst) {
            before if before < CHECKING_MAX => Ok(place),
            _ => Err(LoginError::Busy),
        }
    }

    fn one_at_a_time(&self, key: &SecretHash) -> MutexGuard<'_, ()> {
        self.stripes[usize::from(key[0]) % STRIPES]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sharing {
    /// HTTP Basic: an app password, or the account's password while it has no second factor.
    ///
    /// A verified credential is remembered in memory for 5 minutes as a keyed hash.
    pub fn basic(&self, name: &str, secret: &str, address: IpAddr) -> Result<Who, LoginError> {
        let key = self.0.keys.hash(
            Use::Credential,
            &[key_of(name).as_bytes(), secret.as_bytes()],
        );
        if let Some(found) = self.0.credentials.get(&key, self.now()) {
            return self.remembered(&key, found, address);
        }
        // Read before the check: a change in between must void its result.
        let generation = self.0.credentials.generation();
        if let Some(who) = self.verify_app_password(name, secret, address)? {
            let remembered = Some(who.clone());
            self.0
                .credentials
                .put(key, remembered, self.now(), generation);
            return Ok(who);
        }
        // Clients open many connections at once: the first one pays, the others read its result.
        let _place = self.0.credentials.place()?;
        let _turn = self.0.credentials.one_at_a_time(&key);
        if let Some(found) = self.0.credentials.get(&key, self.now()) {
            return self.remembered(&key, found, address);
        }
        let generation = self.0.credentials.generation();
        let who = self.verify_password(name, secret, address)?;
        self.0
            .credentials
            .put(key, who.clone(), self.now(), generation);
        who.ok_or(LoginError::Wrong)
    }

    fn remembered(
        &self,
        key: &SecretHash,
        found: Remembered,
        address: IpAddr,
    ) -> Result<Who, LoginError> {
        if let Some(Who::Account {
            via: Via::AppPassword { id, .. },
            ..
        }) = &found.who
            && self.0.credentials.note(key, self.now())
        {
            self.note_app_password(*id, address);
        }
        found.who.ok_or(LoginError::Wrong)
    }

    /// Neither delayed nor counted: nobody guesses 140 bits.
    fn verify_app_password(
        &self,
        name: &str,
        secret: &str,
        address: IpAddr,
    ) -> Result<Option<Who>, LoginError> {
        let Some(hash) = self.app_password_hash(secret) else {
            return Ok(None);
        };
        let Some((account, id, label)) = self.find_app_password(name, &hash)? else {
            return Ok(None);
        };
        self.note_app_password(id, address);
        Ok(Some(who(account, Via::AppPassword { id, label })))
    }

    /// `None` if it is wrong; an error if it could not be checked.
    fn verify_password(
        &self,
        name: &str,
        secret: &str,
        address: IpAddr,
    ) -> Result<Option<Who>, LoginError> {
        let guesses = self.password_guesses(name, address);
        self.begin_guess(&guesses)?;
        let secrets = self.secrets(name)?;
        let right = self.password_holds(secrets.as_ref(), secret)?;
        let Some(secrets) = secrets else {
            self.note_failure(address, None);
            return Ok(None);
        };
        let account = secrets.account;
        if !right || account.second_factor || !account.basic_with_password {
            self.note_failure(address, Some(&account));
            return Ok(None);
        }
        self.write(move |tx| Ok(throttle::succeed(tx, &guesses)?))?;
        Ok(Some(who(account, Via::Password)))
    }
}

pub(crate) fn who(account: Account, via: Via) -> Who {
    Who::Account {
        id: account.id,
        name: account.name,
        owner: account.owner,
        via,
    }
}
