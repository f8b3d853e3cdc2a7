//! Seed 000, deployment tracking: one deployment per socket, always its whole state
//! (`protocols.md` §1).

mod mock;
mod routes;

use axum::Router;
use http::StatusCode;
use serde_json::{Value, value::RawValue};
use shared::{
    channel::{Channel, ChannelKind},
    config::Rhythms,
    event::{State, deployment},
    id,
};

use super::{Command, Dialect, Doors, Encoding, Opening, Refusal, Subscribe, View};
use crate::{
    connection::Message,
    frame::Frame,
    gateway::GatewayState,
    heartbeat::{Death, Heartbeat, Life, Ping, Rhythm},
    hub::listener::Mode,
    upgrade::Upgrade,
};

/// The dialect of seed 000.
pub struct Deployments;

impl Dialect for Deployments {
    fn name(&self) -> &'static str {
        "deployments"
    }

    fn recognizes(&self, upgrade: &Upgrade) -> bool {
        upgrade.path == "/deployment-ws"
            || (upgrade.path == "/" && upgrade.query("deploymentId").is_some())
            || (upgrade.path == "/" && upgrade.query("token").is_none())
    }

    fn open(&self, upgrade: &Upgrade, doors: &Doors<'_>) -> Result<Opening, Refusal> {
        let refuse = |status, body| Refusal::Http { status, body };
        let deployment = upgrade.query("deploymentId").filter(|id| !id.is_empty());
        let Some(id) = deployment else {
            // Decided: a container program without its token hears 401, everybody else 400.
            return Err(if upgrade.path == "/" && upgrade.query("containerID").is_some() {
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
        let identity = match upgrade.bearer() {
            Some(token) => doors
                .auth
                .credential(token)
                .map_err(|_| refuse(StatusCode::UNAUTHORIZED, "Unauthorized"))?,
            None => doors.auth.anonymous(),
        };
        if !identity.may_read(&channel) {
            return Err(refuse(StatusCode::UNAUTHORIZED, "Unauthorized"));
        }
        Ok(Opening {
            encoding: Encoding::Deployments,
            identity,
            protocol: None,
            commands: vec![Command::Subscribe(Subscribe::granted(&channel, Mode::Latest))],
        })
    }

    /// Its clients ping every 30 s by themselves and the server never closes; control pings find
    /// the sockets whose peer is gone.
    fn heartbeat(&self, rhythms: &Rhythms) -> Heartbeat {
        Heartbeat {
            ping_ms: u32::try_from(rhythms.ping.as_millis()).unwrap_or(u32::MAX),
            timeout_ms: u32::try_from(rhythms.timeout.as_millis()).unwrap_or(u32::MAX),
            ping: Ping::Control,
            rhythm: Rhythm::Own,
            life: Life::AnyFrame,
            death: Death::Abort,
        }
    }

    /// Only a ping is answered; everything else is ignored without a word.
    fn decode(&self, message: Message<'_>, _view: &View<'_>) -> Vec<Command> {
        let Message::Text(text) = message else { return Vec::new() };
        let is_ping = serde_json::from_str::<Value>(text)
            .is_ok_and(|message| message.get("type").is_some_and(|kind| kind == "ping"));
        if is_ping { vec![Command::Send(Frame::text(r#"{"type":"pong"}"#))] } else { Vec::new() }
    }

    fn routes(&self) -> Router<GatewayState> {
        routes::routes()
    }
}

/// The whole state of a deployment; the initial one before anybody said anything about it.
pub(super) fn state(channel: &Channel, state: Option<&State>) -> Option<Frame> {
    if channel.kind() != ChannelKind::Deployment {
        return None;
    }
    let json = if let Some(state) = state {
        serde_json::to_string(state)
    } else {
        let now = jiff::Timestamp::now().as_millisecond();
        serde_json::to_string(&deployment::initial(channel.id()?, now))
    };
    let data = RawValue::from_string(json.ok()?).ok()?;
    Some(Frame::text(&format!(r#"{{"type":"deployment_update","data":{data}}}"#)))
}
