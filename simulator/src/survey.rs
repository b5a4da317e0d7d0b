//! Many lookups in one graph, as figures.

use std::fmt;
use std::time::Duration;

use peers::Dice;
use peers::lookup::Limits;
use protocol::message::lookup::Target;

use crate::{Graph, Network, Shape, walkers};

/// What is surveyed.
#[derive(Debug, Clone, Copy)]
pub struct SurveyOptions {
    /// How the links lie.
    pub shape: Shape,
    /// Nodes.
    pub nodes: usize,
    /// Lookups, each from a random node for another random one.
    pub queries: usize,
    /// Everything random follows from it.
    pub seed: u64,
    /// Limits of each lookup.
    pub limits: Limits,
}

/// Figures of many lookups.
#[derive(Debug, Clone)]
pub struct Survey {
    /// What was surveyed.
    pub options: SurveyOptions,
    /// Lookups that found their node.
    pub found: usize,
    /// Messages of each lookup, in order of size.
    pub messages: Vec<usize>,
    /// Links of each hit, in order of size.
    pub hops: Vec<u16>,
    /// Time of each hit, in order of size.
    pub took: Vec<Duration>,
    /// 32 walkers of 1024 steps on the same graph with the same pairs: how many found it.
    pub walkers_found: usize,
    /// And their messages, on average.
    pub walkers_messages: usize,
}

impl Survey {
    /// The head of the table that [`Survey`]s are rows of.
    pub const HEAD: &str = "\
| Graph | Budget | Lookups | Found | Messages | Hops of hits | Time of hits | 32 walkers |
|---|---|---|---|---|---|---|---|";

    /// Runs the lookups one after the other, each with nothing remembered of the last.
    #[must_use]
    pub fn run(options: SurveyOptions, graph: &Graph, network: &mut Network) -> Self {
        let mut seed = [0x33; 32];
        seed[..8].copy_from_slice(&options.seed.to_be_bytes());
        let mut dice = Dice::new(seed);
        let mut survey = Self {
            options,
            found: 0,
            messages: Vec::new(),
            hops: Vec::new(),
            took: Vec::new(),
            walkers_found: 0,
            walkers_messages: 0,
        };
        for _ in 0..options.queries {
            let origin = dice.below(options.nodes);
            let target = dice.below(options.nodes);
            let sought = Target::Node(network.census().id(target));
            let run = network.find(u32::try_from(origin).unwrap_or(0), sought, options.limits);
            survey.messages.push(run.messages);
            if run.outcome.found {
                survey.found += 1;
                survey.hops.push(run.hops);
                survey.took.extend(run.first_after);
            }
            // Longer than anything is remembered, so that no lookup lives off another.
            network.pass(Duration::from_secs(700));
            let (messages, found) = walkers(graph, origin, target, 32, 1024, &mut dice);
            survey.walkers_messages += messages;
            survey.walkers_found += usize::from(found);
        }
        survey.walkers_messages /= options.queries.max(1);
        survey.messages.sort_unstable();
        survey.hops.sort_unstable();
        survey.took.sort_unstable();
        survey
    }

    /// Messages of a lookup, on average.
    #[must_use]
    pub fn messages_mean(&self) -> usize {
        self.messages.iter().sum::<usize>() / self.messages.len().max(1)
    }

    /// Lookups that found their node, in percent.
    #[must_use]
    pub fn found_percent(&self) -> f64 {
        percent(self.found, self.options.queries)
    }

    /// Walks that found their node, in percent.
    #[must_use]
    pub fn walkers_found_percent(&self) -> f64 {
        percent(self.walkers_found, self.options.queries)
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

fn part<T: Copy + Default>(sorted: &[T], percent: usize) -> T {
    let place = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(place).copied().unwrap_or_default()
}

impl fmt::Display for Survey {
    /// One row of a Markdown table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, .. } = self;
        write!(
            f,
            "| {} {} | {} | {} | {:.1} % | {} / {} / {} | {} / {} | {:.1} / {:.1} s | {} at {:.1} % |",
            options.shape.name(),
            options.nodes,
            options.limits.budget,
            options.queries,
            self.found_percent(),
            self.messages_mean(),
            part(&self.messages, 50),
            part(&self.messages, 95),
            part(&self.hops, 50),
            part(&self.hops, 95),
            part(&self.took, 50).as_secs_f64(),
            part(&self.took, 95).as_secs_f64(),
            self.walkers_messages,
            self.walkers_found_percent(),
        )
    }
}
