//! THE route table: which methods on which addresses, what each needs, who answers.
//!
//! The router is built from it and the gate reads it, so a route without a need cannot exist. A test
//! walks it with every actor from every place against the permission table (R94, R105).

use sharing::{Need, Object};

use crate::call::Handler;
use crate::problem::Caller;
use crate::{api, assets, pages, webdav};

/// What in the address the need is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Nothing, or the handler asks for what it finds in the body (WebDAV's Destination, forms).
    Route,
    /// `SPACE/path` at the end of the pattern.
    Tree,
    /// `/s/TOKEN/VERB/path`.
    Link,
}

/// One row.
pub struct Route {
    /// Methods; `GET` answers `HEAD` as well.
    pub methods: &'static [&'static str],
    /// Addresses in axum's notation; a `{*path}` may only come last.
    pub patterns: &'static [&'static str],
    /// What it needs.
    pub need: Need,
    /// Of what.
    pub subject: Subject,
    /// Who asks here, and so how answers look.
    pub caller: Caller,
    pub(crate) handler: Handler,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.methods.join("|"), self.patterns.join(" "))
    }
}

impl Route {
    /// The part of `path` behind the fixed start of the pattern.
    #[must_use]
    pub fn rest<'a>(&self, path: &'a str) -> &'a str {
        self.patterns
            .iter()
            .filter_map(|pattern| path.strip_prefix(pattern.split('{').next().unwrap_or("")))
            .min_by_key(|rest| rest.len())
            .unwrap_or("")
    }

    /// Token and path of `/s/TOKEN`, `/s/TOKEN/` and `/s/TOKEN/VERB/path`.
    #[must_use]
    pub fn link_rest<'a>(&self, path: &'a str) -> (&'a str, &'a str) {
        let rest = path.strip_prefix("/s/").unwrap_or("");
        let (token, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let (_, path) = rest.split_once('/').unwrap_or((rest, ""));
        (token, path)
    }
}

/// Rows of one group share who asks.
macro_rules! rows {
    ($caller:ident: $($methods:literal $patterns:tt $need:ident $subject:ident => $handler:path;)*) => {
        &[$(Route {
            methods: &[$methods],
            patterns: &$patterns,
            need: Need::$need,
            subject: Subject::$subject,
            caller: Caller::$caller,
            handler: |call| Box::pin($handler(call)),
        },)*]
    };
}

const PAGES: &[Route] = rows! { Page:
    "GET" ["/assets/{name}"] OPEN Route => assets::serve;
    "GET" ["/healthz"] OPEN Route => api::node::health;
    "GET" ["/setup/{token}"] OPEN Route => pages::setup::show;
    "POST" ["/setup/{token}"] OPEN Route => pages::setup::finish;
    "GET" ["/login"] OPEN Route => pages::login::show;
    "POST" ["/login"] OPEN Route => pages::login::enter;
    "GET" ["/login/code"] OPEN Route => pages::login::show_code;
    "POST" ["/login/code"] OPEN Route => pages::login::enter_code;
    "POST" ["/logout"] OPEN Route => pages::login::leave;
    "POST" ["/language"] OPEN Route => pages::login::language;
};

const TREE_PAGES: &[Route] = rows! { Page:
    "GET" ["/"] ACCOUNT_SEE Route => pages::folder::home;
    "GET" ["/files/{*path}"] ENTRY_LIST Tree => pages::folder::show;
    "GET" ["/get/{*path}"] ENTRY_DOWNLOAD Tree => pages::file::download;
    "GET" ["/view/{*path}"] ENTRY_DOWNLOAD Tree => pages::file::view;
    "GET" ["/version/{*path}"] ENTRY_DOWNLOAD Tree => pages::file::download_version;
    "POST" ["/version/{*path}"] ENTRY_WRITE Tree => pages::file::restore_version;
    "POST" ["/upload/{*path}"] ENTRY_CREATE Tree => pages::upload::upload;
    "POST" ["/new-folder/{*path}"] ENTRY_CREATE Tree => pages::change::new_folder;
    "GET" ["/rename/{*path}"] ENTRY_DELETE Tree => pages::change::show_rename;
    "POST" ["/rename/{*path}"] ENTRY_DELETE Tree => pages::change::rename;
    // The folder of the address; each picked entry is asked for by the handler.
    "POST" ["/delete/{*path}"] ENTRY_WRITE Tree => pages::change::delete;
    "GET" ["/move/{*path}"] ENTRY_LIST Tree => pages::transfer::show_move;
    "POST" ["/move/{*path}"] ENTRY_LIST Tree => pages::transfer::move_picked;
    "GET" ["/trash"] ACCOUNT_SEE Route => pages::trash::home;
    "GET" ["/trash/{*path}"] ENTRY_DELETE Tree => pages::trash::show;
    "POST" ["/restore/{*path}"] ENTRY_CREATE Tree => pages::trash::restore;
    "POST" ["/purge/{*path}"] ENTRY_DELETE Tree => pages::trash::purge;
    "GET" ["/shared"] ACCOUNT_SEE Route => pages::share::shared_with_me;
    "GET" ["/share/{*path}"] ENTRY_SHARE Tree => pages::share::show;
    "POST" ["/share-link/{*path}"] ENTRY_SHARE Tree => pages::share::add_link;
    "POST" ["/share-member/{*path}"] ENTRY_SHARE Tree => pages::share::add_member;
    "POST" ["/unshare/{*path}"] ENTRY_SHARE Tree => pages::share::remove_member;
    "POST" ["/lan-only/{*path}"] ENTRY_SHARE Tree => pages::share::set_lan_only;
    "GET" ["/links"] ACCOUNT_SEE Route => pages::link::list;
    "GET" ["/links/{id}"] ACCOUNT_MANAGE Route => pages::link::show;
    "POST" ["/links/revoke"] ACCOUNT_MANAGE Route => pages::link::revoke;
};

const FRIEND_PAGES: &[Route] = rows! { Page:
    "GET" ["/friends"] FRIEND_TREE_READ Route => pages::friends::show;
    "POST" ["/friends/invite"] NODE_MANAGE Route => pages::friends::invite;
    "POST" ["/friends/accept"] NODE_MANAGE Route => pages::friends::accept;
    "POST" ["/friends/withdraw"] NODE_MANAGE Route => pages::friends::withdraw;
    "POST" ["/friends/remove"] NODE_MANAGE Route => pages::friends::remove;
    "GET" ["/friends/files/{*path}"] FRIEND_TREE_READ Route => pages::friends::tree::show;
    "GET" ["/friends/get/{*path}"] FRIEND_TREE_READ Route => pages::friends::tree::download;
    "POST" ["/friends/upload/{*path}"] FRIEND_TREE_WRITE Route => pages::friends::tree::upload;
    "POST" ["/friends/new-folder/{*path}"] FRIEND_TREE_WRITE Route
        => pages::friends::tree::new_folder;
    "POST" ["/friends/delete/{*path}"] FRIEND_TREE_WRITE Route => pages::friends::tree::delete;
};

const LINK_PAGES: &[Route] = rows! { Page:
    "GET" ["/s/{token}", "/s/{token}/"] LINK_PAGE Link => pages::visitor::front;
    "POST" ["/s/{token}/unlock"] LINK_PAGE Link => pages::visitor::unlock;
    "GET" ["/s/{token}/open", "/s/{token}/open/{*path}"] LINK_LIST Link => pages::visitor::look;
    "GET" ["/s/{token}/view", "/s/{token}/view/{*path}"] LINK_LIST Link => pages::visitor::view;
    "GET" ["/s/{token}/download", "/s/{token}/download/{*path}"] LINK_DOWNLOAD Link
        => pages::visitor::download;
    "POST" ["/s/{token}/upload", "/s/{token}/upload/{*path}"] LINK_CREATE Link
        => pages::visitor::upload;
    "POST" ["/s/{token}/new-folder", "/s/{token}/new-folder/{*path}"] LINK_CREATE Link
        => pages::visitor::new_folder;
    "GET" ["/s/{token}/rename/{*path}"] LINK_DELETE Link => pages::visitor::show_rename;
    "POST" ["/s/{token}/rename/{*path}"] LINK_DELETE Link => pages::visitor::rename;
    "POST" ["/s/{token}/delete", "/s/{token}/delete/{*path}"] LINK_WRITE Link
        => pages::visitor::delete;
};

const ACCOUNT_PAGES: &[Route] = rows! { Page:
    "GET" ["/account"] ACCOUNT_SEE Route => pages::account::show;
    "POST" ["/account/card"] ACCOUNT_MANAGE Route => pages::people::change_card;
    "GET" ["/people"] ACCOUNT_SEE Route => pages::people::show;
    "POST" ["/account/password"] ACCOUNT_MANAGE Route => pages::account::change_password;
    "POST" ["/account/app-passwords"] ACCOUNT_MANAGE Route => pages::account::add_device;
    "POST" ["/account/app-passwords/revoke"] ACCOUNT_MANAGE Route => pages::account::revoke_device;
    "POST" ["/account/second-factor"] ACCOUNT_MANAGE Route => pages::account::begin_factor;
    "POST" ["/account/second-factor/confirm"] ACCOUNT_MANAGE Route
        => pages::account::confirm_factor;
    "POST" ["/account/second-factor/off"] ACCOUNT_MANAGE Route => pages::account::turn_factor_off;
    "POST" ["/account/sessions/revoke"] ACCOUNT_MANAGE Route => pages::account::revoke_session;
};

const ADMIN_PAGES: &[Route] = rows! { Page:
    "GET" ["/admin"] NODE_SEE Route => pages::admin::show;
    "POST" ["/admin/workers"] NODE_MANAGE Route => pages::admin::control_worker;
    "POST" ["/admin/services"] NODE_MANAGE Route => pages::admin::set_service;
    "GET" ["/admin/people"] NODE_SEE Route => pages::admin::show_people;
    "POST" ["/admin/people"] NODE_MANAGE Route => pages::admin::add_person;
    "GET" ["/admin/people/{name}"] NODE_SEE Route => pages::admin::show_person;
    "POST" ["/admin/people/{name}/quota"] NODE_MANAGE Route => pages::admin::set_quota;
    "POST" ["/admin/people/{name}/reset"] NODE_MANAGE Route => pages::admin::reset_person;
    "POST" ["/admin/people/{name}/role"] NODE_MANAGE Route => pages::admin::set_role;
    "POST" ["/admin/people/{name}/remove"] NODE_MANAGE Route => pages::admin::remove_person;
    "GET" ["/cluster"] NODE_SEE Route => pages::cluster::show;
    "GET" ["/admin/audit"] NODE_SEE Route => pages::admin::show_audit;
    "GET" ["/admin/audit/export"] NODE_SEE Route => pages::admin::export;
};

const PROGRAMS: &[Route] = rows! { Program:
    "GET" ["/api/status"] ACCOUNT_SEE Route => api::node::status;
    "GET" ["/api/files/{*path}"] ENTRY_LIST Tree => api::tree::list;
    "DELETE" ["/api/files/{*path}"] ENTRY_DELETE Tree => api::tree::delete;
    "GET" ["/api/friends", "/api/friends/{*path}"] FRIEND_TREE_READ Route => api::friends::list;
    "POST" ["/api/folders/{*path}"] ENTRY_CREATE Tree => api::tree::make_folder;
    "POST" ["/api/move/{*path}"] ENTRY_DELETE Tree => api::tree::move_entry;
    "GET" ["/api/links"] ACCOUNT_SEE Route => api::tree::links;
    "GET" ["/api/identity"] OPEN Route => api::device::identity;
    "POST" ["/api/devices"] OPEN Route => api::device::add;
    "POST" ["/api/devices/remove"] ACCOUNT_SEE Route => api::device::remove;
    "GET" ["/metrics"] METRICS Route => api::node::metrics;
};

// WebDAV resolves its own addresses: a name that is not there yet, Destination and If are subjects
// as well. Its handler asks `gate` with the row's need for each of them.
const DAV_TREE: [&str; 3] = ["/dav/files", "/dav/files/", "/dav/files/{*path}"];
const DAV_OTHER: [&str; 6] = [
    "/dav",
    "/dav/",
    "/dav/principals",
    "/dav/principals/{*path}",
    "/.well-known/caldav",
    "/.well-known/carddav",
];
const DAV: &[Route] = rows! { Dav:
    "OPTIONS" DAV_TREE FILES_OPEN Route => webdav::handle;
    "GET" DAV_TREE ENTRY_DOWNLOAD Route => webdav::handle;
    "PROPFIND" DAV_TREE ENTRY_LIST Route => webdav::handle;
    "REPORT" DAV_TREE ENTRY_LIST Route => webdav::handle;
    "PUT" DAV_TREE ENTRY_WRITE Route => webdav::handle;
    "MKCOL" DAV_TREE ENTRY_CREATE Route => webdav::handle;
    "DELETE" DAV_TREE ENTRY_DELETE Route => webdav::handle;
    "PROPPATCH" DAV_TREE ENTRY_WRITE Route => webdav::handle;
    "COPY" DAV_TREE ENTRY_DOWNLOAD Route => webdav::handle;
    "MOVE" DAV_TREE ENTRY_DELETE Route => webdav::handle;
    "LOCK" DAV_TREE ENTRY_WRITE Route => webdav::handle;
    "UNLOCK" DAV_TREE ENTRY_WRITE Route => webdav::handle;
    "OPTIONS" DAV_OTHER FILES_OPEN Route => webdav::handle;
    "GET" DAV_OTHER PRINCIPAL_SEE Route => webdav::handle;
    "PROPFIND" DAV_OTHER PRINCIPAL_SEE Route => webdav::handle;
    // Windows looks at the top of the server before it believes in a share below.
    "OPTIONS" ["/"] FILES_OPEN Route => webdav::handle;
    "PROPFIND" ["/"] PRINCIPAL_SEE Route => webdav::handle;
};

/// All rows.
pub static TABLE: &[&[Route]] = &[
    PAGES,
    TREE_PAGES,
    FRIEND_PAGES,
    LINK_PAGES,
    ACCOUNT_PAGES,
    ADMIN_PAGES,
    PROGRAMS,
    DAV,
];

/// All rows, one after the other.
pub fn all() -> impl Iterator<Item = &'static Route> {
    TABLE.iter().copied().flatten()
}

/// True if the need of a row speaks about what its subject resolves to.
#[must_use]
pub fn subject_fits(route: &Route) -> bool {
    match (route.subject, route.need.object) {
        (Subject::Tree, Object::Entry) | (Subject::Link, Object::Entry | Object::LinkPage) => true,
        (Subject::Tree, _) | (Subject::Link, _) => false,
        (Subject::Route, Object::LinkPage) => false,
        (Subject::Route, Object::Entry) => route.caller == Caller::Dav,
        (Subject::Route, Object::Open | Object::OwnAccount | Object::Node | Object::FriendTree) => {
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_need_fits_what_its_address_names() {
        for route in all() {
            assert!(subject_fits(route), "{route:?}");
        }
    }

    #[test]
    fn no_two_rows_answer_the_same_request() {
        let mut seen = std::collections::BTreeSet::new();
        for route in all() {
            for pattern in route.patterns {
                for method in route.methods {
                    assert!(seen.insert((pattern, method)), "{method} {pattern}");
                }
            }
        }
    }

    #[test]
    fn routes_are_made_in_one_place_only() {
        fn walk(folder: &std::path::Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else if std::fs::read_to_string(&path)
                    .unwrap()
                    .contains(".route(\n")
                {
                    found.push(path.file_name().unwrap().to_string_lossy().into_owned());
                }
            }
        }
        let mut found = Vec::new();
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        walk(&source, &mut found);
        assert_eq!(found, ["dispatch.rs"]);
    }

    #[test]
    fn the_rest_of_an_address_is_what_the_pattern_leaves_open() {
        let check = |pattern: &'static str, path: &str, rest: &str| {
            let route = all()
                .find(|route| route.patterns.contains(&pattern))
                .unwrap();
            assert_eq!(route.rest(path), rest);
        };
        check(
            "/dav/files/{*path}",
            "/dav/files/alice/a%2Fb",
            "alice/a%2Fb",
        );
        check("/dav/files/{*path}", "/dav/files/", "");
    }
}
