//! Whether the broker and the database do what this process asks of them, and what they say when they
//! do not: one place that probes, metrics, logs and clients are told from.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{Arc, Mutex},
    time::Duration,
};

use prometheus::{Gauge, Registry};
use tokio::time::Instant;

use crate::{error_gate::ErrorGate, lock::LockExt as _};

/// How long a service may be silent before that counts as an outage.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// The cause of a service that does not answer.
pub const UNREACHABLE: &str = "unreachable";

/// What is missing when the broker is out of order.
pub const BROKER: &str = "broker";

/// What is missing when the database is out of order.
pub const STORE: &str = "store";

/// What is missing when both are.
pub const BOTH: &str = "both";

/// What an error of a service says about the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// It does not answer.
    Silent,
    /// It answers and takes nothing, for this reason in one word.
    Refuses(&'static str),
}

/// An error of a service.
pub trait ServiceError: Display {
    /// Returns what it says about the service; none when it is about the request alone.
    fn outage(&self) -> Option<Outage>;
}

/// What a process asks of a service, each judged by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// To bring what is published.
    Subscribe,
    /// To be read.
    Read,
    /// To take what is written.
    Write,
}

/// A service that is out of order, as an operator is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfOrder {
    /// The reason in one word: `unreachable`, `memory_full`, `read_only` …
    pub cause: &'static str,
    /// Whether it is the writing that does not go.
    pub refuses_writes: bool,
}

/// The health of the services of this process.
#[derive(Debug)]
pub struct Health {
    /// The health of the broker.
    pub broker: ServiceHealth,
    /// The health of the database.
    pub store: ServiceHealth,
}

/// The health of one service.
#[derive(Debug)]
pub struct ServiceHealth {
    name: &'static str,
    writable: Gauge,
    state: Mutex<ServiceState>,
}

#[derive(Debug)]
struct ServiceState {
    demands: BTreeMap<Demand, DemandState>,
    gate: ErrorGate,
    /// Since when it is in order, or not.
    since: Instant,
    is_out_of_order: bool,
}

#[derive(Debug)]
struct DemandState {
    worked_at: Instant,
    /// What was said since then.
    failed: Option<(Outage, String)>,
}

impl DemandState {
    /// Returns why what is demanded does not go, in one word and in those of the service.
    fn failing<'a>((demand, of): (&Demand, &'a Self)) -> Option<(Demand, &'static str, &'a str)> {
        let (outage, error) = of.failed.as_ref()?;
        match outage {
            Outage::Refuses(cause) => Some((*demand, cause, error)),
            Outage::Silent if of.worked_at.elapsed() >= SILENCE_MAX => {
                Some((*demand, UNREACHABLE, error))
            }
            Outage::Silent => None,
        }
    }
}

impl Health {
    /// Returns the health of services of which nothing bad is known.
    ///
    /// # Errors
    /// When a metric's name is taken: a mistake in the program.
    pub fn new(registry: &Registry) -> prometheus::Result<Arc<Self>> {
        let service = |name, metric: &str, help: &str| {
            let writable = Gauge::new(metric, help)?;
            registry.register(Box::new(writable.clone()))?;
            prometheus::Result::Ok(ServiceHealth::new(name, writable))
        };
        Ok(Arc::new(Self {
            broker: service(BROKER, "fanfare_broker_writable", "1 while the broker takes writes.")?,
            store: service(STORE, "fanfare_store_writable", "1 while the database takes writes.")?,
        }))
    }

    /// Returns what is missing: `broker`, `store`, `both`, or nothing.
    pub fn degraded(&self) -> Option<&'static str> {
        match (self.broker.out_of_order().is_some(), self.store.out_of_order().is_some()) {
            (true, true) => Some(BOTH),
            (true, false) => Some(BROKER),
            (false, true) => Some(STORE),
            (false, false) => None,
        }
    }
}

impl ServiceHealth {
    fn new(name: &'static str, writable: Gauge) -> Self {
        writable.set(1.0);
        let state = ServiceState {
            demands: BTreeMap::new(),
            gate: ErrorGate::default(),
            since: Instant::now(),
            is_out_of_order: false,
        };
        Self { name, writable, state: Mutex::new(state) }
    }

    /// Takes note of how something went.
    pub fn note<T, E: ServiceError>(&self, demand: Demand, result: &Result<T, E>) {
        match result.as_ref().err().and_then(|error| Some((error.outage()?, error))) {
            None => self.works(demand),
            Some((outage, error)) => self.fails(demand, outage, &error.to_string()),
        }
    }

    /// Takes note that the service did what it was asked.
    pub fn works(&self, demand: Demand) {
        let works = DemandState { worked_at: Instant::now(), failed: None };
        self.state.lock_unpoisoned().demands.insert(demand, works);
    }

    /// Takes note that it did not. Silence counts once it has lasted.
    pub fn fails(&self, demand: Demand, outage: Outage, error: &str) {
        let mut state = self.state.lock_unpoisoned();
        let begin = || DemandState { worked_at: Instant::now(), failed: None };
        state.demands.entry(demand).or_insert_with(begin).failed = Some((outage, error.to_owned()));
    }

    /// Returns what is out of order, and says so in metric and log; asked again and again.
    pub fn out_of_order(&self) -> Option<OutOfOrder> {
        let mut state = self.state.lock_unpoisoned();
        let failing: Vec<_> = state.demands.iter().filter_map(DemandState::failing).collect();
        let writes = failing.iter().all(|(demand, ..)| *demand != Demand::Write);
        // What a service says is worth more than its silence.
        let said = failing.iter().find(|(_, cause, _)| *cause != UNREACHABLE);
        let failing = said.or(failing.first()).map(|(demand, cause, error)| {
            let refuses_writes = *demand == Demand::Write;
            (OutOfOrder { cause, refuses_writes }, (*error).to_owned())
        });
        let is_out_of_order = failing.is_some();
        if state.is_out_of_order != is_out_of_order {
            state.is_out_of_order = is_out_of_order;
            state.since = Instant::now();
        }
        self.writable.set(f64::from(u8::from(writes)));
        self.log(&mut state.gate, failing.as_ref());
        failing.map(|(out_of_order, _)| out_of_order)
    }

    /// Returns how long it has been in order, or not.
    pub fn age(&self) -> Duration {
        self.state.lock_unpoisoned().since.elapsed()
    }

    fn log(&self, gate: &mut ErrorGate, failing: Option<&(OutOfOrder, String)>) {
        let service = self.name;
        match failing {
            Some((OutOfOrder { cause, .. }, error)) if gate.opens(cause) => {
                tracing::error!(
                    service,
                    cause,
                    error,
                    "health: service out of order, everything waits for it and catches up by itself"
                );
            }
            None if gate.close() => {
                tracing::info!(service, "health: service in order again");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no")]
    struct Failed(Option<Outage>);

    impl ServiceError for Failed {
        fn outage(&self) -> Option<Outage> {
            self.0
        }
    }

    fn health() -> Arc<Health> {
        Health::new(&Registry::new()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_counts_at_once_and_silence_once_it_lasts() {
        let health = health();
        let note = |outage| health.store.note(Demand::Write, &Err::<(), _>(Failed(outage)));
        assert_eq!(health.degraded(), None);
        note(Some(Outage::Refuses("read_only")));
        let cause = health.store.out_of_order().map(|out| (out.cause, out.refuses_writes));
        assert_eq!((cause, health.degraded()), (Some(("read_only", true)), Some(STORE)));
        note(None);
        assert_eq!(health.degraded(), None, "an error of the request is none of the service");
        note(Some(Outage::Silent));
        assert_eq!(health.degraded(), None, "a moment");
        tokio::time::advance(SILENCE_MAX).await;
        assert_eq!(health.store.out_of_order().map(|out| out.cause), Some("unreachable"));
        health.store.works(Demand::Write);
        assert_eq!(health.degraded(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn each_demand_counts_by_itself() {
        let health = health();
        health.broker.fails(Demand::Subscribe, Outage::Refuses(UNREACHABLE), "gone");
        health.broker.works(Demand::Write);
        health.store.fails(Demand::Write, Outage::Refuses("disk_full"), "full");
        assert_eq!(health.degraded(), Some(BOTH));
        health.broker.works(Demand::Subscribe);
        assert_eq!(health.degraded(), Some(STORE));
    }
}
