//! What goes on beside requests: hearing of other nodes' changes, clearing away, key rotation.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Socket;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

use super::{AuthServer, unix_now};
use crate::changes::{self, Change, Listener};
use crate::{KeyInfo, Result, replay, revocation};

/// Pause before the listening connection is made again.
const RECONNECT: Duration = Duration::from_secs(1);

/// How often what has expired is cleared away.
const MAINTENANCE: Duration = Duration::from_secs(60);

impl AuthServer {
    /// Makes a new signing key and tells other nodes; see [`ServerKeys::rotate`]. The command line
    /// calls this beside a running server.
    ///
    /// # Errors
    /// [`Error::Keys`] where the key cannot be written, [`Error::Unavailable`] where other nodes cannot
    /// be told (they then learn of it from the first token signed with it, or within a minute).
    pub async fn rotate_keys(&self) -> Result<KeyInfo> {
        let key = self.keys.rotate()?;
        changes::announce(&self.pool.get().await?, self.config.tenant, &Change::Keys).await?;
        Ok(key)
    }

    /// Listens for changes made by other nodes, for as long as it is polled; to be spawned once. Without
    /// it (or while its connection is down) a cached token is asked about again every two seconds.
    pub async fn follow_changes<T>(self: Arc<Self>, database: tokio_postgres::Config, tls: T)
    where
        T: MakeTlsConnect<Socket> + Clone + Send + 'static,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        loop {
            let error = changes::listen(&*self, self.config.tenant, &database, tls.clone()).await;
            tracing::warn!(%error, "not listening for changes to clients and tokens; trying again");
            tokio::time::sleep(RECONNECT).await;
        }
    }

    /// Clears away what has expired and retires old keys, every minute for as long as it is polled; to
    /// be spawned once.
    pub async fn maintain(self: Arc<Self>) {
        loop {
            if let Err(error) = self.sweep(unix_now()).await {
                tracing::warn!(%error, "authorization server maintenance");
            }
            tokio::time::sleep(MAINTENANCE).await;
        }
    }

    async fn sweep(&self, now: i64) -> Result<()> {
        self.tokens.purge(now);
        self.keys.reload()?;
        let connection = self.pool.get().await?;
        replay::purge(&connection, self.config.tenant, now).await?;
        revocation::purge(&connection, self.config.tenant, now).await?;
        Ok(())
    }
}

impl Listener for AuthServer {
    async fn started(&self) -> Result<()> {
        self.tokens.invalidate();
        let connection = self.pool.get().await?;
        for (token_id, expires) in revocation::current(&connection, self.config.tenant, unix_now()).await? {
            self.tokens.revoke(token_id, expires);
        }
        self.tokens.set_listening(true);
        Ok(())
    }

    fn changed(&self, change: Change) {
        match change {
            Change::Client => self.tokens.invalidate(),
            Change::Revoked { token_id, expires } => self.tokens.revoke(token_id, expires),
            Change::Keys => {
                if let Err(error) = self.keys.reload() {
                    tracing::error!(%error, "cannot read the signing keys");
                }
            }
        }
    }

    fn stopped(&self) {
        self.tokens.set_listening(false);
    }
}
