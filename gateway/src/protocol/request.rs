//! A request before anybody is let in: path, query, credentials. The one reader of credentials.

use http::HeaderMap;

use websocket::handshake;

/// How a browser hands a token over, which cannot set headers: a subprotocol `bearer.TOKEN`.
pub const BEARER_PROTOCOL: &str = "bearer.";

/// A client's request, as far as dialects and credentials are concerned. Owned, because anything borrowed from the request
/// would pin hyper's read buffer for the life of the socket.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The path of the request.
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

impl Request {
    /// Reads a request.
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

    /// The credential of those of our own doors and of 003's that take any: a header before a
    /// subprotocol, that before the query; what is empty is none.
    pub fn credential(&self) -> Option<&str> {
        let protocol = self.protocols.iter().find_map(|p| p.strip_prefix(BEARER_PROTOCOL));
        let given = [self.bearer(), self.api_key.as_deref(), protocol, self.query("token")];
        given.into_iter().flatten().find(|credential| !credential.is_empty())
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

    /// Whether the client says who it is by a header: then `/ws` is the cockpit agents'.
    pub fn has_agent_header(&self) -> bool {
        self.authorization.is_some() || self.api_key.is_some() || self.agent_id.is_some()
    }
}

/// Query pairs, decoded.
fn pairs(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}
