//! Opening what lies below a folder and nothing else.
//!
//! The kernel's own check (`openat2` with `RESOLVE_BENEATH`, Linux 5.6) is one system call. Where
//! it is missing or a sandbox forbids it, the path is walked name by name without following
//! anything. Either way symbolic links, `..` and mounts on the way are errors.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How often a lookup that raced with a rename is repeated; `openat2` gives EAGAIN for it.
const RACES_MAX: u32 = 64;

/// A folder, and the only way down from it.
#[derive(Debug)]
pub(super) struct Beneath {
    top: OwnedFd,
    device: u64,
    by_kernel: AtomicBool,
}

impl Beneath {
    pub(super) fn new(top: OwnedFd) -> Result<Self, Errno> {
        let device = rustix::fs::fstat(&top)?.st_dev;
        Ok(Self {
            top,
            device,
            by_kernel: AtomicBool::new(true),
        })
    }

    pub(super) fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// Opens `path` (not empty); a symbolic link anywhere in it, at its end too, is ELOOP.
    pub(super) fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC;
        if self.by_kernel.load(Ordering::Relaxed) {
            match self.open_by_kernel(path, flags) {
                // Some sandboxes answer EPERM to calls they do not know.
                Err(Errno::NOSYS | Errno::PERM) => {
                    let opened = self.open_by_walk(path, flags)?;
                    self.by_kernel.store(false, Ordering::Relaxed);
                    return Ok(opened);
                }
                result => return result,
            }
        }
        self.open_by_walk(path, flags)
    }

    fn open_by_kernel(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        let mut races = 0;
        loop {
            match rustix::fs::openat2(&self.top, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) if races < RACES_MAX => races += 1,
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
    }

    fn open_by_walk(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let flags = flags | OFlags::NOFOLLOW;
        let mut at: Option<OwnedFd> = None;
        let mut names = path.iter().peekable();
        while let Some(name) = names.next() {
            if name == ".." || name == "/" {
                return Err(Errno::XDEV);
            }
            let last = names.peek().is_none();
            let from = at.as_ref().map_or(self.top.as_fd(), AsFd::as_fd);
            let flags = if last { flags } else { step };
            let next = rustix::fs::openat(from, name, flags, Mode::empty())
                .map_err(|errno| symlink_or(from, name, errno))?;
            let stat = rustix::fs::fstat(&next)?;
            if stat.st_dev != self.device {
                return Err(Errno::XDEV);
            }
            if is_symlink(&stat) {
                return Err(Errno::LOOP);
            }
            at = Some(next);
        }
        at.ok_or(Errno::INVAL)
    }
}

/// `O_PATH | O_DIRECTORY` on a symbolic link says ENOTDIR; the truth is ELOOP.
fn symlink_or(dir: BorrowedFd<'_>, name: &std::ffi::OsStr, errno: Errno) -> Errno {
    use rustix::fs::AtFlags;
    if errno != Errno::NOTDIR {
        return errno;
    }
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if is_symlink(&stat) => Errno::LOOP,
        Ok(_) | Err(_) => errno,
    }
}

fn is_symlink(stat: &rustix::fs::Stat) -> bool {
    use rustix::fs::FileType;
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Both ways down must agree on what is outside.
    #[test]
    fn neither_way_down_follows_a_link_or_goes_up() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("top/in")).unwrap();
        std::fs::write(dir.path().join("secret"), "s").unwrap();
        std::fs::write(dir.path().join("top/in/file"), "f").unwrap();
        symlink(dir.path(), dir.path().join("top/in/out")).unwrap();
        symlink("file", dir.path().join("top/in/link")).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let top = rustix::fs::open(dir.path().join("top"), flags, Mode::empty()).unwrap();
        let beneath = Beneath::new(top).unwrap();
        let check = |path: &str, expected: Option<Errno>| {
            let path = Path::new(path);
            for kind in [OFlags::RDONLY, OFlags::PATH] {
                let flags = kind | OFlags::CLOEXEC;
                let kernel = beneath.open_by_kernel(path, flags).err();
                let walk = beneath.open_by_walk(path, flags).err();
                assert_eq!((kernel, walk), (expected, expected), "{}", path.display());
            }
        };
        check("in/file", None);
        check("in/out/secret", Some(Errno::LOOP));
        check("in/link", Some(Errno::LOOP));
        check("in/out", Some(Errno::LOOP));
        check("../secret", Some(Errno::XDEV));
        check("in/none", Some(Errno::NOENT));
        check("in/file/x", Some(Errno::NOTDIR));
    }
}
