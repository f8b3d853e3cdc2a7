//! The port to work: what owners and nodes ask of the queue.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{source::Source, work::matching::WaitingTask};

use super::{
    agents::{AgentSocket, Attempts, Beat, ConnectedAgent, Said},
    due::{DueTask, Spans},
    handover::{Claimed, Handover},
    signals::{Dependent, Signal, SignalKind},
    view::{GroupView, QueueView, TaskView},
};
use crate::StoreError;

/// What is asked of the queue.
#[async_trait]
pub trait WorkStore: Send + Sync {
    /// The time by the database's clock, ms since 1970.
    async fn clock(&self) -> Result<i64, StoreError>;

    /// Whether a source has tasks that did not end.
    async fn has_open_tasks(&self, source: Source) -> Result<bool, StoreError>;

    /// What was due for tasks of a source at a time, by the database's clock.
    async fn due(
        &self,
        source: Source,
        at: i64,
        spans: Spans,
        limit: i64,
    ) -> Result<Vec<DueTask>, StoreError>;

    /// Lets the grace of agents that are gone stand still for so long, ms.
    async fn stand_still(&self, source: Source, ms: i64) -> Result<(), StoreError>;

    /// The agents that are connected, each once.
    async fn connected_agents(&self) -> Result<Vec<ConnectedAgent>, StoreError>;

    /// The lanes of a source in which tasks wait for an agent alone, the one with the oldest first.
    async fn lanes(&self, source: Source) -> Result<Vec<String>, StoreError>;

    /// The tasks that wait in a lane, in the order in which they are served.
    async fn waiting_in(
        &self,
        source: Source,
        lane: &str,
        limit: usize,
    ) -> Result<Vec<WaitingTask>, StoreError>;

    /// Tasks of a source that wait and that an agent rejected.
    async fn rejected_tasks(
        &self,
        source: Source,
        limit: i64,
    ) -> Result<Vec<WaitingTask>, StoreError>;

    /// What the owner of a source has to look at, oldest first.
    async fn signals(&self, source: Source, limit: i64) -> Result<Vec<Signal>, StoreError>;

    /// Removes signals that were looked at, and counts anew what their tasks wait for.
    async fn settle(&self, signals: &[Signal]) -> Result<(), StoreError>;

    /// Signals to the owners of tasks.
    async fn signal(&self, kind: SignalKind, tasks: &[&str]) -> Result<(), StoreError>;

    /// What tasks depend on, by task.
    async fn dependencies(&self, tasks: &[&str]) -> Result<Vec<(Box<str>, Dependent)>, StoreError>;

    /// Pairs of a task that waits and one that it leads to by what it depends on.
    async fn reach(&self, tasks: &[&str]) -> Result<Vec<(Box<str>, Box<str>)>, StoreError>;

    /// Tasks of a group, of one source, that did not end.
    async fn group_members(
        &self,
        source: Source,
        group: &str,
        limit: i64,
    ) -> Result<Vec<Box<str>>, StoreError>;

    /// Removes the sockets of nodes without a heartbeat; what their agents had is orphaned.
    async fn reap_agents(&self) -> Result<(), StoreError>;

    /// Says that a gateway lives; what is known of it.
    async fn beat(&self, node: &str) -> Result<Beat, StoreError>;

    /// Writes what an agent said on a socket of a node. Answers which of the attempts that it says it runs are not its own any more.
    async fn seat_agent(
        &self,
        node: &str,
        socket: &AgentSocket,
        said: &Said,
    ) -> Result<Attempts, StoreError>;

    /// Removes a socket that is gone; what its agent had by it is orphaned.
    async fn unseat_agent(&self, connection: &str) -> Result<(), StoreError>;

    /// What a node has to write to its agents.
    async fn handovers(&self, node: &str) -> Result<Vec<Handover>, StoreError>;

    /// Claims an attempt to be written by a socket; none when it is over, or was claimed before.
    async fn claim_attempt(&self, handover: &Handover) -> Result<Option<Claimed>, StoreError>;

    /// Takes a claim back: the frame was not written.
    async fn unclaim_attempt(&self, handover: &Handover) -> Result<(), StoreError>;

    /// Notes that an agent is told to stop; whether nobody else told it before.
    async fn cancellation_written(&self, handover: &Handover) -> Result<bool, StoreError>;

    /// A task for one, as it is shown.
    async fn task(&self, id: &str) -> Result<Option<TaskView>, StoreError>;

    /// The queue, as it is shown.
    async fn queue(&self) -> Result<QueueView, StoreError>;

    /// How many tasks for one there are, by status.
    async fn task_counts(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// A group; none that nobody ever named.
    async fn group(&self, id: &str) -> Result<Option<GroupView>, StoreError>;

    /// Closes a group, with who asked for it and why as JSON; how many of its tasks that ends.
    async fn close_group(&self, id: &str, asked: &str) -> Result<u64, StoreError>;
}
