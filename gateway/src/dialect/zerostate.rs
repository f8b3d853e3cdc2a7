//! Seed 003, `ZeroState`: a page that shows tasks, agents and what the system says
//! (`protocols.md` §4).

mod frames;
mod routes;
pub mod stats;
pub(crate) mod tasks;

use axum::Router;
use http::StatusCode;
use serde_json::Value;
use shared::{
    channel::{Channel, ChannelKind},
    config::Rhythms,
    event::EventKind,
    id,
};

use super::{
    Command, Dialect, Doors, Encoding, Opening, Refusal, Subscribe, View, is_addressed, json_text,
};
use crate::{
    connection::Message,
    frame::Frame,
    gateway::GatewayState,
    heartbeat::{Death, Heartbeat, Life, Ping, Rhythm},
    hub::listener::Mode,
    publication::Outgoing,
    upgrade::Upgrade,
};

/// What a ping without a time is answered with: Go's zero time.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// The dialect of seed 003.
pub struct ZeroState;

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Somebody who may see everything that is meant for all.
    Known,
    /// Somebody whom nobody vouches for, in production: what the system says, and free types.
    Stranger,
}

impl Dialect for ZeroState {
    fn name(&self) -> &'static str {
        "zerostate"
    }

    fn recognizes(&self, upgrade: &Upgrade) -> bool {
        upgrade.path == "/api/v1/ws/connect"
    }

    /// Browsers cannot send headers, so nobody needs a token; a wrong one is refused.
    fn open(&self, upgrade: &Upgrade, doors: &Doors<'_>) -> Result<Opening, Refusal> {
        let given = upgrade.bearer().or(upgrade.query("token")).filter(|token| !token.is_empty());
        let identity = match given {
            Some(token) => doors.auth.credential(token).ok(),
            None => upgrade.authorization.is_none().then(|| doors.auth.anonymous()),
        };
        let Some(identity) = identity else {
            let body = r#"{"error":"unauthorized","message":"invalid token"}"#;
            return Err(Refusal::Http { status: StatusCode::UNAUTHORIZED, body });
        };
        let encoding = if identity.is_known() || !doors.config.production() {
            Encoding::ZeroState
        } else {
            Encoding::ZeroStateAnonymous
        };
        let channels = channels(encoding, identity.is_known(), identity.user.as_deref());
        let mut commands = vec![
            Command::Prepare(channels.clone()),
            Command::Send(frames::welcome(doors.connection, doors.now)),
        ];
        commands
            .extend(channels.iter().map(|c| Command::Subscribe(Subscribe::granted(c, Mode::All))));
        Ok(Opening { encoding, identity, protocol: None, commands })
    }

    fn heartbeat(&self, rhythms: &Rhythms) -> Heartbeat {
        let ms = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Heartbeat {
            ping_ms: ms(rhythms.zerostate_ping),
            timeout_ms: ms(rhythms.zerostate_timeout),
            ping: Ping::Control,
            rhythm: Rhythm::Own,
            life: Life::ControlPong,
            death: Death::Abort,
        }
    }

    /// Only a ping is answered; what is unknown or broken is ignored without a word.
    fn decode(&self, message: Message<'_>, view: &View<'_>) -> Vec<Command> {
        let value = json_text(message).and_then(|text| serde_json::from_str::<Value>(text).ok());
        let Some(value) = value.filter(|value| value.get("type").is_some_and(|t| t == "ping"))
        else {
            return Vec::new();
        };
        let has_data = value.get("data").is_none_or(|data| data.is_object() || data.is_null());
        let received = match value.get("timestamp") {
            None | Some(Value::Null) => Some(NO_TIME),
            Some(at) => at.as_str().filter(|at| at.parse::<jiff::Timestamp>().is_ok()),
        };
        let received = received.filter(|_| has_data);
        received.map(|at| Command::Send(frames::pong(at, view.now))).into_iter().collect()
    }

    fn routes(&self) -> Router<GatewayState> {
        routes::routes()
    }
}

/// The frame of a task's event with what is known of the task from elsewhere.
pub(crate) fn tell(outgoing: &Outgoing, tasks: &mut tasks::Summaries) -> Option<Frame> {
    let event = &outgoing.publication.recorded.event;
    if event.kind == EventKind::TaskLog {
        return None;
    }
    let task = event.id.as_deref()?;
    let summary = tasks.advance(task, &event.kind, event.body());
    Some(frames::task_update(event, &summary))
}

fn channels(encoding: Encoding, is_known: bool, user: Option<&str>) -> Vec<Channel> {
    let mut feeds = vec![ChannelKind::Broadcast];
    if encoding == Encoding::ZeroState {
        feeds.extend([ChannelKind::Tasks, ChannelKind::Agents]);
    }
    if is_known {
        feeds.push(ChannelKind::Conversations);
    }
    let mut channels: Vec<Channel> = feeds.into_iter().map(Channel::feed).collect();
    // A name that is no id has no channel: nothing can be addressed to it.
    if let Some(user) = user.filter(|user| id::check(user).is_ok()) {
        channels.push(Channel::entity(ChannelKind::User, user));
    }
    channels
}

/// The frame of an event, without what only the task's other events say ([`tasks`]).
pub(super) fn encode(outgoing: &Outgoing, reader: Reader) -> Option<Frame> {
    let channel = &outgoing.publication.channel;
    let event = &outgoing.publication.recorded.event;
    let known = reader == Reader::Known;
    match &event.kind {
        EventKind::TaskCreated | EventKind::TaskUpdate | EventKind::TaskResult => {
            let summary = tasks::Summary::default().after(&event.kind, event.body());
            (known && channel.kind() == ChannelKind::Tasks)
                .then(|| frames::task_update(event, &summary))
        }
        EventKind::AgentStatus => {
            (known && channel.kind() == ChannelKind::Agents).then(|| frames::agent_status(event))
        }
        EventKind::AgentUpdate => {
            (known && channel.kind() == ChannelKind::Agents).then(|| frames::agent_update(event))
        }
        EventKind::ChatMessage => (known && channel.kind() == ChannelKind::Conversations)
            .then(|| frames::message(channel, event)),
        EventKind::Notification => (known && is_addressed(channel, event.id.as_deref()))
            .then(|| frames::message(channel, event)),
        EventKind::System | EventKind::Free(_) => {
            is_addressed(channel, event.id.as_deref()).then(|| frames::message(channel, event))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
