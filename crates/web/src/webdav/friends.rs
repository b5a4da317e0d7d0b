//! `Friends/NAME/…` over WebDAV: in an owner's own space, and beside the spaces.
//!
//! `/dav/files/Friends/` is there for every owner. `/dav/files/OWNER/Friends/` is the same thing
//! inside of the owner's tree, as long as the owner has a friend and no folder of that name; a
//! folder of their own goes before. Listing `Friends/` never asks a friend's node, so that one
//! that is off delays nobody; what lies in a friend's folder is asked for live.

use axum::body::Body;
use dav::{Depth, Destination, PropFind, Reply, multistatus};
use files::At;
use http::{HeaderValue, Method, Response, StatusCode, header};
use protocol::{EntryName, TreePath};
use sharing::{Asker, Decision, Friend, Need, Target};

use crate::friends::{self, Outgoing, TOP};
use crate::gate::settle;
use crate::{App, address};

use super::conditions::host;
use super::place::{Named, Place};
use super::refused::{Refused, Step};
use super::views::View;
use super::{Request, blocking, body, moved, options, xml};

/// A place below `Friends`.
#[derive(Debug, Clone)]
pub(super) struct Below {
    /// Of the folder `Friends`, with a slash at the end.
    base: String,
    /// The friend's name, shares and what is in them.
    names: Vec<EntryName>,
    trailing_slash: bool,
}

/// The names after `Friends`, if `named` may be such a place; without a look at the catalog.
fn after_top(named: &Named) -> Option<(String, Vec<EntryName>)> {
    let names = named.path.names();
    if named.space.as_str() == TOP {
        return Some((format!("/dav/files/{TOP}/"), names.to_vec()));
    }
    let (first, rest) = names.split_first()?;
    (first.as_str() == TOP).then(|| {
        let space = address::encode_name(named.space.as_str());
        (format!("/dav/files/{space}/{TOP}/"), rest.to_vec())
    })
}

/// The place below `Friends` that `named` means to the asker, if it means one. Blocks.
pub(super) fn below(app: &App, asker: &Asker, named: &Named) -> Step<Option<Below>> {
    let Some((base, names)) = after_top(named) else {
        return Ok(None);
    };
    let in_own_tree = named.space.as_str() != TOP;
    if in_own_tree && !shown_in(app, asker, &named.space)? {
        return Ok(None);
    }
    if asker.friend().is_some() {
        return Ok(None);
    }
    let decision = may_see(app, asker)?;
    settle(decision)?;
    Ok(Some(Below {
        base,
        names,
        trailing_slash: named.trailing_slash,
    }))
}

fn may_see(app: &App, asker: &Asker) -> Step<Decision> {
    let need = &Need::FRIEND_TREE_READ;
    let target = Target::FriendTree;
    Ok(app
        .sharing
        .decide(asker, need.service, &target, need.right)?)
}

/// True if `Friends` is shown in the space: the asker's own, with a friend, and without a folder of
/// that name. Blocks.
pub(super) fn shown_in(app: &App, asker: &Asker, space: &EntryName) -> Step<bool> {
    if app.sharing.accepted_friends()?.is_empty() || may_see(app, asker)? != Decision::Allow {
        return Ok(false);
    }
    let Some(space) = app.files.space(space.as_str())? else {
        return Ok(false);
    };
    if asker.account() != Some(space.owner) {
        return Ok(false);
    }
    let own = At {
        space: space.id,
        path: TreePath::root().join(EntryName::new(TOP)?)?,
    };
    Ok(app.files.find(&own)?.is_none())
}

/// The row of `Friends` in a list of spaces, or in the owner's own top. Blocks.
pub(super) fn row(app: &App, asker: &Asker, space: Option<&EntryName>) -> Step<Option<View>> {
    let shown = match space {
        Some(space) => shown_in(app, asker, space)?,
        None => {
            asker.friend().is_none()
                && !app.sharing.accepted_friends()?.is_empty()
                && may_see(app, asker)? == Decision::Allow
        }
    };
    let inside = space.map_or_else(String::new, |space| {
        address::encode_name(space.as_str()) + "/"
    });
    Ok(shown.then(|| View {
        href: format!("/dav/files/{inside}{TOP}/"),
        name: TOP.into(),
    }))
}

/// Answers a request for a place below `Friends`.
pub(super) async fn answer(request: Request, below: Below) -> Step<Response<Body>> {
    if request.head.method == Method::OPTIONS {
        return Ok(options(&request));
    }
    let Some((name, path)) = below.names.split_first() else {
        return top(request, &below).await;
    };
    let (app, wanted) = (request.app.clone(), name.clone());
    let friend = blocking(move || {
        let friends = app.sharing.accepted_friends()?;
        let friend = friends.values().find(|friend| friend.name == wanted);
        friend.cloned().ok_or(Refused::NOT_FOUND)
    })
    .await?;
    let base = format!("{}{}/", below.base, address::encode_name(name.as_str()));
    let path = path.to_vec();
    if path.is_empty() {
        return friend_top(request, &friend, &base).await;
    }
    forward(request, &friend, &path, &base, below.trailing_slash).await
}

/// `Friends/` itself: known without asking anybody.
async fn top(request: Request, below: &Below) -> Step<Response<Body>> {
    match request.head.method.as_str() {
        "GET" | "HEAD" => return Ok(moved(StatusCode::SEE_OTHER, "/friends")),
        "PROPFIND" => {}
        _ => return Err(made_by_the_server()),
    }
    let app = request.app.clone();
    let base = below.base.clone();
    let rows = blocking(move || {
        let mut rows = vec![View {
            href: base.clone(),
            name: TOP.into(),
        }];
        let mut friends: Vec<Friend> = app.sharing.accepted_friends()?.values().cloned().collect();
        friends.sort_by(|a, b| a.name.cmp(&b.name));
        rows.extend(friends.into_iter().map(|friend| View {
            href: format!("{base}{}/", address::encode_name(friend.name.as_str())),
            name: friend.name.to_string(),
        }));
        Ok(rows)
    });
    let rows = rows.await?;
    list(request, rows).await
}

/// A friend's folder: what is in it is asked for, that it is there is known.
async fn friend_top(request: Request, friend: &Friend, base: &str) -> Step<Response<Body>> {
    match request.head.method.as_str() {
        "GET" | "HEAD" => {
            let to = format!(
                "/friends/files/{}",
                address::encode_name(friend.name.as_str())
            );
            Ok(moved(StatusCode::SEE_OTHER, &to))
        }
        "PROPFIND" if request.header("depth")?.map(str::trim) == Some("0") => {
            let row = View {
                href: base.to_owned(),
                name: friend.name.to_string(),
            };
            list(request, vec![row]).await
        }
        "PROPFIND" => forward(request, friend, &[], base, true).await,
        _ => Err(made_by_the_server()),
    }
}

fn made_by_the_server() -> Refused {
    Refused::text(
        StatusCode::FORBIDDEN,
        "this folder is made by the server and cannot be changed; only what a friend shares can",
    )
}

/// A collection of ours as a multistatus; the first row is the collection itself.
async fn list(request: Request, rows: Vec<View>) -> Step<Response<Body>> {
    let depth = request.header("depth")?.map(Depth::parse).transpose()?;
    let shown = match depth.unwrap_or(Depth::Infinity) {
        Depth::Zero => 1,
        Depth::One => rows.len(),
        Depth::Infinity => {
            return Err(Refused::condition(
                StatusCode::FORBIDDEN,
                "propfind-finite-depth",
                &[],
                "ask with Depth 0 or 1",
            ));
        }
    };
    let minimal = dav::wants_minimal(request.header("prefer")?, request.header("brief")?);
    let sent = body::whole(request.body, dav::BODY_BYTES_MAX).await?;
    let reply = Reply::new(PropFind::parse(&sent)?, minimal);
    let mut out = multistatus::OPEN.to_vec();
    for row in rows.iter().take(shown) {
        reply.push_response(&mut out, row.href.as_bytes(), &row.resource());
    }
    out.extend_from_slice(multistatus::CLOSE);
    Ok(xml(StatusCode::MULTI_STATUS, out))
}

/// Passes the request on to the friend's node.
async fn forward(
    request: Request,
    friend: &Friend,
    path: &[EntryName],
    base: &str,
    folder: bool,
) -> Step<Response<Body>> {
    let mut own = Vec::new();
    let at_host = host(&request.head).to_owned();
    let place = Mapping {
        base,
        host: &at_host,
    };
    if let Some(value) = request.header("destination")? {
        let to = place.remote(value).ok_or_else(elsewhere)?;
        own.push(("destination", to));
    }
    if let Some(value) = request.header("if")? {
        own.push(("if", place.conditions(value)?));
    }
    let method = request.head.method.clone();
    let outgoing = Outgoing {
        friend,
        method: method.clone(),
        path,
        folder,
        headers: &request.head.headers,
        own,
        body: request.body,
        base,
    };
    let mut response = friends::relay(&request.app, &request.asker, outgoing).await?;
    if response.status() == StatusCode::SEE_OTHER {
        // A folder: its page is ours.
        let mut to = format!(
            "/friends/files/{}",
            address::encode_name(friend.name.as_str())
        );
        for name in path {
            to.push('/');
            to.push_str(&address::encode_name(name.as_str()));
        }
        return Ok(moved(StatusCode::SEE_OTHER, &to));
    }
    if response.status() == StatusCode::CREATED
        && matches!(method.as_str(), "MOVE" | "COPY")
        && let Some(value) = request.head.headers.get("destination")
    {
        response
            .headers_mut()
            .insert(header::LOCATION, HeaderValue::clone(value));
    }
    Ok(response)
}

/// RFC 4918 section 9.8.5: between two nodes nothing is copied or moved in one step.
pub(super) fn elsewhere() -> Refused {
    Refused::text(
        StatusCode::BAD_GATEWAY,
        "source and destination are on nodes of different people; download it and upload it there",
    )
}

/// From addresses below a friend's folder to those of its node.
struct Mapping<'a> {
    base: &'a str,
    host: &'a str,
}

impl Mapping<'_> {
    fn remote(&self, value: &str) -> Option<String> {
        let destination = Destination::parse(value).ok()?;
        if !destination.is_on(self.host) {
            return None;
        }
        let slash = destination.path.trailing_slash;
        let Ok(Place::Tree(named)) = Place::of(destination.path) else {
            return None;
        };
        let (top, names) = after_top(&named)?;
        let (friend, path) = names.split_first()?;
        let base = format!("{top}{}/", address::encode_name(friend.as_str()));
        (base == self.base && !path.is_empty()).then(|| friends::remote_address(path, slash))
    }

    /// An If header with its resource tags turned; the header is well-formed or refused.
    fn conditions(&self, value: &str) -> Step<String> {
        dav::IfHeader::parse(value)?;
        let mut turned = String::with_capacity(value.len());
        let mut inside = false;
        let mut rest = value;
        while let Some(at) = rest.find(['(', ')', '<']) {
            let (before, from) = rest.split_at(at);
            turned.push_str(before);
            let end = match &from[..1] {
                "(" => {
                    inside = true;
                    1
                }
                ")" => {
                    inside = false;
                    1
                }
                _ => from.find('>').map_or(from.len(), |end| end + 1),
            };
            let (piece, after) = from.split_at(end);
            match piece
                .strip_prefix('<')
                .and_then(|tag| tag.strip_suffix('>'))
            {
                Some(tag) if !inside => {
                    // What is not at this friend's has no lock and no ETag there.
                    let nowhere = || friends::remote_address(&[], false);
                    let to = self.remote(tag).unwrap_or_else(nowhere);
                    turned.push_str(&format!("<{to}>"));
                }
                Some(_) | None => turned.push_str(piece),
            }
            rest = after;
        }
        turned.push_str(rest);
        Ok(turned)
    }
}

/// Refuses to take something of this node's to a friend's, or the folder `Friends` as a name.
/// Blocks.
pub(super) fn stays_here(app: &App, asker: &Asker, target: &Named) -> Step<()> {
    match below(app, asker, target)? {
        Some(_) => Err(elsewhere()),
        None => Ok(()),
    }
}

/// What the friend that asks may do in a folder, for its pages: `r` or `rw`. Blocks.
pub(super) fn access_of(app: &App, asker: &Asker, named: &Named) -> Step<&'static str> {
    let found = super::access::found(app, asker, named, &Need::ENTRY_LIST)?;
    let chain = app.files.chain(found.entry.fid)?;
    let writes = crate::gate::may(app, asker, &Need::ENTRY_CREATE, &found.space, &chain)?;
    Ok(if writes { "rw" } else { "r" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: Mapping<'static> = Mapping {
        base: "/dav/files/alice/Friends/bob/",
        host: "home:8443",
    };

    #[test]
    fn a_destination_at_the_same_friend_is_turned_and_no_other_is() {
        let check = |value: &str, expected: Option<&str>| {
            assert_eq!(MAPPING.remote(value).as_deref(), expected, "{value}");
        };
        check(
            "https://home:8443/dav/files/alice/Friends/bob/Photos/a%20b",
            Some("http://friend/dav/files/Photos/a%20b"),
        );
        check(
            "/dav/files/alice/Friends/bob/P/",
            Some("http://friend/dav/files/P/"),
        );
        check("/dav/files/alice/Friends/bob/", None);
        check("/dav/files/alice/Friends/eve/P/x", None);
        check("/dav/files/alice/Documents/x", None);
        check("https://other/dav/files/alice/Friends/bob/P/x", None);
    }

    #[test]
    fn tags_of_an_if_header_are_turned_and_its_tests_are_kept() {
        let sent = "<https://home:8443/dav/files/alice/Friends/bob/P/x> (<urn:uuid:1> [\"1.2\"])";
        let turned = MAPPING.conditions(sent).ok().unwrap();
        assert_eq!(
            turned,
            "<http://friend/dav/files/P/x> (<urn:uuid:1> [\"1.2\"])"
        );
        let untagged = "(<urn:uuid:1>) (Not <DAV:no-lock>)";
        assert_eq!(MAPPING.conditions(untagged).ok().unwrap(), untagged);
        assert!(MAPPING.conditions("(").is_err());
    }
}
