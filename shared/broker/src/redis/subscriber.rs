//! The subscriptions of this process: one task over one connection, which it rebuilds for ever.
//!
//! The task resolves the primary, greets it, subscribes to a probe and to everything wanted in large
//! batches, tells the sink, and then hands over what arrives, one batch per read of the socket. A
//! connection that is closed, silent or deaf is replaced after a pause with jitter.

mod attachment;
mod connection;
mod probe;
mod wishes;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::node::NodeId;
use runtime::lifecycle::Lifecycle;

use self::{
    attachment::Attachment,
    connection::Connection,
    probe::Probe,
    wishes::{Standing, Wishes},
};
use super::{keys::Keys, link::Link};
use crate::{BrokerError, Sink, Subscriber, Topic};

/// How long a subscribe waits for its confirmation.
const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest pause before the first attempt to connect anew; it doubles with every failure.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause before any attempt.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The subscriptions of this process on Redis.
pub(super) struct RedisSubscriber {
    keys: Keys,
    wishes: Arc<Wishes>,
    failures: Arc<AtomicU32>,
}

impl RedisSubscriber {
    /// Starts the task, which runs until the process stops.
    pub(super) fn start(
        link: Arc<Link>,
        keys: Keys,
        node: &NodeId,
        sink: Arc<dyn Sink>,
        lifecycle: &Lifecycle,
    ) -> Self {
        let wishes = Arc::new(Wishes::default());
        let failures = Arc::new(AtomicU32::new(0));
        let supervisor = Supervisor {
            link,
            sink,
            probe_name: keys.probe(node),
            client_name: format!("fanfare-subscriber-{node}"),
            wishes: Arc::clone(&wishes),
            failures: Arc::clone(&failures),
        };
        lifecycle.spawn_until_stop(supervisor.run());
        Self { keys, wishes, failures }
    }
}

#[async_trait]
impl Subscriber for RedisSubscriber {
    async fn subscribe(&self, topic: Topic) -> Result<(), BrokerError> {
        let unavailable = |reason: &str| Err(BrokerError::Unavailable(reason.to_owned()));
        let waiting = match self.wishes.want(self.keys.topic(&topic), topic) {
            Standing::Done => return Ok(()),
            Standing::Detached => return unavailable("the subscriber has no connection"),
            Standing::Waiting(waiting) => waiting,
        };
        match tokio::time::timeout(CONFIRMATION_TIMEOUT, waiting).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => unavailable("the subscriber lost its connection"),
            Err(_) => {
                self.wishes.note_late();
                unavailable("no confirmation of a subscription in time")
            }
        }
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.wishes.unwant(&self.keys.topic(topic));
    }

    fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }
}

struct Supervisor {
    link: Arc<Link>,
    sink: Arc<dyn Sink>,
    probe_name: String,
    client_name: String,
    wishes: Arc<Wishes>,
    failures: Arc<AtomicU32>,
}

impl Supervisor {
    async fn run(self) {
        loop {
            let error = match self.connect().await {
                Ok(connection) => self.serve(connection).await,
                Err(error) => error,
            };
            let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::warn!(%error, failures, "subscriber: connecting anew");
            tokio::time::sleep(pause(failures)).await;
        }
    }

    /// To the server that commands go to: the two must not be different ones.
    async fn connect(&self) -> io::Result<Connection> {
        let primary = self.link.primary().await.map_err(io::Error::other)?;
        Connection::open(primary.info(), &self.client_name).await
    }

    async fn serve(&self, connection: Connection) -> io::Error {
        let probe = Probe::new(self.probe_name.clone(), Arc::clone(&self.link));
        let attachment =
            Attachment::new(connection, probe, &self.wishes, &*self.sink, &self.failures);
        let (announced, error) = attachment.serve().await;
        if announced {
            self.sink.disconnected(&error.to_string());
        }
        error
    }
}

/// Full jitter: all nodes lose their connections at once, and must not come back at once.
fn pause(failures: u32) -> Duration {
    let longest = PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(PAUSE_MAX);
    longest.mul_f64(rand::random())
}
