//! Seed 001, the cockpit: agents that get tasks and give results (`protocols.md` §2).

pub mod dashboard;
pub mod encoder;
mod incoming;
pub mod routes;
mod shapes;
mod task;
mod work;
mod zod;

use std::time::Duration;

use auth::{Identity, same_secret};
use domain::{
    entry::Fields,
    event::submission::field,
    json::{DEPTH_MAX, Document, JsonError},
    source::Stream,
};
use http::StatusCode;
use runtime::config::{Config, HeartbeatSettings};
use serde_json::Value;
use websocket::{AliveWhen, Frame, Heartbeat, Message, OnTimeout, Ping, PingSchedule, close};

use self::{dashboard::DASHBOARD, encoder::ENCODING};
use crate::protocol::{
    Command, Dialect, DrainNotice, Encoding, Ending, OpenContext, Opening, Refusal, Request,
    Sender, View, WatchedTopic,
};

/// The dialect of seed 001.
pub struct Cockpit;

impl Dialect for Cockpit {
    fn name(&self) -> &'static str {
        "cockpit"
    }

    fn encodings(&self) -> &'static [Encoding] {
        &[ENCODING, DASHBOARD]
    }

    /// The documents' path, and the one that real agents dial: with a header that says who they are.
    fn recognizes(&self, request: &Request, _config: &Config) -> bool {
        request.path == "/api/ws" || (request.path == "/ws" && request.has_agent_header())
    }

    fn open(&self, request: &Request, context: &OpenContext<'_>) -> Result<Opening, Refusal> {
        // On /ws a token in the query is seed 002's.
        let token = request.query("token").filter(|_| request.path == "/api/ws");
        let given = [request.bearer(), request.api_key.as_deref(), token];
        if !is_open_to(context.config, given) {
            return Err(Refusal::Http { status: StatusCode::UNAUTHORIZED, body: "Unauthorized" });
        }
        Ok(Opening {
            encoding: ENCODING,
            identity: context.auth.anonymous(),
            protocol: None,
            commands: Vec::new(),
        })
    }

    /// Sockets that never said which agent they are: only the end of the wire is noticed.
    fn heartbeat(&self, settings: &HeartbeatSettings) -> Heartbeat {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Heartbeat {
            ping_ms: ms(settings.ping),
            timeout_ms: ms(settings.timeout),
            flood_ms: 0,
            ping: Ping::Control,
            schedule: PingSchedule::Spread,
            alive_when: AliveWhen::AnyFrame,
            on_timeout: OnTimeout::Abort,
        }
    }

    /// Agents answer the protocol's own ping; staleness is judged on the same clock.
    fn heartbeat_of_known(&self, settings: &HeartbeatSettings) -> Option<Heartbeat> {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Some(Heartbeat {
            ping_ms: ms(settings.cockpit_ping),
            timeout_ms: ms(settings.cockpit_stale),
            flood_ms: 0,
            ping: Ping::Message(|now| {
                Frame::text(&format!(r#"{{"type":"ping","timestamp":{now}}}"#))
            }),
            schedule: PingSchedule::Aligned,
            alive_when: AliveWhen::Reported,
            on_timeout: OnTimeout::Close {
                code: close::DONE,
                reason: "Stale connection",
                last: None,
            },
        })
    }

    fn sender(&self, _identity: &Identity, _production: bool) -> Sender {
        Sender::Agent
    }

    fn decode(&self, message: Message<'_>, view: &View<'_>) -> Vec<Command> {
        // Binary frames were never looked at.
        let Message::Text(text) = message else { return Vec::new() };
        // As deep as the event that it becomes.
        let document = Document::within(text.as_bytes(), DEPTH_MAX);
        let value =
            document.and_then(|document| document.parse::<Value>().map_err(JsonError::from));
        let read = value.map_err(|_| zod::no_json().into());
        match read.and_then(|value| incoming::understand(shapes::modern(value), view)) {
            Ok(commands) => commands,
            Err(issues) => vec![Command::Send(zod::error_frame(issues))],
        }
    }

    /// Sockets that never said which agent they are may be dashboards, one of which comes back only
    /// after an unclean end (`protocols.md` §2).
    fn drain_notice(&self, _after_ms: u64, is_known: bool) -> DrainNotice {
        let notice = DrainNotice::default();
        if is_known { notice } else { DrainNotice { ending: Ending::Cut, ..notice } }
    }

    /// Real agents keep what has changed in their repositories to themselves until they are asked.
    fn reminder(&self, settings: &HeartbeatSettings) -> Option<(Duration, Frame)> {
        Some((settings.cockpit_status_request, incoming::status_request()))
    }

    /// An agent whose last connection is gone is offline.
    fn topics(&self) -> &'static [WatchedTopic] {
        &[WatchedTopic { topic: incoming::AGENTS, gone: offline, returned }]
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

/// Returns the entry that says that an agent has gone.
fn offline(agent: &str) -> (Stream, Fields) {
    status(agent, "offline")
}

/// Returns the entry that says again how an agent is, as it is listed.
fn returned(agent: &str, listed: &str) -> Option<(Stream, Fields)> {
    let listed: Value = serde_json::from_str(listed).ok()?;
    listed["status"].as_str().map(|word| status(agent, word))
}

fn status(agent: &str, word: &str) -> (Stream, Fields) {
    let mut fields = Fields::default();
    fields.push(field::TYPE, "agent_status");
    fields.push(field::ID, agent);
    fields.push(field::DATA, serde_json::json!({ "status": word }).to_string());
    (Stream::Agents, fields)
}

#[cfg(test)]
mod tests;
