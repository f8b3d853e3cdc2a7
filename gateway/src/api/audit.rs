//! `GET /v1/audit`: what operators did, newest first.

use std::sync::Arc;

use axum::{Json, extract::State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{AuditRecord, Store};

use super::{access::Operator, body::Params, problem::Problem};

/// Entries of a page when the client names no limit, and the most it may name.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// Which page is asked for.
#[derive(Debug, Deserialize)]
pub struct AuditQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /v1/audit`
pub async fn list(
    State(store): State<Arc<dyn Store>>,
    _operator: Operator,
    Params(wanted): Params<AuditQuery>,
) -> Result<Json<Value>, Problem> {
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let before = wanted.cursor.as_deref().map(str::parse::<i64>).transpose().map_err(|_| {
        let detail = "cursor is `next` of the page before";
        Problem::new(StatusCode::BAD_REQUEST, detail).with("parameter", "cursor".into())
    })?;
    let mut page = store.audit(before, limit + 1).await.map_err(|error| Problem::store(&error))?;
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|record| record.id.to_string());
    let shown: Vec<Value> = page.iter().map(shown).collect();
    Ok(Json(json!({ "audit": shown, "next": next })))
}

fn shown(record: &AuditRecord) -> Value {
    json!({
        "at": record.at,
        "who": record.who,
        "action": record.action,
        "target": record.target,
        "node": record.node,
        "details": record.details,
    })
}
