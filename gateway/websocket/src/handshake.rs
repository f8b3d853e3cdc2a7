//! The WebSocket opening handshake (RFC 6455 §4.2), and the way from an HTTP request to a socket.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::BytesMut;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::connections::Connections;
use crate::socket::UpgradedSocket;

/// What the server appends to the key before hashing it (RFC 6455 §1.3).
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request that may become a WebSocket; the caller still decides whether it does.
#[derive(Debug)]
pub struct Handshake {
    /// The value of `Sec-WebSocket-Accept`.
    answer: HeaderValue,
}

/// Why a request cannot become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Not a WebSocket request, for want of the `Upgrade` and `Connection` headers: 426.
    #[error("a WebSocket upgrade is needed here")]
    NoUpgrade,
    /// Not a GET request: 405.
    #[error("a WebSocket upgrade has to be a GET request")]
    Method,
    /// Not HTTP/1.1, as a proxy asks that was not told otherwise: 426.
    #[error(
        "a WebSocket upgrade has to come by HTTP/1.1; a proxy asked by an older version \
         (nginx: proxy_http_version 1.1)"
    )]
    HttpVersion,
    /// Another version than 13: 426 with the version that is spoken here.
    #[error("only version 13 of WebSocket is spoken here")]
    Version,
    /// No key, or not 16 bytes in base64: 400.
    #[error("Sec-WebSocket-Key is missing or malformed")]
    Key,
}

impl HandshakeError {
    /// Returns the HTTP status: 426, 405 or 400.
    pub fn status(self) -> StatusCode {
        match self {
            Self::NoUpgrade | Self::Version | Self::HttpVersion => StatusCode::UPGRADE_REQUIRED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Key => StatusCode::BAD_REQUEST,
        }
    }

    /// Builds the whole answer, with the headers that its status asks for, and the reason as its
    /// body.
    pub fn response<B: From<String>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.to_string()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        match self {
            Self::NoUpgrade | Self::Version | Self::HttpVersion => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            Self::Method => {
                headers.insert(http::header::ALLOW, HeaderValue::from_static("GET"));
            }
            Self::Key => {}
        }
        response
    }
}

/// Checks all that RFC 6455 §4.2.1 asks of a request. Origin, credentials and subprotocols are the
/// caller's to check.
///
/// # Errors
/// When the request is not a WebSocket handshake; [`HandshakeError::response`] answers it.
pub fn check(parts: &Parts) -> Result<Handshake, HandshakeError> {
    let headers = &parts.headers;
    if !has_token(headers, CONNECTION, "upgrade") || !has_token(headers, UPGRADE, "websocket") {
        return Err(HandshakeError::NoUpgrade);
    }
    if parts.method != Method::GET {
        return Err(HandshakeError::Method);
    }
    if parts.version != Version::HTTP_11 {
        return Err(HandshakeError::HttpVersion);
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(HandshakeError::Version);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?;
    let is_nonce =
        key.len() == 24 && BASE64_STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16);
    if !is_nonce {
        return Err(HandshakeError::Key);
    }
    let digest = Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize();
    let answer = HeaderValue::try_from(BASE64_STANDARD.encode(digest));
    Ok(Handshake { answer: answer.map_err(|_never| HandshakeError::Key)? })
}

/// Returns the subprotocols that the client offers, in its order of preference.
pub fn offered_protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    tokens(headers, SEC_WEBSOCKET_PROTOCOL)
}

impl Handshake {
    /// Answers 101, and calls `start` with the socket once that is written.
    ///
    /// `protocol` has to be one that was offered. `start` should keep nothing of the request: any
    /// header value would keep all of hyper's read buffer alive for as long as the connection
    /// (13 KB instead of 0.8).
    ///
    /// The request has to come from hyper's `http1` server over a `TokioIo<TcpStream>`, or one of a
    /// `tokio_rustls::server::TlsStream<TcpStream>`, served `with_upgrades`. Otherwise the failure is logged and `start` is never called.
    pub fn upgrade<B, R: Default>(
        self,
        request: &mut Request<B>,
        protocol: Option<&str>,
        connections: &Connections,
        start: impl FnOnce(UpgradedSocket) + Send + 'static,
    ) -> Response<R> {
        let on_upgrade = hyper::upgrade::on(request);
        let upgrade = async move {
            match socket(on_upgrade).await {
                Ok(socket) => start(socket),
                Err(error) => {
                    tracing::debug!(%error, "handshake: the upgrade failed, no connection opens");
                }
            }
        };
        drop(connections.tasks().spawn(upgrade));
        let mut response = Response::new(R::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.answer);
        if let Some(Ok(protocol)) = protocol.map(HeaderValue::from_str) {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        response
    }
}

/// Why an upgrade that was answered with 101 gave no socket.
#[derive(Debug, thiserror::Error)]
enum UpgradeFailed {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("not served by hyper's http1 server on a TCP stream, plain or of TLS")]
    NotTcp,
    #[error("TLS: {0}")]
    Tls(#[from] std::io::Error),
}

/// Takes the stream out of hyper and lets go of everything else.
async fn socket(on_upgrade: OnUpgrade) -> Result<UpgradedSocket, UpgradeFailed> {
    let upgraded: Upgraded = on_upgrade.await?;
    // A copy, because even an empty slice of hyper's read buffer keeps all of it.
    let unread = |read: &[u8]| BytesMut::from(read);
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => {
            return Ok(UpgradedSocket::plain(parts.io.into_inner(), unread(&parts.read_buf)));
        }
        Err(upgraded) => upgraded,
    };
    let parts = upgraded
        .downcast::<TokioIo<TlsStream<TcpStream>>>()
        .map_err(|_upgraded| UpgradeFailed::NotTcp)?;
    Ok(UpgradedSocket::encrypted(parts.io.into_inner(), unread(&parts.read_buf))?)
}

/// Tells whether a header that is a list of tokens has this one, in any case of letters.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}
