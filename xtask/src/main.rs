//! Repository chores that are more than one line of shell: `cargo xtask tidy`.
//!
//! Nothing here is part of the product. The commands use the standard library, real programs from Debian and
//! the built `cumulet` binary; there is no async runtime, so that the load generators measure the server and
//! not a second runtime.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool"
)]

mod bench;
mod dist;
mod process;
mod simulate;
mod soak;
mod tidy;

use bench::Options;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <command>
  tidy                     check the rules of the repository
  bench files [--quick] [--rounds N] [--only TASK]
                           our server beside Apache, rclone and dufs; writes docs/benchmarks.md
  bench idle [--quick] [--rounds N]
                           memory and CPU at rest with 200,000 files; writes docs/benchmarks.md
   --quick                 a smoke test of the bench itself: small sizes, the development build, under two
                           minutes once that is built; prints only, fails only if something does not work
   --only TASK             one task, such as LargePlain; prints only
  soak [--minutes 10 | --hours N] [--dev]
                           mixed load; fails when memory or descriptors grow
  simulate [--nodes N] [--queries N] [--seed N] [--shape random|scale-free|small-world]
                           lookups in large graphs beside plain walkers, as a table; 10,000 nodes if none are named
  dist [--dev]             a static program in <target>/dist, proven in a bare chroot (needs root)
 options of bench, soak and dist:
  --binary FILE            take this program instead of building one
  --scratch DIR            where files are made; default is the temporary folder
  --dry                    print only";

/// The top of the repository: this package's parent folder.
pub(crate) fn root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or(own.clone(), PathBuf::from)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["tidy"] => run_tidy(),
        ["dist", options @ ..] => Options::parse(options).and_then(|options| dist::dist(&options)),
        ["soak", options @ ..] => Options::parse(options).and_then(|options| soak::soak(&options)),
        ["simulate", options @ ..] => simulate::simulate(options),
        ["bench", "files", options @ ..] => {
            Options::parse(options).and_then(|options| bench::files(&options))
        }
        ["bench", "idle", options @ ..] => {
            Options::parse(options).and_then(|options| bench::idle(&options))
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(clean) => ExitCode::from(u8::from(!clean)),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_tidy() -> anyhow::Result<bool> {
    let tree = tidy::Tree::read(&root())?;
    let findings = tidy::findings(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    println!(
        "tidy: {} rules over {} files, {} findings",
        tidy::rule_count(),
        tree.files.len(),
        findings.len()
    );
    Ok(findings.is_empty())
}
