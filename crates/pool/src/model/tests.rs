//! The model loses what it should and nothing else.

use std::collections::HashSet;
use std::io::Write;

use super::*;
use crate::{Options, suite};

struct Bench {
    _dir: tempfile::TempDir,
    volume: ModelVolume,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let disk = LocalVolume::open(dir.path(), Options::default()).unwrap();
    Bench {
        volume: ModelVolume::new(disk),
        _dir: dir,
    }
}

fn path(text: &str) -> VolumePath {
    VolumePath::parse(text).unwrap()
}

fn temp(volume: &ModelVolume, text: &str) -> Temp {
    let mut temp = volume.temp().unwrap();
    temp.file.write_all(text.as_bytes()).unwrap();
    temp
}

fn content(volume: &ModelVolume, at: &str) -> Option<String> {
    let bytes = std::fs::read(volume.root().join(at)).ok()?;
    Some(String::from_utf8(bytes).unwrap())
}

#[test]
fn keeps_every_promise_of_a_volume() {
    suite::run(&bench().volume);
}

#[test]
fn content_that_was_not_flushed_may_be_cut_or_zero() {
    let outcomes: HashSet<_> = (0..40)
        .map(|seed| {
            let Bench { volume, _dir } = bench();
            let temp = temp(&volume, "0123456789");
            volume
                .rename(Spot::Temp(&temp.name), Spot::Path(&path("f")))
                .unwrap();
            // The name is safe, the bytes are not: what a forgotten flush leads to.
            volume.sync_folders(&[path("").into()]).unwrap();
            volume.crash(seed);
            content(&volume, "f").expect("the name is safe")
        })
        .collect();
    assert!(outcomes.contains(""), "{outcomes:?}");
    assert!(outcomes.contains("0123456789"), "{outcomes:?}");
    assert!(
        outcomes.iter().any(|text| text.contains('\0')),
        "{outcomes:?}"
    );
}

#[test]
fn a_rename_is_lost_or_done_and_flushed_content_is_whole() {
    let outcomes: HashSet<_> = (0..40)
        .map(|seed| {
            let Bench { volume, _dir } = bench();
            let temp = temp(&volume, "whole");
            volume.flush(&temp.file).unwrap();
            volume
                .rename(Spot::Temp(&temp.name), Spot::Path(&path("f")))
                .unwrap();
            volume.crash(seed);
            let parked = format!(".cumulet/tmp/{}", temp.name);
            (content(&volume, "f"), content(&volume, &parked))
        })
        .collect();
    let whole = Some("whole".to_owned());
    assert_eq!(
        outcomes,
        HashSet::from([(whole.clone(), None), (None, whole)])
    );
}

#[test]
fn a_synced_folder_keeps_its_renames_and_what_they_stand_on() {
    for seed in 0..20 {
        let Bench { volume, _dir } = bench();
        volume.make_folder(&path("a")).unwrap();
        volume.make_folder(&path("a/b")).unwrap();
        volume.make_folder(&path("apart")).unwrap();
        let temp = temp(&volume, "x");
        volume.flush(&temp.file).unwrap();
        volume
            .rename(Spot::Temp(&temp.name), Spot::Path(&path("a/b/f")))
            .unwrap();
        volume.sync_folders(&[path("a/b").into()]).unwrap();
        volume.crash(seed);
        assert_eq!(
            content(&volume, "a/b/f").as_deref(),
            Some("x"),
            "seed {seed}"
        );
    }
}

#[test]
fn a_removal_can_come_undone() {
    let outcomes: HashSet<_> = (0..20)
        .map(|seed| {
            let Bench { volume, _dir } = bench();
            let temp = temp(&volume, "x");
            volume.flush(&temp.file).unwrap();
            volume.remove(Spot::Temp(&temp.name)).unwrap();
            assert_eq!(volume.temps().unwrap(), []);
            volume.crash(seed);
            assert_eq!(volume.list_history(None).unwrap().len(), 0);
            volume.temps().unwrap().len()
        })
        .collect();
    assert_eq!(outcomes, HashSet::from([0, 1]));
}

#[test]
fn only_the_latest_changes_are_lost() {
    for seed in 0..40 {
        let Bench { volume, _dir } = bench();
        for n in 0..8 {
            volume.make_folder(&path(&format!("f{n}"))).unwrap();
        }
        let loss = volume.crash(seed);
        let there: Vec<_> = (0..8)
            .map(|n| {
                volume
                    .stat(Spot::Path(&path(&format!("f{n}"))))
                    .unwrap()
                    .is_some()
            })
            .collect();
        let expected: Vec<_> = (0..8).map(|n| n < 8 - loss.changes).collect();
        assert_eq!(there, expected, "seed {seed}");
    }
}

#[test]
fn power_goes_off_at_the_chosen_operation() {
    let Bench { volume, _dir } = bench();
    volume.cut_power_after(1);
    volume.make_folder(&path("a")).unwrap();
    assert!(volume.make_folder(&path("b")).is_err());
    assert!(
        volume.list(&path("")).is_err(),
        "a dead process sees nothing"
    );
    volume.crash(1);
    assert!(volume.list(&path("")).is_ok());
}

/// Seen only where a file system lacks one ordered journal: the source's folder is flushed, the
/// shelf is not.
#[test]
fn what_is_put_on_a_shelf_that_nobody_flushes_is_lost() {
    let outcomes = [false, true].map(|with_shelf| {
        let Bench { volume, _dir } = bench();
        volume.lose_halves();
        let temp = temp(&volume, "old");
        volume.flush(&temp.file).unwrap();
        volume
            .rename(Spot::Temp(&temp.name), Spot::Path(&path("f")))
            .unwrap();
        let kept = HistoryName::new("ab/f").unwrap();
        volume
            .rename(Spot::Path(&path("f")), Spot::History(&kept))
            .unwrap();
        let mut folders = vec![path("").into()];
        folders.extend(kept.folder().filter(|_| with_shelf));
        volume.sync_folders(&folders).unwrap();
        volume.crash(1);
        assert_eq!(content(&volume, "f"), None);
        content(&volume, ".cumulet/history/ab/f")
    });
    assert_eq!(outcomes, [None, Some("old".to_owned())]);
}

#[test]
fn a_flush_that_fails_makes_nothing_durable() {
    let Bench { volume, _dir } = bench();
    let temp = temp(&volume, "x");
    volume.fail_flushes(true);
    assert!(volume.flush(&temp.file).is_err());
    assert!(volume.sync_folders(&[]).is_err());
    assert!(volume.sync_all().is_err());
    volume.fail_flushes(false);
    volume.flush(&temp.file).unwrap();
}
