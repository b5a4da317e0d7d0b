//! People who have an account on this node: owners and members.

use protocol::{AccountId, EntryName, Timestamp};

use crate::{Sharing, SharingError};

/// Longest name of an account in bytes.
pub const ACCOUNT_NAME_BYTES_MAX: usize = 64;
/// Fewest characters of an account's password.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Longest password in bytes, of accounts and links; bounds what is hashed.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Most accounts of one node.
pub const ACCOUNTS_MAX: usize = 10_000;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number; never given to somebody else.
    pub id: AccountId,
    /// Its name, which is also the name of the person's space.
    pub name: EntryName,
    /// Administers the node.
    pub owner: bool,
    /// Language of the pages (`en`, `zh-CN`); `None` follows the browser.
    pub language: Option<String>,
    /// Look of the pages (`light`, `dark`); `None` follows the browser.
    pub theme: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// A second factor is asked at sign-in.
    pub second_factor: bool,
    /// The account's password counts for HTTP Basic (only without a second factor).
    pub basic_with_password: bool,
}

impl Sharing {
    /// The one-time token for the first owner: `Some` while there is no owner. A new one each
    /// time; earlier ones are void.
    pub fn setup_token(&self) -> Result<Option<String>, SharingError> {
        todo!()
    }

    /// True if `token` would be taken by [`Sharing::redeem_setup`]; for showing the form.
    pub fn setup_token_holds(&self, token: &str) -> Result<bool, SharingError> {
        todo!()
    }

    /// Makes the first owner; the token is void from then on.
    pub fn redeem_setup(
        &self,
        token: &str,
        name: &EntryName,
        password: &str,
    ) -> Result<Account, SharingError> {
        todo!()
    }

    /// Makes an account.
    pub fn create_account(
        &self,
        name: &EntryName,
        password: &str,
        owner: bool,
    ) -> Result<Account, SharingError> {
        todo!()
    }

    /// Checks whether an account could have this name, without making one.
    pub fn check_account_name(name: &EntryName) -> Result<(), SharingError> {
        todo!()
    }

    /// Sets a new password (an owner or the console does it for somebody); ends all sessions of
    /// the account but `keep_session`.
    pub fn set_password(
        &self,
        account: AccountId,
        password: &str,
        keep_session: Option<i64>,
    ) -> Result<(), SharingError> {
        todo!()
    }

    /// A person changes their own password and proves the old one; ends all other sessions.
    pub fn change_password(
        &self,
        account: AccountId,
        old: &str,
        new: &str,
        keep_session: Option<i64>,
    ) -> Result<(), SharingError> {
        todo!()
    }

    /// True if the password is the account's: before something dangerous. Not rate limited;
    /// only for somebody who is signed in.
    pub fn check_password(&self, account: AccountId, password: &str) -> Result<bool, SharingError> {
        todo!()
    }

    /// Removes an account with its sessions, app passwords, links and grants; the person's files
    /// stay on the disk. The last owner cannot be removed.
    pub fn remove_account(&self, account: AccountId) -> Result<(), SharingError> {
        todo!()
    }

    /// Makes an account owner or member. The last owner stays one.
    pub fn set_owner(&self, account: AccountId, owner: bool) -> Result<(), SharingError> {
        todo!()
    }

    /// Sets the language of the pages: `en`, `zh-CN`, or `None` to follow the browser.
    pub fn set_language(
        &self,
        account: AccountId,
        language: Option<&str>,
    ) -> Result<(), SharingError> {
        todo!()
    }

    /// Sets the look of the pages: `light`, `dark`, or `None` to follow the browser.
    pub fn set_theme(&self, account: AccountId, theme: Option<&str>) -> Result<(), SharingError> {
        todo!()
    }

    /// Whether the account's own password counts for HTTP Basic.
    pub fn set_basic_with_password(
        &self,
        account: AccountId,
        on: bool,
    ) -> Result<(), SharingError> {
        todo!()
    }

    /// All accounts by name.
    pub fn accounts(&self) -> Result<Vec<Account>, SharingError> {
        todo!()
    }

    /// The account of this name (letter case does not count).
    pub fn account(&self, name: &str) -> Result<Option<Account>, SharingError> {
        todo!()
    }

    /// The account of this number.
    pub fn account_by_id(&self, id: AccountId) -> Result<Option<Account>, SharingError> {
        todo!()
    }
}
