//! `GET /v1/events`: channels as server-sent events, for those who cannot open a WebSocket.
//!
//! A second kind of connection, not a second way of delivery: a session of our own protocol whose
//! subscriptions are in the address and whose frames go into the body of the answer.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};

use super::{access, origin::origin_allowed, problem::Problem};
use crate::{
    dialect::native::{self, TAIL_MAX, encoder::ENCODING, sse::Sse},
    http::address::ClientAddress,
    protocol::{
        Command, Dialect, Mode, OpenContext, Opening, Subscribe, Transport,
        event_stream::{EventStream, body::EventLines, last_event_id::LastEventId},
    },
    session::{context::SessionContext, sessions::Sessions},
};
use websocket::{Connections, close};

/// What is asked for: the channels, and in their order where, how and with what each begins.
#[derive(Debug, Default)]
struct StreamRequest {
    channels: Vec<String>,
    since: Vec<String>,
    mode: Vec<Mode>,
    tail: Vec<usize>,
    /// The id with which a client comes back.
    last_event_id: Option<String>,
}

/// Opens a stream.
pub async fn events(
    State(context): State<Arc<SessionContext>>,
    State(sessions): State<Arc<Sessions>>,
    State(connections): State<Arc<Connections>>,
    ClientAddress(address): ClientAddress,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !origin_allowed(&context.config, &headers) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "this origin is not allowed"));
    }
    let identity = access::identify(&context.auth, &headers, query.as_deref())?;
    if context.config.production() && !identity.may_read_anything() {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "a token is required"));
    }
    let mut wanted = StreamRequest::read(query.as_deref().unwrap_or_default())?;
    // A browser that reconnects sends the header, and the address as it was at first.
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    if let Some(last) = last.filter(|last| !last.is_empty()) {
        wanted.last_event_id = Some(last.to_owned());
    }
    let id = wanted.positions(context.config.limits.subscriptions)?;
    let number = sessions.next_number();
    let name = context.connection_name(number);
    let ping = context.config.rhythm.ping;
    let place = OpenContext {
        auth: &context.auth,
        config: &context.config,
        node: &context.node.0,
        degraded: context.degraded.reason(),
        partitions: context.publisher.partitions(),
        connection: &name,
        now: jiff::Timestamp::now().as_millisecond(),
    };
    let sender = Sse.sender(&identity, context.config.production());
    let welcome = native::welcome(&place, identity.user.as_deref(), sender);
    let mut commands = vec![Command::Send(welcome)];
    commands.extend(wanted.subscriptions(&id));
    let opening = Opening { encoding: ENCODING, identity, protocol: None, commands };
    let stream = Arc::new(EventStream::new(connections.send_budget()));
    let dialect: Arc<dyn Dialect> = Arc::new(Sse);
    let transport = Transport::stream(Arc::clone(&stream), address);
    let session = sessions.open(&context, &dialect, number, Ok(opening), transport);
    let lines = EventLines::new(Arc::clone(&stream), session, id, ping);
    match stream.code() {
        None => Ok(answer(lines)),
        Some(close::OVER_CAPACITY) => {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "this node is full");
            Err(problem.retry_after(1))
        }
        Some(_) => {
            let detail = "this user has too many connections";
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(5))
        }
    }
}

fn answer(lines: EventLines) -> Response {
    let mut response = Body::from_stream(lines).into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Or nginx collects the stream until its buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl StreamRequest {
    fn read(query: &str) -> Result<Self, Problem> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
        let mut wanted = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "channel" if !wanted.channels.contains(&value) => wanted.channels.push(value),
                "since" => wanted.since.push(value),
                "mode" => wanted.mode.push(match value.as_str() {
                    "latest" => Mode::Latest,
                    "all" | "" => Mode::All,
                    _ => return Err(bad("mode", "mode is all or latest")),
                }),
                "tail" => {
                    let tail = if value.is_empty() { Some(0) } else { value.parse().ok() };
                    let tail = tail.filter(|tail| *tail <= TAIL_MAX);
                    let wrong = || bad("tail", &format!("tail is a number from 0 to {TAIL_MAX}"));
                    wanted.tail.push(tail.ok_or_else(wrong)?);
                }
                "lastEventId" => {
                    wanted.last_event_id = Some(value).filter(|id| !id.is_empty());
                }
                _ => {}
            }
        }
        if wanted.channels.is_empty() {
            return Err(bad("channel", "name the channels: ?channel=deployments&channel=tasks"));
        }
        Ok(wanted)
    }

    /// The positions to go on from.
    fn positions(&self, subscriptions_max: usize) -> Result<LastEventId, Problem> {
        let count = self.channels.len();
        if count > subscriptions_max {
            let detail = format!("at most {subscriptions_max} channels per stream");
            return Err(bad("channel", &detail));
        }
        for (name, given) in [("mode", self.mode.len()), ("tail", self.tail.len())] {
            if given > 1 && given != count {
                return Err(bad(name, "give it once for all, or once per channel in their order"));
            }
        }
        if let Some(id) = &self.last_event_id {
            return Ok(LastEventId::parse(id, &self.channels));
        }
        match &*self.since {
            [] => Ok(LastEventId::new(&self.channels, [])),
            // An id, whole.
            [id] if count > 1 && id.contains([';', '/']) => {
                Ok(LastEventId::parse(id, &self.channels))
            }
            all if all.len() == count => {
                let since = all.iter().map(|at| Some(at.clone()).filter(|at| !at.is_empty()));
                Ok(LastEventId::new(&self.channels, since))
            }
            _ => Err(bad("since", "give since once per channel, in their order")),
        }
    }

    fn subscriptions<'a>(&'a self, id: &'a LastEventId) -> impl Iterator<Item = Command> + 'a {
        self.channels.iter().enumerate().map(|(index, channel)| {
            Command::Subscribe(Subscribe {
                channel: channel.clone(),
                since: id.get(channel).map(str::to_owned),
                mode: of_channel(&self.mode, index),
                tail: of_channel(&self.tail, index),
                granted: false,
            })
        })
    }
}

/// Returns what was given for one channel, or for all.
fn of_channel<T: Copy + Default>(given: &[T], index: usize) -> T {
    let one = if let [one] = given { Some(one) } else { given.get(index) };
    one.copied().unwrap_or_default()
}

fn bad(parameter: &str, detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail).with("parameter", parameter.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_repeated_and_each_counts_once() {
        let wanted =
            StreamRequest::read("channel=tasks&channel=task%3At&channel=tasks&tail=5").unwrap();
        assert_eq!(wanted.channels, ["tasks", "task:t"]);
        assert_eq!((of_channel(&wanted.tail, 1), of_channel(&wanted.mode, 1)), (5, Mode::All));
        let each =
            StreamRequest::read("channel=a&channel=b&since=&since=0a-1&tail=3&tail=4").unwrap();
        let id = each.positions(2).unwrap();
        assert_eq!((id.get("a"), id.get("b")), (None, Some("0a-1")));
        assert_eq!((of_channel(&each.tail, 0), of_channel(&each.tail, 1)), (3, 4));
        let back = StreamRequest::read("channel=a&since=0a-1&lastEventId=0a-7").unwrap();
        assert_eq!(back.positions(2).unwrap().get("a"), Some("0a-7"));
        assert!(StreamRequest::read("tail=5").is_err());
        assert!(StreamRequest::read("channel=tasks&mode=some").is_err());
    }
}
