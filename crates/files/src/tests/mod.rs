//! Behavior of the tree on real volumes.

mod binds;
mod circles;
mod conditions;
mod crash;
mod left_over;
mod locks;
mod oracle;
mod retention;
mod rights;
pub(crate) mod support;
mod tree;
