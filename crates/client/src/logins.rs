//! What this device keeps of the nodes where it is signed in.
//!
//! One file per login below `$XDG_STATE_HOME/cumulet/logins` (else `~/.local/state/…`), readable by
//! its owner only, because it holds the device's password. Written beside and renamed, so a crash
//! leaves the old file or the new one.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use protocol::{NodeId, NodeName, NodeSecret, TlsKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ClientError, Kind};

/// A login.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// What the person calls the node; its own name unless another was chosen.
    pub name: NodeName,
    /// Who it is. Everything else may change.
    pub node: NodeId,
    /// The key of its certificate when we last met.
    pub tls_key: TlsKey,
    /// Host and port that were given or found at the sign-in; the name in every request.
    pub address: String,
    /// Where it answered last, if that was elsewhere.
    #[serde(default)]
    pub last: Option<String>,
    /// Name of the account, which is also the name of its space.
    pub user: String,
    /// The device's own password.
    pub password: String,
    /// The secret of the device's own key, with which it speaks the peer protocol.
    #[serde(default)]
    pub device: Option<DeviceSecret>,
    /// The center that tells where the node is, its key pinned in it.
    #[serde(default)]
    pub center: Option<String>,
}

/// A secret key, in hexadecimal digits where it is kept.
#[derive(Clone)]
pub struct DeviceSecret(pub NodeSecret);

impl Serialize for DeviceSecret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&HEXLOWER.encode(self.0.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for DeviceSecret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let wrong = || serde::de::Error::custom("expected 64 hexadecimal digits");
        Ok(Self(NodeSecret::from_bytes(bytes.ok_or_else(wrong)?)))
    }
}

/// Without the password.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Login({} as {} at {})",
            self.node, self.user, self.address
        )
    }
}

/// The folder of logins.
#[derive(Debug, Clone)]
pub struct Logins {
    folder: PathBuf,
}

impl Logins {
    /// The logins of whoever runs this program.
    ///
    /// # Errors
    /// If neither `XDG_STATE_HOME` nor `HOME` names a folder.
    pub fn of_this_user() -> Result<Self, ClientError> {
        let absolute = |name: &str| {
            let path = std::env::var_os(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        let state = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .ok_or_else(|| {
                ClientError::new(Kind::Local, "there is no home folder to keep logins in")
                    .hint("set HOME or XDG_STATE_HOME")
            })?;
        Ok(Self::below(&state))
    }

    /// The logins below a state folder.
    #[must_use]
    pub fn below(state: &Path) -> Self {
        Self {
            folder: state.join("cumulet/logins"),
        }
    }

    fn path(&self, name: &NodeName) -> PathBuf {
        // A node's name has letters, digits and hyphens only.
        self.folder.join(format!("{name}.json"))
    }

    /// One login.
    ///
    /// # Errors
    /// If there is none of that name, or its file is damaged or readable by others.
    pub fn get(&self, name: &NodeName) -> Result<Login, ClientError> {
        self.find(name)?.ok_or_else(|| {
            ClientError::new(Kind::Missing, format!("there is no login called `{name}`")).hint(
                format!("`cumulet logins` lists those there are; `cumulet login ADDRESS --as {name}` makes one"),
            )
        })
    }

    /// One login, if it is there.
    ///
    /// # Errors
    /// If its file is damaged or readable by others.
    pub fn find(&self, name: &NodeName) -> Result<Option<Login>, ClientError> {
        let path = self.path(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ClientError::local("read", &path, &error)),
        };
        let facts = fs::metadata(&path);
        let facts = facts.map_err(|error| ClientError::local("read", &path, &error))?;
        if facts.permissions().mode() & 0o077 != 0 {
            return Err(ClientError::new(
                Kind::Local,
                format!("{} can be read by other users", path.display()),
            )
            .hint(format!(
                "take the device's password back on the account page, remove the file, \
                 then `cumulet login {name}` again"
            )));
        }
        let login: Login = serde_json::from_str(&text).map_err(|error| {
            ClientError::new(
                Kind::Local,
                format!("{} is damaged: {error}", path.display()),
            )
            .hint(format!("remove it, then `cumulet login {name}` again"))
        })?;
        Ok(Some(login))
    }

    /// All of them, by name. A file that cannot be read is an error.
    ///
    /// # Errors
    /// As [`Logins::get`].
    pub fn all(&self) -> Result<Vec<Login>, ClientError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(ClientError::local("list", &self.folder, &error)),
        };
        let mut names: Vec<NodeName> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                name.to_str()?.strip_suffix(".json")?.parse().ok()
            })
            .collect();
        names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        let logins = names.iter().map(|name| self.find(name));
        logins.filter_map(Result::transpose).collect()
    }

    /// Keeps a login, in place of one of the same name.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn put(&self, login: &Login) -> Result<(), ClientError> {
        let path = self.path(&login.name);
        let failed = |error: io::Error| ClientError::local("write", &path, &error);
        let mut folder = DirBuilder::new();
        folder.recursive(true).mode(0o700);
        folder.create(&self.folder).map_err(failed)?;
        let text = serde_json::to_string_pretty(login)
            .map_err(|error| ClientError::fault(error.to_string()))?;
        let fresh = self
            .folder
            .join(format!(".{}.{}", login.name, std::process::id()));
        let written = || {
            // One that a crash left may have another mode.
            let _ = fs::remove_file(&fresh);
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        written().map_err(|error| {
            let _ = fs::remove_file(&fresh);
            failed(error)
        })
    }

    /// Forgets a login; false if there was none.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn remove(&self, name: &NodeName) -> Result<bool, ClientError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(ClientError::local("remove", &path, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(name: &str) -> Login {
        Login {
            name: name.parse().unwrap(),
            node: protocol::NodeSecret::from_bytes([1; 32]).id(),
            tls_key: TlsKey([2; 32]),
            address: "192.168.1.5:8443".into(),
            last: None,
            user: "alice".into(),
            password: "k3vq".into(),
            device: None,
            center: None,
        }
    }

    #[test]
    fn a_login_is_kept_for_its_owner_only_and_reads_back() {
        let state = tempfile::tempdir().unwrap();
        let logins = Logins::below(state.path());
        assert!(logins.all().unwrap().is_empty());
        for name in ["work", "home"] {
            logins.put(&login(name)).unwrap();
        }
        let names: Vec<_> = logins
            .all()
            .unwrap()
            .into_iter()
            .map(|l| l.name.to_string())
            .collect();
        assert_eq!(names, ["home", "work"]);
        let home = "home".parse().unwrap();
        assert_eq!(logins.get(&home).unwrap().password, "k3vq");
        let file = state.path().join("cumulet/logins/home.json");
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert!(!format!("{:?}", login("home")).contains("k3vq"));
        assert!(logins.remove(&home).unwrap());
        assert!(!logins.remove(&home).unwrap());
        assert_eq!(logins.get(&home).unwrap_err().kind, Kind::Missing);
    }

    #[test]
    fn a_login_that_others_can_read_and_a_damaged_one_are_told() {
        let state = tempfile::tempdir().unwrap();
        let logins = Logins::below(state.path());
        logins.put(&login("home")).unwrap();
        let (home, file) = (
            "home".parse().unwrap(),
            state.path().join("cumulet/logins/home.json"),
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            logins
                .get(&home)
                .unwrap_err()
                .message
                .contains("other users")
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "{").unwrap();
        assert!(logins.get(&home).unwrap_err().message.contains("damaged"));
    }
}
