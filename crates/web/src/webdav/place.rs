//! Addresses below `/dav/`, and the hrefs that answer them.

use dav::{TargetPath, decode_path, push_encoded};
use protocol::{EntryName, TreePath};

use super::refused::{Refused, Step};

/// What an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `/`, where some clients look first.
    Top,
    /// `/dav/`.
    Dav,
    /// `/dav/files/`: the spaces.
    Spaces,
    /// `/dav/principals/…`.
    Principals,
    /// `/.well-known/…` (RFC 6764).
    WellKnown,
    /// `/dav/files/SPACE/…`.
    Tree(Named),
}

/// A name in the tree; nothing need be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) space: EntryName,
    pub(super) path: TreePath,
    /// The address ends in a slash, so a collection is meant.
    pub(super) trailing_slash: bool,
}

impl Place {
    pub(super) fn parse(path: &str) -> Step<Self> {
        Self::of(decode_path(path)?)
    }

    pub(super) fn of(target: TargetPath) -> Step<Self> {
        let trailing_slash = target.trailing_slash;
        let mut names = target.names.into_iter();
        let first = names.next();
        match first.as_ref().map(EntryName::as_str) {
            None => return Ok(Self::Top),
            Some("dav") => {}
            Some(".well-known") => return Ok(Self::WellKnown),
            Some(_) => return Err(Refused::NOT_FOUND),
        }
        let second = names.next();
        match second.as_ref().map(EntryName::as_str) {
            None => return Ok(Self::Dav),
            Some("files") => {}
            Some("principals") => return Ok(Self::Principals),
            Some(_) => return Err(Refused::NOT_FOUND),
        }
        let Some(space) = names.next() else {
            return Ok(Self::Spaces);
        };
        Ok(Self::Tree(Named {
            space,
            path: TreePath::new(names.collect())?,
            trailing_slash,
        }))
    }

    /// The name in the tree; anything else cannot be changed.
    pub(super) fn tree(&self) -> Step<&Named> {
        match self {
            Self::Tree(named) => Ok(named),
            Self::Top | Self::Dav | Self::Spaces | Self::Principals | Self::WellKnown => {
                Err(Refused::text(
                    http::StatusCode::FORBIDDEN,
                    "this folder is made by the server and cannot be changed",
                ))
            }
        }
    }
}

/// `/dav/files/SPACE/folder/file`, encoded; a collection ends in a slash (RFC 4918 section 5.2).
pub(super) fn href(space: &EntryName, path: &TreePath, folder: bool) -> String {
    let mut out = b"/dav/files/".to_vec();
    push_encoded(&mut out, space.as_str());
    for name in path.names() {
        out.push(b'/');
        push_encoded(&mut out, name.as_str());
    }
    if folder {
        out.push(b'/');
    }
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_views_and_entries() {
        let check = |path: &str| Place::parse(path).ok();
        assert_eq!(check("/"), Some(Place::Top));
        assert_eq!(check("/dav"), Some(Place::Dav));
        assert_eq!(check("/dav/files/"), Some(Place::Spaces));
        assert_eq!(check("/dav/nothing"), None);
        assert_eq!(check("/dav/files/a/../b"), None);
        let Some(Place::Tree(named)) = check("/dav/files/alice/a%20b/") else {
            panic!("a name in the tree")
        };
        assert_eq!(
            href(&named.space, &named.path, true),
            "/dav/files/alice/a%20b/"
        );
        assert!(named.trailing_slash);
    }
}
