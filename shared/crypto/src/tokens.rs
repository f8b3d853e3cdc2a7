//! Signatures of tokens (RFC 7518 §3, RFC 8037) by ring, as `jsonwebtoken` asks for them.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind, new_error},
    jwk::EllipticCurve,
    signature::{self, Signer, Verifier},
};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{
        self as ring_signature, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
        RsaEncoding, RsaKeyPair, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
        VerificationAlgorithm,
    },
};

/// Bytes of a point that say: both coordinates follow, uncompressed (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// What `jsonwebtoken` signs and verifies with.
pub(super) static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(TokenSigner::new(*algorithm, key)?)),
    verifier_factory: |algorithm, key| Ok(Box::new(TokenVerifier::new(*algorithm, key)?)),
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |der| Ok(components(rsa_pair(der)?.public())),
        rsa_pub_components_from_public_key: |_| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
        ec_pub_components_from_private_key: coordinates,
        ed_pub_components_from_private_key: |pkcs8, curve| match curve {
            EllipticCurve::Ed25519 => Ok(ed25519_pair(pkcs8)?.public_key().as_ref().to_vec()),
            _ => Err(new_error(ErrorKind::InvalidAlgorithm)),
        },
        compute_digest: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    },
};

/// How an algorithm signs and verifies.
enum Scheme {
    Hmac(hmac::Algorithm),
    Rsa(&'static RsaParameters, &'static dyn RsaEncoding),
    Ecdsa(&'static dyn VerificationAlgorithm, &'static EcdsaSigningAlgorithm),
    Ed25519,
}

impl Scheme {
    fn of(algorithm: Algorithm) -> Result<Self, Error> {
        use ring_signature as ring;
        Ok(match algorithm {
            Algorithm::HS256 => Self::Hmac(hmac::HMAC_SHA256),
            Algorithm::HS384 => Self::Hmac(hmac::HMAC_SHA384),
            Algorithm::HS512 => Self::Hmac(hmac::HMAC_SHA512),
            Algorithm::RS256 => {
                Self::Rsa(&ring::RSA_PKCS1_2048_8192_SHA256, &ring::RSA_PKCS1_SHA256)
            }
            Algorithm::RS384 => {
                Self::Rsa(&ring::RSA_PKCS1_2048_8192_SHA384, &ring::RSA_PKCS1_SHA384)
            }
            Algorithm::RS512 => {
                Self::Rsa(&ring::RSA_PKCS1_2048_8192_SHA512, &ring::RSA_PKCS1_SHA512)
            }
            Algorithm::PS256 => Self::Rsa(&ring::RSA_PSS_2048_8192_SHA256, &ring::RSA_PSS_SHA256),
            Algorithm::PS384 => Self::Rsa(&ring::RSA_PSS_2048_8192_SHA384, &ring::RSA_PSS_SHA384),
            Algorithm::PS512 => Self::Rsa(&ring::RSA_PSS_2048_8192_SHA512, &ring::RSA_PSS_SHA512),
            Algorithm::ES256 => {
                Self::Ecdsa(&ring::ECDSA_P256_SHA256_FIXED, &ring::ECDSA_P256_SHA256_FIXED_SIGNING)
            }
            Algorithm::ES384 => {
                Self::Ecdsa(&ring::ECDSA_P384_SHA384_FIXED, &ring::ECDSA_P384_SHA384_FIXED_SIGNING)
            }
            Algorithm::EdDSA => Self::Ed25519,
            _ => return Err(new_error(ErrorKind::UnsupportedAlgorithm)),
        })
    }
}

/// A public key or secret, and the algorithm that it verifies.
struct TokenVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl TokenVerifier {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, Error> {
        if key.family() != algorithm.family() {
            return Err(new_error(ErrorKind::InvalidKeyFormat));
        }
        Ok(Self { algorithm, key: key.clone() })
    }
}

impl Verifier<Vec<u8>> for TokenVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        use DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let public = |by: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(by, key).verify(message, signature)
        };
        let scheme = Scheme::of(self.algorithm).map_err(signature::Error::from_source)?;
        let verified = match (scheme, self.key.kind()) {
            (Scheme::Hmac(by), SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(by, secret), message, signature)
            }
            (Scheme::Rsa(by, _), RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(by, message, signature)
            }
            (Scheme::Rsa(by, _), SecretOrDer(key)) => public(by, key),
            (Scheme::Ecdsa(by, _), SecretOrDer(key)) => public(by, key),
            (Scheme::Ed25519, SecretOrDer(key)) => public(&ring_signature::ED25519, key),
            (_, RsaModulusExponent { .. }) => Err(ring::error::Unspecified),
        };
        verified.map_err(signature::Error::from_source)
    }
}

impl JwtVerifier for TokenVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// A private key or secret, read once.
enum SigningKey {
    Hmac(hmac::Key),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

struct TokenSigner {
    algorithm: Algorithm,
    key: SigningKey,
}

impl TokenSigner {
    fn new(algorithm: Algorithm, key: &EncodingKey) -> Result<Self, Error> {
        if key.family() != algorithm.family() {
            return Err(new_error(ErrorKind::InvalidKeyFormat));
        }
        let bytes = key.as_bytes();
        let key = match Scheme::of(algorithm)? {
            Scheme::Hmac(by) => SigningKey::Hmac(hmac::Key::new(by, bytes)),
            Scheme::Rsa(_, by) => SigningKey::Rsa(rsa_pair(bytes)?, by),
            Scheme::Ecdsa(_, by) => SigningKey::Ecdsa(ecdsa_pair(by, bytes)?),
            Scheme::Ed25519 => SigningKey::Ed25519(ed25519_pair(bytes)?),
        };
        Ok(Self { algorithm, key })
    }
}

impl Signer<Vec<u8>> for TokenSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let random = SystemRandom::new();
        match &self.key {
            SigningKey::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            SigningKey::Rsa(pair, by) => {
                let mut signed = vec![0; pair.public().modulus_len()];
                let done = pair.sign(*by, &random, message, &mut signed);
                done.map(|()| signed).map_err(signature::Error::from_source)
            }
            SigningKey::Ecdsa(pair) => {
                let signed = pair.sign(&random, message).map_err(signature::Error::from_source)?;
                Ok(signed.as_ref().to_vec())
            }
            SigningKey::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl JwtSigner for TokenSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Reads a PKCS #1 private key.
fn rsa_pair(der: &[u8]) -> Result<RsaKeyPair, Error> {
    RsaKeyPair::from_der(der).map_err(|why| new_error(ErrorKind::InvalidRsaKey(why.to_string())))
}

fn ecdsa_pair(by: &'static EcdsaSigningAlgorithm, pkcs8: &[u8]) -> Result<EcdsaKeyPair, Error> {
    EcdsaKeyPair::from_pkcs8(by, pkcs8, &SystemRandom::new())
        .map_err(|_| new_error(ErrorKind::InvalidEcdsaKey))
}

/// Reads a PKCS #8 private key; OpenSSL writes it without the public half.
fn ed25519_pair(pkcs8: &[u8]) -> Result<Ed25519KeyPair, Error> {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
        .map_err(|_| new_error(ErrorKind::InvalidEddsaKey))
}

/// Modulus and exponent.
fn components(key: &rsa::PublicKey) -> (Vec<u8>, Vec<u8>) {
    let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(key);
    (n, e)
}

/// The curve of a private key, and both coordinates of the public one.
fn coordinates(
    pkcs8: &[u8],
    algorithm: Algorithm,
) -> Result<(EllipticCurve, Vec<u8>, Vec<u8>), Error> {
    let wrong = || new_error(ErrorKind::InvalidEcdsaKey);
    let Scheme::Ecdsa(_, by) = Scheme::of(algorithm)? else { return Err(wrong()) };
    let curve =
        if algorithm == Algorithm::ES256 { EllipticCurve::P256 } else { EllipticCurve::P384 };
    let pair = ecdsa_pair(by, pkcs8)?;
    let Some((&UNCOMPRESSED, point)) = pair.public_key().as_ref().split_first() else {
        return Err(wrong());
    };
    let (x, y) = point.split_at(point.len() / 2);
    Ok((curve, x.to_vec(), y.to_vec()))
}
