//! Seed 000, deployment tracking: one deployment per socket, always its whole state
//! (`protocols.md` §1).

pub mod encoder;
mod mock;
pub mod routes;
mod update;

use domain::{
    channel::{Channel, ChannelKind},
    id, json,
};
use http::StatusCode;
use runtime::config::{Config, HeartbeatSettings};
use websocket::{AliveWhen, Frame, Heartbeat, Message, OnTimeout, Ping, PingSchedule};

use self::encoder::ENCODING;
use crate::protocol::{
    Command, Dialect, Encoding, Mode, OpenContext, Opening, Refusal, Request, Subscribe, View,
};

/// The dialect of seed 000.
pub struct Deployments;

impl Dialect for Deployments {
    fn name(&self) -> &'static str {
        "deployments"
    }

    fn encodings(&self) -> &'static [Encoding] {
        &[ENCODING]
    }

    fn recognizes(&self, request: &Request, _config: &Config) -> bool {
        request.path == "/deployment-ws"
            || (request.path == "/" && request.query("deploymentId").is_some())
            || (request.path == "/" && request.query("token").is_none())
    }

    fn open(&self, request: &Request, context: &OpenContext<'_>) -> Result<Opening, Refusal> {
        let refuse = |status, body| Refusal::Http { status, body };
        let deployment = request.query("deploymentId").filter(|id| !id.is_empty());
        let Some(id) = deployment else {
            // Decided: a container program without its token hears 401, everybody else 400.
            return Err(if request.path == "/" && request.query("containerID").is_some() {
                refuse(StatusCode::UNAUTHORIZED, "Unauthorized")
            } else {
                refuse(StatusCode::BAD_REQUEST, "Missing deploymentId parameter")
            });
        };
        if id::check(id).is_err() {
            return Err(refuse(StatusCode::BAD_REQUEST, "Invalid deploymentId parameter"));
        }
        let channel = Channel::entity(ChannelKind::Deployment, id);
        // A seed's client has no token; a bearer of ours may come this way all the same.
        let identity = match request.bearer() {
            Some(token) => context
                .auth
                .credential(token)
                .map_err(|_| refuse(StatusCode::UNAUTHORIZED, "Unauthorized"))?,
            None => context.auth.anonymous(),
        };
        if !identity.may_read(&channel) {
            return Err(refuse(StatusCode::UNAUTHORIZED, "Unauthorized"));
        }
        Ok(Opening {
            encoding: ENCODING,
            identity,
            protocol: None,
            commands: vec![Command::Subscribe(Subscribe::granted(&channel, Mode::Latest))],
        })
    }

    /// Its clients ping every 30 s by themselves and the server never closes; control pings find
    /// the sockets whose peer is gone.
    fn heartbeat(&self, settings: &HeartbeatSettings) -> Heartbeat {
        Heartbeat {
            ping_ms: u32::try_from(settings.ping.as_millis()).unwrap_or(u32::MAX),
            timeout_ms: u32::try_from(settings.timeout.as_millis()).unwrap_or(u32::MAX),
            flood_ms: 0,
            ping: Ping::Control,
            schedule: PingSchedule::Spread,
            alive_when: AliveWhen::AnyFrame,
            on_timeout: OnTimeout::Abort,
        }
    }

    /// Only a ping is answered; everything else is ignored without a word.
    fn decode(&self, message: Message<'_>, _view: &View<'_>) -> Vec<Command> {
        let Message::Text(text) = message else { return Vec::new() };
        let is_ping = json::value(text.as_bytes())
            .is_ok_and(|message| message.get("type").is_some_and(|kind| kind == "ping"));
        if is_ping { vec![Command::Send(Frame::text(r#"{"type":"pong"}"#))] } else { Vec::new() }
    }
}
