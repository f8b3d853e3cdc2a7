//! Seed 004, containers: producers and watchers of logs, in upper and lower case (`protocols.md` §5).
//!
//! Whatever a container program does not expect ends it: so it is never sent anything but JSON, never
//! refused over HTTP for anything but its token, and never closed for its rate.

pub mod attendance;
pub mod encoder;
mod envelope;
mod frames;

use std::sync::Arc;

use auth::{Identity, same_secret};
use domain::{
    channel::{Channel, ChannelKind},
    entry::Fields,
    event::{DATA_BYTES_MAX, submission::field},
    excerpt::excerpt,
    id,
    json::Document,
    source::Stream,
};
use http::StatusCode;
use runtime::config::{Config, HeartbeatSettings};
use websocket::{AliveWhen, Frame, Heartbeat, Message, OnTimeout, Ping, PingSchedule, close};

use self::{
    attendance::ContainerSessions,
    encoder::{LOWER, UPPER},
    envelope::{Envelope, EnvelopeKind},
    frames::Case,
};
use crate::{
    ingest::publisher::EventPublisher,
    protocol::{
        Append, Attendance, Command, Condition, Dialect, Encoding, Mode, OpenContext, Opening,
        Refusal, Request, Sender, Subscribe, TurnedAway, View, dialect::json_text,
    },
};

/// The dialect of seed 004.
pub struct Containers {
    sessions: Arc<ContainerSessions>,
}

impl Containers {
    /// Returns the dialect; `sessions` keeps the containers that its sockets attend.
    pub fn new(sessions: Arc<ContainerSessions>) -> Self {
        Self { sessions }
    }
}

impl Dialect for Containers {
    fn name(&self) -> &'static str {
        "containers"
    }

    fn encodings(&self) -> &'static [Encoding] {
        &[UPPER, LOWER]
    }

    /// Any path that nobody else owns; below `/v1/` everything is ours. A program that names its
    /// container and no token hears that one is missing.
    fn recognizes(&self, request: &Request, _config: &Config) -> bool {
        let names_container = request.path == "/" && request.query("containerID").is_some();
        (request.query("token").is_some() && !request.path.starts_with("/v1/")) || names_container
    }

    fn open(&self, request: &Request, context: &OpenContext<'_>) -> Result<Opening, Refusal> {
        let given = request.query("token").unwrap_or_default();
        if !is_token(context.config, given) {
            return Err(Refusal::Http { status: StatusCode::UNAUTHORIZED, body: "Unauthorized" });
        }
        let container = request.query("containerID").filter(|id| !id.is_empty());
        let commands = match container {
            None => Vec::new(),
            Some(container) => watch(container, Case::Upper, context.now),
        };
        Ok(Opening {
            encoding: UPPER,
            identity: context.auth.anonymous(),
            protocol: None,
            commands,
        })
    }

    /// Any frame or pong is life: a watcher may listen in silence for as long as it likes. The
    /// protocol's own HEARTBEAT comes from [`attendance`].
    fn heartbeat(&self, settings: &HeartbeatSettings) -> Heartbeat {
        let interval = settings.container_heartbeat;
        let ms = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Heartbeat {
            ping_ms: ms(interval),
            timeout_ms: ms(settings.timeout.max(interval * 2)),
            flood_ms: 0,
            ping: Ping::Control,
            schedule: PingSchedule::Spread,
            alive_when: AliveWhen::AnyFrame,
            on_timeout: OnTimeout::Close {
                code: close::GOING_AWAY,
                reason: "no sign of life",
                last: None,
            },
        }
    }

    fn sender(&self, _identity: &Identity, _production: bool) -> Sender {
        Sender::Container
    }

    fn decode(&self, message: Message<'_>, view: &View<'_>) -> Vec<Command> {
        let case = encoder::case(view.encoding);
        let text = json_text(message).unwrap_or_default();
        let document = Document::read(text.as_bytes()).map_err(|_| "a frame is a JSON object");
        let envelope = document.as_ref().map_err(|why| *why).and_then(Envelope::read);
        let envelope = match envelope {
            Ok(envelope) => envelope,
            Err(reason) => return invalid(case, "", reason, view.now),
        };
        let mut commands = Vec::with_capacity(2);
        let case = if envelope.is_lower() { Case::Lower } else { case };
        if encoder::of(case) != view.encoding {
            commands.push(Command::Encode(encoder::of(case)));
        }
        if let Ok(document) = &document {
            commands.extend(answer(document, &envelope, case, view));
        }
        commands
    }

    fn turned_away(&self, why: TurnedAway, message: &str) -> Option<Frame> {
        let code = match why {
            TurnedAway::NodeFull => "MAX_CONNECTIONS",
            TurnedAway::UserFull => "MAX_CONNECTIONS_PER_USER",
        };
        let now = jiff::Timestamp::now().as_millisecond();
        Some(frames::error(Case::Upper, "", message, code, now))
    }

    /// A container ends for good when it is turned away.
    fn capacity_reserve(&self, connections_max: usize) -> usize {
        connections_max.div_ceil(20)
    }

    /// A container ends for good when it is turned away.
    fn is_limited_by_address(&self) -> bool {
        false
    }

    fn attendance(&self) -> Option<Arc<dyn Attendance>> {
        Some(Arc::clone(&self.sessions) as _)
    }
}

/// Whether a request has the token of containers, while they are served.
pub(super) fn is_theirs(request: &Request, config: &Config) -> bool {
    config.serves("containers") && request.query("token").is_some_and(|t| is_token(config, t))
}

fn is_token(config: &Config, given: &str) -> bool {
    config.access.auth_tokens.iter().any(|token| same_secret(given, token))
}

fn answer(
    document: &Document<'_>,
    envelope: &Envelope<'_>,
    case: Case,
    view: &View<'_>,
) -> Vec<Command> {
    let container = envelope.container.as_ref();
    if let EnvelopeKind::Ping | EnvelopeKind::Pong = envelope.kind {
        let pong = envelope.kind == EnvelopeKind::Ping;
        return pong
            .then(|| Command::Send(frames::pong(&excerpt(container), view.now)))
            .into_iter()
            .collect();
    }
    if let Err(error) = id::check(container) {
        return invalid(case, container, &format!("containerID {error}"), view.now);
    }
    if document.is_mended() && container.contains('\u{fffd}') {
        return invalid(case, container, "containerID must be whole characters", view.now);
    }
    match &envelope.kind {
        EnvelopeKind::Subscribe => match envelope.auth_token() {
            Some(token) if !is_token(view.config, &token) => {
                let error = "the token is wrong";
                let error = frames::error(case, container, error, "UNAUTHORIZED", view.now);
                vec![Command::Send(error)]
            }
            _ => watch(container, case, view.now),
        },
        EnvelopeKind::Unsubscribe => {
            vec![Command::Unsubscribe(Channel::entity(ChannelKind::Container, container))]
        }
        EnvelopeKind::Heartbeat => vec![
            Command::Attend(container.into()),
            Command::Send(frames::heartbeat(case, container, view.now)),
        ],
        EnvelopeKind::Event(name) => match event(document, envelope, name) {
            Ok(append) => vec![Command::Append(append)],
            Err(reason) => invalid(case, container, &reason, view.now),
        },
        EnvelopeKind::Unknown => invalid(case, container, "type is unknown", view.now),
        EnvelopeKind::Ping | EnvelopeKind::Pong => Vec::new(),
    }
}

/// Listens to a container: the greeting comes with the subscription.
fn watch(container: &str, case: Case, now: i64) -> Vec<Command> {
    if let Err(error) = id::check(container) {
        return invalid(case, container, &format!("containerID {error}"), now);
    }
    let channel = Channel::entity(ChannelKind::Container, container);
    vec![
        Command::Attend(container.into()),
        Command::Subscribe(Subscribe::granted(&channel, Mode::All)),
    ]
}

fn invalid(case: Case, container: &str, reason: &str, now: i64) -> Vec<Command> {
    let (container, reason) = (&excerpt(container), &excerpt(reason));
    vec![Command::Send(frames::error(case, container, reason, "INVALID_MESSAGE", now))]
}

/// The event of a container's own frame, which goes along byte for byte.
fn event(document: &Document<'_>, envelope: &Envelope<'_>, name: &str) -> Result<Append, String> {
    let data = envelope.data.filter(|_| envelope.has_timestamp());
    let data = data.map(|data| document.given(data));
    let data = data.ok_or("type, containerID, timestamp and data are required")?;
    if data.len() > DATA_BYTES_MAX {
        return Err(format!("data may have {DATA_BYTES_MAX} bytes"));
    }
    let mut fields = Fields::default();
    fields.push(field::TYPE, name);
    fields.push(field::ID, envelope.container.as_bytes());
    fields.push(field::DATA, data);
    fields.push(field::FRAME, document.text());
    EventPublisher::check(Stream::Containers, &fields)
        .map_err(|rejection| rejection.to_string())?;
    let condition = Some(Condition::Attends(envelope.container.as_ref().into()));
    Ok(Append { stream: Stream::Containers, fields, condition, receipt: None })
}

#[cfg(test)]
mod tests;
