//! Asking every node: how far it is on some channels, how many connections it has closed. Over pub/sub,
//! answered within a moment.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use broker::{Broker, BrokerError, Topic};
use domain::{
    channel::Channel,
    control::{ChannelStatus, Control, ListenerStatus, ReplyTo},
    node::NodeId,
};
use runtime::{lifecycle::Lifecycle, lock::LockExt as _};
use tokio::{sync::mpsc, time::Instant};

use crate::channel::{history::SUBSCRIBED_NODES, hub::Hub};

/// How long to wait for nodes that do not answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// The most answers that are kept, and nodes that are waited for.
const ANSWERS_MAX: usize = 1000;

/// Asks all nodes, and answers for this one.
pub struct ClusterQuery {
    node: NodeId,
    broker: Arc<dyn Broker>,
    hub: Arc<Hub>,
    life: Lifecycle,
    requests: AtomicU64,
    /// Who waits for answers, by request.
    open: Mutex<HashMap<u64, mpsc::Sender<Answer>>>,
}

/// What a node answers.
#[derive(Debug)]
pub enum Answer {
    /// How far it is on the channels that it has.
    Statuses(Vec<ChannelStatus>),
    /// How many connections it has closed.
    Closed(usize),
    /// Which of its connections listen, and how far they are behind.
    Listeners(Vec<ListenerStatus>),
}

/// A request that is open; it is forgotten when it is dropped, also by a caller who goes away.
struct OpenRequest<'a> {
    query: &'a ClusterQuery,
    request: u64,
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        self.query.lock().remove(&self.request);
    }
}

impl ClusterQuery {
    /// Returns the queries of a node.
    pub fn new(node: NodeId, broker: Arc<dyn Broker>, hub: Arc<Hub>, life: Lifecycle) -> Self {
        let (requests, open) = (AtomicU64::new(0), Mutex::default());
        Self { node, broker, hub, life, requests, open }
    }

    /// Delivers a node's answer to who waits for it.
    pub fn deliver(&self, request: u64, answer: Answer) {
        if let Some(asker) = self.lock().get(&request) {
            // Who has gone, or has a thousand answers, needs no more.
            let _enough = asker.try_send(answer);
        }
    }

    /// Sends an order or a question to all nodes; what those answer that are there, and whether all did.
    ///
    /// It goes out before anybody is counted: an order must not wait for how many it concerns.
    async fn ask(
        &self,
        question: impl FnOnce(u64) -> Control,
    ) -> Result<(Vec<Answer>, bool), BrokerError> {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let (asker, mut answers) = mpsc::channel(ANSWERS_MAX);
        self.lock().insert(request, asker);
        let _open = OpenRequest { query: self, request };
        let deadline = Instant::now() + PATIENCE;
        let question = question(request).encode(self.hub.history().epoch());
        let heard = self.broker.send(&Topic::Nodes, question).await?;
        let nodes = tokio::time::timeout_at(deadline, self.broker.members(SUBSCRIBED_NODES)).await;
        let nodes = nodes.ok().and_then(Result::ok).map_or(0, |nodes| nodes.len());
        // Who has just come has not announced itself, and one Redis of several counts its own alone.
        let heard = usize::try_from(heard).unwrap_or(ANSWERS_MAX);
        let wanted = nodes.max(heard).min(ANSWERS_MAX);
        let mut all = Vec::new();
        while all.len() < wanted {
            let answer = tokio::time::timeout_at(deadline, answers.recv()).await;
            let Ok(Some(answer)) = answer else { break };
            all.push(answer);
        }
        let is_whole = wanted > 0 && all.len() == wanted;
        Ok((all, is_whole))
    }

    /// Has every node close the connections of a user, and keep them out until then. Returns how many
    /// were closed; none when some node did not say so in time.
    ///
    /// # Errors
    /// When the order was not sent.
    pub async fn disconnect(
        &self,
        user: &str,
        until: Option<i64>,
    ) -> Result<Option<usize>, BrokerError> {
        let node = self.node.to_string();
        let order = |request| Control::Disconnect {
            user: user.to_owned(),
            until,
            reply: Some(ReplyTo { node, request }),
        };
        let (answers, is_whole) = self.ask(order).await?;
        let closed = answers.iter().map(|answer| match answer {
            Answer::Closed(count) => *count,
            Answer::Statuses(_) | Answer::Listeners(_) => 0,
        });
        Ok(is_whole.then(|| closed.sum()))
    }

    /// Returns how far the nodes are that have any of these channels. Nodes that do not answer in
    /// time are left out, and all but this one while the broker is away.
    pub async fn statuses(&self, channels: &[Channel]) -> Vec<ChannelStatus> {
        let node = self.node.to_string();
        let names = channels.iter().map(ToString::to_string).collect();
        let question = |request| Control::Enquire { request, node, channels: names };
        let answers = self.ask(question).await.map(|(answers, _)| answers).unwrap_or_default();
        let mut all = Vec::new();
        for answer in answers {
            if let Answer::Statuses(statuses) = answer {
                all.extend(statuses);
            }
        }
        if !all.iter().any(|status| *status.node == *self.node.0) {
            all.extend(self.own_statuses(channels));
        }
        all.sort_unstable_by(|a, b| a.node.cmp(&b.node));
        all
    }

    /// Returns which connections of all nodes listen to a channel, or how far these are behind. Nodes
    /// that do not answer in time are left out.
    pub async fn listeners(
        &self,
        channel: Option<String>,
        connections: Vec<String>,
    ) -> Vec<ListenerStatus> {
        let node = self.node.to_string();
        let question = |request| Control::EnquireListeners { request, node, channel, connections };
        let answers = self.ask(question).await.map(|(answers, _)| answers).unwrap_or_default();
        let listeners = answers.into_iter().filter_map(|answer| match answer {
            Answer::Listeners(listeners) => Some(listeners),
            Answer::Statuses(_) | Answer::Closed(_) => None,
        });
        listeners.flatten().collect()
    }

    /// Answers another node, or this one, in the background.
    pub fn answer(&self, request: u64, node: String, channels: &[String]) {
        let known: Vec<Channel> =
            channels.iter().filter_map(|name| Channel::parse(name).ok()).collect();
        self.reply(node, &Control::Standings { request, standings: self.own_statuses(&known) });
    }

    /// Sends an answer to a node, in the background.
    pub fn reply(&self, node: String, answer: &Control) {
        let answer = answer.encode(self.hub.history().epoch());
        let broker = Arc::clone(&self.broker);
        self.life.spawn_until_stop(async move {
            let topic = Topic::Node(NodeId(node.into()));
            if let Err(error) = broker.send(&topic, answer).await {
                tracing::debug!(%error, "cluster query: answer not sent, the other node does without");
            }
        });
    }

    fn own_statuses(&self, channels: &[Channel]) -> Vec<ChannelStatus> {
        let status = |channel: &Channel| {
            let state = self.hub.known(channel)?;
            let state = state.lock();
            Some(ChannelStatus {
                node: self.node.to_string(),
                channel: channel.to_string(),
                position: state.position.as_ref().map(|position| position.show(channel)),
                live: state.live.len(),
                behind: state.behind,
            })
        };
        channels.iter().filter_map(status).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<Answer>>> {
        self.open.lock_unpoisoned()
    }
}
