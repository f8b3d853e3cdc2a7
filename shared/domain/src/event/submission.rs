//! What a publisher hands in: the fields of a stream entry, checked and turned into an event.

use std::sync::OnceLock;

use serde_json::{Value, value::RawValue};

use super::{
    DATA_BYTES_MAX, Event, EventKind, agent, container, deployment, message, rejection::Rejection,
    state::State, task,
};
use crate::{
    entry::{EntryId, Fields},
    id,
    source::Stream,
    trace_context::TraceContext,
};

/// An event as it was handed in, with what concerns its taking in alone.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What happened.
    pub event: Event,
    /// The producer's own id: the same one on the same stream within 24 h is applied once.
    pub event_id: Option<String>,
    /// Without another event of this id for so long, the entity ends as `abandoned`.
    pub lease_ms: Option<u64>,
    /// Who waits for the outcome: `NODE:REQUEST`.
    pub reply: Option<String>,
}

/// The fields of an entry that carry meaning (contract §3), and two of our own.
pub mod field {
    /// Event type, required.
    pub const TYPE: &str = "type";
    /// What the event is about.
    pub const ID: &str = "id";
    /// JSON object.
    pub const DATA: &str = "data";
    /// User whose channel gets the event as well.
    pub const USER: &str = "user";
    /// Producer id.
    pub const EVENT_ID: &str = "event_id";
    /// Lease in milliseconds.
    pub const LEASE_MS: &str = "lease_ms";
    /// Producer time, ms since 1970.
    pub const AT: &str = "at";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// Our own: who waits for the outcome, `NODE:REQUEST`.
    pub const REPLY: &str = "reply";
    /// Our own: a container's frame, forwarded byte for byte.
    pub const FRAME: &str = "frame";
}

impl Submission {
    /// Checks the fields of an entry of `stream`. `entry` gives the time when `at` does not.
    ///
    /// # Errors
    /// [`Rejection`] with the first field that is wrong.
    pub fn parse(stream: Stream, entry: EntryId, fields: &Fields) -> Result<Self, Rejection> {
        let kind = kind(stream, fields)?;
        let id = named_id(fields, field::ID)?;
        if id.is_none() && kind.needs_id() {
            return Err(Rejection::new(field::ID, format!("is required for {}", kind.name())));
        }
        let data = data(fields)?;
        let body: State = object(&data)?;
        validate(&kind, &body)?;
        let at = number(fields, field::AT)?.unwrap_or(entry.ms);
        let event = Event {
            kind,
            id,
            user: named_id(fields, field::USER)?,
            at: i64::try_from(at).unwrap_or(i64::MAX),
            traceparent: traceparent(fields)?,
            frame: frame(fields),
            data,
            parsed: OnceLock::from(body),
        };
        Ok(Self {
            event,
            event_id: event_id(fields)?,
            lease_ms: number(fields, field::LEASE_MS)?.filter(|ms| *ms > 0),
            reply: text(fields, field::REPLY)?.map(str::to_owned),
        })
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> Result<Option<&'a str>, Rejection> {
    fields
        .get(name)
        .map(|value| std::str::from_utf8(value).map_err(|_| Rejection::new(name, "must be UTF-8")))
        .transpose()
}

fn kind(stream: Stream, fields: &Fields) -> Result<EventKind, Rejection> {
    let name = text(fields, field::TYPE)?
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Rejection::new(field::TYPE, "is required"))?;
    if name.len() > id::ID_BYTES_MAX {
        return Err(Rejection::new(field::TYPE, "must be at most 200 bytes long"));
    }
    EventKind::on(stream, name).ok_or_else(|| {
        Rejection::new(field::TYPE, format!("{name:?} is unknown on the stream {stream}"))
    })
}

fn named_id(fields: &Fields, name: &str) -> Result<Option<Box<str>>, Rejection> {
    // An empty id counts as none: shells write `id ""` where they mean nothing.
    let Some(id) = text(fields, name)?.filter(|id| !id.is_empty()) else { return Ok(None) };
    match id::check(id) {
        Ok(()) => Ok(Some(id.into())),
        Err(error) => Err(Rejection::new(name, error.to_string())),
    }
}

fn event_id(fields: &Fields) -> Result<Option<String>, Rejection> {
    let Some(id) = text(fields, field::EVENT_ID)?.filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    if id.len() > id::ID_BYTES_MAX {
        return Err(Rejection::new(field::EVENT_ID, "must be at most 200 bytes long"));
    }
    // PostgreSQL keeps no text with a NUL.
    if id.contains('\0') {
        return Err(Rejection::new(field::EVENT_ID, "must not hold U+0000"));
    }
    Ok(Some(id.to_owned()))
}

fn number(fields: &Fields, name: &str) -> Result<Option<u64>, Rejection> {
    let Some(text) = text(fields, name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| i64::try_from(*number).is_ok());
    number.map(Some).ok_or_else(|| Rejection::new(name, "must be a number of milliseconds"))
}

fn traceparent(fields: &Fields) -> Result<Option<Box<str>>, Rejection> {
    // A wrong trace context must not cost the event: the W3C page says to ignore it.
    let text = text(fields, field::TRACEPARENT)?;
    Ok(text.filter(|text| TraceContext::parse(text).is_some()).map(Into::into))
}

fn frame(fields: &Fields) -> Option<Box<RawValue>> {
    let text = String::from_utf8(fields.get(field::FRAME)?.to_vec()).ok()?;
    RawValue::from_string(one_line(text)).ok()
}

fn data(fields: &Fields) -> Result<Box<RawValue>, Rejection> {
    let text = text(fields, field::DATA)?.unwrap_or("{}");
    if text.len() > DATA_BYTES_MAX {
        let message = format!("must be at most {DATA_BYTES_MAX} bytes long, not {}", text.len());
        return Err(Rejection::new(field::DATA, message));
    }
    RawValue::from_string(one_line(text.trim().to_owned()))
        .map_err(|error| Rejection::new(field::DATA, format!("must be JSON: {error}")))
}

/// Publications are lines, so the body must be one: outside of strings a line break is white space.
fn one_line(text: String) -> String {
    if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ") } else { text }
}

fn object(data: &RawValue) -> Result<State, Rejection> {
    match serde_json::from_str(data.get()) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(Rejection::new(field::DATA, "must be a JSON object")),
        Err(error) => Err(Rejection::new(field::DATA, format!("must be JSON: {error}"))),
    }
}

fn validate(kind: &EventKind, body: &State) -> Result<(), Rejection> {
    match kind.stream() {
        Stream::Deployments => deployment::validate(kind, body),
        Stream::Tasks => task::validate(kind, body),
        Stream::Agents => agent::validate(kind, body),
        Stream::Containers => container::validate(kind, body),
        Stream::Messages => message::validate(kind, body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(stream: Stream, fields: &[(&str, &str)]) -> Result<Submission, Rejection> {
        let fields =
            fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        Submission::parse(stream, EntryId { ms: 5, number: 0 }, &Fields(fields.collect()))
    }

    #[test]
    fn a_good_entry_becomes_an_event() {
        let submission = parse(
            Stream::Deployments,
            &[("type", "deployment_update"), ("id", "d1"), ("data", "{\"a\":\n1}"), ("user", "u1")],
        )
        .unwrap();
        assert_eq!(submission.event.at, 5);
        assert_eq!(submission.event.data.get(), "{\"a\": 1}");
        let channels: Vec<String> =
            submission.event.channels().iter().map(ToString::to_string).collect();
        assert_eq!(channels, ["deployment:d1", "deployments", "user:u1"]);
    }

    #[test]
    fn a_wrong_entry_is_told_which_field_is_wrong() {
        let update = ("type", "deployment_update");
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(DATA_BYTES_MAX));
        for (stream, fields, path) in [
            (Stream::Deployments, vec![("id", "d")], "type"),
            (Stream::Deployments, vec![("type", "nonsense"), ("id", "d")], "type"),
            (Stream::Deployments, vec![update], "id"),
            (Stream::Deployments, vec![update, ("id", "a b")], "id"),
            (Stream::Deployments, vec![update, ("id", "d"), ("data", "{")], "data"),
            (Stream::Deployments, vec![update, ("id", "d"), ("data", "[]")], "data"),
            (Stream::Deployments, vec![update, ("id", "d"), ("data", large.as_str())], "data"),
            (Stream::Deployments, vec![update, ("id", "d"), ("at", "x")], "at"),
            (Stream::Deployments, vec![update, ("id", "d"), ("lease_ms", "-1")], "lease_ms"),
            (Stream::Tasks, vec![("type", "task_created"), ("id", "t")], "data.title"),
            (Stream::Agents, vec![("type", "agent_status"), ("id", "a")], "data.status"),
            (Stream::Agents, vec![("type", "git_status"), ("id", "a")], "data.repos"),
            (
                Stream::Messages,
                vec![("type", "notification"), ("data", "{\"message\":1}")],
                "data.message",
            ),
        ] {
            assert_eq!(parse(stream, &fields).unwrap_err().path, path, "{stream} {path}");
        }
    }
}
