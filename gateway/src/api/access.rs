//! Who asks over HTTP, and whether they may.

use std::{sync::Arc, time::Duration};

use auth::{Authenticator, CredentialError, Identity};
use axum::extract::{FromRef, FromRequestParts};
use domain::{channel::Channel, source::Stream};
use http::{HeaderMap, StatusCode, request::Parts};
use runtime::config::Config;

use super::problem::Problem;
use crate::protocol::Request;

/// Who asks, by what [`Request::credential`] finds. A credential that is given is always checked.
///
/// # Errors
/// 401 when it is wrong, 403 when an operator keeps its user out.
pub fn identify(
    auth: &Authenticator,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Identity, Problem> {
    let asked = Request::of("", query, headers);
    match asked.credential() {
        None if asked.authorization.is_some() => {
            Err(Problem::new(StatusCode::UNAUTHORIZED, "expected Authorization: Bearer TOKEN"))
        }
        None => Ok(auth.anonymous()),
        Some(credential) => auth
            .credential(credential)
            .map_err(|error| Problem::new(status(error), error.to_string())),
    }
}

/// A fresh token helps where the answer is 401, nothing where it is 403.
fn status(error: CredentialError) -> StatusCode {
    match error {
        CredentialError::Expired | CredentialError::Invalid(_) | CredentialError::Subject => {
            StatusCode::UNAUTHORIZED
        }
        CredentialError::Denied => StatusCode::FORBIDDEN,
    }
}

/// Lets operators in: an API key, a token of the role `admin`, or in development anybody without a
/// credential. Refuses with 401 without a credential, with 403 when it does not suffice.
pub struct Operator {
    /// The user of the token, or the name of the key; who shows nothing in development is anonymous.
    pub who: String,
}

impl<S> FromRequestParts<S> for Operator
where
    S: Send + Sync,
    Arc<Authenticator>: FromRef<S>,
    Arc<Config>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let auth = Arc::<Authenticator>::from_ref(state);
        let config = Arc::<Config>::from_ref(state);
        operator(&config, &identify(&auth, &parts.headers, parts.uri.query())?)
    }
}

fn operator(config: &Config, identity: &Identity) -> Result<Operator, Problem> {
    if identity.is_admin() || (!config.production() && !identity.is_known()) {
        let who = identity.user.as_deref().or(identity.api_key()).unwrap_or("anonymous");
        Ok(Operator { who: who.to_owned() })
    } else if identity.is_known() {
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "an API key or a token of the role admin is needed",
        ))
    } else {
        Err(Problem::new(StatusCode::UNAUTHORIZED, "an API key is required"))
    }
}

/// Lets in who may publish to a stream, about this id.
///
/// # Errors
/// 401 without a credential, 403 when it does not suffice; in development nobody needs one.
pub fn publisher(
    config: &Config,
    identity: &Identity,
    stream: Stream,
    id: Option<&str>,
) -> Result<(), Problem> {
    if identity.may_publish(stream, id) || (!config.production() && !identity.is_known()) {
        Ok(())
    } else if identity.is_known() {
        Err(Problem::new(StatusCode::FORBIDDEN, format!("you may not publish to {stream}")))
    } else {
        Err(Problem::new(StatusCode::UNAUTHORIZED, "an API key or a token is required"))
    }
}

/// The answer to who publishes more than `PUBLISH_PER_SECOND`.
pub fn too_fast(wait: Duration) -> Problem {
    let detail = "more events per second than PUBLISH_PER_SECOND allows";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(wait.as_secs().max(1))
}

/// Lets in who may read a channel.
///
/// # Errors
/// 401 without a credential, 403 when it does not suffice.
pub fn reader(
    auth: &Authenticator,
    headers: &HeaderMap,
    query: Option<&str>,
    channel: &Channel,
) -> Result<(), Problem> {
    let identity = identify(auth, headers, query)?;
    if identity.may_read(channel) {
        return Ok(());
    }
    let (status, detail) = if identity.is_known() {
        (StatusCode::FORBIDDEN, format!("you may not read {channel}"))
    } else {
        (StatusCode::UNAUTHORIZED, format!("a token is required to read {channel}"))
    };
    Err(Problem::new(status, detail))
}
