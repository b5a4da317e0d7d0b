//! Behavior of the tree on real volumes.

mod conditions;
mod crash;
mod locks;
mod oracle;
pub(crate) mod support;
mod tree;
