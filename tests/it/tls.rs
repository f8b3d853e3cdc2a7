//! TLS that this process ends: `TLS_CERT` and `TLS_KEY`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use services::{Certificate, Scratch, free_port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::{Connector, connect_async_tls_with_config};

use crate::client::{PATIENCE, Socket};
use crate::cluster::{Cluster, fanfare, token};

/// Sockets whose memory is measured.
const SOCKETS: usize = 300;
/// What one may cost more than its share of everything else, in bytes. A build without optimizations
/// keeps as much on the heap as a release.
const SOCKET_BYTES_MAX: u64 = 20 << 10;

/// A client that trusts one certificate and no other.
struct Client(Arc<ClientConfig>);

impl Client {
    fn trusting(certificate: &Path) -> Self {
        crypto::install();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        // Each handshake sees the certificate of its time.
        config.resumption = Resumption::disabled();
        Self(Arc::new(config))
    }

    async fn connect(&self, port: u16) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::clone(&self.0)).connect(name, tcp).await
    }

    /// One request; what was answered, head and body.
    async fn ask(&self, port: u16, method: &str, path: &str, body: &str) -> String {
        let mut stream = self.connect(port).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    /// A socket of our own protocol that may read everything, past its `welcome`.
    async fn watcher(&self, port: u16) -> Socket {
        let token = token("watcher", &["*"]);
        let url = format!("wss://localhost:{port}/v1/connect?token={token}");
        let connector = Some(Connector::Rustls(Arc::clone(&self.0)));
        let opened = connect_async_tls_with_config(&url, None, false, connector);
        let (stream, _) = timeout(PATIENCE, opened).await.unwrap().unwrap();
        let mut socket = Socket::open(&url, stream);
        socket.expect(json!({"type": "welcome", "...": ""})).await;
        socket
    }
}

/// A server with TLS on two addresses, and a plain one for its operator.
struct Server {
    cluster: Cluster,
    files: Certificate,
    ports: [u16; 2],
    // Held for its end.
    _folder: Scratch,
}

impl Server {
    async fn start() -> Self {
        let folder = Scratch::new("tls");
        let files = Certificate::make(folder.path());
        let ports = [free_port(), free_port()];
        let listen = ports.map(|port| format!("127.0.0.1:{port}")).join(",");
        let cluster = Cluster::embedded()
            .set("LISTEN", &listen)
            .set("ADMIN_LISTEN", &format!("127.0.0.1:{}", free_port()))
            .set("TLS_CERT", files.certificate.to_str().unwrap())
            .set("TLS_KEY", files.key.to_str().unwrap())
            .set("TLS_RELOAD_MS", "50")
            .set("MAX_CONNECTIONS_PER_USER", "1000");
        Self { cluster: cluster.start().await, files, ports, _folder: folder }
    }

    fn client(&self) -> Client {
        Client::trusting(&self.files.certificate)
    }
}

fn event(data: &Value) -> String {
    json!({"stream": "topics", "type": "x", "id": "t", "data": data}).to_string()
}

async fn subscribe(socket: &mut Socket) {
    socket.send(json!({"type": "subscribe", "channel": "topic:t"})).await;
    socket.expect(json!({"type": "subscribed", "...": ""})).await;
}

#[tokio::test]
async fn every_public_address_speaks_https_and_wss_and_nothing_plain() {
    let server = Server::start().await;
    let client = server.client();
    for port in server.ports {
        let answer = client.ask(port, "GET", "/health", "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let mut plain = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        plain.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _reset_or_ended = timeout(PATIENCE, plain.read_to_end(&mut answer)).await.unwrap();
        assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    }
    let mut watcher = client.watcher(server.ports[1]).await;
    subscribe(&mut watcher).await;
    let answer = client.ask(server.ports[0], "POST", "/v1/publish", &event(&json!({"n": 1}))).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    watcher.expect(json!({"type": "event", "data": {"n": 1}, "...": ""})).await;
    watcher.leave().await;
}

#[tokio::test]
async fn a_client_that_reads_late_gets_large_and_small_frames_whole_and_in_order() {
    let server = Server::start().await;
    let client = server.client();
    let mut watcher = client.watcher(server.ports[0]).await;
    subscribe(&mut watcher).await;
    let large = "ü".repeat(900_000);
    let publish = async {
        for n in 0..12 {
            let text = if n % 3 == 0 { large.as_str() } else { "small" };
            let body = event(&json!({"n": n, "text": text}));
            let answer = client.ask(server.ports[0], "POST", "/v1/publish", &body).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    };
    // What the kernel and the queue hold is far less than what is published meanwhile.
    tokio::join!(watcher.stop_reading_for(Duration::from_secs(3)), publish);
    for n in 0..12 {
        let frame = watcher.expect(json!({"type": "event", "...": ""})).await;
        assert_eq!(frame["data"]["n"], n);
        let text = frame["data"]["text"].as_str().unwrap();
        assert_eq!(text.len(), if n % 3 == 0 { large.len() } else { 5 });
    }
    // And the other way: a message over many records.
    watcher.send(json!({"type": "subscribe", "channel": "x".repeat(60_000)})).await;
    watcher.expect(json!({"type": "error", "...": ""})).await;
    watcher.send(json!({"type": "ping"})).await;
    watcher.expect(json!({"type": "pong"})).await;
}

#[tokio::test]
async fn a_new_certificate_counts_for_who_comes_next_and_half_of_a_pair_does_not() {
    let server = Server::start().await;
    let old = server.client();
    let mut open = old.watcher(server.ports[0]).await;
    let next = Scratch::new("tls");
    let new = Certificate::make(next.path());
    let replace = |from: &Path, to: &Path| {
        let aside = to.with_extension("new");
        std::fs::copy(from, &aside).unwrap();
        std::fs::rename(&aside, to).unwrap();
    };
    replace(&new.certificate, &server.files.certificate);
    let log = || server.cluster.gateways[0].log();
    eventually(|| log().contains("TLS_KEY: does not belong"), "the misfit in the log").await;
    old.connect(server.ports[0]).await.unwrap();
    replace(&new.key, &server.files.key);
    let client = Client::trusting(&new.certificate);
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = client.connect(server.ports[0]).await {
        assert!(Instant::now() < deadline, "the new certificate is not served: {error}");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(old.connect(server.ports[0]).await.is_err());
    open.send(json!({"type": "ping"})).await;
    open.expect(json!({"type": "pong"})).await;
}

async fn eventually(is_so: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn files_of_tls_that_cannot_be_used_end_with_78_and_name_their_setting() {
    let folder = Scratch::new("tls");
    let good = Certificate::make(folder.path());
    let other_folder = Scratch::new("tls");
    let other = Certificate::make(other_folder.path());
    let nonsense = folder.path().join("nonsense.pem");
    std::fs::write(&nonsense, "no PEM").unwrap();
    let missing = folder.path().join("missing.pem");
    for (certificate, key, named) in [
        (&missing, &good.key, "TLS_CERT"),
        (&good.certificate, &missing, "TLS_KEY"),
        (&nonsense, &good.key, "TLS_CERT"),
        (&good.certificate, &nonsense, "TLS_KEY"),
        (&good.certificate, &other.key, "TLS_KEY"),
    ] {
        let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
        for arguments in [&["config"][..], &[]] {
            let settings = [("TLS_CERT", certificate), ("TLS_KEY", key), ("PORT", "0")];
            let said = fanfare(arguments, &settings).await.expect(78).stderr;
            assert!(said.contains(&format!("{named}: ")), "{named}: {said}");
        }
    }
    let (certificate, key) = (good.certificate.to_str().unwrap(), good.key.to_str().unwrap());
    fanfare(&["config"], &[("TLS_CERT", certificate)]).await.expect(78);
    fanfare(&["config"], &[("TLS_CERT", certificate), ("TLS_KEY", key)]).await.expect(0);
}

#[tokio::test]
async fn the_health_check_of_a_container_finds_a_server_that_speaks_only_tls() {
    let server = Server::start().await;
    let listen = format!("127.0.0.1:{}", server.ports[0]);
    let (certificate, key) = (&server.files.certificate, &server.files.key);
    let settings = [
        ("LISTEN", listen.as_str()),
        ("TLS_CERT", certificate.to_str().unwrap()),
        ("TLS_KEY", key.to_str().unwrap()),
    ];
    // Readiness is the operator's address alone to say: here that nobody serves it is an answer too.
    let said = fanfare(&["healthcheck"], &settings).await;
    assert!(said.stderr.contains("404"), "{said:?}");
}

/// Memory that this process alone has, in bytes.
fn memory_bytes(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
    line.and_then(|line| line.split_whitespace().next()).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the figure that the README quotes")]
async fn a_socket_of_tls_at_rest_costs_little() {
    let server = Server::start().await;
    let client = server.client();
    let pid = server.cluster.gateways[0].pid();
    let mut sockets = Vec::new();
    // The first ones cost what is reserved once.
    for _ in 0..SOCKETS / 3 {
        sockets.push(client.watcher(server.ports[0]).await);
    }
    let before = memory_bytes(pid);
    for _ in 0..SOCKETS {
        sockets.push(client.watcher(server.ports[0]).await);
    }
    let each = memory_bytes(pid).saturating_sub(before) / SOCKETS as u64;
    eprintln!("a socket of TLS at rest: {each} bytes");
    assert!(each <= SOCKET_BYTES_MAX, "{each} bytes each");
}
