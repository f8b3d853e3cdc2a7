//! HTTP that no dialect owns (contract §6), and the order in which requests are served: an upgrade
//! goes to its dialect, everything else to the routes.

pub mod access;
pub mod admission;
pub mod agent_health;
pub mod alerts;
pub mod analytics;
pub mod audit;
pub mod body;
pub mod channels;
pub mod connections;
pub mod console_session;
pub mod cors;
pub mod dead;
pub mod dead_bulk;
pub mod descriptions;
pub mod erase;
pub mod events;
pub mod explain;
pub mod headers;
pub mod health;
pub mod listing;
pub mod nodes;
pub mod origin;
pub mod overview;
pub mod problem;
pub mod publish;
pub mod queue;
pub mod request_count;
pub mod schemas;
mod task_door;
mod task_view;
pub mod tasks;
pub mod text_search;
pub mod tokens;
pub mod upgrade;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, Method, StatusCode, header};
use runtime::config::Config;

use self::{problem::Problem, upgrade::upgrade};
use crate::{
    console, dialect,
    http::routes::{Door, Routes},
    node::services::{Dialects, Services},
    protocol::Request as SocketRequest,
};

/// What an operator asks, on an address of its own once there is one.
fn admin_routes() -> Routes<Services> {
    Routes::default()
        .get("/livez", health::livez)
        .get("/readyz", health::readyz)
        .get("/metrics", health::metrics)
}

/// What belongs to the dialect of our own.
fn native_routes() -> Routes<Services> {
    Routes::default().get("/v1/events", events::events)
}

/// Our own paths (contract §6).
fn own_routes() -> Routes<Services> {
    Routes::default()
        .get("/openapi.json", descriptions::openapi)
        .get("/asyncapi.yaml", descriptions::asyncapi)
        .get("/schemas/{stream}/{file}", schemas::schema)
        .get("/console/session", console_session::session)
        .on(Method::POST, "/v1/tokens", tokens::issue)
        .on(Method::POST, "/v1/publish", publish::publish)
        .get("/v1/channels/{channel}", channels::channel)
        .get("/v1/channels/{channel}/events", channels::events)
        .get("/v1/deployments", listing::deployments)
        .get("/v1/tasks", listing::tasks)
        .on(Method::POST, "/v1/tasks", tasks::create)
        .get("/v1/tasks/{id}", tasks::one)
        .on(Method::POST, "/v1/tasks/{id}/cancel", tasks::cancel)
        .on(Method::POST, "/v1/tasks/{id}/retry", tasks::retry)
        .get("/v1/queue", queue::queue)
        .get("/v1/groups/{id}", queue::group)
        .on(Method::POST, "/v1/groups/{id}/cancel", queue::cancel)
        .get("/v1/agents", listing::agents)
        .get("/v1/agents/{id}/health", agent_health::samples)
        .get("/v1/repos", listing::repos)
        .get("/v1/alerts", listing::alerts)
        .get("/v1/analytics/tasks", analytics::tasks)
        .on(Method::POST, "/v1/alerts/{id}/ack", alerts::acknowledge)
        .get("/v1/containers", listing::containers)
        .get("/v1/overview", overview::overview)
        .get("/v1/nodes", nodes::nodes)
        .get("/v1/audit", audit::list)
        .get("/v1/connections", connections::list)
        .on(Method::DELETE, "/v1/users/{id}/connections", connections::disconnect)
        .get("/v1/denied", connections::denied)
        .on(Method::DELETE, "/v1/denied/{user}", connections::admit)
        .get("/v1/dead", dead::list)
        .get("/v1/dead/{id}", dead::one)
        .on(Method::POST, "/v1/dead/redrive", dead_bulk::redrive)
        .on(Method::POST, "/v1/dead/drop", dead_bulk::forget)
        .on(Method::DELETE, "/v1/dead/{id}", dead::forget)
        .on(Method::POST, "/v1/dead/{id}/redrive", dead::redrive)
        .on(Method::POST, "/v1/erase", erase::erase)
        .get("/v1/explain/{event}", explain::explain)
}

/// The paths of this port, but those of dialects.
fn served_routes(config: &Config) -> Routes<Services> {
    let mut own = own_routes().any("/health", crate::http::health::health).merge(console::routes());
    if config.admin_listen.is_none() {
        own = own.merge(admin_routes());
    }
    if config.serves("native") {
        own = own.merge(native_routes());
    }
    own
}

/// Returns every way in over HTTP that these settings open, sockets aside.
pub fn doors(config: &Config) -> Vec<Door> {
    served_routes(config).merge(dialect::routes(config)).doors().to_vec()
}

/// Returns everything that a gateway serves.
pub fn router(services: Services) -> Router {
    let config = &services.context.config;
    served_routes(config)
        .into_router()
        .method_not_allowed_fallback(not_allowed)
        .fallback(unknown)
        .merge(dialect::routes(config).into_router())
        .layer(middleware::from_fn_with_state(services.clone(), admission::admit))
        .layer(middleware::from_fn_with_state(services.clone(), cors::cors))
        .layer(middleware::from_fn_with_state(services.clone(), request_count::count))
        .layer(middleware::from_fn(headers::protect))
        .layer(middleware::from_fn_with_state(services.clone(), sockets_first))
        .layer(middleware::from_fn_with_state(services.clone(), origin::guard))
        .with_state(services)
}

/// Returns what an operator's address serves.
pub fn admin_router(services: Services) -> Router {
    admin_routes().into_router().with_state(services)
}

async fn sockets_first(State(services): State<Services>, request: Request, next: Next) -> Response {
    let wants = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if wants.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
        return upgrade(State(services), request).await;
    }
    next.run(request).await
}

/// Answers on a path that nobody serves; one that serves sockets asks for an upgrade.
async fn unknown(
    State(dialects): State<Dialects>,
    State(config): State<Arc<Config>>,
    request: Request,
) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let (path, headers) = (request.uri().path(), request.headers());
    let asked = SocketRequest::of(path, request.uri().query(), headers);
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_socket = dialects.iter().any(|dialect| dialect.recognizes(&asked, &config));
    let is_deployment = asked.query("deploymentId").is_some();
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
