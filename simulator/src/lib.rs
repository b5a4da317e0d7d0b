//! A cluster of thousands of nodes on a virtual clock, driving the code that a node runs.
//!
//! [`Graph`] says who is linked with whom, [`Census`] gives each node a real key and a really
//! signed record, [`Network`] carries the messages of their [`peers::lookup::Lookup`] machines in
//! the order of a virtual clock and spoils some of them as [`Faults`] say. One seed gives one run;
//! every failed check names it. [`Survey`] is what `cargo xtask simulate` prints.
#![forbid(unsafe_code)]

mod baseline;
mod census;
mod faults;
mod graph;
mod network;
mod survey;

pub use baseline::walkers;
pub use census::Census;
pub use faults::{Conduct, Faults, Partition};
pub use graph::{Graph, Shape};
pub use network::{Network, Run, Upkeep};
pub use survey::{Survey, SurveyOptions};
