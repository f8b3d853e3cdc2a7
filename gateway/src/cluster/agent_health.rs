//! How agents are: one sample per `HEALTH_SAMPLE_MS` and agent in the broker, and an alert when two in
//! a row are above a bound.
//!
//! What a sample changes is published before the sample is added, under a name that is made of the
//! samples before it: a node that dies in between leaves it to the next sample, and of two nodes that
//! judge the same agent both publish the same. Where the samples do not reach back far enough (the
//! broker lost them) the record says whether the alert stands.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use broker::{Broker, BrokerError};
use domain::{
    entry::Fields,
    event::{
        State, alert,
        entity::{Entity, EntityKind},
        submission::field,
    },
    health::{self, HealthSample, HealthTurn, Judgement},
    source::Stream,
};
use futures_util::StreamExt as _;
use runtime::{config::HealthSettings, lock::LockExt as _};
use serde_json::json;
use store::{Store, StoreError};
use tokio::{sync::Notify, time::Instant};

use crate::ingest::publisher::{EventPublisher, PublishOutcome};

/// How many of the last samples are judged: two in a row are nearly always among them.
const JUDGED_SAMPLES: usize = 32;

/// How many agents are sampled at the same time.
const AT_ONCE: usize = 16;

/// How long an alert may take to be recorded; then the next sample says it again.
const RECORD_MAX: Duration = Duration::from_secs(5);

/// How long a sample is shown, ms.
const SHOWN_MS: i64 = 3_600_000;

/// Samples the health of agents.
pub struct AgentHealth {
    settings: HealthSettings,
    broker: Arc<dyn Broker>,
    store: Arc<dyn Store>,
    publisher: Arc<EventPublisher>,
    state: Mutex<Reports>,
    reported: Notify,
}

#[derive(Default)]
struct Reports {
    /// The newest report of each agent that waits for its sample.
    waiting: HashMap<Box<str>, State>,
    /// When the last sample of an agent was taken on this node, not longer ago than the time between two.
    sampled: HashMap<Box<str>, Instant>,
}

/// Why a sample was not taken; the next report tries again.
#[derive(Debug, thiserror::Error)]
enum SampleError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("an alert was not recorded: {0:?}")]
    Unrecorded(Option<PublishOutcome>),
}

impl AgentHealth {
    /// Makes a sampler that has seen nobody yet.
    pub fn new(
        settings: HealthSettings,
        broker: Arc<dyn Broker>,
        store: Arc<dyn Store>,
        publisher: Arc<EventPublisher>,
    ) -> Self {
        let (state, reported) = (Mutex::default(), Notify::new());
        Self { settings, broker, store, publisher, state, reported }
    }

    /// Takes in what an agent says of itself; kept if the time for a sample has come.
    pub fn report(&self, agent: Box<str>, said: State) {
        let mut reports = self.state.lock_unpoisoned();
        let early =
            reports.sampled.get(&agent).is_some_and(|at| at.elapsed() < self.settings.sample);
        let full = reports.waiting.len() >= self.settings.agents_max;
        if early || (full && !reports.waiting.contains_key(&agent)) {
            return;
        }
        reports.waiting.insert(agent, said);
        drop(reports);
        self.reported.notify_one();
    }

    /// Takes samples, until the process stops.
    pub async fn run(&self) {
        loop {
            self.reported.notified().await;
            let waiting = self.take();
            let sampling = futures_util::stream::iter(waiting);
            sampling
                .for_each_concurrent(AT_ONCE, |(agent, said)| async move {
                    match self.sample(&agent, &said).await {
                        Ok(()) => self.note(agent),
                        Err(error) => {
                            tracing::debug!(%agent, %error, "health: no sample taken, the next report tries again");
                        }
                    }
                })
                .await;
        }
    }

    /// Returns an agent's samples of the last hour, oldest first.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker does not answer.
    pub async fn samples(&self, agent: &str) -> Result<Vec<HealthSample>, BrokerError> {
        let since = jiff::Timestamp::now().as_millisecond() - SHOWN_MS;
        let kept = self.broker.health_samples(agent, self.settings.samples_max).await?;
        let samples = kept.iter().filter_map(|text| HealthSample::parse(text));
        Ok(samples.filter(|sample| sample.at() >= since).collect())
    }

    fn take(&self) -> HashMap<Box<str>, State> {
        let mut reports = self.state.lock_unpoisoned();
        let period = self.settings.sample;
        reports.sampled.retain(|_, at| at.elapsed() < period);
        std::mem::take(&mut reports.waiting)
    }

    fn note(&self, agent: Box<str>) {
        self.state.lock_unpoisoned().sampled.insert(agent, Instant::now());
    }

    /// Takes a sample, unless another node did just now.
    async fn sample(&self, agent: &str, said: &State) -> Result<(), SampleError> {
        let now = jiff::Timestamp::now().as_millisecond();
        let Some(sample) = HealthSample::of(said, now, self.settings.values_max) else {
            return Ok(());
        };
        let kept = self.broker.health_samples(agent, JUDGED_SAMPLES).await?;
        let last = kept.last().map(String::as_str);
        let mut samples: Vec<_> =
            kept.iter().filter_map(|text| HealthSample::parse(text)).collect();
        let period = i64::try_from(self.settings.sample.as_millis()).unwrap_or(i64::MAX);
        // The clock of the node before may be ahead: then its sample is no reason to wait for long.
        let early = samples.last().is_some_and(|last| (0..period).contains(&(now - last.at())));
        if early {
            return Ok(());
        }
        let text = sample.to_text();
        samples.push(sample);
        for (name, bound) in &self.settings.bounds {
            if let Some(turn) = health::turn(&samples, name, *bound) {
                self.publish(agent, name, *bound, &turn, &samples).await?;
            }
        }
        // Another node that was quicker has judged the same.
        let _added = self.broker.add_health_sample(agent, last, &text).await?;
        Ok(())
    }

    async fn publish(
        &self,
        agent: &str,
        name: &str,
        bound: f64,
        turn: &HealthTurn,
        samples: &[HealthSample],
    ) -> Result<(), SampleError> {
        let id = health::alert_id(name, agent);
        let before = match turn.before {
            Some(before) => before,
            None => self.recorded(&id).await?,
        };
        if before == turn.now {
            return Ok(());
        }
        let (kind, data) = match turn.now {
            Judgement::Raised => {
                let value = samples.last().and_then(|sample| sample.number(name));
                let value = value.map(ToString::to_string).unwrap_or_default();
                let data = json!({
                    "severity": "warning",
                    "title": format!("{name} of {agent} is above {bound}"),
                    "message": format!("two samples in a row, the last {value}"),
                    "source": format!("agent:{agent}"),
                });
                ("alert", data)
            }
            Judgement::Ended => ("alert_acknowledged", json!({ "by": alert::HEALTH })),
        };
        let mut fields = Fields::default();
        fields.push(field::TYPE, kind);
        fields.push(field::ID, id.as_str());
        // The alert's id may be cut, the agent's is not: both name the turn.
        let digest = Fields(vec![(id, agent.as_bytes().to_vec())]).digest();
        fields.push(field::EVENT_ID, format!("~health:{}:{digest:x}:{kind}", turn.since));
        fields.push(field::DATA, data.to_string());
        let deadline = Instant::now() + RECORD_MAX;
        let outcomes =
            self.publisher.publish("health", vec![(Stream::Agents, fields)], deadline).await;
        match outcomes.into_iter().next() {
            Some(PublishOutcome::Published(_)) => Ok(()),
            other => Err(SampleError::Unrecorded(other)),
        }
    }

    /// How an alert stands in the record: raised, unless its cause is gone.
    async fn recorded(&self, id: &str) -> Result<Judgement, StoreError> {
        let alert = self.store.entity(&Entity::new(EntityKind::Alert, id)).await?;
        let stands = alert.is_some_and(|state| !state.contains_key(alert::ENDED_AT));
        Ok(if stands { Judgement::Raised } else { Judgement::Ended })
    }
}
