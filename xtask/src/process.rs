//! What `/proc` says about a server: CPU time of a whole process tree, resident memory, descriptors.
//!
//! Servers differ in how many processes they use, so every figure is the sum over the process that we
//! started and all its descendants; time of children that have ended is counted through their parent.

use anyhow::Context;
use std::collections::BTreeMap;
use std::time::Duration;

/// Linux counts in hundredths of a second, whatever the kernel's own timer is.
const TICK: Duration = Duration::from_millis(10);

/// A process with its descendants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group(pub(crate) u32);

/// The fields that we use of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time, own and of ended children, in ticks.
    ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the name in parentheses and may hold spaces and parentheses.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            ticks,
        })
    }
}

impl Group {
    /// Ids of the process and of all its descendants.
    fn members(self) -> anyhow::Result<Vec<(u32, Stat)>> {
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").context("reading /proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // A process may end between the listing and this read.
            if let Some(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .ok()
                .and_then(|text| Stat::parse(&text))
            {
                all.insert(pid, stat);
            }
        }
        let belongs = |mut pid: u32| {
            while pid != self.0 {
                match all.get(&pid) {
                    Some(stat) if stat.parent > 1 => pid = stat.parent,
                    Some(_) | None => return false,
                }
            }
            true
        };
        let ids: Vec<u32> = all.keys().copied().filter(|pid| belongs(*pid)).collect();
        anyhow::ensure!(!ids.is_empty(), "process {} has ended", self.0);
        Ok(ids
            .into_iter()
            .filter_map(|pid| Some((pid, all.remove(&pid)?)))
            .collect())
    }

    /// User and system time since the start, resolution 10 ms.
    pub(crate) fn cpu(self) -> anyhow::Result<Duration> {
        let ticks: u64 = self.members()?.iter().map(|(_, stat)| stat.ticks).sum();
        Ok(TICK * u32::try_from(ticks).context("more CPU time than a bench can use")?)
    }

    /// How often its threads have gone to sleep, and so were woken, since their start.
    pub(crate) fn wakeups(self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for (pid, _) in self.members()? {
            for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
                // A thread may end between the listing and this read.
                let status = std::fs::read_to_string(task?.path().join("status"));
                let status = status.unwrap_or_default();
                sum += status
                    .lines()
                    .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
                    .and_then(|count| count.trim().parse::<u64>().ok())
                    .unwrap_or(0);
            }
        }
        Ok(sum)
    }

    /// Resident memory in KiB; pages that several processes share count once for each (`Pss` where it can be read).
    pub(crate) fn resident_kib(self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for (pid, _) in self.members()? {
            let smaps =
                std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            sum += kib_after(&smaps, "Pss:").unwrap_or_else(|| testing::resident_kib(pid));
        }
        Ok(sum)
    }

    /// Open descriptors.
    pub(crate) fn descriptors(self) -> anyhow::Result<usize> {
        Ok(self
            .members()?
            .iter()
            .map(|(pid, _)| testing::open_files(*pid))
            .sum())
    }
}

fn kib_after(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.trim().trim_end_matches(" kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn stat_is_parsed_behind_a_name_with_spaces_and_parentheses() {
        let text = "7 (a ) b) S 3 7 7 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 5";
        assert_eq!(
            Stat::parse(text),
            Some(Stat {
                parent: 3,
                ticks: 100
            })
        );
    }

    #[test]
    fn work_of_a_child_and_of_a_grandchild_is_counted() {
        let script = "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; sleep 5' & wait";
        let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let group = Group(child.id());
        testing::wait_until("the loop uses CPU", Duration::from_secs(20), || {
            group.cpu().unwrap() >= TICK * 5
        });
        assert!(group.members().unwrap().len() >= 2);
        assert!(group.resident_kib().unwrap() > 0);
        for (pid, _) in group.members().unwrap() {
            Command::new("kill").arg(pid.to_string()).status().unwrap();
        }
        child.wait().unwrap();
    }
}
