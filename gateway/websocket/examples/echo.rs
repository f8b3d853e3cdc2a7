//! The transport alone, sending every message back: the server for conformance suites.
//!
//! `cargo run -p websocket --example echo -- 127.0.0.1:9002`

#[path = "support/accept.rs"]
mod accept;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use websocket::{
    Connection, ConnectionLimits, Connections, Frame, Handler, Heartbeat, Message, MessageLimits,
    handshake,
};

/// Suites send messages of 16 MiB.
const BYTES_MAX: usize = 32 << 20;

struct Echo {
    connection: Arc<Connection>,
}

impl Handler for Echo {
    fn message(self: Arc<Self>, message: Message<'_>) -> Option<BoxFuture<'static, ()>> {
        let frame = match message {
            Message::Text(text) => Frame::text(text),
            Message::Binary(bytes) => Frame::binary(bytes),
        };
        let _slow_or_gone = self.connection.send(&frame);
        None
    }

    fn drained(&self) {}

    fn closed(&self, _code: u16) {}
}

fn upgrade(connections: &Arc<Connections>, request: Request<Incoming>) -> Response<String> {
    let (parts, body) = request.into_parts();
    let handshake = match handshake::check(&parts) {
        Ok(handshake) => handshake,
        Err(error) => return error.response(),
    };
    let all = Arc::clone(connections);
    handshake.upgrade(&mut Request::from_parts(parts, body), None, connections, move |socket| {
        all.open(socket, Arc::new(Heartbeat::NONE), |connection| {
            Arc::new(Echo { connection: Arc::clone(connection) })
        });
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9002".to_owned());
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let limits = ConnectionLimits {
        message: MessageLimits { bytes_max: BYTES_MAX, ..ConnectionLimits::default().message },
        send_queue_bytes: BYTES_MAX,
        ..ConnectionLimits::default()
    };
    let connections = Connections::new(limits, &tasks, &stopping);
    let listener = TcpListener::bind(address).await?;
    let respond = move |request| upgrade(&connections, request);
    accept::serve(listener, tasks, respond).await
}
