//! `POST /v1/tokens`: a token of ours, for share links, pages that hold a key, and agents.

use std::{ops::RangeInclusive, sync::Arc};

use auth::{Authenticator, Claims};
use axum::{
    Json,
    extract::{FromRequest as _, Request, State},
};
use domain::{channel::Pattern, id};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{access::Operator, body::Body, problem::Problem};

/// How long a token may be good, in ms: up to a day.
const LIFE_MS: RangeInclusive<u64> = 1..=86_400_000;

/// How long it is good when nothing is said.
const LIFE_MS_DEFAULT: u64 = 3_600_000;

/// The most patterns of a list.
const PATTERNS_MAX: usize = 100;

/// What the token shall say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    sub: String,
    channels: Option<Vec<String>>,
    publish: Option<Vec<String>>,
    role: Option<String>,
    ttl_ms: Option<u64>,
}

/// Signs a token with `JWT_SECRET`.
pub async fn issue(
    State(auth): State<Arc<Authenticator>>,
    _operator: Operator,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let Body(body) = Body::from_request(request, &()).await?;
    let wanted: TokenRequest =
        serde_json::from_slice(&body).map_err(|error| bad(format!("the body: {error}")))?;
    id::check(&wanted.sub).map_err(|error| bad(format!("sub {error}")))?;
    let life = wanted.ttl_ms.unwrap_or(LIFE_MS_DEFAULT);
    if !LIFE_MS.contains(&life) {
        return Err(bad("ttl_ms is from 1 to 86400000, a day".into()));
    }
    let lists = [&wanted.channels, &wanted.publish];
    if lists.into_iter().flatten().any(|list| list.len() > PATTERNS_MAX) {
        return Err(bad(format!("channels and publish have at most {PATTERNS_MAX} patterns")));
    }
    let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
    let patterns = |list: Vec<String>| list.iter().map(|text| Pattern::new(text)).collect();
    // A token counts whole seconds: it is never good for longer than was asked, but for one.
    let exp = (now_ms + life).div_ceil(1000);
    let token = auth.sign(&Claims {
        sub: Some(wanted.sub),
        exp,
        iat: Some(now_ms / 1000),
        channels: wanted.channels.map(patterns),
        publish: wanted.publish.map(patterns).unwrap_or_default(),
        role: wanted.role,
        ..Claims::default()
    });
    let unsigned =
        || Problem::new(StatusCode::NOT_IMPLEMENTED, "JWT_SECRET is not set: the issuer signs");
    Ok(Json(json!({ "token": token.ok_or_else(unsigned)?, "expires_at": exp * 1000 })))
}
