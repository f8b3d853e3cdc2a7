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
    dialect::native::{self, encoder::ENCODING, sse::Sse},
    protocol::{
        Command, Dialect, Mode, OpenContext, Opening, Subscribe, Transport,
        event_stream::{EventStream, body::EventLines, last_event_id::LastEventId},
    },
    session::{context::SessionContext, sessions::Sessions},
};
use websocket::close;

/// What is asked for.
#[derive(Debug, Default)]
struct StreamRequest {
    channels: Vec<String>,
    since: Option<String>,
    mode: Mode,
    tail: usize,
}

/// Opens a stream.
pub async fn events(
    State(context): State<Arc<SessionContext>>,
    State(sessions): State<Arc<Sessions>>,
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
        wanted.since = Some(last.to_owned());
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
        connection: &name,
        now: jiff::Timestamp::now().as_millisecond(),
    };
    let sender = Sse.sender(&identity, context.config.production());
    let welcome = native::welcome(&place, identity.user.as_deref(), sender);
    let mut commands = vec![Command::Send(welcome)];
    commands.extend(wanted.subscriptions(&id));
    let opening = Opening { encoding: ENCODING, identity, protocol: None, commands };
    let stream = Arc::new(EventStream::new(context.config.limits.send_queue_bytes));
    let dialect: Arc<dyn Dialect> = Arc::new(Sse);
    let transport = Transport::Stream(Arc::clone(&stream));
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
                "since" => wanted.since = Some(value).filter(|since| !since.is_empty()),
                "mode" if value == "latest" => wanted.mode = Mode::Latest,
                "mode" if value == "all" => wanted.mode = Mode::All,
                "mode" => return Err(bad("mode", "mode is all or latest")),
                "tail" => {
                    wanted.tail = value.parse().map_err(|_| bad("tail", "tail is a number"))?;
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
        if self.channels.len() > subscriptions_max {
            let detail = format!("at most {subscriptions_max} channels per stream");
            return Err(bad("channel", &detail));
        }
        let Some(since) = &self.since else { return Ok(LastEventId::default()) };
        let mut id = LastEventId::parse(since, &self.channels)
            .ok_or_else(|| bad("since", "since is the id of an earlier event"))?;
        id.retain(&self.channels);
        Ok(id)
    }

    fn subscriptions<'a>(&'a self, id: &'a LastEventId) -> impl Iterator<Item = Command> + 'a {
        self.channels.iter().map(|channel| {
            Command::Subscribe(Subscribe {
                channel: channel.clone(),
                since: id.get(channel).map(str::to_owned),
                mode: self.mode,
                tail: self.tail,
                granted: false,
            })
        })
    }
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
        assert_eq!((wanted.tail, wanted.mode), (5, Mode::All));
        assert!(StreamRequest::read("tail=5").is_err());
        assert!(StreamRequest::read("channel=tasks&mode=some").is_err());
    }
}
