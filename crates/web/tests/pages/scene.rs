//! A node without sockets and everybody who may knock: alice (owner), bob (no grant), carol (reads
//! alice's `Shared`), dave (writes it), and people with links to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use files::{At, Author, Change, Op, Space};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use protocol::{AccountId, Clock, Timestamp, TreePath};
use sharing::{Access, Client, Grantee, LanOnly, LinkRight, NewLink, Place, Step};
use web::App;

use crate::home::{self, HOST};

pub(crate) struct Node {
    pub(crate) app: Arc<App>,
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    pub(crate) carol: Person,
    pub(crate) dave: Person,
    router: Router,
    now_ms: Arc<AtomicI64>,
    /// Goes when the node goes.
    _folder: tempfile::TempDir,
}

/// An account with its two ways in.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: AccountId,
    pub(crate) space: Space,
    pub(crate) session: String,
    authorization: String,
}

pub(crate) fn password(name: &str) -> String {
    format!("correct horse {name}")
}

impl Node {
    /// `Shared/file.txt`, `Shared/Home` (LAN-only) with `file.txt`, and `Private/file.txt`.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now_ms = Arc::new(AtomicI64::new(home::START_S * 1000));
        let clock: Clock = {
            let now_ms = Arc::clone(&now_ms);
            Arc::new(move || Timestamp(now_ms.load(Ordering::Relaxed)))
        };
        let app = home::open(folder.path(), clock);
        let node = Self {
            alice: Person::new(&app, "alice"),
            bob: Person::new(&app, "bob"),
            carol: Person::new(&app, "carol"),
            dave: Person::new(&app, "dave"),
            router: web::router(Arc::clone(&app)),
            app,
            now_ms,
            _folder: folder,
        };
        for path in ["/Shared", "/Shared/Home", "/Private"] {
            node.make_folder(path);
        }
        node.settle();
        let shared = node.fid("/Shared");
        let sharing = &node.app.sharing;
        let by = node.alice.id;
        for (who, access) in [(&node.carol, Access::Read), (&node.dave, Access::Write)] {
            sharing
                .add_grant(shared, Grantee::Account(who.id), access, by)
                .unwrap();
        }
        sharing
            .set_lan_only(LanOnly::Entry(node.fid("/Shared/Home")), true)
            .unwrap();
        node
    }

    pub(crate) fn at(&self, path: &str) -> At {
        At {
            space: self.alice.space.id,
            path: TreePath::parse(path).unwrap(),
        }
    }

    pub(crate) fn fid(&self, path: &str) -> protocol::Fid {
        self.app.files.find(&self.at(path)).unwrap().unwrap().fid
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.app.files.find(&self.at(path)).unwrap().is_some()
    }

    fn commit(&self, action: Change) {
        let author = Author::outside();
        for done in self.app.files.commit(&author, vec![Op::new(action)]) {
            done.unwrap();
        }
    }

    fn make_folder(&self, path: &str) {
        self.commit(Change::MakeFolder { at: self.at(path) });
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let at = self.at(path);
        let mut staging = self.app.files.stage(&at).unwrap();
        std::io::Write::write_all(&mut staging, text.as_bytes()).unwrap();
        let content = staging.finish(files::Expect::default()).unwrap();
        self.commit(Change::Put {
            at,
            content,
            mtime: None,
            no_overwrite: false,
        });
    }

    /// Puts back what a permitted request took away.
    pub(crate) fn settle(&self) {
        for path in [
            "/Shared/file.txt",
            "/Shared/Home/file.txt",
            "/Private/file.txt",
        ] {
            if !self.exists(path) {
                self.write(path, "hello");
            }
        }
    }

    pub(crate) fn content(&self, path: &str) -> String {
        let content = self.app.files.open_content(self.fid(path)).unwrap();
        std::io::read_to_string(content.file).unwrap()
    }

    /// A link of alice's; its token.
    pub(crate) fn link(
        &self,
        path: &str,
        right: LinkRight,
        password: Option<&str>,
    ) -> (i64, String) {
        let (link, token) = self
            .app
            .sharing
            .add_link(NewLink {
                fid: self.fid(path),
                right,
                label: String::new(),
                password: password.map(str::to_owned),
                expires: None,
                downloads_max: None,
                created_by: self.alice.id,
            })
            .unwrap();
        (link.id, token)
    }

    pub(crate) fn wait_s(&self, seconds: i64) {
        self.now_ms.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    pub(crate) fn request<'a>(&'a self, method: &str, path: &str) -> Call<'a> {
        let head = Request::builder()
            .method(method)
            .uri(path)
            .header("host", HOST)
            .header("sec-fetch-site", "same-origin");
        Call {
            node: self,
            head,
            place: Place::Lan,
            body: Body::empty(),
        }
    }

    pub(crate) fn get<'a>(&'a self, path: &str) -> Call<'a> {
        self.request("GET", path)
    }

    /// A form as a browser sends it.
    pub(crate) fn post<'a>(&'a self, path: &str, form: &str) -> Call<'a> {
        let mut call = self
            .request("POST", path)
            .header("content-type", "application/x-www-form-urlencoded");
        call.body = Body::from(form.to_owned());
        call
    }

    /// Files of a form, each name and content.
    pub(crate) fn upload<'a>(
        &'a self,
        path: &str,
        clash: &str,
        files: &[(&str, &str)],
    ) -> Call<'a> {
        let mut body =
            format!("--line\r\nContent-Disposition: form-data; name=\"clash\"\r\n\r\n{clash}\r\n");
        for (name, content) in files {
            body.push_str(&format!(
                "--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n{content}\r\n"
            ));
        }
        body.push_str("--line--\r\n");
        let mut call = self
            .request("POST", path)
            .header("content-type", "multipart/form-data; boundary=line");
        call.body = Body::from(body);
        call
    }
}

impl Person {
    fn new(app: &App, name: &str) -> Self {
        let (id, space, authorization) = home::person(app, name, &password(name));
        Self {
            id,
            space,
            session: sign_in(app, name),
            authorization,
        }
    }
}

/// A new session of somebody.
pub(crate) fn sign_in(app: &App, name: &str) -> String {
    let client = Client {
        address: [192, 168, 1, 20].into(),
        user_agent: "test".into(),
    };
    match app.sharing.login(name, &password(name), &client).unwrap() {
        Step::Done(session) => session,
        Step::SecondFactor(_) => panic!("{name} has a second factor"),
    }
}

pub(crate) struct Call<'a> {
    node: &'a Node,
    head: http::request::Builder,
    place: Place,
    body: Body,
}

impl Call<'_> {
    pub(crate) fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.head = self.head.header(name, value.as_ref());
        self
    }

    /// With the session cookie of somebody.
    pub(crate) fn by(self, person: &Person) -> Self {
        let session = person.session.clone();
        self.with_session(&session)
    }

    pub(crate) fn with_session(self, session: &str) -> Self {
        self.header("cookie", format!("__Host-cumulet-session={session}"))
    }

    /// With the app password of somebody.
    pub(crate) fn by_device(self, person: &Person) -> Self {
        self.header("authorization", &person.authorization)
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = Body::from(body.to_owned());
        self
    }

    pub(crate) fn from(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Without what a browser tells about where the request comes from.
    pub(crate) fn untold(mut self) -> Self {
        if let Some(headers) = self.head.headers_mut() {
            headers.remove("sec-fetch-site");
        }
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let response = home::send(&self.node.router, self.head, self.body, self.place).await;
        let (head, body) = response.into_parts();
        Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Where a 303 leads.
    #[track_caller]
    pub(crate) fn leads_to(&self) -> String {
        assert_eq!(self.status, 303, "{}", self.text());
        self.header("location").to_owned()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}
