//! Assertions are good once: the `jti` of each is kept until it would be refused as expired anyway.

use deadpool_postgres::GenericClient;

use crate::Result;

/// Clocks of nodes may differ; what one purges, another must not still accept.
const PURGE_MARGIN: i64 = 120;

/// Spends `jti` of `client_id`; `false` where it was spent before. `until` is when an assertion with
/// it would no longer be accepted: its `exp` and the leeway, not `exp` alone, or there would be a gap
/// in which it could be used again.
///
/// One statement on the primary key: of any number of nodes that try at once, one succeeds.
pub(crate) async fn spend(
    connection: &impl GenericClient,
    tenant: i32,
    client_id: &str,
    jti: &str,
    until: i64,
) -> Result<bool> {
    // Hashed, so that whatever a client sends has the same size and no odd characters.
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, jti.as_bytes());
    let sql = "INSERT INTO client_assertion_jti (tenant, client_id, jti, expires) VALUES ($1, $2, $3, $4) \
               ON CONFLICT DO NOTHING";
    let statement = connection.prepare_cached(sql).await?;
    let inserted = connection.execute(&statement, &[&tenant, &client_id, &digest.as_ref(), &until]).await?;
    Ok(inserted == 1)
}

/// Deletes what has expired.
pub(crate) async fn purge(connection: &impl GenericClient, tenant: i32, now: i64) -> Result<u64> {
    let sql = "DELETE FROM client_assertion_jti WHERE tenant = $1 AND expires < $2";
    Ok(connection.execute(sql, &[&tenant, &(now - PURGE_MARGIN)]).await?)
}
