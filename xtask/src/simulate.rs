//! `cargo xtask simulate`: lookups in large graphs as a table, beside plain walkers on the same
//! graph with the same pairs of nodes.

use anyhow::{Context, bail};
use peers::Dice;
use peers::lookup::{BUDGET_DEFAULT, Limits, Tuning};
use simulator::{Census, Faults, Graph, Network, Shape, Survey, SurveyOptions};
use std::time::{Duration, Instant};

/// 32 walkers of 1024 steps.
const BUDGET_OF_WALKERS: u32 = 32 * 1024;
/// Links that are added, one after the other, to see what a change costs.
const CHANGES: usize = 20;

/// What is asked for on the command line.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    nodes: usize,
    queries: usize,
    seed: u64,
    shapes: Vec<Shape>,
}

impl Asked {
    fn parse(options: &[&str]) -> anyhow::Result<Self> {
        let mut asked = Self {
            nodes: 10_000,
            queries: 200,
            seed: 1,
            shapes: Shape::ALL.to_vec(),
        };
        let mut options = options.iter();
        while let Some(option) = options.next() {
            let value = options.next();
            let value = value.with_context(|| format!("`{option}` needs a value"))?;
            let number = || {
                value
                    .parse::<usize>()
                    .with_context(|| format!("`{option} {value}`"))
            };
            match *option {
                "--nodes" => asked.nodes = number()?,
                "--queries" => asked.queries = number()?,
                "--seed" => asked.seed = number()? as u64,
                "--shape" => {
                    let named = |shape: &Shape| shape.name() == *value;
                    let shape = Shape::ALL.into_iter().find(named).with_context(|| {
                        format!("no shape `{value}`: random, scale-free or small-world")
                    })?;
                    asked.shapes = vec![shape];
                }
                other => bail!("simulate knows no `{other}`"),
            }
        }
        if asked.nodes < 20 || asked.queries == 0 {
            bail!("at least 20 nodes and 1 query");
        }
        Ok(asked)
    }
}

/// Prints the table.
pub(crate) fn simulate(options: &[&str]) -> anyhow::Result<bool> {
    let asked = Asked::parse(options)?;
    println!(
        "seed {}; messages and hops as mean / median / 95th and median / 95th\n",
        asked.seed
    );
    println!("{}", Survey::HEAD);
    let census = Census::new(asked.nodes);
    let mut upkeep = Vec::new();
    for shape in &asked.shapes {
        let began = Instant::now();
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&asked.seed.to_be_bytes());
        let mut dice = Dice::new(seed);
        let graph = Graph::new(*shape, asked.nodes, &mut dice);
        let faults = Faults::default();
        let mut network = Network::new(&graph, &census, Tuning::default(), faults, asked.seed);
        let begun = network.upkeep();
        for (budget, deadline_s) in [(BUDGET_OF_WALKERS, 60), (BUDGET_DEFAULT, 10)] {
            let options = SurveyOptions {
                shape: *shape,
                nodes: asked.nodes,
                queries: asked.queries,
                seed: asked.seed,
                limits: Limits {
                    budget,
                    deadline: Duration::from_secs(deadline_s),
                    ..Limits::default()
                },
            };
            println!("{}", Survey::run(options, &graph, &mut network));
        }
        let before = network.upkeep();
        for _ in 0..CHANGES {
            let end = |dice: &mut Dice| u32::try_from(dice.below(asked.nodes)).unwrap_or(0);
            let (a, b) = (end(&mut dice), end(&mut dice));
            if a != b && !graph.links(a as usize).contains(&b) {
                network.link(a, b);
                network.pass(Duration::from_secs(700));
            }
        }
        let after = network.upkeep();
        upkeep.push(format!(
            "| {} {} | {:.1} of {} bytes | {:.1} | {:.0} s |",
            shape.name(),
            asked.nodes,
            begun.digests as f64 / asked.nodes as f64,
            begun.bytes / begun.digests.max(1),
            (after.digests - before.digests) as f64 / CHANGES as f64,
            began.elapsed().as_secs_f64(),
        ));
    }
    println!(
        "\n| Graph | Digests a node when all link at once | in all when one link is added | Took |"
    );
    println!("|---|---|---|---|\n{}", upkeep.join("\n"));
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_and_nonsense_is_refused() {
        let asked = Asked::parse(&["--nodes", "500", "--shape", "scale-free", "--seed", "3"]);
        let asked = asked.unwrap();
        assert_eq!((asked.nodes, asked.seed), (500, 3));
        assert_eq!(asked.shapes, [Shape::ScaleFree]);
        for wrong in [
            &["--nodes"][..],
            &["--nodes", "x"],
            &["--shape", "x"],
            &["--nodes", "1"],
            &["-x", "1"],
        ] {
            assert!(Asked::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
