//! Asking every node how far it is on some channels: over pub/sub, answered within a moment.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use broker::{Broker, Topic};
use domain::{
    channel::Channel,
    control::{ChannelStatus, Control},
    node::NodeId,
};
use runtime::lifecycle::Lifecycle;
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
    open: Mutex<HashMap<u64, mpsc::Sender<Vec<ChannelStatus>>>>,
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
    pub fn deliver(&self, request: u64, statuses: Vec<ChannelStatus>) {
        if let Some(asker) = self.lock().get(&request) {
            // Who has gone, or has a thousand answers, needs no more.
            let _enough = asker.try_send(statuses);
        }
    }

    /// Returns how far the nodes are that have any of these channels. Nodes that do not answer in
    /// time are left out, and all but this one while the broker is away.
    pub async fn statuses(&self, channels: &[Channel]) -> Vec<ChannelStatus> {
        let nodes = self.broker.members(SUBSCRIBED_NODES).await.map_or(0, |nodes| nodes.len());
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let (asker, mut answers) = mpsc::channel(ANSWERS_MAX);
        self.lock().insert(request, asker);
        let _open = OpenRequest { query: self, request };
        let names = channels.iter().map(ToString::to_string).collect();
        let question = Control::Enquire { request, node: self.node.to_string(), channels: names };
        let asked =
            self.broker.send(&Topic::Nodes, question.encode(self.hub.history().epoch())).await;
        let mut all = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        let mut left = if asked.is_ok() { nodes.min(ANSWERS_MAX) } else { 0 };
        while left > 0 {
            let answer = tokio::time::timeout_at(deadline, answers.recv()).await;
            let Ok(Some(statuses)) = answer else { break };
            all.extend(statuses);
            left -= 1;
        }
        if !all.iter().any(|status| *status.node == *self.node.0) {
            all.extend(self.own_statuses(channels));
        }
        all.sort_unstable_by(|a, b| a.node.cmp(&b.node));
        all
    }

    /// Answers another node, or this one, in the background.
    pub fn answer(&self, request: u64, node: String, channels: &[String]) {
        let known: Vec<Channel> =
            channels.iter().filter_map(|name| Channel::parse(name).ok()).collect();
        let answer = Control::Standings { request, standings: self.own_statuses(&known) };
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

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<Vec<ChannelStatus>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
