//! What the page of `ZeroState` is told: tasks, agents and what the system says.

use domain::{
    channel::{Channel, ChannelKind},
    event::{
        Event, EventKind, State,
        entity::{Entity, EntityKind},
    },
    position::Position,
    publication::Publication,
};
use websocket::Frame;

use super::{
    frames,
    tasks::{self, Summaries, Summary},
};
use crate::protocol::{ChannelMemo, Encoder, Encoding, encoder::is_addressed};

/// The encoding of sockets that see everything that is meant for all.
pub const KNOWN: Encoding = Encoding::new(3, &ZeroStateEncoder(Audience::Known));

/// The encoding of sockets that nobody vouches for, in production.
pub const ANONYMOUS: Encoding = Encoding::new(4, &ZeroStateEncoder(Audience::Anonymous));

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    /// Those who may see everything that is meant for all.
    Known,
    /// Those whom nobody vouches for, in production: of what is meant for all, what the system says.
    Anonymous,
}

struct ZeroStateEncoder(Audience);

impl Encoder for ZeroStateEncoder {
    fn dialect(&self) -> &'static str {
        "zerostate"
    }

    /// Leaves out what only the task's other events say: that comes from the memo.
    fn event(&self, publication: &Publication, _position: &Position) -> Option<Frame> {
        let channel = &publication.channel;
        let event = &publication.recorded.event;
        let known = self.0 == Audience::Known;
        let is_on = |kind: ChannelKind| channel.kind() == kind;
        match &event.kind {
            kind if tasks::is_shown(kind) => {
                let summary = Summary::default().after(&event.kind, event.body());
                is_on(ChannelKind::Tasks).then(|| frames::task_update(event, &summary))
            }
            EventKind::AgentStatus => {
                is_on(ChannelKind::Agents).then(|| frames::agent_status(event))
            }
            EventKind::AgentUpdate => {
                is_on(ChannelKind::Agents).then(|| frames::agent_update(event))
            }
            EventKind::ChatMessage => {
                is_on(ChannelKind::Conversations).then(|| frames::message(channel, event))
            }
            EventKind::Notification | EventKind::Free(_) => (known
                && is_addressed(channel, event.id.as_deref()))
            .then(|| frames::message(channel, event)),
            EventKind::System => {
                is_addressed(channel, event.id.as_deref()).then(|| frames::message(channel, event))
            }
            _ => None,
        }
    }

    fn memo(&self, channel: &Channel) -> Option<Box<dyn ChannelMemo>> {
        (channel.kind() == ChannelKind::Tasks).then(|| Box::new(Summaries::default()) as _)
    }
}

impl ChannelMemo for Summaries {
    fn lacks(&self, event: &Event) -> Option<Entity> {
        let id = event.id.as_deref()?;
        Self::lacks(self, id, &event.kind).then(|| Entity { kind: EntityKind::Task, id: id.into() })
    }

    fn remember(&mut self, entity: &Entity, state: &State) {
        self.insert(&entity.id, Summary::of(state));
    }

    /// Writes a task's event with what is known of the task from elsewhere.
    fn encode(&mut self, publication: &Publication) -> Option<Frame> {
        let event = &publication.recorded.event;
        if !tasks::is_shown(&event.kind) {
            return None;
        }
        let task = event.id.as_deref()?;
        let summary = self.advance(task, &event.kind, event.body());
        Some(frames::task_update(event, &summary))
    }
}
