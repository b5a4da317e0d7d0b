//! To whom a file belongs and who may use it: owner, group, mode, extended attributes with the
//! POSIX ACL among them. New content of a file keeps those of the old; a new file is as its folder
//! is (R68: other programs go on using a bound folder).
//!
//! What the system does not let us set stays as it is: content matters more.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;

use rustix::fs::{Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;

use crate::FileStat;

/// Names of all attributes of a file, or the value of one, take at most this on Linux.
const ATTRIBUTE_BYTES_MAX: usize = 64 * 1024;

/// Bits that new content keeps: no set-user-id for bytes from elsewhere.
const KEPT: u32 = 0o777;

/// Bits that a new file takes from its folder: nothing to execute, never writable by all.
const FILE_FROM_FOLDER: u32 = 0o664;

/// Bits that a new folder takes from its folder, the group's inheritance too.
const FOLDER_FROM_FOLDER: u32 = 0o2775;

const ACL: &CStr = c"system.posix_acl_access";

/// Owner, group, mode and attributes for a file that is about to get content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    mode: u32,
    /// `None`: whoever makes it.
    owner: Option<(u32, u32)>,
    attributes: Vec<(CString, Vec<u8>)>,
}

impl Rights {
    /// For nobody but the one who makes it.
    #[must_use]
    pub fn private() -> Self {
        Self {
            mode: 0o600,
            owner: None,
            attributes: Vec::new(),
        }
    }

    /// Those of a file, as far as its stat tells.
    #[must_use]
    pub fn of_stat(stat: &FileStat) -> Self {
        Self {
            mode: stat.mode & KEPT,
            owner: Some((stat.owner, stat.group)),
            attributes: Vec::new(),
        }
    }

    /// All of a file.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self {
            attributes: attributes(file),
            ..Self::of_stat(&FileStat::of(file)?)
        })
    }

    /// Of a new file in a folder. Only root can give files away, so only for root the folder's
    /// owner counts.
    #[must_use]
    pub fn below(folder: &FileStat) -> Self {
        Self {
            mode: folder.mode & FILE_FROM_FOLDER | 0o600,
            owner: owner_below(folder),
            attributes: Vec::new(),
        }
    }

    /// The same with the mode of another file.
    #[must_use]
    pub fn with_mode_of(self, other: &FileStat) -> Self {
        Self {
            mode: other.mode & KEPT,
            ..self
        }
    }

    /// Sets them on an open file of ours.
    ///
    /// # Errors
    /// If not even the mode can be set on a file system that has modes.
    pub fn give(&self, file: &File) -> io::Result<()> {
        if let Some((owner, group)) = self.owner {
            give_away(file, owner, group)?;
        }
        set_mode(file, self.mode)?;
        for (name, value) in &self.attributes {
            if let Err(error) = rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()) {
                tracing::debug!(?name, %error, "an attribute is not kept");
            }
        }
        Ok(())
    }
}

fn owner_below(folder: &FileStat) -> Option<(u32, u32)> {
    let root = rustix::process::geteuid().is_root();
    root.then_some((folder.owner, folder.group))
}

/// Gives a new folder the rights that its parent's suggest.
pub(crate) fn settle_folder(made: &File, parent: &FileStat) -> io::Result<()> {
    if let Some((owner, group)) = owner_below(parent) {
        give_away(made, owner, group)?;
    }
    set_mode(made, parent.mode & FOLDER_FROM_FOLDER | 0o700)
}

/// The group at least, where the owner cannot be set.
fn give_away(file: &File, owner: u32, group: u32) -> io::Result<()> {
    let stat = FileStat::of(file)?;
    if (stat.owner, stat.group) == (owner, group) {
        return Ok(());
    }
    let (owner, group) = (Uid::from_raw(owner), Gid::from_raw(group));
    let given = rustix::fs::fchown(file, Some(owner), Some(group))
        .or_else(|_| rustix::fs::fchown(file, None, Some(group)));
    if let Err(error) = given {
        tracing::debug!(%error, "an owner is not kept");
    }
    Ok(())
}

fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    match rustix::fs::fchmod(file, Mode::from_raw_mode(mode)) {
        // FAT and the like have no modes.
        Ok(()) | Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The user's own attributes and the ACL; those of the system's security modules are made anew by
/// them.
fn attributes(file: &File) -> Vec<(CString, Vec<u8>)> {
    let mut names = vec![0; ATTRIBUTE_BYTES_MAX];
    let Ok(length) = rustix::fs::flistxattr(file, &mut names[..]) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for name in names[..length].split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        if name != ACL && !name.to_bytes().starts_with(b"user.") {
            continue;
        }
        let mut value = vec![0; ATTRIBUTE_BYTES_MAX];
        if let Ok(length) = rustix::fs::fgetxattr(file, name, &mut value[..]) {
            value.truncate(length);
            found.push((name.to_owned(), value));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn new_content_gets_owner_mode_and_attributes_of_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let old = File::create(folder.path().join("old")).unwrap();
        old.set_permissions(PermissionsExt::from_mode(0o4751))
            .unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            std::os::unix::fs::fchown(&old, Some(1000), Some(1001)).unwrap();
            old.set_permissions(PermissionsExt::from_mode(0o4751))
                .unwrap();
        }
        let marked =
            rustix::fs::fsetxattr(&old, c"user.label", b"blue", XattrFlags::empty()).is_ok();
        let new = File::create(folder.path().join("new")).unwrap();
        Rights::of(&old).unwrap().give(&new).unwrap();
        let stat = new.metadata().unwrap();
        assert_eq!(stat.mode() & 0o7777, 0o751);
        if is_root {
            assert_eq!((stat.uid(), stat.gid()), (1000, 1001));
        }
        let label = Rights::of(&new).unwrap().attributes;
        assert_eq!(label.iter().any(|(_, value)| value == b"blue"), marked);
    }

    #[test]
    fn a_new_file_is_as_its_folder_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("f")).unwrap();
        for (of_folder, of_file) in [
            (0o700, 0o600),
            (0o755, 0o644),
            (0o2775, 0o664),
            (0o777, 0o664),
        ] {
            let opened = File::open(folder.path()).unwrap();
            opened
                .set_permissions(PermissionsExt::from_mode(of_folder))
                .unwrap();
            let stat = FileStat::of(&opened).unwrap();
            Rights::below(&stat).give(&file).unwrap();
            assert_eq!(file.metadata().unwrap().mode() & 0o7777, of_file);
        }
    }
}
