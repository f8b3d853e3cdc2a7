//! Seed 003, `ZeroState`: a page that shows tasks, agents and what the system says
//! (`protocols.md` §4).

pub mod encoder;
mod frames;
pub mod routes;
pub mod stats;
mod tasks;

use domain::{
    channel::{Channel, ChannelKind},
    excerpt::EXCERPT_CHARS_MAX,
    id, json,
};
use http::StatusCode;
use runtime::config::{Config, HeartbeatSettings};
use serde_json::Value;
use websocket::{AliveWhen, Heartbeat, Message, OnTimeout, Ping, PingSchedule};

use self::encoder::{ANONYMOUS, KNOWN};
use crate::protocol::{
    Command, Dialect, Encoding, Mode, OpenContext, Opening, Refusal, Request, Subscribe, View,
    dialect::json_text,
};

/// What a ping without a time is answered with: Go's zero time.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// The dialect of seed 003.
pub struct ZeroState;

impl Dialect for ZeroState {
    fn name(&self) -> &'static str {
        "zerostate"
    }

    fn encodings(&self) -> &'static [Encoding] {
        &[KNOWN, ANONYMOUS]
    }

    fn recognizes(&self, request: &Request, _config: &Config) -> bool {
        request.path == "/api/v1/ws/connect"
    }

    /// Browsers cannot send headers, so nobody needs a token; a wrong one is refused.
    fn open(&self, request: &Request, context: &OpenContext<'_>) -> Result<Opening, Refusal> {
        let identity = match request.credential() {
            Some(token) => context.auth.credential(token).ok(),
            None => request.authorization.is_none().then(|| context.auth.anonymous()),
        };
        let Some(identity) = identity else {
            let body = r#"{"error":"unauthorized","message":"invalid token"}"#;
            return Err(Refusal::Http { status: StatusCode::UNAUTHORIZED, body });
        };
        let is_open = identity.is_known() || !context.config.production();
        let sees = |kind| identity.may_read(&Channel::feed(kind));
        let encoding = if is_open || sees(ChannelKind::Broadcast) { KNOWN } else { ANONYMOUS };
        let feeds = [
            (ChannelKind::Broadcast, true),
            (ChannelKind::Tasks, is_open || sees(ChannelKind::Tasks)),
            (ChannelKind::Agents, is_open || sees(ChannelKind::Agents)),
            (ChannelKind::Conversations, identity.is_known() || sees(ChannelKind::Conversations)),
        ];
        let feeds = feeds.into_iter().filter_map(|(feed, is_seen)| is_seen.then_some(feed));
        let channels = channels(feeds, identity.user.as_deref());
        let mut commands = vec![
            Command::Prepare(channels.clone()),
            Command::Send(frames::welcome(context.connection, context.now)),
        ];
        commands
            .extend(channels.iter().map(|c| Command::Subscribe(Subscribe::granted(c, Mode::All))));
        Ok(Opening { encoding, identity, protocol: None, commands })
    }

    fn heartbeat(&self, settings: &HeartbeatSettings) -> Heartbeat {
        let ms = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Heartbeat {
            ping_ms: ms(settings.zerostate_ping),
            timeout_ms: ms(settings.zerostate_timeout),
            flood_ms: 0,
            ping: Ping::Control,
            schedule: PingSchedule::Spread,
            alive_when: AliveWhen::ControlPong,
            on_timeout: OnTimeout::Abort,
        }
    }

    /// Only a ping is answered; what is unknown or broken is ignored without a word.
    fn decode(&self, message: Message<'_>, view: &View<'_>) -> Vec<Command> {
        let value = json_text(message).and_then(|text| json::value(text.as_bytes()).ok());
        let Some(value) = value.filter(|value| value.get("type").is_some_and(|t| t == "ping"))
        else {
            return Vec::new();
        };
        let has_data = value.get("data").is_none_or(|data| data.is_object() || data.is_null());
        let received = match value.get("timestamp") {
            None | Some(Value::Null) => Some(NO_TIME),
            Some(at) => at.as_str().filter(|at| {
                at.len() <= EXCERPT_CHARS_MAX && at.parse::<jiff::Timestamp>().is_ok()
            }),
        };
        let received = received.filter(|_| has_data);
        received.map(|at| Command::Send(frames::pong(at, view.now))).into_iter().collect()
    }
}

fn channels(feeds: impl Iterator<Item = ChannelKind>, user: Option<&str>) -> Vec<Channel> {
    let mut channels: Vec<Channel> = feeds.map(Channel::feed).collect();
    // A name that is no id has no channel: nothing can be addressed to it.
    if let Some(user) = user.filter(|user| id::check(user).is_ok()) {
        channels.push(Channel::entity(ChannelKind::User, user));
    }
    channels
}

#[cfg(test)]
mod tests;
