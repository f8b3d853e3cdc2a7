//! From an upgrade request to a session, or to a refusal.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{
    api::doors::{self, Visitor},
    dialect::{self, Dialect, Doors, Opening, Refusal},
    gateway::{Gateway, GatewayState},
    handshake,
    outlet::Outlet,
    session::Session,
};

/// How a browser hands a token over, which cannot set headers: a subprotocol `bearer.TOKEN`.
pub const BEARER_PROTOCOL: &str = "bearer.";

/// What is known of a client before it is let in. Owned, because anything borrowed from the request
/// would pin hyper's read buffer for the life of the socket.
#[derive(Clone, Debug, Default)]
pub struct Upgrade {
    /// The path.
    pub path: String,
    query: Vec<(String, String)>,
    /// `Authorization`, whole.
    pub authorization: Option<String>,
    /// `X-API-Key`
    pub api_key: Option<String>,
    /// `X-Agent-Id`
    pub agent_id: Option<String>,
    /// The subprotocols that the client offers.
    pub protocols: Vec<String>,
}

impl Upgrade {
    /// What a request says.
    pub fn of(path: &str, query: Option<&str>, headers: &HeaderMap) -> Self {
        let text =
            |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            path: path.to_owned(),
            query: query.map_or_else(Vec::new, pairs),
            authorization: text("authorization"),
            api_key: text("x-api-key"),
            agent_id: text("x-agent-id"),
            protocols: handshake::offered_protocols(headers).map(str::to_owned).collect(),
        }
    }

    /// The first value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The token of `Authorization: Bearer`, whatever the case of the scheme.
    pub fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.authorization.as_deref()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// Everything that may be a token or a key; which of them counts, the dialect decides.
    pub fn credentials(&self) -> impl Iterator<Item = &str> {
        let protocols = self.protocols.iter().filter_map(|p| p.strip_prefix(BEARER_PROTOCOL));
        let given = [self.query("token"), self.bearer(), self.api_key.as_deref()];
        given.into_iter().flatten().chain(protocols).filter(|credential| !credential.is_empty())
    }

    /// Whether there is anything that may be a token or a key.
    pub fn has_credentials(&self) -> bool {
        self.credentials().next().is_some()
    }

    /// Whether the client says who it is by a header: then `/ws` is seed 001's.
    pub fn has_agent_header(&self) -> bool {
        self.authorization.is_some() || self.api_key.is_some() || self.agent_id.is_some()
    }
}

/// Query pairs, decoded.
fn pairs(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}

/// Serves every upgrade request: the dialect that recognizes it decides.
pub async fn upgrade(State(gateway): State<GatewayState>, mut request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let upgrade = Upgrade::of(parts.uri.path(), parts.uri.query(), &parts.headers);
    let Some(index) = dialect::ALL.iter().position(|dialect| dialect.recognizes(&upgrade)) else {
        return (StatusCode::NOT_FOUND, "Not Found").into_response();
    };
    if !origin_allowed(&gateway, &parts.headers) {
        return (StatusCode::FORBIDDEN, "Origin not allowed").into_response();
    }
    let accepted = match handshake::check(&parts) {
        Ok(accepted) => accepted,
        Err(refusal) => return refusal.response(),
    };
    request = Request::from_parts(parts, body);
    let dialect = dialect::ALL[index];
    let visitor = Visitor::of(&gateway, &request);
    // A container ends for good when it is turned away.
    if dialect.name() != "containers"
        && let Err(problem) =
            visitor.connect(&gateway).and_then(|()| visitor.knock(&gateway, &upgrade))
    {
        return problem.into_response();
    }
    doors::prepare(&gateway, &upgrade).await;
    let number = gateway.next_connection();
    let doors = Doors {
        auth: &gateway.auth,
        config: &gateway.config,
        connection: &gateway.connection_name(number),
        now: jiff::Timestamp::now().as_millisecond(),
    };
    let opening = dialect.open(&upgrade, &doors);
    if opening.as_ref().is_err_and(Refusal::is_unauthorized) && upgrade.has_credentials() {
        visitor.refused(&gateway);
    }
    let opening = match opening {
        Err(Refusal::Http { status, body }) => return (status, body).into_response(),
        other => other,
    };
    let protocol = opening.as_ref().ok().and_then(|opening| opening.protocol.clone());
    let offered = upgrade.protocols.first().cloned();
    let start = {
        let gateway = Arc::clone(&gateway);
        move |socket| start(gateway, dialect, number, opening, socket)
    };
    accepted.upgrade(&mut request, protocol.or(offered).as_deref(), &gateway.connections, start)
}

fn start(
    gateway: GatewayState,
    dialect: &'static dyn Dialect,
    number: u64,
    opening: Result<Opening, Refusal>,
    socket: handshake::Socket,
) {
    let heartbeat = gateway.heartbeat(dialect, false);
    let connections = Arc::clone(&gateway.connections);
    connections.open(socket, heartbeat, |connection| {
        let outlet = Outlet::Socket(Arc::clone(connection));
        Session::open(gateway, dialect, number, opening, outlet)
    });
}

/// Whether a browser of this origin may come: the same origin, or one that the settings allow.
pub fn origin_allowed(gateway: &Gateway, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok()) else {
        return true;
    };
    let allowed = &gateway.config.access.allowed_origins;
    if allowed.iter().any(|pattern| pattern == "*" || pattern.eq_ignore_ascii_case(origin)) {
        return true;
    }
    same_origin(headers)
}

/// Whether a request comes from a page of ours, or from no page at all.
pub fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or(""));
    let Some(origin) = text(header::ORIGIN) else { return true };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some() && authority == text(header::HOST)
}
