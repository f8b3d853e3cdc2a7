//! Bodies and queries of our own paths: bounded, read with a deadline, refused as problems.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request},
};
use http::{StatusCode, request::Parts};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// How long a client may take to send a body: a connection that trickles holds memory.
const DEADLINE: Duration = Duration::from_secs(20);

/// A body of at most the router's limit, whole.
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = tokio::time::timeout(DEADLINE, Bytes::from_request(request, state)).await;
        match read {
            Ok(Ok(bytes)) => Ok(Self(bytes)),
            Ok(Err(refused)) => Err(Problem::new(refused.status(), refused.body_text())),
            Err(_) => {
                let detail = "the body did not arrive in time";
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
            }
        }
    }
}

/// The parameters of a query.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(refused) => Err(Problem::new(StatusCode::BAD_REQUEST, refused.body_text())),
        }
    }
}
