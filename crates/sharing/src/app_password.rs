//! App passwords: one for each device that cannot show a sign-in page.
//!
//! They are random (more than 128 bits), so a keyed BLAKE3 is enough to store them and argon2 is
//! not paid per request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use protocol::{AccountId, NodeId, Timestamp};
use rusqlite::{OptionalExtension, params};

use crate::account::{self, Account};
use crate::keys::{self, SecretHash, Use};
use crate::{Sharing, SharingError, Via, Who, basic, parse_address};

/// Devices by their key, each with when its use was noted last.
pub(crate) type Devices = HashMap<NodeId, (Who, Arc<AtomicI64>)>;

/// The list of devices is so much behind.
const NOTED_AFTER_MS: i64 = 60_000;

/// Most app passwords of one account.
pub const APP_PASSWORDS_MAX: u32 = 100;

/// An app password as its owner sees it in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPassword {
    /// Its number.
    pub id: i64,
    /// What its owner calls the device.
    pub label: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used; at most a minute behind.
    pub last_used: Option<Timestamp>,
    /// From where.
    pub last_from: Option<IpAddr>,
}

/// 7 groups of 4 letters: 140 random bits.
const GROUPS: usize = 7;
const LABEL_CHARS_MAX: usize = 100;

impl Sharing {
    /// Makes an app password and shows it this one time, in groups such as `k3vq-…`.
    ///
    /// `label` has 1 to 100 characters.
    pub fn add_app_password(
        &self,
        account: AccountId,
        label: &str,
    ) -> Result<String, SharingError> {
        self.add_device(account, label, None)
    }

    /// The same for a device that also comes with a key of its own, over the peer protocol (R11).
    /// That the device holds the key has been checked.
    pub fn add_device(
        &self,
        account: AccountId,
        label: &str,
        key: Option<NodeId>,
    ) -> Result<String, SharingError> {
        let label = label.trim().to_owned();
        if label.is_empty()
            || label.chars().count() > LABEL_CHARS_MAX
            || label.contains(char::is_control)
        {
            return Err(SharingError::BadInput {
                what: "label of the app password",
                why: "expected 1 to 100 characters, such as the name of the device".into(),
            });
        }
        let secret = keys::readable(GROUPS)?;
        let hash = self
            .app_password_hash(&secret)
            .expect("what was drawn has the right form");
        let now = self.now();
        self.change_account(account, move |tx| {
            let count: u32 = tx.query_row(
                "SELECT count(*) FROM app_password WHERE account = ?1",
                [account.0],
                |row| row.get(0),
            )?;
            if count >= APP_PASSWORDS_MAX {
                return Err(SharingError::TooMany {
                    what: "app passwords",
                    count: count as usize,
                });
            }
            tx.execute(
                "INSERT INTO app_password (hash, account, label, created, device)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![&hash[..], account.0, label, now.0, key.map(|key| key.0)],
            )?;
            Ok(())
        })?;
        Ok(secret)
    }

    /// The app passwords of an account, newest first.
    pub fn app_passwords(&self, account: AccountId) -> Result<Vec<AppPassword>, SharingError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT id, label, created, last_used, last_from FROM app_password
                 WHERE account = ?1 ORDER BY id DESC",
            )?;
            let rows = statement.query_map([account.0], |row| {
                Ok(AppPassword {
                    id: row.get(0)?,
                    label: row.get(1)?,
                    created: Timestamp(row.get(2)?),
                    last_used: row.get::<_, Option<i64>>(3)?.map(Timestamp),
                    last_from: row
                        .get::<_, Option<String>>(4)?
                        .and_then(|text| parse_address(&text)),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Takes one away from its next request on; false if it is not there.
    pub fn revoke_app_password(&self, account: AccountId, id: i64) -> Result<bool, SharingError> {
        let gone = self.write(move |tx| {
            let sql = "DELETE FROM app_password WHERE account = ?1 AND id = ?2";
            Ok(tx.execute(sql, [account.0, id])? > 0)
        });
        self.0.credentials.void();
        self.0.rights.void();
        gone
    }

    /// The account for which the device with this key comes, if there is one.
    pub fn device(&self, key: NodeId, address: IpAddr) -> Result<Option<Who>, SharingError> {
        let found = self.devices()?.get(&key).cloned();
        if let Some((who, noted)) = found {
            let Who::Account {
                via: Via::AppPassword { id, .. },
                ..
            } = &who
            else {
                return Ok(None);
            };
            // As for passwords: a minute behind at most.
            let now = self.now().0;
            if now - noted.swap(now, Ordering::Relaxed) >= NOTED_AFTER_MS {
                self.note_app_password(*id, address);
            }
            return Ok(Some(who));
        }
        Ok(None)
    }

    /// True if the key is that of a device of some account; from memory.
    pub fn is_device(&self, key: &NodeId) -> Result<bool, SharingError> {
        Ok(self.devices()?.contains_key(key))
    }

    /// Reads the devices that have keys.
    pub(crate) fn read_devices(&self) -> Result<Devices, SharingError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT {}, app_password.id, app_password.label, app_password.device
                 FROM app_password JOIN account ON account.id = app_password.account
                 WHERE app_password.device IS NOT NULL",
                account::COLUMNS
            ))?;
            let rows = statement.query_map([], |row| {
                let via = Via::AppPassword {
                    id: row.get(8)?,
                    label: row.get(9)?,
                };
                Ok((account::from_row(row)?, via, NodeId(row.get(10)?)))
            })?;
            let mut devices = Devices::new();
            for row in rows {
                let (account, via, key) = row?;
                let who = basic::who(account?, via);
                devices.insert(key, (who, Arc::new(AtomicI64::new(0))));
            }
            Ok(devices)
        })
    }

    /// The stored form of a secret that looks like an app password.
    pub(crate) fn app_password_hash(&self, typed: &str) -> Option<SecretHash> {
        let plain = keys::unreadable(typed, GROUPS)?;
        Some(self.0.keys.hash(Use::AppPassword, &[plain.as_bytes()]))
    }

    /// The app password with this hash, if it is one of the account of this name.
    pub(crate) fn find_app_password(
        &self,
        name: &str,
        hash: &SecretHash,
    ) -> Result<Option<(Account, i64, String)>, SharingError> {
        self.read(|c| {
            let found = c
                .prepare_cached(&format!(
                    "SELECT {}, app_password.id, app_password.label
                     FROM app_password JOIN account ON account.id = app_password.account
                     WHERE app_password.hash = ?1 AND account.name_key = ?2",
                    account::COLUMNS
                ))?
                .query_row(params![&hash[..], account::key_of(name)], |row| {
                    Ok((account::from_row(row)?, row.get(8)?, row.get(9)?))
                })
                .optional()?;
            let Some((account, id, label)) = found else {
                return Ok(None);
            };
            Ok(Some((account?, id, label)))
        })
    }

    /// Notes a use, without waiting: losing it at a crash costs a minute in a list.
    pub(crate) fn note_app_password(&self, id: i64, from: IpAddr) {
        let now = self.now();
        drop(self.0.database.write_later(move |tx| {
            tx.prepare_cached(
                "UPDATE app_password SET last_used = ?2, last_from = ?3 WHERE id = ?1",
            )?
            .execute(params![id, now.0, from.to_canonical().to_string()])?;
            Ok::<_, SharingError>(())
        }));
    }
}
