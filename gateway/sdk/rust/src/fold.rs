//! The fold: event by event from one state of an entity to the next, by the server's own rules.

use domain::{
    channel::Channel,
    event::{Event as DomainEvent, EventKind, entity::Entity, fold},
};

use crate::{Json, item::Event};

/// Returns the state of the channel's entity after an event; free messages change none.
#[must_use]
pub fn fold(channel: &str, state: Option<Json>, event: &Event) -> Option<Json> {
    let entity = Channel::parse(channel).ok().and_then(|channel| Entity::of(&channel));
    let Some(entity) = entity.filter(|_| !event.free) else { return state };
    let kind = EventKind::from_name(&event.kind);
    let happened = DomainEvent::new(kind, event.id.as_deref(), &event.data.to_string());
    // A server of before says no time of recording.
    fold::fold(&entity, state, &happened, event.recorded.unwrap_or(event.at))
}
