//! Behavior of the tree on real volumes.

mod conditions;
mod locks;
pub(crate) mod support;
mod tree;
