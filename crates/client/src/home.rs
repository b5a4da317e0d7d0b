//! A connection to the node of a login, wherever that is at the moment.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use data_encoding::HEXLOWER_PERMISSIVE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use links::{Endpoint, Strangers};
use protocol::{EntryName, NodeId, TlsKey, TreePath};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connection::{Body, Connection, document, full, stalled};
use crate::place::{Address, encode};
use crate::{ClientError, FOUND_MAX, Finder, Kind, Login, Logins};

/// A small request is answered within this time.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// What is known has this start over what has to be found.
const HEAD_START: Duration = Duration::from_millis(300);
/// A finder that is not needed any more may take this long to end.
const LEAVE_TIME: Duration = Duration::from_millis(500);
/// Between two ways that are tried.
const NEXT_WAY: Duration = Duration::from_millis(200);
/// Ways that are tried, whatever finders say.
const WAYS_MAX: usize = 32;
/// The folder of friends in the person's space, the same in every language.
const FRIENDS: &str = "Friends";
/// Pages of one listing: a bound against a node that never ends.
const PAGES_MAX: usize = 10_000;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// Has content.
    File,
    /// Has entries.
    Folder,
}

/// A file or folder on the node.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// Its name; of the top of a space, the space's name.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of its content; 0 for a folder.
    pub size: u64,
    /// RFC 3339 in UTC.
    pub modified: String,
    /// Its state.
    pub etag: String,
    /// BLAKE3 of its content, where the node knows it.
    pub blake3: Option<String>,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(flatten)]
    entry: Entry,
    #[serde(default)]
    more: bool,
    entries: Option<Vec<Entry>>,
}

/// What a node says about itself before anybody is signed in.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) id: NodeId,
    signature: String,
}

impl Identity {
    /// Asks the other side of a connection who it is, and checks that this id vouches for the key
    /// that the connection has proved.
    pub(crate) async fn ask(connection: &mut Connection) -> Result<Self, ClientError> {
        let request = Request::get("/api/identity")
            .body(full(Bytes::new()))
            .map_err(|error| ClientError::fault(error.to_string()))?;
        let answer = timeout(ANSWER_TIME, connection.send(request)).await;
        let (status, bytes) = document(answer.map_err(|_| stalled())??).await?;
        let identity: Option<Self> = (status == StatusCode::OK)
            .then(|| serde_json::from_slice(&bytes).ok())
            .flatten();
        let Some(identity) = identity else {
            return Err(ClientError::new(
                Kind::Refused,
                "what answers there is no Cumulet node, or one that is too old",
            )
            .hint("check the address; `cumulet status` on the node prints it"));
        };
        // What is no text of bytes vouches for nothing.
        let signature = HEXLOWER_PERMISSIVE.decode(identity.signature.as_bytes());
        let signature = signature.unwrap_or_default();
        if !connection.key().is_vouched(identity.id, &signature) {
            return Err(ClientError::new(
                Kind::Refused,
                format!(
                    "what answers there says that it is node {}, but that node does not vouch for \
                     its key {}",
                    identity.id,
                    connection.key()
                ),
            )
            .hint("somebody may be in between: no password was sent"));
        }
        Ok(identity)
    }
}

/// What is spoken with the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// HTTPS with the device's password.
    Https,
    /// The peer protocol over QUIC with the device's key (R11).
    Quic,
}

/// A node where this device is signed in.
pub struct Home {
    /// For [`Via::Quic`].
    endpoint: Option<Endpoint>,
    login: Login,
    address: Address,
    connection: Connection,
}

impl Home {
    /// Finds the node of `login` and connects to it: where it was last, where it was at the sign-in,
    /// and a little later where `finder` sees it. The first way that leads to the pinned node is
    /// taken, so that an address of another network costs no time. What was learned is kept in
    /// `logins`, if they are given.
    ///
    /// # Errors
    /// If no node with the pinned identity answers.
    pub async fn open(
        mut login: Login,
        finder: &impl Finder,
        logins: Option<&Logins>,
        via: Via,
    ) -> Result<Self, ClientError> {
        let endpoint = match via {
            Via::Https => None,
            Via::Quic => Some(endpoint(&login).await?),
        };
        let mut search = Search {
            endpoint: endpoint.clone(),
            ..Search::default()
        };
        for known in login.last.iter().chain([&login.address]) {
            search.look_at(&login, known.parse().ok());
        }
        let mut failures = Vec::new();
        let (sender, mut receiver) = mpsc::channel(FOUND_MAX);
        let node = login.node.to_string();
        let finding = async {
            tokio::select! {
                () = tokio::time::sleep(HEAD_START) => {}
                () = sender.closed() => return Ok(()),
            }
            finder.find(&node, sender).await
        };
        let mut finding = std::pin::pin!(finding);
        let mut is_over = false;
        let (address, connection) = loop {
            tokio::select! {
                Some(done) = search.running.join_next() => match done {
                    Ok(Ok(there)) => break there,
                    Ok(Err(error)) => failures.push(error),
                    Err(error) => failures.push(ClientError::fault(error.to_string())),
                },
                Some(found) = receiver.recv() => {
                    if found.node == login.node {
                        for address in found.addresses {
                            search.look_at(&login, Some(Address::from(address)));
                        }
                    }
                }
                ended = &mut finding, if !is_over => {
                    is_over = true;
                    failures.extend(ended.err());
                }
                else => {
                    if let Some(endpoint) = endpoint {
                        endpoint.close().await;
                    }
                    return Err(worst(&login, failures));
                }
            }
        };
        // Whoever still looks for the node need not, and may have something to close.
        drop(receiver);
        if !is_over {
            let _ = timeout(LEAVE_TIME, &mut finding).await;
        }
        // The node may have a new TLS key, for which it vouched.
        login.tls_key = connection.key();
        let home = Self {
            endpoint,
            login,
            address,
            connection,
        };
        Ok(home.remember(logins))
    }

    fn remember(mut self, logins: Option<&Logins>) -> Self {
        let here = self.address.to_string();
        let last = (here != self.login.address).then_some(here);
        let key = self.connection.key();
        if last != self.login.last || key != self.login.tls_key {
            self.login.last = last;
            self.login.tls_key = key;
            if let Some(logins) = logins
                && let Err(error) = logins.put(&self.login)
            {
                tracing::warn!(%error, "what was learned about the node is not kept");
            }
        }
        self
    }

    /// Ends the connection; the node is told.
    pub async fn close(self) {
        drop(self.connection);
        if let Some(endpoint) = self.endpoint {
            endpoint.close().await;
        }
    }

    /// The login.
    #[must_use]
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// Where the node answers.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request as the login's account, on a new connection if the old one has ended.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Response<Incoming>, ClientError> {
        if self.connection.is_closed() {
            self.reconnect().await?;
        }
        let pair = format!("{}:{}", self.login.user, self.login.password);
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        let mut secret = HeaderValue::from_str(&format!("Basic {pair}"))
            .map_err(|_| ClientError::fault("a password that cannot be sent"))?;
        secret.set_sensitive(true);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(body)
            .map_err(|error| ClientError::fault(error.to_string()))?;
        *request.headers_mut() = headers;
        if !self.connection.is_link() {
            request.headers_mut().insert(header::AUTHORIZATION, secret);
        }
        self.connection.send(request).await
    }

    /// A new connection to the same place, with the same proof.
    pub(crate) async fn reconnect(&mut self) -> Result<(), ClientError> {
        self.connection = connect(&self.login, &self.address, self.endpoint.as_ref()).await?;
        self.login.tls_key = self.connection.key();
        Ok(())
    }

    /// A small request and its whole answer; refusals are errors, with the node's words.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<Bytes, ClientError> {
        let mut headers = HeaderMap::new();
        let body = match body {
            None => full(Bytes::new()),
            Some(value) => {
                let json = HeaderValue::from_static("application/json");
                headers.insert(header::CONTENT_TYPE, json);
                full(value.to_string())
            }
        };
        let answer = timeout(ANSWER_TIME, self.send(method, path, headers, body)).await;
        let answer = answer.map_err(|_| stalled())??;
        let (status, bytes) = document(answer).await?;
        if status.is_success() {
            return Ok(bytes);
        }
        Err(self.refusal(status, &bytes))
    }

    /// What a refusal of the node means for the person.
    pub(crate) fn refusal(&self, status: StatusCode, body: &[u8]) -> ClientError {
        let name = &self.login.name;
        let words = words(body);
        let said = if words.is_empty() {
            format!("the node answered {status}")
        } else {
            words
        };
        match status {
            StatusCode::UNAUTHORIZED => ClientError::new(
                Kind::Refused,
                format!("`{name}` does not take the password of this device any more"),
            )
            .hint(format!(
                "it was taken back on the account page, or the account is gone; sign in again: \
                 cumulet login {name}"
            )),
            StatusCode::FORBIDDEN | StatusCode::LOCKED => ClientError::new(Kind::Refused, said),
            StatusCode::NOT_FOUND => ClientError::new(Kind::Missing, said),
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => {
                ClientError::new(Kind::Conflict, said)
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::INSUFFICIENT_STORAGE => {
                ClientError::new(Kind::Refused, said)
            }
            status if status.is_server_error() => ClientError::new(Kind::Unreachable, said)
                .hint("see the log of the node, and try again later"),
            _ => ClientError::fault(said),
        }
    }

    /// An entry of the person's space; `None` if nothing is there.
    ///
    /// # Errors
    /// If the node does not answer or refuses.
    pub async fn entry(&mut self, path: &TreePath) -> Result<Option<Entry>, ClientError> {
        match self.page(path, 1).await {
            Ok(listing) => Ok(Some(listing.entry)),
            Err(error) if error.kind == Kind::Missing => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An entry with what is in it if it is a folder, by name.
    ///
    /// # Errors
    /// If it is not there, or the node does not answer or refuses.
    pub async fn list(
        &mut self,
        path: &TreePath,
    ) -> Result<(Entry, Option<Vec<Entry>>), ClientError> {
        let mut listing = self.page(path, 1).await?;
        for number in 2..PAGES_MAX {
            if !listing.more {
                break;
            }
            let next = self.page(path, number).await?;
            if let (Some(all), Some(next)) = (&mut listing.entries, next.entries) {
                all.extend(next);
            }
            listing.more = next.more;
        }
        for entry in listing.entries.iter().flatten() {
            // Names become names of local files: nobody may lead out of a folder with them.
            EntryName::new(&entry.name).map_err(|error| {
                ClientError::fault(format!("the node lists an entry that cannot be: {error}"))
            })?;
        }
        Ok((listing.entry, listing.entries))
    }

    async fn page(&mut self, path: &TreePath, number: usize) -> Result<Listing, ClientError> {
        let address = encode(&self.login.user, path);
        let address = format!("/api/files/{address}?page={number}");
        let mut answer = self.ask(Method::GET, &address, None).await;
        // A folder of that name of one's own goes before.
        if answer
            .as_ref()
            .is_err_and(|error| error.kind == Kind::Missing)
            && let Some(below) = below_friends(path)
        {
            let address = format!("/api/friends{below}?page={number}");
            answer = self.ask(Method::GET, &address, None).await;
        }
        let bytes = answer.map_err(|error| {
            if error.kind == Kind::Missing {
                let place = format!("{}:{path}", self.login.name);
                return ClientError::new(Kind::Missing, format!("there is no {place}")).hint(
                    format!("`cumulet ls {}:/` shows what there is", self.login.name),
                );
            }
            error
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|error| ClientError::fault(format!("the node's list cannot be read: {error}")))
    }

    /// The folder `Friends`, if friends of the node share with this person. It belongs to the
    /// top of the space for whoever looks, and not to what is copied with it.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn friends(&mut self) -> Result<Option<Entry>, ClientError> {
        match self.ask(Method::GET, "/api/friends?page=1", None).await {
            Ok(bytes) => {
                let listing: Listing = serde_json::from_slice(&bytes).map_err(|error| {
                    ClientError::fault(format!("the node's list cannot be read: {error}"))
                })?;
                let some = listing.entries.is_some_and(|entries| !entries.is_empty());
                Ok(some.then_some(listing.entry))
            }
            // Not for everybody, and not on every node.
            Err(error) if matches!(error.kind, Kind::Missing | Kind::Refused) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the folder `name` in `parent`.
    pub(crate) async fn make_folder(
        &mut self,
        parent: &TreePath,
        name: &EntryName,
    ) -> Result<(), ClientError> {
        if below_friends(parent).is_some_and(|below| !below.is_empty()) {
            let path = parent.join(name.clone());
            let path = path.map_err(|error| ClientError::new(Kind::Input, error.to_string()))?;
            let make = Method::from_bytes(b"MKCOL");
            let make = make.map_err(|error| ClientError::fault(error.to_string()))?;
            let address = self.content(&path);
            return self.ask(make, &address, None).await.map(drop);
        }
        let address = format!("/api/folders/{}", encode(&self.login.user, parent));
        let body = serde_json::json!({ "name": name.as_str() });
        self.ask(Method::POST, &address, Some(body)).await.map(drop)
    }

    /// Address of an entry's content.
    pub(crate) fn content(&self, path: &TreePath) -> String {
        format!("/dav/files/{}", encode(&self.login.user, path))
    }

    /// Ends the login on the node: the device's password opens nothing any more.
    ///
    /// # Errors
    /// If the node does not answer or refuses.
    pub async fn sign_out(&mut self) -> Result<(), ClientError> {
        let body = serde_json::json!({ "device": "this" });
        let path = "/api/devices/remove";
        self.ask(Method::POST, path, Some(body)).await.map(drop)
    }
}

/// The address of a path in `Friends` behind `/api/friends`; `None` for any other path.
fn below_friends(path: &TreePath) -> Option<String> {
    let (first, rest) = path.names().split_first()?;
    if first.as_str() != FRIENDS {
        return None;
    }
    let Some((friend, rest)) = rest.split_first() else {
        return Some(String::new());
    };
    let mut below = TreePath::root();
    for name in rest {
        below = below.join(name.clone()).ok()?;
    }
    let text = encode(friend.as_str(), &below);
    Some(format!("/{}", text.trim_end_matches('/')))
}

/// The node's own words in a refusal, from its JSON or its XML.
pub(crate) fn words(body: &[u8]) -> String {
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) {
        return value["message"].as_str().unwrap_or_default().to_owned();
    }
    let text = String::from_utf8_lossy(body);
    let inner = text
        .split_once("<C:message xmlns:C=\"urn:cumulet\">")
        .and_then(|(_, rest)| rest.split_once("</C:message>"))
        .map_or("", |(inner, _)| inner);
    inner
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// Ways to a node that are tried at the same time, each a little after the one before.
#[derive(Default)]
struct Search {
    endpoint: Option<Endpoint>,
    running: JoinSet<Result<(Address, Connection), ClientError>>,
    tried: Vec<Address>,
}

impl Search {
    fn look_at(&mut self, login: &Login, address: Option<Address>) {
        let Some(address) = address else { return };
        if self.tried.len() >= WAYS_MAX || self.tried.contains(&address) {
            return;
        }
        let waits_for = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        self.tried.push(address.clone());
        let (login, endpoint) = (login.clone(), self.endpoint.clone());
        self.running.spawn(async move {
            tokio::time::sleep(NEXT_WAY.saturating_mul(waits_for)).await;
            let connection = connect(&login, &address, endpoint.as_ref()).await?;
            Ok((address, connection))
        });
    }
}

/// A connection to the very node of the login. Nothing of the account is said before that is proved.
/// Its key may be a new one, for which the node vouches.
async fn connect(
    login: &Login,
    address: &Address,
    endpoint: Option<&Endpoint>,
) -> Result<Connection, ClientError> {
    if let Some(endpoint) = endpoint {
        let carried = (authority(login), login.tls_key);
        return Connection::link(endpoint, login.node, address, carried).await;
    }
    let mut connection = Connection::open(address, authority(login)).await?;
    if connection.key() == login.tls_key {
        return Ok(connection);
    }
    let identity = Identity::ask(&mut connection).await?;
    if identity.id != login.node {
        return Err(other_node(login, address, &identity, connection.key()));
    }
    Ok(connection)
}

/// An endpoint with the device's key.
async fn endpoint(login: &Login) -> Result<Endpoint, ClientError> {
    let secret = login.device.as_ref().ok_or_else(|| {
        ClientError::new(
            Kind::Input,
            format!("the login `{}` has no key for QUIC", login.name),
        )
        .hint(format!("sign in again: cumulet login {}", login.name))
    })?;
    let any = [
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    ];
    Endpoint::bind(&secret.0, &any, &[], Arc::new(Strangers))
        .await
        .map_err(|error| ClientError::new(Kind::Local, error.to_string()))
}

/// The name in every request is that of the sign-in, whatever the way is (one URL).
fn authority(login: &Login) -> String {
    let address = login.address.parse::<Address>();
    address.map_or_else(|_| login.address.clone(), |address| address.authority())
}

fn other_node(login: &Login, address: &Address, identity: &Identity, key: TlsKey) -> ClientError {
    let name = &login.name;
    ClientError::new(
        Kind::Refused,
        format!(
            "at {address} answers another node than `{name}`: it is {} with the key {key}, and \
             `{name}` is {}; nothing was sent to it",
            identity.id, login.node
        ),
    )
    .hint(format!(
        "if you have set up the node anew, end the old login with `cumulet logout {name}` and \
         sign in again; else somebody may be in between"
    ))
}

/// Of several ways that failed, what the person has to know.
fn worst(login: &Login, failures: Vec<ClientError>) -> ClientError {
    let (mut refused, others): (Vec<_>, Vec<_>) = failures
        .into_iter()
        .partition(|error| error.kind == Kind::Refused);
    if let Some(refused) = refused.pop() {
        return refused;
    }
    let tried: Vec<_> = others.into_iter().map(|error| error.message).collect();
    let name = &login.name;
    ClientError::new(
        Kind::Unreachable,
        format!("cannot reach `{name}`: {}", tried.join("; ")),
    )
    .hint(format!(
        "is the node running, and this computer in its network? If its address changed, \
         `cumulet login ADDRESS --as {name}` tells the new one"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_refusal_are_found_in_either_form() {
        let check = |body: &str, expected: &str| assert_eq!(words(body.as_bytes()), expected);
        check(
            r#"{"error":"taken","message":"It is taken."}"#,
            "It is taken.",
        );
        check(
            "<D:error><C:message xmlns:C=\"urn:cumulet\">a &lt; b &amp; c</C:message></D:error>",
            "a < b & c",
        );
        check("<html>", "");
        check("", "");
    }
}
