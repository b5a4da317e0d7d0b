//! `cargo xtask soak`: a node under a mixed load for minutes or hours, watched for growth (R7).
//!
//! Some people write, read, move, lock and delete in folders of their own, over HTTP and HTTPS, and one looks at
//! pages; each keeps to a fixed rate, so that the node is busy and not saturated. What a person wrote must come
//! back byte for byte. Every two seconds memory and descriptors are noted; after the warm-up a line is fitted
//! through each (see [`slope`]). At the end the node must stop cleanly and `cumulet check` must find nothing.

mod people;
mod slope;

use anyhow::Context;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testing::{Node, PASSWORD};

use crate::bench::{Options, figures};
use crate::process::Group;
use people::{Person, Tally};
use slope::Line;

const SAMPLE_EVERY: Duration = Duration::from_secs(2);
/// Requests per second of each person.
const RATE_PER_PERSON: u32 = 8;
/// Growth below this is nothing, whatever its significance: allocator and page tables move that much.
const RESIDENT_KIB_FLOOR: f64 = 4096.0;
const DESCRIPTORS_FLOOR: f64 = 3.0;

/// One look at the process.
struct Sample {
    at_s: f64,
    resident_kib: f64,
    descriptors: f64,
}

/// Runs the soak; prints one JSON object. True when nothing grew, nothing failed and the catalog is clean.
pub(crate) fn soak(options: &Options) -> anyhow::Result<bool> {
    let program = options.program()?;
    let scratch = options.scratch()?;
    let length = if options.quick {
        Duration::from_secs(20)
    } else {
        Duration::from_secs(60 * options.minutes)
    };
    let binary = program.to_str().context("the program's path is not text")?;
    let mut node = Node::of(binary)
        .folder(&scratch.path().join("cloud"))
        .start();
    let people = people::all(&node)?;
    let began = Instant::now();
    let stop = AtomicBool::new(false);
    let (samples, tally) = std::thread::scope(|scope| {
        let workers: Vec<_> = people
            .into_iter()
            .map(|person| scope.spawn(|| work(person, began, &stop)))
            .collect();
        let samples = watch(&node, began, length);
        stop.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        for worker in workers {
            match worker.join() {
                Ok(one) => tally.add(one),
                Err(_) => tally.failures.push("a person's thread panicked".to_owned()),
            }
        }
        (samples, tally)
    });
    let samples = samples?;
    let stopped_in = node.stop();
    let check = node.cli(&["check", "--json"]);
    let verdict = Verdict::of(&samples, length);
    let good = tally.failures.is_empty()
        && check.code == 0
        && !verdict.resident.grows()
        && !verdict.descriptors.grows();
    let report = json!({
        "good": good,
        "machine": figures::machine(scratch.path()),
        "date": figures::today(),
        "build": if options.dev { "dev" } else { "release" },
        "minutes": length.as_secs_f64() / 60.0,
        "requests": tally.requests,
        "by_kind": tally.by_kind,
        "failures": tally.failures.iter().take(20).collect::<Vec<_>>(),
        "failure_count": tally.failures.len(),
        "resident_kib": verdict.resident.json(),
        "descriptors": verdict.descriptors.json(),
        "stop_ms": stopped_in.as_millis() as u64,
        "check_exit_code": check.code,
        "check": check.stdout.lines().take(10).collect::<Vec<_>>(),
    });
    println!("{report:#}");
    // What a development build does says nothing about the product.
    if !options.dry && !options.quick && !options.dev {
        figures::record(&crate::bench::page(), "soak", &page(&report))?;
    }
    Ok(good)
}

fn page(report: &Value) -> String {
    format!(
        "`cargo xtask soak --minutes {}`:\n\n```json\n{report:#}\n```\n",
        report["minutes"]
    )
}

/// Works at the person's rate until told to stop. A failure is noted and the person goes on.
fn work(mut person: Person, began: Instant, stop: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    for turn in 1.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if let Err(error) = person.act(&mut tally) {
            tally.failures.push(format!(
                "{} after {:.1} s: {error:#}",
                person.name(),
                began.elapsed().as_secs_f64()
            ));
            // A node that is gone would fill the list at full speed.
            std::thread::sleep(Duration::from_secs(1));
        }
        let due = began + Duration::from_secs(1) * turn / RATE_PER_PERSON;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    tally
}

fn watch(node: &Node, began: Instant, length: Duration) -> anyhow::Result<Vec<Sample>> {
    let group = Group(node.pid());
    let mut samples = Vec::new();
    while began.elapsed() < length {
        std::thread::sleep(SAMPLE_EVERY);
        samples.push(Sample {
            at_s: began.elapsed().as_secs_f64(),
            resident_kib: testing::resident_kib(node.pid()) as f64,
            descriptors: group.descriptors()? as f64,
        });
    }
    Ok(samples)
}

/// A line through one kind of figure, with what counts as growth.
struct Trend {
    line: Option<Line>,
    floor: f64,
    hours: f64,
    first: f64,
    last: f64,
    most: f64,
}

impl Trend {
    /// Growth that is both significant and more than the floor over the time watched.
    fn grows(&self) -> bool {
        self.line.as_ref().is_some_and(|line| {
            line.surely_rises() && line.slope_per_hour() * self.hours > self.floor
        })
    }

    fn json(&self) -> Value {
        json!({
            "first": self.first,
            "last": self.last,
            "max": self.most,
            "slope_per_hour": self.line.as_ref().map(Line::slope_per_hour),
            "noise_per_hour": self.line.as_ref().map(Line::noise_per_hour),
            "noise": slope::HOW,
            "floor": self.floor,
            "grows": self.grows(),
        })
    }
}

struct Verdict {
    resident: Trend,
    descriptors: Trend,
}

impl Verdict {
    /// The first quarter, at most five minutes, is warm-up: caches fill.
    fn of(samples: &[Sample], length: Duration) -> Self {
        let warm_s = (length.as_secs_f64() / 4.0).min(300.0);
        let trend = |value: fn(&Sample) -> f64, floor| {
            let points: Vec<(f64, f64)> = samples
                .iter()
                .filter(|sample| sample.at_s > warm_s)
                .map(|sample| (sample.at_s, value(sample)))
                .collect();
            Trend {
                line: Line::through(&points),
                floor,
                hours: (length.as_secs_f64() - warm_s) / 3600.0,
                first: points.first().map_or(0.0, |point| point.1),
                last: points.last().map_or(0.0, |point| point.1),
                most: points.iter().map(|point| point.1).fold(0.0, f64::max),
            }
        };
        Self {
            resident: trend(|sample| sample.resident_kib, RESIDENT_KIB_FLOOR),
            descriptors: trend(|sample| sample.descriptors, DESCRIPTORS_FLOOR),
        }
    }
}

/// Makes the people of the soak.
fn add_people(node: &Node, names: &[&str]) {
    for (number, name) in names.iter().enumerate() {
        let mut words = vec!["user", "add", *name, "--password-stdin"];
        if number == 0 {
            words.push("--owner");
        }
        node.cli_with_input(&words, PASSWORD).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(kib: impl Fn(f64) -> f64) -> Vec<Sample> {
        let at = |number: i32| f64::from(number) * 2.0;
        (1..=300)
            .map(|number| Sample {
                at_s: at(number),
                resident_kib: kib(at(number)),
                descriptors: 20.0,
            })
            .collect()
    }

    #[test]
    fn a_leak_is_found_and_a_warm_up_is_not_one() {
        let length = Duration::from_secs(600);
        let leak = Verdict::of(&samples(|at| 50_000.0 + at * 20.0), length);
        assert!(leak.resident.grows() && !leak.descriptors.grows());
        let warm_up = Verdict::of(&samples(|at| 50_000.0 + at.min(120.0) * 100.0), length);
        assert!(!warm_up.resident.grows());
    }

    #[test]
    fn growth_below_the_floor_is_none() {
        let verdict = Verdict::of(&samples(|at| 50_000.0 + at), Duration::from_secs(600));
        assert!(!verdict.resident.grows());
    }
}
