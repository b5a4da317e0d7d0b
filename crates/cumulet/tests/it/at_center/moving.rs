//! Nodes whose network changes.
