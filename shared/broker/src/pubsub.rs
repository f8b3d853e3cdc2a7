//! Messages that nobody keeps: topics, the sink that they are delivered to, and the subscriber.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{channel::Channel, node::NodeId};

use crate::error::BrokerError;

/// What pub/sub messages are about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Publications of a channel; for the channel `presence`, bare JSON.
    Channel(Channel),
    /// Answers and orders to one node.
    Node(NodeId),
    /// Orders to every node.
    Nodes,
    /// A wake-up for workers that wait for a source.
    Workers,
}

/// One pub/sub message.
#[derive(Clone, Debug)]
pub struct TopicMessage {
    /// What it is about.
    pub topic: Topic,
    /// The bytes as they were published.
    pub payload: Bytes,
}

/// Where a subscriber hands over what arrives.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Everything that one read brought, in the order of arrival. Called by the reading task
    /// itself, for each connection one call at a time: what it does is what the subscriber waits for.
    async fn deliver(&self, messages: Vec<TopicMessage>);

    /// Every topic that belongs to a connection is subscribed, and that is new: what was published
    /// since [`Sink::disconnected`] may be lost. `is_whole` says that every other connection is there
    /// too, where there are several.
    async fn connected(&self, is_whole: bool);

    /// A connection is gone or deaf; the subscriber is connecting anew.
    fn disconnected(&self, reason: &str);

    /// The probe came back after so long.
    fn canary(&self, delay: Duration);
}

/// The subscriptions of this process: one task over one connection, to each server that there is.
#[async_trait]
pub trait Subscriber: Send + Sync + 'static {
    /// Wants a topic from now on, over all reconnects, and waits until the broker confirmed it.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] when there is no connection at the moment; the topic stays
    /// wanted and [`Sink::connected`] follows. Not to be called from within the sink: the task
    /// that would bring the confirmation waits for the sink.
    async fn subscribe(&self, topic: Topic) -> Result<(), BrokerError>;

    /// Wants a topic no longer.
    fn unsubscribe(&self, topic: &Topic);

    /// Whether what is published on a topic arrives at the moment, on a connection that was
    /// announced by [`Sink::connected`].
    fn hears(&self, topic: &Topic) -> bool;

    /// How many times in a row connecting failed or the probe did not come back; 0 when all is well.
    fn failures(&self) -> u32;
}
