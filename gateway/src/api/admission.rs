//! What happens around a door: an address may have come too often, the key that a token names may have
//! to be fetched, and what was refused is counted.

use std::{sync::Arc, time::Duration};

use auth::{Authenticator, same_secret};
use axum::{
    extract::{FromRef, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use domain::trace_context::TraceContext;
use http::{Method, StatusCode};
use runtime::{config::Config, trace};
use tracing::Instrument as _;

use super::problem::Problem;
use crate::{
    http::{
        address::ClientAddress, address_limits::AddressLimits, bodies::BodyLimits,
        read_limits::ReadLimits, refusals::Refusals,
    },
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
    bodies: Arc<BodyLimits>,
    refusals: Arc<Refusals>,
}

impl From<&Services> for Admission {
    fn from(services: &Services) -> Self {
        Self {
            config: Arc::clone(&services.context.config),
            auth: Arc::clone(&services.context.auth),
            limits: Arc::clone(&services.address_limits),
            reads: Arc::clone(&services.read_limits),
            bodies: Arc::clone(&services.body_limits),
            refusals: Arc::clone(&services.context.refusals),
        }
    }
}

impl FromRef<Services> for Admission {
    fn from_ref(services: &Services) -> Self {
        Self::from(services)
    }
}

impl Admission {
    /// Counts one more connection of a client.
    ///
    /// # Errors
    /// 429 when there were too many.
    pub fn count_connection(&self, client: ClientAddress) -> Result<(), Problem> {
        let Some(address) = client.0 else { return Ok(()) };
        self.limits.connect(address).map_err(|wait| {
            self.refusals.note("address", "too_many_connections", client.0);
            too_many("this address opens too many connections", wait)
        })
    }

    /// Returns the address of whoever sent a request.
    pub fn client(&self, request: &Request) -> ClientAddress {
        let trusted = &self.config.limits.trusted_proxies;
        let (client, speaks_for_others) =
            ClientAddress::of(request.extensions(), request.headers(), trusted);
        if let (Some(proxy), true) = (client.0, speaks_for_others) {
            self.limits.warn_of_proxy(proxy);
        }
        client
    }

    /// Counts that a door refused what a client showed. One that is good elsewhere is no guess.
    ///
    /// # Errors
    /// 429 when too many were wrong: whoever shows a right one is not asked to wait.
    pub fn refuse(
        &self,
        client: ClientAddress,
        asked: &SocketRequest,
        door: &'static str,
    ) -> Result<(), Problem> {
        if !asked.has_credentials() {
            self.refusals.note(door, "no_credential", client.0);
            return Ok(());
        }
        if asked.credentials().any(|given| self.is_good(given)) {
            self.refusals.note(door, "other_door", client.0);
            return Ok(());
        }
        self.refusals.note(door, "credential", client.0);
        let Some(address) = client.0 else { return Ok(()) };
        self.limits.refuse(address).map_err(|wait| {
            self.refusals.note(door, "too_many_credentials", client.0);
            too_many("this address has shown too many wrong credentials", wait)
        })
    }

    /// Whether a credential opens any door.
    fn is_good(&self, given: &str) -> bool {
        let access = &self.config.access;
        let keys = [&access.internal_keys, &access.cockpit_keys, &access.auth_tokens];
        self.auth.credential(given).is_ok()
            || keys.into_iter().flatten().any(|key| same_secret(given, key))
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
pub async fn admit(
    State(admission): State<Admission>,
    mut request: Request,
    next: Next,
) -> Response {
    let client = admission.client(&request);
    if request.uri().path() == EVENT_STREAM
        && let Err(problem) = admission.count_connection(client)
    {
        return problem.into_response();
    }
    let asked = SocketRequest::of("", request.uri().query(), request.headers());
    admission.fetch_keys(&asked).await;
    request.extensions_mut().insert(client);
    // Its handle here counts what the handler reads until there is an answer.
    let allowance = admission.bodies.allowance(client);
    request.extensions_mut().insert(allowance.clone());
    let _turn = if Admission::is_read(&request) {
        let address = || client.0.map(|address| address.to_string()).unwrap_or_default();
        let name = asked.credentials().next().map_or_else(address, str::to_owned);
        admission.reads.turn(&name).await
    } else {
        None
    };
    let response = serve(request, next).await;
    drop(allowance);
    match response.status() {
        StatusCode::FORBIDDEN => admission.refusals.note("http", "forbidden", client.0),
        StatusCode::TOO_MANY_REQUESTS => admission.refusals.note("http", "too_fast", client.0),
        _ => {}
    }
    if response.status() == StatusCode::UNAUTHORIZED
        && let Err(problem) = admission.refuse(client, &asked, "http")
    {
        return problem.into_response();
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
