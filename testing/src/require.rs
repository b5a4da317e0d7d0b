//! Programs that tests need, and the Debian packages that hold them.

use std::path::PathBuf;

/// Program and Debian package where their names differ.
const PACKAGES: &[(&str, &str)] = &[
    ("mount.davfs", "davfs2"),
    ("apache2", "apache2-bin"),
    ("gio", "libglib2.0-bin"),
    ("gvfsd", "gvfs-daemons"),
    ("dbus-run-session", "dbus-daemon"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkfs.exfat", "exfatprogs"),
    ("mount.exfat-fuse", "exfat-fuse"),
    ("ip", "iproute2"),
    ("avahi-browse", "avahi-utils"),
    ("unshare", "util-linux"),
    ("losetup", "mount"),
    ("filefrag", "e2fsprogs"),
    ("setpriv", "util-linux"),
    ("node", "nodejs"),
    ("dig", "bind9-dnsutils"),
    ("nft", "nftables"),
    ("initdb", "postgresql"),
    ("pg_isready", "postgresql-client"),
];

fn package_of(program: &str) -> &str {
    PACKAGES
        .iter()
        .find(|(name, _)| *name == program)
        .map_or(program, |(_, package)| package)
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/lib/gvfs", "/usr/libexec"].map(PathBuf::from))
        .chain(versions("/usr/lib/postgresql"))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// `bin` of each installed version below `folder`, where Debian keeps several side by side.
fn versions(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join("bin")).collect()
}

/// Says why a test does not run here; with `CI=true` that is a failure.
pub(crate) fn skip(reason: &str) {
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{reason} (with CI=true nothing may be skipped)"
    );
    eprintln!("skipped: {reason}");
}

/// The path of `program`, or `None` after a line that names the Debian package.
///
/// ```no_run
/// fn story() {
///     let Some(litmus) = testing::require("litmus") else {
///         return;
///     };
///     println!("{}", litmus.display());
/// }
/// ```
#[must_use]
pub fn require(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        skip(&format!(
            "{program} is not installed; apt-get install {}",
            package_of(program)
        ));
    }
    found
}

/// True when all `programs` are there.
#[must_use]
pub fn require_all(programs: &[&str]) -> bool {
    programs.iter().all(|program| require(program).is_some())
}

/// True when the test may mount disks and make network namespaces.
#[must_use]
pub fn require_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("this test mounts disks or makes network namespaces and needs root");
    }
    root
}
