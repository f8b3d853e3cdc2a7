//! Tokens as an application's own backend would sign them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

/// The secret that all nodes of the harness know; long enough for production.
pub(crate) const JWT_SECRET: &str = "only-for-tests-0123456789abcdef-0123456789abcdef";

/// A token of `user` for these channel patterns, good for an hour.
pub(crate) fn token(user: &str, channels: &[&str]) -> String {
    token_with(json!({"sub": user, "channels": channels}))
}

/// A token with these claims; `exp` is in an hour unless given.
pub(crate) fn token_with(claims: Value) -> String {
    token_signed(JWT_SECRET, claims)
}

/// The same, signed with any secret.
pub(crate) fn token_signed(secret: &str, mut claims: Value) -> String {
    crypto::install();
    if claims.get("exp").is_none() {
        claims["exp"] = (seconds() + 3600).into();
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::default(), &claims, &key).expect("sign a token")
}

/// A token of `user` that was good until a minute ago.
pub(crate) fn expired_token(user: &str) -> String {
    token_with(json!({"sub": user, "exp": seconds() - 60}))
}

/// Seconds since 1970.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
