//! Uploads by form: `multipart/form-data` (RFC 7578), streamed to the volume, any size.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use files::{At, Author, Change, Expect, Op, Staged};
use protocol::{EntryName, TreePath};
use sharing::{Asker, Need};

use super::change::commit_one;
use crate::address::{self, encode_name};
use crate::call::{Answer, Call};
use crate::dispatch::redirect;
use crate::gate::{Visit, gate};
use crate::parts::{self, Part, Parts};
use crate::problem::{Fault, Problem};
use crate::{App, body};

/// Most files of one form.
const FILES_MAX: usize = 10_000;
/// Names tried before a taken one is given up.
const NUMBERS_MAX: u32 = 10_000;

/// What happens to a name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clash {
    /// The new file gets a number.
    Number,
    /// The new content takes its place; the old one becomes a version.
    Replace,
    /// The new file is refused.
    Refuse,
}

/// A file that was stored.
pub(crate) struct Stored {
    pub(crate) wanted: EntryName,
    pub(crate) given: EntryName,
}

/// `POST /upload/SPACE/folder`
pub(crate) async fn upload(call: Call) -> Answer {
    let visit = call.visit()?.clone();
    let stored = receive(&call, &visit, None).await?;
    let here = address::encode(&visit.space.name, &visit.at.path);
    let mut to = format!("/files/{here}?done=uploaded&count={}", stored.len());
    for file in stored
        .iter()
        .filter(|file| file.wanted != file.given)
        .take(20)
    {
        let pair = format!("{}/{}", file.wanted, file.given);
        to.push_str(&format!("&renamed={}", encode_name(&pair)));
    }
    Ok(redirect(&to))
}

/// Stores every file of the form in the folder of `visit`. `always` overrules the form's choice
/// about taken names.
pub(crate) async fn receive(
    call: &Call,
    visit: &Visit,
    always: Option<Clash>,
) -> Result<Vec<Stored>, Problem> {
    if !visit.entry.is_folder() {
        return Err(Problem::new(Fault::NotAFolder));
    }
    let mut parts = Parts::read(&call.head.headers, call.take_body())?;
    let mut clash = always.unwrap_or(Clash::Number);
    let mut stored = Vec::new();
    while let Some(field) = parts.next().await? {
        let Some(name) = field.file_name().map(str::to_owned) else {
            let is_clash = field.name() == Some("clash");
            let value = parts::text(field).await?;
            if always.is_none() && is_clash {
                clash = match value.as_str() {
                    "number" => Clash::Number,
                    "replace" => Clash::Replace,
                    "refuse" => Clash::Refuse,
                    _ => return Err(Problem::bad("clash")),
                };
            }
            continue;
        };
        // A browser sends an empty part for an empty file field.
        if name.is_empty() {
            continue;
        }
        if stored.len() >= FILES_MAX {
            return Err(Problem::bad("file"));
        }
        stored.push(store(call, visit, base_name(&name)?, clash, field).await?);
    }
    if stored.is_empty() {
        return Err(Problem::new(Fault::NothingPicked));
    }
    Ok(stored)
}

/// Some browsers send the path on the sender's machine; only its end is a name.
fn base_name(sent: &str) -> Result<EntryName, Problem> {
    let name = sent.rsplit(['/', '\\']).next().unwrap_or(sent);
    Ok(EntryName::new(name)?)
}

async fn store(
    call: &Call,
    visit: &Visit,
    wanted: EntryName,
    clash: Clash,
    field: Part,
) -> Result<Stored, Problem> {
    let at = At {
        space: visit.at.space,
        path: visit.at.path.join(wanted.clone())?,
    };
    let (asker, checked) = (call.asker.clone(), at.clone());
    let through_link = visit.link.is_some();
    call.blocking(move |app| early(app, &asker, &checked, clash, through_link))
        .await?;
    let content = body::stage(&call.app, at, field, Expect::default()).await?;
    let (author, folder) = (call.author(), visit.at.clone());
    call.blocking(move |app| place(app, &author, &folder, wanted, clash, content))
        .await
}

/// Refuses before the bytes come what would be refused after them.
fn early(
    app: &App,
    asker: &Asker,
    at: &At,
    clash: Clash,
    through_link: bool,
) -> Result<(), Problem> {
    let Some(taken) = app.files.find(at)? else {
        return Ok(());
    };
    match clash {
        Clash::Number => Ok(()),
        Clash::Refuse => Err(Problem::new(Fault::Taken)),
        Clash::Replace if taken.is_folder() => Err(Problem::new(Fault::IsAFolder)),
        Clash::Replace => {
            let need = if through_link {
                Need::LINK_WRITE
            } else {
                Need::ENTRY_WRITE
            };
            gate(app, asker, &need, &taken).map(|_| ())
        }
    }
}

/// Of two uploads that may come to the same name at once, the second one must see the first; others
/// do not wait for each other, so that they share flushes. Names share a lock by chance at most.
static NAMING: [Mutex<()>; 64] = [const { Mutex::new(()) }; 64];

/// The lock for a name: `a.jpg`, `A.JPG` and `a (2).jpg` have the same one.
fn naming(folder: &At, wanted: &EntryName) -> &'static Mutex<()> {
    let name = wanted.as_str().to_lowercase();
    let (stem, ending) = split_ending(&name);
    let stem = stem
        .strip_suffix(')')
        .map(|stem| stem.trim_end_matches(|digit: char| digit.is_ascii_digit()))
        .and_then(|stem| stem.strip_suffix(" ("))
        .unwrap_or(stem);
    let mut hasher = DefaultHasher::new();
    (folder.space.0, folder.path.to_string(), stem, ending).hash(&mut hasher);
    &NAMING[usize::try_from(hasher.finish() % NAMING.len() as u64).unwrap_or(0)]
}

fn place(
    app: &App,
    author: &Author,
    folder: &At,
    wanted: EntryName,
    clash: Clash,
    content: Staged,
) -> Result<Stored, Problem> {
    let naming = naming(folder, &wanted);
    let _one_at_a_time = naming.lock().unwrap_or_else(PoisonError::into_inner);
    let given = match clash {
        Clash::Number => free_name(app, folder, &wanted)?,
        Clash::Replace | Clash::Refuse => wanted.clone(),
    };
    let op = Op::new(Change::Put {
        at: At {
            space: folder.space,
            path: folder.path.join(given.clone())?,
        },
        content,
        mtime: None,
        no_overwrite: clash != Clash::Replace,
    });
    commit_one(app, author, op)?;
    Ok(Stored { wanted, given })
}

/// `photo.jpg`, `photo (2).jpg`, `photo (3).jpg`, …: the first one that is free.
fn free_name(app: &App, folder: &At, wanted: &EntryName) -> Result<EntryName, Problem> {
    let is_free = |name: &EntryName| -> Result<bool, Problem> {
        let path: TreePath = folder.path.join(name.clone())?;
        let at = At {
            space: folder.space,
            path,
        };
        Ok(app.files.find(&at)?.is_none())
    };
    if is_free(wanted)? {
        return Ok(wanted.clone());
    }
    for number in 2..NUMBERS_MAX {
        let name = numbered(wanted.as_str(), number)?;
        if is_free(&name)? {
            return Ok(name);
        }
    }
    Err(Problem::new(Fault::Taken))
}

/// A name and its ending with the dot, if it has one.
fn split_ending(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= 16 => name.split_at(dot),
        Some(_) | None => (name, ""),
    }
}

/// The name with a number before its ending, cut so that it stays a name.
fn numbered(name: &str, number: u32) -> Result<EntryName, Problem> {
    let (stem, ending) = split_ending(name);
    let tail = format!(" ({number}){ending}");
    let mut cut = stem.len().min(protocol::NAME_BYTES_MAX - tail.len());
    while !stem.is_char_boundary(cut) {
        cut -= 1;
    }
    Ok(EntryName::new(&format!("{}{tail}", &stem[..cut]))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_gets_a_number_before_its_ending() {
        let check = |name, expected: &str| {
            assert_eq!(numbered(name, 2).unwrap().as_str(), expected);
        };
        check("photo.jpg", "photo (2).jpg");
        check("README", "README (2)");
        check(".profile", ".profile (2)");
        check("archive.tar.gz", "archive.tar (2).gz");
        check("no. not an ending here", "no. not an ending here (2)");
        let long = "旅".repeat(85);
        let name = numbered(&long, 2).unwrap();
        assert!(name.as_str().len() <= 255 && name.as_str().ends_with(" (2)"));
    }

    #[test]
    fn names_that_can_meet_share_a_lock_and_most_others_do_not() {
        let folder = |path: &str| At {
            space: protocol::SpaceId(1),
            path: TreePath::parse(path).unwrap(),
        };
        let lock = |path: &str, name: &str| {
            std::ptr::from_ref(naming(&folder(path), &EntryName::new(name).unwrap()))
        };
        let one = lock("/d", "a.jpg");
        for twin in ["A.JPG", "a (2).jpg", "a (17).JPG"] {
            assert_eq!(lock("/d", twin), one, "{twin}");
        }
        let others: std::collections::BTreeSet<_> =
            (0..200).map(|n| lock("/d", &format!("{n}.jpg"))).collect();
        assert!(others.len() > 32, "{}", others.len());
    }

    #[test]
    fn only_the_end_of_a_senders_path_is_a_name() {
        assert_eq!(base_name("C:\\Users\\me\\a.txt").unwrap().as_str(), "a.txt");
        assert_eq!(base_name("../../etc/passwd").unwrap().as_str(), "passwd");
        assert!(base_name("..").is_err());
    }
}
