//! `cargo xtask dist`: one static program for x86_64 Linux, proven in a bare chroot (R6).
//!
//! `crt-static` on the gnu target links glibc into the program, so that it runs on every distribution. The proof
//! is a folder that holds the program and nothing else: no loader, no libraries, no `/etc`, no `/tmp`.

use anyhow::{Context, bail, ensure};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::{Options, build};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// A static program cannot ask its loader whether the C library has `getrandom`; the crate of that
/// name would fall back to `/dev/urandom`, which a bare chroot does not have. So it is told to use the system call.
const STATIC_FLAGS: &str = "build.rustflags=['-C', 'target-feature=+crt-static', '--cfg', 'getrandom_backend=\"linux_getrandom\"']";
/// Longer than any start of an empty node, shorter than patience.
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(8);

/// Builds, checks and puts the program into `<target>/dist`. True when every check passed.
pub(crate) fn dist(options: &Options) -> anyhow::Result<bool> {
    let program = match &options.binary {
        Some(binary) => binary.clone(),
        None => build_static(options)?,
    };
    let bytes =
        std::fs::read(&program).with_context(|| format!("reading {}", program.display()))?;
    ensure!(
        !has_interpreter(&bytes)?,
        "{} asks for a dynamic loader",
        program.display()
    );
    let version = check_in_bare_chroot(&program)?;
    let folder = program.ancestors().nth(3).unwrap_or(&program).join("dist");
    std::fs::create_dir_all(&folder)?;
    let place = folder.join(format!(
        "cumulet-{}-x86_64-linux",
        version.split_whitespace().last().unwrap_or("unknown")
    ));
    std::fs::copy(&program, &place)?;
    println!(
        "{}: {version}, {} KiB, static, serves in a bare chroot",
        place.display(),
        bytes.len() / 1024
    );
    Ok(true)
}

fn build_static(options: &Options) -> anyhow::Result<PathBuf> {
    let profile = if options.dev { "dev" } else { "release" };
    // With --target, build scripts and macros of the host stay dynamic, as they must.
    build(profile, &["--target", TARGET, "--config", STATIC_FLAGS])
}

/// True when the ELF file names a program interpreter, that is, needs a loader (segment type `PT_INTERP`).
fn has_interpreter(elf: &[u8]) -> anyhow::Result<bool> {
    const PT_INTERP: u32 = 3;
    ensure!(
        elf.starts_with(b"\x7fELF\x02\x01"),
        "not a 64-bit little-endian ELF file"
    );
    let number = |at: usize, size: usize| -> anyhow::Result<u64> {
        let bytes = elf.get(at..at + size).context("the ELF file is cut off")?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let (offset, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let at = usize::try_from(offset + index * size).context("an offset beyond memory")?;
        if number(at, 4)? == u64::from(PT_INTERP) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Runs `--version` and `serve` where nothing else is; gives what `--version` printed.
fn check_in_bare_chroot(program: &Path) -> anyhow::Result<String> {
    let bare = tempfile::tempdir()?;
    std::fs::copy(program, bare.path().join("cumulet"))?;
    std::fs::create_dir(bare.path().join("cloud"))?;
    let inside = || {
        let mut command = Command::new("chroot");
        command.arg(bare.path()).arg("/cumulet");
        // Only what finds `chroot` itself.
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    };
    let output = inside()
        .arg("--version")
        .output()
        .context("chroot needs root")?;
    ensure!(
        output.status.success(),
        "--version in a bare chroot: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut serve = inside();
    serve
        .args([
            "serve",
            "/cloud",
            "--listen",
            "127.0.0.1:0",
            "--no-mdns",
            "--json",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = Running(serve.spawn()?);
    let ready = child.first_line()?;
    let ready: serde_json::Value = serde_json::from_str(&ready)
        .with_context(|| format!("the ready line is not JSON: {ready}"))?;
    let url = ready["https"]
        .as_str()
        .context("the ready line names no https")?;
    let answer = Command::new("curl")
        .args(["-sS", "-k", "--fail", &format!("{url}/healthz")])
        .output()
        .context("curl is not installed")?;
    ensure!(
        answer.status.success(),
        "GET /healthz: {}",
        String::from_utf8_lossy(&answer.stderr)
    );
    child.stop()?;
    ensure!(
        bare.path().join("cloud/.cumulet").is_dir(),
        "serve left no state behind"
    );
    Ok(version)
}

/// A node of ours; killed when a check fails.
struct Running(std::process::Child);

impl Running {
    fn first_line(&mut self) -> anyhow::Result<String> {
        let stdout = self.0.stdout.take().context("stdout was piped")?;
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            sender.send(read.map(|_| line)).ok();
        });
        Ok(receiver
            .recv_timeout(READY_WITHIN)
            .with_context(|| format!("no ready line within {READY_WITHIN:?}"))??)
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        Command::new("kill").arg(self.0.id().to_string()).status()?;
        let until = Instant::now() + STOPPED_WITHIN;
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.success(), "serve ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("still running {STOPPED_WITHIN:?} after SIGTERM")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_needs_a_loader_is_told_from_a_static_one() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(has_interpreter(&own).unwrap());
        // The same file with every PT_INTERP made PT_NULL.
        let mut stripped = own.clone();
        let word =
            |bytes: &[u8], at: usize| usize::from(bytes[at]) | usize::from(bytes[at + 1]) << 8;
        let (start, size, count) = (word(&own, 32), word(&own, 54), word(&own, 56));
        for at in (0..count).map(|index| start + index * size) {
            if stripped[at] == 3 {
                stripped[at] = 0;
            }
        }
        assert!(!has_interpreter(&stripped).unwrap());
        assert!(has_interpreter(b"#!/bin/sh").is_err());
    }
}
