//! The subscriptions of this process: one task over one connection, which it rebuilds until the process stops.
//!
//! The task resolves the primary, greets it, subscribes to a probe and to everything wanted in large
//! batches, tells the sink, and then hands over what arrives, one batch per read of the socket. A
//! connection that is closed, silent or deaf is replaced after a pause with jitter.

mod connection;
mod probe;
mod socket;
mod subscription_set;

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
    connection::SubscriberConnection,
    probe::Probe,
    socket::SubscriberSocket,
    subscription_set::{SubscribeOutcome, SubscriptionSet},
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
    subscriptions: Arc<SubscriptionSet>,
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
        let subscriptions = Arc::new(SubscriptionSet::default());
        let failures = Arc::new(AtomicU32::new(0));
        let supervisor = Supervisor {
            link,
            sink,
            probe_name: keys.probe(node),
            client_name: format!("fanfare-subscriber-{node}"),
            subscriptions: Arc::clone(&subscriptions),
            failures: Arc::clone(&failures),
        };
        lifecycle.spawn_until_stop(supervisor.run());
        Self { keys, subscriptions, failures }
    }
}

#[async_trait]
impl Subscriber for RedisSubscriber {
    async fn subscribe(&self, topic: Topic) -> Result<(), BrokerError> {
        let unavailable = |reason: &str| Err(BrokerError::Unavailable(reason.to_owned()));
        let waiting = match self.subscriptions.want(self.keys.topic(&topic), topic) {
            SubscribeOutcome::Done => return Ok(()),
            SubscribeOutcome::Detached => return unavailable("the subscriber has no connection"),
            SubscribeOutcome::Waiting(waiting) => waiting,
        };
        match tokio::time::timeout(CONFIRMATION_TIMEOUT, waiting).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => unavailable("the subscriber lost its connection"),
            Err(_) => {
                self.subscriptions.note_late();
                unavailable("no confirmation of a subscription in time")
            }
        }
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.subscriptions.unwant(&self.keys.topic(topic));
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
    subscriptions: Arc<SubscriptionSet>,
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
    async fn connect(&self) -> io::Result<SubscriberSocket> {
        let primary = self.link.primary().await.map_err(io::Error::other)?;
        SubscriberSocket::open(primary.info(), &self.client_name).await
    }

    async fn serve(&self, connection: SubscriberSocket) -> io::Error {
        let probe = Probe::new(self.probe_name.clone(), Arc::clone(&self.link));
        let serving = SubscriberConnection::new(
            connection,
            probe,
            &self.subscriptions,
            &*self.sink,
            &self.failures,
        );
        let (announced, error) = serving.serve().await;
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
