//! Tokens of an issuer: real keys, and a real server that hands them out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::HashMap,
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use auth::{Authenticator, CredentialError, TokenFault};
use futures_util::future::join_all;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use runtime::{
    config::{Config, Role},
    lifecycle::Lifecycle,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const EC: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const ED: &[&str] = &["-algorithm", "ed25519"];

/// A key pair of an issuer.
struct Pair {
    algorithm: Algorithm,
    private: EncodingKey,
    public_pem: String,
}

impl Pair {
    fn generate(algorithm: Algorithm) -> Self {
        crypto::install();
        let kind = match algorithm {
            Algorithm::ES256 => EC,
            Algorithm::EdDSA => ED,
            _ => RSA,
        };
        let pem = openssl(&[&["genpkey"], kind].concat(), "");
        let private = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        let public_pem = openssl(&["pkey", "-pubout"], &pem);
        Self { algorithm, private: private.unwrap(), public_pem }
    }

    fn jwk(&self, id: &str) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        jwk.common.key_id = Some(id.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    fn token(&self, id: Option<&str>) -> String {
        sign(self.algorithm, id, &self.private, &good_claims())
    }
}

fn openssl(arguments: &[&str], input: &str) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut openssl = openssl.spawn().unwrap();
    openssl.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = openssl.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn good_claims() -> Value {
    json!({ "sub": "ann", "exp": now() + 600 })
}

fn sign(algorithm: Algorithm, id: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    crypto::install();
    let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

/// Where keys are fetched; what it answers can be changed.
struct Issuer {
    address: SocketAddr,
    answer: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
    life: Lifecycle,
}

impl Issuer {
    async fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            address: listener.local_addr().unwrap(),
            answer: Arc::default(),
            asked: Arc::default(),
            life: Lifecycle::new(),
        };
        issuer.says("200 OK", &json!({ "keys": keys }).to_string());
        let (answer, asked) = (Arc::clone(&issuer.answer), Arc::clone(&issuer.asked));
        issuer.life.spawn_until_stop(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                asked.fetch_add(1, Ordering::SeqCst);
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let answer = answer.lock().unwrap().clone();
                // Who reads no further than its limit hangs up.
                let _hung_up = stream.write_all(answer.as_bytes()).await;
            }
        });
        issuer
    }

    fn says(&self, status: &str, body: &str) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nlocation: /\r\n");
        *self.answer.lock().unwrap() = format!("{head}connection: close\r\n\r\n{body}");
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// One who fetches here, and keeps the keys fresh.
    fn customer(&self, cooldown_ms: &str) -> Arc<Authenticator> {
        let url = format!("http://{}/keys", self.address);
        let settings = [("JWKS_URL", url.as_str()), ("JWKS_COOLDOWN_MS", cooldown_ms)];
        let customer = Arc::new(authenticator(&settings));
        let keeper = Arc::clone(&customer);
        self.life.spawn_until_stop(async move { keeper.keep_keys().await });
        customer
    }
}

fn authenticator(settings: &[(&str, &str)]) -> Authenticator {
    let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let environment: HashMap<String, String> = settings.collect();
    let (config, _) = Config::from_environment(Role::Whole, &environment).unwrap();
    Authenticator::new(&config.access).unwrap()
}

const PUBLIC: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

#[tokio::test]
async fn tokens_of_rsa_ec_and_ed25519_keys_verify_by_a_pem_and_by_a_key_set() {
    let pairs: Vec<Pair> = PUBLIC.into_iter().map(Pair::generate).collect();
    let jwks: Vec<Value> = pairs.iter().map(|p| p.jwk(&format!("{:?}", p.algorithm))).collect();
    let issuer = Issuer::start(&jwks).await;
    let customer = issuer.customer("1000");
    customer.fetch_keys().await.unwrap();
    for pair in &pairs {
        let by_pem = authenticator(&[("JWT_PUBLIC_KEY", &pair.public_pem)]);
        let id = format!("{:?}", pair.algorithm);
        for token in [pair.token(Some(&id)), pair.token(None)] {
            assert_eq!(by_pem.token(&token).unwrap().user.as_deref(), Some("ann"), "{id}");
            assert_eq!(customer.token(&token).unwrap().user.as_deref(), Some("ann"), "{id}");
        }
        let stranger = Pair::generate(pair.algorithm).token(Some(&id));
        assert_eq!(by_pem.token(&stranger).unwrap_err().to_string(), "invalid token", "{id}");
        assert_eq!(customer.token(&stranger).unwrap_err().to_string(), "invalid token", "{id}");
    }
}

#[tokio::test]
async fn a_public_key_is_nobodys_secret() {
    for pair in PUBLIC.into_iter().map(Pair::generate) {
        let issuer = Issuer::start(&[pair.jwk("k")]).await;
        let customer = issuer.customer("1000");
        customer.fetch_keys().await.unwrap();
        let by_pem = authenticator(&[("JWT_PUBLIC_KEY", &pair.public_pem)]);
        // What everybody can know of the key, taken for an HS256 secret.
        let jwk = pair.jwk("k");
        let known = [pair.public_pem.clone(), pair.public_pem.trim().to_owned(), jwk.to_string()];
        let parts = ["n", "x"].iter().filter_map(|part| jwk[part].as_str().map(str::to_owned));
        for secret in known.into_iter().chain(parts) {
            let key = EncodingKey::from_secret(secret.as_bytes());
            let forged = sign(Algorithm::HS256, Some("k"), &key, &good_claims());
            assert_eq!(by_pem.token(&forged).unwrap_err().to_string(), "invalid token");
            assert_eq!(customer.token(&forged).unwrap_err().to_string(), "invalid token");
        }
    }
}

#[tokio::test]
async fn a_key_set_brings_public_keys_for_signatures_and_no_others() {
    let pair = Pair::generate(Algorithm::ES256);
    let with = |id: &str, name: &str, value: Value| {
        let mut jwk = pair.jwk(id);
        jwk[name] = value;
        jwk
    };
    // "secret" in base64url.
    let symmetric = json!({ "kty": "oct", "kid": "s", "alg": "HS256", "k": "c2VjcmV0" });
    let keys = [
        symmetric,
        json!({ "kty": "of the future", "kid": "f" }),
        json!("no key at all"),
        with("e", "use", json!("enc")),
        with("o", "key_ops", json!(["encrypt"])),
        with("a", "alg", json!("RS256")),
        pair.jwk("good"),
    ];
    let issuer = Issuer::start(&keys).await;
    let customer = issuer.customer("1000");
    customer.fetch_keys().await.unwrap();
    let secret = EncodingKey::from_secret(b"secret");
    let forged = sign(Algorithm::HS256, Some("s"), &secret, &good_claims());
    assert_eq!(customer.token(&forged).unwrap_err().to_string(), "invalid token");
    for id in ["e", "o", "a"] {
        let refused = customer.token(&pair.token(Some(id)));
        assert_eq!(refused.unwrap_err().to_string(), "invalid token", "{id}");
    }
    assert!(customer.token(&pair.token(Some("good"))).is_ok());
}

#[tokio::test]
async fn a_new_key_is_fetched_once_however_many_ask_and_made_up_ones_not_again() {
    let (old, new) = (Pair::generate(Algorithm::EdDSA), Pair::generate(Algorithm::EdDSA));
    let issuer = Issuer::start(&[old.jwk("old")]).await;
    let customer = issuer.customer("60000");
    customer.fetch_keys().await.unwrap();
    customer.prepare(&old.token(Some("old"))).await;
    assert_eq!(issuer.asked(), 1, "a known key needs no fetch");
    issuer.says("200 OK", &json!({ "keys": [new.jwk("new")] }).to_string());
    let token = new.token(Some("new"));
    assert!(customer.token(&token).is_err());
    join_all((0..100).map(|_| customer.prepare(&token))).await;
    assert!(customer.token(&token).is_ok());
    assert_eq!(issuer.asked(), 2, "one fetch for a hundred who ask");
    for n in 0..100 {
        customer.prepare(&new.token(Some(&format!("made-up-{n}")))).await;
    }
    assert_eq!(issuer.asked(), 2, "at most one fetch per JWKS_COOLDOWN_MS");
    let refused = customer.token(&old.token(Some("old")));
    assert_eq!(refused.unwrap_err().to_string(), "invalid token", "a key that was taken back");
}

#[tokio::test]
async fn the_keys_stay_good_while_the_issuer_is_away_or_says_nonsense() {
    let pair = Pair::generate(Algorithm::ES256);
    let issuer = Issuer::start(&[pair.jwk("k")]).await;
    let customer = issuer.customer("1");
    customer.fetch_keys().await.unwrap();
    let large = json!({ "keys": [], "x": "x".repeat(1 << 20) }).to_string();
    for (status, body) in [
        ("503 Service Unavailable", ""),
        ("302 Found", ""),
        ("200 OK", "<html>"),
        ("200 OK", r#"{"keys":[]}"#),
        ("200 OK", large.as_str()),
    ] {
        issuer.says(status, body);
        let said = customer.fetch_keys().await.unwrap_err().to_string();
        assert!(!said.contains(&issuer.address.to_string()), "no URL in {said}");
        customer.prepare(&pair.token(Some("unknown"))).await;
        assert!(customer.token(&pair.token(Some("k"))).is_ok(), "{status}: {said}");
    }
    assert!(customer.keys_age().unwrap().1, "not overdue for minutes");
}

#[test]
fn a_token_has_to_name_the_audience_and_the_issuer_that_are_set() {
    let secret = "a-secret-of-the-test-0123456789abcdef";
    let settings = [("JWT_SECRET", secret), ("JWT_AUDIENCE", "us"), ("JWT_ISSUER", "them")];
    let strict = authenticator(&settings);
    let key = EncodingKey::from_secret(secret.as_bytes());
    let token = |more: Value| {
        let mut claims = good_claims();
        claims.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        sign(Algorithm::HS256, None, &key, &claims)
    };
    assert!(strict.token(&token(json!({ "aud": "us", "iss": "them" }))).is_ok());
    assert!(strict.token(&token(json!({ "aud": ["others", "us"], "iss": "them" }))).is_ok());
    for wrong in [
        json!({}),
        json!({ "aud": "us" }),
        json!({ "iss": "them" }),
        json!({ "aud": "others", "iss": "them" }),
        json!({ "aud": "us", "iss": "others" }),
        json!({ "aud": [], "iss": "them" }),
    ] {
        let refused = strict.token(&token(wrong.clone()));
        assert_eq!(refused.unwrap_err().to_string(), "invalid token", "{wrong}");
    }
}

#[test]
fn what_a_token_demands_and_nobody_understands_is_refused() {
    let secret = "a-secret-of-the-test-0123456789abcdef";
    let authenticator = authenticator(&[("JWT_SECRET", secret)]);
    let key = EncodingKey::from_secret(secret.as_bytes());
    let critical = Header { crit: Some(vec!["b64".to_owned()]), ..Header::new(Algorithm::HS256) };
    let token = jsonwebtoken::encode(&critical, &good_claims(), &key).unwrap();
    assert_eq!(authenticator.token(&token).unwrap_err().to_string(), "invalid token");
    let with = |length: usize| {
        let mut claims = good_claims();
        claims["x"] = "x".repeat(length).into();
        authenticator.token(&sign(Algorithm::HS256, None, &key, &claims)).map(|_| ())
    };
    assert_eq!(with(10_000), Ok(()));
    assert_eq!(
        with(20_000),
        Err(CredentialError::Invalid(TokenFault::Malformed)),
        "longer than any header"
    );
}

#[test]
fn a_token_counts_from_nbf_to_exp_with_five_seconds_of_leeway() {
    let secret = "a-secret-of-the-test-0123456789abcdef";
    let authenticator = authenticator(&[("JWT_SECRET", secret)]);
    let key = EncodingKey::from_secret(secret.as_bytes());
    let check = |claims: Value| {
        authenticator.token(&sign(Algorithm::HS256, None, &key, &claims)).map(|_| ())
    };
    let (sub, now) = ("ann", now());
    assert_eq!(check(json!({ "sub": sub, "exp": now - 3 })), Ok(()));
    assert_eq!(check(json!({ "sub": sub, "exp": now - 8 })), Err(CredentialError::Expired));
    assert_eq!(check(json!({ "sub": sub, "exp": now + 60, "nbf": now + 3 })), Ok(()));
    let early = check(json!({ "sub": sub, "exp": now + 60, "nbf": now + 60 }));
    assert_eq!(early, Err(CredentialError::Invalid(TokenFault::NotYet)));
    let fraction = now as f64 + 60.5;
    assert_eq!(check(json!({ "sub": sub, "exp": fraction, "iat": fraction - 90.0 })), Ok(()));
    assert_eq!(
        check(json!({ "sub": sub })),
        Err(CredentialError::Invalid(TokenFault::Claims)),
        "no exp"
    );
    assert_eq!(
        check(json!({ "exp": now + 60 })),
        Err(CredentialError::Invalid(TokenFault::Claims)),
        "nobody"
    );
}
