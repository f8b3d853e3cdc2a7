//! Seed 001, the cockpit: agents that get tasks and give results (`protocols.md` §2).

mod incoming;
mod routes;
mod shapes;
mod task;
mod zod;

use axum::Router;
use http::StatusCode;
use serde_json::Value;
use shared::{auth::same_secret, config::Config, config::Rhythms, event::EventKind};

use super::{Command, Dialect, Doors, Encoding, Opening, Refusal, View};
use crate::{
    connection::{Message, close},
    frame::Frame,
    gateway::GatewayState,
    heartbeat::{Death, Heartbeat, Life, Ping, Rhythm},
    publication::Outgoing,
    upgrade::Upgrade,
};

/// The dialect of seed 001.
pub struct Cockpit;

impl Dialect for Cockpit {
    fn name(&self) -> &'static str {
        "cockpit"
    }

    /// The documents' path, and the one that real agents dial: with a header that says who they are.
    fn recognizes(&self, upgrade: &Upgrade) -> bool {
        upgrade.path == "/api/ws" || (upgrade.path == "/ws" && upgrade.has_agent_header())
    }

    fn open(&self, upgrade: &Upgrade, doors: &Doors<'_>) -> Result<Opening, Refusal> {
        // On /ws a token in the query is seed 002's.
        let token = upgrade.query("token").filter(|_| upgrade.path == "/api/ws");
        let given = [upgrade.bearer(), upgrade.api_key.as_deref(), token];
        if !is_open_to(doors.config, given) {
            return Err(Refusal::Http { status: StatusCode::UNAUTHORIZED, body: "Unauthorized" });
        }
        Ok(Opening {
            encoding: Encoding::Cockpit,
            identity: doors.auth.anonymous(),
            protocol: None,
            commands: Vec::new(),
        })
    }

    /// Sockets that never said which agent they are: only the end of the wire is noticed.
    fn heartbeat(&self, rhythms: &Rhythms) -> Heartbeat {
        let ms = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Heartbeat {
            ping_ms: ms(rhythms.ping),
            timeout_ms: ms(rhythms.timeout),
            ping: Ping::Control,
            rhythm: Rhythm::Own,
            life: Life::AnyFrame,
            death: Death::Abort,
        }
    }

    /// Agents answer the protocol's own ping; staleness is judged on the same clock.
    fn heartbeat_of_known(&self, rhythms: &Rhythms) -> Option<Heartbeat> {
        let ms = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Some(Heartbeat {
            ping_ms: ms(rhythms.cockpit_ping),
            timeout_ms: ms(rhythms.cockpit_stale),
            ping: Ping::Message(|now| {
                Frame::text(&format!(r#"{{"type":"ping","timestamp":{now}}}"#))
            }),
            rhythm: Rhythm::Clock,
            life: Life::Reported,
            death: Death::Close { code: close::DONE, reason: "Stale connection", last: None },
        })
    }

    fn decode(&self, message: Message<'_>, view: &View<'_>) -> Vec<Command> {
        // Binary frames were never looked at.
        let Message::Text(text) = message else { return Vec::new() };
        let value = serde_json::from_str::<Value>(text);
        let read = value.map_err(|_| vec![zod::no_json()]);
        match read.and_then(|value| incoming::understand(shapes::modern(value), view)) {
            Ok(commands) => commands,
            Err(issues) => vec![Command::Send(zod::error_frame(&issues))],
        }
    }

    fn routes(&self) -> Router<GatewayState> {
        routes::routes()
    }
}

/// Whether one of the credentials is one of the keys; without a key only development is open.
fn is_open_to<'a>(config: &Config, given: impl IntoIterator<Item = Option<&'a str>>) -> bool {
    let keys = &config.access.cockpit_keys;
    if keys.is_empty() {
        return !config.production();
    }
    given.into_iter().flatten().any(|given| keys.iter().any(|key| same_secret(given, key)))
}

/// The frame of an event: agents hear of new tasks and of nothing else.
pub(super) fn encode(outgoing: &Outgoing) -> Option<Frame> {
    let event = &outgoing.publication.recorded.event;
    match &event.kind {
        EventKind::TaskCreated => task::frame(event),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
