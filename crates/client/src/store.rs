//! Storing files and folders on the node.
//!
//! Each file goes in one PUT with its length, its SHA-1 (which the node checks before it keeps it) and
//! its time. Without `force` it says `If-None-Match: *`, with it the ETag that was seen, so that nothing
//! is replaced unasked and nothing that somebody else has changed meanwhile (RFC 9110 section 13).

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use protocol::{EntryName, TreePath};

use crate::connection::{STALL, document, stalled};
use crate::{ClientError, EntryKind, Home, Kind, Progress};

const PIECE_BYTES: usize = 256 << 10;
/// After the last byte the node makes it durable; a slow disk may take this many stalls.
const SETTLING_STALLS: u32 = 10;

/// What to store, and how.
#[derive(Debug, Clone)]
pub struct Store {
    /// A file or folder of this computer.
    pub source: PathBuf,
    /// To where: a folder that is there, or a name.
    pub target: TreePath,
    /// The target was written as a folder.
    pub target_is_folder: bool,
    /// Folders with all that is in them.
    pub recursive: bool,
    /// Replace files that are there.
    pub force: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// Files that were stored.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was not stored, one line each.
    pub failed: Vec<String>,
}

/// Stores a file, or a folder with `recursive`. Symbolic links and devices are left out with a note.
///
/// # Errors
/// If the only file or the top folder cannot be stored. In a folder, what fails is listed in the
/// result and the others go on, unless the node went away.
pub async fn store(
    home: &mut Home,
    wish: &Store,
    progress: &impl Progress,
) -> Result<Stored, ClientError> {
    let facts = fs::metadata(&wish.source)
        .map_err(|error| ClientError::local("read", &wish.source, &error))?;
    if facts.is_dir() && !wish.recursive {
        return Err(ClientError::new(
            Kind::Input,
            format!("{} is a folder", wish.source.display()),
        )
        .hint("add -r to store it with all that is in it"));
    }
    let target = target(home, wish).await?;
    let mut stored = Stored::default();
    if facts.is_dir() {
        folder(home, wish, target, progress, &mut stored).await?;
    } else if facts.is_file() {
        stored.bytes = file(home, &wish.source, &target, wish.force, progress).await?;
        stored.files = 1;
    } else {
        return Err(ClientError::new(
            Kind::Input,
            format!("{} is neither a file nor a folder", wish.source.display()),
        ));
    }
    Ok(stored)
}

/// The path on the node of the wish's top: below a folder that is there, else the name itself.
async fn target(home: &mut Home, wish: &Store) -> Result<TreePath, ClientError> {
    let there = home.entry(&wish.target).await?;
    let is_folder = there.is_some_and(|entry| entry.kind == EntryKind::Folder);
    if !is_folder && wish.target_is_folder {
        let place = format!("{}:{}", home.login().name, wish.target);
        return Err(
            ClientError::new(Kind::Missing, format!("there is no folder {place}"))
                .hint("leave out the slash at its end, or make the folder first"),
        );
    }
    if !is_folder {
        return Ok(wish.target.clone());
    }
    let source = fs::canonicalize(&wish.source)
        .map_err(|error| ClientError::local("read", &wish.source, &error))?;
    let name = entry_name(&source).map_err(|why| ClientError::new(Kind::Input, why))?;
    let path = wish.target.join(name);
    path.map_err(|error| ClientError::new(Kind::Input, error.to_string()))
}

/// The name that a local file has on the node.
fn entry_name(path: &Path) -> Result<EntryName, String> {
    let name = path.file_name().unwrap_or_default();
    EntryName::from_bytes(name.as_encoded_bytes())
        .map_err(|error| format!("{} cannot keep its name: {error}", path.display()))
}

async fn folder(
    home: &mut Home,
    wish: &Store,
    target: TreePath,
    progress: &impl Progress,
    stored: &mut Stored,
) -> Result<(), ClientError> {
    let mut waiting = vec![(wish.source.clone(), target)];
    while let Some((source, target)) = waiting.pop() {
        make_folder(home, &target).await?;
        let failed = |error: io::Error| ClientError::local("list", &source, &error);
        let mut entries = fs::read_dir(&source)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(failed)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let kind = entry.file_type().map_err(failed)?;
            if !kind.is_dir() && !kind.is_file() {
                let why = "is left out: neither a file nor a folder";
                progress.note(&format!("{} {why}", path.display()));
                continue;
            }
            let below = entry_name(&path)
                .and_then(|name| target.join(name).map_err(|error| error.to_string()));
            let below = match below {
                Ok(below) => below,
                Err(why) => {
                    stored.failed.push(why);
                    continue;
                }
            };
            if kind.is_dir() {
                waiting.push((path, below));
                continue;
            }
            match file(home, &path, &below, wish.force, progress).await {
                Ok(bytes) => {
                    stored.files += 1;
                    stored.bytes += bytes;
                }
                Err(error) if error.kind == Kind::Unreachable => return Err(error),
                Err(error) => stored.failed.push(format!("{}: {error}", path.display())),
            }
        }
    }
    Ok(())
}

async fn make_folder(home: &mut Home, path: &TreePath) -> Result<(), ClientError> {
    let (Some(parent), Some(name)) = (path.parent(), path.last()) else {
        return Ok(());
    };
    match home.entry(path).await? {
        Some(entry) if entry.kind == EntryKind::Folder => Ok(()),
        Some(_) => Err(ClientError::new(
            Kind::Conflict,
            format!("{}:{path} is a file, not a folder", home.login().name),
        )),
        None => home.make_folder(&parent, name).await,
    }
}

/// Stores one file; gives its length.
async fn file(
    home: &mut Home,
    source: &Path,
    target: &TreePath,
    force: bool,
    progress: &impl Progress,
) -> Result<u64, ClientError> {
    let failed = |error: io::Error| ClientError::local("read", source, &error);
    let there = home.entry(target).await?;
    let place = format!("{}:{target}", home.login().name);
    let mut headers = HeaderMap::new();
    match there {
        Some(entry) if entry.kind == EntryKind::Folder => {
            return Err(
                ClientError::new(Kind::Conflict, format!("{place} is a folder"))
                    .hint("give the file another name"),
            );
        }
        Some(_) if !force => return Err(taken(&place)),
        Some(entry) => {
            let etag = HeaderValue::from_str(&entry.etag)
                .map_err(|_| ClientError::fault("the node's ETag cannot be"))?;
            headers.insert(header::IF_MATCH, etag);
        }
        None => {
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
    }
    let mut content = File::open(source).map_err(failed)?;
    let facts = content.metadata().map_err(failed)?;
    let (sha1, length) = sha1(&mut content).map_err(failed)?;
    let since = facts
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    if let Some(since) = since {
        let mtime = HeaderName::from_static("x-oc-mtime");
        headers.insert(mtime, HeaderValue::from(since.as_secs()));
    }
    let sha1 = HeaderValue::from_str(&format!("SHA1:{sha1}"))
        .map_err(|_| ClientError::fault("a checksum that cannot be sent"))?;
    headers.insert(HeaderName::from_static("oc-checksum"), sha1);
    progress.begin(&source.display().to_string(), length, 0);
    let content = File::open(source).map_err(failed)?;
    let done = upload(home, target, headers, content, length, progress).await;
    progress.end();
    match done? {
        (status, _) if status.is_success() => Ok(length),
        (StatusCode::PRECONDITION_FAILED, _) => Err(match force {
            false => taken(&place),
            true => ClientError::new(
                Kind::Conflict,
                format!(
                    "{place} was changed by somebody at the same moment; it is as they left it"
                ),
            )
            .hint("look at it, then try again"),
        }),
        (StatusCode::CONFLICT, bytes) => {
            let error = home.refusal(StatusCode::CONFLICT, &bytes);
            Err(error.hint("the folder must be there; -r stores folders with what is in them"))
        }
        (status, bytes) => Err(home.refusal(status, &bytes)),
    }
}

fn taken(place: &str) -> ClientError {
    ClientError::new(Kind::Conflict, format!("{place} is there already"))
        .hint("--force replaces it (the node keeps the old version); or give another name")
}

fn sha1(content: &mut File) -> io::Result<(String, u64)> {
    let mut sha1 = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    let mut buffer = vec![0; PIECE_BYTES];
    let mut length = 0;
    loop {
        let read = content.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        sha1.update(&buffer[..read]);
        length += read as u64;
    }
    let digest = sha1.finish();
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    Ok((digits.collect(), length))
}

/// Sends content and waits for the answer as long as something moves.
async fn upload(
    home: &mut Home,
    target: &TreePath,
    headers: HeaderMap,
    content: File,
    length: u64,
    progress: &impl Progress,
) -> Result<(StatusCode, Bytes), ClientError> {
    let sent = Arc::new(AtomicU64::new(0));
    let body = Upload {
        content,
        left: length,
        sent: Arc::clone(&sent),
    };
    let path = home.content(target);
    let mut answer = std::pin::pin!(home.send(Method::PUT, &path, headers, body.boxed_unsync()));
    let (mut told, mut silent) = (0, 0);
    let look_again = STALL / 240;
    loop {
        tokio::select! {
            answer = &mut answer => {
                progress.advance(sent.load(Ordering::Relaxed) - told);
                return document(answer?).await;
            }
            () = tokio::time::sleep(look_again) => {}
        }
        let moved = sent.load(Ordering::Relaxed);
        silent = if moved > told { 0 } else { silent + 1 };
        progress.advance(moved - told);
        told = moved;
        let stalls = if told == length { SETTLING_STALLS } else { 1 };
        if silent > 240 * stalls {
            return Err(stalled());
        }
    }
}

/// A file as the body of a request.
struct Upload {
    content: File,
    left: u64,
    sent: Arc<AtomicU64>,
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(self.left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        let mut piece = vec![0; wanted];
        let read = match self.content.read(&mut piece) {
            // The node keeps nothing of an upload that is shorter than it said.
            Ok(0) => {
                let why = "the file became shorter while it was sent";
                return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, why))));
            }
            Ok(read) => read,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        piece.truncate(read);
        self.left -= read as u64;
        self.sent.fetch_add(read as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
