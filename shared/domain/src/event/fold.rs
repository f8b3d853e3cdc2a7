//! How an event changes an entity: the dispatch to the fold of each kind.
//!
//! A fold is pure: it knows the state before, the event and the time of recording, nothing else.
//! Worker and gateway call the same function, so events travel small and both come to the same
//! state; clients in other languages are held to it by `tests/vectors/fold`.

use super::{
    Event, EventKind, agent, alert, container, deployment,
    entity::{Entity, EntityKind},
    repo,
    state::State,
    task,
};

impl Event {
    /// Returns the entities whose states the event changes, each once.
    pub fn entities(&self) -> Vec<Entity> {
        if self.kind == EventKind::GitStatus {
            return self.repos().keys().map(|id| Entity::new(EntityKind::Repo, id)).collect();
        }
        let id = self.id.as_deref().unwrap_or_default();
        self.kind.entity().map(|kind| Entity::new(kind, id)).into_iter().collect()
    }
}

/// Folds one event into the state of one of its entities.
///
/// `state` is none before the entity's first event; the answer is none when the event says nothing
/// about an entity that nobody knows. `recorded` is the time of recording, ms since 1970.
pub fn fold(entity: &Entity, state: Option<State>, event: &Event, recorded: i64) -> Option<State> {
    if event.kind.entity() != Some(entity.kind) && entity.kind != EntityKind::Repo {
        return state;
    }
    match entity.kind {
        EntityKind::Deployment => Some(deployment::fold(&entity.id, state, event, recorded)),
        EntityKind::Task => Some(task::fold(&entity.id, state, event, recorded)),
        EntityKind::Agent => Some(agent::fold(&entity.id, state, event, recorded)),
        EntityKind::Container => Some(container::fold(&entity.id, state, event, recorded)),
        EntityKind::Repo => repo::fold(&entity.id, state, event, recorded),
        EntityKind::Alert => alert::fold(&entity.id, state, event, recorded),
    }
}
