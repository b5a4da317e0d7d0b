//! A node with a shared folder, people who stand differently to it, and links of every kind.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use files::{At, Author, Change, Op};
use http::Request;
use http_body_util::BodyExt;
use protocol::message::pair::Introduction;
use protocol::{AccountId, Clock, EntryName, Fid, NodeId, Timestamp, TreePath};
use sharing::{Access, Client, Grantee, LinkRight, NewLink, Place, Scopes, Side, Step};
use web::App;
use web::routes::Route;

use crate::home;

const NOW: Timestamp = Timestamp(home::START_S * 1000);
const PASSWORD: &str = "correct horse battery";

/// What somebody brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passport {
    Cookie(&'static str),
    Basic(&'static str),
    /// The key of a person's device, over a link.
    Device(&'static str),
    None,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: String,
    pub(crate) body: String,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.location)
    }
}

pub(crate) struct Node {
    pub(crate) app: Arc<App>,
    /// `alice:/Shared`
    pub(crate) shared: Fid,
    router: Router,
    credentials: HashMap<&'static str, String>,
    tokens: HashMap<&'static str, String>,
    own_links: HashMap<&'static str, i64>,
    _folder: tempfile::TempDir,
}

impl Node {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Clock = Arc::new(|| NOW);
        let app = home::open(folder.path(), clock);
        let mut credentials = HashMap::new();
        let people =
            ["alice", "wendy", "rob", "sam"].map(|name| person(&app, name, &mut credentials));
        let [alice, wendy, rob, _] = people;
        let shared = fill(&app, alice);
        let grant = |to, access| {
            let to = Grantee::Account(to);
            app.sharing.add_grant(shared, to, access, alice).unwrap();
        };
        grant(wendy, Access::Write);
        grant(rob, Access::Read);
        let tokens = links(&app, shared, alice);
        let own_links = ["alice", "wendy", "rob", "sam"].into_iter().zip(people);
        let own_links = own_links
            .map(|(name, id)| (name, own_link(&app, shared, id)))
            .collect();
        Self {
            router: web::router(Arc::clone(&app)),
            app,
            shared,
            credentials,
            tokens,
            own_links,
            _folder: folder,
        }
    }

    /// Methods and patterns of a row; one pattern for each way to resolve it.
    pub(crate) fn concrete(
        &self,
        route: &'static Route,
    ) -> impl Iterator<Item = (&'static str, &'static str)> {
        let methods = route.methods.iter();
        methods.flat_map(|method| {
            // The bare tops of WebDAV are a list of spaces, not an entry; of a folder as a whole
            // there is nothing to look at.
            let patterns = route.patterns.iter().filter(|pattern| {
                let bare = pattern.starts_with("/dav/files") && !pattern.ends_with("{*path}");
                !bare && **pattern != "/s/{token}/view"
            });
            patterns.map(|pattern| (*method, *pattern))
        })
    }

    pub(crate) fn links(&self) -> [&'static str; 7] {
        [
            "view", "download", "edit", "upload", "locked", "revoked", "unknown",
        ]
    }

    pub(crate) fn token(&self, kind: &str) -> &str {
        &self.tokens[kind]
    }

    pub(crate) async fn ask(
        &self,
        route: &Route,
        method: &str,
        pattern: &str,
        place: Place,
        passport: Passport,
    ) -> Answer {
        let path = self.path(method, pattern, passport);
        let mut request = Request::builder().method(method).uri(path);
        request = match passport {
            Passport::Cookie(name) if pattern == "/logout" => {
                let cookie = sign_in(&self.app, name);
                request.header("cookie", cookie)
            }
            Passport::Cookie(name) => request.header("cookie", &self.credentials[name]),
            Passport::Basic(name) => request.header(
                "authorization",
                &self.credentials[format!("{name} basic").as_str()],
            ),
            // Somebody else's cookie and password add nothing to it.
            Passport::Device(name) => {
                let request = request
                    .header("cookie", &self.credentials["alice"])
                    .header("authorization", &self.credentials["alice basic"]);
                let key = Some(device_key(name));
                return self.send_from(route, method, request, place, key).await;
            }
            Passport::None => request,
        };
        self.send(route, method, request, place).await
    }

    /// Makes a node a friend, with a share of `alice:/Shared` or with nothing.
    pub(crate) fn friend(&self, name: &str, access: Option<Access>) -> NodeId {
        let mut id = [0; 32];
        id[..name.len()].copy_from_slice(name.as_bytes());
        let node = NodeId(id);
        let me = Introduction {
            name: name.into(),
            addresses: Vec::new(),
        };
        let sharing = &self.app.sharing;
        for side in [Side::Us, Side::Them] {
            let scopes = Scopes::usual();
            sharing
                .friend_agrees(node, side, &me, None, &scopes)
                .unwrap();
        }
        if let Some(access) = access {
            let friend = sharing.friend(name).unwrap().unwrap();
            let owner = sharing.account("alice").unwrap().unwrap().id;
            let name = EntryName::new("Shared").unwrap();
            let shared = sharing.share_with_friend(self.shared, friend.id, access, owner, &name);
            shared.unwrap();
        }
        node
    }

    /// As a friend's node, which knows what is shared with it as `Shared`.
    pub(crate) async fn ask_as(
        &self,
        route: &Route,
        method: &str,
        pattern: &str,
        place: Place,
        friend: NodeId,
    ) -> Answer {
        let path = self.path(method, pattern, Passport::None);
        let path = path.replace("{token}", &self.tokens["edit"]);
        let path = match route.caller {
            web::Caller::Dav => path.replace("/alice/Shared/", "/Shared/"),
            web::Caller::Page | web::Caller::Program => path,
        };
        let request = Request::builder().method(method).uri(path);
        // A cookie or a password adds nothing to a friend's key, and takes nothing away.
        let request = request
            .header("cookie", &self.credentials["alice"])
            .header("authorization", &self.credentials["alice basic"]);
        self.send_from(route, method, request, place, Some(friend))
            .await
    }

    /// As a visitor with a link, signed in as its owner: that adds nothing.
    pub(crate) async fn ask_link(
        &self,
        route: &Route,
        method: &str,
        pattern: &str,
        place: Place,
        kind: &str,
    ) -> Answer {
        let path = pattern.replace("{token}", &self.tokens[kind]).replace(
            "{*path}",
            if method == "POST" && !pattern.contains("/rename") {
                "sub"
            } else {
                "file.txt"
            },
        );
        let request = Request::builder().method(method).uri(path);
        let request = request.header("cookie", &self.credentials["alice"]);
        self.send(route, method, request, place).await
    }

    fn path(&self, method: &str, pattern: &str, passport: Passport) -> String {
        let who = match passport {
            Passport::Cookie(name) | Passport::Basic(name) | Passport::Device(name) => name,
            Passport::None => "alice",
        };
        if pattern == "/assets/{name}" {
            let style = blake3::hash(include_bytes!("../../assets/style.css")).to_hex();
            return format!("/assets/style-{}.css", &style[..16]);
        }
        let folder = matches!(
            pattern.split('/').nth(1),
            Some("upload" | "new-folder" | "delete" | "move" | "restore")
        );
        let space = pattern.starts_with("/trash/") || pattern.starts_with("/purge/");
        let entry = match (space, folder, method) {
            (true, _, _) => "alice/",
            (false, true, _) => "alice/Shared/sub",
            (false, false, "MKCOL") => "alice/Shared/sub/new",
            (false, false, _) => "alice/Shared/file.txt",
        };
        let path = if pattern.starts_with("/api/folders/") {
            "alice/Shared/sub"
        } else if pattern.starts_with("/dav/principals") {
            "alice/"
        } else {
            entry
        };
        pattern
            .replace("{*path}", path)
            .replace("{name}", "sam")
            .replace("{id}", &self.own_links[who].to_string())
            .replace("{token}", "none")
    }

    async fn send(
        &self,
        route: &Route,
        method: &str,
        request: http::request::Builder,
        place: Place,
    ) -> Answer {
        self.send_from(route, method, request, place, None).await
    }

    async fn send_from(
        &self,
        route: &Route,
        method: &str,
        request: http::request::Builder,
        place: Place,
        friend: Option<NodeId>,
    ) -> Answer {
        let is_device = |key: &NodeId| self.app.sharing.is_device(key).unwrap();
        let target = match &friend {
            Some(key) if !is_device(key) => "/dav/files/Shared/other.txt",
            Some(_) | None => "/dav/files/alice/Shared/other.txt",
        };
        let mut request = request
            .header("host", home::HOST)
            .header("sec-fetch-site", "same-origin");
        let mut body = "";
        if route.caller == web::Caller::Program && method != "GET" {
            request = request.header("if-match", "\"0.0\"");
        }
        if route.caller == web::Caller::Page && method == "POST" {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        if route.caller == web::Caller::Dav && !matches!(method, "GET" | "OPTIONS" | "PROPFIND") {
            request = request
                .header("if-match", "\"0.0\"")
                .header("destination", target)
                .header("overwrite", "F")
                .header(
                    "lock-token",
                    "<urn:uuid:00000000-0000-0000-0000-000000000000>",
                );
            body = match method {
                "PROPPATCH" => {
                    r#"<propertyupdate xmlns="DAV:"><set><prop><x xmlns="urn:x">1</x></prop></set></propertyupdate>"#
                }
                "LOCK" => {
                    r#"<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>"#
                }
                "REPORT" => r#"<unknown xmlns="urn:x"/>"#,
                _ => "",
            };
        }
        if method == "PROPFIND" {
            request = request.header("depth", "0");
        }
        let body = Body::from(body);
        let response = match friend {
            None => home::send(&self.router, request, body, place).await,
            Some(_) => home::send_as(&self.router, request, body, place, friend).await,
        };
        let location = response.headers().get("location");
        let location = location
            .map_or("", |value| value.to_str().unwrap())
            .to_owned();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            location,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

fn sign_in(app: &App, who: &str) -> String {
    let client = Client {
        address: [192, 168, 1, 20].into(),
        user_agent: String::new(),
    };
    let Step::Done(cookie) = app.sharing.login(who, PASSWORD, &client).unwrap() else {
        panic!("nobody here has a second factor");
    };
    format!("__Host-cumulet-session={cookie}")
}

fn device_key(who: &str) -> NodeId {
    let mut id = [1; 32];
    id[..who.len()].copy_from_slice(who.as_bytes());
    NodeId(id)
}

fn person(
    app: &App,
    who: &'static str,
    credentials: &mut HashMap<&'static str, String>,
) -> AccountId {
    let (id, _, authorization) = home::person(app, who, PASSWORD);
    let key = Some(device_key(who));
    app.sharing.add_device(id, "laptop", key).unwrap();
    let cookie = sign_in(app, who);
    credentials.insert(who, cookie);
    credentials.insert(format!("{who} basic").leak(), authorization);
    id
}

/// `Shared/{file.txt,other.txt,sub}`; gives the number of `Shared`.
fn fill(app: &App, owner: AccountId) -> Fid {
    let space = app.files.space("alice").unwrap().unwrap();
    let at = |path: &str| At {
        space: space.id,
        path: TreePath::parse(path).unwrap(),
    };
    let author = Author {
        account: Some(owner),
        label: "alice".into(),
        via: String::new(),
        address: None,
    };
    let commit = |change| {
        let done = app.files.commit(&author, vec![Op::new(change)]);
        done.into_iter().for_each(|done| drop(done.unwrap()));
    };
    commit(Change::MakeFolder { at: at("/Shared") });
    commit(Change::MakeFolder {
        at: at("/Shared/sub"),
    });
    for path in ["/Shared/file.txt", "/Shared/other.txt"] {
        let mut staging = app.files.stage(&at(path)).unwrap();
        std::io::Write::write_all(&mut staging, b"text").unwrap();
        let content = staging.finish(files::Expect::default()).unwrap();
        commit(Change::Put {
            at: at(path),
            content,
            mtime: None,
            no_overwrite: true,
        });
    }
    app.files.find(&at("/Shared")).unwrap().unwrap().fid
}

/// A link of somebody's own, whatever their right: its page is about the link.
fn own_link(app: &App, fid: Fid, by: AccountId) -> i64 {
    let new = NewLink {
        fid,
        right: LinkRight::View,
        label: String::new(),
        password: None,
        expires: None,
        downloads_max: None,
        created_by: by,
    };
    app.sharing.add_link(new).unwrap().0.id
}

fn links(app: &App, fid: Fid, by: AccountId) -> HashMap<&'static str, String> {
    let mut tokens = HashMap::from([("unknown", "AAAAAAAAAAAAAAAAAAAAAA".to_owned())]);
    let mut last = 0;
    for (kind, right, password) in [
        ("view", LinkRight::View, None),
        ("download", LinkRight::Download, None),
        ("edit", LinkRight::Edit, None),
        ("upload", LinkRight::Upload, None),
        ("locked", LinkRight::Edit, Some("open sesame".to_owned())),
        ("revoked", LinkRight::Edit, None),
    ] {
        let new = NewLink {
            fid,
            right,
            label: String::new(),
            password,
            expires: None,
            downloads_max: None,
            created_by: by,
        };
        let (link, token) = app.sharing.add_link(new).unwrap();
        tokens.insert(kind, token);
        last = link.id;
    }
    app.sharing.revoke_link(last).unwrap();
    tokens
}
