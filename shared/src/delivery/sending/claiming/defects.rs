//! What a run of faults puts in the place of the locks and checks, one defect at a time, to see whether it finds it.

use super::{Facts, Gate, KeyRing, MessageKey, Row, gates, read_facts};
use crate::delivery::messages::organizations;
use crate::fault_points::defect;
use crate::{Database, MessageId, Result, Tx};

type Locked = (Tx, Vec<Row>, Vec<Facts>);

/// The locks and checks with the defect that is switched on, if one of theirs is.
pub(super) async fn lock_and_read(db: &Database, ring: &KeyRing, keys: &[MessageKey]) -> Option<Result<Locked>> {
    if defect("check_while_locking") {
        Some(check_while_locking(db, ring, keys).await)
    } else if defect("no_contact_lock") {
        Some(no_contact_lock(db, ring, keys).await)
    } else {
        None
    }
}

/// What decides is read with the snapshot from before the locks, as a statement that checks and locks at once reads it.
async fn check_while_locking(db: &Database, ring: &KeyRing, keys: &[MessageKey]) -> Result<Locked> {
    let (tx, ids, doors) = begin(db, keys).await?;
    let locked = tx.query(include_str!("../lock_messages.sql"), &[&ids]).await?;
    let facts = read_facts(&tx, ring, &locked).await?;
    gates::pass(&tx, &doors).await?;
    tx.query(include_str!("../lock_contacts.sql"), &[&ids]).await?;
    tx.query(include_str!("../lock_enrollments.sql"), &[&ids]).await?;
    Ok((tx, locked, facts))
}

/// Nothing keeps whoever stops a contact out, nor keeps their order.
async fn no_contact_lock(db: &Database, ring: &KeyRing, keys: &[MessageKey]) -> Result<Locked> {
    let (tx, ids, doors) = begin(db, keys).await?;
    gates::pass(&tx, &doors).await?;
    tx.query(include_str!("../lock_enrollments.sql"), &[&ids]).await?;
    let locked = tx.query(include_str!("../lock_messages.sql"), &[&ids]).await?;
    let facts = read_facts(&tx, ring, &locked).await?;
    Ok((tx, locked, facts))
}

async fn begin(db: &Database, keys: &[MessageKey]) -> Result<(Tx, Vec<MessageId>, Vec<Gate>)> {
    let ids: Vec<MessageId> = keys.iter().map(|key| key.id).collect();
    let tx = db.begin_for(&organizations(keys.iter().copied())).await?;
    let mut doors = Vec::new();
    for row in tx.query(include_str!("../find_gates.sql"), &[&ids]).await? {
        doors.push(Gate::Organization(row.try_get(0)?));
        doors.extend(row.try_get::<_, Option<_>>(1)?.map(Gate::Campaign));
        doors.extend(row.try_get::<_, Option<_>>(2)?.map(Gate::Sender));
    }
    Ok((tx, ids, doors))
}
