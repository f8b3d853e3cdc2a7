//! The subscriptions of this process: one task over one connection to each server, which it rebuilds
//! until the process stops.
//!
//! A task resolves the primary, greets it, subscribes to a probe and to everything wanted in large
//! batches, tells the sink, and then hands over what arrives, one batch per read of the socket. A
//! connection that is closed, silent or deaf is replaced after a pause with jitter.

mod connection;
mod coverage;
mod probe;
mod routes;
mod socket;
mod subscription_set;
mod supervisor;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::node::NodeId;
use runtime::lifecycle::Lifecycle;

use self::{
    coverage::Coverage, routes::SubscriptionRoutes, subscription_set::SubscribeOutcome,
    supervisor::Shared,
};
use super::{keys::Keys, shards::RedisShards};
use crate::{BrokerError, Sink, Subscriber, Topic};

/// How long a subscribe waits for its confirmation.
const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(2);

/// The subscriptions of this process on Redis.
pub(super) struct RedisSubscriber {
    keys: Keys,
    routes: Arc<SubscriptionRoutes>,
}

impl RedisSubscriber {
    /// Starts the tasks, which run until the process stops.
    pub(super) fn start(
        shards: Arc<RedisShards>,
        keys: Keys,
        node: &NodeId,
        sink: Arc<dyn Sink>,
        lifecycle: &Lifecycle,
    ) -> Self {
        let (node, coverage) = (node.clone(), Coverage::default());
        let shared = Shared { shards, keys: keys.clone(), node, sink, coverage };
        let routes = SubscriptionRoutes::new(shared, lifecycle);
        let following = Arc::clone(&routes);
        lifecycle.spawn_until_stop(async move { following.follow().await });
        Self { keys, routes }
    }
}

#[async_trait]
impl Subscriber for RedisSubscriber {
    async fn subscribe(&self, topic: Topic) -> Result<(), BrokerError> {
        let unavailable = |reason: &str| Err(BrokerError::Unavailable(reason.to_owned()));
        let name = self.keys.topic(&topic);
        let waiting = match self.routes.want(name.clone(), topic) {
            SubscribeOutcome::Done => return Ok(()),
            SubscribeOutcome::Detached => return unavailable("the subscriber has no connection"),
            SubscribeOutcome::Waiting(waiting) => waiting,
        };
        match tokio::time::timeout(CONFIRMATION_TIMEOUT, waiting).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => unavailable("the subscriber lost its connection"),
            Err(_) => {
                self.routes.note_late(&name);
                unavailable("no confirmation of a subscription in time")
            }
        }
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.routes.unwant(&self.keys.topic(topic));
    }

    fn hears(&self, topic: &Topic) -> bool {
        self.routes.hears(&self.keys.topic(topic))
    }

    fn failures(&self) -> u32 {
        self.routes.failures()
    }
}
