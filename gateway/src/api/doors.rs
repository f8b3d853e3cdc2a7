//! What happens to a request with a credential before anybody looks at the credential.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use crate::{
    gateway::{Gateway, GatewayState},
    upgrade::Upgrade,
};

/// Serves a request when the keys that its credentials name are there, as far as they can be had.
pub async fn open(State(gateway): State<GatewayState>, request: Request, next: Next) -> Response {
    if gateway.auth.fetches_keys() {
        let asked = Upgrade::of("", request.uri().query(), request.headers());
        prepare(&gateway, &asked).await;
    }
    next.run(request).await
}

/// Waits, briefly, for the keys that a client's credentials name.
pub async fn prepare(gateway: &Gateway, asked: &Upgrade) {
    for credential in asked.credentials() {
        gateway.auth.prepare(credential).await;
    }
}
