//! People who have an account on this node: owners and members.

use protocol::{AccountId, EntryName, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::password::check_strength;
use crate::{Sharing, SharingError, cut};

/// Longest name of an account in bytes.
pub const ACCOUNT_NAME_BYTES_MAX: usize = 64;
/// Most accounts of one node.
pub const ACCOUNTS_MAX: u32 = 10_000;

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

/// Names that would be mistaken for something of ours in a list of spaces.
const RESERVED_NAMES: &[&str] = &[
    "friends",
    "console",
    "outside",
    "nobody",
    "node",
    "lost+found",
];
const LANGUAGES: &[&str] = &["en", "zh-CN"];
const THEMES: &[&str] = &["light", "dark"];

impl Sharing {
    /// Makes an account.
    pub fn create_account(
        &self,
        name: &EntryName,
        password: &str,
        owner: bool,
    ) -> Result<Account, SharingError> {
        Self::check_account_name(name)?;
        check_strength(name.as_str(), password)?;
        let hash = self.0.passwords.hash(&self.0.keys, password)?;
        let (name, now) = (name.clone(), self.now());
        self.write(move |tx| insert(tx, &name, &hash, owner, now))
    }

    /// Checks whether an account could have this name, without making one.
    pub fn check_account_name(name: &EntryName) -> Result<(), SharingError> {
        let text = name.as_str();
        let why = if text.len() > ACCOUNT_NAME_BYTES_MAX {
            "it is longer than 64 bytes"
        } else if text.contains([':', '\\']) || text.contains(char::is_control) {
            "it holds a colon, a backslash or a control character"
        } else if text.trim() != text || text.starts_with('.') || text.ends_with('.') {
            "it begins or ends with a space or a dot"
        } else if RESERVED_NAMES.contains(&key_of(text).as_str()) {
            "the name is used by Cumulet itself"
        } else {
            return Ok(());
        };
        Err(SharingError::BadAccountName {
            name: cut(text, 80).to_owned(),
            why,
        })
    }

    /// Removes an account with its sessions, app passwords, links and grants; the person's files
    /// stay on the disk. The last owner cannot be removed.
    pub fn remove_account(&self, account: AccountId) -> Result<(), SharingError> {
        self.change_account(account, move |tx| {
            keep_an_owner(tx, account)?;
            tx.execute("DELETE FROM account WHERE id = ?1", [account.0])?;
            Ok(())
        })
    }

    /// Makes an account owner or member. The last owner stays one.
    pub fn set_owner(&self, account: AccountId, owner: bool) -> Result<(), SharingError> {
        self.change_account(account, move |tx| {
            if !owner {
                keep_an_owner(tx, account)?;
            }
            tx.execute(
                "UPDATE account SET owner = ?2 WHERE id = ?1",
                params![account.0, owner],
            )?;
            Ok(())
        })
    }

    /// Sets the language of the pages: `en`, `zh-CN`, or `None` to follow the browser.
    pub fn set_language(
        &self,
        account: AccountId,
        language: Option<&str>,
    ) -> Result<(), SharingError> {
        let language = one_of("language", LANGUAGES, language)?;
        self.change_account(account, move |tx| {
            tx.execute(
                "UPDATE account SET language = ?2 WHERE id = ?1",
                params![account.0, language],
            )?;
            Ok(())
        })
    }

    /// Sets the look of the pages: `light`, `dark`, or `None` to follow the browser.
    pub fn set_theme(&self, account: AccountId, theme: Option<&str>) -> Result<(), SharingError> {
        let theme = one_of("theme", THEMES, theme)?;
        self.change_account(account, move |tx| {
            tx.execute(
                "UPDATE account SET theme = ?2 WHERE id = ?1",
                params![account.0, theme],
            )?;
            Ok(())
        })
    }

    /// Whether the account's own password counts for HTTP Basic.
    pub fn set_basic_with_password(
        &self,
        account: AccountId,
        on: bool,
    ) -> Result<(), SharingError> {
        self.change_account(account, move |tx| {
            tx.execute(
                "UPDATE account SET basic_with_password = ?2 WHERE id = ?1",
                params![account.0, on],
            )?;
            Ok(())
        })
    }

    /// All accounts by name.
    pub fn accounts(&self) -> Result<Vec<Account>, SharingError> {
        self.read(|c| {
            let mut statement =
                c.prepare_cached(&format!("SELECT {COLUMNS} FROM account ORDER BY name_key"))?;
            let rows = statement.query_map([], from_row)?;
            rows.map(|row| row?).collect()
        })
    }

    /// The account of this name (letter case does not count).
    pub fn account(&self, name: &str) -> Result<Option<Account>, SharingError> {
        self.read(|c| by_name(c, name))
    }

    /// The account of this number.
    pub fn account_by_id(&self, id: AccountId) -> Result<Option<Account>, SharingError> {
        self.read(|c| by_id(c, id))
    }

    pub(crate) fn present(&self, account: AccountId) -> Result<Account, SharingError> {
        self.account_by_id(account)?
            .ok_or_else(|| SharingError::NoAccount(account.to_string()))
    }

    /// Changes something of an account that exists, and voids what memory holds about it.
    pub(crate) fn change_account<T: Send + 'static>(
        &self,
        account: AccountId,
        job: impl FnOnce(&Connection) -> Result<T, SharingError> + Send + 'static,
    ) -> Result<T, SharingError> {
        let result = self.write(move |tx| {
            if by_id(tx, account)?.is_none() {
                return Err(SharingError::NoAccount(account.to_string()));
            }
            job(tx)
        });
        self.0.credentials.void();
        self.0.rights.void();
        result
    }
}

/// What letter case does not change about a name.
pub(crate) fn key_of(name: &str) -> String {
    name.to_lowercase()
}

pub(crate) fn insert(
    tx: &Connection,
    name: &EntryName,
    password_hash: &str,
    owner: bool,
    now: Timestamp,
) -> Result<Account, SharingError> {
    if by_name(tx, name.as_str())?.is_some() {
        return Err(SharingError::NameTaken(name.to_string()));
    }
    let count: u32 = tx.query_row("SELECT count(*) FROM account", [], |row| row.get(0))?;
    if count >= ACCOUNTS_MAX {
        return Err(SharingError::TooMany {
            what: "accounts",
            count: count as usize,
        });
    }
    tx.execute(
        "INSERT INTO account (name, name_key, owner, password, created) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            name.as_str(),
            key_of(name.as_str()),
            owner,
            password_hash,
            now.0
        ],
    )?;
    let id = AccountId(tx.last_insert_rowid());
    by_id(tx, id)?.ok_or_else(|| SharingError::NoAccount(id.to_string()))
}

pub(crate) const COLUMNS: &str = "account.id, account.name, account.owner, account.language, \
     account.theme, account.created, account.totp_secret IS NOT NULL, account.basic_with_password";

/// Reads [`COLUMNS`] from the start of a row.
pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Result<Account, SharingError>> {
    let name: String = row.get(1)?;
    let name = match EntryName::new(&name) {
        Ok(name) => name,
        Err(error) => {
            return Ok(Err(SharingError::Damaged {
                what: "account",
                why: error.to_string(),
            }));
        }
    };
    Ok(Ok(Account {
        id: AccountId(row.get(0)?),
        name,
        owner: row.get(2)?,
        language: row.get(3)?,
        theme: row.get(4)?,
        created: Timestamp(row.get(5)?),
        second_factor: row.get(6)?,
        basic_with_password: row.get(7)?,
    }))
}

pub(crate) fn by_id(c: &Connection, id: AccountId) -> Result<Option<Account>, SharingError> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM account WHERE id = ?1"))?
        .query_row([id.0], from_row)
        .optional()?
        .transpose()
}

pub(crate) fn by_name(c: &Connection, name: &str) -> Result<Option<Account>, SharingError> {
    // No account has a longer name, so there is nothing to look up.
    if name.len() > ACCOUNT_NAME_BYTES_MAX {
        return Ok(None);
    }
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM account WHERE name_key = ?1"
    ))?
    .query_row([key_of(name)], from_row)
    .optional()?
    .transpose()
}

fn keep_an_owner(tx: &Connection, without: AccountId) -> Result<(), SharingError> {
    let is_owner = by_id(tx, without)?.is_some_and(|account| account.owner);
    let others: i64 = tx.query_row(
        "SELECT count(*) FROM account WHERE owner AND id <> ?1",
        [without.0],
        |row| row.get(0),
    )?;
    if is_owner && others == 0 {
        return Err(SharingError::LastOwner(without));
    }
    Ok(())
}

fn one_of(
    what: &'static str,
    allowed: &[&str],
    value: Option<&str>,
) -> Result<Option<String>, SharingError> {
    match value {
        Some(value) if !allowed.contains(&value) => Err(SharingError::BadInput {
            what,
            why: format!("expected one of {}", allowed.join(", ")),
        }),
        Some(_) | None => Ok(value.map(str::to_owned)),
    }
}
