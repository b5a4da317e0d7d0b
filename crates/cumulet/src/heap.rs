//! Bounds of the C library's heap, so that a node stays as small as its work (R3, R108).
//!
//! Left alone, glibc gives up to eight heaps a core to the blocking threads and, once a password
//! hash (19 MiB) has been freed, keeps such blocks inside of them for good (decision 0013).
#![expect(
    unsafe_code,
    reason = "mallopt has no safe wrapper; a variable of the environment would need a new start"
)]

/// Heaps that all threads share.
#[cfg(target_env = "gnu")]
const ARENAS_MAX: libc::c_int = 2;

/// From this size on a block is mapped by itself and goes back when freed. Above the buffers of
/// transfers (256 KiB), which are worth keeping, and below a password hash.
#[cfg(target_env = "gnu")]
const MAPPED_FROM_BYTES: libc::c_int = 4 << 20;

/// Sets the bounds; to be called before there is a second thread.
pub(crate) fn bound() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two numbers and touches the allocator's own settings only; the caller
    // has no other thread yet. A refusal (0) leaves the default, which works too.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS_MAX);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
    }
}
