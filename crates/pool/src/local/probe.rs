//! What a file system can do, found by trying it on two files in `tmp`.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::{Facts, TempName};

/// Tries each fact; leaves nothing behind. Gives what cannot be written to as such.
pub(super) fn probe(tmp: BorrowedFd<'_>) -> Result<Facts, Errno> {
    let stem = TempName::random().map_err(|_| Errno::IO)?;
    let [one, two, three] = ["a", "b", "c"].map(|end| format!("{stem}-{end}"));
    let made = make(tmp, &one).and_then(|one| Ok((one, make(tmp, &two)?)));
    let (first, second) = match made {
        Ok(files) => files,
        Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => return Ok(Facts::default()),
        Err(errno) => {
            let _ = rustix::fs::unlinkat(tmp, &one, AtFlags::empty());
            return Err(errno);
        }
    };
    let rename = |flags| rustix::fs::renameat_with(tmp, &one, tmp, &two, flags);
    let there = |name: &str| rustix::fs::statat(tmp, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    let facts = Facts {
        exchange: rename(RenameFlags::EXCHANGE).is_ok(),
        noreplace: rename(RenameFlags::NOREPLACE) == Err(Errno::EXIST),
        hard_links: rustix::fs::linkat(tmp, &one, tmp, &three, AtFlags::empty()).is_ok(),
        reflink: shares_blocks(&first, &second),
        case_sensitive: !there(&one.to_ascii_uppercase()),
        writable: true,
    };
    for name in [&one, &two, &three] {
        let _ = rustix::fs::unlinkat(tmp, name, AtFlags::empty());
    }
    Ok(facts)
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
