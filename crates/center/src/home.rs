//! The folder of a center: key, database, lock, settings, the owner's token.
//!
//! ```text
//! DIR/center.toml      settings, optional
//! DIR/center.db        the registry, unless --database names a server
//! DIR/keys/center.key  256 bits, hexadecimal, 0600
//! DIR/owner.hash       BLAKE3 of the owner's token
//! DIR/lock             flock; held while the center runs or a command works without one
//! DIR/admin.sock       0600, HTTP
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use protocol::{Hash, NodeSecret};

/// Paths of a center.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

/// The exclusive right to a center's folder; given back when dropped or when the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

impl Home {
    /// The folder, made if it is missing.
    ///
    /// # Errors
    /// If it cannot be made, or holds something else.
    pub fn prepare(folder: &Path) -> anyhow::Result<Self> {
        let home = Self(folder.to_owned());
        let empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
        if !empty && !home.key_file().is_file() && !home.settings_file().is_file() {
            bail!(
                "{} holds something that is not of a center; name an empty or a new folder",
                folder.display()
            );
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(folder.join("keys"))
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(home)
    }

    /// The folder of a center that exists.
    ///
    /// # Errors
    /// If none is there.
    pub fn find(folder: &Path) -> anyhow::Result<Self> {
        let home = Self(folder.to_owned());
        if !home.key_file().is_file() {
            bail!(
                "{} holds no center; `cumulet center {} --zone ZONE` makes one",
                folder.display(),
                folder.display()
            );
        }
        Ok(home)
    }

    /// The optional settings.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.0.join("center.toml")
    }

    /// The SQLite file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.0.join("center.db")
    }

    /// Where a running center listens for commands.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    fn key_file(&self) -> PathBuf {
        self.0.join("keys").join("center.key")
    }

    /// Takes the lock, or says who holds it. Never waits.
    ///
    /// # Errors
    /// If another process has it.
    pub fn lock(&self) -> anyhow::Result<Lock> {
        let path = self.0.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                bail!(
                    "the center in {} is already in use by process {}",
                    self.0.display(),
                    holder.trim()
                );
            }
            Err(TryLockError::Error(error)) => return Err(error).context("cannot take the lock"),
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Lock(file))
    }

    /// The center's secret, drawn at the first start.
    ///
    /// # Errors
    /// If the file is damaged or others may read it.
    pub fn secret(&self) -> anyhow::Result<NodeSecret> {
        let path = self.key_file();
        if !path.exists() {
            let secret = NodeSecret::generate()?;
            write_private(&path, &format!("{}\n", Hash(*secret.as_bytes())))?;
            return Ok(secret);
        }
        let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            bail!(
                "{} can be read by other users (mode {mode:o}); set it to 600, and make a new \
                 center if they are not trusted",
                path.display()
            );
        }
        let text = fs::read_to_string(&path)?;
        let bits: Hash = text.trim().parse().map_err(|_| {
            anyhow::anyhow!(
                "{} is damaged: expected 64 hexadecimal digits",
                path.display()
            )
        })?;
        Ok(NodeSecret::from_bytes(bits.0))
    }

    /// The owner's token: its hash, and at the first start the token itself, this one time.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn owner_token(&self) -> anyhow::Result<(OwnerToken, Option<String>)> {
        let path = self.0.join("owner.hash");
        if let Ok(text) = fs::read_to_string(&path) {
            let hash: Hash = text.trim().parse().map_err(|_| {
                anyhow::anyhow!(
                    "{} is damaged; remove it to get a new token",
                    path.display()
                )
            })?;
            return Ok((OwnerToken(hash.0), None));
        }
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(|_| anyhow::anyhow!("no random numbers"))?;
        let token = Hash(bits).to_string();
        let hash = OwnerToken::of(&token);
        write_private(&path, &format!("{}\n", Hash(hash.0)))?;
        Ok((hash, Some(token)))
    }
}

/// What the owner's token must hash to.
#[derive(Debug, Clone, Copy)]
pub struct OwnerToken([u8; 32]);

impl OwnerToken {
    fn of(token: &str) -> Self {
        Self(blake3::derive_key(
            "cumulet center 1 owner token",
            token.as_bytes(),
        ))
    }

    /// True if `token` is the owner's. Hashes are compared, so time tells nothing of the token.
    #[must_use]
    pub fn is(&self, token: &str) -> bool {
        blake3::Hash::from(Self::of(token).0) == blake3::Hash::from(self.0)
    }
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .with_context(|| format!("cannot write {}", fresh.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
