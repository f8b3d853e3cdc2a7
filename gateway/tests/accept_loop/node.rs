//! A server with one WebSocket endpoint that sends every message back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use futures_util::future::BoxFuture;
use gateway::http::accept::{self, HttpLimits};
use runtime::lifecycle::Lifecycle;
use tokio::net::TcpListener;
use websocket::{
    Connection, ConnectionLimits, Connections, Frame, Handler, Heartbeat, Message, handshake,
};

/// Longer than anything here takes, so that a failing test ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

struct Echo {
    connection: Arc<Connection>,
}

impl Handler for Echo {
    fn message(self: Arc<Self>, message: Message<'_>) -> Option<BoxFuture<'static, ()>> {
        if let Message::Text(text) = message {
            let _full_or_closed = self.connection.send(&Frame::text(text));
        }
        None
    }

    fn drained(&self) {}

    fn closed(&self, _code: u16) {}
}

/// A server that serves `/`.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) lifecycle: Lifecycle,
}

impl Node {
    pub(crate) async fn start(http: HttpLimits) -> anyhow::Result<Self> {
        let lifecycle = Lifecycle::new();
        let (tasks, stopping) = (lifecycle.tasks(), lifecycle.stopping_token());
        let connections = Connections::new(ConnectionLimits::default(), tasks, stopping);
        let router = Router::new().route("/", get(upgrade)).with_state(connections);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        lifecycle.spawn(accept::serve(vec![listener], None, router, http, lifecycle.clone()));
        Ok(Self { address, lifecycle })
    }
}

async fn upgrade(State(connections): State<Arc<Connections>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let handshake = match handshake::check(&parts) {
        Ok(handshake) => handshake,
        Err(error) => return error.response(),
    };
    let all = Arc::clone(&connections);
    handshake.upgrade(&mut Request::from_parts(parts, body), None, &connections, move |socket| {
        all.open(socket, Arc::new(Heartbeat::NONE), |connection| {
            Arc::new(Echo { connection: Arc::clone(connection) })
        });
    })
}
