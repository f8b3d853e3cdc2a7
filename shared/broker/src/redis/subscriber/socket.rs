//! The socket of the subscriber: TCP, TLS or Unix, a buffer, and the greeting.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf as _, BytesMut};
use redis::{ConnectionAddr, ConnectionInfo};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;

use super::super::{
    link::field,
    resp::{self, RespFrame},
    server::{CONNECT_TIMEOUT, USER_TIMEOUT, keepalive},
};

/// As much as one read takes at most, and so one batch holds, besides the rest of a frame.
const READ_BYTES: usize = 128 * 1024;

/// How long writing a command may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

/// A greeted connection to a primary.
pub(super) struct SubscriberSocket {
    stream: Box<dyn ByteStream>,
    buffer: BytesMut,
}

/// What can be taken out of the buffer next.
pub(super) enum Incoming<'a> {
    /// A message: name of the channel, payload.
    Message(&'a [u8], &'a [u8]),
    /// Any other frame: a confirmation, a PONG, an error.
    Other(RespFrame<'a>),
}

impl SubscriberSocket {
    /// Connects, speaks RESP3, says its name, and makes sure that this is a primary.
    pub(super) async fn open(info: &ConnectionInfo, name: &str) -> io::Result<Self> {
        let opening = async {
            let stream = connect(info.addr()).await?;
            let mut connection = Self { stream, buffer: BytesMut::new() };
            connection.greet(info, name).await?;
            Ok(connection)
        };
        tokio::time::timeout(CONNECT_TIMEOUT, opening).await?
    }

    async fn greet(&mut self, info: &ConnectionInfo, name: &str) -> io::Result<()> {
        let settings = info.redis_settings();
        let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(password) = settings.password() {
            let user = settings.username().unwrap_or("default");
            hello.extend([&b"AUTH"[..], user.as_bytes(), password.as_bytes()]);
        }
        hello.extend([&b"SETNAME"[..], name.as_bytes()]);
        let mut bytes = resp::encode(&hello);
        bytes.extend(resp::encode(&[b"INFO", b"replication"]));
        self.write(&bytes).await?;
        self.answer(|_| Ok(())).await?;
        self.answer(|frame| {
            let RespFrame::Text(text) = frame else { return Ok(()) };
            match field(&String::from_utf8_lossy(text), "role") {
                Some("master") | None => Ok(()),
                Some(role) => Err(io::Error::other(format!("no primary but {role}"))),
            }
        })
        .await
    }

    /// Waits for one answer.
    async fn answer(&mut self, check: impl Fn(&RespFrame<'_>) -> io::Result<()>) -> io::Result<()> {
        loop {
            if let Some((frame, length)) = resp::parse(&self.buffer).map_err(io::Error::other)? {
                if let RespFrame::Error(text) = frame {
                    return Err(io::Error::other(String::from_utf8_lossy(text)));
                }
                check(&frame)?;
                self.buffer.advance(length);
                return Ok(());
            }
            self.read().await?;
        }
    }

    /// Reads once; whether that emptied the socket. Nothing is lost when it is cancelled.
    pub(super) async fn read(&mut self) -> io::Result<bool> {
        if self.buffer.is_empty() && self.buffer.capacity() > 2 * READ_BYTES {
            // A large message made it grow.
            self.buffer = BytesMut::new();
        }
        self.buffer.reserve(READ_BYTES);
        let room = self.buffer.capacity() - self.buffer.len();
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::other("closed by Redis")),
            count => Ok(count < room),
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(WRITE_TIMEOUT, writing).await?
    }

    /// Hands over every whole frame that was read, in order.
    pub(super) fn drain(
        &mut self,
        mut take: impl FnMut(Incoming<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut at = 0;
        loop {
            let rest = &self.buffer[at..];
            if let Some((channel, payload, length)) = resp::parse_message(rest) {
                take(Incoming::Message(channel, payload))?;
                at += length;
            } else if let Some((frame, length)) = resp::parse(rest).map_err(io::Error::other)? {
                take(Incoming::Other(frame))?;
                at += length;
            } else {
                self.buffer.advance(at);
                return Ok(());
            }
        }
    }
}

async fn connect(address: &ConnectionAddr) -> io::Result<Box<dyn ByteStream>> {
    Ok(match address {
        ConnectionAddr::Tcp(host, port) => Box::new(connect_tcp(host, *port).await?),
        ConnectionAddr::TcpTls { host, port, .. } => {
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let connector = TlsConnector::from(Arc::new(tls_config()?));
            Box::new(connector.connect(name, connect_tcp(host, *port).await?).await?)
        }
        ConnectionAddr::Unix(path) => Box::new(UnixStream::connect(path).await?),
        other => return Err(io::Error::other(format!("no way to connect to {other}"))),
    })
}

async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let socket = redis::io::tcp::socket2::SockRef::from(&stream);
    socket.set_tcp_keepalive(&keepalive())?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(stream)
}

/// The same trust as that of the library: the system's authorities, or those of `SSL_CERT_FILE`.
fn tls_config() -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
