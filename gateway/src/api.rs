//! HTTP that no dialect owns (contract §6), and the order in which requests are served: an upgrade
//! goes to its dialect, everything else to the routes.

pub mod access;
pub mod admission;
pub mod body;
pub mod channels;
pub mod connections;
pub mod console_session;
pub mod cors;
pub mod dead;
pub mod descriptions;
pub mod events;
pub mod explain;
pub mod headers;
pub mod health;
pub mod listing;
pub mod origin;
pub mod problem;
pub mod publish;
pub mod schemas;
pub mod upgrade;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    handler::Handler,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, get, on},
};
use http::{HeaderMap, Method, StatusCode, header};

use self::{problem::Problem, upgrade::upgrade};
use crate::{
    console, dialect,
    node::services::{Dialects, Services},
    protocol::Request as SocketRequest,
};

/// The largest body of a request, in bytes (contract, "Where the pages meet").
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Routes together with what they are, so that the description can be held to them.
#[derive(Default)]
struct Routes {
    router: Router<Services>,
    /// What the description is held to.
    methods: Vec<(Method, &'static str)>,
}

impl Routes {
    fn on<H, T>(mut self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Services>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        self.router = self.router.route(path, on(filter, handler));
        self.methods.push((method, path));
        self
    }

    fn get<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Services>,
        T: 'static,
    {
        self.on(Method::GET, path, handler)
    }
}

/// Our own paths (contract §6).
fn own_routes() -> Routes {
    Routes::default()
        .get("/livez", health::livez)
        .get("/readyz", health::readyz)
        .get("/metrics", health::metrics)
        .get("/openapi.json", descriptions::openapi)
        .get("/asyncapi.yaml", descriptions::asyncapi)
        .get("/schemas/{stream}/{file}", schemas::schema)
        .get("/console/session", console_session::session)
        .on(Method::POST, "/v1/publish", publish::publish)
        .get("/v1/channels/{channel}", channels::channel)
        .get("/v1/channels/{channel}/events", channels::events)
        .get("/v1/events", events::events)
        .get("/v1/deployments", listing::deployments)
        .get("/v1/tasks", listing::tasks)
        .get("/v1/connections", connections::list)
        .on(Method::DELETE, "/v1/users/{id}/connections", connections::disconnect)
        .get("/v1/denied", connections::denied)
        .on(Method::DELETE, "/v1/denied/{user}", connections::admit)
        .get("/v1/dead", dead::list)
        .get("/v1/dead/{id}", dead::one)
        .on(Method::DELETE, "/v1/dead/{id}", dead::forget)
        .on(Method::POST, "/v1/dead/{id}/redrive", dead::redrive)
        .get("/v1/explain/{event}", explain::explain)
}

/// Returns everything that a gateway serves.
pub fn router(services: Services) -> Router {
    own_routes()
        .router
        .merge(console::routes())
        .method_not_allowed_fallback(not_allowed)
        .fallback(unknown)
        .merge(dialect::routes())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(services.clone(), admission::admit))
        .layer(middleware::from_fn_with_state(services.clone(), cors::cors))
        .layer(middleware::from_fn(headers::protect))
        .layer(middleware::from_fn_with_state(services.clone(), sockets_first))
        .with_state(services)
}

/// Returns what an operator's address serves.
pub fn admin_router(services: Services) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .with_state(services)
}

async fn sockets_first(State(services): State<Services>, request: Request, next: Next) -> Response {
    let wants = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if wants.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
        return upgrade(State(services), request).await;
    }
    next.run(request).await
}

/// Answers on a path that nobody serves; one that serves sockets asks for an upgrade.
async fn unknown(State(dialects): State<Dialects>, request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let (path, headers) = (request.uri().path(), request.headers());
    let asked = SocketRequest::of(path, request.uri().query(), headers);
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_socket = dialects.iter().any(|dialect| dialect.recognizes(&asked));
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
