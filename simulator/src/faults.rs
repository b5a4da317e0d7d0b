//! What goes wrong: lost, late and doubled messages, liars, partitions, wrong clocks.

use std::collections::HashMap;
use std::time::Duration;

/// What is spoiled; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Messages that are lost, in percent.
    pub lost_percent: usize,
    /// Messages that come twice, in percent.
    pub doubled_percent: usize,
    /// Messages that come a second later, in percent.
    pub late_percent: usize,
    /// Nodes that do not behave as the protocol says.
    pub conduct: HashMap<u32, Conduct>,
    /// How far clocks of nodes are off, in milliseconds.
    pub clock_error_ms: HashMap<u32, i64>,
    /// Messages between its two sides are lost for a while.
    pub partition: Option<Partition>,
}

/// How a liar answers each query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// "Here it is", with a record that it forged.
    Forges,
    /// "Here it is", with its own record, rightly signed.
    Replaces,
    /// "Here it is", with a record of the sought node that ended three days ago.
    Stale,
    /// "Nobody has it, and all that budget is left."
    Denies,
    /// Says nothing.
    Silent,
    /// Says nothing, and told its neighbors a digest of 256 nodes that it does not know.
    Lures,
    /// Answers many times, and asks back with all budget that there is.
    Floods,
}

/// Nodes below `below` cannot reach the others between `from` and `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// The first node of the other side.
    pub below: u32,
    /// When it begins.
    pub from: Duration,
    /// When it heals.
    pub until: Duration,
}

impl Partition {
    pub(crate) fn cuts(&self, now: Duration, a: u32, b: u32) -> bool {
        (self.from..self.until).contains(&now) && (a < self.below) != (b < self.below)
    }
}
