//! The tables of this crate in the node's database.

use database::Migration;

/// Steps of the area `sharing`, in their order.
pub const SCHEMA: &[Migration] = &[];
