//! The first owner: a one-time token that the node prints, for a page that anybody could open.

use protocol::EntryName;
use rusqlite::{Connection, OptionalExtension};

use crate::account::{self, Account};
use crate::keys::{SecretHash, Use, from_token, random, to_token};
use crate::password::{check_strength, constant_time_equal};
use crate::{Sharing, SharingError};

/// 128 random bits.
const TOKEN_BYTES: usize = 16;

impl Sharing {
    /// The one-time token for the first owner: `Some` while there is no owner. A new one each
    /// time; earlier ones are void.
    pub fn setup_token(&self) -> Result<Option<String>, SharingError> {
        let token = random::<TOKEN_BYTES>()?;
        let hash = self.0.keys.hash(Use::Setup, &[&token]);
        let offered = self.write(move |tx| {
            if has_owner(tx)? {
                return Ok(false);
            }
            tx.execute(
                "INSERT OR REPLACE INTO setup_token (id, hash) VALUES (1, ?1)",
                [&hash[..]],
            )?;
            Ok(true)
        })?;
        Ok(offered.then(|| to_token(&token)))
    }

    /// True if `token` would be taken by [`Sharing::redeem_setup`]; for showing the form.
    pub fn setup_token_holds(&self, token: &str) -> Result<bool, SharingError> {
        let hash = self.setup_hash(token);
        self.read(|c| holds(c, hash.as_ref()))
    }

    /// Makes the first owner; the token is void from then on.
    pub fn redeem_setup(
        &self,
        token: &str,
        name: &EntryName,
        password: &str,
    ) -> Result<Account, SharingError> {
        // Before any work on the password: the page is open to everybody.
        if !self.setup_token_holds(token)? {
            return Err(SharingError::BadSetupToken);
        }
        Self::check_account_name(name)?;
        check_strength(name.as_str(), password)?;
        let token = self.setup_hash(token);
        let hash = self.0.passwords.hash(&self.0.keys, password)?;
        let (name, now) = (name.clone(), self.now());
        self.write(move |tx| {
            if !holds(tx, token.as_ref())? {
                return Err(SharingError::BadSetupToken);
            }
            tx.execute("DELETE FROM setup_token", [])?;
            account::insert(tx, &name, &hash, true, now)
        })
    }

    fn setup_hash(&self, token: &str) -> Option<SecretHash> {
        let token = from_token::<TOKEN_BYTES>(token)?;
        Some(self.0.keys.hash(Use::Setup, &[&token]))
    }
}

fn has_owner(c: &Connection) -> Result<bool, SharingError> {
    Ok(c.query_row(
        "SELECT EXISTS (SELECT 1 FROM account WHERE owner)",
        [],
        |row| row.get(0),
    )?)
}

fn holds(c: &Connection, hash: Option<&SecretHash>) -> Result<bool, SharingError> {
    let stored: Option<Vec<u8>> = c
        .query_row("SELECT hash FROM setup_token WHERE id = 1", [], |row| {
            row.get(0)
        })
        .optional()?;
    let equal = match (stored, hash) {
        (Some(stored), Some(hash)) => constant_time_equal(&stored, hash),
        (Some(_), None) | (None, _) => false,
    };
    Ok(equal && !has_owner(c)?)
}
