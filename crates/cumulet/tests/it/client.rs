//! This computer as a client of a node elsewhere: real client processes against a real node, some of
//! them over a way that breaks off, stalls or leads to somebody else.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testing::{Child, Client, Family, Lan, Node, Outcome, PASSWORD, wait_until};

use crate::accounts::{code, signed_in};
use crate::scene::{alice_at_home, at, cloud};

const NAMES: [&str; 4] = [
    "plain.txt",
    "two words.txt",
    "Überraschung ß.txt",
    "旅行 🎉.txt",
];

/// A computer with a home of its own.
pub(crate) struct Laptop {
    home: tempfile::TempDir,
    /// How a program is started in its network.
    under: Vec<String>,
}

impl Laptop {
    pub(crate) fn new() -> Self {
        Self::under(&[])
    }

    pub(crate) fn under(words: &[&str]) -> Self {
        Self {
            home: tempfile::TempDir::new().unwrap(),
            under: words.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    /// It is carried to another network.
    pub(crate) fn move_to(&mut self, words: &[&str]) {
        self.under = words.iter().map(|word| (*word).to_owned()).collect();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_cumulet").to_owned();
        let words = [&self.under[..], &[program]].concat();
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(arguments)
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env_remove("XDG_STATE_HOME")
            .env_remove("CUMULET_STATE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut child = self.command(arguments).spawn().unwrap();
        // A command that asks nothing may have closed it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with_input(arguments, "")
    }

    #[track_caller]
    pub(crate) fn refused(&self, arguments: &[&str], code: i32, words: &[&str]) {
        self.refused_with_input(arguments, PASSWORD, code, words);
    }

    #[track_caller]
    fn refused_with_input(&self, arguments: &[&str], input: &str, code: i32, words: &[&str]) {
        let outcome = self.run_with_input(arguments, input);
        assert_eq!(outcome.code, code, "{arguments:?}: {}", outcome.stderr);
        for words in words {
            assert!(
                outcome.stderr.contains(words),
                "{words}: {}",
                outcome.stderr
            );
        }
    }

    /// Signs in as alice, under the name `home`.
    #[track_caller]
    pub(crate) fn login(&self, address: SocketAddr) {
        let url = format!("https://{address}");
        let words = ["login", &url, "--user", "alice", "--password-stdin"];
        let words = [&words[..], &["--trust", "--as", "home"]].concat();
        self.run_with_input(&words, PASSWORD).ok();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Hidden parts of files that are being fetched.
    fn parts(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.home.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.to_string_lossy().ends_with(".cumulet-part"))
            .collect()
    }
}

fn id_of(node: &Node) -> String {
    node.cli(&["status", "--json"]).json()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A way to a node that passes bytes on, counts them, and breaks off or stalls when it is told to.
struct Way {
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    left: Arc<AtomicU64>,
    passed: Arc<AtomicU64>,
}

impl Way {
    fn to(target: SocketAddr, stalls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self {
            address: listener.local_addr().unwrap(),
            target: Arc::new(Mutex::new(target)),
            left: Arc::new(AtomicU64::new(u64::MAX)),
            passed: Arc::default(),
        };
        let (target, left, passed) = (
            Arc::clone(&way.target),
            Arc::clone(&way.left),
            Arc::clone(&way.passed),
        );
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(node) = TcpStream::connect(*target.lock().unwrap()) else {
                    continue;
                };
                let (mut up, mut to_node) =
                    (client.try_clone().unwrap(), node.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut up, &mut to_node);
                    let _ = to_node.shutdown(Shutdown::Both);
                });
                let (left, passed) = (Arc::clone(&left), Arc::clone(&passed));
                std::thread::spawn(move || carry(node, client, &left, &passed, stalls));
            }
        });
        way
    }

    /// After so many more bytes it breaks off once, or stalls until it is told otherwise.
    fn cut_after(&self, bytes: u64) {
        self.left.store(bytes, Ordering::Relaxed);
    }

    fn lead_to(&self, target: SocketAddr) {
        *self.target.lock().unwrap() = target;
    }
}

fn carry(
    mut node: TcpStream,
    mut client: TcpStream,
    left: &AtomicU64,
    passed: &AtomicU64,
    stalls: bool,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = node.read(&mut buffer) {
        while left.load(Ordering::Relaxed) < read as u64 {
            if !stalls {
                left.store(u64::MAX, Ordering::Relaxed);
                let _ = client.shutdown(Shutdown::Both);
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if left.load(Ordering::Relaxed) != u64::MAX {
            left.fetch_sub(read as u64, Ordering::Relaxed);
        }
        if client.write_all(&buffer[..read]).is_err() {
            break;
        }
        passed.fetch_add(read as u64, Ordering::Relaxed);
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// Bytes that do not repeat soon.
fn content(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    bytes.take(length).collect()
}

fn big_file_at_home(length: usize) -> (Node, Client, Vec<u8>) {
    let (node, alice) = alice_at_home();
    let bytes = content(length);
    alice.put(&at("big"), &bytes).assert_status(201);
    (node, alice, bytes)
}

#[test]
fn a_laptop_signs_in_by_address_and_keeps_only_a_password_of_its_own() {
    let (node, _alice) = alice_at_home();
    let (laptop, id) = (Laptop::new(), id_of(&node));
    let url = format!("https://{}", node.https().address());
    let words = ["login", &url, "--user", "alice", "--password-stdin"];
    // Nobody is there to say that this is the right node.
    laptop.refused(&words, 2, &[&id, "--id ID"]);
    let other = protocol::NodeSecret::from_bytes([7; 32]).id().to_string();
    let with_other = [&words[..], &["--id", &other]].concat();
    laptop.refused(&with_other, 4, &[&id, &other, "nothing was sent"]);
    let with_id = [
        &words[..],
        &["--id", &id, "--as", "home", "--label", "my laptop"],
    ]
    .concat();
    laptop.refused_with_input(&with_id, "wrong", 4, &["the name or the password is wrong"]);
    let outcome = laptop.run_with_input(&[&with_id[..], &["--json"]].concat(), PASSWORD);
    assert_eq!(outcome.json()["node"], id.as_str());
    let logins = laptop.run(&["logins", "--json"]).json();
    assert_eq!(logins[0]["name"], "home");
    let kept = std::fs::read_to_string(laptop.path(".local/state/cumulet/logins/home.json"));
    assert!(!kept.unwrap().contains(PASSWORD));
    let devices = node
        .cli(&["app-password", "list", "alice", "--json"])
        .json();
    assert!(devices.to_string().contains("my laptop"), "{devices}");
    // The account page shows no session of it.
    laptop.run(&["ls", "home:/"]).ok();
    // Signing in again replaces the old password.
    laptop.run_with_input(&with_id, PASSWORD).ok();
    let again = node
        .cli(&["app-password", "list", "alice", "--json"])
        .json();
    assert_eq!(again.to_string().matches("my laptop").count(), 1, "{again}");
    laptop.run(&["logout", "home"]).ok();
    let none = node
        .cli(&["app-password", "list", "alice", "--json"])
        .json();
    assert!(!none.to_string().contains("my laptop"), "{none}");
    laptop.refused(
        &["ls", "home:/"],
        1,
        &["no login called `home`", "cumulet login"],
    );
}

#[test]
fn a_second_factor_is_asked_of_a_laptop_too() {
    let (node, _alice) = alice_at_home();
    let session = signed_in(&node, "alice");
    let begun = session.post_form("/account/second-factor", &format!("password={PASSWORD}"));
    let text = match begun.header("location") {
        Some(next) => session.get(next).text(),
        None => begun.text(),
    };
    let secret = text.split("secret=").nth(1).unwrap();
    let secret: String = secret
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    let Some(first) = code(&secret, 0) else {
        return;
    };
    let confirmed = session.post_form("/account/second-factor/confirm", &format!("code={first}"));
    assert!(
        [200, 303].contains(&confirmed.status),
        "{}",
        confirmed.text()
    );
    let laptop = Laptop::new();
    let url = format!("https://{}", node.https().address());
    let words = [
        "login",
        &url,
        "--user",
        "alice",
        "--password-stdin",
        "--trust",
    ];
    let words = [&words[..], &["--as", "home"]].concat();
    laptop.refused(&words, 2, &["the code is needed", "--code CODE"]);
    laptop.refused(&[&words[..], &["--code", "000000"]].concat(), 4, &["code"]);
    // The first one is used up; the next is taken as well.
    let next = code(&secret, 30).unwrap();
    let with_code = [&words[..], &["--code", &next]].concat();
    laptop.run_with_input(&with_code, PASSWORD).ok();
    laptop.run(&["ls", "home:/"]).ok();
}

#[test]
fn files_with_any_name_go_there_and_come_back() {
    let (node, alice) = alice_at_home();
    let laptop = Laptop::new();
    laptop.login(node.https().address());
    let folder = laptop.path("Urlaub 2026/below");
    std::fs::create_dir_all(&folder).unwrap();
    for (number, name) in NAMES.iter().enumerate() {
        std::fs::write(folder.join(name), content(number * 70_000)).unwrap();
        let file = std::fs::File::options()
            .write(true)
            .open(folder.join(name))
            .unwrap();
        let then = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        file.set_modified(then).unwrap();
    }
    let put = laptop
        .run(&["put", "-r", "Urlaub 2026", "home:/", "--json"])
        .json();
    assert_eq!(put["files"], 4, "{put}");
    let listed = laptop
        .run(&["ls", "home:/Urlaub 2026/below", "--json"])
        .json();
    for name in NAMES {
        assert!(listed.to_string().contains(name), "{name}: {listed}");
    }
    assert!(
        listed.to_string().contains("2023-11-14T22:13:20"),
        "{listed}"
    );
    let table = laptop.run(&["ls", "home:/"]).ok();
    assert!(table.contains("Urlaub 2026/"), "{table}");
    laptop.run(&["get", "-r", "home:/Urlaub 2026", "back"]).ok();
    for name in NAMES {
        let back = laptop.path("back/below").join(name);
        let there = std::fs::read(folder.join(name)).unwrap();
        assert!(std::fs::read(&back).unwrap() == there, "{name}");
        let time = std::fs::metadata(&back).unwrap().modified().unwrap();
        let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_secs(), 1_700_000_000, "{name}");
    }
    assert!(laptop.parts().is_empty());
    // What is there is not replaced unasked, on either side.
    laptop.refused(
        &[
            "put",
            "Urlaub 2026/below/plain.txt",
            "home:/Urlaub 2026/below/",
        ],
        1,
        &["is there already", "--force"],
    );
    laptop.refused(
        &["get", "home:/Urlaub 2026/below/plain.txt", "back/below"],
        1,
        &["is there already", "--force"],
    );
    std::fs::write(laptop.path("new"), "new").unwrap();
    laptop
        .run(&["put", "--force", "new", "home:/Urlaub 2026/below/plain.txt"])
        .ok();
    let stored = alice.get(&at("Urlaub%202026/below/plain.txt"));
    assert_eq!(stored.expect_status(200).text(), "new");
    let from = "home:/Urlaub 2026/below/plain.txt";
    laptop
        .run(&["get", "--force", from, "back/below/plain.txt"])
        .ok();
    assert_eq!(
        std::fs::read_to_string(laptop.path("back/below/plain.txt")).unwrap(),
        "new"
    );
    // Mistakes are told.
    laptop.refused(&["get", "home:/Urlaub 2026"], 2, &["is a folder", "-r"]);
    laptop.refused(&["put", "Urlaub 2026", "home:/"], 2, &["is a folder", "-r"]);
    laptop.refused(&["get", "home:/nothing"], 1, &["there is no home:/nothing"]);
    laptop.refused(&["put", "new", "home:/no/such/new"], 1, &["folder"]);
    laptop.refused(&["put", "absent", "home:/"], 1, &["cannot read absent"]);
    laptop.refused(&["ls", "elsewhere:/"], 1, &["no login called `elsewhere`"]);
    laptop.refused(&["ls", "home:/../x"], 2, &["is no place on a node"]);
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let (node, _alice, bytes) = big_file_at_home(4_000_000);
    let way = Way::to(node.https().address(), false);
    let laptop = Laptop::new();
    laptop.login(way.address);
    way.passed.store(0, Ordering::Relaxed);
    way.cut_after(3_000_000);
    laptop.run(&["get", "home:/big"]).ok();
    assert!(std::fs::read(laptop.path("big")).unwrap() == bytes);
    let passed = way.passed.load(Ordering::Relaxed);
    assert!(passed < 5_500_000, "{passed} bytes for a file of 4,000,000");
    assert!(laptop.parts().is_empty());
}

#[test]
fn a_kill_in_mid_get_leaves_no_torn_file_and_what_came_is_used() {
    let (node, alice, bytes) = big_file_at_home(4_000_000);
    let way = Way::to(node.https().address(), true);
    let laptop = Laptop::new();
    laptop.login(way.address);
    std::fs::write(laptop.path("old"), "what was here before").unwrap();
    for target in ["big", "old"] {
        way.cut_after(2_500_000);
        let mut get = laptop.command(&["get", "--force", "home:/big", target]);
        let mut child = Child::start(&mut get);
        let there = || laptop.parts().iter().any(|part| length(part) > 2_000_000);
        wait_until("half of it is here", Duration::from_secs(20), there);
        child.kill();
        way.cut_after(u64::MAX);
        match target {
            "big" => assert!(!laptop.path("big").exists()),
            _ => assert_eq!(
                std::fs::read_to_string(laptop.path("old")).unwrap(),
                "what was here before"
            ),
        }
        way.passed.store(0, Ordering::Relaxed);
        laptop.run(&["get", "--force", "home:/big", target]).ok();
        assert!(std::fs::read(laptop.path(target)).unwrap() == bytes);
        let passed = way.passed.load(Ordering::Relaxed);
        assert!(passed < 2_500_000, "{passed} bytes for the rest");
        assert!(laptop.parts().is_empty());
    }
    // A part of another state of the file is not continued.
    way.cut_after(2_500_000);
    let mut child = Child::start(&mut laptop.command(&["get", "home:/big", "third"]));
    let there = || laptop.parts().iter().any(|part| length(part) > 2_000_000);
    wait_until("half of it is here", Duration::from_secs(20), there);
    child.kill();
    way.cut_after(u64::MAX);
    alice.put(&at("big"), "another").assert_status(204);
    laptop.run(&["get", "home:/big", "third"]).ok();
    assert_eq!(
        std::fs::read_to_string(laptop.path("third")).unwrap(),
        "another"
    );
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |facts| facts.len())
}

#[test]
fn another_node_at_the_same_address_is_sent_nothing() {
    let (mut node, alice) = alice_at_home();
    alice.put(&at("mine"), "mine").assert_status(201);
    let way = Way::to(node.https().address(), false);
    let laptop = Laptop::new();
    laptop.login(way.address);
    laptop.run(&["ls", "home:/"]).ok();
    let impostor = cloud().start();
    way.lead_to(impostor.https().address());
    let (mine, other) = (id_of(&node), id_of(&impostor));
    for words in [
        &["ls", "home:/"][..],
        &["get", "home:/mine"],
        &["put", ".local", "home:/", "-r"],
    ] {
        laptop.refused(
            words,
            4,
            &["another node", &mine, &other, "nothing was sent"],
        );
    }
    // The node itself with a new TLS key is the same node, because it vouches for it.
    node.stop();
    std::fs::remove_dir_all(node.state().join("tls")).unwrap();
    node.start();
    way.lead_to(node.https().address());
    let listed = laptop.run(&["ls", "home:/"]).ok();
    assert!(listed.contains("mine"), "{listed}");
}

#[test]
fn a_password_that_was_taken_back_is_told_and_a_node_that_is_away_too() {
    let (mut node, _alice) = alice_at_home();
    let laptop = Laptop::new();
    laptop.login(node.https().address());
    let devices = node
        .cli(&["app-password", "list", "alice", "--json"])
        .json();
    for device in devices.as_array().unwrap() {
        let id = device["id"].to_string();
        node.cli(&["app-password", "revoke", "alice", &id]).ok();
    }
    laptop.refused(
        &["ls", "home:/"],
        4,
        &[
            "does not take the password of this device",
            "cumulet login home",
        ],
    );
    node.stop();
    laptop.refused(&["ls", "home:/"], 3, &["cannot reach `home`"]);
    laptop.refused(&["logout", "home"], 3, &["--force"]);
    laptop.run(&["logout", "home", "--force"]).ok();
    assert!(
        laptop
            .run(&["logins", "--json"])
            .json()
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn r78_a_laptop_signs_in_by_name_and_finds_home_again_wherever_it_moved() {
    let Some(lan) = Lan::new(2, Family::Both) else {
        return;
    };
    let mut node = Node::of(env!("CARGO_BIN_EXE_cumulet"))
        .under(&lan.on(0))
        .listen("[::]:0")
        .https_only()
        .mdns()
        .arg("--name")
        .arg("attic")
        .start();
    node.cli_with_input(
        &["user", "add", "alice", "--owner", "--password-stdin"],
        PASSWORD,
    )
    .ok();
    let (laptop, id) = (Laptop::under(&lan.on(1)), id_of(&node));
    let words = ["--user", "alice", "--password-stdin", "--id", &id];
    laptop
        .run_with_input(&[&["login", "attic"], &words[..]].concat(), PASSWORD)
        .ok();
    std::fs::write(laptop.path("file"), "hello").unwrap();
    laptop.run(&["put", "file", "attic:/"]).ok();
    let before = laptop.run(&["logins", "--json"]).json()[0]["address"].clone();
    // Another port, and the old one is nobody's: the login is the node's, not an address's.
    node.stop();
    laptop.refused(&["ls", "attic:/"], 3, &["cannot reach `attic`"]);
    node.start();
    let listed = laptop.run(&["ls", "attic:/"]).ok();
    assert!(listed.contains("file"), "{listed}");
    let after = laptop.run(&["logins", "--json"]).json()[0]["address"].clone();
    assert_ne!(before, after);
    let nobody = [&["login", "cellar"], &words[..]].concat();
    laptop.refused(&nobody, 3, &["no node called `cellar`", "cumulet discover"]);
}
