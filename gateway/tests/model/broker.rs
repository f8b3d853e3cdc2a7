//! The real broker in memory, and the weather in front of its subscriber and its reads.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use broker::{
    Broker, BrokerError, ExpiredNode, Head, Member, PublishedUpTo, Registration, ServerIdentity,
    Sink, StreamInfo, StreamReader, Subscriber, Topic, TopicMessage,
};
use bytes::Bytes;
use domain::{
    channel::Channel,
    entry::{EntryId, Fields},
    node::NodeId,
    publication::Publication,
    source::Source,
};
use tokio::sync::Mutex;

use crate::weather::Weather;

/// A broker whose subscriber loses messages, hears some twice and is cut off now and then.
pub(crate) struct LossyBroker {
    inner: Arc<dyn Broker>,
    weather: Arc<Weather>,
    sink: OnceLock<Arc<LossySink>>,
    /// How often a history was read.
    histories: AtomicUsize,
}

impl LossyBroker {
    pub(crate) fn new(inner: Arc<dyn Broker>, weather: Arc<Weather>) -> Self {
        Self { inner, weather, sink: OnceLock::new(), histories: AtomicUsize::new(0) }
    }

    pub(crate) fn histories(&self) -> usize {
        self.histories.load(Ordering::Relaxed)
    }

    /// Cuts the subscriber off: what is published from now on does not arrive.
    pub(crate) async fn cut(&self) {
        let Some(sink) = self.sink.get() else { return };
        let _delivering = sink.state.lock().await;
        self.weather.cut_off(true);
        sink.inner.disconnected("bad weather");
    }

    /// Gives the subscriber a new connection.
    pub(crate) async fn mend(&self) {
        let Some(sink) = self.sink.get() else { return };
        let _delivering = sink.state.lock().await;
        self.weather.cut_off(false);
        sink.inner.connected(true).await;
    }
}

macro_rules! broker {
    ($($name:ident($($given:ident: $kind:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Broker for LossyBroker {
            $(async fn $name(&self, $($given: $kind),*) -> $answer {
                self.inner.$name($($given),*).await
            })*

            fn reader(&self, source: Source) -> Box<dyn StreamReader> {
                self.inner.reader(source)
            }

            async fn heads(
                &self,
                of: &[(Channel, Source)],
            ) -> Result<Vec<Option<Head>>, BrokerError> {
                self.weather.broker()?;
                self.inner.heads(of).await
            }

            async fn history(
                &self,
                channel: &Channel,
                source: Source,
                after: u64,
                limit: usize,
            ) -> Result<Vec<Publication>, BrokerError> {
                self.histories.fetch_add(1, Ordering::Relaxed);
                self.weather.broker()?;
                self.inner.history(channel, source, after, limit).await
            }

            async fn subscriber(
                &self,
                node: &NodeId,
                sink: Arc<dyn Sink>,
            ) -> Result<Arc<dyn Subscriber>, BrokerError> {
                let weather = Arc::clone(&self.weather);
                let sink = Arc::new(LossySink { inner: sink, weather, state: Mutex::default() });
                let _only_one = self.sink.set(Arc::clone(&sink));
                let inner = self.inner.subscriber(node, sink).await?;
                let weather = Arc::clone(&self.weather);
                Ok(Arc::new(LossySubscriber { inner, weather }))
            }
        }
    };
}

broker! {
    append(entries: &[(Source, Fields)]) -> Vec<Result<EntryId, BrokerError>>;
    trim(source: Source, before: EntryId) -> Result<(), BrokerError>;
    inspect(source: Source) -> Result<StreamInfo, BrokerError>;
    identity(source: Source) -> Result<ServerIdentity, BrokerError>;
    mark(source: Source, generation: u64, published: PublishedUpTo) -> Result<(), BrokerError>;
    publish(generation: u64, publications: &[Publication]) -> Result<(), BrokerError>;
    send(topic: &Topic, payload: Bytes) -> Result<u64, BrokerError>;
    register(node: &NodeId, changes: &[Registration]) -> Result<bool, BrokerError>;
    members(topic: &str) -> Result<Vec<Member>, BrokerError>;
    deregister(node: &NodeId) -> Result<(), BrokerError>;
    reap(topics: &[&'static str]) -> Result<Vec<ExpiredNode>, BrokerError>;
    partitions() -> Result<Option<u16>, BrokerError>;
    set_partitions(partitions: u16) -> Result<(), BrokerError>;
    health_samples(agent: &str, limit: usize) -> Result<Vec<String>, BrokerError>;
    add_health_sample(agent: &str, last: Option<&str>, sample: &str) -> Result<bool, BrokerError>;
    check() -> Result<Vec<String>, BrokerError>;
}

/// Hands on what the weather lets through. The lock stands for the one task that delivers.
struct LossySink {
    inner: Arc<dyn Sink>,
    weather: Arc<Weather>,
    state: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// What comes once more with the next messages.
    again: Vec<TopicMessage>,
    /// The last event of each channel, for the planted fault.
    before: HashMap<Channel, Bytes>,
}

impl LossySink {
    fn let_through(&self, messages: Vec<TopicMessage>, heard: &mut Heard) -> Vec<TopicMessage> {
        let mut through = std::mem::take(&mut heard.again);
        for mut message in messages {
            let Topic::Channel(channel) = &message.topic else {
                through.push(message);
                continue;
            };
            if self.weather.loses() {
                continue;
            }
            let payload = self.swap(channel, &message.payload, heard);
            message.payload = payload;
            if self.weather.repeats() {
                heard.again.push(message.clone());
            }
            through.push(message);
        }
        through
    }

    /// A message whose first event is, when the weather wants it so, that of the message before it.
    fn swap(&self, channel: &Channel, payload: &Bytes, heard: &mut Heard) -> Bytes {
        let mut lines: Vec<&[u8]> = payload.split(|byte| *byte == b'\n').collect();
        let last = lines.last().map(|event| payload.slice_ref(event)).unwrap_or_default();
        let before = heard.before.insert(channel.clone(), last);
        match &before {
            Some(before) if self.weather.swaps() => {
                lines[1] = before;
                lines.join(&b'\n').into()
            }
            _ => payload.clone(),
        }
    }
}

#[async_trait]
impl Sink for LossySink {
    async fn deliver(&self, messages: Vec<TopicMessage>) {
        let mut heard = self.state.lock().await;
        let through = self.let_through(messages, &mut heard);
        if !through.is_empty() {
            self.inner.deliver(through).await;
        }
    }

    async fn connected(&self, is_whole: bool) {
        self.inner.connected(is_whole).await;
    }

    fn disconnected(&self, reason: &str) {
        self.inner.disconnected(reason);
    }

    fn canary(&self, delay: Duration) {
        self.inner.canary(delay);
    }
}

/// While it is cut off nothing is confirmed; what was wanted stays wanted.
struct LossySubscriber {
    inner: Arc<dyn Subscriber>,
    weather: Arc<Weather>,
}

#[async_trait]
impl Subscriber for LossySubscriber {
    async fn subscribe(&self, topic: Topic) -> Result<(), BrokerError> {
        self.inner.subscribe(topic).await?;
        if self.weather.is_cut_off() {
            return Err(BrokerError::Unavailable(String::from("bad weather")));
        }
        Ok(())
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.inner.unsubscribe(topic);
    }

    fn hears(&self, topic: &Topic) -> bool {
        !self.weather.is_cut_off() && self.inner.hears(topic)
    }

    fn failures(&self) -> u32 {
        self.inner.failures()
    }
}
