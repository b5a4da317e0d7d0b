//! The state folder of a node: where each thing lies, who may hold it, how it is found again.
//!
//! ```text
//! <state>/cumulet.toml     settings, optional
//! <state>/catalog.db       the database
//! <state>/keys/node.key    256 bits, hexadecimal, 0600
//! <state>/tls/             key.pem (0600), cert.pem, certificate.toml, spki.sig
//! <state>/record-seq       number of the last record of this node, decimal
//! <state>/neighbors.json   nodes that were met
//! <state>/lock             flock; held while a node runs or a command works without one
//! <state>/admin.sock       0600, HTTP
//! <state>/volume           the served folder, if the state lies apart from it
//! <volume>/.cumulet/state  the state folder, if it lies apart
//! ```
//!
//! `<state>` is `<volume>/.cumulet` unless configured apart (R4). The folder is 0700. Files that
//! matter are replaced by rename after a flush, so a crash leaves the old or the new one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Our own folder at the top of a volume.
const HIDDEN: &str = ".cumulet";

/// What can go wrong between a path on the command line and an open state folder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// Neither a served folder nor a state folder.
    #[error("{} holds no node yet; `cumulet serve {}` makes one", .0.display(), .0.display())]
    NoNode(PathBuf),
    /// Something that is no folder.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// Another process holds the lock.
    #[error("the node in {} is already in use by process {holder}", .state.display())]
    Locked {
        /// The state folder.
        state: PathBuf,
        /// Its process id, `?` if it has not said.
        holder: String,
    },
    /// The state folder remembers another served folder.
    #[error("the state in {} belongs to the folder {}, not to {}", .state.display(), .known.display(), .asked.display())]
    OtherVolume {
        /// The state folder.
        state: PathBuf,
        /// What it remembers.
        known: PathBuf,
        /// What was asked for.
        asked: PathBuf,
    },
    /// The state would be served with the files of whoever has that name.
    #[error(
        "the state cannot lie in {}: that is inside of the served folder {}, whose content people see",
        .state.display(),
        .volume.display()
    )]
    StateInside {
        /// The served folder.
        volume: PathBuf,
        /// The state folder.
        state: PathBuf,
    },
    /// The node exists, its folder does not.
    #[error(
        "the folder {} of this node (state in {}) is not there: {why}; nothing was changed",
        .volume.display(),
        .state.display()
    )]
    HomeAway {
        /// The served folder.
        volume: PathBuf,
        /// The state folder.
        state: PathBuf,
        /// What was found instead.
        why: &'static str,
    },
    /// The system refused.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Fails if the state is that of a node: then its folder is not made anew, because it would lie under
/// the mount point of a disk that is not there.
fn refuse_known(volume: &Path, state: &Path) -> Result<(), LayoutError> {
    let layout = Layout {
        volume: volume.into(),
        state: state.into(),
    };
    let known = read_pointer(&layout.volume_pointer())?;
    let Some(known) = known.filter(|known| !known.exists() && layout.key_file().is_file()) else {
        return Ok(());
    };
    Err(LayoutError::HomeAway {
        volume: known,
        state: layout.state,
        why: "it does not exist",
    })
}

fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> LayoutError + use<'a> {
    move |source| LayoutError::Io {
        action,
        path: path.into(),
        source,
    }
}

/// The paths of one node. Nothing is opened or made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The folder whose content is served.
    pub volume: PathBuf,
    /// The state folder.
    pub state: PathBuf,
}

impl Layout {
    /// For `serve`: makes the folders where they are missing.
    pub fn prepare(volume: &Path, state: Option<&Path>) -> Result<Self, LayoutError> {
        if let Some(state) = state.filter(|_| !volume.exists()) {
            refuse_known(volume, state)?;
        }
        make_folder(volume, 0o755)?;
        let volume = canonical(volume)?;
        let hidden = volume.join(HIDDEN);
        let pointed = read_pointer(&hidden.join("state"))?;
        let state = match state.map(Path::to_path_buf).or(pointed) {
            None => hidden.clone(),
            Some(state) => {
                make_folder(&state, 0o700)?;
                canonical(&state)?
            }
        };
        if state.starts_with(&volume) && !state.starts_with(&hidden) {
            return Err(LayoutError::StateInside { volume, state });
        }
        let layout = Self { volume, state };
        let known = read_pointer(&layout.volume_pointer())?.filter(|_| layout.is_apart());
        if let Some(known) = known.filter(|known| *known != layout.volume) {
            return Err(LayoutError::OtherVolume {
                state: layout.state,
                known,
                asked: layout.volume,
            });
        }
        if layout.is_apart() && layout.key_file().is_file() && !hidden.is_dir() {
            // The disk is not mounted: what is made here would lie under its mount point.
            return Err(LayoutError::HomeAway {
                volume: layout.volume,
                state: layout.state,
                why: "a folder without the node's own `.cumulet` is in its place",
            });
        }
        make_folder(&hidden, 0o700)?;
        if layout.is_apart() {
            replace(
                &layout.volume_pointer(),
                path_line(&layout.volume).as_bytes(),
                0o600,
            )?;
            replace(
                &hidden.join("state"),
                path_line(&layout.state).as_bytes(),
                0o600,
            )?;
        }
        Ok(layout)
    }

    /// For every other command: `path` is the folder given to `serve` or the state folder itself.
    pub fn find(path: &Path) -> Result<Self, LayoutError> {
        if !path.is_dir() {
            return Err(if path.exists() {
                LayoutError::NotAFolder(path.into())
            } else {
                LayoutError::NoNode(path.into())
            });
        }
        let path = canonical(path)?;
        let hidden = path.join(HIDDEN);
        let candidate = if let Some(state) = read_pointer(&hidden.join("state"))? {
            Self {
                volume: path.clone(),
                state,
            }
        } else if hidden.join("keys").is_dir() {
            Self {
                volume: path.clone(),
                state: hidden,
            }
        } else if let Some(volume) = read_pointer(&path.join("volume"))? {
            Self {
                volume,
                state: path.clone(),
            }
        } else {
            let volume = path.parent().unwrap_or(&path).to_path_buf();
            Self {
                volume,
                state: path.clone(),
            }
        };
        if candidate.key_file().is_file() {
            Ok(candidate)
        } else {
            Err(LayoutError::NoNode(path))
        }
    }

    fn is_apart(&self) -> bool {
        self.state != self.volume.join(HIDDEN)
    }

    fn volume_pointer(&self) -> PathBuf {
        self.state.join("volume")
    }

    /// The optional settings.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.state.join("cumulet.toml")
    }

    /// The database.
    #[must_use]
    pub fn catalog(&self) -> PathBuf {
        self.state.join("catalog.db")
    }

    /// The node's secret.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.state.join("keys").join("node.key")
    }

    /// Where the certificate and its key lie.
    #[must_use]
    pub fn tls(&self) -> PathBuf {
        self.state.join("tls")
    }

    /// Where a running node listens for commands.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.state.join("admin.sock")
    }

    /// Takes the lock, or says who holds it. Never waits.
    pub fn lock(&self) -> Result<Lock, LayoutError> {
        let path = self.state.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let holder = if holder.is_empty() { "?" } else { holder }.into();
                return Err(LayoutError::Locked {
                    state: self.state.clone(),
                    holder,
                });
            }
            Err(TryLockError::Error(source)) => return Err(io_error("lock", &path)(source)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(io_error("write", &path))?;
        Ok(Lock { _file: file })
    }
}

/// The exclusive right to a state folder; given back when dropped or when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Makes `path` and its parents; `mode` holds for what is new.
pub fn make_folder(path: &Path, mode: u32) -> Result<(), LayoutError> {
    if path.exists() && !path.is_dir() {
        return Err(LayoutError::NotAFolder(path.into()));
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(io_error("make the folder", path))
}

/// Replaces `path` by a file of `bytes`: flushed before the rename, the folder after it.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), LayoutError> {
    let fresh = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&fresh)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        path.parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(io_error("write", path))
}

fn canonical(path: &Path) -> Result<PathBuf, LayoutError> {
    path.canonicalize().map_err(io_error("find", path))
}

fn path_line(path: &Path) -> String {
    format!("{}\n", path.display())
}

fn read_pointer(path: &Path) -> Result<Option<PathBuf>, LayoutError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(PathBuf::from(text.trim_end_matches('\n')))),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(io_error("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(layout: &Layout) {
        make_folder(layout.key_file().parent().unwrap(), 0o700).unwrap();
        replace(&layout.key_file(), b"x", 0o600).unwrap();
    }

    #[test]
    fn a_node_is_found_by_its_folder_and_by_its_state() {
        let top = tempfile::tempdir().unwrap();
        let volume = top.path().join("cloud");
        let made = Layout::prepare(&volume, None).unwrap();
        assert!(matches!(Layout::find(&volume), Err(LayoutError::NoNode(_))));
        key(&made);
        assert_eq!(Layout::find(&volume).unwrap(), made);
        assert_eq!(Layout::find(&volume.join(".cumulet")).unwrap(), made);
        let mode = fs::metadata(&made.state).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn state_and_data_can_lie_apart() {
        let top = tempfile::tempdir().unwrap();
        let (volume, state) = (top.path().join("cloud"), top.path().join("state"));
        let made = Layout::prepare(&volume, Some(&state)).unwrap();
        key(&made);
        assert_eq!(Layout::find(&volume).unwrap(), made);
        assert_eq!(Layout::find(&state).unwrap(), made);
        assert_eq!(Layout::prepare(&volume, None).unwrap(), made);
        let other = Layout::prepare(&top.path().join("other"), Some(&state));
        assert!(matches!(other, Err(LayoutError::OtherVolume { .. })));
    }

    #[test]
    fn the_state_never_lies_where_people_look() {
        let top = tempfile::tempdir().unwrap();
        let volume = top.path().join("cloud");
        for state in [
            volume.clone(),
            volume.join("alice"),
            volume.join("bob/state"),
        ] {
            let refused = Layout::prepare(&volume, Some(&state));
            assert!(
                matches!(refused, Err(LayoutError::StateInside { .. })),
                "{refused:?}"
            );
        }
        assert!(Layout::prepare(&volume, Some(&volume.join(".cumulet"))).is_ok());
    }

    #[test]
    fn nothing_is_made_under_the_mount_point_of_a_missing_disk() {
        let top = tempfile::tempdir().unwrap();
        let (volume, state) = (top.path().join("cloud"), top.path().join("state"));
        let made = Layout::prepare(&volume, Some(&state)).unwrap();
        key(&made);
        let away = top.path().join("away");
        fs::rename(&volume, &away).unwrap();
        let told = || {
            let refused = Layout::prepare(&volume, Some(&state)).unwrap_err();
            assert!(matches!(refused, LayoutError::HomeAway { .. }), "{refused}");
            refused.to_string()
        };
        assert!(told().contains("does not exist"));
        assert!(!volume.exists());
        fs::create_dir(&volume).unwrap();
        assert!(told().contains(".cumulet"));
        assert_eq!(fs::read_dir(&volume).unwrap().count(), 0);
        fs::remove_dir(&volume).unwrap();
        fs::rename(&away, &volume).unwrap();
        assert_eq!(Layout::prepare(&volume, Some(&state)).unwrap(), made);
    }

    #[test]
    fn the_lock_names_its_holder() {
        let top = tempfile::tempdir().unwrap();
        let layout = Layout::prepare(top.path(), None).unwrap();
        let lock = layout.lock().unwrap();
        let refused = layout.lock().unwrap_err().to_string();
        assert!(
            refused.ends_with(&format!("process {}", std::process::id())),
            "{refused}"
        );
        drop(lock);
        assert!(layout.lock().is_ok());
    }

    #[test]
    fn a_replaced_file_keeps_its_mode() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("secret");
        replace(&path, b"one", 0o600).unwrap();
        replace(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
