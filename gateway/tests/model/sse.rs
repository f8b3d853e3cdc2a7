//! A client of `GET /v1/events`, as far as the model needs one.

use std::collections::VecDeque;

use axum::{
    Router,
    body::{Body, BodyDataStream},
};
use futures_util::StreamExt as _;
use http::{Request, StatusCode};
use serde::Deserialize;
use tower::ServiceExt as _;

/// An open stream. Nothing is read from it but in [`EventStream::next`].
pub(crate) struct EventStream {
    body: BodyDataStream,
    /// What came of an event that is not whole yet.
    rest: String,
    events: VecDeque<(Option<String>, Frame)>,
}

/// A frame of our own protocol.
#[derive(Debug, Deserialize)]
pub(crate) struct Frame {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) channel: Option<String>,
    pub(crate) position: Option<String>,
    pub(crate) head: Option<String>,
    pub(crate) state: Option<Numbered>,
    pub(crate) data: Option<Numbered>,
    /// Whether it is one of the last events; `subscribed` says how many come.
    #[serde(default, deserialize_with = "is_true")]
    pub(crate) tail: bool,
    pub(crate) cause: Option<String>,
}

fn is_true<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(serde_json::Value::deserialize(deserializer)? == serde_json::Value::Bool(true))
}

/// The number that the owner gave.
#[derive(Debug, Deserialize)]
pub(crate) struct Numbered {
    pub(crate) n: u64,
}

impl EventStream {
    pub(crate) async fn open(router: &Router, path: &str, last_event_id: Option<&str>) -> Self {
        let mut request = Request::get(path);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let body = response.into_body().into_data_stream();
        Self { body, rest: String::new(), events: VecDeque::new() }
    }

    /// The next event with its id; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<(Option<String>, Frame)> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let chunk = self.body.next().await?.unwrap();
            self.rest.push_str(std::str::from_utf8(&chunk).unwrap());
            let Some(end) = self.rest.rfind("\n\n") else { continue };
            let rest = self.rest.split_off(end + 2);
            let whole = std::mem::replace(&mut self.rest, rest);
            self.events.extend(whole.split("\n\n").filter_map(read));
        }
    }
}

/// An event from its lines; none for a comment.
fn read(lines: &str) -> Option<(Option<String>, Frame)> {
    let field = |name: &str| lines.lines().find_map(|line| line.strip_prefix(name));
    let frame = serde_json::from_str(field("data: ")?).unwrap();
    Some((field("id: ").map(str::to_owned), frame))
}
