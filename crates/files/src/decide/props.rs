//! A change of dead properties or an mtime: no disk is concerned, so it is recorded at once.

use super::*;

/// Most dead properties of one entry.
pub const PROPS_MAX: usize = 100;

/// Longest dead property in bytes of XML.
pub const PROP_BYTES_MAX: usize = 64 * 1024;

pub(super) fn props(
    recorder: &mut Recorder<'_>,
    request: &Request,
    at: &At,
    patches: &[PropPatch],
    mtime: Option<Timestamp>,
) -> Result<Verdict, Refusal> {
    let tx = recorder.tx;
    let spotted = walk(tx, at)?.found(at)?;
    if spotted.fids() != request.seen.target {
        return Ok(Verdict::Stale);
    }
    let judge = Judge::new(tx, &request.conditions, request.now)?;
    let target = subject_of(&spotted, true);
    judge.conditions(target)?;
    judge.locks(target, Touch::Itself)?;
    let row = spotted.row();
    check_prop_limits(tx, row.fid, patches)?;
    for patch in patches {
        apply(tx, row.fid, patch)?;
    }
    if let (Some(mtime), Kind::Folder) = (mtime, row.kind) {
        tx.prepare_cached("UPDATE entries SET mtime_ns = ?2 WHERE fid = ?1")?
            .execute((row.fid.0, row::nanos(mtime)))?;
    }
    recorder.props_changed(row, request.author.account)?;
    recorder.fact(
        &request.author,
        Action::SetProps,
        row.space,
        row.fid,
        &at.path.to_string(),
        Some(row.rev),
        Some(row.rev),
    )?;
    let after = recorder.row(row.fid)?.into_entry(false);
    let done = Done {
        old_rev: Some(row.rev),
        created: false,
        trash_id: None,
        entry: Some(after),
    };
    if let Some(operation) = &request.operation {
        crate::record::store_result(tx, operation, &done, request.now)?;
    }
    Ok(Verdict::Recorded(done))
}

/// Looked at before anything is written, so that a refused request leaves nothing behind.
fn check_prop_limits(tx: &Connection, fid: Fid, patches: &[PropPatch]) -> Result<(), Refusal> {
    let mut names: std::collections::HashSet<(String, String)> = tx
        .prepare_cached("SELECT namespace, name FROM dead_props WHERE fid = ?1")?
        .query_map([fid.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for patch in patches {
        match patch {
            PropPatch::Set(prop) if prop.xml.len() > PROP_BYTES_MAX => {
                return Err(Refusal::TooManyProps(format!(
                    "the property `{}` has {} bytes, the limit is {PROP_BYTES_MAX}",
                    prop.name,
                    prop.xml.len()
                )));
            }
            PropPatch::Set(prop) => {
                names.insert((prop.namespace.clone(), prop.name.clone()));
            }
            PropPatch::Remove { namespace, name } => {
                names.remove(&(namespace.clone(), name.clone()));
            }
        }
    }
    if names.len() > PROPS_MAX {
        return Err(Refusal::TooManyProps(format!(
            "the entry would have {} properties, the limit is {PROPS_MAX}",
            names.len()
        )));
    }
    Ok(())
}

fn apply(tx: &Connection, fid: Fid, patch: &PropPatch) -> rusqlite::Result<()> {
    match patch {
        PropPatch::Set(prop) => tx
            .prepare_cached("INSERT OR REPLACE INTO dead_props VALUES (?1, ?2, ?3, ?4)")?
            .execute((fid.0, &prop.namespace, &prop.name, &prop.xml))?,
        PropPatch::Remove { namespace, name } => tx
            .prepare_cached(
                "DELETE FROM dead_props WHERE fid = ?1 AND namespace = ?2 AND name = ?3",
            )?
            .execute((fid.0, namespace, name))?,
    };
    Ok(())
}
