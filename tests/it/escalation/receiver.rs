//! A server that takes webhooks as Slack, Discord and others do, and answers as it is told.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, StatusCode, Uri, header};
use ring::hmac;
use serde_json::Value;
use services::Scratch;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
    server::TlsStream,
};

use crate::client::PATIENCE;

/// How a post is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    header: Option<(header::HeaderName, String)>,
    after: Duration,
}

impl Reply {
    /// With this status.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, header: None, after: Duration::ZERO }
    }

    /// With this status and a `Retry-After`.
    pub(crate) fn retry_after(status: u16, value: &str) -> Self {
        Self { header: Some((header::RETRY_AFTER, value.to_owned())), ..Self::status(status) }
    }

    /// With a redirect.
    pub(crate) fn redirect(to: &str) -> Self {
        Self { header: Some((header::LOCATION, to.to_owned())), ..Self::status(307) }
    }

    /// Well, but late.
    pub(crate) fn after(time: Duration) -> Self {
        Self { after: time, ..Self::status(200) }
    }
}

/// What was posted.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) at: Instant,
    pub(crate) path: String,
    pub(crate) body: Value,
    text: String,
    headers: HeaderMap,
}

impl Post {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The id that stays the same in every try.
    pub(crate) fn id(&self) -> &str {
        assert!(!self.header("webhook-id").is_empty(), "{self:?}");
        self.header("webhook-id")
    }

    /// Whether the signature is that of Standard Webhooks, made a moment ago.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let timestamp = self.header("webhook-timestamp");
        let seconds: i64 = timestamp.parse().unwrap();
        let age = jiff::Timestamp::now().as_second() - seconds;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signed = format!("{}.{timestamp}.{}", self.id(), self.text);
        let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
        (0..60).contains(&age) && self.header("webhook-signature") == format!("v1,{signature}")
    }
}

#[derive(Debug, Default)]
struct Receiving {
    replies: VecDeque<Reply>,
    posts: Vec<Post>,
}

/// The server; what has no reply of its own is answered with 204.
#[derive(Debug)]
pub(crate) struct Receiver {
    url: String,
    port: u16,
    state: Arc<Mutex<Receiving>>,
    scratch: Scratch,
    _serving: JoinSet<()>,
}

impl Receiver {
    /// Starts one on loopback.
    pub(crate) async fn start(replies: &[Reply]) -> Self {
        Self::listen(replies, false).await
    }

    /// Starts one behind TLS, with a certificate of its own making.
    pub(crate) async fn start_tls(replies: &[Reply]) -> Self {
        Self::listen(replies, true).await
    }

    async fn listen(replies: &[Reply], tls: bool) -> Self {
        let scratch = Scratch::new("receiver");
        let state = Arc::new(Mutex::new(Receiving {
            replies: replies.iter().cloned().collect(),
            posts: Vec::new(),
        }));
        let router = Router::new().fallback(receive).with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut serving = JoinSet::new();
        if tls {
            let acceptor = acceptor(scratch.path());
            serving.spawn(async move {
                let listener = TlsListener { listener, acceptor };
                axum::serve(listener, router).await.unwrap();
            });
        } else {
            serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        }
        let scheme = if tls { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{port}/");
        Self { url, port, state, scratch, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The path of its certificate.
    pub(crate) fn certificate(&self) -> String {
        self.scratch.path().join("cert.pem").display().to_string()
    }

    /// Waits until so many posts have come, and returns them all.
    pub(crate) async fn posts(&self, count: usize) -> Vec<Post> {
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            let posts = self.state.lock().unwrap().posts.clone();
            if posts.len() >= count {
                assert_eq!(posts.len(), count, "{posts:#?}");
                return posts;
            }
            assert!(Instant::now() < deadline, "{count} wanted: {posts:#?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Nothing more comes for so long.
    pub(crate) async fn expect_silence(&self, time: Duration) {
        let before = self.state.lock().unwrap().posts.len();
        sleep(time).await;
        let posts = self.state.lock().unwrap().posts.clone();
        assert_eq!(posts.len(), before, "unwanted: {:#?}", &posts[before..]);
    }
}

async fn receive(
    State(state): State<Arc<Mutex<Receiving>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = String::from_utf8_lossy(&body).into_owned();
    let body = serde_json::from_str(&text).unwrap_or_default();
    let reply = {
        let mut state = state.lock().unwrap();
        let path = uri.path().to_owned();
        state.posts.push(Post { at: Instant::now(), path, body, text, headers });
        state.replies.pop_front().unwrap_or_else(|| Reply::status(204))
    };
    sleep(reply.after).await;
    let mut response = StatusCode::from_u16(reply.status).unwrap().into_response();
    if let Some((name, value)) = reply.header {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

const CERTIFICATE: &str = "
[req]
prompt = no
distinguished_name = name
x509_extensions = server
[name]
CN = localhost
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1, DNS:localhost
";

fn acceptor(folder: &Path) -> TlsAcceptor {
    std::fs::write(folder.join("config"), CERTIFICATE).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
    openssl.args(["-config", "config", "-keyout", "key.pem", "-out", "cert.pem"]);
    let output = openssl.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let chain = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    crypto::install();
    let config = ServerConfig::builder().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_single_cert(vec![chain], key).unwrap()))
}

/// Connections whose handshake succeeded.
struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            // Whoever does not believe the certificate leaves.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
