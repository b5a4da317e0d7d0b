//! Presence, neighbors and lookup as state machines: no clock, no socket, no thread.
//!
//! Each machine is told the time and what happened, and answers with what to do; the same code
//! runs in a node and in the simulator. All have one shape: `handle(now, event)` takes what
//! happened, `poll_action()` gives what is to be done until there is nothing more, and
//! `next_deadline()` says when [`handle`](lookup::Lookup::handle) wants to hear of the time alone
//! (`Tick`). The time is a [`Duration`](std::time::Duration) since a start that the driver chose;
//! it should not run backwards, and nothing breaks if it does.
//!
//! [`presence`]: who is there; [`neighbors`]: whom to know; [`lookup`]: how others are found.
#![forbid(unsafe_code)]

mod dice;
pub mod lookup;
pub mod neighbors;
pub mod presence;

pub use dice::Dice;
