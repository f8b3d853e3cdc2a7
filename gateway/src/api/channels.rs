//! Channels over HTTP: position, state, and pages of the archive, read from SQL.

use std::sync::Arc;

use auth::Authenticator;
use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
};
use domain::{channel::Channel, position::Position};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use store::{Page, Store};

use super::{access, body::Params, problem::Problem};
use crate::dialect::native::event_json;

/// Events of a page when the client names no limit, and the most it may name.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// About the most bytes of a page.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

fn parse(name: &str) -> Result<Channel, Problem> {
    Channel::parse(name).map_err(|error| Problem::new(StatusCode::NOT_FOUND, error.to_string()))
}

/// `GET /v1/channels/{channel}`
pub async fn channel(
    State(auth): State<Arc<Authenticator>>,
    State(store): State<Arc<dyn Store>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let channel = parse(&name)?;
    access::reader(&auth, &headers, query.as_deref(), &channel)?;
    let snapshot = store.snapshot(&channel).await.map_err(|e| Problem::store(&e))?;
    Ok(Json(json!({
        "channel": name,
        "position": snapshot.position.show(&channel),
        "state": snapshot.state,
    })))
}

/// What may be asked of an archive.
#[derive(Debug, Deserialize)]
pub struct ArchiveQuery {
    since: Option<String>,
    limit: Option<usize>,
    reverse: Option<bool>,
}

/// `GET /v1/channels/{channel}/events`
pub async fn events(
    State(auth): State<Arc<Authenticator>>,
    State(store): State<Arc<dyn Store>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Params(wanted): Params<ArchiveQuery>,
) -> Result<Json<ArchivePage>, Problem> {
    let channel = parse(&name)?;
    access::reader(&auth, &headers, query.as_deref(), &channel)?;
    let since = wanted.since.as_deref().map(|since| Position::parse(&channel, since)).transpose();
    let since = since.map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, error.to_string()).with("parameter", "since".into())
    })?;
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let reverse = wanted.reverse.unwrap_or(false);
    let offsets = since.as_ref().map(|since| since.offsets.clone());
    let page = if reverse {
        store.page_back(&channel, offsets.as_ref(), limit, PAGE_BYTES).await
    } else {
        store.page(&channel, &offsets.unwrap_or_default(), limit, PAGE_BYTES).await
    };
    let page = page.map_err(|error| Problem::store(&error))?;
    Ok(Json(answer(&channel, since.as_ref(), &page, reverse)))
}

/// A page of an archive. Its events are written as they travel, byte for byte.
#[derive(Debug, Serialize)]
pub struct ArchivePage {
    channel: String,
    events: Vec<Box<RawValue>>,
    next: Option<String>,
}

fn answer(channel: &Channel, since: Option<&Position>, page: &Page, reverse: bool) -> ArchivePage {
    let mut at = Position { epoch: page.head.epoch, offsets: page.floor.clone() };
    for (source, offset) in since.iter().flat_map(|since| since.offsets.iter()) {
        at.offsets.set(source, offset.max(at.offsets.get(source)));
    }
    if reverse {
        for publication in page.publications.iter().rev() {
            at.offsets.set(publication.source, publication.offset - 1);
        }
    }
    let begin = at.clone();
    let mut events: Vec<Box<RawValue>> = Vec::with_capacity(page.publications.len());
    for publication in &page.publications {
        at.offsets.set(publication.source, publication.offset);
        events.extend(RawValue::from_string(event_json(publication, &at, false)).ok());
    }
    let next = if reverse {
        events.reverse();
        (begin.offsets != page.floor && !events.is_empty()).then(|| begin.show(channel))
    } else {
        (!at.offsets.covers(&page.head.offsets)).then(|| at.show(channel))
    };
    ArchivePage { channel: channel.as_str().to_owned(), events, next }
}
