//! Who asks over HTTP, and whether they may.

use axum::extract::FromRequestParts;
use http::{HeaderMap, StatusCode, request::Parts};
use shared::{
    auth::{CredentialError, Identity},
    channel::Channel,
};

use super::problem::Problem;
use crate::{
    gateway::{Gateway, GatewayState},
    upgrade::Upgrade,
};

/// Who asks: `Authorization: Bearer`, `X-API-Key` or `?token=`. A credential that is given is always
/// checked.
///
/// # Errors
/// 401 when it is wrong, 403 when an operator keeps its user out.
pub fn identify(
    gateway: &Gateway,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Identity, Problem> {
    let asked = Upgrade::of("", query, headers);
    let given = asked.bearer().or(asked.api_key.as_deref()).or(asked.query("token"));
    match given.filter(|credential| !credential.is_empty()) {
        None if asked.authorization.is_some() => {
            Err(Problem::new(StatusCode::UNAUTHORIZED, "expected Authorization: Bearer TOKEN"))
        }
        None => Ok(gateway.auth.anonymous()),
        Some(credential) => gateway
            .auth
            .credential(credential)
            .map_err(|error| Problem::new(status(error), error.to_string())),
    }
}

/// A fresh token helps where the answer is 401, nothing where it is 403.
fn status(error: CredentialError) -> StatusCode {
    match error {
        CredentialError::Expired | CredentialError::Invalid | CredentialError::Subject => {
            StatusCode::UNAUTHORIZED
        }
        CredentialError::Denied => StatusCode::FORBIDDEN,
    }
}

/// Lets operators in: an API key, a token of the role `admin`, or in development anybody without a
/// credential. Refuses with 401 without a credential, with 403 when it does not suffice.
pub struct Operator;

impl FromRequestParts<GatewayState> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &GatewayState,
    ) -> Result<Self, Problem> {
        operator(gateway, &identify(gateway, &parts.headers, parts.uri.query())?)
    }
}

fn operator(gateway: &Gateway, identity: &Identity) -> Result<Operator, Problem> {
    if identity.is_admin() || (!gateway.config.production() && !identity.is_known()) {
        Ok(Operator)
    } else if identity.is_known() {
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "an API key or a token of the role admin is needed",
        ))
    } else {
        Err(Problem::new(StatusCode::UNAUTHORIZED, "an API key is required"))
    }
}

/// Lets in who may read a channel.
///
/// # Errors
/// 401 without a credential, 403 when it does not suffice.
pub fn reader(
    gateway: &Gateway,
    headers: &HeaderMap,
    query: Option<&str>,
    channel: &Channel,
) -> Result<(), Problem> {
    let identity = identify(gateway, headers, query)?;
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
