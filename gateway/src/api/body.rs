//! Bodies and queries of our own paths, refused as problems.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request},
};
use http::{StatusCode, request::Parts};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::http::bodies;

/// A body, whole. Whoever has to be known first is asked before, by an extractor that stands before
/// this one or by the handler that takes the request.
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        bodies::receive(request).await.map(Self).map_err(|error| {
            let problem = Problem::new(error.status(), error.to_string());
            match error.retry_after() {
                Some(seconds) => problem.retry_after(seconds),
                None => problem,
            }
        })
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
