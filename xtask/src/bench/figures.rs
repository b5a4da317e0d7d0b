//! Figures with their spread, and the page that keeps them.
//!
//! Wall time on a shared machine says little; CPU time of the server says more. Both are kept, as median with
//! minimum and maximum and the number of rounds. Ratios are of medians within one run.

use anyhow::Context;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Values of one thing measured several times.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// Adds a value.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// The middle value, or the mean of the two middle ones; 0 without values.
    pub(crate) fn median(&self) -> f64 {
        let half = self.0.len() / 2;
        match (self.0.get(half), self.0.len() % 2) {
            (None, _) => 0.0,
            (Some(middle), 1) => *middle,
            (Some(upper), _) => (self.0[half - 1] + upper) / 2.0,
        }
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return f.write_str("-");
        };
        if self.0.len() == 1 {
            return f.write_str(&short(*first));
        }
        write!(
            f,
            "{} ({}-{})",
            short(self.median()),
            short(*first),
            short(*last)
        )
    }
}

/// Three significant digits, no exponent.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The machine, as a reader needs it to judge the figures.
pub(crate) fn machine(scratch: &Path) -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split(':').nth(1))
        .unwrap_or("unknown CPU")
        .trim();
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{model}, {cores} cores, {} GiB RAM, Linux {}, {}",
        kib / 1024 / 1024,
        kernel.trim(),
        file_system(scratch)
    )
}

/// Kind of the file system that holds `path`.
fn file_system(path: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let holding = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        path.starts_with(point).then_some((point.len(), kind))
    });
    holding
        .max_by_key(|(length, _)| *length)
        .map_or("unknown file system", |(_, kind)| kind)
        .to_owned()
}

/// Today in UTC, as `date` prints it.
pub(crate) fn today() -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "+%Y-%m-%d %H:%M UTC"])
        .output();
    output.map_or_else(
        |_| "unknown date".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Replaces the part `name` of the page at `path`, which stands between two comment lines.
pub(crate) fn record(path: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let page =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let replaced = replace_part(&page, name, text)
        .with_context(|| format!("{} has no part `{name}`", path.display()))?;
    std::fs::write(path, replaced).with_context(|| format!("writing {}", path.display()))
}

fn replace_part(page: &str, name: &str, text: &str) -> Option<String> {
    let (open, close) = (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->"),
    );
    let (before, rest) = page.split_once(&open)?;
    let (_, after) = rest.split_once(&close)?;
    Some(format!("{before}{open}{}\n{close}{after}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        let mut series = Series::default();
        values.iter().for_each(|value| series.push(*value));
        series
    }

    #[test]
    fn a_series_shows_its_median_and_its_ends() {
        assert_eq!(series(&[3.0, 1.0, 200.0]).to_string(), "3.00 (1.00-200)");
        assert_eq!(series(&[1.0, 2.0]).median(), 1.5);
        assert_eq!(series(&[]).to_string(), "-");
        assert_eq!(series(&[0.1234]).to_string(), "0.123");
    }

    #[test]
    fn a_part_of_the_page_is_replaced_and_the_rest_stays() {
        let page = "# Head\n<!-- idle: begin -->\nold\n<!-- idle: end -->\ntail\n";
        let expected = "# Head\n<!-- idle: begin -->\nnew\n<!-- idle: end -->\ntail\n";
        assert_eq!(
            replace_part(page, "idle", "new\n").as_deref(),
            Some(expected)
        );
        assert_eq!(replace_part(page, "files", "new"), None);
    }

    #[test]
    fn the_machine_is_described() {
        let text = machine(Path::new("/"));
        assert!(text.contains("cores") && text.contains("Linux"), "{text}");
    }
}
