//! The open descriptors of a volume that is there: its top, `.cumulet`, `tmp` and `history`.
//!
//! Every operation starts from one of them, so it reaches this volume even if something else is
//! mounted over its path meanwhile.

use std::fs::File;
use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::beneath::Beneath;
use super::place::{FOLDER, Folder, Own, Place};
use super::{flush, marker, probe, swap};
use crate::path::OWN;
use crate::{Facts, Identity, Spot, VolumeError, VolumeUuid};

#[derive(Debug)]
pub(super) struct Handles {
    pub(super) beneath: Beneath,
    own: Option<Own>,
    pub(super) identity: Identity,
    pub(super) facts: Facts,
    device: u64,
    marker_inode: Option<u64>,
}

impl Handles {
    /// Opens what lies at `root` and checks that it is the expected volume. A first opening makes
    /// `.cumulet` and the marker; a top that cannot be written to goes without.
    pub(super) fn open(root: &Path, expect: Option<&Identity>) -> Result<Self, VolumeError> {
        let fail = |errno| VolumeError::sort("open", root.display(), errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(root, flags, Mode::empty()).map_err(fail)?;
        let stat = rustix::fs::fstat(&top).map_err(fail)?;
        let file_system = rustix::fs::fstatvfs(&top).map_err(fail)?.f_fsid;
        let seen = Seen {
            file_system,
            top_inode: stat.st_ino,
        };
        let beneath = Beneath::new(top).map_err(fail)?;
        let own = open_own(&beneath, root, expect.is_some_and(|e| e.marked)).map_err(fail)?;
        let (uuid, marked) = recognize(own.as_ref(), root, expect, &seen)?;
        let own = match own {
            Some(own) if marked => Own::open(own.as_fd()).map_err(fail)?,
            Some(_) | None => None,
        };
        let facts = match &own {
            Some(own) => {
                let facts = probe::probe(own.tmp.as_fd()).map_err(fail)?;
                swap::finish(own, facts).map_err(fail)?;
                facts
            }
            None => Facts::default(),
        };
        Ok(Self {
            marker_inode: marked
                .then(|| marker::inode(beneath.top()))
                .transpose()
                .map_err(fail)?,
            identity: Identity {
                uuid,
                marked,
                file_system,
                top_inode: seen.top_inode,
            },
            device: device(&stat),
            beneath,
            own,
            facts,
        })
    }

    /// Checks that the volume still lies at `root`; says what is wrong.
    pub(super) fn check(&self, root: &Path) -> Result<(), String> {
        let stat = rustix::fs::stat(root).map_err(|errno| errno.to_string())?;
        if (device(&stat), stat.st_ino) != (self.device, self.identity.top_inode) {
            return Err("another folder lies at its place".into());
        }
        if self.marker_inode.is_some() {
            marker::inode(self.beneath.top())
                .map_err(|errno| format!("its marker {OWN}/{}: {errno}", marker::MARKER))?;
        }
        Ok(())
    }

    /// Why the volume cannot be written to, if it cannot.
    pub(super) fn read_only(&self) -> Option<String> {
        if self.own.is_none() {
            return Some("its top folder cannot be written to".into());
        }
        match rustix::fs::fstatvfs(self.beneath.top()) {
            Ok(vfs) if vfs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) => {
                Some("it is mounted read-only".into())
            }
            Ok(_) if !self.facts.writable => Some(format!("{OWN}/tmp cannot be written to")),
            Ok(_) | Err(_) => None,
        }
    }

    pub(super) fn own(&self) -> Result<&Own, Errno> {
        self.own.as_ref().ok_or(Errno::ROFS)
    }

    /// Resolves a place to a folder and a name; the volume's top has none (EBUSY).
    pub(super) fn place<'a>(&'a self, at: Spot<'a>) -> Result<Place<'a>, Errno> {
        let (folder, name) = match at {
            Spot::Temp(name) => (
                Folder::Kept(self.own()?.tmp.as_fd()),
                name.as_str().as_ref(),
            ),
            Spot::History(name) => (
                Folder::Kept(self.own()?.history.as_fd()),
                name.as_str().as_ref(),
            ),
            Spot::Path(path) => {
                let path = path.as_path();
                let name = path.file_name().ok_or(Errno::BUSY)?;
                match path.parent().filter(|p| !p.as_os_str().is_empty()) {
                    None => (Folder::Kept(self.beneath.top()), name),
                    Some(parent) => {
                        let flags = OFlags::PATH | OFlags::DIRECTORY;
                        (Folder::Opened(self.beneath.open(parent, flags)?), name)
                    }
                }
            }
        };
        Ok(Place { folder, name })
    }
}

/// What tells an unmarked volume from others.
struct Seen {
    file_system: u64,
    top_inode: u64,
}

fn device(stat: &rustix::fs::Stat) -> u64 {
    stat.st_dev
}

/// Opens `.cumulet`, making it where a new volume may be; `None` where it cannot be made.
fn open_own(beneath: &Beneath, root: &Path, must_be: bool) -> Result<Option<OwnedFd>, Errno> {
    match beneath.open(Path::new(OWN), FOLDER) {
        Ok(own) => return Ok(Some(own)),
        Err(Errno::NOENT) if must_be => return Ok(None),
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    match rustix::fs::mkdirat(beneath.top(), OWN, Mode::RWXU) {
        Ok(()) => rustix::fs::fsync(beneath.top())?,
        Err(Errno::EXIST) => {}
        Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => {
            tracing::info!(root = %root.display(), "a volume that cannot be written to");
            return Ok(None);
        }
        Err(errno) => return Err(errno),
    }
    beneath.open(Path::new(OWN), FOLDER).map(Some)
}

/// Decides which volume this is; gives its id and whether a marker carries it.
fn recognize(
    own: Option<&OwnedFd>,
    root: &Path,
    expect: Option<&Identity>,
    seen: &Seen,
) -> Result<(VolumeUuid, bool), VolumeError> {
    let away = |why: &str| VolumeError::Away {
        root: root.to_owned(),
        why: why.into(),
    };
    let found = match own {
        Some(own) => marker::read(own.as_fd(), root)?,
        None => None,
    };
    match (found, expect) {
        (Some(uuid), Some(expect)) if uuid != expect.uuid => {
            Err(away(&format!("another volume ({uuid}) lies at its place")))
        }
        (Some(uuid), _) => Ok((uuid, true)),
        (None, Some(expect)) if expect.marked => Err(away("its marker file is missing")),
        (None, Some(expect))
            if (expect.file_system, expect.top_inode) != (seen.file_system, seen.top_inode) =>
        {
            Err(away("another folder lies at its place"))
        }
        (None, expect) => {
            let random = || VolumeUuid::random().map_err(|e| away(&format!("no randomness: {e}")));
            let uuid = expect.map_or_else(random, |e| Ok(e.uuid.clone()))?;
            let Some(own) = own else {
                return Ok((uuid, false));
            };
            match marker::write(own.as_fd(), &uuid, seen.file_system, seen.top_inode) {
                Ok(()) => Ok((uuid, true)),
                Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => Ok((uuid, false)),
                Err(errno) => Err(VolumeError::sort("mark", root.display(), errno)),
            }
        }
    }
}

impl flush::Disk for Handles {
    fn flush_file(&self, file: &File) -> Result<(), Errno> {
        rustix::fs::fdatasync(file)
    }

    fn flush_folder(&self) -> Result<(), Errno> {
        rustix::fs::fsync(&self.own()?.tmp)
    }

    /// The top's descriptor was opened before any write of ours, so it sees each failed one.
    fn flush_all(&self) -> Result<(), Errno> {
        rustix::fs::syncfs(self.beneath.top())
    }
}
