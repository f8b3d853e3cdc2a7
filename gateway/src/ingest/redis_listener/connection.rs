//! One connection: reads requests, answers them in order.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::{Bytes, BytesMut};
use runtime::lifecycle::Lifecycle;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{
    RedisListener, execute::RedisClient, reply::Reply, request::RequestLimits,
    request::RequestReader,
};

/// Bytes of answers that are written at once, while more of a pipeline is carried out.
const FLUSH_BYTES: usize = 64 << 10;

/// Bytes that one read takes at most.
const READ_BYTES: usize = 64 << 10;

/// Serves a client until it leaves, is silent for too long, or the drain begins. Then what has arrived
/// in full is answered first.
pub(super) async fn run(
    mut stream: TcpStream,
    peer: SocketAddr,
    listener: Arc<RedisListener>,
    id: u64,
    life: &Lifecycle,
) {
    let idle = listener.limits.idle;
    let mut connection = ClientConnection {
        limits: RequestLimits {
            bytes_max: listener.limits.request_bytes,
            arguments_max: listener.limits.arguments,
        },
        client: RedisClient::new(listener, id, peer.ip()),
        reader: RequestReader::default(),
        input: BytesMut::new(),
        output: BytesMut::new(),
    };
    loop {
        let wrote = timeout(idle, connection.answer(&mut stream)).await;
        if !matches!(wrote, Ok(Ok(Next::Read))) {
            return;
        }
        connection.input.reserve(READ_BYTES);
        let read = tokio::select! {
            biased;
            read = timeout(idle, stream.read_buf(&mut connection.input)) => read,
            () = life.draining() => return,
        };
        // The end, a lost connection, or silence.
        if !matches!(read, Ok(Ok(1..))) {
            return;
        }
    }
}

/// What follows after everything that has arrived was answered.
#[derive(PartialEq, Eq)]
enum Next {
    /// More is read.
    Read,
    /// The connection is closed.
    Close,
}

struct ClientConnection {
    limits: RequestLimits,
    client: RedisClient,
    reader: RequestReader,
    input: BytesMut,
    output: BytesMut,
}

impl ClientConnection {
    /// Answers what has arrived in full.
    async fn answer(&mut self, stream: &mut TcpStream) -> io::Result<Next> {
        loop {
            let stranger = !self.client.is_admitted();
            let limits = if stranger { RequestLimits::STRANGER } else { self.limits };
            match self.reader.next(&mut self.input, limits) {
                Ok(None) => break,
                Ok(Some(request)) if is_http(&request) => {
                    tracing::warn!(
                        "redis listener: a client speaks HTTP, perhaps a page in a browser; the \
                         connection is closed"
                    );
                    return Ok(Next::Close);
                }
                Ok(Some(request)) => {
                    self.client.answer(request).await.write(self.client.protocol, &mut self.output);
                }
                Err(error) => {
                    Reply::error(error).write(self.client.protocol, &mut self.output);
                    self.client.leaves = true;
                }
            }
            if self.client.leaves {
                break;
            }
            if self.output.len() >= FLUSH_BYTES {
                stream.write_all_buf(&mut self.output).await?;
            }
        }
        stream.write_all_buf(&mut self.output).await?;
        // A large request leaves no large buffer behind.
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.output.capacity() > FLUSH_BYTES {
            self.output = BytesMut::new();
        }
        Ok(if self.client.leaves { Next::Close } else { Next::Read })
    }
}

/// Whether these are words of HTTP: a page in a browser can make it send them, with commands in the
/// body, to any port of this machine. Redis closes on the first two as well.
fn is_http(request: &[Bytes]) -> bool {
    let first = request.first().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
    let version = |word: &Bytes| word.starts_with(b"HTTP/1.");
    matches!(first.as_slice(), b"post" | b"host:") || (request.len() == 3 && version(&request[2]))
}
