//! No success answer leaves before the flushes of file, folder and write-ahead log, shown by `strace`.
//!
//! `kill -9` keeps the page cache, so only the order of system calls can show this. The trace is
//! read as a list of calls with their start and their end; between the arrival of a request and the
//! first byte of its success answer the calls of the write path must be found in their order.

use std::fs;
use std::path::Path;
use std::time::Duration;

use testing::{Client, Node, PASSWORD, require, wait_until};

use crate::scene::{at, cloud};

/// One finished system call; times are the line numbers of the trace.
#[derive(Debug, Clone)]
struct Call {
    name: String,
    text: String,
    begin: usize,
    end: usize,
}

/// Joins `<unfinished ...>` and `<... resumed>` lines of one thread.
fn calls(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut waiting: std::collections::HashMap<&str, Call> = std::collections::HashMap::new();
    for (line, text) in trace.lines().enumerate() {
        // `PID TIME name(…) = …`
        let mut words = text.splitn(3, char::is_whitespace);
        let (Some(thread), Some(rest)) = (words.next(), text.split_once(' ')) else {
            continue;
        };
        let rest = rest.1.trim_start();
        let Some((_, call)) = rest.split_once(' ') else {
            continue;
        };
        if let Some(resumed) = call.strip_prefix("<... ") {
            if let Some(mut open) = waiting.remove(thread) {
                open.text += resumed.split_once("resumed>").map_or("", |(_, tail)| tail);
                open.end = line;
                calls.push(open);
            }
            continue;
        }
        let Some((name, _)) = call.split_once('(') else {
            continue;
        };
        let parsed = Call {
            name: name.to_owned(),
            text: call.replace(" <unfinished ...>", ""),
            begin: line,
            end: line,
        };
        if call.ends_with("<unfinished ...>") {
            waiting.insert(thread, parsed);
        } else {
            calls.push(parsed);
        }
    }
    calls.sort_by_key(|call| call.end);
    calls
}

/// The calls between the request `method path` and its success answer.
struct Exchange<'a> {
    calls: Vec<&'a Call>,
    what: String,
}

impl<'a> Exchange<'a> {
    fn find(calls: &'a [Call], method: &str, path: &str, status: &str) -> Self {
        let what = format!("{method} {path}");
        let asked = calls
            .iter()
            .find(|call| is_read(call) && call.text.contains(&what))
            .unwrap_or_else(|| panic!("the trace holds no request {what}"));
        let answer = calls
            .iter()
            .find(|call| {
                call.begin > asked.begin
                    && is_write(call)
                    && call.text.contains(&format!("HTTP/1.1 {status}"))
            })
            .unwrap_or_else(|| panic!("the trace holds no answer {status} to {what}"));
        let calls = calls
            .iter()
            .filter(|call| call.end > asked.begin && call.end < answer.begin)
            .collect();
        Self { calls, what }
    }

    /// The first call after `after` (by its begin) that `wanted` accepts; its end.
    #[track_caller]
    fn then(&self, after: usize, what: &str, wanted: impl Fn(&Call) -> bool) -> usize {
        self.call(after, what, wanted).end
    }

    /// The call itself.
    #[track_caller]
    fn call(&self, after: usize, what: &str, wanted: impl Fn(&Call) -> bool) -> &'a Call {
        let found = self
            .calls
            .iter()
            .find(|call| call.begin > after && wanted(call));
        let Some(call) = found else {
            let shown: Vec<String> = self
                .calls
                .iter()
                .map(|call| call.text.chars().take(160).collect())
                .collect();
            panic!(
                "{}: no {what} before the answer, after line {after}:\n{}",
                self.what,
                shown.join("\n")
            );
        };
        assert!(
            !call.text.contains(") = -1"),
            "{what} failed: {}",
            call.text
        );
        call
    }

    /// The end of the last call that `wanted` accepts.
    fn last(&self, wanted: impl Fn(&Call) -> bool) -> Option<usize> {
        self.calls
            .iter()
            .filter(|call| wanted(call))
            .map(|call| call.end)
            .max()
    }
}

fn is_read(call: &Call) -> bool {
    ["read", "readv", "recvfrom", "recvmsg"].contains(&call.name.as_str())
}

fn is_write(call: &Call) -> bool {
    ["write", "writev", "sendto", "sendmsg"].contains(&call.name.as_str())
}

fn is_flush(call: &Call) -> bool {
    ["fsync", "fdatasync", "syncfs"].contains(&call.name.as_str())
}

fn flushes_data(call: &Call) -> bool {
    is_flush(call) && (call.name == "syncfs" || call.text.contains("/.cumulet/tmp/"))
}

fn flushes_temp_folder(call: &Call) -> bool {
    is_flush(call) && (call.name == "syncfs" || call.text.contains("/.cumulet/tmp>"))
}

fn writes_log(call: &Call) -> bool {
    call.name == "pwrite64" && call.text.contains(".db-wal>")
}

fn flushes_log(call: &Call) -> bool {
    is_flush(call) && call.text.contains(".db-wal>")
}

fn writes_temp(call: &Call) -> bool {
    ["write", "pwrite64", "writev", "copy_file_range", "ioctl"].contains(&call.name.as_str())
        && call.text.contains("/.cumulet/tmp/")
}

fn changes_a_name(call: &Call) -> bool {
    call.name.starts_with("rename") || call.name.starts_with("mkdir")
}

struct Traced {
    node: Node,
    alice: Client,
    trace: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

fn traced() -> Option<Traced> {
    let strace = require("strace")?;
    let folder = tempfile::TempDir::new().expect("the temporary folder is writable");
    let trace = folder.path().join("trace");
    let wrapper = [
        &strace.to_string_lossy(),
        "-D",
        "-f",
        "-y",
        "-tt",
        "-s",
        // A page of the log is shown whole.
        "8192",
        "-e",
        "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,copy_file_range,ioctl,fsync,fdatasync,syncfs,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat",
        "-o",
        &trace.to_string_lossy(),
    ]
    .map(ToString::to_string);
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let node = cloud().under(&wrapper).start();
    node.owner("alice");
    // Plain HTTP, so that requests and answers can be read in the trace.
    let alice = node.http().basic("alice", PASSWORD);
    Some(Traced {
        node,
        alice,
        trace,
        _folder: folder,
    })
}

fn finish(mut traced: Traced) -> Vec<Call> {
    traced.node.stop();
    let trace: &Path = &traced.trace;
    wait_until("strace ends", Duration::from_secs(10), || {
        fs::read_to_string(trace).is_ok_and(|text| text.contains("+++ exited with"))
    });
    calls(&fs::read_to_string(trace).expect("the trace is readable"))
}

/// Steps 3-6 of the write path: before the rename the data, the temporary folder and the intent
/// (transaction A) are on the disk, before the answer the change of the catalog (transaction B) is.
#[track_caller]
fn assert_order_of_a_put(exchange: &Exchange) {
    let written = exchange
        .last(writes_temp)
        .expect("the body goes to a temporary file");
    let renamed = exchange.call(written, "rename", |call| call.name.starts_with("rename"));
    let before = |what: &str, after: usize, wanted: fn(&Call) -> bool| {
        let end = exchange.then(after, what, wanted);
        assert!(
            end < renamed.begin,
            "{}: {what} after the rename",
            exchange.what
        );
    };
    before("flush of the file", written, flushes_data);
    before("flush of its folder", written, flushes_temp_folder);
    let intent = exchange
        .calls
        .iter()
        .rev()
        .find(|call| writes_log(call) && call.end < renamed.begin);
    let intent = intent.expect("the intent is written to the log before the rename");
    before("flush of the intent", intent.end, flushes_log);
    let catalog = exchange.then(renamed.end, "write of the change to the log", writes_log);
    exchange.then(catalog, "flush of the change", flushes_log);
}

/// Small content: before the rename, and so before the answer, the log holds it with the change of
/// the catalog and is flushed. `content` must be found in it to the last byte.
#[track_caller]
fn assert_order_of_a_small_put(exchange: &Exchange, content: &str) {
    let what = &exchange.what;
    let holds = |call: &Call| writes_log(call) && call.text.contains(content);
    let held = exchange.then(0, "write of the content to the log", holds);
    let renamed = exchange.call(held, "rename", |call| call.name.starts_with("rename"));
    let log = exchange
        .last(|call| writes_log(call) && call.begin < renamed.begin)
        .expect("the content is in the log");
    let flushed = exchange.then(log, "flush of the log", flushes_log);
    assert!(flushed < renamed.begin, "{what}: renamed before the flush");
    // Nothing that the answer tells is recorded later.
    let later = exchange.last(|call| writes_log(call) && call.begin > renamed.begin);
    assert_eq!(later, None, "{what}: a write to the log after its flush");
}

#[test]
fn no_put_is_acknowledged_before_file_folder_and_log_are_flushed() {
    let Some(traced) = traced() else { return };
    let alice = &traced.alice;
    alice
        .put(&at("middle"), vec![b'm'; 20_000])
        .assert_status(201);
    alice
        .put(&at("large"), vec![b'x'; 3 << 20])
        .assert_status(201);
    alice
        .put(&at("middle"), vec![b'n'; 20_000])
        .assert_status(204);
    let calls = finish(traced);
    assert_order_of_a_put(&Exchange::find(&calls, "PUT", &at("middle"), "201"));
    assert_order_of_a_put(&Exchange::find(&calls, "PUT", &at("large"), "201"));
    assert_order_of_a_put(&Exchange::find(
        after_answer(&calls, "201"),
        "PUT",
        &at("middle"),
        "204",
    ));
}

#[test]
fn no_small_put_is_acknowledged_before_the_log_that_holds_its_content_is_flushed() {
    let Some(traced) = traced() else { return };
    let alice = &traced.alice;
    alice.put(&at("small"), "12 bytes....").assert_status(201);
    alice
        .put(&at("small"), "replaced by new")
        .assert_status(204);
    let calls = finish(traced);
    let made = Exchange::find(&calls, "PUT", &at("small"), "201");
    assert_order_of_a_small_put(&made, "12 bytes....");
    let later = after_answer(&calls, "201");
    let replaced = Exchange::find(later, "PUT", &at("small"), "204");
    assert_order_of_a_small_put(&replaced, "replaced by new");
}

/// The calls from the first answer of this status on.
fn after_answer<'a>(calls: &'a [Call], status: &str) -> &'a [Call] {
    let first = calls
        .iter()
        .position(|call| is_write(call) && call.text.contains(&format!("HTTP/1.1 {status}")));
    &calls[first.expect("there was such an answer")..]
}

#[test]
fn no_change_of_names_is_acknowledged_before_the_log_is_flushed_after_it() {
    let Some(traced) = traced() else { return };
    let alice = &traced.alice;
    alice.call("MKCOL", &at("folder")).assert_status(201);
    alice
        .put(&at("file"), vec![b'c'; 20_000])
        .assert_status(201);
    let to = |method: &str, target: &str| {
        alice
            .request(method, &at("file"))
            .header("Destination", &at(target))
            .send()
    };
    to("COPY", "copied").assert_status(201);
    to("MOVE", "folder/moved").assert_status(201);
    alice.call("DELETE", &at("copied")).assert_status(204);
    let calls = finish(traced);
    for (method, path, status) in [
        ("MKCOL", "folder", "201"),
        ("COPY", "file", "201"),
        ("MOVE", "file", "201"),
        ("DELETE", "copied", "204"),
    ] {
        let exchange = Exchange::find(&calls, method, &at(path), status);
        let named = exchange
            .last(changes_a_name)
            .expect("a name changes on the disk");
        let catalog = exchange.then(named, "write of the change to the log", writes_log);
        exchange.then(catalog, "flush of the log", flushes_log);
    }
    let copy = Exchange::find(&calls, "COPY", &at("file"), "201");
    assert_order_of_a_put(&copy);
}

#[test]
fn locks_and_properties_are_in_the_log_before_they_are_acknowledged() {
    let Some(traced) = traced() else { return };
    let alice = &traced.alice;
    alice.put(&at("file"), "content").assert_status(201);
    let patch = r#"<propertyupdate xmlns="DAV:"><set><prop><color xmlns="urn:x">red</color></prop></set></propertyupdate>"#;
    alice
        .request("PROPPATCH", &at("file"))
        .body(patch)
        .send()
        .assert_status(207);
    let lock = r#"<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>"#;
    alice
        .request("LOCK", &at("file"))
        .body(lock)
        .send()
        .assert_status(200);
    let calls = finish(traced);
    for (method, status) in [("PROPPATCH", "207"), ("LOCK", "200")] {
        let exchange = Exchange::find(&calls, method, &at("file"), status);
        let written = exchange.then(0, "write to the log", writes_log);
        exchange.then(written, "flush of the log", flushes_log);
    }
}

#[test]
fn a_trace_with_a_flush_after_the_answer_is_found_out() {
    let trace = "\
10 08:00:00.000001 read(9<socket:[1]>, \"PUT /dav/files/alice/small HTTP/1.1\", 99) = 99
11 08:00:00.000002 write(12</c/.cumulet/tmp/x>, \"12\", 2) = 2
11 08:00:00.000003 fdatasync(12</c/.cumulet/tmp/x> <unfinished ...>
10 08:00:00.000004 epoll_wait(4) = 1
11 08:00:00.000005 <... fdatasync resumed>) = 0
11 08:00:00.000006 fsync(13</c/.cumulet/tmp>) = 0
12 08:00:00.000007 pwrite64(5</c/.cumulet/catalog.db-wal>, \"\", 4096, 0) = 4096
12 08:00:00.000008 fdatasync(5</c/.cumulet/catalog.db-wal>) = 0
11 08:00:00.000009 renameat2(3</c>, \"x\", 3</c>, \"small\", RENAME_NOREPLACE) = 0
12 08:00:00.000010 pwrite64(5</c/.cumulet/catalog.db-wal>, \"\", 4096, 4096) = 4096
12 08:00:00.000011 fdatasync(5</c/.cumulet/catalog.db-wal>) = 0
10 08:00:00.000012 write(9<socket:[1]>, \"HTTP/1.1 201 Created\", 20) = 20
";
    let put = "/dav/files/alice/small";
    assert_order_of_a_put(&Exchange::find(&calls(trace), "PUT", put, "201"));
    // Each flush, moved behind the answer, must be missed.
    let lines: Vec<&str> = trace.lines().collect();
    for late in [4, 5, 7, 10] {
        let mut lines = lines.clone();
        let flush = lines.remove(late);
        lines.push(flush);
        let calls = calls(&lines.join("\n"));
        let found = std::panic::catch_unwind(|| {
            assert_order_of_a_put(&Exchange::find(&calls, "PUT", put, "201"));
        });
        assert!(found.is_err(), "not missed: {flush}");
    }
}
