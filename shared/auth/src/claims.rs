//! The claims of a token, and why a credential is refused.

use domain::channel::Pattern;
use serde::{Deserialize, Deserializer, Serialize};

/// The claims of a token (contract §5).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Claims {
    /// The user that the token is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The user, in the words of seeds 002 and 003.
    #[serde(default, alias = "userId", skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// When it expires, seconds since 1970.
    #[serde(deserialize_with = "numeric_date")]
    pub exp: u64,
    /// When it begins to be good, seconds since 1970; null is absent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "maybe_date")]
    pub nbf: Option<u64>,
    /// When it was made; of no consequence when it is read.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Channels that may be read; replaces the default of `user:SUB` and `broadcast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<Pattern>>,
    /// Streams that may be published to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<Pattern>,
    /// `admin` may do what an API key may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Why a credential is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// It was good once.
    #[error("token has expired")]
    Expired,
    /// It never was.
    #[error("invalid token")]
    Invalid,
    /// It is good, but whom it names can never be addressed: its `sub` is no id.
    #[error(
        "the token's sub is no user id: 1 to 200 bytes of UTF-8 without control characters and *, \
         and not ., .. or -"
    )]
    Subject,
    /// It is good, but an operator keeps its user out.
    #[error("this user is kept out by an operator")]
    Denied,
}

fn maybe_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let seconds = Option::<f64>::deserialize(deserializer)?;
    // What is out of range becomes the end of the range.
    Ok(seconds.map(|seconds| seconds as u64))
}

/// Seconds that may have a fraction (RFC 7519 §2).
fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    // What is out of range becomes the end of the range.
    f64::deserialize(deserializer).map(|seconds| seconds as u64)
}
