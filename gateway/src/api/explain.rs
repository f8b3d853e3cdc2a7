//! `GET /v1/explain/{entry or channel@position}`: the hops of one event, for `fanfare explain`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use broker::{Broker, Head};
use domain::{
    channel::Channel,
    control::ChannelStatus,
    entry::EntryId,
    position::{Epoch, Position},
    publication::Recorded,
};
use http::StatusCode;
use serde_json::{Value, json};
use store::{SourceRow, Store, Traced};

use super::{access::Operator, problem::Problem};
use crate::cluster::cluster_query::ClusterQuery;

/// Where an event came from, what was made of it, and how far it has come.
pub async fn explain(
    State(store): State<Arc<dyn Store>>,
    State(broker): State<Arc<dyn Broker>>,
    State(cluster): State<Arc<ClusterQuery>>,
    _operator: Operator,
    Path(what): Path<String>,
) -> Result<Json<Value>, Problem> {
    let traced = store.trace(&what).await.map_err(|error| Problem::store(&error))?;
    let Some(traced) = traced else {
        let detail = format!(
            "nothing is recorded as {what}: expected an entry (1700000000000-0) or \
             CHANNEL@POSITION, not older than the archive"
        );
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
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
