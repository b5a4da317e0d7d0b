//! Copies on one file system: shared blocks, else a copy inside of the kernel, else by hand.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

/// Bytes per step of a copy by hand.
const PIECE: usize = 256 * 1024;

/// Bytes per `copy_file_range`; bounds the time of one system call.
const STRETCH: usize = 64 << 20;

/// Copies all of `from` to the start of the empty `to`; gives the number of bytes.
pub(super) fn copy(from: &File, to: &File, reflink: bool) -> std::io::Result<u64> {
    if reflink && rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(to.metadata()?.len());
    }
    let mut done = 0;
    loop {
        let mut input = done;
        let mut output = done;
        match rustix::fs::copy_file_range(from, Some(&mut input), to, Some(&mut output), STRETCH) {
            // Some file systems answer 0 where they cannot, so the end is found by reading.
            Ok(0) => break,
            Ok(moved) => done += moved as u64,
            Err(Errno::INTR) => {}
            Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => return Err(errno.into()),
            Err(_) => break,
        }
    }
    by_hand(from, to, done)
}

fn by_hand(from: &File, to: &File, mut done: u64) -> std::io::Result<u64> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read_at(&mut piece, done)?;
        if read == 0 {
            return Ok(done);
        }
        to.write_all_at(&piece[..read], done)?;
        done += read as u64;
    }
}
