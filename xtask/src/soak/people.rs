//! The people of the soak: what each does, and what they expect back.

use anyhow::{Context, bail, ensure};
use std::collections::BTreeMap;
use std::io::Result as IoResult;
use testing::{Client, Node, PASSWORD, Reply, Wire};

/// Names in one person's folder; requests go to them in turn.
const NAMES: u64 = 40;
/// A person closes the connection and opens a new one after this many requests.
const REQUESTS_PER_CONNECTION: u64 = 100;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) by_kind: BTreeMap<String, u64>,
    pub(super) failures: Vec<String>,
}

impl Tally {
    fn count(&mut self, kind: &str) {
        self.requests += 1;
        *self.by_kind.entry(kind.to_owned()).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        for (kind, count) in other.by_kind {
            *self.by_kind.entry(kind).or_default() += count;
        }
        self.failures.extend(other.failures);
    }
}

/// One person with one connection at a time.
pub(super) struct Person {
    name: String,
    client: Client,
    wire: Option<Wire>,
    sent: u64,
    role: Role,
}

enum Role {
    /// Writes in a folder; keeps what was written, to compare.
    Writer {
        folder: String,
        random: Random,
        kept: BTreeMap<String, Vec<u8>>,
    },
    /// Looks at pages with a session.
    Reader { cookie: Option<String>, turn: usize },
}

/// Four writers, two of them over HTTPS, and two who look at pages.
pub(super) fn all(node: &Node) -> anyhow::Result<Vec<Person>> {
    super::add_people(node, &["alice", "bob"]);
    let mut people = Vec::new();
    for (number, (name, secure)) in [
        ("alice", true),
        ("alice", false),
        ("bob", true),
        ("bob", false),
    ]
    .into_iter()
    .enumerate()
    {
        let client = if secure { node.https() } else { node.http() };
        let folder = format!("/dav/files/{name}/soak-{number}");
        let client = client.basic(name, PASSWORD);
        let made = client.call("MKCOL", &format!("{folder}/"));
        ensure!(
            made.status == 201,
            "MKCOL {folder} was answered {}: {}",
            made.status,
            made.text()
        );
        let role = Role::Writer {
            folder,
            random: Random(0x9E37_79B9 + number as u64),
            kept: BTreeMap::new(),
        };
        people.push(Person {
            name: format!("{name} {number}"),
            client,
            wire: None,
            sent: 0,
            role,
        });
    }
    for (name, client) in [("alice", node.https()), ("bob", node.http())] {
        people.push(Person {
            name: format!("{name} at pages"),
            client,
            wire: None,
            sent: 0,
            role: Role::Reader {
                cookie: None,
                turn: 0,
            },
        });
    }
    Ok(people)
}

/// Xorshift with a fixed seed: a soak that failed can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

impl Person {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// One action of one or a few requests.
    pub(super) fn act(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        let result = match self.role {
            Role::Writer { .. } => self.write(tally),
            Role::Reader { .. } => self.look(tally),
        };
        if result.is_err() {
            self.wire = None;
        }
        result
    }

    fn send(
        &mut self,
        tally: &mut Tally,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> anyhow::Result<Reply> {
        tally.count(method);
        self.sent += 1;
        if self.sent.is_multiple_of(REQUESTS_PER_CONNECTION) {
            self.wire = None;
        }
        let mut request = self.client.request(method, path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let exchange = || -> IoResult<(Reply, Wire)> {
            let mut wire = self
                .wire
                .take()
                .map_or_else(|| self.client.try_wire(), Ok)?;
            Ok((request.send_on(&mut wire)?, wire))
        };
        let (reply, wire) = exchange().with_context(|| format!("{method} {path}"))?;
        if reply.header("connection") != Some("close") {
            self.wire = Some(wire);
        }
        Ok(reply)
    }

    fn write(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        let Role::Writer {
            folder,
            random,
            kept,
        } = &mut self.role
        else {
            return Ok(());
        };
        let folder = folder.clone();
        let name = format!("note-{}.txt", random.below(NAMES));
        let dice = random.below(100);
        let size = if random.below(50) == 0 {
            1 << 20
        } else {
            random.below(16_384)
        };
        let filling = random.below(256) as u8;
        let known = kept.get(&name).cloned();
        let path = format!("{folder}/{name}");
        match (dice, known) {
            (0..30, _) | (_, None) => {
                let body = vec![filling; usize::try_from(size)?];
                expect(
                    self.send(tally, "PUT", &path, &[], Some(&body))?,
                    &[201, 204],
                )?;
                self.keep(name, Some(body));
            }
            (30..60, Some(body)) => {
                let reply = expect(self.send(tally, "GET", &path, &[], None)?, &[200])?;
                ensure!(
                    reply.body == body,
                    "{path} came back with {} bytes, {} were written, or they differ",
                    reply.body.len(),
                    body.len()
                );
            }
            (60..70, Some(_)) => {
                let reply = expect(
                    self.send(
                        tally,
                        "PROPFIND",
                        &format!("{folder}/"),
                        &[("Depth", "1")],
                        None,
                    )?,
                    &[207],
                )?;
                ensure!(
                    reply.text().contains(&name),
                    "PROPFIND of {folder} does not show {name}"
                );
            }
            (70..80, Some(body)) => {
                let other = format!("moved-{name}");
                let target = format!(
                    "{}://{}{folder}/{other}",
                    self.client.scheme(),
                    self.client.address()
                );
                expect(
                    self.send(
                        tally,
                        "MOVE",
                        &path,
                        &[("Destination", &target), ("Overwrite", "T")],
                        None,
                    )?,
                    &[201, 204],
                )?;
                self.keep(name, None);
                let reply = expect(
                    self.send(tally, "GET", &format!("{folder}/{other}"), &[], None)?,
                    &[200],
                )?;
                ensure!(reply.body == body, "{other} differs after MOVE");
            }
            (80..88, Some(_)) => {
                expect(self.send(tally, "DELETE", &path, &[], None)?, &[204])?;
                self.keep(name, None);
                expect(self.send(tally, "GET", &path, &[], None)?, &[404])?;
            }
            (_, Some(_)) => self.write_under_lock(tally, name, &path, filling)?,
        }
        Ok(())
    }

    fn write_under_lock(
        &mut self,
        tally: &mut Tally,
        name: String,
        path: &str,
        filling: u8,
    ) -> anyhow::Result<()> {
        const LOCK: &str = r#"<?xml version="1.0"?><lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>"#;
        let reply = expect(
            self.send(
                tally,
                "LOCK",
                path,
                &[("Timeout", "Second-60"), ("Depth", "0")],
                Some(LOCK.as_bytes()),
            )?,
            &[200, 201],
        )?;
        let token = reply
            .header("lock-token")
            .context("LOCK gave no Lock-Token")?
            .to_owned();
        let body = vec![filling; 2000];
        expect(self.send(tally, "PUT", path, &[], Some(&body))?, &[423])?;
        expect(
            self.send(
                tally,
                "PUT",
                path,
                &[("If", &format!("({token})"))],
                Some(&body),
            )?,
            &[201, 204],
        )?;
        self.keep(name, Some(body));
        expect(
            self.send(tally, "UNLOCK", path, &[("Lock-Token", &token)], None)?,
            &[204],
        )?;
        Ok(())
    }

    fn keep(&mut self, name: String, body: Option<Vec<u8>>) {
        if let Role::Writer { kept, .. } = &mut self.role {
            match body {
                Some(body) => kept.insert(name, body),
                None => kept.remove(&name),
            };
        }
    }

    fn look(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        const PAGES: &[&str] = &["/", "/account", "/healthz", "/"];
        let Role::Reader { cookie, turn } = &mut self.role else {
            return Ok(());
        };
        *turn += 1;
        // Every few minutes a new session, as people do.
        let (turn, cookie) = (*turn, cookie.clone().filter(|_| !turn.is_multiple_of(2000)));
        let Some(cookie) = cookie else {
            return self.login(tally);
        };
        let page = PAGES[turn % PAGES.len()];
        let reply = self.send(
            tally,
            "GET",
            page,
            &[("Cookie", &cookie), ("Accept", "text/html")],
            None,
        )?;
        if (300..400).contains(&reply.status) {
            let target = reply
                .header("location")
                .context("a redirect without a target")?
                .to_owned();
            ensure!(
                !target.contains("login"),
                "the session of {} ended early",
                self.name
            );
            expect(
                self.send(
                    tally,
                    "GET",
                    &target,
                    &[("Cookie", &cookie), ("Accept", "text/html")],
                    None,
                )?,
                &[200],
            )?;
            return Ok(());
        }
        expect(reply, &[200]).map(drop)
    }

    fn login(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        let name = self.name.split(' ').next().unwrap_or_default().to_owned();
        let form = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let reply = self.send(tally, "POST", "/login", &headers, Some(form.as_bytes()))?;
        let reply = expect(reply, &[200, 302, 303])?;
        let given = reply
            .header("set-cookie")
            .and_then(|value| value.split(';').next())
            .context("the login gave no cookie")?;
        if let Role::Reader { cookie, .. } = &mut self.role {
            *cookie = Some(given.to_owned());
        }
        Ok(())
    }
}

fn expect(reply: Reply, statuses: &[u16]) -> anyhow::Result<Reply> {
    if statuses.contains(&reply.status) {
        return Ok(reply);
    }
    let text: String = reply.text().chars().take(300).collect();
    bail!(
        "answered {}, expected one of {statuses:?}: {text}",
        reply.status
    )
}
