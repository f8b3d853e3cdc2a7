//! Signatures as Standard Webhooks has them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;

/// What a secret begins with whose key is written in base64.
const ENCODED: &str = "whsec_";

/// Returns the value of `webhook-signature`: `v1,` and the HMAC-SHA256 of `ID.TIMESTAMP.BODY`.
pub fn sign(secret: &str, id: &str, timestamp: i64, body: &str) -> String {
    let encoded = secret.strip_prefix(ENCODED).and_then(|text| STANDARD.decode(text).ok());
    let key = encoded.unwrap_or_else(|| secret.as_bytes().to_vec());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = format!("{id}.{timestamp}.{body}");
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_has_its_signature() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = r#"{"test": 2432232314}"#;
        let signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_without_the_prefix_is_the_key_itself() {
        // printf 'msg_1.5.{}' | openssl dgst -sha256 -hmac secret -binary | base64
        assert_eq!(
            sign("secret", "msg_1", 5, "{}"),
            "v1,H4h+Kl9oOHe0KfmDfVdp/neWuk0H8/RUR1jGoz9G268="
        );
    }
}
