//! What happens to a request before anybody looks at its credential: its address may have come too
//! often, or been refused too often, and the key that a token names may have to be fetched.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use auth::Authenticator;
use axum::{
    extract::{ConnectInfo, FromRef, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use domain::trace_context::TraceContext;
use http::{Method, StatusCode};
use runtime::{config::Config, trace};
use tracing::Instrument as _;

use super::problem::Problem;
use crate::{
    http::{address, address_limits::AddressLimits, read_limits::ReadLimits},
    metrics::GatewayMetrics,
    node::services::Services,
    protocol::Request as SocketRequest,
};

/// The path of event streams, which count as connections.
const EVENT_STREAM: &str = "/v1/events";

/// What decides whether an address may ask.
#[derive(Clone)]
pub struct Admission {
    config: Arc<Config>,
    auth: Arc<Authenticator>,
    limits: Arc<AddressLimits>,
    reads: Arc<ReadLimits>,
    metrics: Arc<GatewayMetrics>,
}

impl From<&Services> for Admission {
    fn from(services: &Services) -> Self {
        Self {
            config: Arc::clone(&services.context.config),
            auth: Arc::clone(&services.context.auth),
            limits: Arc::clone(&services.address_limits),
            reads: Arc::clone(&services.read_limits),
            metrics: Arc::clone(&services.context.metrics),
        }
    }
}

impl FromRef<Services> for Admission {
    fn from_ref(services: &Services) -> Self {
        Self::from(services)
    }
}

/// The address of a client, as far as limits are concerned; without one nothing is counted.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddr(Option<IpAddr>);

impl ClientAddr {
    /// Returns the address of whoever sent a request.
    pub fn of(admission: &Admission, request: &Request) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let trusted = &admission.config.limits.trusted_proxies;
        let headers = request.headers();
        let client = peer.map(|peer| address::client(peer, headers, trusted));
        if let Some(client) = client
            && Some(client) == peer
            && address::is_forwarded(headers)
        {
            admission.limits.warn_of_proxy(client);
        }
        Self(client)
    }

    /// Returns the number under which its half uploads are counted; 0 on this machine, where a proxy
    /// speaks for all.
    pub fn upload_group(self) -> u32 {
        let Some(address) = self.0.filter(|address| !address.is_loopback()) else { return 0 };
        let mut hasher = DefaultHasher::new();
        match address {
            IpAddr::V4(address) => address.hash(&mut hasher),
            // A home or a server has 2⁶⁴ of them.
            IpAddr::V6(address) => (address.to_bits() >> 64).hash(&mut hasher),
        }
        (hasher.finish() as u32).max(1)
    }
}

impl Admission {
    /// Counts one more connection of a client.
    ///
    /// # Errors
    /// 429 when there were too many.
    pub fn count_connection(&self, client: ClientAddr) -> Result<(), Problem> {
        let Some(address) = client.0 else { return Ok(()) };
        self.limits.connect(address).map_err(|wait| {
            self.metrics.refused.with_label_values(&["connections"]).inc();
            too_many("this address opens too many connections", wait)
        })
    }

    /// Checks whether a client may show one more credential, if there is one.
    ///
    /// # Errors
    /// 429 when too many were wrong.
    pub fn check_credential(
        &self,
        client: ClientAddr,
        asked: &SocketRequest,
    ) -> Result<(), Problem> {
        let Some(address) = client.0.filter(|_| asked.has_credentials()) else { return Ok(()) };
        self.limits.try_again(address).map_err(|wait| {
            self.metrics.refused.with_label_values(&["credentials"]).inc();
            too_many("this address has shown too many wrong credentials", wait)
        })
    }

    /// Notes that the credential of a client was wrong.
    pub fn refused(&self, client: ClientAddr) {
        if let Some(address) = client.0 {
            self.limits.refused(address);
        }
    }

    /// Whether a request reads the record, and so has to wait for its turn.
    fn is_read(request: &Request) -> bool {
        let path = request.uri().path();
        let is_record = path.starts_with("/v1/") || path.starts_with("/api/");
        request.method() == Method::GET && is_record && path != EVENT_STREAM
    }

    /// Waits, briefly, for the keys that a client's credentials name.
    pub async fn fetch_keys(&self, asked: &SocketRequest) {
        for credential in asked.credentials() {
            self.auth.prepare(credential).await;
        }
    }
}

fn too_many(detail: &str, wait: Duration) -> Problem {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds.max(1))
}

/// Serves a request if its address may ask, when the keys that its credentials name are there.
pub async fn admit(State(admission): State<Admission>, request: Request, next: Next) -> Response {
    let client = ClientAddr::of(&admission, &request);
    if request.uri().path() == EVENT_STREAM
        && let Err(problem) = admission.count_connection(client)
    {
        return problem.into_response();
    }
    let asked = SocketRequest::of("", request.uri().query(), request.headers());
    if let Err(problem) = admission.check_credential(client, &asked) {
        return problem.into_response();
    }
    admission.fetch_keys(&asked).await;
    let _turn = if Admission::is_read(&request) {
        let address = || client.0.map(|address| address.to_string()).unwrap_or_default();
        let name = asked.credentials().next().map_or_else(address, str::to_owned);
        admission.reads.turn(&name).await
    } else {
        None
    };
    let response = serve(request, next).await;
    if response.status() == StatusCode::UNAUTHORIZED && asked.has_credentials() {
        admission.refused(client);
    }
    response
}

/// Serves a request; what it publishes and logs belongs where its `traceparent` says.
async fn serve(request: Request, next: Next) -> Response {
    let place = request.headers().get("traceparent").and_then(|place| place.to_str().ok());
    let place = place.and_then(TraceContext::parse);
    let answer = trace::within_request(place, next.run(request));
    match place.map(TraceContext::trace_id) {
        None => answer.await,
        // What is logged on the way can be found by the trace, collected or not.
        Some(trace_id) => answer.instrument(tracing::error_span!("request", trace_id)).await,
    }
}
