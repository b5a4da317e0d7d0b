//! Where something lies on a volume: below its top, among the temporary files, or in history.
//!
//! Invariant: a [`VolumePath`] holds no `..`, no NUL and does not lead into the volume's own
//! `.cumulet`; the names of temporary and history files are plain file names. So no caller can
//! address anything outside of the three places, whatever a client sent.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use protocol::EntryName;
use thiserror::Error;

/// The volume's own folder at its top; hidden from listings and closed to paths.
pub(crate) const OWN: &str = ".cumulet";

/// Longest name of a temporary or history file in bytes.
const OWN_NAME_MAX: usize = 200;

/// A text that cannot name a temporary or history file, or a path of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no place on a volume: {1}")]
pub struct BadPlace(String, &'static str);

/// A path below a volume's top; empty is the top itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct VolumePath(PathBuf);

impl VolumePath {
    /// The volume's top.
    #[must_use]
    pub fn top() -> Self {
        Self::default()
    }

    /// This path with one more name.
    #[must_use]
    pub fn join(&self, name: &EntryName) -> Self {
        Self(self.0.join(name.as_str()))
    }

    /// Builds a path from names, outermost first.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a EntryName>) -> Self {
        Self(names.into_iter().map(EntryName::as_str).collect())
    }

    /// Checks text such as `folder/file`, as the catalog stores it.
    pub fn parse(text: &str) -> Result<Self, BadPlace> {
        if text.is_empty() {
            return Ok(Self::top());
        }
        let names = text.split('/').map(EntryName::new);
        let names: Vec<_> = names
            .collect::<Result<_, _>>()
            .map_err(|_| BadPlace(clip(text), "a segment is not a name"))?;
        Ok(Self::from_names(&names))
    }

    /// The path relative to the volume's top.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// True for the volume's top.
    #[must_use]
    pub fn is_top(&self) -> bool {
        self.0.as_os_str().is_empty()
    }

    /// The folder that holds this and the name in it; `None` for the top.
    #[must_use]
    pub fn split(&self) -> Option<(Self, &str)> {
        let name = self.0.file_name()?.to_str()?;
        Some((Self(self.0.parent()?.to_owned()), name))
    }

    /// The folder that holds this; `None` for the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.split().map(|(parent, _)| parent)
    }

    /// True if this is `other` or lies below it.
    #[must_use]
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for VolumePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// Name of a file in `.cumulet/tmp`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TempName(String);

impl TempName {
    /// Checks a name that the catalog stored.
    pub fn new(name: &str) -> Result<Self, BadPlace> {
        plain(name)?;
        Ok(Self(name.into()))
    }

    /// A name that nobody else has: 26 characters from 128 random bits.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits)?;
        let text = data_encoding::BASE32_NOPAD.encode(&bits);
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The file name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TempName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Name of a file or folder in `.cumulet/history`: `name` or `shelf/name`; the volume makes the
/// shelf when something moves onto it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HistoryName(String);

impl HistoryName {
    /// Checks a name: one plain name, or two with a slash in between.
    pub fn new(name: &str) -> Result<Self, BadPlace> {
        match name.split_once('/') {
            Some((shelf, inner)) => {
                plain(shelf)?;
                plain(inner)?;
            }
            None => plain(name)?,
        }
        Ok(Self(name.into()))
    }

    /// The name, with its shelf if it has one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn shelf(&self) -> Option<&str> {
        self.0.split_once('/').map(|(shelf, _)| shelf)
    }

    /// The shelf that the name lies on; `None` if it lies in `history` itself.
    #[must_use]
    pub fn folder(&self) -> Option<Folder> {
        self.shelf().map(|shelf| Folder::Shelf(Shelf(shelf.into())))
    }
}

/// A folder in `history`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shelf(String);

impl Shelf {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A folder of a volume whose changes are to become durable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Folder {
    /// One that people see.
    Visible(VolumePath),
    /// One in `history`.
    Shelf(Shelf),
}

impl From<VolumePath> for Folder {
    fn from(path: VolumePath) -> Self {
        Self::Visible(path)
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Visible(path) => path.fmt(f),
            Self::Shelf(shelf) => write!(f, "history/{}", shelf.0),
        }
    }
}

impl fmt::Display for HistoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the three places where a volume keeps things.
#[derive(Debug, Clone, Copy)]
pub enum Spot<'a> {
    /// A visible file or folder.
    Path(&'a VolumePath),
    /// A temporary file.
    Temp(&'a TempName),
    /// An old version, or a file or folder in the trash.
    History(&'a HistoryName),
}

impl Spot<'_> {
    /// True for a name that FAT, exFAT and NTFS refuse (their reserved characters, control characters, a dot
    /// or space at the end).
    pub(crate) fn is_odd_on_fat(self) -> bool {
        let name = match self {
            Self::Path(path) => path.as_path().file_name().unwrap_or_default().as_bytes(),
            Self::Temp(name) => name.as_str().as_bytes(),
            Self::History(name) => name.as_str().as_bytes(),
        };
        name.iter().any(|b| *b < b' ' || b":*?\"<>|\\".contains(b))
            || name.ends_with(b".")
            || name.ends_with(b" ")
    }
}

impl fmt::Display for Spot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) if path.is_top() => f.write_str("the volume's top"),
            Self::Path(path) => path.fmt(f),
            Self::Temp(name) => write!(f, "{OWN}/tmp/{name}"),
            Self::History(name) => write!(f, "{OWN}/history/{name}"),
        }
    }
}

fn plain(name: &str) -> Result<(), BadPlace> {
    match name {
        "" | "." | ".." => Err(BadPlace(name.into(), "not a plain file name")),
        _ if name.len() > OWN_NAME_MAX => Err(BadPlace(clip(name), "longer than 200 bytes")),
        _ if name.contains(['/', '\0']) => Err(BadPlace(clip(name), "holds a slash or NUL")),
        _ => Ok(()),
    }
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_the_volume_or_enter_its_own_folder() {
        for bad in ["..", "a/../b", "a//b", "/a", ".cumulet/tmp", "a/\0"] {
            assert!(VolumePath::parse(bad).is_err(), "{bad:?}");
        }
        let path = VolumePath::parse("a/旅行").unwrap();
        assert_eq!(path.split().unwrap().1, "旅行");
        assert!(VolumePath::parse("").unwrap().is_top());
    }

    #[test]
    fn names_of_own_files_are_plain() {
        for bad in ["", "..", "a/b", "a\0"] {
            assert!(TempName::new(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "a/", "/a", "a/b/c", "../a", "a/.."] {
            assert!(HistoryName::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(HistoryName::new("17/3").unwrap().shelf(), Some("17"));
    }
}
