//! Folders of this computer that are not to be bound: what is served already, the node's own state
//! with its keys, and folders of the system.
//!
//! Two paths may lead to one folder: by a symbolic link, a bind mount, a file system mounted twice.
//! So places are compared three ways: by path without links, by device and inode of all folders on
//! the way, and by where they lie inside of their file system as the mount table tells.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Folders of the system: they and all below them.
const WHOLE: [&str; 11] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr",
];

/// Folders that hold those of the system or of all people; what lies in them may be bound.
const ALONE: [&str; 5] = ["/", "/home", "/root", "/var", "/var/lib"];

/// Where a desktop mounts disks: `/run/media/PERSON/DISK`.
const DISKS: &str = "/run/media";

/// A folder, known by all that could tell that it is the same as another.
pub(crate) struct Ground {
    path: PathBuf,
    own: Option<(u64, u64)>,
    /// Device and inode of it and of all that hold it.
    way: Vec<(u64, u64)>,
    inside: Option<Inside>,
}

/// Where a folder lies inside of its file system.
struct Inside {
    device: String,
    path: PathBuf,
}

impl Ground {
    /// Looks at a folder; one that is not there is known by its path alone.
    pub(crate) fn of(path: &Path) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let way: Vec<_> = path.ancestors().filter_map(number).collect();
        Self {
            own: number(&path),
            way,
            inside: inside(&path),
            path,
        }
    }

    /// True if one lies in the other or both are the same.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.is_in(other) || other.is_in(self)
    }

    /// True if it is `other` or lies below it.
    pub(crate) fn is_in(&self, other: &Self) -> bool {
        let by_inside = match (&self.inside, &other.inside) {
            (Some(own), Some(other)) => {
                own.device == other.device && own.path.starts_with(&other.path)
            }
            (None, _) | (_, None) => false,
        };
        by_inside
            || self.path.starts_with(&other.path)
            || other.own.is_some_and(|number| self.way.contains(&number))
    }

    /// The folder of the system that it is or belongs to.
    pub(crate) fn system(&self) -> Option<&'static str> {
        let of_desktop = self.path.starts_with(DISKS) && self.path.components().count() >= 5;
        let whole = WHOLE.into_iter().filter(|_| !of_desktop).find(|system| {
            let number = number(Path::new(system));
            self.path.starts_with(system) || number.is_some_and(|n| self.way.contains(&n))
        });
        let alone = || {
            ALONE.into_iter().find(|system| {
                let number = number(Path::new(system));
                self.path == Path::new(system) || (number.is_some() && number == self.own)
            })
        };
        whole.or_else(alone)
    }
}

fn number(path: &Path) -> Option<(u64, u64)> {
    let stat = path.metadata().ok()?;
    Some((stat.dev(), stat.ino()))
}

/// `None` where the mount table cannot be read.
fn inside(path: &Path) -> Option<Inside> {
    inside_of(path, &std::fs::read("/proc/self/mountinfo").ok()?)
}

fn inside_of(path: &Path, table: &[u8]) -> Option<Inside> {
    let mut found: Option<(PathBuf, Inside)> = None;
    for line in table.split(|byte| *byte == b'\n') {
        // proc_pid_mountinfo(5): number, parent, device, place in the file system, mount point.
        let mut fields = line.split(|byte| *byte == b' ').skip(2);
        let (Some(device), Some(top), Some(point)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let point = unescaped(point);
        // Of two mounts in one place the later one is seen.
        let nearer = found
            .as_ref()
            .is_none_or(|(other, _)| point.starts_with(other));
        if let (true, Ok(below)) = (nearer, path.strip_prefix(&point)) {
            let inside = Inside {
                device: String::from_utf8_lossy(device).into_owned(),
                path: unescaped(top).join(below),
            };
            found = Some((point, inside));
        }
    }
    found.map(|(_, inside)| inside)
}

/// Blanks and the like are written as a backslash and three octal digits.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let code = after
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.filter(|_| *first == b'\\') {
            Some(byte) => {
                plain.push(byte);
                rest = &after[3..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(plain).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_known_again_through_a_bind_mount() {
        let table = b"1 0 8:1 / / rw - ext4 /dev/a rw\n\
            2 1 8:2 / /disk rw - ext4 /dev/b rw\n\
            3 1 8:2 /a\\040b/state /var/lib/node rw - ext4 /dev/b rw\n";
        let told = |path: &str| {
            let inside = inside_of(Path::new(path), table).unwrap();
            (inside.device, inside.path)
        };
        let in_state = ("8:2".to_owned(), PathBuf::from("/a b/state/keys"));
        assert_eq!(told("/var/lib/node/keys"), in_state);
        assert_eq!(told("/disk/a b/state/keys"), in_state);
        assert_eq!(told("/var/lib/nodes").0, "8:1");
    }

    #[test]
    fn folders_of_the_system_are_known_and_others_are_not_taken_for_them() {
        let system = |path: &str| Ground::of(Path::new(path)).system();
        assert_eq!(system("/"), Some("/"));
        assert_eq!(system("/etc/ssl"), Some("/etc"));
        assert_eq!(system("/proc/self"), Some("/proc"));
        assert_eq!(system("/var/lib"), Some("/var/lib"));
        assert_eq!(system("/var/lib/photos-of-nobody"), None);
        assert_eq!(system("/run/secrets-of-nobody"), Some("/run"));
        assert_eq!(system("/run/media/alice/stick"), None);
        assert_eq!(system("/srv/photos-of-nobody"), None);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Ground::of(folder.path()).system(), None);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        assert_eq!(Ground::of(&link).system(), Some("/etc"));
    }
}
