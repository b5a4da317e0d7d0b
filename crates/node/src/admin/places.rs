//! From `USER:/folder/file` to the entry that it names.

use files::{At, Entry, Space};
use protocol::CloudPath;

use super::{Admin, Failure};

/// A place whose space exists; the entry may not.
pub(super) struct Place {
    pub(super) path: CloudPath,
    pub(super) space: Space,
    pub(super) at: At,
}

impl Admin {
    pub(super) fn place(&self, text: &str) -> Result<Place, Failure> {
        let path: CloudPath = text.parse().map_err(|error: protocol::NameError| {
            Failure::input(error.to_string())
                .hint("write USER:/folder/file, such as alice:/Photos/2026")
        })?;
        let space = self.space(path.space.as_str())?;
        let at = At {
            space: space.id,
            path: path.path.clone(),
        };
        Ok(Place { path, space, at })
    }

    pub(super) fn space(&self, name: &str) -> Result<Space, Failure> {
        self.state.files.space(name)?.ok_or_else(|| {
            Failure::missing(format!("nobody here is called `{name}`"))
                .hint("`cumulet user list` shows everybody")
        })
    }

    pub(super) fn entry(&self, place: &Place) -> Result<Entry, Failure> {
        self.state
            .files
            .find(&place.at)?
            .ok_or_else(|| Failure::missing(format!("{} does not exist", place.path)))
    }

    /// Where an entry is, as a person would write it.
    pub(super) fn path_of(&self, fid: protocol::Fid) -> Result<String, Failure> {
        let Some(entry) = self.state.files.entry(fid)? else {
            return Ok(format!("deleted entry {fid}"));
        };
        let at = self.state.files.locate(entry.fid)?;
        let space = self.state.files.space_by_id(at.space)?;
        let name = space.map_or_else(
            || format!("space {}", at.space),
            |space| space.name.to_string(),
        );
        Ok(format!("{name}:{}", at.path))
    }
}
