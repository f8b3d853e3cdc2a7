//! Our own protocol: JSON text frames, channels and positions (contract §5).

pub mod encoder;
mod frames;
pub mod sse;

use auth::{CredentialError, Identity};
use domain::{channel::Channel, excerpt::excerpt, json};
use runtime::config::{Config, HeartbeatSettings};
use serde::Deserialize;

use self::encoder::ENCODING;
pub use self::frames::{bye, close_frame, error, event_json, welcome};
use crate::protocol::{
    Command, Dialect, DrainNotice, Encoding, Ending, Mode, OpenContext, Opening, Refusal, Request,
    Sender, Subscribe, TurnedAway, View, request::BEARER_PROTOCOL,
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

/// A frame that a client may send, and its keys beside `type`.
struct FrameKeys {
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

const TYPES: [FrameKeys; 5] = [
    FrameKeys { name: "subscribe", required: &["channel"], optional: &["since", "mode", "tail"] },
    FrameKeys { name: "unsubscribe", required: &["channel"], optional: &[] },
    FrameKeys { name: "ping", required: &[], optional: &[] },
    FrameKeys { name: "token", required: &["token"], optional: &[] },
    FrameKeys { name: "presence", required: &["status"], optional: &[] },
];

/// The most of the last events that a client may ask for at once.
pub const TAIL_MAX: usize = 10_000;

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
                frames: vec![error("unauthorized", "a token is required", &[], None)],
                code: close::UNAUTHORIZED,
                reason: "token required",
            });
        }
        let plain = request.protocols.iter().find(|p| !p.starts_with(BEARER_PROTOCOL));
        let sender = self.sender(&identity, context.config.production());
        let welcome = welcome(context, identity.user.as_deref(), sender);
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
            flood_ms: 0,
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

    /// An agent brings results by this door too, with the bounds of its own.
    fn sender(&self, identity: &Identity, production: bool) -> Sender {
        if identity.is_agent() { Sender::Agent } else { Sender::of(identity, production) }
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
            Err((path, reason)) => complain("bad_frame", &reason, &path, channel.as_deref()),
        }
    }

    fn drain_notice(&self, after_ms: u64, _is_known: bool) -> DrainNotice {
        DrainNotice {
            word: Some(bye("restarting", true, after_ms)),
            ending: Ending::Close { code: close::RESTARTING, reason: "restarting" },
        }
    }

    fn turned_away(&self, why: TurnedAway, message: &str) -> Option<Frame> {
        let code = match why {
            TurnedAway::NodeFull => "over_capacity",
            TurnedAway::UserFull => "too_many_connections",
        };
        Some(error(code, message, &[], None))
    }
}

/// Why a credential is refused, and whether another one would help.
fn refusal(cause: CredentialError) -> Refusal {
    let (code, word, reason) = match cause {
        CredentialError::Expired | CredentialError::Invalid(_) => {
            (close::UNAUTHORIZED, "unauthorized", "token invalid or expired")
        }
        CredentialError::Subject => {
            (close::UNAUTHORIZED, "unauthorized", "the token's sub is no user id")
        }
        CredentialError::Denied => (close::FORBIDDEN, "forbidden", "kept out by an operator"),
    };
    Refusal::Socket { frames: vec![error(word, &cause.to_string(), &[], None)], code, reason }
}

/// The path of what is wrong, and why.
type FrameError = (String, String);

/// Reads a frame; else the field that is wrong, and why.
fn understand(value: &serde_json::Value) -> Result<ClientFrame, FrameError> {
    let wrong = |path: &str, reason: String| Err((excerpt(path).into_owned(), reason));
    let Some(frame) = value.as_object() else {
        return wrong("", "a frame is a JSON object".into());
    };
    let types = || TYPES.map(|keys| keys.name).join(", ");
    let keys = match frame.get("type").map(|kind| kind.as_str()) {
        None => return wrong("type", format!("type is required: one of {}", types())),
        Some(None) => return wrong("type", "type must be a text".into()),
        Some(Some(kind)) => {
            let Some(keys) = TYPES.iter().find(|keys| keys.name == kind) else {
                let kind = excerpt(kind);
                return wrong("type", format!("unknown type {kind:?}: one of {}", types()));
            };
            keys
        }
    };
    // A key that only a later version knows must not be taken for one that was obeyed.
    let known = || keys.required.iter().chain(keys.optional);
    let is_known = |key: &str| key == "type" || known().any(|known| *known == key);
    if let Some(key) = frame.keys().find(|key| !is_known(key)) {
        return wrong(key, format!("{:?} is no key of this frame", excerpt(key)));
    }
    let text = |key: &str| frame.get(key).is_none_or(|value| value.is_string() || value.is_null());
    if let Some(key) = known().find(|key| **key != "tail" && !text(key)) {
        return wrong(key, format!("{key} must be a text"));
    }
    let is_missing = |key: &str| frame.get(key).is_none_or(serde_json::Value::is_null);
    if let Some(key) = keys.required.iter().find(|key| is_missing(key)) {
        return wrong(key, format!("{key} is required"));
    }
    let tail = |value: &serde_json::Value| {
        value.is_null() || value.as_u64().is_some_and(|tail| tail <= TAIL_MAX as u64)
    };
    if !frame.get("tail").is_none_or(tail) {
        return wrong("tail", format!("tail is a whole number from 0 to {TAIL_MAX}"));
    }
    let said: ClientFrame = serde_json::from_value(value.clone())
        .map_err(|cause| (String::new(), cause.to_string()))?;
    match &said {
        ClientFrame::Subscribe { mode: Some(mode), .. }
            if !matches!(mode.as_str(), "all" | "latest") =>
        {
            wrong("mode", format!("mode is all or latest, not {:?}", excerpt(mode)))
        }
        ClientFrame::Presence { status } if !PRESENCES.contains(&status.as_str()) => {
            let (one_of, status) = (PRESENCES.join(", "), excerpt(status));
            wrong("status", format!("status is one of {one_of}, not {status:?}"))
        }
        _ => Ok(said),
    }
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
