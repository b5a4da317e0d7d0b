//! Names of entries and paths of the tree.
//!
//! A name is kept byte for byte as its writer sent it. What cannot be a single name on a POSIX
//! volume, or would collide with our own folder, is refused with the reason (R90).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Longest name in bytes: what ext4, xfs and btrfs hold.
pub const NAME_BYTES_MAX: usize = 255;

/// Deepest path in segments; keeps a physical path inside `PATH_MAX` for usual names and bounds
/// each walk up to the root.
pub const PATH_DEPTH_MAX: usize = 100;

/// Why a text cannot be a name or a path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// Two slashes in a row, or nothing at all.
    #[error("a name is empty")]
    Empty,
    /// `.` or `..`.
    #[error("`{0}` is not a name but a direction")]
    Dots(String),
    /// A slash or NUL inside of a name.
    #[error("the name `{0}` holds a slash or NUL, which no volume can store")]
    Separator(String),
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("the name is {0} bytes long, the limit is {NAME_BYTES_MAX}")]
    TooLong(usize),
    /// Our own hidden folder.
    #[error("the name `{0}` is reserved for Cumulet's own data")]
    Reserved(String),
    /// Not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// Allowed here, but not on the file system of the volume (FAT, exFAT, NTFS).
    #[error(
        "the disk cannot store the name `{0}`; FAT, exFAT and NTFS take none of : * ? \" < > | \\ and no dot or space at the end"
    )]
    NotOnDisk(String),
    /// Deeper than [`PATH_DEPTH_MAX`].
    #[error("the path has {0} segments, the limit is {PATH_DEPTH_MAX}")]
    TooDeep(usize),
    /// Not of the form `USER:/folder/file`.
    #[error("`{0}` is not of the form USER:/folder/file")]
    NotCloudPath(String),
}

/// Name of Cumulet's own folder at the top of each volume; no entry may carry it.
const RESERVED: &str = ".cumulet";

/// One checked name: UTF-8, 1 to 255 bytes, no slash or NUL, not `.`, `..` or `.cumulet`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryName(Box<str>);

impl EntryName {
    /// Checks `name`, which is one decoded segment of a path.
    pub fn new(name: &str) -> Result<Self, NameError> {
        match name {
            "" => Err(NameError::Empty),
            "." | ".." => Err(NameError::Dots(name.into())),
            _ if name.len() > NAME_BYTES_MAX => Err(NameError::TooLong(name.len())),
            _ if name.contains(['/', '\0']) => {
                Err(NameError::Separator(name.escape_debug().to_string()))
            }
            _ if name.eq_ignore_ascii_case(RESERVED) => Err(NameError::Reserved(name.into())),
            _ => Ok(Self(name.into())),
        }
    }

    /// Checks bytes, as a directory listing or a decoded address gives them.
    pub fn from_bytes(name: &[u8]) -> Result<Self, NameError> {
        Self::new(std::str::from_utf8(name).map_err(|_| NameError::NotUtf8)?)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EntryName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

/// Names from a space's top down; empty is the top itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TreePath(Vec<EntryName>);

impl TreePath {
    /// The top of a space.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Checks the depth of `names`.
    pub fn new(names: Vec<EntryName>) -> Result<Self, NameError> {
        if names.len() > PATH_DEPTH_MAX {
            return Err(NameError::TooDeep(names.len()));
        }
        Ok(Self(names))
    }

    /// Splits decoded text such as `/folder/file` or `folder/file/`; one slash at either end is
    /// taken as punctuation, an empty segment in the middle is an error.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let inner = text.strip_prefix('/').unwrap_or(text);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() {
            return Ok(Self::root());
        }
        Self::new(
            inner
                .split('/')
                .map(EntryName::new)
                .collect::<Result<_, _>>()?,
        )
    }

    /// The names, outermost first.
    #[must_use]
    pub fn names(&self) -> &[EntryName] {
        &self.0
    }

    /// True for the top of a space.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The innermost name; `None` for the top.
    #[must_use]
    pub fn last(&self) -> Option<&EntryName> {
        self.0.last()
    }

    /// The path of the folder that holds this; `None` for the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    /// This path with one more name.
    pub fn join(&self, name: EntryName) -> Result<Self, NameError> {
        let mut names = self.0.clone();
        names.push(name);
        Self::new(names)
    }

    /// True if this is `other` or lies inside of it.
    #[must_use]
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

/// `/folder/file`; the top prints as `/`.
impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        self.0.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

/// `USER:/folder/file`, the way commands write a place in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CloudPath {
    /// Name of the space: for a person's space the person's name.
    pub space: EntryName,
    /// Where inside of it.
    pub path: TreePath,
}

impl fmt::Display for CloudPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.space, self.path)
    }
}

impl FromStr for CloudPath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (space, path) = text
            .split_once(':')
            .filter(|(_, path)| path.starts_with('/'))
            .ok_or_else(|| NameError::NotCloudPath(text.chars().take(120).collect()))?;
        Ok(Self {
            space: EntryName::new(space)?,
            path: TreePath::parse(path)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_volume_can_hold_are_refused_with_the_reason() {
        let check = |name: &str| EntryName::new(name).unwrap_err().to_string();
        assert_eq!(check(""), "a name is empty");
        assert_eq!(check(".."), "`..` is not a name but a direction");
        assert_eq!(
            check("a/b"),
            "the name `a/b` holds a slash or NUL, which no volume can store"
        );
        assert_eq!(
            check("a\0"),
            "the name `a\\0` holds a slash or NUL, which no volume can store"
        );
        assert_eq!(
            check(&"x".repeat(256)),
            "the name is 256 bytes long, the limit is 255"
        );
        assert_eq!(
            check(".Cumulet"),
            "the name `.Cumulet` is reserved for Cumulet's own data"
        );
        assert_eq!(
            EntryName::from_bytes(b"\xff").unwrap_err(),
            NameError::NotUtf8
        );
    }

    #[test]
    fn paths_print_what_they_read() {
        let path = TreePath::parse("/Photos/2026/旅行 1.jpg").unwrap();
        assert_eq!(path.to_string(), "/Photos/2026/旅行 1.jpg");
        assert_eq!(path.parent().unwrap().to_string(), "/Photos/2026");
        assert_eq!(TreePath::parse("/").unwrap(), TreePath::root());
        assert_eq!(TreePath::parse("/a//b").unwrap_err(), NameError::Empty);
        assert_eq!(
            TreePath::parse(&"/a".repeat(101)).unwrap_err(),
            NameError::TooDeep(101)
        );
    }

    #[test]
    fn cloud_paths_are_user_colon_path() {
        let path: CloudPath = "alice:/Photos".parse().unwrap();
        assert_eq!(
            (path.space.as_str(), path.to_string().as_str()),
            ("alice", "alice:/Photos")
        );
        assert!("alice".parse::<CloudPath>().is_err());
        assert!("alice:Photos".parse::<CloudPath>().is_err());
    }
}
