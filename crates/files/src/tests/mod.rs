//! Behavior of the tree on real volumes.

mod conditions;
mod locks;
mod support;
mod tree;
