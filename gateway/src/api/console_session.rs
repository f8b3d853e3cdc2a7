//! `GET /console/session`: in development the console is logged in by itself.

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, header};
use serde_json::json;
use shared::{auth::Claims, channel::Pattern};

use crate::{
    gateway::{Gateway, GatewayState},
    upgrade::same_origin,
};

/// How long the console's token is good; the page fetches a fresh one before.
const TOKEN_LIFE_SECONDS: u64 = 3600;

/// A token of the role `admin` in development, null in production: there somebody types one.
pub async fn session(State(gateway): State<GatewayState>, headers: HeaderMap) -> Response {
    let production = gateway.config.production();
    // Development lets every origin read answers, but a token is for our own page alone: any web
    // page that this machine's browser has open could ask.
    let token = (!production && same_origin(&headers)).then(|| token(&gateway)).flatten();
    let environment = if production { "production" } else { "development" };
    let mut response = Json(json!({ "token": token, "environment": environment })).into_response();
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, never);
    response
}

fn token(gateway: &Gateway) -> Option<String> {
    let now = u64::try_from(jiff::Timestamp::now().as_second()).ok()?;
    gateway.auth.sign(&Claims {
        sub: Some("console".into()),
        exp: now + TOKEN_LIFE_SECONDS,
        iat: Some(now),
        channels: Some(vec![Pattern::new("*")]),
        publish: vec![Pattern::new("*")],
        role: Some("admin".into()),
        ..Claims::default()
    })
}
