//! `GET /v1/explain/{entry or channel@position}`: the hops of one event, for `fanfare explain`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use broker::{Broker, BrokerError, Head};
use domain::{
    channel::Channel,
    control::ChannelStatus,
    entry::EntryId,
    excerpt::excerpt,
    position::{Epoch, Position},
    publication::Recorded,
    source::{Source, Stream},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{DeadLetter, SourceRow, Store, Traced};

use super::{access::Operator, body::Params, dead, problem::Problem};
use crate::cluster::cluster_query::ClusterQuery;

/// In which stream an entry is looked for; its id alone may stand in several.
#[derive(Debug, Deserialize)]
pub struct ExplainQuery {
    stream: Option<String>,
}

/// Where an event came from, what was made of it, and how far it has come.
pub async fn explain(
    State(store): State<Arc<dyn Store>>,
    State(broker): State<Arc<dyn Broker>>,
    State(cluster): State<Arc<ClusterQuery>>,
    _operator: Operator,
    Path(what): Path<String>,
    Params(wanted): Params<ExplainQuery>,
) -> Result<Json<Value>, Problem> {
    let stream = wanted.stream.as_deref().map(str::parse::<Stream>).transpose();
    let stream = stream.map_err(|error| {
        let problem = Problem::new(StatusCode::BAD_REQUEST, error.to_string());
        problem.with("parameter", "stream".into())
    })?;
    let traced = store.trace(&what, stream).await.map_err(|error| Problem::store(&error))?;
    let Some(traced) = traced else {
        return unrecorded(&*store, &*broker, &what, stream).await.map(Json);
    };
    let rows = store.sources(&[traced.source]).await;
    let row = rows.map_err(|error| Problem::store(&error))?.into_iter();
    let row = row.into_iter().find(|row| row.source == traced.source);
    let wanted: Vec<_> =
        traced.offsets.iter().map(|(channel, _)| (channel.clone(), traced.source)).collect();
    // Without the broker the record is still worth showing.
    let heads = broker.heads(&wanted).await.unwrap_or_default();
    let channels: Vec<Channel> = wanted.into_iter().map(|(channel, _)| channel).collect();
    let statuses = cluster.statuses(&channels).await;
    Ok(Json(shown(store.epoch(), &traced, row.as_ref(), &heads, &statuses)))
}

/// What became of an entry that is not in the record: dead, still waiting, or trimmed.
async fn unrecorded(
    store: &dyn Store,
    broker: &dyn Broker,
    what: &str,
    stream: Option<Stream>,
) -> Result<Value, Problem> {
    let unknown = || {
        let detail = format!(
            "nothing is recorded as {}: expected an entry (1700000000000-0) or CHANNEL@POSITION, \
             not older than the archive",
            excerpt(what)
        );
        Problem::new(StatusCode::NOT_FOUND, detail)
    };
    let entry: EntryId = what.parse().map_err(|_| unknown())?;
    let of_stream = |source: Source| stream.is_none_or(|stream| source.stream == stream);
    let letter = store.dead_letter_of(&entry.to_string()).await;
    let letter = letter.map_err(|error| Problem::store(&error))?;
    if let Some(letter) =
        letter.filter(|letter| stream.is_none_or(|stream| dead::stream_of(letter) == Some(stream)))
    {
        return Ok(dead_letter(&letter));
    }
    let rows = store.sources(&[]).await.map_err(|error| Problem::store(&error))?;
    let mut trimmed = None;
    for row in rows.iter().filter(|row| of_stream(row.source)) {
        let held = broker.waiting_before(row.source, row.cursor, entry).await;
        match held.map_err(|error| unavailable(&error))? {
            Some(before) if entry > row.cursor => return Ok(waiting(row, entry, before)),
            // It was read and is neither recorded nor dead: a repetition of another one.
            Some(_) => return Ok(gone("trimmed", row, entry)),
            None => {
                let info = broker.inspect(row.source).await.map_err(|error| unavailable(&error))?;
                // Its turn had not come when it went.
                let is_past = info.first.is_none_or(|first| first > entry);
                if entry > row.cursor && entry <= info.last_generated && is_past {
                    trimmed.get_or_insert_with(|| gone("trimmed", row, entry));
                }
            }
        }
    }
    trimmed.ok_or_else(unknown)
}

fn unavailable(error: &BrokerError) -> Problem {
    tracing::warn!(%error, "explain: the broker was not asked, the client is asked to try again");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the broker does not answer").retry_after(1)
}

fn dead_letter(letter: &DeadLetter) -> Value {
    json!({
        "status": "dead",
        "stream": letter.origin.to_string(),
        "entry": letter.entry,
        "reason": letter.reason,
        "at": letter.at,
        "letter": letter.id.to_string(),
        "fields": letter.fields,
    })
}

/// An entry that its owner has not reached; `behind` is how many come before it.
fn waiting(row: &SourceRow, entry: EntryId, behind: u64) -> Value {
    let mut shown = gone("waiting", row, entry);
    shown["behind"] = behind.into();
    shown
}

fn gone(status: &str, row: &SourceRow, entry: EntryId) -> Value {
    json!({
        "status": status,
        "stream": row.source.to_string(),
        "entry": entry.to_string(),
        "appended_at": entry.ms,
        "owner": row.owner.as_ref().map(ToString::to_string),
    })
}

fn shown(
    epoch: Epoch,
    traced: &Traced,
    row: Option<&SourceRow>,
    heads: &[Option<Head>],
    statuses: &[ChannelStatus],
) -> Value {
    let channels: Vec<Value> = traced
        .offsets
        .iter()
        .enumerate()
        .map(|(index, (channel, offset))| {
            let head = heads.get(index).copied().flatten();
            json!({
                "channel": channel.as_str(),
                "position": position(epoch, channel, traced, *offset),
                "broker_head": head.map(|head| head.offset),
                "nodes": nodes(statuses, channel),
            })
        })
        .collect();
    let recorded = Recorded::from_payload(traced.source, &traced.payload).ok();
    json!({
        "status": "recorded",
        "stream": traced.source.to_string(),
        "entry": recorded.as_ref().map(|recorded| recorded.entry.as_str()),
        "seq": traced.seq,
        "at": recorded.as_ref().map(|recorded| recorded.event.at),
        "appended_at": recorded.as_ref().and_then(|recorded| {
            recorded.entry.parse::<EntryId>().ok().map(|entry| entry.ms)
        }),
        "recorded_at": recorded.as_ref().map(|recorded| recorded.recorded),
        "published": is_published(traced, row, heads),
        "owner": row.and_then(|row| row.owner.as_ref()).map(ToString::to_string),
        "event": recorded.as_ref().map(|recorded| recorded.event.kind.name()),
        "id": recorded.as_ref().and_then(|recorded| recorded.event.id.as_deref()),
        "traceparent": recorded.as_ref().and_then(|r| r.event.traceparent.as_deref()),
        "data": recorded.as_ref().map(|recorded| &recorded.event.data),
        "channels": channels,
    })
}

/// Whether it went out: the owner notes that in its row, though not at once; the broker's heads
/// show it as well, as long as they last.
fn is_published(traced: &Traced, row: Option<&SourceRow>, heads: &[Option<Head>]) -> bool {
    let reached = |(at, (_, offset)): (usize, &(Channel, u64))| {
        heads.get(at).copied().flatten().is_some_and(|head| head.offset >= *offset)
    };
    row.is_some_and(|row| row.published >= traced.seq)
        || traced.offsets.iter().enumerate().all(reached)
}

fn position(epoch: Epoch, channel: &Channel, traced: &Traced, offset: u64) -> String {
    let offsets = [(traced.source, offset)].into_iter().collect();
    Position { epoch, offsets }.show(channel)
}

/// How far every node is that has the channel, and who listens there.
fn nodes(statuses: &[ChannelStatus], channel: &Channel) -> Vec<Value> {
    let here = statuses.iter().filter(|status| status.channel == channel.as_str());
    here.map(|status| {
        json!({
            "node": status.node,
            "position": status.position,
            "live": status.live,
            "behind": status.behind,
        })
    })
    .collect()
}
