//! What a writer asks for: one [`Op`] with its conditions, and what it gets back.
//!
//! All conditions are decided inside the first transaction of the commit, so that of two writers
//! with the same `If-Match` exactly one wins (R91; RFC 9110 section 13, RFC 4918 section 10.4).

use protocol::{AccountId, Etag, Seq, Timestamp};

use crate::{At, DeadProp, Entry, Staged};

/// One change with everything that must hold for it.
#[derive(Debug)]
pub struct Op {
    /// What is to be done.
    pub action: Change,
    /// What must hold.
    pub conditions: Conditions,
    /// The writer's own name for this operation, at most 200 bytes: a repeat within 7 days gets the
    /// first answer and changes nothing.
    pub operation_id: Option<String>,
}

impl Op {
    /// An unconditional change.
    #[must_use]
    pub fn new(action: Change) -> Self {
        Self {
            action,
            conditions: Conditions::default(),
            operation_id: None,
        }
    }

    /// The same change under `conditions`.
    #[must_use]
    pub fn when(mut self, conditions: Conditions) -> Self {
        self.conditions = conditions;
        self
    }
}

/// The changes that the tree knows.
#[derive(Debug)]
pub enum Change {
    /// New content under a name, new or taken; the former content becomes a version.
    Put {
        /// Where.
        at: At,
        /// The bytes, received whole.
        content: Staged,
        /// The file's mtime; else the present.
        mtime: Option<Timestamp>,
        /// Refuse where the name is taken (pages, upload-only links).
        no_overwrite: bool,
    },
    /// A new folder under a free name (RFC 4918 section 9.3).
    MakeFolder {
        /// Where.
        at: At,
    },
    /// Into the trash, with all below.
    Delete {
        /// What.
        at: At,
    },
    /// Another name or place; the entry keeps fid, dead properties and versions, except across
    /// volumes, where it is a copy and a delete.
    Move {
        /// From here.
        from: At,
        /// To here.
        to: At,
        /// What is at `to` goes to the trash; else it is refused.
        overwrite: bool,
    },
    /// A copy with a new fid and the same dead properties.
    Copy {
        /// From here.
        from: At,
        /// To here.
        to: At,
        /// What is at `to` goes to the trash; else it is refused.
        overwrite: bool,
        /// With all below (`Depth: infinity`); else only the folder itself.
        deep: bool,
    },
    /// Dead properties and mtime, all or nothing (RFC 4918 section 9.2).
    SetProps {
        /// Whose.
        at: At,
        /// In order.
        patches: Vec<PropPatch>,
        /// New mtime of the file.
        mtime: Option<Timestamp>,
    },
    /// Out of the trash.
    Restore {
        /// [`crate::Trashed::id`].
        trash_id: i64,
        /// Where to; else where it was.
        to: Option<At>,
    },
    /// A copy of a version becomes the content; the present content becomes a version.
    RestoreVersion {
        /// The file.
        at: At,
        /// [`crate::Version::rev`].
        rev: Seq,
    },
}

/// One instruction of a PROPPATCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropPatch {
    /// Set or replace.
    Set(DeadProp),
    /// Remove; removing what is not there is no error.
    Remove {
        /// XML namespace.
        namespace: String,
        /// Local name.
        name: String,
    },
}

/// A set of ETags, or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtagSet {
    /// `*`: any present content.
    Any,
    /// One of these; an empty list matches nothing.
    OneOf(Vec<Etag>),
}

impl EtagSet {
    /// True if the entry with `current` (or none) matches.
    #[must_use]
    pub fn matches(&self, current: Option<Etag>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::OneOf(list), Some(etag)) => list.contains(&etag),
        }
    }
}

/// What must hold when the change is decided. Empty means unconditional.
///
/// The target is the resource of the request: `at`, or `from` of a move or copy.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<EtagSet>,
    /// `If-None-Match`.
    pub if_none_match: Option<EtagSet>,
    /// `If-Unmodified-Since` in seconds since 1970; counts only without `If-Match` (RFC 9110 section
    /// 13.1.4).
    pub unmodified_since: Option<i64>,
    /// Lists of the `If` header: if there are any, one must hold.
    pub lists: Vec<ConditionList>,
    /// Lock tokens that the request submits (RFC 4918 section 10.4.1).
    pub lock_tokens: Vec<String>,
    /// Who submits them: a token counts only for its own account.
    pub account: Option<AccountId>,
}

/// One list of the `If` header: all tests must hold.
#[derive(Debug, Clone)]
pub struct ConditionList {
    /// The tagged resource; `None` is the target of the request.
    pub resource: Option<At>,
    /// The tests.
    pub tests: Vec<Test>,
}

/// One test of an `If` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// The resource is (not) locked under this token.
    Token {
        /// Negated.
        not: bool,
        /// The state token.
        token: String,
    },
    /// The resource has (not) this ETag.
    Etag {
        /// Negated.
        not: bool,
        /// With its quotes.
        etag: String,
    },
}

/// A change that is durable.
#[derive(Debug, Clone)]
pub struct Done {
    /// The target after the change; `None` after a delete.
    pub entry: Option<Entry>,
    /// The target did not exist before (201 against 204).
    pub created: bool,
    /// Revision of the target before.
    pub old_rev: Option<Seq>,
    /// What went to the trash, for undo.
    pub trash_id: Option<i64>,
}
