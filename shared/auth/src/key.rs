//! The keys that tokens are verified with, each with the algorithms that go with it.
//!
//! A key never serves another family, so that nobody can pass a public key off as an HS256 secret
//! (RFC 8725 §2.1), and a set of public keys never brings a symmetric one.

use std::collections::HashSet;

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use runtime::config::{AccessSettings, SettingProblem};

use super::{Claims, CredentialError, TokenFault};

/// How far clocks may differ when a token's times are compared.
const LEEWAY_SECONDS: u64 = 5;

/// What every token has to say, whichever key signed it.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    issuer: Option<String>,
    audience: Option<String>,
}

impl Rules {
    pub(super) fn of(access: &AccessSettings) -> Self {
        Self { issuer: access.jwt_issuer.clone(), audience: access.jwt_audience.clone() }
    }

    fn validation(&self, algorithms: &[Algorithm]) -> Validation {
        let mut validation = Validation::new(algorithms[0]);
        validation.algorithms = algorithms.to_vec();
        // Times are compared in `in_time`: they may have a fraction.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        // A claim that is checked only where it is given would let through who leaves it out.
        let mut required = HashSet::new();
        validation.validate_aud = self.audience.is_some();
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            required.insert("aud".to_owned());
        }
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.insert("iss".to_owned());
        }
        validation.required_spec_claims = required;
        validation
    }
}

/// A key, and what a token that it signed must be like.
pub(super) struct Key {
    /// Its name in a key set.
    id: Option<String>,
    decoding: DecodingKey,
    validation: Validation,
}

impl Key {
    /// `JWT_SECRET`
    pub(super) fn secret(secret: &str, rules: &Rules) -> Self {
        let decoding = DecodingKey::from_secret(secret.as_bytes());
        Self { id: None, decoding, validation: rules.validation(&[Algorithm::HS256]) }
    }

    /// `JWT_PUBLIC_KEY`
    ///
    /// # Errors
    /// [`SettingProblem`] when the text is not a PEM of a public key.
    pub(super) fn pem(pem: &str, rules: &Rules) -> Result<Self, SettingProblem> {
        let bytes = pem.as_bytes();
        let rsa = || DecodingKey::from_rsa_pem(bytes).map(|key| (key, Algorithm::RS256));
        let ec = || DecodingKey::from_ec_pem(bytes).map(|key| (key, Algorithm::ES256));
        let ed = || DecodingKey::from_ed_pem(bytes).map(|key| (key, Algorithm::EdDSA));
        let read = rsa().or_else(|_| ec()).or_else(|_| ed());
        let (decoding, algorithm) = read.map_err(|_| {
            SettingProblem::new("jwt_public_key", "is no PEM of an RSA, EC or Ed25519 public key")
        })?;
        Ok(Self { id: None, decoding, validation: rules.validation(&[algorithm]) })
    }

    /// A key of a key set; none when it is not for verifying signatures of public keys.
    pub(super) fn jwk(jwk: &Jwk, rules: &Rules) -> Option<Self> {
        let common = &jwk.common;
        let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
        let operations = common.key_operations.as_ref();
        if !signs || operations.is_some_and(|all| !all.contains(&KeyOperations::Verify)) {
            return None;
        }
        let algorithm = algorithm(jwk)?;
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        let validation = rules.validation(&[algorithm]);
        Some(Self { id: common.key_id.clone(), decoding, validation })
    }

    /// Whether it may have signed a token that names this key.
    pub(super) fn answers_to(&self, id: Option<&str>) -> bool {
        match (self.id.as_deref(), id) {
            (Some(own), Some(id)) => own == id,
            _ => true,
        }
    }

    /// Whether this is its name.
    pub(super) fn is_named(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }

    /// What a token says, if this key signed it and it is good now.
    ///
    /// # Errors
    /// [`CredentialError`] when not.
    pub(super) fn verify(&self, token: &str) -> Result<Claims, CredentialError> {
        match jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation) {
            Ok(data) => in_time(data.claims, jiff::Timestamp::now().as_second()),
            Err(error) => Err(CredentialError::Invalid(fault(error.kind()))),
        }
    }
}

fn fault(kind: &ErrorKind) -> TokenFault {
    match kind {
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::ImmatureSignature => TokenFault::NotYet,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => TokenFault::Issuer,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => TokenFault::Audience,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => TokenFault::Claims,
        ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => {
            TokenFault::Malformed
        }
        _ => TokenFault::Signature,
    }
}

/// Returns the claims when they are good at `now`, in seconds since 1970.
fn in_time(claims: Claims, now: i64) -> Result<Claims, CredentialError> {
    let now = u64::try_from(now).unwrap_or(0);
    if claims.exp < now.saturating_sub(LEEWAY_SECONDS) {
        return Err(CredentialError::Expired);
    }
    if claims.nbf.is_some_and(|begin| begin > now + LEEWAY_SECONDS) {
        return Err(CredentialError::Invalid(TokenFault::NotYet));
    }
    Ok(claims)
}

/// The only algorithm of a public key: the one that it names, if that is its family's, else the
/// usual one. Symmetric keys have none here: whoever can read the set could sign with them.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let usual = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => {
            Algorithm::ES384
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    let Some(named) = jwk.common.key_algorithm else { return Some(usual) };
    let named = Algorithm::try_from(named).ok()?;
    let is_rsa = usual == Algorithm::RS256 && named.family() == usual.family();
    (named == usual || is_rsa).then_some(named)
}
