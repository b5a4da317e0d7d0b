//! A cluster of thousands of nodes on a virtual clock, driving the code that a node runs.
#![forbid(unsafe_code)]
