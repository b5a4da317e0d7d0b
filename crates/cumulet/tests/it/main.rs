//! User stories against real nodes, one file each.
//!
//! Run them all with `cargo test -p cumulet --test it`, one story with `… --test it litmus`. Tests
//! named `rNN_…` prove requirement NN of `GOALS.md`.

#![expect(
    clippy::print_stderr,
    reason = "measured figures and seeds are for the person who runs the tests"
)]
#![expect(
    clippy::unwrap_used,
    reason = "all of this is tests: a step that fails fails its test"
)]

mod accounts;
mod at_center;
mod audit;
mod bad_input;
mod big_files;
mod binds;
mod browser;
mod center;
mod client;
mod clients;
mod cluster;
mod crashes;
mod discovery;
mod disks;
mod durability;
mod first_start;
mod fixtures;
mod friends;
mod homes;
mod light;
mod litmus;
mod locks;
mod newcomer;
mod outside_edits;
mod people;
mod quotas;
mod ranges;
mod refusals;
mod scene;
mod sharing;
mod spaces;
mod trash;
mod two_editors;
mod words;
