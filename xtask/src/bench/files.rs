//! `cargo xtask bench files`: reading, writing and listing, ours beside Apache, rclone and dufs.

use anyhow::Context;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::figures::{self, Series, ms, short};
use super::load::{Load, Until};
use super::servers::{Endpoint, Server};
use super::{Options, make_file};

/// How much is done in one turn.
struct Sizes {
    rounds: usize,
    entries: u64,
    large: u64,
    /// Time of one turn of small requests.
    turn: Duration,
    /// Listings in one turn.
    listings: u32,
}

const FULL: Sizes = Sizes {
    rounds: 5,
    entries: 10_000,
    large: 1 << 30,
    turn: Duration::from_secs(3),
    listings: 4,
};
const QUICK: Sizes = Sizes {
    rounds: 1,
    entries: 200,
    large: 8 << 20,
    turn: Duration::from_millis(300),
    listings: 1,
};

/// A small body; its content does not matter to any of the servers.
const SMALL: [u8; 4096] = [b'x'; 4096];
/// Names that one connection writes again and again.
const NAMES: u64 = 100;

/// What is measured, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    NewFiles,
    List,
    LargeSecure,
    LargePlain,
    Get1,
    Get8,
    Put1,
    Put8,
}

const TASKS: [Task; 8] = [
    Task::NewFiles,
    Task::List,
    Task::LargeSecure,
    Task::LargePlain,
    Task::Get1,
    Task::Get8,
    Task::Put1,
    Task::Put8,
];

impl Task {
    fn title(self, sizes: &Sizes) -> String {
        let large = sizes.large >> 20;
        match self {
            Self::NewFiles => format!("PUT of {} new files of 4 KiB, 8 connections", sizes.entries),
            Self::List => format!("PROPFIND Depth 1, {} entries, allprop", sizes.entries),
            Self::LargeSecure => format!("GET {large} MiB over HTTPS"),
            Self::LargePlain => format!("GET {large} MiB over HTTP"),
            Self::Get1 => "GET 4 KiB, 1 connection".to_owned(),
            Self::Get8 => "GET 4 KiB, 8 connections".to_owned(),
            Self::Put1 => "PUT 4 KiB over an existing file, 1 connection".to_owned(),
            Self::Put8 => "PUT 4 KiB over an existing file, 8 connections".to_owned(),
        }
    }
}

/// Figures of one server at one task.
#[derive(Default)]
struct Row {
    /// CPU time of the server per request, ms.
    cpu: Series,
    /// Wall time per request, ms.
    wall: Series,
    /// Requests per second; empty for single large requests.
    rate: Series,
}

type Rows = BTreeMap<(Task, String), Row>;

/// Runs the comparison; prints the table and writes it to the page.
pub(crate) fn files(options: &Options) -> anyhow::Result<bool> {
    let mut sizes = if options.quick { QUICK } else { FULL };
    if options.rounds > 0 {
        sizes.rounds = options.rounds;
    }
    let scratch = options.scratch()?;
    let tasks = chosen(options.only.as_deref())?;
    let servers = start_all(&options.program()?, scratch.path())?;
    let idle: Vec<u64> = servers
        .iter()
        .map(|server| server.group().resident_kib())
        .collect::<Result<_, _>>()?;
    let mut rows = Rows::new();
    for server in &servers {
        prepare(server, scratch.path(), &sizes)
            .with_context(|| format!("preparing {}", server.name))?;
    }
    for round in 0..sizes.rounds {
        for task in tasks.iter().copied() {
            // The order rotates, so that no server always follows the same one.
            for turn in 0..servers.len() {
                let server = &servers[(turn + round) % servers.len()];
                eprintln!(
                    "round {} of {}: {task:?} {}",
                    round + 1,
                    sizes.rounds,
                    server.name
                );
                measure(server, task, round, &sizes, &mut rows)
                    .with_context(|| format!("{task:?} of {}", server.name))?;
            }
        }
    }
    let mut text = head(options, &sizes, scratch.path());
    text += &table(&rows, &sizes);
    text += &memory(&servers, &idle)?;
    let verdicts = goals(&rows);
    text += &goal_table(&verdicts);
    println!("{text}");
    if !options.dry && !options.quick && options.only.is_none() {
        figures::record(&super::page(), "files", &text)?;
    }
    // Small sizes show that everything works; how fast they cannot tell.
    Ok(options.quick || verdicts.iter().all(|verdict| verdict.met))
}

/// The task of that name with what it needs, or all.
fn chosen(only: Option<&str>) -> anyhow::Result<Vec<Task>> {
    let Some(only) = only else {
        return Ok(TASKS.to_vec());
    };
    let named = |task: &Task| format!("{task:?}").eq_ignore_ascii_case(only);
    match TASKS.into_iter().find(named) {
        // It lists what the other has made.
        Some(Task::List) => Ok(vec![Task::NewFiles, Task::List]),
        Some(task) => Ok(vec![task]),
        None => anyhow::bail!("--only takes one of {TASKS:?}, not {only}"),
    }
}

fn start_all(program: &Path, scratch: &Path) -> anyhow::Result<Vec<Server>> {
    let folder = |name: &str| -> anyhow::Result<std::path::PathBuf> {
        let folder = scratch.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    };
    let mut servers = vec![Server::ours(program, &folder("ours")?)?];
    for (name, started) in [
        ("apache2", Server::apache(&folder("apache")?)),
        ("rclone", Server::rclone(&folder("rclone")?)),
        ("dufs", Server::dufs(&folder("dufs")?)),
    ] {
        match started {
            Ok(server) => servers.push(server),
            Err(error) => eprintln!("left out: {name}: {error:#}"),
        }
    }
    Ok(servers)
}

/// Files that the tasks read and the folders that they write to.
fn prepare(server: &Server, scratch: &Path, sizes: &Sizes) -> anyhow::Result<()> {
    let source = scratch.join("large.bin");
    if !source.exists() {
        make_file(&source, sizes.large)?;
    }
    let endpoint = server.first()?;
    let upload = |name: &str, from: &Path| {
        curl(
            server,
            endpoint,
            name,
            &["-T", from.to_str().unwrap_or_default()],
        )
    };
    upload("large.bin", &source)?;
    let small = scratch.join("small.bin");
    std::fs::write(&small, SMALL)?;
    upload("small.bin", &small)?;
    curl(server, endpoint, "over/", &["-X", "MKCOL"])?;
    Ok(())
}

fn measure(
    server: &Server,
    task: Task,
    round: usize,
    sizes: &Sizes,
    rows: &mut Rows,
) -> anyhow::Result<()> {
    let first = server.first()?;
    match task {
        Task::NewFiles => {
            // The first folder stays: it is the one that gets listed.
            curl(server, first, &format!("new{round}/"), &["-X", "MKCOL"])?;
            let path = |connection, number| {
                format!(
                    "{}/new{round}/file-{connection}-{number}.txt",
                    server.prefix
                )
            };
            small(
                server,
                task,
                ("PUT", 8, &SMALL),
                Until::Count(sizes.entries),
                &path,
                rows,
            )?;
            if round > 0 {
                curl(server, first, &format!("new{round}/"), &["-X", "DELETE"])?;
            }
            Ok(())
        }
        Task::List => {
            let before = server.group().cpu()?;
            for _ in 0..sizes.listings {
                let wall = curl(
                    server,
                    first,
                    "new0/",
                    &["-X", "PROPFIND", "-H", "Depth: 1"],
                )?;
                row(rows, task, &first.name).wall.push(ms(wall));
            }
            let spent = server.group().cpu()?.saturating_sub(before);
            row(rows, task, &first.name)
                .cpu
                .push(ms(spent / sizes.listings));
            Ok(())
        }
        Task::LargeSecure => server
            .secure
            .iter()
            .try_for_each(|endpoint| large(server, task, endpoint, rows)),
        Task::LargePlain => server
            .plain
            .iter()
            .try_for_each(|endpoint| large(server, task, endpoint, rows)),
        Task::Get1 | Task::Get8 => {
            let path = |_, _| format!("{}/small.bin", server.prefix);
            let connections = if task == Task::Get1 { 1 } else { 8 };
            small(
                server,
                task,
                ("GET", connections, &[]),
                Until::Elapsed(sizes.turn),
                &path,
                rows,
            )
        }
        Task::Put1 | Task::Put8 => {
            let path = |connection, number| {
                format!(
                    "{}/over/file-{connection}-{}.txt",
                    server.prefix,
                    number % NAMES
                )
            };
            let connections = if task == Task::Put1 { 1 } else { 8 };
            small(
                server,
                task,
                ("PUT", connections, &SMALL),
                Until::Elapsed(sizes.turn),
                &path,
                rows,
            )
        }
    }
}

fn row<'r>(rows: &'r mut Rows, task: Task, name: &str) -> &'r mut Row {
    rows.entry((task, name.to_owned())).or_default()
}

fn large(server: &Server, task: Task, endpoint: &Endpoint, rows: &mut Rows) -> anyhow::Result<()> {
    let before = server.group().cpu()?;
    let wall = curl(server, endpoint, "large.bin", &[])?;
    let spent = server.group().cpu()?.saturating_sub(before);
    let row = row(rows, task, &endpoint.name);
    row.wall.push(ms(wall));
    row.cpu.push(ms(spent));
    Ok(())
}

fn small(
    server: &Server,
    task: Task,
    (method, connections, body): (&str, u64, &[u8]),
    until: Until,
    path: &(dyn Fn(u64, u64) -> String + Sync),
    rows: &mut Rows,
) -> anyhow::Result<()> {
    let endpoint = server.first()?;
    let before = server.group().cpu()?;
    let load = Load {
        address: endpoint.address,
        connections,
        until,
        method,
        headers: &server.headers,
        body,
        path,
    };
    let outcome = load.run()?;
    let spent = server.group().cpu()?.saturating_sub(before);
    let row = row(rows, task, &endpoint.name);
    row.cpu.push(ms(spent) / outcome.requests.max(1) as f64);
    row.wall.push(ms(outcome.quantile(0.5)));
    row.rate.push(outcome.rate());
    Ok(())
}

/// One request by curl, which is the same client for every server; gives the wall time.
fn curl(
    server: &Server,
    endpoint: &Endpoint,
    path: &str,
    more: &[&str],
) -> anyhow::Result<Duration> {
    let scheme = if endpoint.tls { "https" } else { "http" };
    let url = format!("{scheme}://{}{}/{path}", endpoint.address, server.prefix);
    let mut command = Command::new("curl");
    command
        .args(["-sS", "--fail", "-k", "-o", "/dev/null"])
        .args(more);
    for header in server.headers.lines() {
        command.args(["-H", header]);
    }
    let began = Instant::now();
    let output = command
        .arg(&url)
        .output()
        .context("curl is not installed: apt-get install curl")?;
    anyhow::ensure!(
        output.status.success(),
        "curl {more:?} {url}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(began.elapsed())
}

fn head(options: &Options, sizes: &Sizes, scratch: &Path) -> String {
    let quick = if options.quick { " --quick" } else { "" };
    format!(
        "{}. {}. `cargo xtask bench files{quick} --rounds {}`, release build, loopback.\n\
         Median (minimum-maximum), n = {} rounds. CPU is user and system time of the server with its children, resolution 10 ms per turn.\n\
         Cumulet checks a password with each request and answers a PUT when it is durable; the others do neither.\n\n",
        figures::machine(scratch),
        figures::today(),
        sizes.rounds,
        sizes.rounds
    )
}

fn table(rows: &Rows, sizes: &Sizes) -> String {
    let mut text = "| Task | Server | Server CPU per request, ms | CPU / Apache | Wall per request, ms | Requests per s | Rate / Apache |\n|---|---|---|---|---|---|---|\n".to_owned();
    for ((task, name), row) in rows {
        let apache = rows.get(&(*task, "Apache".to_owned()));
        let ratio = |own: &Series, other: Option<&Series>| match other {
            Some(other) if other.median() > 0.0 && own.count() > 0 => {
                short(own.median() / other.median())
            }
            Some(_) | None => "-".to_owned(),
        };
        let cpu = ratio(&row.cpu, apache.map(|apache| &apache.cpu));
        let rate = ratio(&row.rate, apache.map(|apache| &apache.rate));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {name} | {} | {cpu} | {} | {} | {rate} |",
            task.title(sizes),
            row.cpu,
            row.wall,
            row.rate
        );
    }
    text
}

fn memory(servers: &[Server], idle: &[u64]) -> anyhow::Result<String> {
    let mut text = "\n| Memory (proportional set size), MiB | after the start | after the run |\n|---|---|---|\n".to_owned();
    for (server, before) in servers.iter().zip(idle) {
        let after = server.group().resident_kib()?;
        let mib = |kib: u64| short(kib as f64 / 1024.0);
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            server.name,
            mib(*before),
            mib(after)
        );
    }
    Ok(text)
}

/// A goal with what was measured.
struct Verdict {
    goal: &'static str,
    limit: f64,
    measured: f64,
    met: bool,
}

fn goals(rows: &Rows) -> Vec<Verdict> {
    let row = |task, name: &str| rows.get(&(task, name.to_owned()));
    let pair = |task| Some((row(task, "cumulet")?, row(task, "Apache")?));
    let mut verdicts = Vec::new();
    for (task, goal, limit) in [
        (Task::List, "PROPFIND: CPU / Apache at most", 0.3),
        (
            Task::LargeSecure,
            "GET large over HTTPS: CPU / Apache at most",
            1.1,
        ),
        (
            Task::LargePlain,
            "GET large over HTTP: CPU / Apache without sendfile at most",
            1.2,
        ),
    ] {
        if let Some((ours, apache)) = pair(task) {
            let measured = ours.cpu.median() / apache.cpu.median();
            verdicts.push(Verdict {
                goal,
                limit,
                measured,
                met: measured <= limit,
            });
        }
    }
    if let Some((ours, apache)) = pair(Task::Put8) {
        let measured = ours.rate.median() / apache.rate.median();
        verdicts.push(Verdict {
            goal: "durable PUT, 8 connections: rate / Apache without flush at least",
            limit: 1.0,
            measured,
            met: measured >= 1.0,
        });
    }
    verdicts
}

fn goal_table(verdicts: &[Verdict]) -> String {
    let mut text = "\n| Goal | Limit | Measured | |\n|---|---|---|---|\n".to_owned();
    for Verdict {
        goal,
        limit,
        measured,
        met,
    } in verdicts
    {
        let _ = writeln!(
            text,
            "| {goal} | {limit} | {} | {} |",
            short(*measured),
            if *met { "met" } else { "missed" }
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[(Task, &str, f64, f64)]) -> Rows {
        let mut rows = Rows::new();
        for (task, name, cpu, rate) in values {
            let row = row(&mut rows, *task, name);
            row.cpu.push(*cpu);
            row.rate.push(*rate);
        }
        rows
    }

    #[test]
    fn the_servers_we_compare_with_pass_every_task() {
        if !testing::require_root()
            || !testing::require_all(&["apache2", "rclone", "curl", "openssl"])
        {
            return;
        }
        let scratch = tempfile::tempdir().unwrap();
        let mut rows = Rows::new();
        for start in [Server::apache, Server::rclone] {
            let folder = scratch.path().join(format!("{}", rows.len()));
            std::fs::create_dir_all(&folder).unwrap();
            let server = start(&folder).unwrap();
            prepare(&server, scratch.path(), &QUICK).unwrap();
            for task in TASKS {
                measure(&server, task, 0, &QUICK, &mut rows).unwrap();
            }
            assert!(server.group().resident_kib().unwrap() > 1000);
        }
        let text = table(&rows, &QUICK);
        assert_eq!(text.matches("| Apache |").count(), TASKS.len(), "{text}");
        assert_eq!(text.matches("| Apache, sendfile on |").count(), 1, "{text}");
        assert_eq!(
            text.matches("| rclone |").count(),
            TASKS.len() - 1,
            "{text}"
        );
    }

    #[test]
    fn a_missed_goal_is_called_missed() {
        let rows = rows(&[
            (Task::List, "cumulet", 31.0, 1.0),
            (Task::List, "Apache", 100.0, 1.0),
            (Task::Put8, "cumulet", 1.0, 1200.0),
            (Task::Put8, "Apache", 1.0, 1000.0),
        ]);
        let verdicts = goals(&rows);
        assert_eq!(
            verdicts
                .iter()
                .map(|verdict| verdict.met)
                .collect::<Vec<_>>(),
            [false, true]
        );
        assert!(goal_table(&verdicts).contains("| 0.3 | 0.310 | missed |"));
    }

    #[test]
    fn ratios_are_of_medians_and_absent_without_apache() {
        let text = table(
            &rows(&[
                (Task::Get1, "cumulet", 2.0, 10.0),
                (Task::Get1, "Apache", 4.0, 20.0),
                (Task::Get8, "rclone", 1.0, 1.0),
            ]),
            &QUICK,
        );
        assert!(
            text.contains("| cumulet | 2.00 | 0.500 | - | 10.0 | 0.500 |"),
            "{text}"
        );
        assert!(text.contains("| rclone | 1.00 | - |"), "{text}");
    }
}
