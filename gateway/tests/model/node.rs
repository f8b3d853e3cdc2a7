//! A gateway in this process with the real broker in memory, the real SQLite, and weather between.

use std::{collections::HashMap, sync::Arc, time::Duration};

use auth::Authenticator;
use axum::Router;
use broker::BrokerOptions;
use domain::node::NodeId;
use gateway::{
    api,
    node::services::Services,
    start::{self, Foundation},
};
use runtime::{
    config::{Config, Role},
    health::Health,
    lifecycle::Lifecycle,
};
use services::Scratch;
use store::{Options, Store};

use crate::{
    broker::LossyBroker,
    store::WatchedStore,
    weather::{Forecast, Weather},
};

/// So little history that the archive is asked as well.
const HISTORY_LENGTH: usize = 3;

/// How long everything may take to end.
const FINISH_MAX: Duration = Duration::from_secs(10);

/// A node and what it stands on.
pub(crate) struct Node {
    pub(crate) router: Router,
    gateway: Services,
    /// The store without weather: the owner's way to the record.
    pub(crate) record: Arc<dyn Store>,
    /// The store as the gateway sees it.
    pub(crate) store: Arc<WatchedStore>,
    pub(crate) broker: Arc<LossyBroker>,
    pub(crate) weather: Arc<Weather>,
    life: Lifecycle,
    _scratch: Scratch,
}

impl Node {
    pub(crate) async fn start(seed: u64, forecast: Forecast, settings: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new("model");
        let url = format!("sqlite://{}", scratch.path().join("fanfare.db").display());
        let record = store::connect(&url, &Options::default()).await.unwrap();
        record.migrate().await.unwrap();
        let life = Lifecycle::new();
        let options = BrokerOptions { history_length: HISTORY_LENGTH, ..BrokerOptions::default() };
        let inner = broker::connect(None, options, &life).await.unwrap();
        let weather = Arc::new(Weather::new(seed, forecast));
        let broker = Arc::new(LossyBroker::new(inner, Arc::clone(&weather)));
        let store = Arc::new(WatchedStore::new(Arc::clone(&record), Arc::clone(&weather)));
        let open = [("ANONYMOUS_CHANNELS", "*")];
        let environment = open.iter().chain(settings);
        let environment: HashMap<String, String> =
            environment.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (config, _) = Config::from_environment(Role::Whole, &environment).unwrap();
        let prometheus = prometheus::Registry::new();
        let gateway = start::start(Foundation {
            node: NodeId("model".into()),
            auth: Authenticator::new(&config.access).unwrap(),
            config,
            broker: Arc::clone(&broker) as _,
            store: Arc::clone(&store) as _,
            health: Health::new(&prometheus).unwrap(),
            prometheus,
            life: life.clone(),
        });
        let gateway = gateway.await.unwrap();
        let router = api::router(gateway.clone());
        Self { router, gateway, record, store, broker, weather, life, _scratch: scratch }
    }

    /// How many catch-ups there were because of `cause`.
    pub(crate) fn catch_ups(&self, cause: &str) -> u64 {
        self.gateway.context.metrics.catchups.with_label_values(&[cause]).get()
    }

    /// Ends everything, and everything ends.
    pub(crate) async fn stop(&self) {
        assert!(self.life.finish(FINISH_MAX).await, "some tasks of the node did not end");
    }
}
