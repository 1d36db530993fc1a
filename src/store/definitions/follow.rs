//! Hearing of what other processes changed.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{sleep, timeout};
use tokio_postgres::AsyncMessage;

use super::CHANNEL;
use crate::{DatabaseConfig, Error, Result, Store};

/// How often the listening connection is tried, and how long it may take to answer.
const HEARTBEAT: Duration = Duration::from_secs(10);
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for a connection that broke.
const PAUSE: Duration = Duration::from_secs(1);

impl Store {
    /// Keeps the definitions as other processes change them, for as long as the process runs. `database` must be the
    /// store's own.
    pub async fn follow_definitions(self, database: DatabaseConfig) {
        loop {
            let error = self.listen(&database).await.err();
            tracing::debug!(?error, "not hearing of changed definitions");
            sleep(PAUSE).await;
        }
    }

    async fn listen(&self, database: &DatabaseConfig) -> Result<()> {
        let (client, mut connection) = database.config().connect(database.tls()).await?;
        let messages = stream::poll_fn(move |context| connection.poll_message(context));
        tokio::select! {
            heard = self.hear(messages) => heard,
            beaten = self.beat(&client) => beaten,
        }
    }

    async fn hear(
        &self,
        messages: impl futures_util::Stream<Item = std::result::Result<AsyncMessage, tokio_postgres::Error>>,
    ) -> Result<()> {
        let mut messages = std::pin::pin!(messages);
        while let Some(message) = messages.next().await {
            match message? {
                AsyncMessage::Notification(notice) if notice.payload() == self.tenant().to_string() => {
                    self.refresh_definitions().await?;
                }
                _ => {}
            }
        }
        Err(Error::Unavailable("the listening connection was closed".to_owned()))
    }

    async fn beat(&self, client: &tokio_postgres::Client) -> Result<()> {
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        // Whatever was told before is not heard.
        self.refresh_definitions().await?;
        loop {
            sleep(HEARTBEAT).await;
            let silent = |_| Error::Unavailable("the listening connection does not answer".to_owned());
            timeout(HEARTBEAT_TIMEOUT, client.batch_execute("SELECT 1")).await.map_err(silent)??;
        }
    }
}
