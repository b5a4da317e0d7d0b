//! A private PostgreSQL server on a unix socket, from Debian's package `postgresql`.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{Child, require, run, wait_until};

/// A server with an empty database `postgres`. Ended on drop.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    child: Option<Child>,
}

impl Postgres {
    /// Makes and starts one; `None` (after a line) where it is not installed.
    #[must_use]
    pub fn start() -> Option<Self> {
        let initdb = require("initdb")?;
        let programs = initdb.parent()?.to_owned();
        let folder = TempDir::new().expect("the temporary folder is writable");
        let mut server = Self {
            programs,
            folder,
            child: None,
        };
        if rustix::process::geteuid().is_root() {
            // The server refuses to run as root.
            run(Command::new("chown")
                .arg("postgres")
                .arg(server.folder.path()));
        }
        let data = server.data();
        run(server
            .program("initdb")
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=postgres",
                "--pgdata",
            ])
            .arg(data));
        server.run();
        Some(server)
    }

    /// Starts it again after [`Postgres::stop`].
    #[track_caller]
    pub fn run(&mut self) {
        let data = self.data();
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(data)
            .args(["-c", "listen_addresses=", "-c"])
            .arg(format!(
                "unix_socket_directories={}",
                self.folder.path().display()
            ))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(Child::start(&mut command));
        let pg_isready = require("pg_isready").expect("it is in the package of initdb's clients");
        let mut asked = Command::new(pg_isready);
        asked.arg("--quiet").arg("--host").arg(self.folder.path());
        wait_until(
            "PostgreSQL takes connections",
            Duration::from_secs(20),
            || asked.status().is_ok_and(|status| status.success()),
        );
    }

    /// Ends it as an administrator would: connections are cut.
    #[track_caller]
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.signal(Signal::INT);
        assert!(
            child.wait(Duration::from_secs(10)).is_some(),
            "PostgreSQL does not stop"
        );
    }

    /// The URL for `--database`.
    #[must_use]
    pub fn url(&self) -> String {
        let folder = self.folder.path().display().to_string();
        format!("postgresql:///postgres?user=postgres&host={folder}")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let path: &Path = &self.programs;
        let root = rustix::process::geteuid().is_root();
        let mut command = if root {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
                .arg(path.join(name));
            command
        } else {
            Command::new(path.join(name))
        };
        command.current_dir(self.folder.path());
        // Signals of the terminal are for the test.
        command.process_group(0);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.signal(Signal::INT);
            child.wait(Duration::from_secs(5));
        }
    }
}
