//! PROPFIND (RFC 4918 section 9.1), streamed from one snapshot of the catalog.
//!
//! One blocking thread prints into a buffer and hands full pieces to the connection through a
//! bounded channel, so memory is the same for ten entries and a million. A client that takes nothing
//! for [`STALL_MAX`] is given up, for the snapshot holds a reader of the catalog. A listing that
//! breaks off in the middle ends with an error, never with a well-formed body.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use dav::{ActiveLock, DeadRef, Depth, PropFind, Quota, Reply, Resource, multistatus};
use files::{At, DeadProp, Entry, LockInfo, Space};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use protocol::{EntryName, Timestamp, TreePath};
use sharing::{Need, Visibility};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::App;
use crate::friends::ACCESS_HEADER;
use crate::problem::{Fault, Problem};

use super::access::{self, Found};
use super::conditions::Wanted;
use super::friends;
use super::media::media_type;
use super::names::Names;
use super::place::{Named, Place, href};
use super::refused::{Refused, Step};
use super::shared::{self, Next};
use super::views::{self, View};
use super::{Context, Request, body, xml};

/// Bytes handed over at once.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces that wait for the client.
const PIECES_MAX: usize = 16;

/// A client that takes no piece for this long is given up.
const STALL_MAX: Duration = Duration::from_secs(30);

pub(super) async fn propfind(request: Request) -> Step<Response<Body>> {
    let depth = request.header("depth")?.map(Depth::parse).transpose()?;
    // Section 9.1: a missing header means infinity, which we do not do on folders.
    let depth = depth.unwrap_or(Depth::Infinity);
    let wanted = Wanted::of(&request.head)?;
    let minimal = dav::wants_minimal(request.header("prefer")?, request.header("brief")?);
    let context = request.context();
    let place = request.place;
    let sent = body::whole(request.body, dav::BODY_BYTES_MAX).await?;
    let reply = Reply::new(PropFind::parse(&sent)?, minimal);

    let access = shown_access(context.clone(), place.clone());
    let (first_sender, first) = oneshot::channel();
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let handle = Handle::current();
    // Ends by itself: with the listing, or when nobody listens any more.
    tokio::task::spawn_blocking(move || {
        let mut out = Pieces {
            buffer: multistatus::OPEN.to_vec(),
            first: Some(first_sender),
            sender,
            handle,
        };
        let asked = Asked {
            place,
            depth,
            wanted,
            reply,
        };
        let printed = print(&context, &asked, &mut out);
        out.finish(printed);
    });
    let first = first.await.map_err(|_| Problem::new(Fault::Internal))?;
    let first = first?;
    let access = access.await?;
    let mut response = match first {
        First::Whole(bytes) => xml(StatusCode::MULTI_STATUS, bytes),
        First::Stream => xml(StatusCode::MULTI_STATUS, Body::new(Listing(receiver))),
    };
    if let Some(access) = access {
        let access = HeaderValue::from_static(access);
        response.headers_mut().insert(ACCESS_HEADER, access);
    }
    if minimal {
        let name = HeaderName::from_static("preference-applied");
        let applied = HeaderValue::from_static("return=minimal");
        response.headers_mut().insert(name, applied);
    }
    Ok(response)
}

/// What a friend may do in the folder that its node asks for.
async fn shown_access(context: Context, place: Place) -> Step<Option<&'static str>> {
    let (Some(_), Place::Tree(named)) = (context.asker.friend(), place) else {
        return Ok(None);
    };
    super::blocking(move || friends::access_of(&context.app, &context.asker, &named).map(Some))
        .await
}

/// What is known when the head of the response can be sent.
enum First {
    /// All of it.
    Whole(Vec<u8>),
    /// That there is much of it.
    Stream,
}

/// Where the printed text goes.
struct Pieces {
    buffer: Vec<u8>,
    first: Option<oneshot::Sender<Step<First>>>,
    sender: mpsc::Sender<io::Result<Bytes>>,
    handle: Handle,
}

impl Pieces {
    /// Hands a full buffer over; breaks if the client is gone or stands still.
    fn hand_over(&mut self) -> ControlFlow<()> {
        if self.buffer.len() < PIECE_BYTES {
            return ControlFlow::Continue(());
        }
        if let Some(first) = self.first.take()
            && first.send(Ok(First::Stream)).is_err()
        {
            return ControlFlow::Break(());
        }
        let next = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
        let piece = std::mem::replace(&mut self.buffer, next);
        self.send(Ok(Bytes::from(piece)))
    }

    fn send(&self, piece: io::Result<Bytes>) -> ControlFlow<()> {
        let piece = match self.sender.try_send(piece) {
            Ok(()) => return ControlFlow::Continue(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return ControlFlow::Break(()),
            Err(mpsc::error::TrySendError::Full(piece)) => piece,
        };
        let sending = tokio::time::timeout(STALL_MAX, self.sender.send(piece));
        match self.handle.block_on(sending) {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_)) | Err(_) => ControlFlow::Break(()),
        }
    }

    fn finish(mut self, printed: Step<ControlFlow<()>>) {
        self.buffer.extend_from_slice(multistatus::CLOSE);
        match (self.first.take(), printed) {
            (Some(first), Ok(_)) => {
                let _ = first.send(Ok(First::Whole(std::mem::take(&mut self.buffer))));
            }
            (Some(first), Err(refusal)) => {
                let _ = first.send(Err(refusal));
            }
            (None, Ok(ControlFlow::Continue(()))) => {
                let piece = Bytes::from(std::mem::take(&mut self.buffer));
                let _ = self.send(Ok(piece));
            }
            // The head is out: all that is left is to break the body off.
            (None, Ok(ControlFlow::Break(())) | Err(_)) => {
                let _ = self.send(Err(io::Error::other("the listing broke off")));
            }
        }
    }
}

/// The body of a long listing.
struct Listing(mpsc::Receiver<io::Result<Bytes>>);

impl http_body::Body for Listing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// The question.
struct Asked {
    place: Place,
    depth: Depth,
    wanted: Wanted,
    reply: Reply,
}

fn print(context: &Context, asked: &Asked, out: &mut Pieces) -> Step<ControlFlow<()>> {
    let Asked {
        place,
        depth,
        wanted,
        reply,
    } = asked;
    let depth = *depth;
    match place {
        Place::Tree(named) => print_entry(context, named, asked, out),
        Place::Top | Place::Dav | Place::Spaces | Place::Principals | Place::WellKnown => {
            wanted.check_reading(&context.app, &context.asker, None)?;
            finite(depth)?;
            let deep = depth == Depth::One;
            for view in views::views(&context.app, &context.asker, place, deep)? {
                let href = view.href.as_bytes();
                reply.push_response(&mut out.buffer, href, &view.resource());
            }
            Ok(ControlFlow::Continue(()))
        }
    }
}

/// Section 9.1.1.
fn finite(depth: Depth) -> Step<()> {
    if depth == Depth::Infinity {
        return Err(Refused::condition(
            StatusCode::FORBIDDEN,
            "propfind-finite-depth",
            &[],
            "ask with Depth 0 or 1",
        ));
    }
    Ok(())
}

fn print_entry(
    context: &Context,
    named: &Named,
    asked: &Asked,
    out: &mut Pieces,
) -> Step<ControlFlow<()>> {
    let (app, asker) = (&context.app, &context.asker);
    let (reply, depth) = (&asked.reply, asked.depth);
    if let Some(steps) = shared::way(app, asker, named)? {
        asked.wanted.check_reading(app, asker, None)?;
        finite(depth)?;
        return print_way(context, named, steps, asked, out);
    }
    let found = access::found(app, asker, named, &Need::ENTRY_LIST)?;
    asked.wanted.check_reading(app, asker, Some(&found.at))?;
    let folder = found.entry.is_folder();
    if folder {
        finite(depth)?;
    } else if named.trailing_slash {
        return Err(Refused::NOT_FOUND);
    }
    let quota = quota(context, &found, reply)?;
    let printer = Printer {
        reply,
        names: Names::of(app, asker)?,
        space: &found.space,
        now: app.now(),
        quota,
    };
    printer.push_entry(out, app, &found.at, &found.entry)?;
    if !folder || depth != Depth::One {
        return Ok(ControlFlow::Continue(()));
    }
    access::note_read(app, asker, &found)?;
    let visibility = app.sharing.visibility(asker)?;
    let flow = print_children(context, &found, &printer, &visibility, out)?;
    if named.path.is_root()
        && flow.is_continue()
        && let Some(row) = friends::row(app, asker, Some(&named.space))?
    {
        let href = row.href.as_bytes();
        reply.push_response(&mut out.buffer, href, &row.resource());
    }
    Ok(flow)
}

/// A folder on the way to what is shared, and the next steps from it.
fn print_way(
    context: &Context,
    named: &Named,
    steps: BTreeMap<EntryName, Next>,
    asked: &Asked,
    out: &mut Pieces,
) -> Step<ControlFlow<()>> {
    let (app, reply) = (&context.app, &asked.reply);
    let bare = |out: &mut Pieces, path: &TreePath| {
        let name = path.last().unwrap_or(&named.space).to_string();
        let href = href(&named.space, path, true);
        let view = View { href, name };
        reply.push_response(&mut out.buffer, view.href.as_bytes(), &view.resource());
    };
    bare(out, &named.path);
    if asked.depth != Depth::One {
        return Ok(ControlFlow::Continue(()));
    }
    for (name, next) in steps {
        match next {
            Next::Way => bare(out, &named.path.join(name)?),
            Next::Shared(given) => {
                let printer = Printer {
                    reply,
                    names: Names::Spaces,
                    space: &given.space,
                    now: app.now(),
                    quota: None,
                };
                printer.push_entry(out, app, &given.at, &given.entry)?;
            }
        }
        if out.hand_over().is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// RFC 4331; of folders only, for the space as a whole.
fn quota(context: &Context, found: &Found, reply: &Reply) -> Step<Option<Quota>> {
    if !reply.needs_quota() || !found.entry.is_folder() {
        return Ok(None);
    }
    let usage = context.app.files.usage(found.space.id)?;
    Ok(Some(Quota {
        used: usage.used,
        available: Some(usage.available),
    }))
}

fn print_children(
    context: &Context,
    found: &Found,
    printer: &Printer<'_>,
    visibility: &Visibility,
    out: &mut Pieces,
) -> Step<ControlFlow<()>> {
    let mut address = printer
        .names
        .href(&found.space.name, &found.at.path, true)
        .into_bytes();
    let parent = address.len();
    let mut flow = ControlFlow::Continue(());
    let with_props = printer.reply.needs_dead();
    context
        .app
        .files
        .for_each_child(found.entry.fid, with_props, &mut |entry, dead, locks| {
            if !visibility.shows(entry.fid) {
                return ControlFlow::Continue(());
            }
            address.truncate(parent);
            dav::push_encoded(&mut address, entry.name.as_str());
            if entry.is_folder() {
                address.push(b'/');
            }
            // The locks come with those that reach down from above.
            if locks.is_empty() {
                printer.push(out, &address, entry, &[], dead);
            } else {
                let own = String::from_utf8_lossy(&address).into_owned();
                let shown = printer.locks(locks, &own, entry.fid);
                printer.push(out, &address, entry, &shown, dead);
            }
            flow = out.hand_over();
            flow
        })?;
    Ok(flow)
}

/// What all rows of one listing share.
struct Printer<'a> {
    reply: &'a Reply,
    names: Names,
    space: &'a Space,
    now: Timestamp,
    quota: Option<Quota>,
}

/// A lock with the text of its root's address.
struct Shown {
    lock: LockInfo,
    root_href: String,
    timeout_s: u64,
}

impl Printer<'_> {
    /// The locks with their roots' addresses; `own` is that of the entry `fid`.
    fn locks(&self, locks: &[LockInfo], own: &str, fid: protocol::Fid) -> Vec<Shown> {
        let shown = locks.iter().map(|lock| Shown {
            root_href: if lock.fid == fid {
                own.to_owned()
            } else {
                // A lock that reaches down lies on a folder.
                self.names.href(&self.space.name, &lock.root.path, true)
            },
            timeout_s: lock.expires.since(self.now).as_secs(),
            lock: lock.clone(),
        });
        shown.collect()
    }

    /// One entry that is asked for by itself, with its locks and dead properties.
    fn push_entry(&self, out: &mut Pieces, app: &App, at: &At, entry: &Entry) -> Step<()> {
        let locks = if self.reply.needs_locks() {
            app.files.locks_on(entry.fid)?
        } else {
            Vec::new()
        };
        let dead = if self.reply.needs_dead() {
            app.files.dead_props(entry.fid)?
        } else {
            Vec::new()
        };
        let own = self
            .names
            .href(&self.space.name, &at.path, entry.is_folder());
        let locks = self.locks(&locks, &own, entry.fid);
        self.push(out, own.as_bytes(), entry, &locks, &dead);
        Ok(())
    }

    fn push(
        &self,
        out: &mut Pieces,
        href: &[u8],
        entry: &Entry,
        locks: &[Shown],
        dead: &[DeadProp],
    ) {
        let locks: Vec<ActiveLock<'_>> = locks.iter().map(Shown::active).collect();
        let dead: Vec<DeadRef<'_>> = dead
            .iter()
            .map(|dead| DeadRef {
                namespace: &dead.namespace,
                name: &dead.name,
                xml: &dead.xml,
            })
            .collect();
        let folder = entry.is_folder();
        let name = entry.name.as_str();
        let resource = Resource {
            folder,
            // The top of a space has no name of its own in the tree.
            name: if entry.parent.is_none() {
                self.space.name.as_str()
            } else {
                name
            },
            created_s: entry.created.secs(),
            modified_s: entry.mtime.secs(),
            size: entry.size,
            etag: Some(entry.etag()),
            media_type: if folder { "" } else { media_type(name) },
            locks: &locks,
            lockable: true,
            quota: self.quota.filter(|_| folder),
            dead: &dead,
        };
        self.reply.push_response(&mut out.buffer, href, &resource);
    }
}

impl Shown {
    fn active(&self) -> ActiveLock<'_> {
        active(&self.lock, &self.root_href, self.timeout_s)
    }
}

/// A lock as it is printed.
pub(super) fn active<'a>(lock: &'a LockInfo, root_href: &'a str, timeout_s: u64) -> ActiveLock<'a> {
    ActiveLock {
        token: &lock.token,
        root_href,
        exclusive: lock.exclusive,
        deep: lock.deep,
        owner_xml: &lock.owner_xml,
        timeout_s,
    }
}
