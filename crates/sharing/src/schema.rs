//! The tables of this crate in the node's database (`docs/formats/audit.md` describes the audit
//! part). Instants are milliseconds since 1970.

use database::Migration;

/// Steps of the area `sharing`, in their order.
pub const SCHEMA: &[Migration] = &[PEOPLE, FRIENDS, CARDS, DEVICES];

const PEOPLE: Migration = Migration {
    name: "1 people, links, audit",
    sql: "
CREATE TABLE account (
  id                  INTEGER PRIMARY KEY AUTOINCREMENT,
  name                TEXT NOT NULL,
  name_key            TEXT NOT NULL UNIQUE,      -- lower case; decides who has the name
  owner               INTEGER NOT NULL,
  password            TEXT NOT NULL,             -- argon2id, peppered
  language            TEXT,
  theme               TEXT,
  created             INTEGER NOT NULL,
  basic_with_password INTEGER NOT NULL DEFAULT 1,
  totp_secret         BLOB,                      -- sealed; NULL while there is no second factor
  totp_offered        BLOB,                      -- sealed; shown but not confirmed
  totp_last_step      INTEGER NOT NULL DEFAULT 0 -- no code of this or an earlier step counts
) STRICT;
CREATE TABLE recovery_code (
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  hash    BLOB NOT NULL,
  PRIMARY KEY (account, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE setup_token (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  hash BLOB NOT NULL
) STRICT;
CREATE TABLE session (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  hash       BLOB NOT NULL UNIQUE,
  account    INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  created    INTEGER NOT NULL,
  last_seen  INTEGER NOT NULL,
  address    TEXT NOT NULL,
  user_agent TEXT NOT NULL
) STRICT;
CREATE INDEX session_account ON session (account);
CREATE TABLE app_password (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  hash      BLOB NOT NULL UNIQUE,
  account   INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  label     TEXT NOT NULL,
  created   INTEGER NOT NULL,
  last_used INTEGER,
  last_from TEXT
) STRICT;
CREATE INDEX app_password_account ON app_password (account);
CREATE TABLE throttle (
  kind     TEXT NOT NULL,
  subject  BLOB NOT NULL,
  network  TEXT NOT NULL,
  failures INTEGER NOT NULL,
  last     INTEGER NOT NULL,
  PRIMARY KEY (kind, subject, network)
) STRICT, WITHOUT ROWID;
CREATE TABLE link (
  id               INTEGER PRIMARY KEY AUTOINCREMENT,
  token_hash       BLOB NOT NULL UNIQUE,
  sealed_token     BLOB NOT NULL,
  fid              INTEGER NOT NULL,
  access           TEXT NOT NULL,
  label            TEXT NOT NULL,
  password         TEXT,
  password_version INTEGER NOT NULL DEFAULT 0,
  expires          INTEGER,
  downloads_max    INTEGER,
  downloads        INTEGER NOT NULL DEFAULT 0,
  created_by       INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  created          INTEGER NOT NULL,
  revoked          INTEGER
) STRICT;
CREATE INDEX link_fid ON link (fid);
CREATE INDEX link_created_by ON link (created_by);
CREATE TABLE member_grant (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  fid     INTEGER NOT NULL,
  account INTEGER REFERENCES account (id) ON DELETE CASCADE, -- NULL: everyone with an account
  writes  INTEGER NOT NULL,
  by      INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  created INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX member_grant_pair ON member_grant (fid, ifnull(account, -1));
CREATE INDEX member_grant_account ON member_grant (account);
CREATE INDEX member_grant_by ON member_grant (by);
CREATE TABLE lan_only_entry (fid INTEGER PRIMARY KEY) STRICT;
CREATE TABLE lan_only_service (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
  seq     INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  account INTEGER,
  actor   TEXT NOT NULL,
  via     TEXT NOT NULL,
  address TEXT NOT NULL,
  action  TEXT NOT NULL,
  space   INTEGER,
  target  TEXT NOT NULL,
  fid     INTEGER,
  old_rev INTEGER,
  new_rev INTEGER,
  outcome TEXT NOT NULL,
  detail  TEXT NOT NULL,
  count   INTEGER NOT NULL,
  hash    BLOB NOT NULL
) STRICT;
CREATE INDEX audit_fid ON audit (fid) WHERE fid IS NOT NULL;
CREATE TABLE audit_cut (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  seq       INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  hash      BLOB NOT NULL,
  signature BLOB NOT NULL
) STRICT;
",
};

const FRIENDS: Migration = Migration {
    name: "2 friends",
    sql: "
CREATE TABLE friend (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  node          BLOB NOT NULL UNIQUE,        -- 32 bytes, the ed25519 key
  name          TEXT NOT NULL,
  name_key      TEXT NOT NULL UNIQUE,        -- lower case; decides who has the name
  calls_itself  TEXT NOT NULL,
  addresses     TEXT NOT NULL,               -- with spaces in between
  scopes        TEXT NOT NULL,               -- names with commas, or none
  we_agree      INTEGER NOT NULL,
  they_agree    INTEGER NOT NULL,
  sealed_token  BLOB,                        -- of a ticket that is still to be redeemed
  token_expires INTEGER,
  since         INTEGER,                     -- both agree since
  created       INTEGER NOT NULL
) STRICT;
CREATE TABLE friend_invitation (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  token_hash  BLOB NOT NULL UNIQUE,
  name        TEXT,                          -- what the friend will be called
  node        BLOB,                          -- only this one may redeem it
  scopes      TEXT NOT NULL,
  created     INTEGER NOT NULL,
  expires     INTEGER NOT NULL,
  redeemed_by BLOB                           -- the node that used it up
) STRICT;
-- By node, so that it outlives a friendship that is ended and begun again.
CREATE TABLE friend_ledger (
  node  BLOB NOT NULL,
  day   INTEGER NOT NULL,                    -- days since 1970, UTC
  given INTEGER NOT NULL,                    -- bytes
  taken INTEGER NOT NULL,
  PRIMARY KEY (node, day)
) STRICT, WITHOUT ROWID;
ALTER TABLE member_grant ADD COLUMN friend INTEGER REFERENCES friend (id) ON DELETE CASCADE;
ALTER TABLE member_grant ADD COLUMN share_name TEXT;
DROP INDEX member_grant_pair;
CREATE UNIQUE INDEX member_grant_pair
  ON member_grant (fid, ifnull(account, -1), ifnull(friend, -1));
CREATE UNIQUE INDEX member_grant_share ON member_grant (friend, share_name)
  WHERE friend IS NOT NULL;
",
};

const CARDS: Migration = Migration {
    name: "3 cards",
    sql: "
CREATE TABLE account_card (
  account   INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  name      TEXT NOT NULL,
  addresses TEXT NOT NULL,                   -- one a line
  reach     TEXT NOT NULL                    -- nobody, household, friends, friends-of-friends
) STRICT;
",
};

const DEVICES: Migration = Migration {
    name: "4 keys of devices",
    sql: "
-- The ed25519 key with which the device speaks the peer protocol; NULL for a password alone.
ALTER TABLE app_password ADD COLUMN device BLOB;
CREATE UNIQUE INDEX app_password_device ON app_password (device) WHERE device IS NOT NULL;
",
};
