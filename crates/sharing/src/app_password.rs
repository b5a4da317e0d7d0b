//! App passwords: one for each device that cannot show a sign-in page.
//!
//! They are random (more than 128 bits), so a keyed BLAKE3 is enough to store them and argon2 is
//! not paid per request.

use std::net::IpAddr;

use protocol::{AccountId, Timestamp};

use crate::{Sharing, SharingError};

/// Most app passwords of one account.
pub const APP_PASSWORDS_MAX: usize = 100;

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

impl Sharing {
    /// Makes an app password and shows it this one time, in groups such as `k3vq-…`.
    ///
    /// `label` has 1 to 100 characters.
    pub fn add_app_password(
        &self,
        account: AccountId,
        label: &str,
    ) -> Result<String, SharingError> {
        todo!()
    }

    /// The app passwords of an account, newest first.
    pub fn app_passwords(&self, account: AccountId) -> Result<Vec<AppPassword>, SharingError> {
        todo!()
    }

    /// Takes one away from its next request on; false if it is not there.
    pub fn revoke_app_password(&self, account: AccountId, id: i64) -> Result<bool, SharingError> {
        todo!()
    }
}
