//! Small disks of their own: memory or loop devices, mounted for the time of a test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{require_all, require_root, run};

/// What lies on a loop device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// ext4
    Ext4,
    /// btrfs: reflinks
    Btrfs,
    /// exFAT by its FUSE driver: no exchange, no hard links, no permissions, inode numbers that do not last
    Exfat,
}

impl Disk {
    fn mkfs(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Ext4 => ("mkfs.ext4", &["-q", "-F"]),
            Self::Btrfs => ("mkfs.btrfs", &["-q", "-f"]),
            Self::Exfat => ("mkfs.exfat", &[]),
        }
    }

    fn mount(self) -> &'static str {
        match self {
            Self::Ext4 | Self::Btrfs => "mount",
            Self::Exfat => "mount.exfat-fuse",
        }
    }
}

/// A mounted disk; unmounted and forgotten on drop.
#[derive(Debug)]
pub struct Mount {
    folder: TempDir,
    disk: Option<Disk>,
    device: Option<String>,
    image: Option<PathBuf>,
    mounted: bool,
}

impl Mount {
    /// A memory disk of `size_mib`; `None` (after a line) without root.
    #[must_use]
    pub fn memory(size_mib: u32) -> Option<Self> {
        if !require_root() {
            return None;
        }
        let folder = TempDir::new().expect("the temporary folder is writable");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size_mib}m"), "tmpfs"])
            .arg(folder.path()));
        Some(Self {
            folder,
            disk: None,
            device: None,
            image: None,
            mounted: true,
        })
    }

    /// A fresh file system on a loop device of `size_mib`; `None` (after a line) without root or tools.
    #[must_use]
    pub fn device(disk: Disk, size_mib: u64) -> Option<Self> {
        let (mkfs, quiet) = disk.mkfs();
        if !require_root() || !require_all(&[mkfs, disk.mount(), "losetup"]) {
            return None;
        }
        let folder = TempDir::new().expect("the temporary folder is writable");
        let image = folder.path().with_extension("image");
        File::create(&image)
            .and_then(|file| file.set_len(size_mib << 20))
            .expect("the temporary folder has room");
        run(Command::new(mkfs).args(quiet).arg(&image));
        let device = run(Command::new("losetup")
            .args(["--find", "--show"])
            .arg(&image));
        let mut mount = Self {
            folder,
            disk: Some(disk),
            device: Some(device.trim().to_owned()),
            image: Some(image),
            mounted: false,
        };
        mount.plug();
        Some(mount)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Mounts it again after [`Mount::pull`].
    pub fn plug(&mut self) {
        let device = self.device.as_ref().expect("only a device can be put back");
        let mount = self.disk.map_or("mount", Disk::mount);
        run(Command::new(mount).arg(device).arg(self.folder.path()));
        self.mounted = true;
    }

    /// Takes it away from under whoever uses it (lazy unmount, as a pulled cable does).
    pub fn pull(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(self.folder.path()));
        self.mounted = false;
    }

    /// Mounts the same disk anew with other options, for example `ro`.
    pub fn remount(&self, options: &str) {
        run(Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(self.folder.path()));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted {
            Command::new("umount")
                .arg("--lazy")
                .arg(self.folder.path())
                .status()
                .ok();
        }
        if let Some(device) = &self.device {
            Command::new("losetup")
                .args(["--detach", device])
                .status()
                .ok();
        }
        if let Some(image) = &self.image {
            fs::remove_file(image).ok();
        }
    }
}
