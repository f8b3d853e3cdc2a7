//! The transport alone, sending every message back: the server for conformance suites.
//!
//! `cargo run -p gateway --example echo -- 127.0.0.1:9002`

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use futures_util::future::BoxFuture;
use gateway::connection::codec::MessageLimits;
use gateway::connection::{Connection, Handler, Limits, Message};
use gateway::connections::Connections;
use gateway::frame::Frame;
use gateway::handshake;
use gateway::heartbeat::Heartbeat;
use gateway::http::accept::{self, HttpLimits};
use shared::lifecycle::{self, Lifecycle};

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

async fn upgrade(State(connections): State<Arc<Connections>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let accepted = match handshake::check(&parts) {
        Ok(accepted) => accepted,
        Err(refusal) => return refusal.response(),
    };
    let node = Arc::clone(&connections);
    accepted.upgrade(&mut Request::from_parts(parts, body), None, &node, move |socket| {
        connections.open(socket, Arc::new(Heartbeat::NONE), |connection| {
            Arc::new(Echo { connection: Arc::clone(connection) })
        });
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9002".to_owned());
    let lifecycle = Lifecycle::new();
    let limits = Limits {
        message: MessageLimits { bytes_max: BYTES_MAX, ..Limits::default().message },
        send_queue_bytes: BYTES_MAX,
        ..Limits::default()
    };
    let connections = Connections::new(limits, &lifecycle);
    let router = Router::new().route("/", get(upgrade)).with_state(connections);
    let listener = tokio::net::TcpListener::bind(address).await?;
    let http = HttpLimits::default();
    lifecycle.spawn(accept::serve(vec![listener], router, http, lifecycle.clone()));
    lifecycle::signal().await?;
    lifecycle.finish(std::time::Duration::from_secs(5)).await;
    Ok(())
}
