//! `GET /v1/explain/{entry or channel@position}`: the hops of one event, for `fanfare explain`.

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde_json::{Value, json};
use shared::{
    broker::Head,
    channel::Channel,
    control::Standing,
    entry::EntryId,
    position::Position,
    publication::Recorded,
    store::{SourceRow, Traced},
};

use super::{access::Operator, problem::Problem};
use crate::gateway::{Gateway, GatewayState};

/// Where an event came from, what was made of it, and how far it has come.
pub async fn explain(
    State(gateway): State<GatewayState>,
    _operator: Operator,
    Path(what): Path<String>,
) -> Result<Json<Value>, Problem> {
    let traced = gateway.store.trace(&what).await.map_err(|error| Problem::store(&error))?;
    let Some(traced) = traced else {
        let detail = format!(
            "nothing is recorded as {what}: expected an entry (1700000000000-0) or \
             CHANNEL@POSITION, not older than the archive"
        );
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let rows = gateway.store.sources(&[traced.source]).await;
    let row = rows.map_err(|error| Problem::store(&error))?.into_iter().next();
    let wanted: Vec<_> =
        traced.offsets.iter().map(|(channel, _)| (channel.clone(), traced.source)).collect();
    // Without the broker the record is still worth showing.
    let heads = gateway.broker.heads(&wanted).await.unwrap_or_default();
    let channels: Vec<Channel> = wanted.into_iter().map(|(channel, _)| channel).collect();
    let standings = gateway.standings(&channels).await;
    Ok(Json(shown(&gateway, &traced, row.as_ref(), &heads, &standings)))
}

fn shown(
    gateway: &Gateway,
    traced: &Traced,
    row: Option<&SourceRow>,
    heads: &[Option<Head>],
    standings: &[Standing],
) -> Value {
    let channels: Vec<Value> = traced
        .offsets
        .iter()
        .enumerate()
        .map(|(index, (channel, offset))| {
            let head = heads.get(index).copied().flatten();
            json!({
                "channel": channel.as_str(),
                "position": position(gateway, channel, traced, *offset),
                "broker_head": head.map(|head| head.offset),
                "nodes": nodes(standings, channel),
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

fn position(gateway: &Gateway, channel: &Channel, traced: &Traced, offset: u64) -> String {
    let offsets = [(traced.source, offset)].into_iter().collect();
    Position { epoch: gateway.store.epoch(), offsets }.show(channel)
}

/// How far every node is that has the channel, and who listens there.
fn nodes(standings: &[Standing], channel: &Channel) -> Vec<Value> {
    let here = standings.iter().filter(|standing| standing.channel == channel.as_str());
    here.map(|standing| {
        json!({
            "node": standing.node,
            "position": standing.position,
            "live": standing.live,
            "behind": standing.behind,
        })
    })
    .collect()
}
