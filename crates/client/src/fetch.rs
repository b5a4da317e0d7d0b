//! Fetching files and folders.
//!
//! A file arrives under a hidden name that holds its ETag, beside its place. A fetch that breaks off
//! leaves that part, and the next one goes on behind it (Range with If-Match, RFC 9110 section 14),
//! so a part never mixes two states of a file. Complete and checked against the node's BLAKE3, it is
//! flushed and gets its name; whatever happens before, even power loss, leaves nothing under that name
//! and what was there before as it was.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use protocol::{EntryName, TreePath};

use crate::connection::{document, full, piece};
use crate::{ClientError, Entry, EntryKind, Home, Kind, Progress};

/// A broken connection is taken up again so often in a row without one more byte.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);
/// Longest file name of the usual file systems.
const NAME_BYTES_MAX: usize = 255;

/// What to fetch, and how.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// From where.
    pub source: TreePath,
    /// To where: a folder that is there, or a name that is not; the current folder if `None`.
    pub target: Option<PathBuf>,
    /// Folders with all that is in them.
    pub recursive: bool,
    /// Replace files that are there.
    pub force: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Files that arrived.
    pub files: u64,
    /// Their bytes, with those that were there from an earlier try.
    pub bytes: u64,
    /// What did not arrive, one line each.
    pub failed: Vec<String>,
}

/// Fetches a file, or a folder with `recursive`.
///
/// # Errors
/// If the only file or the top folder cannot be fetched. In a folder, what fails is listed in the
/// result and the others go on, unless the node went away.
pub async fn fetch(
    home: &mut Home,
    wish: &Fetch,
    progress: &impl Progress,
) -> Result<Fetched, ClientError> {
    let entry = home.entry(&wish.source).await?.ok_or_else(|| {
        let place = format!("{}:{}", home.login().name, wish.source);
        ClientError::new(Kind::Missing, format!("there is no {place}")).hint(format!(
            "`cumulet ls {}:/` shows what there is",
            home.login().name
        ))
    })?;
    let target = target(wish, &entry)?;
    let mut fetched = Fetched::default();
    match entry.kind {
        EntryKind::File => {
            let got = file(home, &wish.source, &target, wish.force, progress).await?;
            fetched.files = 1;
            fetched.bytes = got;
        }
        EntryKind::Folder if !wish.recursive => {
            return Err(
                ClientError::new(Kind::Input, format!("{} is a folder", wish.source))
                    .hint("add -r to fetch it with all that is in it"),
            );
        }
        EntryKind::Folder => {
            folder(home, wish, &target, progress, &mut fetched).await?;
        }
    }
    Ok(fetched)
}

/// The local path of the wish's top.
fn target(wish: &Fetch, entry: &Entry) -> Result<PathBuf, ClientError> {
    let name = EntryName::new(&entry.name)
        .map_err(|error| ClientError::fault(format!("the node's name cannot be: {error}")))?;
    let given = wish.target.clone().unwrap_or_else(|| PathBuf::from("."));
    let meant_as_folder = given.as_os_str().as_encoded_bytes().ends_with(b"/");
    if given.is_dir() {
        return Ok(given.join(name.as_str()));
    }
    if meant_as_folder {
        return Err(
            ClientError::new(Kind::Local, format!("{} is no folder", given.display()))
                .hint("make it first"),
        );
    }
    Ok(given)
}

async fn folder(
    home: &mut Home,
    wish: &Fetch,
    target: &Path,
    progress: &impl Progress,
    fetched: &mut Fetched,
) -> Result<(), ClientError> {
    let mut waiting = vec![(wish.source.clone(), target.to_path_buf())];
    while let Some((source, target)) = waiting.pop() {
        let (_, entries) = home.list(&source).await?;
        if !target.is_dir() {
            fs::create_dir(&target).map_err(|error| ClientError::local("make", &target, &error))?;
        }
        for entry in entries.into_iter().flatten() {
            let failed =
                |error: &dyn std::fmt::Display| format!("{source}/{}: {error}", entry.name);
            let below = EntryName::new(&entry.name)
                .map_err(|error| error.to_string())
                .and_then(|name| source.join(name).map_err(|error| error.to_string()));
            let below = match below {
                Ok(below) => below,
                Err(error) => {
                    fetched.failed.push(failed(&error));
                    continue;
                }
            };
            let local = target.join(&entry.name);
            if entry.kind == EntryKind::Folder {
                waiting.push((below, local));
                continue;
            }
            match file(home, &below, &local, wish.force, progress).await {
                Ok(bytes) => {
                    fetched.files += 1;
                    fetched.bytes += bytes;
                }
                Err(error) if matches!(error.kind, Kind::Unreachable) => return Err(error),
                Err(error) => fetched.failed.push(failed(&error)),
            }
        }
    }
    Ok(())
}

/// Fetches one file; gives its length.
async fn file(
    home: &mut Home,
    source: &TreePath,
    target: &Path,
    force: bool,
    progress: &impl Progress,
) -> Result<u64, ClientError> {
    if !force && target.symlink_metadata().is_ok() {
        return Err(taken(target));
    }
    // Twice, because the file may be replaced between the question and the answer.
    for _ in 0..3 {
        let entry = home
            .entry(source)
            .await?
            .filter(|entry| entry.kind == EntryKind::File)
            .ok_or_else(|| ClientError::new(Kind::Missing, format!("{source} is gone")))?;
        let mut part = Part::open(target, &entry)?;
        progress.begin(&entry.name, entry.size, part.length);
        let complete = part.complete(home, source, &entry, progress).await;
        progress.end();
        if complete? {
            part.settle(target, force)?;
            return Ok(entry.size);
        }
        part.discard();
    }
    Err(ClientError::new(
        Kind::Conflict,
        format!("{source} is being changed all the time"),
    )
    .hint("try again when nobody writes to it"))
}

fn taken(target: &Path) -> ClientError {
    ClientError::new(
        Kind::Conflict,
        format!("{} is there already", target.display()),
    )
    .hint("--force replaces it; or give another name")
}

/// A file on its way.
struct Part {
    path: PathBuf,
    file: File,
    hasher: blake3::Hasher,
    length: u64,
    modified: Option<std::time::SystemTime>,
}

impl Part {
    /// Opens what an earlier try left of the same state of the file, or begins anew.
    fn open(target: &Path, entry: &Entry) -> Result<Self, ClientError> {
        let path = part_path(target, &entry.etag);
        let failed = |error: &io::Error| ClientError::local("write", &path, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(|error| failed(&error))?;
        if file.try_lock().is_err() {
            return Err(ClientError::new(
                Kind::Conflict,
                format!("another `cumulet get` is fetching {}", target.display()),
            )
            .hint("wait for it"));
        }
        let mut hasher = blake3::Hasher::new();
        let mut present = file.metadata().map_err(|error| failed(&error))?.len();
        if present > entry.size {
            file.set_len(0).map_err(|error| failed(&error))?;
            present = 0;
        }
        let read = io::copy(&mut (&mut file).take(present), &mut hasher);
        let length = read.map_err(|error| failed(&error))?;
        Ok(Self {
            path,
            file,
            hasher,
            length,
            modified: None,
        })
    }

    fn restart(&mut self) -> Result<(), ClientError> {
        let again = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))
        };
        again(&mut self.file).map_err(|error| ClientError::local("write", &self.path, &error))?;
        self.hasher = blake3::Hasher::new();
        self.length = 0;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| ClientError::local("write", &self.path, &error))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Fetches what is missing, over as many connections as it takes; false if the file on the node
    /// is another one by now.
    async fn complete(
        &mut self,
        home: &mut Home,
        source: &TreePath,
        entry: &Entry,
        progress: &impl Progress,
    ) -> Result<bool, ClientError> {
        let mut tries = 0;
        loop {
            let before = self.length;
            match self.rest(home, source, entry, progress).await {
                Ok(true) => break,
                Ok(false) => return Ok(false),
                Err(error) if error.kind == Kind::Unreachable && tries < TRIES => {
                    tries = if self.length > before { 0 } else { tries + 1 };
                    tracing::debug!(%error, "the rest is asked for again");
                    tokio::time::sleep(PAUSE * tries.max(1)).await;
                    // If the node is away, the next request tells.
                    let _ = home.reconnect().await;
                }
                Err(error) => return Err(error),
            }
        }
        let hash = self.hasher.finalize();
        if entry
            .blake3
            .as_ref()
            .is_some_and(|wanted| *wanted != hash.to_hex().as_str())
        {
            self.discard_file();
            return Err(ClientError::fault(format!(
                "{source} has arrived with other content than the node says it has"
            ))
            .hint("try again; if it stays so, run `cumulet check --deep` on the node"));
        }
        Ok(true)
    }

    /// One request for what is missing.
    async fn rest(
        &mut self,
        home: &mut Home,
        source: &TreePath,
        entry: &Entry,
        progress: &impl Progress,
    ) -> Result<bool, ClientError> {
        let mut headers = HeaderMap::new();
        let text = |text: String| {
            HeaderValue::from_str(&text)
                .map_err(|_| ClientError::fault(format!("the node's ETag cannot be: {text}")))
        };
        headers.insert(header::IF_MATCH, text(entry.etag.clone())?);
        if self.length > 0 && self.length < entry.size {
            headers.insert(header::RANGE, text(format!("bytes={}-", self.length))?);
        } else if self.length == entry.size && entry.size > 0 {
            return Ok(true);
        }
        let path = home.content(source);
        let answer = home
            .send(Method::GET, &path, headers, full(Bytes::new()))
            .await?;
        match answer.status() {
            StatusCode::OK => self.restart()?,
            StatusCode::PARTIAL_CONTENT if begins_at(&answer, self.length) => {}
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.restart()?;
                return Err(ClientError::new(
                    Kind::Unreachable,
                    "the node sent another part than it was asked for",
                ));
            }
            StatusCode::PRECONDITION_FAILED | StatusCode::NOT_FOUND => return Ok(false),
            status => {
                let (_, bytes) = document(answer).await?;
                return Err(home.refusal(status, &bytes));
            }
        }
        self.modified = modified(&answer);
        let mut body = answer.into_body();
        while let Some(bytes) = piece(&mut body).await? {
            if self.length + bytes.len() as u64 > entry.size {
                self.restart()?;
                return Err(ClientError::fault(
                    "the node sent more than the file's length",
                ));
            }
            self.write(&bytes)?;
            progress.advance(bytes.len() as u64);
        }
        if self.length < entry.size {
            return Err(ClientError::new(
                Kind::Unreachable,
                format!("the node sent {} of {} bytes", self.length, entry.size),
            )
            .hint("try again; what has been fetched is kept and continued"));
        }
        Ok(true)
    }

    /// Makes the part durable and gives it its name.
    fn settle(self, target: &Path, force: bool) -> Result<(), ClientError> {
        let failed = |error: io::Error| ClientError::local("write", target, &error);
        if let Some(modified) = self.modified {
            // A file system that keeps no times keeps the content all the same.
            let _ = self.file.set_modified(modified);
        }
        self.file.sync_all().map_err(failed)?;
        if force {
            fs::rename(&self.path, target).map_err(failed)?;
        } else {
            // A link, unlike a rename, does not replace what came there meanwhile.
            match fs::hard_link(&self.path, target) {
                Ok(()) => fs::remove_file(&self.path).map_err(failed)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(taken(target));
                }
                // A file system without links.
                Err(_) => fs::rename(&self.path, target).map_err(failed)?,
            }
        }
        let parent = target
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = File::open(parent.unwrap_or(Path::new(".")));
        parent.and_then(|parent| parent.sync_all()).map_err(failed)
    }

    fn discard(mut self) {
        self.discard_file();
    }

    fn discard_file(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Where the part of a file with this ETag lies.
fn part_path(target: &Path, etag: &str) -> PathBuf {
    let state: String = etag
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(80)
        .collect();
    let ending = format!(".{state}.cumulet-part");
    let name = target
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into());
    let mut room = NAME_BYTES_MAX
        .saturating_sub(ending.len() + 1)
        .min(name.len());
    while !name.is_char_boundary(room) {
        room -= 1;
    }
    target.with_file_name(format!(".{}{ending}", &name[..room]))
}

fn begins_at(answer: &Response<Incoming>, start: u64) -> bool {
    let range = answer.headers().get(header::CONTENT_RANGE);
    let range = range.and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

fn modified(answer: &Response<Incoming>) -> Option<std::time::SystemTime> {
    let date = answer.headers().get(header::LAST_MODIFIED)?;
    httpdate::parse_http_date(date.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_part_is_hidden_short_and_tells_states_apart() {
        let check = |target: &str, etag: &str, expected: &str| {
            assert_eq!(part_path(Path::new(target), etag), Path::new(expected));
        };
        check("d/a b.txt", "\"7.12\"", "d/.a b.txt.712.cumulet-part");
        check("旅行", "\"x/../y\"", ".旅行.xy.cumulet-part");
        let long = part_path(Path::new(&"é".repeat(127)), "\"1.2\"");
        assert!(long.file_name().unwrap().len() <= NAME_BYTES_MAX);
    }
}
