//! Sharing links: what a stranger with the address may do to one entry (R19, R94, R110).
//!
//! States: open -> (password asked) -> usable -> expired, used up or revoked. A dead link and one
//! that never was look the same. A link points at the file id, so renaming keeps it.

use std::net::IpAddr;

use protocol::{AccountId, Fid, Timestamp};

use crate::{LoginError, Sharing, SharingError};

/// Most links of one account; bounds tables and pages.
pub const LINKS_MAX: usize = 10_000;

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

impl Sharing {
    /// Makes a link; the token (22 characters) goes into `/s/TOKEN`.
    pub fn add_link(&self, new: NewLink) -> Result<(Link, String), SharingError> {
        todo!()
    }

    /// Links in any state, newest first.
    pub fn links(&self, of: LinksOf) -> Result<Vec<Link>, SharingError> {
        todo!()
    }

    /// A link in any state by its number.
    pub fn link(&self, id: i64) -> Result<Option<Link>, SharingError> {
        todo!()
    }

    /// The link of a token if it can be used now; `None` is the same for dead and unknown.
    pub fn link_by_token(&self, token: &str) -> Result<Option<Link>, SharingError> {
        todo!()
    }

    /// The token again, for the owner to copy.
    pub fn link_token(&self, id: i64) -> Result<Option<String>, SharingError> {
        todo!()
    }

    /// Takes a link back; counts from the next request on. False if there is none or it was dead.
    pub fn revoke_link(&self, id: i64) -> Result<bool, SharingError> {
        todo!()
    }

    /// Sets or removes a link's password; unlock cookies given before are void.
    pub fn set_link_password(&self, id: i64, password: Option<&str>) -> Result<(), SharingError> {
        todo!()
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
        todo!()
    }

    /// True if the link has no password or `cookie` was given for its present one.
    #[must_use]
    pub fn link_unlocked(&self, link: &Link, cookie: Option<&str>) -> bool {
        todo!()
    }

    /// Counts one download; false (and nothing counted) if the limit was reached or it is dead.
    ///
    /// Called before the body is sent, so that two at once cannot both be the last one; a download
    /// that breaks off is given back by [`Sharing::uncount_download`].
    pub fn count_download(&self, link: i64) -> Result<bool, SharingError> {
        todo!()
    }

    /// Gives back a counted download that did not finish.
    pub fn uncount_download(&self, link: i64) -> Result<(), SharingError> {
        todo!()
    }
}
