//! Escalation: sends what the outbox holds about alerts, at least once, to where `ALERT_ROUTES` says.
//!
//! A delivery is written in the transaction that records its alert ([`routing`]) and taken here when
//! it is due. Each route is served on its own, so one that does not answer holds up no other.
//! [`payload`] writes what the other end understands, [`signature`] signs it, [`client`] posts it to
//! addresses that [`addresses`] allows, and [`answer`] says what an answer means.

pub mod addresses;
pub mod answer;
pub mod client;
pub mod payload;
pub mod routing;
pub mod signature;

use std::{sync::Arc, time::Duration};

use domain::event::{
    State,
    entity::{Entity, EntityKind},
};
use runtime::config::AlertRoute;
use serde_json::Value;
use store::{DeadReason, DeliveryEnd, StoreError, WebhookDelivery};
use tokio::task::JoinSet;

use self::{
    answer::{PAUSE_MAX, TryOutcome},
    client::{WebhookClient, WebhookRequest},
};
use crate::Worker;

/// How often the outbox is asked for what is due.
const POLL: Duration = Duration::from_millis(500);

/// How long what is taken may take beyond the time of a try: reading the alert, noting the end.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// How many that nobody serves are given up at once.
const GIVE_UP_MAX: usize = 100;

/// Serves every route until the process stops.
pub async fn run(worker: Worker) {
    if worker.escalation.routes.is_empty() {
        return;
    }
    let client = match WebhookClient::new(&worker.escalation) {
        Ok(client) => Arc::new(client),
        Err(error) => {
            tracing::error!(%error, "escalation: no HTTP client, alerts are kept for a worker that has one");
            return;
        }
    };
    let mut routes = JoinSet::new();
    for route in worker.escalation.routes.iter() {
        let server = RouteServer {
            worker: worker.clone(),
            client: Arc::clone(&client),
            route: route.clone(),
        };
        routes.spawn(server.run());
    }
    while let Some(ended) = routes.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "escalation: a route failed, it is served again after a restart");
        }
    }
}

/// Turns deliveries whose route no worker has into dead letters, once they are older than the archive.
///
/// # Errors
/// [`StoreError`] when the database does not answer.
pub async fn give_up_unserved(worker: &Worker) -> Result<bool, StoreError> {
    let age = worker.limits.archive_retention;
    let given_up = worker.store.give_up_deliveries(age, GIVE_UP_MAX).await?;
    Ok(given_up == GIVE_UP_MAX)
}

/// One route and what serves it.
struct RouteServer {
    worker: Worker,
    client: Arc<WebhookClient>,
    route: AlertRoute,
}

impl RouteServer {
    async fn run(self) {
        let settings = &self.worker.escalation;
        let time = settings.timeout + SETTLE_MAX;
        let mut healthy = true;
        loop {
            let taken =
                self.worker.store.claim_deliveries(&self.route.name, settings.at_once, time);
            match taken.await {
                Ok(taken) if taken.is_empty() => tokio::time::sleep(POLL).await,
                Ok(taken) => {
                    let sending = taken.iter().map(|delivery| self.deliver(delivery));
                    futures_util::future::join_all(sending).await;
                }
                Err(error) => {
                    if std::mem::replace(&mut healthy, false) {
                        tracing::warn!(route = self.route.name, %error, "escalation: outbox not read, asked again after a pause");
                    }
                    tokio::time::sleep(POLL).await;
                    continue;
                }
            }
            healthy = true;
        }
    }

    /// Sends one that is due and notes how that ended.
    async fn deliver(&self, delivery: &WebhookDelivery) {
        let (outcome, end) = match self.alert(delivery).await {
            Ok(Some(alert)) => self.send(delivery, &alert).await,
            Ok(None) => ("stopped", DeliveryEnd::Done),
            Err(error) => {
                tracing::debug!(%error, "escalation: alert not read, the delivery is taken again later");
                return;
            }
        };
        self.log(delivery, &end);
        if let Err(error) = self.worker.store.settle_delivery(delivery, &end).await {
            tracing::warn!(route = self.route.name, webhook = delivery.webhook, %error, "escalation: end of a try not noted, it is sent again");
            return;
        }
        let metrics = &self.worker.metrics;
        metrics.webhooks.with_label_values(&[self.route.name.as_str(), outcome]).inc();
        if let DeliveryEnd::Failed(reason) = &end {
            metrics.dead_letters.with_label_values(&["webhooks", reason.label]).inc();
        }
    }

    /// The alert as it is now; none when there is nothing to say any more.
    async fn alert(&self, delivery: &WebhookDelivery) -> Result<Option<State>, StoreError> {
        let entity = Entity::new(EntityKind::Alert, &delivery.alert);
        let state = self.worker.store.entity(&entity).await?;
        let is_open = |state: &State| state.get("acknowledged").and_then(Value::as_i64) != Some(1);
        Ok(state.filter(|state| !delivery.escalates || is_open(state)))
    }

    async fn send(&self, delivery: &WebhookDelivery, alert: &State) -> (&'static str, DeliveryEnd) {
        let now = jiff::Timestamp::now();
        let body = payload::write(self.route.destination, alert);
        let request = WebhookRequest { route: &self.route, id: &delivery.webhook, body, now };
        let settings = &self.worker.escalation;
        match self.client.post(request).await {
            TryOutcome::Delivered => ("delivered", DeliveryEnd::Done),
            TryOutcome::Final(reason) => ("failed", DeliveryEnd::Failed(reason)),
            TryOutcome::Again { why, .. } if delivery.tries >= settings.tries_max => {
                let text = format!("{why}, {} tries", delivery.tries);
                ("failed", DeliveryEnd::Failed(DeadReason { label: "tries", text }))
            }
            TryOutcome::Again { after, .. } => {
                let pause = after.unwrap_or_else(|| backoff(settings.backoff, delivery.tries));
                ("retried", DeliveryEnd::Again(pause.min(PAUSE_MAX)))
            }
        }
    }

    /// Says the first failure and the last.
    fn log(&self, delivery: &WebhookDelivery, end: &DeliveryEnd) {
        let (route, webhook) = (self.route.name.as_str(), delivery.webhook.as_str());
        match end {
            DeliveryEnd::Failed(reason) => {
                tracing::error!(
                    route,
                    webhook,
                    alert = delivery.alert,
                    reason = reason.text,
                    "escalation: webhook not delivered, kept as a dead letter to redrive"
                );
            }
            DeliveryEnd::Again(pause) if delivery.tries == 1 => {
                tracing::warn!(
                    route,
                    webhook,
                    ?pause,
                    "escalation: webhook not delivered, tried again after a pause"
                );
            }
            DeliveryEnd::Again(_) | DeliveryEnd::Done => {}
        }
    }
}

/// The pause after so many tries: the first one doubled each time, at most an hour.
fn backoff(first: Duration, tries: u32) -> Duration {
    let factor = 2_u32.saturating_pow(tries.saturating_sub(1));
    first.saturating_mul(factor).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_an_hour() {
        let pauses = [1, 2, 3, 9, 10, 11, 40].map(|tries| backoff(Duration::from_secs(5), tries));
        assert_eq!(pauses.map(|pause| pause.as_secs()), [5, 10, 20, 1280, 2560, 3600, 3600]);
    }
}
