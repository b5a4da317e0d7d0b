//! The decision that every route asks for (R94, R105): pure, without I/O, and closed by default.
//!
//! Order of the rules: the console may all; LAN-only hides from everybody who is away, the owner
//! included; then the kind of target decides. An entry that is not yours does not exist for you
//! (404), a right you lack on something you may see is refused (403), and nobody is asked to log
//! in (401) before anything is looked up, so that the answer tells nothing.

mod table;

use protocol::{AccountId, Fid};

pub use table::{Need, Object, TABLE};

use crate::actor::{Asker, Place, Via, Who};
use crate::link::{Link, LinkRight};

/// Parts of the node that can be made LAN-only and that rights are given for (R94, R105).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Sign-in, account pages, the pages' own assets.
    Pages,
    /// The tree by WebDAV, JSON API and pages.
    Files,
    /// Sharing links at `/s/`.
    Links,
    /// Administration of the node.
    Admin,
    /// Counters for a monitoring program.
    Metrics,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Pages,
        Self::Files,
        Self::Links,
        Self::Admin,
        Self::Metrics,
    ];

    /// The name that commands and tables use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Files => "files",
            Self::Links => "links",
            Self::Admin => "admin",
            Self::Metrics => "metrics",
        }
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|service| service.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                let text: String = text.chars().take(40).collect();
                format!("`{text}` is no service; there are {names}")
            })
    }
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// See that it is there: names, properties, previews; look at a safe type inline. For
    /// [`Target::Nothing`]: use the open page.
    List,
    /// Fetch the content.
    Download,
    /// Add something new; never overwrite. Asked for the folder.
    Create,
    /// Change content or properties, lock. Asked for the entry.
    Write,
    /// Delete, rename or move away. Asked for the entry; a grant or link counts only if it was
    /// given for a folder above, so that nobody deletes the very thing that was shared with them.
    Delete,
    /// Make and remove links and grants, set LAN-only, see who has access.
    Share,
    /// Change an account or the node.
    Manage,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::List,
        Self::Download,
        Self::Create,
        Self::Write,
        Self::Delete,
        Self::Share,
        Self::Manage,
    ];
}

/// What it is done to.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// Nothing that belongs to anybody: the sign-in page, assets, `/healthz`.
    Nothing,
    /// The pages and data of one account.
    Account(AccountId),
    /// The node.
    Node,
    /// What friends share with this node, below `Friends`; their nodes decide on each entry.
    FriendTree,
    /// A file or folder.
    Entry {
        /// Owner of the space that holds it.
        space_owner: AccountId,
        /// The entry first, the space's root last.
        chain: &'a [Fid],
    },
    /// The page of a link, which asks for its password; shows nothing of the entry.
    Link {
        /// A usable link.
        link: &'a Link,
        /// Owner of the space that holds its entry.
        space_owner: AccountId,
        /// The link's entry first, the space's root last.
        chain: &'a [Fid],
    },
}

/// How far somebody's grant reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// List and download.
    Read,
    /// Read, create, write; delete below the granted entry.
    Write,
}

/// A usable link as far as it matters for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkFacts {
    /// What it allows.
    pub right: LinkRight,
    /// Its entry is in the target's chain, and the space's owner made it.
    pub covers: bool,
    /// Its entry lies above the target.
    pub covers_from_above: bool,
}

/// What the database knows about one asker and one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// The service is LAN-only.
    pub service_lan_only: bool,
    /// The entry or a folder above it is LAN-only.
    pub entry_lan_only: bool,
    /// The best grant to the asker on the entry or above it.
    pub grant: Option<Access>,
    /// The best grant to the asker above the entry.
    pub grant_from_above: Option<Access>,
    /// The asker's link; `None` if it is revoked, expired, used up or unknown.
    pub link: Option<LinkFacts>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Go on.
    Allow,
    /// 401, the sign-in page, or a link's password page.
    AskLogin,
    /// 403.
    Forbid,
    /// 404, the same as for something that never was.
    Hide,
}

/// May `asker` do `right` to `target` through `service`? Pure.
#[must_use]
pub fn decide(
    asker: &Asker,
    service: Service,
    target: &Target<'_>,
    facts: &Facts,
    right: Right,
) -> Decision {
    match asker.place {
        Place::Console => return Decision::Allow,
        Place::Away if facts.service_lan_only || facts.entry_lan_only => return Decision::Hide,
        Place::Away | Place::Lan => {}
    }
    // A friend's node may stand in the same network; its people are elsewhere.
    let is_friend = matches!(asker.who, Who::Friend { .. });
    if is_friend && (facts.service_lan_only || facts.entry_lan_only) {
        return Decision::Hide;
    }
    match target {
        // A friend has the tree and nothing else of this node.
        Target::Nothing if is_friend => match service {
            Service::Files => allow_if(right == Right::List),
            Service::Pages | Service::Links | Service::Admin | Service::Metrics => Decision::Hide,
        },
        Target::Nothing => allow_if(right == Right::List),
        Target::Account(account) => on_account(&asker.who, *account, right),
        Target::Node => on_node(&asker.who, service, right),
        Target::FriendTree => on_friend_tree(&asker.who, service, right),
        Target::Link { .. } if is_friend => Decision::Hide,
        Target::Link {
            link, space_owner, ..
        } => {
            let usable = facts.link.is_some() && link.created_by == *space_owner;
            match (usable && service == Service::Links, right) {
                (true, Right::List) => Decision::Allow,
                (true, _) => Decision::Forbid,
                (false, _) => Decision::Hide,
            }
        }
        Target::Entry { space_owner, .. } => {
            on_entry(&asker.who, service, *space_owner, facts, right)
        }
    }
}

fn allow_if(allowed: bool) -> Decision {
    if allowed {
        Decision::Allow
    } else {
        Decision::Forbid
    }
}

fn on_account(who: &Who, account: AccountId, right: Right) -> Decision {
    match who {
        Who::Nobody => Decision::AskLogin,
        Who::Link { .. } | Who::Friend { .. } => Decision::Hide,
        Who::Account { id, .. } if *id != account => Decision::Hide,
        Who::Account { via, .. } => match right {
            Right::List => Decision::Allow,
            // A device's password must not be able to make itself permanent or lock its owner out.
            Right::Manage => allow_if(is_session(via)),
            Right::Download | Right::Create | Right::Write | Right::Delete | Right::Share => {
                Decision::Forbid
            }
        },
    }
}

fn on_node(who: &Who, service: Service, right: Right) -> Decision {
    match who {
        Who::Nobody => Decision::AskLogin,
        Who::Link { .. } | Who::Friend { .. } => Decision::Hide,
        Who::Account { owner: false, .. } => Decision::Forbid,
        Who::Account { via, .. } => match (service, right) {
            (Service::Metrics, Right::List) => Decision::Allow,
            (Service::Admin, Right::List | Right::Manage) => allow_if(is_session(via)),
            (
                Service::Metrics
                | Service::Admin
                | Service::Pages
                | Service::Files
                | Service::Links,
                _,
            ) => Decision::Forbid,
        },
    }
}

/// What friends share with this node is its owners'; nothing of it is passed on.
fn on_friend_tree(who: &Who, service: Service, right: Right) -> Decision {
    match who {
        Who::Nobody => Decision::AskLogin,
        Who::Link { .. } | Who::Friend { .. } | Who::Account { owner: false, .. } => Decision::Hide,
        Who::Account { .. } => allow_if(
            match service {
                Service::Files | Service::Pages => true,
                Service::Links | Service::Admin | Service::Metrics => false,
            } && match right {
                Right::List | Right::Download | Right::Create | Right::Write | Right::Delete => {
                    true
                }
                Right::Share | Right::Manage => false,
            },
        ),
    }
}

fn on_entry(
    who: &Who,
    service: Service,
    space_owner: AccountId,
    facts: &Facts,
    right: Right,
) -> Decision {
    match who {
        Who::Nobody => Decision::AskLogin,
        Who::Link { unlocked, .. } => {
            let Some(link) = facts.link.filter(|l| l.covers && service == Service::Links) else {
                return Decision::Hide;
            };
            match unlocked {
                true => allow_if(link_allows(link, right)),
                false => Decision::AskLogin,
            }
        }
        Who::Friend { .. } => {
            let Some(grant) = facts.grant.filter(|_| service == Service::Files) else {
                return Decision::Hide;
            };
            let writes = grant == Access::Write;
            allow_if(match right {
                Right::List | Right::Download => true,
                Right::Create | Right::Write => writes,
                Right::Delete => facts.grant_from_above == Some(Access::Write),
                Right::Share | Right::Manage => false,
            })
        }
        Who::Account { id, via, .. } => {
            let own = *id == space_owner;
            if !own && facts.grant.is_none() {
                return Decision::Hide;
            }
            let served = match service {
                Service::Files | Service::Pages => true,
                Service::Links | Service::Admin | Service::Metrics => false,
            };
            let writes = own || facts.grant == Some(Access::Write);
            allow_if(
                served
                    && match right {
                        Right::List | Right::Download => true,
                        Right::Create | Right::Write => writes,
                        Right::Delete => own || facts.grant_from_above == Some(Access::Write),
                        // What outlives a lost device is given out only where its owner sits.
                        Right::Share => own && is_session(via),
                        Right::Manage => false,
                    },
            )
        }
    }
}

fn link_allows(link: LinkFacts, right: Right) -> bool {
    match link.right {
        LinkRight::View => right == Right::List,
        LinkRight::Download => matches!(right, Right::List | Right::Download),
        LinkRight::Upload => right == Right::Create,
        LinkRight::Edit => match right {
            Right::List | Right::Download | Right::Create | Right::Write => true,
            Right::Delete => link.covers_from_above,
            Right::Share | Right::Manage => false,
        },
    }
}

fn is_session(via: &Via) -> bool {
    match via {
        Via::Session { .. } => true,
        Via::AppPassword { .. } | Via::Password => false,
    }
}

#[cfg(test)]
mod tests;
