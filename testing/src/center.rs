//! A real center: `cumulet center` in a temporary folder on ports of its own.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Child, Client};

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(8);

/// A running (or stopped) center. Killed on drop; when the test fails its log is printed.
#[derive(Debug)]
pub struct Center {
    binary: PathBuf,
    scratch: TempDir,
    arguments: Vec<String>,
    wrapper: Vec<String>,
    host: String,
    child: Option<Child>,
    ready: Value,
    owner_token: String,
}

impl Center {
    /// Starts a center for the zone `cloud.test` with `settings` as its `center.toml` and further
    /// arguments; pass `env!("CARGO_BIN_EXE_cumulet")`.
    #[track_caller]
    #[must_use]
    pub fn start(binary: &str, settings: &str, arguments: &[&str]) -> Self {
        Self::start_on(binary, (&[], "127.0.0.1"), settings, arguments)
    }

    /// The same on another machine: run by a program that ends in `exec`, such as
    /// `ip netns exec NAME`, and listening for nodes and DNS at an address of it. The admin API
    /// stays on that machine's loopback.
    #[track_caller]
    #[must_use]
    pub fn start_on(
        binary: &str,
        (wrapper, host): (&[&str], &str),
        settings: &str,
        arguments: &[&str],
    ) -> Self {
        let scratch = TempDir::new().expect("the temporary folder is writable");
        let mut center = Self {
            binary: binary.into(),
            scratch,
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            wrapper: wrapper.iter().map(|&word| word.to_owned()).collect(),
            host: host.to_owned(),
            child: None,
            ready: Value::Null,
            owner_token: String::new(),
        };
        fs::create_dir(center.folder()).expect("the folder can be made");
        fs::write(center.folder().join("center.toml"), settings).expect("it is writable");
        center.run();
        let token = center.ready["owner_token"].as_str();
        center.owner_token = token.expect("the first start tells the token").to_owned();
        // Restarts keep the ports, as a center that people know does.
        let address = |key: &str| center.ready[key].as_str().unwrap_or_default().to_owned();
        let (http, dns, quic) = (address("http"), address("dns"), &center.ready["quic"]);
        center.arguments.extend([
            format!("--listen={}:{quic}", center.host),
            format!("--dns={dns}"),
            format!("--http={}", http.trim_start_matches("http://")),
        ]);
        center
    }

    /// Starts it again after [`Center::kill`] or [`Center::stop`].
    #[track_caller]
    pub fn run(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file());
        let mut command = self.on_machine(&self.binary);
        command
            .args(["center", "--json", "--zone=cloud.test"])
            .arg(self.folder());
        if self.owner_token.is_empty() {
            command.args([
                format!("--listen={}:0", self.host),
                format!("--dns={}:0", self.host),
                "--http=127.0.0.1:0".to_owned(),
            ]);
        }
        command
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .stderr(log.expect("the scratch folder is writable"));
        let mut child = Child::start(&mut command);
        let stdout = child.stdout().expect("stdout was piped");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).ok();
            sender.send(line).ok();
        });
        let line = receiver.recv_timeout(READY_WITHIN).unwrap_or_default();
        self.ready = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("no ready line ({error}): {line}\n{}", self.log()));
        self.child = Some(child);
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// SIGTERM; it must end by itself and with exit code 0.
    #[track_caller]
    pub fn stop(&mut self) -> Duration {
        let mut child = self.child.take().expect("the center runs");
        let began = Instant::now();
        child.signal(Signal::TERM);
        let status = child.wait(STOPPED_WITHIN);
        assert!(
            status.is_some_and(|status| status.success()),
            "ended with {status:?}\n{}",
            self.log()
        );
        began.elapsed()
    }

    /// The process id.
    #[track_caller]
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the center runs").id()
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.scratch.path().join("center")
    }

    /// The string that nodes take.
    #[must_use]
    pub fn address(&self) -> String {
        self.ready["center"].as_str().unwrap_or_default().to_owned()
    }

    /// Where DNS answers.
    #[must_use]
    pub fn dns(&self) -> SocketAddr {
        let text = self.ready["dns"].as_str().unwrap_or_default();
        text.parse().expect("the ready line has an address of DNS")
    }

    /// The admin API, as its owner.
    #[must_use]
    pub fn owner(&self) -> Client {
        self.guest()
            .with("Authorization", &format!("Bearer {}", self.owner_token))
    }

    /// The admin API, as anybody.
    #[must_use]
    pub fn guest(&self) -> Client {
        let url = self.ready["http"].as_str().unwrap_or_default();
        let address = url.trim_start_matches("http://").parse();
        Client::plain(address.expect("the ready line has an address of HTTP"))
    }

    /// The owner's token.
    #[must_use]
    pub fn owner_token(&self) -> &str {
        &self.owner_token
    }

    /// Runs `cumulet center …` on its folder and gives what it prints as JSON.
    #[track_caller]
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> Value {
        let text = crate::run(
            Command::new(&self.binary)
                .arg("center")
                .args(arguments)
                .args(["--json", "--state"])
                .arg(self.folder()),
        );
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON ({error}): {text}"))
    }

    /// What `dig` says to a question, one line each; empty when there is no answer.
    #[track_caller]
    #[must_use]
    pub fn dig(&self, words: &[&str]) -> Vec<String> {
        let port = self.dns().port().to_string();
        let server = format!("@{}", self.dns().ip());
        let text = crate::run(
            self.on_machine(Path::new("dig"))
                .args(["+short", "+time=2", "+tries=1", "-p", &port, &server])
                .args(words),
        );
        text.lines().map(str::to_owned).collect()
    }

    fn on_machine(&self, program: &Path) -> Command {
        let mut words = self.wrapper.iter();
        let Some(first) = words.next() else {
            return Command::new(program);
        };
        let mut command = Command::new(first);
        command.args(words).arg(program);
        command
    }

    /// All that it has written to stderr so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        let folder: &Path = self.scratch.path();
        folder.join("center.log")
    }
}

impl Drop for Center {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the center\n{}", self.log());
        }
    }
}
