//! Telling other nodes what they must no longer believe: `LISTEN`/`NOTIFY` on one channel.
//!
//! A notification is sent in the transaction of the change it tells of, so that it is never early, and
//! is lost only with its listener; who listens therefore starts by forgetting what it knew.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{sleep, timeout};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Config, Socket};

use crate::{Error, Result};

const CHANNEL: &str = "salus_auth";

/// How often the listening connection is tried; a dead one is found out within this and
/// [`HEARTBEAT_TIMEOUT`].
const HEARTBEAT: Duration = Duration::from_secs(10);
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(crate) enum Change {
    /// A client was disabled, enabled or got other keys.
    Client,
    /// There is a new signing key.
    Keys,
    /// A token was revoked.
    Revoked {
        /// Its `jti`.
        token_id: String,
        /// Its `exp`.
        expires: i64,
    },
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Notice {
    tenant: i32,
    #[serde(flatten)]
    change: Change,
}

/// Announces `change` when the transaction of `connection` commits.
pub(crate) async fn announce(connection: &impl GenericClient, tenant: i32, change: &Change) -> Result<()> {
    let notice = Notice { tenant, change: change.clone() };
    let payload = serde_json::to_string(&notice).map_err(|error| Error::Internal(error.to_string()))?;
    connection.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &payload]).await?;
    Ok(())
}

/// Who wants to hear of changes.
pub(crate) trait Listener: Sync {
    /// Called when listening has begun: whatever was known before may be out of date.
    fn started(&self) -> impl Future<Output = Result<()>> + Send;
    /// Called for each change.
    fn changed(&self, change: Change);
    /// Called when the connection was lost.
    fn stopped(&self);
}

/// Listens until the connection breaks, and says why it did.
pub(crate) async fn listen<T>(listener: &impl Listener, tenant: i32, config: &Config, tls: T) -> Error
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, mut connection) = match config.connect(tls).await {
        Ok(connected) => connected,
        Err(error) => return error.into(),
    };
    let messages = stream::poll_fn(move |context| connection.poll_message(context));
    let _stopped = StoppedOnDrop(listener);
    tokio::select! {
        error = pump(listener, tenant, messages) => error,
        error = beat(listener, &client) => error,
    }
}

/// Says that nothing is heard any more, also where the listening task is dropped in the middle.
struct StoppedOnDrop<'a, L: Listener>(&'a L);

impl<L: Listener> Drop for StoppedOnDrop<'_, L> {
    fn drop(&mut self) {
        self.0.stopped();
    }
}

async fn pump<S>(listener: &impl Listener, tenant: i32, messages: S) -> Error
where
    S: Stream<Item = std::result::Result<AsyncMessage, tokio_postgres::Error>>,
{
    let mut messages = std::pin::pin!(messages);
    while let Some(message) = messages.next().await {
        match message {
            Ok(AsyncMessage::Notification(notification)) => {
                match serde_json::from_str::<Notice>(notification.payload()) {
                    Ok(notice) if notice.tenant == tenant => listener.changed(notice.change),
                    Ok(_) => {}
                    // From a newer node, perhaps: something changed, and what it was is not known.
                    Err(_) => listener.changed(Change::Client),
                }
            }
            Ok(_) => {}
            Err(error) => return error.into(),
        }
    }
    Error::Unavailable("the listening connection was closed".to_owned())
}

async fn beat(listener: &impl Listener, client: &tokio_postgres::Client) -> Error {
    let begin = async {
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        listener.started().await
    };
    if let Err(error) = begin.await {
        return error;
    }
    loop {
        sleep(HEARTBEAT).await;
        match timeout(HEARTBEAT_TIMEOUT, client.batch_execute("SELECT 1")).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => {
                return Error::Unavailable("the listening connection does not answer".to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_a_small_json_object() {
        let change = Change::Revoked { token_id: "t".to_owned(), expires: 5 };
        let json = serde_json::to_string(&Notice { tenant: 3, change: change.clone() }).unwrap();
        assert_eq!(json, r#"{"tenant":3,"change":"revoked","token_id":"t","expires":5}"#);
        assert_eq!(serde_json::from_str::<Notice>(&json).unwrap().change, change);
        assert_eq!(serde_json::from_str::<Notice>(r#"{"tenant":3,"change":"keys"}"#).unwrap().change, Change::Keys);
    }
}
