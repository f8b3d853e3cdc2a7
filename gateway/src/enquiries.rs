//! Asking every node how far it is on some channels: over pub/sub, answered within a moment.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use shared::{
    broker::{NodeId, Topic},
    channel::Channel,
    control::{Control, Standing},
};
use tokio::{sync::mpsc, time::Instant};

use crate::{gateway::Gateway, hub::HEARING};

/// How long to wait for nodes that do not answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// The most answers that are kept, and nodes that are waited for.
const ANSWERS_MAX: usize = 1000;

/// Who asked, by request.
#[derive(Debug, Default)]
pub struct Enquiries {
    requests: AtomicU64,
    open: Mutex<HashMap<u64, mpsc::Sender<Vec<Standing>>>>,
}

/// A question that is open; dropped, also by who goes away before it is answered, it is forgotten.
struct Question<'a> {
    enquiries: &'a Enquiries,
    request: u64,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.enquiries.lock().remove(&self.request);
    }
}

impl Enquiries {
    /// Hands an answer to who waits for it.
    pub fn answered(&self, request: u64, standings: Vec<Standing>) {
        if let Some(asker) = self.lock().get(&request) {
            // Who has gone, or has a thousand answers, needs no more.
            let _enough = asker.try_send(standings);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<Vec<Standing>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// How far the nodes are that have any of these channels. Nodes that do not answer in time are
    /// left out, and all but this one while the broker is away.
    pub async fn standings(&self, channels: &[Channel]) -> Vec<Standing> {
        let nodes = self.broker.members(HEARING).await.map_or(0, |nodes| nodes.len());
        let request = self.enquiries.requests.fetch_add(1, Ordering::Relaxed);
        let (asker, mut answers) = mpsc::channel(ANSWERS_MAX);
        self.enquiries.lock().insert(request, asker);
        let _open = Question { enquiries: &self.enquiries, request };
        let names = channels.iter().map(ToString::to_string).collect();
        let question = Control::Enquire { request, node: self.node.to_string(), channels: names };
        let asked = self.broker.send(&Topic::Nodes, question.encode()).await;
        let mut all = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        let mut left = if asked.is_ok() { nodes.min(ANSWERS_MAX) } else { 0 };
        while left > 0 {
            let answer = tokio::time::timeout_at(deadline, answers.recv()).await;
            let Ok(Some(standings)) = answer else { break };
            all.extend(standings);
            left -= 1;
        }
        if !all.iter().any(|standing| *standing.node == *self.node.0) {
            all.extend(self.own_standings(channels));
        }
        all.sort_unstable_by(|a, b| a.node.cmp(&b.node));
        all
    }

    /// Answers another node, or this one.
    pub(crate) fn answer(self: &Arc<Self>, request: u64, node: String, channels: &[String]) {
        let known: Vec<Channel> =
            channels.iter().filter_map(|name| Channel::parse(name).ok()).collect();
        let standings = self.own_standings(&known);
        let gateway = Arc::clone(self);
        self.life.spawn_until_stop(async move {
            let answer = Control::Standings { request, standings }.encode();
            let topic = Topic::Node(NodeId(node.into()));
            if let Err(error) = gateway.broker.send(&topic, answer).await {
                tracing::debug!(%error, "a question of another node stays unanswered");
            }
        });
    }

    fn own_standings(&self, channels: &[Channel]) -> Vec<Standing> {
        let standing = |channel: &Channel| {
            let room = self.hub.known(channel)?;
            let room = room.lock();
            Some(Standing {
                node: self.node.to_string(),
                channel: channel.to_string(),
                position: room.position.as_ref().map(|position| position.show(channel)),
                live: room.live.len(),
                behind: room.behind,
            })
        };
        channels.iter().filter_map(standing).collect()
    }
}
