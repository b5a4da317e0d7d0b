//! A new password ends the sessions that the old one began.

use protocol::AccountId;
use rusqlite::{OptionalExtension, params};

use crate::password::check_strength;
use crate::{Sharing, SharingError, session};

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

    /// A person changes their own password and proves the old one; ends all other sessions.
    pub fn change_password(
        &self,
        account: AccountId,
        old: &str,
        new: &str,
        keep_session: Option<i64>,
    ) -> Result<(), SharingError> {
        if !self.check_password(account, old)? {
            return Err(SharingError::WrongPassword);
        }
        self.set_password(account, new, keep_session)
    }

    /// True if the password is the account's: before something dangerous. Not rate limited;
    /// only for somebody who is signed in.
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
