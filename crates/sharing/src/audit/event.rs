//! What becomes a row.

use std::net::IpAddr;

use protocol::{AccountId, Fid, Seq, SpaceId, Timestamp};

use crate::actor::Asker;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What was done. The text in the row is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The text in the row.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

actions! {
    /// A file or folder was made.
    Create = "create",
    /// Content was replaced.
    Write = "write",
    /// To the trash.
    Delete = "delete",
    /// Moved or renamed.
    Move = "move",
    /// Copied.
    Copy = "copy",
    /// Properties changed.
    Properties = "properties",
    /// Out of the trash, or an older version made current.
    Restore = "restore",
    /// Removed for good by retention or by hand.
    Purge = "purge",
    /// Locked.
    Lock = "lock",
    /// Unlocked.
    Unlock = "unlock",
    /// The owner of the space broke somebody's lock.
    BreakLock = "break-lock",
    /// A folder of the disk was bound.
    Bind = "bind",
    /// A bound folder was released.
    Unbind = "unbind",
    /// Content or a listing was read by somebody else than the space's owner.
    Read = "read",
    /// Something was refused.
    Refuse = "refuse",
    /// Somebody signed in.
    Login = "login",
    /// A sign-in failed.
    LoginFailed = "login-failed",
    /// Somebody signed out.
    Logout = "logout",
    /// A session was ended by hand.
    SessionRevoke = "session-revoke",
    /// An account was made.
    AccountCreate = "account-create",
    /// An account was removed.
    AccountRemove = "account-remove",
    /// The space that a removed account left was given to somebody.
    SpaceHandOver = "space-hand-over",
    /// The space that a removed account left was removed for good.
    SpacePurge = "space-purge",
    /// An account became owner or member.
    AccountRole = "account-role",
    /// A password was changed.
    Password = "password",
    /// The second factor was turned on or off.
    SecondFactor = "second-factor",
    /// An app password was made.
    AppPasswordCreate = "app-password-create",
    /// An app password was taken away.
    AppPasswordRevoke = "app-password-revoke",
    /// A link was made.
    LinkCreate = "link-create",
    /// A link was changed.
    LinkChange = "link-change",
    /// A link was taken back.
    LinkRevoke = "link-revoke",
    /// A link was used.
    LinkUse = "link-use",
    /// Access was given to a member.
    GrantCreate = "grant-create",
    /// Access was taken from a member.
    GrantRemove = "grant-remove",
    /// A ticket for a friend was made.
    FriendInvite = "friend-invite",
    /// A ticket for a friend was withdrawn.
    FriendWithdraw = "friend-withdraw",
    /// This side agreed to a friend, or the other one did.
    FriendAgree = "friend-agree",
    /// Both sides have agreed.
    FriendAccept = "friend-accept",
    /// A friend was removed.
    FriendRemove = "friend-remove",
    /// A friend was renamed, or what it may ask for was changed.
    FriendChange = "friend-change",
    /// Somebody changed what others find of them.
    CardChange = "card-change",
    /// People were sought in the books of friends.
    ContactSearch = "contact-search",
    /// A friend sought people in the book of this node.
    ContactAnswer = "contact-answer",
    /// Something was made LAN-only or not.
    LanOnly = "lan-only",
    /// A quota was changed.
    Quota = "quota",
    /// A module was started or stopped, or a setting changed.
    Settings = "settings",
    /// The node started.
    Start = "start",
    /// The node stopped.
    Stop = "stop",
    /// Rows older than the retention were cut.
    AuditCut = "audit-cut",
    /// The log did not fit its sealed head when the node started.
    AuditBroken = "audit-broken",
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Done.
    Done,
    /// Refused for lack of a right or a wrong secret.
    Refused,
    /// Failed.
    Failed,
}

impl Outcome {
    /// The text in the row.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One thing that happened. Texts are cut to 1,000 bytes (`target`: 4,000) when stored; none may
/// hold a password, token or code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The account, if one did it.
    pub account: Option<AccountId>,
    /// `alice`, `link 3`, `console`, `outside`, `nobody`.
    pub actor: String,
    /// `session 4`, `app-password phone`, `link`, `console`.
    pub via: String,
    /// From where.
    pub address: Option<IpAddr>,
    /// What.
    pub action: Action,
    /// The space, where it is about an entry.
    pub space: Option<SpaceId>,
    /// Path of the entry (`alice:/Photos/a.jpg`), or the name of the account, link, service.
    pub target: String,
    /// The entry.
    pub fid: Option<Fid>,
    /// Its revision before.
    pub old_rev: Option<Seq>,
    /// Its revision after.
    pub new_rev: Option<Seq>,
    /// How it ended.
    pub outcome: Outcome,
    /// More in words, such as the new path of a move.
    pub detail: String,
    /// How many times: 1, or more where refusals are counted.
    pub count: u32,
}

impl Event {
    /// An event of `asker` with nothing but the basics.
    #[must_use]
    pub fn of(asker: &Asker, at: Timestamp, action: Action, target: impl Into<String>) -> Self {
        Self {
            account: asker.account(),
            actor: asker.label(),
            via: asker.via(),
            address: Some(asker.address),
            ..Self::by("", at, action, target)
        }
    }

    /// An event of the node's own doing (`actor` is `console`, `outside`, `node`).
    #[must_use]
    pub fn by(actor: &str, at: Timestamp, action: Action, target: impl Into<String>) -> Self {
        Self {
            at,
            account: None,
            actor: actor.to_owned(),
            via: String::new(),
            address: None,
            action,
            space: None,
            target: target.into(),
            fid: None,
            old_rev: None,
            new_rev: None,
            outcome: Outcome::Done,
            detail: String::new(),
            count: 1,
        }
    }
}
