//! A new password ends the sessions that the old one began.

use std::net::IpAddr;

use protocol::AccountId;
use rusqlite::{OptionalExtension, params};

use crate::password::check_strength;
use crate::{LoginError, Sharing, SharingError, session, throttle, totp};

impl Sharing {
    /// Sets a new password (an owner or the console does it for somebody); ends all sessions of
    /// the account but `keep_session`.
    pub fn set_password(
        &self,
        account: AccountId,
        password: &str,
        keep_session: Option<i64>,
    ) -> Result<(), SharingError> {
        let name = self.present(account)?.name;
        check_strength(name.as_str(), password)?;
        let hash = self.0.passwords.hash(&self.0.keys, password)?;
        self.change_account(account, move |tx| {
            tx.execute(
                "UPDATE account SET password = ?2 WHERE id = ?1",
                params![account.0, hash],
            )?;
            session::end_others(tx, account, keep_session)?;
            Ok(())
        })
    }

    /// Somebody who is signed in proves the account's password once more, before something that
    /// a stolen session must not do. Delayed after wrong tries like a sign-in, by the same
    /// counters.
    ///
    /// # Errors
    /// [`LoginError::Wrong`], or [`LoginError::TooMany`] with the time to wait.
    pub fn prove_password(
        &self,
        account: AccountId,
        password: &str,
        address: IpAddr,
    ) -> Result<(), LoginError> {
        let account = self.present(account)?;
        let guesses = self.password_guesses(account.name.as_str(), address);
        self.begin_guess(&guesses)?;
        let secrets = self.secrets(account.name.as_str())?;
        if !self.password_holds(secrets.as_ref(), password)? {
            self.note_failure(address, Some(&account));
            return Err(LoginError::Wrong);
        }
        self.write(move |tx| Ok(throttle::succeed(tx, &guesses)?))?;
        Ok(())
    }

    /// The same with a code of the second factor, or a recovery code, which is used up.
    ///
    /// # Errors
    /// As [`Sharing::prove_password`].
    pub fn prove_code(
        &self,
        account: AccountId,
        code: &str,
        address: IpAddr,
    ) -> Result<(), LoginError> {
        let account = self.present(account)?;
        let guesses = self.try_code(&account, &totp::Typed::read(code), address)?;
        self.write(move |tx| Ok(throttle::succeed(tx, &guesses)?))?;
        Ok(())
    }

    /// True if the password is the account's. Not rate limited: only for the console, whose user
    /// could read the database anyway; everybody else proves it by [`Sharing::prove_password`].
    pub fn check_password(&self, account: AccountId, password: &str) -> Result<bool, SharingError> {
        let stored: Option<String> = self.read(|c| {
            Ok(
                c.prepare_cached("SELECT password FROM account WHERE id = ?1")?
                    .query_row([account.0], |row| row.get(0))
                    .optional()?,
            )
        })?;
        self.0
            .passwords
            .verify(&self.0.keys, stored.as_deref(), password)
    }
}
