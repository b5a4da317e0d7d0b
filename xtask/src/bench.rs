//! Measurements of the product, and of other servers beside it: `cargo xtask bench files` and `bench idle`.
//!
//! All servers run at the same time on the same disk and are measured in turns, round by round, because on a
//! shared machine the same server differs by tens of percent between two runs. Ratios are of medians of one run.

pub(crate) mod figures;
mod files;
mod idle;
pub(crate) mod load;
pub(crate) mod servers;

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use files::files;
pub(crate) use idle::idle;

/// What the commands that start the product have in common.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Small sizes: shows that the command works, not how fast the product is.
    pub(crate) quick: bool,
    /// The one task to measure; else all.
    pub(crate) only: Option<String>,
    /// Rounds; 0 takes the command's own default.
    pub(crate) rounds: usize,
    /// A built `cumulet`; else it is built in the release profile.
    pub(crate) binary: Option<PathBuf>,
    /// Where the scratch folders go; else the system's temporary folder.
    pub(crate) scratch: Option<PathBuf>,
    /// Print only, leave `docs/benchmarks.md` as it is.
    pub(crate) dry: bool,
    /// Whole minutes of a soak.
    pub(crate) minutes: u64,
    /// The development build is enough.
    pub(crate) dev: bool,
}

impl Options {
    /// Reads the words after the command.
    pub(crate) fn parse(words: &[&str]) -> anyhow::Result<Self> {
        let mut options = Self {
            minutes: 10,
            ..Self::default()
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .copied()
                    .with_context(|| format!("{word} needs a value"))
            };
            match *word {
                "--quick" => options.quick = true,
                "--dry" => options.dry = true,
                "--dev" => options.dev = true,
                "--rounds" => {
                    options.rounds = value()?.parse().context("--rounds needs a number")?
                }
                "--minutes" => {
                    options.minutes = value()?.parse().context("--minutes needs a number")?
                }
                "--hours" => {
                    options.minutes =
                        60 * value()?.parse::<u64>().context("--hours needs a number")?
                }
                "--only" => options.only = Some(value()?.to_owned()),
                "--binary" => options.binary = Some(std::path::absolute(value()?)?),
                "--scratch" => options.scratch = Some(std::path::absolute(value()?)?),
                other => bail!("unknown option {other}"),
            }
        }
        Ok(options)
    }

    /// The program to measure; builds it when none was named. What only has to work may be slow.
    pub(crate) fn program(&self) -> anyhow::Result<PathBuf> {
        if let Some(binary) = &self.binary {
            anyhow::ensure!(binary.is_file(), "{} is not a file", binary.display());
            return Ok(binary.clone());
        }
        let profile = if self.dev || self.quick {
            "dev"
        } else {
            "release"
        };
        build(profile, &[])
    }

    /// A scratch folder that goes away.
    pub(crate) fn scratch(&self) -> anyhow::Result<tempfile::TempDir> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("cumulet-bench-");
        let made = match &self.scratch {
            Some(folder) => builder.tempdir_in(folder),
            None => builder.tempdir(),
        };
        made.context("making a scratch folder")
    }
}

/// Builds `cumulet` and gives the path that cargo reports, wherever the target folder is.
pub(crate) fn build(profile: &str, more: &[&str]) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = [
        "build",
        "--package",
        "cumulet",
        "--profile",
        profile,
        "--message-format",
        "json-render-diagnostics",
    ];
    let output = Command::new(cargo)
        .args(arguments)
        .args(more)
        .current_dir(crate::root())
        .stderr(std::process::Stdio::inherit())
        .output()?;
    anyhow::ensure!(output.status.success(), "building cumulet failed");
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let program = messages
        .filter(|message| message["target"]["name"] == "cumulet")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.context("cargo named no program")
}

/// The page that keeps the figures.
pub(crate) fn page() -> PathBuf {
    crate::root().join("docs/benchmarks.md")
}

/// Fills a file with `size` bytes that do not compress.
pub(crate) fn make_file(path: &Path, size: u64) -> anyhow::Result<()> {
    use std::io::Write;
    let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    // Xorshift: as fast as the disk and the same each time.
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut left = size;
    while left > 0 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bytes = state.to_le_bytes();
        let taken = usize::try_from(left.min(8))?;
        file.write_all(&bytes[..taken])?;
        left -= taken as u64;
    }
    file.flush()
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_a_wrong_one_is_named() {
        let options = Options::parse(&["--quick", "--rounds", "3", "--hours", "2"]).unwrap();
        assert!(options.quick && options.rounds == 3 && options.minutes == 120);
        assert!(
            Options::parse(&["--fast"])
                .unwrap_err()
                .to_string()
                .contains("--fast")
        );
        assert!(
            Options::parse(&["--rounds"])
                .unwrap_err()
                .to_string()
                .contains("needs a value")
        );
    }
}
