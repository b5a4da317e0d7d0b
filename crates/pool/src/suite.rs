//! What every volume must do; each implementation runs this one suite.
//!
//! Feature `suite`. `run` panics at the first broken promise, naming it.

use std::io::{Read, Write};

use crate::{FileKind, HistoryName, Spot, Temp, Volume, VolumeError, VolumePath, VolumeState};

/// Runs all checks on a fresh, writable volume.
///
/// # Panics
/// If the volume breaks a promise of [`Volume`].
pub fn run(volume: &dyn Volume) {
    assert_eq!(volume.state(), VolumeState::Ready);
    a_temporary_file_becomes_visible_whole(volume);
    a_rename_never_replaces(volume);
    an_exchange_gives_the_old_content_to_the_temporary_name(volume);
    history_takes_files_and_whole_folders(volume);
    only_empty_folders_are_removed_by_path(volume);
    a_rewritten_file_stays_the_same_file(volume);
    listings_hide_the_volumes_own_folder(volume);
    absent_things_have_typed_errors(volume);
    only_regular_files_open(volume);
    a_copy_is_equal_and_apart(volume);
    space_is_told(volume);
    assert_eq!(volume.temps().expect("temps"), [], "the suite left a file");
}

fn path(text: &str) -> VolumePath {
    VolumePath::parse(text).expect("a path")
}

fn history(text: &str) -> HistoryName {
    HistoryName::new(text).expect("a history name")
}

fn temp(volume: &dyn Volume, content: &str) -> Temp {
    let mut temp = volume.temp().expect("temp");
    temp.file.write_all(content.as_bytes()).expect("write");
    volume.flush(&temp.file).expect("flush");
    temp
}

fn put(volume: &dyn Volume, at: &VolumePath, content: &str) {
    let temp = temp(volume, content);
    volume
        .rename(Spot::Temp(&temp.name), Spot::Path(at))
        .expect("rename");
}

fn content(volume: &dyn Volume, at: Spot<'_>) -> String {
    let mut text = String::new();
    let mut file = volume.open(at).expect("open");
    file.read_to_string(&mut text).expect("read");
    text
}

fn a_rewritten_file_stays_the_same_file(volume: &dyn Volume) {
    let (at, kept) = (path("rewritten"), history("00/rewritten"));
    put(volume, &at, "long and torn");
    let before = volume.stat(Spot::Path(&at)).expect("stat").expect("there");
    let mtime_ns = 1_500_000_000_123_456_700;
    volume
        .rewrite(Spot::Path(&at), b"whole", mtime_ns)
        .expect("rewrite");
    let after = volume.stat(Spot::Path(&at)).expect("stat").expect("there");
    assert_eq!(after.size, 5);
    if volume.facts().lasting_inodes {
        assert_eq!(after.inode, before.inode);
    }
    assert_eq!(after.mtime_ns / 1000, mtime_ns / 1000);
    assert_eq!(content(volume, Spot::Path(&at)), "whole");
    volume
        .rename(Spot::Path(&at), Spot::History(&kept))
        .expect("rename");
    volume
        .rewrite(Spot::History(&kept), b"", mtime_ns)
        .expect("rewrite");
    assert_eq!(content(volume, Spot::History(&kept)), "");
    volume.remove(Spot::History(&kept)).expect("remove");
    let absent = volume.rewrite(Spot::Path(&at), b"x", 0);
    assert!(matches!(absent, Err(VolumeError::NotFound { .. })));
}

fn a_temporary_file_becomes_visible_whole(volume: &dyn Volume) {
    let at = path("whole");
    let temp = temp(volume, "first");
    assert!(volume.temps().expect("temps").contains(&temp.name));
    assert!(volume.stat(Spot::Path(&at)).expect("stat").is_none());
    let before = volume.stat(Spot::Temp(&temp.name)).expect("stat");
    volume
        .rename(Spot::Temp(&temp.name), Spot::Path(&at))
        .expect("rename");
    volume.sync_folders(&[path("").into()]).expect("sync");
    let stat = volume.stat(Spot::Path(&at)).expect("stat").expect("there");
    assert_eq!(before.expect("there").inode, stat.inode);
    assert_eq!((stat.kind, stat.size), (FileKind::File, 5));
    assert_eq!(content(volume, Spot::Path(&at)), "first");
}

fn a_rename_never_replaces(volume: &dyn Volume) {
    let at = path("kept");
    put(volume, &at, "old");
    let temp = temp(volume, "new");
    let refused = volume.rename(Spot::Temp(&temp.name), Spot::Path(&at));
    assert!(
        matches!(refused, Err(VolumeError::Taken { .. })),
        "{refused:?}"
    );
    assert_eq!(content(volume, Spot::Path(&at)), "old");
    volume.remove(Spot::Temp(&temp.name)).expect("remove");
}

fn an_exchange_gives_the_old_content_to_the_temporary_name(volume: &dyn Volume) {
    let at = path("swapped");
    put(volume, &at, "old");
    let old = volume.stat(Spot::Path(&at)).expect("stat").expect("there");
    let temp = temp(volume, "new");
    volume.exchange(&temp.name, &at).expect("exchange");
    assert_eq!(content(volume, Spot::Path(&at)), "new");
    assert_eq!(content(volume, Spot::Temp(&temp.name)), "old");
    let parked = volume.stat(Spot::Temp(&temp.name)).expect("stat");
    assert_eq!(parked.expect("there").inode, old.inode);
    volume.exchange(&temp.name, &at).expect("and back");
    assert_eq!(content(volume, Spot::Path(&at)), "old");
    let gone = volume.exchange(&temp.name, &path("nothing"));
    assert!(
        matches!(gone, Err(VolumeError::NotFound { .. })),
        "{gone:?}"
    );
    assert_eq!(content(volume, Spot::Temp(&temp.name)), "new");
    volume.remove(Spot::Temp(&temp.name)).expect("remove");
}

fn history_takes_files_and_whole_folders(volume: &dyn Volume) {
    let tree = path("tree");
    volume.make_folder(&tree).expect("make");
    volume.make_folder(&path("tree/deep")).expect("make");
    put(volume, &path("tree/deep/file"), "leaf");
    let trashed = history("trash/7");
    volume
        .rename(Spot::Path(&tree), Spot::History(&trashed))
        .expect("to the trash");
    assert!(volume.stat(Spot::Path(&tree)).expect("stat").is_none());
    let shelf = volume.list_history(Some(&history("trash"))).expect("list");
    assert_eq!(shelf.len(), 1);
    volume
        .rename(Spot::History(&trashed), Spot::Path(&tree))
        .expect("and back");
    assert_eq!(content(volume, Spot::Path(&path("tree/deep/file"))), "leaf");
    volume
        .rename(Spot::Path(&tree), Spot::History(&trashed))
        .expect("to the trash");
    volume
        .remove(Spot::History(&trashed))
        .expect("a whole tree");
    assert!(
        volume
            .stat(Spot::History(&trashed))
            .expect("stat")
            .is_none()
    );
    let version = history("9.4");
    put(volume, &path("versioned"), "v4");
    volume
        .rename(Spot::Path(&path("versioned")), Spot::History(&version))
        .expect("a version");
    assert_eq!(content(volume, Spot::History(&version)), "v4");
    volume.remove(Spot::History(&version)).expect("one file");
}

fn only_empty_folders_are_removed_by_path(volume: &dyn Volume) {
    let folder = path("full");
    let made = volume.make_folder(&folder).expect("make");
    assert_eq!(made.kind, FileKind::Folder);
    let again = volume.make_folder(&folder);
    assert!(matches!(again, Err(VolumeError::Taken { .. })), "{again:?}");
    put(volume, &path("full/file"), "x");
    let refused = volume.remove(Spot::Path(&folder));
    assert!(
        matches!(refused, Err(VolumeError::NotEmpty { .. })),
        "{refused:?}"
    );
    let refused = volume.remove(Spot::Path(&path("full/file")));
    assert!(
        matches!(refused, Err(VolumeError::NotAFolder { .. })),
        "{refused:?}"
    );
    let name = history("full-file");
    volume
        .rename(Spot::Path(&path("full/file")), Spot::History(&name))
        .expect("rename");
    volume.remove(Spot::History(&name)).expect("remove");
    volume.remove(Spot::Path(&folder)).expect("empty now");
}

fn listings_hide_the_volumes_own_folder(volume: &dyn Volume) {
    let listed = volume.list(&path("")).expect("list");
    assert!(listed.iter().any(|item| item.name == "whole"));
    assert!(listed.iter().all(|item| item.name != ".cumulet"));
    let absent = volume.list(&path("nowhere"));
    assert!(
        matches!(absent, Err(VolumeError::NotFound { .. })),
        "{absent:?}"
    );
    let file = volume.list(&path("whole"));
    assert!(
        matches!(file, Err(VolumeError::NotAFolder { .. })),
        "{file:?}"
    );
}

fn absent_things_have_typed_errors(volume: &dyn Volume) {
    let (absent, below_file) = (path("absent"), path("whole/below"));
    for at in [&absent, &below_file] {
        assert!(volume.stat(Spot::Path(at)).expect("stat").is_none(), "{at}");
    }
    let opened = volume.open(Spot::Path(&absent));
    assert!(
        matches!(opened, Err(VolumeError::NotFound { .. })),
        "{opened:?}"
    );
    let moved = volume.rename(Spot::Path(&absent), Spot::Path(&path("elsewhere")));
    assert!(
        matches!(moved, Err(VolumeError::NotFound { .. })),
        "{moved:?}"
    );
    let long = path(&"n".repeat(255));
    put(volume, &long, "long");
    assert_eq!(content(volume, Spot::Path(&long)), "long");
    let below = volume.make_folder(&below_file);
    assert!(
        matches!(below, Err(VolumeError::NotAFolder { .. })),
        "{below:?}"
    );
}

fn only_regular_files_open(volume: &dyn Volume) {
    let folder = path("no-file");
    volume.make_folder(&folder).expect("make");
    for at in [&folder, &path("")] {
        let opened = volume.open(Spot::Path(at));
        assert!(
            matches!(opened, Err(VolumeError::NotAFile { .. })),
            "{opened:?}"
        );
    }
}

fn a_copy_is_equal_and_apart(volume: &dyn Volume) {
    let at = path("original");
    let text = "0123456789".repeat(60_000);
    put(volume, &at, &text);
    let from = volume.open(Spot::Path(&at)).expect("open");
    let mut to = volume.temp().expect("temp");
    assert_eq!(volume.copy(&from, &to).expect("copy"), 600_000);
    volume.flush(&to.file).expect("flush");
    assert_eq!(content(volume, Spot::Temp(&to.name)), text);
    to.file.write_all(b"X").expect("write");
    assert!(content(volume, Spot::Path(&at)).starts_with('0'));
    volume.remove(Spot::Temp(&to.name)).expect("remove");
}

fn space_is_told(volume: &dyn Volume) {
    let space = volume.space().expect("space");
    assert!(0 < space.free && space.free <= space.total, "{space:?}");
}
