//! What a crash does to the content of files that were not flushed.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::FileStat;

/// A small deterministic generator (splitmix64): the seed in a failed test repeats it.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("less than a usize")
    }
}

/// Damages files whose bytes beyond the safe ones may be lost; gives how many it damaged.
pub(super) fn damage(root: &Path, safe_bytes: &HashMap<u64, u64>, dice: &mut Dice) -> usize {
    let mut damaged = 0;
    let mut found = files(root);
    // The order of a directory is not part of the seed; that of inodes is, as they were made.
    found.sort_by_key(|(_, stat)| stat.inode);
    for (path, stat) in found {
        let Some(safe) = safe_bytes.get(&stat.inode) else {
            continue;
        };
        let unsafe_bytes = stat.size.saturating_sub(*safe);
        if unsafe_bytes == 0 {
            continue;
        }
        let file = File::options()
            .write(true)
            .open(&path)
            .expect("our own file");
        let kept = safe + dice.below(usize::try_from(unsafe_bytes).expect("a small test")) as u64;
        match dice.below(4) {
            0 => continue,
            1 => file.set_len(*safe).expect("cut"),
            2 => file.set_len(kept).expect("cut"),
            _ => {
                let zeros = vec![0; usize::try_from(stat.size - kept).expect("a small test")];
                file.write_all_at(&zeros, kept).expect("zero");
            }
        }
        damaged += 1;
    }
    damaged
}

/// All regular files below `root`, the volume's own ones too.
pub(super) fn files(root: &Path) -> Vec<(PathBuf, FileStat)> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && let Ok(file) = File::open(&path)
                && let Ok(stat) = FileStat::of(&file)
            {
                files.push((path, stat));
            }
        }
    }
    files
}
