//! What this node has and what of it is in use, as it tells a center (R13). Read from the kernel;
//! what cannot be read is told as 0.

use std::path::Path;

use protocol::message::center::{Resources, Usage};

/// Resources and usage now. Blocks for a moment.
pub(super) fn now(folder: &Path) -> (Resources, Usage) {
    let (storage, storage_used) = storage(folder);
    let (memory, memory_used) = memory(&read("/proc/meminfo"));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let resources = Resources {
        storage_bytes: storage,
        memory_bytes: memory,
        cores: u16::try_from(cores).unwrap_or(u16::MAX),
    };
    let usage = Usage {
        storage_bytes: storage_used,
        memory_bytes: memory_used,
        cpu_percent: load_percent(&read("/proc/loadavg"), cores),
    };
    (resources, usage)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn storage(folder: &Path) -> (u64, u64) {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return (0, 0);
    };
    let all = disk.f_blocks.saturating_mul(disk.f_frsize);
    let free = disk.f_bfree.saturating_mul(disk.f_frsize);
    (all, all.saturating_sub(free))
}

fn memory(meminfo: &str) -> (u64, u64) {
    let of = |name: &str| -> u64 {
        meminfo
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse().ok())
            .map_or(0, |kib: u64| kib * 1024)
    };
    let all = of("MemTotal");
    (all, all.saturating_sub(of("MemAvailable")))
}

/// The load of the last minute as a part of the cores.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a percentage between 0 and 100"
)]
fn load_percent(loadavg: &str, cores: usize) -> u8 {
    let minute = loadavg
        .split(' ')
        .next()
        .and_then(|text| text.parse::<f64>().ok());
    let share = minute.unwrap_or(0.0) / cores.max(1) as f64 * 100.0;
    share.clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let text = "MemTotal:        1000 kB\nMemFree: 1 kB\nMemAvailable:     400 kB\n";
        assert_eq!(memory(text), (1000 * 1024, 600 * 1024));
        assert_eq!(memory(""), (0, 0));
        assert_eq!(load_percent("0.50 0.1 0.1 1/2 3\n", 2), 25);
        assert_eq!(load_percent("9.00", 2), 100);
        assert_eq!(load_percent("", 2), 0);
    }

    #[test]
    fn this_computer_has_something() {
        let (resources, usage) = now(Path::new("/"));
        assert!(resources.storage_bytes > usage.storage_bytes);
        assert!(resources.memory_bytes > 0 && resources.cores > 0);
    }
}
