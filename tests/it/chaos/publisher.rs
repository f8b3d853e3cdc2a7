//! A publisher that numbers its events and repeats each, under the same `event_id`, until Redis takes it.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::viewer::Ending;

const PAUSE: Duration = Duration::from_millis(10);
const ANSWER: Duration = Duration::from_secs(2);

/// Publishes until told to stop; returns the channel and the number of the last event that was acknowledged.
pub(super) async fn publish(
    url: String,
    key: String,
    id: String,
    end: watch::Receiver<Ending>,
) -> (String, u64) {
    let mut connection = None;
    let mut number = 0;
    while matches!(*end.borrow(), Ending::Open) {
        number += 1;
        // Whether one that was not acknowledged came in, nobody knows: so the same once more.
        while append(&url, &mut connection, &key, &id, number).await.is_none() {
            connection = None;
            sleep(PAUSE).await;
        }
        sleep(PAUSE).await;
    }
    (format!("task:{id}"), number)
}

async fn append(
    url: &str,
    connection: &mut Option<MultiplexedConnection>,
    key: &str,
    id: &str,
    number: u64,
) -> Option<()> {
    if connection.is_none() {
        let client = redis::Client::open(url).ok()?;
        *connection =
            Some(timeout(ANSWER, client.get_multiplexed_async_connection()).await.ok()?.ok()?);
    }
    let connection = connection.as_mut()?;
    let mut command = redis::cmd("XADD");
    command.arg(key).arg("*").arg("type").arg("task_update").arg("id").arg(id);
    command.arg("event_id").arg(format!("{id}-{number}"));
    command.arg("data").arg(format!("{{\"n\":{number}}}"));
    let answer: redis::RedisResult<String> =
        timeout(ANSWER, command.query_async(connection)).await.ok()?;
    answer.ok().map(drop)
}
