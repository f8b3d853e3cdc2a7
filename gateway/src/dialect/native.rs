//! Our own protocol: JSON text frames, channels and positions (contract §5).

pub mod encoder;
mod frames;
pub mod sse;

use auth::CredentialError;
use domain::{channel::Channel, json};
use runtime::config::{Config, HeartbeatSettings};
use serde::Deserialize;

use self::encoder::ENCODING;
pub use self::frames::{bye, close_frame, error, event_json, welcome};
use crate::protocol::{
    Command, Dialect, Encoding, Mode, OpenContext, Opening, Refusal, Request, Subscribe,
    TurnedAway, View, request::BEARER_PROTOCOL,
};
use websocket::{AliveWhen, Frame, Heartbeat, Message, OnTimeout, Ping, PingSchedule, close};

/// The dialect of our own protocol.
pub struct Native;

/// What a client may say.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ClientFrame {
    Subscribe {
        channel: String,
        #[serde(default)]
        since: Option<String>,
        #[serde(default)]
        mode: Option<String>,
        #[serde(default)]
        tail: Option<usize>,
    },
    Unsubscribe {
        channel: String,
    },
    Ping,
    Token {
        token: String,
    },
    Presence {
        status: String,
    },
}

const TYPES: &str = "subscribe, unsubscribe, ping, token, presence";
const PRESENCES: [&str; 4] = ["online", "away", "busy", "offline"];

impl Dialect for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn encodings(&self) -> &'static [Encoding] {
        &[ENCODING]
    }

    fn recognizes(&self, request: &Request, _config: &Config) -> bool {
        request.path == "/v1/connect"
    }

    /// A wrong token is told after the 101: a browser cannot read an HTTP status.
    fn open(&self, request: &Request, context: &OpenContext<'_>) -> Result<Opening, Refusal> {
        let token = request.credential();
        let identity = match token {
            None => context.auth.anonymous(),
            Some(token) => context.auth.credential(token).map_err(refusal)?,
        };
        if token.is_none() && context.config.production() && !identity.may_read_anything() {
            return Err(Refusal::Socket {
                frames: vec![error("token", "a token is required", &[], None)],
                code: close::UNAUTHORIZED,
                reason: "token required",
            });
        }
        let plain = request.protocols.iter().find(|p| !p.starts_with(BEARER_PROTOCOL));
        let welcome =
            welcome(context.connection, identity.user.as_deref(), context.config.rhythm.ping);
        Ok(Opening {
            encoding: ENCODING,
            identity,
            protocol: plain.or(request.protocols.first()).cloned(),
            commands: vec![Command::Send(welcome)],
        })
    }

    fn heartbeat(&self, settings: &HeartbeatSettings) -> Heartbeat {
        Heartbeat {
            ping_ms: u32::try_from(settings.ping.as_millis()).unwrap_or(u32::MAX),
            timeout_ms: u32::try_from(settings.timeout.as_millis()).unwrap_or(u32::MAX),
            ping: Ping::Control,
            schedule: PingSchedule::Spread,
            alive_when: AliveWhen::AnyFrame,
            on_timeout: OnTimeout::Close {
                code: close::HEARTBEAT_TIMEOUT,
                reason: "heartbeat timeout",
                last: Some(|| close_frame(close::HEARTBEAT_TIMEOUT, "heartbeat timeout")),
            },
        }
    }

    fn decode(&self, message: Message<'_>, _view: &View<'_>) -> Vec<Command> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => text,
                Err(_) => return complain("bad_frame", "frames are JSON texts", "", None),
            },
        };
        let value: serde_json::Value = match json::value(text.as_bytes()) {
            Ok(value) => value,
            Err(cause) => {
                return complain("bad_json", &format!("no JSON: {cause}"), "", None);
            }
        };
        let channel = value.get("channel").and_then(|channel| channel.as_str()).map(str::to_owned);
        match understand(&value) {
            Ok(said) => answer(said),
            Err((path, reason)) => complain("bad_frame", &reason, path, channel.as_deref()),
        }
    }

    fn drain(&self, after_ms: u64) -> (Option<Frame>, u16, &'static str) {
        (Some(bye("restarting", true, after_ms)), close::RESTARTING, "restarting")
    }

    fn turned_away(&self, why: TurnedAway, message: &str) -> Option<Frame> {
        let code = match why {
            TurnedAway::NodeFull => "over_capacity",
            TurnedAway::UserFull => "too_many_connections",
        };
        Some(error(code, message, &[], None))
    }

    fn too_fast(&self) -> Option<Frame> {
        Some(error("rate_limited", "too many messages per second", &[], None))
    }
}

/// Why a credential is refused, and whether another one would help.
fn refusal(cause: CredentialError) -> Refusal {
    let (code, reason) = match cause {
        CredentialError::Expired | CredentialError::Invalid(_) => {
            (close::UNAUTHORIZED, "token invalid or expired")
        }
        CredentialError::Subject => (close::UNAUTHORIZED, "the token's sub is no user id"),
        CredentialError::Denied => (close::FORBIDDEN, "kept out by an operator"),
    };
    Refusal::Socket { frames: vec![error("token", &cause.to_string(), &[], None)], code, reason }
}

/// Reads a frame; else the field that is wrong, and why.
fn understand(value: &serde_json::Value) -> Result<ClientFrame, (&'static str, String)> {
    let Some(frame) = value.as_object() else {
        return Err(("", "a frame is a JSON object".into()));
    };
    match frame.get("type").map(|kind| kind.as_str()) {
        None => return Err(("type", format!("type is required: one of {TYPES}"))),
        Some(None) => return Err(("type", "type must be a text".into())),
        Some(Some("subscribe" | "unsubscribe" | "ping" | "token" | "presence")) => {}
        Some(Some(other)) => {
            return Err(("type", format!("unknown type {other:?}: one of {TYPES}")));
        }
    }
    let text = |key| frame.get(key).is_none_or(|value| value.is_string() || value.is_null());
    for key in ["channel", "since", "mode", "token", "status"] {
        if !text(key) {
            return Err((key, format!("{key} must be a text")));
        }
    }
    let said: ClientFrame = serde_json::from_value(value.clone())
        .map_err(|cause| (missing_field(&cause.to_string()), cause.to_string()))?;
    match &said {
        ClientFrame::Subscribe { mode: Some(mode), .. }
            if !matches!(mode.as_str(), "all" | "latest") =>
        {
            Err(("mode", format!("mode is all or latest, not {mode:?}")))
        }
        ClientFrame::Presence { status } if !PRESENCES.contains(&status.as_str()) => {
            Err(("status", format!("status is one of {}, not {status:?}", PRESENCES.join(", "))))
        }
        _ => Ok(said),
    }
}

fn missing_field(cause: &str) -> &'static str {
    ["channel", "token", "status", "tail", "since", "mode"]
        .into_iter()
        .find(|field| cause.contains(&format!("`{field}`")))
        .unwrap_or("tail")
}

fn answer(said: ClientFrame) -> Vec<Command> {
    match said {
        ClientFrame::Subscribe { channel, since, mode, tail } => {
            let latest = mode.as_deref() == Some("latest");
            vec![Command::Subscribe(Subscribe {
                channel,
                since,
                mode: if latest { Mode::Latest } else { Mode::All },
                tail: tail.unwrap_or(0),
                granted: false,
            })]
        }
        ClientFrame::Unsubscribe { channel } => match Channel::parse(&channel) {
            Ok(parsed) => {
                let frame = frames::unsubscribed(&channel);
                vec![Command::Unsubscribe(parsed), Command::Send(frame)]
            }
            Err(cause) => {
                complain("unknown_channel", &cause.to_string(), "channel", Some(&channel))
            }
        },
        ClientFrame::Ping => vec![Command::Send(Frame::text(r#"{"type":"pong"}"#))],
        ClientFrame::Token { token } => vec![Command::Token(token)],
        ClientFrame::Presence { status } => vec![Command::Presence(status)],
    }
}

fn complain(code: &str, message: &str, path: &str, channel: Option<&str>) -> Vec<Command> {
    let details = [(path.to_owned(), message.to_owned())];
    vec![Command::Send(error(code, message, &details, channel))]
}
