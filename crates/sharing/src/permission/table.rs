//! Every need that a route may have. `web` names one of these for each route, its tests walk the
//! routes against the table, and a route without a need does not build.

use protocol::{AccountId, Fid};

use super::{Access, Decision, Facts, LinkFacts, Right, Service, Target, decide};
use crate::actor::Asker;
use crate::link::LinkRight;

/// The kind of target that a route works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Object {
    /// [`Target::Nothing`]
    Open,
    /// [`Target::Account`] of the asker.
    OwnAccount,
    /// [`Target::Node`]
    Node,
    /// [`Target::FriendTree`]
    FriendTree,
    /// [`Target::Entry`]
    Entry,
    /// [`Target::Link`]
    LinkPage,
}

/// What a route needs before its handler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Need {
    /// Name for tables and tests.
    pub name: &'static str,
    /// Part of the node.
    pub service: Service,
    /// Kind of target.
    pub object: Object,
    /// What is done; a handler that does more asks again with the entry's chain.
    pub right: Right,
}

const fn need(name: &'static str, service: Service, object: Object, right: Right) -> Need {
    Need {
        name,
        service,
        object,
        right,
    }
}

impl Need {
    /// Sign-in, set-up by its one-time token, assets.
    pub const OPEN: Self = need("open", Service::Pages, Object::Open, Right::List);
    /// Entry points that say nothing: `OPTIONS`, `/.well-known`.
    pub const FILES_OPEN: Self = need("files-open", Service::Files, Object::Open, Right::List);
    /// See one's own account: pages.
    pub const ACCOUNT_SEE: Self = need(
        "account-see",
        Service::Pages,
        Object::OwnAccount,
        Right::List,
    );
    /// Change one's own account: password, second factor, sessions, app passwords.
    pub const ACCOUNT_MANAGE: Self = need(
        "account-manage",
        Service::Pages,
        Object::OwnAccount,
        Right::Manage,
    );
    /// See one's own account by WebDAV: principal, home sets, list of spaces.
    pub const PRINCIPAL_SEE: Self = need(
        "principal-see",
        Service::Files,
        Object::OwnAccount,
        Right::List,
    );
    /// List an entry.
    pub const ENTRY_LIST: Self = need("entry-list", Service::Files, Object::Entry, Right::List);
    /// Fetch an entry.
    pub const ENTRY_DOWNLOAD: Self = need(
        "entry-download",
        Service::Files,
        Object::Entry,
        Right::Download,
    );
    /// Add to a folder.
    pub const ENTRY_CREATE: Self =
        need("entry-create", Service::Files, Object::Entry, Right::Create);
    /// Change an entry.
    pub const ENTRY_WRITE: Self = need("entry-write", Service::Files, Object::Entry, Right::Write);
    /// Remove an entry from its folder.
    pub const ENTRY_DELETE: Self =
        need("entry-delete", Service::Files, Object::Entry, Right::Delete);
    /// Links, grants and LAN-only of an entry.
    pub const ENTRY_SHARE: Self = need("entry-share", Service::Files, Object::Entry, Right::Share);
    /// A link's front page and its password form.
    pub const LINK_PAGE: Self = need("link-page", Service::Links, Object::LinkPage, Right::List);
    /// List through a link.
    pub const LINK_LIST: Self = need("link-list", Service::Links, Object::Entry, Right::List);
    /// Fetch through a link.
    pub const LINK_DOWNLOAD: Self = need(
        "link-download",
        Service::Links,
        Object::Entry,
        Right::Download,
    );
    /// Add through a link.
    pub const LINK_CREATE: Self = need("link-create", Service::Links, Object::Entry, Right::Create);
    /// Change through a link.
    pub const LINK_WRITE: Self = need("link-write", Service::Links, Object::Entry, Right::Write);
    /// Remove through a link.
    pub const LINK_DELETE: Self = need("link-delete", Service::Links, Object::Entry, Right::Delete);
    /// Look at the administration pages.
    pub const NODE_SEE: Self = need("node-see", Service::Admin, Object::Node, Right::List);
    /// Change people, quotas, services.
    pub const NODE_MANAGE: Self = need("node-manage", Service::Admin, Object::Node, Right::Manage);
    /// List and fetch what friends share with this node.
    pub const FRIEND_TREE_READ: Self = need(
        "friend-tree-read",
        Service::Files,
        Object::FriendTree,
        Right::Download,
    );
    /// Change what friends share with this node.
    pub const FRIEND_TREE_WRITE: Self = need(
        "friend-tree-write",
        Service::Files,
        Object::FriendTree,
        Right::Write,
    );
    /// Read the counters.
    pub const METRICS: Self = need("metrics", Service::Metrics, Object::Node, Right::List);

    /// What can be said before the target is known. `Allow` means: look the target up and ask
    /// [`decide`] again (for [`Object::Entry`] and [`Object::LinkPage`]), or go on.
    #[must_use]
    pub fn gate(&self, asker: &Asker, service_lan_only: bool) -> Decision {
        let facts = Facts {
            service_lan_only,
            ..MOST_FAVOURABLE
        };
        // Whoever asks for an entry may turn out to own it; a link may turn out to cover it.
        let me = asker.account().unwrap_or(AccountId(0));
        let link = most_favourable_link();
        let target = match self.object {
            Object::Open => Target::Nothing,
            Object::OwnAccount => Target::Account(me),
            Object::Node => Target::Node,
            Object::FriendTree => Target::FriendTree,
            Object::Entry => Target::Entry {
                space_owner: me,
                chain: &[],
            },
            Object::LinkPage => Target::Link {
                link: &link,
                space_owner: link.created_by,
                chain: &[],
            },
        };
        decide(asker, self.service, &target, &facts, self.right)
    }
}

const MOST_FAVOURABLE: Facts = Facts {
    service_lan_only: false,
    entry_lan_only: false,
    grant: Some(Access::Write),
    grant_from_above: Some(Access::Write),
    link: Some(LinkFacts {
        right: LinkRight::Edit,
        covers: true,
        covers_from_above: true,
    }),
};

fn most_favourable_link() -> crate::link::Link {
    crate::link::Link {
        id: 0,
        fid: Fid(0),
        right: LinkRight::Edit,
        label: String::new(),
        password: false,
        password_version: 0,
        expires: None,
        downloads_max: None,
        downloads: 0,
        created_by: AccountId(0),
        created: protocol::Timestamp(0),
        revoked: None,
    }
}

/// All needs, in the order of the documentation.
pub const TABLE: &[Need] = &[
    Need::OPEN,
    Need::FILES_OPEN,
    Need::ACCOUNT_SEE,
    Need::ACCOUNT_MANAGE,
    Need::PRINCIPAL_SEE,
    Need::ENTRY_LIST,
    Need::ENTRY_DOWNLOAD,
    Need::ENTRY_CREATE,
    Need::ENTRY_WRITE,
    Need::ENTRY_DELETE,
    Need::ENTRY_SHARE,
    Need::LINK_PAGE,
    Need::LINK_LIST,
    Need::LINK_DOWNLOAD,
    Need::LINK_CREATE,
    Need::LINK_WRITE,
    Need::LINK_DELETE,
    Need::NODE_SEE,
    Need::NODE_MANAGE,
    Need::FRIEND_TREE_READ,
    Need::FRIEND_TREE_WRITE,
    Need::METRICS,
];
