//! What a file system can do, found by trying it on two files in `tmp`.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::{Facts, TempName};

/// Tries each fact; leaves nothing behind. Gives what cannot be written to as such.
pub(super) fn probe(tmp: BorrowedFd<'_>) -> Result<Facts, Errno> {
    let stem = TempName::random().map_err(|_| Errno::IO)?;
    let [one, two, three, four] = ["a", "b", "c", "d"].map(|end| format!("{stem}-{end}"));
    let made = make(tmp, &one).and_then(|one| Ok((one, make(tmp, &two)?)));
    let (first, second) = match made {
        Ok(files) => files,
        Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => return Ok(Facts::default()),
        Err(errno) => {
            let _ = rustix::fs::unlinkat(tmp, &one, AtFlags::empty());
            return Err(errno);
        }
    };
    let rename = |to, flags| rustix::fs::renameat_with(tmp, &one, tmp, to, flags);
    let there = |name: &str| rustix::fs::statat(tmp, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    let facts = Facts {
        exchange: rename(&two, RenameFlags::EXCHANGE).is_ok(),
        hard_links: rustix::fs::linkat(tmp, &one, tmp, &three, AtFlags::empty()).is_ok(),
        reflink: shares_blocks(&first, &second),
        case_sensitive: !there(&one.to_ascii_uppercase()),
        // On a taken name the kernel refuses by itself, whatever the file system can do.
        noreplace: rename(&four, RenameFlags::NOREPLACE).is_ok(),
        lasting_inodes: !numbers_inodes_anew(tmp)?,
        writable: true,
    };
    for name in [&one, &two, &three, &four] {
        let _ = rustix::fs::unlinkat(tmp, name, AtFlags::empty());
    }
    Ok(facts)
}

/// `f_type` of file systems that number their inodes anew at each mount, or may: there is no trying this out.
const ANEW: [u32; 7] = [
    0x4d44,      // FAT
    0x2011_BAB0, // exFAT
    0x6573_5546, // FUSE: its drivers give numbers of the moment unless they say otherwise
    0x517B,      // SMB
    0xFF53_4D42, // CIFS
    0xFE53_4D42, // SMB 2
    0x0102_1997, // 9P
];

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the type of f_type differs between architectures; the values have 32 bits"
)]
fn numbers_inodes_anew(tmp: BorrowedFd<'_>) -> Result<bool, Errno> {
    let kind = rustix::fs::fstatfs(tmp)?.f_type as u32;
    Ok(ANEW.contains(&kind))
}

/// Cloning an empty file works even where blocks cannot be shared, so there has to be a block.
fn shares_blocks(from: &OwnedFd, to: &OwnedFd) -> bool {
    let block = [1; 4096];
    rustix::io::write(from, &block) == Ok(block.len())
        && rustix::fs::ioctl_ficlone(to.as_fd(), from.as_fd()).is_ok()
}

fn make(tmp: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    rustix::fs::openat(tmp, name, flags, Mode::from(0o600))
}
