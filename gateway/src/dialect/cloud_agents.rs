//! Seed 002, cloud agents: clients who see agents, chat, notifications and each other
//! (`protocols.md` §3).

pub mod encoder;
mod frames;

use auth::Identity;
use broker::Registration;
use domain::{
    channel::{Channel, ChannelKind},
    id, json,
};
use runtime::config::{Config, HeartbeatSettings};
use serde_json::Value;
use websocket::{AliveWhen, Heartbeat, Message, OnTimeout, Ping, PingSchedule};

use self::encoder::{ANONYMOUS, ENCODING};
use super::containers;
use crate::{
    cluster::registry::{self, USERS},
    protocol::{
        Command, Dialect, Encoding, Mode, OpenContext, Opening, Refusal, Request, Subscribe, View,
        dialect::json_text,
    },
};

/// How a user may be there.
const PRESENCES: [&str; 4] = ["online", "away", "busy", "offline"];

/// How many characters of an opaque token name its user, in development.
const NAME_CHARS: usize = 8;

/// A client whose input never ran dry for so long sends too much: its page wants it closed.
const FLOOD_MS: u32 = 30_000;

/// The dialect of seed 002.
pub struct CloudAgents;

impl Dialect for CloudAgents {
    fn name(&self) -> &'static str {
        "cloud_agents"
    }

    fn encodings(&self) -> &'static [Encoding] {
        &[ENCODING, ANONYMOUS]
    }

    /// A container program may dial this path as well: its token says so.
    fn recognizes(&self, request: &Request, config: &Config) -> bool {
        request.path == "/ws" && !containers::is_theirs(request, config)
    }

    /// Nobody is refused: who is not authenticated stays, and sees nobody but who is present.
    fn open(&self, request: &Request, context: &OpenContext<'_>) -> Result<Opening, Refusal> {
        let (identity, error) = match identify(request.query("token").unwrap_or_default(), context)
        {
            Ok(identity) => (identity, None),
            Err(error) => (context.auth.anonymous(), Some(error)),
        };
        let user = identity.user.as_deref();
        let sees = |kind| identity.may_read(&Channel::feed(kind));
        let encoding =
            if user.is_some() || sees(ChannelKind::Broadcast) { ENCODING } else { ANONYMOUS };
        let channels = channels(user, sees);
        let mut commands = vec![
            Command::Prepare(channels.clone()),
            Command::Send(frames::auth(identity.user.as_deref(), error.as_deref(), context.now)),
            Command::Send(frames::welcome(context.now)),
        ];
        if let Some(user) = &identity.user {
            let key = registry::key(user, context.connection);
            let value = Some(String::from("null"));
            commands.push(Command::Register(Registration { topic: USERS, key, value }));
        }
        let is_open = user.is_some() || !context.config.production();
        let presence = Channel::feed(ChannelKind::Presence);
        let presence = (is_open || identity.may_read(&presence)).then_some(&presence);
        commands.extend(
            channels
                .iter()
                .chain(presence)
                .map(|channel| Command::Subscribe(Subscribe::granted(channel, Mode::All))),
        );
        Ok(Opening { encoding, identity, protocol: None, commands })
    }

    /// Liveness is the application's own: control pongs come from the client's library, not from
    /// the client, and who is silent ends without a close frame.
    fn heartbeat(&self, settings: &HeartbeatSettings) -> Heartbeat {
        let ms = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Heartbeat {
            ping_ms: ms(settings.cloud_agents_ping),
            timeout_ms: ms(settings.cloud_agents_timeout),
            flood_ms: FLOOD_MS,
            ping: Ping::Message(frames::ping),
            schedule: PingSchedule::Spread,
            alive_when: AliveWhen::Reported,
            on_timeout: OnTimeout::Abort,
        }
    }

    fn decode(&self, message: Message<'_>, view: &View<'_>) -> Vec<Command> {
        let value = json_text(message).and_then(|text| json::value(text.as_bytes()).ok());
        let is_stranger = view.production && !view.identity.is_known();
        if is_stranger && value.as_ref().is_none_or(|value| value["type"] != "ping") {
            return Vec::new();
        }
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return vec![Command::Send(frames::error("Invalid message format", view.now))];
        };
        let mut commands = vec![Command::Alive];
        match value.get("type").and_then(Value::as_str) {
            Some("ping") => commands.push(Command::Send(frames::pong(view.now))),
            Some("user_presence") => {
                let status = value.get("data").and_then(Value::as_str);
                // In production nobody hears of those whom nobody vouched for.
                if view.production && view.identity.user.is_none() {
                    return commands;
                }
                commands.push(match status.filter(|status| PRESENCES.contains(status)) {
                    Some(status) => Command::Presence(status.to_owned()),
                    None => Command::Send(frames::error(
                        "data must be one of online, away, busy, offline",
                        view.now,
                    )),
                });
            }
            _ => {}
        }
        commands
    }
}

/// Who a token says that somebody is. One that verifies counts in both modes; in development the
/// first characters of an opaque one are the user's name.
fn identify(token: &str, context: &OpenContext<'_>) -> Result<Identity, String> {
    if token.is_empty() {
        return Err(String::from("No token provided"));
    }
    let is_opaque = token.split('.').count() != 3;
    match context.auth.token(token) {
        Ok(identity) => Ok(identity),
        Err(_) if is_opaque && !context.config.production() => {
            let name: String = token.chars().take(NAME_CHARS).collect();
            // What no id may hold reads `_`.
            let name: String =
                name.chars().map(|c| if c.is_control() || c == '*' { '_' } else { c }).collect();
            Ok(context.auth.anonymous().named(&format!("user_{name}")))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// What a user listens to; those who are none hear what the system says, and what is open to all.
fn channels(user: Option<&str>, sees: impl Fn(ChannelKind) -> bool) -> Vec<Channel> {
    let feeds = [ChannelKind::Agents, ChannelKind::Conversations]
        .into_iter()
        .filter(|feed| user.is_some() || sees(*feed))
        .chain([ChannelKind::Broadcast]);
    let mut channels: Vec<Channel> = feeds.map(Channel::feed).collect();
    // A name that is no id has no channel: nothing can be addressed to it.
    if let Some(user) = user.filter(|user| id::check(user).is_ok()) {
        channels.push(Channel::entity(ChannelKind::User, user));
    }
    channels
}

#[cfg(test)]
mod tests;
