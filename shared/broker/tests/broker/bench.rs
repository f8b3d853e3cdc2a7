//! A broker to try, in memory, on Redis or on a cluster of it, and the macro that tries each.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use broker::{Broker, BrokerError, BrokerOptions, Subscriber};
use domain::node::NodeId;
use runtime::lifecycle::Lifecycle;
use services::{Redis, RedisCluster, unique};

use crate::recorder::Recorder;

/// Runs each named function as a test against the broker in memory, the one on Redis, and the one on a
/// cluster of three masters and three replicas.
macro_rules! on_each {
    ($($test:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::bench::Place::Memory).await;
            })+
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::bench::Place::Redis).await;
            })+
        }
        mod cluster {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::bench::Place::Cluster).await;
            })+
        }
    };
}
pub(crate) use on_each;

/// Which implementation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Memory,
    Redis,
    Cluster,
}

impl Place {
    pub(crate) async fn bench(self) -> Bench {
        self.bench_with(BrokerOptions::default()).await
    }

    pub(crate) async fn bench_with(self, options: BrokerOptions) -> Bench {
        match self {
            Self::Memory => Bench::connect(None, options).await,
            Self::Redis => Bench::connect(Some(&Redis::shared().url()), options).await,
            Self::Cluster => Bench::connect(Some(&RedisCluster::shared().url()), options).await,
        }
    }
}

/// A broker with keys of its own, and the life of its tasks.
pub(crate) struct Bench {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) prefix: String,
    lifecycle: Lifecycle,
}

impl Bench {
    /// On a Redis of the test's own.
    pub(crate) async fn on(url: &str) -> Self {
        Self::connect(Some(url), BrokerOptions::default()).await
    }

    /// The same with options of the test's own.
    pub(crate) async fn with(url: &str, options: BrokerOptions) -> Self {
        Self::connect(Some(url), options).await
    }

    async fn connect(url: Option<&str>, options: BrokerOptions) -> Self {
        let prefix = unique("broker");
        let options = BrokerOptions { key_prefix: prefix.clone(), ..options };
        let lifecycle = Lifecycle::new();
        let broker = broker::connect(url, options, &lifecycle).await.unwrap();
        Self { broker, prefix, lifecycle }
    }

    /// A subscriber that has been connected, and what it hears.
    pub(crate) async fn subscriber(&self, node: &str) -> (Arc<dyn Subscriber>, Arc<Recorder>) {
        let recorder = Arc::new(Recorder::default());
        let sink = Arc::clone(&recorder);
        let subscriber = self.broker.subscriber(&NodeId(node.into()), sink).await.unwrap();
        recorder.until("connected", |heard| heard.connected > 0).await;
        (subscriber, recorder)
    }

    /// Ends all tasks.
    pub(crate) async fn finish(self) {
        assert!(self.lifecycle.finish(Duration::from_secs(5)).await, "a task does not end");
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

/// Tries until it succeeds; what a program does after a fault.
pub(crate) async fn until_ok<T>(mut attempt: impl AsyncFnMut() -> Result<T, BrokerError>) -> T {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "never: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The error with which connecting fails.
pub(crate) async fn refusal(url: &str) -> BrokerError {
    let connecting = broker::connect(Some(url), BrokerOptions::default(), &Lifecycle::new()).await;
    connecting.err().unwrap()
}
