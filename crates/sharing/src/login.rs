//! Signing in on a page: password, then second factor.
//!
//! An unknown name, a wrong password and a wrong code give the same answer after the same work, so
//! nobody learns who has an account here. Successes become audit rows in the transaction that
//! makes the session; failures are counted per address and minute.

use std::net::IpAddr;
use std::time::Duration;

use protocol::{AccountId, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use crate::account::{self, Account, key_of};
use crate::actor::Client;
use crate::audit::{Action, Event};
use crate::keys::{Use, from_token, to_token};
use crate::password::constant_time_equal;
use crate::throttle::{self, Guess, Kind};
use crate::{LoginError, Sharing, SharingError, session, totp};

/// How long a right password waits for its code.
const PENDING_MAX: Duration = Duration::from_secs(300);
/// Account (8 bytes), end (8 bytes), keyed hash (32 bytes).
const PENDING_BYTES: usize = 48;

/// How far a sign-in got.
#[derive(Debug)]
pub enum Step {
    /// Signed in; the value of the session cookie.
    Done(String),
    /// The password was right and a second factor is asked: hand this to
    /// [`Sharing::second_factor`] within 5 minutes.
    SecondFactor(String),
}

/// An account with what a login needs of it.
pub(crate) struct Secrets {
    pub(crate) account: Account,
    pub(crate) password: String,
}

impl Sharing {
    /// Checks name and password. Takes the same time for an unknown name.
    pub fn login(&self, name: &str, password: &str, client: &Client) -> Result<Step, LoginError> {
        let guesses = self.password_guesses(name, client.address);
        self.begin_guess(&guesses)?;
        let secrets = self.secrets(name)?;
        if !self.password_holds(secrets.as_ref(), password)? {
            self.note_failure(client.address, secrets.as_ref().map(|s| &s.account));
            return Err(LoginError::Wrong);
        }
        let Some(secrets) = secrets else {
            return Err(LoginError::Wrong);
        };
        if secrets.account.second_factor {
            self.write(move |tx| Ok(throttle::succeed(tx, &guesses)?))?;
            return Ok(Step::SecondFactor(self.pending(&secrets)));
        }
        let cookie = self.begin_session(secrets.account, "password", client, guesses)?;
        Ok(Step::Done(cookie))
    }

    /// Checks a code of the authenticator or a recovery code; the result is the value of the
    /// session cookie.
    pub fn second_factor(
        &self,
        pending: &str,
        code: &str,
        client: &Client,
    ) -> Result<String, LoginError> {
        let Some(secrets) = self.open_pending(pending)? else {
            return Err(LoginError::Wrong);
        };
        let account = secrets.account;
        let code = totp::Typed::read(code);
        let guesses = self.try_code(&account, &code, client.address)?;
        let via = if code.is_short() {
            "password and code"
        } else {
            "password and recovery code"
        };
        self.begin_session(account, via, client, guesses)
    }

    /// Uses a code up if it is right; gives the counters that are to be taken back.
    pub(crate) fn try_code(
        &self,
        account: &Account,
        code: &totp::Typed,
        address: IpAddr,
    ) -> Result<Vec<Guess>, LoginError> {
        let subject = account.id.0.to_be_bytes();
        let mut guesses = vec![Guess::new(Kind::Code, &subject, address)];
        if code.is_short() {
            guesses.push(Guess::new(Kind::CodeAnywhere, &subject, address));
        }
        self.begin_guess(&guesses)?;
        if !self.spend_code(account.id, code)? {
            self.note_failure(address, Some(account));
            return Err(LoginError::Wrong);
        }
        Ok(guesses)
    }

    /// Counts a try before it is checked; says how long to wait if it may not be made now.
    pub(crate) fn begin_guess(&self, guesses: &[Guess]) -> Result<(), LoginError> {
        let (guesses, now) = (guesses.to_vec(), self.now());
        let begun = self.write(move |tx| Ok(throttle::begin(tx, now, &guesses)?))?;
        begun.map_err(|wait| LoginError::TooMany {
            // Whole seconds, as `Retry-After` counts.
            retry_after: Duration::from_secs(
                wait.as_millis().div_ceil(1000).try_into().unwrap_or(1),
            ),
        })
    }

    /// The counters of a password guess. Equal for names that exist and names that do not.
    pub(crate) fn password_guesses(&self, name: &str, address: IpAddr) -> Vec<Guess> {
        let subject = self.0.keys.hash(Use::Subject, &[key_of(name).as_bytes()]);
        vec![
            Guess::new(Kind::Password, &subject, address),
            Guess::new(Kind::Network, &[], address),
        ]
    }

    pub(crate) fn secrets(&self, name: &str) -> Result<Option<Secrets>, SharingError> {
        self.read(|c| match account::by_name(c, name)? {
            Some(account) => with_password(c, account),
            None => Ok(None),
        })
    }

    /// Pays argon2 in any case.
    pub(crate) fn password_holds(
        &self,
        secrets: Option<&Secrets>,
        password: &str,
    ) -> Result<bool, LoginError> {
        let stored = secrets.map(|s| s.password.as_str());
        match self.0.passwords.verify(&self.0.keys, stored, password) {
            Err(SharingError::Busy) => Err(LoginError::Busy),
            other => Ok(other?),
        }
    }

    fn begin_session(
        &self,
        account: Account,
        via: &'static str,
        client: &Client,
        guesses: Vec<Guess>,
    ) -> Result<String, LoginError> {
        let (cookie, hash) = session::draw(self)?;
        let (client, now, sharing) = (client.clone(), self.now(), self.clone());
        self.write(move |tx| {
            throttle::succeed(tx, &guesses)?;
            let id = session::begin(tx, &hash, account.id, &client, now)?;
            let name = account.name.as_str();
            let event = Event {
                account: Some(account.id),
                via: via.to_owned(),
                address: Some(client.address),
                detail: format!("session {id}"),
                ..Event::by(name, now, Action::Login, name)
            };
            Ok(sharing.record_in(tx, &event)?)
        })?;
        Ok(cookie)
    }

    fn pending(&self, secrets: &Secrets) -> String {
        let until = self.now().plus(PENDING_MAX);
        let account = secrets.account.id.0.to_be_bytes();
        let until = until.0.to_be_bytes();
        let proof = self.pending_proof(&account, &until, &secrets.password);
        to_token(&[&account[..], &until, &proof].concat())
    }

    /// The account of a pending login; a changed password voids it.
    fn open_pending(&self, pending: &str) -> Result<Option<Secrets>, SharingError> {
        let Some(bytes) = from_token::<PENDING_BYTES>(pending) else {
            return Ok(None);
        };
        let (account, rest) = bytes.split_at(8);
        let (until, proof) = rest.split_at(8);
        let id = AccountId(i64::from_be_bytes(account.try_into().expect("8 bytes")));
        let ends = Timestamp(i64::from_be_bytes(until.try_into().expect("8 bytes")));
        let now = self.now();
        // Too far ahead means that the clock was set back meanwhile.
        if now >= ends || ends > now.plus(PENDING_MAX) {
            return Ok(None);
        }
        let secrets = self.read(|c| match account::by_id(c, id)? {
            Some(account) => with_password(c, account),
            None => Ok(None),
        })?;
        Ok(secrets.filter(|secrets| {
            let expected = self.pending_proof(account, until, &secrets.password);
            constant_time_equal(&expected, proof)
        }))
    }

    fn pending_proof(&self, account: &[u8], until: &[u8], password: &str) -> [u8; 32] {
        self.0
            .keys
            .hash(Use::Pending, &[account, until, password.as_bytes()])
    }
}

fn with_password(c: &Connection, account: Account) -> Result<Option<Secrets>, SharingError> {
    let password: Option<String> = c
        .prepare_cached("SELECT password FROM account WHERE id = ?1")?
        .query_row([account.id.0], |row| row.get(0))
        .optional()?;
    Ok(password.map(|password| Secrets { account, password }))
}
