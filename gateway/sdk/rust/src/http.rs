//! The server's HTTP side: publishing, pages of the archive, work.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    backoff::Backoff,
    error::{Error, Problem, Refusal},
    item::{Event, Gap, Position},
    publication::{Publication, Published},
    token::Tokens,
};

/// How long a request may take; publishing waits up to 5 s for its outcome.
const DEADLINE: Duration = Duration::from_secs(15);
/// The most events that the server takes at once.
const BATCH_EVENTS: usize = 1000;
/// The most bytes of a batch; the server takes bodies of 4 MiB.
const BATCH_BYTES: usize = 3 * 1024 * 1024;
/// How often a batch is sent while the server is busy or away.
const TRIES: u32 = 6;

/// Which part of an archive is wanted.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// What follows this position; with `reverse` what goes up to it.
    pub since: Option<Position>,
    /// The most events.
    pub limit: Option<u32>,
    /// Downwards, from `since` or the newest.
    pub reverse: bool,
    /// Only events whose data contains this.
    pub text: Option<String>,
}

/// A page of a channel's archive.
#[derive(Clone, Debug)]
pub struct Page {
    /// The events.
    pub events: Vec<Event>,
    /// Where the next page begins; none at the end.
    pub next: Option<Position>,
    /// The newest position.
    pub head: Option<Position>,
    /// What is older than the archive, if it was asked for.
    pub gap: Option<Gap>,
}

/// Requests with the client's token.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    pub client: reqwest::Client,
    pub url: String,
    pub tokens: Arc<Tokens>,
    pub backoff: Backoff,
}

struct Answer {
    status: StatusCode,
    retry_after: Duration,
    body: Value,
}

impl Http {
    /// Publishes in batches, each all or nothing; what cannot be taken now is sent again.
    pub(crate) async fn publish(
        &self,
        publications: &[Publication],
    ) -> Result<Vec<Published>, Error> {
        let mut published = Vec::new();
        let events = publications.iter().map(serde_json::to_value);
        let events: Vec<Value> = events
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Unreachable(error.to_string()))?;
        let mut start = 0;
        while start < events.len() {
            let end = start + batch(&events[start..]);
            let answer = self.send_again(&Value::from(&events[start..end])).await?;
            let said: Vec<Published> = read(&answer["published"]).unwrap_or_default();
            published
                .extend(said.into_iter().map(|one| Published { index: start + one.index, ..one }));
            start = end;
        }
        Ok(published)
    }

    /// Reads a page of the archive.
    pub(crate) async fn history(&self, channel: &str, query: Query) -> Result<Page, Error> {
        let mut asked: Vec<(&str, String)> = Vec::new();
        asked.extend(query.since.map(|since| ("since", since)));
        asked.extend(query.limit.map(|limit| ("limit", limit.to_string())));
        asked.extend(query.reverse.then(|| ("reverse", "true".to_owned())));
        asked.extend(query.text.map(|text| ("q", text)));
        let body =
            self.call(Method::GET, &["v1", "channels", channel, "events"], &asked, None).await?;
        let gap = body.get("gap").and_then(Value::as_object).map(|gap| {
            let text =
                |name: &str| gap.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            Gap {
                channel: channel.to_owned(),
                from: text("from"),
                to: text("to"),
                cause: text("cause"),
            }
        });
        Ok(Page {
            events: read(&body["events"]).unwrap_or_default(),
            next: read(&body["next"]),
            head: read(&body["head"]),
            gap,
        })
    }

    /// A request that must succeed.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let answer = self.request(method, path, query, body).await?;
        if answer.status.is_success() { Ok(answer.body) } else { Err(refused(answer)) }
    }

    async fn send_again(&self, batch: &Value) -> Result<Value, Error> {
        for attempt in 1.. {
            let mut wait = self.backoff.wait(attempt);
            let path = ["v1", "publish"];
            match self.request(Method::POST, &path, &[], Some(batch)).await {
                Ok(answer) if answer.status.is_success() => return Ok(answer.body),
                Ok(answer) => {
                    let passes = matches!(answer.status.as_u16(), 429 | 502 | 503 | 504);
                    if !passes || attempt == TRIES {
                        return Err(refused(answer));
                    }
                    wait = wait.max(answer.retry_after);
                }
                Err(error) if attempt == TRIES => return Err(error),
                Err(_away) => {}
            }
            tokio::time::sleep(wait).await;
        }
        Err(Error::Gone)
    }

    /// Sends a request, once more with another token where the first was refused.
    async fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let unreachable = |error: &dyn std::error::Error| Error::Unreachable(innermost(error));
        let mut url = reqwest::Url::parse(&self.url).map_err(|error| unreachable(&error))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut token = self.tokens.get().await.map_err(Error::Unreachable)?;
        loop {
            let mut request = self.client.request(method.clone(), url.clone()).timeout(DEADLINE);
            if let Some(token) = &token {
                request = request.bearer_auth(token);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            let answer = request.send().await.map_err(|error| unreachable(&error))?;
            let status = answer.status();
            if status == StatusCode::UNAUTHORIZED && self.tokens.renewable() {
                let next = self.tokens.renew().await.map_err(Error::Unreachable)?;
                if next != token {
                    token = next;
                    continue;
                }
            }
            let seconds = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
            let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or_default();
            let text = answer.bytes().await.map_err(|error| unreachable(&error))?;
            let body = domain::json::value(&text).unwrap_or_default();
            return Ok(Answer { status, retry_after: Duration::from_secs(seconds), body });
        }
    }
}

/// How many of the events go together.
fn batch(events: &[Value]) -> usize {
    let mut bytes = 0;
    let fits = events.iter().take(BATCH_EVENTS).take_while(|event| {
        bytes += event.to_string().len() + 1;
        bytes <= BATCH_BYTES
    });
    fits.count().max(1)
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

fn refused(Answer { status, body, .. }: Answer) -> Error {
    let said = ["detail", "title", "error"].into_iter().find_map(|name| body[name].as_str());
    let message = said.unwrap_or("refused").to_owned();
    let problems: Vec<Problem> = read(&body["problems"]).unwrap_or_default();
    Error::Http(Box::new(Refusal { status: status.as_u16(), message, problems, body }))
}

/// The innermost cause says it best: "Connection refused".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
