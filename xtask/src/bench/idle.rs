//! `cargo xtask bench idle`: memory and CPU of a node that has 100,000 files and nothing to do, and how soon
//! a bound folder of that size is listed after a start (R3, R108).

use anyhow::{Context, bail};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testing::{Node, PASSWORD};

use super::Options;
use super::figures::{self, Series, ms, short};
use crate::process::Group;

/// The goal of R108.
const RESIDENT_MIB_MAX: f64 = 64.0;
/// The goal of R108: a hundredth of a core.
const CPU_SHARE_MAX: f64 = 0.01;
/// A bound folder is listed this soon after the node is ready.
const LISTED_WITHIN: Duration = Duration::from_secs(1);
const FILES_PER_FOLDER: u64 = 1000;

/// Runs the measurement; prints it and writes it to the page. True when every goal is met.
pub(crate) fn idle(options: &Options) -> anyhow::Result<bool> {
    let program = options.program()?;
    let scratch = options.scratch()?;
    let (files, watch) = if options.quick {
        (2_000, Duration::from_secs(3))
    } else {
        (100_000, Duration::from_secs(60))
    };
    let (flat, deep) = (scratch.path().join("flat"), scratch.path().join("deep"));
    make_tree(&flat, files, files)?;
    make_tree(&deep, files, FILES_PER_FOLDER)?;

    // One folder of that many entries: how soon it is listed while it is still being indexed.
    let cloud = scratch.path().join("cloud");
    let mut node = start(&program, &cloud)?;
    let began = Instant::now();
    node.cli(&["bind", path(&flat)?, "alice:/flat"]).ok();
    let usable = list(&node, "flat", files)?.max(began.elapsed());
    wait_indexed(&node, "flat", files)?;
    let indexed = began.elapsed();
    node.cli(&["bind", path(&deep)?, "alice:/deep"]).ok();
    wait_quiet(&node)?;

    let mut listed = Series::default();
    let mut resident = Series::default();
    let mut starting = Series::default();
    let mut quiet = Rest::default();
    let mut noisy = Rest::default();
    for _ in 0..if options.quick {
        1
    } else {
        options.rounds.max(3)
    } {
        node.stop();
        node.start();
        listed.push(ms(list(&node, "flat", files)?));
        let group = Group(node.pid());
        wait_quiet(&node)?;
        starting.push(group.cpu()?.as_secs_f64());
        quiet.watch(group, watch)?;
        let noise = Noise::start(&scratch.path().join("noise"))?;
        noisy.watch(group, watch / 2)?;
        noise.stop()?;
        resident.push(group.resident_kib()? as f64 / 1024.0);
    }
    let met = resident.median() <= RESIDENT_MIB_MAX
        && quiet.share.median() < CPU_SHARE_MAX
        && listed.median() <= ms(LISTED_WITHIN);
    let text = format!(
        "{}. {}. `cargo xtask bench idle`, release build; {files} files in one bound folder and {files} in folders of {FILES_PER_FOLDER}. Median (minimum-maximum), n = {}.\n\n\
         | What | Measured | Goal |\n|---|---|---|\n\
         | memory at rest after a start, MiB | {resident} | at most {RESIDENT_MIB_MAX} |\n\
         | CPU at rest over {} s, share of a core | {} | below {CPU_SHARE_MAX} |\n\
         | wake-ups at rest, per s, all threads | {} | - |\n\
         | CPU while another program writes {NOISE_PER_S} files a second beside the volumes, share of a core | {} | - |\n\
         | CPU of the start, until at rest (comparison of catalog and disk, and the listing below), s | {starting} | - |\n\
         | whole listing of the folder of {files} after the ready line, ms | {listed} | at most {} |\n\
         | usable after `bind`, ms | {} | at once |\n\
         | indexed after `bind`, s | {} | - |\n\nGoals: {}.\n",
        figures::machine(scratch.path()),
        figures::today(),
        resident.count(),
        watch.as_secs(),
        quiet.share,
        quiet.wakeups,
        noisy.share,
        ms(LISTED_WITHIN),
        short(ms(usable)),
        short(indexed.as_secs_f64()),
        if met { "met" } else { "missed" },
    );
    println!("{text}");
    if !options.dry && !options.quick {
        figures::record(&super::page(), "idle", &text)?;
    }
    // Small sizes show that everything works; how well they cannot tell.
    Ok(options.quick || met)
}

/// Figures of a node that has nothing to do.
#[derive(Default)]
struct Rest {
    share: Series,
    wakeups: Series,
}

impl Rest {
    fn watch(&mut self, group: Group, time: Duration) -> anyhow::Result<()> {
        let (cpu, wakeups) = (group.cpu()?, group.wakeups()?);
        std::thread::sleep(time);
        let seconds = time.as_secs_f64();
        self.share
            .push((group.cpu()? - cpu).as_secs_f64() / seconds);
        let woken = group.wakeups()?.saturating_sub(wakeups);
        self.wakeups.push(woken as f64 / seconds);
        Ok(())
    }
}

/// Files that [`Noise`] writes in a second.
const NOISE_PER_S: u32 = 2000;

/// Another program at work on the same file system, in no folder of the node.
struct Noise {
    ending: Arc<AtomicBool>,
    writer: std::thread::JoinHandle<std::io::Result<()>>,
}

impl Noise {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        const TURNS_PER_S: u32 = 10;
        let (folder, ending) = (folder.to_owned(), Arc::new(AtomicBool::new(false)));
        let ends = Arc::clone(&ending);
        let writer = std::thread::spawn(move || {
            for number in 0..u64::MAX {
                let inner = folder.join(format!("{:02}", number % 50));
                std::fs::create_dir_all(&inner)?;
                for file in 0..NOISE_PER_S / TURNS_PER_S {
                    std::fs::write(inner.join(file.to_string()), "noise")?;
                }
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(Duration::from_secs(1) / TURNS_PER_S);
            }
            std::fs::remove_dir_all(&folder)
        });
        Ok(Self { ending, writer })
    }

    fn stop(self) -> anyhow::Result<()> {
        self.ending.store(true, Ordering::Relaxed);
        match self.writer.join() {
            Ok(written) => written.context("the other program's files"),
            Err(_) => bail!("the other program failed"),
        }
    }
}

fn start(program: &Path, cloud: &Path) -> anyhow::Result<Node> {
    let node = Node::of(path(program)?).folder(cloud).start();
    node.cli_with_input(
        &["user", "add", "alice", "--password-stdin", "--owner"],
        PASSWORD,
    )
    .ok();
    Ok(node)
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is not text")
}

/// `count` small files, `per_folder` in each folder; one folder means none below the top.
fn make_tree(top: &Path, count: u64, per_folder: u64) -> anyhow::Result<()> {
    for number in 0..count {
        let folder = if per_folder >= count {
            top.to_owned()
        } else {
            top.join(format!("folder-{:04}", number / per_folder))
        };
        if number % per_folder == 0 {
            std::fs::create_dir_all(&folder)?;
        }
        std::fs::write(
            folder.join(format!("file-{number:06}.txt")),
            number.to_string(),
        )?;
    }
    Ok(())
}

/// PROPFIND Depth 1 over HTTP; the wall time when all `files` are in the answer, else an error.
fn list(node: &Node, folder: &str, files: u64) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let found = count_listed(node, folder)?;
    anyhow::ensure!(
        found == files,
        "PROPFIND of {folder} shows {found} of {files} files"
    );
    Ok(began.elapsed())
}

fn count_listed(node: &Node, folder: &str) -> anyhow::Result<u64> {
    let url = format!("http://{}/dav/files/alice/{folder}/", node.http().address());
    let credentials = format!("alice:{PASSWORD}");
    let output = Command::new("curl")
        .args([
            "-sS",
            "--fail",
            "-X",
            "PROPFIND",
            "-H",
            "Depth: 1",
            "-u",
            &credentials,
            &url,
        ])
        .output()?;
    anyhow::ensure!(
        output.status.success(),
        "curl: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let body = String::from_utf8_lossy(&output.stdout);
    Ok(body.matches("/file-").count() as u64)
}

fn wait_indexed(node: &Node, folder: &str, files: u64) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(600);
    while count_listed(node, folder)? < files {
        if Instant::now() > until {
            bail!("{folder} was not indexed within 10 minutes");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    wait_quiet(node)
}

/// Waits until the node has used less than 2 % of a core for 3 s.
fn wait_quiet(node: &Node) -> anyhow::Result<()> {
    let group = Group(node.pid());
    let window = Duration::from_secs(3);
    for _ in 0..200 {
        let before = group.cpu()?;
        std::thread::sleep(window);
        if group.cpu()? - before < window / 50 {
            return Ok(());
        }
    }
    bail!("the node did not come to rest within 10 minutes")
}
