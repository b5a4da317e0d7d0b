//! The node's secret on disk: `keys/node.key`, 64 hexadecimal digits and a newline, mode 0600.
//!
//! It is drawn at the first start and never written again. A file that others may read is refused
//! rather than repaired: its secret must be taken as known.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use protocol::{NodeSecret, SecretError};
use thiserror::Error;

use crate::layout::{self, Layout, LayoutError};

/// Why the secret cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It could not be drawn.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It could not be read or written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Not 64 hexadecimal digits.
    #[error("{} is damaged: expected 64 hexadecimal digits; restore it from a copy or from the recovery words", .0.display())]
    Damaged(PathBuf),
    /// Group or others may read it.
    #[error("{} can be read by other users (mode {mode:o}); set it to 600, and make a new node if they are not trusted", .path.display())]
    Readable {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Reads the node's secret, or draws it at the first start; true = it is new.
pub(crate) fn load_or_make(layout: &Layout) -> Result<(NodeSecret, bool), KeyError> {
    let path = layout.key_file();
    if path.exists() {
        return load(layout).map(|secret| (secret, false));
    }
    let secret = NodeSecret::generate()?;
    if let Some(folder) = path.parent() {
        layout::make_folder(folder, 0o700)?;
    }
    let mut text = String::with_capacity(65);
    for byte in secret.as_bytes() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    layout::replace(&path, text.as_bytes(), 0o600)?;
    Ok((secret, true))
}

/// Reads the node's secret.
pub(crate) fn load(layout: &Layout) -> Result<NodeSecret, KeyError> {
    let path = layout.key_file();
    let read = |source| LayoutError::Io {
        action: "read",
        path: path.clone(),
        source,
    };
    let mode = fs::metadata(&path).map_err(read)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Readable { path, mode });
    }
    let text = fs::read_to_string(&path).map_err(read)?;
    text.trim()
        .parse::<protocol::Hash>()
        .map(|bits| NodeSecret::from_bytes(bits.0))
        .map_err(|_| KeyError::Damaged(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_outlives_a_restart() {
        let top = tempfile::tempdir().unwrap();
        let layout = Layout::prepare(top.path(), None).unwrap();
        let (first, new) = load_or_make(&layout).unwrap();
        assert!(new);
        let (second, new) = load_or_make(&layout).unwrap();
        assert!(!new);
        assert_eq!(first.id(), second.id());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let layout = Layout::prepare(top.path(), None).unwrap();
        load_or_make(&layout).unwrap();
        fs::set_permissions(layout.key_file(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            load(&layout),
            Err(KeyError::Readable { mode: 0o644, .. })
        ));
    }

    #[test]
    fn a_damaged_key_is_told_and_kept() {
        let top = tempfile::tempdir().unwrap();
        let layout = Layout::prepare(top.path(), None).unwrap();
        load_or_make(&layout).unwrap();
        layout::replace(&layout.key_file(), b"abc\n", 0o600).unwrap();
        assert!(matches!(load_or_make(&layout), Err(KeyError::Damaged(_))));
        assert_eq!(fs::read(layout.key_file()).unwrap(), b"abc\n");
    }
}
