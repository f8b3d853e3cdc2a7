//! The task that carries what the broker brings to the hub and to those who wait.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use shared::{
    broker::{Message, Registration, Sink, Topic},
    channel::ChannelKind,
    control::Control,
    publication::Publication,
};

use crate::{gateway::Gateway, hub::HEARING, traces::Deliveries};

/// Where the subscriber hands over. It lives in the subscriber's task, so it holds the gateway
/// weakly: the gateway holds the subscriber.
pub struct Fanout {
    gateway: Weak<Gateway>,
    connected: AtomicBool,
}

impl Fanout {
    /// The sink of a gateway.
    pub fn new(gateway: &Arc<Gateway>) -> Arc<Self> {
        Arc::new(Self { gateway: Arc::downgrade(gateway), connected: AtomicBool::new(false) })
    }
}

/// What a node says of its own hearing: one that hears nothing is deaf only if others do.
fn hearing(gateway: &Gateway, value: Option<&str>) -> Registration {
    let key = gateway.node.to_string();
    Registration { topic: HEARING, key, value: value.map(str::to_owned) }
}

#[async_trait]
impl Sink for Fanout {
    async fn deliver(&self, messages: Vec<Message>) {
        let Some(gateway) = self.gateway.upgrade() else { return };
        let mut publications: Vec<Publication> = Vec::with_capacity(messages.len());
        for Message { topic, payload } in messages {
            match topic {
                Topic::Channel(channel) if channel.kind() == ChannelKind::Presence => {
                    gateway.presence.heard(&gateway, &payload);
                }
                Topic::Channel(channel) => {
                    match Publication::decode_all(&channel, &payload) {
                        Ok(read) => {
                            if let (ChannelKind::Container, Some(id)) =
                                (channel.kind(), channel.id())
                            {
                                gateway.containers.touch(id);
                            }
                            publications.extend(read);
                        }
                        // What it said is in the record: the comparison of heads will bring it.
                        Err(error) => tracing::error!(%error, "skipped"),
                    }
                }
                Topic::Node(_) | Topic::Nodes => {
                    // Whoever is answered reads its own write here: what was published before the
                    // answer is applied before the answer is heard.
                    let deliveries = Deliveries::begin(&publications);
                    gateway.hub.apply(publications.drain(..)).await;
                    if let Some(deliveries) = deliveries {
                        deliveries.done(&gateway);
                    }
                    match Control::decode(&payload) {
                        Ok(control) => gateway.control(control),
                        Err(error) => tracing::error!(%error, "an order that nobody understands"),
                    }
                }
                Topic::Workers => {}
            }
        }
        let deliveries = Deliveries::begin(&publications);
        gateway.hub.apply(publications).await;
        if let Some(deliveries) = deliveries {
            deliveries.done(&gateway);
        }
    }

    async fn connected(&self) {
        let Some(gateway) = self.gateway.upgrade() else { return };
        if !self.connected.swap(true, Ordering::AcqRel) {
            tracing::info!("subscribed to the broker");
        }
        gateway.metrics.broker_up.set(1.0);
        gateway.hub.trust(true);
        gateway.registry.register(hearing(&gateway, Some("true")));
        let hub = Arc::clone(&gateway.hub);
        gateway.life.spawn_until_stop(async move { hub.compare_all().await });
        gateway.say_degraded(None);
    }

    fn disconnected(&self, reason: &str) {
        let Some(gateway) = self.gateway.upgrade() else { return };
        if self.connected.swap(false, Ordering::AcqRel) {
            tracing::warn!(reason, "not subscribed to the broker: reading from the database");
        }
        gateway.metrics.broker_up.set(0.0);
        gateway.hub.trust(false);
        gateway.registry.register(hearing(&gateway, None));
        gateway.say_degraded(Some("broker"));
    }

    fn canary(&self, delay: Duration) {
        if let Some(gateway) = self.gateway.upgrade() {
            gateway.metrics.canary_seconds.observe(delay.as_secs_f64());
        }
    }
}
