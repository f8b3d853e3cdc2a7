//! `GET /v1/deployments` and `GET /v1/tasks`: states, newest first, page by page.

use std::sync::Arc;

use auth::Authenticator;
use axum::{
    Json,
    extract::{RawQuery, State},
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

/// Entities of a page when the client names no limit, and the most it may name.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

/// What may be asked of a list.
#[derive(Debug, Deserialize)]
pub struct ListQuery {
    status: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /v1/deployments`
pub async fn deployments(
    State(auth): State<Arc<Authenticator>>,
    State(store): State<Arc<dyn Store>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Params(wanted): Params<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let feed = Channel::feed(ChannelKind::Deployments);
    access::reader(&auth, &headers, query.as_deref(), &feed)?;
    page(&*store, "deployments", EntityKind::Deployment, wanted).await
}

/// `GET /v1/tasks`
pub async fn tasks(
    State(auth): State<Arc<Authenticator>>,
    State(store): State<Arc<dyn Store>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Params(wanted): Params<ListQuery>,
) -> Result<Json<Value>, Problem> {
    access::reader(&auth, &headers, query.as_deref(), &Channel::feed(ChannelKind::Tasks))?;
    page(&*store, "tasks", EntityKind::Task, wanted).await
}

async fn page(
    store: &dyn Store,
    name: &str,
    kind: EntityKind,
    wanted: ListQuery,
) -> Result<Json<Value>, Problem> {
    let after = wanted.cursor.as_deref().map(|cursor| {
        read_cursor(cursor).ok_or_else(|| {
            Problem::new(StatusCode::BAD_REQUEST, "cursor is the `next` of an earlier page")
                .with("parameter", "cursor".into())
        })
    });
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let filter = EntityFilter {
        status: wanted.status.filter(|status| !status.is_empty()),
        // One more tells whether there is a next page.
        limit: limit + 1,
        after: after.transpose()?,
        ..EntityFilter::default()
    };
    let listed = store.entities(kind, &filter).await;
    let mut listed = listed.map_err(|error| Problem::store(&error))?;
    let more = listed.len() > limit;
    listed.truncate(limit);
    let next = listed.last().filter(|_| more).map(write_cursor);
    let states: Vec<Value> = listed.into_iter().map(shown).collect();
    Ok(Json(json!({ name: states, "next": next })))
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
