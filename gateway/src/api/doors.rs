//! What happens to a request before anybody looks at its credential: its address may have come too
//! often, or been refused too often, and the key that a token names may have to be fetched.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use shared::trace::{self, Context};
use tracing::Instrument as _;

use super::problem::Problem;
use crate::{
    address,
    gateway::{Gateway, GatewayState},
    upgrade::Upgrade,
};

/// The path of event streams, which count as connections.
const EVENT_STREAM: &str = "/v1/events";

/// Who asks, as far as limits by address are concerned; without an address nothing is counted.
#[derive(Clone, Copy, Debug)]
pub struct Visitor(Option<IpAddr>);

impl Visitor {
    /// Whoever sent a request.
    pub fn of(gateway: &Gateway, request: &Request) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let trusted = &gateway.config.limits.trusted_proxies;
        let headers = request.headers();
        let client = peer.map(|peer| address::client(peer, headers, trusted));
        if let Some(client) = client
            && Some(client) == peer
            && address::is_forwarded(headers)
        {
            gateway.address_limits.meet_stranger(client);
        }
        Self(client)
    }

    /// One more connection.
    ///
    /// # Errors
    /// 429 when there were too many.
    pub fn connect(self, gateway: &Gateway) -> Result<(), Problem> {
        let Some(address) = self.0 else { return Ok(()) };
        gateway.address_limits.connect(address).map_err(|wait| {
            gateway.metrics.refused.with_label_values(&["connections"]).inc();
            too_many("this address opens too many connections", wait)
        })
    }

    /// One more credential, if there is one.
    ///
    /// # Errors
    /// 429 when too many were wrong.
    pub fn knock(self, gateway: &Gateway, asked: &Upgrade) -> Result<(), Problem> {
        let Some(address) = self.0.filter(|_| asked.has_credentials()) else { return Ok(()) };
        gateway.address_limits.try_again(address).map_err(|wait| {
            gateway.metrics.refused.with_label_values(&["credentials"]).inc();
            too_many("this address has shown too many wrong credentials", wait)
        })
    }

    /// The credential was wrong.
    pub fn refused(self, gateway: &Gateway) {
        if let Some(address) = self.0 {
            gateway.address_limits.refused(address);
        }
    }
}

fn too_many(detail: &str, wait: Duration) -> Problem {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds.max(1))
}

/// Serves a request if its address may ask, when the keys that its credentials name are there.
pub async fn open(State(gateway): State<GatewayState>, request: Request, next: Next) -> Response {
    let visitor = Visitor::of(&gateway, &request);
    if request.uri().path() == EVENT_STREAM
        && let Err(problem) = visitor.connect(&gateway)
    {
        return problem.into_response();
    }
    let asked = Upgrade::of("", request.uri().query(), request.headers());
    if let Err(problem) = visitor.knock(&gateway, &asked) {
        return problem.into_response();
    }
    prepare(&gateway, &asked).await;
    let response = serve(request, next).await;
    if response.status() == StatusCode::UNAUTHORIZED && asked.has_credentials() {
        visitor.refused(&gateway);
    }
    response
}

/// Serves a request; what it publishes and logs belongs where its `traceparent` says.
async fn serve(request: Request, next: Next) -> Response {
    let place = request.headers().get("traceparent").and_then(|place| place.to_str().ok());
    let place = place.and_then(Context::parse);
    let answer = trace::within_request(place, next.run(request));
    match place.map(Context::trace_id) {
        None => answer.await,
        // What is logged on the way can be found by the trace, collected or not.
        Some(trace_id) => answer.instrument(tracing::error_span!("request", trace_id)).await,
    }
}

/// Waits, briefly, for the keys that a client's credentials name.
pub async fn prepare(gateway: &Gateway, asked: &Upgrade) {
    for credential in asked.credentials() {
        gateway.auth.prepare(credential).await;
    }
}
