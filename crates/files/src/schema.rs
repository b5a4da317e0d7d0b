//! The tables of the catalog (`docs/formats/catalog.md`).

use database::Migration;

/// For [`database::Database::open`], area `files`.
pub const SCHEMA: &[Migration] = &[];
