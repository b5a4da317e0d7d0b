//! A real node: `cumulet serve` in a temporary folder on ports of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Child, Client, FakeClock};

/// The password of each person that the harness makes.
pub const PASSWORD: &str = "correct-horse-battery-staple";

/// A start on a loaded machine, with a database to repair.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The promise of a clean stop.
const STOPPED_WITHIN: Duration = Duration::from_secs(8);

/// What the ready line says.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The whole line.
    pub line: Value,
    /// `https://HOST:PORT`
    pub https: String,
    /// `http://HOST:PORT`, where `--http` was given.
    pub http: Option<String>,
    /// SHA-256 of the certificate.
    pub fingerprint: String,
    /// The one-time link, while there is no owner.
    pub setup_url: Option<String>,
    /// From the start of the process to the ready line.
    pub took: Duration,
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Exit code; -1 after a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Fails the test unless the command ended with 0; gives stdout.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(
            self.code, 0,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self.stdout
    }

    /// Fails the test unless the command ended with 0; gives stdout as JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON ({error}): {text}"))
    }

    /// Fails the test unless the command ended with 0; gives each stdout line as JSON.
    #[track_caller]
    pub fn json_lines(self) -> Vec<Value> {
        let text = self.ok();
        let line = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"))
        };
        text.lines()
            .filter(|text| !text.is_empty())
            .map(line)
            .collect()
    }
}

/// A node to be started.
#[derive(Debug)]
pub struct NodeBuilder {
    binary: PathBuf,
    folder: Option<PathBuf>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
    clock: Option<FakeClock>,
    listen: String,
    config: Option<String>,
    http: bool,
    mdns: bool,
}

impl NodeBuilder {
    /// Serves this folder, which stays after the node.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Adds an argument to `serve`.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable of the process.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it by another program that ends in `exec`, such as `ip netns exec NAME` or `strace -D`.
    #[must_use]
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Shows it another wall clock.
    #[must_use]
    pub fn clock(mut self, clock: FakeClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Listens for HTTPS there; default 127.0.0.1:0.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Without plain HTTP, which is there otherwise.
    #[must_use]
    pub fn https_only(mut self) -> Self {
        self.http = false;
        self
    }

    /// Announces it by mDNS. Only for a network of the test's own.
    #[must_use]
    pub fn mdns(mut self) -> Self {
        self.mdns = true;
        self
    }

    /// Text of `cumulet.toml`, written before the first start.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// Starts it and waits for the ready line.
    #[track_caller]
    #[must_use]
    pub fn start(self) -> Node {
        let scratch = TempDir::new().expect("the temporary folder is writable");
        let folder = self
            .folder
            .clone()
            .unwrap_or_else(|| scratch.path().join("cloud"));
        fs::create_dir_all(&folder).expect("the folder to serve can be made");
        let mut node = Node {
            log: scratch.path().join("serve.log"),
            scratch,
            folder,
            builder: self,
            child: None,
            ready: None,
        };
        if let Some(text) = node.builder.config.clone() {
            fs::create_dir_all(node.state()).expect("the state folder can be made");
            fs::write(node.state().join("cumulet.toml"), text)
                .expect("the state folder is writable");
        }
        node.start();
        node
    }
}

/// A running (or stopped) node. Killed on drop; when the test fails its log is printed.
#[derive(Debug)]
pub struct Node {
    builder: NodeBuilder,
    scratch: TempDir,
    folder: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    ready: Option<Ready>,
}

impl Node {
    /// A node of this program; pass `env!("CARGO_BIN_EXE_cumulet")`.
    #[must_use]
    pub fn of(binary: &str) -> NodeBuilder {
        NodeBuilder {
            binary: binary.into(),
            folder: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            wrapper: Vec::new(),
            clock: None,
            listen: "127.0.0.1:0".to_owned(),
            config: None,
            http: true,
            mdns: false,
        }
    }

    /// Starts it again after [`Node::kill`] or [`Node::stop`].
    #[track_caller]
    pub fn start(&mut self) {
        if let Err(error) = self.try_start() {
            panic!("{error}\n{}", self.log_tail());
        }
    }

    /// Starts it; the reason when no ready line comes.
    pub fn try_start(&mut self) -> Result<(), String> {
        let began = Instant::now();
        let mut command = self.serve_command();
        let log = File::options().create(true).append(true).open(&self.log);
        command
            .stdout(Stdio::piped())
            .stderr(log.expect("the scratch folder is writable"));
        let mut child = Child::start(&mut command);
        let stdout = child.stdout().expect("stdout was piped");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout);
            let mut line = String::new();
            lines.read_line(&mut line).ok();
            sender.send(line).ok();
            // Read on, so that a chatty node never waits for us.
            std::io::copy(&mut lines, &mut std::io::sink()).ok();
        });
        let line = receiver
            .recv_timeout(READY_WITHIN)
            .map_err(|_| format!("no ready line within {READY_WITHIN:?}"))?;
        if line.is_empty() {
            let status = child.wait(STOPPED_WITHIN);
            return Err(format!("the node ended before its ready line: {status:?}"));
        }
        self.ready = Some(Ready::parse(&line, began.elapsed())?);
        self.child = Some(child);
        Ok(())
    }

    fn serve_command(&self) -> Command {
        let builder = &self.builder;
        let mut words = builder.wrapper.iter().map(PathBuf::from);
        let mut command = match words.next() {
            Some(program) => {
                let mut command = Command::new(program);
                command.args(words).arg(&builder.binary);
                command
            }
            None => Command::new(&builder.binary),
        };
        command
            .arg("serve")
            .arg(&self.folder)
            .args(["--listen", &builder.listen])
            .arg("--json")
            .args((!builder.mdns).then_some("--no-mdns"))
            .args(
                builder
                    .http
                    .then_some(["--http", "127.0.0.1:0"])
                    .into_iter()
                    .flatten(),
            )
            .args(&builder.arguments)
            .envs(builder.environment.iter().cloned());
        if let Some(clock) = &builder.clock {
            clock.dress(&mut command);
        }
        command
    }

    /// The folder given to `serve`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its state folder.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join(".cumulet")
    }

    /// Where a person's files lie.
    #[must_use]
    pub fn space(&self, person: &str) -> PathBuf {
        self.folder.join(person)
    }

    /// A folder that lives as long as the node, outside of the served one.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The clock given to the builder.
    #[must_use]
    pub fn clock(&self) -> &FakeClock {
        self.builder
            .clock
            .as_ref()
            .expect("the node was built with a clock")
    }

    /// What the ready line said.
    #[track_caller]
    #[must_use]
    pub fn ready(&self) -> &Ready {
        self.ready.as_ref().expect("the node has started")
    }

    /// The process.
    #[track_caller]
    pub fn process(&mut self) -> &mut Child {
        self.child.as_mut().expect("the node runs")
    }

    /// The process id.
    #[track_caller]
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the node runs").id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// SIGTERM; the node must end by itself within 8 s and with exit code 0.
    #[track_caller]
    pub fn stop(&mut self) -> Duration {
        let mut child = self.child.take().expect("the node runs");
        let began = Instant::now();
        child.signal(Signal::TERM);
        let Some(status) = child.wait(STOPPED_WITHIN) else {
            panic!(
                "still running {STOPPED_WITHIN:?} after SIGTERM\n{}",
                self.log_tail()
            );
        };
        assert!(status.success(), "ended with {status}\n{}", self.log_tail());
        began.elapsed()
    }

    /// A client for HTTPS, certificate checked against the fingerprint of the ready line.
    #[track_caller]
    #[must_use]
    pub fn https(&self) -> Client {
        let ready = self.ready();
        Client::pinned(address_of(&ready.https), &ready.fingerprint)
    }

    /// A client for plain HTTP.
    #[track_caller]
    #[must_use]
    pub fn http(&self) -> Client {
        Client::plain(address_of(
            self.ready().http.as_ref().expect("started with --http"),
        ))
    }

    /// Makes a member (password [`PASSWORD`]) and gives their WebDAV client over HTTPS.
    #[track_caller]
    pub fn member(&self, name: &str) -> Client {
        self.add_user(name, false);
        self.https().basic(name, PASSWORD)
    }

    /// Makes the owner (password [`PASSWORD`]) and gives their WebDAV client over HTTPS.
    #[track_caller]
    pub fn owner(&self, name: &str) -> Client {
        self.add_user(name, true);
        self.https().basic(name, PASSWORD)
    }

    #[track_caller]
    fn add_user(&self, name: &str, owner: bool) {
        let mut arguments = vec!["user", "add", name, "--password-stdin"];
        if owner {
            arguments.push("--owner");
        }
        self.cli_with_input(&arguments, PASSWORD).ok();
    }

    /// Runs a command of the program with `--state` set to the served folder.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> Outcome {
        self.cli_with_input(arguments, "")
    }

    /// The same, with text on standard input.
    #[track_caller]
    pub fn cli_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        self.cli_state(&self.folder, arguments, input)
    }

    /// The same, with another `--state`.
    #[track_caller]
    pub fn cli_state(&self, state: &Path, arguments: &[&str], input: &str) -> Outcome {
        let mut command = Command::new(&self.builder.binary);
        command
            .args(arguments)
            .arg("--state")
            .arg(state)
            .envs(self.builder.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(clock) = &self.builder.clock {
            clock.dress(&mut command);
        }
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("stdin was piped");
        stdin.write_all(input.as_bytes()).ok();
        drop(stdin);
        let output = child
            .wait_with_output()
            .expect("waiting for an own child works");
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// All that the node has written to stderr so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- log of the node in {}\n{}",
                self.folder.display(),
                self.log_tail()
            );
        }
    }
}

impl Ready {
    fn parse(line: &str, took: Duration) -> Result<Self, String> {
        let value: Value = serde_json::from_str(line)
            .map_err(|error| format!("not a ready line ({error}): {line}"))?;
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        if value["event"] != "ready" {
            return Err(format!("not a ready line: {line}"));
        }
        Ok(Self {
            https: text("https").ok_or_else(|| format!("no https in {line}"))?,
            http: text("http"),
            fingerprint: text("fingerprint").ok_or_else(|| format!("no fingerprint in {line}"))?,
            setup_url: text("setup_url"),
            took,
            line: value.clone(),
        })
    }
}

fn address_of(url: &str) -> SocketAddr {
    let authority = url.split("://").nth(1).unwrap_or(url);
    authority
        .trim_end_matches('/')
        .parse()
        .unwrap_or_else(|error| panic!("{url} has no address: {error}"))
}
