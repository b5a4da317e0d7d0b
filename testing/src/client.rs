//! A small HTTP/1.1 client that follows no redirect, keeps no cookie unasked and hides nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;

use crate::{Wire, trust};

/// How long a request may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body without its transfer encoding.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of this name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// The strong ETag.
    #[track_caller]
    #[must_use]
    pub fn etag(&self) -> String {
        self.header("etag")
            .expect("the answer has an ETag")
            .to_owned()
    }

    /// Fails the test unless the status is `status`; gives the answer back.
    #[track_caller]
    #[must_use]
    pub fn expect_status(self, status: u16) -> Self {
        self.assert_status(status);
        self
    }

    /// Fails the test unless the status is `status`.
    #[track_caller]
    pub fn assert_status(&self, status: u16) {
        let shown: String = self.text().chars().take(2000).collect();
        assert_eq!(self.status, status, "headers {:?}\n{shown}", self.headers);
    }

    /// Fails the test unless the status is `status` and the body holds `words`.
    #[track_caller]
    pub fn assert_says(&self, status: u16, words: &str) {
        self.assert_status(status);
        assert!(
            self.text().contains(words),
            "the answer should say {words:?}: {}",
            self.text()
        );
    }
}

/// One server seen by one person.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    always: Vec<(String, String)>,
}

impl Client {
    /// Plain HTTP.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            always: Vec::new(),
        }
    }

    /// HTTPS to the certificate with this SHA-256 fingerprint.
    #[must_use]
    pub fn pinned(address: SocketAddr, fingerprint: &str) -> Self {
        Self {
            tls: Some(trust::pinned(fingerprint)),
            ..Self::plain(address)
        }
    }

    /// The same server, with Basic authentication.
    #[must_use]
    pub fn basic(&self, user: &str, secret: &str) -> Self {
        let credentials = STANDARD.encode(format!("{user}:{secret}"));
        self.with("Authorization", &format!("Basic {credentials}"))
    }

    /// The same server, with a header on each request.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.always.retain(|(own, _)| own != name);
        other.always.push((name.to_owned(), value.to_owned()));
        other
    }

    /// The server's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Starts a request; `path` goes on the wire as it is.
    #[must_use]
    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        Request {
            client: self,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path).send()
    }

    /// PUT of a body with its length.
    #[track_caller]
    pub fn put(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        self.request("PUT", path).body(body).send()
    }

    /// A method without a body.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str) -> Reply {
        self.request(method, path).send()
    }

    /// PROPFIND with all properties.
    #[track_caller]
    pub fn propfind(&self, path: &str, depth: &str) -> Reply {
        self.request("PROPFIND", path).header("Depth", depth).send()
    }

    /// POST of a form, fields already encoded.
    #[track_caller]
    pub fn post_form(&self, path: &str, form: &str) -> Reply {
        self.request("POST", path)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
    }

    /// An open connection.
    #[track_caller]
    #[must_use]
    pub fn wire(&self) -> Wire {
        self.wire_with_patience(PATIENCE)
    }

    /// An open connection whose reads end after `patience`.
    #[track_caller]
    #[must_use]
    pub fn wire_with_patience(&self, patience: Duration) -> Wire {
        Wire::connect(self.address, self.tls.clone(), patience)
            .unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.address))
    }

    /// An open connection, or why there is none.
    pub fn try_wire(&self) -> io::Result<Wire> {
        Wire::connect(self.address, self.tls.clone(), PATIENCE)
    }
}

/// A request being built.
#[derive(Debug)]
pub struct Request<'a> {
    client: &'a Client,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request<'_> {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body; its length is sent.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// Head and body as they go on the wire; the connection stays open when `keep`.
    #[must_use]
    pub fn bytes(&self, keep: bool) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        let has = |name: &str| {
            self.headers
                .iter()
                .any(|(own, _)| own.eq_ignore_ascii_case(name))
        };
        if !has("Host") {
            head += &format!("Host: {}\r\n", self.client.address);
        }
        let always = self.client.always.iter().filter(|(name, _)| !has(name));
        for (name, value) in always.chain(&self.headers) {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = &self.body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        if !keep {
            head += "Connection: close\r\n";
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }

    /// Sends it on a connection of its own.
    #[track_caller]
    pub fn send(self) -> Reply {
        let what = format!("{} {}", self.method, self.path);
        self.try_send()
            .unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends it on a connection of its own; an error when the server goes away.
    pub fn try_send(self) -> io::Result<Reply> {
        let mut wire = self.client.try_wire()?;
        self.exchange(&mut wire, false)
    }

    /// Sends it on `wire` and leaves that open.
    pub fn send_on(self, wire: &mut Wire) -> io::Result<Reply> {
        self.exchange(wire, true)
    }

    fn exchange(self, wire: &mut Wire, keep: bool) -> io::Result<Reply> {
        let sent = wire.send(self.bytes(keep));
        // A server may refuse before it has read the body: then its answer counts, not our broken pipe.
        match (wire.read_reply(&self.method), sent) {
            (Ok(reply), _) => Ok(reply),
            (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        }
    }
}
