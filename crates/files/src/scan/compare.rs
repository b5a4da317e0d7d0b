//! What differs between a folder's listing and its rows. Decides without I/O.

use pool::{FileKind, FileStat, Item};
use protocol::{EntryName, Fid};

use crate::Kind;
use crate::row::Row;

/// One difference.
#[derive(Debug, Clone)]
pub(crate) enum Difference {
    /// On the disk only.
    New { name: EntryName, stat: FileStat },
    /// Both, but not the same file, or the same file with other content.
    Changed { row: Row, stat: FileStat },
    /// The same file by inode, size and mtime, but touched since: perhaps only its mode, perhaps its
    /// content with the mtime put back. Only its hash can tell.
    Touched { row: Row, stat: FileStat },
    /// In the catalog only.
    Gone { row: Row },
}

impl Difference {
    pub(crate) fn name(&self) -> &EntryName {
        match self {
            Self::New { name, .. } => name,
            Self::Changed { row, .. } | Self::Touched { row, .. } | Self::Gone { row } => &row.name,
        }
    }
}

/// A folder compared.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) differences: Vec<Difference>,
    /// Known folders in it.
    pub(crate) folders: Vec<Fid>,
    /// Names on the disk that are not served.
    pub(crate) not_served: u64,
}

/// What the disk has under a name, as far as it can be served.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OnDisk {
    Served(FileStat),
    /// A symbolic link or a device: as if nothing were there.
    Hidden,
    /// Another file system is mounted there: nothing is known about what lies below it.
    Elsewhere,
    Nothing,
}

pub(crate) fn on_disk(stat: Option<FileStat>, device: u64) -> OnDisk {
    let Some(stat) = stat else {
        return OnDisk::Nothing;
    };
    match stat.kind {
        FileKind::Symlink | FileKind::Other => OnDisk::Hidden,
        FileKind::File | FileKind::Folder if stat.device != device => OnDisk::Elsewhere,
        FileKind::File | FileKind::Folder => OnDisk::Served(stat),
    }
}

/// Compares one name.
pub(crate) fn compare_name(name: &EntryName, row: Option<Row>, disk: OnDisk) -> Option<Difference> {
    match (row, disk) {
        // A bound folder shows another volume; what lies under its name here does not matter.
        (Some(row), _) if row.mount.is_some() => None,
        (Some(row), OnDisk::Served(stat)) if row.agrees(&stat) => {
            let touched = row.hash.is_some() && row.ctime_ns != stat.ctime_ns;
            touched.then_some(Difference::Touched { row, stat })
        }
        (Some(row), OnDisk::Served(stat)) => Some(Difference::Changed { row, stat }),
        (Some(row), OnDisk::Nothing | OnDisk::Hidden) => Some(Difference::Gone { row }),
        (None, OnDisk::Served(stat)) => Some(Difference::New {
            name: name.clone(),
            stat,
        }),
        (Some(_), OnDisk::Elsewhere)
        | (None, OnDisk::Elsewhere | OnDisk::Hidden | OnDisk::Nothing) => None,
    }
}

/// Compares a whole folder; `device` is that of the volume's top. Rows come in byte order of their
/// names and are not kept, so a large folder that agrees costs little memory. New names come in
/// byte order.
pub(crate) fn compare<E>(
    items: Vec<Item>,
    rows: impl IntoIterator<Item = Result<Row, E>>,
    device: u64,
) -> Result<Compared, E> {
    let mut compared = Compared::default();
    let mut disk: Vec<(EntryName, FileStat)> = Vec::with_capacity(items.len());
    for item in items {
        match EntryName::from_bytes(item.name.as_encoded_bytes()) {
            Ok(name) => disk.push((name, item.stat)),
            Err(_) => compared.not_served += 1,
        }
    }
    disk.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut disk = disk.into_iter().peekable();
    for row in rows {
        let row = row?;
        while let Some((name, stat)) = disk.next_if(|(name, _)| *name < row.name) {
            compared.take(&name, None, Some(stat), device);
        }
        let stat = disk
            .next_if(|(name, _)| *name == row.name)
            .map(|(_, stat)| stat);
        let name = row.name.clone();
        compared.take(&name, Some(row), stat, device);
    }
    for (name, stat) in disk {
        compared.take(&name, None, Some(stat), device);
    }
    Ok(compared)
}

impl Compared {
    fn take(&mut self, name: &EntryName, row: Option<Row>, stat: Option<FileStat>, device: u64) {
        let disk = on_disk(stat, device);
        if matches!(disk, OnDisk::Hidden | OnDisk::Elsewhere) {
            self.not_served += 1;
        }
        if let (Some(row), OnDisk::Served(stat)) = (&row, disk)
            && row.kind == Kind::Folder
            && row.mount.is_none()
            && row.agrees(&stat)
        {
            self.folders.push(row.fid);
        }
        self.differences.extend(compare_name(name, row, disk));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Seq, SpaceId, Timestamp, VolumeId};

    fn row(name: &str, kind: Kind, inode: u64, mount: Option<i64>) -> Row {
        Row {
            fid: Fid(inode.cast_signed()),
            space: SpaceId(1),
            parent: Some(Fid(1)),
            name: EntryName::new(name).unwrap(),
            kind,
            rev: Seq(1),
            mrev: Seq(1),
            size: 3,
            mtime_ns: 7,
            ctime_ns: 7,
            created: Timestamp(0),
            inode,
            hash: None,
            flags: 0,
            mount: mount.map(VolumeId),
        }
    }

    fn item(name: &[u8], kind: FileKind, inode: u64, device: u64) -> Item {
        use std::os::unix::ffi::OsStrExt;
        Item {
            name: std::ffi::OsStr::from_bytes(name).to_owned(),
            stat: FileStat {
                device,
                inode,
                size: 3,
                mtime_ns: 7,
                ctime_ns: 7,
                kind,
                links: 1,
                mode: 0o644,
                owner: 0,
                group: 0,
            },
        }
    }

    fn check(items: Vec<Item>, mut rows: Vec<Row>, expected: &[&str], not_served: u64) {
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        let rows = rows.into_iter().map(Ok::<_, ()>);
        let compared = compare(items, rows, 9).unwrap();
        let mut told: Vec<String> = compared
            .differences
            .iter()
            .map(|difference| match difference {
                Difference::New { name, .. } => format!("new {name}"),
                Difference::Changed { row, .. } => format!("changed {}", row.name),
                Difference::Touched { row, .. } => format!("touched {}", row.name),
                Difference::Gone { row } => format!("gone {}", row.name),
            })
            .collect();
        told.sort();
        assert_eq!(told, expected);
        assert_eq!(compared.not_served, not_served);
    }

    #[test]
    fn a_true_catalog_has_no_differences() {
        let items = vec![
            item(b"f", FileKind::File, 2, 9),
            item(b"d", FileKind::Folder, 3, 9),
        ];
        let rows = vec![
            row("f", Kind::File, 2, None),
            row("d", Kind::Folder, 3, None),
        ];
        check(items, rows, &[], 0);
    }

    #[test]
    fn a_file_touched_since_is_told_if_its_hash_can_decide() {
        let mut touched = item(b"f", FileKind::File, 2, 9);
        touched.stat.ctime_ns = 8;
        let mut known = row("f", Kind::File, 2, None);
        check(vec![touched.clone()], vec![known.clone()], &[], 0);
        known.hash = Some(protocol::Hash([0; 32]));
        check(vec![touched], vec![known], &["touched f"], 0);
    }

    #[test]
    fn what_came_changed_and_went_is_told() {
        let items = vec![
            item(b"new", FileKind::File, 2, 9),
            item(b"other", FileKind::File, 4, 9),
        ];
        let rows = vec![
            row("other", Kind::File, 3, None),
            row("old", Kind::File, 5, None),
        ];
        check(items, rows, &["changed other", "gone old", "new new"], 0);
    }

    #[test]
    fn what_is_not_served_is_neither_new_nor_makes_anything_vanish_that_is_bound_or_mounted_over() {
        let items = vec![
            item(b"\xff", FileKind::File, 2, 9),
            item(b"link", FileKind::Symlink, 3, 9),
            item(b"was-file", FileKind::Symlink, 4, 9),
            item(b"mounted", FileKind::Folder, 2, 77),
            item(b"over", FileKind::Folder, 2, 77),
            item(b"bound", FileKind::File, 5, 9),
        ];
        let rows = vec![
            row("was-file", Kind::File, 4, None),
            row("over", Kind::Folder, 8, None),
            row("bound", Kind::Folder, 9, Some(2)),
            row("bound-too", Kind::Folder, 10, Some(3)),
        ];
        check(items, rows, &["gone was-file"], 5);
    }
}
