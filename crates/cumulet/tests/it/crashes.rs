//! A randomized writer with an oracle and `kill -9` (R85 in part, R91, R102).
//!
//! Several clients change files of their own at once; at a random moment the node is killed. After
//! the next start each file must be what was acknowledged last, or, for the one request without an
//! answer, what it would have become: whole, never torn, never both. `CUMULET_KILL_RUNS` sets the
//! number of kills, `CUMULET_SEED` repeats a run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testing::{Client, Dice, Node, PASSWORD, wait_until};

use crate::scene::{at, cloud};

const WRITERS: usize = 4;
const NAMES: u64 = 6;
const LARGEST: u64 = 120_000;

/// What one writer knows of its files; a missing name is a missing file.
type Files = BTreeMap<String, Vec<u8>>;

/// Acknowledged files, and what they are if the request without an answer was done.
#[derive(Debug, Clone, Default)]
struct Oracle {
    certain: Files,
    possible: Option<Files>,
    acknowledged: u64,
}

impl Oracle {
    /// Takes over what was found after the start.
    #[track_caller]
    fn settle(&mut self, found: Files, story: &str) {
        let whole = found == self.certain || self.possible.as_ref() == Some(&found);
        assert!(
            whole,
            "{story}\nfound     {}\nexpected  {}\nor        {}",
            outline(&found),
            outline(&self.certain),
            self.possible
                .as_ref()
                .map_or_else(|| "-".to_owned(), outline),
        );
        self.certain = found;
        self.possible = None;
    }
}

fn outline(files: &Files) -> String {
    let show = |(name, bytes): (&String, &Vec<u8>)| {
        let head: String = bytes
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{name}={} bytes {head}", bytes.len())
    };
    files.iter().map(show).collect::<Vec<_>>().join(", ")
}

/// One random change of one writer's files.
#[derive(Debug)]
enum Change {
    Put {
        name: String,
        bytes: Vec<u8>,
        chunked: bool,
    },
    Delete {
        name: String,
    },
    Move {
        from: String,
        to: String,
    },
    Copy {
        from: String,
        to: String,
    },
}

impl Change {
    fn choose(dice: &mut Dice, files: &Files) -> Self {
        let name = format!("f{}", dice.below(NAMES));
        let other = format!("f{}", dice.below(NAMES));
        let known = files.contains_key(&name);
        match dice.below(10) {
            0 if known => Self::Delete { name },
            1 | 2 if known && name != other => Self::Move {
                from: name,
                to: other,
            },
            3 if known && name != other => Self::Copy {
                from: name,
                to: other,
            },
            _ => {
                let length = dice.below(LARGEST);
                let length = if dice.once_in(3) {
                    length
                } else {
                    length % 4096
                };
                let bytes = dice.bytes(usize::try_from(length).expect("small"));
                Self::Put {
                    name,
                    bytes,
                    chunked: dice.once_in(4),
                }
            }
        }
    }

    fn apply(&self, files: &mut Files) {
        match self {
            Self::Put { name, bytes, .. } => {
                files.insert(name.clone(), bytes.clone());
            }
            Self::Delete { name } => {
                files.remove(name);
            }
            Self::Move { from, to } => {
                let bytes = files.remove(from).expect("only known files are moved");
                files.insert(to.clone(), bytes);
            }
            Self::Copy { from, to } => {
                let bytes = files[from].clone();
                files.insert(to.clone(), bytes);
            }
        }
    }

    /// Sends it; `None` when no whole answer came.
    fn send(&self, client: &Client, folder: &str) -> Option<u16> {
        let path = |name: &str| at(&format!("{folder}/{name}"));
        let request = match self {
            Self::Put {
                name,
                bytes,
                chunked: false,
            } => client.request("PUT", &path(name)).body(bytes),
            Self::Put {
                name,
                bytes,
                chunked: true,
            } => {
                return send_chunked(client, &path(name), bytes);
            }
            Self::Delete { name } => client.request("DELETE", &path(name)),
            Self::Move { from, to } => client
                .request("MOVE", &path(from))
                .header("Destination", &path(to)),
            Self::Copy { from, to } => client
                .request("COPY", &path(from))
                .header("Destination", &path(to)),
        };
        request.try_send().ok().map(|reply| reply.status)
    }
}

fn send_chunked(client: &Client, path: &str, bytes: &[u8]) -> Option<u16> {
    let mut wire = client.try_wire().ok()?;
    let head = client
        .request("PUT", path)
        .header("Transfer-Encoding", "chunked")
        .bytes(false);
    wire.send(head).ok()?;
    for piece in bytes.chunks(20_000) {
        wire.send(format!("{:x}\r\n", piece.len())).ok()?;
        wire.send(piece).ok()?;
        wire.send("\r\n").ok()?;
    }
    wire.send("0\r\n\r\n").ok()?;
    wire.read_reply("PUT").ok().map(|reply| reply.status)
}

/// Writes until the node is gone.
fn write_on(client: &Client, folder: &str, dice: &mut Dice, oracle: &mut Oracle, end: &AtomicBool) {
    while !end.load(Ordering::Relaxed) {
        let change = Change::choose(dice, &oracle.certain);
        let mut after = oracle.certain.clone();
        change.apply(&mut after);
        match change.send(client, folder) {
            Some(201 | 204) => {
                oracle.certain = after;
                oracle.acknowledged += 1;
            }
            Some(other) => panic!("{folder}: {other} to {change:?}"),
            None => {
                oracle.possible = Some(after);
                return;
            }
        }
    }
}

/// All files of one writer's folder as the server and as the disk show them.
#[track_caller]
fn look(node: &Node, alice: &Client, folder: &str, story: &str) -> Files {
    let mut files = Files::new();
    for number in 0..NAMES {
        let name = format!("f{number}");
        let reply = alice.get(&at(&format!("{folder}/{name}")));
        let disk = std::fs::read(node.space("alice").join(folder).join(&name)).ok();
        let served = match reply.status {
            200 => Some(reply.body),
            404 => None,
            other => panic!("{story}: {folder}/{name}: {other}"),
        };
        if served != disk {
            let shown = |bytes: Option<&Vec<u8>>| bytes.map_or(-1, |bytes| bytes.len() as i64);
            panic!(
                "{story}: {folder}/{name}: served {} bytes, on the disk {} (-1 is none)\n{}",
                shown(served.as_ref()),
                shown(disk.as_ref()),
                evidence(node, &format!("{folder}/{name}")),
            );
        }
        if let Some(bytes) = served {
            files.insert(name, bytes);
        }
    }
    files
}

/// What `check`, the audit log and the node's own log tell, for whoever has to find the fault.
fn evidence(node: &Node, path: &str) -> String {
    let check = node.cli(&["check"]);
    let audit = node.cli(&["audit", "show", "--limit", "12", "--text", path]);
    let log = node.log();
    let log: Vec<&str> = log.lines().rev().take(12).collect();
    format!(
        "check: {}{}\naudit:\n{}\nlog, newest first:\n{}",
        check.stdout,
        check.stderr,
        audit.stdout,
        log.join("\n")
    )
}

fn runs() -> u64 {
    let asked = std::env::var("CUMULET_KILL_RUNS")
        .ok()
        .and_then(|text| text.parse().ok());
    let ci = std::env::var("CI").as_deref() == Ok("true");
    asked.unwrap_or(if ci { 200 } else { 25 })
}

fn seed() -> u64 {
    let asked = std::env::var("CUMULET_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    asked.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |since| since.as_secs())
    })
}

#[test]
fn kill_9_at_any_moment_loses_no_acknowledged_write_and_tears_no_file() {
    let (runs, seed) = (runs(), seed());
    eprintln!("kill -9: {runs} runs, CUMULET_SEED={seed}");
    let mut node = cloud().start();
    let alice = node.owner("alice");
    let mut oracles: Vec<Oracle> = vec![Oracle::default(); WRITERS];
    for writer in 0..WRITERS {
        alice
            .call("MKCOL", &at(&format!("w{writer}")))
            .assert_status(201);
    }
    let mut longest_start = Duration::ZERO;
    for run in 0..runs {
        let mut dice = Dice::new(seed.wrapping_add(run));
        one_run(&mut node, &mut oracles, &mut dice);
        node.start();
        longest_start = longest_start.max(node.ready().took);
        let alice = node.http().basic("alice", PASSWORD);
        let story = format!("after kill {run} of CUMULET_SEED={seed}");
        for (writer, oracle) in oracles.iter_mut().enumerate() {
            oracle.settle(look(&node, &alice, &format!("w{writer}"), &story), &story);
        }
        if run % 20 == 19 || run + 1 == runs {
            let outcome = node.cli(&["check"]);
            assert_eq!(
                outcome.code, 0,
                "{story}: check says\n{}{}",
                outcome.stdout, outcome.stderr
            );
        }
    }
    let acknowledged: u64 = oracles.iter().map(|oracle| oracle.acknowledged).sum();
    eprintln!(
        "kill -9: {runs} runs, {acknowledged} acknowledged writes, longest start {longest_start:?}"
    );
    assert!(
        acknowledged > runs,
        "only {acknowledged} writes in {runs} runs"
    );
    node.cli(&["audit", "verify"]).ok();
    wait_until("no temporary file stays", Duration::from_secs(15), || {
        std::fs::read_dir(node.folder().join(".cumulet/tmp")).map_or(0, Iterator::count) == 0
    });
}

/// Lets the writers run for a random while, then kills the node under them.
fn one_run(node: &mut Node, oracles: &mut [Oracle], dice: &mut Dice) {
    let client = node.http().basic("alice", PASSWORD);
    let end = AtomicBool::new(false);
    let life = Duration::from_millis(40 + dice.below(500));
    std::thread::scope(|scope| {
        for (writer, oracle) in oracles.iter_mut().enumerate() {
            let mut dice = Dice::new(dice.roll());
            let (client, end) = (&client, &end);
            scope.spawn(move || write_on(client, &format!("w{writer}"), &mut dice, oracle, end));
        }
        let until = Instant::now() + life;
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        node.kill();
        end.store(true, Ordering::Relaxed);
    });
}
