//! `GET /console/session`: in development the console is logged in by itself, and knows where `XADD`
//! is taken, so that the commands it shows work as they stand.

use std::sync::Arc;

use auth::{Authenticator, Claims};
use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use domain::channel::Pattern;
use http::{HeaderValue, header};
use runtime::config::Config;
use serde_json::json;

use super::origin::{is_called_here, same_origin};
use crate::node::services::Services;

/// How long the console's token is good; the page fetches a fresh one before.
const TOKEN_LIFE_SECONDS: u64 = 3600;

/// A token of the role `admin` in development, null in production: there somebody types one.
pub async fn session(
    State(config): State<Arc<Config>>,
    State(auth): State<Arc<Authenticator>>,
    State(services): State<Services>,
    headers: HeaderMap,
) -> Response {
    let production = config.production();
    // A token is for our own page alone: any web page that this machine's browser has open could
    // ask, and one whose name was made to mean us would be our own.
    let is_ours = same_origin(&headers) && is_called_here(&headers);
    let token = (!production && is_ours).then(|| token(&auth)).flatten();
    let environment = if production { "production" } else { "development" };
    let port = services.redis_port.get().filter(|_| token.is_some());
    let xadd = port.map(|port| json!({ "port": port, "key_prefix": config.key_prefix }));
    let body = json!({ "token": token, "environment": environment, "xadd": xadd });
    let mut response = Json(body).into_response();
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, never);
    response
}

fn token(auth: &Authenticator) -> Option<String> {
    let now = u64::try_from(jiff::Timestamp::now().as_second()).ok()?;
    auth.sign(&Claims {
        sub: Some("console".into()),
        exp: now + TOKEN_LIFE_SECONDS,
        iat: Some(now),
        channels: Some(vec![Pattern::new("*")]),
        publish: vec![Pattern::new("*")],
        role: Some("admin".into()),
        ..Claims::default()
    })
}
