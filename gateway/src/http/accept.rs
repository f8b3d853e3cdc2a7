//! The accept loop: TCP connections in, with TLS or without, HTTP requests to the router.
//!
//! A loop of our own instead of the framework's, because it has to set the socket's options, to
//! bound how long a header may take, to bound connections that are no sessions yet, and to hand
//! out the stream itself at an upgrade.

mod address_slots;
mod deadline_body;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use futures_util::future::join_all;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use runtime::lifecycle::Lifecycle;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

pub use self::deadline_body::BodyLate;
use self::{
    address_slots::{AddressSlots, Slot},
    deadline_body::DeadlineBody,
};
use super::tls::Tls;

/// What bounds connections that speak HTTP. An upgraded one is bounded elsewhere.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Connections that speak HTTP at the same time, idle ones and event streams included. Above
    /// it new ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Those of one address; 0 for any number. Who has more is answered 429.
    pub connections_per_address_max: usize,
    /// Networks whose connections are not counted by address.
    pub spared: Vec<IpNet>,
    /// How long a request's header may take, and how long an idle connection is kept.
    pub header_ms: u32,
    /// Size of a request's header in bytes.
    pub header_bytes: usize,
    /// How long a request's body may take.
    pub body_ms: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            connections_per_address_max: 0,
            spared: Vec::new(),
            header_ms: 10_000,
            header_bytes: 16 << 10,
            body_ms: 30_000,
        }
    }
}

/// Bytes that the kernel takes and has not sent. Without this bound it holds megabytes for each
/// client that reads slowly; what it does not take waits in the send queue, where frames are
/// shared.
const UNSENT_BYTES_MAX: u32 = 16 << 10;
/// How long bytes may stay unacknowledged. Longer than any heartbeat's timeout, because a client
/// that reads nothing for a while is the heartbeat's to judge, and not the kernel's.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(180);
/// When the kernel begins to ask whether a silent peer is still there, and how often it asks.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// The answer to a connection too many of an address.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n\
                          Connection: close\r\nContent-Length: 0\r\n\r\n";
/// Pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Serves `router` on all listeners until the process stops.
///
/// In the drain HTTP connections end with the request that they are at, but new ones are still
/// accepted: a client whose socket was closed may find no other node and has to be served.
/// Handlers find the client's address as [`ConnectInfo<SocketAddr>`].
pub async fn serve(
    listeners: Vec<TcpListener>,
    tls: Option<Tls>,
    router: Router,
    limits: HttpLimits,
    lifecycle: Lifecycle,
) {
    let server = HttpServer {
        router,
        tls,
        room: Arc::new(Semaphore::new(limits.connections_max)),
        addresses: AddressSlots::new(limits.connections_per_address_max, limits.spared.clone()),
        limits,
        lifecycle,
    };
    let loops = join_all(listeners.iter().map(|listener| server.accept(listener)));
    server.lifecycle.stopping_token().run_until_cancelled(loops).await;
}

/// What all accept loops share.
struct HttpServer {
    router: Router,
    tls: Option<Tls>,
    limits: HttpLimits,
    room: Arc<Semaphore>,
    addresses: Arc<AddressSlots>,
    lifecycle: Lifecycle,
}

impl HttpServer {
    async fn accept(&self, listener: &TcpListener) {
        // The permit comes before the socket: who waits costs this process nothing.
        while let Ok(permit) = Arc::clone(&self.room).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, peer)) => match self.addresses.enter(peer.ip()) {
                    Some(slot) => self.start(stream, peer, (permit, slot)),
                    // The kernel has room for so little; who does not read it learns nothing.
                    None if self.tls.is_none() => drop(stream.try_write(TOO_MANY)),
                    None => {}
                },
                Err(error) if is_peers_fault(&error) => {
                    tracing::trace!(%error, "accept: a connection was gone before it was accepted");
                }
                Err(error) => {
                    tracing::warn!(%error, "accept: no connection accepted, tried again in a moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, slots: (OwnedSemaphorePermit, Slot)) {
        if let Err(error) = set_options(&stream) {
            tracing::debug!(%error, %peer, "accept: an option of the socket was not set, it is served without");
        }
        let connection = HttpConnection {
            router: self.router.clone(),
            peer,
            header_max: Duration::from_millis(u64::from(self.limits.header_ms)),
            header_bytes: self.limits.header_bytes,
            body_max: Duration::from_millis(u64::from(self.limits.body_ms)),
            has_asked: Arc::default(),
            lifecycle: self.lifecycle.clone(),
        };
        let Some(tls) = &self.tls else {
            self.lifecycle.spawn_until_stop(connection.serve(stream, slots));
            return;
        };
        let handshake = tls.acceptor().accept(stream);
        self.lifecycle.spawn_until_stop(async move {
            match tokio::time::timeout(connection.header_max, handshake).await {
                Ok(Ok(stream)) => connection.serve(stream, slots).await,
                Ok(Err(error)) => {
                    tracing::debug!(%error, %peer, "accept: no handshake of TLS, connection closed");
                }
                Err(_) => {
                    tracing::debug!(%peer, "accept: the handshake of TLS took too long, connection closed");
                }
            }
        });
    }
}

/// A connection that speaks HTTP, as its requests see it.
#[derive(Clone)]
struct HttpConnection {
    router: Router,
    peer: SocketAddr,
    header_max: Duration,
    header_bytes: usize,
    body_max: Duration,
    has_asked: Arc<AtomicBool>,
    lifecycle: Lifecycle,
}

impl HttpConnection {
    /// Answers requests until the connection ends, or becomes a socket: hyper's future ends there too,
    /// and the slots are free.
    async fn serve<S>(self, stream: S, _slots: (OwnedSemaphorePermit, Slot))
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (peer, lifecycle) = (self.peer, self.lifecycle.clone());
        let has_asked = Arc::clone(&self.has_asked);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.header_max)
            .max_buf_size(self.header_bytes)
            // Who has said all that it had to say still waits for the answer.
            .half_close(true);
        let service = service_fn(move |request| self.clone().answer(request));
        let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = lifecycle.draining() => {
                // It would end one that has not asked yet without an answer.
                if has_asked.load(Ordering::Relaxed) {
                    connection.as_mut().graceful_shutdown();
                }
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, %peer, "accept: HTTP connection lost");
        }
    }

    /// Passes a request to the router; in the drain it is the connection's last one.
    async fn answer(self, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        self.has_asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let waits_for_word = request.headers().contains_key(EXPECT);
        let request = request.map(|body| {
            let lifecycle = self.lifecycle.clone();
            Body::new(DeadlineBody::new(body, self.body_max, waits_for_word, lifecycle))
        });
        let mut response = self.router.oneshot(request).await?;
        if self.lifecycle.is_draining() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// The options of an accepted socket: frames are not held back, a peer that vanished is noticed,
/// and the kernel buffers little.
fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
        socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    }
    Ok(())
}

/// Whether accepting failed because of the connection at hand, so that the next one may succeed.
fn is_peers_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
