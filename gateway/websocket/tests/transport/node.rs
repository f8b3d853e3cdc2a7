//! A node with one WebSocket endpoint, whose sessions the test can see into.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use websocket::{
    Connection, ConnectionLimits, Connections, Frame, Handler, Heartbeat, Message, handshake,
};

use crate::accept;

/// Longer than anything here takes, so that a failing test ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The client's side of a connection, by an implementation that is not ours.
pub(crate) type Client = WebSocketStream<TcpStream>;

/// What a session does with its messages.
pub(crate) type React = fn(&Session, Message<'_>) -> Option<BoxFuture<'static, ()>>;

/// What the node's sessions have seen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Drained,
    Closed(u16),
}

/// A session of the test: its handler.
pub(crate) struct Session {
    pub(crate) connection: Arc<Connection>,
    react: React,
    seen: mpsc::Sender<Seen>,
}

impl Handler for Session {
    fn message(self: Arc<Self>, message: Message<'_>) -> Option<BoxFuture<'static, ()>> {
        (self.react)(&self, message)
    }

    fn drained(&self) {
        let _gone_with_the_test = self.seen.try_send(Seen::Drained);
    }

    fn closed(&self, code: u16) {
        let _gone_with_the_test = self.seen.try_send(Seen::Closed(code));
    }
}

/// A node that serves `/`.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<Connections>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
    started: mpsc::Receiver<(Arc<Connection>, mpsc::Receiver<Seen>)>,
}

/// The node's side of a connection.
pub(crate) struct Peer {
    pub(crate) connection: Arc<Connection>,
    seen: mpsc::Receiver<Seen>,
}

impl Peer {
    /// The next thing that the session saw apart from messages.
    pub(crate) async fn sees(&mut self) -> anyhow::Result<Seen> {
        let seen = tokio::time::timeout(PATIENCE, self.seen.recv()).await?;
        seen.context("the session is gone")
    }
}

#[derive(Clone)]
struct Endpoint {
    connections: Arc<Connections>,
    heartbeat: Arc<Heartbeat>,
    react: React,
    started: mpsc::Sender<(Arc<Connection>, mpsc::Receiver<Seen>)>,
}

/// How a node is set up; the defaults are those of the product.
pub(crate) struct Setup {
    pub(crate) limits: ConnectionLimits,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) react: React,
}

impl Default for Setup {
    fn default() -> Self {
        Self { limits: ConnectionLimits::default(), heartbeat: Heartbeat::NONE, react: echo }
    }
}

/// Sends every message back.
pub(crate) fn echo(session: &Session, message: Message<'_>) -> Option<BoxFuture<'static, ()>> {
    let frame = match message {
        Message::Text(text) => Frame::text(text),
        Message::Binary(bytes) => Frame::binary(bytes),
    };
    let _full_or_closed = session.connection.send(&frame);
    None
}

/// Answers nothing.
pub(crate) fn ignore(_session: &Session, _message: Message<'_>) -> Option<BoxFuture<'static, ()>> {
    None
}

impl Node {
    pub(crate) async fn start(setup: Setup) -> anyhow::Result<Self> {
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let connections = Connections::new(setup.limits, &tasks, &stopping);
        let (started, started_rx) = mpsc::channel(1024);
        let endpoint = Endpoint {
            connections: Arc::clone(&connections),
            heartbeat: Arc::new(setup.heartbeat),
            react: setup.react,
            started,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let respond = move |request| upgrade(endpoint.clone(), request);
        let accepting = accept::serve(listener, tasks.clone(), respond);
        let stop = stopping.clone();
        drop(tasks.spawn(async move { drop(stop.run_until_cancelled_owned(accepting).await) }));
        Ok(Self { address, connections, tasks, stopping, started: started_rx })
    }

    /// Connects a client; both ends of the connection.
    pub(crate) async fn connect(&mut self) -> anyhow::Result<(Client, Peer)> {
        let stream = TcpStream::connect(self.address).await?;
        let url = format!("ws://{}/", self.address);
        let (client, _response) = tokio_tungstenite::client_async(url, stream).await?;
        Ok((client, self.peer().await?))
    }

    /// The node's side of the next connection that was not asked for yet.
    pub(crate) async fn peer(&mut self) -> anyhow::Result<Peer> {
        let started = tokio::time::timeout(PATIENCE, self.started.recv()).await?;
        let (connection, seen) = started.context("the node is gone")?;
        Ok(Peer { connection, seen })
    }
}

fn upgrade(endpoint: Endpoint, request: Request<Incoming>) -> Response<String> {
    let (parts, body) = request.into_parts();
    let handshake = match handshake::check(&parts) {
        Ok(handshake) => handshake,
        Err(error) => return error.response(),
    };
    let protocol = handshake::offered_protocols(&parts.headers).next().map(str::to_owned);
    let mut request = Request::from_parts(parts, body);
    let Endpoint { connections, heartbeat, react, started } = endpoint;
    let node = Arc::clone(&connections);
    handshake.upgrade(&mut request, protocol.as_deref(), &node, move |socket| {
        let (seen, seen_rx) = mpsc::channel(1024);
        let connection = connections.open(socket, heartbeat, |connection| {
            Arc::new(Session { connection: Arc::clone(connection), react, seen })
        });
        let _gone_with_the_test = started.try_send((connection, seen_rx));
    })
}
