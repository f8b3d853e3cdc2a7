//! Checks credentials: API keys by their digest, tokens by the keys that may have signed them.

use std::{sync::Arc, time::Duration};

use domain::{channel::Pattern, id};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use runtime::config::{AccessSettings, SettingProblem};
use subtle::ConstantTimeEq as _;

use crate::{
    claims::{Claims, CredentialError, TokenFault},
    denials::Denials,
    identity::{Identity, Rights},
    key::{Key, Rules},
    key_set::{KeySet, KeySetError},
    refusal_log::RefusalLog,
    secret::digest,
};

/// The longest token that is looked at, in bytes: as long as a request's header may be.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Checks API keys and tokens against the keys of the settings and of the issuer.
pub struct Authenticator {
    keys: Vec<Key>,
    key_set: Option<KeySet>,
    signing: Option<EncodingKey>,
    api_keys: Vec<(String, [u8; 32])>,
    anonymous: Identity,
    anonymous_channels: Vec<Pattern>,
    denials: Denials,
    refusals: RefusalLog,
}

impl Authenticator {
    /// An authenticator of these settings. The keys of `JWKS_URL` are not there yet: see
    /// [`Authenticator::fetch_keys`].
    ///
    /// # Errors
    /// [`SettingProblem`] when a key cannot be read.
    pub fn new(access: &AccessSettings) -> Result<Self, SettingProblem> {
        crypto::install();
        let rules = Rules::of(access);
        let mut keys = Vec::new();
        for secret in access.jwt_secret.iter().chain(&access.jwt_secret_previous) {
            keys.push(Key::secret(secret, &rules));
        }
        if let Some(pem) = &access.jwt_public_key {
            keys.push(Key::pem(pem, &rules)?);
        }
        let rights = Rights { channels: access.anonymous_channels.clone(), ..Rights::default() };
        Ok(Self {
            keys,
            key_set: KeySet::new(access, &rules)?,
            signing: access.jwt_secret.as_ref().map(|s| EncodingKey::from_secret(s.as_bytes())),
            api_keys: access.api_keys.iter().map(|(n, key)| (n.clone(), digest(key))).collect(),
            anonymous: Identity { user: None, expires_at: None, rights: Arc::new(rights) },
            anonymous_channels: access.anonymous_channels.clone(),
            denials: Denials::default(),
            refusals: RefusalLog::default(),
        })
    }

    /// Fetches the keys of `JWKS_URL`, when that is set: before it succeeded no token of the issuer
    /// verifies.
    ///
    /// # Errors
    /// [`KeySetError`]: try again.
    pub async fn fetch_keys(&self) -> Result<(), KeySetError> {
        match &self.key_set {
            Some(key_set) => key_set.fetch().await,
            None => Ok(()),
        }
    }

    /// Keeps the keys of `JWKS_URL` fresh and never returns; returns at once when that is unset.
    pub async fn keep_keys(&self) {
        if let Some(key_set) = &self.key_set {
            key_set.keep().await;
        }
    }

    /// How long ago the keys of `JWKS_URL` were fetched, and whether that is as it should be; none
    /// when that is unset.
    pub fn keys_age(&self) -> Option<(Duration, bool)> {
        self.key_set.as_ref().map(KeySet::age)
    }

    /// Waits, for seconds at most, until the key that a token names is there, if the issuer may have
    /// it. To be called before [`Authenticator::credential`], which waits for nothing.
    pub async fn prepare(&self, credential: &str) {
        let Some(key_set) = &self.key_set else { return };
        if let Some(id) = header(credential).ok().and_then(|header| header.kid) {
            key_set.look_for(&id).await;
        }
    }

    /// Who is kept out.
    pub fn denials(&self) -> &Denials {
        &self.denials
    }

    /// Returns the identity of those without a credential.
    pub fn anonymous(&self) -> Identity {
        self.anonymous.clone()
    }

    /// Checks an API key or a token.
    ///
    /// # Errors
    /// [`CredentialError`] when it is neither.
    pub fn credential(&self, text: &str) -> Result<Identity, CredentialError> {
        let given = digest(text);
        let mut found = None;
        // All are compared, so that the time does not tell which one came near.
        for (name, key) in &self.api_keys {
            if bool::from(key.ct_eq(&given)) {
                found = Some(name);
            }
        }
        match found {
            Some(name) => {
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
        self.verify(token).inspect_err(|error| self.refusals.note(*error))
    }

    fn verify(&self, token: &str) -> Result<Identity, CredentialError> {
        let header = header(token)?;
        let id = header.kid.as_deref();
        let fetched = self.key_set.as_ref().map(KeySet::keys);
        let fetched = fetched.iter().flat_map(|keys| keys.iter());
        let mut error = CredentialError::Invalid(TokenFault::Signature);
        for key in self.keys.iter().chain(fetched).filter(|key| key.answers_to(id)) {
            match key.verify(token) {
                Ok(claims) => return self.identity(claims),
                Err(cause) if cause.outweighs(error) => error = cause,
                Err(_) => {}
            }
        }
        Err(error)
    }

    fn identity(&self, claims: Claims) -> Result<Identity, CredentialError> {
        let user: Arc<str> = claims.sub.or(claims.user_id).ok_or(NO_USER)?.into();
        if id::check(&user).is_err() {
            return Err(CredentialError::Subject);
        }
        if self.denials.hold(&user, jiff::Timestamp::now().as_millisecond()) {
            return Err(CredentialError::Denied);
        }
        let mut channels = claims.channels.unwrap_or_else(|| vec![Pattern::new("broadcast")]);
        channels.extend_from_slice(&self.anonymous_channels);
        let rights = Rights {
            name: None,
            channels,
            publish: claims.publish,
            admin: claims.role.as_deref() == Some("admin"),
            agent: claims.role.as_deref() == Some("agent"),
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

/// A token that is about nobody.
const NO_USER: CredentialError = CredentialError::Invalid(TokenFault::Claims);

const MALFORMED: CredentialError = CredentialError::Invalid(TokenFault::Malformed);

/// What a token says of itself, before anybody vouches for it.
fn header(token: &str) -> Result<Header, CredentialError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(MALFORMED);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| MALFORMED)?;
    // Extensions that have to be understood are not (RFC 7515 §4.1.11).
    if header.crit.is_some() { Err(MALFORMED) } else { Ok(header) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use domain::channel::Channel;

    use super::*;
    use runtime::config::{Config, Role};

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
    fn a_token_whose_user_is_no_id_is_refused_with_that_reason_and_any_id_is_a_user() {
        let authenticator = authenticator();
        let of = |user: &str| {
            let claims = Claims { sub: Some(user.into()), ..claims(4_000_000_000) };
            authenticator.token(&authenticator.sign(&claims).unwrap())
        };
        for user in ["auth0|5f7c", "org/repo", "déploi 1"] {
            let identity = of(user).unwrap();
            assert!(identity.may_read(&Channel::parse(&format!("user:{user}")).unwrap()));
        }
        for user in ["", ".", "a*", "a\n", "-"] {
            assert_eq!(of(user).unwrap_err(), CredentialError::Subject, "{user:?}");
        }
    }

    #[test]
    fn a_numeric_date_may_have_a_fraction() {
        crypto::install();
        let claims = serde_json::json!({ "sub": "ann", "exp": 4_000_000_000.5 });
        let environment = HashMap::new();
        let (config, _) = Config::from_environment(Role::Whole, &environment).unwrap();
        let secret = config.access.jwt_secret.unwrap();
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
        let ann = authenticator().token(&token).unwrap();
        assert_eq!(ann.expires_at, Some(4_000_000_000_000));
    }

    #[test]
    fn expired_and_forged_tokens_are_refused() {
        let authenticator = authenticator();
        let old = authenticator.sign(&claims(1_000)).unwrap();
        assert_eq!(authenticator.token(&old).unwrap_err(), CredentialError::Expired);
        let key = EncodingKey::from_secret(b"another");
        let forged =
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(4_000_000_000), &key);
        assert_eq!(authenticator.token(&forged.unwrap()).unwrap_err().reason(), "signature");
        // {"alg":"none"} with a body and no signature.
        let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjQwMDAwMDAwMDB9.";
        assert_eq!(authenticator.token(none).unwrap_err().reason(), "malformed");
    }

    #[test]
    fn a_token_of_the_previous_secret_is_good_until_that_is_taken_away() {
        let signed = |secret: &str| {
            let environment = HashMap::from([("JWT_SECRET".into(), secret.into())]);
            let (config, _) = Config::from_environment(Role::Whole, &environment).unwrap();
            Authenticator::new(&config.access).unwrap().sign(&claims(4_000_000_000)).unwrap()
        };
        let environment = HashMap::from([
            ("JWT_SECRET".into(), "new".into()),
            ("JWT_SECRET_PREVIOUS".into(), "old".into()),
        ]);
        let (config, _) = Config::from_environment(Role::Whole, &environment).unwrap();
        let both = Authenticator::new(&config.access).unwrap();
        assert!(both.token(&signed("new")).is_ok() && both.token(&signed("old")).is_ok());
        assert_eq!(both.token(&signed("older")).unwrap_err().reason(), "signature");
        assert_eq!(both.sign(&claims(4_000_000_000)).unwrap(), signed("new"));
    }
}
