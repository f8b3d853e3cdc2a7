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

use super::{access, body::Params, problem::Problem, text_search::TextSearch};
use crate::dialect::native::event_json;

/// Events of a page when the client names no limit, and the most it may name.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// Events that one search looks through at most (contract, "HTTP").
const SEARCHED_MAX: usize = 10_000;
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
    q: Option<String>,
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
    let search = wanted.q.as_deref().filter(|text| !text.is_empty()).map(TextSearch::new);
    let search = search.transpose()?;
    let rows = if search.is_some() { SEARCHED_MAX } else { limit };
    let offsets = since.as_ref().map(|since| since.offsets.clone());
    let page = if reverse {
        store.page_back(&channel, offsets.as_ref(), rows, PAGE_BYTES).await
    } else {
        store.page(&channel, &offsets.unwrap_or_default(), rows, PAGE_BYTES).await
    };
    let mut page = page.map_err(|error| Problem::store(&error))?;
    if let Some(search) = &search {
        search.cut(&mut page.publications, limit, reverse);
    }
    if let Some(since) = &since {
        follows(&channel, since, &page.head)?;
    }
    Ok(Json(answer(&channel, since.as_ref(), &page, reverse, search.as_ref())))
}

/// Whether a position belongs to this record: the numbers of another epoch mean other events, and
/// nothing comes after one that was never given.
fn follows(channel: &Channel, since: &Position, head: &Position) -> Result<(), Problem> {
    let cause = if since.epoch != head.epoch && since.offsets.total() > 0 {
        "another epoch"
    } else if !head.offsets.covers(&since.offsets) {
        "ahead of the head"
    } else {
        return Ok(());
    };
    let problem = Problem::new(StatusCode::CONFLICT, format!("since is {cause}"));
    Err(problem.with("head", head.show(channel).into()))
}

/// What retention removed between a position and what is kept.
#[derive(Debug, Serialize)]
pub struct ArchiveGap {
    from: String,
    to: String,
    cause: &'static str,
}

/// The first and the last position missing after `since`, where the archive does not reach back so
/// far.
fn gap(channel: &Channel, since: &Position, page: &Page) -> Option<ArchiveGap> {
    let mut from = since.clone();
    let mut to = since.clone();
    for (source, floor) in page.floor.iter() {
        let seen = since.offsets.get(source);
        if seen < floor {
            from.offsets.set(source, seen + 1);
            to.offsets.set(source, floor);
        }
    }
    from.epoch = page.head.epoch;
    to.epoch = page.head.epoch;
    let (from, to) = (from.show(channel), to.show(channel));
    (!since.offsets.covers(&page.floor)).then_some(ArchiveGap { from, to, cause: "retention" })
}

/// A page of an archive. Its events are written as they travel, byte for byte.
#[derive(Debug, Serialize)]
pub struct ArchivePage {
    channel: String,
    events: Vec<Box<RawValue>>,
    next: Option<String>,
    head: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<ArchiveGap>,
}

fn answer(
    channel: &Channel,
    since: Option<&Position>,
    page: &Page,
    reverse: bool,
    search: Option<&TextSearch>,
) -> ArchivePage {
    // Backwards from the head, a source without an event on this page is not read yet.
    let newest = reverse && since.is_none();
    let begun = if newest { &page.head.offsets } else { &page.floor };
    let mut at = Position { epoch: page.head.epoch, offsets: begun.clone() };
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
        if search.is_none_or(|search| search.finds(publication)) {
            events.extend(RawValue::from_string(event_json(publication, &at, false)).ok());
        }
    }
    let next = if reverse {
        events.reverse();
        let moved = !page.publications.is_empty();
        (begin.offsets != page.floor && moved).then(|| begin.show(channel))
    } else {
        (!at.offsets.covers(&page.head.offsets)).then(|| at.show(channel))
    };
    ArchivePage {
        channel: channel.as_str().to_owned(),
        events,
        next,
        head: page.head.show(channel),
        gap: since.filter(|_| !reverse).and_then(|since| gap(channel, since, page)),
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        position::{Epoch, Offsets},
        source::{Source, Stream},
    };

    use super::*;

    const ONE: Source = Source::first(Stream::Deployments);
    const OTHER: Source = Source::first(Stream::Tasks);

    fn at(epoch: u32, pairs: &[(Source, u64)]) -> Position {
        Position { epoch: Epoch(epoch), offsets: pairs.iter().copied().collect() }
    }

    fn page(floor: &[(Source, u64)], head: &[(Source, u64)]) -> Page {
        let floor: Offsets = floor.iter().copied().collect();
        Page { publications: Vec::new(), floor, head: at(1, head) }
    }

    #[test]
    fn a_position_of_another_epoch_or_ahead_of_the_head_is_a_conflict_that_names_the_head() {
        let channel = Channel::parse("user:u").unwrap();
        let head = at(1, &[(ONE, 5)]);
        for wrong in [at(2, &[(ONE, 3)]), at(1, &[(ONE, 6)]), at(1, &[(ONE, 5), (OTHER, 1)])] {
            assert!(follows(&channel, &wrong, &head).is_err(), "{wrong:?}");
        }
        for right in [at(1, &[(ONE, 5)]), at(1, &[]), at(2, &[])] {
            assert!(follows(&channel, &right, &head).is_ok(), "{right:?}");
        }
    }

    #[test]
    fn a_position_below_what_is_kept_answers_with_the_gap() {
        let channel = Channel::parse("deployment:d").unwrap();
        let page = page(&[(ONE, 40)], &[(ONE, 60)]);
        let gap = answer(&channel, Some(&at(1, &[(ONE, 10)])), &page, false, None).gap.unwrap();
        assert_eq!(
            (gap.from, gap.to),
            (at(1, &[(ONE, 11)]).show(&channel), at(1, &[(ONE, 40)]).show(&channel),)
        );
        assert!(answer(&channel, Some(&at(1, &[(ONE, 40)])), &page, false, None).gap.is_none());
    }
}
