//! A resolver that other people use takes the zone as it is: Debian's unbound in front of the
//! center's DNS, and what the center refuses to everybody.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use testing::{Center, Child, require_all, run, wait_until};

use super::center;
use super::guest::Guest;

/// unbound, which sends what is below `cloud.test` to the center.
struct Resolver {
    port: u16,
    _process: Child,
    _folder: TempDir,
}

impl Resolver {
    fn before(center: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = folder.path().join("unbound.conf");
        // `test.` is answered by unbound itself unless it is told otherwise (RFC 6761).
        let text = format!(
            "server:\n interface: 127.0.0.1\n port: {port}\n chroot: \"\"\n username: \"\"\n \
             pidfile: \"\"\n use-syslog: no\n do-not-query-localhost: no\n module-config: \
             \"iterator\"\n local-zone: \"test.\" nodefault\n num-threads: 1\n qname-minimisation: \
             yes\n use-caps-for-id: yes\nremote-control:\n control-enable: no\nstub-zone:\n name: \
             \"cloud.test\"\n stub-addr: {}@{}\n",
            center.ip(),
            center.port()
        );
        fs::write(&config, text).unwrap();
        let process = Child::start(
            Command::new("/usr/sbin/unbound")
                .args(["-d", "-c"])
                .arg(&config)
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let resolver = Self {
            port,
            _process: process,
            _folder: folder,
        };
        wait_until("unbound answers", Duration::from_secs(10), || {
            !resolver.dig(&["+short", "ns1.cloud.test", "A"]).is_empty()
        });
        resolver
    }

    fn dig(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let mut dig = Command::new("dig");
        dig.args(["+time=2", "+tries=1", "-p", &port, "@127.0.0.1"])
            .args(words);
        // Without an answer dig ends with 9, which is one of the things that are awaited.
        let output = dig.output().unwrap();
        if output.status.success() {
            String::from_utf8_lossy(&output.stdout).into_owned()
        } else {
            String::new()
        }
    }

    fn short(&self, name: &str, kind: &str) -> Vec<String> {
        let mut lines: Vec<_> = self
            .dig(&["+short", name, kind])
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recursive_resolver_accepts_the_zone() {
    if !require_all(&["dig", "unbound"]) {
        return;
    }
    let center = center("");
    let mut anna = Guest::arrive(&center, 1).await;
    anna.register("192.0.2.1:8443").await;
    anna.claim("anna").await;
    anna.set_texts(&["one", "two words"]).await;
    let mut bob = Guest::arrive(&center, 2).await;
    bob.register("[2001:db8::5]:8443").await;
    bob.claim("bob").await;
    let resolver = Resolver::before(center.dns());
    assert_eq!(resolver.short("anna.cloud.test", "A"), ["192.0.2.1"]);
    assert_eq!(resolver.short("bob.cloud.test", "AAAA"), ["2001:db8::5"]);
    // Each name below a node's is the node's, as deep as a person likes.
    for name in [
        "www.anna.cloud.test",
        "a.b.anna.cloud.test",
        "WWW.Anna.Cloud.Test",
    ] {
        assert_eq!(resolver.short(name, "A"), ["192.0.2.1"], "{name}");
    }
    let texts = resolver.short("_acme-challenge.anna.cloud.test", "TXT");
    assert_eq!(texts, ["\"one\"", "\"two words\""]);
    assert_eq!(resolver.short("cloud.test", "NS"), ["ns1.cloud.test."]);
    // It believes us that a name or a kind does not exist, and keeps that for as long as we say.
    for (name, kind, status) in [
        ("nobody.cloud.test", "A", "NXDOMAIN"),
        ("anna.cloud.test", "AAAA", "NOERROR"),
        ("bob.cloud.test", "A", "NOERROR"),
        ("anna.cloud.test", "MX", "NOERROR"),
    ] {
        for _ in 0..2 {
            let said = resolver.dig(&[name, kind]);
            assert!(
                said.contains(&format!("status: {status}")),
                "{name} {kind}: {said}"
            );
            assert!(
                said.contains("ANSWER: 0") && said.contains("SOA"),
                "{name} {kind}: {said}"
            );
        }
    }
    // A change reaches those who ask anew; whoever has the old one keeps it for a minute.
    let ttl = resolver.dig(&["+noall", "+answer", "anna.cloud.test", "A"]);
    let seconds: u32 = ttl.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(seconds <= 60, "{ttl}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dns_is_not_for_is_refused() {
    if !require_all(&["dig"]) {
        return;
    }
    let center = center("");
    let mut anna = Guest::arrive(&center, 1).await;
    anna.register("192.0.2.1:8443").await;
    anna.claim("anna").await;
    let refused: &[&[&str]] = &[
        &["+tcp", "cloud.test", "AXFR"],
        &["+tcp", "cloud.test", "IXFR=1"],
        &["cloud.test", "ANY"],
        &["anna.cloud.test", "ANY"],
        &["+opcode=NOTIFY", "cloud.test", "SOA"],
        &["+opcode=UPDATE", "cloud.test", "SOA"],
        &["+opcode=STATUS", "cloud.test", "SOA"],
        &["example.org", "A"],
    ];
    for words in refused {
        let said = asked(&center, words);
        let no = ["REFUSED", "NOTIMP", "NOTAUTH", "Transfer failed"];
        assert!(no.iter().any(|no| said.contains(no)), "{words:?}: {said}");
        for secret in ["192.0.2.1", "anna.cloud.test.\t"] {
            assert!(!said.contains(secret), "{words:?}: {said}");
        }
    }
    // It goes on answering what it is for.
    assert_eq!(center.dig(&["anna.cloud.test", "A"]), ["192.0.2.1"]);
}

fn asked(center: &Center, words: &[&str]) -> String {
    let port = center.dns().port().to_string();
    run(Command::new("dig")
        .args([
            "+time=2",
            "+tries=1",
            "+noquestion",
            "-p",
            &port,
            "@127.0.0.1",
        ])
        .args(words))
}
