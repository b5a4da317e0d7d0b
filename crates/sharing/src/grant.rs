//! Grants to members, and what is LAN-only (R94, R105).

use protocol::{AccountId, Fid, Timestamp};

use crate::permission::{Access, Service};
use crate::{Sharing, SharingError};

/// Most grants on one entry.
pub const GRANTS_MAX: usize = 1_000;

/// Who is given access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// One account.
    Account(AccountId),
    /// Every account of this node, present and future.
    Everyone,
}

/// Access to an entry and all below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Number of the grant.
    pub id: i64,
    /// The entry.
    pub fid: Fid,
    /// To whom.
    pub grantee: Grantee,
    /// How much.
    pub access: Access,
    /// Who gave it: it works while this account owns the entry's space.
    pub by: AccountId,
    /// When.
    pub created: Timestamp,
}

/// Something that can be made LAN-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LanOnly {
    /// An entry and all below it.
    Entry(Fid),
    /// A service.
    Service(Service),
}

impl Sharing {
    /// Gives access; replaces the grantee's earlier grant on the same entry.
    pub fn add_grant(
        &self,
        fid: Fid,
        grantee: Grantee,
        access: Access,
        by: AccountId,
    ) -> Result<Grant, SharingError> {
        todo!()
    }

    /// Grants on an entry itself.
    pub fn grants(&self, fid: Fid) -> Result<Vec<Grant>, SharingError> {
        todo!()
    }

    /// Everything that was given to an account by others, newest first.
    pub fn granted_to(&self, account: AccountId) -> Result<Vec<Grant>, SharingError> {
        todo!()
    }

    /// Everything that an account gave to others.
    pub fn granted_by(&self, account: AccountId) -> Result<Vec<Grant>, SharingError> {
        todo!()
    }

    /// Takes access away; counts from the next request on. False if there is no such grant.
    pub fn remove_grant(&self, id: i64) -> Result<bool, SharingError> {
        todo!()
    }

    /// Makes something LAN-only or not; false if it was so already.
    pub fn set_lan_only(&self, what: LanOnly, on: bool) -> Result<bool, SharingError> {
        todo!()
    }

    /// All that is LAN-only. Listings for somebody who is away leave these entries out, and a
    /// copy, move, delete or archive of a folder asked from away must not hold one of them.
    pub fn lan_only(&self) -> Result<Vec<LanOnly>, SharingError> {
        todo!()
    }
}
