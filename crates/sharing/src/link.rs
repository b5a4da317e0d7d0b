//! Sharing links: what a stranger with the address may do to one entry (R19, R94, R110).
//!
//! States: open -> (password asked) -> usable -> expired, used up or revoked. A dead link and one
//! that never was look the same. A link points at the file id, so renaming keeps it.

use std::net::IpAddr;

use protocol::{AccountId, Fid, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::keys::{SecretHash, Use, from_token, random, to_token};
use crate::password::{PASSWORD_BYTES_MAX, constant_time_equal};
use crate::throttle::{self, Guess, Kind};
use crate::{LoginError, Sharing, SharingError};

/// Most links of one account; bounds tables and pages.
pub const LINKS_MAX: u32 = 10_000;

/// What a link allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkRight {
    /// Look at it in the browser.
    View,
    /// View and download.
    Download,
    /// Download, add, change; delete below the linked folder.
    Edit,
    /// Add only: no listing, nothing overwritten.
    Upload,
}

impl LinkRight {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::View, Self::Download, Self::Edit, Self::Upload];

    /// The name that commands, forms and the database use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Download => "download",
            Self::Edit => "edit",
            Self::Upload => "upload",
        }
    }
}

impl std::fmt::Display for LinkRight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for LinkRight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|right| right.name() == text)
            .ok_or_else(|| {
                let text: String = text.chars().take(40).collect();
                format!("`{text}` is no right of a link; there are view, download, edit, upload")
            })
    }
}

/// A link as stored, without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Number of the link.
    pub id: i64,
    /// The entry.
    pub fid: Fid,
    /// What it allows.
    pub right: LinkRight,
    /// What its owner calls it; may be empty.
    pub label: String,
    /// True if it asks for a password.
    pub password: bool,
    /// Counts changes of the password; an unlock cookie holds for one version.
    pub password_version: i64,
    /// Dead from this instant on.
    pub expires: Option<Timestamp>,
    /// Dead after this many finished downloads.
    pub downloads_max: Option<u32>,
    /// Finished downloads.
    pub downloads: u32,
    /// Who made it.
    pub created_by: AccountId,
    /// When.
    pub created: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// Where a link is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// It can be used (after its password).
    Usable,
    /// Its time is over.
    Expired,
    /// Its downloads are used up.
    UsedUp,
    /// Its owner took it back.
    Revoked,
}

impl Link {
    /// Its state at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> LinkState {
        if self.revoked.is_some() {
            LinkState::Revoked
        } else if self.expires.is_some_and(|expires| now >= expires) {
            LinkState::Expired
        } else if self.downloads_max.is_some_and(|max| self.downloads >= max) {
            LinkState::UsedUp
        } else {
            LinkState::Usable
        }
    }
}

/// A link to be made.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// The entry.
    pub fid: Fid,
    /// What it allows.
    pub right: LinkRight,
    /// What its owner calls it; at most 100 characters, may be empty.
    pub label: String,
    /// Asked before anything is shown.
    pub password: Option<String>,
    /// Dead from this instant on.
    pub expires: Option<Timestamp>,
    /// Dead after this many finished downloads; at least 1.
    pub downloads_max: Option<u32>,
    /// Who makes it: the owner of the space, or it will not work.
    pub created_by: AccountId,
}

/// Whose or what's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinksOf {
    /// Of every account (administration).
    Everybody,
    /// Made by this account.
    Account(AccountId),
    /// To this entry.
    Entry(Fid),
}

/// 128 random bits, 22 characters.
const TOKEN_BYTES: usize = 16;
const LABEL_CHARS_MAX: usize = 100;
const COLUMNS: &str = "id, fid, access, label, password IS NOT NULL, password_version, expires, \
     downloads_max, downloads, created_by, created, revoked";

impl Sharing {
    /// Makes a link; the token (22 characters) goes into `/s/TOKEN`.
    pub fn add_link(&self, new: NewLink) -> Result<(Link, String), SharingError> {
        let label = check(&new, self.now())?;
        let password = match &new.password {
            Some(password) => Some(self.link_password_hash(password)?),
            None => None,
        };
        let token = random::<TOKEN_BYTES>()?;
        let hash = self.token_hash(&token);
        let sealed = self.0.keys.seal(&about(&hash), &token)?;
        let now = self.now();
        let link = self.write(move |tx| {
            let count: u32 = tx.query_row(
                "SELECT count(*) FROM link WHERE created_by = ?1",
                [new.created_by.0],
                |row| row.get(0),
            )?;
            if count >= LINKS_MAX {
                return Err(SharingError::TooMany {
                    what: "links",
                    count: count as usize,
                });
            }
            tx.execute(
                "INSERT INTO link (token_hash, sealed_token, fid, access, label, password, expires,
                   downloads_max, created_by, created)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    &hash[..],
                    sealed,
                    new.fid.0,
                    new.right.name(),
                    label,
                    password,
                    new.expires.map(|t| t.0),
                    new.downloads_max,
                    new.created_by.0,
                    now.0
                ],
            )?;
            by_id(tx, tx.last_insert_rowid())?.ok_or(SharingError::Missing("link"))
        })?;
        Ok((link, to_token(&token)))
    }

    /// Links in any state, newest first.
    pub fn links(&self, of: LinksOf) -> Result<Vec<Link>, SharingError> {
        let (filter, number) = match of {
            LinksOf::Everybody => ("?1 = ?1", 0),
            LinksOf::Account(account) => ("created_by = ?1", account.0),
            LinksOf::Entry(fid) => ("fid = ?1", fid.0),
        };
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM link WHERE {filter} ORDER BY id DESC"
            ))?;
            let rows = statement.query_map([number], from_row)?;
            rows.map(|row| row?).collect()
        })
    }

    /// A link in any state by its number.
    pub fn link(&self, id: i64) -> Result<Option<Link>, SharingError> {
        self.read(|c| by_id(c, id))
    }

    /// The link of a token if it can be used now; `None` is the same for dead and unknown.
    pub fn link_by_token(&self, token: &str) -> Result<Option<Link>, SharingError> {
        let Some(token) = from_token::<TOKEN_BYTES>(token) else {
            return Ok(None);
        };
        let hash = self.token_hash(&token);
        let now = self.now();
        let link = self.read(|c| {
            c.prepare_cached(&format!("SELECT {COLUMNS} FROM link WHERE token_hash = ?1"))?
                .query_row([&hash[..]], from_row)
                .optional()?
                .transpose()
        })?;
        Ok(link.filter(|link| link.state(now) == LinkState::Usable))
    }

    /// The token again, for the owner to copy.
    pub fn link_token(&self, id: i64) -> Result<Option<String>, SharingError> {
        let stored: Option<(Vec<u8>, Vec<u8>)> = self.read(|c| {
            Ok(
                c.prepare_cached("SELECT token_hash, sealed_token FROM link WHERE id = ?1")?
                    .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?,
            )
        })?;
        let Some((hash, sealed)) = stored else {
            return Ok(None);
        };
        let token = self.0.keys.open("link token", &about(&hash), &sealed)?;
        Ok(Some(to_token(&token)))
    }

    /// Takes a link back; counts from the next request on. False if there is none or it was dead.
    pub fn revoke_link(&self, id: i64) -> Result<bool, SharingError> {
        let now = self.now();
        self.write(move |tx| {
            let sql = "UPDATE link SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL";
            Ok(tx.execute(sql, [id, now.0])? > 0)
        })
    }

    /// Sets or removes a link's password; unlock cookies given before are void.
    pub fn set_link_password(&self, id: i64, password: Option<&str>) -> Result<(), SharingError> {
        let hash = match password {
            Some(password) => Some(self.link_password_hash(password)?),
            None => None,
        };
        let changed = self.write(move |tx| {
            Ok(tx.execute(
                "UPDATE link SET password = ?2, password_version = password_version + 1
                 WHERE id = ?1",
                params![id, hash],
            )?)
        })?;
        match changed {
            0 => Err(SharingError::Missing("link")),
            _ => Ok(()),
        }
    }

    /// Checks a link's password; the result is the value of the unlock cookie.
    ///
    /// Wrong ones delay the next try from the same network (/24 or /56) only.
    pub fn unlock_link(
        &self,
        link: &Link,
        password: &str,
        address: IpAddr,
    ) -> Result<String, LoginError> {
        let id = link.id;
        let guesses = vec![Guess::new(Kind::Link, &id.to_be_bytes(), address)];
        self.begin_guess(&guesses)?;
        let stored: Option<(Option<String>, i64)> = self.read(|c| {
            Ok(
                c.prepare_cached("SELECT password, password_version FROM link WHERE id = ?1")?
                    .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?,
            )
        })?;
        let (stored, version) = stored.unwrap_or((None, link.password_version));
        let verified = self
            .0
            .passwords
            .verify(&self.0.keys, stored.as_deref(), password);
        match verified {
            Err(SharingError::Busy) => Err(LoginError::Busy),
            Err(error) => Err(error.into()),
            Ok(false) => {
                self.note_wrong_link_password(id, address);
                Err(LoginError::Wrong)
            }
            Ok(true) => {
                self.write(move |tx| Ok(throttle::succeed(tx, &guesses)?))?;
                Ok(to_token(&self.unlock_proof(id, version)))
            }
        }
    }

    /// True if the link has no password or `cookie` was given for its present one.
    #[must_use]
    pub fn link_unlocked(&self, link: &Link, cookie: Option<&str>) -> bool {
        if !link.password {
            return true;
        }
        cookie.and_then(from_token::<32>).is_some_and(|proof| {
            constant_time_equal(&proof, &self.unlock_proof(link.id, link.password_version))
        })
    }

    /// Counts one download; false (and nothing counted) if the limit was reached or it is dead.
    ///
    /// Called before the body is sent, so that two at once cannot both be the last one; a download
    /// that breaks off is given back by [`Sharing::uncount_download`].
    pub fn count_download(&self, link: i64) -> Result<bool, SharingError> {
        let now = self.now();
        self.write(move |tx| {
            let counted = tx.execute(
                "UPDATE link SET downloads = downloads + 1
                 WHERE id = ?1 AND revoked IS NULL AND (expires IS NULL OR expires > ?2)
                   AND (downloads_max IS NULL OR downloads < downloads_max)",
                [link, now.0],
            )?;
            Ok(counted > 0)
        })
    }

    /// Gives back a counted download that did not finish.
    pub fn uncount_download(&self, link: i64) -> Result<(), SharingError> {
        self.write(move |tx| {
            tx.execute(
                "UPDATE link SET downloads = downloads - 1 WHERE id = ?1 AND downloads > 0",
                [link],
            )?;
            Ok(())
        })
    }

    fn token_hash(&self, token: &[u8]) -> SecretHash {
        self.0.keys.hash(Use::LinkToken, &[token])
    }

    fn unlock_proof(&self, link: i64, version: i64) -> SecretHash {
        self.0.keys.hash(
            Use::LinkUnlock,
            &[&link.to_be_bytes(), &version.to_be_bytes()],
        )
    }

    fn link_password_hash(&self, password: &str) -> Result<String, SharingError> {
        if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
            return Err(SharingError::BadInput {
                what: "password of the link",
                why: format!("expected 1 to {PASSWORD_BYTES_MAX} bytes, or none at all"),
            });
        }
        self.0.passwords.hash(&self.0.keys, password)
    }
}

/// Refuses a link that could never be used; returns the trimmed label.
fn check(new: &NewLink, now: Timestamp) -> Result<String, SharingError> {
    let bad = |what, why: &str| {
        Err(SharingError::BadInput {
            what,
            why: why.to_owned(),
        })
    };
    let label = new.label.trim();
    if label.chars().count() > LABEL_CHARS_MAX || label.contains(char::is_control) {
        return bad("label of the link", "expected at most 100 characters");
    }
    if new.expires.is_some_and(|expires| expires <= now) {
        return bad("expiry of the link", "it lies in the past");
    }
    if new.downloads_max == Some(0) {
        return bad("download limit of the link", "expected 1 or more, or none");
    }
    Ok(label.to_owned())
}

/// Binds a sealed token to its row.
fn about(token_hash: &[u8]) -> Vec<u8> {
    [b"link ".as_slice(), token_hash].concat()
}

pub(crate) fn by_id(c: &Connection, id: i64) -> Result<Option<Link>, SharingError> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM link WHERE id = ?1"))?
        .query_row([id], from_row)
        .optional()?
        .transpose()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Result<Link, SharingError>> {
    let right: String = row.get(2)?;
    let right = match right.parse() {
        Ok(right) => right,
        Err(why) => return Ok(Err(SharingError::Damaged { what: "link", why })),
    };
    Ok(Ok(Link {
        id: row.get(0)?,
        fid: Fid(row.get(1)?),
        right,
        label: row.get(3)?,
        password: row.get(4)?,
        password_version: row.get(5)?,
        expires: row.get::<_, Option<i64>>(6)?.map(Timestamp),
        downloads_max: row.get(7)?,
        downloads: row.get(8)?,
        created_by: AccountId(row.get(9)?),
        created: Timestamp(row.get(10)?),
        revoked: row.get::<_, Option<i64>>(11)?.map(Timestamp),
    }))
}
