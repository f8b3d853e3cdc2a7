//! A publisher that numbers its events and repeats each, under the same `event_id`, until Redis takes it.
//!
//! In a cluster it goes where its stream lives and waits for a replica, so that what it believes to be
//! in outlives the loss of any one server.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::viewer::Ending;

const PAUSE: Duration = Duration::from_millis(10);
const ANSWER: Duration = Duration::from_secs(2);

struct Publisher {
    servers: Vec<u16>,
    /// The server that is asked: its address.
    address: String,
    next: usize,
    connection: Option<MultiplexedConnection>,
    key: String,
    id: String,
}

/// Publishes until told to stop; returns the channel and the number of the last event that was acknowledged.
pub(super) async fn publish(
    servers: Vec<u16>,
    key: String,
    id: String,
    end: watch::Receiver<Ending>,
) -> (String, u64) {
    let address = format!("127.0.0.1:{}", servers[0]);
    let mut publisher = Publisher { servers, address, next: 0, connection: None, key, id };
    let mut number = 0;
    while matches!(*end.borrow(), Ending::Open) {
        number += 1;
        // Whether one that was not acknowledged came in, nobody knows: so the same once more.
        while !publisher.append(number).await {
            sleep(PAUSE).await;
        }
        sleep(PAUSE).await;
    }
    (format!("task:{}", publisher.id), number)
}

impl Publisher {
    async fn append(&mut self, number: u64) -> bool {
        match timeout(ANSWER, self.try_append(number)).await {
            Ok(Ok(taken)) => return taken,
            Ok(Err(error)) => match error.redirect_node() {
                Some((address, _)) => address.clone_into(&mut self.address),
                None => self.go_on(),
            },
            Err(_) => self.go_on(),
        }
        self.connection = None;
        false
    }

    /// Asks the next server.
    fn go_on(&mut self) {
        self.next = (self.next + 1) % self.servers.len();
        self.address = format!("127.0.0.1:{}", self.servers[self.next]);
    }

    async fn try_append(&mut self, number: u64) -> redis::RedisResult<bool> {
        let connection = if let Some(connection) = &mut self.connection {
            connection
        } else {
            let client = redis::Client::open(format!("redis://{}", self.address))?;
            self.connection.insert(client.get_multiplexed_async_connection().await?)
        };
        let mut command = redis::cmd("XADD");
        command.arg(&self.key).arg("*").arg("type").arg("task_update").arg("id").arg(&self.id);
        command.arg("event_id").arg(format!("{}-{number}", self.id));
        command.arg("data").arg(format!("{{\"n\":{number}}}"));
        let _entry: String = command.query_async(connection).await?;
        if self.servers.len() == 1 {
            return Ok(true);
        }
        let replicas: u64 = redis::cmd("WAIT").arg(1).arg(300).query_async(connection).await?;
        Ok(replicas > 0)
    }
}
