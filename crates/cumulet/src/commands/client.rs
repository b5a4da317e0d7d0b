//! This computer as a client of a node elsewhere: login, ls, get, put.

use std::net::SocketAddr;
use std::time::Duration;

use client::{
    ClientError, Credentials, Fetch, Finder, Found, Home, Introduction, Logins, Store, Via,
};
use links::discovery::{DiscoveryError, Event, Lan, Sighting};
use node::{Failure, Kind};
use protocol::message::center::{CenterAddress, Target};
use protocol::{ByteSize, NodeId, NodeName, NodeSecret};
use serde_json::json;
use tokio::sync::mpsc;

use super::Outcome;
use crate::arguments::{self, Client, Get, Put, SignIn, Speak};
use crate::print::table;
use crate::progress::Bar;
use crate::{print, secret};

/// Runs one of these commands; they need no node on this computer.
pub(crate) async fn run(wish: Client, json: bool) -> Result<Outcome, Failure> {
    match wish {
        Client::Login(wish) => login(wish).await,
        Client::Logout { name, force } => logout(&name, force).await,
        Client::Logins => logins(),
        Client::Ls { place, speak } => ls(&place, speak).await,
        Client::Get(wish) => get(wish, json).await,
        Client::Put(wish) => put(wish, json).await,
    }
}

/// A node is listed 5 s after its start at the latest (R21); so long it is looked for, and a little more.
const LOOK: Duration = Duration::from_secs(6);
/// Once one of a name is seen, another of the same name has this time to show itself.
const NAMESAKE: Duration = Duration::from_millis(1500);

/// Looks for nodes in this network (mDNS) and asks the center of a login. Neither is believed:
/// `client` has nodes prove who they are before it says anything. The center's own key is pinned,
/// and the record that it gives is signed by the node (R26, R101).
struct Ways {
    center: Option<CenterAddress>,
}

impl Ways {
    fn of(login: &client::Login) -> Result<Self, Failure> {
        let center = login.center.as_deref().map(str::parse).transpose();
        let center = center.map_err(|error| {
            let hint = format!("sign in again: cumulet login {}", login.name);
            Failure::input(format!("the center of the login `{}`: {error}", login.name)).hint(hint)
        })?;
        Ok(Self { center })
    }
}

impl Finder for Ways {
    async fn find(&self, name: &str, found: mpsc::Sender<Found>) -> Result<(), ClientError> {
        let Some(center) = &self.center else {
            nearby(name, &found).await;
            return Ok(());
        };
        if name.parse::<NodeId>().is_ok() {
            let (asked, ()) = tokio::join!(at_center(center, name, &found), nearby(name, &found));
            return asked.map(drop);
        }
        // A name means one node at a center; what calls itself so near by is then not asked.
        match at_center(center, name, &found).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                nearby(name, &found).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

async fn nearby(name: &str, found: &mpsc::Sender<Found>) {
    let looking = async {
        tokio::select! {
            seen = look_for(name) => seen,
            () = found.closed() => Ok(Vec::new()),
        }
    };
    let seen = looking.await.unwrap_or_else(|error| {
        // Not every network lets one listen; other ways remain.
        tracing::warn!(%error, "this network cannot be searched for nodes");
        Vec::new()
    });
    for sighting in seen {
        // More than anybody looks at.
        let _ = found.try_send(found_at(sighting));
    }
}

/// Asks the center; false if it knows no such node.
async fn at_center(
    center: &CenterAddress,
    name: &str,
    found: &mpsc::Sender<Found>,
) -> Result<bool, ClientError> {
    let failed = |kind, why: String| ClientError {
        kind,
        message: why,
        hint: None,
    };
    let target = match (name.parse(), name.parse()) {
        (Ok(node), _) => Target::Id(node),
        (Err(_), Ok(name)) => Target::Name(name),
        (Err(_), Err(_)) => return Ok(false),
    };
    // Whoever asks has no name: a key for this one question.
    let secret =
        NodeSecret::generate().map_err(|error| failed(client::Kind::Local, error.to_string()))?;
    let any = [
        SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0)),
    ];
    let strangers = std::sync::Arc::new(links::Strangers);
    let endpoint = links::Endpoint::bind(&secret, &any, &[], strangers)
        .await
        .map_err(|error| failed(client::Kind::Local, error.to_string()))?;
    let now = (node::system_clock())();
    let answer = tokio::select! {
        answer = ::center::ask::find(&endpoint, center, target, now) => answer,
        () = found.closed() => Ok(None),
    };
    endpoint.close().await;
    let told = answer.map_err(|error| {
        let kind = if matches!(error, ::center::ask::AskError::Lied { .. }) {
            client::Kind::Refused
        } else {
            client::Kind::Unreachable
        };
        failed(kind, format!("at the center {}: {error}", center.host))
    })?;
    let Some(told) = told else { return Ok(false) };
    let node = Found {
        node: told.record.node,
        addresses: told.record.addresses,
    };
    Ok(found.try_send(node).is_ok())
}

/// Nodes with this id or name.
async fn look_for(name: &str) -> Result<Vec<Sighting>, DiscoveryError> {
    let wanted = name.parse::<NodeId>().ok();
    let mut lan = Lan::open(None)?;
    let mut seen: Vec<Sighting> = Vec::new();
    let mut until = tokio::time::Instant::now() + LOOK;
    while let Ok(event) = tokio::time::timeout_at(until, lan.next()).await {
        match event? {
            Event::Found(sighting) => {
                let is_named = |own: &NodeName| own.as_str().eq_ignore_ascii_case(name);
                let fits = match wanted {
                    Some(id) => sighting.node == id,
                    None => sighting.name.as_ref().is_some_and(is_named),
                };
                if !fits {
                    continue;
                }
                seen.retain(|other| other.node != sighting.node);
                seen.push(sighting);
                if wanted.is_some() {
                    break;
                }
                until = until.min(tokio::time::Instant::now() + NAMESAKE);
            }
            Event::Goodbye(node) => seen.retain(|other| other.node != node),
            Event::Alive(_) => {}
        }
    }
    lan.close().await;
    Ok(seen)
}

fn found_at(sighting: Sighting) -> Found {
    let https = |mut address: SocketAddr| {
        address.set_port(sighting.https_port);
        address
    };
    Found {
        node: sighting.node,
        addresses: sighting.addresses.into_iter().map(https).collect(),
    }
}

/// The same failure in the words of this program.
fn failure(error: ClientError) -> Failure {
    let kind = match error.kind {
        client::Kind::Input => Kind::Input,
        client::Kind::Missing => Kind::Missing,
        client::Kind::Unreachable => Kind::Unreachable,
        client::Kind::Refused => Kind::Refused,
        client::Kind::Conflict | client::Kind::Local => Kind::Configuration,
        client::Kind::Fault => Kind::Fault,
    };
    let failure = Failure::new(kind, error.message);
    match error.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn node_name(text: &str) -> Result<NodeName, Failure> {
    text.parse()
        .map_err(|error| Failure::input(format!("`{text}` cannot be the name of a login: {error}")))
}

async fn login(wish: SignIn) -> Result<Outcome, Failure> {
    let logins = Logins::of_this_user().map_err(failure)?;
    let chosen = wish.name.as_deref().map(node_name).transpose()?;
    let ways = Ways {
        center: wish.center.clone(),
    };
    let mut node = client::meet(&wish.node, &ways).await.map_err(failure)?;
    let name = chosen.or_else(|| node.name().cloned()).ok_or_else(|| {
        Failure::input("the node's name cannot be the name of a login")
            .hint("choose one: --as NAME")
    })?;
    let old = logins.find(&name).map_err(failure)?;
    if let Some(old) = &old
        && old.node != node.node()
    {
        let message = format!(
            "there is a login `{name}` for another node, {}; here answers {}",
            old.node,
            node.node()
        );
        return Err(Failure::new(Kind::Refused, message).hint(format!(
            "choose another name with --as NAME, or end that one first: cumulet logout {name}"
        )));
    }
    if old.is_none() {
        introduce(&wish, &node)?;
    }
    let user = match (&wish.user, &old) {
        (Some(user), _) => user.clone(),
        (None, Some(old)) => old.user.clone(),
        (None, None) => secret::line("Name of the account: ", "the name", "--user NAME")?,
    };
    let password = secret::ask(
        wish.password.password_stdin,
        &format!("Password of {user} on {name}: "),
    )?;
    let label = wish.label.clone().unwrap_or_else(this_computer);
    let mut code = wish.code.clone();
    let mut login = loop {
        let credentials = Credentials {
            user: &user,
            password: &password,
            code: code.as_deref(),
            label: &label,
        };
        let signed_in = client::sign_in(&mut node, &credentials, &name).await;
        match signed_in.map_err(failure)? {
            Some(login) => break login,
            None => {
                let prompt = "Code of the second factor: ";
                code = Some(secret::line(prompt, "the code", "--code CODE")?);
            }
        }
    };
    if let Some(center) = &wish.center {
        login.center = Some(center.to_string());
    }
    logins.put(&login).map_err(failure)?;
    if let Some(old) = old
        && old.user == login.user
    {
        // The device's password of before is of no use any more; the new login is what counts.
        if let Ok(mut home) = Home::open(old, &ways, None, Via::Https).await {
            let _ = home.sign_out().await;
        }
    }
    let text = format!(
        "This computer is signed in on {name} as {}. `cumulet ls {name}:/` lists your files.",
        login.user
    );
    let json = json!({
        "name": name.as_str(),
        "node": login.node.to_string(),
        "address": login.address,
        "user": login.user,
        "center": login.center,
        "label": label,
    });
    Ok(Outcome::new(json, text))
}

/// Has the person say that this is the node they mean.
fn introduce(wish: &SignIn, node: &Introduction) -> Result<(), Failure> {
    let id = node.node();
    if let Some(expected) = wish.id {
        if expected == id {
            return Ok(());
        }
        let message = format!(
            "at {} answers the node {id}, not {expected}; nothing was sent to it",
            node.address()
        );
        return Err(Failure::new(Kind::Refused, message)
            .hint("compare with the id in `cumulet status` on the node"));
    }
    if wish.trust {
        return Ok(());
    }
    print::note(&format!(
        "At {} answers a node that was never seen from here:\n  id   {id}\n  key  {}\n\
         Compare the id with `cumulet status` on the node.",
        node.address(),
        node.tls_key()
    ));
    let answer = secret::line(
        "Is this the one? [y/N] ",
        "your consent",
        "--id ID if you know the node's id, or --trust to take any",
    )?;
    if matches!(answer.as_str(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::new(Kind::Refused, "nothing was sent"))
    }
}

/// The name of this computer, for the list of devices on the account page.
fn this_computer() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().take(60).collect();
    if name.is_empty() {
        "cumulet".into()
    } else {
        format!("cumulet on {name}")
    }
}

async fn logout(name: &str, force: bool) -> Result<Outcome, Failure> {
    let name = node_name(name)?;
    let logins = Logins::of_this_user().map_err(failure)?;
    let login = logins.get(&name).map_err(failure)?;
    let ways = Ways::of(&login)?;
    let ended = async {
        let mut home = Home::open(login, &ways, Some(&logins), Via::Https).await?;
        home.sign_out().await
    };
    let told = match ended.await {
        Ok(()) => true,
        // Its password was taken back already.
        Err(error) if error.kind == client::Kind::Refused && !force => {
            if error.message.contains("does not take the password") {
                true
            } else {
                return Err(failure(error));
            }
        }
        Err(_) if force => false,
        Err(error) => {
            let failure = failure(error);
            return Err(failure.hint(
                "`--force` forgets the login here; then take the device's password back on the \
                 account page",
            ));
        }
    };
    logins.remove(&name).map_err(failure)?;
    let text = if told {
        format!("The login {name} has ended.")
    } else {
        format!("The login {name} is forgotten here; take its password back on the account page.")
    };
    Ok(Outcome::new(
        json!({ "name": name.as_str(), "ended_on_node": told }),
        text,
    ))
}

fn logins() -> Result<Outcome, Failure> {
    let logins = Logins::of_this_user().and_then(|logins| logins.all());
    let rows: Vec<_> = logins
        .map_err(failure)?
        .iter()
        .map(|login| {
            json!({
                "name": login.name.as_str(),
                "user": login.user,
                "address": login.last.as_ref().unwrap_or(&login.address),
                "center": login.center,
                "node": login.node.to_string(),
            })
        })
        .collect();
    let rows = serde_json::Value::Array(rows);
    let columns = [
        ("name", "name"),
        ("user", "user"),
        ("address", "address"),
        ("node", "node"),
    ];
    let text = table(
        &rows,
        &columns,
        "none yet; `cumulet login NAME|URL` makes one",
    );
    Ok(Outcome::new(rows, text))
}

/// The node of a place.
async fn open(place: &client::Place, speak: Speak) -> Result<Home, Failure> {
    let logins = Logins::of_this_user().map_err(failure)?;
    let login = logins.get(&place.login).map_err(failure)?;
    let ways = Ways::of(&login)?;
    let via = match speak.via {
        arguments::Via::Https => Via::Https,
        arguments::Via::Quic => Via::Quic,
    };
    Home::open(login, &ways, Some(&logins), via)
        .await
        .map_err(failure)
}

/// What is at a place, with the friends at the top.
async fn listed(home: &mut Home, place: &client::Place) -> Result<Vec<client::Entry>, ClientError> {
    let (entry, entries) = home.list(&place.path).await?;
    let mut entries = entries.unwrap_or_else(|| vec![entry]);
    let has_own = entries.iter().any(|entry| entry.name == "Friends");
    if place.path.is_root() && !has_own {
        entries.extend(home.friends().await?);
    }
    Ok(entries)
}

async fn ls(place: &client::Place, speak: Speak) -> Result<Outcome, Failure> {
    let mut home = open(place, speak).await?;
    let listed = listed(&mut home, place).await;
    home.close().await;
    let entries = listed.map_err(failure)?;
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            let is_folder = entry.kind == client::EntryKind::Folder;
            json!({
                "name": entry.name,
                "kind": if is_folder { "folder" } else { "file" },
                "size_bytes": (!is_folder).then_some(entry.size),
                "modified": entry.modified,
                "etag": entry.etag,
                "shown": if is_folder { format!("{}/", entry.name) } else { entry.name.clone() },
            })
        })
        .collect();
    let mut rows = serde_json::Value::Array(rows);
    let columns = [
        ("modified", "modified"),
        ("size", "size_bytes"),
        ("name", "shown"),
    ];
    let text = table(&rows, &columns, "the folder is empty");
    for row in rows.as_array_mut().into_iter().flatten() {
        if let Some(row) = row.as_object_mut() {
            row.remove("shown");
        }
    }
    Ok(Outcome::new(rows, text))
}

async fn get(wish: Get, json: bool) -> Result<Outcome, Failure> {
    let mut home = open(&wish.place, wish.speak).await?;
    let fetch = Fetch {
        source: wish.place.path,
        target: wish.target,
        recursive: wish.recursive,
        force: wish.force,
    };
    let done = client::fetch(&mut home, &fetch, &Bar::new(json)).await;
    home.close().await;
    let done = done.map_err(failure)?;
    Ok(moved("fetched", done.files, done.bytes, &done.failed))
}

async fn put(wish: Put, json: bool) -> Result<Outcome, Failure> {
    let mut home = open(&wish.place, wish.speak).await?;
    let store = Store {
        source: wish.source,
        target: wish.place.path,
        target_is_folder: wish.place.is_folder,
        recursive: wish.recursive,
        force: wish.force,
    };
    let done = client::store(&mut home, &store, &Bar::new(json)).await;
    home.close().await;
    let done = done.map_err(failure)?;
    Ok(moved("stored", done.files, done.bytes, &done.failed))
}

fn moved(done: &str, files: u64, bytes: u64, failed: &[String]) -> Outcome {
    let files_word = if files == 1 { "file" } else { "files" };
    let mut text = format!("{files} {files_word} {done}, {}", ByteSize(bytes));
    for line in failed {
        text.push_str(&format!("\nnot {done}: {line}"));
    }
    let json = json!({ "files": files, "size_bytes": bytes, "failed": failed });
    let mut outcome = Outcome::new(json, text);
    outcome.code = u8::from(!failed.is_empty());
    outcome
}
