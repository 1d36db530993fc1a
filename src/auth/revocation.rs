//! Taking an access token back before its time (RFC 7009).

use deadpool_postgres::{GenericClient, Pool};

use crate::changes::{self, Change};
use crate::form::Form;
use crate::{ClientAssertion, OAuthError, Result};

/// A revocation request.
#[derive(Debug, Clone)]
pub struct RevocationRequest {
    /// `token`: what is to be revoked.
    pub token: String,
    /// Who asks.
    pub assertion: ClientAssertion,
}

impl RevocationRequest {
    /// Reads the form. `token_type_hint` is not needed, and ignored (RFC 7009, section 2.1).
    ///
    /// # Errors
    /// `invalid_request` where `token` is missing or a parameter is repeated.
    pub fn from_form(body: &[u8]) -> std::result::Result<Self, OAuthError> {
        let mut form = Form::parse(body)?;
        let token = form.take("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
        Ok(Self { token, assertion: form.take_assertion() })
    }
}

/// Stores the revocation and tells other nodes, in one transaction.
pub(crate) async fn store(pool: &Pool, tenant: i32, client_id: &str, token_id: &str, expires: i64) -> Result<()> {
    let mut connection = pool.get().await?;
    let transaction = connection.transaction().await?;
    let sql = "INSERT INTO revoked_token (tenant, jti, client_id, expires) VALUES ($1, $2, $3, $4) \
               ON CONFLICT DO NOTHING";
    transaction.execute(sql, &[&tenant, &token_id, &client_id, &expires]).await?;
    changes::announce(&transaction, tenant, &Change::Revoked { token_id: token_id.to_owned(), expires }).await?;
    transaction.commit().await?;
    Ok(())
}

/// `jti` and `exp` of every revoked token that has not expired at `now`.
pub(crate) async fn current(connection: &impl GenericClient, tenant: i32, now: i64) -> Result<Vec<(String, i64)>> {
    let sql = "SELECT jti, expires FROM revoked_token WHERE tenant = $1 AND expires > $2";
    let rows = connection.query(sql, &[&tenant, &now]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Deletes what has expired. A minute late, since another node's clock may be behind.
pub(crate) async fn purge(connection: &impl GenericClient, tenant: i32, now: i64) -> Result<u64> {
    let sql = "DELETE FROM revoked_token WHERE tenant = $1 AND expires < $2";
    Ok(connection.execute(sql, &[&tenant, &(now - 60)]).await?)
}
