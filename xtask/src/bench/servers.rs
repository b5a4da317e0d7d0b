//! The servers that are measured: ours and those we compare with, each in a folder of its own.
//!
//! Apache, rclone and dufs run without authentication, which favors them: they do less per request than our
//! server, which checks a password each time.

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use testing::{Node, PASSWORD};

use crate::process::Group;

/// How a server is reached for one kind of measurement.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Name in the table.
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
}

/// A server that runs.
pub(crate) struct Server {
    /// Name in the table.
    pub(crate) name: &'static str,
    /// Path of the folder that holds the files, without the last slash.
    pub(crate) prefix: &'static str,
    /// Header lines that each request needs.
    pub(crate) headers: String,
    /// Plain HTTP; the first is used for everything but large downloads, where each of them is measured.
    pub(crate) plain: Vec<Endpoint>,
    /// HTTPS, where the server has it.
    pub(crate) secure: Option<Endpoint>,
    process: Process,
}

enum Process {
    Node(Box<Node>),
    Program(Program),
}

/// A foreign server; ended by SIGTERM, so that it can end its own children.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let terminated = Command::new("kill").arg(self.0.id().to_string()).status();
        let until = Instant::now() + Duration::from_secs(5);
        while terminated.is_ok() && Instant::now() < until {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Server {
    /// The process and its children.
    pub(crate) fn group(&self) -> Group {
        match &self.process {
            Process::Node(node) => Group(node.pid()),
            Process::Program(Program(child)) => Group(child.id()),
        }
    }

    /// The endpoint of plain HTTP that is used for everything small.
    pub(crate) fn first(&self) -> anyhow::Result<&Endpoint> {
        self.plain.first().context("a server without plain HTTP")
    }

    /// Our server with one person, over HTTP and HTTPS.
    pub(crate) fn ours(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        let binary = binary.to_str().context("the program's path is not text")?;
        let node = Node::of(binary).folder(folder).start();
        node.cli_with_input(
            &["user", "add", "alice", "--password-stdin", "--owner"],
            PASSWORD,
        )
        .ok();
        Self::of_node(node)
    }

    /// Around a node that has the person `alice` already.
    pub(crate) fn of_node(node: Node) -> anyhow::Result<Self> {
        let name = "cumulet";
        let plain = Endpoint {
            name: name.to_owned(),
            address: node.http().address(),
            tls: false,
        };
        let secure = Endpoint {
            name: name.to_owned(),
            address: node.https().address(),
            tls: true,
        };
        let credentials = STANDARD.encode(format!("alice:{PASSWORD}"));
        Ok(Self {
            name,
            prefix: "/dav/files/alice",
            headers: format!("Authorization: Basic {credentials}\r\n"),
            plain: vec![plain],
            secure: Some(secure),
            process: Process::Node(Box::new(node)),
        })
    }

    /// Apache mod_dav with mpm_event: HTTP without and with sendfile, and HTTPS.
    pub(crate) fn apache(folder: &Path) -> anyhow::Result<Self> {
        let program =
            find("apache2").context("apache2 is not installed: apt-get install apache2-bin")?;
        let files = folder.join("files");
        std::fs::create_dir_all(&files)?;
        let (off, on, tls) = (free_port()?, free_port()?, free_port()?);
        make_certificate(folder)?;
        std::fs::write(folder.join("types"), "text/plain txt\n")?;
        let conf = folder.join("apache.conf");
        std::fs::write(
            &conf,
            apache_conf(folder, [off.port(), on.port(), tls.port()]),
        )?;
        give_to_apache(folder)?;
        let mut command = Command::new(program);
        command.arg("-f").arg(&conf).arg("-DFOREGROUND");
        let process = start(command, &[off, on, tls], folder)?;
        let endpoint = |name: &str, address, tls| Endpoint {
            name: name.to_owned(),
            address,
            tls,
        };
        Ok(Self {
            name: "Apache",
            prefix: "",
            headers: String::new(),
            plain: vec![
                endpoint("Apache", off, false),
                endpoint("Apache, sendfile on", on, false),
            ],
            secure: Some(endpoint("Apache", tls, true)),
            process,
        })
    }

    /// `rclone serve webdav`.
    pub(crate) fn rclone(folder: &Path) -> anyhow::Result<Self> {
        let program = find("rclone").context("rclone is not installed: apt-get install rclone")?;
        let address = free_port()?;
        let mut command = Command::new(program);
        command.args([
            "serve",
            "webdav",
            "files",
            "--addr",
            &address.to_string(),
            "--config",
            "",
        ]);
        Self::foreign("rclone", command, address, folder)
    }

    /// `dufs`, when it has been built from crates.io.
    pub(crate) fn dufs(folder: &Path) -> anyhow::Result<Self> {
        let program = find("dufs").context(
            "dufs is not installed: cargo install dufs --version 0.46.0 --no-default-features",
        )?;
        let address = free_port()?;
        let mut command = Command::new(program);
        command.args([
            "-A",
            "-b",
            "127.0.0.1",
            "-p",
            &address.port().to_string(),
            "files",
        ]);
        Self::foreign("dufs", command, address, folder)
    }

    fn foreign(
        name: &'static str,
        mut command: Command,
        address: SocketAddr,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder.join("files"))?;
        command.current_dir(folder);
        let process = start(command, &[address], folder)?;
        let plain = vec![Endpoint {
            name: name.to_owned(),
            address,
            tls: false,
        }];
        Ok(Self {
            name,
            prefix: "",
            headers: String::new(),
            plain,
            secure: None,
            process,
        })
    }
}

fn start(mut command: Command, addresses: &[SocketAddr], folder: &Path) -> anyhow::Result<Process> {
    let log = folder.join("log");
    let output = std::fs::File::create(&log)?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let mut program = Program(
        command
            .spawn()
            .with_context(|| format!("starting {command:?}"))?,
    );
    let until = Instant::now() + Duration::from_secs(20);
    for address in addresses {
        while TcpStream::connect(address).is_err() {
            let ended = !matches!(program.0.try_wait(), Ok(None));
            if ended || Instant::now() > until {
                bail!(
                    "{command:?} does not answer at {address}:\n{}",
                    std::fs::read_to_string(&log).unwrap_or_default()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(Process::Program(program))
}

/// A port that was free a moment ago.
fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A program on PATH or among the system's.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/bin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// P-256, as our own certificate is.
fn make_certificate(folder: &Path) -> anyhow::Result<()> {
    let request = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ];
    let output = Command::new("openssl")
        .args(request)
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output();
    let output = output.context("openssl is not installed: apt-get install openssl")?;
    anyhow::ensure!(
        output.status.success(),
        "openssl: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn apache_conf(folder: &Path, [off, on, tls]: [u16; 3]) -> String {
    const MODULES: &[&str] = &[
        "mpm_event",
        "authz_core",
        "dav",
        "dav_fs",
        "dav_lock",
        "mime",
        "dir",
        "ssl",
        "socache_shmcb",
    ];
    let folder = folder.display();
    let mut conf = format!(
        "ServerRoot \"{folder}\"\nServerName localhost\nPidFile pid\nErrorLog errors\nLogLevel error\n"
    );
    for module in MODULES {
        conf += &format!("LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n");
    }
    conf += &format!(
        "User www-data\nGroup www-data\nTypesConfig types\nDocumentRoot \"{folder}/files\"\nDavLockDB \"{folder}/locks/db\"\n\
         KeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 120\nLimitXMLRequestBody 0\n\
         <Location />\n  Dav On\n  Require all granted\n</Location>\n\
         EnableSendfile Off\nListen 127.0.0.1:{off}\nListen 127.0.0.1:{on}\nListen 127.0.0.1:{tls}\n\
         <VirtualHost 127.0.0.1:{on}>\n  EnableSendfile On\n</VirtualHost>\n\
         <VirtualHost 127.0.0.1:{tls}>\n  SSLEngine on\n  SSLCertificateFile cert.pem\n  SSLCertificateKeyFile key.pem\n</VirtualHost>\n"
    );
    conf
}

/// Apache drops its rights to `www-data`, which must be able to write there.
fn give_to_apache(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder.join("locks"))?;
    for above in folder.ancestors().take(2) {
        std::fs::set_permissions(above, std::fs::Permissions::from_mode(0o755))?;
    }
    let status = Command::new("chown")
        .args(["-R", "www-data:www-data"])
        .arg(folder)
        .status()?;
    anyhow::ensure!(
        status.success(),
        "giving {} to www-data needs root",
        folder.display()
    );
    Ok(())
}
