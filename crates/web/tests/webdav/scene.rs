//! A node without sockets: two accounts, their spaces, a clock that tests move.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use files::{At, Space};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use protocol::{AccountId, Clock, Timestamp, TreePath};
use sharing::Place;
use web::App;

use crate::home;
pub(crate) use crate::home::START_S;

pub(crate) struct Node {
    pub(crate) app: Arc<App>,
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    folder: tempfile::TempDir,
    router: Router,
    now_ms: Arc<AtomicI64>,
}

/// Somebody with an account, a space, and an app password.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: AccountId,
    pub(crate) space: Space,
    authorization: String,
}

impl Node {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now_ms = Arc::new(AtomicI64::new(START_S * 1000));
        let clock: Clock = {
            let now_ms = Arc::clone(&now_ms);
            Arc::new(move || Timestamp(now_ms.load(Ordering::Relaxed)))
        };
        let app = home::open(folder.path(), clock);
        Self {
            alice: Person::new(&app, "alice"),
            bob: Person::new(&app, "bob"),
            router: web::router(Arc::clone(&app)),
            app,
            folder,
            now_ms,
        }
    }

    /// Lets time pass.
    pub(crate) fn wait_s(&self, seconds: i64) {
        self.now_ms.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// Where alice's files lie on the disk.
    pub(crate) fn disk(&self, name: &str) -> PathBuf {
        self.folder.path().join("home/alice").join(name)
    }

    /// Temporary files that stay. What was given up is removed beside its answer, not before it.
    pub(crate) fn temps(&self) -> usize {
        let temps: &Path = &self.folder.path().join("home/.cumulet/tmp");
        let count = || std::fs::read_dir(temps).unwrap().count();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while count() > 0 && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        count()
    }

    pub(crate) fn request<'a>(&'a self, method: &str, path: &str) -> Call<'a> {
        let head = Request::builder()
            .method(method)
            .uri(path)
            .header("host", home::HOST);
        Call {
            node: self,
            head,
            person: Some(self.alice.clone()),
            place: Place::Lan,
            body: Body::empty(),
        }
    }

    pub(crate) async fn call(&self, method: &str, path: &str) -> Reply {
        self.request(method, path).send().await
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Body>) -> Reply {
        self.request("PUT", path).body(body).send().await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path).await
    }

    pub(crate) async fn propfind(&self, path: &str, depth: &str, body: &str) -> Reply {
        let request = self.request("PROPFIND", path).header("depth", depth);
        request.body(body.to_owned()).send().await
    }

    /// A place in alice's space.
    pub(crate) fn at(&self, path: &str) -> At {
        At {
            space: self.alice.space.id,
            path: TreePath::parse(path).unwrap(),
        }
    }

    pub(crate) fn fid(&self, path: &str) -> protocol::Fid {
        self.app.files.find(&self.at(path)).unwrap().unwrap().fid
    }
}

impl Person {
    fn new(app: &App, name: &str) -> Self {
        let password = format!("correct horse {name}");
        let (id, space, authorization) = home::person(app, name, &password);
        Self {
            id,
            space,
            authorization,
        }
    }
}

pub(crate) struct Call<'a> {
    node: &'a Node,
    head: http::request::Builder,
    person: Option<Person>,
    place: Place,
    body: Body,
}

impl Call<'_> {
    pub(crate) fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.head = self.head.header(name, value.as_ref());
        self
    }

    pub(crate) fn by(mut self, person: &Person) -> Self {
        self.person = Some(person.clone());
        self
    }

    pub(crate) fn by_nobody(mut self) -> Self {
        self.person = None;
        self
    }

    pub(crate) fn from(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// A body of a known length is announced, as a connection would.
    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        if let Some(length) = http_body::Body::size_hint(&self.body).exact() {
            self.head = self.head.header("content-length", length);
        }
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let mut head = self.head;
        if let Some(person) = &self.person {
            head = head.header("authorization", &person.authorization);
        }
        let response = home::send(&self.node.router, head, self.body, self.place).await;
        let (head, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.unwrap_or_else(|error| panic!("the body broke off: {error}")),
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
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.text());
        self
    }

    #[track_caller]
    pub(crate) fn says(self, status: u16, words: &str) -> Self {
        let reply = self.is(status);
        assert!(reply.text().contains(words), "{words}: {}", reply.text());
        reply
    }
}

/// An address in alice's space.
pub(crate) fn at(path: &str) -> String {
    format!("/dav/files/alice/{path}")
}

/// The content of the first element of that local name.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    let open = format!(":{name}>");
    let (_, rest) = xml.split_once(&open)?;
    Some(rest.split_once("</")?.0.to_owned())
}
