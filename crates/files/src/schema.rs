//! The tables of the catalog (`docs/formats/catalog.md` explains each column).
//!
//! Invariants: `(parent, name)` is unique, so a listing in name order walks one index; an entry in
//! the trash has no parent, and all below it stays attached to it; `fid` is never reused.

use database::Migration;

/// For [`database::Database::open`], area `files`.
pub const SCHEMA: &[Migration] = &[TREE, WRITTEN, REMOVALS];

const TREE: Migration = Migration {
    name: "1 tree",
    sql: "
CREATE TABLE volumes (
    id INTEGER PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    root TEXT NOT NULL,
    mount INTEGER UNIQUE,
    marked INTEGER NOT NULL,
    file_system INTEGER NOT NULL,
    top_inode INTEGER NOT NULL,
    indexed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE spaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    owner INTEGER NOT NULL,
    root INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL DEFAULT 0,
    floor INTEGER NOT NULL DEFAULT 0,
    used INTEGER NOT NULL DEFAULT 0,
    quota INTEGER,
    retired INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE entries (
    fid INTEGER PRIMARY KEY AUTOINCREMENT,
    space INTEGER NOT NULL,
    parent INTEGER,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    mrev INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    created INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    hash BLOB,
    flags INTEGER NOT NULL,
    mount INTEGER,
    owner INTEGER
);
CREATE UNIQUE INDEX entries_place ON entries (parent, name);
CREATE INDEX entries_inode ON entries (inode);
-- Placeholders; there are hardly ever any, and the lock timer looks for them every few seconds.
CREATE INDEX entries_placeholders ON entries (created) WHERE flags & 1;
CREATE TABLE versions (
    fid INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    hash BLOB,
    volume INTEGER NOT NULL,
    history TEXT NOT NULL,
    kept_at INTEGER NOT NULL,
    author TEXT NOT NULL,
    reason INTEGER NOT NULL,
    PRIMARY KEY (fid, rev)
) WITHOUT ROWID;
CREATE INDEX versions_age ON versions (kept_at);
CREATE TABLE trash (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fid INTEGER NOT NULL UNIQUE,
    space INTEGER NOT NULL,
    old_parent INTEGER NOT NULL,
    old_path TEXT NOT NULL,
    volume INTEGER NOT NULL,
    history TEXT NOT NULL,
    size INTEGER NOT NULL,
    deleted_at INTEGER NOT NULL,
    deleted_by TEXT NOT NULL
);
CREATE INDEX trash_age ON trash (space, deleted_at);
CREATE TABLE dead_props (
    fid INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    xml TEXT NOT NULL,
    PRIMARY KEY (fid, namespace, name)
) WITHOUT ROWID;
CREATE TABLE locks (
    token TEXT PRIMARY KEY,
    fid INTEGER NOT NULL,
    exclusive INTEGER NOT NULL,
    deep INTEGER NOT NULL,
    owner_xml TEXT NOT NULL,
    account INTEGER NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX locks_fid ON locks (fid);
CREATE TABLE changes (
    space INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    fid INTEGER NOT NULL,
    op INTEGER NOT NULL,
    parent INTEGER,
    name TEXT NOT NULL,
    old_parent INTEGER,
    old_name TEXT,
    rev INTEGER NOT NULL,
    account INTEGER,
    at INTEGER NOT NULL,
    PRIMARY KEY (space, seq)
) WITHOUT ROWID;
CREATE TABLE intents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state INTEGER NOT NULL DEFAULT 0,
    action INTEGER NOT NULL,
    space INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    fid INTEGER,
    parent INTEGER NOT NULL,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    source_kind INTEGER NOT NULL,
    source TEXT NOT NULL,
    source_inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    hash BLOB,
    old_fid INTEGER,
    old_kind INTEGER,
    old_inode INTEGER,
    old_size INTEGER,
    old_mtime_ns INTEGER,
    old_rev INTEGER,
    history TEXT,
    fate INTEGER NOT NULL,
    displaced_bytes INTEGER NOT NULL,
    moved_bytes INTEGER NOT NULL,
    from_space INTEGER,
    from_parent INTEGER,
    from_name TEXT,
    copy_of INTEGER,
    trash_id INTEGER,
    flags INTEGER NOT NULL,
    account INTEGER,
    label TEXT NOT NULL,
    via TEXT NOT NULL,
    address TEXT,
    at INTEGER NOT NULL,
    operation TEXT,
    path TEXT NOT NULL
);
CREATE INDEX intents_open ON intents (space) WHERE state = 0;
CREATE TABLE results (
    operation TEXT PRIMARY KEY,
    fid INTEGER,
    created INTEGER NOT NULL,
    old_rev INTEGER,
    trash_id INTEGER,
    at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX results_age ON results (at);
",
};

/// Intents that hold small content and are recorded from the start.
const WRITTEN: Migration = Migration {
    name: "2 written intents",
    sql: "
ALTER TABLE intents ADD COLUMN content BLOB;
ALTER TABLE intents ADD COLUMN rev INTEGER;
",
};

/// Files in history that no row leads to any more and that are to go.
const REMOVALS: Migration = Migration {
    name: "3 removals",
    sql: "
CREATE TABLE removals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    volume INTEGER NOT NULL,
    history TEXT NOT NULL
);
",
};
