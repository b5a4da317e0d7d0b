//! Presence, neighbors and lookup as state machines: no clock, no socket, no thread.
//!
//! Each machine is told the time and what happened, and answers with what to do; the same code
//! runs in a node and in the simulator.
#![forbid(unsafe_code)]
