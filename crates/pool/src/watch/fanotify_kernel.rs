//! The system calls of fanotify that no safe crate offers.
//!
//! All of the crate's unsafe code is here; each call passes plain numbers, a descriptor that lives
//! through the call, and at most one buffer whose length the kernel is told.
#![expect(
    unsafe_code,
    reason = "rustix and nix have no open_by_handle_at; see each SAFETY"
)]

use std::ffi::{c_int, c_uint};
use std::os::fd::{AsRawFd, FromRawFd};

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// Events after which remembered paths may be wrong.
pub(super) const PATHS_CHANGE: u64 = libc::FAN_MOVED_FROM | libc::FAN_MOVED_TO | libc::FAN_DELETE;

const WATCHED: u64 = libc::FAN_CREATE
    | libc::FAN_DELETE
    | libc::FAN_MOVED_FROM
    | libc::FAN_MOVED_TO
    | libc::FAN_CLOSE_WRITE
    | libc::FAN_ATTRIB
    | libc::FAN_ONDIR;

/// Longest handle that a kernel gives (`MAX_HANDLE_SZ`).
const HANDLE_BYTES_MAX: usize = 128;

/// `struct file_handle` with room for any handle.
#[repr(C)]
struct FileHandle {
    bytes: c_uint,
    kind: c_int,
    handle: [u8; HANDLE_BYTES_MAX],
}

fn checked(result: c_int) -> Result<c_int, Errno> {
    if result < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    Ok(result)
}

/// A group that reports folder handles and names and never blocks.
pub(super) fn init() -> Result<OwnedFd, Errno> {
    let flags =
        libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK | libc::FAN_REPORT_DFID_NAME;
    let event_flags = (libc::O_RDONLY | libc::O_CLOEXEC).cast_unsigned();
    // SAFETY: takes two numbers.
    let fd = checked(unsafe { libc::fanotify_init(flags, event_flags) })?;
    // SAFETY: the kernel just made this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Marks or unmarks the whole file system of an open folder.
pub(super) fn mark(group: BorrowedFd<'_>, root: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    let action = if on {
        libc::FAN_MARK_ADD
    } else {
        libc::FAN_MARK_REMOVE
    };
    let flags = action | libc::FAN_MARK_FILESYSTEM;
    let here = c".".as_ptr();
    // SAFETY: both descriptors live through the call; `here` is a constant with its NUL.
    let result =
        unsafe { libc::fanotify_mark(group.as_raw_fd(), flags, WATCHED, root.as_raw_fd(), here) };
    checked(result).map(drop)
}

/// Ignores all that happens in an open folder, though not in the folders below it. The kernel may
/// drop the mark when it needs the memory.
pub(super) fn ignore(group: BorrowedFd<'_>, folder: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = libc::FAN_MARK_ADD
        | libc::FAN_MARK_IGNORE_SURV
        | libc::FAN_MARK_EVICTABLE
        | libc::FAN_MARK_ONLYDIR;
    let here = c".".as_ptr();
    let mask = WATCHED | libc::FAN_EVENT_ON_CHILD;
    // SAFETY: both descriptors live through the call; `here` is a constant with its NUL.
    let result =
        unsafe { libc::fanotify_mark(group.as_raw_fd(), flags, mask, folder.as_raw_fd(), here) };
    checked(result).map(drop)
}

/// Lets go of all marks of [`ignore`]; those of file systems stay.
pub(super) fn heed_all(group: BorrowedFd<'_>) -> Result<(), Errno> {
    let here = c"/".as_ptr();
    // SAFETY: the descriptor lives through the call; `here` is a constant with its NUL.
    let result = unsafe {
        libc::fanotify_mark(
            group.as_raw_fd(),
            libc::FAN_MARK_FLUSH,
            0,
            libc::AT_FDCWD,
            here,
        )
    };
    checked(result).map(drop)
}

/// Opens the folder of a handle (`O_PATH`) on the mount of `root`.
pub(super) fn open_handle(
    root: BorrowedFd<'_>,
    kind: c_int,
    bytes: &[u8],
) -> Result<OwnedFd, Errno> {
    let mut handle = FileHandle {
        bytes: c_uint::try_from(bytes.len()).map_err(|_| Errno::INVAL)?,
        kind,
        handle: [0; HANDLE_BYTES_MAX],
    };
    let room = handle.handle.get_mut(..bytes.len()).ok_or(Errno::INVAL)?;
    room.copy_from_slice(bytes);
    let flags = libc::O_PATH | libc::O_CLOEXEC | libc::O_DIRECTORY;
    let pointer = (&raw mut handle).cast::<libc::file_handle>();
    // SAFETY: `handle` has the layout of the kernel's struct, begins with the length of what it
    // holds, and lives through the call; the kernel only reads it.
    let fd = checked(unsafe { libc::open_by_handle_at(root.as_raw_fd(), pointer, flags) })?;
    // SAFETY: the kernel just made this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Checks that handles of this file system can be opened by us: takes that of `root` itself.
pub(super) fn try_handles(root: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut handle = FileHandle {
        bytes: HANDLE_BYTES_MAX as c_uint,
        kind: 0,
        handle: [0; HANDLE_BYTES_MAX],
    };
    let mut mount = 0;
    let pointer = (&raw mut handle).cast::<libc::file_handle>();
    let empty = c"".as_ptr();
    // SAFETY: `handle` says how much room it has and lives through the call, as does `mount`;
    // `empty` is a constant with its NUL.
    let result = unsafe {
        libc::name_to_handle_at(
            root.as_raw_fd(),
            empty,
            pointer,
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    checked(result)?;
    let bytes = handle
        .handle
        .get(..handle.bytes as usize)
        .ok_or(Errno::INVAL)?;
    open_handle(root, handle.kind, bytes).map(drop)
}
