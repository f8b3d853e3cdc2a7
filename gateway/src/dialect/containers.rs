//! Seed 004, containers: producers and watchers of logs, in upper and lower case (`protocols.md` §5).
//!
//! Whatever a container program does not expect ends it: so it is never sent anything but JSON, never
//! refused over HTTP for anything but its token, and never closed for its rate.

mod envelope;
mod frames;
pub mod sessions;

use http::StatusCode;
use serde_json::value::RawValue;
use shared::{
    auth::same_secret,
    channel::{Channel, ChannelKind},
    config::Rhythms,
    entry::Fields,
    event::{DATA_BYTES_MAX, EventKind, submission::field},
    id,
    source::Stream,
};

use self::envelope::{Envelope, Kind};
pub(crate) use self::frames::{Case, greeting, heartbeat, too_many};
use super::{
    Append, Command, Condition, Dialect, Doors, Encoding, Opening, Refusal, Subscribe, TurnedAway,
    View, json_text,
};
use crate::{
    appender::Appender,
    connection::{Message, close},
    frame::Frame,
    heartbeat::{Death, Heartbeat, Life, Ping, Rhythm},
    hub::listener::Mode,
    publication::Outgoing,
    upgrade::Upgrade,
};

/// The dialect of seed 004.
pub struct Containers;

impl Dialect for Containers {
    fn name(&self) -> &'static str {
        "containers"
    }

    /// Any path that nobody else owns; below `/v1/` everything is ours.
    fn recognizes(&self, upgrade: &Upgrade) -> bool {
        upgrade.query("token").is_some() && !upgrade.path.starts_with("/v1/")
    }

    fn open(&self, upgrade: &Upgrade, doors: &Doors<'_>) -> Result<Opening, Refusal> {
        let given = upgrade.query("token").unwrap_or_default();
        let expected = doors.config.access.auth_token.as_deref();
        if !expected.is_some_and(|token| same_secret(given, token)) {
            return Err(Refusal::Http { status: StatusCode::UNAUTHORIZED, body: "Unauthorized" });
        }
        let container = upgrade.query("containerID").filter(|id| !id.is_empty());
        let commands = match container {
            None => Vec::new(),
            Some(container) => watch(container, Case::Upper, doors.now),
        };
        Ok(Opening {
            encoding: Encoding::ContainersUpper,
            identity: doors.auth.anonymous(),
            protocol: None,
            commands,
        })
    }

    /// Any frame or pong is life: a watcher may listen in silence for as long as it likes. The
    /// protocol's own HEARTBEAT comes from [`sessions`].
    fn heartbeat(&self, rhythms: &Rhythms) -> Heartbeat {
        let interval = rhythms.container_heartbeat;
        let ms = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Heartbeat {
            ping_ms: ms(interval),
            timeout_ms: ms(rhythms.timeout.max(interval * 2)),
            ping: Ping::Control,
            rhythm: Rhythm::Own,
            life: Life::AnyFrame,
            death: Death::Close { code: close::GOING_AWAY, reason: "no sign of life", last: None },
        }
    }

    fn decode(&self, message: Message<'_>, view: &View<'_>) -> Vec<Command> {
        let case = Case::of(view.encoding);
        let text = json_text(message);
        let envelope = text.ok_or("a frame is a JSON object").and_then(Envelope::read);
        let envelope = match envelope {
            Ok(envelope) => envelope,
            Err(reason) => return invalid(case, "", reason, view.now),
        };
        let mut commands = Vec::with_capacity(2);
        let case = if envelope.is_lower() { Case::Lower } else { case };
        if case.encoding() != view.encoding {
            commands.push(Command::Encode(case.encoding()));
        }
        commands.extend(answer(text.unwrap_or_default(), &envelope, case, view));
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
}

fn answer(text: &str, envelope: &Envelope<'_>, case: Case, view: &View<'_>) -> Vec<Command> {
    let container = envelope.container.as_ref();
    if let Kind::Ping | Kind::Pong = envelope.kind {
        let pong = envelope.kind == Kind::Ping;
        return pong
            .then(|| Command::Send(frames::pong(container, view.now)))
            .into_iter()
            .collect();
    }
    if let Err(error) = id::check(container) {
        return invalid(case, container, &format!("containerID {error}"), view.now);
    }
    match &envelope.kind {
        Kind::Subscribe => {
            let token = envelope.auth_token();
            let expected = view.config.access.auth_token.as_deref().unwrap_or_default();
            match token {
                Some(token) if !same_secret(&token, expected) => {
                    let error = "the token is wrong";
                    let error = frames::error(case, container, error, "UNAUTHORIZED", view.now);
                    vec![Command::Send(error)]
                }
                _ => watch(container, case, view.now),
            }
        }
        Kind::Unsubscribe => {
            vec![Command::Unsubscribe(Channel::entity(ChannelKind::Container, container))]
        }
        Kind::Heartbeat => vec![
            Command::Attend(container.into()),
            Command::Send(heartbeat(case, container, view.now)),
        ],
        Kind::Event(name) => match event(text, envelope, name) {
            Ok(append) => vec![Command::Append(append)],
            Err(reason) => invalid(case, container, &reason, view.now),
        },
        Kind::Unknown => invalid(case, container, "type is unknown", view.now),
        Kind::Ping | Kind::Pong => Vec::new(),
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
    vec![Command::Send(frames::error(case, container, reason, "INVALID_MESSAGE", now))]
}

/// The event of a container's own frame, which goes along byte for byte.
fn event(text: &str, envelope: &Envelope<'_>, name: &str) -> Result<Append, String> {
    let data = envelope.data.filter(|_| envelope.has_timestamp()).map(RawValue::get);
    let data = data.ok_or("type, containerID, timestamp and data are required")?;
    if data.len() > DATA_BYTES_MAX {
        return Err(format!("data may have {DATA_BYTES_MAX} bytes"));
    }
    let mut fields = Fields::default();
    fields.push(field::TYPE, name);
    fields.push(field::ID, envelope.container.as_bytes());
    fields.push(field::DATA, data);
    Appender::check(Stream::Containers, &fields).map_err(|rejection| rejection.to_string())?;
    fields.push(field::FRAME, text);
    let condition = Some(Condition::Attends(envelope.container.as_ref().into()));
    Ok(Append { stream: Stream::Containers, fields, condition })
}

/// The frame of an event in a receiver's case.
pub(super) fn encode(outgoing: &Outgoing, case: Case) -> Option<Frame> {
    let event = &outgoing.publication.recorded.event;
    match &event.kind {
        EventKind::ContainerLog
        | EventKind::ContainerStatus
        | EventKind::ContainerError
        | EventKind::ContainerComplete => Some(frames::event(event, case)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
