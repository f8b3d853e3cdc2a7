//! Who somebody is and what they may do: tokens, API keys, channel patterns.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    channel::{Channel, ChannelKind, Pattern},
    config::{Access, Problem},
    source::Stream,
};

/// How far clocks may differ when a token's times are compared.
const LEEWAY_SECONDS: u64 = 5;

/// The claims of a token (contract §5).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The user, in the words of seeds 002 and 003.
    #[serde(default, alias = "userId", skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// When it expires, seconds since 1970.
    pub exp: u64,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
}

/// Somebody, and what they may do. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The user; none for strangers and services.
    pub user: Option<Arc<str>>,
    /// When the token expires, ms since 1970.
    pub expires_at: Option<i64>,
    rights: Arc<Rights>,
}

#[derive(Debug, Default)]
struct Rights {
    name: Option<String>,
    channels: Vec<Pattern>,
    publish: Vec<Pattern>,
    admin: bool,
}

impl Identity {
    /// The same rights under a name that a seed's own rule gives.
    #[must_use]
    pub fn named(mut self, user: &str) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Whether they proved to be anybody.
    pub fn is_known(&self) -> bool {
        self.user.is_some() || self.rights.admin
    }

    /// Whether they may do what an API key may.
    pub fn is_admin(&self) -> bool {
        self.rights.admin
    }

    /// Whether they may read a channel.
    pub fn may_read(&self, channel: &Channel) -> bool {
        let own = channel.kind() == ChannelKind::User && channel.id() == self.user.as_deref();
        own || self.rights.admin
            || self.rights.channels.iter().any(|pattern| pattern.matches(channel.as_str()))
    }

    /// Whether there is any channel that they may read.
    pub fn may_read_anything(&self) -> bool {
        self.is_known() || !self.rights.channels.is_empty()
    }

    /// Whether they may publish to a stream.
    pub fn may_publish(&self, stream: Stream) -> bool {
        self.rights.admin || self.rights.publish.iter().any(|p| p.matches(stream.name()))
    }

    /// A name to count them by: the user, or the API key's name.
    pub fn name(&self) -> &str {
        self.user.as_deref().or(self.rights.name.as_deref()).unwrap_or("anonymous")
    }
}

/// Checks credentials.
pub struct Authenticator {
    keys: Vec<(DecodingKey, Validation)>,
    signing: Option<EncodingKey>,
    api_keys: Vec<(String, [u8; 32])>,
    anonymous: Identity,
    anonymous_channels: Vec<Pattern>,
}

impl Authenticator {
    /// An authenticator of these settings.
    ///
    /// # Errors
    /// [`Problem`] when a key cannot be read.
    pub fn new(access: &Access) -> Result<Self, Problem> {
        let mut keys = Vec::new();
        if let Some(secret) = &access.jwt_secret {
            let key = DecodingKey::from_secret(secret.as_bytes());
            keys.push((key, validation(access, &[Algorithm::HS256])));
        }
        if let Some(pem) = &access.jwt_public_key {
            let (key, algorithms) = public_key(pem)?;
            keys.push((key, validation(access, algorithms)));
        }
        let rights = Rights { channels: access.anonymous_channels.clone(), ..Rights::default() };
        Ok(Self {
            keys,
            signing: access.jwt_secret.as_ref().map(|s| EncodingKey::from_secret(s.as_bytes())),
            api_keys: access.api_keys.iter().map(|(n, key)| (n.clone(), digest(key))).collect(),
            anonymous: Identity { user: None, expires_at: None, rights: Arc::new(rights) },
            anonymous_channels: access.anonymous_channels.clone(),
        })
    }

    /// Somebody without a credential.
    pub fn anonymous(&self) -> Identity {
        self.anonymous.clone()
    }

    /// Checks an API key or a token.
    ///
    /// # Errors
    /// [`CredentialError`] when it is neither.
    pub fn credential(&self, text: &str) -> Result<Identity, CredentialError> {
        let given = digest(text);
        match self.api_keys.iter().find(|(_, key)| *key == given) {
            Some((name, _)) => {
                let rights = Rights { name: Some(name.clone()), admin: true, ..Rights::default() };
                Ok(Identity { user: None, expires_at: None, rights: Arc::new(rights) })
            }
            None => self.token(text),
        }
    }

    /// Checks a token.
    ///
    /// # Errors
    /// [`CredentialError`] when it does not verify or has expired.
    pub fn token(&self, token: &str) -> Result<Identity, CredentialError> {
        let mut error = CredentialError::Invalid;
        for (key, validation) in &self.keys {
            match jsonwebtoken::decode::<Claims>(token, key, validation) {
                Ok(data) => return self.identity(data.claims),
                Err(cause) => {
                    if matches!(cause.kind(), jsonwebtoken::errors::ErrorKind::ExpiredSignature) {
                        error = CredentialError::Expired;
                    }
                }
            }
        }
        Err(error)
    }

    fn identity(&self, claims: Claims) -> Result<Identity, CredentialError> {
        let user: Arc<str> = claims.sub.or(claims.user_id).ok_or(CredentialError::Invalid)?.into();
        let mut channels = claims.channels.unwrap_or_else(|| vec![Pattern::new("broadcast")]);
        channels.extend_from_slice(&self.anonymous_channels);
        let rights = Rights {
            name: None,
            channels,
            publish: claims.publish,
            admin: claims.role.as_deref() == Some("admin"),
        };
        let expires_at = i64::try_from(claims.exp.saturating_mul(1000)).ok();
        Ok(Identity { user: Some(user), expires_at, rights: Arc::new(rights) })
    }

    /// Signs a token with `JWT_SECRET`; none when there is no secret.
    pub fn sign(&self, claims: &Claims) -> Option<String> {
        let key = self.signing.as_ref()?;
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, key).ok()
    }
}

/// Whether two secrets are the same, in a time that does not depend on where they differ.
pub fn same_secret(given: &str, expected: &str) -> bool {
    digest(given) == digest(expected)
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn validation(access: &Access, algorithms: &[Algorithm]) -> Validation {
    let mut validation = Validation::new(algorithms[0]);
    validation.algorithms = algorithms.to_vec();
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_nbf = true;
    validation.validate_aud = access.jwt_audience.is_some();
    if let Some(audience) = &access.jwt_audience {
        validation.set_audience(&[audience]);
    }
    if let Some(issuer) = &access.jwt_issuer {
        validation.set_issuer(&[issuer]);
    }
    validation
}

/// The key of a PEM, with the algorithms that go with it: a key never serves another family, so
/// that nobody can pass a public key off as an HS256 secret (RFC 8725 §2.1).
fn public_key(pem: &str) -> Result<(DecodingKey, &'static [Algorithm]), Problem> {
    let bytes = pem.as_bytes();
    if let Ok(key) = DecodingKey::from_rsa_pem(bytes) {
        return Ok((key, &[Algorithm::RS256]));
    }
    if let Ok(key) = DecodingKey::from_ec_pem(bytes) {
        return Ok((key, &[Algorithm::ES256]));
    }
    if let Ok(key) = DecodingKey::from_ed_pem(bytes) {
        return Ok((key, &[Algorithm::EdDSA]));
    }
    Err(Problem::new("jwt_public_key", "is no PEM of an RSA, EC or Ed25519 public key"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::{Config, Role};

    fn authenticator() -> Authenticator {
        let environment = HashMap::from([("API_KEYS".into(), "ci:key-1".into())]);
        let (config, _) = Config::from_environment(Role::Whole, &environment).unwrap();
        Authenticator::new(&config.access).unwrap()
    }

    fn claims(exp: u64) -> Claims {
        Claims { sub: Some("ann".into()), exp, ..Claims::default() }
    }

    #[test]
    fn a_token_reads_its_own_channel_and_what_its_claims_say() {
        let authenticator = authenticator();
        let may = |identity: &Identity, name| identity.may_read(&Channel::parse(name).unwrap());
        let token = authenticator.sign(&claims(4_000_000_000)).unwrap();
        let ann = authenticator.credential(&token).unwrap();
        assert!(may(&ann, "user:ann") && may(&ann, "broadcast") && may(&ann, "deployment:x"));
        assert!(!may(&ann, "user:bob") && !may(&ann, "tasks"));
        let narrow =
            Claims { channels: Some(vec![Pattern::new("tasks")]), ..claims(4_000_000_000) };
        let narrow = authenticator.token(&authenticator.sign(&narrow).unwrap()).unwrap();
        assert!(may(&narrow, "tasks") && may(&narrow, "user:ann") && !may(&narrow, "broadcast"));
        assert!(may(&authenticator.credential("key-1").unwrap(), "user:bob"));
    }

    #[test]
    fn expired_and_forged_tokens_are_refused() {
        let authenticator = authenticator();
        let old = authenticator.sign(&claims(1_000)).unwrap();
        assert_eq!(authenticator.token(&old).unwrap_err(), CredentialError::Expired);
        let key = EncodingKey::from_secret(b"another");
        let forged =
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(4_000_000_000), &key);
        assert_eq!(authenticator.token(&forged.unwrap()).unwrap_err(), CredentialError::Invalid);
        // {"alg":"none"} with a body and no signature.
        let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjQwMDAwMDAwMDB9.";
        assert_eq!(authenticator.token(none).unwrap_err(), CredentialError::Invalid);
    }
}
