//! What a publisher hands in: the fields of a stream entry, checked and turned into an event.

use std::sync::OnceLock;

use serde_json::{Value, value::RawValue};

use super::{DATA_BYTES_MAX, Event, EventKind, rejection::Rejection, state::State};
use crate::{
    entry::{EntryId, Fields},
    id,
    json::{self, DEPTH_MAX, Document},
    source::Stream,
    time,
    trace_context::TraceContext,
    work::TaskSpec,
};

/// The longest type, in bytes.
pub const TYPE_BYTES_MAX: usize = 100;

/// An event as it was handed in, with what concerns its taking in alone.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What happened. Its time is 0 where neither the producer nor the entry gives one: then it is
    /// that of the record.
    pub event: Event,
    /// The producer's own id: the same one on the same stream within 24 h is applied once.
    pub event_id: Option<String>,
    /// Without another event of this id for so long, the entity ends as `abandoned`.
    pub lease_ms: Option<u64>,
    /// Who waits for the outcome: `NODE:REQUEST`.
    pub reply: Option<String>,
    /// The agent whose socket says it, for the steps of a task.
    pub holder: Option<Holder>,
    /// Who wrote the entry.
    pub origin: Origin,
    /// The fields that only decorate the event and were dropped, because they say nothing usable.
    pub ignored: Vec<&'static str>,
}

/// An agent and the socket by which it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The agent.
    pub agent: Box<str>,
    /// The connection, unlike any other's on any node.
    pub connection: Box<str>,
}

/// The fields of an entry that carry meaning (contract §3), and five of our own.
pub mod field {
    /// Event type, required.
    pub const TYPE: &str = "type";
    /// What the event is about.
    pub const ID: &str = "id";
    /// The body: a JSON object, at most 2 MiB.
    pub const DATA: &str = "data";
    /// User whose channel gets the event as well.
    pub const USER: &str = "user";
    /// The producer's own id of the event.
    pub const EVENT_ID: &str = "event_id";
    /// Lease in milliseconds.
    pub const LEASE_MS: &str = "lease_ms";
    /// Producer time, ms since 1970.
    pub const AT: &str = "at";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// The fields that only decorate an event: what is wrong with them never costs it.
    pub const DECORATIONS: [&str; 4] = [USER, AT, TRACEPARENT, LEASE_MS];
    /// Our own: who waits for the outcome, `NODE:REQUEST`.
    pub const REPLY: &str = "reply";
    /// Our own: a container's frame, forwarded byte for byte.
    pub const FRAME: &str = "frame";
    /// Our own: a message of seed 003's door, whose type means nothing.
    pub const FREE: &str = "free";
    /// Our own: the agent whose socket says it.
    pub const HOLDER: &str = "holder";
    /// Our own: that agent's connection.
    pub const SOCKET: &str = "socket";
}

/// Who wrote an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Anybody who may append.
    Outside,
    /// The worker itself.
    Worker,
}

impl Submission {
    /// Checks the fields of an entry of `stream`. `entry` gives the time when `at` does not; `now` is
    /// what the producer's times are measured against, ms since 1970.
    ///
    /// # Errors
    /// [`Rejection`] with the first field that is wrong.
    pub fn parse(
        stream: Stream,
        entry: EntryId,
        fields: &Fields,
        origin: Origin,
        now: i64,
    ) -> Result<Self, Rejection> {
        let free = stream == Stream::Messages && fields.get(field::FREE).is_some();
        let kind = kind(stream, fields, free)?;
        let holder = holder(stream, fields);
        let is_own = origin == Origin::Worker || (holder.is_some() && is_of_agents(&kind));
        if kind.is_reserved() && !is_own {
            return Err(Rejection::reserved(kind.name()));
        }
        let id = event_subject(fields)?;
        if id.is_none() && kind.needs_id() {
            return Err(Rejection::new(field::ID, format!("is required for {}", kind.name())));
        }
        let (data, body) = data(fields)?;
        let frame = frame(fields);
        // A container's own frame is forwarded as it is, whatever it says.
        if frame.is_none() {
            kind.schema().check(&body)?;
        }
        if kind == EventKind::TaskCreated {
            TaskSpec::read(&body)?;
        }
        let mut ignored = Vec::new();
        let mut decoration = Decorations { fields, ignored: &mut ignored };
        let at = decoration.read(field::AT, |text| time::producer_ms(text, now));
        let entry_ms = i64::try_from(entry.ms).ok().and_then(|ms| time::bounded(ms, now));
        let user = decoration.read(field::USER, |user| id::check(user).ok().map(|()| user.into()));
        let is_traceparent = |text: &str| TraceContext::parse(text).is_some();
        let traceparent =
            decoration.read(field::TRACEPARENT, |t| is_traceparent(t).then(|| t.into()));
        let lease_ms = decoration.read(field::LEASE_MS, time::duration_ms);
        let event = Event {
            kind,
            id,
            user,
            at: at.or(entry_ms).unwrap_or(0),
            traceparent,
            free,
            frame,
            data,
            parsed: OnceLock::from(body),
            repos: OnceLock::new(),
        };
        let reply = text(fields, field::REPLY).ok().flatten().map(str::to_owned);
        let event_id = event_id(fields)?;
        Ok(Self { event, event_id, lease_ms, reply, holder, origin, ignored })
    }
}

/// Reads what only decorates an event.
struct Decorations<'a> {
    fields: &'a Fields,
    ignored: &'a mut Vec<&'static str>,
}

impl Decorations<'_> {
    /// Reads a field; what says nothing usable is noted and dropped, what is empty is absent.
    fn read<T>(&mut self, name: &'static str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = self.fields.get(name).filter(|value| !value.is_empty())?;
        let value = std::str::from_utf8(value).ok().and_then(read);
        if value.is_none() {
            self.ignored.push(name);
        }
        value
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> Result<Option<&'a str>, Rejection> {
    fields
        .get(name)
        .map(|value| std::str::from_utf8(value).map_err(|_| Rejection::new(name, "must be UTF-8")))
        .transpose()
}

fn kind(stream: Stream, fields: &Fields, free: bool) -> Result<EventKind, Rejection> {
    let name = text(fields, field::TYPE)?
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Rejection::new(field::TYPE, "is required"))?;
    if name.len() > TYPE_BYTES_MAX {
        let message = format!("must be at most {TYPE_BYTES_MAX} bytes long");
        return Err(Rejection::new(field::TYPE, message));
    }
    if name.contains(char::is_control) {
        return Err(Rejection::new(field::TYPE, "must not hold control characters"));
    }
    if free {
        return Ok(EventKind::Free(name.into()));
    }
    EventKind::on(stream, name).ok_or_else(|| {
        Rejection::new(field::TYPE, format!("{name:?} is unknown on the stream {stream}"))
    })
}

/// Whether it is a step of a task that its agent takes, by its own socket alone.
const fn is_of_agents(kind: &EventKind) -> bool {
    matches!(kind, EventKind::TaskAccepted | EventKind::TaskReleased)
}

fn holder(stream: Stream, fields: &Fields) -> Option<Holder> {
    if stream != Stream::Tasks {
        return None;
    }
    let read = |name| text(fields, name).ok().flatten().map(Into::into);
    Some(Holder { agent: read(field::HOLDER)?, connection: read(field::SOCKET)? })
}

fn event_subject(fields: &Fields) -> Result<Option<Box<str>>, Rejection> {
    // An empty id counts as none: shells write `id ""` where they mean nothing.
    let Some(id) = text(fields, field::ID)?.filter(|id| !id.is_empty()) else { return Ok(None) };
    match id::check(id) {
        Ok(()) => Ok(Some(id.into())),
        Err(error) => Err(Rejection::new(field::ID, error.to_string())),
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

fn frame(fields: &Fields) -> Option<Box<RawValue>> {
    let text = std::str::from_utf8(fields.get(field::FRAME)?).ok()?;
    RawValue::from_string(json::one_line(text).into_owned()).ok()
}

/// Reads the body: as it was given, in one line, and as a map.
fn data(fields: &Fields) -> Result<(Box<RawValue>, State), Rejection> {
    let bytes = fields.get(field::DATA).unwrap_or(b"{}");
    if bytes.len() > DATA_BYTES_MAX {
        let message = format!("must be at most {DATA_BYTES_MAX} bytes long, not {}", bytes.len());
        return Err(Rejection::new(field::DATA, message));
    }
    let refused = |message: String| Rejection::new(field::DATA, message);
    let document =
        Document::within(bytes, DEPTH_MAX).map_err(|error| refused(error.to_string()))?;
    let not_json = |error: serde_json::Error| refused(format!("must be JSON: {error}"));
    let Value::Object(body) = document.parse().map_err(not_json)? else {
        return Err(refused(String::from("must be a JSON object")));
    };
    let text = json::one_line(document.text()).into_owned();
    Ok((RawValue::from_string(text).map_err(not_json)?, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_784_289_609;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let field = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        Fields(pairs.iter().map(field).collect())
    }

    fn parse_at(ms: u64, stream: Stream, pairs: &[(&str, &str)]) -> Result<Submission, Rejection> {
        let entry = EntryId { ms, number: 0 };
        Submission::parse(stream, entry, &fields(pairs), Origin::Outside, NOW)
    }

    fn parse(stream: Stream, pairs: &[(&str, &str)]) -> Result<Submission, Rejection> {
        parse_at(1_795_784_000_000, stream, pairs)
    }

    const UPDATE: (&str, &str) = ("type", "deployment_update");
    const ID: (&str, &str) = ("id", "d");

    #[test]
    fn a_good_entry_becomes_an_event() {
        let submission = parse(
            Stream::Deployments,
            &[
                UPDATE,
                ("id", "déploi 1"),
                ("data", "\u{feff} {\"a\":\n1e400} "),
                ("user", "auth0|5f7c"),
                ("event_id", "e1"),
                ("lease_ms", "30000"),
                ("at", "1795784289609000000"),
                ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
                ("reply", "n:1"),
            ],
        )
        .unwrap();
        assert_eq!(submission.event.at, NOW);
        assert_eq!(submission.event.data.get(), "{\"a\": 1e400}");
        assert_eq!(submission.event.body()["a"].to_string(), "1e+400");
        assert!(submission.event.traceparent.is_some());
        assert_eq!(
            (submission.event_id.as_deref(), submission.lease_ms),
            (Some("e1"), Some(30_000))
        );
        assert_eq!(submission.reply.as_deref(), Some("n:1"));
        assert!(submission.ignored.is_empty() && !submission.event.free);
        let channels: Vec<String> =
            submission.event.channels().iter().map(ToString::to_string).collect();
        assert_eq!(channels, ["deployment:déploi 1", "deployments", "user:auth0|5f7c"]);
    }

    #[test]
    fn a_wrong_entry_is_told_which_field_is_wrong() {
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(DATA_BYTES_MAX));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
        let long = "t".repeat(TYPE_BYTES_MAX + 1);
        let long_id = "e".repeat(201);
        for (stream, fields, path) in [
            (Stream::Deployments, vec![ID], "type"),
            (Stream::Deployments, vec![("type", ""), ID], "type"),
            (Stream::Deployments, vec![("type", "nonsense"), ID], "type"),
            (Stream::Topics, vec![("type", long.as_str()), ID], "type"),
            (Stream::Topics, vec![("type", "a\u{7f}"), ID], "type"),
            (Stream::Topics, vec![("type", "any")], "id"),
            (Stream::Deployments, vec![UPDATE], "id"),
            (Stream::Deployments, vec![UPDATE, ("id", "a*")], "id"),
            (Stream::Deployments, vec![UPDATE, ("id", "-")], "id"),
            (Stream::Deployments, vec![UPDATE, ID, ("data", "{")], "data"),
            (Stream::Deployments, vec![UPDATE, ID, ("data", "[]")], "data"),
            (Stream::Deployments, vec![UPDATE, ID, ("data", large.as_str())], "data"),
            (Stream::Deployments, vec![UPDATE, ID, ("data", deep.as_str())], "data"),
            (Stream::Deployments, vec![UPDATE, ID, ("event_id", long_id.as_str())], "event_id"),
            (Stream::Deployments, vec![UPDATE, ID, ("event_id", "a\0")], "event_id"),
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
        let mut not_utf8 = fields(&[UPDATE, ID]);
        not_utf8.push("data", b"{\"a\":\"\xff\"}".to_vec());
        let refused =
            Submission::parse(Stream::Deployments, EntryId::ZERO, &not_utf8, Origin::Outside, NOW);
        assert_eq!(refused.unwrap_err().to_string(), "data must be UTF-8");
    }

    #[test]
    fn the_bounds_are_reached_and_kept() {
        assert_eq!((DATA_BYTES_MAX, DEPTH_MAX, TYPE_BYTES_MAX), (2_097_152, 100, 100));
        let ids = ["i".repeat(200), "t".repeat(100), "e".repeat(200)];
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(99), "]".repeat(99));
        let padding = "x".repeat(DATA_BYTES_MAX - 8);
        for data in [deep, format!("{{\"a\":\"{padding}\"}}")] {
            let good =
                [("type", &*ids[1]), ("id", &*ids[0]), ("event_id", &*ids[2]), ("data", &*data)];
            assert_eq!(parse(Stream::Topics, &good).unwrap().event.data.get(), data);
        }
    }

    #[test]
    fn what_only_decorates_an_event_never_costs_it() {
        for name in field::DECORATIONS {
            let submission =
                parse(Stream::Deployments, &[UPDATE, ID, (name, "*")]).expect("the event counts");
            assert_eq!(submission.ignored, [name]);
            assert_eq!(submission.event.at, 1_795_784_000_000);
            let empty = parse(Stream::Deployments, &[UPDATE, ID, (name, "")]).unwrap();
            assert!(empty.ignored.is_empty(), "nothing was said");
            let mut fields = fields(&[UPDATE, ID]);
            fields.push(name, b"\xff".to_vec());
            let entry = EntryId::ZERO;
            let submission =
                Submission::parse(Stream::Deployments, entry, &fields, Origin::Outside, NOW);
            assert_eq!(submission.unwrap().ignored, [name]);
        }
    }

    #[test]
    fn the_time_is_the_producers_else_the_entrys_else_the_records() {
        let at = |ms: u64, at: &str| {
            parse_at(ms, Stream::Deployments, &[UPDATE, ID, ("at", at)]).unwrap().event.at
        };
        assert_eq!(at(1_795_784_000_000, "1795784289"), 1_795_784_289_000);
        assert_eq!(at(1_795_784_000_000, "1e30"), 1_795_784_000_000);
        assert_eq!(at(5, "0"), 0, "the record gives it");
        assert_eq!(at(u64::MAX, ""), 0);
    }

    #[test]
    fn a_free_message_is_routed_by_its_user_and_nothing_else() {
        let free = ("free", "1");
        let data = ("data", "{}");
        for name in ["chat_message", "notification", "task_update", "party"] {
            let own = parse(Stream::Messages, &[("type", name), free, data, ("id", "u1")]).unwrap();
            assert_eq!(own.event.channels(), [Channel::parse("user:u1").unwrap()]);
            assert_eq!(own.event.kind, EventKind::Free(name.into()));
            assert!(own.event.free);
            let all = parse(Stream::Messages, &[("type", name), free, data]).unwrap();
            assert_eq!(all.event.channels(), [Channel::parse("broadcast").unwrap()]);
        }
        let elsewhere = parse(Stream::Deployments, &[UPDATE, ID, free]).unwrap();
        assert!(!elsewhere.event.free, "only messages can be free");
    }

    #[test]
    fn what_the_worker_alone_writes_is_refused_from_outside() {
        let step = [("type", "task_assigned"), ("id", "t")];
        let rejection = parse(Stream::Tasks, &step).unwrap_err();
        assert_eq!((rejection.path.as_str(), rejection.label()), ("type", "reserved"));
        let own =
            Submission::parse(Stream::Tasks, EntryId::ZERO, &fields(&step), Origin::Worker, NOW);
        assert_eq!(own.unwrap().event.kind, EventKind::TaskAssigned);
    }

    #[test]
    fn a_containers_own_frame_needs_no_schema_and_goes_along_in_one_line() {
        let log = [("type", "log"), ("id", "c1")];
        assert_eq!(parse(Stream::Containers, &log).unwrap_err().path, "data.message");
        let own = [log[0], log[1], ("frame", "{\"type\":\n\"LOG\"}")];
        let event = parse(Stream::Containers, &own).unwrap().event;
        assert_eq!(event.frame.unwrap().get(), "{\"type\": \"LOG\"}");
    }

    use crate::channel::Channel;
}
