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
    /// It never was, or not here.
    #[error("invalid token")]
    Invalid(TokenFault),
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

/// What is wrong with a token: for logs and counters, never for whoever showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// It is no token, or one that asks for what is not understood.
    Malformed,
    /// No key here signed it.
    Signature,
    /// It names another issuer, or none.
    Issuer,
    /// It names another audience, or none.
    Audience,
    /// Its time has not come.
    NotYet,
    /// A claim is missing or of another kind.
    Claims,
}

impl CredentialError {
    /// Returns the word for logs and counters.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Denied => "denied",
            Self::Subject => "subject",
            Self::Invalid(TokenFault::Malformed) => "malformed",
            Self::Invalid(TokenFault::Signature) => "signature",
            Self::Invalid(TokenFault::Issuer) => "issuer",
            Self::Invalid(TokenFault::Audience) => "audience",
            Self::Invalid(TokenFault::NotYet) => "not_yet",
            Self::Invalid(TokenFault::Claims) => "claims",
        }
    }

    /// Whether this says more than another: a key that did not sign a token knows nothing of it.
    pub(super) fn outweighs(self, other: Self) -> bool {
        let weight = |error| match error {
            Self::Invalid(TokenFault::Malformed | TokenFault::Signature) => 0,
            Self::Invalid(_) => 1,
            Self::Expired | Self::Denied | Self::Subject => 2,
        };
        weight(self) > weight(other)
    }
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
