//! `GET /v1/deployments`, `/v1/tasks`, `/v1/agents`, `/v1/repos`, `/v1/alerts`, `/v1/containers`: states,
//! page by page, with how many there are of each status.

use std::{collections::BTreeMap, sync::Arc};

use auth::Authenticator;
use axum::{
    Json,
    extract::{FromRef, RawQuery, State},
    http::HeaderMap,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    channel::{Channel, ChannelKind},
    event::entity::EntityKind,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{EntityFilter, ListCursor, Listed, Store};

use super::{access, body::Params, problem::Problem};
use crate::node::services::Services;

/// Entities of a page when the client names no limit, and the most it may name.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

/// The longest text that is looked for, in bytes.
const TEXT_BYTES_MAX: usize = 200;

/// What may be asked of a list.
#[derive(Debug, Deserialize)]
pub struct ListQuery {
    status: Option<String>,
    q: Option<String>,
    sort: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// What lists are read with.
#[derive(Clone)]
pub struct Lists {
    auth: Arc<Authenticator>,
    store: Arc<dyn Store>,
}

impl FromRef<Services> for Lists {
    fn from_ref(services: &Services) -> Self {
        Self { auth: Arc::from_ref(services), store: Arc::from_ref(services) }
    }
}

/// Defines the handler of each list: its name is the noun of its path and of its answer.
macro_rules! list {
    ($($noun:ident: $kind:ident, $channel:expr;)*) => {$(
        #[doc = concat!("`GET /v1/", stringify!($noun), "`")]
        pub async fn $noun(
            State(lists): State<Lists>,
            RawQuery(query): RawQuery,
            headers: HeaderMap,
            Params(wanted): Params<ListQuery>,
        ) -> Result<Json<Value>, Problem> {
            access::reader(&lists.auth, &headers, query.as_deref(), &$channel)?;
            lists.page(stringify!($noun), EntityKind::$kind, wanted).await
        }
    )*};
}

list! {
    deployments: Deployment, Channel::feed(ChannelKind::Deployments);
    tasks: Task, Channel::feed(ChannelKind::Tasks);
    agents: Agent, Channel::feed(ChannelKind::Agents);
    repos: Repo, Channel::feed(ChannelKind::Repos);
    alerts: Alert, Channel::feed(ChannelKind::Alerts);
    // There is no feed of containers: who may read all of them may read their list.
    containers: Container, Channel::entity(ChannelKind::Container, "*");
}

impl Lists {
    async fn page(
        &self,
        noun: &str,
        kind: EntityKind,
        wanted: ListQuery,
    ) -> Result<Json<Value>, Problem> {
        let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let status = wanted.status.clone().filter(|status| !status.is_empty());
        let filter = filter(kind, wanted, limit)?;
        let unavailable = |error| Problem::store(&error);
        let counts = self.store.entity_counts(kind, filter.text.as_deref()).await;
        let counts: BTreeMap<String, u64> = counts.map_err(unavailable)?.into_iter().collect();
        let mut listed = self.store.entities(kind, &filter).await.map_err(unavailable)?;
        let more = listed.len() > limit;
        listed.truncate(limit);
        let next = listed.last().filter(|_| more).map(write_cursor);
        let states: Vec<Value> = listed.into_iter().map(shown).collect();
        let total = match &status {
            Some(status) => counts.get(status).copied().unwrap_or_default(),
            None => counts.values().sum(),
        };
        // What never said a status counts in the whole alone.
        let by_status: BTreeMap<_, _> = counts.into_iter().filter(|(s, _)| !s.is_empty()).collect();
        Ok(Json(json!({ noun: states, "total": total, "by_status": by_status, "next": next })))
    }
}

fn filter(kind: EntityKind, wanted: ListQuery, limit: usize) -> Result<EntityFilter, Problem> {
    let bad = |parameter: &str, detail: &str| {
        Problem::new(StatusCode::BAD_REQUEST, detail).with("parameter", parameter.into())
    };
    let after = wanted.cursor.as_deref().map(|cursor| {
        read_cursor(cursor).ok_or_else(|| bad("cursor", "cursor is the `next` of an earlier page"))
    });
    let is_oldest_first = match wanted.sort.as_deref() {
        None | Some("newest") => false,
        Some("oldest") => true,
        Some(_) => return Err(bad("sort", "sort is newest or oldest")),
    };
    let text = wanted.q.filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(bad("q", "q has at most 200 bytes"));
    }
    let mut status = wanted.status.filter(|status| !status.is_empty());
    let mut matching = Vec::new();
    if kind == EntityKind::Alert
        && let Some(status) = status.take()
    {
        matching.push(("acknowledged", u8::from(status == "acknowledged").into()));
    }
    Ok(EntityFilter {
        status,
        matching,
        text,
        is_oldest_first,
        // One more tells whether there is a next page.
        limit: limit + 1,
        after: after.transpose()?,
        ..EntityFilter::default()
    })
}

/// The state as it is, with the id that its events had.
fn shown(listed: Listed) -> Value {
    let mut state = listed.state;
    state.insert("id".into(), listed.id.into());
    state.into()
}

fn write_cursor(last: &Listed) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {}", last.created, last.id))
}

fn read_cursor(cursor: &str) -> Option<ListCursor> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (created, id) = text.split_once(' ')?;
    Some(ListCursor { created: created.parse().ok()?, id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_where_the_page_ended() {
        let last = Listed { id: "deploy-1~x".into(), created: 17, state: serde_json::Map::new() };
        let cursor = read_cursor(&write_cursor(&last)).unwrap();
        assert_eq!((cursor.created, cursor.id.as_str()), (17, "deploy-1~x"));
        assert!(read_cursor("nonsense").is_none() && read_cursor("").is_none());
    }
}
