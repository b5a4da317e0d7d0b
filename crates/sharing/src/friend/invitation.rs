//! Invitations: what this node's owner hands out, and the first node that brings one.

use std::time::Duration;

use protocol::message::pair::{Introduction, Token};
use protocol::{EntryName, NodeId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Friend, Scopes, Side, agree, by_node, check_friend_name, meet, stored_name, stored_node,
    stored_scopes,
};
use crate::keys::{Use, random};
use crate::{Sharing, SharingError};

/// Most invitations that wait for a friend.
pub const INVITATIONS_MAX: u32 = 100;
/// An invitation holds at most so long.
pub const INVITATION_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// An invitation that nobody has redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its number.
    pub id: i64,
    /// What the friend will be called; `None` takes the name that it gives itself.
    pub name: Option<EntryName>,
    /// Only this node may redeem it.
    pub node: Option<NodeId>,
    /// What the friend may ask for.
    pub scopes: Scopes,
    /// When it ends.
    pub expires: Timestamp,
}

/// What an invitation shall be.
#[derive(Debug, Clone, Default)]
pub struct NewInvitation {
    /// What the friend will be called; `None` takes the name that it gives itself.
    pub name: Option<EntryName>,
    /// Only this node may redeem it.
    pub node: Option<NodeId>,
    /// What the friend may ask for.
    pub scopes: Scopes,
    /// How long it holds; at most [`INVITATION_AGE_MAX`].
    pub lifetime: Duration,
}

/// Why an invitation is not redeemed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedeemError {
    /// No such invitation, used already, withdrawn or for another node.
    #[error("there is no such invitation, or another node has used it")]
    Unknown,
    /// Its time is over.
    #[error("the invitation is too old")]
    Expired,
    /// Not the asker's fault.
    #[error(transparent)]
    Failed(#[from] SharingError),
}

impl From<rusqlite::Error> for RedeemError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<database::DatabaseError> for RedeemError {
    fn from(error: database::DatabaseError) -> Self {
        Self::Failed(error.into())
    }
}

impl Sharing {
    /// Makes an invitation; its secret is told this one time.
    pub fn invite(&self, new: NewInvitation) -> Result<(Invitation, Token), SharingError> {
        if new.lifetime.is_zero() || new.lifetime > INVITATION_AGE_MAX {
            return Err(SharingError::BadInput {
                what: "end of the invitation",
                why: "it lies between now and in 30 days".into(),
            });
        }
        let token: Token = random()?;
        let hash = self.0.keys.hash(Use::Invitation, &[&token]);
        let now = self.now();
        let expires = now.plus(new.lifetime);
        let invitation = self.write(move |tx| {
            forget_invitations(tx, now)?;
            let sql = "SELECT count(*) FROM friend_invitation WHERE redeemed_by IS NULL";
            let count: u32 = tx.query_row(sql, [], |row| row.get(0))?;
            if count >= INVITATIONS_MAX {
                return Err(SharingError::TooMany {
                    what: "open invitations",
                    count: count as usize,
                });
            }
            if let Some(name) = &new.name {
                check_friend_name(tx, name, None)?;
            }
            tx.execute(
                "INSERT INTO friend_invitation (token_hash, name, node, scopes, created, expires)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    &hash[..],
                    new.name.as_ref().map(EntryName::as_str),
                    new.node.map(|node| node.0.to_vec()),
                    new.scopes.to_string(),
                    now.0,
                    expires.0
                ],
            )?;
            Ok(Invitation {
                id: tx.last_insert_rowid(),
                name: new.name,
                node: new.node,
                scopes: new.scopes,
                expires,
            })
        })?;
        Ok((invitation, token))
    }

    /// Invitations that somebody may still redeem, newest first.
    pub fn invitations(&self) -> Result<Vec<Invitation>, SharingError> {
        let now = self.now();
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT id, name, node, scopes, expires FROM friend_invitation
                 WHERE redeemed_by IS NULL AND expires > ?1 ORDER BY id DESC",
            )?;
            let rows = statement.query_map([now.0], |row| {
                Ok((
                    row.get(0)?,
                    row.get::<_, Option<String>>(1)?,
                    row.get::<_, Option<Vec<u8>>>(2)?,
                    row.get::<_, String>(3)?,
                    row.get(4)?,
                ))
            })?;
            rows.map(|row| {
                let (id, name, node, scopes, expires) = row?;
                Ok(Invitation {
                    id,
                    name: name.map(|name| stored_name(&name)).transpose()?,
                    node: node.map(|node| stored_node(&node)).transpose()?,
                    scopes: stored_scopes(&scopes)?,
                    expires: Timestamp(expires),
                })
            })
            .collect()
        })
    }

    /// Withdraws an invitation; false if there is none of that number.
    pub fn withdraw_invitation(&self, id: i64) -> Result<bool, SharingError> {
        self.write(move |tx| {
            let sql = "DELETE FROM friend_invitation WHERE id = ?1 AND redeemed_by IS NULL";
            Ok(tx.execute(sql, [id])? > 0)
        })
    }

    /// Makes the node that brings the secret of an invitation a friend. The same node may ask
    /// again, for its first answer may have been lost on the way; another one may not.
    pub fn redeem_invitation(
        &self,
        token: &Token,
        node: NodeId,
        me: &Introduction,
    ) -> Result<Friend, RedeemError> {
        let hash = self.0.keys.hash(Use::Invitation, &[token]);
        let (me, now) = (me.clone(), self.now());
        let friend = self.0.database.write(move |tx| {
            let found = tx
                .query_row(
                    "SELECT id, name, node, scopes, expires, redeemed_by FROM friend_invitation
                     WHERE token_hash = ?1",
                    [&hash[..]],
                    |row| {
                        Ok((
                            row.get::<_, i64>(0)?,
                            row.get::<_, Option<String>>(1)?,
                            row.get::<_, Option<Vec<u8>>>(2)?,
                            row.get::<_, String>(3)?,
                            row.get::<_, i64>(4)?,
                            row.get::<_, Option<Vec<u8>>>(5)?,
                        ))
                    },
                )
                .optional()?;
            let Some((id, name, only, scopes, expires, redeemed_by)) = found else {
                return Err(RedeemError::Unknown);
            };
            let is_other = |stored: &Vec<u8>| stored[..] != node.0[..];
            if only.as_ref().is_some_and(is_other) || redeemed_by.as_ref().is_some_and(is_other) {
                return Err(RedeemError::Unknown);
            }
            if now.0 >= expires {
                return Err(RedeemError::Expired);
            }
            let name = name.map(|name| stored_name(&name)).transpose()?;
            let scopes = stored_scopes(&scopes)?;
            meet(tx, node, &me, name.as_ref(), &scopes, now)?;
            agree(tx, node, Side::Us, now)?;
            agree(tx, node, Side::Them, now)?;
            tx.execute(
                "UPDATE friend_invitation SET redeemed_by = ?2 WHERE id = ?1",
                params![id, &node.0[..]],
            )?;
            Ok(by_node(tx, node)?.ok_or(SharingError::Missing("friend"))?)
        })?;
        self.0.rights.void();
        Ok(friend)
    }
}

pub(crate) fn forget_invitations(tx: &Connection, now: Timestamp) -> Result<usize, SharingError> {
    let sql = "DELETE FROM friend_invitation WHERE expires <= ?1";
    Ok(tx.execute(sql, [now.0])?)
}
