//! Tokens of an issuer whose keys are fetched: what its users see at a running gateway.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::{Router, routing::get};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use services::{Process, Scratch, Signal, free_port};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::client::Socket;
use crate::cluster::{Cluster, fanfare};

/// Where keys are fetched; what it answers can be changed.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Value>>,
    // Held for its end.
    _server: JoinSet<()>,
}

impl Issuer {
    async fn start(keys: Value) -> Self {
        let keys = Arc::new(Mutex::new(keys));
        let answer = Arc::clone(&keys);
        let answer = move || async move { answer.lock().unwrap().to_string() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, Router::new().route("/keys", get(answer))).await.unwrap();
        });
        Self { url, keys, _server: server }
    }
}

fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A fresh key of the issuer, and the set that publishes it alone.
fn key(id: &str) -> (EncodingKey, Value) {
    crypto::install();
    let scratch = Scratch::new("key");
    let pem = openssl(scratch.path(), &["genpkey", "-algorithm", "ed25519"]);
    let key = EncodingKey::from_ed_pem(&pem).unwrap();
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap();
    jwk.common.key_id = Some(id.to_owned());
    (key, json!({ "keys": [jwk] }))
}

fn token(id: &str, key: &EncodingKey, claims: &Value) -> String {
    let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn ann() -> Value {
    json!({ "sub": "ann", "exp": 4_000_000_000_u64, "channels": ["tasks"] })
}

#[tokio::test]
async fn a_token_of_a_key_that_is_new_is_good_at_once_on_every_path() {
    let (old, first) = key("old");
    let issuer = Issuer::start(first).await;
    let cluster = Cluster::embedded().set("JWKS_URL", &issuer.url).start().await;
    let node = &cluster.gateways[0];
    let old = token("old", &old, &ann());
    let mut socket = Socket::connect(&node.ws(&format!("/v1/connect?token={old}"))).await;
    socket.expect(json!({"type": "welcome", "user": "ann", "...": ""})).await;

    let ready = cluster.get("/readyz").await.expect(200).json();
    assert_eq!(ready["parts"]["keys"]["state"], "up", "{ready}");

    let (new, second) = key("new");
    *issuer.keys.lock().unwrap() = second;
    let new = token("new", &new, &ann());
    socket.send(json!({"type": "token", "token": new})).await;
    socket.expect(json!({"type": "token", "expires_at": 4_000_000_000_000_u64})).await;
    let bearer = |token: &str| vec![("Authorization".to_owned(), format!("Bearer {token}"))];
    let url = node.http("/v1/channels/tasks");
    cluster.http.send("GET", &url, &bearer(&new), None).await.unwrap().expect(200);
    // The old key is gone from the set, and with it everybody who comes with its tokens.
    cluster.http.send("GET", &url, &bearer(&old), None).await.unwrap().expect(401);
    let protocol = [("Sec-WebSocket-Protocol".to_owned(), format!("bearer.{old}"))];
    let mut late = Socket::connect_with(&node.ws("/v1/connect"), &protocol).await;
    assert_eq!(late.closed().await.0, 4001);
}

#[tokio::test]
async fn an_upgrade_with_an_unknown_key_waits_for_the_key() {
    let (_, first) = key("old");
    let issuer = Issuer::start(first).await;
    let cluster = Cluster::embedded().set("JWKS_URL", &issuer.url).start().await;
    let (new, second) = key("new");
    *issuer.keys.lock().unwrap() = second;
    let protocol = format!("bearer.{}", token("new", &new, &ann()));
    let protocol = [("Sec-WebSocket-Protocol".to_owned(), protocol)];
    let mut socket = Socket::connect_with(&cluster.gateways[0].ws("/v1/connect"), &protocol).await;
    socket.expect(json!({"type": "welcome", "user": "ann", "...": ""})).await;
}

#[tokio::test]
async fn a_gateway_that_cannot_fetch_its_keys_ends_with_69() {
    let url = format!("http://id:hunter2@127.0.0.1:{}/keys", free_port());
    let settings = [("JWKS_URL", url.as_str()), ("STARTUP_TIMEOUT_MS", "500"), ("PORT", "0")];
    let outcome = fanfare(&[], &settings).await.expect(69);
    assert!(outcome.stderr.contains("JWKS_URL"), "{outcome:#?}");
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:#?}");
}

#[tokio::test]
async fn keys_come_over_tls_from_whom_the_system_trusts_and_from_nobody_else() {
    let scratch = Scratch::new("issuer");
    let folder = scratch.path();
    let (key, set) = key("k");
    std::fs::write(folder.join("keys"), set.to_string()).unwrap();
    let request = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext \
                   subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
                   -keyout key.pem -out cert.pem";
    openssl(folder, &request.split_whitespace().collect::<Vec<_>>());
    let port = free_port();
    let mut server = Command::new("openssl");
    server.args(["s_server", "-WWW", "-quiet", "-key", "key.pem", "-cert", "cert.pem"]);
    server.args(["-accept", &format!("127.0.0.1:{port}")]).current_dir(folder);
    let _server = Process::spawn("issuer", &server, &folder.join("issuer.log"), Signal::Kill);

    let url = format!("https://127.0.0.1:{port}/keys");
    let strangers = [("JWKS_URL", url.as_str()), ("STARTUP_TIMEOUT_MS", "1500"), ("PORT", "0")];
    fanfare(&[], &strangers).await.expect(69);
    let certificate = folder.join("cert.pem").display().to_string();
    let trusting =
        Cluster::embedded().set("JWKS_URL", &url).set("SSL_CERT_FILE", &certificate).start().await;
    let path = format!("/v1/connect?token={}", token("k", &key, &ann()));
    let mut socket = Socket::connect(&trusting.gateways[0].ws(&path)).await;
    socket.expect(json!({"type": "welcome", "user": "ann", "...": ""})).await;
}
