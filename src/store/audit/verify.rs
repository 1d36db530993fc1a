//! `salus audit verify`: feeds every leaf, event and head to the verifier.

use salus_audit::merkle::Hash;
use salus_audit::{LogVerifier, SignedTreeHead, Verified};
use tokio_postgres::Row;

use super::AuditLog;
use crate::{Error, Result};

/// Leaves read at a time.
const STEP: i64 = 10_000;

impl AuditLog {
    /// Recomputes the whole log from the rows: every event is a leaf, in place and unchanged, and
    /// every head is signed and has the root of the leaves before it. Events of the last moments that
    /// the sequencer has not yet taken are appended first.
    ///
    /// # Errors
    /// [`Error::Audit`] naming the first thing that does not hold, or what the database says.
    pub async fn verify(&self) -> Result<Verified> {
        // Where rows were tampered with this may fail; what was done to them says more than that it did.
        let sequenced = self.sequence_now().await;
        let mut client = self.pool.get().await?;
        // One snapshot, so that what is appended meanwhile is not half seen.
        let transaction = crate::pool::snapshot(&mut client).await?;
        let mut verifier = LogVerifier::new(self.tenant, vec![self.key.public_key()]);
        let heads = transaction
            .query(
                "SELECT size, root, time, key_id, signature FROM audit_head WHERE tenant = $1 ORDER BY size",
                &[&self.tenant],
            )
            .await?;
        let mut heads = heads.iter().map(|row| head(self.tenant, row)).peekable();
        let fault = |fault: salus_audit::Fault| Error::Audit(fault.to_string());
        let mut from = 0_i64;
        loop {
            let leaves = transaction
                .query(
                    "SELECT l.index, l.seq, l.hash, e.record FROM audit_leaf l
                     LEFT JOIN audit_event e ON e.tenant = l.tenant AND e.seq = l.seq
                     WHERE l.tenant = $1 AND l.index >= $2 ORDER BY l.index LIMIT $3",
                    &[&self.tenant, &from, &STEP],
                )
                .await?;
            let Some(last) = leaves.last() else { break };
            from = last.try_get::<_, i64>(0)? + 1;
            for leaf in &leaves {
                while let Some(Ok(due)) = heads.peek()
                    && due.size <= verifier.size()
                {
                    verifier.head(due).map_err(fault)?;
                    heads.next();
                }
                let (index, seq): (i64, i64) = (leaf.try_get(0)?, leaf.try_get(1)?);
                verifier.leaf(index as u64, seq, &hash(leaf, 2)?, leaf.try_get(3)?).map_err(fault)?;
            }
        }
        for head in heads {
            verifier.head(&head?).map_err(fault)?;
        }
        let unlogged = transaction
            .query_opt(
                "SELECT e.seq FROM audit_event e WHERE e.tenant = $1
                 AND NOT EXISTS (SELECT FROM audit_leaf l WHERE l.tenant = e.tenant AND l.seq = e.seq)
                 AND (e.recorded < $2 OR e.seq < (SELECT pending FROM audit_head h WHERE h.tenant = $1
                                                  ORDER BY h.size DESC LIMIT 1))
                 ORDER BY e.seq LIMIT 1",
                // What other requests commit at this moment has a minute to get in; numbers that the last head
                // has done with have not.
                &[&self.tenant, &(crate::store::now() - 60_000_000)],
            )
            .await?;
        if let Some(row) = unlogged {
            verifier.logged(row.try_get(0)?).map_err(fault)?;
        }
        // Leaves and the head that covers them are committed together, and this is one snapshot.
        let verified = verifier.finish().map_err(fault)?;
        sequenced.map(|()| verified)
    }
}

fn hash(row: &Row, column: usize) -> Result<Hash> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| Error::Audit("a stored hash is not 32 bytes long".to_owned()))
}

fn head(tenant: i32, row: &Row) -> Result<SignedTreeHead> {
    Ok(SignedTreeHead {
        tenant,
        size: row.try_get::<_, i64>(0)? as u64,
        root: hash(row, 1)?,
        timestamp: row.try_get(2)?,
        key_id: hash(row, 3)?,
        signature: row.try_get(4)?,
    })
}
