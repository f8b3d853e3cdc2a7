//! Which entities an event changes, and how: the dispatch to the fold of each kind.
//!
//! A fold is pure: it knows the state before, the event and the time of recording, nothing else.
//! Worker and gateway call the same function, so events travel small and both come to the same
//! state.

use super::{
    Event, EventKind, agent, container, deployment,
    entity::{Entity, EntityKind},
    state::State,
    task,
};

impl Event {
    /// The entities whose states the event changes.
    pub fn entities(&self) -> Vec<Entity> {
        let own = |kind| {
            let id = self.id.clone().unwrap_or_default();
            vec![Entity { kind, id }]
        };
        match &self.kind {
            EventKind::DeploymentUpdate | EventKind::DeploymentLog => own(EntityKind::Deployment),
            EventKind::TaskCreated
            | EventKind::TaskUpdate
            | EventKind::TaskLog
            | EventKind::TaskResult => own(EntityKind::Task),
            EventKind::AgentStatus | EventKind::AgentUpdate => own(EntityKind::Agent),
            EventKind::GitStatus => agent::repos(self.body()),
            EventKind::Alert | EventKind::AlertAcknowledged => own(EntityKind::Alert),
            EventKind::ContainerLog
            | EventKind::ContainerStatus
            | EventKind::ContainerError
            | EventKind::ContainerComplete => own(EntityKind::Container),
            EventKind::Notification
            | EventKind::ChatMessage
            | EventKind::System
            | EventKind::Free(_) => Vec::new(),
        }
    }
}

/// Folds one event into the state of one of its entities.
///
/// `state` is none before the entity's first event; the answer is none when the event says nothing
/// about an entity that nobody knows. `recorded` is the time of recording, ms since 1970.
pub fn fold(entity: &Entity, state: Option<State>, event: &Event, recorded: i64) -> Option<State> {
    match entity.kind {
        EntityKind::Deployment => Some(deployment::fold(&entity.id, state, event, recorded)),
        EntityKind::Task => Some(task::fold(&entity.id, state, event, recorded)),
        EntityKind::Agent => Some(agent::fold(&entity.id, state, event, recorded)),
        EntityKind::Container => Some(container::fold(&entity.id, state, event, recorded)),
        EntityKind::Repo => agent::fold_repo(&entity.id, state, event, recorded),
        EntityKind::Alert => agent::fold_alert(&entity.id, state, event, recorded),
    }
}
