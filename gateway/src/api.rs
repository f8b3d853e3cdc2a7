//! HTTP that no dialect owns (contract §6), and the order in which requests are served: an upgrade
//! goes to its dialect, everything else to the routes.

pub mod access;
pub mod body;
pub mod channels;
pub mod connections;
pub mod console_session;
pub mod cors;
pub mod dead;
pub mod explain;
pub mod health;
pub mod listing;
pub mod problem;
pub mod publish;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{delete, get, post},
};
use http::{HeaderMap, Method, StatusCode, header};

use self::problem::Problem;
use crate::{
    console, dialect,
    gateway::GatewayState,
    upgrade::{Upgrade, upgrade},
};

/// The largest body of a request, in bytes (contract, "Where the pages meet").
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Everything that a gateway serves.
pub fn router(gateway: GatewayState) -> Router {
    let mut router = Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/console/session", get(console_session::session))
        .route("/v1/publish", post(publish::publish))
        .route("/v1/channels/{channel}", get(channels::channel))
        .route("/v1/channels/{channel}/events", get(channels::events))
        .route("/v1/deployments", get(listing::deployments))
        .route("/v1/tasks", get(listing::tasks))
        .route("/v1/connections", get(connections::list))
        .route("/v1/users/{id}/connections", delete(connections::cut_off))
        .route("/v1/dead", get(dead::list))
        .route("/v1/dead/{id}", get(dead::one).delete(dead::forget))
        .route("/v1/dead/{id}/redrive", post(dead::redrive))
        .route("/v1/explain/{event}", get(explain::explain))
        .merge(console::routes())
        .method_not_allowed_fallback(not_allowed)
        .fallback(unknown);
    for dialect in dialect::ALL {
        router = router.merge(dialect.routes());
    }
    router
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(gateway.clone(), cors::cors))
        .layer(middleware::from_fn_with_state(gateway.clone(), sockets_first))
        .with_state(gateway)
}

/// What an operator's address serves.
pub fn admin_router(gateway: GatewayState) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .with_state(gateway)
}

async fn sockets_first(
    State(gateway): State<GatewayState>,
    request: Request,
    next: Next,
) -> Response {
    let wants = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if wants.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
        return upgrade(State(gateway), request).await;
    }
    next.run(request).await
}

/// A path that nobody serves; one that serves sockets asks for an upgrade.
async fn unknown(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let (path, headers) = (request.uri().path(), request.headers());
    let upgrade = Upgrade::of(path, request.uri().query(), headers);
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_socket = dialect::ALL.iter().any(|dialect| dialect.recognizes(&upgrade));
    let is_deployment = upgrade.query("deploymentId").is_some();
    if is_get && path == "/" && !is_deployment && accepts_html(headers) {
        return console::page(headers);
    }
    if is_get && is_socket {
        let answer = (StatusCode::UPGRADE_REQUIRED, "Expected WebSocket");
        let mut answer = answer.into_response();
        let websocket = http::HeaderValue::from_static("websocket");
        answer.headers_mut().insert(header::UPGRADE, websocket);
        return answer;
    }
    if request.uri().path().starts_with("/v1/") {
        return Problem::new(StatusCode::NOT_FOUND, "there is no such path").into_response();
    }
    (StatusCode::NOT_FOUND, "Not Found").into_response()
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).into_iter();
    accept.filter_map(|value| value.to_str().ok()).any(|accept| accept.contains("text/html"))
}

async fn not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path has other methods: see Allow")
}
