//! What the broker brings: publications for the hub, changes of presence, orders of other processes.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use broker::{Registration, Sink, Topic, TopicMessage};
use domain::{channel::ChannelKind, control::Control, publication::Publication};
use runtime::health::{Demand, Outage, UNREACHABLE};

use super::{
    control,
    delivery_trace::Deliveries,
    foreign_epochs::ForeignEpochs,
    services::{Parts, Services},
    status_announcer,
};
use crate::{channel::history::SUBSCRIBED_NODES, protocol::Attendance};

/// Where the subscriber hands over. It lives in the subscriber's task, so it holds the node weakly: the
/// node holds the subscriber.
pub struct Fanout {
    parts: Weak<Parts>,
    attendances: Vec<Arc<dyn Attendance>>,
    connected: AtomicBool,
    foreign: ForeignEpochs,
}

impl Fanout {
    /// Returns the sink of a node.
    pub fn new(services: &Services) -> Arc<Self> {
        let dialects = services.dialects.iter();
        let attendances = dialects.filter_map(|dialect| dialect.attendance()).collect();
        let connected = AtomicBool::new(false);
        Arc::new(Self {
            parts: services.downgrade(),
            attendances,
            connected,
            foreign: ForeignEpochs::default(),
        })
    }

    /// Applies what one read brought, and traces it.
    async fn apply(&self, parts: &Parts, publications: &mut Vec<Publication>) {
        let context = &parts.context;
        let deliveries = Deliveries::begin(publications);
        context.hub.apply(publications.drain(..)).await;
        if let Some(deliveries) = deliveries {
            deliveries.finished(&context.hub, &context.node);
        }
    }

    /// Announces whether this node is subscribed: one that receives nothing is unhealthy only if others
    /// are.
    fn announce_subscribed(parts: &Parts, value: Option<&str>) {
        let key = parts.context.node.to_string();
        let value = value.map(str::to_owned);
        parts.context.registry.register(Registration { topic: SUBSCRIBED_NODES, key, value });
    }
}

#[async_trait]
impl Sink for Fanout {
    async fn deliver(&self, messages: Vec<TopicMessage>) {
        let Some(parts) = self.parts.upgrade() else { return };
        let mut publications: Vec<Publication> = Vec::with_capacity(messages.len());
        for TopicMessage { topic, payload } in messages {
            match topic {
                Topic::Channel(channel) if channel.kind() == ChannelKind::Presence => {
                    parts.context.presence.received(&payload);
                }
                Topic::Channel(channel) => match Publication::decode_all(&channel, &payload) {
                    // All of one message come from one database.
                    Ok(read)
                        if read
                            .first()
                            .is_some_and(|first| self.foreign.is_foreign(&parts, first.epoch)) =>
                    {
                        parts.context.metrics.foreign.inc();
                    }
                    Ok(read) => {
                        for attendance in &self.attendances {
                            attendance.note_publications(&channel, &read);
                        }
                        publications.extend(read);
                    }
                    // What it said is in the record: the comparison of heads will bring it.
                    Err(error) => tracing::error!(
                        %error,
                        "fanout: a publication cannot be read, it is read from the record"
                    ),
                },
                Topic::Node(_) | Topic::Nodes => {
                    // Whoever is answered reads its own write here: what was published before the
                    // answer is applied before the answer is delivered.
                    self.apply(&parts, &mut publications).await;
                    match Control::decode(&payload) {
                        Ok((epoch, _)) if epoch.is_some_and(|it| it != parts.store.epoch()) => {
                            parts.context.metrics.foreign.inc();
                            self.foreign.warn();
                        }
                        Ok((_, control)) => control::follow(&parts, control),
                        Err(error) => {
                            tracing::error!(%error, "fanout: an order cannot be read, it is skipped");
                        }
                    }
                }
                Topic::Workers => {}
            }
        }
        self.apply(&parts, &mut publications).await;
    }

    async fn connected(&self, is_whole: bool) {
        let Some(parts) = self.parts.upgrade() else { return };
        let context = &parts.context;
        if is_whole {
            if !self.connected.swap(true, Ordering::AcqRel) {
                tracing::info!("subscribed to the broker");
            }
            context.metrics.broker_up.set(1.0);
            context.hub.set_redis_trusted(true);
            Self::announce_subscribed(&parts, Some("true"));
        }
        let hub = Arc::clone(&context.hub);
        context.life.spawn_until_stop(async move { hub.compare_all().await });
        if is_whole {
            context.health.broker.works(Demand::Subscribe);
            status_announcer::announce(&parts);
        }
    }

    fn disconnected(&self, reason: &str) {
        let Some(parts) = self.parts.upgrade() else { return };
        let context = &parts.context;
        if self.connected.swap(false, Ordering::AcqRel) {
            tracing::warn!(
                reason,
                "fanout: not subscribed to the broker, channels are read from the database"
            );
        }
        context.metrics.broker_up.set(0.0);
        context.hub.set_redis_trusted(false);
        Self::announce_subscribed(&parts, None);
        let outage = Outage::Refuses(UNREACHABLE);
        context.health.broker.fails(Demand::Subscribe, outage, reason);
        status_announcer::announce(&parts);
    }

    fn canary(&self, delay: Duration) {
        if let Some(parts) = self.parts.upgrade() {
            parts.context.metrics.canary_seconds.observe(delay.as_secs_f64());
        }
    }
}
