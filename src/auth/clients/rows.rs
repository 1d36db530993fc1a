//! Clients as rows of `oauth_client`.

use deadpool_postgres::GenericClient;
use jsonwebtoken::jwk::JwkSet;
use tokio_postgres::Row;

use super::{AuthMethod, Client, Standing};
use crate::{Error, Result};

const COLUMNS: &str = "client_id, name, auth_method, jwks, jwks_uri, scope, purpose_of_use, purposes, actors, \
                       redirect_uris, created, disabled";

/// A change to one client.
pub(super) enum Update<'a> {
    Disabled(Option<i64>),
    Jwks(&'a JwkSet),
}

/// Stores a new client; `false` where its id is taken.
pub(super) async fn insert(connection: &impl GenericClient, tenant: i32, client: &Client) -> Result<bool> {
    let sql = format!(
        "INSERT INTO oauth_client (tenant, {COLUMNS}) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING"
    );
    let inserted = connection
        .execute(
            sql.as_str(),
            &[
                &tenant,
                &client.client_id,
                &client.name,
                &client.auth_method.as_str(),
                &to_json(&client.jwks)?,
                &client.jwks_uri,
                &client.scope,
                &client.purpose_of_use,
                &client.purposes,
                &client.actors,
                &client.redirect_uris,
                &client.created,
                &client.disabled,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

pub(super) async fn all(connection: &impl GenericClient, tenant: i32) -> Result<Vec<Client>> {
    let sql = format!("SELECT {COLUMNS} FROM oauth_client WHERE tenant = $1 ORDER BY client_id");
    connection.query(sql.as_str(), &[&tenant]).await?.iter().map(from_row).collect()
}

pub(super) async fn one(connection: &impl GenericClient, tenant: i32, client_id: &str) -> Result<Option<Client>> {
    let sql = format!("SELECT {COLUMNS} FROM oauth_client WHERE tenant = $1 AND client_id = $2");
    let statement = connection.prepare_cached(&sql).await?;
    connection.query_opt(&statement, &[&tenant, &client_id]).await?.as_ref().map(from_row).transpose()
}

/// Changes a client; `false` where there is none of that id.
pub(super) async fn update(
    connection: &impl GenericClient,
    tenant: i32,
    client_id: &str,
    update: Update<'_>,
) -> Result<bool> {
    let changed = match update {
        Update::Disabled(since) => {
            // A client that is disabled twice stays disabled since the first time.
            let sql = "UPDATE oauth_client SET disabled = CASE WHEN $3::bigint IS NULL THEN NULL \
                       ELSE coalesce(disabled, $3) END WHERE tenant = $1 AND client_id = $2";
            connection.execute(sql, &[&tenant, &client_id, &since]).await?
        }
        Update::Jwks(jwks) => {
            let sql = "UPDATE oauth_client SET jwks = $3 WHERE tenant = $1 AND client_id = $2";
            connection.execute(sql, &[&tenant, &client_id, &to_json(jwks)?]).await?
        }
    };
    Ok(changed == 1)
}

pub(super) async fn standing(
    connection: &impl GenericClient,
    tenant: i32,
    client_id: &str,
    token_id: &str,
) -> Result<Standing> {
    let sql = "SELECT (SELECT actors FROM oauth_client \
                       WHERE tenant = $1 AND client_id = $2 AND disabled IS NULL), \
                      EXISTS (SELECT FROM revoked_token WHERE tenant = $1 AND jti = $3)";
    let statement = connection.prepare_cached(sql).await?;
    let row = connection.query_one(&statement, &[&tenant, &client_id, &token_id]).await?;
    Ok(Standing { actors: row.try_get(0)?, revoked: row.try_get(1)? })
}

fn to_json(jwks: &JwkSet) -> Result<String> {
    serde_json::to_string(jwks).map_err(|error| Error::Internal(format!("jwks: {error}")))
}

fn from_row(row: &Row) -> Result<Client> {
    let auth_method = match row.try_get("auth_method")? {
        "private_key_jwt" => AuthMethod::PrivateKeyJwt,
        other => {
            return Err(Error::Internal(format!("unknown auth_method {other} in oauth_client")));
        }
    };
    let jwks: Option<&str> = row.try_get("jwks")?;
    let jwks = jwks.map_or_else(|| Ok(JwkSet::default()), serde_json::from_str);
    Ok(Client {
        client_id: row.try_get("client_id")?,
        name: row.try_get("name")?,
        auth_method,
        jwks: jwks.map_err(|error| Error::Internal(format!("jwks in oauth_client: {error}")))?,
        jwks_uri: row.try_get("jwks_uri")?,
        scope: row.try_get("scope")?,
        purpose_of_use: row.try_get("purpose_of_use")?,
        purposes: row.try_get("purposes")?,
        actors: row.try_get("actors")?,
        redirect_uris: row.try_get("redirect_uris")?,
        created: row.try_get("created")?,
        disabled: row.try_get("disabled")?,
    })
}
